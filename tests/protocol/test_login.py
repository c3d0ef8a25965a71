"""AUTH on a server's connection: exchanges, lookups, and what is counted."""

import binascii
import hmac

import pytest

from smtpx.protocol import replies
from smtpx.protocol.events import (
    AbortCause,
    AuthAsked,
    AuthFailed,
    ConnectionEnded,
    LookupAsked,
    PauseAsked,
)
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.phases import Phase
from smtpx.protocol.server import ServerProtocol
from smtpx.sasl import CRAM_MD5, EXTERNAL, OAUTHBEARER, SCRAM_SHA_256_PLUS, Credentials, Secret, ServerMechanism
from smtpx.sasl.plain import PlainServer
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    BAD_AUTH,
    EHLO,
    GOOD_AUTH,
    MECHANISMS,
    TLS_FACTS,
    AtServer,
    ServerPeer,
    answering,
    ends,
    feed,
    greeted,
    make_settings,
    play,
    survives,
)

AUTH = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True)


def test_auth_asks_with_the_credentials() -> None:
    peer = ServerPeer(AUTH).connect()
    outcome = peer.play([EHLO, "AUTH PLAIN\r\n", "Ym9zcwB1c2VyAHNlY3JldA==\r\n"])
    (asked,) = outcome.of(AuthAsked)
    assert (asked.credentials.username, asked.credentials.authorization_id) == ("user", "boss")
    assert peer.protocol.facts.identity == "boss"
    assert outcome.codes == ["250", "334", "235 2.7.0"]


def test_auth_exchange() -> None:
    quiz = make_settings(mechanisms=(ServerMechanism("QUIZ", False, False, PlainServer), *MECHANISMS))
    for line, code in (
        ("AUTH FOO\r\n", "504 5.5.4"),
        ("AUTH PLAIN\r\n", "538 5.7.11"),
        ("AUTH QUIZ AAAA\r\n", "501 5.7.0"),
        ("AUTH QUIZ\r\n", "334"),
    ):
        assert play(EHLO, line, settings=quiz).codes == ["250", code]
    for response, code in (
        ("*", "501 5.0.0"),
        ("!", "501 5.5.2"),
        ("", "501 5.5.2"),
        ("A" * 12_289, "500 5.5.6"),
        ("A" * 40_000, "500 5.5.6"),
    ):
        assert survives(EHLO, "AUTH QUIZ\r\n", f"{response}\r\n", settings=quiz).codes == ["250", "334", code]
    assert ends(EHLO, "AUTH QUIZ\r\n", "x\n", settings=quiz).codes == ["250", "334", "500 5.5.2"]
    assert survives(EHLO, "AUTH LOGIN =\r\n", "*\r\n", settings=AUTH).codes == ["250", "334", "501 5.0.0"]


CRAM = make_settings(mechanisms=(CRAM_MD5, *MECHANISMS))


def asked_for_a_record() -> ServerProtocol:
    """A protocol that has asked what is stored of a user."""
    protocol = greeted(CRAM)
    feed(protocol, EHLO)
    while protocol.next_event() is not None:
        protocol.answer()
    feed(protocol, "AUTH CRAM-MD5\r\n")
    assert protocol.next_event() is None
    challenge = binascii.a2b_base64(protocol.data_to_send().rpartition(b"334 ")[2])
    digest = hmac.digest(b"secret", challenge, "md5").hex()
    feed(protocol, binascii.b2a_base64(f"user {digest}".encode(), newline=False).decode() + "\r\n")
    assert protocol.next_event() == LookupAsked("CRAM-MD5", "user")
    assert protocol.next_event() is None
    assert protocol.is_asking
    assert protocol.data_to_send() == b""
    return protocol


def test_lookup_of_a_known_user() -> None:
    protocol = asked_for_a_record()
    protocol.answer_lookup(Secret("secret"))
    assert protocol.next_event() == AuthAsked(Credentials("CRAM-MD5", "user", is_proven=True))
    protocol.answer(replies.AUTHENTICATED)
    assert protocol.facts.identity == "user"
    assert protocol.data_to_send().startswith(b"235")
    with pytest.raises(RuntimeError):
        protocol.answer_lookup(None)


@pytest.mark.parametrize("record", [None, Secret("another")])
def test_h087_lookup_of_an_unknown_user_fails_at_the_end(record: Secret | None) -> None:
    protocol = asked_for_a_record()
    if record is None:
        protocol.answer()
    else:
        protocol.answer_lookup(record)
    assert protocol.next_event() == AuthFailed("CRAM-MD5", "user")
    assert protocol.next_event() == PauseAsked(1.0)
    protocol.answer()
    assert protocol.data_to_send() == replies.BAD_CREDENTIALS.to_bytes()
    assert protocol.facts.identity is None
    assert protocol.phase is Phase.READY


@pytest.mark.parametrize("refusal", [replies.CANNOT_AUTHENTICATE_NOW, replies.BAD_CREDENTIALS])
def test_lookup_that_is_refused(refusal: Reply) -> None:
    protocol = asked_for_a_record()
    protocol.answer(refusal)
    paused = protocol.next_event()
    assert (paused is not None) == (refusal.code >= 500)
    if paused is not None:
        protocol.answer()
    assert protocol.data_to_send() == refusal.to_bytes()
    assert protocol.phase is Phase.READY


def test_connection_lost_in_a_lookup() -> None:
    protocol = asked_for_a_record()
    protocol.close(None, "lost", AbortCause.LOST)
    assert isinstance(protocol.next_event(), ConnectionEnded)
    assert not protocol.is_asking


def test_d36_challenge_before_a_refusal() -> None:
    oauth = make_settings(mechanisms=(OAUTHBEARER,), allow_insecure_auth=True)
    line = "AUTH OAUTHBEARER bixhPXVzZXIsAWF1dGg9QmVhcmVyIHgBAQ==\r\n"
    for answer in ("AQ==", "=", "", "*", "!", "A" * 12_289, "A" * 40_000):
        outcome = survives(EHLO, line, f"{answer}\r\n", settings=oauth)
        assert outcome.codes == ["250", "334", "535 5.7.8"]
        assert len(outcome.of(AuthAsked)) == 1
    locked = replies.make(535, "5.7.13", "locked")
    outcome = survives(EHLO, line, "AQ==\r\n", settings=oauth, policy=answering(AuthAsked, locked))
    assert outcome.codes == ["250", "334", "535 5.7.13"]
    outcome = survives(EHLO, line, settings=oauth, policy=answering(AuthAsked, replies.CANNOT_AUTHENTICATE_NOW))
    assert outcome.codes == ["250", "454 4.7.0"]
    assert ends(EHLO, *[line, "AQ==\r\n"] * 3, settings=oauth).codes[-1] == "421 4.7.0"


def test_mechanisms_that_need_more_than_there_is() -> None:
    plus = make_settings(mechanisms=(SCRAM_SHA_256_PLUS, EXTERNAL), starttls=True)
    assert survives(EHLO, "AUTH EXTERNAL =\r\n", settings=plus).codes == ["250", "538 5.7.11"]
    known = TLSFacts("TLSv1.3", "x", bindings={"tls-exporter": b"x"}, peer_identity="fred")
    for tls, codes in ((TLS_FACTS, ["504 5.5.4", "504 5.5.4"]), (known, ["334", "501 5.0.0"])):
        assert survives(EHLO, "AUTH SCRAM-SHA-256-PLUS\r\n", "*\r\n" if tls is known else "AUTH EXTERNAL\r\n",
                        settings=plus, tls=tls).codes[1:] == codes  # fmt: skip
    accept = answering(AuthAsked, replies.AUTHENTICATED)
    assert survives(EHLO, "AUTH EXTERNAL =\r\n", settings=plus, tls=known, policy=accept).codes[1:] == ["235 2.7.0"]


def test_auth_failures() -> None:
    outcome = ends(EHLO, BAD_AUTH * 3, settings=AUTH)
    assert outcome.codes[1:] == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert outcome.pauses == [1.0, 2.0]
    later = answering(AuthAsked, replies.CANNOT_AUTHENTICATE_NOW)
    assert survives(EHLO, BAD_AUTH * 5, settings=AUTH, policy=later).codes[1:] == ["454 4.7.0"] * 5


def test_a_judgement_that_closes() -> None:
    away = replies.make(554, "5.7.1", "go away", close=True)
    outcome = ends(EHLO, GOOD_AUTH, settings=AUTH, policy=answering(AuthAsked, away))
    assert outcome.codes == ["250", "554 5.7.1"]
    assert outcome.pauses == []


def test_responses_are_nobodys_business() -> None:
    peer = ServerPeer(AUTH).connect()
    peer.protocol.watcher = watcher = AtServer()
    peer.send(EHLO + "AUTH LOGIN\r\n")
    peer.send("*\r\n")
    assert watcher.told[-2:] == [("responded",), ("said", 501)]

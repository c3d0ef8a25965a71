"""`ServerProtocol` as a shell uses it. What is said on the wire is tested in more places beside this one."""

import pytest

from smtpx.protocol import replies
from smtpx.protocol.events import (
    AbortCause,
    AuthAsked,
    BodyAborted,
    BodyEnded,
    BodyReceived,
    BodyStarted,
    ChunkEnded,
    ConnectAsked,
    ConnectionEnded,
    HelloAsked,
    LimitHit,
    MailAsked,
    PauseAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.phases import Phase
from smtpx.protocol.server import ServerProtocol
from smtpx.wire.address import Mailbox
from smtpx.wire.params import NO_PARAMS
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    BAD_AUTH,
    EHLO,
    ENVELOPE,
    EOF,
    EXPIRE,
    GOOD_AUTH,
    HANDSHAKE,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
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
TLS = make_settings(starttls=True)
CLOSE = replies.make(554, "5.7.1", "go away", close=True)


# Greeting ---------------------------------------------------------------------------------------------------------


def test_nothing_is_read_before_the_greeting() -> None:
    protocol = ServerProtocol(make_settings())
    feed(protocol, "HELO x\r\n")
    assert protocol.next_event() is None
    assert (protocol.has_input, protocol.unread_bytes) == (True, 8)
    protocol.greet()
    assert protocol.next_event() == HelloAsked("HELO", "x")
    assert (protocol.has_input, protocol.unread_bytes) == (False, 0)


def test_refusal_in_place_of_the_greeting() -> None:
    protocol = ServerProtocol(make_settings())
    protocol.greet(replies.TOO_MANY_CONNECTIONS)
    assert protocol.data_to_send() == replies.TOO_MANY_CONNECTIONS.to_bytes()
    assert protocol.next_event() == ConnectionEnded("refused at connect", expected=False)


def test_own_banner() -> None:
    protocol = ServerProtocol(make_settings(banner="at your service"))
    protocol.greet()
    assert protocol.data_to_send() == b"220 server.example ESMTP at your service\r\n"


# Questions and answers --------------------------------------------------------------------------------------------


def test_nothing_happens_until_a_question_is_answered() -> None:
    protocol = greeted()
    feed(protocol, EHLO + MAIL)
    assert protocol.next_event() == HelloAsked("EHLO", "client.example")
    asking = [protocol.is_asking]
    assert protocol.next_event() is None
    assert protocol.data_to_send() == b""
    protocol.answer()
    asking.append(protocol.is_asking)
    assert asking == [True, False]
    assert protocol.data_to_send().startswith(b"250-server.example\r\n")
    assert protocol.next_event() == MailAsked(Mailbox("a", "client.example"), NO_PARAMS)


def test_an_answer_to_nothing() -> None:
    with pytest.raises(RuntimeError, match="nothing was asked"):
        greeted().answer()


def test_replies_wait_together() -> None:
    protocol = greeted()
    feed(protocol, NOOP * 3)
    assert protocol.next_event() is None
    assert protocol.data_to_send() == replies.OK.to_bytes() * 3
    assert protocol.data_to_send() == b""


def test_life_of_a_message() -> None:
    outcome = play(EHLO, ENVELOPE + "DATA\r\n", "hello\r\n.\r\n", cuts=(None,))
    assert outcome.events[3:] == [
        BodyStarted("DATA"),
        BodyReceived(b"hello\r\n"),
        BodyEnded(7),
        ResetAsked("END OF DATA"),
    ]


# The end ----------------------------------------------------------------------------------------------------------


def test_eof_comes_behind_what_was_sent_before() -> None:
    protocol = greeted()
    feed(protocol, EHLO + "QUIT\r\n")
    protocol.receive_eof()
    assert isinstance(protocol.next_event(), HelloAsked)
    assert protocol.next_event() is None
    protocol.answer()
    assert protocol.next_event() == ConnectionEnded("QUIT", expected=True)
    assert protocol.data_to_send().endswith(replies.BYE.to_bytes())


def test_eof_while_a_question_is_open() -> None:
    protocol = greeted()
    feed(protocol, EHLO)
    assert isinstance(protocol.next_event(), HelloAsked)
    protocol.receive_eof()
    assert protocol.next_event() is None
    protocol.answer()
    assert protocol.next_event() == ConnectionEnded("connection lost in phase ready", expected=True)
    assert protocol.next_event() is None
    assert protocol.phase is Phase.CLOSED


@pytest.mark.parametrize(("steps", "phase", "expected"), [
    ((), "hello", True),
    ((EHLO, "STARTTLS\r\n"), "tls", True),
    ((EHLO, ENVELOPE + "DATA\r\n", "x"), "body", False),
    ((EHLO, ENVELOPE, "BDAT 5\r\nx"), "recipients", False),
    ((EHLO, ENVELOPE, "BDAT 1\r\nx"), "chunks", False),
])  # fmt: skip
def test_eof_in_every_phase(steps: tuple[str, ...], phase: str, expected: bool) -> None:
    outcome = play(*steps, EOF, settings=TLS)
    assert outcome.events[-1] == ConnectionEnded(f"connection lost in phase {phase}", expected=expected)


def test_eof_before_the_greeting() -> None:
    protocol = ServerProtocol(make_settings())
    protocol.receive_eof()
    assert protocol.next_event() == ConnectionEnded("connection lost in phase banner", expected=True)


def test_deadline() -> None:
    outcome = ends(EHLO, ENVELOPE + "DATA\r\n", "x", EXPIRE)
    assert outcome.codes[-1] == "421 4.4.2"
    assert outcome.events[-2:] == [
        BodyAborted(AbortCause.DEADLINE, 1),
        ConnectionEnded("deadline passed in phase body", expected=False),
    ]


def test_deadline_of_the_session() -> None:
    protocol = greeted()
    feed(protocol, EHLO)
    assert protocol.next_event() is not None
    protocol.expire()
    assert not protocol.is_asking
    assert isinstance(protocol.next_event(), ConnectionEnded)
    assert protocol.data_to_send() == replies.DEADLINE_PASSED.to_bytes()


def test_a_question_nobody_has_seen_is_taken_back() -> None:
    protocol = greeted()
    feed(protocol, EHLO + ENVELOPE + "RSET\r\n")
    for _ in range(3):
        assert protocol.next_event() is not None
        protocol.answer()
    assert protocol.next_event() == ResetAsked("RSET")
    protocol.close(replies.SHUTTING_DOWN, "shutting down")
    assert isinstance(protocol.next_event(), ConnectionEnded)

    peer = ServerPeer().connect()
    peer.play([EHLO, ENVELOPE + "DATA\r\n"])
    peer.protocol.receive_data(b".\r\n")
    assert peer.protocol.next_event() == BodyEnded(0)
    peer.protocol.answer()  # the reset waits to be seen
    peer.protocol.expire()
    assert isinstance(peer.protocol.next_event(), ConnectionEnded)
    assert peer.protocol.next_event() is None


def test_closing_twice() -> None:
    protocol = greeted()
    protocol.close(None, "enough")
    protocol.close(replies.SHUTTING_DOWN, "again")
    assert protocol.data_to_send() == b""
    assert protocol.next_event() == ConnectionEnded("enough", expected=False)
    assert protocol.next_event() is None
    feed(protocol, NOOP)
    assert protocol.unread_bytes == 0


@pytest.mark.parametrize("kind", [HelloAsked, MailAsked, RcptAsked, ChunkEnded, BodyEnded, AuthAsked])
@pytest.mark.parametrize("answer", [replies.SHUTTING_DOWN, CLOSE], ids=["421", "close"])
def test_a_session_may_close_with_any_answer(kind: type, answer: Reply) -> None:
    script = (EHLO, GOOD_AUTH, ENVELOPE, "BDAT 1\r\nxBDAT 1 LAST\r\nx")
    outcome = ends(*script, settings=AUTH, policy=answering(kind, answer))
    assert outcome.replies[-1].code == answer.code
    assert outcome.messages == []


def test_starttls_refused_for_good() -> None:
    assert ends(EHLO, "STARTTLS\r\n", settings=TLS, policy=answering(StartTLSAsked, CLOSE)).codes == [
        "250",
        "554 5.7.1",
    ]


# Lines ------------------------------------------------------------------------------------------------------------


# Errors and delays ------------------------------------------------------------------------------------------------


def test_soft_limit_delays_every_later_reply() -> None:
    settings = make_settings(limits={"soft_error_limit": 1, "error_delay_seconds": 0.5})
    outcome = survives("XYZZY\r\n" * 2, NOOP, settings=settings)
    assert outcome.codes == ["500 5.5.2", "500 5.5.2", "250 2.0.0"]
    assert outcome.pauses == [0.5] * 3  # the third is that of the probe


def test_a_delayed_reply_waits() -> None:
    protocol = greeted(make_settings(limits={"soft_error_limit": 0}))
    feed(protocol, "XYZZY\r\n" + NOOP)
    assert protocol.next_event() == LimitHit("soft_error_limit", 0)
    assert protocol.next_event() == PauseAsked(1.0)
    assert protocol.data_to_send() == b""
    assert protocol.next_event() is None
    protocol.answer()
    assert protocol.data_to_send() == replies.BAD_LINE.to_bytes()


def test_verb_that_is_left_to_the_session() -> None:
    protocol = greeted()
    protocol.ask_session("XPAINT", "red")
    assert protocol.next_event() == VerbAsked("XPAINT", "red")
    protocol.answer()
    assert protocol.data_to_send() == replies.NOT_IMPLEMENTED.to_bytes()


# TLS --------------------------------------------------------------------------------------------------------------


def test_tls_begins_anew() -> None:
    peer = ServerPeer(TLS).connect()
    peer.play([EHLO, "STARTTLS\r\n"])
    assert peer.protocol.phase is Phase.TLS
    assert peer.protocol.next_event() is None
    peer.turn(HANDSHAKE)
    assert (peer.protocol.facts.tls, peer.protocol.facts.hello_name) == (TLS_FACTS, None)
    assert peer.send(NOOP + MAIL) == ["250 2.0.0", "503 5.5.1"]


def test_tls_from_the_beginning() -> None:
    protocol = ServerProtocol(make_settings())
    protocol.tls_started(TLS_FACTS)
    assert protocol.phase is Phase.BANNER
    assert protocol.facts.tls is TLS_FACTS
    assert ServerProtocol(make_settings(), tls=TLS_FACTS).facts.tls is TLS_FACTS


def test_nothing_may_lie_behind_starttls() -> None:
    assert ends(EHLO, "STARTTLS\r\nx", settings=TLS, cuts=(None,)).codes == ["250", "554 5.5.0"]
    protocol = greeted(TLS)
    feed(protocol, EHLO)
    protocol.next_event()
    protocol.answer()
    feed(protocol, "STARTTLS\r\n")
    assert protocol.next_event() == StartTLSAsked()
    feed(protocol, "x")
    protocol.data_to_send()
    protocol.answer()
    assert protocol.data_to_send() == replies.OUT_OF_TURN.to_bytes()


def test_what_came_in_clear_is_not_read_under_tls() -> None:
    peer = ServerPeer(TLS).connect()
    peer.play([EHLO, "STARTTLS\r\n"])
    feed(peer.protocol, NOOP)
    assert peer.turn(HANDSHAKE) == ["554 5.5.0"]


def test_starttls_in_a_transaction() -> None:
    outcome = play(EHLO, ENVELOPE, "STARTTLS\r\n", settings=TLS)
    assert outcome.codes[-1] == "220 2.0.0"
    assert outcome.of(ResetAsked) == [ResetAsked("STARTTLS")]


def test_a_peer_that_waits_for_a_handshake_is_told_nothing() -> None:
    assert ends(EHLO, "STARTTLS\r\n", EXPIRE, settings=TLS).codes == ["250", "220 2.0.0"]


# The parts together -----------------------------------------------------------------------------------------------


def test_all_that_may_happen_on_one_connection() -> None:
    settings = make_settings(starttls=True, mechanisms=MECHANISMS)
    peer = ServerPeer(settings).connect()
    protocol = peer.protocol
    protocol.watcher = watcher = AtServer()
    peer.send(EHLO + "STARTTLS\r\n")
    assert (protocol.awaits_handshake, protocol.is_closed) == (True, False)
    peer.turn(HANDSHAKE)
    peer.send(EHLO + BAD_AUTH)
    assert protocol.auth_failures == 1
    peer.send("AUTH LOGIN\r\n")
    assert protocol.awaits_response
    peer.send("*\r\n" + ENVELOPE)
    assert (len(protocol.recipients), protocol.rcpt_params, protocol.mail_params) == (1, [NO_PARAMS], NO_PARAMS)
    peer.send("BDAT 1\r\nx")
    assert protocol.in_message
    peer.send("RSET\r\n")
    assert peer.outcome.of(BodyAborted) == [BodyAborted(AbortCause.RESET, 1)]
    assert peer.send("QUIT\r\n") == ["221 2.0.0"]
    assert watcher.told[-1] == ("said", 221)
    assert protocol.is_closed


def test_lmtp_verdicts_and_lookups_are_for_the_parts() -> None:
    protocol = greeted()
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    with pytest.raises(RuntimeError, match="nothing was asked"):
        protocol.answer_lookup(None)


def test_counts_that_close() -> None:
    junk = make_settings(limits={"junk_command_limit": 1, "hard_error_limit": 1})
    assert ends(EHLO, NOOP, settings=junk).codes == ["250", "421 4.7.0"]
    errors = make_settings(limits={"hard_error_limit": 1})
    assert ends(EHLO, "XYZZY\r\n", settings=errors).codes == ["250", "421 4.7.0"]
    crowd = make_settings(limits={"max_recipients": 1, "recipient_overshoot": 1, "hard_error_limit": 1})
    assert ends(EHLO, ENVELOPE + RCPT * 2, settings=crowd).codes[3:] == ["452 4.5.3", "421 4.7.0"]


def test_refused_data() -> None:
    assert survives(EHLO, "DATA\r\n").codes == ["250", "503 5.5.1"]
    settings = make_settings(sync_check="off")
    assert ends(EHLO, "DATA\r\nx\r\n.\r\n", settings=settings, cuts=(None,)).codes == ["250", "503 5.5.1"]


def test_a_verdict_that_is_paused() -> None:
    settings = make_settings(limits={"soft_error_limit": 0})
    outcome = survives(EHLO, "XYZZY\r\n", ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n", settings=settings)
    kinds = [type(event) for event in outcome.events]
    assert kinds[kinds.index(BodyAborted) :][:3] == [BodyAborted, PauseAsked, ResetAsked]
    one = make_settings(limits={"hard_error_limit": 1})
    assert ends(EHLO, ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n", settings=one).of(ResetAsked) == []


def test_lines_behind_which_nothing_can_be_trusted() -> None:
    for line in (b"NOOP\n", b"x" * 65_536):
        assert ends(EHLO, line).codes[1:] == ["500 5.5.2"]
    assert survives(EHLO, b"NOOP " + b"x" * 20_000 + b"\r\n").codes[1:] == ["500 5.5.2"]


def test_begun_again() -> None:
    protocol = greeted()
    feed(protocol, EHLO)
    protocol.next_event()
    protocol.answer()
    protocol.data_to_send()
    facts = ServerFacts(address="192.0.2.1")
    protocol.restart(facts)
    assert protocol.next_event() == ConnectAsked()
    protocol.answer()
    assert (protocol.facts, protocol.phase) == (facts, Phase.HELLO)
    assert protocol.data_to_send().startswith(b"220 ")


def test_what_must_come_first() -> None:
    assert survives(MAIL).codes == ["503 5.5.1"]
    locked = make_settings(starttls=True, require_tls=True)
    assert survives(EHLO, MAIL, settings=locked).codes[1:] == ["530 5.7.0"]
    known = make_settings(mechanisms=MECHANISMS, require_auth=True)
    assert survives(EHLO, MAIL, NOOP, settings=known).codes[1:] == ["530 5.7.0", "250 2.0.0"]

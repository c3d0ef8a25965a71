"""`ServerProtocol` as a shell uses it. What is said on the wire is tested in more places beside this one."""

import binascii
import hmac

import pytest

from smtpx.extensions import Chunking
from smtpx.extensions.body_types import EightBitMIME
from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import (
    AbortCause,
    AuthAsked,
    AuthFailed,
    BodyAborted,
    BodyEnded,
    BodyReceived,
    BodyStarted,
    ChunkEnded,
    ConnectionEnded,
    HelloAsked,
    LimitHit,
    LookupAsked,
    MailAsked,
    PauseAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.phases import Phase
from smtpx.protocol.server import ServerProtocol
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import CRAM_MD5, EXTERNAL, OAUTHBEARER, SCRAM_SHA_256_PLUS, Credentials, Secret, ServerMechanism
from smtpx.sasl.plain import PlainServer
from smtpx.wire.address import Mailbox
from smtpx.wire.params import NO_PARAMS, Param
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    BAD_AUTH,
    EHLO,
    ENVELOPE,
    EOF,
    EXPIRE,
    GOOD_AUTH,
    HANDSHAKE,
    LMTP_SETTINGS,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
    TLS_FACTS,
    Policy,
    ServerPeer,
    answering,
    ends,
    make_settings,
    play,
    survives,
)

AUTH = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True)
TLS = make_settings(starttls=True)
NO = replies.make(550, "5.7.1", "no")
CLOSE = replies.make(554, "5.7.1", "go away", close=True)


def greeted(settings: ServerSettings | None = None) -> ServerProtocol:
    """A protocol whose greeting was sent."""
    protocol = ServerProtocol(settings or make_settings())
    protocol.greet()
    assert protocol.data_to_send().startswith(b"220 ")
    return protocol


def feed(protocol: ServerProtocol, text: str) -> None:
    protocol.receive_data(text.encode())


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


def test_envelope_is_there_while_the_verdict_is_asked_and_gone_behind_it() -> None:
    protocol = greeted()
    peer = ServerPeer(policy=Policy())
    peer.protocol = protocol
    peer.play([EHLO, ENVELOPE + "DATA\r\n"])
    feed(protocol, ".\r\n")
    assert protocol.in_message
    assert protocol.next_event() == BodyEnded(0)
    assert (protocol.sender, protocol.recipients) == (Mailbox("a", "client.example"), [Mailbox("b", "server.example")])
    protocol.answer()
    assert (protocol.sender, protocol.recipients, protocol.in_message) == (None, [], False)
    assert protocol.messages == 1
    assert protocol.phase is Phase.READY


def test_binary_content_where_an_extension_brings_it() -> None:
    class Binary(EightBitMIME):
        mail_params = (Param("BODY", lambda value: value or "", str),)

    settings = make_settings(extensions=[Chunking(), Binary()])
    outcome = survives(EHLO, "MAIL FROM:<a@b> BODY=BINARYMIME\r\n", RCPT, "BDAT 3 LAST\r\na\nb", settings=settings)
    assert outcome.contents == [b"a\nb"]


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


def test_h020_verdict_stands_when_the_peer_is_gone() -> None:
    outcome = play(EHLO, ENVELOPE + "DATA\r\n", ".\r\n", EOF)
    assert outcome.codes[-1] == "250 2.0.0"
    assert outcome.of(BodyAborted) == []


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


@pytest.mark.parametrize(("line", "code"), [
    (b"\r\n", "500 5.5.2"),
    (b"\xff\r\n", "500 5.5.2"),
    (b"MAIL \xff\r\n", "501 5.5.4"),
    (b"STARTTLS \xff\r\n", "501 5.5.4"),
    (b"XYZZY \xff\r\n", "500 5.5.2"),
    (b"NOOP \0\r\n", "500 5.5.2"),
    (b"NOOP " + b"x" * 2100 + b"\r\n", "500 5.5.2"),
    (b"NOOP " + b"x" * 20_000 + b"\r\n", "500 5.5.2"),
])  # fmt: skip
def test_lines_that_cannot_be_read(line: bytes, code: str) -> None:
    assert survives(EHLO, line).codes[1:] == [code]


@pytest.mark.parametrize(("line", "code"), [
    (b"NOOP\n", "500 5.5.2"),
    (b"NO\rOP\r\n", "500 5.5.2"),
    (b"x" * 65_536, "500 5.5.2"),
    (b"GET / HTTP/1.0\r\n", "500 5.5.2"),
    (b"GET /\xff HTTP/1.0\r\n", "500 5.5.2"),
    (b"BDAT \xff\r\n", "501 5.5.4"),
    (b"BDAT 5\0\r\n", "501 5.5.4"),
])  # fmt: skip
def test_lines_behind_which_nothing_can_be_trusted(line: bytes, code: str) -> None:
    assert ends(EHLO, line).codes[1:] == [code]


def test_first_octet() -> None:
    assert ends(b"\x16").codes == ["500 5.5.2"]
    assert survives(b"\tx\r\n").codes == ["500 5.5.2"]


def test_commands_without_authentication_can_be_limited() -> None:
    settings = make_settings(
        mechanisms=MECHANISMS, allow_insecure_auth=True, limits={"max_unauthenticated_commands": 3}
    )
    assert ends(EHLO, NOOP * 3, settings=settings).codes == ["250", "250 2.0.0", "250 2.0.0", "421 4.7.0"]
    assert survives(EHLO, GOOD_AUTH, NOOP * 5, settings=settings).codes[2:] == ["250 2.0.0"] * 5


def test_sync_check() -> None:
    early = EHLO + ENVELOPE + "DATA\r\nx\r\n.\r\n"
    assert ends(early, cuts=(None,)).codes[3:] == ["554 5.5.0"]
    assert ends(early, settings=make_settings(sync_check="all"), cuts=(None,)).codes == ["554 5.5.0"]
    assert survives(early, settings=make_settings(sync_check="off")).contents == [b"x\r\n"]


def test_refused_data_with_content_behind_it() -> None:
    settings = make_settings(sync_check="off")
    assert ends(EHLO, "DATA\r\nx\r\n.\r\n", settings=settings, cuts=(None,)).codes == ["250", "503 5.5.1"]
    assert survives(EHLO, "DATA\r\n", settings=settings).codes == ["250", "503 5.5.1"]


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


def test_a_delayed_verdict_comes_before_the_reset() -> None:
    settings = make_settings(limits={"soft_error_limit": 0})
    outcome = survives(EHLO, "XYZZY\r\n", ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n", settings=settings)
    assert outcome.codes[-1] == "550 5.5.2"
    kinds = [type(event) for event in outcome.events]
    assert kinds[kinds.index(BodyAborted) :][:3] == [BodyAborted, PauseAsked, ResetAsked]


def test_a_verdict_that_is_one_error_too_many() -> None:
    settings = make_settings(limits={"hard_error_limit": 1})
    outcome = ends(EHLO, ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n", settings=settings)
    assert outcome.codes[-1] == "421 4.7.0"
    assert outcome.of(ResetAsked) == []


def test_what_is_not_counted() -> None:
    settings = make_settings(starttls=True, require_tls=True, mechanisms=MECHANISMS, limits={"hard_error_limit": 1})
    assert survives(EHLO, MAIL * 5, settings=settings).codes[1:] == ["530 5.7.0"] * 5
    settings = make_settings(mechanisms=MECHANISMS, limits={"hard_error_limit": 1})
    assert survives(EHLO, GOOD_AUTH * 5, settings=settings).codes[1:] == ["538 5.7.11"] * 5
    settings = make_settings(limits={"hard_error_limit": 1})
    later = replies.make(450, "4.7.1", "later")
    assert (
        survives(EHLO, MAIL * 5, settings=settings, policy=answering(MailAsked, later)).codes[1:] == ["450 4.7.1"] * 5
    )


def test_recipients_beyond_all_measure() -> None:
    settings = make_settings(limits={"max_recipients": 1, "recipient_overshoot": 1, "hard_error_limit": 2})
    outcome = ends(EHLO, ENVELOPE + RCPT * 3, settings=settings)
    assert outcome.codes[3:] == ["452 4.5.3", "452 4.5.3", "421 4.7.0"]


def test_verb_that_is_left_to_the_session() -> None:
    protocol = greeted()
    protocol.ask_session("XPAINT", "red")
    assert protocol.next_event() == VerbAsked("XPAINT", "red")
    protocol.answer()
    assert protocol.data_to_send() == replies.NOT_IMPLEMENTED.to_bytes()


def test_503_is_excused_only_behind_a_refusal() -> None:
    settings = make_settings(limits={"hard_error_limit": 2})
    refuse = answering(MailAsked, NO)
    assert survives(EHLO, MAIL + RCPT * 3, settings=settings, policy=refuse).codes[2:] == ["503 5.5.1"] * 3
    assert ends(EHLO, MAIL + NOOP + RCPT, settings=settings, policy=refuse).codes[-1] == "421 4.7.0"


# BDAT -------------------------------------------------------------------------------------------------------------


def test_small_chunks_are_junk_in_the_end() -> None:
    settings = make_settings(limits={"small_chunk_limit": 2, "junk_command_limit": 2, "hard_error_limit": 1})
    outcome = ends(EHLO, ENVELOPE, "BDAT 1\r\nx" * 9, settings=settings)
    assert outcome.codes[3:] == ["250 2.0.0"] * 3 + ["421 4.7.0"]
    assert outcome.of(BodyAborted)[-1].cause is AbortCause.CLOSED


def test_a_chunk_that_fails_ends_the_transaction() -> None:
    outcome = survives(EHLO, ENVELOPE, "BDAT 1\r\nxBDAT 1\r\nx", RCPT, policy=answering(ChunkEnded, NO))
    assert outcome.codes[3:] == ["550 5.7.1", "503 5.5.1", "503 5.5.1"]
    assert outcome.of(BodyAborted) == [BodyAborted(AbortCause.REFUSED, 1)]
    assert outcome.of(ResetAsked) == [ResetAsked("BDAT")]


def test_chunks_of_nothing_and_chunks_not_on_offer() -> None:
    assert survives(EHLO, ENVELOPE, "BDAT 0\r\nBDAT 0 LAST\r\n").contents == [b""]
    settings = make_settings(extensions=())
    assert survives(EHLO, ENVELOPE, "BDAT 6 LAST\r\nNOOP\r\n", settings=settings).codes[3:] == ["502 5.5.1"]


def test_a_malformed_bdat_fails_the_transaction_wherever_it_stands() -> None:
    outcome = survives(EHLO, "BDAT 1 X\r\nx", MAIL, "BDAT 1 X\r\nx", RCPT)
    assert outcome.codes[1:] == ["501 5.5.4", "250 2.1.0", "501 5.5.4", "503 5.5.1"]


def test_bdat_needs_what_others_need() -> None:
    settings = make_settings(mechanisms=MECHANISMS, require_auth=True)
    assert survives("BDAT 1\r\nx", EHLO, "BDAT 1 LAST\r\nx", settings=settings).codes == [
        "503 5.5.1",
        "250",
        "530 5.7.0",
    ]


def test_repaired_content_of_the_last_chunk_is_complete() -> None:
    outcome = survives(EHLO, ENVELOPE, "BDAT 2 LAST\r\nx\r", settings=make_settings(bare_newline="normalize"))
    assert outcome.contents == [b"x "]


def test_a_refused_chunk_is_far_too_large() -> None:
    settings = make_settings(limits={"max_message_bytes": 10})
    assert ends(EHLO, "BDAT 1048587\r\n", settings=settings).codes == ["250", "552 5.3.4"]
    settings = make_settings(limits={"max_message_bytes": None, "max_header_bytes": 1 << 22})
    outcome = survives(
        EHLO, ENVELOPE, b"BDAT 2000000 LAST\r\n" + b"x" * 2_000_000, settings=settings, cuts=(None, 9999)
    )
    assert outcome.codes[-1] == "250 2.0.0"


# LMTP -------------------------------------------------------------------------------------------------------------


def test_rfc2033_4_2_failed_last_chunk_is_answered_for_each() -> None:
    settings = make_settings(dialect=LMTP, limits={"max_message_bytes": 10})
    outcome = survives(
        "LHLO x\r\n", ENVELOPE + RCPT, "BDAT 11 LAST\r\n12345678901", "BDAT 11\r\n12345678901", settings=settings
    )
    assert outcome.codes[4:] == ["552 5.3.4", "552 5.3.4", "503 5.5.1"]


def test_rfc2033_4_2_failed_chunk_is_answered_once() -> None:
    settings = make_settings(dialect=LMTP, limits={"max_message_bytes": 10})
    outcome = survives("LHLO x\r\n", ENVELOPE + RCPT, "BDAT 11\r\n12345678901", settings=settings)
    assert outcome.codes[4:] == ["552 5.3.4"]


def test_verdicts_name_their_recipients() -> None:
    verdicts = (None, replies.make(550, "5.1.1", "no", "really"))
    to_c = "RCPT TO:<c@server.example>\r\n"
    outcome = survives("LHLO x\r\n", ENVELOPE + to_c + "DATA\r\n", ".\r\n",
                       settings=LMTP_SETTINGS, policy=answering(BodyEnded, verdicts))  # fmt: skip
    assert outcome.replies[-2].lines == ("<b@server.example> message accepted",)
    assert outcome.replies[-1].lines == ("<c@server.example> no", "really")
    assert outcome.messages[0].recipients == ("b@server.example",)


def test_verdicts_that_are_missing_or_too_many() -> None:
    def codes(count: int) -> list[str]:
        script = ("LHLO x\r\n", ENVELOPE + RCPT * 2 + "DATA\r\n", ".\r\n")
        return play(*script, settings=LMTP_SETTINGS, policy=answering(BodyEnded, (None,) * count)).codes[6:]

    assert codes(0) == codes(1) == codes(3) == codes(4) == ["250 2.0.0"] * 3
    assert codes(2) == ["250 2.0.0", "250 2.0.0", "451 4.3.0"]


def test_rfc2033_4_2_verdicts_may_leave_one_by_one() -> None:
    peer = ServerPeer(LMTP_SETTINGS).connect()
    protocol = peer.protocol
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    peer.send("LHLO x\r\n" + ENVELOPE + RCPT + "DATA\r\n")
    peer.collect()
    protocol.receive_data(b"x\r\n.\r\nNOOP\r\n")
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    while not isinstance(protocol.next_event(), BodyEnded):
        pass
    protocol.answer_next(replies.OK)
    assert protocol.data_to_send() == b"250 2.0.0 <b@server.example> OK\r\n"
    protocol.answer_next(replies.STORAGE_FULL)
    assert protocol.data_to_send().startswith(b"452 4.3.1 <b@server.example> ")
    with pytest.raises(RuntimeError, match="no verdict is due"):
        protocol.answer_next(replies.OK)
    protocol.answer(replies.OK, replies.STORAGE_FULL)
    assert protocol.data_to_send() == b""
    assert protocol.messages == 1
    assert peer.send("NOOP\r\n") == ["250 2.0.0", "250 2.0.0"]


def test_in_smtp_no_verdict_leaves_by_itself() -> None:
    peer = ServerPeer().connect()
    peer.send(EHLO + ENVELOPE + "DATA\r\n")
    peer.protocol.receive_data(b".\r\n")
    while not isinstance(peer.protocol.next_event(), BodyEnded):
        pass
    with pytest.raises(RuntimeError, match="no verdict is due"):
        peer.protocol.answer_next(replies.OK)


def test_a_421_verdict_closes() -> None:
    outcome = ends("LHLO x\r\n", ENVELOPE + "DATA\r\n", ".\r\n",
                   settings=LMTP_SETTINGS, policy=answering(BodyEnded, replies.SHUTTING_DOWN))  # fmt: skip
    assert outcome.codes[-1] == "421 4.3.2"


# AUTH -------------------------------------------------------------------------------------------------------------


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


def test_limits_of_octets_and_content_are_told() -> None:
    settings = make_settings(limits={"max_hops": 0})
    loop = play(EHLO + ENVELOPE + "DATA\r\n", "Received: x\r\n.\r\n", settings=settings)
    assert loop.of(LimitHit) == [LimitHit("max_hops", 0)]
    assert play("GET / HTTP/1.1\r\n").of(LimitHit) == [LimitHit("foreign_verbs", 0)]

"""Each command every server knows: its argument, its reply, what it asks the session."""

import pytest

from smtpx.extensions import SMTPUTF8, Chunking
from smtpx.protocol import replies
from smtpx.protocol.commands import LAST_IN_GROUP, NEED_AUTH, SYNCHRONOUS, UNAVAILABLE, VERBS, WITHOUT_TLS
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import AbortCause, BodyAborted, HelloAsked, LimitHit, MailAsked, RcptAsked, ResetAsked
from smtpx.protocol.extension import Conversation, Extension
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import NO_PARAMS, Params
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    EHLO,
    ENVELOPE,
    EXTENSIONS,
    LMTP_SETTINGS,
    MAIL,
    RCPT,
    ServerPeer,
    answering,
    ends,
    make_settings,
    play,
    survives,
)

NO = replies.make(550, "5.7.1", "no")
NO_UTF8 = make_settings(extensions=[each for each in EXTENSIONS if not isinstance(each, SMTPUTF8)])


def test_sets_of_verbs_are_verbs() -> None:
    assert set(VERBS) >= LAST_IN_GROUP
    assert not set(VERBS) & set(UNAVAILABLE)
    assert set(VERBS) | set(UNAVAILABLE) | {"BDAT LAST"} >= NEED_AUTH | WITHOUT_TLS
    assert SYNCHRONOUS["off"] < SYNCHRONOUS["data"] < SYNCHRONOUS["all"]


# Hello ------------------------------------------------------------------------------------------------------------


def test_rfc5321_4_1_1_1_hello() -> None:
    peer = ServerPeer().connect()
    assert peer.send("EHLO client.example and more\r\n") == ["250"]
    extended = [peer.protocol.facts.extended]
    assert peer.send("HELO other.example\r\n") == ["250"]
    extended.append(peer.protocol.facts.extended)
    assert extended == [True, False]
    assert peer.protocol.facts.hello_name == "other.example"
    assert peer.outcome.events == [HelloAsked("EHLO", "client.example"), HelloAsked("HELO", "other.example")]
    assert len(peer.outcome.replies[0].lines) > 1
    assert peer.outcome.replies[1].lines == ("server.example",)


def test_hello_name() -> None:
    outcome = survives(
        "EHLO\r\n", f"EHLO {'a' * 256}\r\n", f"EHLO {'a' * 255}\r\n", "EHLO [192.0.2.1]\r\n", "HELO _\r\n"
    )
    assert outcome.codes == ["501 5.5.4", "501 5.5.4", "250", "250", "250"]


def test_rfc6531_3_1_hello_name_beyond_ascii() -> None:
    assert survives("EHLO b\u00fccher.example\r\n").codes == ["250"]
    assert survives("EHLO b\u00fccher.example\r\n", settings=NO_UTF8).codes == ["501 5.5.4"]


def test_hello_of_the_other_dialect() -> None:
    assert survives("LHLO x\r\n").codes == ["500 5.5.1"]
    assert survives(EHLO, "HELO x\r\n", "LHLO x\r\n", settings=LMTP_SETTINGS).codes == ["500 5.5.1", "500 5.5.1", "250"]


def test_refused_hello_changes_nothing() -> None:
    assert survives(EHLO, MAIL, policy=answering(HelloAsked, NO)).codes == ["550 5.7.1", "503 5.5.1"]


def test_hello_answered_by_the_session() -> None:
    own = replies.make(250, None, "other.example", "SIZE")
    outcome = survives(EHLO, "MAIL FROM:<a@b> SIZE=1\r\n", policy=answering(HelloAsked, own))
    assert outcome.replies[0] == own
    assert outcome.codes[1] == "250 2.1.0"


def test_rfc5321_4_1_4_hello_ends_a_transaction() -> None:
    outcome = survives(EHLO, ENVELOPE, "BDAT 1\r\nx", EHLO, RCPT)
    assert outcome.codes[3:] == ["250 2.0.0", "250", "503 5.5.1"]
    assert outcome.of(BodyAborted) == [BodyAborted(AbortCause.HELLO, 1)]
    assert outcome.of(ResetAsked) == [ResetAsked("EHLO")]


def test_hello_is_junk_in_the_end() -> None:
    outcome = ends(EHLO * 3, settings=make_settings(limits={"junk_command_limit": 1, "hard_error_limit": 2}))
    assert outcome.codes == ["250", "250", "421 4.7.0"]


# MAIL and RCPT ----------------------------------------------------------------------------------------------------


def test_mail_asks_with_the_sender() -> None:
    outcome = survives(EHLO, "MAIL FROM:<>\r\n", "RSET\r\n", MAIL)
    asked = [MailAsked(NULL_SENDER, NO_PARAMS), MailAsked(Mailbox("a", "client.example"), NO_PARAMS)]
    assert outcome.of(MailAsked) == asked


def test_mail_refused_by_the_session() -> None:
    assert survives(EHLO, MAIL, RCPT, policy=answering(MailAsked, NO)).codes[1:] == ["550 5.7.1", "503 5.5.1"]


def test_too_many_messages_on_a_connection() -> None:
    message = (ENVELOPE + "DATA\r\n", ".\r\n")
    outcome = ends(EHLO, *message * 2, MAIL, settings=make_settings(limits={"max_messages_per_connection": 2}))
    assert outcome.codes[-2:] == ["250 2.0.0", "421 4.7.0"]
    assert len(outcome.messages) == 2
    outcome = survives(EHLO, *message * 3, settings=make_settings(limits={"max_messages_per_connection": None}))
    assert len(outcome.messages) == 3


def test_refused_messages_are_not_counted() -> None:
    message = (ENVELOPE + "DATA\r\n", "x\ny\r\n.\r\n")
    settings = make_settings(limits={"max_messages_per_connection": 1})
    assert survives(EHLO, *message * 3, MAIL, settings=settings).codes[-1] == "250 2.1.0"


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("", "501 5.5.4"),
        (" FROM:", "501 5.5.4"),
        (" FROM:<a", "501 5.1.7"),
        (" FROM:<a@b> X=1", "555 5.5.4"),
        (" FROM:<a@b> SIZE=99999999999", "552 5.3.4"),
        (" FROM:<\u00fc@b>", "553 5.6.7"),
        (" FROM:<\u00fc@b> SMTPUTF8", "250 2.1.0"),
    ],
)
def test_mail_arguments(rest: str, code: str) -> None:
    assert survives(EHLO, f"MAIL{rest}\r\n").codes[1:] == [code]


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("", "501 5.5.4"),
        (" TO:", "501 5.5.4"),
        (" TO:<a", "501 5.1.3"),
        (" TO:<a@b> X=1", "555 5.5.4"),
        (" TO:<\u00fc@b>", "553 5.6.7"),
        (" TO:<@r:a@b>", "250 2.1.5"),
    ],
)
def test_rcpt_arguments(rest: str, code: str) -> None:
    assert survives(EHLO, MAIL, f"RCPT{rest}\r\n").codes[2:] == [code]


def test_smtputf8_without_the_extension() -> None:
    assert survives(EHLO, MAIL, "RCPT TO:<\u00fc@b>\r\n", settings=NO_UTF8).codes[2:] == ["553 5.6.7"]


def test_rcpt_refused_by_the_session_leaves_the_others() -> None:
    def judge(event: RcptAsked) -> Reply | None:
        return NO if event.recipient.local_part == "c" else None

    outcome = survives(
        EHLO, ENVELOPE, "RCPT TO:<c@server.example>\r\n", "DATA\r\n", ".\r\n", policy=answering(RcptAsked, judge)
    )
    assert outcome.codes[3:] == ["550 5.7.1", "354", "250 2.0.0"]
    assert outcome.messages[0].recipients == ("b@server.example",)


class NoRecipients(Extension):
    keyword = "XNONE"

    def check_rcpt(self, conversation: Conversation, recipient: Mailbox, params: Params) -> Reply | None:
        return NO if recipient.domain == "server.example" else None


def test_rcpt_refused_by_an_extension() -> None:
    settings = make_settings(extensions=[*EXTENSIONS, NoRecipients()])
    assert survives(EHLO, MAIL, RCPT, "RCPT TO:<a@b>\r\n", settings=settings).codes[2:] == ["550 5.7.1", "250 2.1.5"]


def test_source_routes_can_be_refused() -> None:
    settings = make_settings(source_routes="reject")
    assert survives(EHLO, "MAIL FROM:<@r:a@b>\r\n", settings=settings).codes[1:] == ["501 5.1.7"]


def test_too_many_recipients() -> None:
    settings = make_settings(limits={"max_recipients": 1, "recipient_overshoot": 1, "hard_error_limit": 2})
    outcome = ends(EHLO, ENVELOPE + RCPT * 3, settings=settings)
    assert outcome.codes[3:] == ["452 4.5.3", "452 4.5.3", "421 4.7.0"]


# DATA and BDAT ----------------------------------------------------------------------------------------------------


class NoData(Extension):
    keyword = "XNODATA"

    def check_data(self, conversation: Conversation) -> Reply | None:
        return NO if conversation.facts.hello_name == "nodata" else None


def test_data() -> None:
    settings = make_settings(extensions=[*EXTENSIONS, NoData()])
    assert survives("EHLO nodata\r\n", ENVELOPE, "DATA\r\n", settings=settings).codes[3:] == ["550 5.7.1"]
    assert play(EHLO, ENVELOPE, "DATA now\r\n", "DATA\r\n", settings=settings).codes[3:] == ["501 5.5.4", "354"]


def test_data_and_bdat_without_recipient() -> None:
    outcome = survives(EHLO, "DATA\r\n", MAIL, "DATA\r\n", "BDAT 1\r\nx", "BDAT 1 LAST\r\nx")
    assert outcome.codes[1:] == ["503 5.5.1", "250 2.1.0", "503 5.5.1", "503 5.5.1", "503 5.5.1"]
    assert outcome.replies[1].text != outcome.replies[3].text


def test_bdat() -> None:
    assert survives(EHLO, ENVELOPE, "BDAT 1 LAST\r\nx").contents == [b"x"]
    assert ends(EHLO, ENVELOPE, "BDAT\r\n").codes[3:] == ["501 5.5.4"]
    settings = make_settings(extensions=[each for each in EXTENSIONS if not isinstance(each, Chunking)])
    assert ends(EHLO, ENVELOPE, "BDAT\r\n", settings=settings).codes[3:] == ["501 5.5.4"]


# The others -------------------------------------------------------------------------------------------------------

TIGHT = make_settings(limits={"junk_command_limit": 1, "hard_error_limit": 1})


@pytest.mark.parametrize("line", ["NOOP", "RSET", "HELP", "VRFY x", "EXPN x", "HELO x"])
def test_commands_that_do_nothing_are_counted(line: str) -> None:
    settings = make_settings(limits={"junk_command_limit": 1, "hard_error_limit": 2})
    first = "502 5.5.1" if line == "EXPN x" else play(f"{line}\r\n").codes[0]
    assert ends(f"{line}\r\n" * 3, settings=settings).codes[0] == first
    assert ends(f"{line}\r\n" * 2, settings=TIGHT).codes[-1] == "421 4.7.0"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("VRFY", "501 5.5.4"),
        ("VRFY x", "252 2.5.0"),
        ("VRFY x SMTPUTF8", "252 2.5.0"),
        ("VRFY SMTPUTF8", "252 2.5.0"),
        ("VRFY \u00fc", "553 5.6.7"),
        ("VRFY \u00fc smtputf8", "252 2.5.0"),
        ("HELP", "214 2.0.0"),
        ("HELP MAIL", "214 2.0.0"),
        ("NOOP", "250 2.0.0"),
        ("NOOP x", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("RSET x", "501 5.5.4"),
        ("QUIT x", "501 5.5.4"),
        ("EXPN", "502 5.5.1"),
        ("ETRN x", "502 5.5.1"),
        ("XYZZY", "500 5.5.2"),
    ],
)
def test_commands_at_any_time(line: str, code: str) -> None:
    assert survives(f"{line}\r\n").codes == [code]
    assert survives(EHLO, ENVELOPE, f"{line}\r\n").codes[3:] == [code]


def test_rfc6531_3_7_4_2_vrfy_without_smtputf8() -> None:
    assert survives("VRFY x SMTPUTF8\r\n", settings=NO_UTF8).codes == ["555 5.5.4"]


def test_rset_tells_the_session_and_ends_the_transaction() -> None:
    outcome = survives(EHLO, ENVELOPE, "RSET\r\n", "RSET\r\n", RCPT)
    assert outcome.codes[3:] == ["250 2.0.0", "250 2.0.0", "503 5.5.1"]
    assert outcome.of(ResetAsked) == [ResetAsked("RSET")] * 2


def test_quit() -> None:
    for settings in (make_settings(), make_settings(dialect=LMTP)):
        assert ends("QUIT\r\n", settings=settings).codes == ["221 2.0.0"]


# Limits ------------------------------------------------------------------------------------------------------------


def test_limits_that_commands_see_are_told() -> None:
    settings = make_settings(
        limits={"max_null_sender_recipients": 1, "max_message_bytes": 10, "max_local_part_bytes": 3}
    )
    report = EHLO + "MAIL FROM:<>\r\n" + RCPT * 2 + "RSET\r\n"
    outcome = play(report + "MAIL FROM:<> SIZE=11\r\nMAIL FROM:<abcd@x.example>\r\n", settings=settings)
    assert outcome.codes[-5:] == ["250 2.1.5", "452 4.5.3", "250 2.0.0", "552 5.3.4", "501 5.1.7"]
    assert outcome.of(LimitHit) == [
        LimitHit("max_null_sender_recipients", 1),
        LimitHit("max_message_bytes", 10),
        LimitHit("max_local_part_bytes", 3),
    ]

"""Octets that have broken mail servers. Each test is named for its entry, H001 to H090 and J01 to J12.

Every entry asserts the number of replies, basic and enhanced code of each, what was stored, and that the connection is
in step behind it (a NOOP is answered once) or over.
"""

from collections.abc import Callable
from typing import Literal

import pytest

from smtpx.extensions import Chunking
from smtpx.protocol import replies
from smtpx.protocol.events import AbortCause, BodyAborted, BodyEnded, ConnectionEnded, MailAsked, RcptAsked
from smtpx.protocol.phases import Phase
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.reply import Reply
from tests.protocol.server_peer import (
    BAD_AUTH,
    EHLO,
    ENVELOPE,
    EOF,
    EXPIRE,
    EXTENSIONS,
    GOOD_AUTH,
    HANDSHAKE,
    LMTP_SETTINGS,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
    TLS_FACTS,
    Outcome,
    Policy,
    ServerPeer,
    Turn,
    answering,
    ends,
    make_settings,
    play,
    survives,
)

HEADER = b"Subject: t\r\n\r\n"
OPEN = (EHLO, ENVELOPE + "DATA\r\n")
OPENED = ["250", "250 2.1.0", "250 2.1.5", "354"]
BOPEN = (EHLO, ENVELOPE)
BOPENED = OPENED[:3]
SMUGGLED = b"MAIL FROM:<x@evil.example>\r\nRCPT TO:<b@server.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nboo"

NORMALIZE = make_settings(bare_newline="normalize")
EARLY = make_settings(sync_check="off")


def behind(outcome: Outcome, *opening: str) -> list[str]:
    """The codes behind those of an opening."""
    codes = outcome.codes
    assert codes[: len(opening)] == list(opening)
    return codes[len(opening) :]


def tricky(x: bytes) -> bytes:
    """Content in which `x` looks like an end of data, if a server is careless."""
    return HEADER + b"one" + x + b"NOOP\r\n.\r\n"


# A. End of data ---------------------------------------------------------------------------------------------------

FAKE_ENDS = {
    "H001": (b"\n.\n", b"one\r\nNOOP\r\n"),
    "H002": (b"\r.\r", b"one . NOOP\r\n"),
    "H003": (b"\r.\n", b"one .\r\nNOOP\r\n"),
    "H004": (b"\n.\r", b"one\r\n NOOP\r\n"),
    "H005": (b"\n.\r\n", b"one\r\nNOOP\r\n"),
    "H006": (b"\r\n.\n", b"one\r\nNOOP\r\n"),
    "H007": (b"\r.\r\n", b"one .\r\nNOOP\r\n"),
    "H008": (b"\r\n.\r", b"one\r\n NOOP\r\n"),
    "H010a": (b"\r\n.\r\r\n", b"one\r\n \r\nNOOP\r\n"),
    "H010b": (b"\r\r\n.\r\r\n", b"one \r\n \r\nNOOP\r\n"),
}
NUL_ENDS = {
    "H009a": (b"\r\n\0.\r\n", b"one\r\n\0.\r\nNOOP\r\n"),
    "H009b": (b"\r\n.\0\r\n", b"one\r\n\0\r\nNOOP\r\n"),
}


@pytest.mark.parametrize("x", [pytest.param(x, id=name) for name, (x, _) in FAKE_ENDS.items()])
def test_fake_end_of_data_is_refused(x: bytes) -> None:
    outcome = survives(*OPEN, tricky(x))
    assert behind(outcome, *OPENED) == ["550 5.5.2"]
    assert outcome.messages == []


@pytest.mark.parametrize(("x", "body"), [pytest.param(*row, id=name) for name, row in FAKE_ENDS.items()])
def test_fake_end_of_data_is_normalized(x: bytes, body: bytes) -> None:
    outcome = survives(*OPEN, tricky(x), settings=NORMALIZE)
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [HEADER + body]


@pytest.mark.parametrize("settings", [make_settings(), NORMALIZE], ids=["reject", "normalize"])
@pytest.mark.parametrize(("x", "body"), [pytest.param(*row, id=name) for name, row in NUL_ENDS.items()])
def test_nul_is_content_before_it_is_anything_else(x: bytes, body: bytes, settings: ServerSettings) -> None:
    outcome = survives(*OPEN, tricky(x), settings=settings)
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [HEADER + body]


@pytest.mark.parametrize("x", [pytest.param(x, id=name) for name, (x, _) in NUL_ENDS.items()])
def test_nul_is_refused_when_asked_for(x: bytes) -> None:
    outcome = survives(*OPEN, tricky(x), settings=make_settings(nul="reject"))
    assert behind(outcome, *OPENED) == ["550 5.6.0"]
    assert outcome.messages == []


def test_h010c_octets_of_a_real_end_behind_a_bare_cr() -> None:
    outcome = survives(*OPEN, tricky(b"\r\r\n.\r\n"))
    assert behind(outcome, *OPENED) == ["550 5.5.2", "250 2.0.0", "500 5.5.2"]
    assert outcome.messages == []


def test_h010c_octets_of_a_real_end_behind_a_bare_cr_normalized() -> None:
    outcome = survives(*OPEN, tricky(b"\r\r\n.\r\n"), settings=NORMALIZE)
    assert behind(outcome, *OPENED) == ["250 2.0.0", "250 2.0.0", "500 5.5.2"]
    assert outcome.contents == [HEADER + b"one \r\n"]


@pytest.mark.parametrize("k", range(5))
def test_h011_end_of_data_cut_at_every_octet(k: int) -> None:
    end = b"\r\n.\r\n"
    outcome = play(*OPEN, b"one" + end[:k], end[k:] + NOOP.encode(), cuts=(None, 1, 2, 3, 17, 4096))
    assert behind(outcome, *OPENED) == ["250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"one\r\n"]


def test_h012_terminator_first() -> None:
    outcome = survives(*OPEN, ".\r\n")
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [b""]


def test_h013_exactly_one_dot_is_taken_off_a_line() -> None:
    outcome = survives(*OPEN, "..x\r\n..\r\n.x\r\n...\r\n. \r\n.\r\n")
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [b".x\r\n.\r\nx\r\n..\r\n \r\n"]


@pytest.mark.parametrize("line", ["NOOP\nMAIL FROM:<a@client.example>\r\n", "EHLO client.example\n"])
def test_h014_bare_lf_in_a_command(line: str) -> None:
    outcome = ends(EHLO, line)
    assert behind(outcome, "250") == ["500 5.5.2"]
    assert outcome.of(MailAsked) == []


def test_h014_bare_lf_in_a_command_normalized() -> None:
    outcome = survives("EHLO client.example\nNOOP\n" + MAIL, settings=NORMALIZE)
    assert outcome.codes == ["250", "250 2.0.0", "250 2.1.0"]
    assert survives(b"NOOP " + b"x" * 20_000 + b"\n", settings=NORMALIZE).codes == ["500 5.5.2"]


@pytest.mark.parametrize("settings", [make_settings(), NORMALIZE], ids=["reject", "normalize"])
def test_h015_bare_cr_in_a_command(settings: ServerSettings) -> None:
    assert behind(ends(EHLO, "NO\rOP\r\n", settings=settings), "250") == ["500 5.5.2"]


def test_h015_bare_cr_in_content() -> None:
    outcome = survives(*OPEN, "one\rtwo\r\n.\r\n")
    assert behind(outcome, *OPENED) == ["550 5.5.2"]
    assert outcome.messages == []
    outcome = survives(*OPEN, "one\rtwo\r\n.\r\n", settings=NORMALIZE)
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [b"one two\r\n"]


def test_h016_oversize_message_that_hides_a_fake_end() -> None:
    small = make_settings(limits={"max_message_bytes": 1000})
    outcome = survives(*OPEN, b"A" * 2000 + b"\r\nx\n.\r\n" + SMUGGLED + b"\r\n.\r\n", settings=small)
    assert behind(outcome, *OPENED) == ["552 5.3.4"]
    assert outcome.messages == []
    assert len(outcome.of(MailAsked)) == 1


@pytest.mark.parametrize(("size", "code"), [(1000, "250 2.0.0"), (1001, "552 5.3.4")])
def test_h016_the_limit_itself_is_accepted(size: int, code: str) -> None:
    small = make_settings(limits={"max_message_bytes": 1000})
    content = b"." + b"A" * (size - 3) + b"\r\n"
    outcome = survives(*OPEN, b"." + content + b".\r\n", settings=small)  # the dot that was put in front does not count
    assert behind(outcome, *OPENED) == [code]
    assert outcome.contents == ([content] if size == 1000 else [])


def test_h017_smuggled_transaction_in_one_packet() -> None:
    outcome = survives(*OPEN, HEADER + b"one\n.\r\n" + SMUGGLED + b"\r\n.\r\n")
    assert behind(outcome, *OPENED) == ["550 5.5.2"]
    assert outcome.messages == []
    assert [str(event.sender) for event in outcome.of(MailAsked)] == ["a@client.example"]


@pytest.mark.parametrize("sync_check", ["data", "all"])
def test_h017_content_ahead_of_354(sync_check: Literal["data", "all"]) -> None:
    script = (EHLO, ENVELOPE + "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n")
    outcome = ends(*script, settings=make_settings(sync_check=sync_check), cuts=(None,))
    assert behind(outcome, *BOPENED) == ["554 5.5.0"]
    assert outcome.messages == []


def test_h017_content_ahead_of_354_is_content_when_that_is_allowed() -> None:
    outcome = survives(EHLO, ENVELOPE + "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n", settings=EARLY)
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [b"Subject: x\r\n\r\nhello\r\n"]


@pytest.mark.parametrize("data", ["DATA\r\n", "DATA x\r\n"])
def test_h017_content_behind_a_refused_data_is_never_commands(data: str) -> None:
    # No recipient, so DATA is refused; what the impatient client sent behind it holds a transaction of its own.
    for settings, code in ((EARLY, ["503 5.5.1"]), (make_settings(), ["554 5.5.0"])):
        text = MAIL + data.replace(" x", "") + SMUGGLED.decode() + "\r\n.\r\n"
        outcome = ends(EHLO, text, settings=settings, cuts=(None,))
        assert behind(outcome, "250", "250 2.1.0") == code
        assert len(outcome.of(MailAsked)) == 1
    outcome = ends(EHLO, ENVELOPE + "DATA x\r\nNOOP\r\n", settings=EARLY, cuts=(None,))
    assert behind(outcome, *BOPENED) == ["501 5.5.4"]


@pytest.mark.parametrize("content", ["Subject: t\r\n\r\nhalf", "QUIT\r\n"])
def test_h019_connection_ends_before_the_end_of_data(content: str) -> None:
    outcome = play(*OPEN, content, EOF)
    assert behind(outcome, *OPENED) == []
    assert outcome.messages == []
    assert outcome.closed
    aborted, ended = outcome.events[-2:]
    assert isinstance(aborted, BodyAborted)
    assert aborted.cause is AbortCause.LOST
    assert ended == ConnectionEnded("connection lost in phase body", expected=False)


def test_h019_the_octets_of_lost_content_are_counted() -> None:
    outcome = play(*OPEN, "Subject: t\r\n\r\nhalf", EOF)
    assert outcome.of(BodyAborted) == [BodyAborted(AbortCause.LOST, 18)]


# B. BDAT ----------------------------------------------------------------------------------------------------------


def test_h021_bdat_without_a_transaction() -> None:
    outcome = survives(EHLO, "BDAT 10\r\nRSET\r\nQUIT")
    assert behind(outcome, "250") == ["503 5.5.1"]
    assert outcome.messages == []


def test_h022_commands_inside_a_chunk_are_content() -> None:
    outcome = survives(*BOPEN, "BDAT 12\r\nRSET\r\nRSET\r\n", "BDAT 0 LAST\r\n")
    assert behind(outcome, *BOPENED) == ["250 2.0.0", "250 2.0.0"]
    assert outcome.contents == [b"RSET\r\nRSET\r\n"]


def test_h023_data_and_rcpt_behind_a_chunk_that_failed() -> None:
    small = make_settings(limits={"max_message_bytes": 100})
    outcome = survives(*BOPEN, "BDAT 200\r\n" + "A" * 200, "DATA\r\n", RCPT, settings=small)
    assert behind(outcome, *BOPENED) == ["552 5.3.4", "503 5.5.1", "503 5.5.1"]
    assert outcome.messages == []


def test_h024_data_behind_a_chunk() -> None:
    outcome = survives(*BOPEN, "BDAT 3\r\nabc", "DATA\r\n", "DATA\r\n")
    assert behind(outcome, *BOPENED) == ["250 2.0.0", "503 5.5.1", "503 5.5.1"]
    assert outcome.messages == []


def test_h025a_empty_last_chunk() -> None:
    outcome = survives(*BOPEN, "BDAT 0 LAST\r\n")
    assert behind(outcome, *BOPENED) == ["250 2.0.0"]
    assert outcome.contents == [b""]


@pytest.mark.parametrize(
    "argument",
    [" LAST", " -1", " +5", " 0x10", " 1e3", "", " \u0661", " " + "9" * 21, " \udcff", " 10\t", "\t10", " 10\0"],
)
def test_h025b_chunk_of_unknown_size(argument: str) -> None:
    line = f"BDAT{argument}\r\n".encode(errors="surrogateescape")
    outcome = ends(*BOPEN, line + MAIL.encode())
    assert behind(outcome, *BOPENED) == ["501 5.5.4"]
    assert outcome.messages == []


def test_h025b_chunk_announced_in_a_line_that_is_too_long() -> None:
    outcome = ends(*BOPEN, "BDAT 10" + " " * 2048 + "\r\nRSET\r\nRSET")
    assert behind(outcome, *BOPENED) == ["501 5.5.4"]


def test_h025c_chunk_of_twenty_digits() -> None:
    outcome = ends(*BOPEN, "BDAT 99999999999999999999\r\n")
    assert behind(outcome, *BOPENED) == ["552 5.3.4"]


@pytest.mark.parametrize("line", ["BDAT 5 FIRST", "BDAT 5 LAST x"])
def test_h025d_chunk_with_another_second_word(line: str) -> None:
    outcome = survives(*BOPEN, f"{line}\r\nabcde")
    assert behind(outcome, *BOPENED) == ["501 5.5.4"]
    assert outcome.messages == []


def test_h025d_one_behind_the_other() -> None:
    outcome = survives(*BOPEN, "BDAT 5 FIRST\r\nabcde", "BDAT 5 LAST x\r\nabcde", RCPT)
    assert behind(outcome, *BOPENED) == ["501 5.5.4", "501 5.5.4", "503 5.5.1"]


def test_h026_flood_of_small_chunks() -> None:
    peer = ServerPeer().connect()
    peer.play(BOPEN)
    for _ in range(1000 + 99):
        assert peer.send("BDAT 1\r\nA") == ["250 2.0.0"]  # a thousand are free, then a hundred as junk (EHLO is one)
    codes = peer.send("BDAT 1\r\nA" * 100)
    assert codes == ["250 2.0.0"] * 19 + ["421 4.7.0"]
    assert peer.outcome.closed
    assert peer.outcome.messages == []
    assert peer.most_unread < 1024


def test_h026_larger_chunks_are_free() -> None:
    outcome = survives(*BOPEN, ("BDAT 1024\r\n" + "\r\n" * 512) * 1200, "BDAT 0 LAST\r\n", cuts=(None, 1000))
    assert behind(outcome, *BOPENED) == ["250 2.0.0"] * 1201
    assert outcome.contents == [b"\r\n" * 512 * 1200]


def test_h027_chunks_that_exceed_the_limit_together() -> None:
    small = make_settings(limits={"max_message_bytes": 100})
    chunks = ("BDAT 60\r\n" + "A" * 60) * 2 + "BDAT 5 LAST\r\n" + "A" * 5
    outcome = survives(*BOPEN, chunks, settings=small)
    assert behind(outcome, *BOPENED) == ["250 2.0.0", "552 5.3.4", "503 5.5.1"]
    assert outcome.messages == []


def test_h030_dots_in_a_chunk_are_content() -> None:
    content = "a\r\n.\r\nb\r\n..\r\n"
    outcome = survives(*BOPEN, f"BDAT {len(content)} LAST\r\n{content}")
    assert behind(outcome, *BOPENED) == ["250 2.0.0"]
    assert outcome.contents == [content.encode()]


@pytest.mark.parametrize("body", ["", " BODY=8BITMIME"])
@pytest.mark.parametrize("x", [pytest.param(x, id=f"H032-{name}") for name, (x, _) in FAKE_ENDS.items()])
def test_bare_newlines_in_a_chunk(x: bytes, body: str) -> None:
    mail = MAIL.replace("\r\n", body + "\r\n")
    content = HEADER + b"one" + x + b"NOOP\r\n"
    first, last = content[:20], content[20:]
    chunks = b"BDAT %d\r\n%bBDAT %d LAST\r\n%b" % (len(first), first, len(last), last)
    outcome = survives(EHLO, mail + RCPT, chunks)
    assert behind(outcome, *BOPENED) == ["250 2.0.0", "550 5.5.2"]
    assert outcome.messages == []


@pytest.mark.parametrize(("x", "body"), [pytest.param(*row, id=f"H032-{name}") for name, row in NUL_ENDS.items()])
def test_nul_in_a_chunk(x: bytes, body: bytes) -> None:
    content = HEADER + b"one" + x + b"NOOP\r\n"
    outcome = survives(*BOPEN, b"BDAT %d LAST\r\n%b" % (len(content), content))
    assert behind(outcome, *BOPENED) == ["250 2.0.0"]
    assert outcome.contents == [content]


def test_h033_chunk_that_looks_like_commands() -> None:
    outcome = survives(EHLO, "BDAT 6\r\nNOOP\r\nRSET\r\nNOOP\r\n")
    assert behind(outcome, "250") == ["503 5.5.1", "250 2.0.0", "250 2.0.0"]


@pytest.mark.parametrize("line", ["BDAT 6", "BDAT 6 LAST"])
def test_b_chunking_switched_off(line: str) -> None:
    without = make_settings(extensions=[each for each in EXTENSIONS if not isinstance(each, Chunking)])
    outcome = survives(*BOPEN, f"{line}\r\nNOOP\r\n", settings=without)
    assert behind(outcome, *BOPENED) == ["502 5.5.1"]
    assert not any("CHUNKING" in text for text in outcome.replies[0].lines)


def test_b_chunk_a_little_and_far_too_large() -> None:
    limit = 1000
    small = make_settings(limits={"max_message_bytes": limit})
    outcome = survives(
        *BOPEN, b"BDAT %d\r\n" % (limit + 1048576) + b"A" * (limit + 1048576), settings=small, cuts=(None, 65536)
    )
    assert behind(outcome, *BOPENED) == ["552 5.3.4"]
    outcome = ends(*BOPEN, f"BDAT {limit + 1048577}\r\n", settings=small)
    assert behind(outcome, *BOPENED) == ["552 5.3.4"]


# C. STARTTLS ------------------------------------------------------------------------------------------------------

TLS = make_settings(starttls=True)
TLS_AUTH = make_settings(starttls=True, mechanisms=MECHANISMS)


def test_h034_command_injected_behind_starttls() -> None:
    outcome = ends(EHLO, "STARTTLS\r\nMAIL FROM:<x@evil.example>\r\n", settings=TLS, cuts=(None,))
    assert behind(outcome, "250") == ["554 5.5.0"]
    assert outcome.of(MailAsked) == []


@pytest.mark.parametrize("octets", ["MAIL FROM:<x@evil", "A"])
def test_h035_octets_without_a_line_end_behind_starttls(octets: str) -> None:
    outcome = ends(EHLO, "STARTTLS\r\n" + octets, settings=TLS, cuts=(None,))
    assert behind(outcome, "250") == ["554 5.5.0"]


def test_h035_octets_that_come_while_the_session_thinks() -> None:
    peer = ServerPeer(TLS).connect()
    peer.send(EHLO)
    protocol = peer.protocol
    protocol.receive_data(b"STARTTLS\r\n")
    assert protocol.next_event() is not None
    protocol.receive_data(b"A")
    protocol.answer()
    assert protocol.phase is Phase.CLOSED
    assert protocol.data_to_send() == replies.OUT_OF_TURN.to_bytes()


def test_h035_octets_that_come_between_220_and_the_handshake() -> None:
    peer = ServerPeer(TLS).connect()
    assert peer.play([EHLO, "STARTTLS\r\n"]).codes == ["250", "220 2.0.0"]
    peer.protocol.receive_data(b"MAIL FROM:<x@evil.example>\r\n")
    assert peer.turn(HANDSHAKE) == ["554 5.5.0"]
    assert peer.outcome.closed
    assert peer.outcome.of(MailAsked) == []


def test_h035_the_220_is_never_delayed() -> None:
    outcome = play(EHLO, "XYZZY\r\n" * 15, "STARTTLS\r\n", settings=TLS)
    assert outcome.codes[-1] == "220 2.0.0"
    assert len(outcome.pauses) == 5
    assert outcome.phase is Phase.TLS


@pytest.mark.parametrize(("line", "code"), [("STARTTLS foo", "501 5.5.4"), ("STARTTLSfoo", "500 5.5.2")])
def test_h037_starttls_with_an_argument(line: str, code: str) -> None:
    outcome = survives(EHLO, f"{line}\r\n", settings=TLS)
    assert behind(outcome, "250") == [code]


def _offers(outcome: Outcome, keyword: str) -> list[bool]:
    hellos = [reply.lines for reply in outcome.replies if reply.code == 250 and reply.enhanced is None]
    return [any(line.split()[0] == keyword for line in lines[1:]) for lines in hellos]


def test_h038_starttls_under_tls() -> None:
    outcome = survives(EHLO, "STARTTLS\r\n", HANDSHAKE, EHLO, "STARTTLS\r\n", settings=TLS)
    assert outcome.codes == ["250", "220 2.0.0", "250", "503 5.5.1"]
    assert _offers(outcome, "STARTTLS") == [True, False]


def test_h038_starttls_under_implicit_tls() -> None:
    outcome = survives(EHLO, "STARTTLS\r\n", settings=TLS, tls=TLS_FACTS)
    assert outcome.codes == ["250", "503 5.5.1"]
    assert _offers(outcome, "STARTTLS") == [False]


def test_h038_starttls_without_a_certificate() -> None:
    outcome = survives(EHLO, "STARTTLS\r\n")
    assert outcome.codes == ["250", "502 5.5.1"]
    assert _offers(outcome, "STARTTLS") == [False]


def test_h038_starttls_after_auth() -> None:
    settings = make_settings(starttls=True, mechanisms=MECHANISMS, allow_insecure_auth=True)
    outcome = survives(EHLO, GOOD_AUTH, EHLO, "STARTTLS\r\n", settings=settings)
    assert outcome.codes == ["250", "235 2.7.0", "250", "503 5.5.1"]
    assert _offers(outcome, "STARTTLS") == [True, False]


def test_h039_everything_is_forgotten_under_tls() -> None:
    peer = ServerPeer(TLS).connect()
    outcome = peer.play([EHLO, ENVELOPE, "STARTTLS\r\n"])
    assert behind(outcome, *BOPENED) == ["220 2.0.0"]
    names = [peer.protocol.facts.hello_name]
    peer.turn(HANDSHAKE)
    names.append(peer.protocol.facts.hello_name)
    assert names == ["client.example", None]
    assert peer.send(RCPT) == ["503 5.5.1"]
    assert peer.send(MAIL) == ["503 5.5.1"]
    assert peer.send(EHLO + MAIL) == ["250", "250 2.1.0"]


def test_h043_auth_in_clear() -> None:
    outcome = survives(EHLO, GOOD_AUTH, settings=TLS_AUTH)
    assert outcome.codes == ["250", "538 5.7.11"]
    assert _offers(outcome, "AUTH") == [False]
    assert not any("credentials" in repr(event) for event in outcome.events)


REQUIRED = make_settings(starttls=True, require_tls=True, mechanisms=MECHANISMS)


@pytest.mark.parametrize(
    "line", ["MAIL FROM:<a@b.example>", "RCPT TO:<a@b.example>", "DATA", "RSET", "VRFY x", "HELP", "EXPN x"]
)
def test_h043_tls_first(line: str) -> None:
    outcome = survives(EHLO, f"{line}\r\n", GOOD_AUTH, "BDAT 6 LAST\r\nNOOP\r\n", settings=REQUIRED)
    assert outcome.codes == ["250", "530 5.7.0", "530 5.7.0", "530 5.7.0"]


def test_h043_what_works_without_tls() -> None:
    outcome = play("NOOP\r\n", EHLO, "HELO x\r\n", "STARTTLS\r\n", settings=REQUIRED)
    assert outcome.codes == ["250 2.0.0", "250", "250", "220 2.0.0"]
    assert ends("QUIT\r\n", settings=REQUIRED).codes == ["221 2.0.0"]


FOREIGN = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nMAIL FROM",
    b"CONNECT h:25 HTTP/1.0\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"PUT / HTTP/1.0\r\n\r\n",
    b"DELETE / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\n\r\n",
    b"PATCH / HTTP/1.0\r\n\r\n",
    b"TRACE / HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"SSH-2.0-x\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
    b"Subject: x\r\n",
    b"Subject: \xff\r\n",
    b"GET /\xff HTTP/1.1\r\n",
    b"GET /\t HTTP/1.1\r\n",
    b"POST /" + b"a" * 3000 + b" HTTP/1.1\r\n",
]


@pytest.mark.parametrize("octets", FOREIGN, ids=[f"H047-{line[:12]!r}" for line in FOREIGN])
def test_other_protocols(octets: bytes) -> None:
    assert ends(octets).codes == ["500 5.5.2"]
    assert ends(EHLO, octets).codes == ["250", "500 5.5.2"]


@pytest.mark.parametrize("octet", [b"\x16", b"\x00", b"\x7f", b"\x80", b"\xff"], ids=repr)
def test_h047_first_octet_of_another_protocol(octet: bytes) -> None:
    assert ends(octet).codes == ["500 5.5.2"]
    assert ends(octet + b"\x03\x01\x02\x00").codes == ["500 5.5.2"]


@pytest.mark.parametrize("line", ["\r\n", "\tNOOP\r\n", " NOOP\r\n"])
def test_h047_first_octets_that_are_only_odd(line: str) -> None:
    assert survives(line).codes == ["500 5.5.2"]


def test_h047_the_first_octet_is_looked_at_once() -> None:
    # The octet that is kept of a line that is being thrown away is not the first of the connection.
    outcome = survives(b"NOOP " + b"\xff" * 20_000 + b"\r\n")
    assert outcome.codes == ["500 5.5.2"]


def test_h047_other_verbs_can_be_named() -> None:
    settings = make_settings(foreign_verbs=frozenset({"XYZZY"}))
    assert ends("XYZZY\r\n", settings=settings).codes == ["500 5.5.2"]
    assert survives("GET / HTTP/1.0\r\n", settings=settings).codes == ["500 5.5.2"]


# E. Addresses and parsing -----------------------------------------------------------------------------------------

LABEL = "a" * 62 + "."
LONG_PATH = "<a@" + LABEL * 4 + "b" * 1 + ">"  # 3 + 252 + 1 + 1


def _mail(path: str, code: str) -> Outcome:
    outcome = survives(EHLO, f"MAIL FROM:{path}\r\n".encode(errors="surrogateescape"))
    assert outcome.codes == ["250", code], path
    return outcome


def _rcpt(path: str, code: str, settings: ServerSettings | None = None) -> list[str]:
    outcome = survives(EHLO, MAIL, f"RCPT TO:{path}\r\n".encode(errors="surrogateescape"), settings=settings)
    assert outcome.codes == ["250", "250 2.1.0", code], path
    return [str(event.recipient) for event in outcome.of(RcptAsked)]


TOO_LONG = {
    "local part of 65": "<" + "a" * 65 + "@b.example>",
    "domain of 256": "<a@" + "a.b." * 64 + ">",
    "path of 257": "<a@" + LABEL * 3 + "b" * 63 + ".cc>",
    "label of 64": "<a@" + "a" * 64 + ".example>",
}


@pytest.mark.parametrize("path", [pytest.param(path, id=f"H061 {name}") for name, path in TOO_LONG.items()])
def test_too_long(path: str) -> None:
    _rcpt(path, "501 5.1.3")
    _mail(path, "501 5.1.7")


def test_h061_as_long_as_allowed() -> None:
    local = "<" + "a" * 64 + "@b.example>"
    path = "<a@" + LABEL * 4 + "b" * (256 - 4 - 4 * 63) + ">"
    assert len(path) <= 256
    path = "<a@" + (LABEL * 4)[: 252 - 1] + "b>"
    assert len(path) == 256
    for good in (local, path):
        _rcpt(good, "250 2.1.5")
        _mail(good, "250 2.1.0")


def test_h061_a_relay_takes_longer_local_parts() -> None:
    longer = make_settings(limits={"max_local_part_bytes": 128})
    assert _rcpt("<" + "a" * 128 + "@b.example>", "250 2.1.5", longer)
    assert not _rcpt("<" + "a" * 129 + "@b.example>", "501 5.1.3", longer)


RECIPIENTS = [
    ('<"a@evil.example"@good.example>', "250 2.1.5", ['"a@evil.example"@good.example']),
    ("<a@b@c.example>", "501 5.1.3", []),
    ("<a@b.example>c@d.example", "501 5.5.4", []),
    ("<@r1.example,@r2.example:a@b.example>", "250 2.1.5", ["a@b.example"]),
    ("<Postmaster>", "250 2.1.5", ["Postmaster"]),
    ("<postMASTER>", "250 2.1.5", ["postMASTER"]),
]


@pytest.mark.parametrize(("path", "code", "asked"), [pytest.param(*row, id=f"H063 {row[0]}") for row in RECIPIENTS])
def test_who_is_the_recipient(path: str, code: str, asked: list[str]) -> None:
    assert _rcpt(path, code) == asked


def test_h063_source_routes_can_be_refused() -> None:
    assert _rcpt("<@r1.example,@r2.example:a@b.example>", "501 5.1.3", make_settings(source_routes="reject")) == []


def test_h064_encodings_inside_addresses() -> None:
    atom = "=?utf-8?q?a=40evil.example?=@good.example"
    assert _rcpt(f"<{atom}>", "250 2.1.5") == [atom]
    _rcpt("<a@xn--0049>", "501 5.1.3")
    for octets in ("\udcc0\udcae", "\udcff"):  # overlong, invalid
        _rcpt(f"<a{octets}@b.example>", "501 5.5.4")
        _mail(f"<a{octets}@b.example>", "501 5.5.4")


@pytest.mark.parametrize("domain", ["[127.0.0.1]", "[IPv6:::1]", "localhost", "x.example."])
def test_h065_literals_and_odd_domains(domain: str) -> None:
    _rcpt(f"<a@{domain}>", "250 2.1.5")


ODD = ["[IPv6:fe80::1%eth0]", "[junk]", "[256.1.1.1]", "[1.2.3]", "host:25", "-x.example", "x..example", ".example"]


@pytest.mark.parametrize("domain", ODD)
def test_h065_what_is_no_domain(domain: str) -> None:
    _rcpt(f"<a@{domain}>", "501 5.1.3")


def test_h065_a_trailing_dot_is_dropped() -> None:
    assert _rcpt("<a@x.example.>", "250 2.1.5") == ["a@x.example"]


def test_h066_empty_paths() -> None:
    (asked,) = _mail("<>", "250 2.1.0").of(MailAsked)
    assert asked.sender.is_null
    _mail("", "501 5.5.4")
    _rcpt("", "501 5.5.4")
    _rcpt("<>", "501 5.1.3")
    _rcpt("<@x.example>", "501 5.1.3")


def test_h066_null_sender_of_somebody_authenticated() -> None:
    outcome = survives(EHLO, GOOD_AUTH, "MAIL FROM:<>\r\n", settings=TLS_AUTH, tls=TLS_FACTS)
    assert outcome.codes == ["250", "235 2.7.0", "250 2.1.0"]


QUOTED = [
    ('"a\r\nRCPT TO:<x@evil.example>"@b.example', ["501 5.1.3", "501 5.5.4"], False),  # two lines, and neither is good
    ('"a\\\r"@b.example', ["500 5.5.2"], True),
    ('"a\rb"@b.example', ["500 5.5.2"], True),
    ('"a\nb"@b.example', ["500 5.5.2"], True),
    ('"a\\\0"@b.example', ["500 5.5.2"], False),
    ('"a\tb"@b.example', ["500 5.5.2"], False),
    ('"a\x7f"@b.example', ["500 5.5.2"], False),
]


@pytest.mark.parametrize(("path", "codes", "closed"), QUOTED)
def test_h051_controls_in_a_quoted_local_part(path: str, codes: list[str], closed: bool) -> None:
    outcome = (ends if closed else survives)(EHLO, MAIL, f"RCPT TO:<{path}>\r\n")
    assert outcome.codes == ["250", "250 2.1.0", *codes]
    assert outcome.of(RcptAsked) == []


SHELL_TEXT = [
    ("|id@x.example", "250 2.1.0", "250 2.1.5"),
    ("${run{id}}@x.example", "250 2.1.0", "250 2.1.5"),
    ("-oQ/tmp@x.example", "250 2.1.0", "250 2.1.5"),
    ("`id`@x.example", "250 2.1.0", "250 2.1.5"),
    (";for i in 0;do id;done;", "501 5.1.7", "501 5.1.3"),
    ("a;id@x.example", "501 5.1.7", "501 5.1.3"),
    ("$(id)@x.example", "501 5.1.7", "501 5.1.3"),
    ("a@x.example;id", "501 5.1.7", "501 5.1.3"),
    ("a@$(id)", "501 5.1.7", "501 5.1.3"),
    ("a@-x.example", "501 5.1.7", "501 5.1.3"),
    ("|id", "501 5.1.7", "501 5.1.3"),
]


@pytest.mark.parametrize(("text", "mail", "rcpt"), SHELL_TEXT)
def test_h060_shell_text_is_refused_or_an_address_as_it_is(text: str, mail: str, rcpt: str) -> None:
    _mail(f"<{text}>", mail)
    assert _rcpt(f"<{text}>", rcpt) == ([text] if rcpt[0] == "2" else [])


@pytest.mark.parametrize(
    "path", ["<a(x)@b.example>", "<(x)a@b.example>", "<a@b.example(x)>", "<a@(x)b.example>", "<(>"]
)
def test_h062_paths_have_no_comments(path: str) -> None:
    _rcpt(path, "501 5.1.3")
    _mail(path, "501 5.1.7")


@pytest.mark.parametrize("comment", ["(x)", " (x)"])
def test_h062_no_comment_stands_behind_a_path(comment: str) -> None:
    _rcpt(f"<a@b.example>{comment}", "501 5.5.4")


@pytest.mark.parametrize(("length", "code"), [(255, "250"), (256, "501 5.5.4")])
def test_h061_a_domain_of_255_is_good_in_a_hello_only(length: int, code: str) -> None:
    domain = (LABEL * 5)[: length - 1] + "b"
    assert len(domain) == length
    assert survives(f"EHLO {domain}\r\n").codes == [code]
    if length == 255:
        _rcpt(f"<a@{domain}>", "501 5.1.3")


HEADERS = {
    "no colon": (b"no colon at all\r\n", "250 2.0.0"),
    "a field of 1 MB": (b"X: " + b"y" * 1_000_000 + b"\r\n", "250 2.0.0"),
    "100,000 fields": (b"X: y\r\n" * 100_000, "250 2.0.0"),
    "NUL": (b"X: \0\r\n", "250 2.0.0"),
    "0x80 to 0xff": (b"X: " + bytes(range(0x80, 0x100)) + b"\r\n", "250 2.0.0"),
    "a line of spaces": (b"X: y\r\n  \r\nReceived: z\r\n", "250 2.0.0"),
    "more than 1 MiB": (b"X: y\r\n" * 180_000, "552 5.3.4"),
    "more than 1 MiB in one field": (b"X: " + b"y" * 1_048_576 + b"\r\n", "552 5.3.4"),
}


@pytest.mark.parametrize(("header", "code"), [pytest.param(*row, id=f"H069 {name}") for name, row in HEADERS.items()])
def test_headers_are_counted_and_kept(header: bytes, code: str) -> None:
    outcome = survives(*OPEN, header + b"\r\nbody\r\n.\r\n", cuts=(None, 65_536))
    assert behind(outcome, *OPENED) == [code]
    assert outcome.contents == ([header + b"\r\nbody\r\n"] if code[0] == "2" else [])


def test_h069_what_is_behind_the_header_has_no_limit_of_its_own() -> None:
    content = b"X: y\r\n\r\n" + b"X: y\r\n" * 180_000
    outcome = survives(*OPEN, content + b".\r\n", cuts=(None,))
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [content]


SYNTAXES: tuple[Literal["normal", "strict", "lenient"], ...] = ("normal", "strict", "lenient")
SLOPPY = [
    ("mail from:<a@b.example>", "250 2.1.0", "250 2.1.0", "250 2.1.0"),
    ("MaIl FrOm:<a@b.example>", "250 2.1.0", "250 2.1.0", "250 2.1.0"),
    ("MAIL FROM:<a@b.example>   ", "250 2.1.0", "250 2.1.0", "250 2.1.0"),
    ("MAIL FROM: <a@b.example>", "250 2.1.0", "501 5.5.4", "250 2.1.0"),
    ("MAIL FROM:a@b.example", "501 5.5.4", "501 5.5.4", "250 2.1.0"),
    ('MAIL FROM:"a b"@b.example', "501 5.5.4", "501 5.5.4", "501 5.5.4"),
    ("MAIL FROM <a@b.example>", "501 5.5.4", "501 5.5.4", "501 5.5.4"),
    ("MAIL FROM:<a@b.example>  SIZE=1", "250 2.1.0", "250 2.1.0", "250 2.1.0"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=f"H067 {row[0]}") for row in SLOPPY])
def test_sloppy_but_harmless(row: tuple[str, ...]) -> None:
    line, *codes = row
    for syntax, code in zip(SYNTAXES, codes, strict=True):
        outcome = survives(EHLO, f"{line}\r\n", settings=make_settings(syntax=syntax))
        assert outcome.codes == ["250", code], syntax


PARAMETERS = [
    ("SIZE=1 SIZE=1", "501 5.5.4"),
    ("SIZE=1 size=1", "501 5.5.4"),
    ("BODY=7BIT BODY=8BITMIME", "501 5.5.4"),
    ("FOO=1", "555 5.5.4"),
    ("SIZE=-1", "501 5.5.4"),
    ("SIZE=", "501 5.5.4"),
    ("SIZE", "501 5.5.4"),
    ("SIZE=1x", "501 5.5.4"),
    ("SIZE=" + "1" * 21, "501 5.5.4"),
    ("SIZE=18446744073709551616", "552 5.3.4"),
    ("BODY=9BIT", "501 5.5.4"),
    ("BODY", "501 5.5.4"),
    ("AUTH=<>", "250 2.1.0"),
    ("AUTH=a+3Db@c.example", "250 2.1.0"),
    ("AUTH=a+3db@c.example", "501 5.5.4"),
    ("AUTH=a", "501 5.5.4"),
    ("AUTH=", "501 5.5.4"),
    ("SMTPUTF8=1", "501 5.5.4"),
    ("RET=FULL", "555 5.5.4"),
    (" ".join(f"X{n}=1" for n in range(21)), "501 5.5.4"),
]


@pytest.mark.parametrize(("params", "code"), [pytest.param(*row, id=f"H068 {row[0][:30]}") for row in PARAMETERS])
def test_parameters_of_mail(params: str, code: str) -> None:
    outcome = survives(EHLO, f"MAIL FROM:<a@b.example> {params}\r\n")
    assert outcome.codes == ["250", code]


def test_h068_parameters_of_rcpt() -> None:
    outcome = survives(EHLO, MAIL, "RCPT TO:<a@b.example> FOO=1\r\n", "RCPT TO:<a@b.example> SIZE=1\r\n")
    assert outcome.codes == ["250", "250 2.1.0", "555 5.5.4", "555 5.5.4"]


def test_h068_no_parameter_behind_helo() -> None:
    outcome = survives("HELO x\r\n", "MAIL FROM:<a@b.example> SIZE=1\r\n", "MAIL FROM:<a@b.example>\r\n")
    assert outcome.codes == ["250", "555 5.5.4", "250 2.1.0"]


# F. Abuse ---------------------------------------------------------------------------------------------------------


def _noop_of(length: int) -> bytes:
    return b"NOOP " + b"x" * (length - 7) + b"\r\n"


@pytest.mark.parametrize(
    ("length", "code"),
    [(513, "250 2.0.0"), (2048, "250 2.0.0"), (2049, "500 5.5.2"), (20_000, "500 5.5.2"), (65_536, "500 5.5.2")],
)
def test_h073_long_command_line(length: int, code: str) -> None:
    outcome = survives(_noop_of(length))
    assert outcome.codes == [code]


def test_h073_endless_command_line() -> None:
    assert ends(b"x" * 65_536, cuts=(None, 17, 1000)).codes == ["500 5.5.2"]
    peer = ServerPeer().connect()
    assert peer.send(b"RCPT TO:<" + b"x" * 10_000_000, cut=4096) == ["500 5.5.2"]
    assert peer.most_unread <= 12_288 + 64 + 4096


@pytest.mark.parametrize("spaces", [3_000, 20_000])
def test_h025_h073_a_bdat_line_too_long_to_be_kept_still_ends_the_connection(spaces: int) -> None:
    """Nobody knows how long its chunk is: what follows must not be read as commands."""
    outcome = ends(b"BDAT" + b" " * spaces + b"6\r\n" + b"NOOP\r\n", cuts=(None, 17, 1000))
    assert outcome.codes == ["501 5.5.4"]


@pytest.mark.parametrize("length", [998, 999, 65_537])
def test_h074_long_text_line(length: int) -> None:
    content = b"A" * length + b"\r\n"
    outcome = survives(*OPEN, content + b".\r\n", cuts=(None, 17, 4096))
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [content]


@pytest.mark.parametrize(("size", "code"), [(20_000_000, "250 2.0.0"), (30_000_000, "552 5.3.4")])
def test_h074_message_that_is_one_line(size: int, code: str) -> None:
    peer = ServerPeer().connect()
    peer.play(OPEN)
    peer.send(HEADER + b"A" * size, cut=65_536)
    assert peer.most_unread == 0
    assert peer.send("\r\n.\r\nNOOP\r\n") == [code, "250 2.0.0"]


@pytest.mark.parametrize(("length", "code"), [(998, "250 2.0.0"), (999, "550 5.6.0")])
def test_h074_lines_can_be_limited(length: int, code: str) -> None:
    limited = make_settings(limits={"max_text_line_bytes": 998})
    outcome = survives(*OPEN, b"x\r\n" + b"A" * length + b"\r\ny\r\n.\r\n", settings=limited)
    assert behind(outcome, *OPENED) == [code]
    outcome = survives(*BOPEN, b"BDAT %d LAST\r\n" % length + b"A" * length, settings=limited)
    assert behind(outcome, *BOPENED) == [code]


AUTH = make_settings(mechanisms=MECHANISMS)


def _auth(*lines: str | bytes, settings: ServerSettings = AUTH) -> list[str]:
    outcome = survives(EHLO, *lines, settings=settings, tls=TLS_FACTS)
    return behind(outcome, "250")


def test_h075_response_of_any_allowed_length() -> None:
    good, bad = "A" * 12_288 + "\r\n", "A" * 12_289 + "\r\n"
    assert _auth("AUTH LOGIN\r\n", good, "AA==\r\n") == ["334", "334", "501 5.5.2"]
    assert _auth("AUTH LOGIN\r\n", bad) == ["334", "500 5.5.6"]
    assert _auth("AUTH LOGIN\r\n", "A" * 60_000 + "\r\n") == ["334", "500 5.5.6"]
    assert _auth("AUTH PLAIN " + good) == ["501 5.5.2"]
    assert _auth("AUTH PLAIN " + bad) == ["500 5.5.6"]


EXCHANGES = [
    (("AUTH PLAIN\r\n", "*\r\n"), ["334", "501 5.0.0"]),
    (("AUTH\r\n",), ["501 5.5.4"]),
    (("AUTH PLAIN =\r\n",), ["501 5.5.2"]),
    (("AUTH PLAIN =AAA\r\n",), ["501 5.5.2"]),
    (("AUTH PLAIN AAA=BBB\r\n",), ["501 5.5.2"]),
    (("AUTH PLAIN AAA BBB\r\n",), ["501 5.5.4"]),
    (("AUTH PLAIN\r\n", "AAA BBB\r\n"), ["334", "501 5.5.2"]),
    (("AUTH PLAIN AAA\r\n",), ["501 5.5.2"]),
    (("AUTH PLAIN\r\n", b"\x00\xff\x01\r\n"), ["334", "501 5.5.2"]),
    (("AUTH PLAIN\r\n", "\r\n"), ["334", "501 5.5.2"]),
    ((GOOD_AUTH, GOOD_AUTH), ["235 2.7.0", "503 5.5.1"]),
    ((MAIL, GOOD_AUTH), ["250 2.1.0", "503 5.5.1"]),
    ((MAIL, RCPT, GOOD_AUTH), ["250 2.1.0", "250 2.1.5", "503 5.5.1"]),
    ((GOOD_AUTH.replace("PLAIN", "plain"),), ["235 2.7.0"]),
    (("AUTH FOO\r\n",), ["504 5.5.4"]),
    (("AUTH PLAIN\u3000=\r\n",), ["504 5.5.4"]),
]


@pytest.mark.parametrize(("lines", "codes"), [pytest.param(*row, id=f"H075 {row[0]!r}") for row in EXCHANGES])
def test_auth_exchange(lines: tuple[str | bytes, ...], codes: list[str]) -> None:
    assert _auth(*lines) == codes


def test_h075_connection_lost_in_an_exchange() -> None:
    peer = ServerPeer(AUTH, tls=TLS_FACTS).connect()
    peer.play([EHLO, "AUTH PLAIN\r\n", "AHVzZXIAc2VjcmV0", EOF])
    assert peer.protocol.facts.identity is None
    assert peer.outcome.events[-1] == ConnectionEnded("connection lost in phase auth", expected=True)


def test_h076_error_flood() -> None:
    outcome = ends("XYZZY\r\n" * 25)
    assert outcome.codes == ["500 5.5.2"] * 19 + ["421 4.7.0"]
    assert outcome.pauses == [1.0] * 9


def test_h076_a_message_accepted_resets_the_counter() -> None:
    message = (ENVELOPE + "DATA\r\n", "x\r\n.\r\n")
    outcome = survives(EHLO, *(("XYZZY\r\n" * 19, *message) * 3))
    assert outcome.codes.count("500 5.5.2") == 57
    assert len(outcome.messages) == 3


def test_h076_rset_and_ehlo_do_not_reset_the_counter() -> None:
    outcome = ends(EHLO, "XYZZY\r\n" * 19, "RSET\r\n", EHLO, "XYZZY\r\n")
    assert outcome.codes[-3:] == ["250 2.0.0", "250", "421 4.7.0"]


def test_h076_what_follows_from_a_refusal_is_not_counted() -> None:
    refuse = answering(RcptAsked, replies.make(550, "5.1.1", "no such user"))
    group = (ENVELOPE + "DATA\r\n", "RSET\r\n")
    outcome = survives(EHLO, *group * 10, policy=refuse)
    assert outcome.codes[1:5] == ["250 2.1.0", "550 5.1.1", "503 5.5.1", "250 2.0.0"]
    assert outcome.pauses == []  # ten errors, not twenty


JUNK = ["NOOP\r\n", "RSET\r\n", EHLO, "HELO x\r\n", "VRFY x\r\n", "HELP\r\n"]


@pytest.mark.parametrize("line", JUNK)
def test_h077_junk_flood(line: str) -> None:
    outcome = ends(line * 1000, cuts=(None, 17))
    usual = outcome.codes[0]
    assert outcome.codes == [usual] * 119 + ["421 4.7.0"]
    assert len(outcome.pauses) == 9


def test_h077_lhlo_is_junk_too() -> None:
    outcome = ends("LHLO x\r\n" * 1000, settings=LMTP_SETTINGS, cuts=(None, 17))
    assert outcome.codes == ["250"] * 119 + ["421 4.7.0"]


def test_h077_a_message_accepted_resets_the_counter() -> None:
    message = (ENVELOPE + "DATA\r\n", "x\r\n.\r\n")
    outcome = survives(EHLO, *((NOOP * 90, *message) * 3))
    assert outcome.pauses == []


def test_h078_vrfy_tells_nobody_apart_and_expn_is_not_there() -> None:
    outcome = survives(EHLO, "".join(f"VRFY user{n}\r\n" for n in range(90)), "EXPN list\r\n")
    replies_ = outcome.replies[1:-1]
    assert len(replies_) == 90
    assert len({reply.to_bytes() for reply in replies_}) == 1
    assert outcome.codes[1] == "252 2.5.0"
    assert outcome.codes[-1] == "502 5.5.1"


def test_h079_utf8_in_the_wrong_place() -> None:
    outcome = play(*BOPEN, "VRFY \u00fc\r\n", "DATA\r\n")
    assert behind(outcome, *BOPENED) == ["553 5.6.7", "354"]
    outcome = survives(EHLO, "MAIL FROM:<\u00fc@x.example>\r\n", MAIL, "RCPT TO:<\u00fc@x.example>\r\n")
    assert outcome.codes == ["250", "553 5.6.7", "250 2.1.0", "553 5.6.7"]


def test_h079_utf8_where_it_was_asked_for() -> None:
    outcome = survives(
        EHLO, "MAIL FROM:<\u00fc@x.example> SMTPUTF8\r\nRCPT TO:<b\u00fc@x.example>\r\nVRFY \u00fc SMTPUTF8\r\n"
    )
    assert outcome.codes == ["250", "250 2.1.0", "250 2.1.5", "252 2.5.0"]


def test_h080_too_many_recipients() -> None:
    three = make_settings(limits={"max_recipients": 3})
    rcpts = "".join(f"RCPT TO:<r{n}@server.example>\r\n" for n in range(5))
    outcome = survives(EHLO, MAIL, rcpts, "DATA\r\n", "x\r\n.\r\n", settings=three)
    assert outcome.codes == ["250", "250 2.1.0", *["250 2.1.5"] * 3, *["452 4.5.3"] * 2, "354", "250 2.0.0"]
    assert outcome.messages[0].recipients == ("r0@server.example", "r1@server.example", "r2@server.example")


def test_h080_overshoot_counts_in_the_end() -> None:
    one = make_settings(limits={"max_recipients": 1})
    outcome = ends(EHLO, MAIL, RCPT * 121, settings=one, cuts=(None, 17))
    assert outcome.codes[2:] == ["250 2.1.5", *["452 4.5.3"] * 119, "421 4.7.0"]


def test_h080_overshoot_is_not_junk() -> None:
    one = make_settings(limits={"max_recipients": 1})
    outcome = survives(EHLO, MAIL, RCPT * 105, NOOP * 50, "RSET\r\n", settings=one, cuts=(None, 17))
    assert outcome.pauses == []


def test_h081_refusal_at_the_end_of_data_then_more() -> None:
    refuse = answering(BodyEnded, replies.make(550, "5.7.1", "no"))
    outcome = survives(*OPEN, "x\r\n.\r\n", RCPT, "DATA\r\n", policy=refuse)
    assert behind(outcome, *OPENED) == ["550 5.7.1", "503 5.5.1", "503 5.5.1"]
    assert outcome.messages == []


def test_h089_group_of_commands() -> None:
    group = f"EHLO x\r\nNOOP\r\nVRFY a\r\nMAIL FROM:<a@b.example>\r\n{RCPT}DATA\r\n"
    outcome = play(group)
    assert outcome.codes == ["250", "250 2.0.0", "252 2.5.0", "250 2.1.0", "250 2.1.5", "354"]


def test_h089_group_in_which_every_recipient_was_refused() -> None:
    refuse = answering(RcptAsked, replies.make(550, "5.1.1", "no such user"))
    outcome = survives(EHLO, ENVELOPE + RCPT + "DATA\r\n", policy=refuse)
    assert outcome.codes == ["250", "250 2.1.0", "550 5.1.1", "550 5.1.1", "503 5.5.1"]


@pytest.mark.parametrize("verb", ["EHLO x", "HELO x", "DATA", "VRFY a", "EXPN a", "NOOP"])
def test_h089_commands_that_end_a_group(verb: str) -> None:
    everything = make_settings(sync_check="all")
    outcome = ends(EHLO, ENVELOPE, f"{verb}\r\nRSET\r\n", settings=everything, cuts=(None,))
    assert behind(outcome, *BOPENED) == ["554 5.5.0"]


def test_h089_commands_that_do_not_end_a_group() -> None:
    everything = make_settings(sync_check="all")
    outcome = survives(EHLO, "RSET\r\n" + ENVELOPE + "RSET\r\n", settings=everything)
    assert outcome.codes == ["250", "250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0"]


def test_h089_replies_of_a_group_leave_together() -> None:
    peer = ServerPeer().connect()
    peer.send(EHLO)
    protocol = peer.protocol
    protocol.receive_data((ENVELOPE + "DATA\r\n").encode())
    while protocol.next_event() is not None:
        if protocol.is_asking:
            protocol.answer()
    assert protocol.data_to_send().count(b"\r\n") == 3


def test_h090_after_quit() -> None:
    outcome = ends("QUIT\r\nNOOP\r\nQUIT\r\n")
    assert outcome.codes == ["221 2.0.0"]
    assert outcome.events == [ConnectionEnded("QUIT", expected=True)]


# J. Companions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "code"), [(1000, "250 2.0.0"), (1001, "552 5.3.4")])
def test_j01_message_of_exactly_the_limit(size: int, code: str) -> None:
    small = make_settings(limits={"max_message_bytes": 1000})
    content = b"A" * (size - 2) + b"\r\n"
    outcome = survives(*OPEN, content + b".\r\n", settings=small)
    assert behind(outcome, *OPENED) == [code]
    outcome = survives(*BOPEN, b"BDAT %d LAST\r\n" % size + content, settings=small)
    assert behind(outcome, *BOPENED) == [code]


def test_j02_dot_and_cr() -> None:
    assert behind(survives(*OPEN, ".\rX\r\n.\r\n"), *OPENED) == ["550 5.5.2"]
    outcome = survives(*OPEN, ".\rX\r\n.\r\n", settings=NORMALIZE)
    assert behind(outcome, *OPENED) == ["250 2.0.0"]
    assert outcome.contents == [b" X\r\n"]


def test_j03_mail_inside_a_transaction() -> None:
    outcome = survives(EHLO, ENVELOPE, "MAIL FROM:<x@evil.example>\r\n", "DATA\r\n", ".\r\n")
    assert behind(outcome, *BOPENED) == ["503 5.5.1", "354", "250 2.0.0"]
    assert [message.sender for message in outcome.messages] == ["a@client.example"]


def test_j04_deadline_in_data() -> None:
    outcome = ends(*OPEN, "half\r\n", EXPIRE, "\r\n.\r\n" + MAIL)
    assert behind(outcome, *OPENED) == ["421 4.4.2"]
    assert outcome.messages == []
    assert outcome.of(BodyAborted)[0].cause is AbortCause.DEADLINE


LMTP_OPEN = ("LHLO client.example\r\n", MAIL)


def test_j05_same_recipient_twice() -> None:
    outcome = survives(EHLO, MAIL, RCPT, RCPT, "DATA\r\n", ".\r\n")
    assert outcome.codes[2:] == ["250 2.1.5", "250 2.1.5", "354", "250 2.0.0"]
    assert outcome.messages[0].recipients == ("b@server.example", "b@server.example")
    outcome = survives(*LMTP_OPEN, RCPT, RCPT, "DATA\r\n", ".\r\n", settings=LMTP_SETTINGS)
    assert outcome.codes[2:] == ["250 2.1.5", "250 2.1.5", "354", "250 2.0.0", "250 2.0.0"]


def test_j06_second_message_by_lmtp() -> None:
    other = "RCPT TO:<c@server.example>\r\n"
    outcome = survives(
        *LMTP_OPEN,
        RCPT + other + "DATA\r\n",
        "x\r\n.\r\n",
        MAIL + other + "DATA\r\n",
        "y\r\n.\r\n",
        settings=LMTP_SETTINGS,
    )
    assert outcome.codes[5:7] == ["250 2.0.0", "250 2.0.0"]
    assert outcome.codes[7:] == ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
    assert [message.recipients for message in outcome.messages] == [
        ("b@server.example", "c@server.example"),
        ("c@server.example",),
    ]


def test_j12_a_failure_is_answered_with_what_the_shell_says() -> None:
    failure = Reply(451, replies.HANDLER_TIMED_OUT.enhanced, ("id 17",))
    broken = answering(MailAsked, failure)
    outcome = survives(EHLO, MAIL, policy=broken)
    assert outcome.codes == ["250", "451 4.3.0"]


def test_wrong_credentials_are_delayed_and_counted() -> None:
    outcome = ends(EHLO, BAD_AUTH * 3, settings=AUTH, tls=TLS_FACTS)
    assert outcome.codes == ["250", "535 5.7.8", "535 5.7.8", "421 4.7.0"]
    assert outcome.pauses == [1.0, 2.0]


# The three rules of every entry -----------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [replies.make(450, "4.2.0", "no"), replies.make(550, "5.7.1", "no")])
def test_rule_1_a_refusal_never_shortens_what_is_read(refusal: Reply) -> None:
    inside = "MAIL FROM:<x@evil.example>\r\n.x\r\nQUIT\r\n"
    refuse = answering(BodyEnded, refusal)
    outcome = survives(*OPEN, f"{inside}.\r\n", policy=refuse)
    assert behind(outcome, *OPENED) == [f"{refusal.code} {refusal.enhanced}"]
    outcome = survives(*BOPEN, f"BDAT {len(inside)} LAST\r\n{inside}", policy=refuse)
    assert behind(outcome, *BOPENED) == [f"{refusal.code} {refusal.enhanced}"]
    assert [str(event.sender) for event in outcome.of(MailAsked)] == ["a@client.example"]


REFUSED_BODY = answering(BodyEnded, replies.make(550, "5.7.1", "no"))
RESETS: dict[str, tuple[tuple[str | Turn, ...], Callable[[], Policy] | None]] = {
    "accepted": (("DATA\r\n", "x\r\n.\r\n"), None),
    "refused": (("DATA\r\n", "x\r\n.\r\n"), REFUSED_BODY),
    "too large": (("DATA\r\n", "x" * 2000 + "\r\n.\r\n"), None),
    "bare LF": (("DATA\r\n", "x\ny\r\n.\r\n"), None),
    "RSET": (("RSET\r\n",), None),
    "EHLO": ((EHLO,), None),
    "HELO, EHLO": (("HELO x\r\n", EHLO), None),
    "STARTTLS": (("STARTTLS\r\n", HANDSHAKE, EHLO), None),
    "BDAT accepted": (("BDAT 1 LAST\r\nx",), None),
    "BDAT refused": (("BDAT 1 LAST\r\nx",), REFUSED_BODY),
    "BDAT too large": (("BDAT 2000\r\n" + "x" * 2000,), None),
    "BDAT malformed": (("BDAT 1 FIRST\r\nx",), None),
}


@pytest.mark.parametrize(("end", "policy"), RESETS.values(), ids=list(RESETS))
def test_rule_2_the_end_of_a_transaction_leaves_nothing(
    end: tuple[str | Turn, ...], policy: Callable[[], Policy] | None
) -> None:
    limits = {"max_message_bytes": 1000, "max_recipients": 2}
    settings = make_settings(starttls=True, limits=limits)
    first = "MAIL FROM:<old@client.example> BODY=8BITMIME SMTPUTF8 SIZE=900\r\n" + RCPT * 3
    for probe in (RCPT, "DATA\r\n", "BDAT 1 LAST\r\nx"):
        outcome = survives(EHLO, first, *end, probe, settings=settings, policy=policy)
        assert outcome.codes[-1] == "503 5.5.1"
    second = "MAIL FROM:<new@client.example>\r\n" + RCPT * 2  # the counter of recipients begins anew
    utf8 = "RCPT TO:<\u00fc@server.example>\r\n"  # and SMTPUTF8 is no longer in force
    outcome = survives(EHLO, first, *end, second + utf8 + "DATA\r\n", "new\r\n.\r\n", settings=settings, policy=policy)
    assert outcome.codes[-6:-1] == ["250 2.1.0", "250 2.1.5", "250 2.1.5", "553 5.6.7", "354"]
    if policy is None:
        last = outcome.messages[-1]
        assert (last.sender, last.recipients, last.content) == (
            "new@client.example",
            ("b@server.example", "b@server.example"),
            b"new\r\n",
        )
        assert last.params.to_wire() == ""


HOSTILE_WORDS = ["\x1b[2J", "\u00fc", "\u2028", "x" * 1500, "%0a", '"\\"']


@pytest.mark.parametrize("word", HOSTILE_WORDS, ids=lambda word: ascii(word[:6]))
def test_rule_3_nothing_is_echoed_raw(word: str) -> None:
    for line in (
        "{}",
        "EHLO {}",
        "MAIL FROM:<{}>",
        "MAIL FROM:<a@b> {}=1",
        "RCPT TO:<{}@x>",
        "VRFY {}",
        "AUTH {}",
        "BDAT 1 {}",
    ):
        peer = ServerPeer(make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True)).connect()
        peer.send(EHLO)
        peer.send((line.format(word) + "\r\nx").encode())
        for reply in peer.outcome.replies:
            octets = reply.to_bytes()
            assert all(0x20 <= octet <= 0x7E for octet in octets.replace(b"\r\n", b""))
            assert max(map(len, octets.splitlines(keepends=True))) <= 512
            assert b"x" * 65 not in octets


CATALOGUE = {
    "unknown verb": (EHLO, "XYZZY\r\n", "500 5.5.2", False),
    "empty line": (EHLO, "\r\n", "500 5.5.2", False),
    "long line": (EHLO, "NOOP " + "x" * 60_000 + "\r\n", "500 5.5.2", False),
    "endless line": (EHLO, "x" * 65_536, "500 5.5.2", True),
    "bare LF": (EHLO, "NOOP\n", "500 5.5.2", True),
    "control character": (EHLO, "NOOP \x07\r\n", "500 5.5.2", False),
    "other protocol": (EHLO, "GET / HTTP/1.1\r\n", "500 5.5.2", True),
    "argument of DATA": (EHLO + ENVELOPE, "DATA x\r\n", "501 5.5.4", False),
    "bad reverse-path": (EHLO, "MAIL FROM:<a@>\r\n", "501 5.1.7", False),
    "bad forward-path": (EHLO + MAIL, "RCPT TO:<a@>\r\n", "501 5.1.3", False),
    "not available": (EHLO, "EXPN x\r\n", "502 5.5.1", False),
    "out of sequence": (EHLO, "DATA\r\n", "503 5.5.1", False),
    "unknown mechanism": (EHLO, "AUTH X\r\n", "504 5.5.4", False),
    "wrong credentials": (EHLO, BAD_AUTH, "535 5.7.8", False),
    "cancelled": (EHLO + "AUTH PLAIN\r\n", "*\r\n", "501 5.0.0", False),
    "not base64": (EHLO + "AUTH PLAIN\r\n", "!\r\n", "501 5.5.2", False),
    "long answer": (EHLO + "AUTH PLAIN\r\n", "A" * 12_289 + "\r\n", "500 5.5.6", False),
    "too many recipients": (EHLO + MAIL + RCPT * 3, RCPT, "452 4.5.3", False),
    "declared too large": (EHLO, "MAIL FROM:<a@b.example> SIZE=2001\r\n", "552 5.3.4", False),
    "too large": (EHLO + ENVELOPE, "BDAT 2001 LAST\r\n" + "x" * 2001, "552 5.3.4", False),
    "bare LF in content": (EHLO + ENVELOPE, "BDAT 1 LAST\r\n\n", "550 5.5.2", False),
    "NUL in content": (EHLO + ENVELOPE, "BDAT 1 LAST\r\n\0", "550 5.6.0", False),
    "unknown parameter": (EHLO, "MAIL FROM:<a@b.example> X=1\r\n", "555 5.5.4", False),
    "not ASCII": (EHLO, "MAIL FROM:<\u00fc@b.example>\r\n", "553 5.6.7", False),
    "mail loop": (EHLO + ENVELOPE, "BDAT 1315 LAST\r\n" + "Received: x\r\n" * 101 + "\r\n", "554 5.4.6", False),
    "deadline": (EHLO, EXPIRE, "421 4.4.2", True),
}


@pytest.mark.parametrize(("before", "send", "code", "closes"), CATALOGUE.values(), ids=list(CATALOGUE))
def test_the_catalogue_of_replies(before: str, send: str | Turn, code: str, closes: bool) -> None:
    """Section 0.3, where each is one line of a table: what is said, and whether the connection goes on."""
    limits = {"max_recipients": 3, "max_message_bytes": 2000}
    listener = make_settings(mechanisms=MECHANISMS, allow_insecure_auth=True, nul="reject", limits=limits)
    outcome = (ends if closes else survives)(before, send, settings=listener)
    assert outcome.codes[-1] == code

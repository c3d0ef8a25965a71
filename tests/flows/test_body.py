"""Content by DATA and BDAT, in SMTP and LMTP: nobody gets half a message, and no verdict is lost."""

import pytest

from smtpx.errors import (
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    UnsupportedError,
)
from smtpx.flows.content import Content
from smtpx.flows.steps import NextChunk, Receive, Send, Timeouts
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.limits import ClientLimits
from tests.flows.cases import (
    ABC,
    BDAT,
    BODY,
    BOTH,
    GROUP,
    ONE,
    ONE_OK,
    PIPE,
    WIRE,
    Case,
    codes,
    deliver,
)

# BDAT -----------------------------------------------------------------------------------------------------------------


def test_small_message_in_one_write() -> None:
    case = Case(BOTH)
    text = GROUP + BDAT + "S: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 250 queued"
    result = case.flow(case.start().deliver(Content.of(BODY)), text)
    assert codes(result) == ({"a": 250, "c": 250}, {"b": 550})
    assert result.used_chunking
    assert len(case.writes) == 1
    assert case.transaction.committed
    assert codes(deliver(text, offers=BOTH)) == codes(result)


def test_bdat_refused_for_all() -> None:
    replies = "S: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 554 spam\n"
    error = deliver(GROUP + BDAT + replies + "C: RSET\nS: 250 reset", offers=BOTH)
    assert codes(error.result) == ({}, {"a": 554, "b": 550, "c": 554})
    assert error.result.refused["a@x.example"].stage == "final"


@pytest.mark.parametrize(("end", "is_clean"), [("S: 250 reset", True), ("S: 502 what?", False), ("EOF", False)])
def test_bdat_refused_in_lock_step_and_reset_before_another_message(end: str, is_clean: bool) -> None:
    lines = "C: MAIL FROM:<s@x.example>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 a\n"
    refused = lines + "C: BDAT 4 LAST\nC: ab\nS: 554 spam\nC: RSET\n" + end
    error = deliver(refused, offers="CHUNKING", to=ABC[:1], content=b"ab\r\n", then_clean=is_clean)
    assert codes(error.result) == ({}, {"a": 554})


def test_nobody_waits_long_for_the_reset_behind_a_refusal() -> None:
    case = Case("CHUNKING")
    times = Timeouts(quit=0.5)
    flow = case.start(ABC[:1], timeouts=times).deliver(Content.of(b"ab\r\n"))
    step, replies = next(flow), [b"250 m\r\n", b"250 a\r\n", b"554 spam\r\n"]
    while not (isinstance(step, Send) and step.pieces == (b"RSET\r\n",)):
        step = flow.send(replies.pop(0) if isinstance(step, Receive) else None)
    assert step.timeout_seconds == times.quit
    assert flow.send(None) == Receive(times.quit, continued=False)


@pytest.mark.parametrize(("second", "reset"), [("550 no", "C: RSET\nS: 250 reset"), ("250 kept", "")])
def test_lmtp_bdat_is_reset_when_nobody_got_it(second: str, reset: str) -> None:
    lines = "C: MAIL FROM:<s@x.example>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 a\n"
    lines += "C: RCPT TO:<b@x.example>\nS: 250 b\nC: BDAT 4 LAST\nC: ab\nS: 554 spam\n"
    outcome = deliver(f"{lines}S: {second}\n{reset}", offers="CHUNKING", to=ABC[:2], content=b"ab\r\n", dialect=LMTP)
    assert codes(getattr(outcome, "result", outcome))[1]["a"] == 554


def test_bdat_421_closes() -> None:
    error = deliver(GROUP + BDAT + "S: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 421 x", offers=BOTH, then_clean=False)
    assert isinstance(error, TemporaryRefusal)


@pytest.mark.parametrize("answer", ["503 nobody", "250 what"])
def test_bdat_behind_refused_recipients_is_read_and_reset(answer: str) -> None:
    text = GROUP + BDAT + f"S: 250 ok\nS: 550 a\nS: 550 b\nS: 550 c\nS: {answer}\nC: RSET\nS: 250 ok"
    assert codes(deliver(text, offers=BOTH).result) == ({}, {"a": 550, "b": 550, "c": 550})


def test_bdat_behind_a_refused_mail_is_read_and_reset() -> None:
    text = GROUP + BDAT + "S: 550 no\nS: 503 a\nS: 503 b\nS: 503 c\nS: 503 d\nC: RSET\nS: 250 ok"
    assert deliver(text, offers=BOTH).stage == "mail"


def test_lost_behind_one_write_may_have_been_delivered() -> None:
    error = deliver(GROUP + BDAT + "S: 250 ok\nEOF", offers=BOTH, then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "final"  # RFC 1047: the server has all of it


def test_empty_message() -> None:
    text = "C: MAIL FROM:<s@x.example>\nC: RCPT TO:<a@x.example>\nC: BDAT 0 LAST\nS: 250 m\nS: 250 a\nS: 250 ok"
    assert deliver(text, offers=BOTH, to=ABC[:1], content=b"").reply.text == "ok"
    text = (
        "C: MAIL FROM:<s@x.example>\nS: 250 m\nC: RCPT TO:<a@x.example>\nS: 250 a\nC: DATA\nS: 354 go\nC: .\nS: 250 ok"
    )
    assert deliver(text, to=ABC[:1], content=b"").reply.text == "ok"
    text = "C: MAIL FROM:<s@x.example>\nS: 250 m\nC: RCPT TO:<a@x.example>\nS: 250 a\nC: BDAT 0 LAST\nS: 250 ok"
    assert deliver(text, offers="CHUNKING", to=ABC[:1], content=Content(None)).reply.text == "ok"


def test_strict_gives_up_at_the_first_refusal_d34() -> None:
    text = GROUP + "S: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nC: RSET\nS: 250 ok"
    for offers in (PIPE, BOTH):
        error = deliver(text, offers=offers, strict=True)
        assert isinstance(error, PermanentRefusal)
        assert error.recipient == "b@x.example"
    ok = GROUP + "S: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\nC: DATA\nS: 354 go\n" + WIRE + "S: 250 ok"
    assert len(deliver(ok, offers=PIPE, strict=True).accepted) == 3


def test_f16_chunking_switched_off_uses_data() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n" + WIRE + "S: 250 ok"
    assert not deliver(text, offers=BOTH, to=ABC[:1], chunking=False).used_chunking


def test_duplicates_go_once_in_smtp_and_each_in_lmtp_j05() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n" + WIRE + "S: 250 ok"
    assert len(deliver(text, offers=PIPE, to=("a@x.example", "a@x.example")).accepted) == 1
    twice = ONE + "C: RCPT TO:<a@x.example>\nC: DATA\n" + ONE_OK + "S: 250 a\nS: 354 go\n" + WIRE
    for verdicts, accepted in (("S: 250 x\nS: 550 y", 1), ("S: 550 x\nS: 250 y", 1)):
        result = deliver(twice + verdicts, offers=PIPE, to=("a@x.example", "a@x.example"), dialect=LMTP)
        assert (len(result.accepted), len(result.refused)) == (accepted, 0)
    assert isinstance(
        deliver(twice + "S: 550 x\nS: 550 y", offers=PIPE, to=("a@x.example", "a@x.example"), dialect=LMTP),
        PermanentRefusal,
    )


# LMTP -----------------------------------------------------------------------------------------------------------------


def test_lmtp_verdict_for_each_j06() -> None:
    case = Case(PIPE, dialect=LMTP)
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 354 go\n" + WIRE + "S: 250 for a\nS: 452 for c"
    for _ in range(2):
        result = case.flow(case.start().deliver(Content.of(BODY)), text)
        assert codes(result) == ({"a": 250}, {"b": 550, "c": 452})
        assert result.accepted["a@x.example"].text == "for a"
        assert result.refused["c@x.example"].stage == "final"
        assert case.protocol.is_clean


def test_lmtp_chunks_wait_before_the_last() -> None:
    limits = ClientLimits(chunk_bytes=4)
    head = GROUP + "S: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\n"
    text = head + "C: BDAT 4\nC: ab\nS: 250 ok\nC: BDAT 2 LAST\nC:\nS: 250 1\nS: 550 2\nS: 250 3"
    result = deliver(text, offers=BOTH, dialect=LMTP, limits=limits, content=b"ab\r\n\r\n")
    assert codes(result) == ({"a": 250, "c": 250}, {"b": 550})
    refused = head + "C: BDAT 4\nC: ab\nS: 452 full\nC: RSET\nS: 250 ok"
    error = deliver(refused, offers=BOTH, dialect=LMTP, limits=limits, content=b"ab\r\n\r\n")
    assert codes(error.result) == ({}, {"a": 452, "b": 452, "c": 452})


@pytest.mark.parametrize(
    ("then", "kind"), [("EOF", ConnectionLost), ("LATE", DeadlineError), ("S: 150 what", RemoteProtocolError)]
)
def test_lmtp_lost_between_verdicts_keeps_those_that_came(then: str, kind: type[SMTPXError]) -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\nS: 354 go\n" + WIRE + "S: 550 for a\n" + then
    error = deliver(text, offers=PIPE, dialect=LMTP, then_clean=False)
    assert isinstance(error, kind)
    assert codes(error.result) == ({}, {"a": 550})  # of the others nothing is known


@pytest.mark.parametrize("end", ["EOF", "LATE", "S: 999 what"])
def test_lmtp_421_counts_for_those_that_nothing_is_said_about(end: str) -> None:
    go = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\nS: 354 go\n" + WIRE
    text = f"{go}S: 250 a\nS: 421 bye\n{end}\nCLOSE"
    assert codes(deliver(text, offers=PIPE, dialect=LMTP, then_clean=False)) == ({"a": 250}, {"b": 421, "c": 421})
    # A verdict behind it is a verdict: to send that message again would make two of it.
    text = f"{go}S: 250 a\nS: 421 bye\nS: 250 c\nCLOSE"
    assert codes(deliver(text, offers=PIPE, dialect=LMTP, then_clean=False)) == ({"a": 250, "c": 250}, {"b": 421})


def test_lmtp_354_for_nobody_is_closed() -> None:
    text = ONE + "C: DATA\nS: 250 ok\nS: 550 a\nS: 354 go\nCLOSE"
    error = deliver(text, offers=PIPE, to=ABC[:1], dialect=LMTP, then_clean=False)
    assert isinstance(error, PermanentRefusal)


# Content in pieces ----------------------------------------------------------------------------------------------------


def test_f27_chunks_of_unknown_length() -> None:
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nC: BDAT 3 LAST\nC: b\nS: 250 1\nS: 250 2"
    result = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=[b"a\r\n", b"", b"b\r\n"])
    assert result.reply.text == "2"


def _chunks(content: Content, pieces: list[bytes], size: int) -> list[str]:
    """The arguments and octets of the chunks that go out, one by one; every command is answered by 250."""
    found: list[str] = []
    flow = Case("CHUNKING", limits=ClientLimits(chunk_bytes=size)).start(ABC[:1]).deliver(content)
    unread, answer = b"", None
    try:
        while True:
            step = flow.send(answer)
            answer = None
            if isinstance(step, Send):
                unread += b"".join(step.pieces)
            elif isinstance(step, NextChunk):
                answer = pieces.pop(0) if pieces else None
            elif isinstance(step, Receive):
                line, _, unread = unread.partition(b"\r\n")
                answer = b"250 ok\r\n"
                if line.startswith(b"BDAT"):
                    length = int(line.split()[1])
                    found.append(f"{line[5:].decode()}:{unread[:length].decode()}")
                    unread = unread[length:]
    except StopIteration:
        assert unread == b""
        return found


@pytest.mark.parametrize(
    ("content", "pieces", "size", "chunks"),
    [
        (None, [b"a", b"b"], 100, ["2 LAST:ab"]),
        (None, [b"a", b"b"], 1, ["1:a", "1 LAST:b"]),
        (b"ab", [], 100, ["2 LAST:ab"]),
        (b"abcd", [], 1, ["1:a", "1:b", "1:c", "1 LAST:d"]),
        (None, [b"ab", b"cd", b"ef", b"g"], 4, ["4:abcd", "3 LAST:efg"]),
    ],
)
def test_f27_chunk_sizes(content: bytes | None, pieces: list[bytes], size: int, chunks: list[str]) -> None:
    assert _chunks(Content(None) if content is None else Content.of(content), list(pieces), size) == chunks


def test_two_chunks_may_be_unanswered() -> None:
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nC: BDAT 3\nC: b\nS: 250 1\nC: BDAT 3\nC: c\nS: 250 2\n"
    text += "C: BDAT 3 LAST\nC: d\nS: 250 3\nS: 250 4"
    chunks = [b"a\r\n", b"b\r\n", b"c\r\n", b"d\r\n"]
    assert deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=chunks).reply.text == "4"
    lock = "C: MAIL FROM:<s@x.example>\nS: 250 m\nC: RCPT TO:<a@x.example>\nS: 250 a\n"
    lock += "C: BDAT 3\nC: a\nS: 250 1\nC: BDAT 3 LAST\nC: b\nS: 250 2"
    assert deliver(lock, offers="CHUNKING", to=ABC[:1], content=Content(None), chunks=chunks[:2]).reply.text == "2"


def test_chunk_refused_in_the_middle() -> None:
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nC: BDAT 3\nC: b\nS: 552 1\nS: 503 2\nC: RSET\nS: 250 ok"
    error = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=[b"a\r\n", b"b\r\n", b"c\r\n"])
    assert codes(error.result) == ({}, {"a": 552})
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nC: BDAT 3 LAST\nC: b\nS: 552 1\nS: 503 2\nC: RSET\nS: 250 ok"
    error = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=[b"a\r\n", b"b\r\n"])
    assert codes(error.result) == ({}, {"a": 552})
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nC: BDAT 3 LAST\nC: b\nS: 421 1\nCLOSE"
    error = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=[b"a\r\n", b"b\r\n"], then_clean=False)
    assert codes(error.result) == ({}, {"a": 421})


@pytest.mark.parametrize("bad", [b"a\nb\r\n", b"a\rb\r\n", b"ab\r"])
def test_h018_bare_newline_in_a_stream_never_completes(bad: bytes) -> None:
    go = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n"
    error = deliver(go + "CLOSE", offers=PIPE, to=ABC[:1], content=Content(None), chunks=[bad], then_clean=False)
    assert isinstance(error, LocalProtocolError)
    assert error.stage == "body"
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nS: 250 1\nC: RSET\nS: 250 ok"
    error = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=[b"a\r\n", bad])
    assert isinstance(error, LocalProtocolError)
    assert error.stage == "body"


def test_stream_with_repair() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\nC: a b\nC: ..\nC: .\nS: 250 ok"
    content = Content(None, repair=True)
    assert deliver(text, offers=PIPE, to=ABC[:1], content=content, chunks=[b"a\rb", b"\n.", b"\n"]).reply.text == "ok"


@pytest.mark.parametrize("failure", [OSError("disk"), LocalProtocolError("source"), ValueError("x")])
def test_d32_j08_failing_source_never_delivers(failure: Exception) -> None:
    go = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n"
    chunks = [b"a\r\n", b"b\r\n", failure]
    error = deliver(go + "C: a\nCLOSE", offers=PIPE, to=ABC[:1], content=Content(None), chunks=chunks, then_clean=False)
    assert isinstance(error, LocalProtocolError)
    assert failure in (error, error.__cause__)
    text = ONE + ONE_OK + "C: BDAT 3\nC: a\nS: 250 1\nC: RSET\nS: 250 ok"
    error = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=chunks)
    assert failure in (error, error.__cause__)
    lost = ONE + ONE_OK + "C: BDAT 3\nC: a\nEOF\nCLOSE"
    error = deliver(lost, offers=BOTH, to=ABC[:1], content=Content(None), chunks=chunks, then_clean=False)
    assert failure in (error, error.__cause__)


@pytest.mark.parametrize("pieces", [1, 3])
def test_h058_early_verdict_is_never_a_success(pieces: int) -> None:
    go = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n"
    chunks = [b"a\r\n"] * pieces
    body = "C: a\n" * (pieces > 1)
    error = deliver(
        go + body + "P: 250 thanks", offers=PIPE, to=ABC[:1], content=Content(None), chunks=chunks, then_clean=False
    )
    assert isinstance(error, RemoteProtocolError)
    assert error.stage == "final"
    error = deliver(
        go + body + "P: 552 too large\nCLOSE",
        offers=PIPE,
        to=ABC[:1],
        content=Content(None),
        chunks=chunks,
        then_clean=False,
    )
    assert isinstance(error, PermanentRefusal)
    assert codes(error.result) == ({}, {"a": 552})


def test_h058_early_verdict_in_the_segment_of_the_354() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\nS: 250 thanks"
    case = Case(PIPE)
    error = case.flow(case.start(ABC[:1]).deliver(Content.of(BODY)), text)
    assert isinstance(error, RemoteProtocolError)
    assert case.protocol.is_closed


def test_server_refuses_and_closes_in_the_middle() -> None:
    go = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n"
    chunks = [b"a\r\n"] * 3
    error = deliver(
        go + "LOST\nP: 552 large\nCLOSE",
        offers=PIPE,
        to=ABC[:1],
        content=Content(None),
        chunks=chunks,
        then_clean=False,
    )
    assert isinstance(error, PermanentRefusal)
    error = deliver(go + "LOST\nEOF", offers=PIPE, to=ABC[:1], content=Content(None), chunks=chunks, then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "body"


def test_server_refuses_and_closes_in_the_middle_of_chunks() -> None:
    go = ONE + ONE_OK
    chunks = [b"a\r\n"] * 3
    text = go + "C: BDAT 3\nC: a\nLOST\nP: 250 ok\nP: 552 large\nCLOSE"
    error = deliver(text, offers=BOTH, to=ABC[:1], content=Content(None), chunks=chunks, then_clean=False)
    assert isinstance(error, PermanentRefusal)


def test_lost_behind_the_final_dot_may_have_been_delivered() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n" + WIRE + "EOF"
    error = deliver(text, offers=PIPE, to=ABC[:1], then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "final"
    assert codes(error.result) == ({"a": 250}, {})


def test_h098_eight_bits_that_show_late_do_not_get_out() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\nC: Subject: x\nCLOSE"
    chunks = [b"Subject: x\r\n", b"\r\n", "ü\r\n".encode()]
    limits = ClientLimits(chunk_bytes=2)
    error = deliver(
        text, offers=PIPE, to=ABC[:1], content=Content(None), chunks=chunks, limits=limits, then_clean=False
    )
    assert isinstance(error, UnsupportedError)
    assert (error.keyword, error.stage) == ("8BITMIME", "body")

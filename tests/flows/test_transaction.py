"""Transactions: every reply is read, everybody's fate is known, and the connection is clean or closed."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from typing import Any

import pytest

from smtpx.errors import (
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    RefusedError,
    RemoteProtocolError,
    TemporaryRefusal,
    UnsupportedError,
)
from smtpx.flows.content import Content
from smtpx.flows.transaction import Transaction
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.limits import ClientLimits
from tests.flows.cases import (
    ABC,
    BDAT,
    BODY,
    BOTH,
    GROUP,
    LOCKSTEP_ENVELOPE,
    ONE,
    ONE_OK,
    PIPE,
    WIRE,
    Case,
    codes,
    deliver,
)


def test_b01_lockstep_partial_refusal_is_kept() -> None:
    result = deliver(LOCKSTEP_ENVELOPE + "C: DATA\nS: 354 go\n" + WIRE + "S: 250 queued as 7")
    assert codes(result) == ({"a": 250}, {"b": 452, "c": 550})
    assert result.accepted["a@x.example"].text == "a"
    assert isinstance(result.refused["b@x.example"], TemporaryRefusal)
    assert isinstance(result.refused["c@x.example"], PermanentRefusal)
    assert result.refused["c@x.example"].stage == "rcpt"
    assert result.queue_id == "7"
    assert not result.used_chunking


def test_b16_own_test_three_recipients_pipelined() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 452 b\nS: 550 c\nS: 354 go\n" + WIRE + "S: 250 done"
    case = Case(PIPE)
    result = case.flow(case.start().deliver(Content.of(BODY)), text)
    assert codes(result) == ({"a": 250}, {"b": 452, "c": 550})
    assert len(case.writes) == 2  # the group, and the body with its end
    assert codes(deliver(text, offers=PIPE)) == ({"a": 250}, {"b": 452, "c": 550})


def test_b02_t_j09_all_refused_but_354_ends_the_empty_body_and_reads_its_reply() -> None:
    case = Case(PIPE)
    first = ONE + "C: DATA\nS: 250 o\nS: 550 no\nS: 354 go\nC: .\nS: 554 nobody\n"
    error = case.flow(case.start(ABC[:1]).deliver(Content.of(BODY)), first)
    assert isinstance(error, PermanentRefusal)
    assert error.result.refused["a@x.example"].reply.text == "no"
    again = first.replace("550 no", "250 a").replace("C: .\nS: 554 nobody\n", "") + WIRE + "S: 250 mine"
    assert case.flow(case.start(ABC[:1]).deliver(Content.of(BODY)), again).reply.text == "mine"
    assert case.protocol.is_clean


def test_b02_even_a_250_to_the_empty_body_is_no_success() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 550 a\nS: 450 b\nS: 550 c\nS: 354 go\nC: .\nS: 250 delivered to nobody"
    error = deliver(text, offers=PIPE)
    assert isinstance(error, TemporaryRefusal)  # one of them was temporary
    assert codes(error.result) == ({}, {"a": 550, "b": 450, "c": 550})


def test_the_end_of_an_empty_body_may_fail() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 550 a\nS: 550 b\nS: 550 c\nS: 354 go\nC: .\nEOF\nCLOSE"
    assert isinstance(deliver(text, offers=PIPE, then_clean=False), PermanentRefusal)


def test_b03_mail_refused_and_354() -> None:
    text = (
        GROUP + "C: DATA\nS: 550 no\nS: 503 a\nS: 503 b\nS: 503 c\nS: 354 go\nC: .\nS: 503 what\nC: RSET\nS: 250 ok\n"
    )
    error = deliver(text, offers=PIPE)
    assert isinstance(error, PermanentRefusal)
    assert error.stage == "mail"
    assert error.command == "MAIL FROM:<s@x.example>"


def test_mail_refused_with_everything_leaves_a_clean_connection() -> None:
    text = GROUP + "C: DATA\nS: 450 no\nS: 503 a\nS: 503 b\nS: 503 c\nS: 503 d"
    error = deliver(text, offers=PIPE)
    assert isinstance(error, TemporaryRefusal)
    assert error.stage == "mail"


@pytest.mark.parametrize("end", ["S: 421 bye\nCLOSE", "EOF\nCLOSE"])
def test_mail_refused_and_then_closed_is_a_refusal(end: str) -> None:
    text = GROUP + f"C: DATA\nS: 550 we do not like you\n{end}"
    error = deliver(text, offers=PIPE, then_clean=False)
    assert isinstance(error, PermanentRefusal)
    assert error.reply.text == "we do not like you"


def test_mail_refused_and_a_recipient_accepted_is_reset() -> None:
    text = GROUP + "C: DATA\nS: 550 no\nS: 250 a\nS: 503 b\nS: 503 c\nS: 503 d\nC: RSET\nS: 250 ok"
    assert deliver(text, offers=PIPE).stage == "mail"


@pytest.mark.parametrize("code", [450, 550])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "final"])
@pytest.mark.parametrize("offers", ["", PIPE])
def test_b04_class_of_each_refusal(stage: str, code: int, offers: str) -> None:
    said = {name: "250 ok" for name in ("mail", "rcpt", "final")} | {"data": "354 go"}
    said[stage] = f"{code} no"
    script = [("C: MAIL FROM:<s@x.example>", "mail"), ("C: RCPT TO:<a@x.example>", "rcpt"), ("C: DATA", "data")]
    if offers:
        after_mail = {"rcpt": "503 x", "data": "503 x"} if stage == "mail" else {}
        said |= after_mail | ({"data": "503 x"} if stage == "rcpt" else {})
        text = "\n".join([line for line, _ in script] + [f"S: {said[name]}" for _, name in script])
    else:
        names = [name for _, name in script]
        upto = names.index(stage) + 1 if stage in names else 3
        text = "\n".join(f"{line}\nS: {said[name]}" for line, name in script[:upto])
    if stage == "final":
        text += "\n" + WIRE + "S: " + said["final"]
    elif stage != "mail":
        text += "\nC: RSET\nS: 250 ok"
    error = deliver(text, offers=offers, to=ABC[:1])
    assert type(error) is (TemporaryRefusal if code == 450 else PermanentRefusal)
    assert error.stage == stage
    assert error.is_temporary is (code == 450)


def test_b05_j10_window_bounds_what_is_unanswered() -> None:
    to = [f"user{n:04}@x.example" for n in range(5000)]
    case = Case(PIPE)
    flow = case.start(to).deliver(Content.of(BODY))
    unanswered = longest = owed = 0
    from smtpx.flows.steps import Poll, Receive, Send

    step, result = next(flow), None
    try:
        while True:
            answer: bytes | None = None
            if isinstance(step, Send):
                octets = b"".join(step.pieces)
                if not octets.endswith(b".\r\n"):
                    unanswered += len(octets)
                    owed += octets.count(b"\r\n")
                    longest = max(longest, unanswered)
                else:
                    owed, unanswered = 1, 0
            elif isinstance(step, Receive):
                assert owed, "waits for a reply to a command that was not written"
                answer = b"250 " + b"x" * 190 + b"\r\n"
                if case.protocol.owed is not None and case.protocol.owed.command == "DATA":
                    answer = b"354 go\r\n"
                owed -= 1
                if not owed:
                    unanswered = 0
            else:
                assert isinstance(step, Poll)
            step = flow.send(answer)
    except StopIteration as stop:
        result = stop.value
    assert result is not None
    assert len(result.accepted) == 5000
    assert 30_000 < longest <= 32 * 1024


def test_b05_mail_refused_in_the_first_window_waits_for_nothing_unwritten() -> None:
    limits = ClientLimits(max_unanswered_command_bytes=60)
    text = """
        C: MAIL FROM:<s@x.example>
        C: RCPT TO:<a@x.example>
        S: 550 no
        S: 503 no
    """
    error = deliver(text, offers=PIPE, limits=limits)
    assert isinstance(error, PermanentRefusal)
    assert error.stage == "mail"


def test_b07_no_recipient() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Case().start(())
    assert caught.value.stage == "rcpt"


@pytest.mark.parametrize("offers", ["", PIPE])
def test_b09_lost_is_one_error_not_a_refusal_of_each(offers: str) -> None:
    group = GROUP + "C: DATA\n" if offers else "C: MAIL FROM:<s@x.example>\n"
    behind = "" if offers else "C: RCPT TO:<a@x.example>\n"
    error = deliver(group + "S: 250 ok\n" + behind + "EOF", offers=offers, then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "rcpt"
    assert error.result.refused == {}
    assert error.is_temporary


def test_b10_lockstep_all_refused_is_reset() -> None:
    text = """
        C: MAIL FROM:<s@x.example>
        S: 250 ok
        C: RCPT TO:<a@x.example>
        S: 550 a
        C: RSET
        S: 250 ok
    """
    assert isinstance(deliver(text, to=ABC[:1]), PermanentRefusal)


def test_b11_refused_data_is_reset_and_moves_everybody() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 451 not now\nC: RSET\nS: 250 ok"
    error = deliver(text, offers=PIPE)
    assert codes(error.result) == ({}, {"a": 451, "b": 550, "c": 451})
    assert error.result.refused["a@x.example"].stage == "data"
    assert error.result.refused["b@x.example"].stage == "rcpt"


@pytest.mark.parametrize("smtputf8", [None, True])
@pytest.mark.parametrize("eight", [False, True])
def test_b12_f19_the_same_lines_with_and_without_pipelining(eight: bool, smtputf8: bool | None) -> None:
    body = BODY + ("ü\r\n".encode() if eight else b"")
    words = ["BODY=8BITMIME"] * eight + ["SMTPUTF8"] * bool(smtputf8) + [f"SIZE={len(body)}"]
    lines = [f"C: MAIL FROM:<s@x.example> {' '.join(words)}", "C: RCPT TO:<a@x.example>", "C: DATA"]
    wire = WIRE.removesuffix("C: .\n") + "C: ü\n" * eight + "C: .\n"
    lock = f"{lines[0]}\nS: 250 a\n{lines[1]}\nS: 250 b\n{lines[2]}\nS: 354 c\n{wire}S: 250 d"
    grouped = "\n".join(lines) + f"\nS: 250 a\nS: 250 b\nS: 354 c\n{wire}S: 250 d"
    more = "SIZE 1000,8BITMIME,SMTPUTF8"
    for offers, text in ((more, lock), (f"{more},PIPELINING", grouped)):
        assert deliver(text, offers=offers, to=ABC[:1], content=body, smtputf8=smtputf8).reply.text == "d"


def test_b12_pipelining_switched_off_by_the_caller() -> None:
    text = LOCKSTEP_ENVELOPE + "C: DATA\nS: 354 go\n" + WIRE + "S: 250 ok"
    assert deliver(text, offers=BOTH, pipelining=False, chunking=False).reply.text == "ok"


def test_b13_write_fails_at_the_final_dot() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\nS: 354 go\nLOST\nEOF"
    error = deliver(text, offers=PIPE, then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "final"
    assert codes(error.result) == ({"a": 250, "b": 250, "c": 250}, {})


def test_t01_t02_replies_of_several_lines_octet_by_octet() -> None:
    ten = "\n".join(f"S: 250-{n}" for n in range(9)) + "\nS: 250 9\n"
    text = GROUP + f"C: DATA\nS: 250 ok\n{ten}S: 550-b\nS: 550 b\nS: 250 c\nS: 354 go\n" + WIRE + "S: 250 ok"
    result = deliver(text, offers=PIPE)
    assert codes(result) == ({"a": 250, "c": 250}, {"b": 550})
    assert len(result.accepted["a@x.example"].lines) == 10


def test_t03_other_codes_of_the_right_class() -> None:
    text = GROUP + "C: DATA\nS: 251 ok\nS: 251 a\nS: 252 b\nS: 299 c\nS: 350 go\n" + WIRE + "S: 252 done"
    assert codes(deliver(text, offers=PIPE)) == ({"a": 251, "b": 252, "c": 299}, {})


def test_t04_data_250_writes_nothing_of_the_body() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 250 b\nS: 250 c\nS: 250 what"
    error = deliver(text, offers=PIPE, then_clean=False)
    assert isinstance(error, RemoteProtocolError)
    assert error.stage == "data"


def test_t05_mail_354() -> None:
    error = deliver("C: MAIL FROM:<s@x.example>\nS: 354 go", then_clean=False)
    assert isinstance(error, RemoteProtocolError)
    assert error.stage == "mail"


@pytest.mark.parametrize("extra", ["", "P: 250 injected\n"])
def test_t06_h058_a_reply_too_many(extra: str) -> None:
    case = Case()
    text = "C: MAIL FROM:<s@x.example>\nS: 250 ok\nC: RCPT TO:<a@x.example>\nS: 250 a\nC: DATA\nS: 354 go\n" + WIRE
    text += "S: 250 ok\n" + ("" if extra else "S: 250 injected\n")
    assert case.flow(case.start(ABC[:1]).deliver(Content.of(BODY)), text).reply.text == "ok"
    assert case.protocol.is_clean is bool(extra)
    error = case.flow(case.start(ABC[:1]).deliver(Content.of(BODY)), extra)
    assert isinstance(error, RemoteProtocolError)
    assert case.writes == []
    assert not case.transaction.has_begun
    assert case.protocol.is_closed


@pytest.mark.parametrize("extra", ["S: 421 idle too long\n", "P: 421 idle too long\n"])
def test_h058_an_unasked_421_is_kept_as_the_reason(extra: str) -> None:
    case = Case()
    if extra[0] == "S":
        case.protocol.receive_data(extra[3:].encode().rstrip() + b"\r\n")
        extra = ""
    error = case.flow(case.start(ABC[:1]).deliver(Content.of(BODY)), extra)
    assert isinstance(error, TemporaryRefusal)
    assert error.reply.text == "idle too long"
    assert case.protocol.is_closed


def test_idle_connection_closed_by_the_server() -> None:
    error = deliver("EOF", then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "mail"


def test_t07_time_out_closes() -> None:
    error = deliver("C: MAIL FROM:<s@x.example>\nLATE", then_clean=False)
    assert isinstance(error, DeadlineError)
    assert error.stage == "mail"


def test_t11_452_from_some_recipient_on() -> None:
    to = [f"u{n}@x.example" for n in range(110)]
    lines = ["C: MAIL FROM:<s@x.example>", *(f"C: RCPT TO:<{each}>" for each in to), "C: DATA", "S: 250 ok"]
    lines += ["S: 250 ok"] * 100 + ["S: 452 4.5.3 too many"] * 10 + ["S: 354 go"]
    result = deliver("\n".join(lines) + "\n" + WIRE + "S: 250 ok", offers=PIPE, to=to)
    assert list(result.accepted) == to[:100]
    assert list(result.refused) == to[100:]
    assert all(error.is_temporary for error in result.refused.values())


def test_t13_nothing_of_a_large_body_for_nobody() -> None:
    text = GROUP + "S: 250 ok\nS: 550 a\nS: 550 b\nS: 550 c\nC: RSET\nS: 250 ok"
    assert isinstance(deliver(text, offers=BOTH, content=b"x" * 70_000 + b"\r\n"), PermanentRefusal)


def test_t14_closed_behind_the_body() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 354 go\n" + WIRE + "EOF"
    error = deliver(text, offers=PIPE, then_clean=False)
    assert isinstance(error, ConnectionLost)
    assert error.stage == "final"
    assert error.is_temporary
    assert codes(error.result) == ({"a": 250, "c": 250}, {"b": 550})


def test_t15_421_in_the_middle() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 250 a\nS: 250 b\nS: 421 going down\nCLOSE"
    error = deliver(text, offers=PIPE, then_clean=False)
    assert isinstance(error, TemporaryRefusal)
    assert error.stage == "rcpt"
    assert error.reply.code == 421
    assert codes(error.result) == ({}, {"a": 421, "b": 421, "c": 421})  # nobody got it


def test_all_refused_and_then_closed_is_a_refusal() -> None:
    text = GROUP + "C: DATA\nS: 250 ok\nS: 550 a\nS: 550 b\nS: 550 c\nEOF"
    assert isinstance(deliver(text, offers=PIPE, then_clean=False), PermanentRefusal)


# Open, then send or not -----------------------------------------------------------------------------------------------


def opened(case: Case, **options: Any) -> Transaction:
    transaction = case.start(ABC[:1], **options)
    assert case.flow(transaction.open(None), ONE + ONE_OK) is None
    assert list(transaction.accepted) == ["a@x.example"]
    return transaction


def test_open_then_send() -> None:
    for offers, text in ((PIPE, "C: DATA\nS: 354 go\n" + WIRE), (BOTH, BDAT)):
        case = Case(offers)
        transaction = opened(case)
        assert case.flow(transaction.send(Content.of(BODY)), text + "S: 250 ok").reply.text == "ok"
        assert transaction.is_over
        assert case.protocol.is_clean


def test_open_then_abandon() -> None:
    case = Case(PIPE)
    transaction = opened(case)
    assert not transaction.is_over
    case.flow(transaction.abandon(), "C: RSET\nS: 250 ok")
    assert transaction.is_over
    case.flow(transaction.abandon(), "")


@pytest.mark.parametrize("answer", ["S: 502 what is RSET", "EOF"])
def test_refused_rset_closes_quietly(answer: str) -> None:
    case = Case(PIPE)
    assert case.flow(opened(case).abandon(), f"C: RSET\n{answer}\nCLOSE") is None
    assert case.protocol.is_closed


def test_data_refused_behind_an_open_transaction() -> None:
    case = Case(PIPE)
    error = case.flow(opened(case).send(Content.of(BODY)), "C: DATA\nS: 451 no\nC: RSET\nS: 250 ok")
    assert isinstance(error, TemporaryRefusal)
    case = Case(PIPE)
    error = case.flow(opened(case).send(Content.of(BODY)), "C: DATA\nS: 421 no\nCLOSE")
    assert isinstance(error, RefusedError)
    assert case.protocol.is_closed


def test_content_that_does_not_fit_leaves_the_transaction_open() -> None:
    case = Case(PIPE)
    transaction = opened(case)
    error = case.flow(transaction.send(Content.of("x\r\n\r\nü\r\n".encode())), "")
    assert isinstance(error, UnsupportedError)
    assert not transaction.is_over
    case = Case(PIPE + ",SMTPUTF8")
    transaction = opened(case)
    error = case.flow(transaction.send(Content(b"", 0, False, utf8_header=True)), "")
    assert isinstance(error, UnsupportedError)
    assert error.keyword == "SMTPUTF8"


def test_unasked_reply_before_the_content() -> None:
    case = Case(PIPE)
    error = case.flow(opened(case).send(Content.of(BODY)), "P: 250 injected")
    assert isinstance(error, RemoteProtocolError)


def test_adopted_recipients() -> None:
    case = Case()
    for line, answer in (("MAIL", "FROM:<>"), ("RCPT", "TO:<a@x.example>")):
        case.protocol.command(line, answer)
        case.protocol.receive_data(b"250 ok\r\n")
        reply = case.protocol.next_answer()
    assert reply is not None
    transaction = case.start(ABC[:1])
    transaction.adopt([("a@x.example", reply.reply)], uses_utf8=False)
    assert case.flow(transaction.send(Content.of(BODY)), "C: DATA\nS: 354 go\n" + WIRE + "S: 250 ok").accepted


# All in one write, and LMTP -------------------------------------------------------------------------------------------


def test_small_content_goes_with_its_envelope() -> None:
    text = GROUP + BDAT + "S: 250 ok\nS: 250 a\nS: 550 b\nS: 250 c\nS: 250 queued"
    case = Case(BOTH)
    result = case.flow(case.start().deliver(Content.of(BODY)), text)
    assert codes(result) == ({"a": 250, "c": 250}, {"b": 550})
    assert (result.used_chunking, len(case.writes)) == (True, 1)
    assert case.transaction.committed


@pytest.mark.parametrize("answer", ["503 nobody", "250 what"])
def test_content_that_went_with_its_envelope_to_nobody_is_reset(answer: str) -> None:
    text = GROUP + BDAT + f"S: 250 ok\nS: 550 a\nS: 550 b\nS: 450 c\nS: {answer}\nC: RSET\nS: 250 ok"
    assert codes(deliver(text, offers=BOTH).result) == ({}, {"a": 550, "b": 550, "c": 450})


def test_lmtp_354_for_nobody_is_closed() -> None:
    text = ONE + "C: DATA\nS: 250 ok\nS: 550 a\nS: 354 go\nCLOSE"
    error = deliver(text, offers=PIPE, to=ABC[:1], dialect=LMTP, then_clean=False)
    assert codes(error.result) == ({}, {"a": 550})

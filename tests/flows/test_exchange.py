"""The smallest flows."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from typing import Any

import pytest

from smtpx.errors import ConnectionLost, DeadlineError, RemoteProtocolError, TemporaryRefusal
from smtpx.flows.exchange import (
    command,
    expect_quiet,
    leave,
    pending_answer,
    quit_session,
    read_answer,
    reset,
    write,
    write_content,
)
from smtpx.flows.steps import Close, Receive, Send, Timeouts
from smtpx.protocol.client import ClientProtocol
from tests.flows.cases import ready
from tests.peers import Dialogue

TIMES = Timeouts()


def run(flow: Any, text: str) -> Any:
    dialogue = Dialogue(text)
    result = dialogue.run(flow)
    dialogue.done()
    return result


def test_command() -> None:
    assert run(command(ready(), TIMES, "NOOP"), "C: NOOP\nS: 250 ok").reply.text == "ok"


def test_a_reply_in_parts_is_one_wait() -> None:
    protocol = ready()
    flow = command(protocol, TIMES, "NOOP")
    assert isinstance(next(flow), Send)
    assert flow.send(None) == Receive(TIMES.other, continued=False)
    assert flow.send(b"250-") == Receive(TIMES.other, continued=True)


def test_write_that_fails_leaves_the_say_to_the_server() -> None:
    answer = run(command(ready(), TIMES, "NOOP"), "LOST\nS: 421 bye")
    assert answer.reply.code == 421
    with pytest.raises(ConnectionLost):
        run(write(ready(), TIMES, b"x"), "LOST")


def test_slow_write_names_the_stage() -> None:
    protocol = ready()
    flow = write_content(protocol, TIMES, protocol.command("NOOP"))
    next(flow)
    with pytest.raises(DeadlineError) as caught:
        flow.throw(DeadlineError("slow"))
    assert caught.value.stage == "noop"


def test_time_out_while_reading_closes() -> None:
    protocol = ready()
    with pytest.raises(DeadlineError) as caught:
        run(command(protocol, TIMES, "VRFY", "a"), "C: VRFY a\nLATE")
    assert caught.value.stage == "verify"
    assert protocol.is_closed


def test_nothing_owed_is_waited_for_as_the_final_reply() -> None:
    with pytest.raises(ConnectionLost) as caught:
        run(read_answer(ready(), TIMES), "EOF")
    assert caught.value.stage == "final"


def test_pending_answer() -> None:
    protocol = ready()
    protocol.command("NOOP")
    assert run(pending_answer(protocol), "") is None
    assert run(pending_answer(protocol), "EOF") is None
    assert run(pending_answer(protocol), "P: 250 ok").reply.code == 250


def test_expect_quiet() -> None:
    assert run(expect_quiet(ready()), "") is None
    with pytest.raises(ConnectionLost) as caught:
        run(expect_quiet(ready(), "noop"), "EOF")
    assert caught.value.stage == "noop"
    with pytest.raises(RemoteProtocolError):
        run(expect_quiet(ready()), "P: 250 x")
    with pytest.raises(TemporaryRefusal):
        run(expect_quiet(ready()), "P: 421 x")


def test_expect_quiet_sees_a_reply_in_part() -> None:
    protocol = ready()
    flow = expect_quiet(protocol)
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(b"25")
    with pytest.raises(RemoteProtocolError):
        protocol.command("NOOP")


@pytest.mark.parametrize(
    "text",
    [
        "C: QUIT\nS: 221 bye",
        "C: QUIT\nEOF",
        "C: QUIT\nLATE",
        "LOST\nEOF",
        "C: QUIT\nS: 550 no",
    ],
)
def test_d43_quit_always_closes(text: str) -> None:
    protocol = ready()
    run(quit_session(protocol, TIMES), text + "\nCLOSE")
    assert protocol.is_closed


def test_quit_with_replies_owed_or_before_the_greeting_says_nothing() -> None:
    protocol = ready()
    protocol.command("NOOP")
    run(quit_session(protocol, TIMES), "CLOSE")
    run(leave(protocol), "CLOSE")
    run(quit_session(ClientProtocol(), TIMES), "CLOSE")


def test_quit_is_short() -> None:
    flow = quit_session(ready(), TIMES)
    assert next(flow) == Send((b"QUIT\r\n",), TIMES.quit)


@pytest.mark.parametrize("text", ["C: QUIT\nCLOSE", "LOST\nCLOSE"])
def test_leave_does_not_wait(text: str) -> None:
    run(leave(ready()), text)


def test_reset() -> None:
    protocol = ready()
    run(reset(protocol, TIMES), "C: RSET\nS: 250 ok")
    assert protocol.is_clean
    for text in ("C: RSET\nS: 500 what\nCLOSE", "C: RSET\nEOF\nCLOSE"):
        protocol = ready()
        run(reset(protocol, TIMES), text)
        assert protocol.is_closed
    assert next(reset(protocol, TIMES)) == Close()  # of a closed connection

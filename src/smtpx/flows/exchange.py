"""The smallest flows: write, read one answer, do one command. All others are made of these."""

from collections.abc import Generator
from contextlib import contextmanager

from smtpx.errors import ConnectionLost, TransportError
from smtpx.flows.steps import Close, Flow, Poll, Receive, Send, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol

__all__ = ["command", "expect_quiet", "pending_answer", "quit_session", "read_answer", "write"]


@contextmanager
def _at_stage(stage: str) -> Generator[None, None, None]:
    try:
        yield
    except TransportError as error:
        if error.stage is None:
            error.stage = stage
        raise


def write(protocol: ClientProtocol, timeouts: Timeouts, *pieces: bytes) -> Flow[None]:
    """Write octets. Errors name the oldest command that is not answered."""
    owed = protocol.owed
    with _at_stage(owed.stage if owed else "body"):
        yield Send(pieces, timeouts.block)


def read_answer(protocol: ClientProtocol, timeouts: Timeouts) -> Flow[Answer]:
    """Wait for the oldest answer owed.

    Raises:
        ConnectionLost, DeadlineError: with the stage of what was owed.
        RemoteProtocolError: from the protocol.
    """
    while (answer := protocol.next_answer()) is None:
        owed = protocol.owed
        stage = owed.stage if owed else "final"
        with _at_stage(stage):
            data: bytes = yield Receive(timeouts.of(stage))
        if not data:
            protocol.connection_closed()
            raise ConnectionLost("the server closed the connection", stage=stage)
        protocol.receive_data(data)
    return answer


def pending_answer(protocol: ClientProtocol) -> Flow[Answer | None]:
    """An answer that has come already, without waiting."""
    answer = protocol.next_answer()
    while answer is None:
        data: bytes | None = yield Poll()
        if not data:
            return None
        protocol.receive_data(data)
        answer = protocol.next_answer()
    return answer


def command(protocol: ClientProtocol, timeouts: Timeouts, verb: str, argument: str | None = None) -> Flow[Answer]:
    """One command, one answer, of any class."""
    yield from write(protocol, timeouts, protocol.command(verb, argument))
    return (yield from read_answer(protocol, timeouts))


def expect_quiet(protocol: ClientProtocol) -> Flow[None]:
    """Before a transaction: see that the connection is alive and that nothing lies there which nobody asked for.

    Raises:
        ConnectionLost: if the server has closed.
        RemoteProtocolError: for an unasked reply; TemporaryRefusal when it is a 421.
    """
    data: bytes | None = yield Poll()
    if data is None:
        return
    if not data:
        protocol.connection_closed()
        raise ConnectionLost("the server closed the idle connection", stage="mail")
    protocol.receive_data(data)
    protocol.next_answer()


def quit_session(protocol: ClientProtocol, timeouts: Timeouts) -> Flow[None]:
    """QUIT and close. A failed or slow QUIT is no error: nothing depends on it."""
    try:
        if not protocol.owes:
            yield from command(protocol, timeouts, "QUIT")
    except Exception:  # noqa: BLE001, S110 - the connection is closed in every case
        pass
    protocol.connection_closed()
    yield Close()

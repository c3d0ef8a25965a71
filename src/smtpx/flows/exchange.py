"""The smallest flows: write, read one answer, do one command. All others are made of these."""

from smtpx.errors import ConnectionLost, SMTPXError, TransportError
from smtpx.flows.steps import Close, Flow, Poll, Receive, Send, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol

__all__ = [
    "close",
    "command",
    "expect_quiet",
    "leave",
    "pending_answer",
    "quit_session",
    "read_answer",
    "reset",
    "write",
    "write_content",
]


def write(protocol: ClientProtocol, timeouts: Timeouts, *pieces: bytes) -> Flow[None]:
    """Write octets. If the server has gone, it may have said why: reading the replies owed tells what became of it."""
    try:
        yield from write_content(protocol, timeouts, *pieces)
    except ConnectionLost:
        if not protocol.owes:
            raise


def write_content(protocol: ClientProtocol, timeouts: Timeouts, *pieces: bytes) -> Flow[None]:
    """Write octets.

    Raises:
        ConnectionLost, DeadlineError: with the stage of the oldest command that is not answered.
    """
    stage = protocol.stage
    try:
        yield Send(pieces, timeouts.quit if stage == "quit" else timeouts.block)
    except TransportError as error:
        error.stage = error.stage or stage
        raise


def read_answer(protocol: ClientProtocol, timeouts: Timeouts) -> Flow[Answer]:
    """Wait for the oldest answer owed.

    Raises:
        ConnectionLost, DeadlineError: with the stage of what was owed. The connection is of no use then.
        RemoteProtocolError: from the protocol.
    """
    continued = False
    while (answer := protocol.next_answer()) is None:
        stage = protocol.stage or "final"
        try:
            data: bytes = yield Receive(timeouts.of(stage), continued)
        except TransportError as error:
            protocol.connection_closed()
            error.stage = error.stage or stage
            raise
        if not data:
            protocol.connection_closed()
            raise ConnectionLost("the server closed the connection", stage=stage)
        protocol.receive_data(data)
        continued = True
    return answer


def pending_answer(protocol: ClientProtocol) -> Flow[Answer | None]:
    """An answer that has come already, without waiting."""
    while (answer := protocol.next_answer()) is None:
        data: bytes | None = yield Poll()
        if not data:
            return None
        protocol.receive_data(data)
    return answer


def command(protocol: ClientProtocol, timeouts: Timeouts, verb: str, argument: str | None = None) -> Flow[Answer]:
    """One command, one answer, of any class."""
    yield from write(protocol, timeouts, protocol.command(verb, argument))
    return (yield from read_answer(protocol, timeouts))


def expect_quiet(protocol: ClientProtocol, stage: str = "mail") -> Flow[None]:
    """Before a command on a connection that was idle: see that it lives, and that nothing unasked lies there.

    A reply nobody asked for would else pass for the answer to that command (RFC 2920 3.1).

    Raises:
        ConnectionLost: if the server has closed.
        RemoteProtocolError: for an unasked reply; TemporaryRefusal when it is a 421.
    """
    protocol.next_answer()
    data: bytes | None = yield Poll()
    if data is None:
        return
    if not data:
        protocol.connection_closed()
        raise ConnectionLost("the server closed the idle connection", stage=stage)
    protocol.receive_data(data)
    protocol.next_answer()


def reset(protocol: ClientProtocol, timeouts: Timeouts) -> Flow[None]:
    """RSET. If that fails the connection is closed; what was sent before is not concerned."""
    try:
        yield from write(protocol, timeouts, protocol.command("RSET"))
        refused = False
        while protocol.owes:
            answer = yield from read_answer(protocol, timeouts)
            refused = not answer.is_positive and answer.owed.command == "RSET"
        if refused:
            yield from close(protocol)
    except SMTPXError:
        yield from close(protocol)


def close(protocol: ClientProtocol) -> Flow[None]:
    """Close without a word."""
    protocol.connection_closed()
    yield Close()


def quit_session(protocol: ClientProtocol, timeouts: Timeouts) -> Flow[None]:
    """QUIT and close. A failed or slow QUIT is no error: nothing depends on it."""
    try:
        if not protocol.owes:
            yield from command(protocol, timeouts, "QUIT")
    except SMTPXError:
        pass  # the connection is closed in every case
    yield from close(protocol)


def leave(protocol: ClientProtocol) -> Flow[None]:
    """QUIT and close without waiting for the reply, which nobody needs (an expired connection, most likely dead)."""
    try:
        if not protocol.owes:
            yield Send((protocol.command("QUIT"),), 0)
    except SMTPXError:
        pass
    yield from close(protocol)

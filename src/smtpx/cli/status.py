"""Exit statuses (sysexits.h), and which error means which."""

from enum import IntEnum

from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    LocalProtocolError,
    RemoteProtocolError,
    SMTPXError,
    UnsupportedError,
)

__all__ = ["Status", "status_of"]


class Status(IntEnum):
    """What the command tells its caller."""

    OK = 0
    SOME_REFUSED = 1
    USAGE = 64
    DATA = 65  # bad message or address, or something this server can't take, refused here before sending
    NO_INPUT = 66
    UNAVAILABLE = 69  # refused for good, or the server lacks what was required, or its certificate is not good
    INTERNAL = 70
    CANT_CREATE = 73
    TEMPORARY = 75  # any 4yz, connection trouble
    PROTOCOL = 76  # the server broke the protocol
    CREDENTIALS = 77  # wrong credentials
    INTERRUPTED = 130  # 128 and the number of the signal, as shells have it
    TERMINATED = 143


_NOT_FOR_THIS_SERVER = frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "BINARYMIME"})


def status_of(error: SMTPXError) -> Status:
    """The exit status an error stands for."""
    if isinstance(error, ConfigurationError):
        return Status.USAGE
    if isinstance(error, LocalProtocolError):
        return Status.USAGE if error.stage == "hello" else Status.DATA  # our own name came as an option
    if isinstance(error, RemoteProtocolError):
        return Status.PROTOCOL
    if isinstance(error, UnsupportedError):
        return Status.DATA if error.keyword in _NOT_FOR_THIS_SERVER else Status.UNAVAILABLE
    if error.is_temporary:
        return Status.TEMPORARY
    if isinstance(error, AuthenticationError):
        # 535, and what failed here; any other 5yz says that this way of logging in is not to be had.
        refused = error.reply is not None and error.reply.code != 535
        return Status.UNAVAILABLE if refused else Status.CREDENTIALS
    return Status.UNAVAILABLE

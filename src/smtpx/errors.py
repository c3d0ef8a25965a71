"""Everything smtpx raises on purpose.

Catch `SMTPXError` for all of it; each class is also an OSError, a ValueError or a TimeoutError where that is what
Python people would catch. `is_temporary` on each says whether trying again later makes sense. All can be pickled, and
none holds a secret.
"""

from itertools import islice
from typing import Any

from smtpx.wire.codes import Severity
from smtpx.wire.reply import Reply

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLost",
    "DeadlineError",
    "LocalProtocolError",
    "PermanentRefusal",
    "ProtocolError",
    "RefusedError",
    "RemoteProtocolError",
    "SMTPXError",
    "TLSError",
    "TemporaryRefusal",
    "TransportError",
    "UnsupportedError",
]

_RECIPIENTS_TOLD = 10  # in a message; a server chooses how long its replies are, and `refusals` has them all


class SMTPXError(Exception):
    """The root of all errors of smtpx.

    `stage` is where in the conversation it happened: connect, greeting, hello, starttls, auth, mail, rcpt, data, body,
    final, reset, noop, verify, quit; None outside a conversation. `result` is the `SendResult` as far as it is known
    when a message could not be sent.
    """

    is_temporary = False
    stage: str | None = None
    result: Any = None

    def __init__(self, message: str, *, stage: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage

    def __str__(self) -> str:
        return f"{self.message} (stage: {self.stage})" if self.stage else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled by their positional arguments; ours live in attributes as well.
        return _restore, (type(self), self.args), dict(self.__dict__)


def _restore(cls: type[SMTPXError], args: tuple[Any, ...]) -> SMTPXError:
    error = cls.__new__(cls)
    error.args = args
    return error


class ConfigurationError(SMTPXError, ValueError):
    """A setting makes no sense, alone or with another."""


class ProtocolError(SMTPXError):
    """The rules of SMTP were broken."""


class LocalProtocolError(ProtocolError, ValueError):
    """We were asked to break the rules: bad address, control character, bare newline, command out of order.

    Nothing of it was sent.
    """


class RemoteProtocolError(ProtocolError):
    """The peer broke the rules; the connection is of no use any more."""


class UnsupportedError(SMTPXError):
    """This needs an extension that the server does not offer; `keyword` names it. Nothing was sent."""

    def __init__(self, message: str, *, keyword: str, stage: str | None = None) -> None:
        super().__init__(message, stage=stage)
        self.keyword = keyword


class RefusedError(SMTPXError):
    """The server said no. Raised as `TemporaryRefusal` (4yz) or `PermanentRefusal` (5yz).

    `command` is the line that was refused, without secrets; `recipient` the address a RCPT or an LMTP verdict was
    about; `refusals` all of them, when every recipient was refused.
    """

    def __init__(
        self, reply: Reply, *, command: str | None = None, recipient: str | None = None, stage: str | None = None
    ) -> None:
        super().__init__(str(reply), stage=stage)
        self.reply = reply
        self.command = command
        self.recipient = recipient
        self.refusals: dict[str, RefusedError] = {}

    def __str__(self) -> str:
        if self.refusals:
            told = [f"<{address}>: {error.reply}" for address, error in islice(self.refusals.items(), _RECIPIENTS_TOLD)]
            if more := len(self.refusals) - len(told):
                told.append(f"and {more} more")
            each = "; ".join(told)
            accepted = getattr(self.result, "accepted", None)
            return f"{'recipients were' if accepted else 'every recipient was'} refused: {each}"
        about = f"<{self.recipient}>: " if self.recipient else ""
        return f"{about}{self.reply}" + (f" (stage: {self.stage})" if self.stage else "")

    @staticmethod
    def of(
        reply: Reply, *, command: str | None = None, recipient: str | None = None, stage: str | None = None
    ) -> "RefusedError":
        """The class that fits the reply's first digit."""
        cls = TemporaryRefusal if reply.severity is Severity.TEMPORARY else PermanentRefusal
        return cls(reply, command=command, recipient=recipient, stage=stage)


class TemporaryRefusal(RefusedError):
    """A 4yz reply: the same may work later."""

    is_temporary = True


class PermanentRefusal(RefusedError):
    """A 5yz reply: the same will not work."""


class AuthenticationError(SMTPXError):
    """The server did not accept the credentials; `reply` is its answer, None when it failed on our side.

    What a callable for a token raised is the `__cause__`.

    `was_challenged`: it had asked for something first, so it knows the mechanism.
    """

    def __init__(
        self, message: str, *, mechanism: str, reply: Reply | None = None, was_challenged: bool = False
    ) -> None:
        super().__init__(message, stage="auth")
        self.mechanism = mechanism
        self.reply = reply
        self.was_challenged = was_challenged
        self.is_temporary = reply is not None and reply.severity is Severity.TEMPORARY


class TransportError(SMTPXError, OSError):
    """Trouble below SMTP: network, TLS, time."""

    is_temporary = True


class ConnectError(TransportError):
    """No connection came about; the message names each address that was tried."""


class TLSError(TransportError):
    """TLS could not be established. `is_certificate`: the certificate is not good, and won't be better soon.

    `reason` is why, in a word: "certificate", "version" (none in common), "alert" (the peer gave up), "not_tls" (it
    speaks something else), "eof" (it closed), "alpn", or "other".
    """

    def __init__(
        self, message: str, *, is_certificate: bool = False, stage: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message, stage=stage)
        self.is_certificate = is_certificate
        self.reason = reason or ("certificate" if is_certificate else "other")
        self.is_temporary = not is_certificate


class ConnectionLost(TransportError):
    """The connection ended in the middle. At stage "final" it is not known whether the message was delivered."""


class DeadlineError(TransportError, TimeoutError):
    """The peer took too long; the connection is closed. At stage "final" the message may have been delivered."""

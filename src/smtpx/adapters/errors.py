"""Errors that are ours and the standard library's at once, for code that was written for `smtplib`.

>>> from smtpx.errors import TemporaryRefusal
>>> from smtpx.wire.reply import Reply
>>> error = as_delivery_error(TemporaryRefusal(Reply(450, None, ("later",)), recipient="a@example.org", stage="rcpt"))
>>> isinstance(error, TemporaryRefusal), isinstance(error, smtplib.SMTPRecipientsRefused), error.recipients
(True, True, {'a@example.org': (450, b'later')})
"""

import smtplib
import ssl
from typing import TYPE_CHECKING, Any

from smtpx.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLost,
    RefusedError,
    SMTPXError,
    TLSError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from smtpx.wire.reply import Reply

__all__ = ["DeliveryError", "as_delivery_error"]


class DeliveryError(SMTPXError, smtplib.SMTPException):
    """A message was not sent. The original error is its cause.

    What is raised is a subclass of the original's class too, with all its attributes, and of what `smtplib` raises in
    such a case, with the attributes known from there: `smtp_code`, `smtp_error`, `recipients`, `sender`. So
    `except smtpx.TemporaryRefusal`, `except smtplib.SMTPRecipientsRefused` and `except TimeoutError` all work. It can
    be pickled.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401 - those of both parents

    def __reduce__(self) -> tuple[Any, ...]:
        ours, theirs = getattr(type(self), "_parents", (SMTPXError, smtplib.SMTPException))
        return _restore, (ours, theirs, self.args), dict(self.__dict__)


def as_delivery_error(error: SMTPXError) -> DeliveryError:
    """The error with its counterpart of the standard library mixed in; raise it from the original."""
    theirs, facts = _counterpart(error)
    made = _restore(type(error), theirs, error.args)
    made.__dict__.update(error.__dict__, **facts)
    return made


def _restore(ours: type[SMTPXError], theirs: type[Exception], args: tuple[Any, ...]) -> DeliveryError:
    cls = _mixed(ours, theirs)
    made = cls.__new__(cls)
    made.args = args
    return made


_MIXED: dict[tuple[type, type], type[DeliveryError]] = {(SMTPXError, smtplib.SMTPException): DeliveryError}


def _mixed(ours: type[SMTPXError], theirs: type[Exception]) -> type[DeliveryError]:
    known = _MIXED.get((ours, theirs))
    if known is not None:
        return known
    bases = (DeliveryError, ours) if issubclass(DeliveryError, theirs) else (DeliveryError, ours, theirs)
    about = {"__module__": __name__, "__doc__": ours.__doc__, "_parents": (ours, theirs)}
    return _MIXED.setdefault((ours, theirs), type(ours.__name__, bases, about))


def _counterpart(error: SMTPXError) -> tuple[type[Exception], dict[str, Any]]:
    """What smtplib, or a socket under it, would have raised, and the attributes people know from there."""
    match error:
        case RefusedError():
            return _refused(error)
        case AuthenticationError() if error.reply is not None:
            return smtplib.SMTPAuthenticationError, _response(error.reply)
        case UnsupportedError():
            return smtplib.SMTPNotSupportedError, {}
        case ConnectError():
            return ConnectionError, {}
        case ConnectionLost():
            return smtplib.SMTPServerDisconnected, {}
        case TLSError(is_certificate=True):
            return ssl.SSLCertVerificationError, {}
        case TLSError():
            return ssl.SSLError, {}
        case _:
            return smtplib.SMTPException, {}


def _refused(error: RefusedError) -> tuple[type[Exception], dict[str, Any]]:
    facts = _response(error.reply)
    refusals = error.refusals or ({error.recipient: error} if error.recipient is not None else {})
    if refusals:
        facts["recipients"] = {address: tuple(_response(each.reply).values()) for address, each in refusals.items()}
    if error.stage == "mail":
        facts["sender"] = (error.command or "").partition("<")[2].partition(">")[0]
    kind = smtplib.SMTPRecipientsRefused if refusals else smtplib.SMTPDataError
    return _REFUSED_AT.get(error.stage or "", kind), facts


_REFUSED_AT: dict[str, type[Exception]] = {
    "connect": smtplib.SMTPConnectError,
    "greeting": smtplib.SMTPConnectError,
    "hello": smtplib.SMTPHeloError,
    "mail": smtplib.SMTPSenderRefused,
    "data": smtplib.SMTPDataError,
    "body": smtplib.SMTPDataError,
    "final": smtplib.SMTPDataError,
}


def _response(reply: "Reply") -> dict[str, Any]:
    text = f"{reply.enhanced} {reply.text}" if reply.enhanced else reply.text  # smtplib leaves the code where it is
    return {"smtp_code": reply.code, "smtp_error": text.encode()}

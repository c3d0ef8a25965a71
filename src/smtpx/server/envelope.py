"""Who a message is from and for, as a session may see it."""

from typing import TYPE_CHECKING

from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params

if TYPE_CHECKING:
    from smtpx.protocol.server import ServerProtocol

__all__ = ["Envelope"]


class Envelope:
    """A read-only view of the transaction under way: what was accepted so far. Between transactions it is empty."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: "ServerProtocol") -> None:
        self._protocol = protocol

    @property
    def sender(self) -> Mailbox | None:
        """The reverse-path; its `is_null` is true for reports. None before MAIL was accepted."""
        return self._protocol.sender

    @property
    def params(self) -> Params:
        """The parameters of MAIL."""
        return self._protocol.mail_params

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """Those whose RCPT was accepted, in order; who was named twice is here twice."""
        return tuple(self._protocol.recipients)

    @property
    def recipient_params(self) -> tuple[Params, ...]:
        """The parameters of each RCPT in `recipients`."""
        return tuple(self._protocol.rcpt_params)

    def __repr__(self) -> str:
        return f"<Envelope from {self.sender} to {len(self._protocol.recipients)} recipients>"

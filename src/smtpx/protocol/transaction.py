"""What a server knows of one mail transaction, from MAIL to its end (RFC 5321 3.3)."""

from dataclasses import dataclass, field

from smtpx.protocol.body import Intake
from smtpx.wire.address import Mailbox
from smtpx.wire.params import NO_PARAMS, Params

__all__ = ["Transaction"]


@dataclass(slots=True, kw_only=True)
class Transaction:
    """The envelope, and the content under way. A new one takes its place whole, so forgetting is complete.

    Attributes:
        sender: None before MAIL was accepted.
        rcpt_params: those of each recipient, in the same order.
        refused_recipients: how many RCPTs were refused.
        overshoot: how many of them came behind a limit of recipients.
        intake: None unless content is under way.
        verdicts_sent: for so many recipients, ahead of the others; None while none is due.
    """

    sender: Mailbox | None = None
    mail_params: Params = NO_PARAMS
    recipients: list[Mailbox] = field(default_factory=list[Mailbox])
    rcpt_params: list[Params] = field(default_factory=list[Params])
    refused_recipients: int = 0
    overshoot: int = 0
    intake: Intake | None = None
    verdicts_sent: int | None = None

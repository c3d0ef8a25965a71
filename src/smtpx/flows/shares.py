"""One message in several transactions: where a server takes only so many recipients at once (RFC 9422, RFC 5321
4.5.3.1.10)."""

from collections.abc import Sequence, Set
from dataclasses import replace

from smtpx.errors import RefusedError
from smtpx.extensions.limits import OfferedLimits
from smtpx.flows.outcome import SendResult, all_refused
from smtpx.flows.plan import Envelope
from smtpx.wire.address import Mailbox

__all__ = ["Delivery", "domain_of", "split"]


def domain_of(recipient: Mailbox) -> str:
    """What RCPTDOMAINMAX counts."""
    return recipient.domain.lower()


def split(
    recipients: Sequence[Mailbox], limits: OfferedLimits, domains: Set[str]
) -> tuple[tuple[Mailbox, ...], tuple[Mailbox, ...]]:
    """Those who may go into the next transaction on a connection, and the rest; both keep their order.

    Args:
        domains: those of recipients that the connection has seen already.
    """
    share: list[Mailbox] = []
    rest: list[Mailbox] = []
    seen = set(domains)
    for each in recipients:
        full = limits.max_recipients is not None and len(share) >= limits.max_recipients
        new = domain_of(each) not in seen
        if full or (new and limits.max_recipient_domains is not None and len(seen) >= limits.max_recipient_domains):
            rest.append(each)
        else:
            seen.add(domain_of(each))
            share.append(each)
    return tuple(share), tuple(rest)


class Delivery:
    """What became of each part of a message so far, and who is left.

    Args:
        overflow: how many more transactions it may take for those who were too many (452 4.5.3).

    Attributes:
        left: recipients nothing was said about yet.
    """

    def __init__(self, envelope: Envelope, *, overflow: int = 0, keep_duplicates: bool = False) -> None:
        recipients = envelope.recipients
        self.left: tuple[Mailbox, ...] = recipients if keep_duplicates else tuple(dict.fromkeys(recipients))
        self._order = tuple(dict.fromkeys(str(each) for each in recipients))
        self._parts: list[SendResult] = []
        self._overflow = overflow

    @property
    def has_begun(self) -> bool:
        """Whether a part of it is done."""
        return bool(self._parts)

    def take(self, share: Sequence[Mailbox], rest: tuple[Mailbox, ...], part: SendResult) -> None:
        """A transaction is done. Who was one too many in it comes next, as long as that may go on."""
        again: tuple[Mailbox, ...] = ()
        if part.accepted and self._overflow > 0:
            again = tuple(each for each in share if _was_too_many(part.refused.get(str(each))))
            part = replace(part, refused={to: why for to, why in part.refused.items() if not _was_too_many(why)})
            self._overflow -= bool(again)
        self._parts.append(part)
        self.left = again + rest

    def refuse(self, share: Sequence[Mailbox], rest: tuple[Mailbox, ...], error: RefusedError) -> None:
        """Nobody in a transaction was accepted. A sender that is refused once is not tried again."""
        everybody = (*share, *rest) if error.result is None else share
        part = error.result or SendResult({}, {str(each): error for each in everybody})
        self._parts.append(part)
        self.left = rest if error.result is not None else ()

    def so_far(self, last: SendResult | None = None) -> SendResult:
        """All parts in one result, with one more that failed."""
        parts = [*self._parts, *([last] if last is not None else [])]
        accepted = {to: reply for each in parts for to, reply in each.accepted.items()}
        refused = {to: why for each in parts for to, why in each.refused.items() if to not in accepted}
        done = [each for each in parts if each.accepted and each.reply is not None]
        whole = (done or parts)[-1] if parts else SendResult({}, {})
        return replace(
            whole,
            accepted={to: accepted[to] for to in self._order if to in accepted},
            refused={to: refused[to] for to in self._order if to in refused},
            verdicts=tuple(verdict for each in parts for verdict in each.verdicts),
            parts=tuple(self._parts) if len(parts) > 1 else (),
        )

    def outcome(self) -> SendResult:
        """The result, when nobody is left.

        Raises:
            RefusedError: nobody got it.
        """
        result = self.so_far()
        if not result.accepted:
            raise all_refused(result)
        return result


def _was_too_many(error: RefusedError | None) -> bool:
    """RFC 5321 4.5.3.1.10: 452, and 552 from servers that read RFC 821."""
    if error is None or error.stage != "rcpt" or error.reply.code not in (452, 552):
        return False
    return error.reply.enhanced is None or str(error.reply.enhanced).endswith(".5.3")

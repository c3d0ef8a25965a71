"""The verdicts on one message that a session gives one by one, before `data` returns."""

from collections import deque
from collections.abc import Callable, Sequence

from smtpx.wire.address import Mailbox
from smtpx.wire.codes import Severity
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import escape

__all__ = ["Verdicts"]


class Verdicts:
    """One for each recipient, in the order of the RCPTs; a recipient that was named twice has two.

    Args:
        recipients: of the message.
        on_given: called when there is a new one.
    """

    __slots__ = ("_given", "_next", "_on_given", "_places", "_recipients")

    def __init__(self, recipients: Sequence[Mailbox], on_given: Callable[[], None]) -> None:
        self._recipients = recipients
        self._on_given = on_given
        self._places: dict[str, deque[int]] = {}  # made when the first is given: most sessions give none
        self._given: list[Reply | None] = []
        self._next = 0

    @property
    def is_used(self) -> bool:
        """Whether any was given."""
        return bool(self._given)

    def give(self, recipient: Mailbox | str, verdict: Reply) -> None:
        """Take a verdict.

        Raises:
            ValueError: if no (further) verdict on this recipient is due, or the reply is none.
        """
        if not _is_verdict(verdict):
            raise ValueError(f"a verdict is a 2yz, 4yz or 5yz reply, not {verdict}")
        if not self._given:
            self._open()
        name = str(recipient)
        places = self._places.get(name)
        if not places:
            reason = "is no recipient of this message" if places is None else "has its verdict already"
            raise ValueError(f"{escape(name)} {reason}")
        self._given[places.popleft()] = verdict
        self._on_given()

    def _open(self) -> None:
        for place, recipient in enumerate(self._recipients):
            self._places.setdefault(str(recipient), deque()).append(place)
        self._given = [None] * len(self._recipients)

    def take_next(self) -> Reply | None:
        """The next one in order, once; None as long as it is not known."""
        if self._next >= len(self._given) or (verdict := self._given[self._next]) is None:
            return None
        self._next += 1
        return verdict

    def completed(self, rest: list[Reply | None]) -> list[Reply | None]:
        """All of them: `rest`, one for everybody or one for each, where none was given."""
        if not self._given:
            return rest
        others = rest if len(rest) > 1 else rest * len(self._given)
        return [given or other for given, other in zip(self._given, others, strict=True)]


def _is_verdict(value: object) -> bool:
    return isinstance(value, Reply) and value.severity is not Severity.CONTINUE

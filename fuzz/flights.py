"""Several messages under way on one connection: where they come from, and what is said to have become of each."""

from dataclasses import dataclass, field

from smtpx.errors import RefusedError, SMTPXError, TransportError
from smtpx.flows.content import Content
from smtpx.flows.flight import Job
from smtpx.flows.outcome import SendResult
from smtpx.flows.plan import Envelope, TransactionOptions
from smtpx.wire.address import Mailbox

__all__ = ["Books", "message"]


def message(number: int, body: bytes, sender: Mailbox, people: tuple[Mailbox, ...], options: TransactionOptions) -> Job:
    """One that no other can be taken for."""
    content = b"N%d: x\r\n" % number + body
    return Job(number, Envelope(sender, people), Content.of(content), options)


@dataclass
class Books:
    """A ledger, which may be asked for less than it has."""

    waiting: list[Job]
    taken: list[Job] = field(default_factory=list[Job])
    fates: dict[int, SendResult | SMTPXError] = field(default_factory=dict[int, SendResult | SMTPXError])
    lost_: dict[int, bool] = field(default_factory=dict[int, bool])

    def next_job(self) -> Job | None:
        """See `Ledger`."""
        if not self.waiting:
            return None
        self.taken.append(self.waiting.pop(0))
        return self.taken[-1]

    def landed(self, job: Job, outcome: SendResult | SMTPXError) -> None:
        """See `Ledger`."""
        assert self._is_open(job), "a fate told twice"
        self.fates[_number(job)] = outcome

    def lost(self, job: Job, error: SMTPXError, *, begun: bool) -> None:
        """See `Ledger`."""
        assert self._is_open(job), "a fate told twice"
        self.lost_[_number(job)] = begun

    def _is_open(self, job: Job) -> bool:
        number = _number(job)
        return job in self.taken and number not in self.fates and number not in self.lost_

    def check(self, error: SMTPXError | None) -> None:
        """See that everything taken was told, and that it fits together."""
        told = [*self.fates, *self.lost_]
        assert sorted(told) == [_number(each) for each in self.taken], "what became of it?"
        assert error is not None or not (self.lost_ or self.waiting), "left behind for no reason"
        assert sum(self.lost_.values()) <= 1, "several had their turn when the connection was lost"
        for outcome in self.fates.values():
            if isinstance(outcome, RefusedError) and outcome.result is not None:
                assert not outcome.result.accepted
            if isinstance(outcome, TransportError) and outcome.stage != "final":
                assert not (outcome.result and outcome.result.accepted), "accepted, and nothing was sent"

    def unknown(self) -> list[Job]:
        """Those that may have been delivered."""
        return [each for each in self.taken if _is_unknown(self.fates.get(_number(each)))]

    def sent(self) -> list[tuple[Job, SendResult]]:
        """Those that somebody has."""
        pairs = [(each, self.fates.get(_number(each))) for each in self.taken]
        return [(job, fate) for job, fate in pairs if isinstance(fate, SendResult)]

    def gone(self) -> list[Job]:
        """Those that nobody can have got."""
        return [each for each in self.taken if _number(each) in self.lost_]


def _is_unknown(fate: SendResult | SMTPXError | None) -> bool:
    return isinstance(fate, SMTPXError) and not isinstance(fate, RefusedError) and fate.stage == "final"


def _number(job: Job) -> int:
    assert isinstance(job.key, int)
    return job.key

"""A filter for mail that comes in: middlewares of smtpx and one of your own, around a session that keeps messages.

The order is the policy: the first one is asked first, and told last what became of it. docs/serving.md explains what
they do. Run it:

    python examples/inbound_filter.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import smtpx
from smtpx.server.access import Allow, Deny
from smtpx.server.body import Body
from smtpx.server.context import Key
from smtpx.server.rate import Rate
from smtpx.server.rate_limit import RateLimit
from smtpx.server.transaction_log import TransactionLog
from smtpx.wire.params import Params

OURS = "example.org"
MAX_REMEMBERED = 100_000
KNOWN_FOR: Key[float] = Key("seconds that we know this sender")


class Greylist:
    """Tells strangers to come back later: who sends spam mostly does not.

    One object serves all connections and remembers; it makes a session around the one inside for each of them.

    Args:
        seconds: how long somebody new has to wait.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.first_seen: dict[tuple[str, str, str], float] = {}

    def __call__(self, inner: smtpx.Session) -> smtpx.Session:
        return _Greylisted(inner, self)

    def known_for(self, triplet: tuple[str, str, str]) -> float:
        """For how many seconds this client, sender and recipient have been known."""
        now = self.clock()
        if len(self.first_seen) > MAX_REMEMBERED:  # nobody fills our memory with names of senders
            del self.first_seen[next(iter(self.first_seen))]
        return now - self.first_seen.setdefault(triplet, now)


class _Greylisted(smtpx.Middleware):
    def __init__(self, inner: smtpx.Session, policy: Greylist) -> None:
        super().__init__(inner)
        self.policy = policy
        self.sender = smtpx.NULL_SENDER

    async def mail(self, sender: smtpx.Mailbox, params: Params) -> smtpx.Reply | None:
        self.sender = sender
        return await super().mail(sender, params)

    async def rcpt(self, recipient: smtpx.Mailbox, params: Params) -> smtpx.Reply | None:
        reply = await super().rcpt(recipient, params)  # first of all: is there such a mailbox?
        known = self.policy.known_for((self.peer.address, str(self.sender), str(recipient)))
        if known < self.policy.seconds:
            raise smtpx.Reject.try_later("we have not met; try again in a minute")
        self.context[KNOWN_FOR] = known  # for whoever is inside
        return reply


class Archive(smtpx.Session):
    """Keeps what it is given."""

    kept: list[tuple[float, bytes]] = []  # noqa: RUF012 - one list for all of them

    async def data(self, body: Body) -> smtpx.Reply:
        """Keep a message, and how long its sender was known."""
        self.kept.append((self.context.get(KNOWN_FOR, 0.0), await body.read()))
        return smtpx.ok(f"kept as {len(self.kept)}")


def inbound(greylist: Greylist) -> smtpx.Stack:
    """The filter: what `Server` is given in the place of a session class."""
    return smtpx.Stack(
        Archive,
        TransactionLog(),  # outermost, so that it sees what the others refuse
        Deny(networks=["192.0.2.0/24"], senders=["*.spam.example"]),
        RateLimit(messages_per_address=Rate(100, per_seconds=60), recipients_per_address=Rate(500, per_seconds=60)),
        smtpx.AuthorizedRelay([OURS]),
        Allow(recipients=[f"info@{OURS}", f"sales@{OURS}"]),
        greylist,
    )


def main() -> None:
    """Send a few messages through it."""
    letter = b"Subject: hello\r\n\r\nHello!\r\n"
    tries = [
        ("me@client.example", f"info@{OURS}"),
        ("me@client.example", f"info@{OURS}"),
        ("me@client.example", f"nobody@{OURS}"),
        ("me@client.example", "you@elsewhere.example"),
        ("win@big.spam.example", f"info@{OURS}"),
    ]
    now = iter(range(0, 1000, 60))  # a minute between two of them
    with smtpx.ServerThread(inbound(Greylist(60, clock=lambda: next(now))), port=0) as server:
        for sender, recipient in tries:
            try:
                reply = smtpx.send(server.url, letter, sender=sender, recipients=[recipient]).reply
            except smtpx.RefusedError as error:
                reply = error.reply
            print(f"{sender} to {recipient}: {reply}")


if __name__ == "__main__":
    main()

"""Looking on: an observer that keeps account of who sent how much, and a client that tells how long sending took.

docs/observing.md lists everything that can be seen. Run it:

    python examples/observing.py
"""

from __future__ import annotations

from collections import Counter

import smtpx
from smtpx.client.observer import ClientConnectionObserver, TransactionOutcome
from smtpx.net.targets import Target
from smtpx.server.observer import ServerConnectionObserver, TransactionSummary
from smtpx.server.peer import Peer

LETTER = b"Subject: hello\r\n\r\nhello\r\n"


class Account(smtpx.ServerObserver):
    """Counts octets by network address, for all connections of a server."""

    def __init__(self) -> None:
        self.octets: Counter[str] = Counter()

    def connection_opened(self, peer: Peer) -> ServerConnectionObserver:
        return Accounted(peer, self.octets)


class Accounted(ServerConnectionObserver):
    """One connection: what it wants to know of it, it keeps itself."""

    def __init__(self, peer: Peer, octets: Counter[str]) -> None:
        super().__init__(peer)
        self.octets = octets
        self.commands = 0

    def command(self, verb: str, line: str) -> None:
        self.commands += 1

    def transaction_ended(self, transaction: TransactionSummary) -> None:
        self.octets[self.peer.address] += transaction.octets
        print(f"message {transaction.outcome} behind {self.commands} commands: {transaction.octets} octets")


class Stopwatch(smtpx.ClientObserver):
    """Wants to know of connections, and not of messages as a whole."""

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver:
        return Timed(connection_id, target)


class Timed(ClientConnectionObserver):
    """Tells of messages that took long."""

    def transaction_ended(self, transaction: TransactionOutcome) -> None:
        print("sent in time" if transaction.seconds < 10 else f"{transaction.id}: {transaction.seconds:.1f} s")


def main() -> None:
    """A server in a thread, a client, and what both saw."""
    account = Account()
    with (
        smtpx.ServerThread(smtpx.Session, port=0, observer=account) as server,
        smtpx.Client(server.url, observer=Stopwatch()) as client,
    ):
        client.send(LETTER, sender="a@example.org", recipients=["b@example.org"])
    print(dict(account.octets))


if __name__ == "__main__":
    main()

"""What the mailer costs: personalised messages by `SMTPProvider.send_bulk` against ready-made octets by `AsyncClient`.

    python -m bench.mailer [--messages 10000] [--rounds 4] [--connections 1]

Both send to the same server process, by turns (A B A B ...), so that what else runs on the machine falls on both. A
round of each counts by itself; what is printed are medians, and the ratio is that of the rounds side by side. The ratio
by CPU time of this process is what would be left with a server that takes no time at all.

Two servers: one that answers at once, which no server does that keeps what it takes, and one that takes a millisecond.

The goals: 0.80 of the client's messages per second, and less than 250 microseconds for building a message.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from smtpx.client.aio import AsyncClient
from smtpx.client.bulk import Outgoing, SendOutcome
from smtpx.client.settings import Limits
from smtpx.client.stamp import new_id, now_here
from smtpx.flows.session import Security
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.compose import Message

from .discard import discarding

_SENDER = "Shop <shop@shop.example>"
_LINE = "Your order number {number} left our house, {name}, and will be with you in two or three days.\n"
_TEXT = "Dear {name},\n\n" + _LINE * 24 + "\nYours, the shop\n"
_ROW = "<p>Your order number <b>{number}</b> left our house, {name}, and will be with you soon.</p>\n"
_HTML = "<html><body><h1>Dear {name}</h1>\n" + _ROW * 26 + "<p>Yours, the shop</p></body></html>\n"


def letter(number: int, *, derived: bool = False) -> Message:
    """One of the messages: text and HTML, about 5 KB in all, the text made of the HTML if `derived`."""
    name = f"Customer {number}"
    return Message(
        from_=_SENDER,
        to=(name, f"customer{number}@home.example"),
        subject=f"Your order {number}",
        text=None if derived else _TEXT.format(name=name, number=number),
        html=_HTML.format(name=name, number=number),
    )


def octets_of(message: Message) -> bytes:
    """What goes over the wire."""
    return b"".join(message.stamped(now_here, new_id).octets(eight_bit=True, utf8=True))


# Building ------------------------------------------------------------------------------------------------------------


def build_microseconds(count: int, *, derived: bool) -> float:
    """The CPU time that one message takes, from its texts to its octets."""
    begun = time.process_time()
    for number in range(count):
        octets_of(letter(number, derived=derived))
    return (time.process_time() - begun) / count * 1e6


# Sending -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    """What one round took."""

    wall_seconds: float
    cpu_seconds: float


async def timed(send: Callable[[], Awaitable[int]], count: int) -> Round:
    """One round.

    Raises:
        RuntimeError: if not all were sent.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    sent = await send()
    took = Round(time.perf_counter() - wall, time.process_time() - cpu)
    if sent != count:
        raise RuntimeError(f"{sent} of {count} messages were sent")
    return took


async def by_client(port: int, connections: int, ready: list[Outgoing]) -> int:
    """Ready-made octets; gives how many were accepted."""
    limits, sent = Limits(max_connections=connections), 0
    async with AsyncClient(f"smtp://127.0.0.1:{port}", security=Security.NONE, limits=limits) as client:
        async for outcome in client.send_many(ready):
            sent += outcome.result is not None
    return sent


async def by_provider(port: int, connections: int, count: int) -> int:
    """Messages that are made as they go, with somebody who watches a bar."""
    done = 0

    def progress(outcome: SendOutcome) -> None:
        nonlocal done
        done += outcome.error is None

    options = {"rate_limit": None, "max_connections": connections}
    async with SMTPProvider("127.0.0.1", port, security=Security.NONE, **options) as provider:  # type: ignore[arg-type]
        result = await provider.send_bulk((letter(number) for number in range(count)), on_outcome=progress)
    return min(done, len(result.succeeded))


async def rounds(port: int, count: int, times: int, connections: int) -> list[tuple[Round, Round]]:
    """Pairs of rounds: client and provider."""
    ready = [
        Outgoing(octets_of(letter(number)), "shop@shop.example", [f"customer{number}@home.example"])
        for number in range(count)
    ]
    pairs = list[tuple[Round, Round]]()
    for _ in range(times):
        client = await timed(lambda: by_client(port, connections, ready), count)
        pairs.append((client, await timed(lambda: by_provider(port, connections, count), count)))
    return pairs


def report(pairs: list[tuple[Round, Round]], count: int) -> None:
    """Print it."""
    clients, providers = zip(*pairs, strict=True)
    for name, taken in (("AsyncClient.send_many, ready-made", clients), ("SMTPProvider.send_bulk", providers)):
        wall = statistics.median(each.wall_seconds for each in taken)
        cpu = statistics.median(each.cpu_seconds for each in taken)
        print(f"{name:34} {count / wall:9,.0f} messages/s, {cpu / count * 1e6:6.0f} us CPU each")
    wall_ratio = statistics.median(a.wall_seconds / b.wall_seconds for a, b in pairs)
    cpu_ratio = statistics.median(a.cpu_seconds / b.cpu_seconds for a, b in pairs)
    print(f"{'throughput of the provider':34} {wall_ratio:9.2f} of the client's (goal: 0.80); by CPU {cpu_ratio:.2f}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.mailer", description="What the mailer costs.")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=1)
    told = parser.parse_args()
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {told.messages} messages of {len(octets_of(letter(0)))} octets")
    for derived in (False, True):
        micros = build_microseconds(told.messages // 4, derived=derived)
        print(f"{'building, text derived' if derived else 'building, text and HTML':34} {micros:9.0f} us (goal: 250)")
    for seconds in (0.0, 0.001):
        count = told.messages if not seconds else told.messages // 5
        print(f"a server that takes {seconds * 1000:g} ms for each:")
        with discarding(seconds) as port:
            pairs = asyncio.run(rounds(port, count, told.rounds, told.connections))
        report(pairs, count)


if __name__ == "__main__":
    main()

"""The soak with server, attackers and honest clients in processes of their own, so that a time says something.

    .venv/bin/python -m tests.server.soak [--seconds 60] [--hostile 500] [--honest 50]

Exit status 1 when a message is missing, a counter is not back at zero, or the 99th percentile is above 500 ms.
"""

import argparse
import asyncio
import hashlib
import logging
import multiprocessing
import os
import statistics
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from tests.server import rig
from tests.server.rig import eventually
from tests.server.test_soak import attackers, content, hard_server, keepers, send_honestly

__all__ = ["MOST_MILLISECONDS", "Soaked", "main", "soak"]

MOST_MILLISECONDS = 500
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Soaked:
    """What became of it.

    Attributes:
        took: seconds of each good transaction, from connecting to the close.
        attacks: hostile connections.
        missing: numbers of the messages that were answered 250 and are not there as they were sent.
        left: counters of the server that are not zero at the end, by name.
    """

    took: list[float]
    attacks: int
    missing: list[int]
    left: dict[str, int]

    @property
    def slowest(self) -> float:
        """The 99th percentile, in milliseconds."""
        return statistics.quantiles(self.took, n=100)[98] * 1000


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _serve(pipe: Pipe) -> None:
    async def serve() -> None:
        kind = keepers()
        async with hard_server(kind) as server:
            pipe.send(server.port)
            await asyncio.to_thread(pipe.recv)  # until all others are done
            await eventually(lambda: server.connections == 0, 60)
            left = {"connections": server._guard.connections, "networks": len(server._guard._by_network)}
            left |= {"held octets": server._guard.load.held_bytes, "logins": int(not server._guard.auth_turns.is_idle)}
        pipe.send(({number: _digest(octets) for number, octets in kind.kept.items()}, left))

    logging.basicConfig(filename=os.devnull, level=logging.INFO)  # written, but by nobody read
    asyncio.run(serve())


def _attack(pipe: Pipe, port: int, number: int, seconds: float) -> None:
    pipe.send(asyncio.run(attackers(port, number, seconds)))


async def _send(port: int, clients: int, seconds: float) -> tuple[list[float], dict[int, str]]:
    loop = asyncio.get_running_loop()
    until, took, sent = loop.time() + seconds, list[float](), dict[int, str]()
    numbers = iter(range(10**9))

    async def go_on() -> None:
        while loop.time() < until:
            began = loop.time()
            await send_honestly(port, number := next(numbers))
            took.append(loop.time() - began)
            sent[number] = _digest(content(number))
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(go_on())
    return took, sent


def soak(seconds: float, hostile: int, honest: int) -> Soaked:
    """Let them at it for so long."""
    rig.SECONDS = 30.0
    server_end, server_pipe = _SPAWN.Pipe()
    attack_end, attack_pipe = _SPAWN.Pipe()
    server = _SPAWN.Process(target=_serve, args=(server_pipe,), daemon=True)
    server.start()
    port = server_end.recv()
    attacker = _SPAWN.Process(target=_attack, args=(attack_pipe, port, hostile, seconds), daemon=True)
    attacker.start()
    took, sent = asyncio.run(_send(port, honest, seconds))
    attacks = attack_end.recv()
    server_end.send(None)
    kept, left = server_end.recv()
    for process in (server, attacker):
        process.join(30)
    missing = [number for number, digest in sent.items() if kept.get(f"honest{number}") != digest]
    return Soaked(took, attacks, missing, {name: count for name, count in left.items() if count})


def main() -> int:
    """Say what became of it."""
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hostile", type=int, default=500)
    parser.add_argument("--honest", type=int, default=50)
    chosen = parser.parse_args()
    soaked = soak(chosen.seconds, chosen.hostile, chosen.honest)
    middle = statistics.median(soaked.took) * 1000
    print(  # noqa: T201 - what a soak is for
        f"{chosen.seconds:g} s: {soaked.attacks} attacks by {chosen.hostile}, {len(soaked.took)} messages by "
        f"{chosen.honest}; half within {middle:.0f} ms, 99 % within {soaked.slowest:.0f} ms; "
        f"missing: {soaked.missing or 'none'}; counters left: {soaked.left or 'none'}"
    )
    return int(bool(soaked.missing or soaked.left or soaked.slowest > MOST_MILLISECONDS))


if __name__ == "__main__":
    sys.exit(main())

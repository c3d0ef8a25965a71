"""Tries one target in this process, until it finds something or its time is up: `python -m fuzz.engine NAME ...`.

With atheris, new inputs are kept by what they reach; without it they are mutations of the seeds, and known only by what
they break. A finding is written to a file and ends the process with a status of its own.
"""

import argparse
import hashlib
import importlib
import importlib.util
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz import targets
from fuzz.mutations import mutated

__all__ = ["FINDING", "MAX_SECONDS_PER_INPUT", "has_atheris", "main"]

FINDING = 77  # libFuzzer's status for an exception
MAX_SECONDS_PER_INPUT = 10
_MAX_BYTES = 2048
_MAX_MEGABYTES = 2048


def has_atheris() -> bool:
    """Whether the coverage-guided engine is installed."""
    return importlib.util.find_spec("atheris") is not None


def main(arguments: list[str] | None = None) -> int:
    """Try one target."""
    parser = argparse.ArgumentParser(prog="fuzz.engine")
    parser.add_argument("name", choices=targets.NAMES)
    parser.add_argument("--engine", choices=("atheris", "mutations"), required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--findings", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    if chosen.engine == "atheris":
        _with_atheris(chosen.name, chosen.seconds, chosen.corpus, chosen.findings)
        return 0
    return _with_mutations(chosen.name, chosen.seconds, chosen.findings)


def _with_atheris(name: str, seconds: int, corpus: Path, findings: Path) -> None:
    atheris: Any = importlib.import_module("atheris")  # its types know only a part of it
    with atheris.instrument_imports(include=["smtpx"]):  # what is tried, not what tries it
        target = targets.load(name)
    with tempfile.NamedTemporaryFile("w", suffix=".dict") as words:
        words.writelines(f'"{_escaped(token)}"\n' for token in target.tokens)
        words.flush()
        options = [
            *(f"-max_total_time={seconds}", f"-max_len={_MAX_BYTES}", f"-timeout={MAX_SECONDS_PER_INPUT}"),
            *(f"-rss_limit_mb={_MAX_MEGABYTES}", f"-dict={words.name}", f"-artifact_prefix={findings}/{name}-"),
            *("-print_final_stats=1", "-verbosity=1", str(corpus), str(target.seeds[0].parent)),
        ]
        atheris.Setup([sys.argv[0], *options], target.run)
        atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in token)


def _with_mutations(name: str, seconds: int, findings: Path) -> int:
    target = targets.load(name)
    seeds = [path.read_bytes() for path in target.seeds]
    count, end, dice = 0, time.monotonic() + seconds, random.Random()  # what was found is written down: no seed needed
    signal.signal(signal.SIGALRM, _too_slow)
    try:
        while count < len(seeds) or time.monotonic() < end:
            data = seeds[count] if count < len(seeds) else mutated(seeds, target.tokens, dice)
            if not _try(
                target.run, data, findings / f"{name}-crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"
            ):
                return FINDING
            count += 1
    finally:
        print(f"stat::number_of_executed_units: {count}", file=sys.stderr)
    return 0


def _try(run: Callable[[bytes], None], data: bytes, path: Path) -> bool:
    signal.alarm(MAX_SECONDS_PER_INPUT)
    try:
        run(data)
    except Exception:
        path.write_bytes(data)
        traceback.print_exc()
        return False
    finally:
        signal.alarm(0)
    return True


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"one input took more than {MAX_SECONDS_PER_INPUT} seconds")


if __name__ == "__main__":
    sys.exit(main())

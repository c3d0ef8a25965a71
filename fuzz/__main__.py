"""`scripts/fuzz`: tries targets one after the other, each in a process of its own, and says what was found."""

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz import engine, targets

_ROOT = Path(__file__).parent
CORPUS = _ROOT / "corpus"
FINDINGS = _ROOT / "findings"
_SHORT_SECONDS = 3
_GRACE_SECONDS = 60  # for a start on a busy machine
_NOT_ENDED = 124  # as timeout(1) has it
_EXECUTED = re.compile(rb"number_of_executed_units: *([0-9]+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: nothing found; 1: something; 130: interrupted."""
    chosen = _parser().parse_args(arguments)
    if chosen.list:
        print("\n".join(targets.NAMES))
        return 0
    if chosen.input is not None:
        return _reproduce(chosen.targets, chosen.input)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        found = _try_all(chosen)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    print(f"something found in {', '.join(found)}" if found else "nothing found")
    return 1 if found else 0


def _try_all(chosen: argparse.Namespace) -> list[str]:
    seconds = _SHORT_SECONDS if chosen.short else chosen.seconds
    kind = chosen.engine or ("atheris" if engine.has_atheris() else "mutations")
    how = "atheris: coverage decides" if kind == "atheris" else "mutations: changed seeds; no coverage"
    print(f"{how}; {seconds} s for each target", flush=True)
    return [name for name in chosen.targets or targets.NAMES if not _try(name, kind, seconds)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Try what strangers may send.")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", choices=[*targets.NAMES, []], help="default: all of them"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=_positive, default=600, help="for each target (default: %(default)s)")
    length.add_argument("--short", action="store_true", help=f"{_SHORT_SECONDS} seconds for each, as in CI")
    parser.add_argument("--engine", choices=("atheris", "mutations"), help="default: atheris where it is installed")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run one target once, with this input")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _reproduce(names: Sequence[str], path: Path) -> int:
    if len(names) != 1:
        print("scripts/fuzz: --input needs one target", file=sys.stderr)
        return 64
    targets.load(names[0]).run(path.read_bytes())  # with its traceback, which is what is wanted
    print("nothing found")
    return 0


def _try(name: str, kind: str, seconds: int) -> bool:
    corpus = CORPUS / name
    for directory in (corpus, FINDINGS):
        directory.mkdir(parents=True, exist_ok=True)
    before, start = set(FINDINGS.iterdir()), time.monotonic()
    command = [sys.executable, "-m", "fuzz.engine", name, "--engine", kind, "--seconds", str(seconds)]
    command += ["--corpus", str(corpus), "--findings", str(FINDINGS)]
    with tempfile.TemporaryFile() as log:
        status = _run(command, log.fileno(), seconds + _GRACE_SECONDS)
        log.seek(0)
        said = log.read()
    executed = _EXECUTED.findall(said)
    count = f"{int(executed[-1]):,} inputs" if executed else "inputs not counted"
    what = {0: "nothing", _NOT_ENDED: "NOT ENDED in time"}.get(status, "FOUND")
    print(f"{name}: {what} ({count}, {time.monotonic() - start:.0f} s)", flush=True)
    if status == 0:
        return True
    sys.stdout.flush()
    lines = said.decode(errors="replace").splitlines(keepends=True)
    sys.stderr.writelines([line for line in lines if not line.startswith(("#", "INFO"))][-80:])
    for path in sorted(set(FINDINGS.iterdir()) - before):
        print(f"again: scripts/fuzz {name} --input {path.relative_to(_ROOT.parent)}", flush=True)
    return False


def _run(command: Sequence[str], log: int, max_seconds: float) -> int:
    """The exit status of a child that does not outlive us; `_NOT_ENDED` when it had to be ended."""
    interrupted: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))  # no child that nobody knows
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=_ROOT.parent) as child:
        try:
            signal.signal(signal.SIGINT, usual)
            if interrupted:
                raise KeyboardInterrupt
            return child.wait(max_seconds)
        except subprocess.TimeoutExpired:
            return _NOT_ENDED
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()


if __name__ == "__main__":
    sys.exit(main())

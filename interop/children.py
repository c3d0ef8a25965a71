"""Child processes that never outlive the run, with everything they print kept in a log."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["Child", "Log", "all_logs", "free_port", "wait_until"]

_LOGS: list["Log"] = []


class Log:
    """A file that some program appends to, and how much of it the current test has seen."""

    def __init__(self, title: str, path: Path) -> None:
        self.title = title
        self.path = path
        self._mark = 0
        path.touch()
        _LOGS.append(self)

    def mark(self) -> None:
        """Forget what was written so far."""
        self._mark = self.path.stat().st_size if self.path.exists() else 0

    def text(self) -> str:
        """What was written since `mark`."""
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(self._mark)
            return file.read().decode("utf-8", "replace")

    def wait_for(self, wanted: str, *, timeout_seconds: float = 10) -> str:
        """The text since `mark`, as soon as it contains `wanted`.

        Raises:
            TimeoutError: it did not appear in time; the message carries the log.
        """
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: wanted in self.text(), timeout_seconds=timeout_seconds)
        if wanted not in (text := self.text()):
            raise TimeoutError(f"{wanted!r} is not in the log of {self.title}:\n{text}")
        return text


def all_logs() -> Sequence[Log]:
    """Every log opened in this run, the oldest first."""
    return tuple(_LOGS)


class Child:
    """A running program in a session of its own; leaving the `with` block ends it and its group."""

    def __init__(
        self,
        title: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.title = title
        self.log = Log(title, log)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._guardian = _guard(self.process.pid)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, *, timeout_seconds: float = 15) -> int:
        """Ask it to end (SIGTERM), insist after the timeout (SIGKILL); the exit status."""
        _dismiss(self._guardian)
        self.process.terminate()
        try:
            return self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._kill_group()
            return self.process.wait()
        finally:
            self._kill_group()

    def wait_for_port(self, port: int, *, timeout_seconds: float = 20) -> None:
        """Return when something accepts connections on the loopback port.

        Raises:
            RuntimeError: the program ended instead.
            TimeoutError: neither happened in time.
        """

        def answers() -> bool:
            if (status := self.process.poll()) is not None:
                raise RuntimeError(f"{self.title} ended with {status}:\n{self.log.text()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        wait_until(answers, timeout_seconds=timeout_seconds)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def wait_until(happened: Callable[[], bool], *, timeout_seconds: float) -> None:
    """Return when `happened()` is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing within {timeout_seconds} s")
        time.sleep(0.02)


def free_port() -> int:
    """A loopback port that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _guard(group: int) -> subprocess.Popen[bytes]:
    # A finaliser does not run when pytest is killed. Then this pipe closes, and the guardian ends the group. The
    # kernel's parent-death signal will not do: it is lost when a program changes its user, as Postfix does.
    command = ["sh", "-c", 'read -r _; kill -s TERM -- "-$1"; sleep 3; kill -s KILL -- "-$1"', "guardian", str(group)]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=silent, stderr=silent, start_new_session=True)


def _dismiss(guardian: subprocess.Popen[bytes]) -> None:
    with guardian:
        guardian.kill()

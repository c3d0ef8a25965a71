"""What the command talks to in these tests: itself as a child process, and servers that answer as they are told."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

import pytest

import smtpx.cli

__all__ = ["Client", "FakeServer", "Outcome", "child", "command", "run", "serving"]

Answer = bytes | None | Callable[[socket.socket], None]


class Outcome:
    """What a run of the command gave."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"


def run(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> Outcome:
    """The command, in this process."""
    capfd.readouterr()
    status = smtpx.cli.run([str(each) for each in arguments])
    out, err = capfd.readouterr()
    assert "Traceback" not in err, err
    return Outcome(int(status), out, err)


def command(*arguments: str | Path) -> list[str]:
    """The command as a program."""
    return [sys.executable, "-m", "smtpx", *map(str, arguments)]


def child(
    *arguments: str | Path,
    stdin: bytes | IO[bytes] = b"",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Outcome:
    """The command as a process of its own."""
    process = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        cwd=directory,
    )
    out, err = process.communicate(stdin if isinstance(stdin, bytes) else None, timeout=50)
    assert b"Traceback" not in err
    return Outcome(process.returncode, out.decode(), err.decode())


class Served:
    """A running `smtpx serve`."""

    def __init__(self, process: "subprocess.Popen[str]", directory: Path) -> None:
        self.process = process
        self.directory = directory
        assert process.stdout is not None
        self.announcement = process.stdout.readline()
        self.url = self.announcement.removeprefix("listening on ").rstrip("\n")
        self.ended: Outcome | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    @property
    def messages(self) -> list[bytes]:
        """What was stored, the oldest first."""
        return [path.read_bytes() for path in sorted((self.directory / "Maildir" / "new").iterdir())]

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_seconds: float = 20) -> Outcome:
        """Wait for its end."""
        if self.ended is None:
            out, err = self.process.communicate(timeout=timeout_seconds)
            assert "Traceback" not in err, err
            self.ended = Outcome(self.process.returncode, out, err)
        return self.ended

    def stop(self) -> Outcome:
        """SIGTERM, and wait."""
        self.signal()
        return self.wait()


@contextlib.contextmanager
def serving(directory: Path, *arguments: str | Path, port: bool = True) -> Iterator[Served]:
    """`smtpx serve` on a free port, in a directory; ended when the block is left."""
    where = ("--port", "0") if port else ()
    process = subprocess.Popen(
        command("serve", *where, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=directory,
    )
    with process:
        server = Served(process, directory)
        try:
            yield server
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    server.wait()
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


class Client:
    """A client by hand: lines out, replies in."""

    def __init__(self, where: int | str) -> None:
        if isinstance(where, int):
            self.socket = socket.create_connection(("127.0.0.1", where), 10)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(10)
            self.socket.connect(where)
        self._file = self.socket.makefile("rb")

    def reply(self) -> str:
        """The next reply, all its lines; empty at the end of the connection."""
        lines = [self._file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self._file.readline())
        return b"".join(lines).decode()

    def say(self, line: str) -> str:
        """One line out, its reply in."""
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def __enter__(self) -> Self:
        assert self.reply().startswith("220")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()


class FakeServer:
    """Answers by verb, and keeps what it was told. An answer of None closes the connection.

    Args:
        answers: verb to one answer, or several: one after the other, the last again and again.
        offers: lines of the EHLO reply.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer | Sequence[Answer]] | None = None,
        *,
        offers: Sequence[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE"),
        greeting: Answer = b"220 fake.example ESMTP\r\n",
    ) -> None:
        lines = ["fake.example", *offers]
        hello = "".join(f"250{' ' if line is lines[-1] else '-'}{line}\r\n" for line in lines).encode()
        usual: dict[str, Answer] = {"EHLO": hello, "LHLO": hello, "DATA": b"354 go\r\n", "QUIT": b"221 bye\r\n"}
        chosen = {**usual, **(answers or {})}
        self._answers = {
            verb: list(answer) if isinstance(answer, list | tuple) else [answer] for verb, answer in chosen.items()
        }
        self._greeting = greeting
        self.lines: list[str] = []
        self.contents: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"smtp://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def verbs(self) -> list[str]:
        """What it was told, first words."""
        return [line.partition(" ")[0].upper() for line in self.lines]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a reply has left when the next thing happens
        with connection.makefile("rb") as file:
            going = self._give(connection, self._greeting)
            while going and (line := file.readline()):
                self.lines.append(line.decode().rstrip("\r\n"))
                verb = self.verbs[-1]
                going = self._give(connection, self._next(verb))
                if going and verb == "DATA":
                    going = self._take_content(connection, file)
                if verb == "QUIT":
                    return

    def _take_content(self, connection: socket.socket, file: IO[bytes]) -> bool:
        content = b""
        while not content.endswith(b"\r\n.\r\n") and content != b".\r\n":
            if not (line := file.readline()):
                return False
            content += line
        self.contents.append(content.removesuffix(b".\r\n"))
        return self._give(connection, self._next("."))

    def _next(self, verb: str) -> Answer:
        answers = self._answers.get(verb, [b"250 2.0.0 ok\r\n"])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    @staticmethod
    def _give(connection: socket.socket, answer: Answer) -> bool:
        if callable(answer):
            answer(connection)
        elif answer is not None:
            connection.sendall(answer)
        return answer is not None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(12)

"""Providers that send nothing anywhere: for tests, for development, and for files that something else picks up."""

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TextIO

from smtpx.errors import ConfigurationError, RefusedError, TransportError
from smtpx.flows.outcome import SendResult, all_refused
from smtpx.mailer.base import BaseProvider
from smtpx.message.sendable import Sendable
from smtpx.wire.address import Mailbox
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import escape

__all__ = ["ConsoleProvider", "FileProvider", "MemoryProvider", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a local provider has taken.

    Attributes:
        sender, recipients: the envelope; recipients that were refused are not among them.
        octets: as a server would have got them.
        message: what was sent, complete with date and Message-ID.
        wishes: for extensions.
    """

    sender: str
    recipients: tuple[str, ...]
    octets: bytes = field(repr=False)
    message: Sendable
    wishes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def email(self) -> EmailMessage:
        """The message, read again by the standard library."""
        return message_from_bytes(self.octets, policy=policy.default)

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.email["Subject"] or "")


def _sent(message: Sendable) -> Sent:
    """Written as for a server that takes everything."""
    posting = message.posting()
    utf8 = not all(each.is_ascii for each in (posting.sender, *posting.recipients))
    octets = b"".join(message.octets(eight_bit=True, utf8=utf8))
    return Sent(str(posting.sender), tuple(map(str, posting.recipients)), octets, message, posting.wishes)


def _taken(recipients: tuple[str, ...], name: str) -> SendResult:
    reply = Reply(250, EnhancedCode(2, 0, 0), (f"queued as {name}",))
    return SendResult(dict.fromkeys(recipients, reply), {}, reply)


@dataclass(slots=True)
class _Fault:
    error: Exception
    times: int | None
    when: Callable[[Sendable], bool]


class MemoryProvider(BaseProvider):
    """Keeps what is sent in a list, for tests, and fails on demand.

    Args:
        from_email: sender of messages that name none.

    Attributes:
        outbox: what was sent, oldest first. Tests may clear it.
        delay_seconds: how long each message takes.
    """

    provider_type = "memory"

    def __init__(self, *, from_email: str = "", close_seconds: float = 30.0) -> None:
        super().__init__(from_email=from_email, close_seconds=close_seconds)
        self.outbox: list[Sent] = []
        self.delay_seconds = 0.0
        self._faults: list[_Fault] = []
        self._refused: dict[str, Reply] = {}
        self._arrived = asyncio.Event()

    def _forget(self) -> object:
        self._arrived = asyncio.Event()
        return None

    def fail(
        self, error: Exception, *, times: int | None = 1, when: Callable[[Sendable], bool] = lambda message: True
    ) -> None:
        """Raise this instead of sending, for the next so many messages (None: for ever) of which `when` is true.

        Faults are used up in their order.
        """
        self._faults.append(_Fault(error, times, when))

    def refuse(self, address: str, reply: Reply | None = None) -> None:
        """Refuse this recipient from now on, by default with 550 5.1.1."""
        self._refused[_key(address)] = reply or Reply(550, EnhancedCode(5, 1, 1), ("mailbox unavailable",))

    def reset(self) -> None:
        """Forget what was sent, and all faults."""
        self.outbox.clear()
        self._faults.clear()
        self._refused.clear()
        self.delay_seconds = 0.0

    async def deliver(self, message: Sendable) -> SendResult:
        """Keep it.

        Raises:
            Exception: what `fail` was told.
            RefusedError: `refuse` was told of every recipient.
        """
        sent = _sent(message)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        self._fail(message)
        refused = {
            each: RefusedError.of(self._refused[_key(each)], recipient=each, stage="rcpt")
            for each in sent.recipients
            if _key(each) in self._refused
        }
        taken = tuple(each for each in sent.recipients if each not in refused)
        if not taken:
            raise all_refused(SendResult({}, refused))
        self.outbox.append(Sent(sent.sender, taken, sent.octets, message, sent.wishes))
        self._arrived.set()
        result = _taken(taken, str(len(self.outbox)))
        return SendResult(result.accepted, refused, result.reply)

    def _fail(self, message: Sendable) -> None:
        fault = next((each for each in self._faults if each.when(message)), None)
        if fault is None:
            return
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
        raise fault.error

    async def wait_for(self, count: int = 1, timeout_seconds: float = 5.0) -> list[Sent]:
        """The outbox, once there are so many messages in it.

        Raises:
            TimeoutError: naming how many there are.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while len(self.outbox) < count:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.outbox)} of {count} messages in {timeout_seconds:g} s") from None
        return self.outbox


def _key(address: str) -> str:
    mailbox = Mailbox.parse(address)
    return f"{mailbox.local_part}@{mailbox.domain.lower()}"


class ConsoleProvider(BaseProvider):
    """Prints what is sent.

    Args:
        stream: where to; None: standard output, as it is when a message is sent.
    """

    provider_type = "console"

    def __init__(self, stream: TextIO | None = None, *, from_email: str = "") -> None:
        super().__init__(from_email=from_email)
        self._stream = stream
        self._count = 0

    async def deliver(self, message: Sendable) -> SendResult:
        """Print it, with nothing in it that could steer a terminal."""
        sent = _sent(message)
        stream = self._stream or sys.stdout
        lines = [
            f"MAIL FROM:<{sent.sender}>",
            *(f"RCPT TO:<{each}>" for each in sent.recipients),
            "",
            *sent.octets.decode("utf-8", "backslashreplace").split("\r\n"),
        ]
        rule = "-" * 79
        stream.write("\n".join([rule, *map(_printable, lines), rule, ""]))
        stream.flush()
        self._count += 1
        return _taken(sent.recipients, str(self._count))


def _printable(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() or c == "\t" else escape(c) for c in line)


class FileProvider(BaseProvider):
    """Writes each message as an .eml file of its own, readable by nobody else (mode 0600).

    A file appears whole or not at all, and is on the disk when `send` returns. Its name begins with the time (UTC).

    Args:
        directory: where to; made if it is not there.

    Raises:
        ConfigurationError: if it can't be.
    """

    provider_type = "file"

    def __init__(self, directory: str | Path, *, from_email: str = "") -> None:
        super().__init__(from_email=from_email)
        self.directory = Path(directory)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"directory {str(directory)!r}: {error.strerror}") from None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See `Provider`."""
        return {**super().metadata, "directory": str(self.directory)}

    async def deliver(self, message: Sendable) -> SendResult:
        """Write it, in a thread.

        Raises:
            TransportError: the disk's trouble; there is no file then.
        """
        sent = _sent(message)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(8)}.eml"
        writing = asyncio.get_running_loop().run_in_executor(None, _write, self.directory / name, sent.octets)
        try:
            await asyncio.shield(writing)  # cancelled, it still gets done whole
        except OSError as error:
            raise TransportError(f"can't write into {self.directory}: {error.strerror}", stage="body") from error
        return _taken(sent.recipients, name)


def _write(path: Path, octets: bytes) -> None:
    unfinished = path.with_suffix(".tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """The name is on the disk too; on systems where a directory can't be opened there is no way."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

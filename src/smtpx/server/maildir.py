"""Delivery into a Maildir: one file for each message, on disk before the 250 leaves.

A message is written to `tmp`, synced, renamed into `new`, and the directory is synced; only then is it answered. What
goes wrong before leaves nothing in `new`.
"""

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.replies import make
from smtpx.server.body import Body, add_piece
from smtpx.server.peer import Peer
from smtpx.server.session import Reject, Session, ok
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import escape

__all__ = ["Files", "Maildir", "MaildirSession"]

_log = logging.getLogger("smtpx.server.maildir")
_SPOOL_MEMORY = 256 * 1024  # a smaller message is written in one go, in one visit to a thread
_SPOOL_TOTAL_MEMORY = 64 * 1024 * 1024
_SPOOL_TOTAL_DISK = 1024 * 1024 * 1024
_MAX_AGE_SECONDS = 36 * 3600
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMLINK})
_STORE_FAILED = make(451, "4.3.0", "can't store messages just now")


class Files:
    """What a Maildir asks of the file system; tests put faults in here."""

    def open_new(self, path: str) -> BinaryIO:
        """A new file, readable by its owner alone; never one that exists."""
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0)

    def write(self, file: BinaryIO, data: bytes) -> None:
        """All of `data`."""
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]

    def sync(self, file: BinaryIO) -> None:
        """To the disk."""
        os.fsync(file.fileno())

    def rename(self, source: str, target: str) -> None:
        """Within one file system."""
        os.rename(source, target)

    def sync_directory(self, path: str) -> None:
        """The directory's entries to the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: str) -> None:
        """The file, if it is there."""
        Path(path).unlink(missing_ok=True)

    def free_bytes(self, path: str) -> int:
        """What an unprivileged user may still write."""
        stats = os.statvfs(path)
        return stats.f_bavail * stats.f_frsize


class Maildir:
    """A directory with `tmp`, `new` and `cur`.

    Args:
        path: made if it is missing.
        min_free_bytes: below this, messages are refused with 452 at MAIL already.
        spool_memory_bytes: of one message, before it is written to its file.
        spool_total_memory_bytes: of all messages under way; above it each piece is written as it comes.
        spool_total_disk_bytes: of all messages under way; above it, 452 at MAIL.

    Raises:
        OSError: if it can't be made or written to.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        min_free_bytes: int = 100 * 1024 * 1024,
        spool_memory_bytes: int = _SPOOL_MEMORY,
        spool_total_memory_bytes: int = _SPOOL_TOTAL_MEMORY,
        spool_total_disk_bytes: int = _SPOOL_TOTAL_DISK,
        files: Files | None = None,
    ) -> None:
        self.path = Path(path)
        self.files = files or Files()
        self.min_free_bytes = min_free_bytes
        self.spool_memory_bytes = spool_memory_bytes
        self.spool_total_memory_bytes = spool_total_memory_bytes
        self.spool_total_disk_bytes = spool_total_disk_bytes
        self.spooled_memory_bytes = 0
        self.spooled_disk_bytes = 0
        self.is_healthy = True
        for name in ("tmp", "new", "cur"):
            (self.path / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.tmp = str(self.path / "tmp")
        self.new = str(self.path / "new")
        if not os.access(self.tmp, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "can't write to the Maildir", str(self.path))
        self._host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
        self._count = itertools.count(1)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a process that died left in `tmp`: maildir(5) has files there live for 36 hours at most."""
        oldest = time.time() - _MAX_AGE_SECONDS
        for entry in os.scandir(self.tmp):
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)
                    _log.info("removed %s, which was never complete", entry.path)

    def has_room(self) -> bool:
        """Whether there is room enough to take another message."""
        if self.spooled_disk_bytes >= self.spool_total_disk_bytes:
            _log.warning("messages under way fill spool_total_disk_bytes (%d)", self.spool_total_disk_bytes)
            return False
        try:
            return self.files.free_bytes(self.tmp) >= self.min_free_bytes
        except OSError:
            return True  # writing will tell

    def health_problems(self) -> list[str]:
        """What is wrong with it, for `Server.health`: a disk error that no fresh file has made good since."""
        return [] if self.is_healthy else [f"the Maildir {self.path} can't be written to"]

    def new_message(self) -> "NewMessage":
        """A place for one message, with a name nobody else has."""
        now = time.time_ns()
        unique = f"{now // 10**9}.M{now // 1000 % 10**6}P{os.getpid()}Q{next(self._count)}R{secrets.token_hex(4)}"
        return NewMessage(self, f"{unique}.{self._host}")

    def check(self) -> bool:
        """After a disk error: whether a fresh file can be written and synced again. Blocking: for threads."""
        if not self.is_healthy:
            probe = self.new_message()
            try:
                probe.write(b"\n")
                probe.sync()
                self.is_healthy = True
            except OSError as error:
                _log.warning("the Maildir still can't be written to: %s", error)
            finally:
                probe.discard()
        return self.is_healthy


class _Spooled:
    """What one message under way takes, counted in its Maildir until it is left."""

    def __init__(self, maildir: Maildir) -> None:
        self._maildir = maildir
        self.memory = 0
        self.disk = 0

    def keep(self, octets: int) -> bool:
        """So many more are in memory; False when that is too much."""
        maildir = self._maildir
        self.memory += octets
        maildir.spooled_memory_bytes += octets
        is_crowded = maildir.spooled_memory_bytes >= maildir.spool_total_memory_bytes
        return self.memory < maildir.spool_memory_bytes and not is_crowded

    def written(self) -> None:
        """What was in memory is in a file."""
        self._maildir.spooled_disk_bytes += self.memory
        self._maildir.spooled_memory_bytes -= self.memory
        self.disk, self.memory = self.disk + self.memory, 0

    def __enter__(self) -> "_Spooled":
        return self

    def __exit__(self, *args: object) -> None:
        self._maildir.spooled_memory_bytes -= self.memory
        self._maildir.spooled_disk_bytes -= self.disk


class GivenUp(Exception):
    """The message was given up before it was safe."""


class NewMessage:
    """A message on its way into a Maildir. Blocking: for threads, one at a time; `give_up` is for any thread."""

    def __init__(self, maildir: Maildir, name: str) -> None:
        self._maildir = maildir
        self._files = maildir.files
        self.name = name
        self._tmp_path = os.path.join(maildir.tmp, name)
        self._file: BinaryIO | None = None
        self._work = threading.Lock()  # held while a thread is at work on the file
        self._verdict = threading.Lock()  # held while it is decided whether the file is published
        self._given_up = False
        self._published = False

    @property
    def is_begun(self) -> bool:
        """Whether there is a file in `tmp`."""
        return self._file is not None

    def write(self, data: bytes) -> None:
        """One more piece."""
        with self._work:
            self._files.write(self._open(), data)

    def sync(self) -> None:
        """What was written, to the disk."""
        with self._work:
            self._files.sync(self._open())

    def store(self, pieces: Sequence[bytes]) -> None:
        """The last pieces; then make it safe, then visible.

        Raises:
            OSError: nothing is in `new` then, nor in `tmp`.
            GivenUp: the same, because somebody wanted it so.
        """
        try:
            self.write(b"".join(pieces))
            self.sync()
            self._publish()
        except BaseException:
            self.discard()
            raise

    def give_up(self) -> bool:
        """Don't publish it any more; False when that comes too late."""
        with self._verdict:
            self._given_up = True
            return not self._published

    def discard(self) -> None:
        """Leave nothing behind in `tmp`."""
        self.give_up()
        with self._work:
            self._close()
            self._remove(self._tmp_path)

    def _open(self) -> BinaryIO:
        if self._file is None:
            if self._given_up:
                raise GivenUp
            self._file = self._files.open_new(self._tmp_path)
        return self._file

    def _publish(self) -> None:
        with self._work:
            self._close()
            with self._verdict:
                if self._given_up:
                    raise GivenUp
                self._published = True
            target = os.path.join(self._maildir.new, self.name)
            self._files.rename(self._tmp_path, target)
            try:
                self._files.sync_directory(self._maildir.new)
            except OSError:
                self._remove(target)  # it is not safe, so it was never there
                raise

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _remove(self, path: str) -> None:
        try:
            self._files.remove(path)
        except OSError as error:
            _log.warning("can't remove %s: %s", path, error)


class MaildirSession(Session):
    """Stores each message once in a `Maildir`, with Return-Path, Delivered-To and Received in front.

    Args:
        maildir: shared by all sessions.
        hostname: our name in Received.
    """

    def __init__(self, maildir: Maildir, hostname: str, protocol: str = "SMTP") -> None:
        self._maildir = maildir
        self._hostname = hostname
        self._protocol = protocol

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        """Refuse while the disk is full or broken."""
        if not self._maildir.has_room():
            raise Reject.storage_full()
        if not self._maildir.is_healthy and not await asyncio.to_thread(self._maildir.check):
            raise Reject.of(_STORE_FAILED)
        return None

    async def data(self, body: Body) -> Reply:
        """Store; 250 only for what is on disk."""
        message = self._maildir.new_message()
        try:
            with _Spooled(self._maildir) as spooled:
                pieces = await self._spool(message, body, spooled)
                await _store(message, pieces)
        except OSError as error:
            raise self._refusal(error) from error
        return ok(f"queued as {message.name} ({self.peer.transaction_id})")

    async def _spool(self, message: NewMessage, body: Body, spooled: _Spooled) -> list[bytes]:
        """Read the body, and write what is too much for memory; gives the rest."""
        pieces = [self._trace(message.name)]
        try:
            async for piece in body:
                add_piece(pieces, piece)
                if not spooled.keep(len(piece)):
                    data, pieces = b"".join(pieces), []
                    await asyncio.to_thread(message.write, data)
                    spooled.written()
        except asyncio.CancelledError:
            # Not waited for: a thread may hang in the disk, and we may be cancelled for just that.
            asyncio.get_running_loop().run_in_executor(None, message.discard)
            raise
        except BaseException:
            if message.is_begun:
                await asyncio.to_thread(message.discard)
            raise
        return pieces

    def _refusal(self, error: OSError) -> Reject:
        peer = self.peer
        extra = {"connection": peer.id, "transaction": peer.transaction_id, "peer": peer.address}
        _log.error("[%s] can't store a message: %s", peer.transaction_id, error, extra=extra)
        if error.errno in _FULL:
            return Reject.storage_full()
        # After a failed sync the page cache can't be believed: no message is taken until a fresh file is safe.
        self._maildir.is_healthy = False
        return Reject.of(_STORE_FAILED)

    def _trace(self, name: str) -> bytes:
        # As the protocol has it, not as `mail` and `rcpt` were asked: a middleware may have refused after them.
        peer, envelope = self.peer, self.envelope
        recipients = envelope.recipients
        lines = [f"Return-Path: <{envelope.sender or ''}>\r\n"]
        lines += [f"Delivered-To: {recipient}\r\n" for recipient in recipients]
        hello = escape(peer.hello_name or "unknown", max_chars=255)
        recipient = f"\r\n\tfor <{recipients[0]}>" if len(recipients) == 1 else ""
        lines.append(
            f"Received: from {hello} ({_literal(peer)})\r\n"
            f"\tby {self._hostname} (smtpx) with {self._with()}{_tls(peer.tls)}\r\n"
            f"\tid {name.rpartition('.')[0] or name} ({peer.transaction_id}){recipient};\r\n\t{_date(time.time())}\r\n"
        )
        return "".join(lines).encode()

    def _with(self) -> str:
        """The protocol's name in Received (RFC 3848, RFC 6531 4.3)."""
        peer = self.peer
        if not peer.is_extended:
            return self._protocol
        utf8 = any(param.keyword == "SMTPUTF8" for param in self.envelope.params)
        base = "UTF8" + self._protocol if utf8 else self._protocol if self._protocol == "LMTP" else "ESMTP"
        return base + ("S" if peer.tls else "") + ("A" if peer.identity else "")


async def _store(message: NewMessage, pieces: Sequence[bytes]) -> None:
    """Store in a thread. If we are cancelled the message is not stored, or else it is as if we had not been."""
    storing = asyncio.ensure_future(asyncio.to_thread(message.store, pieces))
    try:
        await asyncio.shield(storing)
    except asyncio.CancelledError:
        storing.add_done_callback(_forget)
        if message.give_up():
            raise
        await asyncio.shield(storing)  # it is being published: a rename, and what it needs to be safe


def _forget(storing: "asyncio.Future[None]") -> None:
    if not storing.cancelled():
        storing.exception()  # GivenUp, or what happened before it was noticed


def _literal(peer: Peer) -> str:
    if not peer.port:
        return "unix socket"
    return f"[IPv6:{peer.address}]" if ":" in peer.address else f"[{peer.address}]"


def _tls(facts: TLSFacts | None) -> str:
    return f"\r\n\t({facts.version} cipher {facts.cipher})" if facts else ""


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _date(seconds: float) -> str:
    """RFC 5322 3.3, in UTC and without the locale."""
    t = time.gmtime(seconds)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {clock} +0000"

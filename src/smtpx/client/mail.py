"""What a caller hands over, made into an envelope and content."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from smtpx.errors import LocalProtocolError
from smtpx.flows.content import Content, Scan
from smtpx.flows.transaction import Envelope
from smtpx.protocol.capabilities import Capabilities
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.syntax import WireError

if TYPE_CHECKING:
    from email.message import Message as EmailMessage
    from typing import TypeAlias

    MessageSource: TypeAlias = (
        bytes | bytearray | memoryview | EmailMessage[Any, Any] | BinaryIO | Iterable[bytes] | AsyncIterable[bytes]
    )

__all__ = ["Mail", "Source", "envelope", "mailbox"]

_CHUNK = 262_144


def mailbox(address: "str | Mailbox", stage: str) -> Mailbox:
    """An envelope address from what the caller gave.

    Raises:
        LocalProtocolError: naming the address and what is wrong with it.
    """
    if isinstance(address, Mailbox):
        return address
    if address in ("", "<>") and stage == "mail":
        return NULL_SENDER
    try:
        return Mailbox.parse(address)
    except WireError as error:
        raise LocalProtocolError(error.detail, stage=stage) from None


class Mail:
    """One message to send: its envelope, and the source of its content.

    Raises:
        LocalProtocolError: for bad addresses, missing sender or recipients.
    """

    def __init__(
        self,
        message: Any,
        sender: "str | Mailbox | None",
        recipients: "Sequence[str | Mailbox] | str | None",
        *,
        normalize_newlines: bool = False,
    ) -> None:
        if _is_message_object(message) and (sender is None or recipients is None):
            sender, recipients = _from_header(message, sender, recipients)
        if sender is None or recipients is None:
            raise LocalProtocolError("sender and recipients are needed: octets don't tell them", stage="mail")
        self.envelope = envelope(sender, recipients)
        self.source = Source(message, normalize_newlines=normalize_newlines)


def envelope(sender: "str | Mailbox", recipients: "Sequence[str | Mailbox] | str") -> Envelope:
    """An envelope from what the caller gave.

    Raises:
        LocalProtocolError: for a bad address, or none at all.
    """
    listed = [recipients] if isinstance(recipients, str | Mailbox) else list(recipients)
    if not listed:
        raise LocalProtocolError("a message needs at least one recipient", stage="rcpt")
    return Envelope(mailbox(sender, "mail"), tuple(mailbox(each, "rcpt") for each in listed))


def _from_header(message: Any, sender: Any, recipients: Any) -> tuple[Any, Any]:
    from smtpx.message.flatten import envelope_of

    try:
        header_sender, header_recipients = envelope_of(message)
    except ValueError as error:
        raise LocalProtocolError(str(error), stage="mail") from None
    return sender if sender is not None else header_sender, recipients if recipients is not None else header_recipients


class Source:
    """Where a message's content comes from."""

    def __init__(self, message: Any, *, normalize_newlines: bool = False) -> None:
        self._message = message
        self._normalize = normalize_newlines
        self._file_start: int | None = None
        self._is_object = _is_message_object(message)

    @property
    def can_repeat(self) -> bool:
        """Whether the content can be sent a second time."""
        return isinstance(self._message, bytes | bytearray | memoryview) or self._is_object or self._file_start is not None

    def content(self, capabilities: Capabilities, *, utf8: bool) -> Content:
        """The content, as far as it can be had without waiting for an iterator.

        Args:
            utf8: whether addresses need SMTPUTF8, so that header fields may be UTF-8 as well.

        Raises:
            LocalProtocolError: for a CR or LF that stands alone.
            TypeError: if the message is of a kind that can't be sent.
        """
        message = self._message
        if isinstance(message, bytes | bytearray | memoryview):
            return Content.of(bytes(message), normalize_newlines=self._normalize)
        if self._is_object:
            from smtpx.message.flatten import flatten

            octets = flatten(message, eight_bit="8BITMIME" in capabilities, utf8=utf8 and "SMTPUTF8" in capabilities)
            return Content.of(octets, normalize_newlines=True)
        if hasattr(message, "read"):
            return self._scan_file(message)
        if isinstance(message, Iterable | AsyncIterable) and not isinstance(message, str):
            return Content(None, repair=self._normalize)
        kinds = "bytes, a message object, a binary file or an iterator of bytes"
        raise TypeError(f"a message is {kinds}, not {type(message).__name__}")

    def _scan_file(self, file: BinaryIO) -> Content:
        """A file that can be read twice is looked through first: what is wrong with it shows before MAIL."""
        try:
            self._file_start = start = file.tell() if self._file_start is None else self._file_start
            file.seek(start, os.SEEK_SET)
        except (OSError, AttributeError, ValueError):
            return Content(None, repair=self._normalize)
        scan = Scan(normalize_newlines=self._normalize)
        while piece := file.read(_CHUNK):
            scan.feed(_octets(piece))
        file.seek(start, os.SEEK_SET)
        return scan.content(None)

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces, for a blocking driver."""
        if hasattr(self._message, "read"):
            while piece := self._message.read(_CHUNK):
                yield _octets(piece)
        elif isinstance(self._message, AsyncIterable):
            raise TypeError("an async iterator needs the async client")
        else:
            for piece in cast("Iterable[bytes]", self._message):
                yield _octets(piece)

    async def achunks(self) -> AsyncIterator[bytes]:
        """The content in pieces, for an awaiting driver. Files are read in a thread."""
        if isinstance(self._message, AsyncIterable):
            async for piece in cast("AsyncIterable[bytes]", self._message):
                yield _octets(piece)
            return
        import asyncio

        pieces = self.chunks()
        read_file = hasattr(self._message, "read")
        while (piece := await asyncio.to_thread(next, pieces, None) if read_file else next(pieces, None)) is not None:
            yield piece


def _is_message_object(message: Any) -> bool:
    return hasattr(message, "get_all") and hasattr(message, "policy")


def _octets(piece: Any) -> bytes:
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise TypeError(f"content comes in bytes, not {type(piece).__name__}")

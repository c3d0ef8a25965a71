"""What a caller hands over, made into an envelope and content."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from smtpx.client.stamp import new_id, now_here
from smtpx.errors import LocalProtocolError, SMTPXError, UnsupportedError
from smtpx.flows.content import Content, Scan
from smtpx.flows.shares import Delivery
from smtpx.flows.transaction import Envelope
from smtpx.message.sendable import Posting, Sendable, is_sendable
from smtpx.protocol.capabilities import Capabilities
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.syntax import WireError

if TYPE_CHECKING:
    from email.message import Message as EmailMessage

    from smtpx.flows.outcome import SendResult

    MessageSource: TypeAlias = (
        bytes
        | bytearray
        | memoryview
        | Sendable
        | EmailMessage[Any, Any]
        | BinaryIO
        | Iterable[bytes]
        | AsyncIterable[bytes]
    )

__all__ = ["Mail", "Source", "envelope", "mailbox", "octets_of", "whole"]

_CHUNK = 262_144
_AT_HAND_BYTES = 1 << 20  # what a message may have to be written once, and kept until it is sent


def mailbox(address: "str | Mailbox", stage: str) -> Mailbox:
    """An envelope address from what the caller gave.

    Raises:
        LocalProtocolError: naming the address and what is wrong with it.
    """
    if address in ("", "<>", NULL_SENDER) and stage == "mail":
        return NULL_SENDER
    if isinstance(address, Mailbox) and not address.domain and address.local_part.lower() == "postmaster":
        return address  # RFC 5321 4.1.1.3: the one recipient without a domain
    try:
        return Mailbox.parse(str(address))  # a Mailbox made by hand may hold anything
    except WireError as error:
        raise LocalProtocolError(error.detail, stage=stage) from None


class Mail:
    """One message to send: its envelope, and the source of its content.

    Attributes:
        wishes: what the message itself asks of the server; what the caller says counts more.

    Raises:
        LocalProtocolError: for bad addresses, missing sender or recipients.
        TypeError: for a message of a kind that can't be sent.
    """

    def __init__(
        self,
        message: object,
        sender: "_Sender",
        recipients: "_Recipients",
        *,
        normalize_newlines: bool = False,
        binary: bool = False,
    ) -> None:
        self.source = Source(message, normalize_newlines=normalize_newlines, binary=binary)
        self.wishes: Mapping[str, Any] = {}
        if self.source.sendable is not None:
            sender, recipients, self.wishes = _posted(self.source.sendable, sender, recipients)
        elif _is_message_object(message) and (sender is None or recipients is None):
            sender, recipients = _from_header(cast("EmailMessage[Any, Any]", message), sender, recipients)
        if sender is None or recipients is None:
            raise LocalProtocolError("sender and recipients are needed: octets don't tell them", stage="mail")
        self.envelope = envelope(sender, recipients)
        self.source.needs_utf8 = self.source.needs_utf8 or self.envelope.needs_utf8
        self.begun = 0.0  # when the first octet went out
        self.delivery: Delivery | None = None  # once a server may take it in parts only

    def add_parts(self, error: SMTPXError) -> None:
        """Let an error from outside a conversation say who has got the message by transactions that are done."""
        if self.delivery is not None and self.delivery.has_begun and error.result is None:
            error.result = self.delivery.so_far()


def whole(result: "SendResult | None", mail: Mail) -> "SendResult":
    """The result of a message that one connection was to be enough for.

    Raises:
        UnsupportedError: if it was not, with the result as far as it goes.
    """
    if result is not None:
        return result
    text = "by its limits the server takes the other recipients on another connection only: a Client sees to that"
    error = UnsupportedError(text, keyword="LIMITS", stage="rcpt")
    error.result = mail.delivery.so_far() if mail.delivery is not None else None
    raise error


def envelope(sender: "str | Mailbox", recipients: "Sequence[str | Mailbox] | str | Mailbox") -> Envelope:
    """An envelope from what the caller gave.

    Raises:
        LocalProtocolError: for a bad address, or none at all.
    """
    listed = [recipients] if isinstance(recipients, str | Mailbox) else list(recipients)
    if not listed:
        raise LocalProtocolError("a message needs at least one recipient", stage="rcpt")
    return Envelope(mailbox(sender, "mail"), tuple(mailbox(each, "rcpt") for each in listed))


def _posted(
    message: Sendable, sender: "_Sender", recipients: "_Recipients"
) -> "tuple[_Sender, _Recipients, Mapping[str, Any]]":
    try:
        posting: Posting = message.posting()
    except ValueError as error:
        if sender is not None and recipients is not None:
            return sender, recipients, getattr(message, "wishes", {})
        raise _local(error, "mail") from error
    return (
        posting.sender if sender is None else sender,
        posting.recipients if recipients is None else recipients,
        posting.wishes,
    )


def _from_header(
    message: "EmailMessage[Any, Any]", sender: "_Sender", recipients: "_Recipients"
) -> "tuple[_Sender, _Recipients]":
    from smtpx.message.flatten import envelope_of

    try:
        header_sender, header_recipients = envelope_of(message)
    except ValueError as error:
        raise LocalProtocolError(str(error), stage="mail") from None
    return sender if sender is not None else header_sender, recipients if recipients is not None else header_recipients


class Source:
    """Where a message's content comes from.

    Args:
        binary: it has no lines; a message object has, all the same.

    Attributes:
        sendable: a message that writes itself, with date and Message-ID.
        needs_utf8: its header may be UTF-8 where the server takes that.
        is_slow: reading it takes its time, so a loop should not wait for it.

    Raises:
        TypeError: if the message is of a kind that can't be sent.
        LocalProtocolError: if newlines are to be repaired in what has no lines.
    """

    def __init__(self, message: object, *, normalize_newlines: bool = False, binary: bool = False) -> None:
        if binary and normalize_newlines:
            raise LocalProtocolError("binary content has no newlines to normalise", stage="body")
        self.sendable = _stamped(message) if is_sendable(message) else None
        self.needs_utf8 = bool(getattr(self.sendable, "needs_utf8", False))
        self._message: Any = message
        self._binary = binary
        self._normalize = normalize_newlines
        self._file_start: int | None = None
        self._scanned: Content | None = None
        self._form: tuple[bool, bool] | None = None
        self._round: Iterator[bytes] | None = None
        self._pieces: Iterator[bytes] | None = None
        self._async_pieces: AsyncIterator[object] | None = None
        self.ahead: Content | None = None  # what was taken from an iterator already, and must not get lost
        self._is_octets = isinstance(message, bytes | bytearray | memoryview)
        self._is_object = self.sendable is None and _is_message_object(message)
        self.is_file = self.sendable is None and not self._is_object and hasattr(message, "read")
        self.is_slow = self.is_file or _is_streamed(self.sendable)
        self._is_async = hasattr(message, "__aiter__")
        iterable = self._is_async or (hasattr(message, "__iter__") and not isinstance(message, str))
        if not (self.sendable is not None or self._is_octets or self._is_object or self.is_file or iterable):
            kinds = "bytes, a Message, a message object, a binary file or an iterator of bytes"
            raise TypeError(f"a message is {kinds}, not {_kind_of(message)}")

    @property
    def can_repeat(self) -> bool:
        """Whether the content can be sent a second time."""
        return self.sendable is not None or self._is_octets or self._is_object or self._file_start is not None

    @property
    def size_at_hand(self) -> int | None:
        """The octets that are here already; 0 for a message whose size is not known yet, None for the rest."""
        if self._is_octets:
            return memoryview(self._message).nbytes
        return 0 if self._is_object or (self.sendable is not None and not self.is_slow) else None

    def content(self, capabilities: Capabilities, *, utf8: bool) -> Content:
        """The content, as far as it can be had without waiting for an iterator.

        Args:
            utf8: whether header fields of a message object may be UTF-8.

        Raises:
            LocalProtocolError: for a CR or LF that stands alone, or a message object that can't be written.
            UnsupportedError: for a message that can't be written for this server.
        """
        self._round = None
        if self.sendable is not None:
            eight_bit, utf8 = "8BITMIME" in capabilities, utf8 and "SMTPUTF8" in capabilities
            return self._written(self.sendable, eight_bit=eight_bit, utf8=utf8)
        if self._is_octets:
            return Content.of(bytes(self._message), normalize_newlines=self._normalize, binary=self._binary)
        if self._is_object:
            return self._flat(eight_bit="8BITMIME" in capabilities, utf8=utf8 and "SMTPUTF8" in capabilities)
        if self.is_file:
            content = self.scan()
            if self._file_start is not None:
                self._message.seek(self._file_start)
                return content
            return self.ahead or content
        return self.ahead or Content(None, repair=self._normalize, binary=self._binary)

    def prepare(self, capabilities: Capabilities) -> None:
        """Do what takes time, in a thread: read a file, or write a message, to see what is in it.

        Raises:
            LocalProtocolError: as `content` does.
        """
        if self.sendable is None:
            self.scan()
        else:
            self.content(capabilities, utf8=self.needs_utf8)

    def _written(self, message: Sendable, *, eight_bit: bool, utf8: bool) -> Content:
        """A message as this server can have it: at hand if it is short, else what there is to know about it."""
        if self._scanned is None or self._form != (eight_bit, utf8):
            self._form = eight_bit, utf8
            try:
                self._scanned = _look_through(message, eight_bit=eight_bit, utf8=utf8)
            except ValueError as error:
                raise _lacking(message, error, eight_bit=eight_bit, utf8=utf8) from error
        return self._scanned

    def _flat(self, *, eight_bit: bool, utf8: bool) -> Content:
        from smtpx.message.flatten import flatten

        try:
            octets = flatten(self._message, eight_bit=eight_bit, utf8=utf8)
        except ValueError as error:
            raise LocalProtocolError(str(error), stage="body") from error
        return Content.of(octets, normalize_newlines=True)

    def scan(self) -> Content:
        """Look through a file that can be read twice: what is wrong with it shows before MAIL. Done once."""
        if self._scanned is not None:
            return self._scanned
        file = self._message
        try:
            start: int = file.tell()
            file.seek(start)
        except (OSError, AttributeError, ValueError):
            return Content(None, repair=self._normalize, binary=self._binary)
        scan = Scan(normalize_newlines=self._normalize, binary=self._binary)
        for piece in self._read_file():
            scan.feed(piece)
        self._file_start, self._scanned = start, scan.content(None)
        return self._scanned

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces, for a blocking driver.

        Raises:
            TypeError: for an async iterator.
        """
        if self.is_file or self.sendable is not None:
            return _Rounds(self)
        if self._is_async:
            raise TypeError("an async iterator needs the async client")
        if self._pieces is None:  # a second attempt goes on where the first one stopped
            self._pieces = map(octets_of, cast("Iterable[object]", self._message))
        return self._pieces

    def next_of_round(self) -> bytes:
        """The next piece of what can be read more than once; it begins anew with each call of `content`.

        Raises:
            StopIteration: behind the last one.
        """
        if self._round is None:
            self._round = self._read_file() if self.is_file else self._write_anew()
        return next(self._round)

    def _write_anew(self) -> Iterator[bytes]:
        assert self.sendable is not None and self._form is not None  # noqa: S101, PT018 - `content` came before
        eight_bit, utf8 = self._form
        return self.sendable.octets(eight_bit=eight_bit, utf8=utf8)

    def async_chunks(self) -> AsyncIterator[object] | None:
        """What an async iterator gives, unchecked; None for every other kind."""
        if self._is_async and self._async_pieces is None:
            self._async_pieces = aiter(cast("AsyncIterable[object]", self._message))
        return self._async_pieces

    def _read_file(self) -> Iterator[bytes]:
        while piece := octets_of(self._message.read(_CHUNK)):
            yield piece


class _Rounds(Iterator[bytes]):
    """Content that may be sent several times on one connection, to some recipients each time."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __next__(self) -> bytes:
        return self._source.next_of_round()


_Sender: TypeAlias = "str | Mailbox | None"
_Recipients: TypeAlias = "Sequence[str | Mailbox] | str | Mailbox | None"


def _stamped(message: Sendable) -> Sendable:
    stamped: Any = getattr(message, "stamped", None)
    return message if stamped is None else cast("Sendable", stamped(now_here, new_id))


def _local(error: ValueError, stage: str) -> SMTPXError:
    """What is wrong with a message, as an error of ours."""
    return error if isinstance(error, SMTPXError) else LocalProtocolError(str(error), stage=stage)


def _lacking(message: Sendable, error: ValueError, *, eight_bit: bool, utf8: bool) -> SMTPXError:
    """Why a message can't be written so: the server lacks an extension that it needs, or it is the message itself."""
    for keyword, missing, eight_bit_too in (("SMTPUTF8", not utf8, eight_bit), ("8BITMIME", not eight_bit, True)):
        with suppress(ValueError):
            if missing:
                _look_through(message, eight_bit=eight_bit_too, utf8=True)
                return UnsupportedError(str(error), keyword=keyword, stage="body")
    return _local(error, "body")


def _is_streamed(message: object) -> bool:
    """Whether there is something large in a message; what wraps one, like a signature, has it as `inner`."""
    while message is not None:
        if getattr(message, "is_streamed", False):
            return True
        message = getattr(message, "inner", None)
    return False


def _look_through(message: Sendable, *, eight_bit: bool, utf8: bool) -> Content:
    scan, kept, size = Scan(), list[bytes](), 0
    measure: Any = getattr(message, "measure", None)
    for piece in message.octets(eight_bit=eight_bit, utf8=utf8):
        scan.feed(piece)
        size += len(piece)
        if size <= _AT_HAND_BYTES:
            kept.append(piece)
        elif measure is not None:  # one that knows its size need not be written twice
            length, is_ascii = measure(eight_bit=eight_bit, utf8=utf8)
            return replace(scan.beginning((), repair=False), size=length, eight_bit=not is_ascii)
    return scan.content(b"".join(kept) if size <= _AT_HAND_BYTES else None)


def _is_message_object(message: object) -> bool:
    return hasattr(message, "get_all") and hasattr(message, "policy")


def octets_of(piece: object) -> bytes:
    """A piece of content as bytes.

    Raises:
        TypeError: if it is none.
    """
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(cast("bytes", piece))
    raise TypeError(f"content comes in bytes, not {_kind_of(piece)}")


def _kind_of(value: object) -> str:
    return type(value).__name__

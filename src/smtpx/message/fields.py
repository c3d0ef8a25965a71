r"""Header fields as octets: folded, encoded and checked (RFC 5322 2.2, RFC 2047, RFC 2231, RFC 6532).

Every function gives one whole field, CRLF included. With `utf8` it may hold UTF-8, for servers with SMTPUTF8; without,
everything is ASCII. What can't be written is refused with the name of the field; nothing is ever cut or dropped.

>>> unstructured("Subject", "Grüße an alle")
b'Subject: =?utf-8?b?R3LDvMOfZQ==?= an alle\r\n'
>>> date("Date", datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
b'Date: Sun, 01 Mar 2026 12:30:00 +0000\r\n'
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from smtpx.message.address import Address, Group, quote
from smtpx.message.encoded_words import LEAST_ROOM, MAX_WORD_CHARS, encode_words
from smtpx.message.parameters import TOKEN, write_parameter
from smtpx.wire.syntax import escape, has_controls

__all__ = [
    "address_list",
    "check_name",
    "check_value",
    "date",
    "message_ids",
    "parameters",
    "phrase",
    "preformatted",
    "unstructured",
    "uri_list",
]

MAX_LINE_CHARS = 78  # RFC 5322 2.1.1, what a line should have
MAX_ENCODED_LINE_CHARS = 76  # RFC 2047 2, a line with encoded-words
MAX_LINE_BYTES = 998  # RFC 5322 2.1.1, what no line may exceed
_MAX_NAME_CHARS = 76  # so that a line holds it

_NAME = re.compile(r"[!-9;-~]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MAX_PHRASE_CHARS = 60  # in one piece: what is longer is folded, and quotes don't survive that everywhere
_MAX_WORD_CHARS = 900  # longer ones don't fit into a line, and are encoded
_MAX_WIDE_WORD_CHARS = 220  # the same, of up to four octets each
_MAX_BLANKS = 20
_BLANKS = " " * (_MAX_BLANKS + 1)
_MAX_ID_BYTES = 900

_PIECES = re.compile(r"[ \t]*[^ \t]+")
_LONG = rf"(?<![^ \t])[^ \t]{{{_MAX_WORD_CHARS + 1},}}|(?<![ \t])[ \t]{{{_MAX_BLANKS + 1},}}"
_LONG_WIDE = rf"(?<![^ \t])[^ \t]{{{_MAX_WIDE_WORD_CHARS + 1},}}|(?<![ \t])[ \t]{{{_MAX_BLANKS + 1},}}"
_EDGES = r"\A[ \t]|[ \t]\Z"
# What has to be encoded, each in two directions.
_ASCII_ONLY = tuple(re.compile(rf"{mark}|[^\t -~]|{_LONG}|{_EDGES}") for mark in (r"=\?", r"\?="))
_UTF8 = tuple(re.compile(rf"{mark}|{_LONG_WIDE}|{_EDGES}") for mark in (r"=\?", r"\?="))

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-;=?-~]+")  # RFC 3986 3.1, nothing that ends it within brackets
_IN_BRACKETS = re.compile(r"<([^<>]*)>")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")


@lru_cache(maxsize=512)
def check_name(name: str) -> str:
    """The name as a field begins: with colon and blank.

    Raises:
        ValueError: if it is not printable ASCII without colon and blanks, of at most 76 characters.
    """
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARS:
        raise ValueError(f"not the name of a header field: {escape(name)}")
    return f"{name}: "


def check_value(text: str, field: str) -> None:
    """See that a value holds no control character; a TAB counts as a space.

    Raises:
        ValueError: naming the field.
    """
    if has_controls(text.replace("\t", " ")):
        raise ValueError(f"{field}: a control character, or something that is not text: {escape(text)}")


class _Lines:
    """A field in the making: pieces are put on a line as long as it is not full."""

    def __init__(self, head: str, max_chars: int = MAX_LINE_CHARS) -> None:
        self._done = list[str]()
        self._line = self._head = head
        self._max_chars = max_chars

    @property
    def room(self) -> int:
        """How many characters the line takes."""
        return self._max_chars - len(self._line)

    def add(self, piece: str) -> None:
        """Put a piece here, or on a line of its own; it begins with a blank, unless it is the first."""
        if len(piece) > self.room and not self._is_no_use(piece):
            self.fold("" if piece[0] in " \t" else " ")
        self._line += piece

    def begin(self, text: str) -> None:
        """Put this behind the name, however long it is."""
        self._line += text

    def add_together(self, tokens: Sequence[str]) -> None:
        """Put these on one line if one holds them, else each where there is room; blanks between them."""
        whole = " ".join(tokens)
        for token in (whole,) if len(whole) < self._max_chars else tokens:
            self.add(token if self._line is self._head else f" {token}")

    def _is_no_use(self, piece: str) -> bool:
        """Whether the first piece would be as much too long on a line of its own."""
        is_first = self._line is self._head
        return is_first and self._max_chars <= len(piece) <= MAX_LINE_BYTES - len(self._head)

    def fold(self, start: str = " ") -> None:
        """Go to a new line, which begins with these blanks."""
        self._done.append(self._line.rstrip(" \t"))
        self._line = start

    def extend(self, text: str) -> None:
        """All words of a text, folded at blanks, but not before the first: some readers take that for a blank of it."""
        pieces = iter(_PIECES.findall(text))
        if self._line is self._head:
            self.begin(next(pieces, ""))
        for piece in pieces:
            self.add(piece)

    def octets(self) -> bytes:
        """The whole field."""
        self.fold()
        return ("\r\n".join(self._done) + "\r\n").encode()


def unstructured(name: str, text: str, *, utf8: bool = False) -> bytes:
    """A field of free text: Subject, Comments, and any other that has no grammar of its own.

    A reader gets exactly this text. From the first word that must be encoded to the last one all is encoded; that is
    what is not ASCII, what a reader would take for an encoded-word, and words longer than a line may be.

    Raises:
        ValueError: for a control character other than TAB, half a surrogate pair, or a bad name.
    """
    head = check_name(name)
    if text.isascii() and text.isprintable() and "=?" not in text and len(text) <= _MAX_WORD_CHARS:  # most are so
        if not text:
            return f"{name}:\r\n".encode()
        if text[0] != " " != text[-1]:
            if len(head) + len(text) <= MAX_LINE_CHARS:
                return f"{head}{text}\r\n".encode()
            if _BLANKS not in text:
                return _folded(head, text)
    check_value(text, name)
    span = _span(text, _UTF8 if utf8 else _ASCII_ONLY)
    return _folded(head, text) if span is None else _with_encoded(head, text, *span)


def _folded(head: str, text: str) -> bytes:
    lines = _Lines(head)
    lines.extend(text)
    return lines.octets()


def _span(text: str, patterns: tuple[re.Pattern[str], ...]) -> tuple[int, int] | None:
    """From where to where, in whole words, `text` must be encoded."""
    first = patterns[0].search(text)
    last = patterns[1].search(text[::-1])
    if first is None or last is None:
        return None
    start = max(text.rfind(blank, 0, first.start()) for blank in " \t") + 1
    ends = [end for blank in " \t" if (end := text.find(blank, len(text) - last.start())) >= 0]
    return start, min(ends, default=len(text))


def _with_encoded(head: str, text: str, start: int, end: int) -> bytes:
    lines = _Lines(head, MAX_ENCODED_LINE_CHARS)
    before = text[:start].rstrip(" \t")
    lines.extend(before)
    blanks = text[len(before) : start]
    if lines.room - len(blanks) < LEAST_ROOM:
        lines.fold(blanks or " ")
        blanks = ""
    first, *others = encode_words(text[start:end], min(MAX_WORD_CHARS, lines.room - len(blanks)))
    lines.add(blanks + first)
    for word in others:
        lines.add(f" {word}")
    lines.extend(text[end:])
    return lines.octets()


@lru_cache(maxsize=2048)
def phrase(name: str, utf8: bool) -> tuple[str, ...]:
    """A display name in the form that fields have it: atoms, a quoted string, or encoded-words; folded only between.

    Raises:
        ValueError: for a control character.
    """
    check_value(name, "a display name")
    if len(name) <= _MAX_PHRASE_CHARS and "=?" not in name and "  " not in name and "\t" not in name:
        if _ATOMS.fullmatch(name):
            return (name,)
        if utf8 or name.isascii():
            return (quote(name),)
    return tuple(encode_words(name))


def address_list(name: str, parties: Sequence[Address | Group], *, utf8: bool = False) -> bytes:
    """A field of addresses: From, To, Reply-To and their like. It is folded between addresses where that is enough.

    Raises:
        ValueError: for no address at all, or a local part beyond ASCII without `utf8`.
    """
    if len(parties) > 4:
        return _address_list(name, parties, utf8)
    return _cached_address_list(name, tuple(parties), utf8)


@lru_cache(maxsize=512)
def _cached_address_list(name: str, parties: tuple[Address | Group, ...], utf8: bool) -> bytes:
    return _address_list(name, parties, utf8)


def _address_list(name: str, parties: Sequence[Address | Group], utf8: bool) -> bytes:
    head = check_name(name)
    if not parties:
        raise ValueError(f"{name}: no address")
    items = list[tuple[str, ...]]()
    try:
        for party in parties:
            items += _group(party, utf8) if isinstance(party, Group) else (_party(party, utf8),)
            items[-1] = _ended(items[-1], ",")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    items[-1] = (*items[-1][:-1], items[-1][-1][:-1])
    whole = " ".join([token for item in items for token in item])
    max_chars = MAX_ENCODED_LINE_CHARS if "=?" in whole else MAX_LINE_CHARS
    if len(head) + len(whole) <= max_chars:
        return f"{head}{whole}\r\n".encode()
    lines = _Lines(head, max_chars)
    for item in items:
        lines.add_together(item)
    return lines.octets()


def _ended(tokens: tuple[str, ...], end: str) -> tuple[str, ...]:
    return (*tokens[:-1], tokens[-1] + end)


def _group(group: Group, utf8: bool) -> list[tuple[str, ...]]:
    name = phrase(group.name, utf8)
    # RFC 2047 5 (3): a blank between an encoded-word and the colon
    items = [(*name, ":") if name[-1].startswith("=?") else _ended(name, ":")]
    items += [_ended(_party(member, utf8), ",") for member in group.members]
    last = items[-1][-1].removesuffix(",")
    items[-1] = (*items[-1][:-1], f"{last};")
    return items


@lru_cache(maxsize=2048)
def _party(address: Address, utf8: bool) -> tuple[str, ...]:
    mailbox = address.mailbox if utf8 or address.mailbox.is_ascii else address.mailbox.to_ascii_domain()
    if not utf8 and not mailbox.is_ascii:
        raise ValueError(f"{escape(str(mailbox))} needs SMTPUTF8: its local part is not ASCII")
    return (*phrase(address.display_name, utf8), f"<{mailbox}>") if address.display_name else (str(mailbox),)


def parameters(name: str, value: str, values: Mapping[str, str] | None = None) -> bytes:
    """A field with parameters: Content-Type, Content-Disposition. ASCII always (RFC 2231), which every reader knows.

    Args:
        value: what stands before them, such as `text/plain` or `attachment`.
        values: parameters by name, in order.

    Raises:
        ValueError: for a value that is no token or two with a slash, or a parameter that can't be written.
    """
    return _parameters(name, value, tuple((values or {}).items()))


@lru_cache(maxsize=512)
def _parameters(name: str, value: str, values: tuple[tuple[str, str], ...]) -> bytes:
    lines = _Lines(check_name(name))
    if not all(TOKEN.fullmatch(part) for part in value.split("/", 1)):
        raise ValueError(f"{name}: not a token: {escape(value)}")
    try:
        pieces = [value, *(piece for key, text in values for piece in write_parameter(key, text))]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    for piece in pieces[:-1]:
        lines.add_together((f"{piece};",))
    lines.add_together(pieces[-1:])
    return lines.octets()


def message_ids(name: str, ids: Iterable[str], *, utf8: bool = False) -> bytes:
    """A field of message ids: Message-ID, In-Reply-To, References, Content-ID. Brackets are added where there are none.

    Raises:
        ValueError: for none at all, or one with blanks, brackets or control characters in it, or beyond ASCII without
            `utf8`.
    """
    lines, is_first = _Lines(check_name(name)), True
    for each in (ids,) if isinstance(ids, str) else ids:
        written = each if each.startswith("<") else f"<{each}>"
        is_good = (
            _MESSAGE_ID.fullmatch(written) and not has_controls(written) and len(written.encode()) <= _MAX_ID_BYTES
        )
        if not is_good or len(written.encode()) > _MAX_ID_BYTES or not (utf8 or written.isascii()):
            raise ValueError(f"{name}: not a message id: {escape(each)}")
        if is_first:
            lines.begin(written)  # some readers look for a Message-ID only behind its name
        else:
            lines.add_together((written,))
        is_first = False
    if is_first:
        raise ValueError(f"{name}: no message id")
    return lines.octets()


def date(name: str, moment: datetime) -> bytes:
    """A field with a date and time, in its own time zone where that is whole minutes from UTC (RFC 5322 3.3).

    Raises:
        ValueError: for a moment without a time zone, or before 1900.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(f"{name}: a date and time needs a time zone")
    minutes, seconds = divmod(offset.days * 86_400 + offset.seconds, 60)
    if seconds or offset.microseconds:
        moment, minutes = _in_utc(name, moment), 0
    if moment.year < 1900:
        raise ValueError(f"{name}: a date before 1900")
    hours, minutes_left = divmod(abs(minutes), 60)
    zone = f"{'-' if minutes < 0 else '+'}{hours:02}{minutes_left:02}"
    day = f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04}"
    return f"{check_name(name)}{day} {moment.hour:02}:{moment.minute:02}:{moment.second:02} {zone}\r\n".encode()


def _in_utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{name}: a date beyond the calendar") from None


def uri_list(name: str, uris: Iterable[str] | str) -> bytes:
    """A field of URIs in angle brackets: List-Unsubscribe, List-Help, List-Archive (RFC 2369 2).

    Nothing in it is encoded, and none of the URIs is folded: readers would take blanks for a part of it.

    Args:
        uris: with brackets or without; text with brackets may hold several.

    Raises:
        ValueError: for none at all, and for what is no absolute URI in ASCII of at most 990 octets.
    """
    if isinstance(uris, str):
        uris = _IN_BRACKETS.findall(uris) if "<" in uris else (uris,)
    listed = [each.strip(" ").removeprefix("<").removesuffix(">") for each in uris]
    bad = [each for each in listed if not _URI.fullmatch(each) or len(each) > MAX_LINE_BYTES - 8]
    if bad or not listed:
        raise ValueError(f"{name}: not a URI: {escape(bad[0])}" if bad else f"{name}: no URI")
    lines = _Lines(check_name(name))
    for each in listed[:-1]:
        lines.add_together((f"<{each}>,",))
    lines.add_together((f"<{listed[-1]}>",))
    return lines.octets()


def preformatted(name: str, value: str | bytes, *, utf8: bool = False) -> bytes:
    """A field that is written already, and folded if it has to be; the blank behind the colon is ours.

    Raises:
        ValueError: for a CR or LF that does not fold, a line of blanks, a control character, what is not ASCII without
            `utf8` or not UTF-8 with it, or a line of more than 998 octets.
    """
    head = check_name(name)
    try:
        text = value.decode("utf-8" if utf8 else "ascii") if isinstance(value, bytes) else value
        octets = f"{head}{text}\r\n".encode("utf-8" if utf8 else "ascii")
    except UnicodeError:
        raise ValueError(f"{name}: not {'UTF-8' if utf8 else 'ASCII'}: {escape(value)}") from None
    lines = text.split("\r\n")
    for line in lines:
        check_value(line, name)
    if any(line[:1] not in (" ", "\t") or not line.strip(" \t") for line in lines[1:]):
        raise ValueError(f"{name}: a line that does not begin with a blank, or has nothing else")
    if max(map(len, octets.split(b"\r\n"))) > MAX_LINE_BYTES:
        raise ValueError(f"{name}: a line of more than {MAX_LINE_BYTES} octets")
    return octets

"""Addresses as people write them: with a display name, in lists, in groups (RFC 5322 3.4, RFC 6532).

>>> read_addresses('Jane <jane@a.example>, "Doe, John" <john@b.example>')
(Address(display_name='Jane', mailbox=Mailbox(local_part='jane', domain='a.example')), \
Address(display_name='Doe, John', mailbox=Mailbox(local_part='john', domain='b.example')))
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple, TypeAlias, TypeGuard, cast

from smtpx.message.encoded_words import decode_words, without_controls
from smtpx.wire.address import Mailbox
from smtpx.wire.syntax import WireError, escape, has_controls

__all__ = [
    "Address",
    "AddressError",
    "AddressInput",
    "Group",
    "Sifted",
    "addresses_of",
    "fold_key",
    "quote",
    "read_address",
    "read_addresses",
    "sift_addresses",
]

MAX_LIST_CHARS = 4_000_000  # a hundred thousand addresses in one text are more than anybody writes
_MAX_CACHED_CHARS = 512

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class AddressError(ValueError):
    """A text that is no address, or no list of them.

    Attributes:
        detail: what is wrong.
        position: at which character of the text it is, from 0.
    """

    def __init__(self, detail: str, position: int = 0) -> None:
        super().__init__(detail, position)
        self.detail = detail
        self.position = position

    def __str__(self) -> str:
        return f"{self.detail} (at character {self.position + 1})" if self.position else self.detail


@dataclass(frozen=True, slots=True, init=False)
class Address:
    """A mailbox with the name of whom it belongs to, which may be empty.

    Raises:
        ValueError: if the name holds a control character, or the mailbox is none.
    """

    display_name: str
    mailbox: Mailbox

    def __init__(self, display_name: str, mailbox: Mailbox | str) -> None:
        if has_controls(display_name):
            raise AddressError(f"a control character, or what is not text, in the name {escape(display_name)}")
        object.__setattr__(self, "display_name", display_name.strip(" "))
        object.__setattr__(self, "mailbox", _mailbox(str(mailbox)))  # a Mailbox made by hand may hold anything

    def __str__(self) -> str:
        """As people write it: `"Doe, Jane" <jane@a.example>`. It can be read again; a header field has its own form."""
        if not self.display_name:
            return str(self.mailbox)
        name = self.display_name
        return f"{name if _ATOMS.fullmatch(name) and '=?' not in name else quote(name)} <{self.mailbox}>"


@dataclass(frozen=True, slots=True)
class Group:
    """Addresses under a common name (RFC 5322 3.4); without members it hides who else got the message.

    Raises:
        ValueError: if there is no name, or a control character in it.
    """

    name: str
    members: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        if has_controls(self.name) or not self.name.strip(" "):
            raise AddressError(f"not the name of a group: {escape(self.name)}")
        object.__setattr__(self, "name", self.name.strip(" "))
        object.__setattr__(self, "members", tuple(map(read_address, self.members)))

    def __str__(self) -> str:
        name = self.name if _ATOMS.fullmatch(self.name) and "=?" not in self.name else quote(self.name)
        return f"{name}: {', '.join(map(str, self.members))};"


AddressInput: TypeAlias = "str | Mailbox | Address | Group | tuple[str, str]"


class Sifted(NamedTuple):
    """What could be read of a list, and what could not: the text of each, with what is wrong."""

    addresses: tuple[Address | Group, ...]
    skipped: tuple[tuple[str, AddressError], ...]


def quote(text: str) -> str:
    """`text` as a quoted-string (RFC 5322 3.2.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_addresses(value: "AddressInput | Iterable[AddressInput]") -> tuple[Address | Group, ...]:
    """All addresses and groups, in order.

    Args:
        value: text, in which several are separated by commas (display names may be encoded-words there), a pair of name
            and address, a `Mailbox`, an `Address`, a `Group`, or any number of these.

    Raises:
        AddressError: naming what is wrong and where, for anything that is not an address of the envelope's grammar.
        TypeError: for a value of another kind.
    """
    if isinstance(value, str):
        return _from_text(value) if len(value) <= _MAX_CACHED_CHARS else _Reader(value).all()
    if isinstance(value, Address | Group):
        return (value,)
    if isinstance(value, Mailbox):
        return (Address("", value),)
    if _is_pair(value):
        return (_from_pair(value[0], value[1]),)
    return _from_many(value)


def read_address(value: AddressInput) -> Address:
    """The one address that there is.

    Raises:
        AddressError: if there is none, more than one, a group, or it can't be read.
        TypeError: for a value of another kind.
    """
    found = read_addresses(value)
    if len(found) == 1 and isinstance(found[0], Address):
        return found[0]
    what = "no address" if not found else "a group" if len(found) == 1 else f"{len(found)} addresses"
    raise AddressError(f"{what} where one is wanted: {escape(str(value))}")


def sift_addresses(text: str) -> Sifted:
    """What can be read of a header field that others wrote. Never raises.

    More is taken than from users: an unquoted @ in a name, encoded-words within quotes, a list that ends too early.
    """
    if len(text) > MAX_LIST_CHARS:
        return Sifted((), (("", AddressError(f"a list of more than {MAX_LIST_CHARS} characters")),))
    reader = _Reader(without_controls(text.replace("\t", " ")), lenient=True)
    return Sifted(reader.all(), tuple(reader.skipped))


def addresses_of(parties: Iterable[Address | Group]) -> Iterator[Address]:
    """The addresses, with those in groups."""
    for party in parties:
        if isinstance(party, Group):
            yield from party.members
        else:
            yield party


def fold_key(mailbox: Mailbox) -> tuple[str, str]:
    """What is equal for two spellings of one mailbox: the local part exactly, the domain without case, in A-labels.

    >>> fold_key(Mailbox("Ann", "BÜCHER.example")) == fold_key(Mailbox("Ann", "xn--bcher-kva.example"))
    True
    """
    return mailbox.local_part, mailbox.to_ascii_domain().domain


def _mailbox(text: str, position: int = 0) -> Mailbox:
    if "\ufffd" in text:  # a control character, or octets in no charset that we know: whoever it was, it is not this
        raise AddressError(f"something that can't be read in {escape(text)}", position)
    try:
        return Mailbox.parse(text)
    except WireError as error:
        raise AddressError(error.detail, position) from None


def _is_pair(value: object) -> TypeGuard[tuple[str, str]]:
    if not isinstance(value, tuple):
        return False
    items = cast("tuple[object, ...]", value)
    return len(items) == 2 and all(isinstance(each, str) for each in items)


def _from_pair(name: str, address: str) -> Address:
    if name != address and "@" in name and _is_address(name):
        raise AddressError(f"two addresses, or a name and one? Write a list, or Address({escape(name)!r}, ...)")
    return Address(name.strip(), address.strip())


def _is_address(text: str) -> bool:
    try:
        Mailbox.parse(text.strip())
    except WireError:
        return False
    return True


def _from_many(value: object) -> tuple[Address | Group, ...]:
    kind = type(value).__name__
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray | memoryview | Mapping):
        raise TypeError(f"an address is text, a pair, a Mailbox, an Address or a Group, not {kind}")
    found = list[Address | Group]()
    for index, each in enumerate(cast("Iterable[object]", value)):
        if not (isinstance(each, str | Mailbox | Address | Group) or _is_pair(each)):
            raise TypeError(f"address {index + 1} is not text, a pair, a Mailbox, an Address or a Group")
        try:
            found += read_addresses(each)
        except AddressError as error:
            raise AddressError(f"address {index + 1}: {error}") from None
    return tuple(found)


@lru_cache(maxsize=2048)
def _from_text(text: str) -> tuple[Address | Group, ...]:
    return _Reader(text).all()


class _Token(NamedTuple):
    kind: str  # atom, quoted, literal, comment, or the separator itself
    text: str
    start: int
    is_apart: bool  # blanks or a comment before it


_NOTHING = _Token("", "", 0, False)


# Possessive, so that nothing is tried twice: what does not match is wrong to the end of the text.
_TOKEN = re.compile(
    r"""(?P<atom>[^\x00-\x20\x7f()<>\[\]:;@\\,"]++)"""
    r"""|(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+")"""
    r"""|(?P<literal>\[[^\[\]\\]*+\])"""
    r"""|[<>@,;:]""",
    re.DOTALL,
)
_BLANKS = re.compile(r"[ \t]*+")
_IN_COMMENT = re.compile(r"[^()\\]*+(?:\\.[^()\\]*+)*+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_STRAY = {
    **{chr(code): f"a control character: \\x{code:02x}" for code in (*range(32), 127)},
    **{'"': "a quote that does not end", "[": "a bracket that does not end", ")": "a ) without its ("},
}
_SEPARATORS = frozenset(",;:")


def _tokens(text: str, lenient: bool) -> Iterator[_Token]:
    """The tokens; each character is looked at once, or when lenient twice.

    Raises:
        AddressError: where none begins, or one does not end; when lenient that is an atom.
    """
    position, is_apart, unended = 0, False, set[str]()
    while (start := _end_of(_BLANKS, text, position)) < len(text):
        is_apart = is_apart or start > position
        try:
            token, position = _token(text, start, is_apart, unended)
        except AddressError:
            if not lenient:
                raise
            unended.add(text[start])  # nor will the next one
            token, position = _Token("atom", text[start], start, is_apart), start + 1
        yield token
        is_apart = token.kind == "comment"


def _token(text: str, start: int, is_apart: bool, unended: set[str]) -> tuple[_Token, int]:
    first = text[start]
    if first == "(" and first not in unended:
        end = _end_of_comment(text, start)
        return _Token("comment", text[start + 1 : end - 1], start, is_apart), end
    match = _TOKEN.match(text, start) if first not in unended else None
    if match is None:
        raise AddressError(_STRAY.get(first, f"a {escape(first)} belongs into quotes"), start)
    return _Token(match.lastgroup or first, match[0], start, is_apart), match.end()


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return start if match is None else match.end()


def _end_of_comment(text: str, start: int) -> int:
    depth, position = 1, start + 1
    while depth:
        position = _end_of(_IN_COMMENT, text, position)
        if text[position : position + 1] not in ("(", ")"):
            raise AddressError("a comment that does not end", start)
        depth += 1 if text[position] == "(" else -1
        position += 1
    return position


class _Reader:
    """Reads one text from left to right: elements between separators, some of them in groups."""

    def __init__(self, text: str, *, lenient: bool = False) -> None:
        self.skipped = list[tuple[str, AddressError]]()
        if len(text) > MAX_LIST_CHARS:
            raise AddressError(f"a list of more than {MAX_LIST_CHARS} characters")
        self._text = text
        self._lenient = lenient
        self._found = list[Address | Group]()
        self._group: str | None = None  # the name of the one that is open
        self._members = list[Address]()
        self._is_behind_group = False  # and no comma came yet

    def all(self) -> tuple[Address | Group, ...]:
        """Everything; what can't be read is raised, or when lenient put aside."""
        tokens = list[_Token]()
        for token in _tokens(self._text, self._lenient):
            if token.kind in _SEPARATORS:
                self._element(tokens, token)
                tokens = []
            else:
                tokens.append(token)
        self._element(tokens, _Token("", "", len(self._text), False))
        if self._group is not None:
            self._end_group()
        return tuple(self._found)

    def _element(self, tokens: list[_Token], end: _Token) -> None:
        """What stands between two separators; `end` is the second one."""
        try:
            if end.kind == ":":
                self._begin_group(tokens, end.start)
            elif any(token.kind != "comment" for token in tokens):  # RFC 5322 4.4: places in a list may be empty
                self._take(tokens)
        except AddressError as error:
            if not self._lenient:
                raise
            self.skipped.append((self._text[tokens[0].start if tokens else end.start : end.start].strip(), error))
        self._separate(end)

    def _begin_group(self, tokens: list[_Token], position: int) -> None:
        if self._group is not None or (self._is_behind_group and not self._lenient):
            raise AddressError("a group within a group, or right behind one", position)
        name = _phrase(tokens, self._lenient)
        if not name:
            raise AddressError("a group without a name", position)
        self._group = name

    def _take(self, tokens: list[_Token]) -> None:
        if self._is_behind_group and not self._lenient:
            raise AddressError("a comma is missing behind a group", tokens[0].start)
        found = self._found if self._group is None else self._members
        for each in _apart(tokens) if self._lenient else (tokens,):
            found.append(_address(each, self._lenient))

    def _separate(self, end: _Token) -> None:
        if end.kind == ",":
            self._is_behind_group = False
        elif end.kind == ";" and self._group is not None:
            self._end_group()
        elif end.kind == ";" and not self._lenient:
            raise AddressError("a semicolon without a group: commas separate addresses", end.start)
        elif not end.kind and self._group is not None and not self._lenient:
            raise AddressError("a group that does not end with a semicolon", end.start)

    def _end_group(self) -> None:
        self._found.append(Group(self._group or "", tuple(self._members)))
        self._group, self._members, self._is_behind_group = None, [], True


def _apart(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """The tokens of each address, where commas are missing."""
    start, last = 0, max((index for index, token in enumerate(tokens) if token.kind == "<"), default=0)
    for index, token in enumerate(tokens[:last]):
        if token.kind == ">":
            yield tokens[start : index + 1]
            start = index + 1
    yield tokens[start:]


def _address(tokens: list[_Token], lenient: bool) -> Address:
    opening = next((index for index, token in enumerate(tokens) if token.kind == "<"), None)
    if opening is None:
        return _bare(tokens, lenient)
    closing = next((index for index in range(opening, len(tokens)) if tokens[index].kind == ">"), None)
    if closing is None:
        raise AddressError("a < without its >", tokens[opening].start)
    behind = next((token for token in tokens[closing + 1 :] if token.kind != "comment"), None)
    if behind is not None:
        raise AddressError(f"a comma is missing before {escape(behind.text)}", behind.start)
    mailbox = _mailbox(_spec(tokens[opening + 1 : closing]), tokens[opening].start + 1)
    return _named(_phrase(tokens[:opening], lenient), mailbox, tokens[0].start)


def _bare(tokens: list[_Token], lenient: bool) -> Address:
    """An address without angle brackets; a comment behind it is its name, as in the days of RFC 822."""
    if not any(token.kind == "@" for token in tokens):
        raise AddressError(f"no address: {escape(' '.join(token.text for token in tokens))}", tokens[0].start)
    last, name = tokens[-1], ""
    if last.kind == "comment":
        name = _decoded(_ESCAPED.sub(r"\1", last.text).replace("\t", " ").strip(" "), last.start, lenient)
    return _named(name, _mailbox(_spec(tokens), tokens[0].start), tokens[0].start)


def _named(name: str, mailbox: Mailbox, position: int) -> Address:
    try:
        return Address(name, mailbox)
    except AddressError as error:
        raise AddressError(error.detail, position) from None


def _spec(tokens: list[_Token]) -> str:
    """The addr-spec without comments and blanks, which may stand around its @ and dots."""
    words = [token for token in tokens if token.kind != "comment"]
    out = list[str]()
    for before, token in pairwise((_NOTHING, *words)):
        if token.is_apart and out and not (before.text.endswith((".", "@")) or token.text.startswith((".", "@"))):
            raise AddressError(f"a blank within an address, or no comma before {escape(token.text)}", token.start)
        out.append(token.text)
    return "".join(out)


def _phrase(tokens: list[_Token], lenient: bool) -> str:
    """A display name: words and quoted strings, of which the words may be encoded."""
    words = [token for token in tokens if token.kind != "comment"]
    stray = next((token for token in words if token.kind not in ("atom", "quoted")), None)
    if stray is not None and not lenient:
        raise AddressError(f"a {stray.kind} in a name belongs into quotes", stray.start)
    out = list[str]()
    for is_quoted, run in groupby(words, lambda token: token.kind == "quoted"):
        text = "".join(f" {_unquoted(token)}" if token.is_apart else _unquoted(token) for token in run)
        out.append(text if is_quoted and not lenient else _decoded(text, words[0].start, lenient))
    return "".join(out).strip(" ")


def _unquoted(token: _Token) -> str:
    return _ESCAPED.sub(r"\1", token.text[1:-1]).replace("\t", " ") if token.kind == "quoted" else token.text


def _decoded(text: str, position: int, lenient: bool) -> str:
    if lenient:
        return decode_words(text).replace("\t", " ")
    decoded = decode_words(text, keep_controls=True)
    if has_controls(decoded) and not has_controls(text):
        raise AddressError(f"an encoded-word that hides a control character: {escape(text)}", position)
    return decoded

"""Command lines: what is read can be written, what is written is one line, strict takes nothing that others don't."""

import re
from collections.abc import Callable

from fuzz.source import Source
from smtpx.wire.commands import Command, is_foreign, parse_bdat, parse_command, split_from, split_to
from smtpx.wire.syntax import WireError

TOKENS = (
    b"MAIL ",
    b"FROM:",
    b"RCPT TO:",
    b"<a@b.example>",
    b"BDAT ",
    b" LAST",
    b"GET / HTTP/1.1",
    b"\xe3\x80\x80",
    b" ",
)
_BDAT = re.compile(r"([0-9]{1,20})( +[Ll][Aa][Ss][Tt])? *")


def target(data: bytes) -> None:
    """Control octets: where verb and argument are parted, for writing."""
    source = Source(data)
    part = source.pick(16)
    line = source.rest().decode("utf-8", "surrogateescape")
    is_foreign(line)
    command = parse_command(line)
    if command is not None:
        assert command.verb.isascii()
        assert command.verb.isalnum()
        assert command.verb == command.verb.upper()
        assert command.argument is None or (command.argument and command.argument == command.argument.strip(" "))
        _write(command)
    _write(Command(line[:part], line[part:] or None))
    _paths(line)
    _chunk(line)


def _write(command: Command) -> None:
    try:
        octets = command.to_bytes()
    except WireError:
        return
    assert octets.count(b"\n") == 1, "more than one line"
    assert octets.endswith(b"\r\n")
    assert not re.search(rb"[\x00-\x1f\x7f]", octets[:-2])
    again = parse_command(octets[:-2].decode())
    if parse_command(command.verb) == (command.verb, None) and (command.argument or " ")[0] != " ":
        assert again is not None
        assert again == (command.verb, command.argument and command.argument.strip(" "))


def _paths(line: str) -> None:
    for split, word in ((split_from, "FROM:"), (split_to, "TO:")):
        strict, normal = (_split(split, line, spaces=spaces) for spaces in (False, True))
        assert strict is None or strict == normal, "strict takes what normal does not"
        if normal:
            assert line.endswith(normal)
            assert line[: -len(normal)].rstrip(" ").upper() == word


def _split(split: Callable[..., str], line: str, *, spaces: bool) -> str | None:
    try:
        return split(line, spaces=spaces)
    except WireError:
        return None


def _chunk(line: str) -> None:
    try:
        chunk, well_formed = parse_bdat(line)
    except WireError:
        assert not re.match(r"[0-9]{1,20}(?: |\Z)", line)
        return
    match = _BDAT.fullmatch(line)
    assert well_formed == (match is not None), "a form that is none"
    assert chunk.size == int(line.split(" ")[0])
    assert chunk.last == (match is not None and match[2] is not None)

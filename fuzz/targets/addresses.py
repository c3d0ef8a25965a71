"""Addresses: the quick way and the whole grammar agree, and what is taken can be written and read again."""

from fuzz.source import Source
from smtpx.wire.address import Mailbox, ascii_domain, parse_path
from smtpx.wire.address import _parse_any_path as whole_grammar  # pyright: ignore[reportPrivateUsage]
from smtpx.wire.syntax import WireError, has_controls

TOKENS = (
    *(
        b"<a@b.example>",
        b"<>",
        b"<Postmaster>",
        b"@",
        b'"',
        b"\\",
        b"<@r.example,@s.example:",
        b"[127.0.0.1]",
        b"[IPv6:::1]",
    ),
    *(
        b"xn--",
        b"xn--bcher-kva",
        b"b\xc3\xbccher",
        b"\xe3\x80\x82",
        b"..",
        b"-",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b" SIZE=1",
    ),
)
Found = tuple[Mailbox, str]


def target(data: bytes) -> None:
    """Control octets: which path, how long a local part may be."""
    source = Source(data)
    recipient = source.pick(2) == 1
    max_local = (64, 64, 10, 250)[source.pick(4)]
    text = source.rest().decode("utf-8", "surrogateescape")
    strict, lenient = (_read(text, recipient, brackets, max_local) for brackets in (True, False))
    if strict is not None:
        assert strict == lenient, "strict takes what lenient does not"
    if lenient is not None:
        _check(text, lenient, recipient, max_local)
    _api(text)


def _read(text: str, recipient: bool, brackets: bool, max_local: int) -> Found | None:
    quick: Found | str
    slow: Found | str
    try:
        quick = parse_path(text, recipient=recipient, brackets=brackets, max_local_part_bytes=max_local)
    except WireError as error:
        quick = str(error)
    try:
        slow = whole_grammar(text, recipient, brackets, max_local)
    except WireError as error:
        slow = str(error)
    assert quick == slow, "the quick way gives something else"
    return None if isinstance(quick, str) else quick


def _check(text: str, found: Found, recipient: bool, max_local: int) -> None:
    mailbox, rest = found
    assert text.endswith(rest)
    path = mailbox.to_path()
    assert not has_controls(path)
    assert len(path.encode()) <= 256
    assert len(mailbox.local_part.encode()) <= max_local
    assert mailbox.is_null <= (not recipient)
    again = parse_path(path + rest, recipient=recipient, max_local_part_bytes=max_local)
    assert again == (mailbox, rest), "not the same when read again"


def _api(text: str) -> None:
    try:
        mailbox = Mailbox.parse(text)
    except WireError:
        return
    assert Mailbox.parse(str(mailbox)) == mailbox
    assert parse_path(mailbox.to_path(), recipient=True) == (mailbox, "")
    assert "\r" not in str(mailbox)
    assert "\n" not in str(mailbox)
    ascii_form = mailbox.to_ascii_domain()
    assert ascii_form.domain.isascii()
    assert ascii_domain(ascii_form.domain) == ascii_form.domain
    assert len(ascii_form.domain) <= 253 or mailbox.domain.isascii()
    if len(str(ascii_form).encode()) <= 254:
        assert Mailbox.parse(str(ascii_form)) == ascii_form

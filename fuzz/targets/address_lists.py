"""Lists of addresses: what is taken is an address of the envelope, and can be written and read again as it was."""

from fuzz.source import Source
from smtpx.message.address import Address, AddressError, Group, addresses_of, read_addresses, sift_addresses
from smtpx.message.fields import address_list
from smtpx.wire.address import Mailbox
from smtpx.wire.syntax import has_controls

TOKENS = (
    *(b"a@b.example", b"Jane <c@d.example>", b'"Doe, J" <e@f.example>', b"Team: ", b";", b":;", b",", b"(comment)"),
    *(b"=?utf-8?q?=C3=A4?=", b"=?utf-8?b?w6Q=?=", b"=?utf-8?q?=0D=0ABcc?=", b"\\", b'"', b"(", b")", b"<", b">", b"@"),
    *(b"b\xc3\xbccher.example", b"\xe2\x80\xa8", b"\r\n ", b"\t", b"[127.0.0.1]", b"=?", b"?="),
)


def target(data: bytes) -> None:
    """No control octets."""
    text = Source(data).rest().decode("utf-8", "replace")
    sifted = sift_addresses(text)
    _check(sifted.addresses)
    assert all(has_controls(part) is False for _, error in sifted.skipped for part in (str(error),))
    try:
        strict = read_addresses(text)
    except AddressError as error:
        assert 0 <= error.position <= len(text)
        return
    assert not sifted.skipped, "strict takes what lenient does not"
    assert _mailboxes(strict) == _mailboxes(sifted.addresses), "strict and lenient read other addresses"
    _check(strict)


def _mailboxes(parties: tuple[Address | Group, ...]) -> list[Mailbox]:
    return [each.mailbox for each in addresses_of(parties)]


def _check(parties: tuple[Address | Group, ...]) -> None:
    for mailbox in _mailboxes(parties):
        assert Mailbox.parse(str(mailbox)) == mailbox
    shown = ", ".join(map(str, parties))
    assert not has_controls(shown)
    assert read_addresses(shown) == parties, "not the same when read again"
    if parties:
        written = address_list("To", parties, utf8=True).decode()
        assert max(map(len, written.split("\r\n"))) <= 998
        assert read_addresses(written.replace("\r\n", "")[3:]) == parties, "not the same in a field"

"""Addresses in every form that people write them in."""

from email.utils import formataddr
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpx.message.address import (
    MAX_LIST_CHARS,
    Address,
    AddressError,
    Group,
    addresses_of,
    fold_key,
    quote,
    read_address,
    read_addresses,
    sift_addresses,
)
from smtpx.wire.address import NULL_SENDER, Mailbox
from tests.message.texts import texts

AB, CD = Mailbox("a", "b"), Mailbox("c", "d")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a@b", [Address("", AB)]),
        ("  a@b\t", [Address("", AB)]),
        ("<a@b>", [Address("", AB)]),
        ("Name <a@b>", [Address("Name", AB)]),
        ("Name<a@b>", [Address("Name", AB)]),
        ("Two   Words <a@b>", [Address("Two Words", AB)]),
        ("J. Q. Public <a@b>", [Address("J. Q. Public", AB)]),
        ('"Q, uoted" <a@b>', [Address("Q, uoted", AB)]),
        ('"a \\"b\\" \\\\c" <a@b>', [Address('a "b" \\c', AB)]),
        ('"two  blanks\tand" Word <a@b>', [Address("two  blanks and Word", AB)]),
        ('"" <a@b>', [Address("", AB)]),
        ("Jürgen <a@b>", [Address("Jürgen", AB)]),
        ("鈴木一郎 <a@b>", [Address("鈴木一郎", AB)]),
        ("🎈 <a@b>", [Address("🎈", AB)]),
        ("=?utf-8?q?J=C3=BCrgen?= <a@b>", [Address("Jürgen", AB)]),
        ("=?utf-8?q?=EF=BF=BD=FF?= <a@b>", [Address("\ufffd\ufffd", AB)]),
        ("=?utf-8?q?J=C3=BCr?= =?utf-8?q?gen=2C?= x <a@b>", [Address("Jürgen, x", AB)]),
        ('"=?utf-8?q?a?=" <a@b>', [Address("=?utf-8?q?a?=", AB)]),
        ("a@b (Jane (the) Doe)", [Address("Jane (the) Doe", AB)]),
        ("a@b (=?utf-8?q?=C3=A4?=)", [Address("ä", AB)]),
        ("a@b (\\) x)", [Address(") x", AB)]),
        ("(before) a (x) @ (y) b (z)", [Address("z", AB)]),
        ("Name (comment) <(x) a@b (y)> (z)", [Address("Name", AB)]),
        ("a . b @ c . d", [Address("", Mailbox("a.b", "c.d"))]),
        ("a@b, c@d", [Address("", AB), Address("", CD)]),
        (", a@b,,c@d, (empty),", [Address("", AB), Address("", CD)]),
        ("", []),
        (" (nothing) ", []),
        ("Team: a@b, N <c@d>;", [Group("Team", (Address("", AB), Address("N", CD)))]),
        ("x: a@b;, c@d", [Group("x", (Address("", AB),)), Address("", CD)]),
        ('"x, y": ,a@b,;,', [Group("x, y", (Address("", AB),))]),
        ("undisclosed-recipients:;", [Group("undisclosed-recipients")]),
        ('"a..b"@c', [Address("", Mailbox('"a..b"', "c"))]),
        ('"a@b, c"@d', [Address("", Mailbox('"a@b, c"', "d"))]),
        ("a@[127.0.0.1]", [Address("", Mailbox("a", "[127.0.0.1]"))]),
        ("x <a@[IPv6:::1]>", [Address("x", Mailbox("a", "[IPv6:::1]"))]),
        ("ü@bücher.example", [Address("", Mailbox("ü", "bücher.example"))]),
    ],
)
def test_text(text: str, read: list[Address | Group]) -> None:
    assert list(read_addresses(text)) == read
    assert sift_addresses(text).skipped == ()
    if "=?" not in text:
        assert list(sift_addresses(text).addresses) == read
    assert read_addresses(", ".join(map(str, read))) == tuple(read)


@pytest.mark.parametrize(
    ("text", "what", "character"),
    [
        ("John Doe", "no address: John Doe", 0),
        ("a b@c", "no comma before b", 2),
        ("a@b c@d", "no comma before c", 4),
        ("x <a@b", "a < without its >", 2),
        ("x <a@b> y", "a comma is missing before y", 8),
        ("<a@b>, <c@d> <e@f>", "a comma is missing before <", 13),
        ("a@b; c@d", "semicolon", 3),
        ("Team: a@b", "does not end with a semicolon", 9),
        ("Team: a@b; c@d", "a comma is missing behind a group", 11),
        ("Team: a@b; Other: c@d;", "a group within a group, or right behind one", 16),
        ("a: b: c@d;;", "a group within a group", 4),
        (":;", "without a name", 0),
        ("a@b <c@d>", "a @ in a name belongs into quotes", 1),
        ('"a@b', "a quote that does not end", 0),
        ("x@y, (a@b", "a comment that does not end", 5),
        ("x@y, (a\\", "a comment that does not end", 5),
        ("a@[1.2.3.4", "a bracket that does not end", 2),
        ("a) <a@b>", "a ) without its (", 1),
        ("a\\b <a@b>", r"a \ belongs into quotes", 1),
        ("a@b\r\n, c@d", r"control character: \x0d", 3),
        ("a\x00@b", r"control character: \x00", 1),
        ('"a\nb" <a@b>', r"a\x0ab", 0),
        ('x@y, "a\u2028b" <a@b>', r"a\u2028b", 5),
        ("a@b (x\ny)", r"x\x0ay", 0),
        ("=?utf-8?q?a=0D=0ABcc?= <a@b>", "hides", 0),
        ("x@y, a@b@c", "not an e-mail address: a@b@c", 5),
        ("x <>", "not an e-mail address", 3),
        ("x <a@-b>", "not an e-mail address: a@-b", 3),
        ("a@xn--a", "not a domain name", 0),
        ("a" * 65 + "@b", "local part of more than 64", 0),
        ("<@route.example:a@b>", "<", 0),
    ],
)
def test_errors_say_what_and_where(text: str, what: str, character: int) -> None:
    with pytest.raises(AddressError) as caught:
        read_addresses(text)
    assert what in str(caught.value)
    assert caught.value.position == character
    assert str(caught.value).endswith(f"(at character {character + 1})") == (character > 0)
    assert str(caught.value).isprintable()
    with pytest.raises(AddressError):
        read_addresses([text])


@pytest.mark.parametrize(
    ("text", "read", "skipped"),
    [
        ("a@b <c@d>", ['"a@b" <c@d>'], []),
        ('"=?utf-8?q?=C3=A4?=" <a@b>', ['"ä" <a@b>'], []),
        ("a@b; c@d", ["a@b", "c@d"], []),
        ("x: a@b", ["x: a@b;"], []),
        ("x: a@b; c@d", ["x: a@b;", "c@d"], []),
        ("x: a@b; y: c@d;", ["x: a@b;", "y: c@d;"], []),
        ("John Doe, a@b", ["a@b"], ["John Doe"]),
        ('a@b, "open <c@d>, e@f', ["a@b", '"\\"open" <c@d>', "e@f"], []),
        ("a@b, (open <c@d>, e@f", ["a@b", '"(open" <c@d>', "e@f"], []),
        ("( (closed) x <a@b>, ((y <c@d>", ['"( (closed) x" <a@b>', '"((y" <c@d>'], []),
        ("J\\o <a@b>", ['"J\\\\o" <a@b>'], []),
        ("a\x00b <a@b>", ['"a\ufffdb" <a@b>'], []),
        ("=?utf-8?q?a=0D=0Ab?= <a@b>", ['"a\ufffd\ufffdb" <a@b>'], []),
        ("x\t<a@b>", ["x <a@b>"], []),
        ("=?utf-8?q?a=09b?= <a@b>", ["a b <a@b>"], []),
        ("<>", [], ["<>"]),
        ("Jane <a@b> John <c@d> (x), e@f", ["Jane <a@b>", "John <c@d>", "e@f"], []),
        ("<a@b> x", [], ["<a@b> x"]),
        (";", [], []),
    ],
)
def test_others_may_write_what_users_may_not(text: str, read: list[str], skipped: list[str]) -> None:
    sifted = sift_addresses(text)
    assert [str(each) for each in sifted.addresses] == read
    assert [each for each, _ in sifted.skipped] == skipped


def test_every_kind_of_value() -> None:
    jane, group = Address("Jane", AB), Group("x", (Address("", CD),))
    assert read_addresses(jane) == (jane,)
    assert read_addresses(group) == (group,)
    assert read_addresses(AB) == (Address("", AB),)
    assert read_addresses(("Jane", "a@b")) == (jane,)
    assert read_addresses((" Doe, Jane ", " a@b ")) == (Address("Doe, Jane", AB),)
    assert read_addresses(["a@b, c@d", ("Jane", "a@b"), jane, group, CD]) == (
        *(Address("", AB), Address("", CD)),
        *(jane, jane, group, Address("", CD)),
    )
    assert read_addresses(each for each in [jane]) == (jane,)
    assert read_addresses(["a@b", "c@d"]) == read_addresses(("a@b", "c@d", " ")) == read_addresses("a@b, c@d")
    assert read_addresses([]) == ()
    assert list(addresses_of([jane, group])) == [jane, Address("", CD)]


def test_a_pair_that_may_be_two_addresses_is_an_error() -> None:
    with pytest.raises(AddressError, match="two addresses, or a name and one"):
        read_addresses(("a@b", "c@d"))
    assert read_addresses(("a@b", "a@b")) == (Address("a@b", AB),)
    assert read_addresses(("@jane", "a@b")) == (Address("@jane", AB),)


@pytest.mark.parametrize(
    "value", [None, 3, b"a@b", bytearray(b"a@b"), {"a@b": 1}, [["a@b"]], [None], [("a", 3)], ["a@b", b"x"]]
)
def test_other_kinds(value: object) -> None:
    with pytest.raises(TypeError, match="text, a pair"):
        read_addresses(value)  # type: ignore[arg-type]


def test_which_one_of_many_is_wrong() -> None:
    with pytest.raises(
        AddressError, match=r"address 2: a blank within an address, or no comma before b \(at character 3\)"
    ):
        read_addresses(["x@y", "a b@c"])
    with pytest.raises(AddressError, match="address 1: not an e-mail address: nobody"):
        read_addresses([("Jane", "nobody")])


def test_one_address() -> None:
    assert read_address("Jane <a@b>") == Address("Jane", AB)
    for value, what in (("", "no address"), ("a@b, c@d", "2 addresses"), ("x: a@b;", "a group")):
        with pytest.raises(AddressError, match=f"{what} where one is wanted"):
            read_address(value)


def test_values_are_checked_when_they_are_made() -> None:
    assert Address(" Jane ", "a@b") == Address("Jane", AB)
    for name in ("a\r\nBcc: x", "a\x00", "\ud800", "a\u2028"):
        with pytest.raises(ValueError, match="name"):
            Address(name, AB)
        with pytest.raises(ValueError, match="name of a group"):
            Group(name)
    for mailbox in (Mailbox("a\r\n", "b"), NULL_SENDER, Mailbox("a", ""), "x <a@b>"):
        with pytest.raises(ValueError, match="not an e-mail address"):
            Address("", mailbox)
    with pytest.raises(ValueError, match="name of a group"):
        Group("  ")
    members: Any = ["a@b", ("N", "c@d")]
    assert Group(" x ", members) == Group("x", (Address("", AB), Address("N", CD)))


def test_values_can_be_keys() -> None:
    assert len({Address("a", AB), Address("a", "a@b"), Group("a"), Group("a", ())}) == 2


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Address("", AB), "a@b"),
        (Address("Jane Doe", AB), "Jane Doe <a@b>"),
        (Address("J. Doe", AB), '"J. Doe" <a@b>'),
        (Address("=?x", AB), '"=?x" <a@b>'),
        (Group("x", ()), "x: ;"),
        (Group("x. y", (Address("", AB),)), '"x. y": a@b;'),
    ],
)
def test_str(address: Address | Group, text: str) -> None:
    assert str(address) == text


def test_quote() -> None:
    assert quote('a"b\\') == '"a\\"b\\\\"'


NAMES = texts(40).map(lambda name: name.replace("\t", " "))
MAILBOXES = st.sampled_from(
    [AB, Mailbox('"a@b, <c>"', "d.example"), Mailbox("ü", "bücher.example"), Mailbox("a", "[1.2.3.4]")]
)
ADDRESSES = st.builds(Address, NAMES, MAILBOXES)
GROUPS = st.builds(Group, NAMES.filter(lambda name: bool(name.strip(" "))), st.lists(ADDRESSES, max_size=3).map(tuple))


@given(st.lists(ADDRESSES | GROUPS, max_size=4))
def test_what_is_written_is_read(parties: list[Address | Group]) -> None:
    text = ", ".join(map(str, parties))
    assert read_addresses(text) == tuple(parties)
    sifted = sift_addresses(text)
    assert sifted.skipped == ()
    if "=?" not in text:
        assert sifted.addresses == tuple(parties)


@given(NAMES.filter(lambda name: "=?" not in name and "  " not in name))  # it does not quote two blanks
def test_what_the_standard_library_writes_is_read(name: str) -> None:
    assert read_address(formataddr((name.strip(" "), "a@b"))) == Address(name, AB)


@given(st.text(st.sampled_from('ab@.,;:<>()[]"\\ \t\n=?é\x00')) | st.text())
@example('"a" <a@b> (')
def test_whatever_comes(text: str) -> None:
    sifted = sift_addresses(text)
    for address in addresses_of(sifted.addresses):
        Mailbox.parse(str(address.mailbox))
    strict, error = strictly(text)
    if error is not None:
        assert 0 <= error.position <= len(text)
        assert str(error).isprintable()
        return
    mailboxes = [address.mailbox for address in addresses_of(sifted.addresses)]
    assert [address.mailbox for address in addresses_of(strict)] == mailboxes
    assert read_addresses(", ".join(map(str, strict))) == strict


def strictly(text: str) -> tuple[tuple[Address | Group, ...], AddressError | None]:
    try:
        return read_addresses(text), None
    except AddressError as error:
        return (), error


@pytest.mark.parametrize(
    "unit",
    [
        *'(")[<,:;@\\ =',
        "a@b,",
        '"a',
        '\\"',
        '"\\',
        "(a",
        "(a)",
        "a:",
        "=?utf-8?q?a?= ",
        "=?a?q?",
        "<a@b>",
        "a@b (",
        "[a",
        "a.",
    ],
)
def test_hostile_repetition(unit: str) -> None:
    text = unit * 8_000
    sift_addresses(text)
    sift_addresses(f"x <a@b>, {text}")
    for strict in (text, f"{text} <a@b>", f"x: {text};"):
        assert len(str(strictly(strict)[1])) < 300


def test_longer_than_any_list() -> None:
    text = "a@b," * (MAX_LIST_CHARS // 4 + 1)
    with pytest.raises(AddressError, match="a list of more than"):
        read_addresses(text)
    addresses, ((_, error),) = sift_addresses(text)
    assert addresses == ()
    assert "a list of more than" in str(error)


def test_one_mailbox_spelt_in_two_ways() -> None:
    def key(text: str) -> tuple[str, str]:
        return fold_key(Mailbox.parse(text))

    assert key("Ann@BÜCHER.example") == key("Ann@bücher.Example") == key("Ann@xn--bcher-kva.example")
    assert key("Ann@b.example") != key("ann@b.example")
    assert key("a@b.example.") == key("a@B.EXAMPLE")
    assert key('"a"@b') != key("a@b")

"""Header fields: what is written is what a reader gets, whatever the script, within the limits of the lines.

The reader is the standard library's. Its newer parser puts blanks between the encoded-words of a display name, which by
RFC 2047 6.2 go, and its writer folds quoted names apart (cpython#80222, #121284, #136052); so names are read by the
older one, and nothing here is written by it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpx.message.address import Address, Group, addresses_of, read_addresses, sift_addresses
from smtpx.message.fields import (
    address_list,
    check_name,
    check_value,
    date,
    message_ids,
    parameters,
    phrase,
    preformatted,
    unstructured,
    uri_list,
)
from smtpx.message.header_block import split_header
from smtpx.wire.address import Mailbox
from tests.message.texts import SAMPLES, texts

CONTROLS = ("\r\n", "\n", "\r", "\x00", "\x0b", "\x1c", "\x7f", "\x85", "\u2028", "\u2029", "\ud83d")


def read(octets: bytes) -> EmailMessage:
    message: Any = message_from_string(octets.decode() + "\r\n", policy=default)
    return message


def own(octets: bytes) -> str:
    """The same by our own reader, as text."""
    block, _, defects = split_header(octets + b"\r\n", max_bytes=10**7, max_fields=2)
    (field,) = block.fields
    assert not defects
    return field.value


def check_lines(octets: bytes, *, utf8: bool = False) -> None:
    """The limits of RFC 5322 2.1.1 and RFC 2047 2, and no line of blanks alone."""
    assert octets.endswith(b"\r\n")
    text = octets.decode("utf-8" if utf8 else "ascii")
    lines = text.split("\r\n")[:-1]
    for index, line in enumerate(lines):
        assert line.strip(), "a line of nothing but blanks"
        assert (line[0] in " \t") == (index > 0)
        assert "\n" not in line
        assert "\r" not in line
        assert len(line.encode()) <= 998
        if len(line) > 78:  # nowhere to fold it, but where the name ends or between the addresses of an item
            assert not any(blank in line.strip(" \t").partition(": ")[2] for blank in " \t") or '"' in line
        if "=?" in line and "?=" in line:
            assert len(line) <= 76 or "<" in line or index == 0
    for word in text.split():
        if word.startswith("=?") and word.endswith("?="):
            assert len(word) <= 75


# --- free text ---


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("text", SAMPLES)
def test_samples(text: str, utf8: bool) -> None:
    octets = unstructured("Subject", text, utf8=utf8)
    check_lines(octets, utf8=utf8)
    assert str(read(octets)["Subject"] or "") == text
    assert own(octets) == text


@given(texts(), st.sampled_from(["Subject", "X", "X-" + "a" * 74]), st.booleans())
@example("a" * 900 + " b", "X", False)
@example("\t", "X", True)
@example("a " + "ä" * 230 + " b", "X-" + "a" * 74, True)
@example("x" * 60 + " \tä", "Subject", False)
@example("x" * 68 + "  ä", "Subject", False)
def test_any_text_comes_back(text: str, name: str, utf8: bool) -> None:
    octets = unstructured(name, text, utf8=utf8)
    check_lines(octets, utf8=utf8)
    assert own(octets) == text
    found = str(read(octets)[name] or "")
    if octets.startswith(
        f"{name}:\r\n".encode()
    ):  # the library takes a fold behind the name for a blank (cpython#144692)
        found = found[1:]
    assert found == text


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("", b"Subject:\r\n"),
        ("Hello", b"Subject: Hello\r\n"),
        ("x" * 69, b"Subject: " + b"x" * 69 + b"\r\n"),
        ("x" * 70 + " y", b"Subject: " + b"x" * 70 + b"\r\n y\r\n"),
        ("x" * 100, b"Subject: " + b"x" * 100 + b"\r\n"),
        ("x" * 800, b"Subject: " + b"x" * 800 + b"\r\n"),
        ("word " * 13 + "last", b"Subject: " + b"word " * 12 + b"word last\r\n"),
        ("word " * 14 + "last", b"Subject: " + b"word " * 13 + b"word\r\n last\r\n"),
        ("a  " * 23 + "bc", b"Subject: " + (b"a  " * 23).rstrip() + b"\r\n  bc\r\n"),
        ("Grüße an alle", b"Subject: =?utf-8?b?R3LDvMOfZQ==?= an alle\r\n"),
        ("An alle: Über uns, über euch", b"Subject: An alle: =?utf-8?b?w5xiZXIgdW5zLCDDvGJlcg==?= euch\r\n"),
        ("=?utf-8?q?x?=", b"Subject: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?=\r\n"),
        (" x", b"Subject: =?utf-8?q?_x?=\r\n"),
        ("word " * 11 + "größer", b"Subject: " + b"word " * 10 + b"word\r\n =?utf-8?b?Z3LDtsOfZXI=?=\r\n"),
    ],
)
def test_how_it_is_folded(text: str, octets: bytes) -> None:
    assert unstructured("Subject", text) == octets


def test_utf8_stays_as_it_is() -> None:
    assert unstructured("Subject", "Grüße 日本", utf8=True) == "Subject: Grüße 日本\r\n".encode()


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize(
    "write",
    [
        lambda text: unstructured("X-Own", text),
        lambda text: unstructured("X-Own", text, utf8=True),
        lambda text: message_ids("X-Own", [f"<{text}>"], utf8=True),
        lambda text: parameters("X-Own", "attachment", {"filename": text}),
        lambda text: uri_list("X-Own", [f"https:{text}"]),
        lambda text: parameters("X-Own", text),
    ],
)
def test_controls_are_refused_with_the_name_of_the_field(write: Callable[[str], bytes], control: str) -> None:
    with pytest.raises(ValueError, match="X-Own") as caught:
        write(f"a{control} b")
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()


def test_controls_in_names_of_people() -> None:
    with pytest.raises(ValueError, match="a display name"):
        phrase("a\nb", False)
    check_value("a\tb", "X")
    with pytest.raises(ValueError, match="X: a control character"):
        check_value("a\x00b", "X")


@pytest.mark.parametrize("name", ["", "a:b", "a b", "ä", "a\n", "a\r\nBcc", "\x7f", "a" * 77])
def test_names(name: str) -> None:
    for write in (unstructured, preformatted):
        with pytest.raises(ValueError, match="not the name of a header field"):
            write(name, "x")
    assert check_name("X-!#$%&'*+") == "X-!#$%&'*+: "


# --- addresses ---


def names_and_addresses(octets: bytes, name: str) -> list[tuple[str, str]]:
    raw = message_from_string(octets.decode() + "\r\n")[name]
    return [(str(make_header(decode_header(text))), address) for text, address in getaddresses([raw])]


NAMES = texts(120).map(lambda name: name.replace("\t", " "))
ADDRESSES = st.builds(
    Address, NAMES, st.sampled_from([Mailbox("a", "b.example"), Mailbox("x" * 64, "y" * 60 + ".example")])
)
GROUPS = st.builds(Group, NAMES.filter(lambda name: bool(name.strip(" "))), st.lists(ADDRESSES, max_size=3).map(tuple))


@given(st.lists(ADDRESSES | GROUPS, min_size=1, max_size=6), st.booleans())
@example([Address("x" * 61, "a@b"), Address(". " * 25, "a@b"), Address("a  b", "a@b")], False)
@example([Group("ä"), Group("ä", (Address("", "a@b"),)), Group("x")], False)
def test_any_addresses_come_back(parties: list[Address | Group], utf8: bool) -> None:
    octets = address_list("Reply-To", parties, utf8=utf8)
    check_lines(octets, utf8=utf8)
    unfolded = octets.decode().replace("\r\n", "").partition(":")[2]
    assert list(sift_addresses(unfolded).addresses) == parties
    assert list(read_addresses(unfolded)) == parties


@given(st.lists(ADDRESSES, min_size=1, max_size=6))
def test_the_standard_library_reads_the_same_addresses(addresses: list[Address]) -> None:
    octets = address_list("To", addresses)
    wanted = [(each.display_name, str(each.mailbox)) for each in addresses]
    assert names_and_addresses(octets, "To") == wanted
    assert [each.addr_spec for each in read(octets)["To"].addresses] == [address for _, address in wanted]


@given(st.lists(GROUPS, min_size=1, max_size=3))
def test_the_standard_library_reads_the_same_groups(groups: list[Group]) -> None:
    found = read(address_list("To", groups))["To"].groups
    assert [len(group.addresses) for group in found] == [len(group.members) for group in groups]
    assert not any(group.display_name is None for group in found)


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        ("a@b", b"To: a@b\r\n"),
        ("Jane Doe <a@b>", b"To: Jane Doe <a@b>\r\n"),
        ('"Doe, J. \\"x\\"" <a@b>', b'To: "Doe, J. \\"x\\"" <a@b>\r\n'),
        ("Jürgen <a@b>", b"To: =?utf-8?q?J=C3=BCrgen?= <a@b>\r\n"),
        ("a@bücher.example", b"To: a@xn--bcher-kva.example\r\n"),
        ("Team: a@b, c@d;, e@f", b"To: Team: a@b, c@d;, e@f\r\n"),
        ("hidden:;", b"To: hidden:;\r\n"),
        ("Jürgen: a@b;", b"To: =?utf-8?q?J=C3=BCrgen?= : a@b;\r\n"),
        ("Jürgen:;", b"To: =?utf-8?q?J=C3=BCrgen?= :;\r\n"),
        (
            ", ".join(["Jane Doe <jane@a.example>"] * 4),
            b"To: Jane Doe <jane@a.example>, Jane Doe <jane@a.example>,\r\n"
            b" Jane Doe <jane@a.example>, Jane Doe <jane@a.example>\r\n",
        ),
    ],
)
def test_how_addresses_are_written(written: str, octets: bytes) -> None:
    assert address_list("To", read_addresses(written)) == octets


def test_addresses_in_utf8() -> None:
    parties = read_addresses("Jürgen <ü@bücher.example>, Jane <a@b>, Größe: x@y;")
    octets = address_list("To", parties, utf8=True)
    assert octets == 'To: "Jürgen" <ü@bücher.example>, Jane <a@b>, "Größe": x@y;\r\n'.encode()
    with pytest.raises(ValueError, match=r"To: \\xfc@xn--bcher-kva.example needs SMTPUTF8"):
        address_list("To", parties)


def test_no_address() -> None:
    with pytest.raises(ValueError, match="To: no address"):
        address_list("To", ())


def test_many_addresses() -> None:
    parties = [Address(f"Recipient {number}", f"r{number}@b.example") for number in range(20_000)]
    octets = address_list("To", parties)
    check_lines(octets)
    assert list(addresses_of(read_addresses(octets.decode().replace("\r\n", "")[4:]))) == parties


# --- parameters ---


@given(texts(200).map(lambda text: text.replace("\t", " ")))
@example("'")
@example("x" * 56 + ".pdf")
@example("a" * 200)
@example('"\\')
def test_any_file_name_comes_back(name: str) -> None:
    octets = parameters("Content-Disposition", "attachment", {"filename": name, "size": "3"})
    check_lines(octets)
    assert octets.isascii()
    message = read(octets)
    assert message.get_content_disposition() == "attachment"
    found = message["Content-Disposition"].params  # get_param() parses what was parsed already, and fails at quotes
    assert found["size"] == "3"
    if (
        name.strip() == name and "  " not in name
    ):  # the library takes blanks in quotes for one, and drops those at the ends
        assert found["filename"] == name


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({}, b""),
        ({"charset": "utf-8", "format": "flowed"}, b"; charset=utf-8; format=flowed"),
        ({"boundary": "a/b"}, b'; boundary="a/b"'),
        ({"x": "a" * 68}, b";\r\n x=" + b"a" * 68),
        ({"x": "ä"}, b"; x*=utf-8''%C3%A4"),
    ],
)
def test_how_parameters_are_written(values: dict[str, str], written: bytes) -> None:
    assert parameters("Content-Type", "text/plain", values) == b"Content-Type: text/plain" + written + b"\r\n"
    assert parameters("Content-Type", "text/plain", values or None).startswith(b"Content-Type: text/plain")


@pytest.mark.parametrize("value", ["", "a b", "a/b/c", "text/", "ä", "a;b"])
def test_values_that_are_no_token(value: str) -> None:
    with pytest.raises(ValueError, match="X: not a token"):
        parameters("X", value)


def test_bad_names_of_parameters() -> None:
    with pytest.raises(ValueError, match="X: not the name of a parameter: a b"):
        parameters("X", "a/b", {"a b": "c"})


# --- ids, dates, URIs ---


def test_ids() -> None:
    assert message_ids("Message-ID", ["a@b"]) == message_ids("Message-ID", "<a@b>") == b"Message-ID: <a@b>\r\n"
    long = f"<{'x' * 80}@y>"
    assert message_ids("Message-ID", [long]) == f"Message-ID: {long}\r\n".encode()
    octets = message_ids("References", [f"<{number}@a.example>" for number in range(30)])
    check_lines(octets)
    assert octets.replace(b"\r\n", b"").split() == [
        b"References:",
        *(b"<%d@a.example>" % number for number in range(30)),
    ]
    assert message_ids("Message-ID", ["<ä@b>"], utf8=True) == "Message-ID: <ä@b>\r\n".encode()


@pytest.mark.parametrize("bad", ["", "a b", "<a", "<a>>", "<a> <b>", "<>", "<ä@b>", f"<{'x' * 900}>"])
def test_bad_ids(bad: str) -> None:
    with pytest.raises(ValueError, match="In-Reply-To: not a message id"):
        message_ids("In-Reply-To", [bad])


def test_no_ids() -> None:
    with pytest.raises(ValueError, match="References: no message id"):
        message_ids("References", [])


@given(st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_dates(moment: datetime, minutes: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    octets = date("Date", moment)
    check_lines(octets)
    found = parsedate_to_datetime(octets.decode()[6:])
    assert (found, found.utcoffset()) == (moment, moment.utcoffset())


def test_how_dates_are_written() -> None:
    zone: tzinfo = timezone(timedelta(hours=-3, minutes=-30))
    assert date("Date", datetime(2026, 3, 1, 2, 3, 4, tzinfo=zone)) == b"Date: Sun, 01 Mar 2026 02:03:04 -0330\r\n"
    seconds = timezone(timedelta(minutes=17, seconds=30))  # as zones were in the days of local mean time
    moment = datetime(2026, 3, 1, 0, 17, 30, tzinfo=seconds)
    assert date("Date", moment) == b"Date: Sun, 01 Mar 2026 00:00:00 +0000\r\n"
    with pytest.raises(ValueError, match="Date: a date and time needs a time zone"):
        date("Date", datetime(2026, 3, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="Date: a date before 1900"):
        date("Date", datetime(1899, 12, 31, tzinfo=UTC))
    with pytest.raises(ValueError, match="Date: a date beyond the calendar"):
        date("Date", datetime.max.replace(tzinfo=timezone(-timedelta(seconds=1))))


def test_uris() -> None:
    expected = b"List-Unsubscribe: <https://a.example/u?1,2>, <mailto:u@a.example?body=a>\r\n"
    uris = ["https://a.example/u?1,2", "mailto:u@a.example?body=a"]
    assert uri_list("List-Unsubscribe", uris) == expected
    assert uri_list("List-Unsubscribe", iter(f" <{uri}> " for uri in uris)) == expected
    assert uri_list("List-Unsubscribe", ", ".join(f"<{uri}>" for uri in uris)) == expected
    assert uri_list("List-Help", "https://a.example/") == b"List-Help: <https://a.example/>\r\n"
    long = "https://a.example/" + "x" * 200
    assert uri_list("List-Help", [long, long]) == f"List-Help: <{long}>,\r\n <{long}>\r\n".encode()


@pytest.mark.parametrize(
    "bad", ["", "a.example", "https://a b", "https://a>b", "https://ä.example", "x:" + "a" * 1000, "https:\n"]
)
def test_bad_uris(bad: str) -> None:
    with pytest.raises(ValueError, match="List-Help: not a URI"):
        uri_list("List-Help", [bad])


@pytest.mark.parametrize("none", [[], "<"])
def test_no_uris(none: list[str] | str) -> None:
    with pytest.raises(ValueError, match="List-Help: no URI"):
        uri_list("List-Help", none)


# --- preformatted ---


@pytest.mark.parametrize("value", ["", "a", "a\r\n b", "a;\r\n\tb=c;\r\n d", "x" * 990])
def test_preformatted(value: str) -> None:
    assert preformatted("X", value) == preformatted("X", value.encode()) == f"X: {value}\r\n".encode()


def test_preformatted_utf8() -> None:
    assert preformatted("X", "ä", utf8=True) == preformatted("X", "ä".encode(), utf8=True) == "X: ä\r\n".encode()


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("a\r\nb", "does not begin with a blank"),
        ("a\r\n", "does not begin with a blank"),
        ("a\r\n \r\n b", "has nothing else"),
        ("a\n b", "control character"),
        ("a\rb", "control character"),
        ("a\x00", "control character"),
        ("ä", "not ASCII"),
        ("ä".encode(), "not ASCII"),
        ("x" * 996, "a line of more than 998 octets"),
        ("a\r\n " + "x" * 998, "a line of more than 998 octets"),
    ],
)
def test_badly_preformatted(value: str | bytes, what: str) -> None:
    with pytest.raises(ValueError, match=f"X: .*{what}"):
        preformatted("X", value)


def test_preformatted_octets_that_are_no_utf8() -> None:
    for value in (b"\xff", "\ud800"):
        with pytest.raises(ValueError, match="X: not UTF-8"):
            preformatted("X", value, utf8=True)


@pytest.mark.parametrize(
    "unit", ["a ", "a", " ", "ä ", "ä", "=?", "\t", "x" * 900 + " ", " " * 20 + "x", "日" * 219 + " "]
)
def test_long_input_takes_linear_time_and_comes_back(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    for utf8 in (False, True):
        octets = unstructured("X", text, utf8=utf8)
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        assert own(octets) == text


def test_read_back_by_the_policy_of_old() -> None:
    octets = unstructured("Subject", "Grüße " * 40) + address_list("From", [Address("Jürgen " * 20, "a@b")])
    message = message_from_bytes(octets + b"\r\n")
    assert str(make_header(decode_header(message["Subject"]))) == "Grüße " * 40

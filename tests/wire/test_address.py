"""Envelope addresses: one parser, what it takes, what it refuses, and that it always writes back what it read."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpx.wire import address
from smtpx.wire.address import NULL_SENDER, Mailbox, ascii_domain, parse_path
from smtpx.wire.params import parse_params
from smtpx.wire.syntax import Fault, WireError, has_controls


def fault(text: str, *, recipient: bool = False, brackets: bool = True) -> Fault:
    """Why `text` is refused, as a path with nothing behind it."""
    with pytest.raises(WireError) as caught:
        parse_params(parse_path(text, recipient=recipient, brackets=brackets)[1], {})
    return caught.value.fault


def path(text: str, *, recipient: bool = False, brackets: bool = True) -> str:
    """The mailbox of a path that stands alone, written out."""
    mailbox, rest = parse_path(text, recipient=recipient, brackets=brackets)
    assert rest == ""
    return str(mailbox)


# Rows of the reverse-path parser ----------------------------------------------------------------------------------


def test_p01_h066_null_sender() -> None:
    assert parse_path("<>") == (NULL_SENDER, "")
    assert parse_path("<> SIZE=1") == (NULL_SENDER, " SIZE=1")
    assert NULL_SENDER.is_null
    assert NULL_SENDER.to_path() == "<>"


def test_p02_mailbox() -> None:
    assert parse_path("<root@example.org>") == (Mailbox("root", "example.org"), "")


def test_p03_h067_without_brackets_only_when_lenient() -> None:
    assert parse_path("root@example.org", brackets=False) == (Mailbox("root", "example.org"), "")
    assert fault("root@example.org") is Fault.ARGUMENT


def test_p04_parameters_are_the_rest() -> None:
    expected = (Mailbox("root", "example.org"), " AUTH=x@example.net")
    assert parse_path("<root@example.org> AUTH=x@example.net") == expected


def test_p05_parameters_without_brackets_only_when_lenient() -> None:
    expected = (Mailbox("root", "example.org"), " AUTH=x@example.net")
    assert parse_path("root@example.org AUTH=x@example.net", brackets=False) == expected
    assert fault("root@example.org AUTH=x@example.net") is Fault.ARGUMENT


@pytest.mark.parametrize("brackets", [True, False], ids=["brackets", "lenient"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Fault.ARGUMENT, id="p06"),
        pytest.param(" ", Fault.ARGUMENT, id="p07"),
        pytest.param("word", Fault.ARGUMENT, id="p08"),
        pytest.param("<Some Name <a@example.org>>", Fault.ADDRESS, id="p09"),
        pytest.param(" BODY=8BITMIME SIZE=12345", Fault.ARGUMENT, id="p10"),
        pytest.param("a:b:c@example.org", Fault.ARGUMENT, id="p11"),
        pytest.param("<a@example.org", Fault.ADDRESS, id="p12"),
    ],
)
def test_p06_to_p12_no_path(text: str, expected: Fault, brackets: bool) -> None:
    assert fault(text, brackets=brackets) is expected


@pytest.mark.parametrize(
    "text", ['"a b"@example.org', "a[b@example.org", "a@[192.0.2.1]", "a@b.example>", "a@b.example\n"]
)
def test_h067_lenient_takes_only_plain_addresses_without_brackets(text: str) -> None:
    assert fault(text, brackets=False) is Fault.ARGUMENT


def test_p20_d09_quoted_local_part_keeps_its_quotes() -> None:
    mailbox, _ = parse_path('<"a b"@example.org>')
    assert mailbox.local_part == '"a b"'
    assert mailbox.to_path() == '<"a b"@example.org>'


def test_p21_d09_quotes_hide_no_second_command() -> None:
    text = '<"a> RCPT TO:<x"@example.org>'
    mailbox, rest = parse_path(text)
    assert (mailbox, rest) == (Mailbox('"a> RCPT TO:<x"', "example.org"), "")
    assert mailbox.to_path() == text
    assert Mailbox.parse(str(mailbox)) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "<a@b@example.org>",
        "<a@>",
        "<@b>",
        "<a..b@x>",
        "<.a@x>",
        "<a.@x>",
        "<a b@x>",
        "<a@x y>",
        "<a@b>c@d>",
        "<<a@b>>",
    ],
)
def test_p22_h063_not_a_mailbox(text: str) -> None:
    expected = Fault.ARGUMENT if text == "<a@b>c@d>" else Fault.ADDRESS
    assert fault(text) is fault(text, recipient=True) is fault(text, brackets=False) is expected


def test_h063_who_is_the_recipient() -> None:
    assert path('<"a@evil.example"@good.example>', recipient=True) == '"a@evil.example"@good.example'
    assert fault("<a@b@c.example>", recipient=True) is Fault.ADDRESS
    assert fault("<a@b.example>c@d.example", recipient=True) is Fault.ARGUMENT


@pytest.mark.parametrize("text", ["<a@[192.0.2.1]>", "<a@[127.0.0.1]>", "<a@[IPv6:2001:db8::1]>", "<a@[ipv6:::1]>"])
def test_p23_h065_address_literals(text: str) -> None:
    assert f"<{path(text)}>" == text


@pytest.mark.parametrize(
    "domain",
    [
        "[300.1.1.1]",
        "[IPv6:zz]",
        "[junk]",
        "host:25",
        "[IPv6:fe80::1%eth0]",
        "[256.1.1.1]",
        "[1.2.3]",
        "[2001:db8::1]",
        "[IPv6:::1/64]",
        "[]",
        "[1.2.3.4",
        "[1.2.3.4]x",
        "-x.example",
        "x-.example",
        "x..example",
        ".example",
        "x_y.example",
        "",
    ],
)
def test_p24_h065_bad_domains(domain: str) -> None:
    assert fault(f"<a@{domain}>") is Fault.ADDRESS
    with pytest.raises(WireError):
        Mailbox.parse(f"a@{domain}")


def test_h065_odd_domains_that_are_taken() -> None:
    assert path("<a@localhost>") == "a@localhost"
    assert path("<a@x.example.>") == "a@x.example"
    assert path("<a@1.2.3>") == "a@1.2.3"
    assert path("<a@ab--cd.example>") == "a@ab--cd.example"


def test_p25_h063_source_routes_are_checked_and_dropped() -> None:
    """RFC 5321 F.2."""
    assert path("<@relay.example:a@example.org>") == "a@example.org"
    assert path("<@r1.example,@r2.example:a@example.org>", recipient=True) == "a@example.org"
    assert fault("<@r1.example,r2.example:a@example.org>") is Fault.ADDRESS
    assert fault("<@r1.example a@example.org>") is Fault.ADDRESS
    assert fault("<@-bad.example:a@example.org>") is Fault.ADDRESS


def test_h066_empty_and_half_paths() -> None:
    assert fault("<>", recipient=True) is Fault.ADDRESS
    assert fault("<@x.example>", recipient=True) is Fault.ADDRESS
    assert fault("", recipient=True) is Fault.ARGUMENT
    assert fault("<>x") is Fault.ARGUMENT


@pytest.mark.parametrize("word", ["Postmaster", "postMASTER"])
def test_p26_d26_h063_postmaster_needs_no_domain_as_recipient(word: str) -> None:
    """RFC 5321 4.1.1.3."""
    mailbox, rest = parse_path(f"<{word}> NOTIFY=NEVER", recipient=True)
    assert (mailbox, rest) == (Mailbox(word, ""), " NOTIFY=NEVER")
    assert mailbox.to_path() == f"<{word}>"
    assert not mailbox.is_null
    assert fault(f"<{word}>") is Fault.ADDRESS


def test_p26_letters_that_only_look_like_postmaster() -> None:
    assert fault("<po\u017ftmaster>", recipient=True) is Fault.ADDRESS


def domain_of(size: int) -> str:
    """A domain name of `size` octets."""
    return ("a" * 62 + ".") * ((size - 1) // 63) + "b" * ((size - 1) % 63 + 1)


def test_p27_h061_rfc5321_4_5_3_1_1_local_part() -> None:
    for char in "ab.":
        local = f"a{char}" * 31 + "aa"
        if char != ".":
            assert path(f"<{local}@x.example>") == f"{local}@x.example"
        else:
            assert path(f"<{local}@x.example>", recipient=True) == f"{local}@x.example"
        assert fault(f"<{local}a@x.example>") is Fault.ADDRESS
    assert path(f"<{'ü' * 32}@x.example>")
    assert fault(f"<{'ü' * 32}a@x.example>") is Fault.ADDRESS
    assert fault(f"{'a' * 65}@x.example", brackets=False) is Fault.ADDRESS


def test_h061_local_part_limit_can_be_raised_and_lowered() -> None:
    long = "a" * 128
    assert parse_path(f"<{long}@x.example>", max_local_part_bytes=128)[0].local_part == long
    with pytest.raises(WireError):
        parse_path(f"<{long}a@x.example>", max_local_part_bytes=128)
    with pytest.raises(WireError):
        parse_path("<abcdef@x.example>", max_local_part_bytes=5)
    assert parse_path("<abcde@x.example>", max_local_part_bytes=5)[0] == Mailbox("abcde", "x.example")


def test_p27_h061_rfc5321_4_5_3_1_3_path() -> None:
    assert len(domain_of(252)) == 252
    assert path(f"<a@{domain_of(252)}>") == f"a@{domain_of(252)}"
    assert fault(f"<a@{domain_of(253)}>") is Fault.ADDRESS
    assert fault(f"<ü@{domain_of(252)}>") is Fault.ADDRESS
    assert path(f"a@{domain_of(252)}", brackets=False) == f"a@{domain_of(252)}"
    assert fault(f"a@{domain_of(253)}", brackets=False) is Fault.ADDRESS
    assert Mailbox.parse(f"a@{domain_of(252)}").domain == domain_of(252)
    with pytest.raises(WireError):
        Mailbox.parse(f"a@{domain_of(253)}")


def test_p27_h061_rfc5321_4_5_3_1_2_domain_and_label() -> None:
    assert fault(f"a@{domain_of(256)}", brackets=False) is Fault.ADDRESS
    assert path(f"<a@{'b' * 63}.example>")
    assert fault(f"<a@{'b' * 64}.example>") is Fault.ADDRESS


def test_rfc5890_2_3_2_1_label_of_more_than_63_octets_in_utf8_may_be_a_good_one() -> None:
    label = "가" * 30
    assert len(label.encode()) == 90
    assert path(f"<a@{label}.example>") == f"a@{label}.example"
    assert len(ascii_domain(f"{label}.example").partition(".")[0]) <= 63
    scattered = "".join(chr(0xAC00 + 997 * i % 11172) for i in range(30))
    assert fault(f"<a@{scattered}.example>") is Fault.ADDRESS


def test_p28_h064_internationalised_addresses() -> None:
    for text in ("<ü@example.org>", "<a@bücher.example>", '<"ü b"@example.org>'):
        mailbox, _ = parse_path(text)
        assert not mailbox.is_ascii
        assert mailbox.to_path() == text
    assert Mailbox.parse("a@Bücher.example").to_ascii_domain() == Mailbox("a", "xn--bcher-kva.example")
    assert Mailbox.parse("a@b.example").is_ascii
    assert path("<a@xn--bcher-kva.example>") == "a@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "domain", ["xn--0049", "XN--0049.example", "x.xn--a", "a\u200b-.ü", "ab--c.ü", "\u0300x.example"]
)
def test_h064_malformed_internationalised_domains(domain: str) -> None:
    assert fault(f"<a@{domain}>", recipient=True) is Fault.ADDRESS
    with pytest.raises(WireError):
        Mailbox.parse(f"a@{domain}")


def test_h064_encoded_word_is_an_opaque_atom() -> None:
    text = "<=?utf-8?q?a=40evil.example?=@good.example>"
    assert f"<{path(text, recipient=True)}>" == text


@pytest.mark.parametrize(
    "char", ["\r\n", "\r", "\n", "\0", "\t", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]
)
@pytest.mark.parametrize(
    "shape", ["a{}b@c.example", '"a{}b"@c.example', '"a\\{}"@c.example', "a@b{}c.example", "a@b.c{}"]
)
def test_h050_h051_h052_no_control_character_in_any_form(shape: str, char: str) -> None:
    text = shape.format(char)
    with pytest.raises(WireError):
        Mailbox.parse(text)
    with pytest.raises(WireError):
        parse_params(parse_path(f"<{text}>")[1], {})
    with pytest.raises(WireError):
        parse_params(parse_path(text, brackets=False)[1], {})


@pytest.mark.parametrize(
    "text",
    [
        "user@x.example> AUTH=<a@b.example",
        "a@b.example>\r\nRCPT TO:<evil@c.example",
        '"a\r\nRCPT TO:<x@evil.example>"@b.example',
        "a@b> SIZE=1",
        "a@b c",
        "<a@b>",
        "a@b\0",
        "a <b@c>",
        "",
        "a",
        "a@b\n",
    ],
)
def test_h050_d10_known_shapes_of_injection(text: str) -> None:
    with pytest.raises(WireError) as caught:
        Mailbox.parse(text)
    assert caught.value.fault is Fault.ADDRESS
    assert not has_controls(str(caught.value))
    assert ("without name and brackets" in str(caught.value)) == ("<" in text)


def test_mailbox_is_read_without_brackets_and_any_case_is_kept() -> None:
    assert Mailbox.parse("User.Name+tag@Example.ORG") == Mailbox("User.Name+tag", "Example.ORG")
    assert str(Mailbox.parse('"a\\"b"@[192.0.2.1]')) == '"a\\"b"@[192.0.2.1]'


# Domains in ASCII -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "ascii_form"),
    [
        ("Example.ORG", "example.org"),
        ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ("", ""),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.Example", "xn--bcher-kva.example"),
        ("bücher\u3002example", "xn--bcher-kva.example"),
        ("bücher.example\u3002", "xn--bcher-kva.example"),
        ("axn--b.example", "axn--b.example"),
        ("ab--xn--c.example", "ab--xn--c.example"),
    ],
)
def test_rfc5890_domain_in_a_labels(domain: str, ascii_form: str) -> None:
    assert ascii_domain(domain) == ascii_form


def test_rfc5890_capital_sigma_is_mapped_as_uts46_says() -> None:
    # str.lower() would make the last one a final sigma, which is another name in the DNS.
    assert ascii_domain("ΒΌΛΟΣ.example") == ascii_domain("βόλοσ.example") == "xn--nxasmq6b.example"
    assert ascii_domain("βόλος.example") == "xn--nxasmm1c.example"


@pytest.mark.parametrize(
    "domain", ["ü" * 64, "ü." * 1000, "xn--", "xn--" + "9" * 60, "ü..b", "\u00ad", "ü\ud800", "a b.ü"]
)
def test_rfc5891_bad_domains(domain: str) -> None:
    with pytest.raises(WireError) as caught:
        ascii_domain(domain)
    assert caught.value.fault is Fault.ADDRESS
    assert str(caught.value).isprintable()


# Properties -------------------------------------------------------------------------------------------------------

LABELS = st.text("abc019-A.", max_size=12) | st.sampled_from(
    ["xn--", "xn--bcher-kva", "ab--xn--c", "axn--b", "ü", "x" * 33]
)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join) | st.sampled_from(["[192.0.2.1]", "[IPv6:::1]", "[x]"])
LOCALS = st.text("abZ09_+=-.!", max_size=40) | st.sampled_from(["postmaster", '"a b"', '"a>"', "ü", "a" * 64, "a" * 65])
PATHS = st.builds(
    "<{}{}@{}>{}".format,
    st.sampled_from(["", "", "", "@r.example:"]),
    LOCALS,
    DOMAINS,
    st.sampled_from(["", " SIZE=1", "x", ">"]),
)
ANY_TEXT = PATHS | st.text('<>@.:,a "\\[]-ü\r\n\0') | st.text(st.characters() | st.characters(categories=["Cs"]))


@settings(deadline=None, max_examples=1000)
@given(st.from_regex(address._COMMON) | PATHS, st.booleans(), st.sampled_from([1, 5, 64, 128]))
@example("<a@ab--xn--c.example>", False, 64)
@example("<a@axn--b.example>", True, 64)
@example("<postmaster@a>", True, 64)
def test_common_shape_agrees_with_the_full_grammar(text: str, recipient: bool, limit: int) -> None:
    match = address._COMMON.match(text)
    if match is None or len(match[1]) > limit:
        return
    expected = address._parse_any_path(text, recipient, True, limit)
    assert parse_path(text, recipient=recipient, max_local_part_bytes=limit) == expected
    assert address._parse_any_path(text, recipient, False, limit) == expected
    assert Mailbox.parse(text[1 : text.index(">")]) == expected[0]


@settings(deadline=None, max_examples=500)
@given(ANY_TEXT, st.booleans(), st.booleans())
def test_any_text_gives_a_mailbox_or_wire_error(text: str, recipient: bool, brackets: bool) -> None:
    try:
        mailbox, rest = parse_path(text, recipient=recipient, brackets=brackets)
    except WireError as error:
        fault = error.fault
    else:
        fault = None
        assert text.endswith(rest)
        assert not has_controls(str(mailbox))
        assert len(mailbox.to_path().encode()) <= 256
        assert parse_path(mailbox.to_path() + rest, recipient=recipient) == (mailbox, rest)
    assert fault in (None, Fault.ADDRESS, Fault.ARGUMENT)


@settings(deadline=None, max_examples=500)
@given(ANY_TEXT.map(lambda text: text.removeprefix("<").removesuffix(">")))
def test_h063_mailbox_written_out_reads_back(text: str) -> None:
    try:
        mailbox = Mailbox.parse(text)
    except WireError:
        return
    assert Mailbox.parse(str(mailbox)) == mailbox
    assert parse_path(mailbox.to_path()) == (mailbox, "")
    assert mailbox.to_ascii_domain().domain.isascii()


@settings(deadline=None, max_examples=500)
@given(st.text() | DOMAINS | st.from_regex(r"xn--[a-z0-9-]{0,60}", fullmatch=True))
def test_any_domain_gives_ascii_or_wire_error(domain: str) -> None:
    try:
        ascii_form = ascii_domain(domain)
    except WireError:
        return
    assert ascii_form.isascii()
    assert ascii_domain(ascii_form) == ascii_form


@pytest.mark.parametrize(
    "text",
    [
        "<" + "a" * 1_000_000,
        "<" + "a." * 500_000,
        "<" + "a.a" * 300_000 + "@",
        '<"' + "\\a" * 500_000,
        '<"' + "a" * 1_000_000,
        "<a@" + "a-" * 500_000,
        "<a@" + "a" + "-" * 1_000_000 + ">",
        "<a@" + "a." * 500_000 + "-",
        "<a@" + "ü." * 500_000,
        "<" + "@a," * 300_000,
        "<" + "@a.b-c," * 150_000 + "@a:",
        "<a@[" + "x" * 1_000_000,
        "<a@" + "b" * 1_000_000 + ">",
    ],
    ids=lambda text: text[:8],
)
def test_h061_h073_long_hostile_addresses_are_refused_in_linear_time(text: str) -> None:
    assert fault(text) is Fault.ADDRESS
    with pytest.raises(WireError):
        Mailbox.parse(text[1:])
    with pytest.raises(WireError):
        parse_params(parse_path(text[1:], brackets=False)[1], {})


def test_h065_a_literal_is_ascii() -> None:
    with pytest.raises(WireError):
        ascii_domain("[\x80")
    assert ascii_domain("[IPv6:2001:DB8::1]") == "[ipv6:2001:db8::1]"

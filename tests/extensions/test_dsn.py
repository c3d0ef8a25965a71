"""DSN (RFC 3461, RFC 6533): the parameters' values both ways, S38, S39, C14, C15, H068 and D30."""

from collections.abc import Mapping
from typing import Any, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.errors import LocalProtocolError, UnsupportedError
from smtpx.extensions import STANDARD
from smtpx.extensions.dsn import DSN, ENVID, NOTIFY, ORCPT, RET, OriginalRecipient
from smtpx.protocol.events import MailAsked, RcptAsked
from smtpx.protocol.extension import MailFacts
from smtpx.wire.params import Param, Params, decode_xtext, parse_params
from smtpx.wire.syntax import Fault, WireError
from tests.protocol.server_peer import EHLO, MAIL, Outcome, make_settings, play

SETTINGS = make_settings(extensions=STANDARD)
MESSAGE = "DATA\r\n", "Subject: t\r\n\r\nx\r\n.\r\n"
OFFERED = ()
WITHOUT_FORM = frozenset(map(chr, (0, *range(10, 16), *range(26, 32))))  # in RFC 6533 3


def ask(*lines: str) -> Outcome:
    return play(EHLO, *(f"{line}\r\n" for line in lines), settings=SETTINGS)


def codes(*lines: str) -> list[str]:
    return ask(*lines).codes[1:]


def mail(**options: object) -> list[str]:
    return list(DSN().dress_mail(MailFacts(options=options), OFFERED))


def rcpt(**options: object) -> list[str]:
    return list(DSN().dress_rcpt(options, OFFERED))


def refused(param: Param[Any], value: str | None) -> bool:
    try:
        param.parse(value)
    except WireError as error:
        return error.fault is Fault.ARGUMENT
    return False


# Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "text", "value"),
    [
        (RET, "full", "FULL"),
        (RET, "Hdrs", "HDRS"),
        (ENVID, "x+3D1", "x=1"),
        (ENVID, "QQ314159", "QQ314159"),
        (ENVID, "a+20b+2Bc", "a b+c"),
        (ENVID, "x" * 100, "x" * 100),
        (ENVID, "+20" * 100, " " * 100),
        (NOTIFY, "never", ("NEVER",)),
        (NOTIFY, "Success", ("SUCCESS",)),
        (NOTIFY, "delay,FAILURE,success", ("DELAY", "FAILURE", "SUCCESS")),
        (ORCPT, "rfc822;Bob@example.com", OriginalRecipient("RFC822", "Bob@example.com")),
        (ORCPT, "rfc822;a+2Bb+3Bc@x.example", OriginalRecipient("RFC822", "a+b;c@x.example")),
        (ORCPT, "rfc822;a;b", OriginalRecipient("RFC822", "a;b")),
        (ORCPT, "x400;a+0Ab", OriginalRecipient("X400", "a\nb")),
        (ORCPT, "utf-8;a@b.example", OriginalRecipient("UTF-8", "a@b.example")),
        (ORCPT, r"Utf-8;x\x{3D}1@\x{4F8B}.jp", OriginalRecipient("UTF-8", "x=1@例.jp")),
        (ORCPT, r"utf-8;x\x{3D}1@例.jp", OriginalRecipient("UTF-8", "x=1@例.jp", is_raw=True)),
        (ORCPT, "x;" + "a" * 498, OriginalRecipient("X", "a" * 498)),
    ],
)
def test_values(param: Param[Any], text: str, value: object) -> None:
    assert param.parse(text) == value


def test_values_are_typed_by_their_key() -> None:
    params = parse_params(" ret=full envid=x", {"RET": RET, "ENVID": ENVID})
    assert_type(params.get(RET), str | None)
    assert_type(Params().get(NOTIFY), tuple[str, ...] | None)
    assert_type(Params().get(ORCPT), OriginalRecipient | None)
    assert params.to_wire() == "RET=FULL ENVID=x"


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (RET, "BAD"),
        (RET, "FULL,HDRS"),
        (RET, "HDR\u017f"),  # in upper case it is HDRS
        (ENVID, "x" * 101),
        (ENVID, "x+2"),
        (ENVID, "x+3d"),
        (ENVID, "x+80"),
        (ENVID, "x+0A"),
        (ENVID, "x+7F"),
        (ENVID, "é"),
        (NOTIFY, "NEVER,SUCCESS"),
        (NOTIFY, "NEVER,NEVER"),
        (NOTIFY, "SUCCESS,SUCCESS"),
        (NOTIFY, "SUCCESS,,DELAY"),
        (NOTIFY, "SUCCESS,"),
        (NOTIFY, "ALWAYS"),
        (NOTIFY, "\u017fUCCESS"),
        (ORCPT, "a@b"),
        (ORCPT, ";a@b"),
        (ORCPT, "rfc822;"),
        (ORCPT, "rfc 822;a@b"),
        (ORCPT, "\u212a;a@b"),  # the sign for kelvin, a K in lower case
        (ORCPT, "rfc822;a+4"),
        (ORCPT, "rfc822;a+0D+0Ab"),
        (ORCPT, "rfc822;é@b"),
        (ORCPT, "x400;é"),
        (ORCPT, "x;" + "a" * 499),
        (ORCPT, "utf-8;" + "é" * 248),
    ],
)
def test_values_that_are_none(param: Param[Any], text: str) -> None:
    assert refused(param, text)


@pytest.mark.parametrize("param", [RET, ENVID, NOTIFY, ORCPT])
@pytest.mark.parametrize("text", [None, ""])
def test_a_value_is_needed(param: Param[Any], text: str | None) -> None:
    assert refused(param, text)


@pytest.mark.parametrize(
    "digits",
    [
        "01",
        "09",
        "10",
        "19",
        "20",
        "2B",
        "3D",
        "5C",
        "7F",
        "80",
        "FF",
        "100",
        "FFF",
        "1000",
        "D7FF",
        "E000",
        "FFFF",
        "10000",
        "FFFFF",
        "100000",
        "10FFFF",
    ],
)
def test_rfc_6533_section_3_embedded_characters(digits: str) -> None:
    assert ORCPT.parse(f"utf-8;\\x{{{digits}}}") == OriginalRecipient("UTF-8", chr(int(digits, 16)))


@pytest.mark.parametrize(
    "text",
    [rf"\x{{{digits}}}" for digits in ("", "1", "00", "0A", "0D", "1F", "21", "41", "7E", "3d", "07F", "0100", "D800")]
    + [rf"\x{{{digits}}}" for digits in ("DFFF", "00100", "010000", "110000", "1000000", "XY", "4f8b")]
    + [
        "a\\b",
        r"\x3D",
        r"\x{3D",
        r"\x{\x{20}20}",
        r"\X{3D}",
        "a+b",
        "a=b",
        "a b",
        "a\x00",
        "a\x7f",
        "a\x85",
        "a\u2028",
    ],
)
def test_rfc_6533_section_3_other_spellings_are_refused(text: str) -> None:
    assert refused(ORCPT, f"utf-8;{text}")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), st.booleans())
def test_what_is_written_is_read_back(address: str, is_raw: bool) -> None:
    text = ORCPT.write(OriginalRecipient("UTF-8", address, is_raw))
    assert text is not None
    assert is_raw or text.isascii()
    if WITHOUT_FORM.intersection(address):
        assert refused(ORCPT, text)
    else:
        assert ORCPT.parse(text) == OriginalRecipient("UTF-8", address, not text.isascii())


@pytest.mark.parametrize("code", range(128))
def test_d30_every_ascii_character_survives_both_codecs(code: int) -> None:
    value = OriginalRecipient("X", chr(code))
    assert ORCPT.parse(ORCPT.write(value)) == value
    text = ORCPT.write(OriginalRecipient("UTF-8", chr(code)))
    if chr(code) in WITHOUT_FORM:
        assert refused(ORCPT, text)
    else:
        assert ORCPT.parse(text) == OriginalRecipient("UTF-8", chr(code))


# Server -------------------------------------------------------------------------------------------------------------


def test_it_is_offered_without_arguments() -> None:
    assert "DSN" in ask().replies[0].lines


def test_s38_parameters_in_any_case() -> None:
    outcome = ask(
        "MAIL FROM:<x=1@example.com> envID=x+3D1 Ret=hdrs",
        "RCPT TO:<x=1@example.com> ORcpt=Rfc822;x+3D1@example.com Notify=Never",
        r"RCPT TO:<x=1@example.com> orcpt=Utf-8;x\x{3D}1@\x{4F8B}.jp notify=failure,delay",
        "DATA",
        "Subject: t\r\n\r\nx\r\n.",
    )
    assert [reply.code for reply in outcome.replies[1:]] == [250, 250, 250, 354, 250]
    (sender,) = outcome.of(MailAsked)
    assert (sender.params.get(RET), sender.params.get(ENVID)) == ("HDRS", "x=1")
    first, second = outcome.of(RcptAsked)
    assert first.params.get(ORCPT) == OriginalRecipient("RFC822", "x=1@example.com")
    assert first.params.get(NOTIFY) == ("NEVER",)
    assert second.params.get(ORCPT) == OriginalRecipient("UTF-8", "x=1@例.jp")
    assert second.params.get(NOTIFY) == ("FAILURE", "DELAY")


def test_s39_with_smtputf8() -> None:
    outcome = ask(
        "MAIL FROM:<x=1@例.jp> envID=x+3D1 Ret=hdrs SMTPUTF8",
        r"RCPT TO:<x=1@例.jp> ORCPT=UTF-8;x\x{3D}1@\x{4F8B}.jp NOTIFY=NEVER",
        r"RCPT TO:<x=1@例.jp> ORCPT=UTF-8;x\x{3D}1@例.jp NOTIFY=FAILURE,DELAY",
    )
    assert outcome.codes[1:] == ["250 2.1.0", "250 2.1.5", "250 2.1.5"]
    assert [event.params.get(ORCPT).address for event in outcome.of(RcptAsked)] == ["x=1@例.jp"] * 2


def test_s39_without_smtputf8() -> None:
    raw = r"RCPT TO:<b@server.example> ORCPT=UTF-8;x\x{3D}1@例.jp"
    assert codes("MAIL FROM:<x=1@例.jp> RET=HDRS", MAIL.strip(), "RCPT TO:<x=1@例.jp>", raw) == [
        "553 5.6.7",
        "250 2.1.0",
        "553 5.6.7",
        "501 5.5.4",
    ]


@pytest.mark.parametrize(
    "parameter",
    ["RET=BAD", "RET=", "RET", "RET=FULL RET=FULL", "ENVID=" + "x" * 101, "ENVID=a=b", "ENVID=", "ENVID=a+4"],
)
def test_h068_bad_parameters_of_mail(parameter: str) -> None:
    assert codes(f"MAIL FROM:<a@client.example> {parameter}", MAIL.strip()) == ["501 5.5.4", "250 2.1.0"]


@pytest.mark.parametrize(
    "parameter",
    [
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=",
        "NOTIFY=SUCCESS,SUCCESS",
        "NOTIFY=SUCCESS NOTIFY=DELAY",
        "ORCPT=rfc822;a+4",
        "ORCPT=a@b",
        "ORCPT=rfc822;" + "a" * 494,
        "ORCPT=",
        "ORCPT=rfc822;a ORCPT=rfc822;a",
    ],
)
def test_h068_bad_parameters_of_rcpt(parameter: str) -> None:
    lines = (f"RCPT TO:<b@server.example> {parameter}", "RCPT TO:<b@server.example>")
    assert codes(MAIL.strip(), *lines) == ["250 2.1.0", "501 5.5.4", "250 2.1.5"]


def test_h068_parameters_stand_where_they_belong() -> None:
    assert codes("MAIL FROM:<a@client.example> NOTIFY=NEVER", "MAIL FROM:<a@client.example> ORCPT=rfc822;a") == [
        "555 5.5.4",
        "555 5.5.4",
    ]
    assert codes(MAIL.strip(), "RCPT TO:<b@server.example> RET=FULL", "RCPT TO:<b@server.example> ENVID=x") == [
        "250 2.1.0",
        "555 5.5.4",
        "555 5.5.4",
    ]


def test_h068_parameters_that_were_not_offered() -> None:
    outcome = play("HELO client.example\r\n", "MAIL FROM:<a@client.example> RET=FULL\r\n", settings=SETTINGS)
    assert outcome.codes[1:] == ["555 5.5.4"]


# Client -------------------------------------------------------------------------------------------------------------


def test_nothing_is_said_unless_it_is_asked_for() -> None:
    assert (mail(), rcpt()) == ([], [])
    assert list(DSN().dress_mail(MailFacts(), None)) == []
    assert list(DSN().dress_rcpt({"smtputf8": True}, None)) == []


def test_c14_xtext() -> None:
    orcpt = OriginalRecipient("UTF-8", "x=1@example.com")
    assert rcpt(orcpt=orcpt) == [r"ORCPT=UTF-8;x\x{3D}1@example.com"]


def test_c15_dsn() -> None:
    assert mail(ret="HDRS", envid="x=1") == ["RET=HDRS", "ENVID=x+3D1"]
    original = OriginalRecipient("RFC822", "x=1@example.com")
    assert rcpt(notify=("NEVER",), orcpt=original) == ["NOTIFY=NEVER", "ORCPT=RFC822;x+3D1@example.com"]
    original = OriginalRecipient("UTF-8", "x=1@例.jp")
    words = ["NOTIFY=FAILURE,DELAY", r"ORCPT=UTF-8;x\x{3D}1@\x{4F8B}.jp"]
    assert rcpt(notify=("FAILURE", "DELAY"), orcpt=original) == words
    assert rcpt(orcpt=original, smtputf8=True) == [r"ORCPT=UTF-8;x\x{3D}1@例.jp"]


def test_raw_utf8_never_goes_without_smtputf8() -> None:
    assert rcpt(orcpt=OriginalRecipient("UTF-8", "例", is_raw=True)) == [r"ORCPT=UTF-8;\x{4F8B}"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"notify": "never"}, ["NOTIFY=NEVER"]),
        ({"notify": "success,delay"}, ["NOTIFY=SUCCESS,DELAY"]),
        ({"notify": ["failure"]}, ["NOTIFY=FAILURE"]),
        ({"orcpt": "b+c@x.example"}, ["ORCPT=RFC822;b+2Bc@x.example"]),
        ({"orcpt": "b@例.jp"}, [r"ORCPT=UTF-8;b@\x{4F8B}.jp"]),
        ({"orcpt": OriginalRecipient("x400", "a\r\nb")}, ["ORCPT=X400;a+0D+0Ab"]),
    ],
)
def test_what_a_caller_may_give_for_a_recipient(options: Mapping[str, Any], words: list[str]) -> None:
    assert rcpt(**options) == words


def test_what_a_caller_may_give_for_the_message() -> None:
    assert mail(ret="full", envid="two words") == ["RET=FULL", "ENVID=two+20words"]


@pytest.mark.parametrize(
    "options",
    [
        {"ret": "all"},
        {"ret": ""},
        {"ret": "FULL\r\nRSET"},
        {"envid": ""},
        {"envid": "x" * 101},
        {"envid": "é"},
        {"envid": "a\r\nb"},
    ],
)
def test_bad_options_of_mail_never_get_out(options: Mapping[str, Any]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        mail(**options)
    assert caught.value.stage == "mail"


@pytest.mark.parametrize(
    "options",
    [
        {"notify": ()},
        {"notify": ""},
        {"notify": "NEVER ORCPT=x"},
        {"notify": ("NEVER", "DELAY")},
        {"orcpt": ""},
        {"orcpt": "a\r\nb"},
        {"orcpt": "é\r\nb"},
        {"orcpt": "\ud800"},
        {"orcpt": "a\u0085@b.example"},
        {"orcpt": "a\u2028@b.example"},
        {"orcpt": "a" * 494},
        {"orcpt": OriginalRecipient("a=b", "x")},
        {"orcpt": OriginalRecipient("x y", "x")},
    ],
)
def test_bad_options_of_rcpt_never_get_out(options: Mapping[str, Any]) -> None:
    for smtputf8 in (False, True):
        with pytest.raises(LocalProtocolError) as caught:
            rcpt(smtputf8=smtputf8, **options)
        assert caught.value.stage == "rcpt"


def test_a_wish_that_the_server_does_not_know_is_an_error() -> None:
    with pytest.raises(UnsupportedError, match="no DSN: RET, ENVID can't be asked for") as caught:
        DSN().dress_mail(MailFacts(options={"ret": "FULL", "envid": "x"}), None)
    assert (caught.value.keyword, caught.value.stage) == ("DSN", "mail")
    with pytest.raises(UnsupportedError) as caught:
        DSN().dress_rcpt({"notify": "NEVER"}, None)
    assert (caught.value.keyword, caught.value.stage) == ("DSN", "rcpt")


def test_what_postfix_writes_for_an_address_beyond_ascii() -> None:
    """xtext of UTF-8 in the type rfc822, where RFC 6533 has a type of its own: refusing it would bounce good mail."""
    found = ORCPT.parse("rfc822;j+C3+BCrgen@x.example")
    assert found == OriginalRecipient("RFC822", "jürgen@x.example", is_raw=True)
    assert ORCPT.to_wire(found) == "ORCPT=UTF-8;jürgen@x.example"
    for bad in ("rfc822;j+C3@x", "rfc822;j+FF@x", "x400;+80", "x400;+C3+A9+00"):
        with pytest.raises(WireError):
            ORCPT.parse(bad)
    with pytest.raises(WireError, match="0x7F"):
        decode_xtext("j+C3+BC")

"""dkimpy takes our signatures, and we take dkimpy's; both refuse what was changed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpx.dkim import Key, Result, Signer, verify
from tests.dkim.bodies import ODD_BODIES
from tests.dkim.second_opinion import dkimpy_passes, dkimpy_signs

KEYS = {"rsa": Key.generate("rsa"), "short": Key.generate("rsa", bits=1024), "ed25519": Key.generate("ed25519")}
FORMS = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
NAME = "mail._domainkey.example.org"
HEADER = (
    b"Received: from a.example\r\n\tby b.example; Fri, 20 Nov 2026 10:00:00 +0000\r\n"
    b'From:  "Some  body"\t<me@example.org> \r\n'
    b"to: you@example.net,\r\n\tthey@example.net,\r\n  others@example.net\r\n"
    b"SUBJECT:Gr\xc3\xbc\xc3\x9fe  \t aus\r\n  der  Ferne\r\n"
    b"Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID:  <1@example.org>\r\n"
    b"List-Unsubscribe: <https://example.org/u>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"Comments: one\r\nX-Empty:\r\nComments: two\r\n"
)
MESSAGE = HEADER + b"\r\nHello  \t you \r\n\r\n  there \xff\r\n.\r\n\r\n\r\n"


def signer(kind: str, form: str) -> Signer:
    headers = ("Subject", "To", "Date", "Message-ID", "Comments", "Received", "X-Empty")
    return Signer("example.org", "mail", KEYS[kind], canonicalization=form, headers=headers, oversign=("from", "cc"))


def records(kind: str) -> dict[str, str]:
    return {NAME: KEYS[kind].dns_record()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KEYS)
def test_dkimpy_takes_ours(kind: str, form: str) -> None:
    signed = signer(kind, form).signature(MESSAGE) + MESSAGE
    assert dkimpy_passes(signed, records(kind)) == [True]
    assert [each.result for each in verify(signed, records(kind).get)] == [Result.PASS]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KEYS)
def test_we_take_dkimpys(kind: str, form: str) -> None:
    header, body = (each.encode() for each in form.split("/"))
    signed = dkimpy_signs(MESSAGE, KEYS[kind], canonicalize=(header, body), identity=b"me@sub.example.org") + MESSAGE
    (found,) = verify(signed, records(kind).get)
    assert (found.result, found.reason) == (Result.PASS, "")
    assert found.identity == "me@sub.example.org"


def test_we_take_its_length_tag() -> None:
    signed = dkimpy_signs(MESSAGE, KEYS["rsa"], length=True, canonicalize=(b"relaxed", b"relaxed")) + MESSAGE
    (found,) = verify(signed, records("rsa").get)
    assert found.is_pass
    assert found.body_length == len(b"Hello you\r\n\r\n there \xff\r\n.\r\n")


@pytest.mark.filterwarnings("ignore:with body_length")
@pytest.mark.parametrize("form", FORMS)
def test_it_takes_all_our_tags(form: str) -> None:
    one = Signer(
        *("Example.ORG", "mail", KEYS["ed25519"]),
        canonicalization=form,
        identity="m\u00fc ller;=@mail.example.org",
        body_length=True,
        expires_after=None,
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert dkimpy_passes(one.signature(MESSAGE) + MESSAGE, records("ed25519")) == [True]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", ODD_BODIES)
def test_odd_bodies(body: bytes, form: str) -> None:
    """As SMTP transfers them: the last line is ended. dkimpy keeps white space at the end of one that is not."""
    message = HEADER + b"\r\n" + body + (b"" if body.endswith(b"\r\n") or not body else b"\r\n")
    ours = signer("ed25519", form)
    signed = ours.signature(HEADER + b"\r\n" + body) + message
    assert dkimpy_passes(signed, records("ed25519")) == [True]
    header, after = (each.encode() for each in form.split("/"))
    theirs = dkimpy_signs(message, KEYS["ed25519"], canonicalize=(header, after))
    assert [each.is_pass for each in verify(theirs + message, records("ed25519").get)] == [True]


CHANGES = (
    (b"Some  body", b"Some1 body"),
    (b"they@example.net", b"thex@example.net"),
    (b"Message-ID:  <1@", b"Message-ID:  <2@"),
    (b"Comments: one", b"Comments: eins"),
    (b"Hello", b"Hallo"),
    (b"there \xff", b"there \xfe"),
    (b"\r\n.\r\n", b"\r\n\r\n.\r\n"),
    (b"From: ", b"From: a@other.example\r\nFrom: "),
    (b"Date: ", b"Cc: them@example.net\r\nDate: "),
    (b"\r\nX-Empty:", b""),
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_both_notice_changes(before: bytes, after: bytes, form: str) -> None:
    changed = MESSAGE.replace(before, after, 1)
    assert changed != MESSAGE
    signed = signer("rsa", form).signature(MESSAGE) + changed
    assert dkimpy_passes(signed, records("rsa")) == [False]
    assert [each.result for each in verify(signed, records("rsa").get)] == [Result.FAIL]


ALLOWED = (
    (b"Some  body", b"Some body"),
    (b"\r\n\tthey", b" they"),
    (b"Message-ID:  ", b"message-id:"),
    (b"Hello  \t you \r\n", b"Hello you\r\n"),
    (b".\r\n\r\n\r\n", b".\r\n"),
)


@pytest.mark.parametrize(("before", "after"), ALLOWED)
def test_both_allow_what_relaxed_allows(before: bytes, after: bytes) -> None:
    changed = MESSAGE.replace(before, after, 1)
    assert changed != MESSAGE
    signed = signer("rsa", "relaxed/relaxed").signature(MESSAGE) + changed
    assert dkimpy_passes(signed, records("rsa")) == [True]
    assert [each.result for each in verify(signed, records("rsa").get)] == [Result.PASS]


def test_several_signatures() -> None:
    rsa, ed25519 = (Signer("example.org", kind, KEYS[kind]) for kind in ("rsa", "ed25519"))
    signed = rsa.signature(MESSAGE) + ed25519.signature(MESSAGE) + MESSAGE
    both = {each.dns_name: each.key.dns_record() for each in (rsa, ed25519)}
    assert dkimpy_passes(signed, both) == [True, True]
    assert [each.is_pass for each in verify(signed, both.get)] == [True, True]


BITS = st.sampled_from([b"a", b"bc", b" ", b"\t", b"\r\n ", b"\r\n\t", b"\xff", b":", b";", b"=", b"."])
VALUES = st.lists(BITS, max_size=8).map(b"".join)
NAMES = st.sampled_from([b"From", b"from", b"To", b"SUBJECT", b"X-Other", b"List-Id", b"Cc"])
LINES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\xff", b".", b"a b"])).map(b"".join)


@given(fields=st.lists(st.tuples(NAMES, VALUES), max_size=8), body=LINES, form=st.sampled_from(FORMS))
def test_any_message(fields: list[tuple[bytes, bytes]], body: bytes, form: str) -> None:
    header = b"".join(name + b":" + value + b"x\r\n" for name, value in [*fields, (b"From", b" me@example.org")])
    message = header + b"\r\n" + body + b"\r\n"
    signed = signer("ed25519", form).signature(message) + message
    assert dkimpy_passes(signed, records("ed25519")) == [True]
    assert [each.is_pass for each in verify(signed, records("ed25519").get)] == [True]
    header_form, body_form = (each.encode() for each in form.split("/"))
    theirs = dkimpy_signs(message, KEYS["ed25519"], canonicalize=(header_form, body_form)) + message
    assert [each.result is Result.FAIL for each in verify(theirs, records("ed25519").get)] == [False]

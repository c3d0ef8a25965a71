"""MAIL and RCPT lines: what content, server and caller make of them."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from typing import Any

import pytest

from smtpx.errors import (
    LocalProtocolError,
    UnsupportedError,
)
from smtpx.extensions import DSN, STANDARD
from smtpx.flows.content import Content
from smtpx.flows.plan import check_content, plan_for
from smtpx.flows.transaction import Envelope, Transaction, TransactionOptions
from smtpx.protocol.extension import Extension, ExtensionSet, MailFacts
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import NULL_SENDER, Mailbox
from tests.flows.cases import (
    ABC,
    BODY,
    ONE,
    ONE_OK,
    PIPE,
    WIRE,
    Case,
    codes,
    deliver,
    mailboxes,
    ready,
)

# Parameters -----------------------------------------------------------------------------------------------------------


def test_too_large_is_refused_before_mail() -> None:
    error = deliver("", offers="SIZE 10", to=ABC[:1])
    assert isinstance(error, UnsupportedError)
    assert error.keyword == "SIZE"


def test_h098_eight_bit_to_a_seven_bit_server() -> None:
    error = deliver("", to=ABC[:1], content="x\r\n\r\nü\r\n".encode())
    assert isinstance(error, UnsupportedError)
    assert error.keyword == "8BITMIME"


def test_h098_idn_domain_goes_as_a_labels() -> None:
    text = "C: MAIL FROM:<s@xn--bcher-kva.example>\nC: RCPT TO:<a@xn--bcher-kva.example>\nC: DATA\n"
    text += ONE_OK + "S: 354 go\n" + WIRE + "S: 250 ok"
    for offers in (PIPE, PIPE + ",SMTPUTF8"):
        result = deliver(text, offers=offers, to=["a@bücher.example"], sender="s@bücher.example")
        assert list(result.accepted) == ["a@bücher.example"]


def test_h098_one_address_that_needs_smtputf8_is_refused_here() -> None:
    text = ONE + "C: DATA\n" + ONE_OK + "S: 354 go\n" + WIRE + "S: 250 ok"
    result = deliver(text, offers=PIPE, to=["a@x.example", "ü@x.example"])
    assert codes(result) == ({"a": 250}, {"ü": 553})
    assert str(result.refused["ü@x.example"].reply.enhanced) == "5.6.7"
    result = deliver(text, offers=PIPE + ",SMTPUTF8", to=["a@x.example", "ü@x.example"], smtputf8=False)
    assert codes(result) == ({"a": 250}, {"ü": 553})


@pytest.mark.parametrize("options", [{}, {"smtputf8": False}, {"smtputf8": True}])
def test_h098_f19_nobody_can_be_asked(options: dict[str, Any]) -> None:
    for to, sender in ((["ü@x.example"], "s@x.example"), (["a@x.example"], "ü@x.example")):
        error = deliver("", offers=PIPE, to=to, sender=sender, **options)
        assert isinstance(error, UnsupportedError)
        assert error.keyword == "SMTPUTF8"


def test_h098_smtputf8_where_needed_only() -> None:
    text = "C: MAIL FROM:<s@x.example> SMTPUTF8\nC: RCPT TO:<ü@bücher.example>\nC: DATA\n"
    text += ONE_OK + "S: 354 go\n" + WIRE + "S: 250 ok"
    assert deliver(text, offers=PIPE + ",SMTPUTF8", to=["ü@bücher.example"]).accepted
    header = "Subject: ü\r\n\r\n".encode()
    text = "C: MAIL FROM:<s@x.example> BODY=8BITMIME SMTPUTF8\nC: RCPT TO:<a@x.example>\nC: DATA\n"
    text += ONE_OK + "S: 354 go\nC: Subject: ü\nC:\nC: .\nS: 250 ok"
    assert deliver(text, offers=PIPE + ",SMTPUTF8,8BITMIME", to=ABC[:1], content=header).accepted
    text = text.replace(" SMTPUTF8", "")
    assert deliver(text, offers=PIPE + ",SMTPUTF8,8BITMIME", to=ABC[:1], content=header, smtputf8=False).accepted


def test_bad_domain_in_a_mailbox_made_by_hand() -> None:
    protocol = ready()
    envelope = Envelope(NULL_SENDER, (Mailbox("a", "ü..x"),))
    transaction = Transaction(protocol, envelope, TransactionOptions(extensions=ExtensionSet(STANDARD)))
    with pytest.raises(LocalProtocolError):
        next(transaction.deliver(Content.of(BODY)))


class Noted(Extension):
    """An extension of the user's own."""

    keyword = "XNOTE"

    def dress_rcpt(self, options: Any, offer: Any) -> list[str]:
        return [f"XNOTE={options['note']}"] if "note" in options and offer is not None else []


def test_a_word_with_a_control_character_is_refused_before_anything_is_said() -> None:
    notes = {"a@x.example": {"note": "1\r\nRSET"}}
    case = Case(PIPE + ",XNOTE")
    flow = case.start(ABC[:1], extensions=[Noted()], rcpt_options=notes).deliver(Content.of(BODY))
    with pytest.raises(LocalProtocolError, match="argument of RCPT") as caught:
        next(flow)
    assert caught.value.stage == "rcpt"
    assert case.protocol.is_clean


def test_wishes_for_each_recipient() -> None:
    text = "C: MAIL FROM:<>\nC: RCPT TO:<a@x.example> XNOTE=1\nC: RCPT TO:<b@x.example>\nC: DATA\n"
    text += ONE_OK + "S: 250 b\nS: 354 go\n" + WIRE + "S: 250 ok"
    result = deliver(
        text,
        offers=PIPE + ",XNOTE",
        to=ABC[:2],
        sender="",
        extensions=[Noted()],
        rcpt_options={"a@x.example": {"note": 1}},
    )
    assert len(result.accepted) == 2


class Looking(Extension):
    """Notes what it is told of the mail."""

    keyword = "XLOOK"

    def __init__(self) -> None:
        self.seen: list[tuple[bool, TLSFacts | None]] = []

    def dress_mail(self, mail: MailFacts, offer: Any) -> list[str]:
        self.seen.append((mail.chunking, mail.tls))
        return []


@pytest.mark.parametrize(("offers", "wanted"), [("CHUNKING", True), ("CHUNKING", False), (PIPE, True)])
def test_extensions_see_what_the_mail_goes_through(offers: str, wanted: bool) -> None:
    look, tls = Looking(), TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", verified=True)
    protocol = ready(offers)
    protocol.tls = tls
    options = TransactionOptions(extensions=ExtensionSet([look]), chunking=wanted)
    transaction = Transaction(protocol, Envelope(NULL_SENDER, (Mailbox.parse("a@x.example"),)), options)
    next(transaction.deliver(Content.of(BODY)))
    assert look.seen == [(wanted and offers == "CHUNKING", tls)]


@pytest.mark.parametrize(
    ("uses_utf8", "wanted", "fits"), [(False, None, False), (True, None, True), (False, False, True)]
)
def test_content_that_came_behind_mail_fits_what_mail_said(uses_utf8: bool, wanted: bool | None, fits: bool) -> None:
    envelope = Envelope(NULL_SENDER, mailboxes(*ABC[:1]))
    options = TransactionOptions(extensions=ExtensionSet(STANDARD), smtputf8=wanted)
    content = Content(b"", 0, False, utf8_header=True)
    capabilities = ready("SMTPUTF8").capabilities
    if fits:
        check_content(envelope, content, options, capabilities, uses_utf8=uses_utf8)
        return
    with pytest.raises(UnsupportedError, match="without SMTPUTF8") as caught:
        check_content(envelope, content, options, capabilities, uses_utf8=uses_utf8)
    assert (caught.value.keyword, caught.value.stage) == ("SMTPUTF8", "data")


@pytest.mark.parametrize(("offers", "dropped", "words"), [("", ("DSN",), ""), ("DSN", (), " NOTIFY=NEVER")])
def test_wishes_the_server_does_not_know_are_dropped(offers: str, dropped: tuple[str, ...], words: str) -> None:
    to = mailboxes(*ABC[:2])
    wishes: dict[str, dict[str, Any]] = {"a@x.example": {"notify": "never"}}
    envelope = Envelope(NULL_SENDER, to, {"ret": "hdrs"}, wishes)
    options = TransactionOptions(extensions=ExtensionSet([DSN()]), drop_unsupported=True)
    plan = plan_for(envelope, to, Content.of(BODY), options, ready(offers).capabilities)
    assert plan.dropped == dropped
    assert [line.argument for line in plan.lines] == [
        "FROM:<>" + (" RET=HDRS" if words else ""),
        f"TO:<a@x.example>{words}",
        "TO:<b@x.example>",
    ]

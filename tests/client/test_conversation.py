"""What both colours share, in memory: commands one by one, whole messages, and what may be tried again."""
# ruff: noqa: ANN401 - flows have no common type

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from smtpx.client.conversation import Conversation, check_idle, may_fall_back
from smtpx.client.mail import Mail, Source
from smtpx.client.settings import Limits, settings_for
from smtpx.errors import (
    ConfigurationError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.transaction import Envelope
from smtpx.sasl import Password
from smtpx.wire.address import NULL_SENDER, Mailbox
from tests.client.dialogues import BODY, BODY_WIRE, FROM, TO
from tests.peers import FACTS, Dialogue

URL = "smtp+plain://mail.example.org?hello_name=me"
FAR, NEAR = ("192.0.2.1", 25), ("127.0.0.1", 25)
ENVELOPE = f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\n"
CONTENT = f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n"


class Talk:
    """A conversation behind its hello, played piece by piece; each piece to its end."""

    def __init__(self, offers: str = "", url: str = URL, *, peer: object = FAR, **options: Any) -> None:
        self.conversation = Conversation(settings_for(url, **options), ("192.0.2.9", 4711), peer, None)
        self.play(self.conversation.start(), f"S: 220 x\nC: EHLO me\n{hello(offers)}")

    def play(self, flow: Any, text: str, chunks: Sequence[bytes] = ()) -> Any:
        dialogue = Dialogue(text, chunks=chunks)
        try:
            return dialogue.run(flow)
        finally:
            dialogue.done()

    def send(self, message: Any, text: str, chunks: Sequence[bytes] = (), **options: Any) -> Any:
        mail = message if isinstance(message, Mail) else Mail(message, FROM, [TO])
        options = {"wishes": {}, "strict": False, "smtputf8": None, **options}
        return self.play(self.conversation.send(mail, **options), text, chunks)


def hello(offers: str) -> str:
    lines = ["x", *offers.split(",")] if offers else ["x"]
    return "".join(f"S: 250-{line}\n" for line in lines[:-1]) + f"S: 250 {lines[-1]}\n"


# State ----------------------------------------------------------------------------------------------------------------


def test_from_the_greeting_to_the_end() -> None:
    conversation = Conversation(settings_for(URL), ("192.0.2.9", 4711), FAR, None)
    assert (conversation.is_open, conversation.is_spoilt, conversation.is_reusable) == (True, True, False)
    dialogue = Dialogue("S: 220 x\nC: EHLO me\nS: 250 x\nC: QUIT\nS: 221 bye\nCLOSE")
    dialogue.run(conversation.start())
    assert (conversation.is_open, conversation.is_spoilt, conversation.is_reusable) == (True, False, True)
    dialogue.run(conversation.quit())
    dialogue.done()
    assert (conversation.is_open, conversation.is_spoilt, conversation.is_reusable) == (False, True, False)


def test_a_hello_name_is_found_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    conversation = Conversation(settings_for("smtp+plain://h"), ("192.0.2.9", 4711), FAR, None)
    dialogue = Dialogue("S: 220 x\nC: EHLO [192.0.2.9]\nS: 250 x")
    dialogue.run(conversation.start())
    dialogue.done()


@pytest.mark.parametrize(
    ("url", "peer", "own_dialler", "local"),
    [
        ("smtp://mail.example.org", FAR, False, False),
        ("smtp://mail.example.org", NEAR, False, True),
        ("smtp://mail.example.org", NEAR, True, False),
        ("smtp://localhost", NEAR, True, True),
        ("lmtp+unix:///run/x", "/run/x", False, True),
    ],
)
def test_h044_what_counts_as_this_host(url: str, peer: object, own_dialler: bool, local: bool) -> None:
    options: Any = {"connect": lambda *_: None} if own_dialler else {}
    assert Conversation(settings_for(url, **options), FAR, peer, None).is_local is local


@pytest.mark.parametrize(
    ("url", "error", "options", "local", "may"),
    [
        ("smtp://h", TLSError("x", stage="starttls"), {}, False, True),
        ("smtp://h", ConnectionLost("x", stage="starttls"), {}, False, True),
        ("smtp://h", ConnectionLost("x", stage="hello"), {}, False, False),
        ("smtp://h", RemoteProtocolError("x", stage="starttls"), {}, False, False),
        ("submission://h", TLSError("x", stage="starttls"), {}, True, False),
        ("smtp://u:p@h", TLSError("x", stage="starttls"), {}, False, False),
        ("smtp://u:p@h", TLSError("x", stage="starttls"), {}, True, True),
        ("smtp://u:p@h", TLSError("x", stage="starttls"), {"verify": False}, False, True),
    ],
)
def test_h041_who_may_go_on_in_clear(url: str, error: SMTPXError, options: Any, local: bool, may: bool) -> None:
    assert may_fall_back(settings_for(url, **options), error, local=local) is may


@pytest.mark.parametrize(("busy", "is_open", "text"), [(True, True, "in use"), (False, False, "closed")])
def test_t09_one_thing_at_a_time(busy: bool, is_open: bool, text: str) -> None:
    check_idle(False, True)
    with pytest.raises(LocalProtocolError, match=text):
        check_idle(busy, is_open)


# Messages -------------------------------------------------------------------------------------------------------------


def test_messages_are_counted_up_to_the_limit() -> None:
    talk = Talk(limits=Limits(max_messages_per_connection=2))
    for reusable in (True, False):
        assert talk.send(BODY, ENVELOPE + CONTENT).reply.text == "done"
        assert talk.conversation.is_reusable is reusable
    assert talk.conversation.messages == 2


def test_what_was_taken_from_an_iterator_is_kept() -> None:
    talk = Talk("SIZE")
    mail = Mail(iter([]), FROM, [TO])
    talk.send(mail, ENVELOPE.replace(f"<{FROM}>", f"<{FROM}> SIZE=21") + CONTENT, [BODY])
    assert mail.source.ahead is not None
    assert mail.source.ahead.data == BODY


def test_wishes_go_with_their_commands() -> None:
    talk = Talk("DSN")
    text = ENVELOPE.replace(f"<{FROM}>", f"<{FROM}> RET=HDRS").replace(f"<{TO}>", f"<{TO}> NOTIFY=NEVER") + CONTENT
    assert talk.send(BODY, text, wishes={"ret": "hdrs", "notify": "never"}).accepted
    result = Talk().send(BODY, ENVELOPE + CONTENT, wishes={"ret": "hdrs", "on_unsupported": "drop"})
    assert result.dropped == ("DSN",)
    with pytest.raises(UnsupportedError):
        Talk().send(BODY, "", smtputf8=True)


def test_an_open_transaction_gets_its_content_later() -> None:
    talk = Talk()
    envelope = Envelope(Mailbox.parse(FROM), (Mailbox.parse(TO),))
    transaction = talk.conversation.transaction(envelope, strict=True)
    talk.play(transaction.open(None), ENVELOPE)
    assert talk.conversation.messages == 0
    flow = talk.conversation.send_open(transaction, Source(BODY), envelope, smtputf8=False)
    assert talk.play(flow, CONTENT).reply.text == "done"
    assert talk.conversation.messages == 1


def once(octets: bytes) -> Iterator[bytes]:
    yield octets


@pytest.mark.parametrize(
    ("message", "text", "may"),
    [
        (once(BODY), "EOF", True),  # nothing was begun
        (BODY, f"C: MAIL FROM:<{FROM}>\nEOF", True),
        (once(BODY), f"C: MAIL FROM:<{FROM}>\nEOF", False),  # what was read is gone
        (BODY, f"C: MAIL FROM:<{FROM}>\nS: 421 bye\nCLOSE", True),
        (BODY, f"C: MAIL FROM:<{FROM}>\nS: 550 no", False),  # an answer, on a connection that lives
        (BODY, ENVELOPE + CONTENT.replace("S: 250 done\n", "EOF"), False),  # perhaps delivered
        (BODY, ENVELOPE + "C: DATA\nS: 354 go\n" + BODY_WIRE + "S: 421 full\nCLOSE", False),
    ],
)
def test_what_may_be_sent_again(message: Any, text: str, may: bool) -> None:
    talk = Talk()
    talk.send(BODY, ENVELOPE + CONTENT)
    mail = Mail(message, FROM, [TO])
    with pytest.raises(SMTPXError) as caught:
        talk.send(mail, text, [BODY])
    assert talk.conversation.may_repeat(mail, caught.value) is may


def test_a_refusal_is_final_even_if_the_connection_breaks_behind_it() -> None:
    talk = Talk("PIPELINING")
    mail = Mail(BODY, FROM, [TO])
    group = f"C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{TO}>\nC: DATA\n"
    talk.send(mail, group + f"S: 250 m\nS: 250 r\nS: 354 go\n{BODY_WIRE}S: 250 done")
    with pytest.raises(PermanentRefusal) as caught:
        talk.send(mail, group + "S: 550 no\nEOF\nCLOSE\nCLOSE")
    assert not talk.conversation.is_open
    assert not talk.conversation.may_repeat(mail, caught.value)


def test_the_first_message_of_a_connection_is_not_sent_again() -> None:
    talk = Talk()
    mail = Mail(BODY, FROM, [TO])
    error = ConnectionLost("x")
    assert not talk.conversation.may_repeat(mail, error)
    with pytest.raises(ConnectionLost):
        talk.send(mail, "EOF")
    assert not talk.conversation.may_repeat(mail, error)


# Single commands ------------------------------------------------------------------------------------------------------


def test_a_message_by_hand() -> None:
    talk = Talk("SIZE,8BITMIME")
    do = talk.conversation
    text = f"C: MAIL FROM:<{FROM}> SIZE=21 BODY=8BITMIME\nS: 250 m"
    assert talk.play(do.mail(FROM, size=21, body="8BITMIME"), text).text == "m"
    assert talk.play(do.rcpt(TO), f"C: RCPT TO:<{TO}>\nS: 250 r").text == "r"
    with pytest.raises(PermanentRefusal) as caught:
        talk.play(do.rcpt("c@y.example"), "C: RCPT TO:<c@y.example>\nS: 550 no")
    assert (caught.value.recipient, caught.value.stage) == ("c@y.example", "rcpt")
    with pytest.raises(LocalProtocolError):
        talk.play(do.data(Source(b"bare\nnewline")), "")
    assert talk.play(do.data(Source(BODY)), CONTENT).text == "done"
    with pytest.raises(LocalProtocolError, match="recipient"):
        talk.play(do.data(Source(BODY)), "")


def test_refused_content_forgets_its_recipients() -> None:
    talk = Talk()
    talk.play(talk.conversation.mail(""), "C: MAIL FROM:<>\nS: 250 m")
    talk.play(talk.conversation.rcpt(TO), f"C: RCPT TO:<{TO}>\nS: 250 r")
    with pytest.raises(PermanentRefusal) as caught:
        talk.play(talk.conversation.data(Source(BODY)), CONTENT.replace("250 done", "554 spam"))
    assert caught.value.result is not None
    assert list(caught.value.result.refused) == [TO]
    with pytest.raises(LocalProtocolError, match="recipient"):
        talk.play(talk.conversation.data(Source(BODY)), "")


def test_wishes_by_hand() -> None:
    talk = Talk("DSN")
    wishes: dict[str, Any] = {"ret": "full", "envid": None, "require_tls": False}
    talk.play(talk.conversation.mail(NULL_SENDER, wishes), "C: MAIL FROM:<> RET=FULL\nS: 250 m")
    talk.play(talk.conversation.rcpt(TO, {"notify": ["success"]}), f"C: RCPT TO:<{TO}> NOTIFY=SUCCESS\nS: 250 r")
    for flow in (talk.conversation.mail(FROM, {"rett": "full"}), talk.conversation.rcpt(TO, {"ntfy": "never"})):
        with pytest.raises(LocalProtocolError, match="no extension knows"):
            talk.play(flow, "")


def test_h098_smtputf8_by_hand() -> None:
    talk = Talk("8BITMIME,SMTPUTF8")
    do = talk.conversation
    talk.play(do.mail("ü@x.example", smtputf8=True), "C: MAIL FROM:<ü@x.example> SMTPUTF8\nS: 250 m")
    talk.play(do.rcpt("ö@bücher.example"), "C: RCPT TO:<ö@bücher.example>\nS: 250 r")
    talk.play(do.reset(), "C: RSET\nS: 250 ok")
    talk.play(do.mail("a@bücher.example"), "C: MAIL FROM:<a@xn--bcher-kva.example>\nS: 250 m")
    with pytest.raises(UnsupportedError, match="smtputf8=True"):
        talk.play(do.rcpt("ö@x.example"), "")
    assert talk.play(do.verify("ü@x.example"), "C: VRFY ü@x.example SMTPUTF8\nS: 252 ok").code == 252


@pytest.mark.parametrize(
    ("options", "keyword"),
    [
        ({"size": 1}, "SIZE"),
        ({"body": "8BITMIME"}, "8BITMIME"),
        ({"body": "binarymime"}, "BINARYMIME"),
        ({"smtputf8": True}, "SMTPUTF8"),
    ],
)
def test_what_is_not_offered_is_not_asked_for(options: Any, keyword: str) -> None:
    talk = Talk()
    with pytest.raises(UnsupportedError) as caught:
        talk.play(talk.conversation.mail(FROM, **options), "")
    assert caught.value.keyword == keyword
    assert talk.conversation.protocol.is_clean


@pytest.mark.parametrize("options", [{"size": -1}, {"body": "7BIT SIZE=1"}])
def test_h050_hostile_values_are_refused_before_writing(options: Any) -> None:
    talk = Talk("SIZE,8BITMIME")
    with pytest.raises(LocalProtocolError) as caught:
        talk.play(talk.conversation.mail(FROM, **options), "")
    assert caught.value.stage == "mail"


ARGUMENTS: dict[str, Any] = {
    "MAIL": lambda do, bad: do.mail(f"a{bad}@b.example"),
    "MAIL, the domain": lambda do, bad: do.mail(f"a@b{bad}.example"),
    "MAIL, a quoted local part": lambda do, bad: do.mail(f'"a{bad}b"@b.example'),
    "MAIL, a quoted pair": lambda do, bad: do.mail(f'"a\\{bad}"@b.example'),
    "MAIL, a mailbox made by hand": lambda do, bad: do.mail(Mailbox(f"a{bad}", "b.example")),
    "MAIL, its domain": lambda do, bad: do.mail(Mailbox("a", f"b{bad}.example")),
    "RCPT": lambda do, bad: do.rcpt(f"a@b.example{bad}"),
    "RCPT, a quoted local part": lambda do, bad: do.rcpt(f'"a{bad}RCPT TO:<x@evil.example>"@b.example'),
    "VRFY": lambda do, bad: do.verify(f"a{bad}b"),
    "SIZE": lambda do, bad: do.mail(FROM, size=f"1{bad}RSET"),
    "BODY": lambda do, bad: do.mail(FROM, body=f"8BITMIME{bad}"),
    "RET": lambda do, bad: do.mail(FROM, {"ret": f"FULL{bad}"}),
    "ENVID": lambda do, bad: do.mail(FROM, {"envid": f"a{bad}b"}),
    "AUTH=": lambda do, bad: do.mail(FROM, {"submitted_by": f"a{bad}@b.example"}),
    "NOTIFY": lambda do, bad: do.rcpt(TO, {"notify": f"NEVER{bad}"}),
    "ORCPT": lambda do, bad: do.rcpt(TO, {"orcpt": f"a{bad}@b.example"}),
    "a verb's argument": lambda do, bad: do.command("XCLIENT", f"ADDR=192.0.2.1{bad}RSET"),
    "a verb": lambda do, bad: do.command(f"XCLIENT{bad}", None),
}
NEVER = ["\r\n", "\r", "\n", "\0", "\t", "\x0b", "\x0c", "\x1b", "\x7f", "\u0085", "\u2028", "\u2029", "\ud800"]
INJECTIONS = [
    ("MAIL", "@x.example> AUTH=<a"),
    ("RCPT", ">\r\nRCPT TO:<evil@c.example"),
    ("SIZE", "\r\nRSET"),
    *((name, char) for name in ("MAIL", "RCPT", "MAIL, a mailbox made by hand", "MAIL, its domain") for char in "<>"),
    *((name, " ") for name in ("MAIL", "MAIL, the domain", "RCPT", "MAIL, its domain", "BODY", "RET", "NOTIFY")),
]


@pytest.mark.parametrize(("name", "bad"), [*((name, bad) for name in ARGUMENTS for bad in NEVER), *INJECTIONS])
def test_h050_h051_h052_no_argument_carries_a_control_or_ends_early(name: str, bad: str) -> None:
    talk = Talk("SIZE,8BITMIME,SMTPUTF8,DSN,XCLIENT,AUTH PLAIN")
    if name in ("RCPT", "NOTIFY", "ORCPT", "RCPT, a quoted local part"):
        talk.play(talk.conversation.mail(FROM), f"C: MAIL FROM:<{FROM}>\nS: 250 m")
    with pytest.raises(LocalProtocolError) as caught:
        talk.play(ARGUMENTS[name](talk.conversation, bad), "")
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).isprintable()
    assert talk.play(talk.conversation.noop(), "C: NOOP\nS: 250 n").code == 250


@pytest.mark.parametrize("bad", [*NEVER, " ", "<", ">", "\r\nMAIL FROM:<>"])
def test_h050_no_hello_name_carries_a_control_or_ends_early(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="hello_name"):
        settings_for("smtp+plain://mail.example.org", hello_name=f"me{bad}")


def test_h050_quotes_stay_where_they_make_it_legal() -> None:
    talk = Talk()
    address = '"a <b> c"@x.example'
    talk.play(talk.conversation.mail(address), f"C: MAIL FROM:<{address}>\nS: 250 m")


def test_starttls_by_hand() -> None:
    talk = Talk("STARTTLS")
    tls = talk.play(talk.conversation.start_tls(), "C: STARTTLS\nS: 220 go\nTLS\nC: EHLO me\nS: 250 x")
    assert tls is FACTS
    with pytest.raises(UnsupportedError, match="STARTTLS"):
        talk.play(talk.conversation.start_tls(), "")


def test_auth_by_hand() -> None:
    talk = Talk("AUTH PLAIN LOGIN", peer=NEAR)
    text = "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dQ==\nS: 334 UGFzc3dvcmQ6\nC: cA==\nS: 235 ok"
    assert talk.play(talk.conversation.auth(Password("u", "p"), ["LOGIN"]), text).text == "ok"
    far = Talk("AUTH PLAIN")
    with pytest.raises(UnsupportedError):  # nothing secret goes in clear to another host
        far.play(far.conversation.auth(Password("u", "p"), None), "")


def test_verify() -> None:
    talk = Talk()
    assert talk.play(talk.conversation.verify(TO), f"C: VRFY {TO}\nS: 252 perhaps").code == 252
    with pytest.raises(PermanentRefusal):
        talk.play(talk.conversation.verify(TO), f"C: VRFY {TO}\nS: 550 no")
    with pytest.raises(UnsupportedError, match="SMTPUTF8"):
        talk.play(talk.conversation.verify("ü@x.example"), "")


def test_verbs_of_extensions() -> None:
    talk = Talk("XCLIENT")
    do = talk.conversation
    assert talk.play(do.command("xtags", None), "C: XTAGS\nS: 250 2.0.0 a=1").text == "a=1"
    text = "C: XCLIENT ADDR=192.0.2.1\nS: 220 again\nC: EHLO me\nS: 250 x"
    assert talk.play(do.command("XCLIENT", "ADDR=192.0.2.1"), text).code == 220
    assert "XCLIENT" not in do.protocol.capabilities
    with pytest.raises(LocalProtocolError, match="method of its own"):
        talk.play(do.command("data", None), "")
    for verb in ("", "X Y", "X\r\nQUIT", "Ü"):
        with pytest.raises(LocalProtocolError, match="letters and digits"):
            talk.play(do.command(verb, None), "")


def test_signs_of_life() -> None:
    talk = Talk()
    assert talk.play(talk.conversation.noop(), "C: NOOP\nS: 250 n").text == "n"
    with pytest.raises(RemoteProtocolError):
        talk.play(talk.conversation.noop(), "P: 250 injected")
    gone = Talk()
    with pytest.raises(TemporaryRefusal):
        gone.play(gone.conversation.reset(), "C: RSET\nS: 421 bye")
    talk = Talk()
    talk.play(talk.conversation.leave(), "C: QUIT\nCLOSE")
    assert not talk.conversation.is_open


@pytest.mark.parametrize(("under_tls", "logged"), [("PLAIN", 1), ("PLAIN SCRAM-SHA-256 LOGIN", 0)])
def test_h044_a_shorter_list_of_mechanisms_under_tls_is_logged(
    caplog: pytest.LogCaptureFixture, under_tls: str, logged: int
) -> None:
    url = URL.replace("smtp+plain", "smtp+starttls")
    conversation = Conversation(settings_for(url, hello_name="me"), ("192.0.2.9", 4711), FAR, None)
    dialogue = Dialogue(
        "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250-STARTTLS\nS: 250 AUTH SCRAM-SHA-256 PLAIN\n"
        "C: STARTTLS\nS: 220 go\nTLS\n"
        f"C: EHLO me\nS: 250-x\nS: 250 AUTH {under_tls}\n"
    )
    dialogue.run(conversation.start())
    dialogue.done()
    assert len(caplog.messages) == logged
    assert all("SCRAM-SHA-256" in message for message in caplog.messages)

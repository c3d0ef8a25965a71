"""What users write: replies, refusals, and the defaults of a session."""

import pytest

from smtpx.protocol import replies
from smtpx.protocol.server import ServerProtocol
from smtpx.sasl import Credentials
from smtpx.server.body import Body
from smtpx.server.peer import Peer
from smtpx.server.session import Reject, Session, ok, reply
from smtpx.server.verdicts import Verdicts
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import NO_PARAMS
from tests.protocol.server_peer import make_settings


def test_ok_and_reply() -> None:
    assert ok().to_bytes() == b"250 2.0.0 OK\r\n"
    assert ok("queued as 42").to_bytes() == b"250 2.0.0 queued as 42\r\n"
    assert reply(252, "2.1.5", "a", "b").to_bytes() == b"252-2.1.5 a\r\n252 2.1.5 b\r\n"


def test_reject() -> None:
    assert Reject().reply == reply(550, "5.7.1", "not accepted")
    reject = Reject(421, "4.7.0", "enough", close=True)
    assert reject.reply.close
    assert str(reject) == "421 4.7.0 enough"


def test_a_verdict_needs_a_message() -> None:
    session = Session()
    session.peer = Peer("id", ("192.0.2.1", 25), ServerProtocol(make_settings()))
    with pytest.raises(RuntimeError, match="there is no message to give a verdict on"):
        session.verdict("b@x.example", ok())
    given: list[str] = []
    session.peer.verdicts = Verdicts([Mailbox("b", "x.example")], lambda: given.append("given"))
    session.verdict("b@x.example", ok())
    assert given == ["given"]


@pytest.mark.parametrize(
    ("code", "enhanced"), [(399, "3.0.0"), (600, "6.0.0"), (250, "2.0.0"), (550, "4.7.1"), (450, "")]
)
def test_reject_that_is_no_refusal(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError, match="a refusal is 4yz or 5yz"):
        Reject(code, enhanced)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("a\r\n250 b", b"550-5.7.1 a\r\n550 5.7.1 250 b\r\n"),
        ("a\x1b[0m", b"550 5.7.1 a\\x1b[0m\r\n"),
        ("gr\u00fc\u00df", b"550 5.7.1 gr\\xfc\\xdf\r\n"),
        ("", b"550 5.7.1 \r\n"),
    ],
)
def test_d41_the_text_of_a_refusal_makes_one_good_reply(text: str, octets: bytes) -> None:
    assert Reject(text=text).reply.to_bytes() == octets


def test_d41_a_long_text_is_wrapped() -> None:
    octets = Reject(text="x" * 5000).reply.to_bytes()
    lines = octets.splitlines(keepends=True)
    assert all(len(line) <= 512 for line in lines)
    assert [line[:4] for line in lines] == [b"550-"] * (len(lines) - 1) + [b"550 "]
    assert octets.count(b"x") == 5000


@pytest.mark.parametrize(
    ("reject", "codes"),
    [
        (Reject.mailbox_unavailable(), "550 5.1.1"),
        (Reject.relaying_denied(), "550 5.7.1"),
        (Reject.mailbox_full(), "452 4.2.2"),
        (Reject.try_later(), "451 4.7.1"),
        (Reject.content_refused(), "550 5.6.0"),
        (Reject.storage_full(), "452 4.3.1"),
        (Reject.bad_credentials(), "535 5.7.8"),
        (Reject.of(replies.MAIL_LOOP), "554 5.4.6"),
    ],
)
def test_the_refusals_that_are_needed_again_and_again(reject: Reject, codes: str) -> None:
    assert str(reject).startswith(codes + " ")
    assert reject.reply.to_bytes().startswith(codes.encode())


async def test_the_defaults_accept_everything_but_a_login() -> None:
    session = Session()
    mailbox = Mailbox("b", "server.example")
    body = Body(lambda: None)
    body.feed(b"abc")
    body.finish()
    assert await session.connect() is None
    assert await session.hello("EHLO", "client.example") is None
    assert await session.mail(NULL_SENDER, NO_PARAMS) is None
    assert await session.rcpt(mailbox, NO_PARAMS) is None
    assert await session.data(body) is None
    assert body.buffered_bytes == 0
    assert await session.command("XFOO", None) is None
    await session.reset()
    await session.close()
    with pytest.raises(Reject, match=r"535 5\.7\.8"):
        await session.authenticate(Credentials("PLAIN", "user"))


async def test_the_defaults_let_in_who_has_proven_to_be_the_user() -> None:
    session = Session()
    assert await session.lookup("SCRAM-SHA-256", "user") is None
    assert await session.authenticate(Credentials("SCRAM-SHA-256", "user", is_proven=True)) is None
    assert await session.authenticate(Credentials("SCRAM-SHA-256", "user", "user", is_proven=True)) is None
    with pytest.raises(Reject, match=r"535 5\.7\.8"):
        await session.authenticate(Credentials("SCRAM-SHA-256", "user", "root", is_proven=True))


def test_a_context_for_each_session_made_when_it_is_asked_for() -> None:
    one, other = Session(), Session()
    assert one._context is None
    assert one.context is one.context
    assert one.context is not other.context

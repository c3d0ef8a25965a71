"""What tests of flows share: a protocol behind its hello, and one message played on it."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from collections.abc import Sequence
from typing import Any

from smtpx.errors import SMTPXError
from smtpx.extensions import STANDARD
from smtpx.flows.content import Content
from smtpx.flows.outcome import SendResult
from smtpx.flows.transaction import Envelope, Transaction, TransactionOptions
from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.dialect import SMTP, Dialect
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.limits import ClientLimits
from smtpx.wire.address import NULL_SENDER, Mailbox
from tests.peers import Dialogue

BODY = b"Subject: hi\r\n\r\n.dot\r\n"
WIRE = "C: Subject: hi\nC:\nC: ..dot\nC: .\n"
ABC = ("a@x.example", "b@x.example", "c@x.example")


def ready(offers: str = "", dialect: Dialect = SMTP, limits: ClientLimits | None = None) -> ClientProtocol:
    """A protocol behind its hello."""
    protocol = ClientProtocol(dialect=dialect, limits=limits)
    lines = ["x.example", *offers.split(",")] if offers else ["x.example"]
    protocol.receive_data(b"220 x\r\n")
    protocol.next_answer()
    protocol.command(dialect.extended_hello, "me")
    protocol.receive_data("".join(f"250-{line}\r\n" for line in lines[:-1]).encode() + f"250 {lines[-1]}\r\n".encode())
    protocol.next_answer()
    assert protocol.is_clean
    return protocol


def mailboxes(*addresses: str) -> tuple[Mailbox, ...]:
    return tuple(Mailbox.parse(address) for address in addresses)


class Case:
    """One protocol, on which several transactions may be played."""

    def __init__(self, offers: str = "", *, dialect: Dialect = SMTP, limits: ClientLimits | None = None) -> None:
        self.protocol = ready(offers, dialect, limits)
        self.transaction: Any = None
        self.writes: list[bytes] = []

    def start(self, to: Sequence[str] = ABC, sender: str = "s@x.example", **options: Any) -> Transaction:
        extensions = options.pop("extensions", STANDARD)
        envelope = Envelope(
            Mailbox.parse(sender) if sender else NULL_SENDER,
            mailboxes(*to),
            options.pop("mail_options", {}),
            options.pop("rcpt_options", {}),
        )
        self.transaction = Transaction(
            self.protocol, envelope, TransactionOptions(extensions=ExtensionSet(extensions), **options)
        )
        return self.transaction

    def flow(self, flow: Any, text: str, *, cut: int | None = None, chunks: Sequence[Any] = ()) -> Any:
        dialogue = Dialogue(text, cut=cut, chunks=chunks)
        try:
            return dialogue.run(flow)
        except SMTPXError as error:
            return error
        finally:
            self.writes = dialogue.writes
            dialogue.done()


def deliver(
    text: str,
    *,
    offers: str = "",
    to: Sequence[str] = ABC,
    content: Content | bytes = BODY,
    dialect: Dialect = SMTP,
    limits: ClientLimits | None = None,
    chunks: Sequence[Any] = (),
    then_clean: bool | None = True,
    **options: Any,
) -> Any:
    """Deliver one message, whole and octet by octet; the result or the exception. Content that comes goes by threes."""
    limits = ClientLimits(chunk_bytes=3) if chunks and limits is None else limits
    content = Content.of(content) if isinstance(content, bytes) else content
    outcomes = []
    for cut in (None, 1):
        case = Case(offers, dialect=dialect, limits=limits)
        outcome = case.flow(case.start(to, **options).deliver(content), text, cut=cut, chunks=chunks)
        if then_clean is not None:
            assert case.protocol.is_clean is then_clean
            assert case.protocol.is_closed is not then_clean
        outcomes.append(outcome)
    assert type(outcomes[0]) is type(outcomes[1])
    assert str(outcomes[0]) == str(outcomes[1])
    return outcomes[0]


def codes(result: SendResult) -> tuple[dict[str, int], dict[str, int]]:
    """Accepted and refused by the first letter of the address."""
    accepted = {address[0]: reply.code for address, reply in result.accepted.items()}
    return accepted, {address[0]: error.reply.code for address, error in result.refused.items()}


PIPE = "PIPELINING"
BOTH = "PIPELINING,CHUNKING"
LOCKSTEP_ENVELOPE = """
    C: MAIL FROM:<s@x.example>
    S: 250 ok
    C: RCPT TO:<a@x.example>
    S: 250 a
    C: RCPT TO:<b@x.example>
    S: 452 b
    C: RCPT TO:<c@x.example>
    S: 550 c
"""
GROUP = """
    C: MAIL FROM:<s@x.example>
    C: RCPT TO:<a@x.example>
    C: RCPT TO:<b@x.example>
    C: RCPT TO:<c@x.example>
"""
ONE = "C: MAIL FROM:<s@x.example>\nC: RCPT TO:<a@x.example>\n"
ONE_OK = "S: 250 m\nS: 250 a\n"
BDAT = "C: BDAT 21 LAST\nC: Subject: hi\nC:\nC: .dot\n"

"""A server's protocol with somebody behind it who has an opinion about everything, always the same about the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from zlib import crc32

from smtpx.extensions import ALL, Chunking, FutureRelease, Pipelining, StartTLS, XClient, XForward
from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.events import (
    AuthAsked,
    BodyAborted,
    BodyEnded,
    BodyReceived,
    BodyStarted,
    ChunkEnded,
    ConnectAsked,
    ConnectionEnded,
    Event,
    HelloAsked,
    LookupAsked,
    MailAsked,
    PauseAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.phases import Phase
from smtpx.protocol.server import ServerProtocol
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import LOGIN, OAUTHBEARER, PLAIN, ScramRecord, Secret, ServerMechanism, scram_servers
from smtpx.sasl.cram_md5 import CramMD5Server
from smtpx.wire.reply import Reply

__all__ = ["LISTENERS", "TLS", "Message", "Opinion", "Opinionated", "Peer", "agreeable"]

TLS = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", verified=True, bindings={"tls-exporter": b"channel"})
_RECORD = ScramRecord.make("secret", iterations=1, salt=b"salt")
_MECHANISMS = (
    *scram_servers("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", secret=b"x", iterations=1, nonce=lambda: "server"),
    *(PLAIN, LOGIN, OAUTHBEARER),
    ServerMechanism("CRAM-MD5", False, False, partial(CramMD5Server, nonce=lambda: "1"), needs_lookup=True),
)
_EXTENSIONS = ExtensionSet(
    [
        *(each for each in ALL if each.keyword not in ("XCLIENT", "XFORWARD", "FUTURERELEASE")),
        *(XClient(["127.0.0.0/8"], login=True), XForward(["127.0.0.0/8"])),
        FutureRelease(now=lambda: datetime(2026, 1, 1, tzinfo=UTC)),  # a clock that stands: replies may not differ
    ]
)
_LIMITS = ServerLimits(
    max_command_line_bytes=200,
    max_auth_line_bytes=240,
    max_discard_bytes=500,
    max_message_bytes=300,
    max_header_bytes=120,
    max_hops=2,
    max_text_line_bytes=80,
    max_recipients=3,
    recipient_overshoot=2,
    small_chunk_limit=8,
    junk_command_limit=12,
    max_messages_per_connection=5,
)
_WIDE = ServerLimits(hard_error_limit=10_000, soft_error_limit=10_000, junk_command_limit=10_000)
_make = partial(ServerSettings, hostname="server.example", extensions=_EXTENSIONS, mechanisms=_MECHANISMS)
LISTENERS: tuple[ServerSettings, ...] = (
    _make(limits=_WIDE, starttls=True, allow_insecure_auth=True),
    _make(limits=_WIDE, starttls=True, bare_newline="normalize", syntax="lenient", sync_check="off"),
    _make(limits=_WIDE, dialect=LMTP, allow_insecure_auth=True),
    _make(limits=_WIDE, dialect=LMTP, bare_newline="normalize", nul="reject", sync_check="off"),
    _make(limits=_LIMITS, starttls=True, allow_insecure_auth=True, syntax="strict"),
    _make(limits=_LIMITS, dialect=LMTP, bare_newline="normalize", source_routes="reject", allow_insecure_auth=True),
    _make(limits=_LIMITS, starttls=True, require_tls=True, require_auth=True),
    ServerSettings(
        hostname="server.example", extensions=ExtensionSet([Pipelining(), Chunking(), StartTLS()]), limits=_LIMITS
    ),
)
_ASKING = (
    *(ConnectAsked, HelloAsked, AuthAsked, LookupAsked, MailAsked, RcptAsked, ChunkEnded, BodyEnded, ResetAsked),
    *(StartTLSAsked, VerbAsked, PauseAsked),
)


class Message(NamedTuple):
    """A message that the session took, for these recipients."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


Opinion = Callable[[Event, ServerProtocol], tuple[Reply | None, ...]]


def agreeable(event: Event, protocol: ServerProtocol) -> tuple[Reply | None, ...]:
    """Says yes to everything, and to `user` with `secret`."""
    if isinstance(event, AuthAsked):
        known = event.credentials.is_proven or event.credentials.is_password("secret")
        return (replies.AUTHENTICATED if known and event.credentials.username == "user" else None,)
    return (None,)


class Opinionated:
    """Refuses some of everything, by what is asked and a number."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, event: Event, protocol: ServerProtocol) -> tuple[Reply | None, ...]:
        """What to answer."""
        if self._number == 0 or isinstance(event, PauseAsked | ResetAsked | StartTLSAsked | AuthAsked):
            return agreeable(event, protocol)
        count = 1
        if isinstance(event, BodyEnded) and protocol.settings.dialect.verdict_per_recipient:
            count = 1 + self._throw(event, 77) % (len(protocol.recipients) + 2)
        return tuple(self._one(event, nth) for nth in range(count))

    def _one(self, event: Event, nth: int) -> Reply | None:
        match self._throw(event, nth) % 24:
            case 0 | 1:
                return replies.make(450, "4.7.1", "not now")
            case 2 | 3:
                return replies.make(550, "5.7.1", "no")
            case 4:
                return replies.make(421, "4.3.2", "enough")
            case 5:
                return Reply(554, None, ("go away",), close=True)
            case 6 if not isinstance(event, HelloAsked):
                return Reply(250, None, ("two", "lines\nand \r more \u00fc"))
            case _:
                return None

    def _throw(self, event: Event, nth: int) -> int:
        return crc32(f"{self._number} {nth} {event!r}".encode("utf-8", "surrogatepass"))


@dataclass
class Peer:
    """One connection; octets in by hand, everything that comes of it kept."""

    settings: ServerSettings
    opinion: Opinion = agreeable
    sent: bytes = b""
    messages: list[Message] = field(default_factory=list[Message])
    told: list[str] = field(default_factory=list[str])
    handshakes: int = 0

    def __post_init__(self) -> None:
        self.protocol = ServerProtocol(self.settings, address="127.0.0.1", port=1)
        self._content = bytearray()
        # Whatever is unread is copied by the next feed: as long as it is bounded, time is linear.
        self._most_unread = 26 + 2 + self.settings.limits.max_auth_line_bytes + 1
        self.protocol.greet()
        self.collect()

    def receive(self, piece: bytes) -> bytes:
        """Take octets; gives what is answered to them. A handshake that is due is done at once."""
        was_closed = self.protocol.is_closed
        self.protocol.receive_data(piece)
        before = len(self.sent)
        self.work()
        if self.protocol.awaits_handshake:
            self.handshakes += 1
            self.protocol.tls_started(TLS)
            self.work()
        assert not (was_closed and len(self.sent) > before), "said something behind the end"
        return self.sent[before:]

    def work(self) -> None:
        """Go through all events."""
        protocol = self.protocol
        while (event := protocol.next_event()) is not None:
            self._see(event)
            if isinstance(event, _ASKING):
                assert protocol.is_asking
                self._answer(event)
            assert protocol.phase is not Phase.CLOSED or not protocol.is_asking
        assert protocol.unread_bytes <= self._most_unread, "more unread than a line"
        self.collect()
        in_transaction = protocol.phase in (Phase.SENDER, Phase.RECIPIENTS, Phase.BODY, Phase.CHUNKS)
        assert protocol.in_transaction == in_transaction
        assert bool(protocol.recipients) == (in_transaction and protocol.phase is not Phase.SENDER)
        assert not protocol.in_message or in_transaction

    def collect(self) -> None:
        """Take what the protocol sends."""
        self.sent += self.protocol.data_to_send()
        assert not self.protocol.data_to_send()

    def _see(self, event: Event) -> None:
        if isinstance(event, BodyStarted):
            self._content.clear()
        elif isinstance(event, BodyReceived):
            assert event.data
            self._content += event.data
            return  # how content is divided depends on the cut
        elif isinstance(event, BodyAborted | ConnectionEnded):
            self.told.append(type(event).__name__)
            return
        self.told.append(f"{event!r}")

    def _answer(self, event: Event) -> None:
        if isinstance(event, LookupAsked):
            answer = self.opinion(event, self.protocol)[0]
            if answer is not None and answer.code >= 400:
                self.protocol.answer(answer)
            else:
                self.protocol.answer_lookup(_stored(event))
            return
        answers = self.opinion(event, self.protocol)
        if isinstance(event, BodyEnded):
            assert event.size == len(self._content)
            self._store(answers)
        self.protocol.answer(*answers)

    def _store(self, answers: tuple[Reply | None, ...]) -> None:
        protocol = self.protocol
        recipients = [str(each) for each in protocol.recipients]
        if len(answers) == 1:
            answers = answers * len(recipients)
        verdicts = zip(recipients, answers, strict=False)
        good = tuple(to for to, answer in verdicts if answer is None or answer.code < 300)
        if good:
            self.messages.append(Message(str(protocol.sender), good, bytes(self._content)))


def _stored(event: LookupAsked) -> ScramRecord | Secret | None:
    if event.username != "user":
        return None
    return Secret("secret") if event.mechanism == "CRAM-MD5" else _RECORD

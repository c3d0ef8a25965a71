"""Plays octets against a `ServerProtocol`, whole and in pieces, and collects what comes of it.

No sockets, no clock: a policy answers the questions, and every way of cutting the octets must give the same outcome.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypedDict, Unpack

from smtpx.extensions import (
    SMTPUTF8,
    Auth,
    Chunking,
    EightBitMIME,
    EnhancedStatusCodes,
    Pipelining,
    Size,
    StartTLS,
)
from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP, Dialect
from smtpx.protocol.events import (
    AuthAsked,
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
from smtpx.protocol.extension import Extension, ExtensionSet
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.phases import Phase
from smtpx.protocol.server import ServerProtocol
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import ServerMechanism
from smtpx.sasl.login import LOGIN
from smtpx.sasl.plain import PLAIN
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply, ReplyParser

# Named here and not taken from STANDARD, so that a new extension changes no reply that these tests know.
EXTENSIONS: tuple[Extension, ...] = (
    Pipelining(),
    EightBitMIME(),
    SMTPUTF8(),
    EnhancedStatusCodes(),
    Chunking(),
    StartTLS(),
    Auth(),
    Size(),
)
TLS_FACTS = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256")
MECHANISMS = (PLAIN, LOGIN)
CUTS = (None, 1, 2, 3, 17)

EHLO = "EHLO client.example\r\n"
MAIL = "MAIL FROM:<a@client.example>\r\n"
RCPT = "RCPT TO:<b@server.example>\r\n"
ENVELOPE = MAIL + RCPT
NOOP = "NOOP\r\n"
GOOD_AUTH = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"  # user, secret
BAD_AUTH = "AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n"

Answer = Reply | None | tuple[Reply | None, ...]
ASKING = (
    ConnectAsked,
    HelloAsked,
    AuthAsked,
    MailAsked,
    RcptAsked,
    ChunkEnded,
    BodyEnded,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
    PauseAsked,
)


class Listener(TypedDict, total=False):
    """Options of `make_settings` that go to `ServerSettings` as they are."""

    dialect: Dialect
    mechanisms: tuple[ServerMechanism, ...]
    starttls: bool
    require_tls: bool
    require_auth: bool
    allow_insecure_auth: bool
    bare_newline: Literal["reject", "normalize"]
    nul: Literal["keep", "reject"]
    sync_check: Literal["data", "all", "off"]
    syntax: Literal["normal", "strict", "lenient"]
    source_routes: Literal["ignore", "reject"]
    foreign_verbs: frozenset[str]
    banner: str


class Turn:
    """Something other than octets that happens to a connection."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


HANDSHAKE = Turn("HANDSHAKE")
EOF = Turn("EOF")
EXPIRE = Turn("EXPIRE")
Script = Iterable[str | bytes | Turn]


def make_settings(
    *,
    limits: Mapping[str, Any] | None = None,
    extensions: Iterable[Extension] = EXTENSIONS,
    **settings: Unpack[Listener],
) -> ServerSettings:
    """Settings of server.example, with the extensions of this module."""
    return ServerSettings(
        hostname="server.example",
        extensions=ExtensionSet(extensions),
        limits=ServerLimits(**(limits or {})),
        **settings,
    )


@dataclass(frozen=True)
class Stored:
    """A message that was taken."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    params: Params = field(default_factory=Params)
    identity: str | None = None


LMTP_SETTINGS = make_settings(dialect=LMTP)


class Policy:
    """Answers by kind of event: a reply, None, a tuple of replies, or a function of the event. Login: user, secret."""

    def __init__(self, answers: Mapping[type[Any], Answer | Callable[[Any], Answer]] | None = None) -> None:
        self._answers = dict(answers or {})

    def decide(self, event: Event) -> tuple[Reply | None, ...]:
        """What to answer."""
        answer = self._answers.get(type(event), _judge if isinstance(event, AuthAsked) else None)
        if callable(answer):
            answer = answer(event)
        return answer if isinstance(answer, tuple) else (answer,)


def _judge(event: AuthAsked) -> Reply | None:
    known = event.credentials.username == "user" and event.credentials.is_password("secret")
    return replies.AUTHENTICATED if known else None


@dataclass
class Outcome:
    """What came of a script. Replies do not hold the greeting."""

    replies: list[Reply] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    messages: list[Stored] = field(default_factory=list)
    phase: Phase = Phase.BANNER

    @property
    def codes(self) -> list[str]:
        """Basic and enhanced code of each reply."""
        return [code_of(reply) for reply in self.replies]

    @property
    def closed(self) -> bool:
        """Whether the connection is over."""
        return self.phase is Phase.CLOSED

    @property
    def contents(self) -> list[bytes]:
        """The content of each stored message."""
        return [message.content for message in self.messages]

    @property
    def pauses(self) -> list[float]:
        """The delays that were asked for."""
        return [event.seconds for event in self.events if isinstance(event, PauseAsked)]

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def code_of(reply: Reply) -> str:
    """`250 2.1.0`, or `354` where there is no enhanced code."""
    return f"{reply.code} {reply.enhanced}" if reply.enhanced else str(reply.code)


class ServerPeer:
    """One connection, fed by hand."""

    def __init__(
        self, settings: ServerSettings | None = None, policy: Policy | None = None, *, tls: TLSFacts | None = None
    ) -> None:
        self.settings = settings or make_settings()
        self.protocol = ServerProtocol(self.settings, tls=tls)
        self.outcome = Outcome()
        self.most_unread = 0
        self.policy = policy or Policy()
        self._parser = ReplyParser()
        self._content = bytearray()
        self.due = b""  # what is to be sent next, for whoever drives this

    def connect(self) -> Self:
        """Take the greeting."""
        self.protocol.greet()
        self.collect()
        assert [reply.code for reply in self.outcome.replies] == [220]
        self.outcome.replies.clear()
        return self

    def send(self, data: str | bytes, cut: int | None = None) -> list[str]:
        """Feed octets, in pieces of `cut`; gives the codes of the replies."""
        octets = data.encode() if isinstance(data, str) else data
        before = len(self.outcome.replies)
        for start in range(0, len(octets), cut or max(len(octets), 1)):
            self.protocol.receive_data(octets[start : start + (cut or len(octets))])
            self._drain()
        return self.outcome.codes[before:]

    def turn(self, what: Turn) -> list[str]:
        """Let something happen that is not octets."""
        before = len(self.outcome.replies)
        if what is HANDSHAKE:
            assert self.protocol.phase is Phase.TLS
            self.protocol.tls_started(TLS_FACTS)
        elif what is EOF:
            self.protocol.receive_eof()
        else:
            self.protocol.expire()
        self._drain()
        return self.outcome.codes[before:]

    def play(self, script: Script, cut: int | None = None) -> Outcome:
        """Send all of a script."""
        for step in script:
            if isinstance(step, Turn):
                self.turn(step)
            else:
                self.send(step, cut)
        return self.outcome

    def _drain(self) -> None:
        protocol = self.protocol
        while (event := protocol.next_event()) is not None:
            self.outcome.events.append(event)
            self._watch(event)
            if isinstance(event, ASKING):
                assert protocol.is_asking
                answer = self.policy.decide(event)
                if isinstance(event, BodyEnded):
                    self._store(event, answer)
                protocol.answer(*answer)
            elif isinstance(event, LookupAsked):
                self.look_up(event)
        self.most_unread = max(self.most_unread, protocol.unread_bytes)
        self.outcome.phase = protocol.phase
        self.collect()
        _check_invariants(protocol)

    def look_up(self, event: LookupAsked) -> None:
        """Answer: nobody is known here."""
        self.protocol.answer_lookup(None)

    @property
    def content(self) -> bytes:
        """What came of the message under way."""
        return bytes(self._content)

    def _watch(self, event: Event) -> None:
        if isinstance(event, BodyStarted):
            self._content.clear()
        elif isinstance(event, BodyReceived):
            assert event.data
            self._content += event.data

    def _store(self, event: BodyEnded, answer: tuple[Reply | None, ...]) -> None:
        protocol = self.protocol
        assert event.size == len(self._content)
        recipients = [str(recipient) for recipient in protocol.recipients]
        verdicts = list(answer) if len(answer) > 1 else list(answer) * len(recipients)
        good = tuple(
            to for to, verdict in zip(recipients, verdicts, strict=False) if verdict is None or verdict.code < 300
        )
        if good:
            assert protocol.sender is not None
            content, identity = bytes(self._content), protocol.facts.identity
            self.outcome.messages.append(Stored(str(protocol.sender), good, content, protocol.mail_params, identity))

    def collect(self) -> None:
        """Take what the protocol sends into the outcome."""
        octets = self.protocol.data_to_send()
        assert self.protocol.data_to_send() == b""
        assert all(len(line) <= 512 for line in octets.splitlines(keepends=True))
        self._parser.feed(octets)
        while (reply := self._parser.next_reply()) is not None:
            self.outcome.replies.append(reply)
        assert not self._parser.has_input, "half a reply was sent"


def _check_invariants(protocol: ServerProtocol) -> None:
    in_transaction = protocol.phase in (Phase.SENDER, Phase.RECIPIENTS, Phase.BODY, Phase.CHUNKS)
    assert protocol.in_transaction == in_transaction, protocol.phase
    if protocol.phase is not Phase.SENDER:
        assert bool(protocol.recipients) == in_transaction, protocol.phase
    assert not protocol.in_message or in_transaction


def normal(events: Iterable[Event]) -> list[object]:
    """Events without what may depend on the cut: how content is divided, and content that never came to a good end."""
    found: list[Event] = []
    content = bytearray()
    for event in events:
        if isinstance(event, BodyStarted):
            content.clear()
        if isinstance(event, BodyReceived):
            content += event.data
            continue
        if isinstance(event, BodyEnded):
            found.append(BodyReceived(bytes(content)))
        found.append(event)
    return [_comparable(event) for event in found]


def _comparable(event: Event) -> object:
    if isinstance(event, AuthAsked):
        values = event.credentials
        return ("auth", values.mechanism, values.username, values.authorization_id)
    return event


class Options(TypedDict, total=False):
    """What `play` takes beside the script."""

    settings: ServerSettings | None
    policy: Callable[[], Policy] | None
    tls: TLSFacts | None
    cuts: Iterable[int | None]


def answering(kind: type[Any], answer: Answer | Callable[[Any], Answer]) -> Callable[[], Policy]:
    """Makes policies with one opinion."""
    return lambda: Policy({kind: answer})


class AtServer:
    """Keeps what a server tells."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def heard(self, line: bytes) -> None:
        self.told.append(("heard", line))

    def responded(self) -> None:
        self.told.append(("responded",))

    def content_ended(self, size: int) -> None:
        self.told.append(("content", size))

    def said(self, reply: Reply) -> None:
        self.told.append(("said", reply.code))


def greeted(settings: ServerSettings | None = None) -> ServerProtocol:
    """A protocol whose greeting was sent."""
    protocol = ServerProtocol(settings or make_settings())
    protocol.greet()
    assert protocol.data_to_send().startswith(b"220 ")
    return protocol


def feed(protocol: ServerProtocol, text: str) -> None:
    protocol.receive_data(text.encode())


def play(
    *script: str | bytes | Turn,
    settings: ServerSettings | None = None,
    policy: Callable[[], Policy] | None = None,
    tls: TLSFacts | None = None,
    cuts: Iterable[int | None] = CUTS,
) -> Outcome:
    """Play a script once for each cut; see that all outcomes are the same, and give it.

    The steps of a script are never joined: a client that keeps in turn waits between them.
    """
    outcomes = [ServerPeer(settings, policy and policy(), tls=tls).connect().play(script, cut) for cut in cuts]
    first = outcomes[0]
    for outcome in outcomes[1:]:
        assert outcome.replies == first.replies
        assert outcome.messages == first.messages
        assert outcome.phase is first.phase
        assert normal(outcome.events) == normal(first.events)
    return first


def survives(*script: str | bytes | Turn, **options: Unpack[Options]) -> Outcome:
    """As `play`, and the connection answers a NOOP once behind it. That reply is not in the outcome."""
    outcome = play(*script, NOOP, **options)
    last = outcome.replies.pop()
    assert code_of(last) == "250 2.0.0"
    assert last.text == "OK"
    assert not outcome.closed
    return outcome


def ends(*script: str | bytes | Turn, **options: Unpack[Options]) -> Outcome:
    """As `play`, and the connection is over: it ended once, and octets behind that change nothing."""
    outcome = play(*script, "RSET\r\nNOOP\r\n", **options)
    assert outcome.closed
    assert len(outcome.of(ConnectionEnded)) == 1
    assert isinstance(outcome.events[-1], ConnectionEnded)
    return outcome

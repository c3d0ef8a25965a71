"""The house of the dialogues in memory, and a record of what is said to whom in which phase."""

from collections.abc import Iterator
from typing import NamedTuple

from smtpx.protocol.events import (
    AuthAsked,
    BodyEnded,
    ChunkEnded,
    ConnectAsked,
    HelloAsked,
    LookupAsked,
    MailAsked,
    RcptAsked,
)
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.phases import Phase
from smtpx.protocol.replies import AUTHENTICATED, make
from smtpx.protocol.settings import ServerSettings
from smtpx.server.session import Reject
from smtpx.wire.reply import Reply
from tests.dialogues.dialogue import Closed, Dialogue, Expect, Handshake, HangUp, Said, Stored
from tests.dialogues.house import extensions_of, is_login, limits_of, mechanisms_of, opinion, settings_of, stored
from tests.protocol.server_peer import EOF, EXTENSIONS, Answer, Policy, ServerPeer

__all__ = ["HousePeer", "Turn", "converse", "record"]


class HousePeer(ServerPeer):
    """A connection to the house."""

    def __init__(self, dialogue: Dialogue) -> None:
        settings = ServerSettings(
            extensions=ExtensionSet(extensions_of(dialogue, EXTENSIONS)),
            limits=limits_of(dialogue),
            mechanisms=mechanisms_of(dialogue),
            **settings_of(dialogue),
        )
        answers = {
            ConnectAsked: lambda event: opinion(getattr(self.protocol.facts.claims, "name", None)),
            HelloAsked: lambda event: opinion(event.name),
            MailAsked: lambda event: opinion(event.sender),
            RcptAsked: lambda event: opinion(event.recipient),
            AuthAsked: lambda event: is_login(event.credentials) or AUTHENTICATED,
            ChunkEnded: lambda event: opinion(self.content),
            BodyEnded: lambda event: self._verdicts(),
        }
        super().__init__(settings, Policy(answers))
        self.protocol.facts.address = "127.0.0.1"
        refusal = dialogue.options.get("connect")
        self.protocol.greet(make(int(refusal), f"{refusal[0]}.7.1", "no") if refusal else None)
        self.collect()

    def look_up(self, event: LookupAsked) -> None:
        try:
            self.protocol.answer_lookup(stored(event.mechanism, event.username))
        except Reject as refusal:
            self.protocol.answer(refusal.reply)

    def handshake(self, step: Handshake) -> None:
        """TLS begins."""
        assert self.protocol.phase is Phase.TLS
        self.protocol.tls_started(TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", peer_identity=step.name))

    def _verdicts(self) -> Answer:
        whole = opinion(self.content)
        each = tuple(whole or opinion(to, "verdict") for to in self.protocol.recipients)
        if self.settings.dialect.verdict_per_recipient:
            return each
        refusals = [verdict for verdict in each if verdict is not None]
        return refusals[0] if refusals else None


def converse(dialogue: Dialogue, cut: int | None) -> None:
    """Play a dialogue in memory, whole or in pieces of so many octets."""
    peer = HousePeer(dialogue)
    for _ in _play(peer, dialogue):
        peer.send(peer.due, cut)


class Turn(NamedTuple):
    """A command and one of its replies. `line` is the whole command, where it is one line."""

    phase: Phase
    command: str
    line: str
    reply: Reply


def record(dialogue: Dialogue) -> list[Turn]:
    """Play a dialogue command by command: what was said in which phase, and each of its replies."""
    peer = HousePeer(dialogue)
    replies = peer.outcome.replies
    turns = [Turn(Phase.BANNER, "GREETING", "", reply) for reply in replies]
    for step in _play(peer, dialogue):
        if isinstance(step, Handshake):
            turns.append(Turn(Phase.TLS, "HANDSHAKE", "", make(220, None)))
            continue
        rest = peer.due
        while rest:
            phase, before = peer.protocol.phase, len(replies)
            command, octets, rest = _next_unit(phase, rest)
            peer.send(octets)
            line = octets.decode("latin-1").removesuffix("\r\n")
            turns += [Turn(phase, command, line, reply) for reply in replies[before:]]
    return turns


def _next_unit(phase: Phase, octets: bytes) -> tuple[str, bytes, bytes]:
    """What is said first, under the name the table has for it, and what is said behind it."""
    if phase is Phase.BODY:
        end = 0 if octets.startswith(b".\r\n") else octets.find(b"\r\n.\r\n") + 2
        size = end + 3 if end != 1 else len(octets)
        return "END OF DATA", octets[:size], octets[size:]
    size = octets.find(b"\r\n") + 2 if b"\r\n" in octets else len(octets)
    if phase is Phase.AUTH:
        return "AUTH RESPONSE", octets[:size], octets[size:]
    words = octets[:size].decode("latin-1").removesuffix("\r\n").split(" ")
    verb = words[0].upper()
    if verb == "BDAT" and len(words) > 1 and words[1].isdigit():
        size += int(words[1])
        verb = " ".join(word.upper() for word in (verb, *words[2:]))
    return verb, octets[:size], octets[size:]


def _play(peer: HousePeer, dialogue: Dialogue) -> Iterator[Said | Handshake]:
    """Give what the client says, as `peer.due`, and see that all else is as the dialogue has it."""
    read = 0
    for step in dialogue.steps:
        match step:
            case Said(octets):
                assert read == len(peer.outcome.replies), "a reply that nobody expected"
                peer.due = octets
                yield step
            case Expect():
                assert read < len(peer.outcome.replies), f"no reply where {step} was expected"
                reply = peer.outcome.replies[read]
                read += 1
                enhanced = str(reply.enhanced) if reply.enhanced else None
                assert step.mismatch(reply.code, enhanced, reply.lines) is None
            case Handshake():
                peer.handshake(step)
                peer.due = b""
                yield step
            case HangUp():
                peer.turn(EOF)
            case Closed():
                assert peer.outcome.closed or peer.protocol.is_closed
            case Stored(count):
                assert len(peer.outcome.messages) == count
    assert read == len(peer.outcome.replies), "a reply that nobody expected"

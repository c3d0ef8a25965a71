"""Plays the dialogues of `tests/dialogues/client`: in memory, whole and octet by octet, and both colours on a port.

| option | meaning |
|---|---|
| `scheme=submission` | of the URL; default `smtp+plain` |
| `auth=user:secret`, `token=user:xyz`, `certificate=` | credentials |
| `auth_mechanisms=PLAIN,...` | to narrow |
| `content=...` | what `send` and `data` send, with Python's escapes |
| a field of `ClientLimits` | that limit |
"""
# ruff: noqa: ANN401 - connections of either colour, and in memory, have no common type

import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from smtpx.client.conversation import Conversation
from smtpx.client.mail import Mail, Source
from smtpx.client.settings import settings_for
from smtpx.errors import RefusedError, SMTPXError
from smtpx.extensions.deliverby import BY
from smtpx.extensions.future_release import HOLDUNTIL
from smtpx.extensions.rrvs import RRVS
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.limits import ClientLimits
from smtpx.protocol.phases import TABLE, Phase
from smtpx.sasl import BearerToken, Certificate, ClientMechanism, Password
from smtpx.sasl.scram import ScramClient
from smtpx.wire.codes import Severity
from tests.client.conftest import Certificates
from tests.dialogues.client import Action, ClientDialogue, find_client_dialogues, parse_client_dialogue
from tests.peers import Colour, Dialogue, ScriptedServer

DIALOGUES = [parse_client_dialogue(path) for path in find_client_dialogues()]
LIMITS = {each.name for each in fields(ClientLimits)}
# The nonces of the examples: RFC 5802 5, RFC 7677 3.
NONCES = {"SCRAM-SHA-1": "fyko+d2lbbFgONRv9qkxdawL", "SCRAM-SHA-256": "rOprNGfwEbeRWgbNEkqO"}
VALUES = {"by": BY.parse, "hold_until": HOLDUNTIL.parse, "rrvs": RRVS.parse, "mt_priority": int, "hold_for": int}


class FixedPassword(Password):
    """A password whose SCRAM is always the same."""

    def _scram(self) -> list[ClientMechanism]:
        return [
            ClientMechanism(name, False, partial(ScramClient, self, name, nonce=lambda nonce=nonce: nonce))
            for name, nonce in NONCES.items()
        ]


def options_of(dialogue: ClientDialogue) -> dict[str, Any]:
    """The options of a dialogue as those of a client."""
    options: dict[str, Any] = {"hello_name": "client.example"}
    limits: dict[str, Any] = {name: int(value) for name, value in dialogue.options.items() if name in LIMITS}
    if limits:
        options["protocol_limits"] = ClientLimits(**limits)
    for name, value in dialogue.options.items():
        if name == "auth":
            username, _, password = value.partition(":")
            options["auth"] = FixedPassword(username, password)
        elif name == "token":
            options["auth"] = BearerToken(*value.split(":"))
        elif name == "certificate":
            options["auth"] = Certificate(value)
        elif name == "auth_mechanisms":
            options[name] = value.split(",")
        elif name in ("pipelining", "chunking"):
            options[name] = value != "no"
    return options


def content_of(dialogue: ClientDialogue) -> bytes:
    """What is sent."""
    text = dialogue.options.get("content", r"Subject: hi\r\n\r\n.dot\r\n")
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


def failing(content: bytes) -> Iterator[bytes]:
    """Content that can't be read to its end."""
    yield from (content[:4], content[4:])
    raise OSError("the disk is gone")


class InMemory:
    """A connection without a socket; the same names as `Connection` has."""

    def __init__(self, settings: Any, script: str, cut: int | None) -> None:
        self.dialogue = Dialogue(script, cut=cut)
        self._settings = settings
        self._conversation = Conversation(settings, ("127.0.0.1", 1), ("127.0.0.1", 25), None)
        try:
            self._run(self._conversation.start())
        except SMTPXError:
            self.quit()
            raise

    def _run(self, flow: Any, source: Source | None = None) -> Any:
        if source is not None:
            self.dialogue.read_from(source.chunks())
        try:
            return self.dialogue.run(flow)
        except SMTPXError:
            if self._conversation.is_spoilt:
                self._conversation.protocol.connection_closed()
            raise

    def send(self, message: Any, *, sender: str, recipients: list[str], strict: bool = False, **wishes: Any) -> Any:
        mail = Mail(message, sender, recipients)
        return self._run(self._conversation.send(mail, wishes, strict=strict, smtputf8=None), mail.source)

    def data(self, body: Any) -> Any:
        source = Source(body)
        return self._run(self._conversation.data(source), source)

    def mail(self, sender: str, **wishes: Any) -> Any:
        return self._run(self._conversation.mail(sender, wishes))

    def rcpt(self, recipient: str, **wishes: Any) -> Any:
        return self._run(self._conversation.rcpt(recipient, wishes))

    def command(self, verb: str, argument: str | None = None) -> Any:
        return self._run(self._conversation.command(verb, argument))

    def quit(self) -> None:
        if self._conversation.is_open:
            self._run(self._conversation.quit())

    def close(self) -> None:
        self._conversation.protocol.connection_closed()

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self._run(getattr(self._conversation, name)(*arguments))


def perform(dialogue: ClientDialogue, open_connection: Any) -> None:
    """Do all that a dialogue says, and see what comes of it."""
    connection: Any = None
    for action in dialogue.actions:
        error: Any = None
        value: Any = None
        try:
            if action.name == "open":
                connection = open_connection()
            else:
                value = do(connection, action, content_of(dialogue))
        except SMTPXError as caught:
            error = caught
        look(action, value, error)
    if connection is not None:
        connection.close()


def do(connection: Any, action: Action, content: bytes) -> Any:
    """One thing."""
    wishes: dict[str, Any] = {name: VALUES.get(name, str)(value) for name, value in action.options.items()}
    body: Any = failing(content) if wishes.pop("source", None) == "failing" else content
    if "require_tls" in wishes or "strict" in wishes:
        wishes = {name: True if name in ("require_tls", "strict") else value for name, value in wishes.items()}
    if action.name == "send":
        sender, recipients = action.arguments
        return connection.send(body, sender=sender.strip("<>"), recipients=recipients.split(","), **wishes)
    if action.name == "data":
        return connection.data(body)
    return getattr(connection, action.name)(*action.arguments, **wishes)


def look(action: Action, value: Any, error: Any) -> None:
    """See that what came of it is what had to."""
    expected: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for kind, *words in action.results:
        expected[kind].append(tuple(words))
    raised = [(type(error).__name__, error.stage)] if error is not None else []
    assert raised == expected.pop("RAISES", []), error
    result = error.result if error is not None else value
    if "ACCEPTED" in expected or "REFUSED" in expected:
        assert [(to,) for to in result.accepted] == expected.pop("ACCEPTED", [])
        refused = [(to, str(each.reply.code)) for to, each in result.refused.items()]
        assert refused == expected.pop("REFUSED", [])
    if expected:
        assert [str(value.code)] == list(expected)


@pytest.mark.parametrize("cut", [None, 1])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.name)
def test_in_memory(dialogue: ClientDialogue, cut: int | None) -> None:
    play_in_memory(dialogue, cut)


def play_in_memory(dialogue: ClientDialogue, cut: int | None = None) -> None:
    scheme = dialogue.options.get("scheme", "smtp+plain")
    settings = settings_for(f"{scheme}://127.0.0.1:25", **options_of(dialogue))
    made: list[Dialogue] = []

    def open_connection() -> InMemory:
        with mock.patch.object(Dialogue, "__init__", _noting(made)):
            return InMemory(settings, dialogue.script, cut)

    perform(dialogue, open_connection)
    made[0].done()


def _noting(made: list[Dialogue]) -> Any:
    original = Dialogue.__init__

    def init(self: Dialogue, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        made.append(self)

    return init


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.name)
def test_on_a_port(dialogue: ClientDialogue, colour: Colour, certificates: Certificates) -> None:
    scheme = dialogue.options.get("scheme", "smtp+plain")
    options = options_of(dialogue) | {"ssl_context": ssl.create_default_context(cafile=str(certificates.ca_file))}
    with ScriptedServer(dialogue.script, tls=certificates.server) as server:
        perform(dialogue, lambda: colour.open(f"{scheme}://localhost:{server.port}", **options))


@pytest.mark.parametrize("text", ["S: 220 x\n", "# RFC 1 2: x\nX: y\n", "# RFC 1 2: x\n= 250\n", "# RFC 1 2: x\n>\n"])
def test_dialogue_of_another_form(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.txt"):
        parse_client_dialogue(path)


# What they show ------------------------------------------------------------------------------------------------------


class Heard(NamedTuple):
    """A reply, with the phase and the command that it came to."""

    phase: Phase
    command: str
    severity: Severity


def heard(dialogue: ClientDialogue) -> set[Heard]:
    """The replies of a dialogue, as the client takes them."""
    found: set[Heard] = set()
    take, handshake = ClientProtocol.next_answer, ClientProtocol.tls_started

    def noting(self: ClientProtocol) -> Answer | None:
        phase, owed = self.phase, self.owed
        try:
            answer = take(self)
        except RefusedError:
            return None
        if answer is not None and owed is not None:
            found.add(Heard(phase, owed.command, answer.reply.severity))
        return answer

    def begun(self: ClientProtocol, tls: Any) -> None:
        found.add(Heard(self.phase, "HANDSHAKE", Severity.COMPLETED))
        handshake(self, tls)

    with (
        mock.patch.object(ClientProtocol, "next_answer", noting),
        mock.patch.object(ClientProtocol, "tls_started", begun),
    ):
        play_in_memory(dialogue)
    return found


P = Phase
HELLOS = ("EHLO", "HELO", "LHLO")
SINGLE = ("NOOP", "VRFY", "EXPN", "HELP")
NEVER_SAID: Mapping[tuple[Phase, str], str] = {
    **{
        (phase, verb): "a client says hello once, and again behind TLS and XCLIENT"
        for verb in HELLOS
        for phase in (P.READY, P.SENDER, P.RECIPIENTS, P.CHUNKS)
    },
    **{(P.HELLO, verb): "a client says hello first" for verb in (*SINGLE, "RSET")},
    **{(P.CHUNKS, verb): "nothing but RSET comes between chunks" for verb in (*SINGLE, "QUIT", "STARTTLS")},
}
NEVER_HEARD: Mapping[tuple[Phase, str, Severity], str] = {
    **{
        (P.TLS, "HANDSHAKE", severity): "a handshake has no replies; test_both_connecting.py shows one that fails"
        for severity in (Severity.TEMPORARY, Severity.PERMANENT)
    },
}


def test_every_row_of_the_table_that_a_client_can_meet_is_shown() -> None:
    found = set[Heard]().union(*(heard(each) for each in DIALOGUES))
    rows = {
        Heard(phase, command, severity)
        for (phase, command), row in TABLE.items()
        for severity in row
        if (phase, command) not in NEVER_SAID and (phase, command, severity) not in NEVER_HEARD
    }
    missing = sorted(f"{p.name} {command} {s.value}yz" for p, command, s in rows - found)
    assert not missing, f"no dialogue shows {', '.join(missing)}"
    assert not [each for each in found if (each.phase, each.command) in NEVER_SAID]

"""Plays the dialogues of `tests/dialogues` against a server on a port."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from smtpx.sasl import Credentials, ScramRecord, Secret
from smtpx.server.body import Body
from smtpx.server.session import Reject, ok
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.dialogues.dialogue import (
    Closed,
    Dialogue,
    Expect,
    Handshake,
    HangUp,
    Said,
    Stored,
    find_dialogues,
    parse_dialogue,
)
from tests.dialogues.house import extensions_of, is_login, limits_of, mechanisms_of, opinion, settings_of, stored
from tests.server.rig import (
    RawClient,
    Recorder,
    authority,
    eventually,
    fresh_client_tls,
    fresh_server_tls,
    recorders,
    running,
)

DIALOGUES = [parse_dialogue(path) for path in find_dialogues()]


class Host(Recorder):
    """The session of the house."""

    refusal = ""

    async def connect(self) -> Reply | None:
        await super().connect()
        if self.refusal:
            raise Reject(int(self.refusal), f"{self.refusal[0]}.7.1", "no")
        return opinion(self.peer.claims.name) if self.peer.claims else None

    async def hello(self, verb: str, name: str) -> Reply | None:
        return opinion(name)

    async def authenticate(self, identity: Credentials) -> Reply | None:
        return is_login(identity)

    async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        return stored(mechanism, username)

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        await super().mail(sender, params)
        return opinion(sender)

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        refusal = opinion(recipient)
        return refusal if refusal else await super().rcpt(recipient, params)

    async def data(self, body: Body) -> Mapping[str, Reply]:
        content = b""
        async for piece in body:
            content += piece
            if refusal := opinion(content):
                raise Reject.of(refusal)
        verdicts = {to: opinion(to, "verdict") or ok() for to in self.recipients}
        if any(verdict.code < 300 for verdict in verdicts.values()):
            self.keep(content)
        return verdicts


def options_of(dialogue: Dialogue) -> dict[str, Any]:
    """The options of a dialogue as those of a server."""
    options = settings_of(dialogue)
    if options.pop("starttls", False):
        options["tls"] = tls = fresh_server_tls()
        tls.verify_mode = ssl.CERT_OPTIONAL
        authority().configure_trust(tls)
    limits = limits_of(dialogue, error_delay_seconds=0.0, auth_failure_delay_seconds=0.0)
    extras = {"limits": limits, "extensions": extensions_of(dialogue), "mechanisms": mechanisms_of(dialogue)}
    return options | extras


def certified(name: str | None) -> ssl.SSLContext | None:
    """The context of a client with a certificate; None without a name."""
    if name is None:
        return None
    context = fresh_client_tls()
    authority().issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.name)
async def test_dialogue(dialogue: Dialogue) -> None:
    kind, made = recorders(type("Host", (Host,), {"refusal": dialogue.options.get("connect", "")}))
    async with running(kind, **options_of(dialogue)) as server, await RawClient.open(server, greeting=False) as client:
        for step in dialogue.steps:
            match step:
                case Said(octets):
                    await client.send(octets)
                case Expect():
                    reply = await client.reply()
                    enhanced = str(reply.enhanced) if reply.enhanced else None
                    assert step.mismatch(reply.code, enhanced, reply.lines) is None
                case Handshake(name):
                    await client.start_tls(certified(name))
                case HangUp():
                    client.finish()
                case Closed():
                    await client.closed()
                case Stored(count):
                    await eventually(lambda count=count: len(made[0].messages) == count)
                    await asyncio.sleep(0)
                    assert len(made[0].messages) == count
    assert made or "proxy_protocol" in dialogue.options  # who sends no PROXY header meets no session
    for session in made:
        assert session.calls[0] == "connect"
        assert session.calls.count("close") == 1
        assert session.calls[-1] == "close"

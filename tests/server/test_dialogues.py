"""Plays the dialogues of `tests/dialogues` against a server on a port."""

import asyncio
from dataclasses import fields
from typing import Any

import pytest

from smtpx.protocol.dialect import LMTP
from smtpx.protocol.limits import ServerLimits
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
from tests.server.rig import RawClient, Recorder, eventually, fresh_server_tls, recorders, running

DIALOGUES = [parse_dialogue(path) for path in find_dialogues()]
LIMITS = {each.name for each in fields(ServerLimits)}


class NoLogin(Recorder):
    """Offers no AUTH."""

    authenticate = Recorder.__mro__[1].authenticate


def options_of(dialogue: Dialogue) -> dict[str, Any]:
    """The options of a dialogue as those of a server."""
    options: dict[str, Any] = {}
    limits: dict[str, Any] = {"error_delay_seconds": 0.0, "auth_failure_delay_seconds": 0.0}
    for name, value in dialogue.options.items():
        if name in LIMITS:
            limits[name] = float(value) if name.endswith("_seconds") else int(value)
        elif name == "dialect":
            options[name] = {"LMTP": LMTP}[value]
        elif name == "starttls":
            options["tls"] = fresh_server_tls()
        elif name != "mechanisms":
            options[name] = True if value == "yes" else value
    return options | {"limits": ServerLimits(**limits)}


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.name)
async def test_dialogue(dialogue: Dialogue) -> None:
    kind, made = recorders(Recorder if "mechanisms" in dialogue.options else NoLogin)
    async with running(kind, **options_of(dialogue)) as server, await RawClient.open(server, greeting=False) as client:
        for step in dialogue.steps:
            match step:
                case Said(octets):
                    await client.send(octets)
                case Expect():
                    reply = await client.reply()
                    enhanced = str(reply.enhanced) if reply.enhanced else None
                    assert step.mismatch(reply.code, enhanced, reply.lines) is None
                case Handshake():
                    await client.start_tls()
                case HangUp():
                    client.finish()
                case Closed():
                    await client.closed()
                case Stored(count):
                    await eventually(lambda count=count: len(made[0].messages) == count)
                    await asyncio.sleep(0)
                    assert len(made[0].messages) == count
    assert made[0].calls[0] == "connect"
    assert made[0].calls.count("close") == 1
    assert made[0].calls[-1] == "close"

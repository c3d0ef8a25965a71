"""Plays the dialogues of `tests/dialogues` against the server core, whole and in pieces."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from smtpx.protocol.dialect import LMTP
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
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
from tests.protocol.server_peer import EOF, EXTENSIONS, HANDSHAKE, MECHANISMS, ServerPeer

DIALOGUES = [parse_dialogue(path) for path in find_dialogues()]
LIMITS = {each.name for each in fields(ServerLimits)}
# A client that sends ahead is found out only where its octets arrive together.
ABOUT_TIMING = {"content_ahead_of_354", "starttls_injection"}


def settings_of(dialogue: Dialogue) -> ServerSettings:
    """The options of a dialogue as settings."""
    settings: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for name, value in dialogue.options.items():
        if name in LIMITS:
            limits[name] = float(value) if name.endswith("_seconds") else int(value)
        elif name == "dialect":
            settings[name] = {"LMTP": LMTP}[value]
        elif name == "mechanisms":
            settings[name] = MECHANISMS
        else:
            settings[name] = True if value == "yes" else value
    return ServerSettings(
        hostname="server.example", extensions=ExtensionSet(EXTENSIONS), limits=ServerLimits(**limits), **settings
    )


def converse(dialogue: Dialogue, cut: int | None) -> None:
    """Play a dialogue in memory."""
    peer = ServerPeer(settings_of(dialogue))
    peer.protocol.greet()
    peer.collect()
    read = 0
    for step in dialogue.steps:
        match step:
            case Said(octets):
                assert read == len(peer.outcome.replies), "a reply that nobody expected"
                peer.send(octets, cut)
            case Expect():
                assert read < len(peer.outcome.replies), f"no reply where {step} was expected"
                reply = peer.outcome.replies[read]
                read += 1
                enhanced = str(reply.enhanced) if reply.enhanced else None
                assert step.mismatch(reply.code, enhanced, reply.lines) is None
            case Handshake():
                peer.turn(HANDSHAKE)
            case HangUp():
                peer.turn(EOF)
            case Closed():
                assert peer.outcome.closed
            case Stored(count):
                assert len(peer.outcome.messages) == count
    assert read == len(peer.outcome.replies), "a reply that nobody expected"


@pytest.mark.parametrize("cut", [None, 1, 2, 3, 17])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.name)
def test_dialogue(dialogue: Dialogue, cut: int | None) -> None:
    converse(dialogue, None if dialogue.name in ABOUT_TIMING else cut)


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 25


@pytest.mark.parametrize(
    "text",
    [
        "S: 220 x\n",  # no section
        "# RFC 1\nS: 250-a\nC: x\n",  # half a reply
        "# RFC 1\nS: 250-a\nS: 251 b\n",  # two codes in one reply
        "# RFC 1\nS: hello\n",
        "# RFC 1\n= DANCE\n",
        "# RFC 1\nX: y\n",
    ],
)
def test_dialogue_of_another_form(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.txt"):
        parse_dialogue(path)


def test_a_dialogue_that_does_not_hold() -> None:
    expect = Expect(250, "2.0.0", ("ok*", ""), open_ended=False)
    assert expect.mismatch(250, "2.0.0", ("okay", "anything")) is None
    assert expect.mismatch(250, "2.0.0", ("okay",)) is not None
    assert expect.mismatch(250, None, ("okay", "x")) is not None
    assert expect.mismatch(250, "2.0.0", ("no", "x")) is not None

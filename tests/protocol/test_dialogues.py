"""Plays the dialogues of `tests/dialogues` against the server core, whole and in pieces."""

from pathlib import Path

import pytest

from tests.dialogues.dialogue import Dialogue, Expect, Shown, find_dialogues, parse_dialogue
from tests.protocol.house_peer import converse

ALL = [parse_dialogue(path) for path in find_dialogues()]
DIALOGUES = [each for each in ALL if each.options.get("only") != "socket"]
# A client that sends ahead is found out only where its octets arrive together.
ABOUT_TIMING = {"content_ahead_of_354", "starttls_injection"}


@pytest.mark.parametrize("cut", [None, 1, 2, 3, 17])
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda each: each.name)
def test_dialogue(dialogue: Dialogue, cut: int | None) -> None:
    converse(dialogue, None if dialogue.name in ABOUT_TIMING else cut)


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 50
    assert all(each.name.startswith("proxy_header") for each in ALL if each not in DIALOGUES)


@pytest.mark.parametrize(
    "text",
    [
        "S: 220 x\n",  # no section
        "",
        "# a comment\n",
        "# RFC 1\n",  # no section, no text
        "# RFC 1 4 and 5: x\n",
        "# RFC 1 4: x\n# RFC 5321: y\n",
        "# RFC 1 4: x\nS: 250-a\nC: x\n",  # half a reply
        "# RFC 1 4: x\nS: 250-a\nS: 251 b\n",  # two codes in one reply
        "# RFC 1 4: x\nS: hello\n",
        "# RFC 1 4: x\n= DANCE\n",
        "# RFC 1 4: x\nX: y\n",
    ],
)
def test_dialogue_of_another_form(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.txt"):
        parse_dialogue(path)


def test_what_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "good.txt"
    path.write_text("# RFC 5321 3.3, D.1; PROXY 2.1: this\n# and a word about it\n# RFC 1870 6: that\n")
    assert parse_dialogue(path).shown == (
        Shown("RFC 5321", "3.3", "this"),
        Shown("RFC 5321", "D.1", "this"),
        Shown("PROXY", "2.1", "this"),
        Shown("RFC 1870", "6", "that"),
    )


def test_a_dialogue_that_does_not_hold() -> None:
    expect = Expect(250, "2.0.0", ("ok*", ""), open_ended=False)
    assert expect.mismatch(250, "2.0.0", ("okay", "anything")) is None
    assert expect.mismatch(250, "2.0.0", ("okay",)) is not None
    assert expect.mismatch(250, None, ("okay", "x")) is not None
    assert expect.mismatch(250, "2.0.0", ("no", "x")) is not None


def test_lines_that_stand_somewhere_in_a_reply() -> None:
    expect = Expect(250, None, ("name", "b*", "d"), open_ended=True)
    assert expect.mismatch(250, None, ("name", "a", "bc", "c", "d", "e")) is None
    assert expect.mismatch(250, None, ("name", "b", "d")) is None
    assert expect.mismatch(250, None, ("name", "d", "b")) is not None
    assert expect.mismatch(250, None, ("name", "b")) is not None

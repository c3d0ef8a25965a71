"""What is printed, and what happens when it can't be."""

import io
import os
import sys
from pathlib import Path

import pytest

from smtpx.cli.output import complain, note, say
from tests.cli.peers import child


def test_where_things_go(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo")
    note("three")
    complain("four")
    assert capsys.readouterr() == ("one\ntwo\n", "three\nsmtpx: four\n")


def test_h056_nothing_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b]0;pwn\x07\r\x85\u2028b\ud800é")
    assert capsys.readouterr().out == "a\\x1b]0;pwn\\x07\\x0d\\x85\\u2028b\\ud800é\n"


def test_a_terminal_that_knows_only_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(octets, "ascii"))
    say("é")
    assert octets.getvalue() == b"\\xe9\n"


def test_closed_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("x")
    note("x")


def test_nobody_reads(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        say("x" * 100_000)
        say("y")
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_no_room_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        say("x")
    assert capsys.readouterr().err == "smtpx: can't write to standard output: No space left on device\n"


def test_a_process_without_a_reader_ends_well() -> None:
    outcome = child("--version", environment={"PYTHONIOENCODING": "ascii"})
    assert (outcome.status, outcome.err) == (0, "")

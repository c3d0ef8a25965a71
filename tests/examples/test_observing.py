"""The example of docs/observing.md runs, and the document names every event."""

from pathlib import Path

import pytest

from examples import observing
from smtpx.client.observer import ClientConnectionObserver, ClientObserver
from smtpx.server.observer import ServerConnectionObserver, ServerObserver

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")


def test_it_runs_and_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    observing.main()
    saw = capsys.readouterr().out.splitlines()
    assert sorted(saw) == ["message accepted behind 4 commands: 25 octets", "sent in time", "{'127.0.0.1': 25}"]


def test_a_message_that_took_long_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = observing.TransactionOutcome(id="c1.1", result=None, error=None, seconds=12)
    observing.Timed("c1", observing.Target("localhost")).transaction_ended(outcome)
    assert capsys.readouterr().out == "c1.1: 12.0 s\n"


def test_every_event_is_in_the_document() -> None:
    for kind in (ServerObserver, ServerConnectionObserver, ClientObserver, ClientConnectionObserver):
        for name in vars(kind):
            if not name.startswith("_"):
                assert f"`{name}`" in DOCUMENT, name

"""The filter of docs/serving.md does what the document says, on a real port."""

import logging
from pathlib import Path

import pytest

import smtpx
from examples import inbound_filter
from examples.inbound_filter import Archive, Greylist, inbound

ROOT = Path(__file__).resolve().parents[2]
LETTER = b"Subject: hello\r\n\r\nHello!\r\n"


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, bytes]]:
    """What was kept, in a list of this test's own."""
    found: list[tuple[float, bytes]] = []
    monkeypatch.setattr(Archive, "kept", found)
    return found


def test_it_says_what_the_document_shows(capsys: pytest.CaptureFixture[str]) -> None:
    inbound_filter.main()
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 5
    assert out in (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def test_all_layers_have_their_say(kept: list[tuple[float, bytes]], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.transactions")
    now = [0.0]
    with (
        smtpx.ServerThread(inbound(Greylist(60, clock=lambda: now[0])), port=0) as server,
        smtpx.Client(server.url) as client,
    ):
        for seconds in (0.0, 59.0):
            now[0] = seconds
            with pytest.raises(smtpx.TemporaryRefusal, match="we have not met"):
                client.send(LETTER, sender="me@client.example", recipients=["sales@example.org"])
        now[0] = 61.0
        recipients = ["sales@example.org", "info@example.org", "x@example.org", "x@elsewhere.example"]
        result = client.send(LETTER, sender="me@client.example", recipients=recipients)
        assert list(result.accepted) == ["sales@example.org"]
        codes = {address: str(refusal.reply)[:9] for address, refusal in result.refused.items()}
        assert codes == {
            "info@example.org": "451 4.7.1",
            "x@example.org": "550 5.1.1",
            "x@elsewhere.example": "550 5.7.1",
        }
    assert kept == [(61.0, LETTER)]
    outcomes = [record.__dict__["transaction"]["outcome"] for record in caplog.records]
    assert outcomes[-1] == "250 2.0.0 kept as 1"
    assert len(outcomes) == 3


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_filter, "MAX_REMEMBERED", 10)
    greylist = Greylist(1)
    for number in range(100):
        greylist.known_for(("192.0.2.1", str(number), "x"))
    assert len(greylist.first_seen) == 11

"""`smtpx send` and signals: whatever is waited for, each recipient's fate is told."""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smtpx.cli.interrupt import Interrupted, InterruptibleClient
from tests.cli.peers import FakeServer, run

Capture = pytest.CaptureFixture[str]
ENVELOPE = ("--from", "a@example.org", "--to", "b@example.net", "--to", "c@example.net", "--text", "hi")
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture(autouse=True)
def handlers_are_as_they_were() -> Iterator[None]:
    before = [signal.getsignal(number) for number, _ in SIGNALS]
    yield
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before


def sends(number: int, *, first: bytes = b"") -> Callable[[socket.socket], None]:
    """A server that says `first`, signals our process, and waits for its end."""

    def act(sock: socket.socket) -> None:
        sock.sendall(first)
        os.kill(os.getpid(), number)
        sock.recv(1000)

    return act


def said(capfd: Capture, server: FakeServer, status: int) -> dict[str, Any]:
    outcome = run(capfd, "send", "--url", server.url, *ENVELOPE, "--json")
    assert (outcome.status, outcome.err) == (status, "")
    value: dict[str, Any] = json.loads(outcome.out)
    return value


@pytest.mark.parametrize(("number", "status"), SIGNALS)
@pytest.mark.parametrize("offers", [[], ["PIPELINING"], ["PIPELINING", "CHUNKING"]])
def test_while_the_verdict_is_awaited(capfd: Capture, offers: list[str], number: int, status: int) -> None:
    answers: dict[str, Any] = {"RCPT": [b"250 2.1.5 fine\r\n", b"550 5.1.1 no\r\n"]}
    if "CHUNKING" in offers:
        answers["BDAT"] = sends(number)
    else:
        answers["."] = sends(number)
    with FakeServer(answers, offers=offers) as server:
        value = said(capfd, server, status)
    assert value["accepted"] == {}
    assert value["refused"] == {"c@example.net": {"code": 550, "enhanced": "5.1.1", "text": "no"}}
    assert value["unknown"] == {"b@example.net": {"code": 250, "enhanced": "2.1.5", "text": "fine"}}
    name = signal.Signals(number).name
    assert value["error"] == {
        "type": "Interrupted",
        "stage": "final",
        "message": f"interrupted by {name} (stage: final)",
    }


def test_lines_for_people(capfd: Capture) -> None:
    with FakeServer({".": sends(signal.SIGINT)}) as server:
        outcome = run(capfd, "send", "--url", server.url, *ENVELOPE)
    assert outcome.status == 130
    assert outcome.out.splitlines() == [f"unknown <{to}@example.net>: to RCPT 250 2.0.0 ok" for to in "bc"]
    assert outcome.err == "smtpx: interrupted by SIGINT (stage: final)\n"


def test_of_lmtp_verdicts_those_that_came(capfd: Capture) -> None:
    with FakeServer({".": sends(signal.SIGINT, first=b"250 2.1.5 kept\r\n")}) as server:
        server.url = server.url.replace("smtp:", "lmtp:")
        value = said(capfd, server, 130)
    # The signal may be quicker than the verdict; then nothing is known of either.
    assert [*value["accepted"], *value["unknown"]] == ["b@example.net", "c@example.net"]


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_before_anything_can_have_been_delivered(capfd: Capture, verb: str) -> None:
    with FakeServer({verb: sends(signal.SIGINT)}, offers=[]) as server:
        value = said(capfd, server, 130)
    assert (value["accepted"], list(value["refused"]), value["unknown"]) == ({}, ["b@example.net", "c@example.net"], {})
    assert value["error"]["stage"] == (None if verb == "EHLO" else verb.lower())


def test_when_all_is_done(capfd: Capture) -> None:
    with FakeServer({"QUIT": sends(signal.SIGINT)}) as server:
        value = said(capfd, server, 0)
    assert list(value["accepted"]) == ["b@example.net", "c@example.net"]


def fates(url: str, message: object, to: tuple[str, ...] = ("b@example.net",), **options: Any) -> Interrupted:  # noqa: ANN401
    with pytest.raises(Interrupted) as caught, InterruptibleClient(url, **options) as client:
        client.send(message, sender="", recipients=to)  # type: ignore[arg-type]
    return caught.value


def test_a_second_signal_waits_for_nothing() -> None:
    def content() -> Iterator[bytes]:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        yield b"never"

    with FakeServer() as server:
        error = fates(server.url, content())
    assert (error.stage, error.result, error.status) == ("final", None, 143)


def test_no_other_connection_is_opened_for_the_rest() -> None:
    replies: list[bytes] = []

    def trace(direction: str, octets: bytes) -> None:
        if direction == "S":
            replies.append(octets)
            if octets.startswith(b"250 2.6.0"):
                signal.raise_signal(signal.SIGINT)

    with FakeServer({".": b"250 2.6.0 kept\r\n"}, offers=["LIMITS MAILMAX=1 RCPTMAX=1"]) as server:
        error = fates(server.url, b"hi\r\n", ("b@example.net", "c@example.net"), trace=trace)
    assert (error.stage, error.result) == ("final", None)
    assert server.verbs.count("EHLO") == 1


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with FakeServer({".": [b"250 ok\r\n"]}) as server, InterruptibleClient(server.url) as client:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            client.send(b"hi\r\n", sender="", recipients="b@example.net")
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_signals_are_left_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    found: list[object] = []

    def work() -> None:
        with InterruptibleClient(f"lmtp+unix://{tmp_path}/none"):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]

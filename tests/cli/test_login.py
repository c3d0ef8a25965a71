"""How `smtpx send` logs in: secrets from files and commands, mechanisms, certificates."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smtpx.cli import login
from tests.certificates import Authority, server_context
from tests.cli.peers import Outcome, run
from tests.peers import ScriptedServer

Capture = pytest.CaptureFixture[str]
AUTHORITY = Authority()
HELLO = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH {}\n"


def auth(name: str, text: str) -> str:
    return f"C: AUTH {name} {base64.b64encode(text.encode()).decode()}\n"


def send(capfd: Capture, server: ScriptedServer, *options: str | Path, user: str = "me@") -> Outcome:
    url = f"smtp+plain://{user}127.0.0.1:{server.port}"
    mail = ("--helo", "me", "--from", "a@x.example", "--to", "b@y.example", "--text", "hi", "--timeout", "10")
    return run(capfd, "send", "--url", url, *mail, *options)


def test_a_password_from_a_file(capfd: Capture, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("s3 cret\r\nnot this\n")
    script = HELLO.format("PLAIN CRAM-MD5 LOGIN") + auth("PLAIN", "\0me\0s3 cret") + "S: 535 no\nC: QUIT\nS: 221 bye\n"
    with ScriptedServer(script) as server:
        outcome = send(capfd, server, "--auth-password-file", path, "--auth-mechanism", "plain")
    assert outcome.status == 77
    assert "s3 cret" not in outcome.err


@pytest.mark.parametrize("source", ["file", "command"])
def test_a_token_is_asked_for_again_when_it_has_changed(capfd: Capture, source: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("stale\n")
    first, second = (f"user=me\1auth=Bearer {word}\1\1" for word in ("stale", "fresh"))
    script = HELLO.format("XOAUTH2 PLAIN") + auth("XOAUTH2", first)
    if source == "command":
        script += "S: 334 e30=\nC: \nS: 535 stale\n" + auth("XOAUTH2", second)
        options: tuple[str | Path, ...] = ("--auth-token-command", f"cat {path}; echo fresh > {path}")
    else:
        options = ("--auth-token-file", path)
    with ScriptedServer(script + "S: 535 no\nC: QUIT\nS: 221 bye\n") as server:
        outcome = send(capfd, server, *options)
    assert outcome.status == 77
    assert "stale" not in outcome.err.replace("535 stale", "")


def test_a_command_that_fails_says_nothing_to_the_server(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    script = HELLO.format("XOAUTH2") + "C: QUIT\nS: 221 bye\n"
    with ScriptedServer(script) as server:
        outcome = send(capfd, server, "--auth-token-command", "exit 3")
    assert outcome.status == 77
    assert "ended with status 3" in outcome.err

    def slow(*_: Any, **options: Any) -> None:  # noqa: ANN401
        raise subprocess.TimeoutExpired("secret", 1)

    monkeypatch.setattr(login.subprocess, "run", slow)
    with ScriptedServer(script) as server:
        outcome = send(capfd, server, "--auth-token-command", "x")
    assert outcome.status == 77
    assert "took more than 10 s" in outcome.err  # send's --timeout


def test_external_with_a_client_certificate(capfd: Capture, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(AUTHORITY.issue(email="me@x.example").pem)
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    context.load_verify_locations(AUTHORITY.trust(tmp_path))
    context.verify_mode = context.verify_mode.CERT_REQUIRED
    script = "TLS\n" + HELLO.format("EXTERNAL PLAIN") + "C: AUTH EXTERNAL =\nS: 535 no\nC: QUIT\nS: 221 bye\n"
    mail = ("--helo", "me", "--from", "a@x.example", "--to", "b@y.example", "--text", "hi", "--timeout", "10")
    with ScriptedServer(script, tls=context) as server:
        url = f"smtps://localhost:{server.port}"
        outcome = run(capfd, "send", "--url", url, *mail, "--client-cert", own, "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 77


def test_a_client_certificate_beside_a_password(capfd: Capture, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(AUTHORITY.issue(email="me@x.example").pem)
    script = HELLO.format("PLAIN EXTERNAL") + auth("PLAIN", "\0me\0p") + "S: 535 no\nC: QUIT\nS: 221 bye\n"
    with ScriptedServer(script) as server:
        assert send(capfd, server, "--client-cert", own, user="me:p@").status == 77


def test_the_url_from_the_environment(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    script = HELLO.format("PLAIN") + auth("PLAIN", "\0me\0s3cret") + "S: 535 no\nC: QUIT\nS: 221 bye\n"
    with ScriptedServer(script) as server:
        monkeypatch.setenv("SMTPX_URL", f"smtp+plain://me:s3cret@127.0.0.1:{server.port}")
        outcome = run(capfd, "send", "--helo", "me", "--from", "a@x.example", "--to", "b@y.example", "--text", "hi")
    assert outcome.status == 77


def test_64_usage(capfd: Capture, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("x")
    bad.write_bytes(b"\xff\xfe")
    with ScriptedServer("", tolerant=True) as server:
        for options, said in (
            (("--auth-token-file", good, "--auth-password-file", good), "exclude each other"),
            (("--auth-password-file", bad), "not text"),
            (("--client-key", good), "needs --client-cert"),
            (("--client-cert", good), "can't use"),
        ):
            outcome = send(capfd, server, *options)
            assert outcome.status == 64, outcome
            assert said in outcome.err

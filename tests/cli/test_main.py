"""The command as a whole: help, version, mistakes, and what nobody should see."""

import subprocess
import sys
from pathlib import Path

import pytest

import smtpx
from smtpx.client.sync import Client
from tests.cli.peers import child, command, run

SEND = ("send", "--url", "smtp://127.0.0.1:1", "--from", "a@example.org", "--to", "b@example.net")


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("words", [(), ("serve",), ("send",)])
def test_help_has_examples(capfd: pytest.CaptureFixture[str], words: tuple[str, ...], option: str) -> None:
    outcome = run(capfd, *words, option)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(" ".join(["Usage: smtpx", *words]))
    assert "\n  Examples:\n    smtpx " in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 120


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "--version").out == f"smtpx {smtpx.__version__}\n"


def test_no_command_shows_which_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = run(capfd)
    assert (outcome.status, outcome.out) == (64, "")
    assert "serve  Receive mail." in outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nope",), "No such command 'nope' (see smtpx --help)"),
        (("--nope",), "No such option '--nope' (see smtpx --help)"),
        (("send",), "Missing option '--url' (see smtpx send --help)"),
        (("send", "stray"), None),
        (
            ("serve", "--port", "x"),
            "Invalid value for '--port': 'x' is not a valid integer range (see smtpx serve --help)",
        ),
        (("serve", "--port", "70000"), None),
        (("serve", "--bare-newline", "keep"), None),
        (("serve", "--max-size", "0"), None),
        ((*SEND, "--timeout", "0"), None),
        ((*SEND, "--dsn-ret", "none"), None),
        ((*SEND, "--ca", "/nonexistent/file"), None),
    ],
)
def test_a_mistake_is_one_line(capfd: pytest.CaptureFixture[str], words: tuple[str, ...], message: str | None) -> None:
    outcome = run(capfd, *words)
    assert (outcome.status, outcome.out) == (64, "")
    assert outcome.err.startswith("smtpx: ")
    assert outcome.err.count("\n") == 1
    assert message is None or outcome.err == f"smtpx: {message}\n"


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Client, "send", fail)


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert run(capfd, *SEND).status == 130


def test_what_nobody_thought_of_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, RuntimeError("ouch\x1b"))
    outcome = run(capfd, *SEND)
    assert (outcome.status, outcome.err) == (70, "smtpx: internal error: RuntimeError: ouch\\x1b\n")


def test_an_error_of_ours_outside_send(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise smtpx.ConnectError("nobody home")

    monkeypatch.setattr("smtpx.cli.serve._server", fail)
    outcome = run(capfd, "serve", "--discard")
    assert (outcome.status, outcome.err) == (75, "smtpx: nobody home\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), "No such file or directory: /x"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("something"), "something"),
    ],
)
def test_an_error_of_the_system(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: OSError, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("smtpx.cli.serve._server", fail)
    outcome = run(capfd, "serve", "--discard")
    assert (outcome.status, outcome.err) == (73, f"smtpx: {message}\n")


def test_no_means_to_make_a_certificate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    outcome = run(capfd, "serve", "--discard", "--tls-self-signed")
    message = "--tls-self-signed needs smtpx[tls], or the openssl command (see smtpx serve --help)"
    assert (outcome.status, outcome.err) == (64, f"smtpx: {message}\n")


def test_openssl_that_fails_is_no_mistake_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "openssl").write_text("#!/bin/sh\necho no >&2; exit 1\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    outcome = run(capfd, "serve", "--discard", "--tls-self-signed")
    assert (outcome.status, outcome.err) == (69, "smtpx: openssl could not make a certificate: no\n")


def test_somebody_who_reads_one_line_only() -> None:
    pipe = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *command("send", "--help")], capture_output=True, text=True, check=True
    )
    assert pipe.stdout == "Usage: smtpx send [OPTIONS]\n"
    assert pipe.stderr == ""


def test_nobody_reads_the_help() -> None:
    status = 'sh -c \'"$0" "$@"; echo $? >&2\' "$@" | sleep 0'
    pipe = subprocess.run(["sh", "-c", status, "sh", *command("--help")], capture_output=True, text=True, check=True)
    assert pipe.stderr == "0\n"


def test_standard_output_is_closed() -> None:
    closed = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command("--help")], capture_output=True, text=True, check=False
    )
    assert (closed.returncode, closed.stderr) == (0, "")


def test_shell_completion() -> None:
    environment = {"_SMTPX_COMPLETE": "bash_complete", "COMP_WORDS": "smtpx ser", "COMP_CWORD": "1"}
    outcome = child(environment=environment)
    assert "serve" in outcome.out

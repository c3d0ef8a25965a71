"""`smtpx probe`: what it prints, and how it ends."""

import builtins
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import smtpx
from tests.certificates import Authority, server_context
from tests.cli.peers import run
from tests.client.test_both_connecting import TLS_SCRIPT
from tests.peers import ScriptedServer

Capture = pytest.CaptureFixture[str]
AUTHORITY = Authority()
OFFERS = (
    "S: 250-x\nS: 250-SIZE 1000\nS: 250-LIMITS RCPTMAX=7\nS: 250-ENHANCEDSTATUSCODES\nS: 250 AUTH PLAIN SCRAM-SHA-256\n"
)
CLEAR = "S: 220 x \x1b[31mready\nC: EHLO me\n" + OFFERS
QUIT = "C: QUIT\nS: 221 bye\n"
BOTH = TLS_SCRIPT.replace("S: 250-x\nS: 250 STARTTLS", "S: 250-x\nS: 250-AUTH CRAM-MD5\nS: 250 STARTTLS", 1) + QUIT


def test_lines(capfd: Capture, tmp_path: Path) -> None:
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    with ScriptedServer(BOTH, tls=context) as server:
        place = f"localhost:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 0
    lines = dict(line.split(": ", 1) for line in outcome.out.splitlines())
    assert lines["server"] == f"{place} (127.0.0.1:{server.port})"
    assert lines["greeting"] == "220 x"
    assert lines["AUTH in clear"] == "CRAM-MD5"
    assert lines["AUTH under TLS"] == "PLAIN"
    assert lines["TLS"].endswith("key exchange X25519")
    assert lines["certificate"] == "CN=Test server"
    assert lines["for"] == "localhost"
    assert lines["verified"] == "yes"
    assert lines["note"] == "AUTH CRAM-MD5 is offered in clear and not under TLS"
    assert "tls " in lines["latency"]


def test_json(capfd: Capture) -> None:
    with ScriptedServer(CLEAR + QUIT) as server:
        outcome = run(capfd, "probe", f"127.0.0.1:{server.port}", "--helo", "me", "--json", "--no-starttls")
    assert outcome.status == 0
    seen = json.loads(outcome.out)
    assert seen["clear"]["limits"] == {
        "max_message_bytes": 1000,
        "max_recipients": 7,
        "max_messages": None,
        "max_recipient_domains": None,
    }
    assert seen["clear"]["auth"] == ["PLAIN", "SCRAM-SHA-256"]
    assert seen["clear"]["enhanced_codes"] is True
    assert (seen["tls"], seen["secure"], seen["error"]) == (None, None, None)
    assert seen["notes"][0].startswith("AUTH PLAIN is offered in clear")
    assert seen["notes"][1] == "no STARTTLS is offered"


def test_nothing_a_server_says_steers_a_terminal(capfd: Capture) -> None:
    with ScriptedServer(CLEAR + QUIT) as server:
        outcome = run(capfd, "probe", f"127.0.0.1:{server.port}", "--helo", "me")
    assert outcome.status == 0
    assert "\x1b" not in outcome.out
    assert "limits in clear: max_message_bytes: 1000, max_recipients: 7" in outcome.out


@pytest.mark.parametrize("fault", AUTHORITY.faulty())
def test_69_each_fault_of_a_certificate(capfd: Capture, fault: str, tmp_path: Path) -> None:
    broken = TLS_SCRIPT.partition("TLS\nC: EHLO")[0] + "TLS\n"
    context = server_context(AUTHORITY.faulty()[fault], tmp_path)
    with ScriptedServer(broken, TLS_SCRIPT + QUIT, tls=context, tolerant=True) as server:
        place = f"localhost:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--json", "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 69
    seen = json.loads(outcome.out)
    assert fault in [each["name"] for each in seen["problems"]]
    if fault != "weak_key":  # which OpenSSL does not even talk to
        assert seen["tls"]["verified"] is False
        assert seen["secure"]["auth"] == ["PLAIN"]
        assert seen["certificates"][0]["key"] == "EC 256"
        assert "without checking" in seen["notes"][-1]


def test_without_cryptography(capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:  # noqa: ANN401
        if name.startswith("cryptography"):
            raise ImportError(name)
        return importing(name, *rest)

    broken = TLS_SCRIPT.partition("TLS\nC: EHLO")[0] + "TLS\n"
    context = server_context(AUTHORITY.faulty()["expired"], tmp_path)
    monkeypatch.setattr(builtins, "__import__", missing)
    with ScriptedServer(broken, TLS_SCRIPT + QUIT, tls=context, tolerant=True) as server:
        place = f"localhost:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 69
    assert "problem: not_trusted: the certificate is not good: certificate has expired" in outcome.out
    assert "needs smtpx[tls]" in outcome.out
    monkeypatch.undo()
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    monkeypatch.setattr(builtins, "__import__", missing)
    with ScriptedServer(BOTH, tls=context) as server:
        place = f"localhost:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 0
    assert "needs smtpx[tls]" in outcome.out


SECURE = "S: 220 x ready\nC: EHLO me\nS: 250-x\nS: 250-SIZE 1000\nS: 250 STARTTLS\nC: STARTTLS\n"


@pytest.mark.parametrize("end", ["S: 454 not now\n", "S: 220 go\nS: junk\n", "S: 220 go\nEOF\n", "EOF\n"])
def test_starttls_fails_and_what_was_seen_before_is_shown(capfd: Capture, end: str) -> None:
    for scheme in ("smtp", "submission"):
        with ScriptedServer(SECURE + end, tolerant=True) as server:
            words = ("probe", f"{scheme}://127.0.0.1:{server.port}", "--helo", "me", "--timeout", "5")
            outcome, as_json = run(capfd, *words), run(capfd, *words, "--json")
        status = 76 if "junk" in end else 75
        assert (outcome.status, as_json.status) == (status, status)
        assert outcome.out.splitlines()[1:5] == [
            "greeting: 220 x ready",
            "offers in clear: STARTTLS",
            "AUTH in clear: none",
            "limits in clear: max_message_bytes: 1000",
        ]
        assert outcome.err.startswith("smtpx: ")
        assert "(stage: starttls)" in outcome.err
        seen = json.loads(as_json.out)
        assert (seen["greeting"]["code"], seen["clear"]["extensions"]) == (220, {"SIZE": "1000", "STARTTLS": ""})
        assert (seen["error"]["stage"], seen["secure"]) == ("starttls", None)


def test_the_certificate_is_not_good_and_a_second_look_comes_to_nothing(capfd: Capture, tmp_path: Path) -> None:
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    with ScriptedServer(SECURE + "S: 220 go\nTLS\n", "S: 421 not again\n", tls=context, tolerant=True) as server:
        outcome = run(capfd, "probe", f"submission://localhost:{server.port}", "--helo", "me", "--timeout", "5")
    assert outcome.status == 69
    assert "greeting: 220 x ready\noffers in clear: STARTTLS\n" in outcome.out
    assert "problem: unknown_issuer" in outcome.out
    assert "without checking" not in outcome.out
    assert "certificate" in outcome.err


@pytest.mark.parametrize(
    ("script", "scheme", "status", "said"),
    [
        ("EOF", "", 75, "closed the connection"),
        ("S: SSH-2.0-OpenSSH_9.9\n", "", 76, "SSH"),
        ("S: 554 not you\n", "", 69, "554 not you"),
        ("", "", 75, "TLS from the first octet"),
        ("S: 220 x\n", "smtps://", 75, "perhaps it begins in clear"),
        (CLEAR + QUIT, "submission://", 69, "offers no STARTTLS"),
    ],
)
def test_a_clear_line_for_what_goes_wrong(capfd: Capture, script: str, scheme: str, status: int, said: str) -> None:
    with ScriptedServer(script, tolerant=True) as server:
        outcome = run(capfd, "probe", f"{scheme}127.0.0.1:{server.port}", "--helo", "me", "--timeout", "0.3")
    assert outcome.status == status
    assert said in outcome.out + outcome.err
    assert outcome.err.startswith("smtpx: ")
    with ScriptedServer(script, tolerant=True) as server:
        place = f"{scheme}127.0.0.1:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--timeout", "0.3", "--json")
    assert json.loads(outcome.out)["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user:s3cret@h",), "logs in nowhere"),
        (("http://h",), "unknown scheme"),
        (("h:465", "--no-starttls"), "first octet"),
        (("h:x",), "host"),
        (("h", "--proxy", "ftp://x"), "unknown kind of proxy"),
        ((), "HOST"),
    ],
)
def test_64_usage(capfd: Capture, arguments: tuple[str, ...], said: str) -> None:
    outcome = run(capfd, "probe", *arguments)
    assert outcome.status == 64
    assert said in outcome.err
    assert "s3cret" not in outcome.err


def test_ports_and_dialects(capfd: Capture) -> None:
    with ScriptedServer("S: 220 x\nC: LHLO me\nS: 250 x\n" + QUIT) as server:
        outcome = run(capfd, "probe", f"127.0.0.1:{server.port}", "--lmtp", "--helo", "me")
    assert outcome.status == 0
    assert "offers in clear: nothing" in outcome.out


def test_a_unix_socket(capfd: Capture, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with smtpx.ServerThread(smtpx.Session, unix=str(path), dialect=smtpx.LMTP):
        assert run(capfd, "probe", f"lmtp+unix://{path}").status == 0


class Terminal(io.StringIO):
    encoding = "ascii"  # type: ignore[assignment] # a property of the class above

    def isatty(self) -> bool:
        return True


def test_a_table_on_a_terminal(capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    script = CLEAR.replace("ready", "bücher [bold]ready") + QUIT
    with ScriptedServer(script) as server:
        monkeypatch.setattr(sys, "stdout", terminal)
        status = smtpx.cli.run(["probe", f"127.0.0.1:{server.port}", "--helo", "me"])  # type: ignore[attr-defined]
        monkeypatch.undo()
    shown = terminal.getvalue()
    assert status == 0
    assert "greeting" in shown
    assert "[bold]ready" in shown
    assert "\x1b[31mready" not in shown
    assert shown.isascii()


def test_unreadable_certificates(capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from smtpx.net.tls import TLSLayer

    monkeypatch.setattr(TLSLayer, "peer_chain", property(lambda _: (b"garbage",)))
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    with ScriptedServer(BOTH, tls=context) as server:
        place = f"localhost:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 69
    assert "problem: unreadable" in outcome.out


def test_nobody_is_there(capfd: Capture) -> None:
    outcome = run(capfd, "probe", "127.0.0.1:1")
    assert outcome.status == 75
    assert outcome.out == "server: 127.0.0.1:1\n"
    assert "Connection refused" in outcome.err


def test_a_certificate_without_names(capfd: Capture, tmp_path: Path) -> None:
    broken = TLS_SCRIPT.partition("TLS\nC: EHLO")[0] + "TLS\n"
    context = server_context(AUTHORITY.issue(), tmp_path)
    with ScriptedServer(broken, TLS_SCRIPT + QUIT, tls=context, tolerant=True) as server:
        place = f"localhost:{server.port}"
        outcome = run(capfd, "probe", place, "--helo", "me", "--ca", AUTHORITY.trust(tmp_path))
    assert outcome.status == 69
    assert "problem: wrong_name: it is not for localhost but for nobody" in outcome.out
    assert "\nfor: " not in outcome.out

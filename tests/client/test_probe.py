"""Looking at servers, good ones and others."""

import socket
from pathlib import Path

import pytest

import smtpx
from smtpx.client.probe import probe
from smtpx.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineError,
    PermanentRefusal,
    RemoteProtocolError,
    TemporaryRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.protocol.dialect import LMTP
from tests.certificates import Authority, server_context
from tests.client.dialogues import QUIT
from tests.client.test_both_connecting import TLS_SCRIPT
from tests.peers import ScriptedServer
from tests.proxies import ProxyServer

AUTHORITY = Authority()
CLEAR = "S: 220 x ready\nC: EHLO me\nS: 250-x\nS: 250-SIZE 1000\nS: 250 AUTH PLAIN\n"


def test_starttls(tmp_path: Path) -> None:
    script = TLS_SCRIPT.replace("S: 250-x\nS: 250 STARTTLS", "S: 250-x\nS: 250-AUTH LOGIN\nS: 250 STARTTLS", 1) + QUIT
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    with ScriptedServer(script, tls=context) as server:
        url = f"smtp://user:s3cret@localhost:{server.port}?hello_name=me"
        report = probe(url, ca_file=AUTHORITY.trust(tmp_path))
        assert server.connections == 1
    assert report.error is None
    assert report.certificate_error is None
    assert report.address == f"127.0.0.1:{server.port}"
    assert report.greeting is not None
    assert report.greeting.code == 220
    assert report.offered.offer("AUTH") == ("LOGIN",)
    assert report.secure_offered.offer("AUTH") == ("PLAIN",)
    assert report.tls is not None
    assert report.tls.verified
    assert report.tls.group == "X25519"
    assert len(report.chain) == 1
    assert list(report.seconds) == ["connect", "greeting", "hello", "tls"]


def test_the_look_without_checking_comes_to_nothing(tmp_path: Path) -> None:
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    with ScriptedServer(TLS_SCRIPT, "S: 421 not again\n", tls=context, tolerant=True) as server:
        report = probe(f"smtp://localhost:{server.port}?hello_name=me")
        assert server.connections == 2
    assert isinstance(report.error, TLSError)
    assert report.certificate_error == report.error.message
    assert report.greeting is not None
    assert report.greeting.code == 220
    assert "STARTTLS" in report.offered
    assert report.tls is None


def test_implicit_tls(tmp_path: Path) -> None:
    context = server_context(AUTHORITY.issue("localhost"), tmp_path)
    with ScriptedServer("TLS\n" + CLEAR + QUIT, tls=context) as server:
        report = probe(f"smtps://localhost:{server.port}?hello_name=me", ca_file=AUTHORITY.trust(tmp_path))
    assert report.hello is None
    assert report.secure_offered["SIZE"] == "1000"
    assert report.tls is not None


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_is_not_good_is_told_and_the_rest_is_seen(scheme: str, tmp_path: Path) -> None:
    script = TLS_SCRIPT + QUIT if scheme == "smtp" else "TLS\n" + CLEAR + QUIT
    broken = TLS_SCRIPT.partition("TLS\nC: EHLO")[0] + "TLS\n" if scheme == "smtp" else "TLS\n"
    context = server_context(AUTHORITY.faulty()["expired"], tmp_path)
    with ScriptedServer(broken, script, tls=context, tolerant=True) as server:
        report = probe(f"{scheme}://localhost:{server.port}?hello_name=me", ca_file=AUTHORITY.trust(tmp_path))
        assert server.connections == 2
    assert report.error is None
    assert report.certificate_error is not None
    assert "expired" in report.certificate_error
    assert report.tls is not None
    assert not report.tls.verified
    assert report.secure_offered.offer("AUTH") == ("PLAIN",)
    assert len(report.chain) == 1


def test_in_clear() -> None:
    with ScriptedServer(CLEAR + QUIT) as server:
        report = probe(f"smtp://localhost:{server.port}?hello_name=me")
    assert (report.error, report.tls, report.secure_hello) == (None, None, None)
    with ScriptedServer(CLEAR + QUIT) as server:
        report = probe(f"submission://localhost:{server.port}?hello_name=me")
    assert isinstance(report.error, UnsupportedError)
    assert report.offered["SIZE"] == "1000"


def test_lmtp() -> None:
    with ScriptedServer("S: 220 x\nC: LHLO me\nS: 250 x\n" + QUIT) as server:
        report = probe(f"smtp+plain://localhost:{server.port}?hello_name=me", dialect=LMTP)
    assert report.error is None


def test_a_server_of_our_own_through_a_proxy() -> None:
    with smtpx.ServerThread(smtpx.Session, port=0) as server, ProxyServer() as proxy:
        report = probe(server.url, proxy=proxy.url("socks5h"))
    assert report.error is None
    assert report.address == f"127.0.0.1:{proxy.port}"


@pytest.mark.parametrize(
    ("script", "kind", "stage"),
    [
        ("EOF", ConnectionLost, "greeting"),
        ("S: SSH-2.0-OpenSSH_9.9\n", RemoteProtocolError, "greeting"),
        ("S: 554 not you\n", PermanentRefusal, "greeting"),
        ("S: 421 later\n", TemporaryRefusal, "greeting"),
        ("", DeadlineError, "greeting"),
        ("S: 220 x\nC: EHLO me\nEOF", ConnectionLost, "hello"),
        ("S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no\n", TemporaryRefusal, "starttls"),
        (
            "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: junk\n",
            RemoteProtocolError,
            None,
        ),
    ],
)
def test_what_may_go_wrong_stands_in_the_report(script: str, kind: type[Exception], stage: str | None) -> None:
    with ScriptedServer(script, tolerant=True) as server:
        report = probe(f"smtp://localhost:{server.port}?hello_name=me", timeout=0.3)
    assert isinstance(report.error, kind)
    assert stage is None or report.error.stage == stage
    assert (report.hello is not None) == ("STARTTLS" in script)


def test_no_server_and_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    report = probe(f"smtp://127.0.0.1:{port}")
    assert isinstance(report.error, ConnectError)
    assert report.address is None
    with ScriptedServer("S: 220 x\n", tolerant=True) as server:
        report = probe(f"smtps://127.0.0.1:{server.port}", timeout=5)
    assert isinstance(report.error, TLSError)
    assert report.error.stage == "connect"
    with pytest.raises(ConfigurationError):
        probe("smtp://h/x")

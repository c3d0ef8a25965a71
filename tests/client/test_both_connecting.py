"""Both clients: how connections come about and end, with TLS and without."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from smtpx.errors import (
    ConfigurationError,
    ConnectError,
    DeadlineError,
    LocalProtocolError,
    RemoteProtocolError,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.session import Security
from smtpx.flows.steps import Timeouts
from smtpx.sasl import Password
from tests.client.conftest import Certificates, certificates_for
from tests.client.dialogues import BODY, FROM, LOCK, QUIT, TO, url
from tests.peers import Colour, ScriptedServer


def test_lmtp_over_a_unix_socket_c13(colour: Colour, tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    import threading

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        sock, _ = listener.accept()
        file = sock.makefile("rb")
        sock.sendall(b"220 x\r\n")
        for answer in (b"250 x", b"250 m", b"250 a", b"250 b", b"354 go"):
            file.readline()
            sock.sendall(answer + b"\r\n")
        while file.readline() != b".\r\n":
            pass
        sock.sendall(b"250 fine\r\n500 not this one\r\n")
        file.readline()
        sock.sendall(b"221 bye\r\n")
        file.close()
        sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with colour.open(f"lmtp+unix://{path}") as connection:
        result = connection.send(BODY, sender=FROM, recipients=[TO, "c@y.example"])
        assert result.accepted[TO].text == "fine"
        assert result.refused["c@y.example"].reply.code == 500
        assert connection.peer == str(path)
    thread.join()
    listener.close()
    path.unlink()
    with pytest.raises(ConnectError, match=r"lmtp\.sock"):
        colour.open(f"lmtp+unix://{path}")


def test_t09_two_at_once(colour: Colour) -> None:
    with ScriptedServer(LOCK + "C: NOOP\nS: 250 ok\n" + QUIT) as server, colour.open(url(server)) as connection:
        link = connection._link
        link._busy = True
        with pytest.raises(LocalProtocolError, match="in use"):
            connection.noop()
        link._busy = False
        connection.noop()


@pytest.mark.parametrize("url_", ["smtp://127.0.0.1:1", "smtp://no-such-host.invalid"])
def test_connect_error_names_the_place(colour: Colour, url_: str) -> None:
    with pytest.raises(ConnectError) as caught:
        colour.open(url_, timeouts=Timeouts(connect=5))
    assert caught.value.stage == "connect"
    assert caught.value.is_temporary
    assert "127.0.0.1" in str(caught.value) or "no-such-host" in str(caught.value)


def test_local_address(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server:
        with colour.open(f"smtp://127.0.0.1:{server.port}", hello_name="me", local_address="127.0.0.1") as connection:
            assert connection.is_open
        for address in ("192.0.2.7", "::1"):
            with pytest.raises(ConnectError) as caught:
                colour.open(f"smtp://127.0.0.1:{server.port}", local_address=address)
            assert address in str(caught.value)


def test_own_dialler(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server:
        port = server.port
        with colour.open(
            "smtp://mail.invalid?hello_name=me", connect=lambda *_: socket.create_connection(("127.0.0.1", port))
        ):
            pass
    refused = socket.socket()
    with pytest.raises(ConfigurationError, match="not connected"):
        colour.open("smtp://mail.invalid", connect=lambda *_: refused)
    for error in (OSError("no route"), ConnectError("no way", stage="connect")):

        def fail(*_: object, error: OSError = error) -> socket.socket:
            raise error

        with pytest.raises(ConnectError, match=r"no route|no way"):
            colour.open("smtp://mail.invalid", connect=fail)


def test_h044_a_dialler_that_ends_on_this_host_makes_no_far_target_local(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\n" + QUIT
    with ScriptedServer(script) as server:
        port = server.port
        with pytest.raises(UnsupportedError):
            colour.open(
                "smtp+plain://u:p@mail.example.org?hello_name=me",
                connect=lambda *_: socket.create_connection(("127.0.0.1", port)),
            )


def test_h040_only_ehlo_and_quit(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server, pytest.raises(UnsupportedError):
        colour.open(url(server, "submission"), username="u", password="p")


@pytest.mark.parametrize("end", ["EOF", "silence"])
def test_d43_p29_quit_returns(colour: Colour, end: str) -> None:
    script = LOCK + "C: QUIT\n" + ("EOF" if end == "EOF" else "")
    with ScriptedServer(script) as server:
        connection = colour.open(url(server), timeouts=Timeouts(quit=0.2))
        begun = time.monotonic()
        connection.quit()
        assert time.monotonic() - begun < 1
        assert not connection.is_open


def test_t07_h058_after_a_time_out_the_connection_is_closed(colour: Colour) -> None:
    with ScriptedServer(LOCK + "C: NOOP\n") as server:
        connection = colour.open(url(server), timeouts=Timeouts(other=0.1))
        with pytest.raises(DeadlineError) as caught:
            connection.noop()
        assert caught.value.stage == "noop"
        assert not connection.is_open


def test_total_time(colour: Colour) -> None:
    with ScriptedServer("") as server, pytest.raises(DeadlineError) as caught:
        colour.open(url(server), timeout=0.1)
    assert caught.value.stage == "greeting"


def test_h057_a_reply_that_drips_ends(colour: Colour) -> None:
    def drip(sock: socket.socket) -> None:
        for _ in range(100):
            sock.sendall(b"220-x\r\n")
            time.sleep(0.03)

    with ScriptedServer(act=drip, tolerant=True) as server:
        begun = time.monotonic()
        with pytest.raises(DeadlineError):
            colour.open(url(server), timeouts=Timeouts(greeting=0.2))
        assert time.monotonic() - begun < 1


# TLS ------------------------------------------------------------------------------------------------------------------

TLS_SCRIPT = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"
TLS_SCRIPT += "TLS\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\n"


def test_c10_c11_starttls(colour: Colour, certificates: Certificates) -> None:
    script = TLS_SCRIPT + "C: AUTH PLAIN AHUAcA==\nS: 235 ok\n" + QUIT
    options: dict[str, Any] = {"ca_file": certificates.ca_file, "username": "u", "password": "p"}
    with (
        ScriptedServer(script, tls=certificates.server) as server,
        colour.open(url(server, "smtp+starttls"), **options) as connection,
    ):
        assert connection.tls.version == "TLSv1.3"
        assert connection.tls.verified
        assert connection.capabilities["AUTH"] == "PLAIN"


def test_implicit_tls(colour: Colour, certificates: Certificates) -> None:
    script = "TLS\n" + LOCK + "C: NOOP\nS: 250 ok\n" + QUIT
    with (
        ScriptedServer(script, tls=certificates.server) as server,
        colour.open(url(server, "smtps"), ca_file=certificates.ca_file) as connection,
    ):
        assert connection.tls.verified
        connection.noop()
        with pytest.raises(UnsupportedError):
            connection.start_tls()


def test_start_tls_by_hand(colour: Colour, certificates: Certificates) -> None:
    with ScriptedServer(TLS_SCRIPT + QUIT, tls=certificates.server) as server:
        options: dict[str, Any] = {"security": Security.NONE, "ca_file": certificates.ca_file}
        with colour.open(url(server), **options) as connection:
            assert connection.start_tls().verified
            connection.quit()


def test_auth_by_hand(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 235 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(url(server)) as connection:
        assert connection.auth(Password("u", "p")).code == 235
        with pytest.raises(LocalProtocolError):
            connection.auth(Password("u", "p"))


def test_p40_h045_an_unknown_certificate_is_refused_before_anything_secret(
    colour: Colour, certificates: Certificates, tmp_path: Path
) -> None:
    script = TLS_SCRIPT.partition("C: EHLO me\nS: 250-x\nS: 250 AUTH")[0]
    with ScriptedServer(script, tls=certificates.server) as server:
        with pytest.raises(TLSError, match="certificate") as caught:
            colour.open(url(server, "submission"), username="u", password="p")
        assert not caught.value.is_temporary
    other = certificates_for(tmp_path, "mail.example.org")
    with ScriptedServer(script, tls=other.server) as server, pytest.raises(TLSError, match=r"(?i)hostname"):
        colour.open(url(server, "submission"), ca_file=other.ca_file)


def test_opportunistic_takes_any_certificate_and_says_so(colour: Colour, certificates: Certificates) -> None:
    with ScriptedServer(TLS_SCRIPT + QUIT, tls=certificates.server) as server, colour.open(url(server)) as connection:
        assert not connection.tls.verified


@pytest.mark.parametrize("broken", [b"garbage garbage garbage", b"250-x\r\n250 AUTH PLAIN\r\n", b""])
def test_h041_opportunistic_goes_on_in_clear_over_a_new_connection(colour: Colour, broken: bytes) -> None:
    turns = iter((True, False) * 2)

    def act(sock: socket.socket) -> None:
        breaks = next(turns)
        sock.sendall(b"220 x\r\n")
        with sock.makefile("rb", buffering=0) as file:
            for line in file:
                heard.append(line.split()[0])
                if line == b"STARTTLS\r\n":
                    sock.sendall(b"220 go\r\n")
                    file.read(1)  # of the ClientHello: nothing of what follows was injected
                    sock.sendall(broken)
                    break
                hello = b"250-x\r\n250 STARTTLS\r\n" if breaks else b"250 x\r\n"
                sock.sendall(hello if line.startswith(b"EHLO") else b"221 bye\r\n")
        sock.shutdown(socket.SHUT_RDWR)

    heard: list[bytes] = []
    with ScriptedServer(act=act, tolerant=True) as server:
        with colour.open(url(server)) as connection:
            assert connection.tls is None
        assert server.connections == 2
        with pytest.raises(TLSError):
            colour.open(url(server, "submission"))
        assert server.connections == 3
    assert heard == [b"EHLO", b"STARTTLS", b"EHLO", b"QUIT", b"EHLO", b"STARTTLS"]


def test_h036_injected_reply_closes_before_any_tls_octet(colour: Colour) -> None:
    first = (
        "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: 250-injected\nS: 250 AUTH PLAIN\n"
    )
    with ScriptedServer(first) as server:
        with pytest.raises(RemoteProtocolError):
            colour.open(url(server), username="u", password="p")
        assert server.heard[0].endswith(b"STARTTLS\r\n")


def test_smtps_to_a_port_that_speaks_in_clear(colour: Colour) -> None:
    with ScriptedServer("S: 220 plain\n", tolerant=True) as server, pytest.raises(TLSError):
        colour.open(url(server, "smtps"), timeouts=Timeouts(tls=2))

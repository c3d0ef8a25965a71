"""`smtpx serve`: what it prints, stores and refuses, and how it ends."""

import errno
import json
import os
import re
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from smtpx.cli.serve import _loop_factory, _session, serve
from smtpx.net.tls import client_context
from smtpx.server.maildir import Files, Maildir
from smtpx.server.run import ServerThread
from tests.cli.peers import Client, Served, child, run, serving

ENVELOPE = "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>"


def deliver(server: Served, content: str = "Subject: t\r\n\r\nhello") -> str:
    with Client(server.port) as client:
        for line in ("EHLO x", *ENVELOPE, "DATA"):
            client.say(line)
        return client.say(f"{content}\r\n.")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(directory / "both.pem")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    return directory / "ca.pem", directory / "both.pem", directory / "key.pem"


# Listening ----------------------------------------------------------------------------------------------------------


def test_it_says_where_it_listens_and_stores_what_comes(tmp_path: Path) -> None:
    with serving(tmp_path, "--hostname", "mx.example.org") as server:
        assert server.announcement == f"listening on smtp://127.0.0.1:{server.port}\n"
        assert deliver(server).startswith("250 2.0.0 queued as ")
        (stored,) = server.messages
        assert stored.startswith(b"Return-Path: <a@example.org>\r\nDelivered-To: b@example.net\r\nReceived: from x (")
        assert stored.endswith(b"\r\nSubject: t\r\n\r\nhello\r\n")
        outcome = server.stop()
    assert (outcome.status, outcome.out) == (0, "")
    assert "message from <a@example.org> to 1 recipients" in outcome.err


def test_smtps_with_a_certificate_of_ones_own(tmp_path: Path, certificate: tuple[Path, Path, Path]) -> None:
    ca, both, key = certificate
    with serving(tmp_path, "--tls-cert", both, "--tls-key", key, "--implicit-tls") as server:
        assert server.announcement == f"listening on smtps://127.0.0.1:{server.port}\n"
        context = ssl.create_default_context(cafile=ca)
        with smtplib.SMTP_SSL("127.0.0.1", server.port, context=context) as client:
            client.sendmail("a@example.org", ["b@example.net"], "Subject: t\r\n\r\nx\r\n")
        assert b"with ESMTPS" in server.messages[0]


def test_starttls_is_required(tmp_path: Path, certificate: tuple[Path, Path, Path]) -> None:
    ca, both, _ = certificate
    with serving(tmp_path, "--tls-cert", both, "--require-tls") as server:
        with Client(server.port) as client:
            client.say("EHLO x")
            assert client.say(ENVELOPE[0]).startswith("530 5.7.0")
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.starttls(context=ssl.create_default_context(cafile=ca))
            client.sendmail("a@example.org", ["b@example.net"], "Subject: t\r\n\r\nx\r\n")
        assert len(server.messages) == 1


def test_a_certificate_made_on_the_spot_and_a_login(tmp_path: Path) -> None:
    options = ("--tls-self-signed", "--auth-user", "me:se:cret", "--auth-user", "you:x", "--require-auth")
    with serving(tmp_path, *options, "--hostname", "bücher.example") as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            code, text = client.docmd("AUTH", "PLAIN AG1lAHNlOmNyZXQ=")
            assert (code, text[:6]) == (538, b"5.7.11")  # H043
            client.starttls(context=client_context(verify=False))
            client.ehlo()
            assert client.docmd("MAIL", "FROM:<a@example.org>")[0] == 530
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("me", "wrong")
            client.login("me", "se:cret")
            client.sendmail("a@example.org", ["b@example.net"], "Subject: t\r\n\r\nx\r\n")
        assert b"by xn--bcher-kva.example (smtpx) with ESMTPSA" in server.messages[0]
        log = server.stop().err
    assert "login failed with PLAIN" in log
    assert "cret" not in log


def test_a_login_in_clear_for_tests(tmp_path: Path) -> None:
    options = ("--auth-user", "me:secret", "--allow-insecure-auth", "--discard")
    with serving(tmp_path, *options) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("me", "secret")
    assert not (tmp_path / "Maildir").exists()


def test_lmtp_answers_for_each_recipient(tmp_path: Path) -> None:
    with serving(tmp_path, "--lmtp") as server:
        assert server.announcement == f"listening on lmtp://127.0.0.1:{server.port}\n"
        with Client(server.port) as client:
            assert client.say("EHLO x").startswith("500")
            for line in ("LHLO x", *ENVELOPE, "RCPT TO:<c@example.net>", "DATA"):
                client.say(line)
            assert client.say("Subject: t\r\n\r\nx\r\n.").startswith("250")
            assert client.reply().startswith("250")
        assert b" with LMTP\r\n" in server.messages[0]


@pytest.mark.parametrize("dialect", ["smtp", "lmtp"])
def test_unix_sockets(tmp_path: Path, dialect: str) -> None:
    path = tmp_path / "s"
    with serving(tmp_path, "--unix", path, "--discard", *(["--lmtp"] * (dialect == "lmtp")), port=False) as server:
        assert server.announcement == f"listening on {dialect}+unix://{path}\n"
        with Client(str(path)) as client:
            for line in ("LHLO x" if dialect == "lmtp" else "EHLO x", *ENVELOPE, "DATA"):
                client.say(line)
            assert client.say("Subject: t\r\n\r\nx\r\n.").startswith("250")
        assert server.stop().status == 0
    assert not path.exists()


def test_rights_of_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving(tmp_path, "--unix", path, "--discard", port=False):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rights = ("--unix-mode", "0660", "--unix-group", str(os.getegid()))
    with serving(tmp_path, "--unix", path, "--discard", *rights, port=False):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o660, os.getegid())


def test_a_unix_socket_of_a_server_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving(tmp_path, "--unix", path, "--discard", port=False) as server:
        server.process.kill()
        server.process.wait()
        assert path.is_socket()
        with serving(tmp_path, "--unix", path, "--discard", port=False), Client(str(path)) as client:
            assert client.say("NOOP").startswith("250")


def test_several_addresses_are_several_lines(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "localhost", "--discard") as server:
        rest = server.stop().out
    lines = [server.announcement, *rest.splitlines(keepends=True)]
    assert all(line.startswith("listening on smtp://") for line in lines)


def test_limits(tmp_path: Path) -> None:
    limits = ("--max-size", "1000", "--max-recipients", "1", "--max-connections", "2", "--max-connections-per-ip", "1")
    with serving(tmp_path, *limits, "--discard") as server, Client(server.port) as client:
        assert "SIZE 1000\r\n" in client.say("EHLO x")
        assert client.say(ENVELOPE[0] + " SIZE=1001").startswith("552 5.3.4")
        client.say(ENVELOPE[0])
        assert client.say(ENVELOPE[1]).startswith("250")
        assert client.say(ENVELOPE[1]).startswith("452 4.5.3")
        with socket.create_connection(("127.0.0.1", server.port)) as second:
            assert second.recv(100).startswith(b"421 4.7.0")


def test_profile_submission(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--profile", "submission", "--tls-self-signed", "--auth-user", "me:x", "--discard") as server,
        Client(server.port) as client,
    ):
        assert "STARTTLS" in client.say("EHLO x")
        assert client.say(ENVELOPE[0]).startswith("530 5.7.0")
        for _ in range(18):
            assert client.say("NOOP").startswith("250")
        assert client.say("NOOP").startswith("421 4.7.0")  # the 21st


@pytest.mark.parametrize(("options", "most"), [((), 100), (("--max-recipients", "2"), 2)])
def test_profile_mx(tmp_path: Path, options: tuple[str, ...], most: int) -> None:
    with (
        serving(tmp_path, "--profile", "mx", "--discard", *options) as server,
        Client(server.port) as client,  # greeted when it has kept silent for three seconds
    ):
        assert f"RCPTMAX={most}" in client.say("EHLO x")
        assert client.say("MAIL FROM:<>").startswith("250")
        assert client.say(ENVELOPE[1]).startswith("250")
        assert client.say(ENVELOPE[1]).startswith("452 4.5.3")


def greetings(server: Served, address: str, times: int) -> list[bytes]:
    """What a client behind a balancer is told that opens so many connections."""
    socks = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(times)]
    try:
        for sock in socks:
            sock.sendall(f"PROXY TCP4 {address} 192.0.2.2 1234 25\r\n".encode())
        return sorted(sock.recv(4096)[:3] for sock in socks)
    finally:
        for sock in socks:
            sock.close()


def test_trusted_networks_are_spared_defaults(tmp_path: Path) -> None:
    options = ("--discard", "--proxy-protocol", "--profile", "mx", "--trusted-network", "198.51.100.0/24")
    with serving(tmp_path, *options, "--trusted-network", "2001:db8::/32") as server:
        assert greetings(server, "192.0.2.7", 22) == [b"220"] * 20 + [b"421"] * 2
        assert greetings(server, "198.51.100.7", 22) == [b"220"] * 22
    with serving(tmp_path, *options, "--max-connections-per-ip", "20") as server:  # who asks for a number gets it
        assert greetings(server, "198.51.100.7", 22) == [b"220"] * 20 + [b"421"] * 2


@pytest.mark.parametrize(("options", "answer"), [((), "554 "), (("--trusted-network", "127.0.0.0/8"), "220 ")])
def test_trusted_networks_need_not_wait_for_the_greeting(tmp_path: Path, options: tuple[str, ...], answer: str) -> None:
    with (
        serving(tmp_path, "--discard", "--profile", "mx", *options) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        sock.sendall(b"NOOP\r\n")
        assert sock.recv(4096).decode().startswith(answer)


def test_trusted_networks_may_not_relay_for_that(tmp_path: Path) -> None:
    options = ("--discard", "--local-domain", "example.org", "--trusted-network", "127.0.0.0/8")
    with serving(tmp_path, *options) as server, Client(server.port) as client:
        for line in ("EHLO x", ENVELOPE[0]):
            client.say(line)
        assert client.say("RCPT TO:<b@example.net>").startswith("550 5.7.1")
        assert client.say("RCPT TO:<b@example.org>").startswith("250")


def test_timeout(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout", "0.2", "--discard") as server, Client(server.port) as client:
        assert client.reply().startswith("421 4.4.2")
        assert client.reply() == ""


def test_bare_newlines(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert deliver(server, "Subject: t\r\n\r\na\nb").startswith("550 5.5.2")
        assert server.messages == []
    with serving(tmp_path, "--bare-newline", "normalize") as server:
        assert deliver(server, "Subject: t\r\n\r\na\nb").startswith("250")
        assert server.messages[0].endswith(b"\r\n\r\na\r\nb\r\n")


def test_h056_log_as_json(tmp_path: Path) -> None:
    odd = ('"a\\"b"@x.example', '"{c}\\\\"@x.example')
    with serving(tmp_path, "--log-format", "json", "--verbose", "--discard") as server:
        with Client(server.port) as client:
            for line in ("EHLO a\x1b[2Jb", "EHLO x", f"MAIL FROM:<{odd[0]}> SMTPUTF8", f"RCPT TO:<{odd[1]}>", "DATA"):
                client.say(line)
            assert client.say("x\r\n.").startswith("250")
            client.say("MAIL FROM:<\u202e\u2028@x.example> SMTPUTF8")  # steers a terminal, or ends a line for some
            for line in (f"MAIL FROM:<\u202e{odd[0][1:2]}@x.example> SMTPUTF8", "RCPT TO:<c@x.example>", "DATA"):
                client.say(line)
            assert client.say("x\r\n.").startswith("250")
        text = server.stop().err
    log = [json.loads(line) for line in text.splitlines()]
    assert text.isascii()
    assert sum(f"message from <{odd[0]}>" in entry["message"] for entry in log) == 1
    assert sum("message from <\\u202ea@x.example>" in entry["message"] for entry in log) == 1
    assert {"connected"} <= {entry["message"].partition("] ")[2] for entry in log}
    assert all(entry["peer"] == "127.0.0.1" for entry in log if "peer" in entry)


# Ending -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_client_is_told(tmp_path: Path, number: int) -> None:
    with serving(tmp_path, "--discard") as server, Client(server.port) as client:
        client.say("EHLO x")
        server.signal(number)
        assert client.reply().startswith("421 4.3.2")
        assert client.reply() == ""
        assert server.wait().status == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


def test_a_transaction_is_served_to_its_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server, Client(server.port) as client:
        for line in ("EHLO x", *ENVELOPE):
            client.say(line)
        server.signal()
        until_closed(server.port)
        assert client.say("DATA").startswith("354")
        assert client.say("Subject: t\r\n\r\nx\r\n.").startswith("250")
        assert client.reply().startswith("421 4.3.2")
        assert server.wait().status == 0
        assert len(server.messages) == 1


def test_a_message_under_way_is_stored(tmp_path: Path) -> None:
    with serving(tmp_path) as server, Client(server.port) as client:
        for line in ("EHLO x", *ENVELOPE, "DATA"):
            client.say(line)
        client.socket.sendall(b"Subject: t\r\n\r\nhalf")
        server.signal()
        until_closed(server.port)
        assert client.say("\r\n.").startswith("250")
        assert client.reply().startswith("421 4.3.2")
        assert server.wait().status == 0
        assert len(server.messages) == 1


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with serving(tmp_path) as server, Client(server.port) as client:
        for line in ("EHLO x", *ENVELOPE, "DATA"):
            client.say(line)
        client.socket.sendall(b"Subject: t\r\n\r\nhalf")
        server.signal()
        until_closed(server.port)
        begun = time.monotonic()
        server.signal()
        assert server.wait().status == 0
        assert time.monotonic() - begun < 5
        assert server.messages == []
        assert list((tmp_path / "Maildir" / "tmp").iterdir()) == []


def until_closed(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise TimeoutError


# Mistakes -----------------------------------------------------------------------------------------------------------


def test_the_port_is_taken(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, "--discard") as server:
        outcome = run(capfd, "serve", "--discard", "--port", str(server.port))
    message = f"smtpx: can't listen on 127.0.0.1:{server.port}: Address already in use\n"
    assert (outcome.status, outcome.out, outcome.err) == (73, "", message)


def test_the_socket_is_taken(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"
    with serving(tmp_path, "--unix", path, "--discard", port=False):
        outcome = run(capfd, "serve", "--discard", "--unix", path)
    assert (outcome.status, outcome.err) == (73, f"smtpx: can't listen on {path}: Address already in use\n")


def test_the_path_of_a_socket_is_too_long(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ("x" * 200)
    outcome = run(capfd, "serve", "--discard", "--unix", path)
    assert (outcome.status, outcome.err) == (73, f"smtpx: can't listen on {path}: AF_UNIX path too long\n")


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_somebody_else(capfd: pytest.CaptureFixture[str], host: str) -> None:
    outcome = run(capfd, "serve", "--discard", "--port", "0", "--host", host)
    assert outcome.status == 73
    assert outcome.err.splitlines()[-1].startswith(f"smtpx: can't listen on {host}")


def test_the_maildir_can_not_be_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    outcome = run(capfd, "serve", "--maildir", tmp_path / "file" / "x")
    assert (outcome.status, outcome.err) == (73, f"smtpx: can't use the Maildir {tmp_path}/file/x: Not a directory\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_the_maildir_can_not_be_written_to(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Maildir(tmp_path / "m")
    (tmp_path / "m" / "tmp").chmod(0o500)
    outcome = run(capfd, "serve", "--maildir", tmp_path / "m")
    assert outcome.status == 73
    assert outcome.err.startswith(f"smtpx: can't use the Maildir {tmp_path}/m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--maildir", "x", "--discard"), "--maildir and --discard exclude each other"),
        (("--tls-self-signed", "--tls-cert", __file__), "--tls-self-signed and --tls-cert exclude each other"),
        (("--tls-key", __file__), "--tls-key needs --tls-cert"),
        (("--implicit-tls",), "--implicit-tls needs --tls-cert or --tls-self-signed"),
        (("--require-tls",), "--require-tls needs --tls-cert or --tls-self-signed"),
        (("--require-auth",), "--require-auth needs --auth-user, --auth-token or --client-ca"),
        (
            ("--profile", "submission", "--tls-self-signed"),
            "--profile submission needs --auth-user, and --tls-cert or --tls-self-signed",
        ),
        (
            ("--profile", "submission", "--auth-user", "a:b", "--allow-insecure-auth"),
            "--profile submission needs --auth-user, and --tls-cert or --tls-self-signed",
        ),
        (
            ("--profile", "mx", "--auth-user", "a:b", "--tls-self-signed"),
            "--profile mx never offers a login: leave out --auth-user",
        ),
        (("--auth-user", "me"), "Invalid value for '--auth-user': give USER:PASSWORD"),
        (("--auth-user", ":x"), "Invalid value for '--auth-user': give USER:PASSWORD"),
        (("--auth-user", "me:"), "Invalid value for '--auth-user': give USER:PASSWORD"),
        (("--unix", "/nonexistent", "--host", "127.0.0.1"), "--unix and --host exclude each other"),
        (("--unix", "/nonexistent", "--port", "2525"), "--unix and --port exclude each other"),
        (("--unix-mode", "660"), "--unix-mode needs --unix"),
        (("--unix-group", "0"), "--unix-group needs --unix"),
        (("--unix", "/nonexistent/x", "--unix-group", "no-such-group"), "there is no group 'no-such-group'"),
        *(
            (
                ("--unix", "/nonexistent/x", "--unix-mode", mode),
                f"Invalid value for '--unix-mode': {mode!r} is no mode in octal digits, as 660 is",
            )
            for mode in ("888", "4660", "66", "rw", "-1", "0o660", "")
        ),
        (
            ("--trusted-network", "192.0.2.1/24"),
            "not a network of trusted peers: 192.0.2.1/24 has host bits set",
        ),
        (("--trusted-network", "0.0.0.0/0"), "0.0.0.0/0 would trust everybody"),
        (("--timeout", "nan"), "Invalid value for '--timeout': nan is not a number of seconds"),
        (("--timeout", "inf"), "Invalid value for '--timeout': inf is not a number of seconds"),
        (("--hostname", "a b"), "Invalid value for '--hostname': not a host name: 'a b'"),
        (("--hostname", "bü..x"), "Invalid value for '--hostname': not a domain name: b\\xfc..x"),
    ],
)
def test_options_that_make_no_sense(capfd: pytest.CaptureFixture[str], options: tuple[str, ...], message: str) -> None:
    outcome = run(capfd, "serve", *options)
    assert (outcome.status, outcome.out, outcome.err) == (64, "", f"smtpx: {message} (see smtpx serve --help)\n")


def test_what_is_no_certificate(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = run(capfd, "serve", "--discard", "--tls-cert", __file__)
    assert outcome.status == 64
    assert outcome.err.startswith(f"smtpx: can't use certificate {__file__}")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ((), "login off, TLS off"),
        (("--profile", "mx"), "login off, TLS off"),
        (("--profile", "submission", "--tls-self-signed", "--auth-user", "a:b"), "login required, TLS required"),
        (("--tls-self-signed",), "login off, TLS offered"),
        (("--tls-self-signed", "--require-tls", "--auth-user", "a:b"), "login offered, TLS required"),
        (
            ("--tls-self-signed", "--implicit-tls", "--auth-user", "a:b", "--require-auth"),
            "login required, TLS required",
        ),
    ],
)
def test_strangers_can_reach_it(tmp_path: Path, options: tuple[str, ...], warning: str) -> None:
    with serving(tmp_path, "--discard", "--host", "0.0.0.0", *options) as server:
        log = server.stop().err
    assert f"WARNING smtpx.serve listening beyond this host (0.0.0.0): {warning}; nothing is relayed" in log
    assert "kept here is mail to anybody from everybody" in log


def test_the_effective_policy_in_one_line(tmp_path: Path) -> None:
    options = ("--local-domain", "bücher.example", "--local-domain", "*.example.net", "--relay-for", "10.0.0.0/8")
    with serving(tmp_path, "--discard", "--host", "0.0.0.0", *options) as server:
        (line,) = server.stop().err.splitlines()
    assert line.endswith(
        "(0.0.0.0): login off, TLS off; nothing is relayed; kept here is mail to xn--bcher-kva.example, *.example.net "
        "from everybody, to others from 10.0.0.0/8 and for users who are logged in"
    )


@pytest.mark.parametrize(("relay_for", "other"), [((), "550 5.7.1"), (("--relay-for", "127.0.0.0/8"), "250 2.1.5")])
def test_h101_local_domains_and_others(tmp_path: Path, relay_for: tuple[str, ...], other: str) -> None:
    with serving(tmp_path, "--local-domain", "example.net", *relay_for) as server, Client(server.port) as client:
        for line in ("EHLO x", ENVELOPE[0]):
            client.say(line)
        assert client.say("RCPT TO:<a@b.example>").startswith(other)
        assert client.say("RCPT TO:<@example.net:a@b.example>").startswith(other)
        for path in (
            "b@EXAMPLE.net",
            "a%b.example@example.net",
            '"a@b.example"@example.net',
            "b.example!a@example.net",
        ):
            assert client.say(f"RCPT TO:<{path}>").startswith("250 2.1.5")
        client.say("DATA")
        assert client.say("Subject: t\r\n\r\nx\r\n.").startswith("250")
        assert len(server.messages) == 1


def test_h101_who_is_logged_in_may_send_to_others(tmp_path: Path) -> None:
    options = ("--local-domain", "example.net", "--auth-user", "me:secret", "--allow-insecure-auth", "--discard")
    with serving(tmp_path, *options) as server, smtplib.SMTP("127.0.0.1", server.port) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@example.org", ["a@b.example"], "Subject: t\r\n\r\nx\r\n")
        client.login("me", "secret")
        assert client.sendmail("a@example.org", ["a@b.example"], "Subject: t\r\n\r\nx\r\n") == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--relay-for", "0.0.0.0/0"), "0.0.0.0/0 would be everybody: 0.0.0.0/0"),
        (("--relay-for", "::/0", "--local-domain", "a.example"), "::/0 would be everybody: ::/0"),
        (("--relay-for", "x"), "not a network: 'x' does not appear to be an IPv4 or IPv6 network"),
        (("--local-domain", "a@b"), "not a domain: a@b"),
        (
            ("--host", "0.0.0.0", "--relay-for", "10.0.0.0/8"),
            "0.0.0.0: without local domains and without AUTH nobody is served",
        ),
        (
            ("--host", "0.0.0.0", "--local-domain", "a.example", "--auth-user", "a:b", "--allow-insecure-auth"),
            "0.0.0.0: a login that gives the right to relay needs TLS",
        ),
    ],
)
def test_relays_that_are_not_served(capfd: pytest.CaptureFixture[str], options: tuple[str, ...], message: str) -> None:
    outcome = run(capfd, "serve", "--discard", "--port", "0", *options)
    assert (outcome.status, outcome.out, outcome.err) == (64, "", f"smtpx: {message} (see smtpx serve --help)\n")


def test_only_this_host_can_reach_it(tmp_path: Path) -> None:
    with serving(tmp_path, "--discard") as server:
        assert server.stop().err == ""


def test_a_name_that_is_no_address_warns_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--discard", "--host", socket.gethostname()) as server:
        announced, log = server.announcement, server.stop().err
    assert not announced or "listening beyond this host" in log


# The loop -----------------------------------------------------------------------------------------------------------


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _loop_factory() is None


def test_with_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    assert _loop_factory() is uvloop.new_event_loop


# The disk -----------------------------------------------------------------------------------------------------------

BIG = "Subject: t\r\n\r\n" + "\r\n".join(["x" * 70] * 40_000)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("can't mount a small file system here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def left_behind(maildir: Path) -> list[Path]:
    return [path for name in ("new", "tmp") for path in (maildir / name).iterdir()]


def test_a_small_disk_takes_no_mail_at_all(tmp_path: Path, tiny_disk: Path) -> None:
    with serving(tmp_path, "--maildir", tiny_disk / "m") as server, Client(server.port) as client:
        client.say("EHLO x")
        assert client.say(ENVELOPE[0]).startswith("452 4.3.1")
    assert left_behind(tiny_disk / "m") == []


class FullDisk(Files):
    """Says that there is room, and has none when it comes to it."""

    def free_bytes(self, path: str) -> int:
        return 1 << 40


class FullAtOnce(FullDisk):
    def write(self, file: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class FullAtSync(FullDisk):
    def sync(self, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class FullAtRename(FullDisk):
    def rename(self, source: str, target: str) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


class FullAtDirectory(FullDisk):
    def sync_directory(self, path: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def with_files(monkeypatch: pytest.MonkeyPatch, files: Files, maildir: Path) -> ServerThread:
    """The server that `smtpx serve` would run, on a disk with faults."""
    monkeypatch.setattr("smtpx.cli.serve.Maildir", lambda path: Maildir(path, files=files))
    context = serve.make_context("serve", ["--maildir", str(maildir)])
    return ServerThread(_session(context.params, None), port=0)


@pytest.mark.parametrize("files", [FullAtOnce, FullAtSync, FullAtRename, FullAtDirectory])
@pytest.mark.parametrize("content", ["Subject: t\r\n\r\nx", BIG], ids=["small", "big"])
def test_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Callable[[], Files], content: str
) -> None:
    with with_files(monkeypatch, files(), tmp_path / "m") as server, Client(server.port) as client:
        for line in ("EHLO x", *ENVELOPE, "DATA"):
            client.say(line)
        assert client.say(f"{content}\r\n.").startswith("452 4.3.1")
        assert client.say("NOOP").startswith("250")
    assert left_behind(tmp_path / "m") == []


def test_a_disk_that_is_full_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_disk: Path) -> None:
    with with_files(monkeypatch, FullDisk(), tiny_disk / "m") as server, Client(server.port) as client:
        for line in ("EHLO x", *ENVELOPE, "DATA"):
            client.say(line)
        assert client.say(f"{BIG}\r\n.").startswith("452 4.3.1")
        assert left_behind(tiny_disk / "m") == []
        for line in (*ENVELOPE, "DATA"):
            client.say(line)
        assert client.say("Subject: t\r\n\r\nsmall enough\r\n.").startswith("250")
    assert len(left_behind(tiny_disk / "m")) == 1


def test_help_tells_the_defaults() -> None:
    text = " ".join(child("serve", "--help").out.split())
    assert "[default: 127.0.0.1]" in text
    assert "[default: ./Maildir]" in text


def test_proxy_protocol_and_extensions(tmp_path: Path) -> None:
    """The client's address of the header stands in Received; EHLO offers what was asked for."""
    arguments = ["--proxy-protocol", "--extensions", "-CHUNKING,+RRVS"]
    with (
        serving(tmp_path, *arguments) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
    ):
        sock.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.2 1234 25\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\n")
        sock.sendall(b"RCPT TO:<c@d.example>\r\nDATA\r\n")
        out = b""
        while b"354" not in out:
            out += sock.recv(4096)
        sock.sendall(b"Subject: x\r\n\r\n.\r\nQUIT\r\n")
        while octets := sock.recv(4096):
            out += octets
    assert b"RRVS" in out
    assert b"CHUNKING" not in out
    (stored,) = server.messages
    assert b"([192.0.2.7])" in stored


@pytest.mark.parametrize("names", ["NONSENSE", "SIZE,+DSN"])
def test_64_extensions_that_make_no_sense(names: str, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = run(capfd, "serve", "--extensions", names)
    assert outcome.status == 64
    assert "--extensions" in outcome.err


# Transcripts --------------------------------------------------------------------------------------------------------


def test_trace_writes_the_dialogue_without_secrets_and_content(tmp_path: Path) -> None:
    options = ("--trace", "--discard", "--auth-user", "user:secret", "--allow-insecure-auth")
    with serving(tmp_path, *options, "--hostname", "mx.example.org") as server:
        with Client(server.port) as client:
            client.say("EHLO x")
            client.say("AUTH PLAIN AHVzZXIAc2VjcmV0")
            client.say("NOOP \x07bell")
            for line in (*ENVELOPE, "DATA", "Subject: hidden\r\n\r\nhidden\r\n."):
                client.say(line)
        outcome = server.stop()
    traced = [line.partition("] ")[2] for line in outcome.err.splitlines() if re.match(r"\[[0-9a-f]{8}\] [CS]: ", line)]
    assert traced[0] == "S: 220 mx.example.org ESMTP ready"
    assert traced[1] == "C: EHLO x"
    assert "C: AUTH PLAIN ****" in traced
    assert "C: NOOP \\x07bell" in traced
    assert traced[-6:] == [
        "C: RCPT TO:<b@example.net>",
        "S: 250 2.1.5 recipient ok",
        "C: DATA",
        "S: 354 send the message, end it with a line that holds only a dot",
        "C: <27 octets>",
        "S: 250 2.0.0 message accepted",
    ]
    assert "hidden" not in outcome.err
    assert "AHV" not in outcome.err


def test_h056_a_trace_beside_a_log_as_json_is_json_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--trace", "--discard", "--log-format", "json") as server:
        with Client(server.port) as client:
            client.say("EHLO \x1b[2Jx")
            client.say('NOOP "')
        outcome = server.stop()
    traced = [each for each in map(json.loads, outcome.err.splitlines()) if each["logger"] == "smtpx.trace"]
    assert [each["message"] for each in traced if each["message"][0] == "C"] == ["C: EHLO \\x1b[2Jx", 'C: NOOP "']
    assert len({each["connection"] for each in traced}) == 1


def test_the_transaction_joins_reply_log_and_file(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as server:
        reply = deliver(server)
        (stored,) = server.messages
        outcome = server.stop()
    match = re.search(r"\(([0-9a-f]{8})\.1\)$", reply.strip())
    assert match is not None, reply
    records = [json.loads(line) for line in outcome.err.splitlines()]
    (record,) = [record for record in records if "message from" in record["message"]]
    assert (record["connection"], record["transaction"]) == (match[1], f"{match[1]}.1")
    assert f"({match[1]}.1)".encode() in stored.split(b"Subject:")[0]


# Under a service manager --------------------------------------------------------------------------------------------


HANDED_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "smtpx", "serve", "--discard", *sys.argv[2:]])
"""


def handed_over(sock: socket.socket, *options: str) -> "subprocess.Popen[str]":
    """`smtpx serve`, started with a socket."""
    return subprocess.Popen(
        [sys.executable, "-c", HANDED_OVER, str(sock.fileno()), *options],
        pass_fds=[sock.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_socket_activation() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, handed_over(sock, "--tls-self-signed") as process:
        port = sock.getsockname()[1]
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening on smtp://127.0.0.1:{port}\n"
        with Client(port) as client:
            assert "STARTTLS" in client.say("EHLO x")
        process.terminate()
        assert process.wait(20) == 0
        process.communicate()


@pytest.mark.parametrize("option", ["--port", "--host", "--unix"])
def test_socket_activation_and_a_place_of_ones_own(option: str) -> None:
    value = {"--port": "0", "--host": "127.0.0.1", "--unix": "/nonexistent/s"}[option]
    with socket.create_server(("127.0.0.1", 0)) as sock, handed_over(sock, option, value) as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (64, "")
        assert f"sockets were handed over (LISTEN_FDS): leave out {option}" in err


def test_certificates_are_reloaded_on_sighup(tmp_path: Path) -> None:
    authority = trustme.CA()

    def issue() -> bytes:
        leaf = authority.issue_cert("localhost")
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "new.pem")
        os.rename(tmp_path / "new.pem", tmp_path / "both.pem")
        return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())

    def shown(port: int) -> bytes | None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.starttls(context=client_context(verify=False))
            assert isinstance(client.sock, ssl.SSLSocket)
            return client.sock.getpeercert(binary_form=True)

    first = issue()
    with serving(tmp_path, "--discard", "--tls-cert", tmp_path / "both.pem") as server:
        assert shown(server.port) == first
        second = issue()
        server.signal(signal.SIGHUP)
        wait_until(lambda: shown(server.port) == second)
        (tmp_path / "both.pem").write_text("garbage")
        server.signal(signal.SIGHUP)
        assert shown(server.port) == second
        assert "certificates were reloaded" in server.stop().err


def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_true():
            return
        time.sleep(0.01)
    raise TimeoutError


# A login that TLS would be needed for --------------------------------------------------------------------------------


def test_users_without_tls_are_served_and_the_log_says_why_nobody_can_log_in(tmp_path: Path) -> None:
    """RFC 4954 4: AUTH is not offered, and refused; --require-auth holds all the same."""
    with serving(tmp_path, "--auth-user", "me:secret", "--require-auth", "--discard") as server:
        with Client(server.port) as client:
            assert "AUTH" not in client.say("EHLO x")
            assert client.say("AUTH PLAIN AG1lAHNlY3JldA==").startswith("538 5.7.11")
            assert client.say("MAIL FROM:<a@x.example>").startswith("530 5.7.0")
        outcome = server.stop()
    assert "--auth-user without TLS: nobody can log in" in outcome.err
    assert "secret" not in outcome.err


def test_a_login_in_clear_for_nobody_is_no_mistake(tmp_path: Path) -> None:
    with serving(tmp_path, "--allow-insecure-auth", "--discard") as server, Client(server.port) as client:
        assert "AUTH" not in client.say("EHLO x")

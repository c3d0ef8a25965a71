"""Logins of `smtpx serve`: by password, token and certificate, against `smtpx send` and others."""

import base64
import os
import signal
import smtplib
import ssl
import time
from pathlib import Path

import click
import pytest

from smtpx.cli.accounts import MECHANISMS, accounts_of
from tests.certificates import Authority
from tests.cli.peers import Client, Outcome, Served, child, run, serving

AUTHORITY = Authority()
OTHER = Authority("Somebody else")
MAIL = ("--from", "a@example.org", "--to", "b@example.net", "--text", "hi", "--timeout", "10", "--helo", "me")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    AUTHORITY.trust(directory)
    (directory / "server.pem").write_bytes(AUTHORITY.issue("localhost").pem)
    (directory / "me.pem").write_bytes(AUTHORITY.issue(email="me@x.example").pem)
    (directory / "nameless.pem").write_bytes(AUTHORITY.issue().pem)  # but for its common name
    (directory / "stranger.pem").write_bytes(OTHER.issue(email="me@x.example").pem)
    return directory


def tls(files: Path, *options: str) -> tuple[str | Path, ...]:
    return ("--tls-cert", files / "server.pem", "--client-ca", files / "authority.pem", *options)


def send(server: Served, files: Path, certificate: str | None, *options: str) -> Outcome:
    scheme = "smtps" if server.url.startswith("smtps") else "submission"
    shown = ("--client-cert", files / certificate) if certificate else ()
    url = f"{scheme}://localhost:{server.port}"
    return child("send", "--url", url, "--ca", files / "authority.pem", *shown, *MAIL, *options)


def context(files: Path, certificate: str | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=files / "authority.pem")
    if certificate:
        made.load_cert_chain(files / certificate)
    return made


def connect(server: Served, files: Path, certificate: str | None = None) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", server.port)
    client.starttls(context=context(files, certificate))
    client.ehlo()
    return client


def answer(client: smtplib.SMTP, text: str) -> int:
    return client.docmd("AUTH", "EXTERNAL " + (base64.b64encode(text.encode()).decode() or "="))[0]


# EXTERNAL ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--implicit-tls",), ("--require-client-cert",)])
def test_a_client_certificate_logs_in(tmp_path: Path, files: Path, options: tuple[str, ...]) -> None:
    with serving(tmp_path, *tls(files, "--require-auth", *options)) as server:
        good = send(server, files, "me.pem")
        assert (good.status, good.err) == (0, "")
        assert b"with ESMTPSA" in server.messages[0]
        assert send(server, files, "nameless.pem").status == 0
        stranger = send(server, files, "stranger.pem")
        assert stranger.status in (69, 75), stranger
        nobody = send(server, files, None)
        assert nobody.status == (75 if "--require-client-cert" in options else 69), nobody
        assert len(server.messages) == 2
        assert server.stop().status == 0


def test_external_is_offered_to_whom_it_is_good_for(tmp_path: Path, files: Path) -> None:
    with serving(tmp_path, *tls(files, "--discard")) as server:
        with Client(server.port) as client:
            assert "AUTH" not in client.say("EHLO x")
            assert client.say("AUTH EXTERNAL =").startswith("538 5.7.11")
        with connect(server, files) as plain:
            assert not plain.has_extn("auth")
            assert answer(plain, "") == 504
        with connect(server, files, "me.pem") as known:
            assert known.esmtp_features["auth"].split() == ["EXTERNAL"]
            assert [answer(known, name) for name in ("you@x.example", "ME@x.example")] == [535] * 2
            assert answer(known, "me@x.example") == 235
        with connect(server, files, "nameless.pem") as known:
            assert answer(known, "Test server") == 235


def test_reload_keeps_the_authority_and_takes_a_new_one(tmp_path: Path, files: Path) -> None:
    for name in ("server.pem", "authority.pem"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    options = ("--tls-cert", tmp_path / "server.pem", "--client-ca", tmp_path / "authority.pem", "--discard")
    with serving(tmp_path, *options) as server:

        def shown() -> bytes | None:
            with connect(server, files, "me.pem") as client:
                assert answer(client, "") == 235
                assert isinstance(client.sock, ssl.SSLSocket)
                return client.sock.getpeercert(binary_form=True)

        before = shown()
        replace(tmp_path / "server.pem", AUTHORITY.issue("localhost").pem)
        server.signal(signal.SIGHUP)
        until(lambda: shown() != before)
        replace(tmp_path / "authority.pem", OTHER.trust(tmp_path / "..").read_bytes())
        server.signal(signal.SIGHUP)
        until(lambda: send(server, files, "me.pem").status != 0)
        assert send(server, files, "stranger.pem").status == 0
        assert "certificates were reloaded" in server.stop().err


def replace(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    os.rename(path.with_suffix(".new"), path)


def until(is_true: object) -> None:
    assert callable(is_true)
    for _ in range(100):
        if is_true():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_a_certificate_beside_passwords(tmp_path: Path, files: Path) -> None:
    with serving(tmp_path, *tls(files, "--discard", "--auth-user", "user:secret")) as server:
        with connect(server, files, "me.pem") as client:
            offered = client.esmtp_features["auth"].split()
            assert (offered[0], offered[-2:]) == ("EXTERNAL", ["PLAIN", "LOGIN"])
            client.login("user", "secret")
        with connect(server, files) as client:
            assert "EXTERNAL" not in client.esmtp_features["auth"]


# Mechanisms by name, and tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mechanism", [name for name in MECHANISMS if name not in ("EXTERNAL", "OAUTHBEARER", "XOAUTH2")]
)
def test_each_mechanism_by_name(tmp_path: Path, mechanism: str) -> None:
    options = ("--tls-self-signed", "--require-auth", "--auth-user", "user:secret")
    chosen = ("--auth-mechanism", mechanism.lower())
    with serving(tmp_path, "--discard", *options, *chosen) as server:
        for password, status in (("secret", 0), ("wrong", 77)):
            url = f"submission://user:{password}@localhost:{server.port}"
            outcome = child("send", "--url", url, "--insecure", "--auth-mechanism", mechanism, *MAIL)
            assert outcome.status == status, outcome
        with smtplib.SMTP("localhost", server.port) as client:
            client.starttls(context=ssl._create_unverified_context())  # noqa: S323 - a test
            client.ehlo()
            assert client.esmtp_features["auth"].split() == [mechanism]


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_tokens(tmp_path: Path, mechanism: str) -> None:
    (tmp_path / "good").write_text("t0ken")
    (tmp_path / "bad").write_text("other")
    options = ("--discard", "--tls-self-signed", "--require-auth", "--auth-token", "user:t0ken")
    with serving(tmp_path, *options) as server:
        for name, user, status in (("good", "user", 0), ("bad", "user", 77), ("good", "you", 77)):
            url = f"submission://{user}@localhost:{server.port}"
            token = ("--auth-token-file", tmp_path / name, "--auth-mechanism", mechanism)
            outcome = child("send", "--url", url, "--insecure", *token, *MAIL)
            assert outcome.status == status, outcome
        assert "t0ken" not in server.stop().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--auth-mechanism", "NTLM"), "'NTLM' is not one of"),
        (("--auth-mechanism", "PLAIN"), "--auth-mechanism PLAIN needs --auth-user"),
        (("--auth-mechanism", "cram-md5", "--auth-token", "u:t"), "--auth-mechanism CRAM-MD5 needs --auth-user"),
        (("--auth-mechanism", "EXTERNAL", "--auth-user", "u:p"), "--auth-mechanism EXTERNAL needs --client-ca"),
        (("--auth-mechanism", "XOAUTH2", "--auth-user", "u:p"), "--auth-mechanism XOAUTH2 needs --auth-token"),
        (("--auth-token", "user"), "give USER:TOKEN"),
        (("--auth-user", ":secret"), "give USER:PASSWORD"),
        (("--require-client-cert",), "--require-client-cert needs --client-ca"),
        (("--client-ca", "AUTHORITY"), "--client-ca needs --tls-cert or --tls-self-signed"),
        (("--client-ca", "AUTHORITY", "--tls-self-signed", "--profile", "mx"), "leave out --client-ca"),
        (("--client-ca", "/dev/null", "--tls-self-signed"), "can't read authorities from /dev/null"),
    ],
)
def test_64_logins_that_make_no_sense(
    capfd: pytest.CaptureFixture[str], files: Path, options: tuple[str, ...], message: str
) -> None:
    given = [str(files / "authority.pem") if each == "AUTHORITY" else each for each in options]
    outcome = run(capfd, "serve", "--discard", *given)
    assert outcome.status == 64
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_nobody_logs_in() -> None:
    nothing = {"users": {}, "tokens": {}, "client_ca": None, "mechanisms": ()}
    assert accounts_of(nothing) is None
    with pytest.raises(click.UsageError, match="LOGIN needs"):
        accounts_of({**nothing, "mechanisms": ("LOGIN",)})


def test_cram_md5_is_had_by_name_only() -> None:
    passwords = {"users": {"u": "p"}, "tokens": {}, "client_ca": None}
    usual, named = accounts_of({**passwords, "mechanisms": ()}), accounts_of({**passwords, "mechanisms": ("CRAM-MD5",)})
    assert usual is not None
    assert named is not None
    assert "CRAM-MD5" not in [each.name for each in usual.mechanisms]
    assert usual.users.lookup("CRAM-MD5", "u") is None
    assert named.users.lookup("CRAM-MD5", "u") is not None


# What a transcript shows ---------------------------------------------------------------------------------------------

SECRET = "se:cret"


def said_by(mechanism: str) -> list[bytes]:
    """What a client says in an exchange, each in a line of its own: right in form, with secrets in it."""
    token = b"\1auth=Bearer " + SECRET.encode() + b"\1\1"
    return {
        "PLAIN": [b"\0user\0" + SECRET.encode()],
        "LOGIN": [b"user-" + SECRET.encode(), SECRET.encode()],
        "CRAM-MD5": [b"user 0123456789abcdef0123456789abcdef"],
        "XOAUTH2": [b"user=user" + token, b"acknowledged"],
        "OAUTHBEARER": [b"n,a=user," + token, b"\1"],
    }.get(mechanism, [b"n,,n=user,r=clientnonce", b"c=biws,r=clientnonce,p=proof"])


@pytest.mark.parametrize("initial", [False, True])
def test_h087_trace_masks_every_line_of_every_mechanism(tmp_path: Path, *, initial: bool) -> None:
    mechanisms = [name for name in MECHANISMS if name != "EXTERNAL" and not name.endswith("-PLUS")]
    named = [word for name in mechanisms for word in ("--auth-mechanism", name)]
    options = ("--allow-insecure-auth", "--auth-user", f"user:{SECRET}", "--auth-token", f"user:{SECRET}", "--verbose")
    secrets: set[str] = set()
    with serving(tmp_path, "--trace", "--discard", *options, *named) as server:
        for mechanism in [*mechanisms, "NTLM", "EXTERNAL", "SCRAM-SHA-256-PLUS"]:
            words = [base64.b64encode(each).decode() for each in said_by(mechanism)]
            secrets |= {*words, *(each.decode() for each in said_by(mechanism))}
            begin = f"AUTH {mechanism}"
            if initial:
                begin, words = f"{begin} {words[0]}", words[1:]
            with Client(server.port) as client:
                client.say("EHLO x")
                for line in (begin, *words):  # a client that did not hear a refusal goes on
                    if client.say(line).startswith("235"):
                        break
        with Client(server.port) as client:
            client.say("EHLO x")
            client.say("AUTH LOGIN")
            client.say("*")
            client.say("AUTHPLAIN " + base64.b64encode(SECRET.encode()).decode())
        log = server.stop().err
    assert log.count("C: AUTH ") >= len(mechanisms) + 2
    assert log.count("C: ****") >= len(mechanisms)
    assert [each for each in secrets if len(each) > 4 and each in log] == []
    assert SECRET not in log

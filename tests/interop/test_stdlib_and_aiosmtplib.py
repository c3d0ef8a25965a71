"""Clients that others have written send to our server; every octet is compared."""

import asyncio
import smtplib
import socket
from collections.abc import Callable
from typing import Any

import aiosmtplib
import pytest

from smtpx.server.listener import Server
from tests.server.rig import Recorder, fresh_client_tls, fresh_server_tls, recorders, running

SENDER = "a@client.example"
RECIPIENTS = ["b@server.example", "c@server.example"]
MESSAGES = {
    "plain": b"Subject: x\r\n\r\nbody\r\n",
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\n",
    "eight-bit": "Subject: x\r\n\r\ngr\u00fc\u00df \U0001f4e7\r\n".encode(),
    "long-line": b"Subject: x\r\n\r\n" + b"x" * 100_000 + b"\r\n",
    "large": b"Subject: x\r\n\r\n" + b"0123456789" * 7 * 100_000 + b"\r\n",
    "every-octet": b"Subject: x\r\n\r\n" + bytes(set(range(256)) - {10, 13}) + b"\r\n",
}
WAYS = ["clear", "starttls-plain", "starttls-login", "implicit-plain", "implicit-login"]
Send = Callable[[Server, str, bytes], None]


def with_smtplib(server: Server, way: str, message: bytes) -> None:
    security, _, mechanism = way.partition("-")
    client: smtplib.SMTP
    if security == "implicit":
        client = smtplib.SMTP_SSL("localhost", server.port, context=fresh_client_tls(), timeout=10)
    else:
        client = smtplib.SMTP("localhost", server.port, timeout=10)
    with client:
        if security == "starttls":
            client.starttls(context=fresh_client_tls())
        if mechanism:
            client.ehlo()
            client.user, client.password = "user", "secret"
            method = client.auth_plain if mechanism == "plain" else client.auth_login
            assert client.auth(mechanism.upper(), method)[0] == 235
        assert client.sendmail(SENDER, RECIPIENTS, message) == {}


def with_aiosmtplib(server: Server, way: str, message: bytes) -> None:
    security, _, mechanism = way.partition("-")

    async def send() -> None:
        client = aiosmtplib.SMTP(
            hostname="localhost",
            port=server.port,
            use_tls=security == "implicit",
            start_tls=security == "starttls",
            tls_context=None if security == "clear" else fresh_client_tls(),
            timeout=10,
        )
        async with client:
            await client.ehlo()
            if mechanism == "plain":
                await client.auth_plain("user", "secret")
            elif mechanism == "login":
                await client.auth_login("user", "secret")
            errors, _ = await client.sendmail(SENDER, RECIPIENTS, message)
            assert errors == {}
        await asyncio.sleep(0.05)  # its transport says goodbye in TLS behind its back

    asyncio.run(send())


@pytest.fixture(params=[with_smtplib, with_aiosmtplib], ids=["smtplib", "aiosmtplib"])
def send(request: pytest.FixtureRequest) -> Send:
    """How a message is sent. Blocks: for threads."""
    return request.param


def options_for(way: str) -> dict[str, Any]:
    if way == "clear":
        return {}
    return {"tls": fresh_server_tls(), "implicit_tls": way.startswith("implicit"), "require_auth": True}


# aiosmtplib gives its loop no time to end TLS, and asyncio complains of its transport; `nothing_left` looks at ours.
@pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(MESSAGES))
async def test_what_is_sent_is_what_arrives(send: Send, way: str, name: str) -> None:
    kind, made = recorders()
    async with running(kind, host="127.0.0.1", **options_for(way)) as server:
        await asyncio.to_thread(send, server, way, MESSAGES[name])
    (message,) = [message for session in made for message in session.messages]
    assert message.content == MESSAGES[name]
    assert message.sender == SENDER
    assert list(message.recipients) == RECIPIENTS
    assert message.identity == (None if way == "clear" else "user")
    assert message.tls is (way != "clear")


async def test_a_certificate_that_is_not_trusted() -> None:
    kind, made = recorders()
    async with running(kind, tls=fresh_server_tls()) as server:

        def connect() -> None:
            import ssl

            with smtplib.SMTP("localhost", server.port, timeout=10) as client, pytest.raises(ssl.SSLError):
                client.starttls(context=ssl.create_default_context())

        await asyncio.to_thread(connect)
    assert all(session.messages == [] for session in made)


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_a_wrong_password(password: str) -> None:
    async with running(Recorder, allow_insecure_auth=True) as server:

        def login() -> None:
            with smtplib.SMTP("localhost", server.port, timeout=10) as client:
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    client.login("user", password)
                assert client.noop()[0] == 250

        await asyncio.to_thread(login)


async def test_smtputf8() -> None:
    kind, made = recorders()
    async with running(kind) as server:

        def talk() -> None:
            with smtplib.SMTP("localhost", server.port, timeout=10) as client:
                client.sendmail("\u00fc@client.example", ["\u00f6@server.example"], b"x\r\n", ["SMTPUTF8"])

        await asyncio.to_thread(talk)
    assert made[0].messages[0].sender == "\u00fc@client.example"


async def test_a_client_that_hangs_up_without_quit() -> None:
    kind, made = recorders()
    async with running(kind) as server:

        def talk() -> None:
            client = smtplib.SMTP("localhost", server.port, timeout=10)
            client.ehlo()
            client.mail(SENDER)
            assert isinstance(client.sock, socket.socket)
            client.close()

        await asyncio.to_thread(talk)
    assert made[0].calls[-1] == "close"

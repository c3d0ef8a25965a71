"""What users of mail libraries asked for and did not get, as they would write it: TLS, AUTH and hostile values.

A test's number is its wish's; the docstring has the public threads that asked. Sections 4 and 8.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme

import smtpx
from smtpx.net.tls import server_tls
from smtpx.sasl import CRAM_MD5, XOAUTH2, Credentials, Password, Secret
from smtpx.server.body import Body
from smtpx.server.users import Users
from tests.peers import Colour, ScriptedServer, colour_of
from tests.server.rig import EHLO, MAIL, RawClient, Recorder, fresh_server_tls, recorders, running

BODY = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO = "a@x.example", "b@y.example"
QUIT = "C: QUIT\nS: 221 bye\n"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    with colour_of(request.param) as found:
        yield found


# 4. TLS and AUTH


@pytest.mark.parametrize("security", [smtpx.Security.NONE, smtpx.Security.STARTTLS])
def test_users_ask_4_1_one_setting_that_can_not_contradict_itself(security: smtpx.Security) -> None:
    """aiosmtplib#178, #247, litestar-org/litestar-email#19: told where it is written, before anything is sent."""
    with pytest.raises(smtpx.ConfigurationError, match="contradicts"):
        smtpx.Client("smtps://mail.example", security=security)


class Door(smtpx.Session):
    """Lets in who knows a password or has a token that is not stale."""

    users = Users({"me": "s3cret"}, scram=("SCRAM-SHA-256", "SCRAM-SHA-1"))
    seen: list[Credentials]

    async def lookup(self, mechanism: str, username: str) -> Any:  # noqa: ANN401
        if mechanism == "CRAM-MD5":
            return Secret("s3cret") if username == "me" else None
        return self.users.lookup(mechanism, username)

    async def authenticate(self, identity: Credentials) -> None:
        token = identity.token.reveal() if identity.token is not None else None
        if token != "fresh" and (token is not None or not await self.users.accepts(identity)):
            raise smtpx.Reject.bad_credentials()
        self.seen.append(identity)


def door() -> type[Door]:
    return type("Fresh", (Door,), {"seen": []})


def at(server: smtpx.ServerThread, scheme: str = "submission") -> str:
    return f"{scheme}://localhost:{server.port}"


def test_users_ask_4_4_a_stale_token_is_fetched_again(colour: Colour, certificate: Any) -> None:  # noqa: ANN401
    """apache/airflow#51094, #62775, home-assistant/core#127246."""
    kind, tokens = door(), ["stale", "fresh"]
    options: dict[str, Any] = {"tls": certificate.server, "mechanisms": [XOAUTH2], "require_auth": True}
    auth = smtpx.BearerToken("me", lambda: tokens.pop(0))
    with (
        smtpx.ServerThread(kind, port=0, **options) as server,
        colour.client(at(server), auth=auth, ca_file=certificate.ca_file) as client,
    ):
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert tokens == []
    assert [each.mechanism for each in kind.seen] == ["XOAUTH2"]


def test_users_ask_4_4_the_error_blob_is_answered_and_raised(colour: Colour) -> None:
    """OpenCTI-Platform/opencti#12069: the 334 with JSON wants an empty line, and then the 535 comes."""
    blob = "eyJzdGF0dXMiOiI0MDAiLCJzY29wZSI6Im1haWwifQ=="  # {"status":"400","scope":"mail"}
    login = "C: AUTH XOAUTH2 dXNlcj1tZQFhdXRoPUJlYXJlciBvbGQBAQ==\n"
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH XOAUTH2\n" + login + f"S: 334 {blob}\nC: \nS: 535 5.7.8 no\n"
    auth = smtpx.BearerToken("me", "old")
    with (
        ScriptedServer(script + QUIT) as server,
        pytest.raises(smtpx.AuthenticationError) as caught,
    ):
        colour.open(f"smtp+plain://localhost:{server.port}?hello_name=me", auth=auth)
    assert caught.value.reply is not None
    assert caught.value.reply.code == 535
    assert '"status":"400"' in str(caught.value).replace(" ", "")
    assert "old" not in repr(caught.value)


def test_users_ask_4_5_scram_and_its_binding_by_itself(colour: Colour, tmp_path: Path) -> None:
    """go-sasl#14."""
    kind = door()
    tls, ca_file = _files(tmp_path)
    with (
        smtpx.ServerThread(kind, port=0, tls=tls, require_auth=True) as server,
        colour.client(at(server), username="me", password="s3cret", ca_file=ca_file) as client,
    ):
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert [(each.mechanism, each.is_proven, each.password) for each in kind.seen] == [
        ("SCRAM-SHA-256-PLUS", True, None)
    ]


def _files(directory: Path) -> tuple[ssl.SSLContext, Path]:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(directory / "pair.pem")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    return server_tls(directory / "pair.pem"), directory / "ca.pem"


def test_users_ask_4_6_cram_md5_is_there_and_never_preferred(colour: Colour, certificate: Any) -> None:  # noqa: ANN401
    """go-sasl#15, #26."""
    kind = door()
    mechanisms = [CRAM_MD5, *smtpx.Server(Door, port=0)._shell.protocol.mechanisms]
    options: dict[str, Any] = {"tls": certificate.server, "mechanisms": mechanisms}
    with smtpx.ServerThread(kind, port=0, **options) as server:
        for narrowed in (None, ["CRAM-MD5"]):
            auth = Password("me", "s3cret")
            colour.open(at(server), auth=auth, auth_mechanisms=narrowed, ca_file=certificate.ca_file).quit()
    first, second = (each.mechanism for each in kind.seen)
    assert first.startswith("SCRAM-SHA-256")
    assert second == "CRAM-MD5"


async def test_users_ask_4_7_names_of_mechanisms_in_any_case() -> None:
    """aiosmtpd#305."""
    kind, made = recorders()
    async with running(kind, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await client.say("auth login dXNlcg==\r\nc2VjcmV0\r\n", 2) == ["334", "235 2.7.0"]
    assert made[0].peer.identity == "user"


@pytest.mark.parametrize("option", ["require_tls", "require_auth"])
async def test_users_ask_4_8_demanded_before_mail_with_the_right_code(option: str) -> None:
    """go-smtp#222, mailpit#241."""
    options: dict[str, Any] = {option: True, "tls": fresh_server_tls()}
    async with running(Recorder, **options) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await client.say(MAIL) == ["530 5.7.0"]
        await client.say("STARTTLS\r\n")
        await client.start_tls()
        await client.say(EHLO)
        if option == "require_auth":
            assert await client.say(MAIL) == ["530 5.7.0"]
            assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["235 2.7.0"]
        assert await client.say(MAIL) == ["250 2.1.0"]


async def test_users_ask_4_10_without_session_tickets() -> None:
    """albertito/chasquid#64, mjl-/mox#237, foxcpp/maddy#730: a client has nothing to come back with."""
    for tickets in (True, False):
        tls, trusting = fresh_server_tls(), ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        async with running(Recorder, tls=tls, implicit_tls=True, session_tickets=tickets) as server:
            has_ticket = await asyncio.to_thread(_has_ticket, server.port, trusting)
        assert has_ticket is tickets


def _has_ticket(port: int, context: ssl.SSLContext) -> bool:
    with (
        socket.create_connection(("127.0.0.1", port)) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        assert secured.recv(100).startswith(b"220")
        return secured.session is not None and secured.session.has_ticket


# 8. Messages


@pytest.mark.parametrize("bad", ["b@y.example>\r\nRCPT TO:<c@y.example", "b\n@y.example", "b@y.example\r\n", "b\0@y"])
def test_users_ask_8_3_no_line_end_gets_into_a_command(colour: Colour, bad: str) -> None:
    """cpython#87290, CVE-2026-53533: refused here, with nothing said of it."""
    kind, seen = _noting()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        for wishes in ({"sender": bad, "recipients": [TO]}, {"sender": FROM, "recipients": [TO, bad]}):
            with pytest.raises(smtpx.LocalProtocolError):
                client.send(BODY, **wishes)
        with pytest.raises(ValueError, match=r"\S"):
            client.send(BODY, sender=FROM, recipients=[TO], envid=f"x\r\n{bad}", ret="HDRS")
    assert seen == []


def _noting() -> tuple[type[smtpx.Session], list[str]]:
    seen: list[str] = []

    class Noting(smtpx.Session):
        async def mail(self, sender: object, params: object) -> None:
            seen.append(f"MAIL {sender}")

        async def rcpt(self, recipient: object, params: object) -> None:
            seen.append(f"RCPT {recipient}")

        async def data(self, body: Body) -> None:
            seen.append((await body.read()).decode())

    return Noting, seen


def test_users_ask_8_3_nor_into_a_header(colour: Colour) -> None:
    """CVE-2026-30227, CVE-2025-7962: a newline hidden in an encoded word."""
    kind, seen = _noting()
    message = EmailMessage()
    message["From"], message["To"] = FROM, TO
    message["Subject"] = "=?utf-8?q?x=0D=0ABcc:_c=40y.example?="
    message.set_content("hello")
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        with pytest.raises(ValueError, match=r"\S"):
            client.send(message)
        assert not [each for each in seen if each.startswith("Subject")]


def test_users_ask_8_4_a_bare_newline_never_leaves(colour: Colour) -> None:
    """overseers-desk/courier#62: refused, or repaired where that was asked for."""
    kind, seen = _noting()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        with pytest.raises(ValueError, match="bare"):
            client.send(b"Subject: x\n\nhello\n", sender=FROM, recipients=[TO])
        assert seen == []
        client.send(b"Subject: x\n\nhello\n", sender=FROM, recipients=[TO], normalize_newlines=True)
    assert seen[-1] == "Subject: x\r\n\r\nhello\r\n"

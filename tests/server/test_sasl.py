"""Each mechanism over TLS: our server, our clients of both colours, and other people's."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from smtpx.client.aio import AsyncConnection
from smtpx.client.sync import Connection
from smtpx.errors import AuthenticationError, UnsupportedError
from smtpx.net.tls import server_tls
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import (
    ANONYMOUS,
    CRAM_MD5,
    EXTERNAL,
    LOGIN,
    OAUTHBEARER,
    PLAIN,
    SCRAM_SHA_1,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    XOAUTH2,
    Anonymous,
    BearerToken,
    Certificate,
    Credentials,
    Password,
    ScramRecord,
    Secret,
)
from smtpx.server.listener import Server
from smtpx.server.session import Reject, Session
from smtpx.server.users import Users
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, FAST, RawClient, authority, certificate, client_tls, fresh_server_tls, running

EVERY = (
    SCRAM_SHA_256_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_1,
    OAUTHBEARER,
    XOAUTH2,
    EXTERNAL,
    PLAIN,
    LOGIN,
    CRAM_MD5,
    ANONYMOUS,
)
USERS = Users({"user": "secret"}, scram=("SCRAM-SHA-256", "SCRAM-SHA-1"))
USER = Password("user", "secret")
TOKEN = BearerToken("user", "good-token")
BY_PASSWORD = [each.name for each in USER.mechanisms()]


class Accounts(Session):
    """Logs in `user` by whatever means, and remembers who logged in."""

    logins: list[Credentials]

    async def authenticate(self, identity: Credentials) -> Reply | None:
        if identity.token is not None:
            good = identity.token.matches("good-token")
        else:
            good = identity.mechanism in ("EXTERNAL", "ANONYMOUS") or await USERS.accepts(identity)
        if not good:
            raise Reject.bad_credentials()
        self.logins.append(identity)
        return None

    async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        if mechanism == "CRAM-MD5":
            return Secret("secret") if username == "user" else None
        return USERS.lookup(mechanism, username)


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    certificate().private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    return directory / "server.pem"


@asynccontextmanager
async def accounts(tls: ssl.SSLContext | None, **options: Any) -> AsyncIterator[tuple[Server, list[Credentials]]]:  # noqa: ANN401
    logins: list[Credentials] = []
    kind = options.pop("kind", Accounts)
    session = type("Accounts", (kind,), {"logins": logins})
    async with running(session, tls=tls, mechanisms=options.pop("mechanisms", EVERY), **options) as server:
        yield server, logins


async def log_in(colour: str, server: Server, auth: Any, *mechanisms: str, **options: Any) -> None:  # noqa: ANN401
    """Connect, log in and leave, with a client of one colour."""
    scheme = options.pop("scheme", "submission")
    options = {"auth": auth, "auth_mechanisms": mechanisms or None, "hello_name": "client.example", **options}
    if scheme == "submission":
        options.setdefault("ssl_context", client_tls())
    url = f"{scheme}://localhost:{server.port}"
    if colour == "async":
        async with await AsyncConnection.open(url, **options) as connection:
            await connection.noop()
    else:
        await asyncio.to_thread(_log_in, url, options)


def _log_in(url: str, options: dict[str, Any]) -> None:
    with Connection.open(url, **options) as connection:
        connection.noop()


COLOURS = pytest.mark.parametrize("colour", ["sync", "async"])


@COLOURS
@pytest.mark.parametrize("mechanism", BY_PASSWORD)
async def test_by_password(colour: str, mechanism: str, tls_files: Path) -> None:
    async with accounts(server_tls(tls_files)) as (server, logins):
        await log_in(colour, server, USER, mechanism)
    (login,) = logins
    assert (login.mechanism, login.username) == (mechanism, "user")
    assert login.is_proven is (mechanism not in ("PLAIN", "LOGIN"))


@COLOURS
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_by_token(colour: str, mechanism: str, tls_files: Path) -> None:
    async with accounts(server_tls(tls_files)) as (server, logins):
        await log_in(colour, server, TOKEN, mechanism)
    assert logins == [Credentials(mechanism, "user", token=Secret("good-token"))]


@COLOURS
async def test_by_certificate(colour: str, tls_files: Path) -> None:
    tls = server_tls(tls_files)
    tls.verify_mode = ssl.CERT_OPTIONAL
    authority().configure_trust(tls)
    with_certificate = ssl.create_default_context()
    authority().configure_trust(with_certificate)
    authority().issue_cert("fred@example.com", common_name="fred").configure_cert(with_certificate)
    async with accounts(tls) as (server, logins):
        await log_in(colour, server, Certificate(), ssl_context=with_certificate)
        with pytest.raises(UnsupportedError):  # not offered to a client without
            await log_in(colour, server, Certificate())
    assert logins == [Credentials("EXTERNAL", "fred@example.com", is_proven=True)]


@COLOURS
async def test_by_nothing(colour: str, tls_files: Path) -> None:
    async with accounts(server_tls(tls_files)) as (server, logins):
        await log_in(colour, server, Anonymous("fred@example.com"))
    assert logins == [Credentials("ANONYMOUS", "anonymous", trace="fred@example.com")]


# What is chosen -------------------------------------------------------------------------------------------------------


@COLOURS
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_best_mechanism_is_bound_to_the_channel(colour: str, version: ssl.TLSVersion, tls_files: Path) -> None:
    tls = server_tls(tls_files)
    tls.maximum_version = version
    async with accounts(tls) as (server, logins):
        await log_in(colour, server, USER)
    assert [each.mechanism for each in logins] == ["SCRAM-SHA-256-PLUS"]


async def test_default_mechanisms_of_a_session_with_both_methods(tls_files: Path) -> None:
    class Both(Accounts):
        logins = []  # noqa: RUF012 - not used

    async with running(Both, tls=server_tls(tls_files)) as server, await RawClient.open(server) as client:
        assert b"AUTH" not in await hello(client)  # STARTTLS comes first
        assert await client.say("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n") == ["538 5.7.11"]
        assert await client.say("STARTTLS\r\n") == ["220 2.0.0"]
        await client.start_tls()
        await client.send(EHLO)
        lines = (await client.reply()).lines
        assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in lines


async def test_server_without_its_certificate_offers_no_plus_over_tls_1_3() -> None:
    async with accounts(fresh_server_tls()) as (server, logins):
        await log_in("async", server, USER)
        with pytest.raises(UnsupportedError):
            await log_in("async", server, USER, "SCRAM-SHA-256-PLUS")
    assert [each.mechanism for each in logins] == ["SCRAM-SHA-256"]


async def hello(client: RawClient) -> bytes:
    await client.send(EHLO)
    await client.reply()
    return client.received


async def test_without_tls_no_secret_is_shown_if_there_is_another_way() -> None:
    async with accounts(None, mechanisms=(PLAIN, LOGIN, CRAM_MD5), allow_insecure_auth=True) as (server, logins):
        await log_in("async", server, USER, scheme="smtp+plain")
    assert [each.mechanism for each in logins] == ["CRAM-MD5"]


async def test_a_session_that_only_looks_up_lets_in_who_has_proven_it() -> None:
    class Lookup(Session):
        async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
            return USERS.lookup(mechanism, username)

    async with running(Lookup) as server:
        await log_in("async", server, USER, scheme="smtp+plain")
        with pytest.raises(AuthenticationError):
            await log_in("async", server, Password("user", "secret", "root"), scheme="smtp+plain")
        with pytest.raises(UnsupportedError):
            await log_in("async", server, USER, "PLAIN", scheme="smtp+plain")


# Refusals -------------------------------------------------------------------------------------------------------------


@COLOURS
@pytest.mark.parametrize("mechanism", BY_PASSWORD)
async def test_h087_unknown_user_looks_like_a_wrong_password(colour: str, mechanism: str, tls_files: Path) -> None:
    errors: list[AuthenticationError] = []
    async with accounts(server_tls(tls_files)) as (server, logins):
        for auth in (Password("user", "hunter2"), Password("nobody", "hunter2")):
            with pytest.raises(AuthenticationError) as caught:
                await log_in(colour, server, auth, mechanism)
            errors.append(caught.value)
    assert logins == []
    assert str(errors[0]) == str(errors[1])
    assert [each.reply.code if each.reply else 0 for each in errors] == [535, 535]
    assert "hunter2" not in repr(errors)


@COLOURS
async def test_p45_refused_token_is_renewed_once_and_explained(colour: str, tls_files: Path) -> None:
    tokens = iter(["stale", "good-token", "stale", "staler", "stale", "stale"])
    auth = BearerToken("user", lambda: next(tokens))
    async with accounts(server_tls(tls_files), limits=FAST) as (server, logins):
        await log_in(colour, server, auth)
        assert len(logins) == 1
        with pytest.raises(AuthenticationError, match="invalid_token"):
            await log_in(colour, server, auth)
        with pytest.raises(AuthenticationError, match="Bearer"):
            await log_in(colour, server, auth, "XOAUTH2")
        assert next(tokens, None) is None
        with pytest.raises(AuthenticationError):
            await log_in(colour, server, BearerToken("user", "stale"))
    assert len(logins) == 1


async def test_d36_any_answer_to_the_error_challenge_is_535() -> None:
    command = "AUTH OAUTHBEARER bixhPXVzZXIsAWF1dGg9QmVhcmVyIHN0YWxlAQE=\r\n"
    limits = ServerLimits(error_delay_seconds=0, auth_failure_delay_seconds=0, max_auth_failures=100)
    async with (
        accounts(None, allow_insecure_auth=True, limits=limits) as (server, logins),
        await RawClient.open(server) as client,
    ):
        await hello(client)
        for answer in ("AQ==", "=", "", "*", "!", "x" * 13_000):
            assert await client.say(command) == ["334"]
            assert await client.say(f"{answer}\r\n") == ["535 5.7.8"]
        await client.probe()
    assert logins == []


@COLOURS
async def test_third_failure_closes(colour: str, tls_files: Path) -> None:
    async with accounts(server_tls(tls_files), limits=ServerLimits(max_auth_failures=1)) as (server, _):
        with pytest.raises(AuthenticationError, match="421"):
            await log_in(colour, server, Password("user", "wrong"))


async def test_h087_too_many_failures_from_one_address_end_lookups_too(tls_files: Path) -> None:
    limits = ServerLimits(auth_failure_delay_seconds=0, auth_failures_per_ip_minute=2)
    async with accounts(server_tls(tls_files), limits=limits) as (server, logins):
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="535"):
                await log_in("async", server, Password("user", "wrong"))
        with pytest.raises(AuthenticationError, match="454") as caught:
            await log_in("async", server, USER)
        assert caught.value.is_temporary
    assert logins == []


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (RuntimeError("database is gone: secret"), "451 4.3.0"),
        (Reject(535, "5.7.8", "account locked"), "535 5.7.8"),
        (Reject(454, "4.7.0", "later"), "454 4.7.0"),
        ("a text", "451 4.3.0"),
    ],
)
async def test_lookup_that_fails(outcome: object, code: str) -> None:
    class Broken(Session):
        async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome  # type: ignore[return-value] # what sessions do

    async with running(Broken) as server, await RawClient.open(server) as client:
        await hello(client)
        assert await client.say("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n") == [code]
        await client.probe()
        assert b"secret" not in client.received


async def test_connection_lost_in_a_lookup() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Session):
        async def lookup(self, mechanism: str, username: str) -> None:
            started.set()
            await go_on.wait()

    async with running(Slow) as server:
        async with await RawClient.open(server) as client:
            await hello(client)
            await client.send("AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n")
            await started.wait()
            client.reset()
        go_on.set()


# Other people's clients -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("password", "code"), [("secret", 235), ("wrong", 535)])
async def test_smtplib_cram_md5(password: str, code: int) -> None:
    async with accounts(None, mechanisms=(CRAM_MD5,)) as (server, logins):
        assert await asyncio.to_thread(_smtplib_login, server.port, password) == code
    assert [each.username for each in logins] == (["user"] if code == 235 else [])


def _smtplib_login(port: int, password: str) -> int:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        try:
            return client.login("user", password)[0]
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code


@pytest.mark.parametrize(("password", "good"), [("secret", True), ("wrong", False)])
@pytest.mark.parametrize("mechanism", [CRAM_MD5, PLAIN, LOGIN], ids=lambda each: str(each.name))
async def test_aiosmtplib(mechanism: Any, password: str, good: bool) -> None:  # noqa: ANN401
    async with accounts(None, mechanisms=(mechanism,), allow_insecure_auth=True) as (server, logins):
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=server.port, start_tls=False, use_tls=False, timeout=5)
        await client.connect()
        try:
            code, _ = await client.login("user", password)
        except aiosmtplib.SMTPAuthenticationError as error:
            code = error.code
        finally:
            client.close()
        assert code == (235 if good else 535)
    assert [each.mechanism for each in logins] == [mechanism.name] * good

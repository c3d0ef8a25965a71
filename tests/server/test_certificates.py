"""Certificates reloaded while a server runs: server-hardening 9, on real sockets."""

import asyncio
import logging
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from smtpx.errors import ConfigurationError
from smtpx.net.tls import server_tls
from smtpx.server.certificates import Certificates
from smtpx.server.listener import Listener, Server
from smtpx.server.observer import ServerObserver
from smtpx.server.session import Session
from tests.server.rig import EHLO, RawClient, Recorder, eventually, recorders, running

AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)
DAY = timedelta(days=1)


class Pair:
    """A certificate and its key, in two files that are replaced by rename, as ACME clients do it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.number = 0

    def issue(self, *, key: bool = True, chain: bool = True, **options: Any) -> bytes:  # noqa: ANN401
        """Replace them; gives the new certificate in DER."""
        self.number += 1
        options.setdefault("not_after", datetime.now(UTC) + 30 * DAY)
        leaf = AUTHORITY.issue_cert("localhost", key_type=trustme.KeyType.ECDSA, **options)
        if chain:
            self.replace(self.certificate, leaf.cert_chain_pems[0].bytes())
        if key:
            self.replace(self.key, leaf.private_key_pem.bytes())
        return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())

    def replace(self, path: Path, content: bytes) -> None:
        """Put something else there."""
        new = path.with_suffix(".new")
        new.write_bytes(content)
        os.rename(new, path)

    def tls(self) -> ssl.SSLContext:
        """A context of them."""
        return server_tls(self.certificate, self.key)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = Pair(tmp_path)
    made.issue()
    return made


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def secured(server: Server | int, context: ssl.SSLContext) -> tuple[RawClient, bytes]:
    """A client behind STARTTLS, and the certificate it was shown."""
    client = await RawClient.open(server)
    await client.say(EHLO)
    assert await client.say("STARTTLS\r\n") == ["220 2.0.0"]
    await client.start_tls(context)
    assert client.layer is not None
    shown = client.layer.peer_certificate
    assert shown is not None
    return client, shown


async def shown_by(server: Server | int) -> bytes:
    """The certificate of a new session, in which EHLO works."""
    client, shown = await secured(server, trusting())
    async with client:
        await client.say(EHLO)
    return shown


# The test of server-hardening 9 ---------------------------------------------------------------------------------------


async def test_reload_without_dropping_connections(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    async with running(tls=pair.tls(), tls_watch_seconds=None) as server:
        first = await shown_by(server)
        client, shown = await secured(server, trusting())
        async with client:
            assert shown == first
            second = pair.issue()
            assert await shown_by(server) == first  # nobody said so yet
            server.reload_tls()
            await client.probe()  # A goes on as it was
            assert await shown_by(server) == second
            pair.replace(pair.certificate, b"garbage")
            with pytest.raises(ConfigurationError, match=r"cert\.pem"):
                server.reload_tls()
            assert await shown_by(server) == second
            await client.probe()
    assert "certificates were not reloaded, the old ones stay: can't use certificate" in caplog.text


async def test_no_handshake_fails_while_certificates_are_reloaded(pair: Pair) -> None:
    """1000 handshakes, and a reload for every ten of them."""
    handshakes, reloads, at_once = 1000, 100, 8
    seen: set[bytes] = set()
    done = 0
    async with running(tls=pair.tls(), tls_watch_seconds=None) as server:
        context = trusting()

        async def connect() -> None:
            nonlocal done
            while done < handshakes:
                done += 1
                client, shown = await secured(server, context)
                async with client:
                    assert await client.say("NOOP\r\n") == ["250 2.0.0"]
                seen.add(shown)

        async def reload() -> None:
            for number in range(reloads):
                pair.issue()
                if number % 10 == 5:  # a bad one in between
                    pair.replace(pair.certificate, b"garbage")
                    with pytest.raises(ConfigurationError):
                        server.reload_tls()
                    pair.issue()
                server.reload_tls()
                await eventually(lambda: done >= 10 * number)  # noqa: B023 - called here only

        await asyncio.gather(reload(), *(connect() for _ in range(at_once)))
        last = await shown_by(server)
    assert len(seen) > reloads // 2  # else they were not spread over the handshakes
    assert server.certificates.error is None
    assert last == ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


# What is not taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda pair: pair.issue(chain=False), "KEY_VALUES_MISMATCH|key values mismatch"),
        (lambda pair: pair.issue(key=False), "KEY_VALUES_MISMATCH|key values mismatch"),
        (lambda pair: pair.replace(pair.key, b""), "can't use certificate"),
        (lambda pair: pair.certificate.unlink(), "No such file"),
        (lambda pair: pair.issue(not_after=datetime.now(UTC) - DAY), "has expired"),
        (lambda pair: pair.issue(not_before=datetime.now(UTC) + DAY), "is not valid yet"),
        (
            lambda pair: pair.replace(
                pair.certificate, pair.certificate.read_bytes() + b"-----BEGIN CERTIFICATE-----\nAAAA\n"
            ),
            "can't use certificate",
        ),
    ],
)
async def test_what_is_not_good_changes_nothing(pair: Pair, spoil: Any, what: str) -> None:  # noqa: ANN401
    async with running(tls=pair.tls(), tls_watch_seconds=None) as server:
        before, end = await shown_by(server), server.certificates.not_after
        spoil(pair)
        with pytest.raises(ConfigurationError, match=what) as caught:
            server.reload_tls()
        assert server.certificates.error == str(caught.value)
        assert server.certificates.not_after == end
        assert await shown_by(server) == before
        after = pair.issue()
        server.reload_tls()
        assert server.certificates.error is None
        assert await shown_by(server) == after


async def test_all_listeners_or_none(tmp_path: Path) -> None:
    pairs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pairs.append(Pair(tmp_path / name))
        pairs[-1].issue()
    listeners = [Listener(port=0, tls=pair.tls()) for pair in pairs]
    async with running(listeners=listeners, tls_watch_seconds=None) as server:
        ports = [int(url.rpartition(":")[2]) for url in server.addresses]
        before = [await shown_by(port) for port in ports]
        fresh = pairs[0].issue()
        pairs[1].replace(pairs[1].key, b"garbage")
        with pytest.raises(ConfigurationError):
            server.reload_tls()
        assert [await shown_by(port) for port in ports] == before
        other = pairs[1].issue()
        server.reload_tls()
        assert [await shown_by(port) for port in ports] == [fresh, other]


@pytest.mark.parametrize(
    "make", [lambda pair: None, lambda pair: server_tls(pair.certificate, pair.key, reloadable=False)]
)
async def test_nothing_to_reload(pair: Pair, make: Any) -> None:  # noqa: ANN401
    async with running(tls=make(pair)) as server:
        with pytest.raises(ConfigurationError, match="no listener has a certificate"):
            server.reload_tls()
        assert server.certificates.not_after is None


async def test_a_context_of_ones_own_stays(pair: Pair) -> None:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(pair.certificate, pair.key)
    certificates = Certificates([own, context := pair.tls()])
    certificates.reload()
    assert certificates.current(own) is own
    assert certificates.current(context) not in (None, context)
    assert certificates.current(None) is None


async def test_a_context_that_was_changed_is_not_replaced_by_one_that_is_not(pair: Pair) -> None:
    context = pair.tls()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=AUTHORITY.cert_pem.bytes().decode())
    async with running(tls=context) as server:
        with pytest.raises(ConfigurationError, match="configure="):
            server.reload_tls()
        assert server.certificates.current(context) is context


def test_h046_one_context_for_two_listeners(pair: Pair) -> None:
    shared = pair.tls()
    with pytest.raises(ConfigurationError, match="share a TLS context"):
        Server(Session, listeners=[Listener(port=0, tls=shared), Listener(port=0, tls=shared, implicit_tls=True)])


async def test_h046_a_ticket_of_another_listener(pair: Pair) -> None:
    """The same certificate, a context for each: a session of one is not resumed by the other, nor behind a reload."""
    listeners = [Listener(port=0, tls=pair.tls()) for _ in range(2)]
    async with running(listeners=listeners, tls_watch_seconds=None) as server:
        one, other = (int(url.rpartition(":")[2]) for url in server.addresses)
        resumed = [await asyncio.to_thread(resumes, one, one), await asyncio.to_thread(resumes, one, other)]
        assert resumed == [True, False]


def resumes(first: int, second: int) -> bool:
    """Whether a session that began at one port is resumed at another, by Python's own client."""
    import smtplib

    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose tickets come with the handshake
    session: Any = None
    for port in (first, second):
        with smtplib.SMTP("localhost", port) as client:
            client.ehlo()
            assert client.docmd("STARTTLS")[0] == 220
            assert client.sock is not None
            with context.wrap_socket(client.sock, server_hostname="localhost", session=session) as secure:
                client.sock = secure
                client.file = None
                client.ehlo()
                session, reused = secure.session, secure.session_reused
                client.quit()
    return bool(reused)  # pyright: ignore[reportPossiblyUnboundVariable]


# A login is bound to the certificate that is shown --------------------------------------------------------------------


async def test_channel_binding_follows_the_certificate(pair: Pair) -> None:
    kind, made = recorders(Recorder)
    async with running(kind, tls=pair.tls(), tls_watch_seconds=None) as server:
        for _ in range(2):
            client, _ = await secured(server, trusting())
            async with client:
                await client.say(EHLO)
                facts = made[-1].peer.tls
                assert client.layer is not None
                assert facts is not None
                assert facts.bindings == client.layer.facts.bindings != {}
            pair.issue()
            server.reload_tls()
    first, second = (each.peer.tls for each in made)
    assert first is not None
    assert second is not None
    assert first.bindings != second.bindings


# STARTTLS behind a reload ---------------------------------------------------------------------------------------------


async def test_a_session_that_has_no_tls_yet_gets_the_new_certificate(pair: Pair) -> None:
    async with running(tls=pair.tls(), tls_watch_seconds=None) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        fresh = pair.issue()
        server.reload_tls()
        await client.say("STARTTLS\r\n")
        await client.start_tls(trusting())
        assert client.layer is not None
        assert client.layer.peer_certificate == fresh


# Files that change ----------------------------------------------------------------------------------------------------


async def test_files_are_watched(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smtpx.server")
    async with running(tls=pair.tls(), tls_watch_seconds=0.01) as server:
        before = await shown_by(server)
        pair.replace(pair.certificate, b"garbage")
        await eventually(lambda: server.certificates.error is not None)
        assert await shown_by(server) == before
        await asyncio.sleep(0.05)  # a failure is not tried again and again
        assert caplog.text.count("certificates were not reloaded") == 1
        after = pair.issue()
        await eventually(lambda: "certificates were reloaded" in caplog.text and server.certificates.error is None)
        assert await shown_by(server) == after


def test_what_is_watched(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    certificates = Certificates([pair.tls()])
    certificates.start()
    assert certificates.are_reloadable
    assert certificates.not_after is not None
    assert not certificates.reload_if_changed()
    pair.issue()
    certificates.reload()
    assert not certificates.reload_if_changed()  # it was seen by that
    pair.issue()
    assert certificates.reload_if_changed()
    assert not certificates.reload_if_changed()
    assert not Certificates([]).are_reloadable


def test_a_certificate_that_is_not_in_force_at_the_start(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    pair.issue(not_after=datetime.now(UTC) - DAY)
    certificates = Certificates([pair.tls()])
    certificates.start()
    assert certificates.not_after is None
    assert "has expired" in caplog.text


# Clients' certificates, and who looks on ------------------------------------------------------------------------------


class Told(ServerObserver):
    def __init__(self) -> None:
        self.told: list[tuple[str | None, float | None]] = []

    def certificates_reloaded(self, error: str | None, not_after: float | None) -> None:
        self.told.append((error, not_after))


async def test_an_observer_is_told_of_reloads(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    observer = Told()
    async with running(tls=pair.tls(), tls_watch_seconds=None, observer=observer) as server:
        first = server.certificates.not_after
        pair.issue(not_after=datetime.now(UTC) + 60 * DAY)
        server.reload_tls()
        second = server.certificates.not_after
        pair.replace(pair.certificate, b"garbage")
        with pytest.raises(ConfigurationError):
            server.reload_tls()
    assert observer.told[:2] == [(None, first), (None, second)]
    assert first is not None
    assert second is not None
    assert second > first
    ((error, not_after),) = observer.told[2:]
    assert error is not None
    assert "can't use certificate" in error
    assert not_after == second

    class Broken(ServerObserver):
        def certificates_reloaded(self, error: str | None, not_after: float | None) -> None:
            raise ValueError

    pair.issue()
    async with running(tls=pair.tls(), observer=Broken()) as server:
        server.reload_tls()
    assert caplog.text.count("certificates_reloaded of the observer raised") == 2


def test_an_observer_is_told_what_is_wrong_at_the_start(pair: Pair) -> None:
    observer = Told()
    pair.issue(not_after=datetime.now(UTC) - DAY)
    Certificates([pair.tls()], observer).start()
    ((error, not_after),) = observer.told
    assert error is not None
    assert "has expired" in error
    assert not_after is None
    Certificates([], observer).start()
    assert len(observer.told) == 1


def test_the_authority_of_clients_is_watched(pair: Pair, tmp_path: Path) -> None:
    authority = tmp_path / "clients.pem"
    pair.replace(authority, AUTHORITY.cert_pem.bytes())
    context = server_tls(pair.certificate, pair.key, client_ca=authority, client_certificates="require")
    certificates = Certificates([context])
    certificates.start()
    assert not certificates.reload_if_changed()
    pair.replace(authority, trustme.CA().cert_pem.bytes())
    assert certificates.reload_if_changed()
    assert certificates.error is None
    fresh = certificates.current(context)
    assert fresh is not None
    assert fresh is not context
    assert fresh.verify_mode is ssl.CERT_REQUIRED
    assert fresh.get_ca_certs() != context.get_ca_certs()
    pair.replace(authority, b"garbage")
    assert certificates.reload_if_changed()
    assert certificates.error is not None
    assert "can't read authorities" in certificates.error

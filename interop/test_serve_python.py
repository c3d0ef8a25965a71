"""smtplib and aiosmtplib send to `smtpx serve`."""

import asyncio
import gc
import smtplib
import ssl
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiosmtplib
import pytest

from .certificates import Certificates
from .checks import stored_intact
from .letters import KINDS, Letter, make_letter
from .postfix import Account
from .serving import SmtpxServe
from .table import Row

_ALICE, _BOB = "alice@example.test", "bob@example.test"
_SENDER = "sender@example.org"


@dataclass(frozen=True, slots=True)
class Job:
    """What to send where, and how; without an authority there is no TLS, without a mechanism no AUTH."""

    server: SmtpxServe
    letter: Letter
    recipients: Sequence[str] = (_ALICE, _BOB)
    authority: str | None = None
    account: Account | None = None
    mechanism: str = ""
    options: Sequence[str] = ()

    @property
    def trust(self) -> ssl.SSLContext | None:
        """For TLS that is verified."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None


def by_smtplib(job: Job) -> Mapping[str, object]:
    """Who was refused."""
    client: smtplib.SMTP
    if job.server.scheme == "smtps":
        client = smtplib.SMTP_SSL("localhost", job.server.port, context=job.trust, timeout=30)
    elif job.server.scheme.startswith("lmtp"):
        client = smtplib.LMTP(job.server.socket_path or "localhost", job.server.port)
    else:
        client = smtplib.SMTP("localhost", job.server.port, timeout=30)
    with client:
        if job.trust and job.server.scheme == "smtp":
            client.starttls(context=job.trust)
        if job.account:
            client.ehlo()
            client.user, client.password = job.account.user, job.account.password
            method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login, "CRAM-MD5": client.auth_cram_md5}
            assert client.auth(job.mechanism, method[job.mechanism])[0] == 235
        return client.sendmail(_SENDER, job.recipients, job.letter.octets, job.options)


def by_aiosmtplib(job: Job) -> Mapping[str, object]:
    """Who was refused."""

    async def send() -> Mapping[str, object]:
        client = aiosmtplib.SMTP(
            hostname="localhost",
            port=job.server.port,
            use_tls=job.server.scheme == "smtps",
            start_tls=job.authority is not None and job.server.scheme == "smtp",
            tls_context=job.trust,
            timeout=30,
        )
        async with client:
            await client.ehlo()
            if job.account:
                method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login, "CRAM-MD5": client.auth_crammd5}
                await method[job.mechanism](job.account.user, job.account.password)
            refused, _ = await client.sendmail(_SENDER, job.recipients, job.letter.octets, mail_options=job.options)
        return refused

    gc.collect()  # so that what is complained of below is aiosmtplib's; the server is in a process of its own
    with warnings.catch_warnings():
        # It leaves its loop a transport that is still about to end TLS.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return asyncio.run(send())
        finally:
            gc.collect()


_BY_NAME: Mapping[str, Callable[[Job], Mapping[str, object]]] = {"smtplib": by_smtplib, "aiosmtplib": by_aiosmtplib}


def _peers(server: str) -> pytest.MarkDecorator:
    marked = [
        pytest.param(send, id=name, marks=pytest.mark.peer(name, direction=f"{name} → {server}"))
        for name, send in _BY_NAME.items()
    ]
    return pytest.mark.parametrize("send", marked)


Send = Callable[[Job], Mapping[str, object]]


@_peers("smtpx serve")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("kind", KINDS)
def test_message_by_starttls(
    kind: str,
    mechanism: str,
    send: Send,
    row: Row,
    serve_starttls: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter(kind)
    job = Job(serve_starttls, letter, authority=str(certificates.authority), account=robot, mechanism=mechanism)
    assert send(job) == {}
    stored_intact(serve_starttls, letter, recipients=[_ALICE, _BOB], protocol="ESMTPSA")


@_peers("smtpx serve")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("kind", ["dots", "eight-bit", "megabyte"])
def test_message_by_implicit_tls(
    kind: str,
    mechanism: str,
    send: Send,
    row: Row,
    serve_implicit: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "implicit", mechanism
    letter = make_letter(kind)
    job = Job(serve_implicit, letter, authority=str(certificates.authority), account=robot, mechanism=mechanism)
    assert send(job) == {}
    stored_intact(serve_implicit, letter, recipients=[_ALICE, _BOB], protocol="ESMTPSA")


@_peers("smtpx serve")
@pytest.mark.parametrize("kind", KINDS)
def test_message_in_clear(kind: str, send: Send, row: Row, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter(kind)
    assert send(Job(serve_open, letter)) == {}
    stored_intact(serve_open, letter, recipients=[_ALICE, _BOB], protocol="ESMTP")


@_peers("smtpx serve")
def test_every_octet_and_long_lines(send: Send, row: Row, serve_open: SmtpxServe) -> None:
    """What no standard allows, and these clients send nevertheless."""
    row.tls, row.auth = "none", "none"
    letter = make_letter()
    octets = letter.octets + bytes(set(range(256)) - {10, 13}) + b"\r\n" + b"x" * 100_000 + b"\r\n"
    letter = Letter("strange", letter.marker, octets)
    assert send(Job(serve_open, letter)) == {}
    stored_intact(serve_open, letter, recipients=[_ALICE, _BOB], protocol="ESMTP")


@_peers("smtpx serve")
def test_non_ascii_recipient(send: Send, row: Row, serve_open: SmtpxServe) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("utf8-headers")
    job = Job(serve_open, letter, ["jürgen@example.test"], options=["SMTPUTF8", "BODY=8BITMIME"])
    assert send(job) == {}
    stored_intact(serve_open, letter, recipients=["jürgen@example.test"], protocol="UTF8SMTP")


@_peers("smtpx serve")
def test_certificate_is_really_checked(
    send: Send, row: Row, serve_starttls: SmtpxServe, certificates: Certificates
) -> None:
    row.tls, row.auth = "STARTTLS, unknown CA", "none"
    letter = make_letter()
    stranger = str(certificates.strangers_key_and_chain)
    with pytest.raises((ssl.SSLError, aiosmtplib.SMTPConnectError), match=r"(?i)certificate"):
        send(Job(serve_starttls, letter, authority=stranger))
    assert not serve_starttls.maildir.find(letter)


@_peers("smtpx serve")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_wrong_password_is_refused(
    mechanism: str,
    send: Send,
    row: Row,
    serve_wrong_logins: SmtpxServe,
    certificates: Certificates,
    robot: Account,
) -> None:
    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    wrong = Account(robot.user, "not-the-one")
    authority = str(certificates.authority)
    job = Job(serve_wrong_logins, make_letter(), authority=authority, account=wrong, mechanism=mechanism)
    with pytest.raises((smtplib.SMTPAuthenticationError, aiosmtplib.SMTPAuthenticationError), match="535"):
        send(job)


@pytest.mark.peer("smtplib", direction="smtplib → smtpx serve")
@pytest.mark.parametrize("place", ["serve_lmtp", "serve_lmtp_socket"])
def test_lmtp_with_smtplib(place: str, row: Row, request: pytest.FixtureRequest) -> None:
    """For one recipient: smtplib's LMTP reads one reply, however many recipients there are."""
    server = request.getfixturevalue(place)
    row.tls, row.auth = "none, unix socket" if server.socket_path else "none", "none"
    letter = make_letter("dots")
    assert by_smtplib(Job(server, letter, [_ALICE])) == {}
    stored_intact(server, letter, protocol="LMTP")


@_peers("smtpx.Server")
def test_cram_md5(
    send: Send, row: Row, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", "CRAM-MD5"
    letter = make_letter()
    authority = str(certificates.authority)
    assert send(Job(serve_by_library, letter, authority=authority, account=robot, mechanism="CRAM-MD5")) == {}
    stored_intact(serve_by_library, letter, recipients=[_ALICE, _BOB], protocol="ESMTPSA")
    serve_by_library.wait_for_log("logged in by CRAM-MD5\n")


@_peers("smtpx.Server")
def test_one_refused_of_two(send: Send, row: Row, serve_by_library: SmtpxServe, certificates: Certificates) -> None:
    row.tls, row.auth = "STARTTLS", "none"
    letter = make_letter()
    nobody = "nobody@example.test"
    refused = send(Job(serve_by_library, letter, [nobody, _ALICE], authority=str(certificates.authority)))
    assert set(refused) == {nobody}
    stored_intact(serve_by_library, letter, protocol="ESMTPS")

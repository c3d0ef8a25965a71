"""Servers that behave like those of the big providers, as far as their documentation and their users' reports tell.

Each is smtpx's own server on loopback, with STARTTLS and a certificate for the vendor's name that a test authority has
issued: what it offers in EHLO, which login it takes, and how it refuses.
"""

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import trustme

from smtpx.extensions import BY_NAME
from smtpx.mailer.smtp import SMTPProvider
from smtpx.net.targets import Target
from smtpx.protocol.extension import Extension
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import CRAM_MD5, LOGIN, OAUTHBEARER, PLAIN, XOAUTH2, Credentials, Secret
from smtpx.sasl.mechanism import ServerMechanism
from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["VENDORS", "Account", "Trouble", "Vendor", "redirected", "vendor_server"]

MIB = 1 << 20
AUTHORITY = trustme.CA(key_type=trustme.KeyType.ECDSA)
VERIFIED = "shop.example"


class Keyword(Extension):
    """Something that only stands in the EHLO reply."""

    def __init__(self, keyword: str, value: str = "") -> None:
        self.keyword = keyword
        self.value = value

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """What stands behind it."""
        return self.value


def reply(text: str) -> Reply:
    """A reply from how it is written down; lines end in a newline."""
    code, _, rest = text.partition(" ")
    enhanced, _, more = rest.partition(" ")
    parts = enhanced.split(".")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        return Reply(int(code), EnhancedCode(*map(int, parts)), tuple(more.split("\n")))
    return Reply(int(code), None, tuple(rest.split("\n")))


@dataclass(frozen=True)
class Trouble:
    """How a vendor says no.

    Attributes:
        when: "a wrong ..." is the login, "an unverified sender" is From; whatever else happens when it is told to.
        stage: where it is said.
        text: what is said.
    """

    when: str
    stage: str
    text: str

    @property
    def is_key(self) -> bool:
        return self.when.startswith("a wrong ")

    @property
    def is_sender(self) -> bool:
        return self.when == "an unverified sender"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """What a vendor's server is like."""

    host: str
    port: int = 587
    banner: str = "ready"
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME")
    oddities: tuple[Extension, ...] = ()
    mechanisms: tuple[ServerMechanism, ...] = (PLAIN, LOGIN)
    max_bytes: int
    username: str | None
    """None: whatever one likes."""
    secret: str
    taken: str = "250 2.0.0 Ok: queued as 4FAKE"
    troubles: tuple[Trouble, ...]

    def trouble(self, when: str) -> Trouble:
        """The one of this name."""
        (found,) = (each for each in self.troubles if each.when == when)
        return found


class Account(Session):
    """A session at a vendor's server."""

    vendor: Vendor
    made: "list[Account]"
    trouble: "list[Trouble]"
    """What goes wrong next, once."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.mechanism = ""
        self.is_verified = False
        self.made.append(self)

    def _fail(self, stage: str) -> None:
        if self.trouble and self.trouble[0].stage == stage:
            raise Reject.of(reply(self.trouble.pop(0).text))

    async def connect(self) -> None:
        self._fail("greeting")

    async def authenticate(self, identity: Credentials) -> None:
        self._fail("auth")
        right = self.vendor.username in (None, identity.username)
        given = identity.token.reveal() if identity.token is not None else None
        known = given == self.vendor.secret if given is not None else identity.is_password(self.vendor.secret)
        if not (right and known):
            wrong = next(each for each in self.vendor.troubles if each.is_key)
            raise Reject.of(reply(wrong.text))
        self.mechanism = identity.mechanism

    async def lookup(self, mechanism: str, username: str) -> Secret | None:
        """For CRAM-MD5, where it is offered."""
        return Secret(self.vendor.secret)

    async def mail(self, sender: Mailbox, params: Params) -> None:
        self._fail("mail")
        self.is_verified = sender.domain == VERIFIED

    async def rcpt(self, recipient: Mailbox, params: Params) -> None:
        self._fail("rcpt")

    async def data(self, body: Body) -> Reply:
        content = await body.read()
        self._fail("final")
        for each in self.vendor.troubles:
            if each.is_sender and not self.is_verified:
                raise Reject.of(reply(each.text))
        self.messages.append(content)
        return reply(self.vendor.taken)


@contextlib.asynccontextmanager
async def vendor_server(vendor: Vendor) -> AsyncIterator[tuple[Server, type[Account]]]:
    """The vendor's server on a free port, and the class of its sessions."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(vendor.host, key_type=trustme.KeyType.ECDSA).configure_cert(context)
    kind = type("Account", (Account,), {"vendor": vendor, "made": [], "trouble": []})
    names = ("STARTTLS", "AUTH", "SIZE", *vendor.offers)
    server = Server(
        kind,
        port=0,
        tls=context,
        require_tls=True,
        require_auth=True,
        hostname=vendor.host,
        banner=vendor.banner,
        mechanisms=vendor.mechanisms,
        extensions=[*(BY_NAME[name] for name in names), *vendor.oddities],
        limits=ServerLimits(
            max_message_bytes=vendor.max_bytes, auth_failure_delay_seconds=0.0, error_delay_seconds=0.0
        ),
    )
    async with server:
        yield server, kind


def redirected(provider: SMTPProvider, vendor: Vendor, port: int) -> SMTPProvider:
    """A provider as it was configured, whose connections for the vendor's host and port end on loopback.

    Only whom it trusts is changed: the certificate is checked against the vendor's name.
    """

    def dial(target: Target, timeout_seconds: float) -> socket.socket:
        assert (target.host, target.port) == (vendor.host, vendor.port)
        return socket.create_connection(("127.0.0.1", port), timeout_seconds)

    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    provider.settings = replace(provider.settings, connect=dial, ssl_context=context)
    return provider


POSTFIX_KEYWORDS = (Keyword("VRFY"), Keyword("ETRN"))
SHARED = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")

VENDORS: Mapping[str, Vendor] = {
    "SendGrid": Vendor(
        host="smtp.sendgrid.net",
        banner="SG ESMTP service ready at geopod-ismtpd-6-0",
        oddities=(Keyword("AUTH=PLAIN", "LOGIN"),),
        max_bytes=30 * MIB,
        username="apikey",
        secret="SG.key",
        taken="250 Ok: queued as SG-1",
        troubles=(
            Trouble("a wrong key", "auth", "535 Authentication failed: Bad username / password"),
            Trouble("no credits left", "auth", "451 Authentication failed: Maximum credits exceeded"),
            Trouble(
                "an unverified sender",
                "final",
                "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error "
                "is resolved.",
            ),
            Trouble("too many recipients", "rcpt", "452 Too many recipients received this hour (throttled)"),
        ),
    ),
    "Postmark": Vendor(
        host="smtp.postmarkapp.com",
        banner="sc-ams-smtp1",
        offers=(*SHARED, "DSN"),
        oddities=(Keyword("AUTH=PLAIN", "LOGIN CRAM-MD5 DIGEST-MD5"), *POSTFIX_KEYWORDS),
        mechanisms=(PLAIN, LOGIN, CRAM_MD5),
        max_bytes=20_480_000,
        username="server-token",
        secret="server-token",
        troubles=(
            Trouble("a wrong token", "auth", "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6"),
            Trouble("a busy server", "mail", "451 4.3.0 Error: queue file write error"),
        ),
    ),
    "Amazon SES": Vendor(
        host="email-smtp.eu-central-1.amazonaws.com",
        banner="SimpleEmailService-d-EXAMPLE",
        offers=("8BITMIME",),
        oddities=(Keyword("Ok"),),
        max_bytes=40 * MIB,
        username="AKIAEXAMPLE",
        secret="smtp-password",
        taken="250 Ok 0107018cexample-000000",
        troubles=(
            Trouble("a wrong password", "auth", "535 Authentication Credentials Invalid"),
            Trouble("too many connections", "greeting", "421 Too many concurrent SMTP connections"),
            Trouble("too fast", "final", "454 Throttling failure: Maximum sending rate exceeded."),
            Trouble("the daily quota", "final", "454 Throttling failure: Daily message quota exceeded."),
            Trouble(
                "an unverified sender",
                "final",
                "554 Message rejected: Email address is not verified. The following identities failed the check in "
                "region EU-CENTRAL-1: me@elsewhere.example",
            ),
        ),
    ),
    "Mailgun": Vendor(
        host="smtp.mailgun.org",
        banner="Mailgun Influx ready",
        offers=(*SHARED, "SMTPUTF8"),
        max_bytes=25 * MIB,
        username="postmaster@mg.shop.example",
        secret="domain-password",
        taken="250 Great success",
        troubles=(
            Trouble("a wrong password", "auth", "535 Authentication failed"),
            Trouble(  # said to DATA already, where a session of ours has no say
                "a sandbox domain",
                "final",
                "421 Domain sandbox1.mailgun.org is not allowed to send: Sandbox subdomains are for test purposes "
                "only. Please add your own domain or add the address to authorized recipients in Account Settings.",
            ),
        ),
    ),
    "Mailchimp Transactional": Vendor(
        host="smtp.mandrillapp.com",
        offers=SHARED,
        oddities=POSTFIX_KEYWORDS,
        max_bytes=25 * MIB,
        username=None,
        secret="api-key",
        troubles=(
            Trouble("a wrong key", "auth", "435 4.7.8 Error: authentication failed:"),
            Trouble("a busy server", "mail", "451 4.3.0 Error: queue file write error"),
        ),
    ),
    "Gmail": Vendor(
        host="smtp.gmail.com",
        banner="a1b2c3-example - gsmtp",
        offers=(*SHARED, "CHUNKING", "SMTPUTF8"),
        mechanisms=(LOGIN, PLAIN, XOAUTH2, OAUTHBEARER),
        max_bytes=35_882_577,
        username="shop@shop.example",
        secret="abcdefghijklmnop",
        taken="250 2.0.0 OK 1700000000 a1b2c3-example - gsmtp",
        troubles=(
            Trouble(
                "a wrong app password",
                "auth",
                "535 5.7.8 Username and Password not accepted. For more information, go to\n"
                "https://support.google.com/mail/?p=BadCredentials a1b2c3-example - gsmtp",
            ),
            Trouble("the account's own password", "auth", "534 5.7.9 Application-specific password required."),
            Trouble("too many logins", "auth", "454 4.7.0 Too many login attempts, please try again later."),
            Trouble("the daily quota", "final", "550 5.4.5 Daily user sending limit exceeded."),
            Trouble("a busy server", "mail", "421 4.7.0 Temporary System Problem. Try again later."),
        ),
    ),
    "Microsoft 365": Vendor(
        host="smtp.office365.com",
        banner="Microsoft ESMTP MAIL Service ready",
        offers=(*SHARED, "DSN", "BINARYMIME", "CHUNKING", "SMTPUTF8"),
        mechanisms=(LOGIN, XOAUTH2),
        max_bytes=157_286_400,
        username="shop@shop.example",
        secret="ey.token",
        taken="250 2.0.0 OK <id@example.prod.outlook.com> [Hostname=EXAMPLE.prod.outlook.com]",
        troubles=(
            Trouble("a wrong token", "auth", "535 5.7.3 Authentication unsuccessful [EXAMPLE.PROD.OUTLOOK.COM]"),
            Trouble(
                "SMTP AUTH is switched off",
                "auth",
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit "
                "https://aka.ms/smtp_auth_disabled for more information.",
            ),
            Trouble("a password", "auth", "550 5.7.30 Basic authentication is not supported for Client Submission."),
            Trouble("too many connections", "final", "432 4.3.2 Concurrent connections limit exceeded."),
            Trouble(
                "an unverified sender",
                "final",
                "554 5.2.252 SendAsDenied; shop@shop.example not allowed to send as me@elsewhere.example",
            ),
        ),
    ),
}

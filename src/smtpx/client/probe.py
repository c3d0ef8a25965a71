"""What a server offers: a look at it that sends no mail and no password.

>>> probe("smtp://127.0.0.1:1").error.stage
'connect'
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Unpack

from smtpx.client.link import connected
from smtpx.client.settings import ClientOptions, ClientSettings, settings_for
from smtpx.errors import SMTPXError, TLSError, UnsupportedError
from smtpx.flows.exchange import quit_session, read_answer
from smtpx.flows.session import Security, SessionPlan, say_hello, start_tls
from smtpx.flows.steps import Flow
from smtpx.net.deadlines import Deadline, now
from smtpx.net.drive import run
from smtpx.net.sockets import SocketStream
from smtpx.net.targets import endpoint_text, hello_name_for
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.client import ClientProtocol
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.reply import Reply

__all__ = ["ProbeReport", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What was found, as far as the probe came.

    Attributes:
        target, address: whom it was to reach, and the address that answered (a proxy's, if one was used).
        security: what was wanted.
        greeting: the first reply.
        hello, offered: the reply to EHLO before STARTTLS, and what it offers; with TLS from the first octet, None.
        secure_hello, secure_offered: the same under TLS.
        tls: facts of TLS. Its `verified` is False when the certificate is not good.
        chain: the certificates that the server sent, in DER, its own first.
        certificate_error: why the certificate is not good, as OpenSSL says; the probe went on without verification.
        seconds: how long each step took: connect, greeting, hello, tls.
        error: what ended the probe early.
    """

    target: str
    security: Security
    address: str | None = None
    greeting: Reply | None = None
    hello: Reply | None = None
    offered: Capabilities = field(default_factory=Capabilities)
    tls: TLSFacts | None = None
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    certificate_error: str | None = None
    secure_hello: Reply | None = None
    secure_offered: Capabilities = field(default_factory=Capabilities)
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    error: SMTPXError | None = None


def probe(url: str | ClientSettings, **options: Unpack[ClientOptions]) -> ProbeReport:
    """Look at a server. What goes wrong on the way stands in the report; credentials are not used.

    The certificate is checked whatever the URL says. If it is not good, a second connection looks at the rest without
    checking; if that does not come as far, the report is of the first. `timeout` is for each connection.

    Raises:
        ConfigurationError: for settings that make no sense.
    """
    try:
        settings = replace(settings_for(url, **options), auth=None)
    finally:
        del url, options  # a password may stand in them, and some tools show the variables of each frame
    report = _Visit(settings, verify=True).report()
    if isinstance(report.error, TLSError) and report.error.is_certificate:
        why = report.error.message
        unchecked = _Visit(settings, verify=False).report()
        report = replace(unchecked if unchecked.tls is not None else report, certificate_error=why)
    return report


class _Visit:
    """One connection."""

    def __init__(self, settings: ClientSettings, *, verify: bool) -> None:
        # Verification follows from the security that is wanted; opportunistic TLS would take anything.
        wanted = Security.STARTTLS if settings.security is Security.OPPORTUNISTIC else settings.security
        ca_file = settings.ca_file if verify else None
        self._settings = replace(settings, security=wanted, verify=verify and settings.verify, ca_file=ca_file)
        self._found = ProbeReport(target=str(settings.target), security=settings.security)
        self._seconds: dict[str, float] = {}
        self._since = 0.0

    def report(self) -> ProbeReport:
        """Go there, look, and leave."""
        try:
            self._look()
        except SMTPXError as error:
            self._note(error=error)
        return replace(self._found, seconds=MappingProxyType(self._seconds))

    def _note(self, **found: object) -> None:
        self._found = replace(self._found, **found)  # type: ignore[arg-type] # fields of many types

    def _took(self, step: str) -> None:
        self._seconds[step] = now() - self._since
        self._since = now()

    def _look(self) -> None:
        settings = self._settings
        deadline = Deadline(settings.timeout)
        implicit = settings.security is Security.IMPLICIT
        self._since = now()
        stream = connected(settings, deadline.limit(settings.timeouts.connect))
        self._took("connect")
        self._note(address=endpoint_text(stream.peer))
        try:
            tls = stream.start_tls(deadline.limit(settings.timeouts.tls)) if implicit else None
            if tls is not None:
                self._secured(stream, tls)
            protocol = ClientProtocol(dialect=settings.dialect, limits=settings.protocol_limits, tls=tls)
            run(self._talk(protocol, stream), stream, deadline)
        except SMTPXError as error:
            error.stage = error.stage or "connect"
            raise
        finally:
            stream.close()

    def _secured(self, stream: SocketStream, tls: TLSFacts) -> None:
        layer = stream.tls_layer
        self._took("tls")
        self._note(tls=tls, chain=layer.peer_chain if layer is not None else ())

    def _talk(self, protocol: ClientProtocol, stream: SocketStream) -> Flow[None]:
        settings = self._settings
        plan = SessionPlan(
            hello_name=settings.hello_name or hello_name_for(stream.local),
            security=settings.security,
            timeouts=settings.timeouts,
        )
        greeting = yield from read_answer(protocol, plan.timeouts)
        self._took("greeting")
        self._note(greeting=greeting.reply)
        if not greeting.is_positive:
            raise greeting.refusal()
        yield from say_hello(protocol, plan)
        self._took("hello")
        self._heard(protocol)
        if protocol.tls is None and settings.security is Security.STARTTLS:
            yield from self._secure(protocol, plan, stream)
        yield from quit_session(protocol, plan.timeouts)

    def _secure(self, protocol: ClientProtocol, plan: SessionPlan, stream: SocketStream) -> Flow[None]:
        if "STARTTLS" in protocol.capabilities:
            self._since = now()
            self._secured(stream, (yield from start_tls(protocol, plan)))
            yield from say_hello(protocol, plan)
            self._heard(protocol)
        elif self._found.security is Security.STARTTLS:
            self._note(error=UnsupportedError("the server offers no STARTTLS", keyword="STARTTLS", stage="starttls"))

    def _heard(self, protocol: ClientProtocol) -> None:
        if protocol.tls is None:
            self._note(hello=protocol.hello_reply, offered=protocol.capabilities)
        else:
            self._note(secure_hello=protocol.hello_reply, secure_offered=protocol.capabilities)

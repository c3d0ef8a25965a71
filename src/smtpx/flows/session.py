"""From the connection to READY: greeting, hello, STARTTLS, hello again, AUTH."""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from smtpx.errors import AuthenticationError, LocalProtocolError, RefusedError, TLSError, UnsupportedError
from smtpx.flows.exchange import command, read_answer, write
from smtpx.flows.steps import Flow, StartTLS, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.facts import TLSFacts
from smtpx.sasl import AuthExchange, ClientMechanism, ExchangeContext, SASLError, choose
from smtpx.wire.codes import Severity
from smtpx.wire.syntax import has_controls

__all__ = ["Authentication", "Security", "SessionPlan", "authenticate", "check_hello_name", "open_session", "start_tls"]

_TRY_HELO = frozenset({500, 502, 504})  # "what is EHLO?"; any other refusal means what it says
MAX_AUTH_LINE_BYTES = 12_288  # RFC 4954 4


class Security(Enum):
    """How a connection is protected. One choice, never two booleans that contradict each other."""

    NONE = "none"  # never TLS
    OPPORTUNISTIC = "opportunistic"  # STARTTLS when offered, certificate not verified
    STARTTLS = "starttls"  # STARTTLS or nothing, verified
    IMPLICIT = "implicit"  # TLS from the first octet, verified


class Authentication(Protocol):
    """Credentials of some kind, with the mechanisms they can be used with, best first."""

    def mechanisms(self) -> Sequence[ClientMechanism]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """What a session is to become.

    `trusted_path`: nobody can listen (loopback or unix socket), or the user said not to care; secrets may then go
    without verified TLS. `host`, `port`: of the server, for mechanisms that name it.
    """

    hello_name: str
    security: Security = Security.STARTTLS
    auth: Authentication | None = None
    auth_mechanisms: Sequence[str] | None = None
    trusted_path: bool = False
    host: str = ""
    port: int = 0
    timeouts: Timeouts = field(default_factory=Timeouts)


def check_hello_name(name: str) -> str:
    """The name itself.

    Raises:
        LocalProtocolError: if it can't stand in a hello.
    """
    if not name or has_controls(name) or not name.isascii() or any(char in name for char in " <>") or len(name) > 255:
        raise LocalProtocolError("the hello name is a host name or an address literal", stage="hello")
    return name


def open_session(protocol: ClientProtocol, plan: SessionPlan) -> Flow[None]:
    """Greeting to READY, as the plan says.

    Raises:
        RefusedError: greeting, hello or STARTTLS was refused.
        UnsupportedError: what the plan demands is not offered. Nothing secret was sent.
        AuthenticationError, TLSError: as they say.
    """
    check_hello_name(plan.hello_name)
    greeting = yield from read_answer(protocol, plan.timeouts)
    if greeting.reply.code != 220:
        raise greeting.refusal()
    yield from say_hello(protocol, plan)
    if protocol.tls is None and plan.security in (Security.STARTTLS, Security.OPPORTUNISTIC):
        yield from _secure(protocol, plan)
    if plan.auth is not None:
        yield from authenticate(protocol, plan)


def say_hello(protocol: ClientProtocol, plan: SessionPlan) -> Flow[None]:
    """EHLO, or LHLO; HELO only for a server that does not know EHLO."""
    dialect = protocol.dialect
    answer = yield from command(protocol, plan.timeouts, dialect.extended_hello, plan.hello_name)
    if answer.reply.code in _TRY_HELO and dialect.plain_hello:
        answer = yield from command(protocol, plan.timeouts, dialect.plain_hello, plan.hello_name)
    if not answer.is_positive:
        raise answer.refusal()


def _secure(protocol: ClientProtocol, plan: SessionPlan) -> Flow[None]:
    required = plan.security is Security.STARTTLS or (plan.auth is not None and not plan.trusted_path)
    if "STARTTLS" not in protocol.capabilities:
        if required:
            raise UnsupportedError("the server offers no STARTTLS", keyword="STARTTLS", stage="starttls")
        return
    try:
        yield from start_tls(protocol, plan)
    except RefusedError:
        if required:
            raise
        return  # opportunistic, and the server can't just now: go on in clear on the same connection
    yield from say_hello(protocol, plan)


def start_tls(protocol: ClientProtocol, plan: SessionPlan) -> Flow[TLSFacts]:
    """STARTTLS and the handshake. Everything learnt before is forgotten; say hello again.

    Raises:
        RefusedError, TLSError, RemoteProtocolError: the last when something stood behind the 220 in clear.
    """
    answer = yield from command(protocol, plan.timeouts, "STARTTLS")
    if not answer.is_positive:
        raise answer.refusal()
    try:
        tls: TLSFacts = yield StartTLS(plan.timeouts.tls)
    except TLSError:
        protocol.connection_closed()
        raise
    protocol.tls_started(tls)
    return tls


def authenticate(protocol: ClientProtocol, plan: SessionPlan) -> Flow[Answer]:
    """AUTH with the best mechanism that both sides have and that is safe here.

    Raises:
        UnsupportedError: no mechanism in common, or none that may be used on this connection.
        AuthenticationError: the server refused.
    """
    auth = plan.auth
    if auth is None:
        raise LocalProtocolError("there are no credentials", stage="auth")
    offered = protocol.capabilities.offer("AUTH")
    if offered is None:
        raise UnsupportedError("the server offers no AUTH", keyword="AUTH", stage="auth")
    tls = protocol.tls
    context = ExchangeContext(
        bindings=tls.bindings if tls is not None else {},
        offered=tuple(name.upper() for name in offered),
        host=plan.host,
        port=plan.port,
    )
    usable = [each for each in auth.mechanisms() if context.bindings or not each.needs_binding]
    verified = tls is not None and tls.verified
    safe = plan.trusted_path or verified
    if not verified:  # what shows nothing to a listener first
        usable.sort(key=lambda each: each.reveals_secret)
    chosen = choose([each for each in usable if safe or not each.reveals_secret], offered, plan.auth_mechanisms)
    if chosen is None:
        if choose(usable, offered, plan.auth_mechanisms):
            text = "only clear-text mechanisms in common, and the connection is not protected by verified TLS"
        else:
            text = f"no mechanism in common; the server offers {' '.join(offered) or 'none'}"
        raise UnsupportedError(text, keyword="AUTH", stage="auth")
    exchange = _start(chosen, context)
    try:
        return (yield from _exchange(protocol, plan, chosen, exchange))
    except AuthenticationError as error:
        if not chosen.is_renewable or error.reply is None or error.reply.code != 535:
            raise
        again = _start(chosen, context)
        if again.initial_response() == exchange.initial_response():
            raise  # the same token would be refused again
    return (yield from _exchange(protocol, plan, chosen, again))


def _start(mechanism: ClientMechanism, context: ExchangeContext) -> AuthExchange:
    try:
        return mechanism.start(context)
    except SASLError as error:
        raise AuthenticationError(f"{mechanism.name} given up: {error}", mechanism=mechanism.name) from error


def _exchange(
    protocol: ClientProtocol, plan: SessionPlan, mechanism: ClientMechanism, exchange: AuthExchange
) -> Flow[Answer]:
    shown = f"AUTH {mechanism.name} ****"
    initial = exchange.initial_response()
    argument, later = mechanism.name, None
    if initial is not None:
        text = _base64(initial) or "="
        if len("AUTH ") + len(mechanism.name) + 1 + len(text) + 2 > MAX_AUTH_LINE_BYTES:
            later = initial  # too long for the command line: it waits for an empty challenge
        else:
            argument = f"{mechanism.name} {text}"
    yield from write(protocol, plan.timeouts, protocol.command("AUTH", argument, shown=shown))
    answer = yield from read_answer(protocol, plan.timeouts)
    while answer.reply.severity is Severity.CONTINUE:
        if later is not None:
            response, later = later, None
        else:
            try:
                response = exchange.respond(binascii.a2b_base64(answer.reply.text.strip().encode("ascii", "replace")))
            except ValueError as error:
                yield from _cancel(protocol, plan, mechanism, error)
                raise
        yield from write(protocol, plan.timeouts, protocol.respond(_base64(response).encode()))
        answer = yield from read_answer(protocol, plan.timeouts)
    if not answer.is_positive:
        reason = exchange.explain_failure()
        text = f"{mechanism.name} refused: {answer.reply}" + (f" ({reason})" if reason else "")
        raise AuthenticationError(text, mechanism=mechanism.name, reply=answer.reply)
    try:
        exchange.complete()
    except SASLError as error:
        protocol.connection_closed()  # whoever is there is not the server
        raise AuthenticationError(f"{mechanism.name} given up: {error}", mechanism=mechanism.name) from error
    return answer


def _cancel(protocol: ClientProtocol, plan: SessionPlan, mechanism: ClientMechanism, cause: ValueError) -> Flow[None]:
    yield from write(protocol, plan.timeouts, protocol.respond(b"*"))
    answer = yield from read_answer(protocol, plan.timeouts)
    what = str(cause) if isinstance(cause, SASLError) else "a challenge that is not base64"
    raise AuthenticationError(f"{mechanism.name} given up: {what}", mechanism=mechanism.name, reply=answer.reply) from cause


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()

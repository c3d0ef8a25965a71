"""From the connection to READY: greeting, hello, STARTTLS, hello again, AUTH."""

import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from smtpx.errors import (
    AuthenticationError,
    LocalProtocolError,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TransportError,
    UnsupportedError,
)
from smtpx.flows.exchange import command, read_answer, write
from smtpx.flows.steps import Call, Flow, StartTLS, Timeouts
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.facts import TLSFacts
from smtpx.sasl import AuthExchange, ClientMechanism, ExchangeContext, SASLError, choose
from smtpx.wire.codes import Severity
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import has_controls

__all__ = [
    "Authentication",
    "Security",
    "SessionPlan",
    "authenticate",
    "check_hello_name",
    "open_session",
    "say_hello",
    "start_tls",
]

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
        RemoteProtocolError: for a reply that nobody asked for; TemporaryRefusal when it is a 421.
    """
    check_hello_name(plan.hello_name)
    greeting = yield from read_answer(protocol, plan.timeouts)
    if not greeting.is_positive:
        raise greeting.refusal()
    yield from say_hello(protocol, plan)
    if protocol.tls is None and plan.security in (Security.STARTTLS, Security.OPPORTUNISTIC):
        yield from _secure(protocol, plan)
    if plan.auth is not None:
        yield from authenticate(protocol, plan)
    _expect_clean(protocol)


def _expect_clean(protocol: ClientProtocol) -> None:
    """See that nothing came behind the last reply; such a connection could carry no message."""
    protocol.next_answer()
    if not protocol.is_clean:
        protocol.connection_closed()
        raise RemoteProtocolError("a reply that nobody asked for", stage="hello")


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
    before = protocol.capabilities.offer("AUTH") or ()
    try:
        yield from start_tls(protocol, plan)
    except RefusedError:
        if required or protocol.is_closed:  # closed by a 421
            raise
        return  # opportunistic, and the server can't just now: go on in clear on the same connection
    yield from say_hello(protocol, plan)
    after = protocol.capabilities.offer("AUTH") or ()
    protocol.mechanisms_lost = tuple(name for name in before if name not in after)


def start_tls(protocol: ClientProtocol, plan: SessionPlan) -> Flow[TLSFacts]:
    """STARTTLS and the handshake. Everything learnt before is forgotten; say hello again.

    Raises:
        RefusedError, TransportError.
        LocalProtocolError: if TLS is active already.
        RemoteProtocolError: if something stood behind the 220 in clear.
    """
    if protocol.tls is not None:
        raise LocalProtocolError("TLS is active already", stage="starttls")
    answer = yield from command(protocol, plan.timeouts, "STARTTLS")
    if not answer.is_positive:
        raise answer.refusal()
    try:
        tls: TLSFacts = yield StartTLS(plan.timeouts.tls)
    except TransportError as error:
        protocol.connection_closed()
        error.stage = error.stage or "starttls"
        raise
    protocol.tls_started(tls)
    return tls


def authenticate(protocol: ClientProtocol, plan: SessionPlan) -> Flow[Answer]:
    """AUTH with the best mechanism that both sides have and that is safe here.

    Raises:
        UnsupportedError: no mechanism in common, or none that may be used on this connection.
        AuthenticationError: the server refused, or there was nothing to log in with: `__cause__` is what the callable
            for a token raised.
    """
    auth = plan.auth
    if auth is None:
        raise LocalProtocolError("there are no credentials", stage="auth")
    if protocol.identity is not None:
        raise LocalProtocolError(f"already logged in as {protocol.identity}", stage="auth")  # RFC 4954 4
    offered = protocol.capabilities.offer("AUTH")
    if offered is None:
        raise UnsupportedError("the server offers no AUTH", keyword="AUTH", stage="auth")
    context = _context(protocol, plan, offered)
    usable = _usable(protocol, plan, context)
    chosen = choose(usable, offered, plan.auth_mechanisms)
    if chosen is None:
        if choose(auth.mechanisms(), offered, plan.auth_mechanisms):
            text = "only clear-text mechanisms in common, and the connection is not protected by verified TLS"
        else:
            text = f"no mechanism in common; the server offers {' '.join(offered) or 'none'}"
        raise UnsupportedError(text, keyword="AUTH", stage="auth")
    exchange = yield from _start(plan, chosen, context)
    try:
        answer = yield from _exchange(protocol, plan, chosen, exchange)
    except AuthenticationError as error:
        unbound = None
        if chosen.needs_binding and _is_verified(protocol) and plan.auth_mechanisms is None and _binding_refused(error):
            unbound = choose(usable, offered, [chosen.name.removesuffix("-PLUS")])
        again = yield from _renewed(plan, chosen, context, exchange, error)
        if unbound is not None:
            chosen, again = unbound, (yield from _start(plan, unbound, replace(context, bindings={})))
        if again is None:
            raise
        answer = yield from _exchange(protocol, plan, chosen, again)
    protocol.identity = getattr(auth, "username", chosen.name)
    return answer


def _is_verified(protocol: ClientProtocol) -> bool:
    return protocol.tls is not None and protocol.tls.verified


def _context(protocol: ClientProtocol, plan: SessionPlan, offered: tuple[str, ...]) -> ExchangeContext:
    bindings: Mapping[str, bytes] = protocol.tls.bindings if protocol.tls is not None else {}
    names = tuple(name.upper() for name in offered)
    return ExchangeContext(bindings=bindings, offered=names, host=plan.host, port=plan.port)


def _usable(protocol: ClientProtocol, plan: SessionPlan, context: ExchangeContext) -> list[ClientMechanism]:
    """The mechanisms that may be used on this connection, best first."""
    mechanisms = plan.auth.mechanisms() if plan.auth is not None else ()
    usable = [each for each in mechanisms if context.bindings or not each.needs_binding]
    if not _is_verified(protocol):
        usable.sort(key=lambda each: each.reveals_secret)  # what shows nothing to a listener first
        if not plan.trusted_path:
            usable = [each for each in usable if not each.reveals_secret]
    return usable


def _start(plan: SessionPlan, mechanism: ClientMechanism, context: ExchangeContext) -> Flow[AuthExchange]:
    try:
        if mechanism.fetch is not None:
            context = replace(context, fetched=(yield from _fetched(plan, mechanism, mechanism.fetch)))
        return mechanism.start(context)
    except SASLError as error:
        raise AuthenticationError(f"{mechanism.name} given up: {error}", mechanism=mechanism.name) from error


def _fetched(plan: SessionPlan, mechanism: ClientMechanism, fetch: Callable[[], object]) -> Flow[object]:
    """What a callable of the caller's gives; nothing of AUTH is said yet."""
    try:
        return (yield Call(fetch, plan.timeouts.auth))
    except SMTPXError as error:
        error.stage = error.stage or "auth"
        raise
    except SASLError:
        raise
    except Exception as error:  # whatever it raises, with texts of its own that may hold anything
        text = f"{mechanism.name} given up: the callable for it raised {type(error).__name__}"
        failed = AuthenticationError(text, mechanism=mechanism.name)
        failed.is_temporary = isinstance(error, OSError)  # of the network, most likely
        raise failed from error


def _binding_refused(error: AuthenticationError) -> bool:
    """Whether a server knows the mechanism but not our way to name the channel.

    It says so before it asks anything. Python can't always name the channel as a server would have it (RFC 9266), and
    where the certificate is verified nobody in between could profit from a proof that is not bound to the channel.
    """
    return error.reply is not None and error.reply.code >= 500 and not error.was_challenged


def _renewed(
    plan: SessionPlan,
    mechanism: ClientMechanism,
    context: ExchangeContext,
    refused: AuthExchange,
    error: AuthenticationError,
) -> Flow[AuthExchange | None]:
    """Another exchange behind a 535, if it has anything else to say."""
    if not mechanism.is_renewable or error.reply is None or error.reply.code != 535:
        return None
    again = yield from _start(plan, mechanism, context)
    return again if again.initial_response() != refused.initial_response() else None


def _exchange(
    protocol: ClientProtocol, plan: SessionPlan, mechanism: ClientMechanism, exchange: AuthExchange
) -> Flow[Answer]:
    argument, later = _first_words(mechanism.name, exchange.initial_response())
    said = [argument.partition(" ")[2]]
    silent = argument == mechanism.name
    octets = protocol.command("AUTH", argument, shown=f"AUTH {mechanism.name} ****")
    try:
        yield from write(protocol, plan.timeouts, octets)
        answer = yield from read_answer(protocol, plan.timeouts)
        if silent and answer.reply.severity is Severity.COMPLETED:
            protocol.connection_closed()
            raise RemoteProtocolError(f"{mechanism.name} succeeded before we said who we are", stage="auth")
        while answer.reply.severity is Severity.CONTINUE:
            if later is not None:
                response, later = later, None
            else:
                response = yield from _response(protocol, plan, mechanism, exchange, answer, said)
            said.append(_base64(response))
            yield from write(protocol, plan.timeouts, protocol.respond(said[-1].encode()))
            answer = yield from read_answer(protocol, plan.timeouts)
        _conclude(protocol, mechanism, exchange, answer, said)
        return answer
    finally:
        # Tools that show the variables of each frame find no secret here.
        said.clear()
        argument = response = octets = later = None  # type: ignore[assignment]


def _conclude(
    protocol: ClientProtocol, mechanism: ClientMechanism, exchange: AuthExchange, answer: Answer, said: list[str]
) -> None:
    if not answer.is_positive:
        reason = exchange.explain_failure()
        reply = _without(said, answer.reply)
        text = f"{mechanism.name} refused: {reply}" + (f" ({reason})" if reason else "")
        challenged = len(said) > 1
        raise AuthenticationError(text, mechanism=mechanism.name, reply=reply, was_challenged=challenged)
    try:
        exchange.complete()
    except SASLError as error:
        protocol.connection_closed()  # whoever is there is not the server
        raise AuthenticationError(f"{mechanism.name} given up: {error}", mechanism=mechanism.name) from error


def _first_words(name: str, initial: bytes | None) -> tuple[str, bytes | None]:
    """The argument of AUTH; what is too long for a command line waits for an empty challenge (RFC 4954 4)."""
    if initial is None:
        return name, None
    argument = f"{name} {_base64(initial) or '='}"
    return (name, initial) if len("AUTH ") + len(argument) + 2 > MAX_AUTH_LINE_BYTES else (argument, None)


def _response(
    protocol: ClientProtocol,
    plan: SessionPlan,
    mechanism: ClientMechanism,
    exchange: AuthExchange,
    challenge: Answer,
    said: list[str],
) -> Flow[bytes]:
    """The answer to a 334; `*` if there is none."""
    text = challenge.reply.text.strip().encode("ascii", "replace")
    try:
        return exchange.respond(binascii.a2b_base64(text, strict_mode=True))
    except ValueError as error:
        yield from write(protocol, plan.timeouts, protocol.respond(b"*"))
        answer = yield from read_answer(protocol, plan.timeouts)
        if answer.is_positive:
            protocol.connection_closed()
            raise RemoteProtocolError(f"{mechanism.name} goes on although it was cancelled", stage="auth") from error
        if not isinstance(error, SASLError):
            protocol.connection_closed()
            raise RemoteProtocolError(f"a challenge of {mechanism.name} is not base64", stage="auth") from error
        what = str(error)
        shown = f"{mechanism.name} given up: {what}"
        raise AuthenticationError(shown, mechanism=mechanism.name, reply=_without(said, answer.reply)) from error


def _without(said: list[str], reply: Reply) -> Reply:
    """The reply without our own words, which some servers repeat."""
    lines = reply.lines
    for word in said:
        if len(word) > 1:
            lines = tuple(line.replace(word, "****") for line in lines)
    return reply if lines == reply.lines else Reply(reply.code, reply.enhanced, lines, reply.close)


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()

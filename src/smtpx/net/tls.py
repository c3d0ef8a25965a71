"""TLS over buffers of our own (RFC 3207, RFC 8314): one layer for client and server, blocking and not.

Owning the buffers makes "discard what came in clear" a fact and not a hope, and keeps us away from the differences
between event loops.
"""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from smtpx.errors import ConfigurationError, TLSError
from smtpx.net.certificates import CertificateFiles, first_certificate
from smtpx.net.channel_binding import end_point
from smtpx.net.server_hello import MAX_BYTES, group_in
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import ascii_domain
from smtpx.wire.syntax import WireError

__all__ = [
    "Recipe",
    "TLSLayer",
    "client_context",
    "recipe_of",
    "remember_certificate",
    "server_tls",
    "without_tickets",
]

_READ_BYTES = 65536
_EXPORTER = (b"EXPORTER-Channel-Binding", 32)  # RFC 9266 4
_end_points: "WeakKeyDictionary[ssl.SSLContext, bytes]" = WeakKeyDictionary()
_recipes: "WeakKeyDictionary[ssl.SSLContext, Recipe]" = WeakKeyDictionary()
_ASKED_FOR = "_smtpx_server_name"
_NOT_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"})
_DER = 2  # how Python below 3.13 is told which form a certificate is wanted in


def client_context(*, verify: bool = True, ca_file: str | Path | None = None) -> ssl.SSLContext:
    """A context for clients: TLS 1.2 or newer, certificate and name checked unless `verify` is False.

    Raises:
        ConfigurationError: if `ca_file` can't be read.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"can't read certificates from {ca_file}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Recipe:
    """How `server_tls` made a context, so that another one can be made when the files are new.

    `files` are the certificates, `client_ca` the authorities of clients; `settings` is what the context was told, to
    see whether anybody changed it since.
    """

    make: Callable[[], ssl.SSLContext]
    files: tuple[CertificateFiles, ...]
    settings: tuple[object, ...]
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that were read."""
        own = tuple(path for each in self.files for path in each.paths)
        return own if self.client_ca is None else (*own, self.client_ca)

    def check(self, context: ssl.SSLContext) -> None:
        """See that nobody changed a context that was made so: what was changed would be lost with the next one.

        Raises:
            ConfigurationError: if somebody did.
        """
        if self.settings != _settings_of(context):
            raise ConfigurationError(
                "a TLS context was changed after server_tls made it: make the change in server_tls(configure=...), "
                "so that it is made again when certificates are reloaded"
            )


def recipe_of(context: ssl.SSLContext) -> Recipe | None:
    """How `server_tls` made this context; None if it did not, or is not to do so again."""
    return _recipes.get(context)


def server_tls(
    certificate: str | Path,
    key: str | Path | None = None,
    *,
    names: Mapping[str, tuple[str | Path, str | Path | None]] | None = None,
    client_ca: str | Path | None = None,
    client_certificates: Literal["request", "require"] = "request",
    session_tickets: bool = True,
    configure: Callable[[ssl.SSLContext], None] | None = None,
    reloadable: bool = True,
) -> ssl.SSLContext:
    """A context for one listener, from PEM files: TLS 1.2 or newer, no renegotiation, no compression, ALPN `smtp`.

    Args:
        names: more certificates with their keys, by the name that a client asks for (SNI): `mail.example.org`, or
            `*.example.org` for any one label. Who asks for none of them gets the first certificate.
        client_ca: certificates of authorities, in PEM; clients are asked for a certificate that one of them has issued,
            and may then log in with EXTERNAL. Let it be an authority of your own: a public one gives anybody one.
        client_certificates: "request" serves clients without a certificate too, "require" breaks the handshake with
            them. Both break it with a client whose certificate is not good.
        session_tickets: False gives out none, for peers that give up when they are to resume a session.
        configure: called with each context that is made, for settings of your own.
        reloadable: False if the files will not be there any more when a server reloads its certificates.

    Raises:
        ConfigurationError: if a file can't be read, or a key does not belong to its certificate.
    """
    if client_certificates == "require" and client_ca is None:
        raise ConfigurationError('client_certificates="require" needs client_ca')
    clients = _Clients(Path(client_ca), client_certificates == "require") if client_ca is not None else None
    default = CertificateFiles.of(certificate, key)
    more = {_sni_name(name): CertificateFiles.of(*pair) for name, pair in (names or {}).items()}

    def make() -> ssl.SSLContext:
        context = _server_context(default, clients, session_tickets, configure)
        by_name = {name: _server_context(files, clients, session_tickets, configure) for name, files in more.items()}
        if by_name:
            context.sni_callback = _chooser(by_name)
        if reloadable:
            own = _settings_of(context)
            _recipes[context] = Recipe(make, (default, *more.values()), own, clients.authorities if clients else None)
        return context

    return make()


@dataclass(frozen=True, slots=True)
class _Clients:
    """Whose certificates clients may show, and whether they must."""

    authorities: Path
    is_required: bool

    def configure(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(self.authorities)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"can't read authorities from {self.authorities}: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED if self.is_required else ssl.CERT_OPTIONAL


def _server_context(
    files: CertificateFiles,
    clients: _Clients | None,
    session_tickets: bool,
    configure: Callable[[ssl.SSLContext], None] | None,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["smtp"])
    if not session_tickets:
        without_tickets(context)
    context.sni_callback = _remember_name
    key = files.key or files.certificate
    try:
        context.load_cert_chain(str(files.certificate), str(key), _no_passphrase)
        remember_certificate(context, files.certificate)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"can't use certificate {files.certificate} with key {key}: {error}") from error
    if clients is not None:
        clients.configure(context)
    if configure is not None:
        configure(context)
    return context


def without_tickets(context: ssl.SSLContext | None) -> None:
    """Give out no session tickets; nor does the context that `server_tls` makes in this one's place."""
    if context is None:
        return
    recipe = _recipes.get(context)
    is_unchanged = recipe is not None and recipe.settings == _settings_of(context)
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    if recipe is not None and is_unchanged:
        make = recipe.make

        def make_without() -> ssl.SSLContext:
            made = make()
            without_tickets(made)
            return made

        _recipes[context] = replace(recipe, make=make_without, settings=_settings_of(context))


def _no_passphrase() -> str:
    # OpenSSL would ask at the terminal, and stop the whole server until somebody answers.
    raise OSError("the key is protected by a passphrase")


def _sni_name(name: str) -> str:
    wildcard, bare = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        return wildcard + ascii_domain(bare)
    except WireError as error:
        raise ConfigurationError(f"not a name for a certificate: {error.detail}") from None


def _settings_of(context: ssl.SSLContext) -> tuple[object, ...]:
    """What can be read of a context's settings."""
    return (
        *(context.minimum_version, context.maximum_version, context.options, context.num_tickets),
        *(context.verify_mode, context.verify_flags, context.sni_callback, sorted(context.cert_store_stats().items())),
        [cipher["name"] for cipher in context.get_ciphers()],
    )


def _chooser(by_name: Mapping[str, ssl.SSLContext]) -> Callable[..., None]:
    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        _remember_name(connection, name, context)
        wanted = (name or "").lower()
        chosen = by_name.get(wanted) or by_name.get(f"*.{wanted.partition('.')[2]}")
        if chosen is not None:
            connection.context = chosen

    return choose


def remember_certificate(context: ssl.SSLContext, certificate: str | Path) -> None:
    """Tell which certificate a server's context has, so that logins can be bound to it: OpenSSL would not say.

    `server_tls` does so. Do it for a context of your own, and after each `load_cert_chain`; else SCRAM-...-PLUS is not
    offered over TLS 1.3, unless the running Python can export keying material.

    Raises:
        OSError: if the file can't be read.
    """
    _end_points.pop(context, None)
    own = first_certificate(certificate)
    binding = end_point(own) if own is not None else None
    if binding is not None:
        _end_points[context] = binding


class TLSLayer:
    """Octets of TLS in, octets of SMTP out, and the other way round.

    `receive` takes what the socket gave; `output` is what must go to the socket. `is_ready` once the handshake is done;
    `has_ended` once the peer has said that nothing more comes.

    Raises:
        TLSError: if the context checks names and there is none, or none that TLS knows.
    """

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool = False, server_hostname: str | None = None
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._server_side = server_side
        self._verified = context.verify_mode == ssl.CERT_REQUIRED and (server_side or context.check_hostname)
        self._may_verify = server_side and context.verify_mode == ssl.CERT_OPTIONAL
        if context.check_hostname and not server_side and not server_hostname:
            raise TLSError("there is no host name that the certificate could be checked against")
        try:
            self._object = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        except ValueError as error:
            raise TLSError(f"not a name for TLS: {error}") from error
        self._servers_words = bytearray()  # of the handshake, for the group
        self._group: str | None = None
        self.is_ready = False
        self.has_ended = False

    def start(self) -> None:
        """Begin the handshake; a client has something to send then.

        Raises:
            TLSError: if it fails.
        """
        self._handshake()

    def receive(self, data: bytes) -> bytes:
        """Take octets of TLS, empty at the end of the connection; give what they hold.

        Raises:
            TLSError: if the handshake fails or the stream is damaged. `output` may hold an alert to send.
        """
        if data:
            self._incoming.write(data)
            if not (self.is_ready or self._server_side):
                self._remember(data)
        else:
            self._incoming.write_eof()
        if not self.is_ready and not self._handshake():
            return b""
        pieces: list[bytes] = []
        try:
            while piece := self._object.read(_READ_BYTES):
                pieces.append(piece)
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.has_ended = True  # said, or cut off: what was complete before still counts
        except ssl.SSLError as error:
            raise TLSError(f"TLS failed: {_reason(error)}") from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes) -> None:
        """Encrypt octets of SMTP.

        Raises:
            TLSError: if the layer is broken.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[self._object.write(view) :]
        except ssl.SSLError as error:
            raise TLSError(f"TLS failed: {_reason(error)}") from error

    def output(self) -> bytes:
        """Octets for the socket, all there are."""
        octets = self._outgoing.read()
        if self._server_side and not self.is_ready:
            self._remember(octets)
        return octets

    def close(self) -> None:
        """Say that nothing more comes; `output` holds the alert."""
        with suppress(ssl.SSLError, ValueError):  # the peer's own close_notify is not waited for
            self._object.unwrap()

    @property
    def facts(self) -> TLSFacts:
        """What was agreed on. Only once `is_ready`."""
        cipher = self._object.cipher()
        return TLSFacts(
            version=self._object.version() or "unknown",
            cipher=cipher[0] if cipher else "unknown",
            verified=self._verified or (self._may_verify and self.peer_certificate is not None),
            server_name=getattr(self._object, _ASKED_FOR, None) or self._object.server_hostname,
            group=self._group,
            bindings=self._bindings(),
            peer_identity=self._peer_identity() if self._server_side else None,
        )

    def _remember(self, octets: bytes) -> None:
        self._servers_words += octets[: MAX_BYTES - len(self._servers_words)]

    def _agreed_group(self) -> str | None:
        """Of the key exchange: as it was said on the wire, so that it has one name whatever the Python."""
        ask: Callable[[], str | None] | None = getattr(self._object, "group", None)  # Python 3.15
        return group_in(bytes(self._servers_words)) or (ask() if ask is not None else None)

    def _bindings(self) -> dict[str, bytes]:
        """Names of this channel, best first: what each version of TLS has as its default, then the certificate."""
        channel = self._object
        found: dict[str, bytes | None] = {}
        export = getattr(channel, "export_keying_material", None)
        if channel.version() == "TLSv1.3" and export is not None:  # no Python has it yet
            found["tls-exporter"] = export(*_EXPORTER)
        if channel.version() == "TLSv1.2":  # RFC 8446 C.5: undefined in 1.3
            found["tls-unique"] = channel.get_channel_binding("tls-unique")
        certificate = None if self._server_side else self.peer_certificate
        found["tls-server-end-point"] = end_point(certificate) if certificate else _end_points.get(channel.context)
        return {kind: data for kind, data in found.items() if data}

    def _peer_identity(self) -> str | None:
        """Whom a client's certificate names: its first e-mail address, else its common name. None if not verified.

        Nor if the name has characters that could mislead in a log, a header field or a table of users.
        """
        certificate: dict[str, Any] = dict(self._object.getpeercert() or {})  # empty unless it was verified
        names: list[str] = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "email"]
        names += [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
        return names[0] if names and names[0].isprintable() and names[0].strip() == names[0] != "" else None

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER, or None."""
        return self._object.getpeercert(binary_form=True)

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """The certificates that the peer sent, in DER, its own first. Only its own where Python can't tell the rest."""
        ask = getattr(self._object, "get_unverified_chain", None)  # Python 3.13
        ask = ask or getattr(getattr(self._object, "_sslobj", None), "get_unverified_chain", None)
        chain: list[Any] = (ask() if ask is not None else None) or [self.peer_certificate or b""]
        found = [each if isinstance(each, bytes) else each.public_bytes(_DER) for each in chain]
        return tuple(each for each in found if each)

    def _handshake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise TLSError(f"the certificate is not good: {error.verify_message}", is_certificate=True) from error
        except ssl.SSLError as error:
            raise TLSError(f"TLS handshake failed: {_reason(error)}", reason=_kind(error)) from error
        self.is_ready = True
        self._group = self._agreed_group()
        self._servers_words.clear()
        return True


def _remember_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
    # The only place where a server learns the name; `server_hostname` is the client's.
    setattr(connection, _ASKED_FOR, name)


def _kind(error: ssl.SSLError) -> str:
    """A handshake's failure in a word; see `TLSError`."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLEOFError):
        return "eof"
    if "PROTOCOL" in reason or "VERSION_TOO" in reason:
        return "version"  # ours or, as TLSV1_ALERT_PROTOCOL_VERSION, the peer's opinion
    if "ALERT" in reason:
        return "alert"
    return "not_tls" if reason in _NOT_TLS else "other"


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error)

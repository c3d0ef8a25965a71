"""A mail backend for Django: `MAILERS` of Django 6.1, and `EMAIL_BACKEND` of older ones.

    # Django 6.1 and newer
    MAILERS = {
        "default": {
            "BACKEND": "smtpx.adapters.django.EmailBackend",
            "OPTIONS": {"url": "submission://user:secret@mail.example.org"},
        },
    }

    # before 6.1
    EMAIL_BACKEND = "smtpx.adapters.django.EmailBackend"
    EMAIL_SMTPX = {"url": "submission://user:secret@mail.example.org"}

See docs/frameworks.md.
"""

import logging
import re
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smtpx.adapters.errors import DeliveryError, as_delivery_error
from smtpx.adapters.pools import Pool, Pools
from smtpx.client.settings import ClientSettings, settings_for
from smtpx.client.sync import Client
from smtpx.errors import ConfigurationError, LocalProtocolError, SMTPXError, UnsupportedError
from smtpx.extensions.dsn import NOTIFY, RET
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.flows.steps import Timeouts
from smtpx.message.address import AddressError, read_address
from smtpx.net.targets import Target
from smtpx.net.tls import client_context
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import Param
from smtpx.wire.syntax import WireError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

    DJANGO: tuple[int, int, int, str, int]
    settings: Any = None
    sync_to_async: Callable[..., Any]
    DNS_NAME: Any = None

    class Signal:
        def connect(self, receiver: Callable[..., object], *, weak: bool = True) -> None: ...
        def disconnect(self, receiver: Callable[..., object]) -> bool: ...
        def send_robust(self, sender: object, **named: object) -> object: ...

    class BaseEmailBackend:
        alias: str | None

        def __init__(self, **kwargs: object) -> None: ...
        def __enter__(self) -> "Self": ...
        def __exit__(self, *_: object) -> None: ...

    class InvalidMailer(Exception):
        def __init__(self, msg: str, *, alias: str | None = None) -> None: ...

else:
    try:
        from asgiref.sync import sync_to_async
        from django import VERSION as DJANGO
        from django.conf import settings
        from django.core.mail.backends.base import BaseEmailBackend
        from django.core.mail.utils import DNS_NAME
        from django.dispatch import Signal
    except ImportError as error:
        raise ImportError("this needs smtpx[django]: pip install 'smtpx[django]'") from error
    try:
        from django.core.mail import InvalidMailer
    except ImportError:  # before 6.1
        from django.core.exceptions import ImproperlyConfigured

        class InvalidMailer(ImproperlyConfigured):
            """What Django 6.1 raises for options that make no sense."""

            def __init__(self, msg: str, *, alias: str | None = None) -> None:
                super().__init__(msg if alias is None else f"MAILERS[{alias!r}]: {msg}")


__all__ = ["DeliveryError", "EmailBackend", "InvalidOptions", "recipients_refused"]

_log = logging.getLogger("smtpx.adapters.django")
_POOLS = Pools()
_ON_PARTIAL = ("report", "raise")
_NO_DOMAIN = re.compile(r"([^\s<>@\"]+)(>?)\s*\Z")
_DSN: Mapping[str, Param[Any]] = {"notify": NOTIFY, "ret": RET}
_NO_CONNECTION = ("connect", "greeting", "hello", "starttls", "auth")  # stages: the next message will fare no better
_CLIENT_OPTIONS = ("ca_file", "hello_name", "local_address", "max_connections")
_OLD_SETTINGS = {
    "host": "EMAIL_HOST",
    "port": "EMAIL_PORT",
    "username": "EMAIL_HOST_USER",
    "password": "EMAIL_HOST_PASSWORD",
    "use_tls": "EMAIL_USE_TLS",
    "use_ssl": "EMAIL_USE_SSL",
    "timeout": "EMAIL_TIMEOUT",
    "ssl_keyfile": "EMAIL_SSL_KEYFILE",
    "ssl_certfile": "EMAIL_SSL_CERTFILE",
}

# Sent for each message that a server has refused for some or all of its recipients, with `message` and `result`.
recipients_refused = Signal()


class InvalidOptions(InvalidMailer, ConfigurationError):
    """Options of a mailer that make no sense, alone or together. It names the mailer."""

    def __init__(self, message: str, *, alias: str | None = None) -> None:
        ConfigurationError.__init__(self, message if alias is None else f"MAILERS[{alias!r}]: {message}")


class Email(Protocol):
    """What is used of Django's `EmailMessage`. After sending it has `smtpx_result`, a `SendResult` or None."""

    from_email: object
    smtpx_result: SendResult | None

    def recipients(self) -> list[Any]: ...
    def message(self, **options: object) -> Any: ...  # noqa: ANN401 - a message object of any kind


class EmailBackend(BaseEmailBackend):
    """Sends Django's messages over a pool of connections that the process keeps; may be shared by threads.

    Args:
        url: where and how, e.g. `submission://user:secret@mail.example.org`; or the next arguments, but not both.
        host, port, username, password, use_tls, use_ssl, ssl_keyfile, ssl_certfile: as for Django's own SMTP backend.
            `username` and `password` may stand beside `url`, and win over it. Without TLS asked for, a loopback host
            is spoken to in clear, others use it where it is offered.
        timeout: seconds that each step may take; None: the times of RFC 5321.
        max_connections: that the process has open at once for this mailer.
        verify: False switches certificate checks off. For tests.
        ca_file: certificates of authorities to trust instead of the system's.
        hello_name: what we call ourselves; None: the host's full name.
        local_address: the IP address to connect from.
        dsn: who is to be told what becomes of messages (RFC 3461): `{"notify": ["FAILURE"], "ret": "HDRS"}`.
        on_partial: "report": a message that some recipients were refused is sent to the others, logged and signalled.
            "raise": it is sent to nobody, and raised.
        fail_silently: swallow `DeliveryError`.

    Raises:
        InvalidOptions: for options that make no sense.
    """

    url: str | None
    host: str | None
    port: int | None
    username: str | None
    password: str | None
    use_tls: bool
    use_ssl: bool
    timeout: float | None
    ssl_keyfile: str | Path | None
    ssl_certfile: str | Path | None
    max_connections: int | None
    verify: bool
    ca_file: str | Path | None
    hello_name: str | None
    local_address: str | None
    dsn: Mapping[str, Any]
    on_partial: str

    def __init__(
        self,
        *,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        use_tls: bool | None = None,
        fail_silently: bool = False,
        use_ssl: bool | None = None,
        timeout: float | None = None,
        ssl_keyfile: str | Path | None = None,
        ssl_certfile: str | Path | None = None,
        max_connections: int | None = None,
        verify: bool | None = None,
        ca_file: str | Path | None = None,
        hello_name: str | None = None,
        local_address: str | None = None,
        dsn: Mapping[str, Any] | None = None,
        on_partial: str | None = None,
        **kwargs: object,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in EmailBackend.__annotations__}
        super().__init__(**kwargs)
        if not hasattr(self, "alias"):  # before 6.1 the base class takes anything, and forgets it
            self.alias = _alias_of(kwargs)
        for name, value in _completed(given, self.alias).items():
            setattr(self, name, value)
        self.fail_silently = fail_silently
        self._lock = threading.RLock()
        self._pool: Pool | None = None  # between open and close
        self._check()

    # What Django calls ---------------------------------------------------------------------------------------------

    def open(self) -> bool | None:
        """Have a connection to the server that answers; a backend that is used without makes do by itself.

        Returns:
            True, or False if this backend was open before, or None after an error that passed silently.
        """
        with self._lock:
            if self._pool is not None and _POOLS.holds(self._pool):
                return False
            pool = _POOLS.take(self._key, self._client)
            try:
                pool.client.ping()  # None: all are in use, so there is a server
            except SMTPXError as error:
                _POOLS.give_back(pool, close=True)
                if self.fail_silently:
                    return None
                raise as_delivery_error(error) from error
            self._pool = pool
            return True

    def close(self) -> None:
        """Say QUIT on connections that lie idle, unless others use this mailer now. It may be used again."""
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is None:
                _POOLS.close(self._key)
            else:
                _POOLS.give_back(pool, close=True)

    def send_messages(self, email_messages: Iterable[Any]) -> int:
        """Send messages, one after the other; each that was tried has `smtpx_result` then.

        Returns:
            How many were accepted for at least one recipient.

        Raises:
            DeliveryError: nobody got a message; those behind it were not tried.
            ValueError: a message that can't be sent: a bad address, a header with a newline.
        """
        sent = 0
        with ExitStack() as stack:
            client: Client | None = None
            for message in email_messages or ():
                message.smtpx_result = None
                if not message.recipients():
                    continue
                letter = _Letter(message)
                client = client or stack.enter_context(_POOLS.using(self._key, self._client))
                try:
                    self._send(client, letter)
                except DeliveryError as error:
                    if not self.fail_silently:
                        raise
                    if error.stage in _NO_CONNECTION:
                        break
                else:
                    sent += 1
        return sent

    async def asend_messages(self, email_messages: Iterable[Any]) -> int:
        """`send_messages` for coroutines: in a thread, so that the loop goes on meanwhile."""
        sent: int = await sync_to_async(self.send_messages, thread_sensitive=False)(email_messages)
        return sent

    def _send(self, client: Client, letter: "_Letter") -> None:
        strict = self.on_partial == "raise"
        result: SendResult | None = None
        try:
            result = letter.send(client, strict=strict, dsn=self.dsn)
        except LocalProtocolError:  # a ValueError, as Django raises them for what can't be sent
            raise
        except SMTPXError as error:
            result = error.result
            raise as_delivery_error(error) from error
        finally:
            _tell(letter.message, result)

    # Options ---------------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> tuple[object, ...]:
        return (self.alias, *(getattr(self, name) for name in EmailBackend.__annotations__ if name != "dsn"))

    def _check(self) -> None:
        """See now, not when the first message is sent, whether the options make sense."""
        if self.on_partial not in _ON_PARTIAL:
            raise InvalidOptions(f"'on_partial' is {' or '.join(map(repr, _ON_PARTIAL))}", alias=self.alias)
        for name, value in self.dsn.items():
            try:
                _DSN[name].parse(value if isinstance(value, str) else ",".join(value))
            except KeyError:
                raise InvalidOptions(
                    f"'dsn' has {' and '.join(map(repr, _DSN))}, not {name!r}", alias=self.alias
                ) from None
            except (WireError, TypeError) as error:
                raise InvalidOptions(f"'dsn': {error}", alias=self.alias) from error
        self.client_settings()

    def client_settings(self) -> ClientSettings:
        """The options as settings of a client, without a certificate of our own.

        Raises:
            InvalidOptions.
        """
        try:
            return self._settings()
        except (ConfigurationError, WireError) as error:
            raise InvalidOptions(str(error), alias=self.alias) from error

    def _settings(self) -> ClientSettings:
        # Only what was given: the URL's query may say it too.
        given = {name: getattr(self, name) for name in _CLIENT_OPTIONS if getattr(self, name) is not None}
        options: dict[str, Any] = {**self._login(), **given}
        if not self.verify:
            options["verify"] = False
        if self.timeout is not None:
            options["timeouts"] = _timeouts(self.timeout)
        made = settings_for(self._address(), **options)
        if self.url is not None and made.security is Security.IMPLICIT and made.target.port == 587:
            text = "smtps:// is TLS from the first octet, and on port 587 it begins with STARTTLS: write submission://"
            raise ConfigurationError(text)
        return made

    def _address(self) -> str:
        """The URL, without a user where `username` says who it is."""
        if self.url is not None:
            scheme, separator, rest = self.url.partition("://")
            place = re.split("[/?]", rest, maxsplit=1)[0]
            keep = self.username is None or "@" not in place
            return self.url if keep else f"{scheme}{separator}{place.rpartition('@')[2]}{rest[len(place) :]}"
        if self.use_tls and self.use_ssl:
            text = "the 'use_ssl' and 'use_tls' options are incompatible: set at most one of them to True"
            raise ConfigurationError(text)
        host = str(self.host)
        local = Target(host).is_local
        scheme = "smtps" if self.use_ssl else "smtp+starttls" if self.use_tls else "smtp+plain" if local else "smtp"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def _login(self) -> dict[str, str]:
        if self.username and self.password:
            return {"username": self.username, "password": self.password}
        if self.url is not None and self.username is None and self.password:
            return {"password": self.password}
        return {}  # as in Django: one without the other is no login

    def _client(self) -> Client:
        made = self.client_settings()
        if self.ssl_certfile or self.ssl_keyfile:
            made = replace(made, ca_file=None, ssl_context=self._context())
        return Client(made)

    def _context(self) -> "ssl.SSLContext":
        context = client_context(verify=self.verify, ca_file=self.ca_file)
        try:
            context.load_cert_chain(self.ssl_certfile or self.ssl_keyfile or "", self.ssl_keyfile)
        except OSError as error:
            text = f"can't use the certificate of 'ssl_certfile' with the key of 'ssl_keyfile': {error}"
            raise InvalidOptions(text, alias=self.alias) from error
        return context


class _Letter:
    """A message with its envelope, made before a connection is needed.

    Raises:
        ValueError: if it can't be sent.
    """

    def __init__(self, message: Email) -> None:
        self.message = message
        self.sender = NULL_SENDER if str(message.from_email) == "<>" else _mailbox(message.from_email)
        self.recipients = list(dict.fromkeys(map(_mailbox, message.recipients())))
        # Django's own serialisation, so that projects which override a part of it get what they want.
        written = message.message(policy=SMTP) if DJANGO >= (6, 0) else message.message()
        del written["Bcc"]  # before 6.1 a header of this name is possible
        self._octets: bytes = written.as_bytes() if DJANGO >= (6, 0) else written.as_bytes(linesep="\r\n")

    def send(self, client: Client, *, strict: bool, dsn: Mapping[str, Any]) -> SendResult:
        try:
            return self._send(client, self._octets, strict=strict, dsn=dsn)
        except UnsupportedError as error:
            if error.keyword != "8BITMIME":
                raise
            # As an object it can be encoded anew; Django's own objects can't always be written in 7 bits.
            return self._send(client, message_from_bytes(self._octets), strict=strict, dsn=dsn)

    def _send(self, client: Client, content: Any, *, strict: bool, dsn: Mapping[str, Any]) -> SendResult:  # noqa: ANN401
        return client.send(
            content, sender=self.sender, recipients=self.recipients, strict=strict, normalize_newlines=True, **dsn
        )


def _mailbox(address: object) -> Mailbox:
    """An envelope address from what stands in a message, with or without a name; a domain in A-labels.

    A local part alone, as in `mail_admins` of many projects, gets this host's name: RFC 5321 has no address without.
    """
    text = str(address)
    if "@" not in text and (match := _NO_DOMAIN.search(text)):
        text = f"{text[: match.start()]}{match[1]}@{DNS_NAME.get_fqdn()}{match[2]}"
    try:
        mailbox = read_address(text).mailbox
        if not mailbox.local_part.isascii():
            raise AddressError("the local part is not ASCII")
        return mailbox if mailbox.domain.isascii() else mailbox.to_ascii_domain()
    except (AddressError, WireError) as error:
        raise ValueError(f"Invalid address {str(address)!r}: {error}") from None


def _tell(message: Email, result: SendResult | None) -> None:
    message.smtpx_result = result
    if result is None or not result.refused:
        return
    refusals = "; ".join(map(str, result.refused.values()))
    _log.warning("%d of %d recipients refused: %s", len(result.refused), len(message.recipients()), refusals)
    # What a receiver raises is logged by Django: the message is out, and an error would have it sent once more.
    recipients_refused.send_robust(EmailBackend, message=message, result=result)


def _alias_of(kwargs: Mapping[str, Any]) -> str | None:
    alias: str | None = kwargs.get("alias")
    if unknown := ", ".join(repr(name) for name in kwargs if name != "alias"):
        raise InvalidOptions(f"Unknown options {unknown}.", alias=alias)
    return alias


def _completed(given: dict[str, Any], alias: str | None) -> dict[str, Any]:
    """Options with what settings and defaults add to them. Those of a mailer of `MAILERS` stand for themselves."""
    if alias is None:
        given = _with_settings(given)
    if given["url"] is not None:
        for name in ("host", "port", "use_tls", "use_ssl"):
            if given[name] is not None:
                raise InvalidOptions(f"'url' says it all: leave out {name!r}", alias=alias)
    elif given["host"] is None:
        raise InvalidOptions("OPTIONS must define 'url' or 'host'.", alias=alias)
    for name in ("use_tls", "use_ssl"):
        given[name] = bool(given[name])
    if given["url"] is None and not given["port"]:
        given["port"] = 465 if given["use_ssl"] else 587 if given["use_tls"] else 25
    given["verify"] = given["verify"] is not False
    return {**given, "dsn": given["dsn"] or {}, "on_partial": given["on_partial"] or "report"}


def _with_settings(given: dict[str, Any]) -> dict[str, Any]:
    own: Mapping[str, Any] = getattr(settings, "EMAIL_SMTPX", {})
    if unknown := ", ".join(repr(name) for name in own if name not in given):
        raise InvalidOptions(f"EMAIL_SMTPX: Unknown options {unknown}.")
    given = {name: own.get(name) if value is None else value for name, value in given.items()}
    if given["url"] is None and own.get("host") is None:
        for name, setting in _OLD_SETTINGS.items():
            if given[name] is None:
                given[name] = getattr(settings, setting)
    return given


def _timeouts(seconds: float) -> Timeouts:
    if not seconds > 0:
        raise ConfigurationError("'timeout' must be more than 0 seconds; None is for the times of RFC 5321")
    return Timeouts(**{each.name: float(seconds) for each in fields(Timeouts)})

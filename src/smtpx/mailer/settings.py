"""A mailer from a URL, or from the environment.

>>> provider_from_url("memory:").provider_type
'memory'
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from smtpx.errors import ConfigurationError
from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.failover import FailoverProvider, RoundRobinProvider
from smtpx.mailer.local import ConsoleProvider, FileProvider, MemoryProvider
from smtpx.mailer.observer import MailObserver
from smtpx.mailer.provider import Provider
from smtpx.mailer.rate_limit import RateLimit
from smtpx.mailer.service import MailService
from smtpx.mailer.smtp import SMTPProvider
from smtpx.sasl import Secret

__all__ = ["MailerSettings", "mailer_from_url", "provider_from_url"]

_SEVERAL = {"failover+": FailoverProvider, "roundrobin+": RoundRobinProvider}
_DEFAULT_BURST = 20


def _flag(text: str) -> bool:
    found = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in found:
        raise ValueError
    return found[text.lower()]


_OWN: Mapping[str, Callable[[str], Any]] = {"from": str, "rate": float, "burst": int, "strict": _flag}


def provider_from_url(url: str, **options: Any) -> Provider:  # noqa: ANN401 - those of the provider that it names
    """A provider.

    `submission://user:secret@mail.example.org` and every URL that clients take is an `SMTPProvider`. Its query may also
    have `from`, `rate` (messages in a second, 0 for no limit), `burst` and `strict`. `memory:` and `console:` are what
    they say, `file:///var/spool/mail-out` writes .eml files. `failover+URL URL` and `roundrobin+URL URL` are several,
    with spaces between.

    Args:
        options: keyword arguments of the provider; of each one, where there are several.

    Raises:
        ConfigurationError: naming what can't be understood. Never shows a password.
    """
    for prefix, several in _SEVERAL.items():
        if url.startswith(prefix):
            return several([provider_from_url(each, **options) for each in url.removeprefix(prefix).split()])
    scheme = url.partition(":")[0].lower()
    sender: str = options.get("from_email", "")
    if scheme in ("memory", "console"):
        if url.partition(":")[2].strip("/"):
            raise ConfigurationError(f"{scheme}: takes nothing more")
        return (MemoryProvider if scheme == "memory" else ConsoleProvider)(from_email=sender)
    if scheme == "file":
        return FileProvider(_path(url), from_email=sender)
    plain, own = _split_query(url)
    return SMTPProvider.from_url(plain, **{**_conduct(own), **options})


def mailer_from_url(
    url: str,
    *,
    from_email: str = "",
    telemetry: bool = False,
    **options: Any,  # noqa: ANN401 - of the service
) -> MailService:
    """A service with one provider, which the URL says: see `provider_from_url`.

    Args:
        from_email: sender of messages that name none.
        telemetry: metrics and spans by OpenTelemetry's global providers; needs smtpx[otel].
        options: keyword arguments of `MailService`.

    Raises:
        ConfigurationError: naming what is wrong.
    """
    if telemetry:
        options = {"observer": _telemetry(), **options}
    return MailService(provider_from_url(url, **({"from_email": from_email} if from_email else {})), **options)


def _telemetry() -> MailObserver:
    from smtpx.telemetry.mail import MailTelemetry

    return MailTelemetry()


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc or not parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError("file:// needs the path of a directory and nothing else: file:///var/spool/mail-out")
    return Path(unquote(parts.path))


def _split_query(url: str) -> tuple[str, dict[str, str]]:
    """A URL as clients take it, and what of its query is the provider's."""
    place, mark, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    own = {name: text for name, text in pairs if name in _OWN}
    if not own:
        return url, own
    rest = [(name, text) for name, text in pairs if name not in _OWN]
    return place + (mark + urlencode(rest) if rest else ""), own


def _conduct(own: Mapping[str, str]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, text in own.items():
        try:
            read[name] = _OWN[name](text)
        except ValueError:
            raise ConfigurationError(f"option {name} in the URL can't be understood") from None
    if "rate" in read or "burst" in read:
        read["rate_limit"] = RateLimit(read.pop("rate", 10.0), read.pop("burst", _DEFAULT_BURST))
    if "from" in read:
        read["from_email"] = read.pop("from")
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class MailerSettings:
    """What an environment, or a mapping of the same names, says.

    Attributes:
        url: SMTPX_URL; see `provider_from_url`.
        from_email: SMTPX_FROM, sender of messages that name none.
        username: SMTPX_USERNAME, if it is not in the URL.
        password: SMTPX_PASSWORD, or what is in the file that SMTPX_PASSWORD_FILE names.
        rate: SMTPX_RATE, messages in a second; 0 for no limit.
        burst: SMTPX_BURST, messages at once.
        max_connections: SMTPX_MAX_CONNECTIONS.
        timeout: SMTPX_TIMEOUT, seconds for one message.
        ca_file: SMTPX_CA_FILE, authorities to trust.
        strict: SMTPX_STRICT, whether one refused recipient stops a message for all.
        max_recipients: SMTPX_MAX_RECIPIENTS.
        max_message_bytes: SMTPX_MAX_MESSAGE_BYTES.
        telemetry: SMTPX_TELEMETRY, whether OpenTelemetry is told.
    """

    url: str
    from_email: str = ""
    username: str = ""
    password: Secret | None = None
    rate: float | None = None
    burst: int | None = None
    max_connections: int | None = None
    timeout: float | None = None
    ca_file: str | None = None
    strict: bool = False
    max_recipients: int | None = None
    max_message_bytes: int | None = None
    telemetry: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "MailerSettings":
        """Read it. Blank is as if it were not there.

        Args:
            environment: default: that of this process.

        Raises:
            ConfigurationError: SMTPX_URL is missing, a value can't be understood, or a name looks like a mistake.
        """
        given = {
            name: text.strip()
            for name, text in (os.environ if environment is None else environment).items()
            if name.startswith("SMTPX_") and text.strip()
        }
        values: dict[str, Any] = {}
        for name, text in given.items():
            field, read = _VARIABLES.get(name, ("", str))
            if not field:
                _check_name(name)
                continue
            try:
                values[field] = read(text)
            except ValueError:
                raise ConfigurationError(f"{name} can't be understood") from None
            except OSError as error:
                raise ConfigurationError(f"{name}: {error.strerror}") from None
        if "url" not in values:
            raise ConfigurationError("SMTPX_URL is missing, such as submission://mail.example.org or console:")
        if "SMTPX_PASSWORD" in given and "SMTPX_PASSWORD_FILE" in given:
            raise ConfigurationError("SMTPX_PASSWORD or SMTPX_PASSWORD_FILE, not both")
        return cls(**values)

    def provider(self) -> Provider:
        """A provider as they say.

        Raises:
            ConfigurationError: they make no sense together.
        """
        options: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("from_email", "username", "max_connections", "timeout", "ca_file", "strict")
            if getattr(self, name)
        }
        if self.password is not None:
            options["password"] = self.password.reveal()
        if self.rate is not None or self.burst is not None:
            rate = 10.0 if self.rate is None else self.rate
            options["rate_limit"] = RateLimit(rate, _DEFAULT_BURST if self.burst is None else self.burst)
        return provider_from_url(self.url, **options)

    def service(self, **options: Any) -> MailService:  # noqa: ANN401 - of the service
        """A `MailService` as they say, with more options on top."""
        return MailService(self.provider(), **{**self.limits(), **options})

    def sync_service(self, **options: Any) -> SyncMailService:  # noqa: ANN401 - of the service
        """A `SyncMailService` as they say, with more options on top."""
        return SyncMailService(self.provider(), **{**self.limits(), **options})

    def limits(self) -> dict[str, Any]:
        """What of them `MailService` takes itself.

        Raises:
            ConfigurationError: OpenTelemetry is wanted, and smtpx[otel] is not there.
        """
        names = ("max_recipients", "max_message_bytes")
        own = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {**own, "observer": _telemetry()} if self.telemetry else own


def _read_secret(path: str) -> Secret:
    return Secret(Path(path).read_text(encoding="utf-8").rstrip("\r\n"))


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "SMTPX_URL": ("url", str),
    "SMTPX_FROM": ("from_email", str),
    "SMTPX_USERNAME": ("username", str),
    "SMTPX_PASSWORD": ("password", Secret),
    "SMTPX_PASSWORD_FILE": ("password", _read_secret),
    "SMTPX_RATE": ("rate", float),
    "SMTPX_BURST": ("burst", int),
    "SMTPX_MAX_CONNECTIONS": ("max_connections", int),
    "SMTPX_TIMEOUT": ("timeout", float),
    "SMTPX_CA_FILE": ("ca_file", str),
    "SMTPX_STRICT": ("strict", _flag),
    "SMTPX_MAX_RECIPIENTS": ("max_recipients", int),
    "SMTPX_MAX_MESSAGE_BYTES": ("max_message_bytes", int),
    "SMTPX_TELEMETRY": ("telemetry", _flag),
}


def _check_name(name: str) -> None:
    """Other SMTPX_ names are the command's; one that nearly is ours is a slip of the pen."""
    close = difflib.get_close_matches(name, list(_VARIABLES), n=1, cutoff=0.85)
    if close:
        raise ConfigurationError(f"{name} is unknown; did you mean {close[0]}?")

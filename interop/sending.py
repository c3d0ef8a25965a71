"""The three ways in which smtpx sends: the command, `smtpx.Client`, `smtpx.AsyncClient`."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .postfix import Account

if TYPE_CHECKING:
    from smtpx import BearerToken
    from smtpx.client.settings import ClientOptions
    from smtpx.sasl import Certificate

__all__ = ["LIBRARY_WAYS", "WAYS", "Order", "Outcome", "Way", "address_of", "send_by_command"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, from whom, to whom, and through which server; `authority` None: as if nothing was said of trust.

    `options` are for the command alone; `mechanisms`, `auth` and `client_certificate` for the library.
    """

    url: str
    octets: bytes
    recipients: Sequence[str]
    authority: Path | None
    sender: str = "sender@example.org"
    options: Sequence[str] = field(default=())
    mechanisms: Sequence[str] | None = None
    auth: "BearerToken | Certificate | None" = None
    client_certificate: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an order; `status`, `trace` and `unknown` only when the command was used."""

    accepted: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    error: str = ""
    over_tls: bool = False
    status: int | None = None
    trace: str = ""

    def assert_sent(self, *recipients: str) -> None:
        """Everybody was accepted."""
        assert self.error == "", self
        assert self.accepted == set(recipients), self
        assert not self.refused, self
        assert self.status in (0, None), self


Way = Callable[[Order], Outcome]


def address_of(scheme: str, port: int, account: Account | None = None) -> str:
    """The URL of a server on this machine, by the name that its certificate carries."""
    login = f"{quote(account.user, safe='')}:{quote(account.password, safe='')}@" if account else ""
    return f"{scheme}://{login}localhost:{port}"


def send_by_command(order: Order) -> Outcome:
    """`smtpx send --json`, the message on standard input."""
    recipients = [part for recipient in order.recipients for part in ("--to", recipient)]
    command = [sys.executable, "-m", "smtpx", "send", "--url", order.url, "--from", order.sender]
    command += [*recipients, "--eml", "-", "--json", *order.options]
    command += ["--ca", str(order.authority)] if order.authority else []
    done = subprocess.run(command, input=order.octets, capture_output=True, timeout=120)
    trace = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in trace, trace
    printed: Mapping[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return Outcome(
        accepted=frozenset(printed.get("accepted") or ()),
        refused=frozenset(printed.get("refused") or ()),
        unknown=frozenset(printed.get("unknown") or ()),
        error=(printed.get("error") or {}).get("type", ""),
        over_tls=bool(printed.get("tls")),
        status=done.returncode,
        trace=trace,
    )


def send_by_client(order: Order) -> Outcome:
    """`smtpx.Client`."""
    import smtpx

    try:
        with smtpx.Client(order.url, **_settings(order)) as client:
            return _outcome(client.send(order.octets, sender=order.sender, recipients=list(order.recipients)))
    except smtpx.SMTPXError as error:
        return _outcome(getattr(error, "result", None), type(error).__name__)


def send_by_async_client(order: Order) -> Outcome:
    """`smtpx.AsyncClient`."""
    import smtpx

    async def send() -> Outcome:
        async with smtpx.AsyncClient(order.url, **_settings(order)) as client:
            return _outcome(await client.send(order.octets, sender=order.sender, recipients=list(order.recipients)))

    try:
        return asyncio.run(send())
    except smtpx.SMTPXError as error:
        return _outcome(getattr(error, "result", None), type(error).__name__)


def _settings(order: Order) -> "ClientOptions":
    settings: ClientOptions = {"auth_mechanisms": order.mechanisms}
    if order.authority:
        context = settings["ssl_context"] = ssl.create_default_context(cafile=str(order.authority))
        if order.client_certificate:
            context.load_cert_chain(order.client_certificate)
    if order.auth:
        settings["auth"] = order.auth
    return settings


def _outcome(result: object, error: str = "") -> Outcome:
    return Outcome(
        accepted=frozenset(getattr(result, "accepted", ())),
        refused=frozenset(getattr(result, "refused", ())),
        error=error,
        over_tls=bool(getattr(result, "tls", None)),
    )


WAYS: Mapping[str, Way] = {
    "smtpx send": send_by_command,
    "Client": send_by_client,
    "AsyncClient": send_by_async_client,
}

# Those that can be told how to log in.
LIBRARY_WAYS = [way for way in WAYS if way != "smtpx send"]

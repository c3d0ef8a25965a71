"""Postfix as a client: one queue, several ways out, chosen by the recipient's domain."""

import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .letters import Letter
from .postfix import Account, Plan, Postfix

__all__ = ["Routes", "relay_plan", "submit"]


@dataclass(frozen=True, slots=True)
class Routes:
    """Loopback ports of the servers to relay to; a port of 0 leaves that way out."""

    starttls: int
    implicit: int
    open: int
    lmtp: int = 0


def relay_plan(routes: Routes, account: Account) -> Plan:
    """A relay that logs in as the account; `secure.test` and others below choose a special way.

    Anything else goes to `relayhost` by encrypted but unverified STARTTLS, as is common.
    """
    ways = {
        "secure.test": f"secure:[localhost]:{routes.starttls}",
        "login.test": f"login:[localhost]:{routes.starttls}",
        "wrong.test": f"wrong:[localhost]:{routes.starttls}",
        "implicit.test": f"implicit:[localhost]:{routes.implicit}",
        "open.test": f"open:[localhost]:{routes.open}",
        "lmtp.test": f"lmtp:[localhost]:{routes.lmtp}",
    }
    hosts = [f"[localhost]:{port}" for port in (routes.starttls, routes.implicit)]
    return Plan(
        listeners={"intake": {"mynetworks": "127.0.0.0/8"}},
        settings={
            "relayhost": hosts[0],
            "transport_maps": "texthash:$config_directory/ways",
            "smtp_tls_security_level": "encrypt",
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_password_maps": "texthash:$config_directory/passwords",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_tls_security_options": "noanonymous",
            # A refused password is a final answer here, not a reason to try for five days.
            "smtp_sasl_auth_soft_bounce": "no",
        },
        services=[
            *_service("secure", {"smtp_tls_security_level": "secure"}),
            *_service("login", {"smtp_sasl_mechanism_filter": "login", **_SECURE}),
            *_service("wrong", {"smtp_sasl_password_maps": _WRONG_PASSWORDS, **_SECURE}),
            *_service("implicit", {"smtp_tls_wrappermode": "yes", **_SECURE}),
            *_service("open", {"smtp_tls_security_level": "none", "smtp_sasl_auth_enable": "no"}),
        ],
        tables={
            "ways": _lines(ways),
            "passwords": _lines({host: f"{account.user}:{account.password}" for host in hosts}),
            "wrong-passwords": _lines({host: f"{account.user}:not-the-one" for host in hosts}),
        },
    )


def submit(relay: Postfix, letter: Letter, recipients: Sequence[str], *options: str) -> None:
    """Put a letter into the relay's queue by SMTP, with these options of MAIL."""
    with smtplib.SMTP("127.0.0.1", relay.port("intake"), timeout=30) as session:
        session.ehlo()
        session.sendmail("sender@example.org", recipients, letter.octets, options)


_SECURE = {"smtp_tls_security_level": "secure"}
_WRONG_PASSWORDS = "texthash:$config_directory/wrong-passwords"


def _service(name: str, options: Mapping[str, str]) -> list[str]:
    settings = [f"  -o {{ {key} = {value} }}" for key, value in options.items()]
    return [f"{name} unix - - n - - smtp", f"  -o {{ syslog_name = postfix/{name} }}", *settings]


def _lines(table: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in table.items())

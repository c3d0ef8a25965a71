"""Who may log in to `smtpx serve`, and how."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from smtpx.sasl import (
    CRAM_MD5,
    EXTERNAL,
    LOGIN,
    OAUTHBEARER,
    PLAIN,
    SCRAM_SHA_1,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    XOAUTH2,
    Credentials,
    ScramRecord,
    Secret,
    ServerMechanism,
)
from smtpx.server.session import Reject, Session
from smtpx.server.users import Users

__all__ = ["MECHANISMS", "Accounts", "accounts_of", "pairs"]

_BY_CERTIFICATE = (EXTERNAL,)
_BY_PASSWORD = (SCRAM_SHA_256_PLUS, SCRAM_SHA_256, PLAIN, LOGIN)
_BY_NAME_ONLY = (SCRAM_SHA_1_PLUS, SCRAM_SHA_1, CRAM_MD5)  # old; the last one has the server keep the password
_BY_TOKEN = (OAUTHBEARER, XOAUTH2)
MECHANISMS: Mapping[str, ServerMechanism] = {
    each.name: each for each in (*_BY_CERTIFICATE, *_BY_PASSWORD, *_BY_NAME_ONLY, *_BY_TOKEN)
}
"""What `--auth-mechanism` takes, by name."""


def pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """What was given as `USER:SECRET`, by user."""
    found: dict[str, str] = {}
    for value in values:
        name, colon, secret = value.partition(":")
        if not colon or not name or not secret:
            raise click.BadParameter(f"give {parameter.metavar}")
        found[name] = secret
    return found


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users, and the mechanisms to offer them, best first."""

    users: Users
    mechanisms: tuple[ServerMechanism, ...]

    def login(self, kind: type[Session]) -> type[Session]:
        """The session class with a login for these users."""
        users = self.users

        class WithUsers(kind):  # type: ignore[misc, valid-type]
            async def authenticate(self, identity: Credentials) -> None:
                if not await users.accepts(identity):
                    raise Reject.bad_credentials()

            async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
                return users.lookup(mechanism, username)

        return WithUsers


def accounts_of(options: Mapping[str, Any]) -> Accounts | None:
    """By the options of the command; None where nobody logs in.

    Raises:
        click.UsageError: for a mechanism that nobody could use.
    """
    passwords, tokens, has_certificates = options["users"], options["tokens"], bool(options["client_ca"])
    usable = [
        ("--client-ca", has_certificates, _BY_CERTIFICATE, ()),
        ("--auth-user", bool(passwords), _BY_PASSWORD, _BY_NAME_ONLY),
        ("--auth-token", bool(tokens), _BY_TOKEN, ()),
    ]
    usual = [each for _, is_given, mechanisms, _ in usable if is_given for each in mechanisms]
    for option, is_given, mechanisms, more in usable:
        for each in (*mechanisms, *more):
            if each.name in options["mechanisms"] and not is_given:
                raise click.UsageError(f"--auth-mechanism {each.name} needs {option}")
    offered = tuple(MECHANISMS[name] for name in dict.fromkeys(options["mechanisms"])) or tuple(usual)
    if not offered:
        return None
    users = Users(
        passwords,
        scram=_scram_records(offered),
        cram_md5=CRAM_MD5 in offered,
        tokens=tokens,
        certificates=has_certificates,
    )
    return Accounts(users, offered)


def _scram_records(offered: Iterable[ServerMechanism]) -> list[str]:
    names = (each.name.removesuffix("-PLUS") for each in offered)
    return list(dict.fromkeys(name for name in names if name.startswith("SCRAM-")))

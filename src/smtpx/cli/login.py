"""How `smtpx send` logs in, with secrets that need not stand on the command line."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import click

from smtpx.net.tls import client_context
from smtpx.sasl import Certificate, SASLError

__all__ = ["login_options"]

_COMMAND_SECONDS = 60


def login_options(options: dict[str, Any]) -> dict[str, Any]:
    """Options for a client.

    Raises:
        click.UsageError: for options that exclude each other, and files that hold nothing of use.
    """
    given = [name for name in ("auth_password_file", "auth_token_file", "auth_token_command") if options[name]]
    if len(given) > 1:
        shown = " and ".join(f"--{name.replace('_', '-')}" for name in given[:2])
        raise click.UsageError(f"{shown} exclude each other")
    chosen: dict[str, Any] = {}
    if options["auth_password_file"]:
        chosen["password"] = _first_line(options["auth_password_file"])
    if options["auth_token_file"]:
        path = options["auth_token_file"]
        _first_line(path)  # what is wrong with it shows before anybody is called
        chosen["token"] = lambda: _first_line(path)  # read again when the token is refused: it may be a fresh one
    if command := options["auth_token_command"]:
        chosen["token"] = lambda: _said_by(command, min(options["timeout"] or _COMMAND_SECONDS, _COMMAND_SECONDS))
    if options["mechanisms"]:
        chosen["auth_mechanisms"] = [name.upper() for name in options["mechanisms"]]
    return {**chosen, **_certificate(options, has_secret=bool(given))}


def _certificate(options: dict[str, Any], *, has_secret: bool) -> dict[str, Any]:
    certificate, key = options["client_cert"], options["client_key"]
    if not certificate:
        if key:
            raise click.UsageError("--client-key needs --client-cert")
        return {}
    context = client_context(verify=not options["insecure"], ca_file=options["ca_file"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise click.UsageError(f"--client-cert: can't use {certificate}: {error}") from error
    chosen: dict[str, Any] = {"ssl_context": context, "ca_file": None}
    if not has_secret and "@" not in options["url"]:
        chosen["auth"] = Certificate()
    return chosen


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise click.UsageError(f"{path}: not text") from None


def _said_by(command: str, timeout_seconds: float) -> str:
    try:
        done = subprocess.run(  # noqa: S602 - it is the user's own command, in the user's own shell
            command, shell=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise SASLError(f"--auth-token-command took more than {timeout_seconds:g} s") from None
    if done.returncode:
        raise SASLError(f"--auth-token-command ended with status {done.returncode}")
    return done.stdout.decode("ascii", "replace").strip()

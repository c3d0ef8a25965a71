"""Which foreign programs are here, in which version, and why one can't be used."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pwd import getpwnam

__all__ = ["Peer", "django_tests", "find_peer"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program; `missing` says why it can't take part, and is empty when it can."""

    name: str
    version: str = "-"
    missing: str = ""


@cache
def find_peer(name: str) -> Peer:
    """Look for one of the programs and libraries that `_VERSIONS` names."""
    if reason := _why_missing(name):
        return Peer(name, missing=reason)
    try:
        return Peer(name, version=_VERSIONS[name]())
    except (OSError, subprocess.SubprocessError, IndexError, PackageNotFoundError) as error:
        return Peer(name, missing=f"{name} does not tell its version: {error}")


def _why_missing(name: str) -> str:
    command = _COMMANDS.get(name, name)
    if command and not shutil.which(command):
        return f"the command {command} is not installed"
    if name in _NEEDS_ROOT and os.geteuid() != 0:
        return f"{name} needs root to start"
    if user := _NEEDS_USER.get(name):
        try:
            getpwnam(user)
        except KeyError:
            return f"there is no user {user}"
    return _SPECIAL[name]() if name in _SPECIAL else ""


def _why_no_postfix() -> str:
    places = ("lib", "lib/*", "lib64")
    if not any(found for place in places for found in Path("/usr").glob(f"{place}/sasl2/libsql.so*")):
        return "Postfix needs libsasl2-modules-sql for AUTH"
    return ""


def _why_no_dovecot() -> str:
    version = _output("dovecot", "--version")
    return "" if version.startswith("2.3.") else f"its configuration is written for 2.3, and this is {version.strip()}"


def _why_no_django() -> str:
    try:
        return "" if django_tests().is_dir() else f"Django's own tests are not in {django_tests().parent}"
    except PackageNotFoundError:
        return "Django is not installed"


def django_tests() -> Path:
    """Where `scripts/interop` puts the tests of the Django that is installed."""
    return Path(__file__).resolve().parent.parent / ".interop" / f"django-{version('django')}" / "tests"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _postfix_version() -> str:
    # -d: the compiled-in value, as there need not be a main.cf.
    return _output("postconf", "-d", "-h", "mail_version").strip()


def _node_version(package: str) -> str:
    return _output("node", "--print", f"require('{package}/package.json').version").strip()


# The program to look for; "" for libraries of the Python that runs this.
_COMMANDS = {
    "Postfix": "postfix",
    "Exim": "exim4",
    "Dovecot": "dovecot",
    "nodemailer": "node",
    "smtp-server": "node",
    "smtplib": "",
    "aiosmtplib": "",
    "aiosmtpd": "",
    "Django": "",
}
_NEEDS_ROOT = frozenset({"Postfix", "Exim", "Dovecot"})
_NEEDS_USER = {"Postfix": "postfix", "Exim": "Debian-exim", "Dovecot": "dovecot"}
_SPECIAL = {"Postfix": _why_no_postfix, "Dovecot": _why_no_dovecot, "Django": _why_no_django}
_VERSIONS: dict[str, Callable[[], str]] = {
    "swaks": lambda: _output("swaks", "--version").split()[2],
    "curl": lambda: _output("curl", "--version").split()[1],
    "msmtp": lambda: _output("msmtp", "--version").split()[2],
    "gsasl": lambda: _output("gsasl", "--version").split()[3],
    "Postfix": _postfix_version,
    "smtp-sink": _postfix_version,
    "smtp-source": _postfix_version,
    "Exim": lambda: _output("exim4", "-C", "/dev/null", "-bV").split()[2],
    "Dovecot": lambda: _output("dovecot", "--version").split()[0],
    "nodemailer": lambda: _node_version("nodemailer"),
    "smtp-server": lambda: _node_version("smtp-server"),
    "smtplib": platform.python_version,
    "aiosmtplib": lambda: version("aiosmtplib"),
    "aiosmtpd": lambda: version("aiosmtpd"),
    "Django": lambda: version("django"),
}

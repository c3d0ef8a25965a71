"""Which foreign programs are here, in which version, and why one can't be used."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pwd import getpwnam

__all__ = ["Peer", "find_peer"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program; `missing` says why it can't take part, and is empty when it can."""

    name: str
    version: str = "-"
    missing: str = ""


@cache
def find_peer(name: str) -> Peer:
    """Look for one of: swaks, curl, Postfix, smtp-sink, smtp-source."""
    if reason := _why_missing(name):
        return Peer(name, missing=reason)
    try:
        return Peer(name, version=_VERSIONS[name]())
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return Peer(name, missing=f"{name} does not tell its version: {error}")


def _why_missing(name: str) -> str:
    command = {"Postfix": "postfix"}.get(name, name)
    if not shutil.which(command):
        return f"the command {command} is not installed"
    return _why_no_postfix() if name == "Postfix" else ""


def _why_no_postfix() -> str:
    if os.geteuid() != 0:
        return "Postfix needs root to start"
    try:
        getpwnam("postfix")
    except KeyError:
        return "there is no user postfix"
    places = ("lib", "lib/*", "lib64")
    if not any(found for place in places for found in Path("/usr").glob(f"{place}/sasl2/libsql.so*")):
        return "Postfix needs libsasl2-modules-sql for AUTH"
    return ""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _postfix_version() -> str:
    # -d: the compiled-in value, as there need not be a main.cf.
    return _output("postconf", "-d", "-h", "mail_version").strip()


_VERSIONS: dict[str, Callable[[], str]] = {
    "swaks": lambda: _output("swaks", "--version").split()[2],
    "curl": lambda: _output("curl", "--version").split()[1],
    "Postfix": _postfix_version,
    "smtp-sink": _postfix_version,
    "smtp-source": _postfix_version,
}

"""Servers of libraries, in programs of ours that keep what they are given: node/serve.js and aiosmtpd_server.py.

A message becomes NUMBER.eml, and beside it NUMBER.json says what the library knows of the envelope.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import Certificates
from .children import Child, free_port, wait_until
from .letters import Letter
from .postfix import Account
from .serving import TOKEN

__all__ = ["AIOSMTPD", "MAILBOXES", "SMTP_SERVER", "Keeper", "Taken"]

SMTP_SERVER = ("node", str(Path(__file__).parent / "node" / "serve.js"))
AIOSMTPD = (sys.executable, "-m", "interop.aiosmtpd_server")
MAILBOXES = ("alice@example.test", "bob@example.test", "full@example.test", "jürgen@example.test")


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as the library gave it out, and what it says of the envelope."""

    octets: bytes
    facts: Mapping[str, Any]


class Keeper:
    """A running server; leaving the `with` block stops it. `options` are for the library.

    It knows `MAILBOXES`, the account, and for it the token `TOKEN`.
    """

    def __init__(
        self,
        program: Sequence[str],
        directory: Path,
        certificates: Certificates,
        account: Account,
        options: Mapping[str, object],
    ) -> None:
        self._directory = directory
        self.port = free_port()
        settings = {
            "port": self.port,
            "directory": str(directory),
            "key": str(certificates.key),
            "chain": str(certificates.chain),
            "user": account.user,
            "password": account.password,
            "token": TOKEN,
            "mailboxes": MAILBOXES,
            "options": options,
        }
        self._child = Child(directory.name, [*program, json.dumps(settings)], directory / "serve.log")

    def __enter__(self) -> "Keeper":
        try:
            self._child.wait_for_port(self.port)
        except BaseException:
            self._child.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def wait_for(self, letter: Letter) -> Taken:
        """The one copy of the letter, as soon as it is there."""
        wait_until(lambda: bool(self._find(letter)), timeout_seconds=20)
        (path,) = self._find(letter)
        return Taken(path.read_bytes(), json.loads(path.with_suffix(".json").read_text()))

    def _find(self, letter: Letter) -> list[Path]:
        return [path for path in self._directory.glob("*.eml") if letter.marker in path.read_bytes()]

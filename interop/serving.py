"""`python -m smtpx serve` as a child process."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .certificates import Certificates
from .children import Child, wait_until
from .maildirs import Maildir
from .postfix import Account

__all__ = ["SmtpxServe", "with_accounts", "with_certificate"]

_READY = re.compile(r"^listening on (\S+?)://(?:127\.0\.0\.1:(\d+)|(/\S+))\s*$", re.MULTILINE)


class SmtpxServe:
    """A running `smtpx serve` on a free loopback port; leaving the `with` block drains it.

    Raises:
        AssertionError: when leaving, if SIGTERM did not end it with status 0.
    """

    def __init__(self, directory: Path, *options: str | Path) -> None:
        self.maildir = Maildir(directory / "Maildir")
        self._where = "", 0
        self._child = Child(
            f"smtpx serve ({directory.name})",
            [sys.executable, "-m", "smtpx", "serve", "--port", "0", "--maildir", self.maildir.path, *options],
            directory / "serve.log",
            environment={"PYTHONUNBUFFERED": "1"},
        )

    @property
    def scheme(self) -> str:
        """What it says it speaks: smtp, smtps or lmtp."""
        return self._where[0]

    @property
    def port(self) -> int:
        """Its loopback port."""
        return self._where[1]

    @property
    def log_text(self) -> str:
        """What it printed during this test."""
        return self._child.log.text()

    def __enter__(self) -> "SmtpxServe":
        try:
            wait_until(self._is_ready, timeout_seconds=30)
        except BaseException as error:
            self._child.stop()
            error.add_note(self.log_text)
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        status = self._child.stop()
        if kind is None and status != 0:
            raise AssertionError(f"smtpx serve ended with {status} after SIGTERM:\n{self.log_text}")

    def _is_ready(self) -> bool:
        text = self.log_text
        if (ready := _READY.search(text)) and ready[2]:
            self._where = ready[1], int(ready[2])
        elif (status := self._child.process.poll()) is not None:
            raise RuntimeError(f"smtpx serve ended with {status}:\n{text}")
        return bool(self.port)


def with_certificate(certificates: Certificates) -> Sequence[str | Path]:
    """Options for TLS."""
    return ["--tls-cert", certificates.chain, "--tls-key", certificates.key]


def with_accounts(*accounts: Account) -> Sequence[str | Path]:
    """Options that let these users in and nobody else."""
    users = [("--auth-user", f"{account.user}:{account.password}") for account in accounts]
    return [*(part for user in users for part in user), "--require-auth"]

"""`python -m smtpx serve` as a child process."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .certificates import Certificates
from .children import Child, wait_until
from .maildirs import Maildir
from .postfix import Account

__all__ = ["TOKEN", "LibraryServer", "SmtpxServe", "library_options", "with_accounts", "with_certificate"]

# An access token that the library server takes.
TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"

_READY = re.compile(r"^listening on (\S+?)://(?:127\.0\.0\.1:(\d+)|(/\S+))\s*$", re.MULTILINE)


class SmtpxServe:
    """A running `smtpx serve`, on a free loopback port unless told otherwise; leaving the `with` block drains it.

    Raises:
        AssertionError: when leaving, if SIGTERM did not end it with status 0.
    """

    _program: Sequence[str] = ("smtpx", "serve")

    def __init__(self, directory: Path, *options: str | Path) -> None:
        self.maildir = Maildir(directory / "Maildir")
        self._where = "", 0, ""
        self._child = Child(
            f"{' '.join(self._program)} ({directory.name})",
            [sys.executable, "-m", *self._program, "--maildir", self.maildir.path, *options],
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
    def socket_path(self) -> str:
        """The unix socket it listens on, if that is where."""
        return self._where[2]

    @property
    def log_text(self) -> str:
        """What it printed during this test."""
        return self._child.log.text()

    def wait_for_log(self, wanted: str) -> str:
        """What it printed during this test, as soon as that is in it."""
        return self._child.log.wait_for(wanted)

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
        if ready := _READY.search(text):
            self._where = ready[1], int(ready[2] or 0), ready[3] or ""
        elif (status := self._child.process.poll()) is not None:
            raise RuntimeError(f"smtpx serve ended with {status}:\n{text}")
        return bool(self.scheme)


class LibraryServer(SmtpxServe):
    """`library_server` instead, with its mechanisms and its refused recipient."""

    _program = ("interop.library_server",)


def with_certificate(certificates: Certificates) -> Sequence[str | Path]:
    """Options for TLS."""
    return ["--tls-cert", certificates.chain, "--tls-key", certificates.key]


def with_accounts(*accounts: Account) -> Sequence[str | Path]:
    """Options that let these users in and nobody else."""
    users = [("--auth-user", f"{account.user}:{account.password}") for account in accounts]
    return [*(part for user in users for part in user), "--require-auth"]


def library_options(certificates: Certificates, account: Account) -> Sequence[str | Path]:
    """Options of the library server."""
    return [
        *("--chain", certificates.chain, "--key", certificates.key, "--authority", certificates.authority),
        *("--user", account.user, "--password", account.password, "--token", TOKEN),
    ]

"""Command lines of the foreign clients."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .letters import Letter
from .postfix import Account

__all__ = [
    "Envelope",
    "curl",
    "curl_login",
    "curl_trust",
    "smtp_source",
    "swaks",
    "swaks_login",
    "swaks_trust",
]

_TIMEOUT_SECONDS = 120
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom."""

    recipients: Sequence[str] = ("alice@example.test",)
    sender: str = "sender@example.org"


def swaks(port: int, letter: Letter, directory: Path, *options: str, envelope: Envelope | None = None) -> Done:
    """swaks to a loopback port, the letter dot-stuffed by us and sent untouched."""
    envelope = envelope or Envelope()
    content = directory / "stuffed"
    content.write_bytes(letter.stuffed)
    command = ["swaks", "--server", "localhost", "--port", str(port), "-4", "--timeout", "60"]
    command += ["--helo", "swaks.example.org", "--from", envelope.sender]
    command += ["--to", ",".join(envelope.recipients)]
    # Not --data alone: that would add an empty line to the message.
    return _run(*command, "--no-data-fixup", "--data", f"@{content}", "--suppress-data", *options)


def swaks_login(account: Account, mechanism: str) -> Sequence[str]:
    """Options of swaks to log in by that mechanism."""
    return ["--auth", mechanism, "--auth-user", account.user, "--auth-password", account.password]


def swaks_trust(authority: Path, how: str = "--tls") -> Sequence[str]:
    """Options of swaks for TLS, verified; swaks checks the chain but not the name."""
    return [how, "--tls-verify", "--tls-ca-path", str(authority)]


def curl(url: str, letter: Letter, directory: Path, *options: str, envelope: Envelope | None = None) -> Done:
    """curl, uploading the letter as a file."""
    envelope = envelope or Envelope()
    content = directory / "letter.eml"
    content.write_bytes(letter.octets)
    recipients = [part for recipient in envelope.recipients for part in ("--mail-rcpt", recipient)]
    return _run(
        *("curl", "--silent", "--show-error", "--verbose", "--ipv4", "--noproxy", "*"),
        *("--max-time", str(_TIMEOUT_SECONDS), "--url", url, "--upload-file", str(content)),
        *("--mail-from", envelope.sender, *recipients, *options),
    )


def curl_login(account: Account, mechanism: str) -> Sequence[str]:
    """Options of curl to log in by that mechanism."""
    return ["--user", f"{account.user}:{account.password}", "--login-options", f"AUTH={mechanism}"]


def curl_trust(authority: Path) -> Sequence[str]:
    """Options of curl that make TLS compulsory and verified."""
    return ["--ssl-reqd", "--cacert", str(authority)]


def smtp_source(port: int, *options: str, envelope: Envelope | None = None) -> Done:
    """Postfix's load generator: many messages over several connections, no TLS, no AUTH."""
    envelope = envelope or Envelope()
    command = ["smtp-source", *options, "-f", envelope.sender, "-t", envelope.recipients[0]]
    return _run(*command, f"inet:127.0.0.1:{port}")


def _run(*command: str) -> Done:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_SECONDS + 10,
    )

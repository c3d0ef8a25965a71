"""Command lines of the foreign clients."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .letters import Letter
from .postfix import Account

__all__ = [
    "Envelope",
    "curl",
    "curl_login",
    "curl_trust",
    "gsasl",
    "msmtp",
    "nodemailer",
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


def msmtp(port: int, letter: Letter, directory: Path, *settings: str, envelope: Envelope | None = None) -> Done:
    """msmtp, the letter on its standard input with Unix lines, as it wants them.

    `settings` are lines of its configuration: passwords are for nobody's process list.
    """
    envelope = envelope or Envelope()
    configuration = directory / "msmtprc"
    configuration.touch(mode=0o600)
    lines = ["account default", "host localhost", f"port {port}", "domain msmtp.example.org", *_MSMTP, *settings]
    configuration.write_text("".join(f"{line}\n" for line in lines))
    command = ["msmtp", "--debug", "--file", str(configuration), f"--from={envelope.sender}"]
    return _run(*command, "--", *envelope.recipients, content=letter.unix)


_MSMTP = (
    "timeout 60",
    "set_from_header off",
    "set_date_header off",
    "set_msgid_header off",
    "remove_bcc_headers off",
    "undisclosed_recipients off",
)


def gsasl(port: int, account: Account, authority: Path, *options: str) -> Done:
    """libgsasl's own client, which logs in by STARTTLS and leaves; the name in the certificate is not looked at."""
    return _run(
        *("gsasl", "--client", "--smtp", f"--connect=localhost:{port}", "--verbose", "--starttls"),
        *(f"--x509-ca-file={authority}", f"--authentication-id={account.user}", f"--password={account.password}"),
        *("--hostname=localhost", "--service=smtp", *options),
    )


def nodemailer(directory: Path, *orders: Mapping[str, object]) -> list[dict[str, Any]]:
    """What became of each order, in one run of node; see node/send.js."""
    file = directory / "orders.json"
    file.write_text(json.dumps(orders))
    done = _run("node", str(Path(__file__).parent / "node" / "send.js"), str(file))
    assert done.returncode == 0, done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def smtp_source(port: int, *options: str, envelope: Envelope | None = None) -> Done:
    """Postfix's load generator: many messages over several connections, no TLS, no AUTH."""
    envelope = envelope or Envelope()
    command = ["smtp-source", *options, "-f", envelope.sender, "-t", envelope.recipients[0]]
    return _run(*command, f"inet:127.0.0.1:{port}")


def _run(*command: str, content: bytes = b"") -> Done:
    done = subprocess.run(
        command,
        input=content,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_TIMEOUT_SECONDS + 10,
    )
    return Done(done.args, done.returncode, done.stdout.decode("utf-8", "replace"))

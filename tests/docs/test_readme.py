"""The README's Python runs as it stands, against the other half of the README."""

import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import smtpx
from tests.server.rig import authority, fresh_server_tls, recorders

ROOT = Path(__file__).parents[2]
SENDING, MAILING, RECEIVING = re.findall(
    r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_the_readme_sends_to_what_the_readme_receives_with(capsys: pytest.CaptureFixture[str]) -> None:
    receiving: dict[str, Any] = {}
    with mock.patch.object(smtpx, "serve") as serve:
        exec(RECEIVING, receiving)  # noqa: S102 - our own README
    ((session,), options) = serve.call_args
    assert options == {"port": 2525}
    with smtpx.ServerThread(session, port=0) as server:
        sending = SENDING.replace("submission://user:secret@mail.example.org", server.url)
        sending = sending.replace("you@example.net", "you@example.org")
        exec(sending, {})  # noqa: S102 - our own README
    out = capsys.readouterr().out.splitlines()
    assert out == ["from me@example.org to you@example.org", "26 octets, thank you", "nobody@example.net 550 False"]


def test_the_readme_mails_with_starttls_and_a_login(tmp_path: Path) -> None:
    trusted = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(str(trusted))
    session, made = recorders()
    with smtpx.ServerThread(session, port=0, tls=fresh_server_tls(), require_auth=True) as server:
        here = MAILING.replace('"mail.example.org", 587', f'"localhost", {server.port}')
        exec(here.replace("from_email=", f"ca_file={str(trusted)!r}, from_email="), {})  # noqa: S102 - our own README
    (message,) = (message for session in made for message in session.messages)
    assert (message.sender, message.recipients, message.identity) == ("shop@example.org", ("you@example.net",), "user")
    assert message.tls
    assert b"\r\nSubject: Your order\r\n" in message.content


def test_every_command_is_there() -> None:
    for script in re.findall(r"^(scripts/\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert (ROOT / script).stat().st_mode & 0o111, script

"""The mailing of the examples, against a real server with STARTTLS and a login; once more for those who are left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import smtpx
from tests.server.rig import Recorder, authority, fresh_server_tls, recorders

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mailer.py"


class Town(Recorder):
    """Some have left, and some have no room the first few times."""

    refusals = 3

    async def rcpt(self, recipient: smtpx.Mailbox, params: object) -> None:
        if recipient.local_part == "left":
            raise smtpx.Reject(550, "5.1.1", "has left")
        if recipient.local_part == "full" and Town.refusals:
            Town.refusals -= 1
            raise smtpx.Reject(452, "4.2.2", "mailbox full")
        self.recipients.append(str(recipient))


@pytest.fixture
def town(tmp_path: Path) -> Path:
    authority().cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    people = [f"person{number}@example.net,Person {number}" for number in range(20)]
    people[5:5] = ["left@example.net,Lea", "full@example.net,Tom & Jerry", "no address,Nobody"]
    (tmp_path / "people.csv").write_text("\n".join(["email,name", *people]) + "\n")
    (tmp_path / "news.html").write_text(
        "<title>{% block subject %}News for {{ name }}{% endblock %}</title><img src='logo.png'><p>{{ name }}</p>"
    )
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    return tmp_path


def run(directory: Path, port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), str(directory / "people.csv"), str(directory / "news")]
    variables = {
        "SMTPX_URL": f"submission://user:secret@localhost:{port}",
        "SMTPX_FROM": "news@example.org",
        "SMTPX_CA_FILE": str(directory / "authority.pem"),
        "SMTPX_RATE": "0",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMTPX_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**kept, **variables})


def test_everybody_gets_it_once(town: Path) -> None:
    Town.refusals = 3
    kind, made = recorders(Town)
    with smtpx.ServerThread(kind, port=0, tls=fresh_server_tls(), require_auth=True) as server:
        first = run(town, server.port)
        second = run(town, server.port)
        third = run(town, server.port)
    assert first.stdout == "1 failed, 1 invalid, 1 rejected, 20 sent\n", first.stderr
    assert "no address" in first.stderr
    assert first.stderr.rstrip().endswith("] 23 of 23")
    assert (first.returncode, second.returncode, third.returncode) == (1, 0, 0)
    assert (second.stdout, third.stdout) == ("1 sent\n", "\n")
    messages = [message for session in made for message in session.messages]
    assert len(messages) == len({message.recipients for message in messages}) == 21
    assert b"\r\nSubject: News for Tom & Jerry\r\n" in messages[-1].content
    assert all(b"Content-ID:" in message.content and message.tls for message in messages)


def test_whoever_was_under_way_when_it_was_killed_is_left_out(town: Path) -> None:
    """They may have it: sending it again is not for a program to decide."""
    (town / "people.csv.sent").write_text("person0@example.net\tunknown\nperson1@example.net\tunknown\n"
                                          "person1@example.net\tfailed\n")  # fmt: skip
    (town / "people.csv").write_text("email,name\nperson0@example.net,A\nperson1@example.net,B\n")
    kind, made = recorders(Town)
    with smtpx.ServerThread(kind, port=0, tls=fresh_server_tls(), require_auth=True) as server:
        assert run(town, server.port).stdout == "1 sent\n"
    assert [message.recipients for session in made for message in session.messages] == [("person1@example.net",)]
    lines = (town / "people.csv.sent").read_text().splitlines()
    assert lines[3:] == ["person1@example.net\tunknown", "person1@example.net\tsent"]

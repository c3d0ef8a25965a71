"""The newsletter of the examples, against a real server."""

import subprocess
import sys
from pathlib import Path

import smtpx

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bulk.py"


class Club(smtpx.Session):
    """Some have left, and some have no room just now."""

    async def rcpt(self, recipient: smtpx.Mailbox, params: object) -> None:
        if recipient.local_part == "left":
            raise smtpx.Reject(550, "5.1.1", "has left")
        if recipient.local_part == "full":
            raise smtpx.Reject(452, "4.2.2", "mailbox full")


def run(url: str, addresses: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLE), url, "news@example.org"]
    return subprocess.run(command, input=addresses, capture_output=True, text=True, timeout=60, check=False)


def test_everybody_gets_a_letter_or_a_line() -> None:
    addresses = [f"member{number}@example.net" for number in range(50)]
    addresses[10:10] = ["left@example.net", "", "full@example.net", "no address"]
    with smtpx.ServerThread(Club, port=0) as server:
        done = run(f"smtp+plain://127.0.0.1:{server.port}", "\n".join(addresses) + "\n")
    assert done.stderr == "50 accepted, 3 not\n"
    assert done.returncode == 1
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        ["left@example.net", "never"],
        ["full@example.net", "later"],
        ["no address", "never"],
    ]


def test_all_is_well() -> None:
    with smtpx.ServerThread(Club, port=0) as server:
        done = run(f"smtp+plain://127.0.0.1:{server.port}", "a@example.net\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "1 accepted, 0 not\n")

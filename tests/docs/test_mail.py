"""What docs/mail.md says is so: its commands run, its Python runs against their server, its tables are true."""

import asyncio
import doctest
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

import pytest

import smtpx
import smtpx.mailer
import smtpx.message.eml
from smtpx.errors import RefusedError
from smtpx.mailer.settings import _VARIABLES
from tests.cli.peers import Served, serving
from tests.docs.documents import ROOT

DOCUMENT = (ROOT / "docs" / "mail.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", DOCUMENT, re.DOTALL)
SHELL = "".join(re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)).replace("\\\n", "")
COMMANDS = SHELL.splitlines()
AWAITING = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def command(name: str) -> list[str]:
    (line,) = (line for line in COMMANDS if line.startswith(name))
    return shlex.split(line, comments=True)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The server of the page, but for its port; the certificate lies in the current directory, as in the page."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(command("openssl"), check=True, capture_output=True)
    words = command("smtpx serve")
    assert words[2:4] == ["--port", "2525"]
    with serving(tmp_path, *words[4:]) as server:
        yield server


def told(text: str, expected: str) -> bool:
    return doctest.OutputChecker().check_output(expected, text, doctest.ELLIPSIS)


async def page(names: dict[str, Any], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block, one after the other, as they would be typed in."""
    for number, (block, output) in enumerate(BLOCKS):
        source = block.replace("2525", str(port))
        code = compile(source, f"docs/mail.md, block {number + 1}", "exec", AWAITING)
        if code.co_flags & CO_COROUTINE:
            await eval(code, names)  # noqa: S307 - our own document
        else:
            await asyncio.to_thread(exec, code, names)
        if "test_confirm" in block:
            await asyncio.to_thread(names["test_confirm"])
        if "SIGTERM" in block:
            await terminated(names["main"])
        out = capsys.readouterr().out.replace(str(port), "2525")
        assert told(out, output) if output else not out, (block, out)


async def terminated(main: Any) -> None:  # noqa: ANN401 - of the page
    """The program of the page, ended by SIGTERM while a message is under way: that one gets out."""
    memory = smtpx.mailer.MemoryProvider(from_email="shop@example.org")
    memory.delay_seconds = 0.1
    service = smtpx.mailer.MailService(memory)
    program = asyncio.create_task(main(service))
    await asyncio.sleep(0)
    sending = asyncio.create_task(service.send(smtpx.Message(to="jane@example.net", subject="Hello", text="Hello!")))
    await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await program
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    assert service.is_closed
    assert [list((await sending).accepted), len(memory.outbox)] == [["jane@example.net"], 1]


def test_its_python_runs_against_its_server(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _VARIABLES:
        monkeypatch.setenv(name, "")  # what the page sets is gone behind the test
    names: dict[str, Any] = {"__name__": "page"}
    asyncio.run(page(names, served.port, capsys))
    subjects = [re.search(rb"\nSubject: (.*?)\r?\n(?=\S)", message, re.DOTALL) for message in served.messages]
    found = Counter(match[1].decode() for match in subjects if match)
    assert found == {
        "Your order": 1,
        "Your invoice: 12 =?utf-8?b?4oKs?=": 1,
        "Your invoice": 1,
        "Welcome, Tom & Jerry": 1,
        "Hello": 6,
        "News": 50,
    }
    assert sum(b"\nDKIM-Signature:" in message for message in served.messages) == 1
    assert len(list(Path("drafts").glob("*.eml"))) == 1


def test_its_first_program_runs_by_itself(served: Served) -> None:
    program = served.directory / "hello.py"
    source, expected = BLOCKS[0]
    program.write_text(source.replace("2525", str(served.port)), encoding="utf-8")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, cwd=served.directory)
    assert done.stderr == ""
    assert told(done.stdout, expected)
    (message,) = served.messages
    assert b"\nTo: Jane <jane@example.net>\r\n" in message


def test_it_installs_extras_that_there_are() -> None:
    (extras,) = re.findall(r"^pip install '\.\[(.*?)\]'", DOCUMENT, re.MULTILINE)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f"\n{extra} = [" in project for extra in extras.split(","))


def rows(head: str) -> list[list[str]]:
    table = re.search(rf"^\| {head} .*?\n\|[-|]*\n(.*?)\n\n", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]


def test_its_table_of_errors() -> None:
    listed: set[str] = set()
    for names, temporary, _ in rows("error"):
        for name in re.findall(r"`(\w+)`", names):
            listed.add(name)
            cls = getattr(smtpx, name, None) or getattr(smtpx.mailer, name)
            assert issubclass(cls, smtpx.SMTPXError)
            if temporary in ("True", "False"):
                assert str(cls.is_temporary) == temporary, name
    assert smtpx.TLSError("x").is_temporary
    assert not smtpx.TLSError("x", is_certificate=True).is_temporary
    assert smtpx.mailer.FailoverError({"a": smtpx.ConnectError("x"), "b": smtpx.UnsupportedError("x", keyword="Y")})
    for code in (454, 535):
        reply = RefusedError.of(smtpx.Reply(code, None, ("no",))).reply
        error = smtpx.AuthenticationError("no", mechanism="PLAIN", reply=reply)
        assert error.is_temporary is (code == 454)
    raised = {each.__name__ for each in _leaves(smtpx.TransportError) | _leaves(smtpx.RefusedError)}
    assert raised - {"BreakerOpenError"} <= listed


def _leaves(cls: type) -> set[type]:
    below = {each for each in cls.__subclasses__() if each.__module__.startswith("smtpx")}
    return set().union(*map(_leaves, below)) if below else {cls}


def test_it_names_what_there_is() -> None:
    """In its prose; the blocks are run."""
    prose = re.sub(r"```.*?```", "", DOCUMENT, flags=re.DOTALL)
    places = [smtpx, smtpx.mailer, smtpx.message.eml]
    for name, attribute in re.findall(r"`([A-Z]\w*[a-z]\w*)(?:\.(\w+))?\b", prose):
        if name in ("Maildir", "True", "False"):
            continue
        found = next((getattr(place, name) for place in places if hasattr(place, name)), None)
        assert found is not None, name
        assert not attribute or hasattr(found, attribute), (name, attribute)
    for path in re.findall(r"`(smtpx\.[a-z_.]+\w+)", prose):
        assert importlib.util.find_spec(path) or hasattr(smtpx.mailer, path.rpartition(".")[2]), path


def test_its_table_of_variables() -> None:
    assert {name for names, _ in rows("variable") for name in re.findall(r"`(\w+)`", names)} == _VARIABLES.keys()

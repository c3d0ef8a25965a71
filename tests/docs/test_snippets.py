"""Python in the documents runs as it stands there, imports included, each block by itself; and does what is said of it.

What can't run by itself is a part of an example: its first line says of which, and it stands there word for word.
"""

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
import trustme

import smtpx
from smtpx.cli.main import command as smtpx_command
from smtpx.mailer.smtp import SMTPProvider
from tests.cli.peers import child, serving
from tests.docs.documents import ROOT, Block, blocks

TOLD_IN_ORDER = {
    "docs/dkim.md",
    "docs/frameworks.md",
    "docs/mail.md",
    "docs/recipes.md",
}  # each block builds on those before; tests of their own
PYTHON = [block for block in blocks("python") if block.document not in TOLD_IN_ORDER]
WHOLE = [block for block in PYTHON if block.origin is None]
PARTS = [block for block in PYTHON if block.origin is not None]
LETTER = b"Subject: x\r\n\r\nhello\r\n"


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Certificates where the documents have theirs, in a directory that is told; nothing blocks, nobody is sent to."""
    authority = trustme.CA()
    for name in ("mail.pem", "mx2.pem"):
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / name))
        issued.private_key_pem.write_to_path(str((tmp_path / name).with_suffix(".key")))
    authority.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    sent = mock.MagicMock()
    with (
        mock.patch.object(smtpx, "serve"),
        mock.patch.object(smtpx, "send", return_value=sent),
        mock.patch.object(SMTPProvider, "deliver", return_value=sent),
    ):
        yield tmp_path


def run(block: Block, directory: Path, **replaced: str) -> dict[str, Any]:
    """The block's names. Only places are replaced, which are this machine's: certificates and what is in `replaced`."""
    text = block.text.replace('"/etc/ssl/', f'"{directory}/')
    for name in replaced:
        assert name in text
        text = text.replace(name, replaced[name])
    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(text, str(block), "exec"), names)  # noqa: S102 - our own document
    return names


def the(document: str, word: str) -> Block:
    (found,) = (block for block in WHOLE if block.document == document and word in block.text)
    return found


@pytest.mark.parametrize("block", WHOLE, ids=str)
def test_it_runs_by_itself(block: Block, ready: Path) -> None:
    assert run(block, ready)


@pytest.mark.parametrize("block", PARTS, ids=str)
def test_a_part_of_an_example_stands_there(block: Block) -> None:
    assert block.origin is not None
    source = block.origin.read_text(encoding="utf-8")
    for part in re.split(r"\n *\.\.\.\n", block.text.partition("\n")[2]):
        assert part.strip("\n") in source


def test_documents_that_are_told_in_order_have_tests() -> None:
    for document in TOLD_IN_ORDER:
        assert (ROOT / document).exists()
        assert (ROOT / "tests" / "docs" / f"test_{Path(document).stem}.py").exists()


def test_parts_are_few() -> None:
    assert len(WHOLE) >= 11
    assert {block.document for block in PARTS} == {"docs/extensions.md"}
    assert len(PARTS) <= 5


def send(session: Any, *, sender: str = "me@example.org", to: str = "you@example.org", **options: Any) -> Any:  # noqa: ANN401
    with smtpx.ServerThread(session, port=0, **options) as server, smtpx.Client(server.url) as client:
        return client.send(LETTER, sender=sender, recipients=[to])


def test_serving_certificates(ready: Path) -> None:
    tls = run(the("docs/serving.md", "names="), ready)["tls"]
    with smtpx.ServerThread(smtpx.Session, port=0, tls=tls) as server:
        url = f"submission://localhost:{server.port}"
        with smtpx.Client(url, ca_file=ready / "clients.pem") as client:
            result = client.send(LETTER, sender="a@x.example", recipients=["b@x.example"])
    assert result.tls is not None
    assert result.tls.verified


def test_serving_clients_certificates(ready: Path) -> None:
    tls = run(the("docs/serving.md", "client_ca="), ready)["tls"]
    seen: list[str | None] = []

    class Seen(smtpx.Session):
        async def mail(self, sender: object, params: object) -> None:
            assert self.peer.tls is not None
            seen.append(self.peer.tls.peer_identity)

    with smtpx.ServerThread(Seen, port=0, tls=tls) as server:
        url = f"submission://localhost:{server.port}"
        with smtpx.Client(url, ca_file=ready / "clients.pem") as client:
            client.send(LETTER, sender="a@x.example", recipients=["b@x.example"])
    assert seen == [None]


def test_serving_a_middleware(ready: Path) -> None:
    names = run(the("docs/serving.md", "NoBadWords"), ready)
    assert isinstance(names["server"], smtpx.Server)
    stack = smtpx.Stack(smtpx.Session, names["NoBadWords"])
    assert send(stack).accepted
    with pytest.raises(smtpx.PermanentRefusal, match=r"550 5\.6\.0"):
        send(stack, sender="badwords@example.org")


def test_serving_the_guard(ready: Path) -> None:
    names = run(the("docs/serving.md", "AuthorizedRelay"), ready)
    guarded = smtpx.Stack(smtpx.Session, names["guard"])
    assert send(guarded, to="you@sub.example.org").accepted
    assert send(guarded, to="you@xn--bcher-kva.example").accepted
    with pytest.raises(smtpx.PermanentRefusal, match=r"550 5\.7\.1"):
        send(guarded, to="you@elsewhere.example")


def test_serving_a_context(ready: Path) -> None:
    names = run(the("docs/serving.md", "SCORE"), ready)
    scores: list[int] = []

    class Reader(smtpx.Session):
        async def mail(self, sender: object, params: object) -> None:
            scores.append(self.context[names["SCORE"]])

    with smtpx.ServerThread(smtpx.Stack(Reader, names["Scored"]), port=0) as server:
        for name in ("[192.0.2.1]", "mail.example.org"):
            with smtpx.Client(server.url, hello_name=name) as client:
                client.send(LETTER, sender="a@x.example", recipients=["b@x.example"])
    assert scores == [10, 0]


def test_serving_code_that_blocks(ready: Path) -> None:
    from smtpx.server.threads import in_threads

    archive = run(the("docs/serving.md", "BlockingSession"), ready)["Archive"]
    assert send(in_threads(archive)).reply.text == f"{len(LETTER)} octets"


@pytest.mark.parametrize("status", [0, 1])
def test_serving_a_program(ready: Path, status: int) -> None:
    program = ready / "deliver"
    told = ready / "told"
    program.write_text(f"#!{sys.executable}\nimport sys\nopen({str(told)!r}, 'w').write(repr(sys.argv[1:]) + "
                       f"sys.stdin.read())\nsys.exit({status})\n")  # fmt: skip
    program.chmod(stat.S_IRWXU)
    names = run(the("docs/serving.md", "create_subprocess_exec"), ready, **{"/usr/local/bin/deliver": str(program)})
    if status:
        with pytest.raises(smtpx.TemporaryRefusal, match=r"451 4\.3\.0 not delivered"):
            send(names["ToProgram"], to="|id@example.org")
    else:
        assert send(names["ToProgram"], to="|id@example.org").accepted
    assert told.read_text() == "['--', '|id@example.org']Subject: x\n\nhello\n"


def test_observing_by_an_observer(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run(the("docs/observing.md", "class Slow"), ready, **{"> 10": ">= 0"})
    send(smtpx.Session, observer=names["Slow"]())
    address, identifier, outcome, seconds = capsys.readouterr().out.split()
    assert (address, identifier[-2:], outcome) == ("127.0.0.1", ".1", "accepted")
    assert float(seconds) >= 0


def test_observing_by_telemetry(ready: Path) -> None:
    names = run(the("docs/observing.md", "ServerTelemetry"), ready)
    assert isinstance(names["server"], smtpx.Server)
    with names["client"] as client:
        assert not client.is_closed
    assert send(smtpx.Session, observer=names["ServerTelemetry"]()).accepted


# The command line ----------------------------------------------------------------------------------------------------


def commands() -> list[list[str]]:
    """Each `smtpx ...` of the README's shell blocks, in words."""
    import shlex

    lines = [line for block in blocks("sh") if block.document == "README.md" for line in block.text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("smtpx ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_of_the_readme_are_understood(words: list[str], ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ready)
    assert isinstance(smtpx_command, click.Group)
    context = click.Context(smtpx_command)
    command = smtpx_command.get_command(context, words[0])
    assert command is not None
    command.make_context(words[0], words[1:], parent=context)
    with pytest.raises(click.NoSuchOption):
        command.make_context(words[0], [*words[1:], "--no-such-option"], parent=context)


def test_what_the_readme_serves_takes_what_the_readme_sends(tmp_path: Path) -> None:
    serve, send_, *_ = commands()
    assert serve[:3] == ["serve", "--port", "2525"]
    with serving(tmp_path, *serve[3:]) as server:
        outcome = child(*(word.replace("127.0.0.1:2525", f"127.0.0.1:{server.port}") for word in send_))
        assert outcome.status == 0, outcome
    (kept,) = (tmp_path / "Maildir" / "new").iterdir()
    assert b"\r\nSubject: Hi\r\n" in kept.read_bytes()


def test_the_readme_installs_what_it_says() -> None:
    """Nothing is on an index yet: whoever follows the README is in a clone, and the extra is one of the project's."""
    (line,) = re.findall(r"^pip install (\S+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert line == "'.[cli]'"
    assert "\ncli = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")

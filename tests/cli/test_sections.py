"""Help is in sections, one line for each option; and says all that the command takes."""

import os
import re
from pathlib import Path

import click
import pytest

from smtpx.cli.main import command
from smtpx.cli.sections import SectionedCommand, section
from tests.cli.peers import child

COMMANDS = ("serve", "send", "probe")


def help_of(name: str, columns: int = 100) -> str:
    outcome = child(name, "--help", environment={"COLUMNS": str(columns)})
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_is_one_line(name: str) -> None:
    declared = {each.opts[0] for each in command.commands[name].params if isinstance(each, click.Option)}
    text = help_of(name)
    rows = re.findall(r"^  (?:-h, )?(--[a-z-]+)( [^ ].*?)?  +([^ ].*)$", text, re.MULTILINE)
    assert {option for option, _, _ in rows} == {*declared, "--help"}
    body = text[re.search(r"^[A-Z][A-Za-z ]+:\n  -", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    lines = [line for line in body.splitlines() if line.startswith("  ")]
    assert len(lines) == len(rows)
    assert max(map(len, lines)) <= 100
    assert "x>=" not in body


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_read_by_the_command(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("mail.pem", "mail.eml", "report.pdf"):
        (tmp_path / file).touch()
    examples = re.findall(rf"^    smtpx {name}\b(.*)$", help_of(name, 200), re.MULTILINE)
    assert len(examples) >= 3
    for example in examples:
        import shlex

        words = shlex.split(example.replace(" ...", " --to b@example.net"))
        context = command.commands[name].make_context(name, words)
        assert context.params


def test_narrow_terminals(tmp_path: Path) -> None:
    assert max(map(len, help_of("probe", 60).splitlines())) <= 70


def test_sections_stand_in_order() -> None:
    first, second = section("First"), section("Second")

    @click.command(cls=SectionedCommand, context_settings={"show_default": True})
    @first("--a", type=click.IntRange(1, 5), default=2, show_default=True, help="A.")
    @second("--b", type=click.IntRange(min=1), help="B.")
    @first("--c", help="C.", hidden=True)
    @click.argument("where")
    def made(**_: object) -> None:
        """Do it."""

    with click.Context(made) as context:
        text = made.get_help(context)
    assert text.splitlines()[4:] == [
        "First:",
        "  --a INTEGER RANGE  A.  [default: 2]",
        "",
        "Second:",
        "  --b INTEGER RANGE  B.",
        "",
        "Output:",
        "  --help             Show this message and exit.",
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    source = child(environment={"_SMTPX_COMPLETE": f"{shell}_source"})
    if shell == "bash" and source.status:  # click asks the bash that is there for its version
        assert os.path.exists("/bin/bash") is False
        return
    assert source.status == 0
    assert "_SMTPX_COMPLETE" in source.out
    words = {"COMP_WORDS": "smtpx serve --auth-", "COMP_CWORD": "2"}
    found = child(environment={"_SMTPX_COMPLETE": "zsh_complete", **words}).out
    assert {"--auth-user", "--auth-token", "--auth-mechanism"} <= set(found.split("\n"))

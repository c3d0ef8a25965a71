"""`scripts/fuzz` as a program: what it says, what it leaves behind, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from fuzz import __main__ as command
from fuzz import engine, targets

ROOT = Path(__file__).parents[2]


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fuzz", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("kind", ["mutations", "atheris"])
def test_a_short_run(kind: str) -> None:
    if kind == "atheris" and not engine.has_atheris():
        pytest.skip("atheris has no wheel for this Python")
    with start("commands", "lines", "--seconds", "1", "--engine", kind) as process:
        out, err = process.communicate(timeout=50)
    assert process.returncode == 0, err
    first, *targets_, last = out.splitlines()
    assert first.startswith(kind)
    assert [line.partition(":")[0] for line in targets_] == ["commands", "lines"]
    assert all("nothing" in line and "inputs," in line for line in targets_)
    assert last == "nothing found"


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(targets.NAMES)


@pytest.mark.parametrize(
    "arguments", [["nobody"], ["--seconds", "0"], ["--seconds", "x"], ["--short", "--seconds", "3"]]
)
def test_mistakes(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2


def test_ctrl_c_ends_target_and_command() -> None:
    with start("lines", "--seconds", "100", "--engine", "mutations") as process:
        assert process.stdout is not None
        assert "mutations" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out == ""
    with pytest.raises(ProcessLookupError):  # nobody of it is left
        os.killpg(process.pid, 0)


def broken(data: bytes) -> None:
    assert b"x" not in data, "an x"


@pytest.fixture
def breaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A target that breaks, in place of `lines`; gives where findings go."""
    seeds = tmp_path / "seeds" / "lines"
    seeds.mkdir(parents=True)
    (seeds / "good").write_bytes(b"good")
    (seeds / "longer").write_bytes(b"an x in it")
    monkeypatch.setattr(targets, "SEEDS", tmp_path / "seeds")
    monkeypatch.setattr(targets, "load", lambda name: targets.Target(name, broken, (b"x",)))
    monkeypatch.setattr(command, "FINDINGS", ROOT / ".pytest_cache" / tmp_path.name)
    monkeypatch.setattr(command, "CORPUS", tmp_path / "corpus")
    return command.FINDINGS


def test_a_finding_is_written_down(
    breaking: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(line: Sequence[str], log: int, max_seconds: float) -> int:
        return engine.main(list(line[3:]))

    monkeypatch.setattr(command, "_run", run)
    try:
        assert command.main(["lines", "--seconds", "1", "--engine", "mutations"]) == 1
        (path,) = breaking.iterdir()
        assert path.read_bytes() == b"an x in it"
        said = capfd.readouterr().out
        assert "lines: FOUND" in said
        assert f"again: scripts/fuzz lines --input {path.relative_to(ROOT)}" in said
        with pytest.raises(AssertionError, match="an x"):
            command.main(["lines", "--input", str(path)])
    finally:
        for path in breaking.iterdir():
            path.unlink()
        breaking.rmdir()
    assert command.main(["lines", "--input", str(targets.SEEDS / "lines" / "good")]) == 0
    assert command.main(["--input", "x"]) == 64


def test_what_takes_too_long_is_a_finding(breaking: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def endless(data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr(targets, "load", lambda name: targets.Target(name, endless, ()))
    monkeypatch.setattr(engine, "MAX_SECONDS_PER_INPUT", 1)
    options = [
        "lines",
        "--engine",
        "mutations",
        "--seconds",
        "1",
        "--corpus",
        str(tmp_path),
        "--findings",
        str(tmp_path),
    ]
    assert engine.main(options) == engine.FINDING
    assert [path.name[:12] for path in tmp_path.glob("lines-*")] == ["lines-crash-"]


def test_what_does_not_end_is_no_finding_and_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_GRACE_SECONDS", -0.99)
    assert not command._try("lines", "mutations", 1)
    assert capsys.readouterr().out.startswith("lines: NOT ENDED in time (inputs not counted")

"""`python -m smtpx` and the `smtpx` command, with the extra and without."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import smtpx
from smtpx.__main__ import main


def test_python_m_smtpx() -> None:
    done = subprocess.run([sys.executable, "-m", "smtpx", "--version"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"smtpx {smtpx.__version__}\n", "")


def test_the_installed_command() -> None:
    program = shutil.which("smtpx", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("smtpx is not installed beside this Python")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"smtpx {smtpx.__version__}\n"


def test_the_exit_status_is_the_command_s(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["smtpx", "nope"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 64
    assert capsys.readouterr().err.startswith("smtpx: No such command 'nope'")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 64
    assert capsys.readouterr().err == "smtpx: the command needs smtpx[cli]: pip install 'smtpx[cli]'\n"


def test_as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["smtpx", "--version"])
    monkeypatch.delitem(sys.modules, "smtpx.__main__")
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("smtpx", run_name="__main__")
    assert caught.value.code == 0


def test_without_the_extra_in_a_fresh_interpreter() -> None:
    code = "import sys, runpy; sys.modules['click'] = None; runpy.run_module('smtpx', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == "smtpx: the command needs smtpx[cli]: pip install 'smtpx[cli]'\n"


def test_ctrl_c_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smtpx.__main__.importlib.import_module", interrupted)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130


def test_closed_standard_streams_are_no_place_for_sockets() -> None:
    code = (
        "import os, sys; os.closerange(0, 3); sys.argv = ['smtpx', '--version']; from smtpx.__main__ import _run;"
        "_run(); null = os.stat('/dev/null'); sys.exit(sum(os.path.samestat(os.fstat(n), null) for n in range(3)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 3

"""The names of the package: all there, and loaded when they are used."""

import subprocess
import sys

import pytest

import smtpx.mailer


def test_every_public_name_resolves_and_says_so() -> None:
    for name in smtpx.mailer.__all__:
        assert getattr(smtpx.mailer, name) is not None
    assert dir(smtpx.mailer) == sorted(smtpx.mailer.__all__)
    assert set(smtpx.mailer._HOME_OF) == set(smtpx.mailer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = smtpx.mailer.nonsense  # type: ignore[attr-defined]  # that is the point


def test_importing_it_loads_nothing() -> None:
    code = "import sys, smtpx.mailer; print(sorted(n for n in sys.modules if n.startswith('smtpx')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['smtpx', 'smtpx.mailer']\n"

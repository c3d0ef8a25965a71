"""What `smtpx.sasl` offers, and what it loads."""

import subprocess
import sys

import pytest

from smtpx import sasl


@pytest.mark.parametrize("name", sasl.__all__)
def test_names_can_be_imported(name: str) -> None:
    assert getattr(sasl, name) is getattr(sasl, name)


def test_other_names_cannot() -> None:
    with pytest.raises(AttributeError, match="GSSAPI"):
        _ = sasl.GSSAPI  # type: ignore[attr-defined]


def test_mechanisms_are_loaded_when_they_are_used() -> None:
    program = "import smtpx.sasl, sys; print(sorted(name for name in sys.modules if name.startswith('smtpx.sasl.')))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['smtpx.sasl.credentials', 'smtpx.sasl.mechanism', 'smtpx.sasl.password']"

"""The examples in the documentation strings are run."""

import doctest
import importlib
from pathlib import Path

import pytest

import smtpx

ROOT = Path(next(iter(smtpx.__path__)))


def names() -> list[str]:
    """The modules that have examples. Found by reading, so that nothing is imported to find them."""
    return [
        ".".join(("smtpx", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for path in sorted(ROOT.rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", names())
def test_examples_of(name: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted
    assert not failed

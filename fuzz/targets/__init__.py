"""The targets. Each module has `target(data)`, which raises on a finding, and `TOKENS` that matter to what it tries."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

__all__ = ["NAMES", "SEEDS", "Target", "load"]

SEEDS = Path(__file__).parents[1] / "seeds"
NAMES = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


class Target(NamedTuple):
    """One place to try."""

    name: str
    run: Callable[[bytes], None]
    tokens: tuple[bytes, ...]

    @property
    def seeds(self) -> list[Path]:
        """Inputs to begin with; each finding that was fixed is one of them."""
        return sorted((SEEDS / self.name).iterdir())


def load(name: str) -> Target:
    """A target by name."""
    module: ModuleType = importlib.import_module(f"fuzz.targets.{name}")
    return Target(name, module.target, module.TOKENS)

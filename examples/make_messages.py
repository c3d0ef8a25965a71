#!/usr/bin/env python3
"""Write the example messages: mail of the kinds that real programs send.

    python examples/make_messages.py               the big ones, into examples/messages/generated/
    python examples/make_messages.py --all         the small ones too, into examples/messages/
    python examples/make_messages.py DIRECTORY     the same, but everything into DIRECTORY
    python examples/make_messages.py --list        what there is

The small ones are committed, so that they can be looked at and sent without running anything.
How each is made stands in `recipes/`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recipes import COMMITTED, GENERATED, Recipe

__all__ = ["main", "write_messages"]

MESSAGES = Path(__file__).resolve().parent / "messages"


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says, and return the exit status."""
    options = parse_options(arguments)
    if options.list:
        for name, recipe in (COMMITTED | GENERATED).items():
            print(f"{name:36} {recipe.__doc__}")
        return 0
    written = write_messages(GENERATED, options.directory or MESSAGES / "generated")
    if options.all:
        written += write_messages(COMMITTED, options.directory or MESSAGES)
    for path in written:
        print(path)
    return 0


def parse_options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options: `directory`, `all`, `list`."""
    parser = argparse.ArgumentParser(description="Write the example messages.")
    parser.add_argument("directory", nargs="?", type=Path, help="where everything goes")
    parser.add_argument("--all", action="store_true", help="the committed ones too")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    return parser.parse_args(arguments)


def write_messages(recipes: dict[str, Recipe], directory: Path) -> list[Path]:
    """Write one file for each recipe into `directory`, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, recipe in recipes.items():
        (directory / name).write_bytes(recipe())
    return [directory / name for name in recipes]


if __name__ == "__main__":
    sys.exit(main())

"""Help in sections: options stand under a title, each in one line."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import click

__all__ = ["SectionedCommand", "section"]

_OPTION_COLUMN = 34  # the widest option and its value
_LAST = "Output"  # where click's own --help stands
_RANGE = re.compile(r"; [0-9.<=]*x[0-9.<>=]*(?=\]$)|  \[[0-9.<=]*x[0-9.<>=]*\]$")


class _Option(click.Option):
    def __init__(self, *args: Any, section: str, **attributes: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*args, **attributes)
        self.section = section

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Option and text, without the range of numbers: whoever leaves it is told."""
        record = super().get_help_record(ctx)
        return record and (record[0], _RANGE.sub("", record[1]))


def section(title: str) -> Callable[..., Callable[[Any], Any]]:
    """`click.option` for the options under one title."""
    return partial(click.option, cls=_Option, section=title)


class SectionedCommand(click.Command):
    """A command whose help has the options in sections, in the order in which they were declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)) is not None:
                title = parameter.section if isinstance(parameter, _Option) else _LAST
                rows.setdefault(title, []).append(record)
        width = min(max(len(option) for records in rows.values() for option, _ in records), _OPTION_COLUMN)
        for title, records in rows.items():
            with formatter.section(title):
                formatter.write_dl([(option.ljust(width), text) for option, text in records], col_max=_OPTION_COLUMN)

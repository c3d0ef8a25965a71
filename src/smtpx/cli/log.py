"""Log lines on standard error: text for people, or one JSON object a line."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TypeAlias, cast

from smtpx.wire.syntax import escape

__all__ = ["start_logging"]

_MAX_LINE = 8192
_EXTRA = ("connection", "transaction", "peer", "server")
_ExcInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]"


class _TextFormatter(logging.Formatter):
    """One line each, control characters escaped; a traceback follows in lines of its own."""

    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape(super().formatMessage(record), max_chars=_MAX_LINE)

    def formatException(self, ei: _ExcInfo) -> str:
        # What a peer sent may stand in the text of an exception.
        return "\n".join(escape(line, max_chars=_MAX_LINE) for line in super().formatException(ei).split("\n"))


class _JSONFormatter(_TextFormatter):
    """One object a line: time, level, logger, message, and what the record carries beside."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update({name: getattr(record, name) for name in _EXTRA if hasattr(record, name)})
        entry.update(_spread(entry.get("transaction")))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _spread(transaction: object) -> dict[str, object]:
    """The fields of `TransactionLog` beside the others; `transaction` stays the id, as it is in every other line."""
    if not isinstance(transaction, Mapping):
        return {}
    fields = cast("Mapping[str, object]", transaction)
    return {"transaction": fields.get("id"), **{name: value for name, value in fields.items() if name != "id"}}


def start_logging(log_format: str, *, verbose: bool) -> None:
    """Log to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JSONFormatter() if log_format == "json" else _TextFormatter())
    logger = logging.getLogger("smtpx")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False

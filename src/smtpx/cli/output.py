"""What the command prints: nothing in it steers a terminal, and nobody listening is no reason to fail."""

import errno
import os
import re
import sys
from typing import TextIO

from smtpx.wire.syntax import CONTROLS, escape

__all__ = ["complain", "note", "say"]


def say(text: str) -> None:
    """Lines on standard output, at once. What was done stays done when they can't be written."""
    error = _write(sys.stdout, text)
    if error is not None and error.errno != errno.EPIPE:
        complain(f"can't write to standard output: {error.strerror}")


def note(text: str) -> None:
    """Lines on standard error."""
    _write(sys.stderr, text)


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    note(f"smtpx: {text}")


def _write(stream: TextIO | None, text: str) -> OSError | None:
    if stream is None:  # closed by whoever started us
        return None
    encoding = stream.encoding or "utf-8"
    safe = CONTROLS.sub(_escape, text).encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(f"{safe}\n")
        stream.flush()
    except OSError as error:
        # What could not be written would be tried again at exit, and that would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _escape(match: re.Match[str]) -> str:
    return match[0] if match[0] == "\n" else escape(match[0])

"""Texts that nobody can guess and that never come twice."""

import base64
import os
from collections.abc import Callable

__all__ = ["NonceSource", "make_nonce"]

NonceSource = Callable[[], str]
"""Gives another text each time: printable ASCII without a comma."""


def make_nonce() -> str:
    """18 random octets: 24 characters of base64."""
    return base64.b64encode(os.urandom(18)).decode()

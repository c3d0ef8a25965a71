"""The clock and the source of Message-IDs for messages that have none yet."""

from datetime import datetime

__all__ = ["new_id", "now_here"]


def now_here() -> datetime:
    """The date of a message: now, with the offset of this place."""
    return datetime.now().astimezone()


def new_id(domain: str) -> str:
    """A Message-ID: 128 random bits at a domain. The name of this machine is not in it."""
    import secrets

    return f"<{secrets.token_hex(16)}@{domain}>"

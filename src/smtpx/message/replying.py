"""The fields that make a message an answer to another one (RFC 5322 3.6.4)."""

import re
from email.message import Message as EmailMessage
from typing import TYPE_CHECKING, Any

from smtpx.message.address import Address, Group, sift_addresses
from smtpx.message.eml import Eml

if TYPE_CHECKING:
    from smtpx.message.compose import Message

__all__ = ["reply_fields"]

_ID = re.compile(r"<[^<>\s]+>")
_RE = re.compile(r"\s*re\s*:", re.IGNORECASE)
_MAX_REFERENCES = 50  # the first, which begins the thread, and the latest


def reply_fields(original: "Message | Eml | EmailMessage[Any, Any]") -> dict[str, Any]:
    """`in_reply_to`, `references`, `subject` and `to` of an answer, as far as the original tells them."""
    subject, message_id, earlier, parties = _facts(original)
    references = [*earlier, *message_id]
    if len(references) > _MAX_REFERENCES:
        references = [references[0], *references[1 - _MAX_REFERENCES :]]
    fields: dict[str, Any] = {"in_reply_to": message_id, "references": references, "to": parties}
    if subject is not None:
        fields["subject"] = subject if _RE.match(subject) else f"Re: {subject}"
    return {name: value for name, value in fields.items() if value}


def _facts(
    original: "Message | Eml | EmailMessage[Any, Any]",
) -> tuple[str | None, list[str], list[str], tuple[Address | Group, ...]]:
    """Subject, Message-ID, the ids before it, and whom an answer goes to."""
    if isinstance(original, EmailMessage):
        texts = [str(original.get(name) or "") for name in ("Message-ID", "References", "In-Reply-To")]
        own, earlier, before = ([each for each in _ID.findall(text) if each.isascii()] for text in texts)
        subject = original.get("Subject")
        parties = sift_addresses(str(original.get("Reply-To") or original.get("From") or "")).addresses
        return None if subject is None else _one_line(str(subject)), own[:1], earlier or before[:1], parties
    own = [original.message_id] if original.message_id else []
    if isinstance(original, Eml):
        earlier = [*(original.ids("References") or original.ids("In-Reply-To")[:1])]
    else:
        earlier = [*(original.references or original.in_reply_to[:1])]
    subject = None if original.subject is None else _one_line(original.subject)
    return subject, own, earlier, original.reply_to or original.from_


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in " ".join(text.split()))

"""What forbids a message to be sent, all of it at once."""

import re
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from smtpx.message.address import addresses_of, fold_key
from smtpx.message.bodies import canonical, why_not
from smtpx.message.findings import Finding
from smtpx.wire.address import Mailbox
from smtpx.wire.syntax import escape

if TYPE_CHECKING:
    from smtpx.message.compose import Message

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_RECIPIENTS",
    "cids_in",
    "envelope_findings",
    "findings_of",
    "forward_paths",
    "reverse_path",
]

MAX_RECIPIENTS = 100
MAX_MESSAGE_BYTES = 26_214_400  # 25 MiB: about what the large providers take

# RFC 2392, wherever HTML and CSS may have it: without what may stand around it there.
CID = re.compile(r"(?<![A-Za-z0-9])cid:([A-Za-z0-9!#$%*+/=^_`{|}~.@-]+)", re.IGNORECASE)


def cids_in(html: str) -> set[str]:
    """The Content-IDs that HTML refers to."""
    return {unquote(each) for each in CID.findall(html)}


def reverse_path(message: "Message") -> Mailbox | None:
    """The envelope sender; None if there is none to be found."""
    if message.envelope_from is not None:
        return message.envelope_from
    if message.sender is not None:
        return message.sender.mailbox
    senders = [*addresses_of(message.from_)]
    return senders[0].mailbox if len(senders) == 1 else None


def forward_paths(message: "Message") -> tuple[Mailbox, ...]:
    """The envelope's recipients, each once: local parts compared exactly, domains without case and in A-labels."""
    if message.recipients is not None:
        return _folded(message.recipients)
    return _folded(each.mailbox for each in addresses_of((*message.to, *message.cc, *message.bcc)))


def _folded(mailboxes: "Iterator[Mailbox] | tuple[Mailbox, ...]") -> tuple[Mailbox, ...]:
    found = dict[tuple[str, str], Mailbox]()
    for each in mailboxes:
        found.setdefault(fold_key(each), each)
    return tuple(found.values())


def envelope_findings(message: "Message", sender: Mailbox | None, recipients: tuple[Mailbox, ...]) -> Iterator[Finding]:
    """What is wrong with the envelope."""
    if sender is None:
        count = sum(1 for _ in addresses_of(message.from_))
        text = f"it names {count} people: who of them sends it is said by sender" if count else "nobody sends it"
        yield Finding("sender" if count else "from_", "", text)
    if not recipients:
        yield Finding("recipients" if message.recipients is not None else "to", "", "no recipient, in To, Cc or Bcc")


def findings_of(
    message: "Message",
    *,
    max_recipients: int = MAX_RECIPIENTS,
    max_bytes: int = MAX_MESSAGE_BYTES,
    strict: bool = False,
    except_for: Container[str] = (),
) -> list[Finding]:
    """Everything that is wrong.

    Args:
        except_for: fields that are known to be wrong already, and were left out of the message.
    """
    found = [
        *_sender_findings(message),
        *_recipient_findings(message, max_recipients, except_for),
        *_content_findings(message, max_bytes, except_for),
        *_charset_findings(message),
        *_wish_findings(message, except_for),
    ]
    if strict:
        found += _cid_findings(message)
    return [each for each in found if each.field not in except_for]


def _sender_findings(message: "Message") -> Iterator[Finding]:
    if not message.from_:
        yield Finding("from_", "", "nobody wrote it: From is missing")
    elif message.sender is None and sum(1 for _ in addresses_of(message.from_)) > 1:
        yield Finding("sender", "", "several people wrote it: who of them sends it? (RFC 5322 3.6.2)")


def _recipient_findings(message: "Message", most: int, except_for: Container[str]) -> Iterator[Finding]:
    recipients = forward_paths(message)
    if len(recipients) > most:
        yield Finding("recipients", str(len(recipients)), f"{len(recipients)} recipients, and {most} are allowed")
    if not recipients and not any(name in except_for for name in ("to", "cc", "bcc", "recipients")):
        yield Finding("to", "", "no recipient, in To, Cc or Bcc")


def _content_findings(message: "Message", most: int, except_for: Container[str]) -> Iterator[Finding]:
    parts = (*message.attachments, *message.inline.values())
    has_content = message.text or message.html or message.alternatives or parts
    if not has_content and not any(name in except_for for name in ("text", "html", "attachments", "inline")):
        yield Finding("text", "", "no text, no HTML and no attachment")
    texts = (message.text or "", message.html or "", *(each.content for each in message.alternatives))
    size = sum(map(_octets_in, texts)) + sum(each.size or 0 for each in parts)
    if size > most:
        yield Finding("size", str(size), f"{size} octets of texts and attachments, and {most} are allowed")


def _octets_in(text: str | bytes) -> int:
    return len(text) if isinstance(text, bytes) or text.isascii() else len(text.encode())


def _charset_findings(message: "Message") -> Iterator[Finding]:
    if message.charset == "utf-8" and message.encoding != "7bit":
        return
    for name in ("text", "html"):
        text: str = getattr(message, name) or ""
        try:
            problem = why_not(canonical(text, message.charset), message.encoding or "base64")
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            yield Finding.of(name, text, problem)


def _wish_findings(message: "Message", except_for: Container[str]) -> Iterator[Finding]:
    if message.one_click and "list_unsubscribe" not in except_for:
        secure = [each for each in message.list_unsubscribe if each.lower().startswith("https:")]
        if len(secure) != 1:
            text = f"needs exactly one https URI in list_unsubscribe, which has {len(secure)} (RFC 8058 3.1)"
            yield Finding("one_click", "True", text)
    if message.hold_for is not None and message.hold_until is not None:
        yield Finding("hold_until", str(message.hold_until), "hold_for or hold_until, not both")


def _cid_findings(message: "Message") -> Iterator[Finding]:
    used = cids_in(message.html or "")
    known = {*message.inline, *(each.content_id for each in message.attachments if each.content_id)}
    for cid in sorted(used - known):
        yield Finding("html", f"cid:{escape(cid)}", f"it shows cid:{escape(cid)}, and there is no such inline part")
    for cid in sorted(set(message.inline) - used):
        yield Finding("inline", cid, f"{cid} is not shown anywhere in the HTML")

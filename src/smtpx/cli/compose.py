"""A message from the options of `smtpx send`, with the standard library's means."""

import mimetypes
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

__all__ = ["compose"]


def compose(options: dict[str, Any]) -> EmailMessage:
    """Build the message.

    Raises:
        ValueError: for a header field that can't be one.
    """
    message = EmailMessage(policy=SMTP)
    sender = options["sender"]
    message["From"] = sender or "MAILER-DAEMON"
    for field, name in (("To", "to"), ("Cc", "cc")):
        if options[name]:
            message[field] = ", ".join(options[name])
    if options["subject"] is not None:
        message["Subject"] = options["subject"]
    for field in options["headers"]:
        name, colon, value = field.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"not a header field: {field!r} (give 'Name: value')")
        _check_name(name.strip())
        del message[name.strip()]
        message[name.strip()] = value.strip()
    if "Date" not in message:
        message["Date"] = formatdate(localtime=True)
    if "Message-ID" not in message:
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
    _add_bodies(message, options)
    for path in options["attach"]:
        _attach(message, Path(path))
    return message


def _check_name(name: str) -> None:
    if not name.isascii() or any(char <= " " or char > "~" for char in name):
        raise ValueError(f"not a header field name: {name!r}")


def _add_bodies(message: EmailMessage, options: dict[str, Any]) -> None:
    text, html = options["text"], options["html"]
    if text is not None or html is None:
        message.set_content(text or "")
        if html is not None:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")


def _attach(message: EmailMessage, path: Path) -> None:
    kind, encoding = mimetypes.guess_type(path.name)
    main, _, sub = (kind if kind and not encoding else "application/octet-stream").partition("/")
    message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)

"""A message from the options of `smtpx send`, with the standard library's means."""

import mimetypes
import re
import socket
from collections.abc import Sequence
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, unquote
from pathlib import Path
from typing import Any, NamedTuple

from smtpx.message.fields import check_value
from smtpx.message.headers import write_party
from smtpx.wire.address import Mailbox, ascii_domain

__all__ = ["Party", "compose", "party"]

# Address fields are folded here and stay so: some versions of Python lose the quotes of a long name that they fold.
_POLICY = SMTP.clone(refold_source="none")
_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 2.2
_AT = re.compile("@")  # an address in the place of a name was meant as an address, or to mislead
_SURROGATES = re.compile("[\ud800-\udfff]")
_OF_THE_BODY = frozenset({"mime-version", "content-type", "content-transfer-encoding", "content-disposition"})


class Party(NamedTuple):
    """Somebody in an address field: a display name, perhaps empty, and an address."""

    name: str
    address: str


def party(text: str) -> Party:
    """Read `a@example.org` or `Anna <a@example.org>`.

    >>> party('"Doe, Jane" <jane@example.org>')
    Party(name='Doe, Jane', address='jane@example.org')
    """
    text = text.strip(" ")
    name, bracket, rest = text.rpartition("<")
    name = name.strip(" ")
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    if bracket and rest.endswith(">") and (quoted or not _AT.search(name)):
        return Party(unquote(name), rest[:-1])
    return Party("", text)


def compose(options: dict[str, Any]) -> EmailMessage:
    """Build the message.

    Raises:
        ValueError: for an address, a header field or a text that can't be one, naming the option.
        OSError: if a file to attach can't be read.
    """
    own = [_parse_field(each) for each in options["headers"]]
    names = {name.lower() for name, _ in own}
    message = EmailMessage(policy=_POLICY)
    for name, value in _usual_fields(options).items():
        if name.lower() not in names:
            _add_field(message, name, value, f"--{name.lower()}")
    _add_bodies(message, options)
    for path in options["attach"]:
        _attach(message, Path(path))
    for name, value in own:  # behind the bodies, which begin with taking all Content- fields away
        _add_field(message, name, value, f"--header {name}")
    return message


def _usual_fields(options: dict[str, Any]) -> dict[str, str | list[Party]]:
    sender = party(options["sender"])
    domain = ascii_domain(sender.address.rpartition("@")[2]) or socket.gethostname()
    fields: dict[str, str | list[Party]] = {
        "From": [sender if sender.address else Party("", f"MAILER-DAEMON@{domain}")]
    }
    for name in ("To", "Cc"):
        if options[name.lower()]:
            fields[name] = [party(each) for each in options[name.lower()]]
    if options["subject"] is not None:
        fields["Subject"] = options["subject"]
    return {**fields, "Date": formatdate(localtime=True), "Message-ID": make_msgid(domain=domain)}


def _parse_field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name = name.strip()
    if not colon or _FIELD_NAME.fullmatch(name) is None:
        raise ValueError(f"--header: not a header field: {text!r} (give 'Name: value')")
    if name.lower() in _OF_THE_BODY:
        raise ValueError(f"--header: {name} follows from the body; --eml takes a message of your own")
    return name, value.strip()


def _add_field(message: EmailMessage, name: str, value: str | Sequence[Party], option: str) -> None:
    if not isinstance(value, str):
        _add_parties(message, name, value, option)
        return
    check_value(value, option)
    message[name] = value
    parsed = message.get_all(name, [])[-1]
    # Encoded-words are decoded, and some versions of Python write a newline that was in them as it is.
    check_value(str(parsed), option)
    if isinstance(parsed, AddressHeader) and not any(group.display_name for group in parsed.groups):
        del message[name]
        _add_parties(message, name, [Party(each.display_name, each.addr_spec) for each in parsed.addresses], option)


def _add_parties(message: EmailMessage, name: str, parties: Sequence[Party], option: str) -> None:
    for each in parties:
        check_value(each.name, option)
    mailboxes = [_mailbox(each.address) for each in parties]
    written = [write_party(each.name, str(mailbox)) for each, mailbox in zip(parties, mailboxes, strict=True)]
    if all(mailbox.is_ascii for mailbox in mailboxes):
        message.set_raw(name, ",\n ".join(written))
    else:
        message[name] = ", ".join(written)  # how it is written depends on what the server takes


def _mailbox(address: str) -> Mailbox:
    mailbox = Mailbox.parse(address)
    return mailbox.to_ascii_domain() if mailbox.local_part.isascii() else mailbox


def _add_bodies(message: EmailMessage, options: dict[str, Any]) -> None:
    text, html = options["text"], options["html"]
    for name in ("text", "html"):
        if _SURROGATES.search(options[name] or ""):  # octets that the locale can't read
            raise ValueError(f"--{name}: not text")
    if text is not None or html is None:
        message.set_content(text or "")
        if html is not None:
            message.add_alternative(html, subtype="html")
    else:
        message.set_content(html, subtype="html")


def _attach(message: EmailMessage, path: Path) -> None:
    check_value(path.name, "--attach")
    kind, encoding = mimetypes.guess_type(path.name)
    main, _, sub = (kind if kind and not encoding else "application/octet-stream").partition("/")
    if main in (
        "message",
        "multipart",
    ):  # these must not be base64 (RFC 2045 6.4), and octets are to arrive as they are
        main, sub = "application", "octet-stream"
    message.add_attachment(path.read_bytes(), maintype=main, subtype=sub, filename=path.name)

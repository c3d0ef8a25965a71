"""What a caller gives for the fields of a message, read and checked: nothing that breaks a header gets in."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

from smtpx.message.address import Address, AddressInput, Group, addresses_of, read_address, read_addresses
from smtpx.message.attachments import Attachment
from smtpx.message.bodies import ENCODINGS, Encoding, mime_charset
from smtpx.message.fields import check_name, check_value, date, message_ids, preformatted, unstructured, uri_list
from smtpx.message.media_types import parse_media_type, type_of_name
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.syntax import escape

__all__ = ["READERS", "Alternative", "HeaderField", "RawHeader"]

_CID = re.compile(r"[A-Za-z0-9!#$*+/=^_`{|}~.@-]{1,600}")  # with a domain it has to fit into a line
_SEED = re.compile(r"[A-Za-z0-9'()+_,./:=?-]{1,60}")  # RFC 2046 5.1.1, without the blank
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})*(?:, ?[A-Za-z0-9]{1,8}(?:-[A-Za-z0-9]{1,8})*)*")
_ID = re.compile(r"<[^<>]*>|[^<>\s,]+")
# Written from fields of their own, or by the message itself; twice would be wrong.
_OWN_FIELDS = frozenset(
    (
        *("from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "in-reply-to"),
        *("references", "mime-version", "content-type", "content-transfer-encoding", "content-disposition"),
        *("content-id", "content-language", "resent-bcc", "return-path"),
    )
)
_IMAGES = ((b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


@dataclass(frozen=True, slots=True)
class Alternative:
    """A further form of the text, such as a calendar invitation or AMP.

    Args:
        content: text, or octets, which go in base64.
        type: the media type, with parameters, such as `text/calendar; method=REQUEST`.
        encoding: of text; chosen by content unless given.

    Raises:
        ValueError: for a bad type or encoding.
        TypeError: for other content.
    """

    content: str | bytes = field(repr=False)
    type: str
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        media_type = parse_media_type(self.type)
        if media_type.name.startswith(("multipart/", "message/")):
            raise ValueError(f"type: an alternative has no parts: {escape(self.type)}")
        _check_kind("the content of an alternative", self.content, str, bytes)
        if self.encoding is not None and (self.encoding not in ENCODINGS or isinstance(self.content, bytes)):
            raise ValueError(f"encoding: one of {', '.join(sorted(ENCODINGS))}, for text: {escape(self.encoding)}")


class RawHeader(NamedTuple):
    """A header field that is folded and encoded already; its value stands there as it is."""

    name: str
    value: str


HeaderField: TypeAlias = "tuple[str, str] | RawHeader"


def _addresses(name: str, value: Any) -> tuple[Address | Group, ...]:  # noqa: ANN401 - whatever a caller gives
    return read_addresses(value)


def _senders(name: str, value: Any) -> tuple[Address | Group, ...]:  # noqa: ANN401
    found = read_addresses(value)
    if found and not any(addresses_of(found)):
        raise ValueError("a group without members")
    return found


def _address(name: str, value: AddressInput) -> Address:
    return read_address(value)


def _reverse_path(name: str, value: AddressInput) -> Mailbox:
    return NULL_SENDER if value in ("", "<>", NULL_SENDER) else read_address(value).mailbox


def _mailboxes(name: str, value: Any) -> tuple[Mailbox, ...]:  # noqa: ANN401
    return tuple(each.mailbox for each in addresses_of(read_addresses(value)))


def _line(name: str, value: object) -> str:
    text = _text(name, value)
    check_value(text, name)
    unstructured(name, text)
    return text


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is text, not {type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("half a surrogate pair: this was bytes once, decoded the wrong way") from None
    return value


def _moment(name: str, value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is a datetime with a time zone, not {type(value).__name__}")
    date("Date", value)
    return value


def _message_id(name: str, value: object) -> str:
    found = _message_ids(name, _text(name, value))
    if len(found) != 1:
        raise ValueError(f"not one message id: {escape(str(value))}")
    return found[0]


def _message_ids(name: str, value: "str | Iterable[str]") -> tuple[str, ...]:
    ids = cast("list[str]", _ID.findall(value)) if isinstance(value, str) else list(value)
    found = tuple(each if each.startswith("<") else f"<{each}>" for each in ids)
    if found:
        message_ids(name, found)
    return found


def _importance(name: str, value: object) -> str | None:
    if value not in ("high", "low", "normal"):
        raise ValueError(f'"high", "normal" or "low", not {escape(str(value))}')
    return None if value == "normal" else str(value)


def _uris(name: str, value: "str | Sequence[str]") -> tuple[str, ...]:
    if not value:
        return ()
    written = uri_list("List-Unsubscribe", value)
    found = tuple(re.findall(r"<([^<>]*)>", written.decode()))
    for each in found:
        if each.partition(":")[0].lower() not in ("https", "http", "mailto"):
            raise ValueError(f"https or mailto, not {escape(each)}")
    return found


def _language(name: str, value: object) -> str:
    text = _text(name, value)
    if _LANGUAGE.fullmatch(text) is None:
        raise ValueError(f"tags like en or de-CH: {escape(text)}")
    return text


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {type(value).__name__}")
    return value


def _charset(name: str, value: object) -> str:
    return mime_charset(_text(name, value))


def _encoding(name: str, value: object) -> str:
    if value not in ENCODINGS:
        raise ValueError(f"one of {', '.join(sorted(ENCODINGS))}, not {escape(str(value))}")
    return str(value)


def _seed(name: str, value: object) -> str:
    text = _text(name, value)
    if _SEED.fullmatch(text) is None:
        raise ValueError(f"1 to 60 letters, digits and '()+_,-./:=?: {escape(text)}")
    return text


def _headers(name: str, value: "Mapping[str, str] | Iterable[HeaderField]") -> tuple[HeaderField, ...]:
    given = cast("Iterable[HeaderField]", value.items() if isinstance(value, Mapping) else value)
    found = list[HeaderField]()
    for each in given:
        if not _is_pair(each):
            raise TypeError("headers are pairs of name and value, both text")
        check_name(each[0])
        if each[0].lower() in _OWN_FIELDS:
            raise ValueError(f"{each[0]} is a field of its own: it is not set by headers")
        if isinstance(each, RawHeader):
            preformatted(each.name, each.value, utf8=True)
        else:
            unstructured(*each)
        found.append(each)
    return tuple(found)


def _check_kind(what: str, value: object, *kinds: type[object]) -> None:
    if not isinstance(value, kinds):
        names = " or ".join(each.__name__ for each in kinds)
        raise TypeError(f"{what} is {names}, not {type(value).__name__}")


def _is_pair(value: object) -> bool:
    if not isinstance(value, tuple):
        return False
    pair = cast("tuple[object, ...]", value)
    return len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str)


def _alternatives(name: str, value: "Iterable[Alternative]") -> tuple[Alternative, ...]:
    found = tuple(value)
    for each in found:
        _check_kind("an alternative", each, Alternative)
    return found


def _attachments(name: str, value: "Iterable[Attachment | Path]") -> tuple[Attachment, ...]:
    if isinstance(value, Attachment | Path | str | bytes):
        raise TypeError("attachments are a list of them")
    return tuple(map(_attachment, value))


def _attachment(value: object) -> Attachment:
    if isinstance(value, Attachment):
        return value
    if isinstance(value, Path):
        return Attachment(value)
    raise TypeError(f"an attachment is an Attachment or a Path, not {type(value).__name__}")


def _inline(name: str, value: "Mapping[str, Attachment | Path | bytes]") -> dict[str, Attachment]:
    found = dict[str, Attachment]()
    for cid, content in value.items():
        if _CID.fullmatch(cid) is None:
            raise ValueError(f"a cid is up to 600 ASCII letters, digits and some marks: {escape(cid)}")
        if isinstance(content, bytes):
            found[cid] = Attachment(content, type=_image_type(cid, content))
        else:
            found[cid] = _attachment(content)
    return found


def _image_type(cid: str, content: bytes) -> str:
    for start, media_type in _IMAGES:
        if content.startswith(start):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return type_of_name(cid)


def _as_given(name: str, value: object) -> object:
    return value


READERS: Mapping[str, Callable[[str, Any], object]] = {
    "from_": _senders,
    **dict.fromkeys(("to", "cc", "bcc", "reply_to", "read_receipt_to"), _addresses),
    "sender": _address,
    "envelope_from": _reverse_path,
    "recipients": _mailboxes,
    **dict.fromkeys(("subject", "organization", "user_agent"), _line),
    **dict.fromkeys(("text", "html", "provider"), _text),
    **dict.fromkeys(("derive_text", "bulk", "one_click", "require_tls"), _flag),
    "alternatives": _alternatives,
    "attachments": _attachments,
    "inline": _inline,
    "headers": _headers,
    "date": _moment,
    "message_id": _message_id,
    **dict.fromkeys(("in_reply_to", "references"), _message_ids),
    "importance": _importance,
    "list_unsubscribe": _uris,
    "language": _language,
    "charset": _charset,
    "encoding": _encoding,
    "boundary": _seed,
    **dict.fromkeys(("ret", "envid", "notify", "orcpt", "mt_priority", "by", "hold_for", "hold_until"), _as_given),
}

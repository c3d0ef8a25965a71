"""DSN (RFC 3461, RFC 6533): who is to be told what becomes of a message, and with which words."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from smtpx.errors import LocalProtocolError, UnsupportedError
from smtpx.protocol.extension import Conversation, Extension, MailFacts, Offer
from smtpx.protocol.replies import make
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Param, Params, decode_xtext, encode_xtext
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError, escape, has_controls

__all__ = ["DSN", "ENVID", "NOTIFY", "ORCPT", "RET", "OriginalRecipient"]

T = TypeVar("T")

_TYPE = re.compile(r"[A-Za-z0-9-]+")
_MAX_ENVID_CHARS = 100  # RFC 3461 4.4
_MAX_ORCPT_BYTES = 500  # RFC 3461 4.2
# RFC 6533 3, EmbeddedUnicodeChar: each character has one spelling. CR and LF have none.
_EMBEDDED = re.compile(
    r"\\x\{(0[1-9]|1[0-9]|20|2B|3D|5C|7F|[89A-F][0-9A-F]|[1-9A-F][0-9A-F]{2}"
    r"|[1-9A-CE-F][0-9A-F]{3}|D[0-7][0-9A-F]{2}|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4})\}"
)
_TO_EMBED = re.compile("[\x00- +=\\\\\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TO_EMBED_IN_ASCII = re.compile(r"[^!-*,-<>-\[\]-~]")
_RAW = make(501, "5.5.4", "raw UTF-8 in ORCPT needs SMTPUTF8")


class OriginalRecipient(NamedTuple):
    """Whom a message was addressed to first: an address type such as `RFC822` or `UTF-8`, and the address.

    `is_raw`: it stood there in UTF-8, which only an SMTPUTF8 transaction may hold (RFC 6533 3).
    """

    kind: str
    address: str
    is_raw: bool = False


def _parse_ret(value: str | None) -> str:
    name = _upper(value)
    if name not in ("FULL", "HDRS"):
        raise WireError(Fault.ARGUMENT, "RET is FULL or HDRS")
    return name


def _parse_envid(value: str | None) -> str:
    text = decode_xtext(value or "")
    if not 1 <= len(text) <= _MAX_ENVID_CHARS or not text.isprintable():
        raise WireError(Fault.ARGUMENT, f"ENVID has 1 to {_MAX_ENVID_CHARS} printable ASCII characters")
    return text


def _parse_notify(value: str | None) -> tuple[str, ...]:
    words = tuple(_upper(value).split(","))
    known = set(words) <= {"SUCCESS", "FAILURE", "DELAY"} or words == ("NEVER",)
    if not known or len(set(words)) != len(words):
        raise WireError(Fault.ARGUMENT, "NOTIFY is NEVER, or different ones of SUCCESS, FAILURE, DELAY")
    return words


def _upper(value: str | None) -> str:
    # Some letters beyond ASCII become ASCII in upper case: U+017F is an S then.
    return value.upper() if value and value.isascii() else ""


def _parse_orcpt(value: str | None) -> OriginalRecipient:
    kind, _, text = (value or "").partition(";")
    if not text or _TYPE.fullmatch(kind) is None or len(text.encode()) + len(kind) >= _MAX_ORCPT_BYTES:
        raise WireError(Fault.ARGUMENT, f"ORCPT is type;address, at most {_MAX_ORCPT_BYTES} octets")
    if kind.upper() == "UTF-8":
        return OriginalRecipient("UTF-8", _decode_utf8(text), not text.isascii())
    address = decode_xtext(text, utf8=True)
    if (kind.upper() == "RFC822" or not address.isascii()) and not address.isprintable():
        raise WireError(Fault.ARGUMENT, "an rfc822 address is printable, and so is one beyond ASCII")
    # RFC 6533 would have a non-ASCII address in the type utf-8; Postfix writes it as xtext of rfc822.
    return OriginalRecipient(kind.upper(), address, not address.isascii())


def _decode_utf8(text: str) -> str:
    if _TO_EMBED.search(_EMBEDDED.sub("", text)):
        raise WireError(Fault.ARGUMENT, r"a character that must be written as \x{HEX}, or can't be")
    return _EMBEDDED.sub(lambda match: chr(int(match[1], 16)), text)


def _write_orcpt(value: OriginalRecipient) -> str:
    if value.kind.upper() != "UTF-8" and value.address.isascii():
        return f"{value.kind};{encode_xtext(value.address)}"
    to_embed = _TO_EMBED if value.is_raw else _TO_EMBED_IN_ASCII
    return f"UTF-8;{to_embed.sub(_embed, value.address)}"


def _embed(match: re.Match[str]) -> str:
    return f"\\x{{{ord(match[0]):02X}}}"


RET: Param[str] = Param("RET", _parse_ret, str)
ENVID: Param[str] = Param("ENVID", _parse_envid, encode_xtext)
NOTIFY: Param[tuple[str, ...]] = Param("NOTIFY", _parse_notify, ",".join)
ORCPT: Param[OriginalRecipient] = Param("ORCPT", _parse_orcpt, _write_orcpt)


class DSN(Extension):
    """Take and send requests for delivery reports."""

    keyword = "DSN"
    mail_params = (RET, ENVID)
    rcpt_params = (NOTIFY, ORCPT)
    mail_options = ("ret", "envid")
    rcpt_options = ("notify", "orcpt")
    needs_wish = True

    def check_rcpt(self, conversation: Conversation, recipient: Mailbox, params: Params) -> Reply | None:
        """Raw UTF-8 in ORCPT only where SMTPUTF8 was asked for (RFC 6533 3)."""
        original = params.get(ORCPT)
        if original is None or not original.is_raw:
            return None
        return None if any(param.keyword == "SMTPUTF8" for param in conversation.mail_params) else _RAW

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """RET and ENVID from the options `ret` and `envid`."""
        return _dress({RET: mail.options.get("ret"), ENVID: mail.options.get("envid")}, offer, "mail")

    def dress_rcpt(self, options: Mapping[str, Any], offer: Offer | None) -> Iterable[str]:
        """NOTIFY and ORCPT from the options `notify` and `orcpt`; in raw UTF-8 only with the option `smtputf8`."""
        notify, orcpt = options.get("notify"), options.get("orcpt")
        if isinstance(notify, str):
            notify = (notify,)
        if isinstance(orcpt, str):
            if has_controls(orcpt):  # U+2028 has a written form, but whoever reads it back breaks a line there
                raise LocalProtocolError(f"no address: {escape(orcpt)}", stage="rcpt")
            orcpt = OriginalRecipient("RFC822" if orcpt.isascii() else "UTF-8", orcpt)
        if orcpt is not None:
            orcpt = orcpt._replace(is_raw=bool(options.get("smtputf8")))
        return _dress({NOTIFY: notify, ORCPT: orcpt}, offer, "rcpt")


def _dress(wishes: Mapping[Param[Any], Any], offer: Offer | None, stage: str) -> list[str]:
    wanted = {param: value for param, value in wishes.items() if value is not None}
    if wanted and offer is None:
        text = f"the server offers no DSN: {', '.join(param.keyword for param in wanted)} can't be asked for"
        raise UnsupportedError(text, keyword="DSN", stage=stage)
    try:
        return [_checked(param, value) for param, value in wanted.items()]
    except WireError as error:
        raise LocalProtocolError(error.detail, stage=stage) from None


def _checked(param: Param[T], value: T) -> str:
    """The parameter as it is sent, read back first: nothing malformed gets out."""
    return param.to_wire(param.parse(param.write(value)))

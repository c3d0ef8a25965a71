"""What a caller may wish of extensions, as keyword arguments, and how that becomes a part of an envelope."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from smtpx.errors import LocalProtocolError
from smtpx.flows.plan import Envelope
from smtpx.protocol.extension import ExtensionSet

if TYPE_CHECKING:
    from datetime import datetime

    from smtpx.extensions.deliverby import Deadline
    from smtpx.extensions.dsn import OriginalRecipient
    from smtpx.extensions.rrvs import ValidSince
    from smtpx.wire.address import Mailbox

__all__ = ["MailWishes", "OnUnsupported", "RcptWishes", "Wishes", "is_binary", "with_wishes"]

OnUnsupported = Literal["error", "drop"]


class MailWishes(TypedDict, total=False):
    """Wishes for MAIL. `ret`, `envid`: RFC 3461; `require_tls`: RFC 8689; `by`: RFC 2852; `mt_priority`: RFC 6710;
    `hold_for` (seconds), `hold_until`: RFC 4865; `submitted_by`, an address, or "" where it is not known: the AUTH=
    parameter of RFC 4954 5."""

    ret: str | None
    envid: str | None
    require_tls: bool
    by: "Deadline | None"
    mt_priority: int | None
    hold_for: int | None
    hold_until: "datetime | None"
    submitted_by: "str | Mailbox | None"


class RcptWishes(TypedDict, total=False):
    """Wishes for one RCPT. `notify`, `orcpt`: RFC 3461; `rrvs`: RFC 7293."""

    notify: Sequence[str] | str | None
    orcpt: "str | OriginalRecipient | None"
    rrvs: "datetime | ValidSince | None"


class Wishes(MailWishes, total=False):
    """Wishes for a message. Those about recipients are for all, or a mapping by address.

    `body` "BINARYMIME" is for content without lines (RFC 3030): it goes as it is, any octets, or not at all.

    `options` are wishes for extensions of your own, by the names they gave them. `on_unsupported="drop"` leaves out
    what the server does not offer; the result's `dropped` says what.
    """

    body: Literal["7BIT", "8BITMIME", "BINARYMIME"] | None

    notify: Sequence[str] | str | Mapping[str, Sequence[str] | str] | None
    orcpt: "str | OriginalRecipient | Mapping[str, str | OriginalRecipient] | None"
    rrvs: "datetime | ValidSince | Mapping[str, datetime | ValidSince] | None"
    options: Mapping[str, Any]
    on_unsupported: OnUnsupported


def is_binary(wishes: Mapping[str, Any]) -> bool:
    """Whether content may be any octets."""
    options: Mapping[str, Any] = wishes.get("options") or {}
    body: object = wishes.get("body") or options.get("body")
    return isinstance(body, str) and body.upper() == "BINARYMIME"


def with_wishes(envelope: Envelope, extensions: ExtensionSet, wishes: Mapping[str, Any]) -> Envelope:
    """The envelope with the wishes in their places.

    Raises:
        LocalProtocolError: for a wish that no extension knows.
    """
    wanted = {name: value for name, value in wishes.items() if name not in ("options", "on_unsupported")}
    wanted |= wishes.get("options") or {}
    wanted = {name: value for name, value in wanted.items() if value is not None and value is not False}
    if not wanted:
        return envelope
    for name in wanted:
        if name not in extensions.mail_options and name not in extensions.rcpt_options:
            raise LocalProtocolError(f"no extension knows the option {name!r}", stage="mail")
    for_each = {name: value for name, value in wanted.items() if name in extensions.rcpt_options}
    by_recipient = {str(each): _for(str(each), for_each) for each in envelope.recipients} if for_each else {}
    options = {name: value for name, value in wanted.items() if name in extensions.mail_options}
    return replace(envelope, options=options, recipient_options=by_recipient)


def _for(address: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, value in wishes.items():
        own: Any = cast("Mapping[str, Any]", value).get(address) if isinstance(value, Mapping) else value
        if own is not None:
            chosen[name] = own
    return chosen

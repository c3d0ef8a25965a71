"""XFORWARD: a trusted filter says where a message came from, for the logs. Postfix's extension, see XFORWARD_README."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from smtpx.extensions.trusted_peers import (
    NOT_TRUSTED,
    TrustedPeers,
    Value,
    one_of,
    parse_attributes,
    parse_port,
    write_attributes,
)
from smtpx.protocol import replies
from smtpx.protocol.extension import Conversation, Extension, VerbHandler
from smtpx.protocol.facts import Claims, ServerFacts
from smtpx.protocol.replies import make
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.syntax import WireError

__all__ = ["XForward"]

_ATTRIBUTES: Mapping[str, Callable[[str], Value]] = {
    "NAME": str,
    "ADDR": str,
    "PORT": parse_port,
    "PROTO": str,
    "HELO": str,
    "IDENT": str,
    "SOURCE": one_of("LOCAL", "REMOTE"),
}
_FIELDS = {
    "NAME": "name",
    "ADDR": "address",
    "PORT": "port",
    "PROTO": "protocol",
    "HELO": "hello_name",
    "IDENT": "ident",
    "SOURCE": "source",
}


class XForward(Extension):
    """Keep what trusted peers say as `peer.forwarded` until the transaction ends. It gives nobody a right.

    Args:
        trusted: networks, and `unix` for unix sockets. Others are not offered it and get 550.
    """

    keyword = "XFORWARD"

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = TrustedPeers(trusted)

    def verbs(self) -> Mapping[str, VerbHandler]:
        """XFORWARD."""
        return {"XFORWARD": self._xforward}

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """The attributes, to those who may use them."""
        return " ".join(_ATTRIBUTES) if self._trusted.include(facts) else None

    def _xforward(self, conversation: Conversation, argument: str | None) -> None:
        facts = conversation.facts
        if not self._trusted.include(facts):
            conversation.reply(NOT_TRUSTED)
        elif conversation.in_transaction:
            conversation.reply(replies.OUT_OF_ORDER)
        else:
            try:
                found = parse_attributes(argument, _ATTRIBUTES)
            except WireError as error:
                conversation.reply(make(501, "5.5.4", error.detail))
                return
            said: dict[str, Any] = {_FIELDS[name]: value for name, value in found.items()}
            facts.forwarded = replace(facts.forwarded or Claims(), **said)
            conversation.reply(replies.OK)

    @staticmethod
    def argument(claims: Claims) -> str:
        """For a client that is a filter: what stands behind the verb."""
        values = {name: getattr(claims, field) for name, field in _FIELDS.items()}
        return write_attributes({name: value for name, value in values.items() if value is not None})

"""XCLIENT: a trusted proxy says for whom it speaks. Postfix's extension, as its XCLIENT_README describes it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from smtpx.extensions.trusted_peers import (
    NOT_TRUSTED,
    UNKNOWN,
    TrustedPeers,
    Value,
    one_of,
    parse_address,
    parse_attributes,
    parse_port,
    write_address,
    write_attributes,
)
from smtpx.protocol.extension import Conversation, Extension, VerbHandler
from smtpx.protocol.facts import Claims, ServerFacts
from smtpx.protocol.replies import make
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.syntax import WireError

__all__ = ["XClient"]

_ATTRIBUTES: Mapping[str, Callable[[str], Value]] = {
    "NAME": str,
    "ADDR": parse_address,
    "PORT": parse_port,
    "PROTO": one_of("SMTP", "ESMTP"),
    "HELO": str,
    "LOGIN": str,
    "DESTADDR": parse_address,
    "DESTPORT": parse_port,
}
_FIELDS = {
    "NAME": "name",
    "ADDR": "address",
    "PORT": "port",
    "PROTO": "protocol",
    "HELO": "hello_name",
    "LOGIN": "login",
    "DESTADDR": "destination_address",
    "DESTPORT": "destination_port",
}


class XClient(Extension):
    """Let trusted peers say who their client is. `Session.connect` is asked again, now about that client.

    Args:
        trusted: networks, and `unix` for unix sockets. Others are not offered it and get 550.
        login: LOGIN counts as authentication.
    """

    keyword = "XCLIENT"

    def __init__(self, trusted: Iterable[str] = (), *, login: bool = False) -> None:
        self._trusted = TrustedPeers(trusted)
        self._login = login

    def verbs(self) -> Mapping[str, VerbHandler]:
        """XCLIENT."""
        return {"XCLIENT": self._xclient}

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """The attributes, to those who may use them."""
        return " ".join(_ATTRIBUTES) if self._trusted.include(facts) else None

    def _xclient(self, conversation: Conversation, argument: str | None) -> None:
        facts = conversation.facts
        if not self._trusted.include(facts):
            conversation.reply(NOT_TRUSTED)
            return
        try:
            found = parse_attributes(argument, _ATTRIBUTES)
        except WireError as error:
            conversation.reply(make(501, "5.5.4", error.detail))
            return
        if found.get("ADDR", "") is None:
            found["ADDR"] = UNKNOWN
        said: dict[str, Any] = {_FIELDS[name]: value for name, value in found.items()}
        claims = replace(facts.claims or Claims(), **said)
        identity = claims.login if self._login else None
        # All that was learnt of another client is forgotten, a login too.
        conversation.restart(
            ServerFacts(tls=facts.tls, address=facts.address, port=facts.port, claims=claims, identity=identity)
        )

    @staticmethod
    def argument(claims: Claims) -> str:
        """For a client that is a proxy: what stands behind the verb.

        >>> XClient.argument(Claims(address="2001:db8::1", hello_name="client.example"))
        'ADDR=IPV6:2001:db8::1 HELO=client.example'
        """
        values = {name: getattr(claims, field) for name, field in _FIELDS.items()}
        said = {name: value for name, value in values.items() if value is not None}
        for name in ("ADDR", "DESTADDR"):
            if name in said:
                said[name] = None if said[name] == UNKNOWN else write_address(said[name])
        return write_attributes(said)

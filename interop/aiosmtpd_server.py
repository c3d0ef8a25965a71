"""aiosmtpd as a peer: `python -m interop.aiosmtpd_server SETTINGS`, a JSON object; see keepers.py."""

# ruff: noqa: ANN401 - aiosmtpd has no types
import asyncio
import json
import ssl
import sys
from itertools import count
from pathlib import Path
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult


class _Handler:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._directory = Path(settings["directory"])
        self._mailboxes = settings["mailboxes"]
        self._numbers = count(1)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address not in self._mailboxes:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        place = self._directory / str(next(self._numbers))
        facts = {
            "sender": envelope.mail_from,
            "parameters": envelope.mail_options,
            "recipients": envelope.rcpt_tos,
            "secure": session.ssl is not None,
            "authenticated": session.authenticated,
        }
        place.with_suffix(".json").write_text(json.dumps(facts))
        place.with_suffix(".partial").write_bytes(envelope.content)
        place.with_suffix(".partial").rename(place.with_suffix(".eml"))
        return f"250 2.0.0 queued as {place.name}"


async def _serve(settings: dict[str, Any]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["chain"], settings["key"])
    login = (settings["user"].encode(), settings["password"].encode())

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == login, handled=False)

    options = dict(settings["options"])
    kind, is_implicit = LMTP if options.pop("lmtp", False) else SMTP, options.pop("implicit", False)
    if options.pop("starttls", False):
        options |= {"tls_context": context, "require_starttls": True}
    handler = _Handler(settings)

    def make() -> Any:
        return kind(handler, hostname="localhost", enable_SMTPUTF8=True, authenticator=authenticate, **options)

    tls = context if is_implicit else None
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", settings["port"], ssl=tls)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))

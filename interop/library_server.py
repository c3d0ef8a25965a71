"""A server written with the library, for what `smtpx serve` does not offer: `python -m interop.library_server`.

Every SASL mechanism, STARTTLS that asks for a client certificate, a recipient that is refused, and a line on standard
output for the parameters of each MAIL and RCPT.
"""

import argparse
import asyncio
import ssl
import sys
from functools import partial

from smtpx import LMTP, SMTP, Credentials, Mailbox, Reject, Reply, ScramRecord, Secret, Server, server_tls
from smtpx.sasl import (
    ANONYMOUS,
    CRAM_MD5,
    EXTERNAL,
    LOGIN,
    OAUTHBEARER,
    PLAIN,
    SCRAM_SHA_1,
    SCRAM_SHA_1_PLUS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    XOAUTH2,
    ServerMechanism,
)
from smtpx.server.maildir import Maildir, MaildirSession
from smtpx.server.run import run_until_signal
from smtpx.wire.params import Params

_SCRAM = (SCRAM_SHA_256_PLUS, SCRAM_SHA_256, SCRAM_SHA_1_PLUS, SCRAM_SHA_1)
_MECHANISMS: dict[str, ServerMechanism] = {
    each.name: each for each in (*_SCRAM, CRAM_MD5, OAUTHBEARER, XOAUTH2, EXTERNAL, PLAIN, LOGIN, ANONYMOUS)
}


class _Session(MaildirSession):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(Maildir(options.maildir), "localhost", "LMTP" if options.lmtp else "SMTP")
        self._user, self._password, self._token = options.user, options.password, options.token

    async def authenticate(self, identity: Credentials) -> None:
        expected = f"{self._user}@example.test" if identity.mechanism == "EXTERNAL" else self._user
        is_right = identity.is_proven or identity.is_password(self._password)
        if identity.token is not None:
            is_right = identity.token.matches(self._token)
        if identity.mechanism != "ANONYMOUS" and not (is_right and identity.username == expected):
            raise Reject.bad_credentials()
        _say(f"logged in by {identity.mechanism}")

    async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        if username != self._user:
            return None
        if mechanism == "CRAM-MD5":
            return Secret(self._password)
        return ScramRecord.make(self._password, mechanism=mechanism)

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        _say(f"MAIL {sender} {_text(params)}")
        return await super().mail(sender, params)

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        if str(recipient).startswith("nobody@"):
            raise Reject.mailbox_unavailable()
        _say(f"RCPT {recipient} {_text(params)}")
        return await super().rcpt(recipient, params)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _text(params: Params) -> str:
    return " ".join(sorted(param.to_wire(params.get(param)) for param in params))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="library_server")
    for name in ("maildir", "chain", "key", "authority", "user", "password", "token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lmtp", action="store_true")
    parser.add_argument("--mechanisms", default=",".join(_MECHANISMS))
    return parser.parse_args()


def _context(options: argparse.Namespace) -> ssl.SSLContext:
    context = server_tls(options.chain, options.key)
    context.load_verify_locations(options.authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _announce(server: Server) -> None:
    for address in server.addresses:
        _say(f"listening on {address}")


async def _main(options: argparse.Namespace) -> None:
    server = Server(
        partial(_Session, options),
        port=options.port,
        tls=_context(options),
        hostname="localhost",
        dialect=LMTP if options.lmtp else SMTP,
        mechanisms=[_MECHANISMS[name] for name in options.mechanisms.split(",")],
    )
    await run_until_signal(server, ready=_announce)


if __name__ == "__main__":
    asyncio.run(_main(_options()))

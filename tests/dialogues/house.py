"""The server that dialogues are played against: what its options mean, and what its session thinks.

| option | meaning |
|---|---|
| a field of `ServerLimits` | that limit |
| `dialect=LMTP`, `hostname=`, `extensions=+RRVS,...` | as for a server; extensions are set up as in `EXTENSIONS` |
| `mechanisms`, `mechanisms=SCRAM-SHA-256,...` | PLAIN and LOGIN, or these; without, there is no AUTH |
| `starttls` | there is a certificate |
| `connect=554` | the session refuses at connect |
| `trusted=no` | the client is no trusted peer |
| `only=socket` | what is shown is the connection's, and not the protocol's |
| others | fields of `ServerSettings` |

The session refuses what has `refuse-450` (or another code) in it: a hello name, an address, a user, a client's name,
content. In LMTP content for `verdict-452@...` is refused to that recipient alone.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import Any

from smtpx.extensions import (
    ALL,
    STANDARD,
    DeliverBy,
    FutureRelease,
    Limits,
    MTPriority,
    XClient,
    XForward,
    by_name,
)
from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.extension import Extension
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import (
    ANONYMOUS,
    EXTERNAL,
    LOGIN,
    OAUTHBEARER,
    PLAIN,
    XOAUTH2,
    Credentials,
    ScramRecord,
    Secret,
    ServerMechanism,
    scram_servers,
)
from smtpx.sasl.cram_md5 import CramMD5Server
from smtpx.server.session import Reject
from smtpx.wire.reply import Reply
from tests.dialogues.dialogue import Dialogue

__all__ = ["EXTENSIONS", "extensions_of", "is_login", "limits_of", "mechanisms_of", "opinion", "settings_of", "stored"]

CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = {each.name for each in fields(ServerLimits)}
_OURS = frozenset({"mechanisms", "extensions", "connect", "trusted", "only"})


def _extensions(*trusted: str) -> dict[str, Extension]:
    own: tuple[Extension, ...] = (
        DeliverBy(minimum_seconds=60),
        MTPriority("MIXER", maximum=5),
        FutureRelease(max_seconds=3600, now=lambda: CLOCK),
        Limits(max_recipient_domains=3),
        XClient(trusted, login=True),
        XForward(trusted),
    )
    return {each.keyword: each for each in (*ALL, *own)}


EXTENSIONS = _extensions("127.0.0.1")
_TRUSTING_NOBODY = _extensions()

# The nonces of the examples: RFC 5802 5, RFC 7677 3, RFC 2195 2.
_NONCES = {"SCRAM-SHA-1": "3rfcNHYJY1ZVvWVs7j", "SCRAM-SHA-256": "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"}
(_SHA_1,), (_SHA_256,) = (
    scram_servers(name, nonce=lambda nonce=nonce: nonce, secret=b"s", iterations=4096)
    for name, nonce in _NONCES.items()
)
_CRAM = ServerMechanism(
    "CRAM-MD5", False, False, partial(CramMD5Server, nonce=lambda: "1896.697170952"), needs_lookup=True
)
MECHANISMS = {
    each.name: each for each in (_SHA_256, _SHA_1, OAUTHBEARER, XOAUTH2, EXTERNAL, PLAIN, LOGIN, _CRAM, ANONYMOUS)
}
_SALTS = {"SCRAM-SHA-1": "QSXCR+Q6sek8bf92", "SCRAM-SHA-256": "W22ZaJ0SNY7soEsUEjb6gQ=="}
_RECORDS = {
    name: ScramRecord.make("pencil", mechanism=name, iterations=4096, salt=base64.b64decode(salt))
    for name, salt in _SALTS.items()
}
_TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
_REFUSE = re.compile(r"(refuse|verdict)-([45][0-9]{2})")


def limits_of(dialogue: Dialogue, **others: float) -> ServerLimits:
    """The limits of a dialogue."""
    values: dict[str, Any] = {**others}
    for name, value in dialogue.options.items():
        if name in LIMITS:
            values[name] = float(value) if name.endswith("_seconds") else int(value)
    return ServerLimits(**values)


def extensions_of(dialogue: Dialogue, usual: Sequence[Extension] = STANDARD) -> Sequence[Extension]:
    """The extensions of a dialogue; `usual` if it names none."""
    names = dialogue.options.get("extensions")
    known = _TRUSTING_NOBODY if dialogue.options.get("trusted") == "no" else EXTENSIONS
    return usual if names is None else by_name(names, known=known)


def mechanisms_of(dialogue: Dialogue) -> tuple[ServerMechanism, ...]:
    """The mechanisms of a dialogue."""
    names = dialogue.options.get("mechanisms", "")
    return (PLAIN, LOGIN) if names == "yes" else tuple(MECHANISMS[name] for name in names.split(",") if name)


def settings_of(dialogue: Dialogue) -> dict[str, Any]:
    """The other settings of a dialogue."""
    found: dict[str, Any] = {"hostname": "server.example"}
    for name, value in dialogue.options.items():
        if name == "dialect":
            found[name] = {"LMTP": LMTP}[value]
        elif name not in LIMITS | _OURS:
            found[name] = True if value == "yes" else value
    return found


# What the session thinks ---------------------------------------------------------------------------------------------


def opinion(text: object, kind: str = "refuse") -> Reply | None:
    """The refusal that `text` asks for."""
    match = _REFUSE.search(str(text))
    if match is None or match[1] != kind:
        return None
    return replies.make(int(match[2]), f"{match[2][0]}.7.1", "as you like")


def is_login(credentials: Credentials) -> Reply | None:
    """None for a good login, else the refusal."""
    by_token = credentials.token is not None and credentials.token.matches(_TOKEN)
    by_word = credentials.username == "user" and credentials.is_password("secret")
    good = by_token or by_word or credentials.is_proven or credentials.mechanism == "ANONYMOUS"
    return opinion(credentials.username) or (None if good else replies.BAD_CREDENTIALS)


def stored(mechanism: str, username: str) -> ScramRecord | Secret | None:
    """What is stored of a user.

    Raises:
        Reject: if the name asks for it.
    """
    refusal = opinion(username)
    if refusal is not None:
        raise Reject.of(refusal)
    if mechanism == "CRAM-MD5":
        return Secret("tanstaaftanstaaf") if username == "tim" else None
    return _RECORDS[mechanism] if username == "user" else None

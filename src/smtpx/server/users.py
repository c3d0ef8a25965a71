"""Who may log in: passwords kept as salted records, checked off the loop in a time that tells nothing; tokens."""

import asyncio
import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from smtpx.sasl import Credentials, SASLError, ScramRecord, Secret

__all__ = ["Users"]

# N=2^14, r=8, p=1: about 16 MiB and some tens of milliseconds for each guess.
_N, _R, _P, _BYTES = 1 << 14, 8, 1, 32
_CHECKS_AT_ONCE = 4  # hashing is a lever for overload, so guesses queue


class Users:
    """Names and passwords for a server session to check credentials against.

    Args:
        passwords: name to password; only salted records are kept.
        scram: the mechanisms to keep records for; a password that SASLprep refuses has none.
        cram_md5: keep the passwords too, in memory: CRAM-MD5 can't do without.
        tokens: name to the token that OAUTHBEARER and XOAUTH2 take, for tests: a real one is asked of who issued it.
        certificates: EXTERNAL lets in whoever has a certificate, under the name in it: the authority that
            `server_tls(client_ca=...)` trusts decides who is a user.
    """

    def __init__(
        self,
        passwords: Mapping[str, str],
        *,
        scram: Iterable[str] = ("SCRAM-SHA-256",),
        cram_md5: bool = False,
        tokens: Mapping[str, str] | None = None,
        certificates: bool = False,
    ) -> None:
        self._scram: dict[tuple[str, str], ScramRecord] = {}
        for mechanism in scram:
            for name, password in passwords.items():
                with suppress(SASLError):
                    self._scram[mechanism, name] = ScramRecord.make(password, mechanism=mechanism)
        self._records = {name: _record(password) for name, password in passwords.items()}
        self._plain = {name: Secret(password) for name, password in passwords.items()} if cram_md5 else {}
        self._tokens = {name: Secret(token) for name, token in (tokens or {}).items()}
        self._certificates = certificates
        # Checked for names that do not exist, so that these take as long (RFC 4954 9).
        self._dummy = _record(os.urandom(16).hex())
        self._gate: asyncio.Semaphore | None = None

    def __len__(self) -> int:
        return len(self._records)

    def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        """What is kept of a user for `Session.lookup`; None for an unknown one."""
        if mechanism == "CRAM-MD5":
            return self._plain.get(username)
        return self._scram.get((mechanism, username))

    async def accepts(self, credentials: Credentials) -> bool:
        """Whether name and password or token are right, or proven. Acting for somebody else is not allowed."""
        is_own = credentials.authorization_id in ("", credentials.username)
        if credentials.mechanism == "EXTERNAL":
            return self._certificates and credentials.is_proven and is_own
        if credentials.token is not None:
            known = self._tokens.get(credentials.username)
            right = credentials.token.matches(known or Secret(os.urandom(16).hex()))
            return right and known is not None and is_own
        if credentials.is_proven:
            return is_own and credentials.username in self._records
        if self._gate is None:
            self._gate = asyncio.Semaphore(_CHECKS_AT_ONCE)
        record = self._records.get(credentials.username)
        password = credentials.password.reveal() if credentials.password is not None else ""
        async with self._gate:
            right = await asyncio.to_thread(_is_right, record or self._dummy, password)
        return right and record is not None and is_own


def _record(password: str) -> tuple[bytes, bytes]:
    salt = os.urandom(16)
    return salt, _hash(password, salt)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=_N, r=_R, p=_P, dklen=_BYTES)


def _is_right(record: tuple[bytes, bytes], password: str) -> bool:
    salt, expected = record
    return hmac.compare_digest(_hash(password, salt), expected)

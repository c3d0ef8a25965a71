"""OAUTHBEARER (RFC 7628) and XOAUTH2, which it was made of: a token in place of a password.

A server that refuses a token says why in one more challenge, as JSON; the client answers it with nothing of meaning and
is then refused.
"""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutinefunction

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.gs2 import GS2Header
from smtpx.sasl.mechanism import (
    AuthExchange,
    Challenge,
    ClientMechanism,
    ExchangeContext,
    SASLError,
    ServerExchange,
    ServerMechanism,
    check_text,
)

__all__ = ["OAUTHBEARER", "XOAUTH2", "BearerToken", "OAuthBearerServer", "OAuthClient", "XOAuth2Server"]

_PAIR = re.compile(r"(?P<key>[A-Za-z]+)=(?P<value>[\x09\x0a\x0d\x20-\x7e]*)")  # RFC 7628 3.1
_BEARER = re.compile(r"bearer +(?P<token>[!-~]+)", re.IGNORECASE)
_SHOWN_CHARS = 500


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A user name and an OAuth 2.0 access token.

    `token` may be a callable that gets one; it is called for each login, and once more when the server refuses what it
    gave. It may block: in an asyncio client it runs in a thread. There it may also be a coroutine function, which is
    awaited. The blocking client calls it in the thread of its caller and can't cut it short: it should have a timeout
    of its own. What it gives when the time for AUTH, or for the whole call, is over is not used: a DeadlineError.
    What it raises is the `__cause__` of an AuthenticationError, temporary if it is an OSError.

    Raises:
        ValueError: for control characters in the name, and for a token that can't be sent.
    """

    username: str
    token: str | Callable[[], str] | Callable[[], Awaitable[str]] = field(repr=False)

    def __post_init__(self) -> None:
        check_text(self.username, "username")
        if not callable(self.token):
            _check_token(self.token)

    @property
    def is_async(self) -> bool:
        """Whether only an asyncio client can get the token."""
        return iscoroutinefunction(self.token)

    def mechanisms(self) -> Sequence[ClientMechanism]:
        """OAUTHBEARER, then XOAUTH2."""
        fetch = self.token if callable(self.token) else None
        return tuple(
            ClientMechanism(name, True, partial(OAuthClient, self, name), is_renewable=fetch is not None, fetch=fetch)
            for name in ("OAUTHBEARER", "XOAUTH2")
        )


class OAuthClient(AuthExchange):
    """The client's half of both.

    Raises:
        SASLError: if what was fetched is no token that can be sent.
    """

    def __init__(self, auth: BearerToken, mechanism: str, context: ExchangeContext) -> None:
        self._token = _check_token(context.fetched if callable(auth.token) else auth.token)
        self._failure = ""
        if mechanism == "XOAUTH2":
            pairs = [f"user={auth.username}"]
            self._acknowledgement = b""
        else:
            pairs = [GS2Header("n", authorization_id=auth.username).to_text()]
            pairs += [f"host={context.host}"] if context.host else []
            pairs += [f"port={context.port}"] if context.port else []
            self._acknowledgement = b"\1"
        self._message = "\1".join([*pairs, f"auth=Bearer {self._token}", "", ""]).encode()

    def initial_response(self) -> bytes:
        """Name and token."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """The answer to what the server says about a failure.

        Raises:
            SASLError: for a second challenge.
        """
        if self._failure:
            raise SASLError("there is nothing more to say to a refused token")
        text = challenge.decode("utf-8", "replace").replace(self._token, "****")
        shown = "".join(char if char.isprintable() else "?" for char in text[:_SHOWN_CHARS])
        self._failure = shown or "no reason given"
        return self._acknowledgement

    def complete(self) -> None:
        """See that there was no failure.

        Raises:
            SASLError: if there was one.
        """
        if self._failure:
            raise SASLError("the server refuses the token and says that all is well")

    def explain_failure(self) -> str:
        """The server's JSON."""
        return self._failure


def OAuthBearerServer(context: ExchangeContext) -> ServerExchange:
    """The server's half of OAUTHBEARER."""
    message: bytes = yield Challenge(b"")
    header, rest = GS2Header.split(_text(message))
    if header.flag == "p" or not header.authorization_id:
        raise SASLError("OAUTHBEARER with a channel binding, or without a user name")
    if not rest.startswith("\1"):
        raise SASLError("OAUTHBEARER without its values")
    return Credentials("OAUTHBEARER", header.authorization_id, token=_token(_pairs(rest[1:])))


def XOAuth2Server(context: ExchangeContext) -> ServerExchange:
    """The server's half of XOAUTH2."""
    message: bytes = yield Challenge(b"")
    user, _, rest = _text(message).partition("\1")
    username = user.removeprefix("user=")
    if not user.startswith("user=") or not username or "\0" in username:
        raise SASLError("XOAUTH2 without a user name")
    return Credentials("XOAUTH2", username, token=_token(_pairs(rest)))


def _text(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise SASLError("a message that is not UTF-8") from None


def _pairs(text: str) -> dict[str, str]:
    """The values of `key=value` pairs, each with 0x01 behind it, and one more 0x01 at the end."""
    matches = [_PAIR.fullmatch(line) for line in text[:-2].split("\1")]
    pairs = {match["key"].lower(): match["value"] for match in matches if match is not None}
    if not text.endswith("\1\1") or len(pairs) < len(matches):
        raise SASLError("not key=value pairs, or a key comes twice")
    return pairs


def _token(pairs: dict[str, str]) -> Secret:
    match = _BEARER.fullmatch(pairs.get("auth", ""))
    if match is None:
        raise SASLError("no bearer token")
    return Secret(match["token"])


def _check_token(token: object) -> str:
    if not isinstance(token, str) or not token or not all("!" <= char <= "~" for char in token):
        raise SASLError("a token is printable ASCII without spaces")
    return token


OAUTHBEARER = ServerMechanism(
    "OAUTHBEARER", True, True, OAuthBearerServer, refusal=json.dumps({"status": "invalid_token"}).encode()
)
XOAUTH2 = ServerMechanism(
    "XOAUTH2", True, True, XOAuth2Server, refusal=json.dumps({"status": "400", "schemes": "Bearer"}).encode()
)

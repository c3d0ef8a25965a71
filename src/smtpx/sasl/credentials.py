"""What a client claims when it authenticates, with secrets that cannot be shown by accident."""

import hmac
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Credentials", "Secret"]


class Secret:
    """A text whose repr is stars; `reveal` gives it, `matches` compares in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def matches(self, other: "str | Secret") -> bool:
        """Whether `other` is the same text, in a time that does not tell how much of it is right."""
        text = other._text if isinstance(other, Secret) else other
        return hmac.compare_digest(self._text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "Secret('****')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other)

    __hash__ = None  # type: ignore[assignment] # as Python itself does for a class with only __eq__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The outcome of an AUTH exchange, for a server session to judge.

    `username` is who it says it is (authentication identity), `authorization_id` whom it wants to act for, empty for
    itself. There is a `password` or a `token` to check, or `is_proven` says that the mechanism has seen to it that the
    client is `username`; whether it may log in, and act for `authorization_id`, is still to be judged. ANONYMOUS has
    none of them: only a `trace`, which anybody may write.
    """

    mechanism: str
    username: str
    authorization_id: str = ""
    password: Secret | None = None
    token: Secret | None = None
    is_proven: bool = False
    trace: str = ""

    def is_password(self, expected: str) -> bool:
        """Whether `expected` is the password, compared in constant time; False when the mechanism has none."""
        return self.password is not None and self.password.matches(expected)

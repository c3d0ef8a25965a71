"""What a server offered in its EHLO reply (RFC 5321 4.1.1.1)."""

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar, overload

from smtpx.wire.reply import Reply

__all__ = ["NOTHING_OFFERED", "Capabilities", "Learnable"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Learnable(Protocol[T_co]):
    """An extension whose offer has a typed meaning, like `Size`."""

    keyword: str

    @staticmethod
    def learn(offer: tuple[str, ...]) -> T_co:
        """The meaning of the words behind the keyword."""
        ...


class Capabilities(Mapping[str, str]):
    """The keywords of an EHLO reply, upper case, each with the text behind it.

    `get` also takes an extension class and gives its typed value: `capabilities.get(Size)` is an int or None.
    """

    __slots__ = ("_offers",)

    def __init__(self, offers: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._offers = dict(offers or {})

    @classmethod
    def from_reply(cls, reply: Reply) -> "Capabilities":
        """Read an EHLO reply. Keywords are ASCII and count without case; the old form `AUTH=LOGIN` means AUTH."""
        offers: dict[str, tuple[str, ...]] = {}
        for line in reply.lines[1:]:
            words = line.replace("=", " ", 1).split() if line.strip()[:5].upper() == "AUTH=" else line.split()
            if not words or not words[0].isascii():  # U+017F in upper case is an S: that is no SIZE
                continue
            keyword, offer = words[0].upper(), tuple(words[1:])
            if keyword == "AUTH":
                known = offers.get("AUTH", ())
                offer = tuple(dict.fromkeys((*known, *(name.upper() for name in offer))))
            offers[keyword] = offer
        return cls(offers)

    def offer(self, keyword: str) -> tuple[str, ...] | None:
        """The words behind a keyword; None when it was not offered."""
        return self._offers.get(keyword.upper())

    def __getitem__(self, keyword: str) -> str:
        return " ".join(self._offers[keyword.upper()])

    def __contains__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and keyword.upper() in self._offers

    def __iter__(self) -> Iterator[str]:
        return iter(self._offers)

    def __len__(self) -> int:
        return len(self._offers)

    def __repr__(self) -> str:
        return f"Capabilities({dict(self)!r})"

    @overload
    def get(self, key: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, key: str, default: str, /) -> str: ...
    @overload
    def get(self, key: str, default: T, /) -> str | T: ...
    @overload
    def get(self, key: type[Learnable[T]], default: None = None, /) -> T | None: ...
    def get(self, key: str | type[Learnable[T]], default: object = None, /) -> object:
        """The text behind a keyword, or the typed value of an extension class; `default` when it was not offered."""
        if isinstance(key, str):
            words = self.offer(key)
            return default if words is None else " ".join(words)
        offer = self.offer(key.keyword)
        return default if offer is None else key.learn(offer)


NOTHING_OFFERED = Capabilities()

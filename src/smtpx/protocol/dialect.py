"""SMTP and LMTP as values: the differences between the two protocols, and nothing else (RFC 5321, RFC 2033)."""

from dataclasses import dataclass

__all__ = ["LMTP", "SMTP", "Dialect"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a peer speaks.

    `extended_hello` asks for extensions, `plain_hello` is the fallback without (None where there is none);
    `greeting_word` stands behind the host name in the greeting; `verdict_per_recipient`: the end of a message is
    answered once for each accepted recipient.
    """

    name: str
    extended_hello: str
    plain_hello: str | None
    greeting_word: str
    verdict_per_recipient: bool
    scheme: str

    @property
    def hello_verbs(self) -> frozenset[str]:
        """All verbs that say hello in this dialect."""
        return frozenset(verb for verb in (self.extended_hello, self.plain_hello) if verb)


SMTP = Dialect("SMTP", "EHLO", "HELO", "ESMTP", verdict_per_recipient=False, scheme="smtp")
LMTP = Dialect("LMTP", "LHLO", None, "LMTP", verdict_per_recipient=True, scheme="lmtp")

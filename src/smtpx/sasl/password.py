"""A user name with a password, for all mechanisms that are made for one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from smtpx.sasl.credentials import Secret
from smtpx.sasl.mechanism import ClientMechanism, SASLError, check_text, without_context

__all__ = ["Password"]


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and a password, for the mechanisms that take them.

    `authorization_id` is whom to act for, normally empty. `scram_iterations`: how often a server may have the password
    hashed for SCRAM: below, it is cheap to guess from what the server stores (RFC 7677 4); above, a server could keep
    us busy. The password never shows in a repr.

    Raises:
        ValueError: for control characters in any of them (RFC 4616 2; nobody's password has a NUL or a newline).
    """

    username: str
    password: str = field(repr=False)
    authorization_id: str = ""
    scram_iterations: range = range(4096, 1_000_001)

    def __post_init__(self) -> None:
        for what in ("username", "password", "authorization_id"):
            check_text(getattr(self, what), what)

    def mechanisms(self) -> Sequence[ClientMechanism]:
        """What can be done with a password, best first.

        SCRAM, bound to the TLS channel before not bound, SHA-256 before SHA-1; PLAIN, LOGIN, CRAM-MD5. Without verified
        TLS whatever reveals the password goes to the end, so that CRAM-MD5 is before PLAIN there. A password that SCRAM
        can't take (RFC 4013) has no SCRAM. If a server offers a mechanism but stores nothing for it, narrow the choice.
        """
        from smtpx.sasl.cram_md5 import CramMD5Client
        from smtpx.sasl.login import LoginClient
        from smtpx.sasl.plain import PlainClient

        return (
            *self._scram(),
            ClientMechanism("PLAIN", True, without_context(PlainClient, self)),
            ClientMechanism("LOGIN", True, without_context(LoginClient, self)),
            ClientMechanism("CRAM-MD5", False, without_context(CramMD5Client, self)),
        )

    def _scram(self) -> list[ClientMechanism]:
        from smtpx.sasl.saslprep import saslprep
        from smtpx.sasl.scram import ScramClient

        try:
            name, _ = saslprep(self.username), saslprep(self.password, stored=True)
        except SASLError:
            return []
        if not name:
            return []
        names = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1")
        return [
            ClientMechanism(name, False, partial(ScramClient, self, name), needs_binding=name.endswith("-PLUS"))
            for name in names
        ]

    @property
    def secret(self) -> Secret:
        """The password in its wrapper."""
        return Secret(self.password)

"""The rules of a listener: strict unless told otherwise."""

from smtpx.protocol.dialect import SMTP
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.facts import ServerFacts, TLSFacts
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.sasl import EXTERNAL, LOGIN, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ExchangeContext, ServerMechanism
from smtpx.wire.commands import FOREIGN_VERBS

ALL: tuple[ServerMechanism, ...] = (SCRAM_SHA_256_PLUS, SCRAM_SHA_256, EXTERNAL, LOGIN)


def test_defaults_are_the_safe_ones() -> None:
    settings = ServerSettings(hostname="server.example", extensions=ExtensionSet())
    assert settings.dialect is SMTP
    assert settings.limits == ServerLimits()
    assert settings.bare_newline == "reject"
    assert settings.sync_check == "data"
    assert settings.syntax == "normal"
    assert settings.foreign_verbs == FOREIGN_VERBS
    assert not settings.allow_insecure_auth
    assert not settings.starttls
    assert settings.mechanisms == ()


def offered(tls: TLSFacts | None, *, starttls: bool = False, insecure: bool = False) -> str:
    settings = ServerSettings(
        hostname="server.example",
        extensions=ExtensionSet(),
        mechanisms=ALL,
        starttls=starttls,
        allow_insecure_auth=insecure,
    )
    return " ".join(settings.exchange_context(ServerFacts(tls=tls)).offered)


def test_rfc4954_4_what_may_be_offered() -> None:
    assert offered(None) == "SCRAM-SHA-256"
    assert offered(None, starttls=True) == ""
    assert offered(None, starttls=True, insecure=True) == "SCRAM-SHA-256 LOGIN"
    assert offered(TLSFacts("TLSv1.3", "x")) == "SCRAM-SHA-256 LOGIN"
    assert offered(TLSFacts("TLSv1.3", "x", peer_identity="fred")) == "SCRAM-SHA-256 EXTERNAL LOGIN"
    assert offered(TLSFacts("TLSv1.2", "x", bindings={"tls-unique": b"x"})) == "SCRAM-SHA-256-PLUS SCRAM-SHA-256 LOGIN"


def test_what_mechanisms_are_told() -> None:
    settings = ServerSettings(hostname="server.example", extensions=ExtensionSet())
    assert settings.exchange_context(ServerFacts()) == ExchangeContext(host="server.example")
    tls = TLSFacts("TLSv1.2", "x", bindings={"tls-unique": b"x"}, peer_identity="fred")
    assert settings.exchange_context(ServerFacts(tls=tls)) == ExchangeContext(
        bindings={"tls-unique": b"x"}, host="server.example", peer_identity="fred"
    )

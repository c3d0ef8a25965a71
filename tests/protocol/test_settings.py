"""The rules of a listener: strict unless told otherwise."""

from smtpx.protocol.dialect import SMTP
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.limits import ServerLimits
from smtpx.protocol.settings import ServerSettings
from smtpx.wire.commands import FOREIGN_VERBS


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

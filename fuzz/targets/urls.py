"""URLs and options of clients: settings or a ConfigurationError, and no password in what is shown."""

from fuzz.source import Source
from smtpx.client.settings import settings_for
from smtpx.errors import ConfigurationError
from smtpx.wire.syntax import has_controls

TOKENS = (
    *(b"smtp://", b"smtps://", b"submission://", b"smtp+starttls://", b"smtp+plain://", b"lmtp://", b"lmtp+unix:///"),
    *(
        b"user:pa%24word@",
        b"[::1]",
        b"[fe80::1%25eth0]",
        b":587",
        b"?timeout=5",
        b"&hello_name=me",
        b"?max_connections=0",
    ),
    *(b"%00", b"%0d%0a", b"#", b"/", b"@", b":", b"b\xc3\xbccher.example", b"localhost", b"?ca_file=x", b"nan", b"inf"),
)


def target(data: bytes) -> None:
    """No control octets."""
    text = Source(data).rest().decode("utf-8", "surrogateescape")
    authority = text.partition("://")[2].partition("?")[0].partition("/")[0]
    password = authority.rpartition("@")[0].partition(":")[2]
    try:
        settings = settings_for(text)
    except ConfigurationError as error:
        # What stands elsewhere too, or is a word of the rules themselves, may be shown.
        is_telling = len(password) >= 12 and text.count(password) == 1
        assert not is_telling or password not in str(error), "a password in an error"
        return
    target = settings.target
    assert (target.unix_path is None) == bool(target.host)
    assert not has_controls(target.host)
    assert target.unix_path is not None or 1 <= target.port <= 65535
    assert settings.timeout is None or settings.timeout > 0
    assert settings.limits.max_connections >= 1
    if password:
        begin = text.index("://") + 3 + authority.index(":") + 1
        other = text[:begin] + "another" + text[begin + len(password) :]
        assert repr(settings_for(other)) == repr(settings), "a password in a repr"
    if target.host:
        assert (target.tls_name or "").isascii()
        assert "@" not in target.host

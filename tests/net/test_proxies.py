"""Proxies: what they are called, what is said to them, and what they may do wrong."""

import builtins
import pickle
import socket
import sys
from typing import Any, NoReturn

import pytest

from smtpx.errors import ConfigurationError, ConnectError
from smtpx.net.deadlines import now
from smtpx.net.proxies import Passage, Proxy, through
from smtpx.net.targets import Target
from tests.net.racing import refusing
from tests.proxies import ProxyServer, Reader, Writer

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("socks5://proxy.example", Proxy("socks5", "proxy.example", 1080)),
        ("SOCKS5H://u:p%40x@[::1]:99/", Proxy("socks5h", "::1", 99, "u", "p@x")),
        ("socks4a://me@127.0.0.1", Proxy("socks4a", "127.0.0.1", 1080, "me")),
        ("http://u:@proxy.example:3128", Proxy("http", "proxy.example", 3128, "u")),
    ],
)
def test_urls(url: str, proxy: Proxy) -> None:
    assert Proxy.parse(url) == proxy


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("proxy.example:1080", "scheme://host:port"),
        ("socks5://", "scheme://host:port"),
        ("socks5:///x", "scheme://host:port"),
        ("socks5://h/path", "scheme://host:port"),
        ("socks5://h?x=1", "scheme://host:port"),
        ("socks5://h#x", "scheme://host:port"),
        ("socks5://[::1", "scheme://host:port"),
        ("socks5://h:x", "scheme://host:port"),
        ("socks5://:1080", "host"),
        ("socks5://h:0", "port"),
        ("socks5://h:65536", "scheme://host:port"),
        ("http://h", "port"),
        ("https://h:443", "unknown kind of proxy: 'https'"),
        ("socks5://s3cret@h", "user name and a password"),
        ("socks5://:s3cret@h", "user name and a password"),
        ("socks4://u:s3cret@h", "no password"),
        ("http://:s3cret@h:1", "user name"),
        ("http://a%3Ab:s3cret@h:1", "without a colon"),
        ("socks5://u:" + "s3cret" * 50 + "@h", "255 printable"),
        ("socks5://u:s3cret%C3%BC@h", "ASCII"),
    ],
)
def test_bad_urls_are_refused_and_no_password_is_shown(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Proxy.parse(url)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy.example\r\nX: y:1",
        "http://proxy.example%0d%0aX:1",
        "http://proxy.example%20x:1",
        "http://u%0d%0a:s3cret@h:1",
        "socks5://u:s3cret%00@h:1",
        "socks5://u:s3cret%0a@h:1",
    ],
)
def test_h054_injection_is_refused_at_configuration_time(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Proxy.parse(url)
    assert SECRET not in str(caught.value)


def test_a_password_never_shows() -> None:
    proxy = Proxy.parse("socks5://u:s3cret@h")
    assert SECRET not in repr(proxy) + str(proxy)
    assert str(proxy) == "socks5://h:1080"
    assert str(Proxy.parse("socks5://[::1]:99")) == "socks5://[::1]:99"


@pytest.fixture
def upstream() -> Any:  # noqa: ANN401 - a generator
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def talk(sock: socket.socket, listener: socket.socket) -> None:
    """Octets both ways."""
    there, _ = listener.accept()
    with sock, there:
        sock.settimeout(10)
        there.sendall(b"220 hello\r\n")
        assert sock.recv(100) == b"220 hello\r\n"
        sock.sendall(b"QUIT\r\n")
        assert there.recv(100) == b"QUIT\r\n"


@pytest.mark.parametrize(
    ("scheme", "host", "asked"),
    [
        ("socks5", "localhost", "127.0.0.1"),
        ("socks5h", "localhost", "localhost"),
        ("socks4", "localhost", "127.0.0.1"),
        ("socks4a", "localhost", "localhost"),
        ("http", "localhost", "localhost"),
        ("socks5", "127.0.0.1", "127.0.0.1"),
        ("socks5h", "bücher.example", "xn--bcher-kva.example"),
        ("http", "bücher.example", "xn--bcher-kva.example"),
        ("http", "::1", "::1"),
        ("socks5", "::1", "::1"),
    ],
)
@pytest.mark.parametrize("drip", [None, 0.001])
def test_the_way_through(upstream: socket.socket, scheme: str, host: str, asked: str, drip: float | None) -> None:
    port = upstream.getsockname()[1]
    with ProxyServer(drip=drip, reach=("127.0.0.1", port)) as server:
        talk(through(Proxy.parse(server.url(scheme)), Target(host, port), 10), upstream)
    assert server.asked == [(scheme.rstrip("ah"), asked, port)]


def test_what_the_server_says_at_once_is_not_lost(upstream: socket.socket) -> None:
    """A mail server speaks first: its greeting may come with the proxy's own answer."""
    port = upstream.getsockname()[1]

    async def act(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 yes\r\n\r\n220 mail.example ready\r\n")
        await reader.read()

    target = Target("127.0.0.1", port)
    with ProxyServer(act=act) as server, through(Proxy.parse(server.url("http")), target, 10) as sock:
        assert sock.recv(100) == b"220 mail.example ready\r\n"


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "http"])
def test_credentials(upstream: socket.socket, scheme: str) -> None:
    port = upstream.getsockname()[1]
    with ProxyServer(user=("me", SECRET)) as server:
        talk(through(Proxy.parse(server.url(scheme, f"me:{SECRET}")), Target("127.0.0.1", port), 10), upstream)
        for user in ("", "me:s3cret-wrong"):
            proxy = Proxy.parse(server.url(scheme, user))
            with pytest.raises(ConnectError) as caught:
                through(proxy, Target("127.0.0.1", port), 10)
            assert f"127.0.0.1:{port} through {scheme}://127.0.0.1:{server.port}: " in str(caught.value)
            assert SECRET not in str(caught.value) + repr(caught.value)
            assert "\x1b" not in str(caught.value)
            assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - ours


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [("socks5", "Connection not allowed"), ("socks4", "rejected or failed"), ("http", "403 Forbidden")],
)
def test_a_refusal(scheme: str, reason: str) -> None:
    with ProxyServer(refuse=True) as server, pytest.raises(ConnectError, match=reason) as caught:
        through(Proxy.parse(server.url(scheme)), Target("127.0.0.1", 25), 10)
    assert caught.value.stage == "connect"
    assert caught.value.is_temporary


def test_a_proxy_that_is_not_there() -> None:
    port = refusing().address[1]
    with pytest.raises(ConnectError, match=rf"mail.example:25 through socks5h://127.0.0.1:{port}: .*refused"):
        through(Proxy("socks5h", "127.0.0.1", int(port)), Target("mail.example"), 10)


ANSWERS = {
    "nothing": b"",
    "text": b"220 I am a mail server\r\n",
    "html": b"HTTP/1.1 nonsense\r\n\r\n",
    "half": b"HTTP/1.1 200 yes\r\n",
    "short": b"\5",
    "strange": b"\5\7",
    "refuses to negotiate": b"\5\xff",
    "wrong version": b"\4\0\0\0\0\0\0\0\0",
    "family": b"\5\0\5\0\0\x63\0\0\0\0\0\0",
    "bad name": b"\5\0\5\0\0\3\2\xff\xff\0\0",
    "rsv": b"\5\0\5\0\1\1\0\0\0\0\0\0",
    "code": b"\5\0\5\x63\0\1\0\0\0\0\0\0",
    "endless": b"HTTP/1.1 200 " + b"x" * 40_000,
    "endless socks": b"\xff" * 40_000,
}


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a", "http"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_garbage_is_told_as_such(scheme: str, answer: bytes) -> None:
    async def act(reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.write_eof()
        await reader.read()

    with ProxyServer(act=act) as server, pytest.raises(ConnectError, match=r"through .*: .+") as caught:
        through(Proxy.parse(server.url(scheme)), Target("mail.example", 25), 10)
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a", "http"])
@pytest.mark.parametrize("drip", [b"", b"\5", b"H"])
def test_a_proxy_that_keeps_silent_or_drips_meets_the_deadline(scheme: str, drip: bytes) -> None:
    import asyncio

    async def act(reader: Reader, writer: Writer) -> None:
        for octet in (b"HTTP/1.1 200 " + b"x" * 5000) if drip == b"H" else drip * 5000:
            writer.write(bytes([octet]))
            await asyncio.sleep(0.01)
        await reader.read()

    with ProxyServer(act=act) as server, pytest.raises(ConnectError, match=r"through .*: .+"):
        through(Proxy.parse(server.url(scheme)), Target("mail.example", 25), 0.15)


def test_no_time_is_left() -> None:
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(ConnectError, match=r"mail\.example:25 through socks5h://h:1: no answer in 2 s"):
        Passage(Proxy("socks5h", "h", 1), Target("mail.example"), 2).open(ours, now())
    assert ours.fileno() == -1


def test_an_interrupt_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    import smtpx.net.sockets

    opened: list[socket.socket] = []
    connect = smtpx.net.sockets.connect

    def connecting(*arguments: Any) -> socket.socket:  # noqa: ANN401
        opened.append(connect(*arguments))
        return opened[-1]

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(smtpx.net.sockets, "connect", connecting)
    monkeypatch.setattr("smtpx.net.proxies.ascii_domain", interrupt)
    with ProxyServer() as server, pytest.raises(KeyboardInterrupt):
        through(Proxy.parse(server.url("socks5h")), Target("mail.example", 25), 10)
    assert opened[0].fileno() == -1


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:  # noqa: ANN401
        if name.startswith("python_socks"):
            raise ImportError(name)
        return importing(name, *rest)

    for name in [each for each in sys.modules if each.startswith("python_socks")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r"smtpx\[proxy\]"):
        through(Proxy("socks5", "h", 1), Target("mail.example"), 1)

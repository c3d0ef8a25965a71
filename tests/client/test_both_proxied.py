"""Both clients through proxies: whom TLS is checked against, what counts as local, what is shown."""

import pickle

import pytest

from smtpx.errors import ConnectError, DeadlineError, TLSError, UnsupportedError
from smtpx.flows.steps import Timeouts
from tests.client.conftest import Certificates
from tests.client.dialogues import BODY, FROM, LOCK, QUIT, TO
from tests.client.test_both_connecting import TLS_SCRIPT
from tests.client.watching import Keeper
from tests.peers import Colour, ScriptedServer
from tests.proxies import ProxyServer, Reader, Writer

SEND = "C: MAIL FROM:<a@x.example>\nS: 250 ok\nC: RCPT TO:<b@y.example>\nS: 250 ok\nC: DATA\nS: 354 go\n"


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "socks4a", "http"])
def test_a_conversation(colour: Colour, scheme: str) -> None:
    with ScriptedServer(LOCK + "C: NOOP\nS: 250 ok\n" + QUIT) as server, ProxyServer() as proxy:
        url = f"smtp://localhost:{server.port}?hello_name=me"
        with colour.open(url, proxy=proxy.url(scheme)) as connection:
            connection.noop()
        assert len(proxy.asked) == 1


def test_a_pool(colour: Colour) -> None:
    with ScriptedServer(LOCK, tolerant=True) as server, ProxyServer(user=("u", "p")) as proxy:
        url = f"smtp://localhost:{server.port}?hello_name=me"
        options = {"proxy": proxy.url("http", "u:p"), "timeouts": Timeouts(mail=0.1, quit=0.1)}
        with colour.client(url, **options) as client, pytest.raises(DeadlineError):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert server.heard[0].startswith(b"EHLO me\r\nMAIL FROM")


def test_tls_is_checked_against_the_target_and_never_the_proxy(colour: Colour, certificates: Certificates) -> None:
    with ScriptedServer(TLS_SCRIPT + QUIT, tls=certificates.server, tolerant=True) as server:
        with ProxyServer(reach=("127.0.0.1", server.port)) as proxy:
            options = {"proxy": proxy.url("socks5h"), "ca_file": certificates.ca_file, "hello_name": "me"}
            with colour.open("submission://localhost", **options) as connection:
                assert connection.tls.verified
            with pytest.raises(TLSError, match=r"(?i)hostname"):
                colour.open("submission://mail.example.org", **options)
        assert [host for _, host, _ in proxy.asked] == ["localhost", "mail.example.org"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "mail.example.org"])
def test_h044_nothing_behind_a_proxy_is_local(colour: Colour, host: str) -> None:
    """Neither the proxy's address on this host, nor the name by which it knows the target, says who listens."""
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\n" + QUIT
    with (
        ScriptedServer(script) as server,
        ProxyServer(reach=("127.0.0.1", server.port)) as proxy,
        pytest.raises(UnsupportedError, match="not protected"),
    ):
        colour.open(f"smtp+plain://u:p@{host}?hello_name=me", proxy=proxy.url("socks5h"))


def test_opportunistic_tls_with_a_password_is_verified_behind_a_local_proxy(
    colour: Colour, certificates: Certificates
) -> None:
    with (
        ScriptedServer(TLS_SCRIPT, tls=certificates.server, tolerant=True) as server,
        ProxyServer(reach=("127.0.0.1", server.port)) as proxy,
        pytest.raises(TLSError, match="certificate"),
    ):
        colour.open("smtp://u:p@localhost?hello_name=me", proxy=proxy.url("socks5h"))


def test_errors_name_proxy_and_target_and_no_password(colour: Colour) -> None:
    with ProxyServer(user=("u", "right")) as proxy, pytest.raises(ConnectError) as caught:
        colour.open("smtp://mail.example.org", proxy=proxy.url("socks5h", "u:s3cret"))
    assert f"mail.example.org:25 through socks5h://127.0.0.1:{proxy.port}" in str(caught.value)
    assert caught.value.stage == "connect"
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301 - ours


def test_who_looks_on_is_told_of_addresses_of_the_proxy(colour: Colour) -> None:
    keeper = Keeper()
    with ProxyServer() as proxy:
        port = proxy.port
    with pytest.raises(ConnectError):
        colour.open("smtp://mail.example.org", proxy=f"socks5h://127.0.0.1:{port}", observer=keeper)
    assert [address for address, _ in keeper.of("attempt_failed")] == [f"127.0.0.1:{port}"]


def test_the_peer_is_what_the_socket_is_connected_to(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server, ProxyServer(reach=("127.0.0.1", server.port)) as proxy:
        url = "smtp://mail.example.org?hello_name=me"
        with colour.open(url, proxy=proxy.url("socks5h")) as connection:
            assert connection.peer == f"127.0.0.1:{proxy.port}"
            assert connection.settings.target.host == "mail.example.org"


async def silence(reader: Reader, writer: Writer) -> None:
    await reader.read()


def test_the_time_to_connect_holds_for_the_proxy_too(colour: Colour) -> None:
    with ProxyServer(act=silence) as proxy:
        for options in ({"timeouts": Timeouts(connect=0.1)}, {"timeout": 0.1}):
            with pytest.raises(ConnectError, match=r"through socks5h://.*: no answer in"):
                colour.open("smtp://mail.example.org", proxy=proxy.url("socks5h"), **options)

"""What only the library does with Postfix: one connection for many messages, many at once, streaming."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .certificates import Certificates
from .letters import Letter, make_letter
from .postfix import Account, Postfix
from .sending import address_of
from .table import Row

pytestmark = pytest.mark.peer("Postfix", direction="smtpx → Postfix")

_SENDER, _TO = "sender@example.org", ["alice@example.test"]
_CHUNK_BYTES = 10_007  # a prime: no chunk ends where a line or a buffer ends


@pytest.fixture
def trust(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


@pytest.fixture
def url(postfix_server: Postfix, robot: Account, row: Row) -> str:
    """STARTTLS and AUTH."""
    row.tls, row.auth = "STARTTLS", "best common"
    return address_of("submission", postfix_server.port("submission"), robot)


def _assert_delivered(postfix: Postfix, *letters: Letter) -> None:
    for letter in letters:
        (delivered,) = postfix.maildir("alice").wait_for(letter)
        assert delivered.octets == letter.unix


def test_client_keeps_its_connection(url: str, trust: ssl.SSLContext, postfix_server: Postfix) -> None:
    import smtpx

    letters = [make_letter("dots") for _ in range(10)]
    with smtpx.Client(url, ssl_context=trust) as client:
        for letter in letters:
            client.send(letter.octets, sender=_SENDER, recipients=_TO)
    _assert_delivered(postfix_server, *letters)
    postfix_server.log.wait_for(" mail=10 ")


def test_async_client_keeps_its_connection(url: str, trust: ssl.SSLContext, postfix_server: Postfix) -> None:
    import smtpx

    letters = [make_letter("dots") for _ in range(10)]

    async def send_all() -> None:
        async with smtpx.AsyncClient(url, ssl_context=trust) as client:
            for letter in letters:
                await client.send(letter.octets, sender=_SENDER, recipients=_TO)

    asyncio.run(send_all())
    _assert_delivered(postfix_server, *letters)
    postfix_server.log.wait_for(" mail=10 ")


def test_client_in_threads(url: str, trust: ssl.SSLContext, postfix_server: Postfix) -> None:
    import smtpx

    letters = [make_letter("dots") for _ in range(40)]
    with smtpx.Client(url, ssl_context=trust) as client, ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda letter: client.send(letter.octets, sender=_SENDER, recipients=_TO), letters))
    assert all(result.accepted for result in results)
    _assert_delivered(postfix_server, *letters)


def test_async_client_under_gather(url: str, trust: ssl.SSLContext, postfix_server: Postfix) -> None:
    import smtpx

    letters = [make_letter("dots") for _ in range(40)]

    async def send_all() -> None:
        async with smtpx.AsyncClient(url, ssl_context=trust) as client:
            await asyncio.gather(*(client.send(letter.octets, sender=_SENDER, recipients=_TO) for letter in letters))

    asyncio.run(send_all())
    _assert_delivered(postfix_server, *letters)


def test_client_streams_a_file(url: str, trust: ssl.SSLContext, postfix_server: Postfix, tmp_path: Path) -> None:
    import smtpx

    letter = make_letter("megabyte")
    content = tmp_path / "letter.eml"
    content.write_bytes(letter.octets)
    with smtpx.Client(url, ssl_context=trust) as client, content.open("rb") as file:
        client.send(file, sender=_SENDER, recipients=_TO)
    _assert_delivered(postfix_server, letter)


def test_client_streams_chunks(url: str, trust: ssl.SSLContext, postfix_server: Postfix) -> None:
    import smtpx

    letter = make_letter("megabyte")
    with smtpx.Client(url, ssl_context=trust) as client:
        client.send(_chunks(letter.octets), sender=_SENDER, recipients=_TO)
    _assert_delivered(postfix_server, letter)


def test_async_client_streams_chunks(url: str, trust: ssl.SSLContext, postfix_server: Postfix) -> None:
    import smtpx

    letter = make_letter("megabyte")

    async def send() -> None:
        async with smtpx.AsyncClient(url, ssl_context=trust) as client:
            await client.send(_async_chunks(letter.octets), sender=_SENDER, recipients=_TO)

    asyncio.run(send())
    _assert_delivered(postfix_server, letter)


def _chunks(octets: bytes) -> Iterator[bytes]:
    for start in range(0, len(octets), _CHUNK_BYTES):
        yield octets[start : start + _CHUNK_BYTES]


async def _async_chunks(octets: bytes) -> AsyncIterator[bytes]:
    for chunk in _chunks(octets):
        await asyncio.sleep(0)
        yield chunk

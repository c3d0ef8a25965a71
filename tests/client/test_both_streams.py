"""Content from iterators: nothing is lost by looking ahead, and nothing gets out that the server can't take."""

from collections.abc import AsyncIterator, Iterator

import pytest

import smtpx
from smtpx.extensions import STANDARD
from smtpx.server.body import Body

SMALL = b"Subject: x\r\n\r\nhello\r\n"
LARGE = [b"Subject: x\r\n\r\n", *[b"0123456789" * 99 + b"\r\n"] * 200]


class Keeper(smtpx.Session):
    kept: list[bytes]

    async def data(self, body: Body) -> None:
        self.kept.append(await body.read())


def keeper() -> type[Keeper]:
    return type("Fresh", (Keeper,), {"kept": []})


@pytest.mark.parametrize("pieces", [[SMALL], LARGE, iter(LARGE), (piece for piece in LARGE)])
def test_an_iterator_is_not_cut_short_by_a_connection_that_died(pieces: Iterator[bytes]) -> None:
    """The beginning was taken from the iterator before it showed that the idle connection is dead."""
    pieces = iter(pieces)
    whole = list(pieces)
    kind = keeper()
    with smtpx.ServerThread(kind, port=0) as server:
        port = server.port
        with smtpx.Client(f"smtp+plain://127.0.0.1:{port}") as client:
            client.send(SMALL, sender="a@x.example", recipients=["b@x.example"])
            server.stop()
            with smtpx.ServerThread(kind, port=port):
                client.send(iter(whole), sender="a@x.example", recipients=["b@x.example"])
                client.send(whole, sender="a@x.example", recipients=["b@x.example"])
    assert kind.kept == [SMALL, b"".join(whole), b"".join(whole)]


async def test_an_async_iterator_is_not_cut_short_either() -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in LARGE:
            yield piece

    kind = keeper()
    with smtpx.ServerThread(kind, port=0) as server:
        async with smtpx.AsyncClient(server.url) as client:
            await client.send(source(), sender="a@x.example", recipients=["b@x.example"])
    assert kind.kept == [b"".join(LARGE)]


@pytest.mark.parametrize("chunking", [True, False])
def test_h098_eight_bits_that_show_late_do_not_get_out(chunking: bool) -> None:
    kind = keeper()
    late = [*LARGE, "ü\r\n".encode()]
    seven_bit = [each for each in STANDARD if each.keyword != "8BITMIME"]
    with (
        smtpx.ServerThread(kind, port=0, extensions=seven_bit) as server,
        smtpx.Client(server.url, chunking=chunking) as client,
    ):
        with pytest.raises(smtpx.UnsupportedError) as caught:
            client.send(iter(late), sender="a@x.example", recipients=["b@x.example"])
        assert (caught.value.keyword, caught.value.stage) == ("8BITMIME", "body")
        with pytest.raises(smtpx.UnsupportedError):
            client.send(iter(["ü\r\n".encode()]), sender="a@x.example", recipients=["b@x.example"])
        assert client.send(iter(LARGE), sender="a@x.example", recipients=["b@x.example"]).accepted
    assert kind.kept == [b"".join(LARGE)]

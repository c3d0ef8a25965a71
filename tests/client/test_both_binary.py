"""Content without lines goes by BDAT with BODY=BINARYMIME, octet for octet, or not at all."""
# ruff: noqa: ANN401 - content of any kind

import io
from collections.abc import Iterator
from typing import Any

import pytest

import smtpx
from smtpx.client.bulk import Outgoing
from smtpx.errors import LocalProtocolError, UnsupportedError
from tests.client.dialogues import FROM, LOCK, QUIT, TO, url
from tests.client.test_async_crew import TestAsyncCrew as AsyncMany
from tests.client.test_crew import TestCrew as Many
from tests.peers import Colour, ScriptedServer

SMALL = b"Subject: x\r\n\r\n" + bytes(range(256)) + b"\n\r.\r\n.\r"
LARGE = SMALL * 1000


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]


@pytest.fixture(name="kept")
def keep() -> list[bytes]:
    return []


@pytest.fixture
def address(kept: list[bytes]) -> Iterator[str]:
    class Keeping(smtpx.Session):
        async def data(self, body: Any) -> None:
            kept.append(await body.read())

    with smtpx.ServerThread(Keeping, port=0) as server:
        yield f"smtp+plain://127.0.0.1:{server.port}"


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("kind", [bytes, io.BytesIO, pieces])
def test_any_octets_arrive(colour: Colour, kept: list[bytes], address: str, content: bytes, kind: Any) -> None:
    with colour.client(address) as client:
        result = client.send(kind(content), sender=FROM, recipients=[TO], body="BINARYMIME")
        assert result.used_chunking
        client.send(kind(content), sender=FROM, recipients=[TO], options={"body": "binarymime"})
    assert kept == [content] * 2


def test_step_by_step(colour: Colour, kept: list[bytes], address: str) -> None:
    with colour.open(address) as connection:
        connection.mail(FROM, body="BINARYMIME")
        connection.rcpt(TO)
        connection.data(SMALL)
        connection.mail(FROM)
        connection.rcpt(TO)
        with pytest.raises(LocalProtocolError):
            connection.data(SMALL)
        connection.reset()
        transaction = connection.transaction(FROM, [TO], body="BINARYMIME")
        transaction.send(SMALL)
    assert kept == [SMALL] * 2


@pytest.mark.parametrize("many", [Many, AsyncMany])
def test_in_bulk(many: type[Many], kept: list[bytes], address: str) -> None:
    messages = [Outgoing(SMALL, FROM, [TO], wishes={"body": "BINARYMIME"}), Outgoing(SMALL, FROM, [TO])]
    outcomes = many().send_many(address, messages)
    assert outcomes[0].result
    assert isinstance(outcomes[1].error, LocalProtocolError)
    assert kept == [SMALL]


@pytest.mark.parametrize("offer", ["250 CHUNKING", "250 BINARYMIME", "250 8BITMIME"])
@pytest.mark.parametrize("on_unsupported", ["error", "drop"])
def test_not_without_binarymime_and_chunking(colour: Colour, offer: str, on_unsupported: str) -> None:
    script = LOCK.replace("S: 250 x", f"S: 250-x\nS: {offer}") + QUIT
    with (
        ScriptedServer(script) as server,
        colour.client(url(server)) as client,
        pytest.raises(UnsupportedError),
    ):
        client.send(SMALL, sender=FROM, recipients=[TO], body="BINARYMIME", on_unsupported=on_unsupported)


def test_nothing_to_repair_in_what_has_no_lines(colour: Colour) -> None:
    with colour.client("smtp://localhost") as client, pytest.raises(LocalProtocolError, match="normalise"):
        client.send(SMALL, sender=FROM, recipients=[TO], body="BINARYMIME", normalize_newlines=True)

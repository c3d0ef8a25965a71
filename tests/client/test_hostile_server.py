"""Both clients against servers that do what no server should: the right error, and nothing believed."""

from collections.abc import Callable

import pytest

from smtpx.errors import ConnectionLost, DeadlineError, RefusedError, SMTPXError, TLSError
from tests.cli.peers import FakeServer
from tests.hostile_server import ROWS, Row, tls_servers
from tests.peers import Colour

TO = "b@example.net"
BODY = b"Subject: x\r\n\r\nhello\r\n"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(colour: Colour, row: Row) -> None:
    with row.server() as server:
        where = f"smtp+plain://{row.user}127.0.0.1:{server.port}"
        with colour.client(where, timeout=row.timeout_seconds, hello_name="me") as client:
            if row.error is None:
                result = client.send(BODY, sender="a@example.org", recipients=[TO])
                assert list(result.accepted) == [TO]
                assert server.contents == [BODY]
                return
            with pytest.raises(row.error) as caught:
                client.send(BODY, sender="a@example.org", recipients=[TO])
        error = caught.value
        assert isinstance(error, SMTPXError)
        assert type(error) is row.error
        assert row.stage in (None, error.stage)
        assert isinstance(error, RefusedError) or error.result is None or TO not in error.result.refused
        assert len(str(error)) < 3000
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("name", "scheme", "make"), tls_servers(), ids=lambda each: each if isinstance(each, str) else ""
)
def test_h041_no_handshake(colour: Colour, name: str, scheme: str, make: Callable[[], FakeServer]) -> None:
    with make() as server:
        where = f"{scheme}://u:p@127.0.0.1:{server.port}"
        with (
            colour.client(where, timeout=0.7, hello_name="me") as client,
            pytest.raises((TLSError, ConnectionLost, DeadlineError)) as caught,
        ):
            client.send(BODY, sender="a@example.org", recipients=[TO])
        assert caught.value.is_temporary
        assert not {"AUTH", "MAIL"} & set(server.verbs)

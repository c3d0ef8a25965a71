"""Both clients to aiosmtpd: STARTTLS with a certificate that is verified, AUTH PLAIN and LOGIN, and a message."""

# ruff: noqa: ANN401 - aiosmtpd has no types
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from smtpx.errors import AuthenticationError
from smtpx.sasl import Password
from tests.peers import Colour, colour_of

BODY = b"Subject: hi\r\n\r\n.dot\r\ngr\xc3\xbc\xc3\x9fe\r\n"
USER = Password("user", "pass word")


class Handler:
    """Keeps messages."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append((session.ssl is not None, envelope))
        return "250 2.0.0 queued as 42"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"user", b"pass word"), handled=False)


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    with colour_of(request.param) as found:
        yield found


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[tuple[Controller, Path]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with socket.create_server(("127.0.0.1", 0)) as free:  # it can't be told to take any free port
        port = free.getsockname()[1]
    controller = Controller(
        Handler(),
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    controller.start()
    yield controller, ca_file
    controller.stop()


def url_of(controller: Any) -> str:
    return f"smtp+starttls://localhost:{controller.server.sockets[0].getsockname()[1]}"


@pytest.mark.filterwarnings("ignore")  # aiosmtpd's own
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_starttls_auth_and_a_message(colour: Colour, peer: tuple[Controller, Path], mechanism: str) -> None:
    controller, ca_file = peer
    options: dict[str, Any] = {
        "ca_file": ca_file,
        "auth": Password("user", "pass word"),
        "auth_mechanisms": [mechanism],
    }
    with colour.client(url_of(controller), **options) as client:
        for _ in range(2):
            result = client.send(BODY, sender="a@x.example", recipients=["b@x.example", "c@x.example"])
            assert result.tls.verified
            assert result.queue_id == "42"
            assert len(result.accepted) == 2
    handler: Any = controller.handler
    for secure, envelope in handler.envelopes:
        assert secure
        assert envelope.content == BODY
        assert envelope.rcpt_tos == ["b@x.example", "c@x.example"]
    assert len(handler.envelopes) == 2


@pytest.mark.filterwarnings("ignore")  # aiosmtpd's own
def test_wrong_password(colour: Colour, peer: tuple[Controller, Path]) -> None:
    controller, ca_file = peer
    with pytest.raises(AuthenticationError) as caught:
        colour.open(url_of(controller), ca_file=ca_file, auth=Password("user", "wrong"))
    assert caught.value.reply is not None
    assert caught.value.reply.code == 535
    assert "wrong" not in str(caught.value)

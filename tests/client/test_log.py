"""The client's log: who, where, which message; no address and no secret."""

import logging

import pytest

from smtpx.errors import AuthenticationError, ConnectError, PermanentRefusal
from smtpx.server.run import ServerThread
from smtpx.server.session import Reject, Session
from smtpx.wire.address import Mailbox
from tests.client.conftest import Certificates
from tests.client.test_watch import MESSAGE, TO, Guarded
from tests.peers import Colour, ScriptedServer

NAME = "smtpx.client"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message.split("] ", 1)[1] for record in caplog.records if record.name == NAME]


def test_debug_tells_of_connections_too(
    colour: Colour, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger=NAME)
    with ServerThread(Guarded, port=0, tls=certificates.server) as server:
        url = f"submission://user:secret@localhost:{server.port}"
        with colour.client(url, ca_file=certificates.ca_file) as client:
            client.send(MESSAGE, **TO)
        connected, tls, auth, message, closed = lines(caplog)
        assert connected.startswith("connected to ")
        assert tls.startswith("TLS TLSv1.")
        assert tls.endswith(", verified")
        assert auth == "AUTH PLAIN: 235"
        assert message == "message accepted for 1 recipients, refused for 0: 250 2.0.0 message accepted"
        assert closed == "closed after 1 messages"
        records = [record.__dict__ for record in caplog.records if record.name == NAME]
        assert {record["server"] for record in records} == {f"localhost:{server.port}"}
        (connection,) = {record["connection"] for record in records}
        assert [record.get("transaction") for record in records] == [None] * 3 + [f"{connection}.1", None]
        assert records[3]["message"].startswith(f"[{connection}.1] ")
    assert "secret" not in caplog.text


def test_p23_who_was_refused_is_counted_in_the_line(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    class Some(Session):
        async def rcpt(self, recipient: Mailbox, params: object) -> None:
            if recipient.local_part == "nobody":
                raise Reject.mailbox_unavailable()

    caplog.set_level(logging.INFO, logger=NAME)
    with ServerThread(Some, port=0) as server:
        url = server.url.replace("smtp:", "smtp+plain:")
        with colour.client(url) as client:
            assert client.send(MESSAGE, sender="a@x.example", recipients=["b@x.example", "nobody@x.example"]).refused
    assert lines(caplog) == ["message accepted for 1 recipients, refused for 1: 250 2.0.0 message accepted"]


def test_info_tells_of_messages(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(Session):
        async def rcpt(self, recipient: object, params: object) -> None:
            raise Reject.mailbox_unavailable()

    caplog.set_level(logging.INFO, logger=NAME)
    with ServerThread(Refusing, port=0) as server:
        url = server.url.replace("smtp:", "smtp+plain:")
        with colour.client(url) as client, pytest.raises(PermanentRefusal):
            client.send(MESSAGE, **TO)
    (line,) = lines(caplog)
    assert line.startswith("message not sent: every recipient was refused: ")


def test_no_connection(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=NAME)
    with ScriptedServer("S: 220 x") as server:
        port = server.port
    with pytest.raises(ConnectError):
        colour.open(f"smtp+plain://127.0.0.1:{port}")
    (line,) = lines(caplog)
    assert line.startswith(f"no connection to 127.0.0.1:{port}: can't connect to ")


def test_a_login_that_fails_and_tls_that_nobody_checked(
    colour: Colour, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger=NAME)
    with ServerThread(Guarded, port=0, tls=certificates.server) as server, pytest.raises(AuthenticationError):
        colour.open(f"smtp://user:wrong@localhost:{server.port}", verify=False)
    found = lines(caplog)
    assert any(line.endswith(", not verified") for line in found)
    assert "AUTH PLAIN: 535" in found
    assert "wrong" not in caplog.text

"""One suite for both clients, against a scripted server on a real socket: same octets, results and errors (T16)."""

import inspect
import io
import socket
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from smtpx.client.aio import AsyncClient, AsyncConnection, AsyncOpenTransaction
from smtpx.client.settings import Limits
from smtpx.client.sync import Client, Connection, OpenTransaction
from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    TemporaryRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.session import Security
from smtpx.flows.steps import Timeouts
from smtpx.sasl import Password
from smtpx.wire.address import Mailbox
from tests.client.conftest import Certificates, certificates_for
from tests.peers import Colour, ScriptedServer

TO = "b@y.example"
FROM = "a@x.example"
BODY = b"Subject: hi\r\n\r\n.dot\r\n"
START = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250-PIPELINING\nS: 250 SIZE 1000\n"
LOCK = "S: 220 ready\nC: EHLO me\nS: 250 x\n"
QUIT = "C: QUIT\nS: 221 bye\n"
BODY_WIRE = "C: Subject: hi\nC:\nC: ..dot\nC: .\n"
ENVELOPE = f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: DATA\n"
MESSAGE = f"{ENVELOPE}S: 250 m\nS: 250 r\nS: 354 go\n{BODY_WIRE}S: 250 done\n"


def url(server: ScriptedServer, scheme: str = "smtp") -> str:
    return f"{scheme}://localhost:{server.port}?hello_name=me"


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [(Client, AsyncClient), (Connection, AsyncConnection), (OpenTransaction, AsyncOpenTransaction)],
)
def test_parity_of_names_signatures_and_docstrings(blocking: type, awaited: type) -> None:
    def public(cls: type) -> set[str]:
        return {name for name in vars(cls) if not name.startswith("_")}

    assert public(blocking) == public(awaited)
    for name in public(blocking):
        one, other = getattr(blocking, name), getattr(awaited, name)
        first, second = ((inspect.getdoc(each) or "").splitlines()[0] for each in (one, other))
        second = second.replace(" Await it, or use it in `async with`.", "").replace("AsyncClient", "Client")
        assert first == second, name
        if callable(one):
            assert list(inspect.signature(one).parameters.values()) == list(
                inspect.signature(other).parameters.values()
            )


def test_send_a_message(colour: Colour) -> None:
    with ScriptedServer(START + MESSAGE + QUIT) as server, colour.client(url(server)) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO])
        assert result.accepted[TO].text == "r"
        assert result.reply.text == "done"
        assert result.tls is None
        assert result.duration_seconds > 0


def test_own_tests_of_the_session_library_plain_with_initial_response(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 235 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(url(server), auth=Password("u", "p")) as connection:
        assert connection.is_open
    with ScriptedServer(script.replace("235 ok", "535 no")) as server, pytest.raises(AuthenticationError):
        colour.open(url(server), username="u", password="p")


def test_d45_p47_trace_shows_no_secret(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\n"
    script += "S: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ok\nC: NOOP\nS: 250 ok\n" + QUIT
    seen: list[tuple[str, bytes]] = []
    options: dict[str, Any] = {"auth": Password("user", "secret"), "trace": lambda *each: seen.append(each)}
    with ScriptedServer(script) as server, colour.open(url(server), **options) as connection:
        connection.noop()
    octets = b"".join(each for _, each in seen)
    assert b"c2VjcmV0" not in octets
    assert b"dXNlcg" not in octets
    assert ("C", b"NOOP\r\n") in seen


def test_step_by_step(colour: Colour) -> None:
    script = START + f"C: MAIL FROM:<{FROM}> SIZE=21\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: RCPT TO:<c@y.example>\n"
    script += f"S: 550 no\nC: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n"
    script += f"C: VRFY {TO}\nS: 252 perhaps\nC: NOOP\nS: 250 n\nC: RSET\nS: 200 r\nC: VRFY x@y.example\nS: 550 no\n"
    with ScriptedServer(script + QUIT) as server, colour.open(url(server)) as connection:
        assert connection.capabilities["SIZE"] == "1000"
        assert connection.hello_reply.code == 250
        assert connection.tls is None
        assert connection.peer.endswith(f":{server.port}")
        assert connection.mail(FROM, size=21).text == "m"
        assert connection.rcpt(Mailbox("b", "y.example")).text == "r"
        with pytest.raises(PermanentRefusal) as caught:
            connection.rcpt("c@y.example")
        assert caught.value.recipient == "c@y.example"
        assert connection.data(BODY).text == "done"
        assert connection.verify(TO).code == 252  # D42
        assert connection.noop().text == "n"
        assert connection.reset().code == 200
        with pytest.raises(PermanentRefusal):
            connection.verify("x@y.example")
        connection.quit()
        connection.quit()
        assert not connection.is_open
        with pytest.raises(LocalProtocolError):
            connection.noop()


def test_data_by_hand_knows_its_own_recipients_only(colour: Colour) -> None:
    one = f"C: MAIL FROM:<>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: DATA\nS: 354 go\n{BODY_WIRE}S: "
    with (
        ScriptedServer(LOCK + one + "250 1\n" + one + "554 2\n" + QUIT) as server,
        colour.open(url(server)) as connection,
    ):
        connection.mail("")
        connection.rcpt(TO)
        assert connection.data(BODY).text == "1"
        with pytest.raises(LocalProtocolError):
            connection.data(BODY)
        connection.mail("<>")
        connection.rcpt(TO)
        with pytest.raises(LocalProtocolError):
            connection.data(b"bare\nnewline")  # said before anything is written
        with pytest.raises(PermanentRefusal) as caught:
            connection.data(BODY)
        assert list(caught.value.result.refused) == [TO]


def test_open_transaction(colour: Colour) -> None:
    group = f"C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{TO}>\nC: RCPT TO:<c@y.example>\nS: 250 m\nS: 250 r\nS: 550 no\n"
    script = (
        START + group + f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n" + (group + "C: RSET\nS: 250 ok\n") * 3 + QUIT
    )
    with ScriptedServer(script) as server, colour.open(url(server)) as connection:
        to = [TO, "c@y.example"]
        with connection.transaction(FROM, to) as tx:
            assert list(tx.accepted) == [TO]
            assert list(tx.refused) == ["c@y.example"]
            with pytest.raises(LocalProtocolError):
                tx.send(b"bare\nnewline")
            assert tx.send(BODY).reply.text == "done"
            with pytest.raises(LocalProtocolError, match="over"):
                tx.send(BODY)
        with connection.transaction(FROM, to):
            pass
        with pytest.raises(KeyError), connection.transaction(FROM, to):
            raise KeyError
        tx = connection.transaction(FROM, to)
        tx.abandon()
        tx.abandon()


def test_interrupted_transaction_is_closed(colour: Colour) -> None:
    script = START + f"C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{TO}>\nS: 250 m\nS: 250 r\n"
    with ScriptedServer(script) as server:
        connection = colour.open(url(server))
        with pytest.raises(SystemExit), connection.transaction(FROM, [TO]):
            raise SystemExit
        assert not connection.is_open


def test_c02_h050_d10_hostile_arguments_are_refused_before_writing(colour: Colour) -> None:
    bad = ["a@b> SIZE=1", "a@b c", "<a@b>", "a@b\0", "a@b\r\nRSET", "a@b\n", "a@b\r", '"a\r\n"@b.example', "a@b\u2028"]
    bad += ["Name <a@b.example>", "a\u560a@b\u0085.example"]
    with ScriptedServer(START + "C: NOOP\nS: 250 ok\n" + QUIT) as server, colour.open(url(server)) as connection:
        for address in bad:
            for call in (connection.mail, connection.verify):
                with pytest.raises(LocalProtocolError):
                    call(address)
            for sender, recipient in ((address, TO), (FROM, address)):
                with pytest.raises(LocalProtocolError):
                    connection.send(BODY, sender=sender, recipients=[recipient])
                with pytest.raises(LocalProtocolError):
                    connection.transaction(sender, [recipient])
        for mailbox in (Mailbox("a b", "x> SIZE=1"), Mailbox("", "x"), Mailbox("a", "")):
            with pytest.raises(LocalProtocolError):
                connection.mail(mailbox)
        for options in ({"size": "1\r\nRSET"}, {"size": -1}, {"body": "7BIT SIZE=1"}, {"body": "8BITMIME\r\n"}):
            with pytest.raises(LocalProtocolError):
                connection.mail(FROM, **options)
        for options in ({"body": "8BITMIME"}, {"smtputf8": True}):
            with pytest.raises(UnsupportedError):
                connection.mail(FROM, **options)
        with pytest.raises(UnsupportedError):
            connection.mail("ü@x.example")
        with pytest.raises(UnsupportedError):
            connection.verify("ü@x.example")
        with pytest.raises(UnsupportedError):
            connection.start_tls()
        connection.noop()
    with ScriptedServer("S: 220 x\n", tolerant=True) as server, pytest.raises(LocalProtocolError):
        colour.open(f"smtp://localhost:{server.port}", hello_name="x y")


def test_h098_smtputf8_by_hand(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250-8BITMIME\nS: 250 SMTPUTF8\n"
    script += "C: MAIL FROM:<ü@x.example> BODY=8BITMIME SMTPUTF8\nS: 250 m\nC: RCPT TO:<ö@bücher.example>\nS: 250 r\n"
    script += "C: RSET\nS: 250 ok\nC: VRFY ü@x.example SMTPUTF8\nS: 252 ok\n"
    script += "C: MAIL FROM:<a@xn--bcher-kva.example>\nS: 250 m\nC: RCPT TO:<Postmaster>\nS: 250 ok\n"
    with ScriptedServer(script + QUIT) as server, colour.open(url(server)) as connection:
        connection.mail("ü@x.example", body="8BITMIME", smtputf8=True)
        connection.rcpt("ö@bücher.example")
        connection.reset()
        connection.verify("ü@x.example")
        connection.mail("a@bücher.example")
        connection.rcpt(Mailbox("Postmaster", ""))


def test_t06_h058_p28_the_next_call_of_any_kind_sees_the_unasked_reply(colour: Colour) -> None:
    for call in ("noop", "reset", "verify", "mail", "rcpt", "transaction", "data"):
        script = START + f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 first\nS: 250 injected\n"
        arguments: dict[str, tuple[Any, ...]] = {
            "verify": (TO,),
            "mail": (FROM,),
            "rcpt": (TO,),
            "transaction": (FROM, [TO]),
            "data": (BODY,),
        }
        with ScriptedServer(script) as server:
            connection = colour.open(url(server))
            connection.mail(FROM)
            connection.rcpt(TO)
            with pytest.raises(RemoteProtocolError):
                getattr(connection, call)(*arguments.get(call, ()))
            assert not connection.is_open


def test_t06_the_pool_never_hands_such_a_connection_out(colour: Colour) -> None:
    with (
        ScriptedServer(START + MESSAGE + "S: 250 injected\n", LOCK_MESSAGE) as server,
        colour.client(url(server)) as client,
    ):
        client.send(BODY, sender=FROM, recipients=[TO])
        time.sleep(0.05)
        assert client.send(BODY, sender=FROM, recipients=[TO]).reply.text == "done"
        assert server.connections == 2


LOCK_MESSAGE = f"""
    {START}
    C: MAIL FROM:<{FROM}> SIZE=21
    S: 250 m
    C: RCPT TO:<{TO}>
    S: 250 r
    C: DATA
    S: 354 go
    {BODY_WIRE}
    S: 250 done
    {QUIT}
"""


def test_a_server_that_breaks_pipelining_gets_none_afterwards(colour: Colour) -> None:
    broken = START + f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: DATA\nS: 250 m\nS: 354 what\n"
    with ScriptedServer(broken, LOCK_MESSAGE, tolerant=True) as server, colour.client(url(server)) as client:
        with pytest.raises(RemoteProtocolError):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert client.send(BODY, sender=FROM, recipients=[TO]).reply.text == "done"


def test_idle_connection_that_died_is_replaced_and_the_message_sent_once(colour: Colour) -> None:
    for end in ("EOF", "S: 421 idle too long\nEOF"):
        with (
            ScriptedServer(START + MESSAGE + end, START + MESSAGE + QUIT) as server,
            colour.client(url(server)) as client,
        ):
            for _ in range(2):
                assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
                time.sleep(0.05)
            assert server.connections == 2


def test_lost_on_a_used_connection_before_the_body_is_repeated_and_after_it_is_not(colour: Colour) -> None:
    lost = START + MESSAGE + f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: DATA\nEOF"
    with ScriptedServer(lost, START + MESSAGE + QUIT) as server, colour.client(url(server)) as client:
        for _ in range(2):
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
    lost = START + MESSAGE + MESSAGE.replace("S: 250 done\n", "EOF")
    with ScriptedServer(lost) as server, colour.client(url(server)) as client:
        client.send(BODY, sender=FROM, recipients=[TO])
        with pytest.raises(ConnectionLost) as caught:
            client.send(BODY, sender=FROM, recipients=[TO])
        assert caught.value.stage == "final"
        assert list(caught.value.result.accepted) == [TO]
        assert server.connections == 1


def test_kinds_of_content(colour: Colour, tmp_path: Path) -> None:
    path = tmp_path / "letter.eml"
    path.write_bytes(BODY)
    unsized = MESSAGE.replace(" SIZE=21", "")
    script = START + MESSAGE * 4 + unsized + QUIT
    with ScriptedServer(script) as server, colour.client(url(server)) as client, path.open("rb") as file:
        for message in (BODY, bytearray(BODY), memoryview(BODY), file, iter([BODY[:14], BODY[14:]])):
            assert client.send(message, sender=FROM, recipients=TO).accepted
        for wrong in ("text", 5, None):
            with pytest.raises(TypeError):
                client.send(wrong, sender=FROM, recipients=[TO])
        with pytest.raises(LocalProtocolError):
            client.send(BODY, recipients=[TO])
        with pytest.raises(LocalProtocolError):
            client.send(BODY, sender=FROM, recipients=[])
        for text in (io.BytesIO(b"a\nb"), b"a\nb"):
            with pytest.raises(LocalProtocolError, match="normalize"):
                client.send(text, sender=FROM, recipients=[TO])
    # A file that can't be looked through first, and newlines that are made good.
    script = START + unsized + unsized.replace("MAIL FROM:<a@x.example>", "MAIL FROM:<a@x.example> SIZE=21") + QUIT

    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError("a pipe")

    with ScriptedServer(script) as server, colour.client(url(server)) as client:
        client.send(Pipe(BODY), sender=FROM, recipients=[TO])
        file_ = io.BytesIO(BODY.replace(b"\r\n", b"\n"))
        client.send(file_, sender=FROM, recipients=[TO], normalize_newlines=True)


def test_message_object_with_envelope_from_its_header_and_without_bcc_p48(colour: Colour) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = FROM, TO, "hidden@y.example"
    message.set_content("hi\n")
    heard: list[bytes] = []

    def act(sock: socket.socket) -> None:
        file = sock.makefile("rb")
        sock.sendall(b"220 x\r\n")
        in_data = False
        for line in file:
            heard.append(line)
            if in_data:
                in_data = line != b".\r\n"
                answer = None if in_data else b"250 ok\r\n"
            else:
                in_data = line == b"DATA\r\n"
                answer = b"354 go\r\n" if in_data else b"250 ok\r\n"
            if answer:
                sock.sendall(answer)

    with ScriptedServer(act=act) as server, colour.client(url(server)) as client:
        assert list(client.send(message).accepted) == [TO, "hidden@y.example"]
    octets = b"".join(heard)
    assert b"RCPT TO:<hidden@y.example>" in octets
    assert b"Bcc" not in octets
    assert message["Bcc"] == "hidden@y.example"


def test_pool_is_used_again_and_limits_hold(colour: Colour) -> None:
    limits = Limits(max_messages_per_connection=2)
    with ScriptedServer(START + MESSAGE * 2 + QUIT) as server, colour.client(url(server), limits=limits) as client:
        for _ in range(4):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert server.connections == 2
    with pytest.raises(LocalProtocolError, match="closed"):
        client.send(BODY, sender=FROM, recipients=[TO])
    limits = Limits(max_idle_seconds=0.01)
    script = START + MESSAGE + "C: QUIT\n"
    with ScriptedServer(script, tolerant=True) as server, colour.client(url(server), limits=limits) as client:
        for _ in range(2):
            client.send(BODY, sender=FROM, recipients=[TO])
            time.sleep(0.05)
        begun = time.monotonic()
        client.send(BODY, sender=FROM, recipients=[TO])
        assert time.monotonic() - begun < 2  # nobody waits for the reply to an expired connection's QUIT
        assert server.connections == 3
        for link in client._policy.drain():
            link.close()


def test_lmtp_over_a_unix_socket_c13(colour: Colour, tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    import threading

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        sock, _ = listener.accept()
        file = sock.makefile("rb")
        sock.sendall(b"220 x\r\n")
        for answer in (b"250 x", b"250 m", b"250 a", b"250 b", b"354 go"):
            file.readline()
            sock.sendall(answer + b"\r\n")
        while file.readline() != b".\r\n":
            pass
        sock.sendall(b"250 fine\r\n500 not this one\r\n")
        file.readline()
        sock.sendall(b"221 bye\r\n")
        file.close()
        sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with colour.open(f"lmtp+unix://{path}") as connection:
        result = connection.send(BODY, sender=FROM, recipients=[TO, "c@y.example"])
        assert result.accepted[TO].text == "fine"
        assert result.refused["c@y.example"].reply.code == 500
        assert connection.peer == str(path)
    thread.join()
    listener.close()
    path.unlink()
    with pytest.raises(ConnectError, match=r"lmtp\.sock"):
        colour.open(f"lmtp+unix://{path}")


def test_t09_two_at_once(colour: Colour) -> None:
    with ScriptedServer(LOCK + "C: NOOP\nS: 250 ok\n" + QUIT) as server, colour.open(url(server)) as connection:
        link = connection._link
        link._busy = True
        with pytest.raises(LocalProtocolError, match="in use"):
            connection.noop()
        link._busy = False
        connection.noop()


@pytest.mark.parametrize("url_", ["smtp://127.0.0.1:1", "smtp://no-such-host.invalid"])
def test_connect_error_names_the_place(colour: Colour, url_: str) -> None:
    with pytest.raises(ConnectError) as caught:
        colour.open(url_, timeouts=Timeouts(connect=5))
    assert caught.value.stage == "connect"
    assert caught.value.is_temporary
    assert "127.0.0.1" in str(caught.value) or "no-such-host" in str(caught.value)


def test_local_address(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server:
        with colour.open(f"smtp://127.0.0.1:{server.port}", hello_name="me", local_address="127.0.0.1") as connection:
            assert connection.is_open
        for address in ("192.0.2.7", "::1"):
            with pytest.raises(ConnectError) as caught:
                colour.open(f"smtp://127.0.0.1:{server.port}", local_address=address)
            assert address in str(caught.value)


def test_own_dialler(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server:
        port = server.port
        with colour.open(
            "smtp://mail.invalid?hello_name=me", connect=lambda *_: socket.create_connection(("127.0.0.1", port))
        ):
            pass
    refused = socket.socket()
    with pytest.raises(ConfigurationError, match="not connected"):
        colour.open("smtp://mail.invalid", connect=lambda *_: refused)
    for error in (OSError("no route"), ConnectError("no way", stage="connect")):

        def fail(*_: object, error: OSError = error) -> socket.socket:
            raise error

        with pytest.raises(ConnectError, match=r"no route|no way"):
            colour.open("smtp://mail.invalid", connect=fail)


def test_h044_a_dialler_that_ends_on_this_host_makes_no_far_target_local(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\n" + QUIT
    with ScriptedServer(script) as server:
        port = server.port
        with pytest.raises(UnsupportedError):
            colour.open(
                "smtp+plain://u:p@mail.example.org?hello_name=me",
                connect=lambda *_: socket.create_connection(("127.0.0.1", port)),
            )


def test_h040_only_ehlo_and_quit(colour: Colour) -> None:
    with ScriptedServer(LOCK + QUIT) as server, pytest.raises(UnsupportedError):
        colour.open(url(server, "submission"), username="u", password="p")


@pytest.mark.parametrize("end", ["EOF", "silence"])
def test_d43_p29_quit_returns(colour: Colour, end: str) -> None:
    script = LOCK + "C: QUIT\n" + ("EOF" if end == "EOF" else "")
    with ScriptedServer(script) as server:
        connection = colour.open(url(server), timeouts=Timeouts(quit=0.2))
        begun = time.monotonic()
        connection.quit()
        assert time.monotonic() - begun < 1
        assert not connection.is_open


def test_t07_h058_after_a_time_out_the_connection_is_closed(colour: Colour) -> None:
    with ScriptedServer(LOCK + "C: NOOP\n") as server:
        connection = colour.open(url(server), timeouts=Timeouts(other=0.1))
        with pytest.raises(DeadlineError) as caught:
            connection.noop()
        assert caught.value.stage == "noop"
        assert not connection.is_open


def test_total_time(colour: Colour) -> None:
    with ScriptedServer("") as server, pytest.raises(DeadlineError) as caught:
        colour.open(url(server), timeout=0.1)
    assert caught.value.stage == "greeting"


def test_h057_a_reply_that_drips_ends(colour: Colour) -> None:
    def drip(sock: socket.socket) -> None:
        for _ in range(100):
            sock.sendall(b"220-x\r\n")
            time.sleep(0.03)

    with ScriptedServer(act=drip, tolerant=True) as server:
        begun = time.monotonic()
        with pytest.raises(DeadlineError):
            colour.open(url(server), timeouts=Timeouts(greeting=0.2))
        assert time.monotonic() - begun < 1


# TLS ------------------------------------------------------------------------------------------------------------------

TLS_SCRIPT = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n"
TLS_SCRIPT += "TLS\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\n"


def test_c10_c11_starttls(colour: Colour, certificates: Certificates) -> None:
    script = TLS_SCRIPT + "C: AUTH PLAIN AHUAcA==\nS: 235 ok\n" + QUIT
    options: dict[str, Any] = {"ca_file": certificates.ca_file, "username": "u", "password": "p"}
    with (
        ScriptedServer(script, tls=certificates.server) as server,
        colour.open(url(server, "smtp+starttls"), **options) as connection,
    ):
        assert connection.tls.version == "TLSv1.3"
        assert connection.tls.verified
        assert connection.capabilities["AUTH"] == "PLAIN"


def test_implicit_tls(colour: Colour, certificates: Certificates) -> None:
    script = "TLS\n" + LOCK + "C: NOOP\nS: 250 ok\n" + QUIT
    with (
        ScriptedServer(script, tls=certificates.server) as server,
        colour.open(url(server, "smtps"), ca_file=certificates.ca_file) as connection,
    ):
        assert connection.tls.verified
        connection.noop()
        with pytest.raises(UnsupportedError):
            connection.start_tls()


def test_start_tls_by_hand(colour: Colour, certificates: Certificates) -> None:
    with ScriptedServer(TLS_SCRIPT + QUIT, tls=certificates.server) as server:
        options: dict[str, Any] = {"security": Security.NONE, "ca_file": certificates.ca_file}
        with colour.open(url(server), **options) as connection:
            assert connection.start_tls().verified
            connection.quit()


def test_auth_by_hand(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 235 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(url(server)) as connection:
        assert connection.auth(Password("u", "p")).code == 235
        with pytest.raises(LocalProtocolError):
            connection.auth(Password("u", "p"))


def test_p40_h045_an_unknown_certificate_is_refused_before_anything_secret(
    colour: Colour, certificates: Certificates, tmp_path: Path
) -> None:
    script = TLS_SCRIPT.partition("C: EHLO me\nS: 250-x\nS: 250 AUTH")[0]
    with ScriptedServer(script, tls=certificates.server) as server:
        with pytest.raises(TLSError, match="certificate") as caught:
            colour.open(url(server, "submission"), username="u", password="p")
        assert not caught.value.is_temporary
    other = certificates_for(tmp_path, "mail.example.org")
    with ScriptedServer(script, tls=other.server) as server, pytest.raises(TLSError, match=r"(?i)hostname"):
        colour.open(url(server, "submission"), ca_file=other.ca_file)


def test_opportunistic_takes_any_certificate_and_says_so(colour: Colour, certificates: Certificates) -> None:
    with ScriptedServer(TLS_SCRIPT + QUIT, tls=certificates.server) as server, colour.open(url(server)) as connection:
        assert not connection.tls.verified


@pytest.mark.parametrize("broken", ["S: 220 go\nS: \x16garbage garbage garbage", "EOF"])
def test_h041_opportunistic_goes_on_in_clear_over_a_new_connection(colour: Colour, broken: str) -> None:
    first = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nEOF"
    with ScriptedServer(first, LOCK + QUIT, tolerant=True) as server:
        with colour.open(url(server)) as connection:
            assert connection.tls is None
        assert server.connections == 2
    with ScriptedServer(first, LOCK + QUIT, tolerant=True) as server, pytest.raises(TLSError):
        colour.open(url(server, "submission"))


def test_h036_injected_reply_closes_before_any_tls_octet(colour: Colour) -> None:
    first = (
        "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: 250-injected\nS: 250 AUTH PLAIN\n"
    )
    with ScriptedServer(first) as server:
        with pytest.raises(RemoteProtocolError):
            colour.open(url(server), username="u", password="p")
        assert server.heard[0].endswith(b"STARTTLS\r\n")


def test_smtps_to_a_port_that_speaks_in_clear(colour: Colour) -> None:
    with ScriptedServer("S: 220 plain\n", tolerant=True) as server, pytest.raises(TLSError):
        colour.open(url(server, "smtps"), timeouts=Timeouts(tls=2))


def test_p23_partial_refusal_is_a_result_and_strict_an_error(colour: Colour) -> None:
    group = f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: RCPT TO:<c@y.example>\n"
    script = START + group + f"C: DATA\nS: 250 m\nS: 250 r\nS: 550 no\nS: 354 go\n{BODY_WIRE}S: 250 done\n"
    script += group + "S: 250 m\nS: 250 r\nS: 450 no\nC: RSET\nS: 250 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.client(url(server)) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO, "c@y.example"])
        assert list(result.accepted) == [TO]
        with pytest.raises(TemporaryRefusal) as caught:
            client.send(BODY, sender=FROM, recipients=[TO, "c@y.example"], strict=True)
        assert list(caught.value.result.refused) == ["c@y.example"]

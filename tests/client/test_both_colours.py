"""Both clients, step by step, against a scripted server on a real socket: same octets, results and errors (T16)."""

import inspect
import io
import socket
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from smtpx.client.aio import AsyncClient, AsyncConnection, AsyncOpenTransaction
from smtpx.client.sync import Client, Connection, OpenTransaction
from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    TemporaryRefusal,
    UnsupportedError,
)
from smtpx.sasl import Password
from smtpx.wire.address import Mailbox
from tests.client.dialogues import BODY, BODY_WIRE, FROM, LOCK, MESSAGE, QUIT, START, TO, url
from tests.peers import Colour, ScriptedServer


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
    script += f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n"
    with ScriptedServer(script + QUIT) as server, colour.open(url(server)) as connection:
        tx = connection.transaction(FROM, [TO])
        tx.send(BODY)
        with pytest.raises(SystemExit), tx:
            raise SystemExit
        assert connection.is_open  # the message was over


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
    with ScriptedServer("S: 220 x\n", tolerant=True) as server, pytest.raises(ConfigurationError):
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


def test_kinds_of_content(colour: Colour, tmp_path: Path) -> None:
    path = tmp_path / "letter.eml"
    path.write_bytes(BODY)
    script = START + MESSAGE * 5 + QUIT  # short content from an iterator is known whole before MAIL
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
    script = START + MESSAGE * 2 + QUIT

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

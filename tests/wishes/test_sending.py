"""What users of mail libraries asked for and did not get, as they would write it: sending.

A test's number is its wish's; the docstring has the public threads that asked.
"""

import asyncio
import pickle
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

import smtpx
from smtpx.extensions import ALL
from smtpx.extensions.deliverby import Deadline
from smtpx.net.tls import TLSLayer, client_context
from smtpx.server.body import Body
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from tests.peers import Colour, ScriptedServer, colour_of
from tests.server.rig import RawClient

BODY = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO, OTHER = "a@x.example", "b@y.example", "c@y.example"
START = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250 {}\n"
MAIL = "C: MAIL FROM:<a@x.example>\n"
RCPT = "C: RCPT TO:<b@y.example>\n"
CONTENT = "C: Subject: x\nC: \nC: hello\nC: .\n"
QUIT = "C: QUIT\nS: 221 bye\n"


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Colour]:
    with colour_of(request.param) as found:
        yield found


class Kept(smtpx.Session):
    """Keeps what it takes; refuses whoever is called nobody, for now whoever is called busy."""

    messages: list[tuple[tuple[str, ...], bytes]]
    seen: list[str]

    async def mail(self, sender: Mailbox, params: Params) -> None:
        self.seen.append(f"{sender} {params.to_wire()}")

    async def rcpt(self, recipient: Mailbox, params: Params) -> None:
        self.seen.append(f"{recipient} {params.to_wire()}".strip())
        if recipient.local_part == "nobody":
            raise smtpx.Reject(550, "5.1.1", "no such user")
        if recipient.local_part == "busy":
            raise smtpx.Reject(450, "4.2.1", "busy")

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        content = await body.read()
        self.messages.append((tuple(str(each) for each in self.envelope.recipients), content))
        return smtpx.ok(f"Ok: queued as Q{len(self.messages)}")


def kept(kind: type[Kept] = Kept) -> type[Kept]:
    return type("Fresh", (kind,), {"messages": [], "seen": []})


def at(server: ScriptedServer, **query: str) -> str:
    return f"smtp+plain://localhost:{server.port}?hello_name=me"


# 1. The client's conversation


def test_users_ask_1_1_pipelining(colour: Colour) -> None:
    """All replies are read and belong to their recipients (go-smtp#203, bbottema/simple-java-mail#308)."""
    group = MAIL + "C: RCPT TO:<nobody@y.example>\n" + RCPT + "C: DATA\n"
    replies = "S: 250 ok\nS: 550 5.1.1 no\nS: 250 ok\nS: 354 go\n"
    script = START.format("PIPELINING") + group + replies + CONTENT + "S: 250 2.0.0 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(at(server)) as connection:
        result = connection.send(BODY, sender=FROM, recipients=["nobody@y.example", TO])
    assert (list(result.accepted), list(result.refused)) == ([TO], ["nobody@y.example"])


def test_users_ask_1_2_pipelining_off(colour: Colour) -> None:
    """For peers that break it (chatmail/core#4006)."""
    script = START.format("PIPELINING") + MAIL + "S: 250 ok\n" + RCPT + "S: 250 ok\nC: DATA\nS: 354 go\n"
    script += CONTENT + "S: 250 ok\n" + QUIT
    with ScriptedServer(script) as server, colour.open(at(server), pipelining=False) as connection:
        connection.send(BODY, sender=FROM, recipients=[TO])


def test_users_ask_1_2_off_by_itself(colour: Colour) -> None:
    """Behind a server that broke the protocol, the client's next connection says one command at a time."""
    offer = START.format("PIPELINING")
    broken = offer + MAIL + RCPT + "C: DATA\nS: 250 ok\nS: garbage\n"
    careful = offer + MAIL + "S: 250 ok\n" + RCPT + "S: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + "S: 250 ok\n" + QUIT
    with ScriptedServer(broken, careful) as server, colour.client(at(server)) as client:
        with pytest.raises(smtpx.RemoteProtocolError):
            client.send(BODY, sender=FROM, recipients=[TO])
        client.send(BODY, sender=FROM, recipients=[TO])


@pytest.mark.parametrize("chunking", [True, False])
def test_users_ask_1_3_bdat_and_a_way_around_it(colour: Colour, chunking: bool) -> None:
    """go-smtp#81, MailKit#921."""
    kind = kept()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url, chunking=chunking) as client:
        assert client.send(BODY, sender=FROM, recipients=[TO]).used_chunking is chunking
    assert kind.messages == [((TO,), BODY)]


async def test_users_ask_1_4_cancelled_at_any_time() -> None:
    """Not only while dialling (go-smtp#19)."""
    with ScriptedServer(START.format("HELP") + MAIL + "C: never\n", tolerant=True) as server:
        async with smtpx.AsyncClient(at(server)) as client:
            sending = asyncio.create_task(client.send(BODY, sender=FROM, recipients=[TO]))
            async with asyncio.timeout(5):
                while MAIL[3:-1].encode() not in b"".join(server.heard):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending


def test_users_ask_1_4_one_deadline_for_all_of_it(colour: Colour) -> None:
    with (
        ScriptedServer(START.format("HELP") + MAIL + "C: never\n", tolerant=True) as server,
        colour.client(at(server), timeout=0.3) as client,
        pytest.raises(smtpx.DeadlineError) as caught,
    ):
        client.send(BODY, sender=FROM, recipients=[TO])
    assert caught.value.stage == "mail"


@pytest.mark.parametrize(("force", "expected"), [(None, False), (True, True), (False, False)])
def test_users_ask_1_5_smtputf8_only_when_needed(colour: Colour, force: bool | None, expected: bool) -> None:
    """go-smtp#299, go-mail#545."""
    kind = kept()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        client.send(BODY, sender=FROM, recipients=[TO], smtputf8=force)
    assert ("SMTPUTF8" in kind.seen[0]) is expected


def test_users_ask_1_5_never_is_an_error_where_it_is_needed(colour: Colour) -> None:
    with (
        smtpx.ServerThread(kept(), port=0) as server,
        colour.client(server.url) as client,
        pytest.raises(smtpx.UnsupportedError) as caught,
    ):
        client.send(BODY, sender=FROM, recipients=["jürgen@y.example"], smtputf8=False)
    assert caught.value.keyword == "SMTPUTF8"


def test_users_ask_1_6_no_noop_and_no_rset(colour: Colour) -> None:
    """Servers that refuse them, or stumble over them, never see them (go-mail#463, #551, marlam/msmtp#217)."""
    once = MAIL + "S: 250 ok\n" + RCPT + "S: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + "S: 250 ok\n"
    with ScriptedServer(START.format("HELP") + once + once + QUIT) as server, colour.client(at(server)) as client:
        for _ in range(2):
            client.send(BODY, sender=FROM, recipients=[TO])


def test_users_ask_1_6_an_rset_that_fails_changes_nothing(colour: Colour) -> None:
    """The refusal is what is raised, and the next mail takes a new connection if it must (authelia/authelia#8042)."""
    refused = MAIL + "S: 250 ok\n" + RCPT + "S: 550 5.1.1 no\nC: RSET\nS: 502 what?\n"
    fine = MAIL + "S: 250 ok\n" + RCPT + "S: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + "S: 250 ok\n" + QUIT
    first, second = START.format("HELP") + refused, START.format("HELP") + fine
    with ScriptedServer(first, second, tolerant=True) as server, colour.client(at(server)) as client:
        with pytest.raises(smtpx.PermanentRefusal) as caught:
            client.send(BODY, sender=FROM, recipients=[TO])
        assert (caught.value.reply.code, caught.value.stage) == (550, "rcpt")
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted


def test_users_ask_1_7_a_name_in_ehlo(colour: Colour) -> None:
    """go-smtp#266: chosen, or the host's own; never localhost by accident where the host has a name."""
    names: list[str] = []

    class Host(smtpx.Session):
        async def hello(self, verb: str, name: str) -> None:
            names.append(name)

    with smtpx.ServerThread(Host, port=0) as server:
        colour.open(server.url, hello_name="mail.example.org").quit()
        colour.open(server.url).quit()
    assert names[0] == "mail.example.org"
    full = socket.getfqdn()
    assert names[1] == (full if "." in full else names[1])
    assert names[1].startswith("[") or "." in names[1]


def test_users_ask_1_8_dsn_on_the_high_level_call(colour: Colour) -> None:
    """go-mail#47, nodemailer/nodemailer#1251, stalwartlabs/mail-send#38."""
    kind = kept()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        notify = {TO: ("SUCCESS", "FAILURE"), OTHER: "NEVER"}
        client.send(BODY, sender=FROM, recipients=[TO, OTHER], ret="HDRS", envid="x1", notify=notify, orcpt={TO: TO})
    assert kind.seen[0].endswith("RET=HDRS ENVID=x1")
    assert kind.seen[1:] == [f"{TO} NOTIFY=SUCCESS,FAILURE ORCPT=RFC822;{TO}", f"{OTHER} NOTIFY=NEVER"]


def test_users_ask_1_9_other_delivery_options(colour: Colour) -> None:
    """bbottema/simple-java-mail#739."""
    kind = kept()
    since = datetime(2026, 1, 2, tzinfo=UTC)
    with smtpx.ServerThread(kind, port=0, extensions=ALL) as server, colour.client(server.url) as client:
        client.send(BODY, sender=FROM, recipients=[TO], by=Deadline(600), mt_priority=3, hold_for=60, rrvs=since)
    mail, rcpt = kind.seen
    assert {"BY=600;N", "MT-PRIORITY=3", "HOLDFOR=60"} <= set(mail.split())
    assert rcpt == f"{TO} RRVS=2026-01-02T00:00:00Z"


def test_users_ask_1_10_several_messages_under_way(colour: Colour) -> None:
    """go-smtp#312: the client says the next ones before the verdict on the first has come."""
    kind, log = kept(), list[tuple[str, bytes]]()
    mails = [smtpx.Outgoing(BODY, FROM, [TO]) for _ in range(20)]
    with smtpx.ServerThread(kind, port=0) as server:
        outcomes = _send_many(colour, server.url, mails, log)
    assert [each.error for each in outcomes] == [None] * 20
    assert len(kind.messages) == 20
    assert max(octets.count(b"BDAT") for side, octets in log if side == "C") > 1


def _send_many(
    colour: Colour, url: str, mails: list[smtpx.Outgoing], log: list[tuple[str, bytes]]
) -> list[smtpx.SendOutcome]:
    """Over one connection, noting what goes over the wire."""
    limits = smtpx.Limits(max_connections=1)

    def trace(side: str, octets: bytes) -> None:
        log.append((side, octets))

    async def many() -> list[smtpx.SendOutcome]:
        async with smtpx.AsyncClient(url, limits=limits, trace=trace) as client:
            return [each async for each in client.send_many(mails)]

    if colour.is_async:
        return asyncio.run(many())
    with smtpx.Client(url, limits=limits, trace=trace) as client:
        return list(client.send_many(mails))


def test_users_ask_1_11_own_dialler_and_source_address(colour: Colour) -> None:
    """emailfabric/smtp."""
    dialled: list[str] = []
    peers: list[str] = []

    class Watch(smtpx.Session):
        async def connect(self) -> None:
            peers.append(self.peer.address)

    with smtpx.ServerThread(Watch, port=0) as server:
        port = int(server.url.rsplit(":", 1)[1])

        def dial(target: object, seconds: float) -> socket.socket:
            dialled.append(str(target))
            return socket.create_connection(("127.0.0.1", port), seconds)

        async def dial_async(target: object, seconds: float) -> socket.socket:
            return dial(target, seconds)

        colour.open("smtp://elsewhere.example", connect=dial_async if colour.is_async else dial).quit()
        colour.open(server.url, local_address="127.0.0.3").quit()
    assert dialled == ["elsewhere.example:25"]
    assert peers == ["127.0.0.1", "127.0.0.3"]


def test_users_ask_1_12_lmtp_with_more_of_everything(colour: Colour) -> None:
    """More than one recipient, more than one message (cpython#76984, go-smtp#308)."""
    with smtpx.ServerThread(kept(), port=0, dialect=smtpx.LMTP) as server, colour.client(server.url) as client:
        for _ in range(2):
            result = client.send(BODY, sender=FROM, recipients=[TO, "nobody@y.example", OTHER])
            assert (list(result.accepted), list(result.refused)) == ([TO, OTHER], ["nobody@y.example"])
            assert [to for to, _ in result.verdicts] == [TO, OTHER]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_users_ask_1_13_starttls_loses_no_octet(loop: str, certificate: Any) -> None:  # noqa: ANN401
    """cpython#142352, MagicStack/uvloop#707: what comes in one packet with the last of the handshake is read."""

    async def main() -> None:
        async with smtpx.Server(kept(), port=0, tls=certificate.server) as server:
            url = f"submission://localhost:{server.port}"

            async def one() -> None:
                async with smtpx.AsyncClient(url, ca_file=certificate.ca_file) as client:
                    assert (await client.send(BODY, sender=FROM, recipients=[TO])).accepted

            await asyncio.gather(*(one() for _ in range(20)))
            async with await RawClient.open(server) as raw:
                await raw.say("EHLO x\r\nSTARTTLS\r\n", 2)
                layer = raw.layer = TLSLayer(client_context(ca_file=certificate.ca_file), server_hostname="localhost")
                layer.start()
                while not layer.is_ready:
                    await raw.send_raw(layer.output())
                    raw.feed(layer.receive(await raw.receive()))
                layer.send(b"EHLO x\r\nNOOP\r\n")
                await raw.send_raw(layer.output())  # with the last of the handshake
                assert await raw.codes(2) == ["250", "250 2.0.0"]

    factory = asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


# 2. Results


def test_users_ask_2_1_to_those_who_are_accepted(colour: Colour) -> None:
    """go-gomail/gomail#192, MailKit#1921, chatmail/core#8640."""
    kind = kept()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        client.send(BODY, sender=FROM, recipients=["nobody@y.example", TO])
        with pytest.raises(smtpx.PermanentRefusal):
            client.send(BODY, sender=FROM, recipients=["nobody@y.example", TO], strict=True)
    assert [to for to, _ in kind.messages] == [(TO,)]


def test_users_ask_2_2_no_refusal_passes_unnoticed(colour: Colour) -> None:
    """OpenCTI-Platform/opencti#18064, opencoredev/email-sdk#222."""
    with smtpx.ServerThread(kept(), port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=["nobody@y.example", TO])
        with pytest.raises(smtpx.RefusedError) as caught:
            result.raise_for_refused()
        assert caught.value.result is result
        assert client.send(BODY, sender=FROM, recipients=[TO]).raise_for_refused().accepted
        with pytest.raises(smtpx.RefusedError):
            client.send(BODY, sender=FROM, recipients=["nobody@y.example"])


def test_users_ask_2_3_the_replies_of_those_accepted(colour: Colour) -> None:
    """cpython#73725."""
    with smtpx.ServerThread(kept(), port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO, OTHER])
    assert [(to, reply.code, str(reply.enhanced)) for to, reply in result.accepted.items()] == [
        (TO, 250, "2.1.5"),
        (OTHER, 250, "2.1.5"),
    ]


def test_users_ask_2_4_again_only_who_was_refused_for_now(colour: Colour) -> None:
    """PHPMailer/PHPMailer#1858, knadh/listmonk#1332."""
    with smtpx.ServerThread(kept(), port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO, "busy@y.example", "nobody@y.example"])
    assert [to for to, error in result.refused.items() if error.is_temporary] == ["busy@y.example"]


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        ("Ok: queued as 4BcDeF", "4BcDeF"),
        ("OK id=1sAbCd-000000001-AbCd", "1sAbCd-000000001-AbCd"),
        ("Message accepted for delivery", None),
    ],
)
def test_users_ask_2_5_the_queue_id(colour: Colour, text: str, queue_id: str | None) -> None:
    """stalwartlabs/mail-send#24, karastojko/mailio#66."""

    class Named(smtpx.Session):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.read()
            return smtpx.ok(text)

    with smtpx.ServerThread(Named, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO])
    assert result.reply.text == text
    assert result.queue_id == queue_id


def test_users_ask_2_6_which_mail_of_a_batch(colour: Colour) -> None:
    """go-mail#90: an outcome for each, in order, and one that fails stops nobody."""
    kind, log = kept(), list[tuple[str, bytes]]()
    mails = [smtpx.Outgoing(BODY, FROM, [to]) for to in (TO, "nobody@y.example", OTHER, "busy@y.example", TO)]
    with smtpx.ServerThread(kind, port=0) as server:
        outcomes = _send_many(colour, server.url, mails, log)
    assert [each.index for each in outcomes] == [0, 1, 2, 3, 4]
    assert [type(each.error) for each in outcomes] == [
        *(type(None), smtpx.PermanentRefusal, type(None), smtpx.TemporaryRefusal, type(None))
    ]
    assert len(kind.messages) == 3


def test_users_ask_2_7_errors_say_all_of_it(colour: Colour) -> None:
    """Code, enhanced code, stage, recipient; and they travel between processes (aiosmtplib#352)."""
    with (
        smtpx.ServerThread(kept(), port=0) as server,
        colour.client(server.url) as client,
        pytest.raises(smtpx.RefusedError) as caught,
    ):
        client.send(BODY, sender=FROM, recipients=["nobody@y.example"])
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301
        facts = (error.reply.code, str(error.reply.enhanced), error.stage, error.recipient, error.is_temporary)
        assert facts == (550, "5.1.1", "rcpt", "nobody@y.example", False)
        assert error.command == "RCPT TO:<nobody@y.example>"
        assert "no such user" in str(error)


# 3. Connections


def test_users_ask_3_1_dead_and_old_connections_are_forgotten(colour: Colour) -> None:
    """go-smtp#154, jordan-wright/email#110, aiosmtplib#45, sabuhish/fastapi-mail#275."""
    once = START.format("HELP") + MAIL + "S: 250 ok\n" + RCPT + "S: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT
    with ScriptedServer(once + "S: 250 ok\nEOF\n", once + "S: 250 ok\n" + QUIT) as server:
        with colour.client(at(server)) as client:
            for _ in range(2):
                assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
        assert server.connections == 2


def test_users_ask_3_2_the_maximum_of_messages(colour: Colour) -> None:
    """Ours, and the server's 421, which is a new connection and no failure (knadh/listmonk#1717, #2683)."""
    kind = kept()
    limits = smtpx.ServerLimits(max_messages_per_connection=2)
    with smtpx.ServerThread(kind, port=0, limits=limits) as server, colour.client(server.url) as client:
        for _ in range(5):
            assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert len(kind.messages) == 5
    one_each = smtpx.Limits(max_messages_per_connection=1)
    made: list[int] = []

    class Counted(smtpx.Session):
        async def connect(self) -> None:
            made.append(1)

    with smtpx.ServerThread(Counted, port=0) as server, colour.client(server.url, limits=one_each) as client:
        for _ in range(3):
            client.send(BODY, sender=FROM, recipients=[TO])
    assert len(made) == 3


def test_users_ask_3_3_one_client_for_everybody(colour: Colour) -> None:
    """aiosmtplib#248, go-mail#380, #385: by tasks and by threads; each gets its own result."""
    kind, results = kept(), dict[int, str]()

    async def gathered() -> None:
        async with smtpx.AsyncClient(server.url, max_connections=3) as client:
            sent = await asyncio.gather(
                *(client.send(BODY, sender=FROM, recipients=[f"u{n}@y.example"]) for n in range(30))
            )
            results.update({n: next(iter(result.accepted)) for n, result in enumerate(sent)})

    with smtpx.ServerThread(kind, port=0) as server:
        if colour.is_async:
            asyncio.run(gathered())
        else:
            with smtpx.Client(server.url, max_connections=3) as client, ThreadPoolExecutor(10) as pool:
                for n, result in enumerate(
                    pool.map(lambda n: client.send(BODY, sender=FROM, recipients=[f"u{n}@y.example"]), range(30))
                ):
                    results[n] = next(iter(result.accepted))
    assert results == {n: f"u{n}@y.example" for n in range(30)}
    assert len(kind.messages) == 30


def test_users_ask_3_6_split_where_the_server_says(colour: Colour) -> None:
    """LIMITS: recipients of a transaction, and messages of a connection (RFC 9422)."""
    kind, connections = kept(), list[int]()

    class Counted(kind):  # type: ignore[valid-type, misc] # a class made for this test
        async def connect(self) -> None:
            connections.append(1)

    limits = smtpx.ServerLimits(max_recipients=2, max_messages_per_connection=2)
    to = [f"u{n}@y.example" for n in range(9)]
    with smtpx.ServerThread(Counted, port=0, limits=limits) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=to)
    assert (list(result.accepted), result.refused) == (to, {})
    assert [len(each) for each, _ in kind.messages] == [2, 2, 2, 2, 1]
    assert len(connections) == 3


def test_users_ask_3_5_envelope_and_header_are_two_things(colour: Colour) -> None:
    """go-mail#611, mikel/mail#477."""
    message = EmailMessage()
    message["From"], message["To"], message["Bcc"] = "boss@x.example", "all@y.example", "secret@y.example"
    message.set_content("hello")
    kind = kept()
    with smtpx.ServerThread(kind, port=0) as server, colour.client(server.url) as client:
        client.send(message, sender="bounces@x.example", recipients=[TO])
        client.send(message)
    assert [to for to, _ in kind.messages] == [(TO,), ("all@y.example", "secret@y.example")]
    assert [line.split()[0] for line in kind.seen if "SIZE" in line] == ["bounces@x.example", "boss@x.example"]
    assert all(b"To: all@y.example" in content and b"secret" not in content for _, content in kind.messages)


# 4. TLS and AUTH: see tests/client/test_both_connecting.py and tests/sasl; here what a user sees of it


@pytest.mark.parametrize("scheme", ["smtp+starttls", "submission", "smtps", "submissions"])
def test_users_ask_4_2_certificates_are_verified(colour: Colour, scheme: str, certificate: Any) -> None:  # noqa: ANN401
    """apache/airflow#65346, web2py/web2py#2674."""
    implicit = scheme.endswith("s") and scheme != "smtp+starttls"
    with smtpx.ServerThread(kept(), port=0, tls=certificate.server, implicit_tls=implicit) as server:
        port = server.url.rsplit(":", 1)[1]
        with pytest.raises(smtpx.TLSError):
            colour.open(f"{scheme}://localhost:{port}")
        with colour.open(f"{scheme}://localhost:{port}", ca_file=certificate.ca_file) as connection:
            assert connection.tls.verified


def test_users_ask_4_3_implicit_tls_with_auth(colour: Colour, certificate: Any) -> None:  # noqa: ANN401
    """aiosmtpd#274, #281, #292."""

    class Door(smtpx.Session):
        async def authenticate(self, identity: smtpx.Credentials) -> None:
            if not (identity.username == "me" and identity.is_password("s3cret")):
                raise smtpx.Reject.bad_credentials()

    options: dict[str, Any] = {"tls": certificate.server, "implicit_tls": True, "require_auth": True}
    with smtpx.ServerThread(Door, port=0, **options) as server:
        port = server.url.rsplit(":", 1)[1]
        url = "smtps://me:{}@localhost:" + port
        with colour.client(url.format("s3cret"), ca_file=certificate.ca_file) as client:
            assert client.send(BODY, sender=FROM, recipients=[TO]).tls.verified
        with pytest.raises(smtpx.AuthenticationError) as caught:
            colour.open(url.format("wrong"), ca_file=certificate.ca_file)
        assert caught.value.reply is not None
        assert caught.value.reply.code == 535
        assert "wrong" not in repr(caught.value)


def test_users_ask_4_9_no_password_over_what_is_not_verified(colour: Colour) -> None:
    """KumoMTA, since 2026; not even where the server offers nothing else."""
    script = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN LOGIN\n" + QUIT
    with ScriptedServer(script) as server:

        def dial(target: object, seconds: float) -> socket.socket:
            return socket.create_connection(("127.0.0.1", server.port), seconds)

        async def dial_async(target: object, seconds: float) -> socket.socket:
            return dial(target, seconds)

        with pytest.raises((smtpx.UnsupportedError, smtpx.AuthenticationError)):
            colour.open(
                "smtp+plain://me:s3cret@mail.example?hello_name=me", connect=dial_async if colour.is_async else dial
            )
    assert b"AUTH" not in b"".join(server.heard)

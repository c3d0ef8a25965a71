"""Rows of other libraries' defects and wishes that concern the client as a whole, in both colours."""

import asyncio
import base64
import io
import re
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

import smtpx
from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    TransportError,
    UnsupportedError,
)
from smtpx.extensions import ALL, STANDARD
from smtpx.extensions.dsn import OriginalRecipient
from smtpx.sasl import (
    OAUTHBEARER,
    PLAIN,
    SCRAM_SHA_256,
    XOAUTH2,
    AuthExchange,
    BearerToken,
    Challenge,
    ClientMechanism,
    Credentials,
    ExchangeContext,
    Password,
    SASLError,
    ScramRecord,
    ServerExchange,
    ServerMechanism,
)
from smtpx.sasl.login import LOGIN
from smtpx.server.body import Body
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from tests.client.conftest import Certificates
from tests.peers import Colour, ScriptedServer

BODY = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO = "a@x.example", "b@y.example"
SERVED: list[tuple[str, tuple[str, ...], bytes, str]] = []


class Judge(smtpx.Session):
    """Knows nobody whose name begins with "no", and answers each message with its subject."""

    async def rcpt(self, recipient: Mailbox, params: Params) -> None:
        if recipient.local_part.startswith("no"):
            raise smtpx.Reject.mailbox_unavailable()

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        content = await body.read()
        to = tuple(str(each) for each in self.envelope.recipients)
        SERVED.append((str(self.envelope.sender), to, content, self.envelope.params.to_wire()))
        subject = content.partition(b"\r\n")[0].decode()
        if self.is_lmtp:
            return {each: smtpx.ok(f"{subject} for {each}") for each in to}
        return smtpx.ok(subject)

    is_lmtp = False


class LMTPJudge(Judge):
    is_lmtp = True


@pytest.fixture(autouse=True)
def nothing_served() -> None:
    SERVED.clear()


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("evil", ["\r\nRSET", "\n", "\r", "\0", ">", "> SIZE=1"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_transactions_b06_nothing_is_injected(colour: Colour, evil: str, pipelining: bool, place: int) -> None:
    addresses = [f"{name}@x.example" for name in "abcd"]
    addresses[place] += evil
    with ScriptedServer("S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 PIPELINING\nC: QUIT\nS: 221 bye\n") as server:
        address = f"smtp://localhost:{server.port}?hello_name=me"
        with colour.open(address, pipelining=pipelining) as connection, pytest.raises(LocalProtocolError):
            connection.send(BODY, sender=addresses[0], recipients=addresses[1:])


@pytest.mark.parametrize(
    ("recipient", "header", "asks", "wire"),
    [
        (TO, "x", False, TO),
        ("jürgen@y.example", "x", True, "jürgen@y.example"),
        ("b@bücher.example", "x", False, "b@xn--bcher-kva.example"),
        (TO, "grüße", False, TO),  # an encoded-word does
    ],
)
def test_x26_smtputf8_by_content(colour: Colour, recipient: str, header: str, asks: bool, wire: str) -> None:
    message = EmailMessage()
    message["Subject"] = header
    message["From"] = FROM
    message.set_content("hello")
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(message, sender=FROM, recipients=[recipient])
    assert list(result.accepted) == [recipient]
    [(_, to, _, params)] = SERVED
    assert to == (wire,)
    assert ("SMTPUTF8" in params.split()) is asks


@pytest.mark.parametrize(
    ("text", "asks"),
    [("Subject: grüße\r\n\r\nhello\r\n", True), ("Subject: x\r\n\r\ngrüße\r\n", False)],
)
def test_x26_a_header_in_utf8(colour: Colour, text: str, asks: bool) -> None:
    """Octets are looked through for it, up to the end of the header: what is behind it needs 8BITMIME only."""
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        client.send(text.encode(), sender=FROM, recipients=[TO])
    assert ("SMTPUTF8" in SERVED[0][3].split()) is asks
    assert "BODY=8BITMIME" in SERVED[0][3].split()


def test_x27_d07_the_second_message_by_lmtp(colour: Colour) -> None:
    with smtpx.ServerThread(LMTPJudge, port=0, dialect=smtpx.LMTP) as server, colour.open(server.url) as connection:
        first = connection.send(b"one\r\n", sender=FROM, recipients=[TO, "c@y.example", "no@y.example"])
        second = connection.send(b"two\r\n", sender=FROM, recipients=["d@y.example"])
    assert [(to, reply.text) for to, reply in first.verdicts] == [
        (TO, f"<{TO}> one for {TO}"),
        ("c@y.example", "<c@y.example> one for c@y.example"),
    ]
    assert list(first.refused) == ["no@y.example"]
    [(to, verdict)] = second.verdicts
    assert (to, verdict.text) == ("d@y.example", "<d@y.example> two for d@y.example")


def test_f18_p41_partly_sent(colour: Colour) -> None:
    """The accepted one's reply is there too, not only the refusal."""
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO, "nobody@y.example"])
    assert {to: reply.code for to, reply in result.accepted.items()} == {TO: 250}
    assert {to: error.reply.code for to, error in result.refused.items()} == {"nobody@y.example": 550}
    assert [(to, content) for _, to, content, _ in SERVED] == [((TO,), BODY)]


def test_p51_recipients_of_three_domains(colour: Colour) -> None:
    to = ["b@y.example", "nobody@z.example", "c@w.example"]
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=to)
    assert (list(result.accepted), list(result.refused)) == ([to[0], to[2]], [to[1]])


def test_f28_what_is_announced_is_what_is_sent(colour: Colour) -> None:
    """BDAT counts the pieces it has in hand: a source of another length can't be out of step."""
    pieces = [b"x" * 7, b"", b"\r\n" * 3, b"y" * 300_000 + b"\r\n", b"z"]
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(iter(pieces), sender=FROM, recipients=[TO])
        assert result.used_chunking
        client.send(b"next\r\n", sender=FROM, recipients=[TO])
    assert [content for _, _, content, _ in SERVED] == [b"".join(pieces), b"next\r\n"]


@pytest.mark.parametrize("chunking", [True, False])
def test_many_small_pieces_are_no_flood_of_chunks(colour: Colour, chunking: bool) -> None:
    """A generator of lines: a BDAT for each would be a round trip for each, and a thousand of them are 421 (H026)."""
    lines = [b"Subject: x\r\n", b"\r\n", *[b"x" * 74 + b"\r\n"] * 4000]
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url, chunking=chunking) as client:
        result = client.send(iter(lines), sender=FROM, recipients=[TO])
    assert result.used_chunking is chunking
    assert [content for _, _, content, _ in SERVED] == [b"".join(lines)]


@pytest.mark.parametrize("at", ["greeting", "hello", "mail", "final"])
def test_p49_a_timeout_closes(colour: Colour, at: str) -> None:
    script = (
        "S: 220 x\nC: EHLO me\nS: 250 x\nC: MAIL FROM:<a@x.example>\nS: 250 x\nC: RCPT TO:<b@y.example>\nS: 250 x\n"
    )
    script += "C: DATA\nS: 354 x\nC: Subject: x\nC: \nC: hello\nC: .\n"
    lines = script.splitlines(keepends=True)
    said = {"greeting": 0, "hello": 2, "mail": 4, "final": len(lines)}[at]
    stages = smtpx.Timeouts(**{at: 0.1})
    with ScriptedServer("".join(lines[:said]) or "C: never\n", tolerant=not said) as server:
        url = f"smtp://localhost:{server.port}?hello_name=me"
        if at in ("greeting", "hello"):
            with pytest.raises(DeadlineError) as caught:
                colour.open(url, timeouts=stages)
        else:
            connection = colour.open(url, timeouts=stages)
            with pytest.raises(DeadlineError) as caught:
                connection.send(BODY, sender=FROM, recipients=[TO])
            assert not connection.is_open
            with pytest.raises(LocalProtocolError):
                connection.noop()
    assert caught.value.stage == at
    assert isinstance(caught.value, TransportError)


def _letter(number: int) -> bytes:
    return b"%d\r\n\r\nhello\r\n" % number


async def test_p50_one_client_and_twenty_tasks() -> None:
    with smtpx.ServerThread(Judge, port=0) as server:
        async with smtpx.AsyncClient(server.url, limits=smtpx.Limits(max_connections=3)) as client:
            sends = [client.send(_letter(i), sender=FROM, recipients=[f"u{i}@y.example"]) for i in range(20)]
            results = await asyncio.gather(*sends)
    assert [result.reply.text for result in results if result.reply] == [str(i) for i in range(20)]
    assert [list(result.accepted) for result in results] == [[f"u{i}@y.example"] for i in range(20)]


def test_p50_one_client_and_twenty_threads() -> None:
    texts: dict[int, str] = {}
    with (
        smtpx.ServerThread(Judge, port=0) as server,
        smtpx.Client(server.url, limits=smtpx.Limits(max_connections=3)) as client,
    ):

        def send(number: int) -> None:
            result = client.send(_letter(number), sender=FROM, recipients=[f"u{number}@y.example"])
            texts[number] = result.reply.text if result.reply else ""

        threads = [threading.Thread(target=send, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert texts == {i: str(i) for i in range(20)}


# Whole dialogues, octet for octet ------------------------------------------------------------------------------------

GOOD = "S: 220 hello world\nC: {hello} me\nS: 250-x\nS: 250-size 35651584\nS: 250-Auth login plain\nS: 250 8bitMime\n"
WHOLE = """
    C: MAIL FROM:<user@gmail.example>
    S: 530 authentication required
    C: VRFY user1@gmail.example
    S: 252 send some mail, I'll try my best
    C: VRFY user2@gmail.example
    S: 250 user is ok
    C: AUTH PLAIN AHVzZXIAcGFzcw==
    S: 235 accepted
    C: MAIL FROM:<user@gmail.example>
    S: 250 sender ok
    C: RCPT TO:<golang-nuts@googlegroups.example>
    S: 250 receiver ok
    C: DATA
    S: 354 go ahead
    C: From: user@gmail.example
    C: To: golang-nuts@googlegroups.example
    C: Subject: hooray
    C:
    C: Line 1
    C: ..Leading dot line .
    C: Goodbye.
    C: .
    S: 250 Data OK
    C: QUIT
    S: 221 OK
"""
LETTER = (
    b"From: user@gmail.example\r\nTo: golang-nuts@googlegroups.example\r\nSubject: hooray\r\n\r\n"
    b"Line 1\r\n.Leading dot line .\r\nGoodbye."
)


@pytest.mark.parametrize("scheme", ["smtp", "lmtp"])
def test_c02_c12_a_whole_dialogue(colour: Colour, scheme: str) -> None:
    hello = GOOD.format(hello="LHLO") if scheme == "lmtp" else GOOD.format(hello="EHLO")
    with ScriptedServer(hello + WHOLE) as server:
        connection = colour.open(f"{scheme}://localhost:{server.port}?hello_name=me", chunking=False)
        capabilities = connection.capabilities
        assert "8BITMIME" in capabilities
        assert "aUtH" in capabilities
        assert "DSN" not in capabilities
        assert capabilities["size"] == "35651584"
        with pytest.raises(PermanentRefusal) as caught:
            connection.mail("user@gmail.example")
        assert caught.value.reply.code == 530
        evil = "user@gmail.example>\r\nDATA\r\nAnother injected message body\r\n.\r\nQUIT\r\n"
        for call in (connection.verify, connection.mail, connection.rcpt):
            with pytest.raises(LocalProtocolError):
                call(evil)
        assert connection.verify("user1@gmail.example").code == 252
        assert connection.verify("user2@gmail.example").code == 250
        assert connection.auth(Password("user", "pass")).code == 235
        connection.mail("user@gmail.example")
        connection.rcpt("golang-nuts@googlegroups.example")
        assert connection.data(LETTER).text == "Data OK"
        connection.quit()


HELO = "S: 220 x\nC: EHLO me\nS: 502 what\nC: HELO me\nS: 250-mx.example\nS: 250-SIZE 1\nS: 250 AUTH PLAIN\n"


@pytest.mark.parametrize(
    ("method", "arguments", "then"),
    [
        ("verify", ("test@example.com",), "C: VRFY test@example.com\nS: 250 user is ok\n"),
        ("mail", ("test@example.com",), "C: MAIL FROM:<test@example.com>\nS: 250 sender ok\n"),
        ("reset", (), "C: RSET\nS: 250 reset ok\n"),
        ("noop", (), "C: NOOP\nS: 250 ok\n"),
        ("quit", (), ""),
    ],
)
def test_c07_behind_helo(colour: Colour, method: str, arguments: tuple[str, ...], then: str) -> None:
    """What the reply to HELO lists counts for nothing: STARTTLS and AUTH are not even asked for."""
    with (
        ScriptedServer(HELO + then + "C: QUIT\nS: 221 bye\n") as server,
        colour.open(f"smtp://localhost:{server.port}?hello_name=me") as connection,
    ):
        assert dict(connection.capabilities) == {}
        with pytest.raises(UnsupportedError):
            connection.start_tls()
        with pytest.raises(UnsupportedError):
            connection.auth(Password("user", "pass"))
        getattr(connection, method)(*arguments)


def test_c04_an_endless_reply_ends_it(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250 x\nC: MAIL FROM:<a@x.example>\nS: 250 " + "x" * 5000 + "\nS: 250 ok\n"
    with ScriptedServer(script, tolerant=True) as server:
        connection = colour.open(f"smtp://localhost:{server.port}?hello_name=me")
        with pytest.raises(RemoteProtocolError):
            connection.mail("a@x.example")
        assert not connection.is_open
        with pytest.raises(LocalProtocolError):
            connection.noop()
        assert server.heard[0] == b"EHLO me\r\nMAIL FROM:<a@x.example>\r\n"


def test_c10_a_message_behind_starttls(colour: Colour, certificates: Certificates) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO me\nS: 250 x\n"
    script += f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: DATA\nS: 354 go\n"
    script += "C: Subject: x\nC: \nC: hello\nC: .\nS: 250 done\nC: QUIT\nS: 221 bye\n"
    with (
        ScriptedServer(script, tls=certificates.server) as server,
        colour.open(
            f"smtp+starttls://localhost:{server.port}?hello_name=me", ca_file=certificates.ca_file
        ) as connection,
    ):
        result = connection.send(BODY, sender=FROM, recipients=[TO])
        assert result.tls == connection.tls
        assert connection.tls.cipher


def test_c14_xtext(colour: Colour) -> None:
    script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250-AUTH PLAIN\nS: 250 DSN\n"
    script += "C: MAIL FROM:<x=1@example.com> AUTH=x+3D1@example.com\nS: 250 m\n"
    script += "C: RCPT TO:<x=1@example.com> ORCPT=UTF-8;x\\x{3D}1@example.com\nS: 250 r\nC: QUIT\nS: 221 bye\n"
    with (
        ScriptedServer(script) as server,
        colour.open(f"smtp://localhost:{server.port}?hello_name=me") as connection,
    ):
        connection.mail("x=1@example.com", submitted_by="x=1@example.com")
        connection.rcpt("x=1@example.com", orcpt=OriginalRecipient("UTF-8", "x=1@example.com"))


# What a message may not become ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunking", [True, False])
def test_d32_a_source_that_fails_delivers_nothing(colour: Colour, chunking: bool) -> None:
    """Not to a server that would have taken what there was, either."""

    def broken(octets: int) -> Iterator[bytes]:
        for _ in range(octets // 1000):
            yield b"x" * 998 + b"\r\n"
        raise OSError("the disk")

    with (
        smtpx.ServerThread(Judge, port=0) as server,
        colour.client(server.url, chunking=chunking) as client,
    ):
        for octets in (1000, 500_000):
            with pytest.raises(LocalProtocolError) as caught:
                client.send(broken(octets), sender=FROM, recipients=[TO])
            assert isinstance(caught.value.__cause__, OSError)
        client.send(BODY, sender=FROM, recipients=[TO])
    assert [content for _, _, content, _ in SERVED] == [BODY]


@pytest.mark.parametrize("address", ['"a b"@y.example', '"a> RCPT TO:<x"@y.example', '"a> SIZE=1"@y.example'])
def test_d09_p20_p21_quotes_survive_a_relay(colour: Colour, address: str) -> None:
    """What one of our servers took, our client hands on: the same mailbox, and nothing more, on the far side."""
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        for _ in range(2):
            client.send(BODY, sender=address, recipients=[address])
            [(sender, [recipient], _, params)] = SERVED[-1:]
            assert (sender, recipient) == (address, address)
            assert params == f"SIZE={len(BODY)}"
            address = recipient


def test_f16_no_bdat_where_it_is_not_offered(colour: Colour) -> None:
    offered = [each for each in smtpx.STANDARD if each.keyword not in ("CHUNKING", "BINARYMIME")]
    with (
        smtpx.ServerThread(Judge, port=0, extensions=offered) as server,
        colour.client(server.url, chunking=True) as client,
    ):
        assert not client.send(BODY, sender=FROM, recipients=[TO]).used_chunking
        with pytest.raises(UnsupportedError):
            client.send(b"\r\0\n", sender=FROM, recipients=[TO], body="BINARYMIME")
    assert [content for _, _, content, _ in SERVED] == [BODY]


@pytest.mark.parametrize("code", [523, 530, 538])
def test_r136_auth_in_clear_refused(colour: Colour, code: int) -> None:
    """Servers have three codes for it, and it is the same error for each."""
    script = f"S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: {code} TLS first\n"
    with ScriptedServer(script, tolerant=True) as server, pytest.raises(AuthenticationError) as caught:
        colour.open(f"smtp://localhost:{server.port}?hello_name=me", auth=Password("u", "p"))
    assert caught.value.reply is not None
    assert caught.value.reply.code == code
    assert not caught.value.is_temporary


# Logins ---------------------------------------------------------------------------------------------------------------

TOKEN = "t0ken" * 1640  # 8,200 octets
RECORD = ScramRecord.make("hunter2 is secret", salt=b"0123456789abcdef", iterations=4096)


class Doorman(smtpx.Session):
    async def authenticate(self, identity: Credentials) -> None:
        good = identity.token.matches(TOKEN) if identity.token else identity.is_proven
        if not good and not identity.is_password("hunter2 is secret"):
            raise smtpx.Reject.bad_credentials()

    async def lookup(self, mechanism: str, username: str) -> ScramRecord:
        return RECORD


MECHANISMS = (PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, SCRAM_SHA_256)


@pytest.mark.parametrize("mechanism", [each.name for each in MECHANISMS])
def test_d45_d21_no_secret_in_any_trace_and_long_tokens_work(colour: Colour, mechanism: str) -> None:
    """On neither side, neither as it is nor in base64, whatever octet it begins at."""
    served: list[str] = []
    said: list[bytes] = []
    is_token = mechanism in ("XOAUTH2", "OAUTHBEARER")
    secret = TOKEN if is_token else "hunter2 is secret"
    with (
        smtpx.ServerThread(
            Doorman,
            port=0,
            mechanisms=MECHANISMS,
            allow_insecure_auth=True,
            trace=lambda _, side, line: served.append(f"{side} {line}"),
        ) as server,
        colour.open(
            server.url,
            auth=BearerToken("user", TOKEN) if is_token else Password("user", secret),
            auth_mechanisms=[mechanism],
            trace=lambda _, octets: said.append(octets),
        ) as connection,
    ):
        connection.noop()
    for text in ("\n".join(served), b"".join(said).decode()):
        assert f"AUTH {mechanism}" in text
        assert "****" in text
        assert "NOOP" in text
        assert secret[:12] not in text
        for shift in range(3):
            assert base64.b64encode(secret[shift:][:9].encode()).decode() not in text


# Fake ends of data, going out (H018) ----------------------------------------------------------------------------------

FAKE_ENDS = {
    "H001": (b"\n.\n", b"\r\n.\r\n"),
    "H002": (b"\r.\r", b" . "),
    "H003": (b"\r.\n", b" .\r\n"),
    "H004": (b"\n.\r", b"\r\n. "),
    "H005": (b"\n.\r\n", b"\r\n.\r\n"),
    "H006": (b"\r\n.\n", b"\r\n.\r\n"),
    "H007": (b"\r.\r\n", b" .\r\n"),
    "H008": (b"\r\n.\r", b"\r\n. "),
    "H010a": (b"\r\n.\r\r\n", b"\r\n. \r\n"),
    "H010b": (b"\r\r\n.\r\r\n", b" \r\n. \r\n"),
    "H010c": (b"\r\r\n.\r\n", b" \r\n.\r\n"),
    "a Unix text file": (b"\n", b"\r\n"),
}
HEAD, TAIL = b"Subject: t\r\n\r\none", b"MAIL FROM:<x@evil.example>\r\n"
NO_CHUNKS = [each for each in STANDARD if each.keyword not in ("CHUNKING", "BINARYMIME")]


def cut_within(x: bytes) -> Iterator[bytes]:
    """Octet by octet where it matters."""
    yield HEAD
    for octet in x:
        yield bytes([octet])
    yield TAIL


def streamed(x: bytes) -> Iterator[bytes]:
    """More than is looked at before MAIL."""
    yield b"Subject: t\r\n\r\n" + b"long line\r\n" * 30_000 + b"one"
    yield x[:1]
    yield x[1:] + TAIL


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize(("x", "repaired"), FAKE_ENDS.values(), ids=list(FAKE_ENDS))
def test_h018_fake_ends_stay_here_or_are_repaired(
    colour: Colour, x: bytes, repaired: bytes, chunking: bool, lmtp: bool
) -> None:
    said: list[bytes] = []

    def trace(side: str, octets: bytes) -> None:
        said.append(octets if side == "C" else b"")

    kinds: list[Any] = [lambda: HEAD + x + TAIL, lambda: io.BytesIO(HEAD + x + TAIL), lambda: cut_within(x)]
    options: dict[str, Any] = {
        "dialect": smtpx.LMTP if lmtp else smtpx.SMTP,
        "extensions": STANDARD if chunking else NO_CHUNKS,
    }
    kind = LMTPJudge if lmtp else Judge
    with (
        smtpx.ServerThread(kind, port=0, **options) as server,
        colour.client(server.url, trace=trace, limits=smtpx.Limits(max_connections=1)) as client,
    ):
        for make in kinds:
            with pytest.raises(LocalProtocolError, match="normalize_newlines") as caught:
                client.send(make(), sender=FROM, recipients=[TO])
            assert isinstance(caught.value, ValueError)
        assert b"MAIL" not in b"".join(said)
        with pytest.raises(LocalProtocolError, match="normalize_newlines"):
            client.send(streamed(x), sender=FROM, recipients=[TO])
        assert SERVED == []
        del said[:]
        for make in kinds:
            client.send(make(), sender=FROM, recipients=[TO], normalize_newlines=True)
        octets = b"".join(said)
    assert [content for _, _, content, _ in SERVED] == [HEAD + repaired + TAIL] * 3
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", octets) is None
    if not chunking:
        # Three messages, three lines that begin with a single dot.
        assert re.findall(rb"^\.(?!\.).*\r\n", octets, re.MULTILINE) == [b".\r\n"] * 3


@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
def test_h030_leading_dots_are_doubled_by_data_alone(colour: Colour, chunking: bool) -> None:
    said: list[bytes] = []
    content = b"a\r\n.\r\nb\r\n..\r\n.c\r\n"
    extensions = STANDARD if chunking else NO_CHUNKS
    options: dict[str, Any] = {"trace": lambda side, octets: said.append(octets) if side == "C" else None}
    with (
        smtpx.ServerThread(Judge, port=0, extensions=extensions) as server,
        colour.client(server.url, **options) as client,
    ):
        client.send(content, sender=FROM, recipients=[TO])
    wire = content if chunking else b"a\r\n..\r\nb\r\n...\r\n..c\r\n.\r\n"
    assert wire in b"".join(said)
    assert [served for _, _, served, _ in SERVED] == [content]


# Transactions that failed ---------------------------------------------------------------------------------------------


class Noting(Judge):
    """Notes each RSET."""

    async def reset(self) -> None:
        SERVED.append(("reset", (), b"", ""))


@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize("pipelining", [False, True])
def test_transactions_b10_b11_the_next_one_works(colour: Colour, pipelining: bool, chunking: bool) -> None:
    with (
        smtpx.ServerThread(Noting, port=0) as server,
        colour.open(server.url, pipelining=pipelining, chunking=chunking) as connection,
    ):
        for _ in range(2):
            with pytest.raises(smtpx.PermanentRefusal) as caught:
                connection.send(BODY, sender=FROM, recipients=["no@y.example", "nobody@y.example"])
            assert list(caught.value.result.refused) == ["no@y.example", "nobody@y.example"]
            assert connection.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert SERVED.count(("reset", (), b"", "")) >= 2
    assert [to for _, to, _, _ in SERVED if to] == [(TO,)] * 2


def test_transactions_b11_data_refused_and_the_next_one_works(colour: Colour) -> None:
    """The peer's rules are those of a server that answers 503 to MAIL inside a transaction."""
    in_transaction = False
    answers = iter([b"451 4.3.0 not now\r\n", b"354 go\r\n"])
    heard: list[bytes] = []

    def answer(line: bytes) -> bytes:
        nonlocal in_transaction
        verb = line.split()[0].split(b":")[0]
        heard.append(verb)
        if verb == b"MAIL":
            was, in_transaction = in_transaction, True
            return b"503 5.5.1 one at a time\r\n" if was else b"250 m\r\n"
        if verb in (b"RSET", b"."):
            in_transaction = False
        return {b"DATA": lambda: next(answers), b"QUIT": lambda: b"221 bye\r\n"}.get(verb, lambda: b"250 ok\r\n")()

    def act(sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        in_body = False
        with sock.makefile("rb") as file:
            for line in file:
                if in_body and line != b".\r\n":
                    continue
                reply = answer(line)
                in_body = reply.startswith(b"354")
                sock.sendall(reply)

    with ScriptedServer(act=act) as server, colour.open(f"smtp://localhost:{server.port}?hello_name=me") as connection:
        with pytest.raises(smtpx.TemporaryRefusal) as caught:
            connection.send(BODY, sender=FROM, recipients=[TO])
        assert caught.value.stage == "data"
        assert connection.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert heard == [b"EHLO", *[b"MAIL", b"RCPT", b"DATA"], b"RSET", *[b"MAIL", b"RCPT", b"DATA"], b".", b"QUIT"]


def test_transactions_b16_trying_the_refused_again_sends_to_those_only(colour: Colour) -> None:
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=[TO, "no@y.example", "c@y.example"])
        assert list(result.refused) == ["no@y.example"]
        with pytest.raises(smtpx.PermanentRefusal):
            client.send(BODY, sender=FROM, recipients=result.refused)
    assert [to for _, to, _, _ in SERVED] == [(TO, "c@y.example")]


async def test_transactions_t09_two_at_once() -> None:
    """For real: the second on one connection is an error at once, and the first is not disturbed."""
    with smtpx.ServerThread(Judge, port=0) as server:
        async with smtpx.AsyncConnection.open(server.url) as connection:
            sends = [connection.send(BODY, sender=FROM, recipients=[TO]) for _ in range(2)]
            first, second = await asyncio.gather(*sends, return_exceptions=True)
            assert isinstance(first, smtpx.SendResult)
            assert isinstance(second, LocalProtocolError)
            assert (await connection.send(BODY, sender=FROM, recipients=[TO])).accepted
        async with smtpx.AsyncClient(server.url) as client:
            sends = [client.send(BODY, sender=FROM, recipients=[TO]) for _ in range(2)]
            assert all(result.accepted for result in await asyncio.gather(*sends))


def test_transactions_section_3_everybody_is_in_one_of_the_two(colour: Colour) -> None:
    to = [TO, "no@y.example", "c@y.example", TO, "nobody@y.example", "no@y.example"]
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url) as client:
        result = client.send(BODY, sender=FROM, recipients=to)
    assert (list(result.accepted), list(result.refused)) == ([TO, "c@y.example"], ["no@y.example", "nobody@y.example"])
    assert [served for _, served, _, _ in SERVED] == [(TO, "c@y.example")]  # duplicates go once


def test_transactions_section_4_1_bdat_and_all_refused_does_not_stop_the_pool(colour: Colour) -> None:
    """T13: a megabyte for nobody is not written."""
    said: list[bytes] = []
    options: dict[str, Any] = {"trace": lambda side, octets: said.append(octets) if side == "C" else None}
    with smtpx.ServerThread(Judge, port=0) as server, colour.client(server.url, **options) as client:
        with pytest.raises(smtpx.PermanentRefusal):
            client.send(b"x" * 998 + b"\r\n" * 1_000_000, sender=FROM, recipients=["no@y.example"])
        assert len(b"".join(said)) < 65_536
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted


@pytest.mark.parametrize("name", ["me\r\nMAIL FROM:<>", "a b", "<me>", "x" * 256])
def test_f20_a_hostile_hello_name_is_refused_before_connecting(colour: Colour, name: str) -> None:
    with ScriptedServer("S: 220 x\n", tolerant=True) as server:
        for options in ({"hello_name": name}, {"hello_name": name, "timeout": 5}):
            with pytest.raises(ConfigurationError, match="hello_name: the hello name is a host name"):
                colour.open(f"smtp://localhost:{server.port}", **options)
        assert server.connections == 0


def test_section_3_the_time_to_connect_can_be_set(colour: Colour) -> None:
    """A host whose queue is full answers nobody; that is told as the stage it is, with the place that was tried."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        try:
            with pytest.raises(smtpx.ConnectError, match=rf"127\.0\.0\.1 port {port}: no answer in 0\.2 s") as caught:
                colour.open(f"smtp://127.0.0.1:{port}", timeouts=smtpx.Timeouts(connect=0.2))
        finally:
            for each in crowd:
                each.close()
    assert (caught.value.stage, caught.value.is_temporary) == ("connect", True)


@pytest.mark.parametrize("at", ["MAIL", "DATA"])
def test_p25_behind_a_timeout_the_next_send_takes_a_new_connection(colour: Colour, at: str) -> None:
    start = "S: 220 x\nC: EHLO me\nS: 250 x\n"
    lines = [f"C: MAIL FROM:<{FROM}>\nS: 250 m\n", f"C: RCPT TO:<{TO}>\nS: 250 r\n", "C: DATA\nS: 354 go\n"]
    silent = start + {"MAIL": lines[0], "DATA": "".join(lines)}[at].rpartition("S: ")[0]
    content = "C: Subject: x\nC: \nC: hello\nC: .\nS: 250 done\nC: QUIT\nS: 221 bye\n"
    with (
        ScriptedServer(silent, start + "".join(lines) + content, tolerant=True) as server,
        colour.client(
            f"smtp+plain://localhost:{server.port}?hello_name=me",
            timeouts=smtpx.Timeouts(mail=0.2, data=0.2),
            limits=smtpx.Limits(max_connections=1),
        ) as client,
    ):
        with pytest.raises(DeadlineError) as caught:
            client.send(BODY, sender=FROM, recipients=[TO])
        assert caught.value.stage == at.lower()
        assert client.send(BODY, sender=FROM, recipients=[TO]).reply.text == "done"
        assert server.connections == 2


class Riddle(AuthExchange):
    """A mechanism of somebody's own: the server asks, the client turns it round."""

    def initial_response(self) -> None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        return challenge[::-1]


class Riddler:
    def mechanisms(self) -> list[ClientMechanism]:
        return [ClientMechanism("RIDDLE", reveals_secret=False, start=lambda _: Riddle())]


def ask_riddle(_: ExchangeContext) -> ServerExchange:
    answer = yield Challenge(b"drawer")
    if answer != b"reward":
        raise SASLError("that is not it")
    return Credentials("RIDDLE", "solver", is_proven=True)


def test_surface_a_mechanism_of_ones_own_on_both_sides(colour: Colour) -> None:
    """go-smtp's AuthSession: what neither side has ever heard of, by names that are public."""
    logins: list[Credentials] = []

    class Door(smtpx.Session):
        async def authenticate(self, identity: Credentials) -> None:
            logins.append(identity)

    own = ServerMechanism("RIDDLE", reveals_secret=False, accepts_initial=False, start=ask_riddle)
    options: dict[str, Any] = {"mechanisms": [own], "allow_insecure_auth": True, "require_auth": True}
    with smtpx.ServerThread(Door, port=0, **options) as server, colour.open(server.url, auth=Riddler()) as connection:
        assert connection.capabilities["AUTH"] == "RIDDLE"
        assert connection.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert [(each.mechanism, each.username, each.is_proven) for each in logins] == [("RIDDLE", "solver", True)]


def test_users_ask_10_5_requiretls_both_ways(colour: Colour, certificates: Certificates) -> None:
    """RFC 8689, over real TLS: said to a server that is known for who it is, and to nobody else."""
    options: dict[str, Any] = {"tls": certificates.server, "extensions": ALL}
    with smtpx.ServerThread(Judge, port=0, **options) as server:
        submission = f"submission://localhost:{server.port}"
        with colour.client(submission, ca_file=certificates.ca_file) as client:
            client.send(BODY, sender=FROM, recipients=[TO], require_tls=True)
            client.send(BODY, sender=FROM, recipients=[TO])
        for url in (f"smtp+plain://localhost:{server.port}", f"smtp://localhost:{server.port}"):
            with colour.client(url) as client, pytest.raises(UnsupportedError, match="verified"):
                client.send(BODY, sender=FROM, recipients=[TO], require_tls=True)
    assert [("REQUIRETLS" in params.split()) for _, _, _, params in SERVED] == [True, False]

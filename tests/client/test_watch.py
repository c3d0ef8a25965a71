"""What a client tells whoever looks on, in both colours: the whole story, in order, without secrets."""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from smtpx.client import watch
from smtpx.client.observer import ClientConnectionObserver, ClientObserver, MessageObserver
from smtpx.client.settings import settings_for
from smtpx.errors import (
    AuthenticationError,
    ConnectError,
    LocalProtocolError,
    PermanentRefusal,
    TemporaryRefusal,
    TLSError,
)
from smtpx.flows.outcome import SendResult
from smtpx.net.targets import Target
from smtpx.sasl import Credentials
from smtpx.server.run import ServerThread
from smtpx.server.session import Reject, Session
from tests.client.conftest import Certificates
from tests.client.watching import EVENTS, Keeper
from tests.peers import Colour, ScriptedServer

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
TO: dict[str, Any] = {"sender": "a@client.example", "recipients": ["b@server.example"]}
SECRETS = ("AHVzZXIAc2VjcmV0", "c2VjcmV0", "dXNlcg==", "secret")


class Guarded(Session):
    """Login: user, secret."""

    async def authenticate(self, identity: Credentials) -> None:
        if not identity.is_password("secret"):
            raise Reject.bad_credentials()


@pytest.fixture
def server(certificates: Certificates) -> Iterator[ServerThread]:
    with ServerThread(Guarded, port=0, tls=certificates.server, hostname="localhost") as running:
        yield running


def options(keeper: ClientObserver, certificates: Certificates, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"observer": keeper, "ca_file": certificates.ca_file, "hello_name": "client.example", **more}


def test_a_message_from_beginning_to_end(colour: Colour, server: ServerThread, certificates: Certificates) -> None:
    keeper = Keeper()
    url = f"submission://user:secret@localhost:{server.port}"
    with colour.client(url, **options(keeper, certificates)) as client:
        sent = client.send(MESSAGE, **TO)
        client.send(MESSAGE, **TO)
    assert keeper.names == [
        "message",
        "started",
        "connected",
        "hello",
        "tls_started",
        "hello",
        "authenticated",
        "transaction_started",
        "transaction_ended",
        "ended",
        "message",
        "transaction_started",
        "transaction_ended",
        "ended",
        "closed",
    ]
    ((connection_id, target),) = keeper.of("started")
    assert re.fullmatch("[0-9a-f]{8}", connection_id)
    assert target == f"localhost:{server.port}"
    ((peer, seconds),) = keeper.of("connected")
    assert peer.endswith(f":{server.port}")
    assert seconds >= 0
    ((facts, seconds),) = keeper.of("tls_started")
    assert facts.verified
    assert seconds >= 0
    clear, secured = (capabilities for (capabilities,) in keeper.of("hello"))
    assert "STARTTLS" in clear
    assert "STARTTLS" not in secured
    first, second = (outcome for (outcome,) in keeper.of("transaction_ended"))
    assert [first.id, second.id] == [f"{connection_id}.1", f"{connection_id}.2"]
    assert keeper.of("transaction_started") == [(first.id,), (second.id,)]
    assert first.result.reply == sent.reply
    assert (first.error, first.seconds >= 0) == (None, True)
    assert keeper.of("ended")[0] == (sent, None)
    assert keeper.of("message") == [(False,), (False,)]
    assert keeper.of("closed")[0][0] == 2
    commands = [line for _, line in keeper.of("command")]
    assert commands[:3] == ["EHLO client.example", "STARTTLS", "EHLO client.example"]
    assert commands[-1] == "QUIT"
    replies = [(command, reply.code) for command, reply in keeper.of("reply")]
    assert replies[:4] == [("GREETING", 220), ("EHLO", 250), ("STARTTLS", 220), ("EHLO", 250)]
    assert replies[-1] == ("QUIT", 221)
    assert ("BDAT LAST", 250) in replies


def test_implicit_tls_and_one_connection(colour: Colour, certificates: Certificates) -> None:
    keeper = Keeper()
    with ServerThread(Session, port=0, tls=certificates.server, implicit_tls=True) as server:
        connection = colour.open(f"smtps://localhost:{server.port}", **options(keeper, certificates))
        connection.send(MESSAGE, **TO)
        with connection.transaction("a@client.example", ["b@server.example"]) as transaction:
            transaction.send(MESSAGE)
        connection.quit()
    names = ["started", "connected", "tls_started", "hello", "message", "transaction_started", "transaction_ended"]
    assert keeper.names == [*names, "ended", "transaction_started", "transaction_ended", "closed"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_d45_no_secret_is_told(colour: Colour, mechanism: str) -> None:
    """Not even where the server repeats what it was told."""
    scripts = {
        "PLAIN": "C: AUTH PLAIN AHVzZXIAc2VjcmV0\nS: 535 5.7.8 no AHVzZXIAc2VjcmV0\n",
        "LOGIN": "C: AUTH LOGIN\nS: 334 dXNlcg==\nC: dXNlcg==\nS: 334 eA==\nC: c2VjcmV0\nS: 535 no c2VjcmV0\n",
    }
    keeper = Keeper()
    script = f"S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH {mechanism}\n{scripts[mechanism]}C: QUIT\nS: 221 x\n"
    with ScriptedServer(script) as server, pytest.raises(AuthenticationError):
        colour.open(
            f"smtp+plain://user:secret@127.0.0.1:{server.port}",
            observer=keeper,
            hello_name="me",
            auth_mechanisms=[mechanism],
            timeout=3,
        )
    told = repr([event for event in keeper.events if event[0] != "open_failed"])
    assert not [secret for secret in SECRETS if secret in told]
    ((name, reply, seconds),) = keeper.of("authenticated")
    assert (name, reply.code, seconds >= 0) == (mechanism, 535, True)
    assert ("AUTH", f"AUTH {mechanism} ****") in keeper.of("command")


# Trouble -------------------------------------------------------------------------------------------------------------


def test_nobody_there(colour: Colour) -> None:
    keeper = Keeper()
    with ScriptedServer("S: 220 x") as server:
        port = server.port
    with colour.client(f"smtp+plain://127.0.0.1:{port}", observer=keeper) as client, pytest.raises(ConnectError):
        client.send(MESSAGE, **TO)
    assert keeper.names == ["message", "started", "attempt_failed", "open_failed", "closed", "ended"]
    ((address, reason),) = keeper.of("attempt_failed")
    assert address == f"127.0.0.1:{port}"
    assert "refused" in reason
    ((error, seconds),) = keeper.of("open_failed")
    assert isinstance(error, ConnectError)
    assert seconds >= 0
    assert keeper.of("ended") == [(None, error)]


def test_a_server_that_says_no(colour: Colour) -> None:
    keeper = Keeper()
    with ScriptedServer("S: 554 5.7.1 no") as server, pytest.raises(PermanentRefusal):
        colour.open(f"smtp+plain://127.0.0.1:{server.port}", observer=keeper)
    assert keeper.names == ["started", "connected", "open_failed", "closed"]


def test_a_certificate_that_nobody_knows(colour: Colour, server: ServerThread) -> None:
    keeper = Keeper()
    with pytest.raises(TLSError) as caught:
        colour.open(f"smtp+starttls://localhost:{server.port}", observer=keeper)
    assert caught.value.reason == "certificate"
    assert keeper.names == ["started", "connected", "hello", "open_failed", "closed"]


def test_opportunistic_tls_that_breaks_is_a_second_connection(colour: Colour) -> None:
    keeper = Keeper()
    broken = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nEOF"
    clear = "S: 220 x\nC: EHLO me\nS: 250 x\nC: QUIT\nS: 221 x"
    with ScriptedServer(broken, clear) as server:
        url = f"smtp://127.0.0.1:{server.port}"
        colour.open(url, observer=keeper, hello_name="me").quit()
    assert keeper.names == [
        *("started", "connected", "hello", "open_failed", "closed"),
        *("started", "connected", "hello", "closed"),
    ]


def test_a_message_that_is_refused(colour: Colour) -> None:
    class Refusing(Session):
        async def rcpt(self, recipient: object, params: object) -> None:
            raise Reject.try_later()

    keeper = Keeper()
    with ServerThread(Refusing, port=0) as server:
        url = server.url.replace("smtp:", "smtp+plain:")
        with colour.client(url, observer=keeper) as client, pytest.raises(TemporaryRefusal):
            client.send(MESSAGE, **TO)
    ((outcome,),) = keeper.of("transaction_ended")
    ((result, error),) = keeper.of("ended")
    assert outcome.result is result is None
    assert outcome.error is error
    assert isinstance(error, TemporaryRefusal)


def test_a_message_that_can_not_be_sent_is_told_of_too(colour: Colour) -> None:
    keeper = Keeper()
    with colour.client("smtp+plain://127.0.0.1:9", observer=keeper) as client, pytest.raises(LocalProtocolError):
        client.send(MESSAGE, sender="a@x.example", recipients=["not an address\r\n"])
    assert keeper.names == ["message", "ended"]


# Observers that are no good, or want to know nothing -----------------------------------------------------------------


class Broken(ClientObserver):
    """Raises at everything."""

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver | None:
        class Raising(MessageObserver):
            def ended(self, result: object, error: object) -> None:
                raise ZeroDivisionError("ended")

        return Raising()

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver | None:
        class Raising(ClientConnectionObserver):
            def __getattribute__(self, name: str) -> object:
                if name in EVENTS:
                    raise ZeroDivisionError(name)
                return super().__getattribute__(name)

        return Raising(connection_id, target)


class Worse(ClientObserver):
    """Can't even begin."""

    def message_started(self, target: Target, *, bulk: bool) -> MessageObserver | None:
        raise ZeroDivisionError("message")

    def connection_started(self, connection_id: str, target: Target) -> ClientConnectionObserver | None:
        raise ZeroDivisionError("connection")


@pytest.mark.parametrize("observer", [Broken(), Worse(), ClientObserver()], ids=["broken", "worse", "plain"])
def test_what_an_observer_raises_is_logged_and_changes_nothing(
    colour: Colour, observer: ClientObserver, caplog: pytest.LogCaptureFixture
) -> None:
    with ServerThread(Session, port=0) as server:
        url = server.url.replace("smtp:", "smtp+plain:")
        with colour.client(url, observer=observer) as client:
            assert client.send(MESSAGE, **TO).reply.code == 250
            assert client.send(MESSAGE, **TO).reply.code == 250
    lines = [record.message.split("] ")[1].split()[0] for record in caplog.records if record.exc_info]
    if isinstance(observer, Broken):
        once = [name for name in lines if name != "ended"]
        assert len(once) == len(set(once)) >= 5  # each once, however often it raised
        assert lines.count("ended") == 2
    else:
        expected = ["message_started", "connection_started", "message_started"]
        assert lines == (expected if isinstance(observer, Worse) else [])


def test_nobody_looks_on(colour: Colour, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is made for it."""
    monkeypatch.setattr(watch, "Watch", None)
    logging.getLogger("smtpx.client").setLevel(logging.WARNING)
    try:
        with ServerThread(Session, port=0) as server:
            connection = colour.open(server.url.replace("smtp:", "smtp+plain:"))
            connection.send(MESSAGE, **TO)
            connection.quit()
    finally:
        logging.getLogger("smtpx.client").setLevel(logging.NOTSET)


def test_a_program_that_does_not_log_does_not_load_logging() -> None:
    code = """
import sys
from smtpx.client.settings import settings_for
from smtpx.client.watch import watch_for
assert watch_for(settings_for("smtp://x")) is None
print("logging" in sys.modules)
import logging
assert watch_for(settings_for("smtp://x")) is None
logging.getLogger("smtpx").setLevel(logging.INFO)
assert watch_for(settings_for("smtp://x")) is not None
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_who_reads_the_log_looks_on_too(colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """The log alone, and beside an observer: both know the connection by the same id."""
    caplog.set_level(logging.DEBUG, logger="smtpx.client")
    keeper = Keeper()
    with ServerThread(Session, port=0) as server:
        url = server.url.replace("smtp:", "smtp+plain:")
        colour.open(url).quit()
        alone = len(caplog.records)
        colour.open(url, observer=keeper).quit()
    ((connection_id, _),) = keeper.of("started")
    assert alone > 0
    assert {record.__dict__["connection"] for record in caplog.records[alone:]} == {connection_id}


class _Books:
    """A ledger of nothing but what it is told."""

    def __init__(self, *jobs: str) -> None:
        self.jobs = list(jobs)
        self.told: list[Any] = []

    def next_job(self) -> Any:  # noqa: ANN401
        return self.jobs.pop(0) if self.jobs else None

    def landed(self, job: Any, outcome: Any) -> None:  # noqa: ANN401
        self.told.append((job, outcome))

    def lost(self, job: Any, error: Any, *, begun: bool) -> None:  # noqa: ANN401
        self.told.append((job, error, begun))


def test_messages_of_a_flight_are_transactions() -> None:
    keeper, result, lost = Keeper(), SendResult({}, {}), ConnectError("gone")
    looking = watch.watch_for(settings_for("smtp://localhost", observer=keeper))
    assert looking is not None
    books = _Books("a", "b", "c")

    def fly() -> None:
        with looking.transactions(books) as ledger:
            jobs: list[Any] = [ledger.next_job() for _ in range(4)]
            assert jobs == ["a", "b", "c", None]
            ledger.lost(jobs[1], lost, begun=True)
            ledger.landed(jobs[0], result)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fly()
    assert books.told == [("b", lost, True), ("a", result)]
    ended = [(each.id.rpartition(".")[2], each.result, type(each.error)) for (each,) in keeper.of("transaction_ended")]
    assert ended == [("2", None, ConnectError), ("1", result, type(None)), ("3", None, KeyboardInterrupt)]


def test_one_of_many() -> None:
    keeper = Keeper()
    assert watch.bulk_messages(settings_for("smtp://localhost")) is None
    begin = watch.bulk_messages(settings_for("smtp://localhost", observer=keeper))
    assert begin is not None
    watch.message_ended(begin(), None, None)
    watch.message_ended(None, None, None)
    assert keeper.events == [("message", True), ("ended", None, None)]

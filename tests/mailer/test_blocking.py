"""The service for threads: no event loop, forks, interpreters that end."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from smtpx.errors import ConfigurationError, ConnectionLost, LocalProtocolError
from smtpx.flows.outcome import SendResult
from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.once import DuplicateError
from smtpx.mailer.provider import HealthState, Probe, ProviderClosedError
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.compose import Message
from smtpx.server.run import ServerThread
from tests.mailer.rig import FROM, TO, letter, letters, subject_of
from tests.server.rig import FAST, Recorder, client_tls, fresh_server_tls, recorders


@pytest.fixture
def served() -> Iterator[tuple[ServerThread, list[Recorder]]]:
    session, made = recorders()
    with ServerThread(session, port=0, tls=fresh_server_tls(), limits=FAST, hostname="server.example") as server:
        yield server, made


def provider_for(server: ServerThread) -> SMTPProvider:
    return SMTPProvider("localhost", server.port, "user", "secret", ssl_context=client_tls(), rate_limit=None)


def mailers() -> int:
    return sum(thread.name == "smtpx-mailer" for thread in threading.enumerate())


def test_sends_without_an_event_loop_over_one_connection(served: tuple[ServerThread, list[Recorder]]) -> None:
    server, made = served
    with SyncMailService(provider_for(server)) as mail:
        assert mailers() == 0  # no thread before it is needed
        assert mail.send(letter(0)).accepted
        told: list[tuple[int, threading.Thread]] = []
        result = mail.send_bulk(
            (letter(number) for number in range(1, 4)),
            on_outcome=lambda each: told.append((each.index, threading.current_thread())),
        )
        assert not result.failed
        assert told == [(index, threading.current_thread()) for index in range(3)]
        assert not mail.send_bulk([letter(4)]).failed
        assert mail.check(Probe.READINESS).state is HealthState.HEALTHY
    assert mailers() == 0
    assert len(made) == 1
    assert [subject_of(each.content) for each in made[0].messages] == [f"Letter {number}" for number in range(5)]
    assert made[0].calls[-1] == "close"


def test_many_threads_share_it(served: tuple[ServerThread, list[Recorder]]) -> None:
    server, made = served
    with SyncMailService(provider_for(server)) as mail:
        threads = [threading.Thread(target=mail.send, args=(letter(number),)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert mailers() == 1
    assert len(made) == 1
    assert len(made[0].messages) == 16


def test_registry_and_listing_are_those_of_the_service() -> None:
    a, b = MemoryProvider(), MemoryProvider()
    mail = SyncMailService({"a": a})
    mail.register("b", b, owned=False)
    mail.set_default("b")
    assert mail.default == "b"
    assert mail.providers == ["a", "b"]
    assert mail.has_provider("a")
    assert mail.provider() is b
    assert [each.name for each in mail.list_providers()] == ["a", "b"]
    with pytest.raises(ConfigurationError):
        mail.send(letter(), provider="c")
    mail.send(letter())
    assert len(b.outbox) == 1
    assert not mail.is_closed
    mail.close()
    mail.close()
    assert mail.is_closed
    assert (a.is_closed, b.is_closed) == (True, False)
    with pytest.raises(ProviderClosedError):
        mail.send(letter())
    with pytest.raises(ProviderClosedError):
        mail.send_bulk([letter()], on_outcome=print)


def test_interrupted_the_message_is_cut_off() -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 60
    with SyncMailService(memory) as mail:
        threading.Timer(0.1, lambda: signal_main()).start()
        with pytest.raises(KeyboardInterrupt):
            mail.send(letter())
        threading.Timer(0.1, lambda: signal_main()).start()
        with pytest.raises(KeyboardInterrupt):
            mail.send_bulk([letter()], on_outcome=print)
    assert memory.outbox == []


def signal_main() -> None:
    import signal

    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_a_callback_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    memory = MemoryProvider()

    def broken(outcome: object) -> None:
        raise RuntimeError("the bar is gone")

    with SyncMailService(memory) as mail:
        assert not mail.send_bulk(letters(3), on_outcome=broken).failed
    assert "the bar is gone" in caplog.text


async def test_works_under_somebody_elses_event_loop_and_not_from_its_own() -> None:
    memory = MemoryProvider()
    with SyncMailService(memory) as mail:
        assert mail.send(letter()).accepted  # it blocks this loop, which is its caller's choice
        errors: list[Exception] = []

        def from_inside(message: Any) -> Any:  # noqa: ANN401 - a transform
            try:
                mail.send(letter())
            except LocalProtocolError as error:
                errors.append(error)
            return message

        inner = SyncMailService(memory, transforms=[from_inside], owned=False)
        inner._thread = mail._thread
        assert inner.send(letter()).accepted
        assert "own event loop" in str(errors[0])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_after_a_fork_the_child_has_connections_of_its_own(served: tuple[ServerThread, list[Recorder]]) -> None:
    server, made = served
    with SyncMailService(provider_for(server)) as mail:
        mail.send(letter(0))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                mail.send(letter(1))
                mail.send(letter(2))
                mail.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        mail.send(letter(3))  # over the old connection, which the child has not touched
    assert [[subject_of(each.content) for each in session.messages] for session in made] == [
        ["Letter 0", "Letter 3"],
        ["Letter 1", "Letter 2"],
    ]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_only_ends_says_nothing_to_the_server(served: tuple[ServerThread, list[Recorder]]) -> None:
    server, made = served
    with SyncMailService(provider_for(server)) as mail:
        mail.send(letter(0))
        child = os.fork()
        if child == 0:
            mail._thread.stop()
            mail._thread._leave()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        mail.send(letter(1))
    assert [len(session.messages) for session in made] == [2]


PROGRAM = """
import sys
from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.compose import Message
from smtpx.flows.session import Security
mail = SyncMailService(SMTPProvider("127.0.0.1", int(sys.argv[1]), security=Security.NONE))
mail.send(Message(from_="a@b.example", to="c@d.example", subject="bye", text="x"))
print("sent")
"""


def test_a_program_ends_by_itself_without_close_and_says_quit() -> None:
    session, made = recorders()
    with ServerThread(session, port=0, limits=FAST) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM, str(server.port)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "sent\n", "")
        deadline = time.monotonic() + 5
        while "close" not in made[0].calls and time.monotonic() < deadline:
            time.sleep(0.01)
        assert made[0].calls[-1] == "close"


def test_with_one_provider_a_message_is_built_sent_and_kept() -> None:
    memory = MemoryProvider()
    with SyncMailService(memory) as mail:
        mail.send(Message(from_=FROM, to=TO, subject="Hi", text="Hello"), key="once")
        with pytest.raises(DuplicateError, match="once"):
            mail.send(Message(from_=FROM, to=TO, subject="Hi", text="Hello"), key="once")
        assert mail.new().from_(FROM).to(TO).text("built").send().accepted
    assert memory.outbox[0].subject == "Hi"


START = """
import atexit, gc, sys, threading
from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.smtp import SMTPProvider
from smtpx.message.compose import Message
from smtpx.flows.session import Security
mail = SyncMailService(SMTPProvider("127.0.0.1", int(sys.argv[1]), security=Security.NONE))
def send(name):
    try:
        mail.send(Message(from_="a@b.example", to="c@d.example", subject=name, text="x"))
        print("sent", name, flush=True)
    except Exception as error:
        print(type(error).__name__, name, flush=True)
"""


def program(port: int, text: str, warnings: str = "error") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-W", warnings, "-c", START + text, str(port)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_program_ends_while_a_message_is_under_way_in_a_thread_that_nobody_waits_for() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:  # accepts, and says nothing
        text = """
threading.Thread(target=send, args=("one",), daemon=True).start()
while not mail._thread.is_running: pass
"""
        status, out, err = program(listening.getsockname()[1], text)
    assert (status, err) == (0, "")
    assert out in ("", "ConnectionLost one\n")


def test_a_program_whose_threads_and_exit_handlers_send_ends_when_they_have(served_plain: tuple[int, Any]) -> None:
    port, _ = served_plain
    status, out, err = program(port, 'threading.Thread(target=send, args=("one",)).start()')
    assert (status, out, err) == (0, "sent one\n", "")
    status, out, err = program(port, 'send("one"); atexit.register(send, "two")')
    assert (status, out, err) == (0, "sent one\nsent two\n", "")
    status, out, err = program(port, 'atexit.register(send, "two")')  # from Python 3.12 on no thread starts then
    assert (status, err) == (0, "")
    assert out in ("sent two\n", "LocalProtocolError two\n")


def test_the_thread_of_a_service_that_is_dropped_without_close_ends(served_plain: tuple[int, Any]) -> None:
    port, _ = served_plain
    text = """
send("one")
thread = mail._thread._thread
del mail
gc.collect()
thread.join(5)
gc.collect()
print(thread.is_alive())
"""
    assert program(port, text, "default") == (0, "sent one\nFalse\n", ANY)
    *_, warned = program(port, text, "always")
    assert "ResourceWarning: unclosed" in warned  # as for a file: its provider may still be somebody's


@pytest.fixture
def served_plain() -> Iterator[tuple[int, list[Recorder]]]:
    session, made = recorders()
    with ServerThread(session, port=0, limits=FAST) as server:
        yield server.port, made


def test_closed_by_one_thread_while_others_send_each_message_has_a_clear_end() -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 0.002
    mail = SyncMailService(memory)
    ends: list[object] = []

    def send() -> None:
        for number in range(50):
            try:
                ends.append(mail.send(letter(number)))
            except Exception as error:
                ends.append(error)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for each in threads:
        each.start()
    time.sleep(0.02)
    mail.close()
    for each in threads:
        each.join(20)
    assert len(ends) == 200
    sent = [each for each in ends if isinstance(each, SendResult)]
    assert len(sent) == len(memory.outbox)
    assert {type(each) for each in ends} - {SendResult} == {ProviderClosedError}
    mail.close()


def test_readiness_is_told_while_a_message_is_stuck() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:  # accepts, and says nothing
        provider = SMTPProvider("127.0.0.1", listening.getsockname()[1], close_seconds=0, rate_limit=None)
        with SyncMailService(provider) as mail:
            stuck = threading.Thread(target=lambda: ends.append(_error_of(lambda: mail.send(letter()))))
            ends: list[Exception | None] = []
            stuck.start()
            while not provider._was_used:
                time.sleep(0.001)
            health = mail.check(Probe.READINESS)
            assert health.state is HealthState.DEGRADED
            assert "all connections are in use" in health.dependencies[0].message
            assert mail.check().state is HealthState.HEALTHY
        stuck.join(5)
    assert [type(each) for each in ends] == [ConnectionLost]


def _error_of(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None

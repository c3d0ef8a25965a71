"""What `send_many` promises, in either colour: `test_crew` and `test_async_crew` give the face."""
# ruff: noqa: ANN401 - faces of either colour have no common type

import io
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest

import smtpx
from smtpx.client.bulk import Outgoing, SendOutcome
from smtpx.client.settings import Limits
from smtpx.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    TemporaryRefusal,
)
from tests.client.dialogues import BODY, BODY_WIRE, ENVELOPE, FROM, LOCK, MESSAGE, QUIT, START, TO, url
from tests.peers import ScriptedServer

BULK = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250-PIPELINING\nS: 250 CHUNKING\n"
ONE = Limits(max_connections=1)


class Kept:
    """What a real server got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.connections = 0
        self.busy = 0
        self.most = 0


def session(kept: Kept) -> type[smtpx.Session]:
    class Keeping(smtpx.Session):
        async def connect(self) -> None:
            kept.connections += 1
            kept.busy += 1
            kept.most = max(kept.most, kept.busy)

        async def rcpt(self, recipient: smtpx.Mailbox, params: object) -> None:
            if recipient.local_part == "nobody":
                raise smtpx.Reject(550, "5.1.1", "no such user")

        async def data(self, body: Any) -> smtpx.Reply:
            kept.bodies.append(await body.read())
            return smtpx.ok("kept")

        async def close(self) -> None:
            kept.busy -= 1

    return Keeping


def text_of(outcome: SendOutcome) -> str:
    reply = outcome.unwrap().reply
    return reply.text if reply is not None else ""


def body(number: int, size: int = 100) -> bytes:
    return b"Subject: %d\r\n\r\n" % number + b"x" * size + b"\r\n"


def mails(count: int, size: int = 100) -> Iterator[Outgoing]:
    for number in range(count):
        yield Outgoing(body(number, size), FROM, [TO])


def chunk(*, reset: bool = True, to: str = TO) -> str:
    start = "C: RSET\n" if reset else ""
    content = f"C: BDAT {len(BODY)} LAST\n" + BODY_WIRE.replace("..", ".").removesuffix("C: .\n")
    return f"{start}C: MAIL FROM:<{FROM}>\nC: RCPT TO:<{to}>\n{content}"


OK = "S: 250 reset\nS: 250 m\nS: 250 r\nS: 250 done\n"
FINE = chunk() + OK
LOCK_ENVELOPE = f"C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\n"
LOCK_END = f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n"
THREE = [Outgoing(BODY, FROM, [TO])] * 3


class BulkCases:
    """Each test is run by both subclasses."""

    def send_many(
        self, url: str, messages: Any, *, stop_after: int | None = None, options: Any = None, **wishes: Any
    ) -> list[SendOutcome]:
        """All outcomes, or some; nothing may be left running."""
        raise NotImplementedError

    def test_thousands_in_order_over_few_connections(self) -> None:
        kept = Kept()
        with smtpx.ServerThread(session(kept), port=0) as server:
            options = {"limits": Limits(max_connections=3)}
            outcomes = self.send_many(f"smtp+plain://127.0.0.1:{server.port}", mails(2000), options=options)
        assert [each.index for each in outcomes] == list(range(2000))
        assert all(text_of(each) == "kept" for each in outcomes)
        assert all(each.result and each.result.duration_seconds > 0 for each in outcomes)
        assert sorted(kept.bodies) == sorted(body(number) for number in range(2000))
        assert kept.most <= 3

    def test_few_messages_take_one_connection(self) -> None:
        kept = Kept()
        with smtpx.ServerThread(session(kept), port=0) as server:
            assert len(self.send_many(f"smtp+plain://127.0.0.1:{server.port}", mails(3))) == 3
        assert kept.connections == 1

    def test_one_failure_concerns_nobody_else(self) -> None:
        def broken() -> Iterator[bytes]:
            yield b"Subject: half\r\n\r\n"
            raise ZeroDivisionError

        letter = EmailMessage()
        letter["From"], letter["To"] = FROM, TO
        letter.set_content("text")
        good = Outgoing(BODY, FROM, [TO])
        kept = Kept()
        with smtpx.ServerThread(session(kept), port=0) as server:
            messages = [
                good,
                Outgoing(BODY, "no address", [TO]),
                Outgoing(BODY, FROM, [TO, "nobody@y.example"]),
                Outgoing(BODY, FROM, ["nobody@y.example"]),
                Outgoing(b"bare\nnewline", FROM, [TO]),
                Outgoing(broken(), FROM, [TO]),
                letter,
                Outgoing(io.BytesIO(BODY), FROM, [TO]),
                Outgoing([BODY, b"more\r\n"], FROM, [TO]),
                Outgoing(b"x" * 70_000 + b"\r\n", FROM, [TO]),
                object(),
                BODY,
                Outgoing(BODY, FROM, [TO, "nobody@y.example"], strict=True),
                Outgoing(BODY, FROM, [TO], wishes={"notify": "SUCCESS"}),
                Outgoing(BODY, FROM, [TO], wishes={"options": {"what": 1}}),
                Outgoing(b"bare\nnewline", FROM, [TO], normalize_newlines=True),
                good,
            ]
            outcomes = self.send_many(f"smtp+plain://127.0.0.1:{server.port}", iter(messages))
        kinds = [type(each.error).__name__ if each.error else "sent" for each in outcomes]
        assert kinds == [
            "sent",
            "LocalProtocolError",
            "sent",
            "PermanentRefusal",
            "LocalProtocolError",
            "LocalProtocolError",
            "sent",
            "sent",
            "sent",
            "sent",
            "SMTPXError",
            "LocalProtocolError",
            "PermanentRefusal",
            "sent",
            "LocalProtocolError",
            "sent",
            "sent",
        ]
        assert outcomes[0].message is good
        assert list(outcomes[2].unwrap().refused) == ["nobody@y.example"]
        assert isinstance(outcomes[5].error and outcomes[5].error.__cause__, ZeroDivisionError)
        assert isinstance(outcomes[10].error and outcomes[10].error.__cause__, TypeError)
        assert str(outcomes[10].error).endswith("not object")
        assert len(kept.bodies) == 9
        with pytest.raises(PermanentRefusal):
            outcomes[3].unwrap()

    def test_wishes_for_all_and_for_one(self) -> None:
        script = BULK.replace("250 CHUNKING", "250 DSN") + ENVELOPE.replace(" SIZE=21", " RET=HDRS")
        script += "S: 250 m\nS: 250 r\nS: 354 go\n" + BODY_WIRE
        script += ENVELOPE.replace(" SIZE=21", " RET=FULL") + "S: 250 1\nS: 250 m\nS: 250 r\nS: 354 go\n"
        with ScriptedServer(script + BODY_WIRE + "S: 250 2\n" + QUIT) as server:
            messages = [Outgoing(BODY, FROM, [TO]), Outgoing(BODY, FROM, [TO], wishes={"ret": "FULL"})]
            outcomes = self.send_many(url(server), messages, options={"limits": ONE}, ret="HDRS")
        assert [text_of(each) for each in outcomes] == ["1", "2"]

    def test_the_source_is_not_read_far_ahead(self) -> None:
        taken: list[int] = []

        def source() -> Iterator[Outgoing]:
            for number, mail in enumerate(mails(1000)):
                taken.append(number)
                yield mail

        with smtpx.ServerThread(session(Kept()), port=0) as server:
            options = {"limits": Limits(max_connections=2, max_in_flight=2)}
            outcomes = self.send_many(f"smtp+plain://127.0.0.1:{server.port}", source(), stop_after=20, options=options)
        assert len(outcomes) == 20
        assert len(taken) <= 20 + 2 * 2 * 2 + 1

    def test_large_messages_at_hand_are_not_heaped_up(self) -> None:
        taken: list[int] = []

        def source() -> Iterator[Outgoing]:
            for number in range(20):
                taken.append(number)
                yield Outgoing(b"x" * (9 << 20), FROM, [TO])

        with ScriptedServer(LOCK, tolerant=True) as server:
            options = {"timeout": 0.5, "limits": ONE}
            self.send_many(url(server), source(), stop_after=1, options=options)
        assert len(taken) <= 3

    @pytest.mark.parametrize("count", [0, 5])
    def test_a_source_that_raises(self, count: int) -> None:
        def source() -> Iterator[Outgoing]:
            yield from mails(count)
            raise ZeroDivisionError

        seen: list[SendOutcome] = []
        with smtpx.ServerThread(session(Kept()), port=0) as server, pytest.raises(ZeroDivisionError):
            self.send_many(f"smtp+plain://127.0.0.1:{server.port}", source(), options={"seen": seen})
        assert [each.error for each in seen] == [None] * count

    def test_nothing_to_send(self) -> None:
        assert self.send_many("smtp+plain://127.0.0.1:1", []) == []

    def test_a_consumer_that_leaves_early_cuts_off_what_is_under_way(self) -> None:
        script = BULK + FINE + chunk(reset=False) + chunk() + chunk() + "S: 250 m\n"
        with ScriptedServer(script, tolerant=True) as server:
            outcomes = self.send_many(url(server), THREE * 3, stop_after=1, options={"limits": ONE})
        assert len(outcomes) == 1

    def test_a_source_that_is_interrupted(self) -> None:
        def source() -> Iterator[Outgoing]:
            yield from mails(1)
            raise KeyboardInterrupt

        with smtpx.ServerThread(session(Kept()), port=0) as server, pytest.raises(KeyboardInterrupt):
            self.send_many(f"smtp+plain://127.0.0.1:{server.port}", source())

    def test_content_that_is_interrupted(self) -> None:
        def content() -> Iterator[bytes]:
            yield b"x\r\n"
            raise KeyboardInterrupt

        with smtpx.ServerThread(session(Kept()), port=0) as server, pytest.raises(KeyboardInterrupt):
            self.send_many(f"smtp+plain://127.0.0.1:{server.port}", [Outgoing(content(), FROM, [TO]), *mails(20)])

    def test_421_to_an_envelope_goes_on_over_another_connection(self) -> None:
        first = BULK + FINE + chunk(reset=False) + chunk() + "S: 421 enough for today\nEOF"
        second = BULK + FINE + chunk(reset=False) + "S: 250 m\nS: 250 r\nS: 250 done\n" + QUIT
        with ScriptedServer(first, second) as server:
            outcomes = self.send_many(url(server), THREE, options={"limits": ONE})
            assert [text_of(each) for each in outcomes] == ["done"] * 3
            assert server.connections == 2

    def test_421_on_a_fresh_connection_is_the_answer(self) -> None:
        with ScriptedServer(BULK + chunk() + "S: 421 no\nEOF") as server:
            outcomes = self.send_many(url(server), THREE[:2], options={"limits": ONE})
            assert [type(each.error) for each in outcomes] == [TemporaryRefusal] * 2
            assert server.connections == 2

    def test_what_may_have_been_delivered_is_unknown_and_not_repeated(self) -> None:
        first = BULK + FINE + chunk(reset=False) + chunk() + "S: 250 m\nEOF"
        with ScriptedServer(first, BULK + FINE + QUIT) as server:
            outcomes = self.send_many(url(server), THREE, options={"limits": ONE})
            assert server.connections == 1
        assert [each.is_unknown for each in outcomes] == [False, True, True]
        assert isinstance(outcomes[1].error, ConnectionLost)
        assert outcomes[1].error is not outcomes[2].error
        with pytest.raises(ConnectionLost):
            outcomes[2].unwrap()

    def test_lost_before_the_content_it_is_sent_once_more(self) -> None:
        first = START + MESSAGE.replace("S: 250 done\n", ENVELOPE) + "S: 250 done\nEOF"
        with ScriptedServer(first, START + ENVELOPE + "EOF", START + MESSAGE + QUIT) as server:
            outcomes = self.send_many(url(server), THREE, options={"limits": ONE})
            assert server.connections == 3
        assert [type(each.error) for each in outcomes] == [type(None), ConnectionLost, type(None)]
        assert outcomes[1].error
        assert not outcomes[1].is_unknown

    def test_a_large_message_lost_on_a_used_connection_is_sent_once_more(self) -> None:
        large = b"y" * 70_000 + b"\r\n"
        envelope = ENVELOPE.replace("SIZE=21", "SIZE=70002")
        first = START.replace("1000", "100000") + MESSAGE + envelope + "EOF"
        second = START.replace("1000", "100000") + envelope + "S: 250 m\nS: 250 r\nS: 354 go\nC: "
        second += large.decode().strip() + "\nC: .\nS: 250 large\n" + QUIT
        with ScriptedServer(first, second) as server:
            messages = [Outgoing(BODY, FROM, [TO]), Outgoing(large, FROM, [TO])]
            outcomes = self.send_many(url(server), messages, options={"limits": ONE})
            assert [text_of(each) for each in outcomes] == ["done", "large"]

    def test_messages_per_connection(self) -> None:
        kept = Kept()
        with smtpx.ServerThread(session(kept), port=0) as server:
            options = {"limits": Limits(max_connections=1, max_messages_per_connection=3)}
            outcomes = self.send_many(f"smtp+plain://127.0.0.1:{server.port}", mails(10), options=options)
        assert all(each.result for each in outcomes)
        assert kept.connections == 4

    def test_a_server_that_takes_fewer_connections_gets_fewer(self) -> None:
        kept = Kept()
        limits = smtpx.ServerLimits(max_connections=2)
        with smtpx.ServerThread(session(kept), port=0, limits=limits) as server:
            outcomes = self.send_many(f"smtp+plain://127.0.0.1:{server.port}", mails(500))
        assert all(each.result for each in outcomes)

    def test_no_server_at_all(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        outcomes = self.send_many(f"smtp+plain://127.0.0.1:{port}", mails(20), options={"limits": ONE})
        assert [type(each.error) for each in outcomes] == [ConnectError] * 20

    def test_a_wrong_password_is_tried_once(self) -> None:
        script = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 535 no\n" + QUIT
        with ScriptedServer(script) as server:
            options = {"username": "u", "password": "p", "limits": ONE}
            outcomes = self.send_many(url(server), THREE * 5, options=options)
            assert [type(each.error) for each in outcomes] == [AuthenticationError] * 15
            assert server.connections == 1

    def test_a_server_that_breaks_pipelining_gets_none_afterwards(self) -> None:
        broken = START + ENVELOPE + "S: 250 m\nS: 354 what\n"
        lock = f"{LOCK}C: MAIL FROM:<{FROM}>\nS: 250 m\nC: RCPT TO:<{TO}>\nS: 250 r\nC: DATA\nS: 354 go\n{BODY_WIRE}"
        with ScriptedServer(broken, lock + "S: 250 slow\n" + QUIT, tolerant=True) as server:
            outcomes = self.send_many(url(server), THREE[:2], options={"limits": ONE})
        assert outcomes[0].error
        assert text_of(outcomes[1]) == "slow"

    def test_lmtp_goes_one_by_one(self) -> None:
        script = "S: 220 x\nC: LHLO me\nS: 250-x\nS: 250 PIPELINING\n"
        one = ENVELOPE.replace(" SIZE=21", "") + f"S: 250 m\nS: 250 r\nS: 354 go\n{BODY_WIRE}S: 250 yours\n"
        with ScriptedServer(script + one * 2 + QUIT) as server:
            outcomes = self.send_many(url(server, "lmtp"), THREE[:2], options={"limits": ONE})
        assert [each.unwrap().verdicts[0][1].text for each in outcomes] == ["yours"] * 2

    def test_limits_of_the_server(self) -> None:
        one, two, three = "a@1.example", "b@2.example", "c@1.example"

        def transaction(*to: str) -> str:
            script = f"C: MAIL FROM:<{FROM}>\nS: 250 m\n"
            script += "".join(f"C: RCPT TO:<{each}>\nS: 250 r\n" for each in to)
            return script + f"C: DATA\nS: 354 go\n{BODY_WIRE}S: 250 done\n"

        greeting = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250 LIMITS RCPTMAX=2 MAILMAX=3 RCPTDOMAINMAX=1\n"
        script = [
            greeting + transaction(one) + transaction(one, three) + transaction(one, three) + QUIT,
            greeting + transaction(one) + QUIT,
            greeting + transaction(two) + QUIT,
        ]
        recipients = [[one], [one, three], [one, three, one], [one, two]]
        with ScriptedServer(*script, tolerant=True) as server:  # nobody waits for the reply to a QUIT that is late
            messages = [Outgoing(BODY, FROM, to) for to in recipients]
            outcomes = self.send_many(url(server), messages, options={"limits": ONE})
            assert server.connections == 3
        assert [list(each.unwrap().accepted) for each in outcomes] == [list(dict.fromkeys(to)) for to in recipients]

    def test_h058_something_unasked_behind_the_hello_is_no_reason_to_connect_for_ever(self) -> None:
        for behind, kind in (("250 more", RemoteProtocolError), ("421 bye", TemporaryRefusal)):
            script = f"S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 SIZE\nS: {behind}\n"
            with ScriptedServer(script, tolerant=True) as server:
                outcomes = self.send_many(url(server), THREE, options={"limits": ONE})
                assert server.connections <= 3
            assert [type(each.error) for each in outcomes] == [kind] * 3

    def test_what_is_done_of_a_message_is_told_when_the_rest_finds_no_connection(self) -> None:
        first = f"S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 LIMITS MAILMAX=1 RCPTMAX=1\n{LOCK_ENVELOPE}{LOCK_END}{QUIT}"
        with ScriptedServer(first, "S: 421 enough\n", tolerant=True) as server:
            outcomes = self.send_many(url(server), [Outgoing(BODY, FROM, [TO, "z@y.example"])], options={"limits": ONE})
        error = outcomes[0].error
        assert isinstance(error, TemporaryRefusal)
        assert (list(error.result.accepted), error.result.refused) == ([TO], {})

    def test_a_file_that_can_not_be_read(self) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                raise OSError("bad sector")

        with smtpx.ServerThread(session(Kept()), port=0) as server:
            messages = [Outgoing(Broken(), FROM, [TO]), *mails(2)]
            outcomes = self.send_many(f"smtp+plain://127.0.0.1:{server.port}", messages, options={"limits": ONE})
        assert isinstance(outcomes[0].error and outcomes[0].error.__cause__, OSError)
        assert [each.error for each in outcomes[1:]] == [None, None]

    def test_the_time_of_a_call_is_that_of_each_message(self) -> None:
        with ScriptedServer(BULK + FINE + chunk(reset=False), tolerant=True) as server:
            options = {"timeout": 0.3, "limits": ONE}
            outcomes = self.send_many(url(server), THREE[:2], options=options)
        assert outcomes[0].result
        assert outcomes[1].is_unknown


def slow_server(sock: socket.socket) -> None:
    """Answers nothing."""
    sock.recv(1)


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "smtpx-send-many"]


def wait_until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def spread(items: Iterable[Any]) -> Iterator[Any]:
    """A source that takes its time."""
    for item in items:
        time.sleep(0.02)
        yield item


__all__ = [
    "BODY",
    "BULK",
    "FINE",
    "ONE",
    "THREE",
    "BulkCases",
    "Kept",
    "LocalProtocolError",
    "chunk",
    "mails",
    "session",
    "slow_server",
    "spread",
    "threads",
    "wait_until",
]

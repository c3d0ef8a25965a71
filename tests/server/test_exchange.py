"""What the protocol asks and the session answers, without a socket: the protocol and the connection are stand-ins."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from smtpx.protocol import replies
from smtpx.protocol.dialect import LMTP, SMTP, Dialect
from smtpx.protocol.events import (
    AbortCause,
    AuthFailed,
    BodyAborted,
    BodyEnded,
    BodyReceived,
    BodyStarted,
    ChunkEnded,
    ConnectAsked,
    ConnectionEnded,
    Event,
    HelloAsked,
    LimitHit,
    LookupAsked,
    MailAsked,
    PauseAsked,
    RcptAsked,
    ResetAsked,
    StartTLSAsked,
    VerbAsked,
)
from smtpx.protocol.limits import ServerLimits
from smtpx.server.body import Body
from smtpx.server.session import Reject, Session, ok, reply
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import NO_PARAMS
from smtpx.wire.reply import Reply
from tests.server.exchange_rig import LOGIN, TO, Rig, fail, refuse, session

MAIL = MailAsked(NULL_SENDER, NO_PARAMS)
RCPT = RcptAsked(TO, NO_PARAMS)
ASK = VerbAsked("XASK", None)


@pytest.fixture(autouse=True)
def verbose(caplog: pytest.LogCaptureFixture) -> None:
    """Lines are made only for those who read them."""
    caplog.set_level(logging.INFO, "smtpx.server")


QUESTIONS = [
    ("connect", ConnectAsked()),
    ("hello", HelloAsked("EHLO", "client.example")),
    ("mail", MAIL),
    ("rcpt", RCPT),
    ("reset", ResetAsked("RSET")),
]


@pytest.mark.parametrize(("name", "event"), QUESTIONS)
async def test_questions_that_the_session_has_no_opinion_on(name: str, event: Event) -> None:
    rig = await Rig().handle(event)
    assert rig.core.answers == [()]
    assert "advance" not in rig.done


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(("name", "event"), [*QUESTIONS[:-1], ("command", ASK), ("authenticate", LOGIN)])
async def test_questions_that_it_has(name: str, event: Event, wait: bool) -> None:
    rig = await Rig(session(wait, **{name: lambda *args: ok(name)})).handle(event)
    assert rig.answers == [ok(name)]
    assert rig.done == (["await handler", "advance"] if wait else [])
    rig = await Rig(session(wait, **{name: refuse})).handle(event)
    assert str(rig.answers[0]) == "550 5.7.1 no"
    rig = await Rig(session(wait, **{name: fail})).handle(event)
    assert str(rig.answers[0]) == f"{421 if name == 'connect' else 451} 4.3.0 internal error; reference id-1"


async def test_an_answer_that_comes_too_late() -> None:
    rig = Rig(session(False, mail=lambda *args: None))
    rig.core.is_asking = False
    await rig.handle(MAIL)
    assert rig.answers == []


@pytest.mark.parametrize("wait", [False, True])
async def test_a_reset_that_fails(wait: bool) -> None:
    rig = await Rig(session(wait, reset=fail)).handle(ResetAsked("RSET"))
    assert rig.answers == []
    assert str(rig.core.closed) == "421 4.3.0 internal error; reference id-1"
    rig = await Rig(session(wait, reset=lambda: None)).handle(ResetAsked("RSET"))
    assert rig.answers == [None]


async def test_h078_refused_recipients_are_logged_up_to_a_number() -> None:
    rig = Rig(session(False, rcpt=refuse))
    await rig.handle(*[RCPT] * 25, ResetAsked("RSET"), RCPT, ResetAsked("RSET"))
    assert len(rig.lines) == 22
    assert rig.lines[0] == "INFO recipient <b@server.example> refused: 550 5.7.1 no"
    assert rig.lines[20] == "INFO 5 more recipients refused"


async def test_what_is_about_logins_is_for_logins() -> None:
    rig = Rig(session(False, lookup=lambda *args: None))
    await rig.handle(AuthFailed("CRAM-MD5", "user"), LookupAsked("CRAM-MD5", "user"))
    assert (rig.lines, rig.answers) == (["INFO login failed with CRAM-MD5"], [None])


async def test_starttls() -> None:
    rig = Rig()
    rig.core.awaits_handshake = True
    await rig.handle(StartTLSAsked())
    assert rig.done == ["flush", "start TLS"]
    rig = await Rig().handle(StartTLSAsked())  # refused in the meantime
    assert rig.done == []
    assert rig.answers == [None]


async def test_pauses() -> None:
    rig = await Rig().handle(PauseAsked(0.01))
    assert rig.done == ["flush", "await handler", "advance"]
    assert rig.answers == [None]
    rig = Rig()
    rig.exchange.handle(PauseAsked(10))
    assert rig.exchange.is_waiting
    rig.exchange.end_pause()
    assert not rig.exchange.is_waiting
    assert rig.answers == [None]


async def test_nobody_waits_for_a_peer_that_is_gone() -> None:
    rig = Rig()
    rig.exchange.end_pause()
    rig.exchange.handle(PauseAsked(10))
    assert not rig.exchange.is_waiting
    assert rig.done == ["flush"]
    assert rig.answers == [None]


@pytest.mark.parametrize("place", ["next_event", "answer", "answer_lookup", "handle"])
async def test_what_the_protocol_raises_ends_the_conversation(place: str) -> None:
    rig = Rig()

    def fail(*_: object) -> None:
        raise KeyError("internal")

    following: list[Event] = [ConnectionEnded("internal error", False)]
    core: Any = rig.core
    core.next_event = core.answer = core.answer_lookup = fail
    if place == "next_event":
        core.next_event = lambda: following.pop() if rig.core.closed else fail()
        assert rig.exchange.next_event() == ConnectionEnded("internal error", False)
    elif place == "answer":
        rig.exchange.answer(None)
    elif place == "answer_lookup":
        rig.exchange.answer_lookup(None)
    else:
        rig.exchange.handle(MAIL)
    assert rig.core.closed is replies.BROKEN
    assert rig.lines == ["ERROR an extension raised, or we made a mistake"]


async def test_the_next_event_is_the_protocol_s() -> None:
    rig = Rig()
    core: Any = rig.core
    core.next_event = lambda: MAIL
    assert rig.exchange.next_event() is MAIL


async def test_a_lookup_that_nobody_waits_for() -> None:
    rig = Rig()
    rig.core.is_asking = False
    rig.exchange.answer_lookup(None)
    assert rig.answers == []


async def test_the_end() -> None:
    assert (await Rig().handle(ConnectionEnded("QUIT", True))).done == ["QUIT"]


# Messages ------------------------------------------------------------------------------------------------------------

STARTED, ENDED = BodyStarted("DATA"), BodyEnded(0)
BIG, SMALL = BodyReceived(b"x" * 20), BodyReceived(b"x")
ABORTED = BodyAborted(AbortCause.LOST, 7)


class Reading(Session):
    """Reads, then does what it is told."""

    def __init__(self, then: Callable[[], Any] = lambda: None, *, wait: bool = False, early: bool = False) -> None:
        self._then = then
        self._wait = wait
        self._early = early

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        if not self._early:
            await body.discard()
        if self._wait:
            await asyncio.sleep(0)
        return self._then()


@pytest.mark.parametrize("wait", [False, True])
async def test_a_message(wait: bool) -> None:
    rig = await Rig(Reading(wait=wait)).handle(STARTED, SMALL, BIG, ENDED)
    assert rig.core.answers == [(None,)]
    assert rig.lines == ["INFO message from <> to 1 recipients, 21 octets: 250 2.0.0 message accepted"]


async def test_a_session_that_is_slower_than_the_peer() -> None:
    class Slow(Session):
        async def data(self, body: Body) -> Reply:
            await asyncio.sleep(0.01)
            return ok(str(await body.discard()))

    rig = await Rig(Slow()).handle(STARTED, BIG, BIG, ENDED)
    assert rig.answers == [ok("40")]
    assert rig.done.count("await verdict") >= 1


async def test_no_line_is_made_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "smtpx.server")
    rig = await Rig(Reading()).handle(STARTED, ENDED)
    assert rig.lines == []


async def test_a_message_nobody_waits_for_any_more() -> None:
    for gone in ("is_asking", "has_peer"):
        rig = Rig(Reading())
        if gone == "is_asking":
            rig.core.is_asking = False
        else:
            rig.has_peer = False
        await rig.handle(STARTED, SMALL, ENDED)
        assert rig.lines[-1] == "INFO client gone before reply"
        assert len(rig.answers) == (gone == "has_peer")
        await rig.handle(ABORTED)  # what a protocol says that was closed underneath
        assert rig.lines[-1] == "INFO connection lost in DATA after 7 octets: nothing is stored"


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        ({TO: ok("1")}, ok("1")),
        ({TO: None}, None),
        ({TO: reply(452, "4.2.2", "full")}, reply(452, "4.2.2", "full")),
        ({}, replies.NO_VERDICT),
    ],
)
async def test_one_reply_for_many_verdicts(verdicts: dict[Any, Any], answer: Reply | None) -> None:
    rig = await Rig(Reading(lambda: verdicts)).handle(STARTED, ENDED)
    assert rig.answers == [answer]


async def test_one_reply_for_each_recipient() -> None:
    rig = Rig(Reading(lambda: {TO: ok("1"), "c@x.example": reply(452, "4.2.2", "full")}), dialect=LMTP)
    rig.core.recipients = [TO, Mailbox("c", "x.example"), Mailbox("d", "x.example")]
    await rig.handle(STARTED, ENDED)
    assert rig.core.answers == [(ok("1"), reply(452, "4.2.2", "full"), replies.NO_VERDICT)]
    assert rig.lines[-1].endswith("250 452 451")


@pytest.mark.parametrize("wait", [False, True])
async def test_chunks(wait: bool) -> None:
    rig = await Rig(Reading(wait=wait)).handle(STARTED, SMALL, ChunkEnded(1), SMALL, ChunkEnded(1), ENDED)
    assert rig.answers == [None, None, None]


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("then", [refuse, lambda: reply(550, "5.7.1", "no")])
async def test_a_chunk_that_is_refused(then: Callable[[], Any], wait: bool) -> None:
    rig = await Rig(Reading(then, wait=wait, early=True)).handle(STARTED, SMALL, ChunkEnded(1), ABORTED)
    assert [str(answer) for answer in rig.answers] == ["550 5.7.1 no"]
    assert len(rig.lines) == 1


async def test_a_verdict_that_comes_before_the_last_chunk() -> None:
    for value in (ok("early"), {TO: ok("early")}):
        rig = Rig(Reading(lambda value=value: value, early=True))
        await rig.handle(STARTED, SMALL, ChunkEnded(1), SMALL, ENDED)
        assert rig.answers == [None, ok("early")]


async def test_an_error_is_logged_once_whatever_becomes_of_the_message() -> None:
    for events in ((SMALL, ChunkEnded(1), ABORTED), (BIG, ABORTED), (SMALL, ENDED)):
        rig = await Rig(Reading(fail, early=True)).handle(STARTED, *events)
        assert sum("data raised" in line for line in rig.lines) == 1


async def test_a_message_that_is_given_up() -> None:
    for value in (None, Reject()):
        rig = await Rig(Reading(lambda value=value: value)).handle(STARTED, BIG, ABORTED)
        assert rig.lines == ["INFO connection lost in DATA after 7 octets: nothing is stored"]
        assert rig.answers == []


# Limits --------------------------------------------------------------------------------------------------------------


async def test_h094_whoever_a_peer_speaks_for_may_be_one_too_many() -> None:
    rig = Rig(session(False, connect=lambda: None))
    rig.refusal = replies.TOO_MANY_FROM_ADDRESS
    await rig.handle(ConnectAsked())
    assert rig.answers == [replies.TOO_MANY_FROM_ADDRESS]


async def test_rule_3_limits_of_the_protocol_are_passed_on() -> None:
    rig = await Rig().handle(LimitHit("max_recipients", 100))
    assert rig.lines == ["max_recipients 100"]


async def test_a_message_that_finds_the_memory_full_goes_straight_to_the_session() -> None:
    rig = Rig(session(False, data=lambda body: None), spool_total_memory_bytes=100)
    rig.core.settings.limits = ServerLimits(spool_total_memory_bytes=100, body_ahead_bytes=1000)
    rig.guard.load.held_bytes = 99
    await rig.handle(BodyStarted("DATA"))
    rig.guard.load.held_bytes = 100
    assert rig.lines == []
    await rig.handle(BodyStarted("DATA"))
    assert rig.lines == ["spool_total_memory_bytes 100"]


# Verdicts given early ------------------------------------------------------------------------------------------------

OTHER = Mailbox("c", "x.example")
FULL = reply(452, "4.2.2", "full")


class Giving(Session):
    """Gives a verdict on each of `first` before it reads, on each of `later` behind a pause; then as `Reading`."""

    def __init__(self, first: str = "", later: str = "", then: Callable[[], Any] = lambda: None) -> None:
        self.first, self.later, self._then = first, later, then

    async def data(self, body: Body) -> Any:  # noqa: ANN401
        for name in self.first:
            self.verdict(f"{name}@x.example", ok(name))
        await body.discard()
        for name in self.later:
            await asyncio.sleep(0)
            self.verdict(f"{name}@x.example", ok(name))
        return self._then()


async def verdicts_of(session: Session, *events: Event, dialect: Dialect = LMTP) -> Rig:
    rig = Rig(session, dialect=dialect)
    rig.core.recipients = [Mailbox("b", "x.example"), OTHER, Mailbox("b", "x.example")]
    await rig.handle(STARTED, *(events or (SMALL, ENDED)))
    assert rig.peer.verdicts is None
    return rig


async def test_rfc2033_4_2_verdicts_leave_in_order() -> None:
    rig = await verdicts_of(Giving("", "bbc"))
    assert rig.core.early == [ok("b"), ok("c"), ok("b")]
    assert rig.core.answers == [(ok("b"), ok("c"), ok("b"))]
    assert rig.done.count("flush") == 2  # the second of b waits for c
    assert rig.done.count("await verdict") == 3


async def test_rfc2033_4_2_no_verdict_leaves_before_the_end() -> None:
    rig = Rig(Giving("bbc", "", lambda: None), dialect=LMTP)
    rig.core.recipients = [Mailbox("b", "x.example"), OTHER, Mailbox("b", "x.example")]
    await rig.handle(STARTED, BIG)
    assert rig.core.early == []
    rig = await verdicts_of(Giving("bbc"), BIG, BIG, ENDED)
    assert rig.core.early == [ok("b"), ok("c"), ok("b")]
    assert rig.core.answers[-1] == (ok("b"), ok("c"), ok("b"))
    assert "flush" not in rig.done  # they go with what the connection sends when it begins to wait


async def test_a_session_that_does_not_wait_sends_them_together() -> None:
    rig = await verdicts_of(Giving("bb"))
    assert rig.core.early == []
    assert rig.core.answers == [(ok("b"), None, ok("b"))]
    assert rig.lines[-1].endswith("250 250 250")


@pytest.mark.parametrize(
    ("then", "rest"),
    [
        (lambda: FULL, "452 4.2.2 full"),
        (lambda: {OTHER: FULL, "b@x.example": FULL}, "452 4.2.2 full"),
        (refuse, "550 5.7.1 no"),
        (fail, "451 4.3.0 internal error; reference id-1"),
    ],
)
async def test_what_comes_of_data_is_for_the_others(then: Callable[[], Any], rest: str) -> None:
    rig = await verdicts_of(Giving("b", "b", then))
    assert [str(answer) for answer in rig.core.answers[-1]] == ["250 2.0.0 b", rest, "250 2.0.0 b"]


@pytest.mark.parametrize("names", ["bbb", "d"])
async def test_a_verdict_that_is_not_due_is_the_sessions_error(names: str) -> None:
    rig = await verdicts_of(Giving("", names))
    codes = [verdict.code for verdict in rig.core.answers[-1]]
    assert codes == ([250, 451, 250] if names == "bbb" else [451] * 3)
    assert sum("data raised" in line for line in rig.lines) == 1


async def test_in_smtp_verdicts_count_into_the_one_reply() -> None:
    rig = await verdicts_of(Giving("b", "b", lambda: FULL), dialect=SMTP)
    assert rig.core.early == []
    assert rig.core.answers == [(FULL,)]
    assert (await verdicts_of(Giving("b", "b"), dialect=SMTP)).core.answers == [(ok("b"),)]


async def test_verdicts_on_a_message_that_is_given_up() -> None:
    rig = await verdicts_of(Giving("bc"), BIG, ABORTED)
    assert rig.core.answers == []
    assert rig.core.early == []


async def test_a_verdict_nobody_waits_for_any_more() -> None:
    class Slow(Giving):
        async def data(self, body: Body) -> Any:  # noqa: ANN401
            await body.discard()
            await asyncio.sleep(0)
            rig.core.is_asking = False
            self.verdict(OTHER, FULL)

    rig = Rig(Slow(), dialect=LMTP)
    rig.core.recipients = [OTHER]
    await rig.handle(STARTED, SMALL, ENDED)
    assert rig.core.early == []
    assert rig.core.answers == []


async def test_a_chunk_is_not_refused_behind_a_verdict() -> None:
    """Or a recipient whose message is safe would be told that it is not."""

    class Early(Session):
        async def data(self, body: Body) -> None:
            self.verdict("b@x.example", ok("b"))
            raise Reject(550, "5.7.1", "no")

    rig = await verdicts_of(Early(), SMALL, ChunkEnded(1), SMALL, ENDED)
    assert [str(answer) for answer in rig.core.answers[0]] == ["None"]
    assert [str(answer) for answer in rig.core.answers[1]] == ["250 2.0.0 b", "550 5.7.1 no", "550 5.7.1 no"]

"""Several providers as one."""

import asyncio
import pickle
from typing import Any

import pytest

from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.flows.outcome import SendResult
from smtpx.mailer.circuit_breaker import BreakerOpenError, CircuitBreaker
from smtpx.mailer.failover import FailoverError, FailoverProvider, RoundRobinProvider, another_may
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.provider import HealthState, NotTriedError, Probe, ProviderClosedError, is_unknown
from smtpx.message.attachments import Attachment
from smtpx.message.sendable import Sendable
from smtpx.wire.reply import Reply
from tests.mailer.rig import BulkAPI, faking, letter, letters, result_for, subject_of, theirs
from tests.mailer.test_observer import Everything
from tests.server.rig import eventually


def refusal(code: int, stage: str = "rcpt") -> RefusedError:
    return RefusedError.of(Reply(code, None, ("told so",)), stage=stage)


def partly(error: SMTPXError) -> SMTPXError:
    error.result = SendResult({"a@b.example": Reply(250, None)}, {})
    return error


GOES_ON = [
    ConnectError("nobody there", stage="connect"),
    DeadlineError("too slow", stage="mail"),
    ConnectionLost("gone", stage="body"),
    TLSError("expired", is_certificate=True, stage="starttls"),
    AuthenticationError("no", mechanism="PLAIN"),
    UnsupportedError("none", keyword="SMTPUTF8"),
    ConfigurationError("odd"),
    RemoteProtocolError("nonsense", stage="mail"),
    BreakerOpenError("later"),
    NotTriedError("later"),
    ProviderClosedError("closed"),
    refusal(451),
    refusal(421, "mail"),
    refusal(451, "final"),
    refusal(554, "greeting"),
    refusal(550, "hello"),
    refusal(530, "mail"),
]
ENDS = [
    refusal(550),
    refusal(552, "mail"),
    refusal(554, "final"),
    ConnectionLost("gone", stage="final"),
    DeadlineError("too slow", stage="final"),
    RemoteProtocolError("out of step", stage="final"),
    LocalProtocolError("bad message"),
    ValueError("bad message"),
    RuntimeError("who knows"),
    TimeoutError(),
    partly(refusal(451)),
    partly(ConnectionLost("gone", stage="mail")),
]


@pytest.mark.parametrize("error", GOES_ON, ids=repr)
async def test_goes_on_to_the_next_provider(error: Exception) -> None:
    assert another_may(error)
    first, second = MemoryProvider(), MemoryProvider()
    first.fail(error, times=None)
    async with FailoverProvider([first, second]) as provider:
        assert (await provider.send(letter(1))).accepted
        assert not (await provider.send_bulk([letter(2), letter(3)])).failed
    assert [each.subject for each in second.outbox] == ["Letter 1", "Letter 2", "Letter 3"]
    assert first.is_closed
    assert second.is_closed


@pytest.mark.parametrize("error", ENDS, ids=repr)
async def test_does_not_go_on_where_it_is_the_message_or_nobody_knows(error: Exception) -> None:
    assert not another_may(error)
    first, second = MemoryProvider(), MemoryProvider()
    first.fail(error, times=None)
    async with FailoverProvider({"a": first, "b": second}) as provider:
        with pytest.raises(type(error)) as caught:
            await provider.send(letter())
        assert caught.value is error
        result = await provider.send_bulk(letters(2))
        assert [theirs(each.error) for each in result.outcomes] == [error, error]
        assert all(is_unknown(each.error or error) is is_unknown(error) for each in result.outcomes)
    assert second.outbox == []


async def test_when_all_fail_each_is_named() -> None:
    first, second = MemoryProvider(), MemoryProvider()
    first.fail(refusal(451), times=None)
    second.fail(AuthenticationError("no", mechanism="PLAIN"), times=None)
    async with FailoverProvider([first, second]) as provider:
        with pytest.raises(FailoverError, match=r"memory 1: .*; memory 2: ") as caught:
            await provider.send(letter())
        error = caught.value
        assert list(error.errors) == ["memory 1", "memory 2"]
        assert error.is_temporary
        assert error.stage is None
        assert pickle.loads(pickle.dumps(error)).is_temporary  # noqa: S301 - our own
        result = await provider.send_bulk([letter()])
        assert isinstance(result.outcomes[0].error, FailoverError)
    alone = MemoryProvider()
    alone.fail(refusal(451, "final"), times=None)
    async with FailoverProvider([alone]) as provider:
        with pytest.raises(TemporaryRefusal):
            await provider.send(letter())
    assert FailoverError({"a": refusal(451, "final"), "b": ConnectError("x")}).stage == "final"
    assert not FailoverError({"a": ConfigurationError("x")}).is_temporary


def test_needs_a_provider_and_takes_the_first_default_sender() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        FailoverProvider([])
    one, other = MemoryProvider(), MemoryProvider(from_email="b@b.example")
    provider = FailoverProvider([one, other])
    assert provider.from_email == "b@b.example"
    assert provider.metadata == {
        "from_email": "b@b.example",
        "providers": {"memory 1": "memory", "memory 2": "memory"},
    }
    assert FailoverProvider([other], from_email="c@c.example").from_email == "c@c.example"


async def test_every_provider_gets_the_same_message_id() -> None:
    first, second = MemoryProvider(), MemoryProvider()
    seen: list[str | None] = []

    def note(message: Sendable) -> bool:
        seen.append(message.message_id)
        return True

    first.fail(ConnectError("x"), when=note)
    async with FailoverProvider([first, second]) as provider:
        await provider.send(letter())
    assert seen == [second.outbox[0].message.message_id]
    assert seen[0] is not None


async def test_p02_of_a_bulk_only_those_that_were_not_sent_go_on() -> None:
    def three_of_five(given: list[Sendable]) -> list[Any]:
        return [*map(result_for, given[:3]), ConnectError("down"), ConnectError("down")]

    api, second = BulkAPI(three_of_five), MemoryProvider()
    async with FailoverProvider([api, second]) as provider:
        told: list[int] = []
        result = await provider.send_bulk(letters(5), on_outcome=lambda each: told.append(each.index))
        assert not result.failed
        assert told == [0, 1, 2, 3, 4]
    assert [each.subject for each in second.outbox] == ["Letter 3", "Letter 4"]
    assert len(api.calls) == 1


@pytest.mark.parametrize("tells", [True, False])
async def test_p02_without_outcomes_nothing_is_repeated(tells: bool) -> None:
    def breaks(given: list[Sendable]) -> list[Any]:
        raise RuntimeError("internal server error")

    second = MemoryProvider()
    async with FailoverProvider([BulkAPI(breaks, tells=tells), second]) as provider:
        result = await provider.send_bulk(letters(5))
        assert all(each.is_unknown for each in result.outcomes)
        assert isinstance(result.outcomes[0].error, Exception)
        assert isinstance(result.outcomes[0].error.__cause__, RuntimeError)
    assert second.outbox == []


@pytest.mark.parametrize("tells", [True, False])
async def test_p02_too_few_outcomes(tells: bool) -> None:
    api, second = BulkAPI(lambda given: [result_for(given[0])], tells=tells), MemoryProvider()
    async with FailoverProvider([api, second]) as provider:
        result = await provider.send_bulk(letters(3))
    assert [each.is_unknown for each in result.outcomes] == [False, True, True]
    assert second.outbox == []


async def test_a_closed_provider_is_passed_by() -> None:
    first, second = MemoryProvider(), MemoryProvider()
    await first.close()
    async with FailoverProvider([first, second], owned=False) as provider:
        assert not (await provider.send_bulk(letters(3))).failed
    assert len(second.outbox) == 3
    assert not second.is_closed


async def test_those_that_cannot_be_prepared_concern_no_provider() -> None:
    first = MemoryProvider()
    async with FailoverProvider([first]) as provider:
        result = await provider.send_bulk([letter(0), letter(1, from_=()), letter(2)])
    assert [each.index for each in result.failed] == [1]
    assert len(first.outbox) == 2


# The breaker ----------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_provider_that_fails_again_and_again_is_left_alone_and_tried_again() -> None:
    clock = Clock()
    first, second = MemoryProvider(), MemoryProvider()
    tried: list[Sendable] = []

    def note(message: Sendable) -> bool:
        tried.append(message)
        return True

    first.fail(ConnectError("down"), times=None, when=note)
    async with FailoverProvider([first, second], breaker=CircuitBreaker(clock=clock)) as provider:
        for number in range(8):
            await provider.send(letter(number))
        assert len(tried) == 5
        assert (await provider.check(Probe.READINESS)).state is HealthState.DEGRADED
        await provider.send_bulk(letters(3))
        assert len(tried) == 5
        clock.now += 60
        await provider.send_bulk(letters(3))
        assert len(tried) == 6  # one trial, for all
        clock.now += 60
        first.reset()
        await provider.send_bulk(letters(3))
        assert len(first.outbox) == 3
        assert (await provider.check(Probe.READINESS)).state is HealthState.HEALTHY
        first.fail(ConnectError("down"), times=None, when=note)
        await provider.send_bulk(letters(20))  # in bulk they count too
        assert provider._members[0].breaker.is_open
        first.fail(ConnectError("down"), times=None)
        second.fail(ConnectError("down"), times=None)
        with pytest.raises(FailoverError, match="left alone"):
            await provider.send(letter())


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (ConnectError("x"), True),
        (refusal(421), True),
        (refusal(530, "mail"), True),
        (ConnectionLost("x", stage="final"), True),
        (refusal(451), False),
        (refusal(550), False),
        (UnsupportedError("x", keyword="DSN"), False),
        (LocalProtocolError("x"), False),
    ],
    ids=repr,
)
async def test_what_counts_as_a_failure_of_the_provider(error: Exception, opens: bool) -> None:
    first = MemoryProvider()
    first.fail(error, times=None)
    async with FailoverProvider([first]) as provider:
        for _ in range(6):
            with pytest.raises((SMTPXError, ValueError)):
                await provider.send(letter())
        assert provider._members[0].breaker.is_open is opens


async def test_cancelling_does_not_count() -> None:
    first = MemoryProvider()
    first.delay_seconds = 60
    async with FailoverProvider([first], breaker=CircuitBreaker(1)) as provider:
        for _ in range(3):
            sending = asyncio.create_task(provider.send(letter()))
            await asyncio.sleep(0.01)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        assert not provider._members[0].breaker.is_open


# Each in its turn -----------------------------------------------------------------------------------------------------


async def test_round_robin_gives_each_its_share_and_falls_over() -> None:
    members = [MemoryProvider() for _ in range(3)]
    async with RoundRobinProvider(members) as provider:
        for number in range(6):
            await provider.send(letter(number))
        assert [len(each.outbox) for each in members] == [2, 2, 2]
        members[1].fail(ConnectError("down"), times=None)
        result = await provider.send_bulk(letters(6))
        assert not result.failed
        assert [len(each.outbox) for each in members] == [4, 2, 6]
        assert provider.provider_type == "roundrobin"


# Health and closing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["HEALTHY", "HEALTHY"], "HEALTHY"),
        (["HEALTHY", "UNHEALTHY"], "DEGRADED"),
        (["DEGRADED", "HEALTHY"], "DEGRADED"),
        (["UNHEALTHY", "UNHEALTHY"], "UNHEALTHY"),
    ],
)
async def test_health(states: list[str], expected: str) -> None:
    members = [BulkAPI(lambda given: []) for _ in states]
    for member, state in zip(members, states, strict=True):
        member.health = HealthState(state)
    provider = FailoverProvider(members)
    health = await provider.check(Probe.READINESS)
    assert health.state.value == expected
    assert [each.state.value for each in health.dependencies] == states
    assert health.message


async def test_closing_closes_all_even_when_one_fails() -> None:
    class Stubborn(MemoryProvider):
        async def close(self) -> None:
            raise RuntimeError("no")

    last = MemoryProvider()
    provider = FailoverProvider([Stubborn(), last])
    with pytest.raises(RuntimeError, match="no"):
        await provider.close()
    assert last.is_closed


async def test_closed_in_the_middle_of_a_bulk() -> None:
    first, second = MemoryProvider(), MemoryProvider()
    first.delay_seconds = 0.01
    provider = FailoverProvider([first, second])
    sending = asyncio.create_task(provider.send_bulk(letters(50)))
    await eventually(lambda: len(first.outbox) == 2)
    await provider.close()
    result = await sending
    assert len(result.outcomes) == 50
    assert len(result.succeeded) == len(first.outbox) < 50
    assert all(isinstance(each.error, NotTriedError) for each in result.failed)
    assert second.outbox == []


async def test_cancelled_in_the_middle_of_a_bulk() -> None:
    first, second = MemoryProvider(), MemoryProvider()
    first.fail(ConnectError("x"), when=lambda message: message.posting().recipients[0].local_part == "first")
    first.delay_seconds = 0.01
    async with FailoverProvider([first, second]) as provider:
        told: list[Any] = []
        messages = [letter(0, to="first@home.example"), *letters(30)]
        sending = asyncio.create_task(provider.send_bulk(messages, on_outcome=told.append))
        await eventually(lambda: len(first.outbox) == 2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert len(told) == 31
        assert isinstance(told[0].error, NotTriedError)  # it would have been the next one's
        assert sum(each.is_unknown for each in told) == 1
        assert isinstance(told[30].error, NotTriedError)


async def test_two_real_servers_of_which_one_is_down_and_one_loses_the_connection() -> None:
    async with faking() as down, faking(BODY=[b"250 ok\r\n", None]) as shaky:
        await down.stop()
        async with FailoverProvider([down.provider(), shaky.provider()]) as provider:
            assert (await provider.send(letter(1))).accepted
            with pytest.raises(ConnectionLost) as caught:
                await provider.send(letter(2))
            assert is_unknown(caught.value)
            assert (await provider.send(letter(3))).accepted
            shaky.answers["RCPT"] = b"550 no\r\n"
            with pytest.raises(PermanentRefusal):
                await provider.send(letter(4))
        await down.start()
    assert [subject_of(each) for each in shaky.messages] == ["Letter 1", "Letter 2", "Letter 3"]


@pytest.mark.parametrize(
    ("fields", "keyword"),
    [
        ({"to": "jürgen@home.example"}, "SMTPUTF8"),
        ({"attachments": [Attachment.of_message(b"Subject: x\r\n\r\n\xc3\xa4\r\n")]}, "8BITMIME"),
    ],
)
async def test_a_server_without_what_a_message_needs_is_passed_by(fields: dict[str, Any], keyword: str) -> None:
    able = b"250-able.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
    async with faking(EHLO=b"250 old.example\r\n") as old, faking(EHLO=able) as new:
        async with FailoverProvider([old.provider(), new.provider()]) as provider:
            assert (await provider.send(letter(1, **fields))).accepted
            (outcome,) = (await provider.send_bulk([letter(2, **fields)])).outcomes
            assert outcome.error is None
        async with old.provider() as alone:
            with pytest.raises(UnsupportedError) as caught:
                await alone.send(letter(3, **fields))
            assert caught.value.keyword == keyword
            assert (await alone.send(letter(4))).accepted
    assert [subject_of(each) for each in new.messages] == ["Letter 1", "Letter 2"]
    assert [subject_of(each) for each in old.messages] == ["Letter 4"]


async def test_whoever_looks_on_is_told_of_each_step_and_the_members_keep_quiet() -> None:
    observer = Everything()
    first, second = MemoryProvider(), MemoryProvider()
    first.fail(ConnectError("down"), times=3)
    async with FailoverProvider({"a": first, "b": second}, breaker=CircuitBreaker(failures=2)) as provider:
        provider.observe(observer)
        await provider.send(letter())
        assert observer.told == [
            ("message", "EmailProvider (failover)"),
            ("failed over", "a", ConnectError),
            ("ended", SendResult),
        ]
        await provider.send_bulk(letters(1))
        assert observer.told[3:] == [
            ("many", "EmailProvider (failover)"),
            ("one of many", "EmailProvider (failover)"),
            ("breaker", "a", True),
            ("failed over", "a", ConnectError),
            ("one of many ended", SendResult),
            ("many ended", None),
        ]
        observer.told.clear()
        provider.adopt("kept", observer)  # a service tells of its messages now
        await provider.send(letter())
        assert observer.told == [("failed over", "a", BreakerOpenError)]

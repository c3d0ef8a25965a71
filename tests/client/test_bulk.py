"""The bookkeeping of many messages, without any connection."""

from collections.abc import Iterator

import pytest

from smtpx.client.bulk import Hold, Order, Outgoing, Run, SendManyOptions, SendOutcome
from smtpx.client.conversation import Conversation
from smtpx.client.observer import MessageObserver
from smtpx.client.settings import Limits, settings_for
from smtpx.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    SMTPXError,
)
from smtpx.flows.flight import Job
from smtpx.flows.outcome import SendResult
from smtpx.message.sendable import Posting
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import Reply
from tests.flows.cases import ready

BODY = b"x\r\n"
FROM, TO = "a@x.example", "b@y.example"
OPTIONS = SendManyOptions()
RESULT = SendResult({TO: Reply(250, None, ("ok",))}, {})
LOST = ConnectionLost("gone", stage="mail")


class Letter:
    """Writes itself."""

    message_id = None
    text = b"Subject: x\r\n\r\nx\r\n"

    def __init__(self, *, fails: bool = False, is_streamed: bool = False, recipients: tuple[str, ...] = (TO,)) -> None:
        self.is_streamed = is_streamed
        self.written: list[tuple[bool, bool]] = []
        self._fails = fails
        self._recipients = recipients

    def posting(self) -> Posting:
        if not self._recipients:
            raise ValueError("no recipients")
        return Posting(Mailbox.parse(FROM), tuple(map(Mailbox.parse, self._recipients)))

    def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
        if self._fails:
            raise ValueError("can't write")
        self.written.append((eight_bit, utf8))
        yield self.text


def run_of(count: int, **limits: int) -> Run:
    run = Run(Limits(**limits), OPTIONS, wake=lambda: None)  # type: ignore[arg-type]
    for _ in range(count):
        run.add(Outgoing(BODY, FROM, [TO]))
    return run


def take(run: Run) -> Order:
    order = run.take()
    assert order is not None
    return order


def test_an_outcome_is_a_result_or_an_error() -> None:
    assert SendOutcome(0, None, RESULT).unwrap() is RESULT
    assert not SendOutcome(0, None, RESULT).is_unknown
    lost = SendOutcome(0, None, error=ConnectionLost("gone", stage="final"))
    assert lost.is_unknown
    assert SendOutcome(0, None, error=RemoteProtocolError("what?", stage="final")).is_unknown
    assert not SendOutcome(0, None, error=LOST).is_unknown
    assert not SendOutcome(0, None, error=SMTPXError("no")).is_unknown
    with pytest.raises(ConnectionLost):
        lost.unwrap()
    with pytest.raises(ValueError, match="without"):
        SendOutcome(0, None).unwrap()


def test_what_a_message_says_outranks_what_is_said_for_all() -> None:
    options = SendManyOptions(strict=True, smtputf8=True, normalize_newlines=True, wishes={"ret": "FULL", "envid": "e"})
    plain = Order(0, Outgoing(b"a\nb", FROM, [TO]), options)
    assert (plain.strict, plain.smtputf8, plain.wishes) == (True, True, options.wishes)
    plain.prepare(options)
    own = Outgoing(b"a\nb", FROM, [TO], strict=False, smtputf8=False, normalize_newlines=False, wishes={"ret": "HDRS"})
    order = Order(1, own, options)
    assert (order.strict, order.smtputf8, order.wishes) == (False, False, {"ret": "HDRS", "envid": "e"})
    assert order.prepare(options) is order.prepare(options)


def test_outcomes_come_in_the_order_of_their_messages() -> None:
    run = run_of(3)
    first, second, third = take(run), take(run), take(run)
    assert run.take() is None
    run.settle(third, RESULT)
    run.settle(second, LOST)
    assert run.next_outcome() is None
    run.settle(first, RESULT)
    outcomes = [run.next_outcome() for _ in range(3)]
    assert [each.index for each in outcomes if each] == [0, 1, 2]
    assert [each.error for each in outcomes if each] == [None, LOST, None]
    assert not run.is_over
    run.has_ended = True
    assert run.is_over
    assert run.needs_nobody
    assert run.next_outcome() is None


def test_what_is_put_back_is_the_next_one_again() -> None:
    run = run_of(3)
    first, second = take(run), take(run)
    run.put_back(second)
    run.put_back(first)
    assert run.has_work
    assert [take(run) for _ in range(2)] == [first, second]


def test_room_by_number_and_by_size() -> None:
    run = run_of(3, max_connections=1, max_in_flight=2)
    assert run.has_room
    run.add(Outgoing(BODY, FROM, [TO]))
    assert not run.has_room
    heavy = run_of(0)
    heavy.add(Outgoing(b"x" * (16 << 20), FROM, [TO]))
    assert not heavy.has_room
    heavy.settle(take(heavy), RESULT)
    heavy.next_outcome()
    assert heavy.has_room


def test_workers_come_with_the_work() -> None:
    run = Run(Limits(max_connections=2, max_in_flight=2), OPTIONS, wake=lambda: None)
    mail = Outgoing(BODY, FROM, [TO])
    assert [run.add(mail) for _ in range(4)] == [True, False, True, False]
    run = Run(Limits(max_in_flight=2), OPTIONS, wake=lambda: None)
    assert run.add(mail)
    take(run)
    run.connected(first=True)
    run.connected(first=False)
    run.idles(1)
    assert not run.add(mail)
    run.idles(-1)
    assert run.add(mail)
    run.leaves(connected=True)


def test_a_worker_that_gets_no_connection_leaves_the_work_to_others() -> None:
    run = Run(Limits(max_connections=3, max_in_flight=1), OPTIONS, wake=lambda: None)
    mail = Outgoing(BODY, FROM, [TO])
    assert run.add(mail)
    assert run.add(mail)
    order = take(run)
    assert not run.not_connected(order, ConnectError("full"))
    run.leaves(connected=False, gave_up=True)
    assert take(run) is order
    assert not run.add(mail)  # one is all that this server takes
    assert run.not_connected(order, ConnectError("gone"))
    outcome = run.next_outcome()
    assert outcome is not None
    assert isinstance(outcome.error, ConnectError)


def test_of_two_workers_that_get_no_connection_at_once_one_stays() -> None:
    run = Run(Limits(max_connections=2, max_in_flight=1), OPTIONS, wake=lambda: None)
    mail = Outgoing(BODY, FROM, [TO])
    assert run.add(mail)
    assert run.add(mail)
    first, second = take(run), take(run)
    assert not run.not_connected(first, ConnectError("full"))
    assert run.not_connected(second, ConnectError("full"))  # although the first is not gone yet
    run.leaves(connected=False, gave_up=True)
    assert take(run) is first
    assert run.not_connected(first, ConnectError("full"))


def test_what_is_the_same_for_all_is_tried_once() -> None:
    run = run_of(3)
    error = AuthenticationError("no", mechanism="PLAIN")
    assert run.not_connected(take(run), error)
    assert run.take() is None
    outcomes = [run.next_outcome() for _ in range(3)]
    assert all(each and isinstance(each.error, AuthenticationError) for each in outcomes)
    assert outcomes[1] is not None
    assert outcomes[1].error is not error
    refusal = PermanentRefusal(Reply(554, None, ("full",)), stage="greeting")  # may differ from one to the next
    run = run_of(2)
    run.not_connected(take(run), refusal)
    assert run.take() is not None


def test_a_run_that_is_stopped_or_broken() -> None:
    run = run_of(1)
    run.check()
    run.is_stopped = True
    assert run.take() is None
    assert run.needs_nobody
    with pytest.raises(LocalProtocolError, match="closed"):
        run.check()
    run.leaves(connected=False, crash=KeyboardInterrupt())
    run.leaves(connected=False, crash=SystemExit())
    with pytest.raises(KeyboardInterrupt):
        run.check()


def hold_of(run: Run, *, messages: int = 0, wanted: bool = False) -> tuple[Hold, Order]:
    conversation = Conversation(settings_for("smtp://localhost"), ("127.0.0.1", 1), ("127.0.0.1", 2), None)
    conversation.messages = messages
    order = take(run)
    return Hold(run, conversation, order, wanted=lambda: wanted), order


def ready_hold(run: Run, *, wanted: bool = False) -> Hold:
    hold, _ = hold_of(run, wanted=wanted)
    hold._conversation.protocol = ready("PIPELINING,CHUNKING")
    return hold


def test_jobs_come_one_by_one_and_those_that_can_not_are_told() -> None:
    run = run_of(1)
    for given in (Outgoing(b"bare\nnewline", FROM, [TO]), object(), Outgoing(BODY, FROM, [TO])):
        run.add(given)
    hold = ready_hold(run)
    keys = [job.key.index for job in iter(hold.next_job, None) if isinstance(job.key, Order)]
    assert keys == [0, 3]
    assert run.next_outcome() is None
    assert hold.take_alone() is None


def test_what_must_go_alone_stops_the_flight() -> None:
    run = run_of(1)
    run.add(Outgoing(iter([BODY]), FROM, [TO]))
    run.add(Outgoing(BODY, FROM, [TO]))
    hold = ready_hold(run)
    assert hold.next_job() is not None
    assert hold.next_job() is None
    assert hold.next_job() is None
    alone = hold.take_alone()
    assert alone is not None
    assert alone.index == 1
    hold.sent_alone(alone, RESULT)
    assert hold.next_job() is not None


def test_the_connection_goes_round_where_others_wait() -> None:
    run = run_of(150)
    hold = ready_hold(run, wanted=True)
    assert len(list(iter(hold.next_job, None))) == 100
    assert take(run).index == 100


def test_sent_alone_and_lost_it_is_sent_once_more() -> None:
    run = run_of(1)
    hold, order = hold_of(run, messages=2)
    order.prepare(OPTIONS)
    hold._conversation.may_repeat = lambda mail, error: True  # type: ignore[method-assign]
    hold.failed_alone(order, LOST)
    assert take(run) is order
    hold.failed_alone(order, LOST)
    outcome = run.next_outcome()
    assert outcome is not None
    assert outcome.error is LOST


def job_of(order: Order) -> Job:
    return Job(order, None, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("messages", "attempts", "begun", "repeated"),
    [(1, 0, True, True), (0, 0, True, False), (1, 1, True, False), (0, 0, False, True), (0, 1, False, True)],
)
def test_lost_ones_are_repeated_once_and_only_if_the_connection_was_good(
    messages: int, attempts: int, begun: bool, repeated: bool
) -> None:
    run = run_of(1)
    hold, order = hold_of(run, messages=messages)
    order.attempts = attempts
    hold.lost(job_of(order), LOST, begun=begun)
    assert run.has_work is repeated
    assert (run.next_outcome() is None) is repeated


def test_a_hold_gives_back_what_it_did_not_begin() -> None:
    run = run_of(2)
    hold, order = hold_of(run)
    hold.end()
    assert take(run) is order
    hold, other = hold_of(run)
    hold.alone = other
    assert hold.take_alone() is None  # its connection is not READY
    hold.failed_alone(order, ValueError("no"))
    hold.end()
    assert take(run) is other
    hold.landed(job_of(other), SMTPXError("no"))
    assert [each.index for each in (run.next_outcome(), run.next_outcome()) if each] == [0, 1]


class _Told(MessageObserver):
    def __init__(self, told: list[object]) -> None:
        self._told = told

    def ended(self, result: SendResult | None, error: BaseException | None) -> None:
        self._told.append(result or error)


def test_each_message_is_told_once_from_its_turn_on() -> None:
    told: list[object] = []
    begun: list[_Told] = []

    def begin() -> MessageObserver:
        begun.append(_Told(told))
        return begun[-1]

    run = Run(Limits(), OPTIONS, wake=lambda: None, begin=begin)
    for _ in range(4):
        run.add(Outgoing(b"x\r\n", "a@x.example", ["b@y.example"]))
    first, second, third = (run.take() for _ in range(3))
    assert first and second and third and not begun  # noqa: PT018
    run.prepare(first)
    run.prepare(second)
    run.prepare(second)
    assert len(begun) == 2
    run.settle(first, RESULT)
    run.settle(third, LOST)  # its turn and its end in one
    assert len(begun) == 3
    assert isinstance(told[0], SendResult)
    assert told[1] is LOST
    run.is_stopped = True
    run.give_up()
    assert isinstance(told[2], LocalProtocolError)
    run.settle(second, LOST)  # a thread that was late
    run.give_up()
    assert len(told) == len(begun) == 3


def test_a_message_that_writes_itself_is_written_ahead_once_a_server_is_known() -> None:
    run = run_of(1, max_connections=1)
    hold_of(run)
    letters = [Letter() for _ in range(3)]
    for each in letters:
        run.add(each)
    first = take(run)
    assert [each.written for each in letters] == [[(False, False)]] * 3
    assert first.weight == len(Letter.text)  # what is at hand counts
    assert run.prepare(first).source.content(ready().capabilities, utf8=False).data == Letter.text
    assert letters[0].written == [(False, False)]


def test_what_cannot_be_written_ahead_is_told_in_its_turn() -> None:
    run = run_of(1)
    hold = ready_hold(run)
    assert hold.next_job() is not None
    run.add(Letter(fails=True))
    run.add(Letter(recipients=()))
    run.add(Letter())
    job = hold.next_job()
    assert job is not None
    assert job.content.data == Letter.text
    assert run.next_outcome() is None  # that of the first one
    failed = [order.outcome.error for order in run._unfinished if order.outcome is not None]
    assert [str(each) for each in failed] == ["can't write (stage: body)", "no recipients (stage: mail)"]


def test_what_is_long_is_not_written_ahead() -> None:
    run = run_of(1)
    hold_of(run)
    streamed = Letter(is_streamed=True)
    run.add(streamed)
    assert streamed.written == []

"""Everything that can go wrong with a server, by every way that a message takes: each has the right outcome, once."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from smtpx.errors import PermanentRefusal, TemporaryRefusal
from smtpx.flows.outcome import SendResult
from smtpx.flows.session import Security
from smtpx.mailer.failover import FailoverProvider
from smtpx.mailer.provider import Provider, is_unknown
from smtpx.mailer.retry import Retry
from smtpx.mailer.service import MailService
from smtpx.mailer.smtp import SMTPProvider
from smtpx.mailer.status import Status, statuses
from smtpx.message.compose import Message
from tests.certificates import Authority, server_context
from tests.mailer.rig import CUT, DROP, STALL, FakeServer, faking, letter, letters, office, subject_of
from tests.server.rig import FAST, eventually

COUNT = 4
QUICK = Retry(attempts=3, first_seconds=0.001, jitter_seconds=0)
PIPELINING = b"250-fake.example\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
Outcome = SendResult | Exception
Way = Callable[[Any, list[Message]], Awaitable[list[Outcome]]]  # by a provider or a service


def word(outcome: Outcome) -> str:
    """Sent, temporary, permanent or unknown: what an application has to know."""
    if isinstance(outcome, SendResult):
        return "sent"
    if is_unknown(outcome):
        return "unknown"
    return "temporary" if outcome.is_temporary else "permanent"  # type: ignore[attr-defined]


# The ways -------------------------------------------------------------------------------------------------------------


async def one_by_one(sender: Provider | MailService, messages: list[Message]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for message in messages:
        try:
            outcomes.append(await sender.send(message))
        except Exception as error:
            outcomes.append(error)
    return outcomes


async def in_bulk(sender: Provider | MailService, messages: list[Message]) -> list[Outcome]:
    told: list[int] = []
    result = await sender.send_bulk(messages, on_outcome=lambda outcome: told.append(outcome.index))
    assert told == [each.index for each in result.outcomes] == list(range(len(messages)))
    return [each.result or each.error for each in result.outcomes]  # type: ignore[misc]


WAYS: dict[str, Way] = {"send": one_by_one, "send_bulk": in_bulk}


# The faults -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What a server does once, and what becomes of the first message: directly, tried again, with a second provider."""

    name: str
    answers: dict[str, Any]
    directly: str
    again: str
    elsewhere: str
    options: dict[str, Any] = field(default_factory=dict)
    is_lasting: bool = False  # it does so always, to all messages
    text: str | None = None


def _once(
    verb: str,
    answer: bytes | None,
    directly: str,
    again: str,
    elsewhere: str,
    *,
    name: str = "",
    **more: Any,  # noqa: ANN401 - further fields
) -> Fault:
    what = name or ("drops" if answer is None else answer.decode()[:3] or "stalls")
    return Fault(f"{what} at {verb}", {verb: [answer]}, directly, again, elsewhere, **more)


FOR_NOW = ("temporary", "sent", "sent")
FOR_GOOD = ("permanent", "permanent", "permanent")
UNKNOWN = ("unknown", "unknown", "unknown")
BEFORE = ("GREETING", "EHLO", "MAIL", "RCPT", "DATA")
SLOW = {"timeout": 0.3}
STARTTLS = b"250-fake.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n"
BY_TLS = {"security": Security.STARTTLS}

FAULTS = [
    *(_once(verb, b"421 4.3.2 going down\r\n", *FOR_NOW) for verb in BEFORE),
    *(_once(verb, b"450 4.7.1 greylisted\r\n", *FOR_NOW) for verb in ("MAIL", "RCPT", "DATA")),
    *(_once(verb, b"550 5.7.1 no\r\n", *FOR_GOOD) for verb in ("MAIL", "RCPT", "DATA", "BODY")),
    # What was sent whole is not sent there again by itself, whatever the answer; elsewhere it is.
    *(
        _once("BODY", answer, "temporary", "temporary", "sent")
        for answer in (b"421 4.3.2 bye\r\n", b"451 4.3.0 no\r\n")
    ),
    *(_once(verb, DROP, *FOR_NOW) for verb in BEFORE),
    *(_once(verb, STALL, *FOR_NOW, options=SLOW) for verb in BEFORE),
    _once("DATA", CUT, "temporary", "temporary", "sent", name="drops in the content", text=("x" * 70 + "\n") * 100_000),
    _once("BODY", DROP, *UNKNOWN),
    _once("BODY", STALL, *UNKNOWN, options=SLOW),
    _once("BODY", b"\xff\xfe nonsense\r\n", *UNKNOWN, name="nonsense"),
    _once("BODY", b"250 ok\r\n250 ok\r\n", "sent", "sent", "sent", name="one reply too many"),
    Fault("greylists always", {"RCPT": b"450 4.7.1 later\r\n"}, "temporary", "temporary", "sent", is_lasting=True),
    Fault("STARTTLS is not offered", {}, "permanent", "permanent", "sent", BY_TLS, is_lasting=True),
    Fault(
        "STARTTLS is refused",
        {"EHLO": STARTTLS, "STARTTLS": b"454 4.7.0 no\r\n"},
        *("temporary", "temporary", "sent"),
        BY_TLS,
        is_lasting=True,
    ),
]


@contextlib.asynccontextmanager
async def broken(fault: Fault, ehlo: bytes) -> AsyncIterator[tuple[FakeServer, SMTPProvider]]:
    async with (
        faking(**{"EHLO": ehlo, **copies(fault.answers)}) as server,
        server.provider(**fault.options) as provider,
    ):
        yield server, provider


def copies(answers: dict[str, Any]) -> dict[str, Any]:
    """These, whose lists are used up."""
    return {verb: list(told) if isinstance(told, list) else told for verb, told in answers.items()}


async def expect(
    fault: Fault,
    first: str,
    way: Way,
    sender: Any,  # noqa: ANN401 - a provider or a service
    servers: list[FakeServer],
) -> None:
    messages = letters(COUNT)
    if fault.text is not None:
        messages[0] = messages[0].with_(text=fault.text)
    async with asyncio.timeout(20):
        outcomes = await way(sender, messages)
    others = first if fault.is_lasting else "sent"
    assert [*map(word, outcomes)] == [first] + [others] * (COUNT - 1)
    account_for(messages, outcomes, [subject_of(each) for server in servers for each in server.taken])


def account_for(messages: list[Message], outcomes: list[Outcome], taken: list[str]) -> None:
    """Nothing is lost in silence, nothing sent twice, and whoever asks for a status hears the same."""
    assert len(outcomes) == len(messages)
    words = {"sent": {Status.SENT}, "temporary": {Status.FAILED}, "unknown": {Status.UNKNOWN}}
    for message, outcome in zip(messages, outcomes, strict=True):
        count, found = taken.count(str(message.subject)), word(outcome)
        assert count in {"sent": (1,), "unknown": (0, 1)}.get(found, (0,)), (message.subject, found, count)
        assert set(statuses(message, outcome).values()) <= words.get(found, {Status.REJECTED, Status.INVALID})
    assert set(taken) <= {str(message.subject) for message in messages}


both = pytest.mark.parametrize("ehlo", [FakeServer.usual["EHLO"], PIPELINING], ids=["step by step", "pipelining"])
each_way = pytest.mark.parametrize("way", WAYS)
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


@both
@each_way
@each_fault
async def test_directly(fault: Fault, way: str, ehlo: bytes) -> None:
    async with broken(fault, ehlo) as (server, provider):
        await expect(fault, fault.directly, WAYS[way], provider, [server])


@both
@each_way
@each_fault
async def test_with_a_service_that_tries_again(fault: Fault, way: str, ehlo: bytes) -> None:
    async with broken(fault, ehlo) as (server, provider), MailService(provider, retry=QUICK) as service:
        await expect(fault, fault.again, WAYS[way], service, [server])


@both
@each_way
@each_fault
async def test_with_a_second_provider(fault: Fault, way: str, ehlo: bytes) -> None:
    async with (
        broken(fault, ehlo) as (server, provider),
        faking() as other,
        FailoverProvider([provider, other.provider()]) as two,
    ):
        await expect(fault, fault.elsewhere, WAYS[way], two, [server, other])


# Faults of TLS and login ----------------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("fault", ["expired", "wrong_name", "self_signed"])
async def test_a_bad_certificate_ends_it_before_any_secret_and_another_provider_sends(
    fault: str, way: str, tmp_path: Path
) -> None:
    authority = Authority()
    trust = {"ssl_context": None, "ca_file": authority.trust(tmp_path)}
    async with office(tls=server_context(authority.faulty()[fault], tmp_path)) as post, faking() as other:
        async with MailService(post.provider(**trust), retry=QUICK) as service:
            outcomes = await WAYS[way](service, letters(COUNT))
        assert [*map(word, outcomes)] == ["permanent"] * COUNT
        account_for(letters(COUNT), outcomes, post.subjects)
        async with FailoverProvider([post.provider(**trust), other.provider()]) as provider:
            await expect(Fault(fault, {}, "", "", "", is_lasting=True), "sent", WAYS[way], provider, [other])
        assert not any("authenticate" in session.calls for session in post.sessions)


@each_way
async def test_a_wrong_password_is_for_good_and_another_provider_sends(way: str) -> None:
    async with office(limits=FAST) as post, faking() as other:
        async with MailService(post.provider(password="wrong"), retry=QUICK) as service:
            outcomes = await WAYS[way](service, letters(COUNT))
        assert [*map(word, outcomes)] == ["permanent"] * COUNT
        account_for(letters(COUNT), outcomes, post.subjects)
        async with FailoverProvider([post.provider(password="wrong"), other.provider()]) as provider:
            await expect(Fault("wrong", {}, "", "", "", is_lasting=True), "sent", WAYS[way], provider, [other])
        assert post.subjects == []


# Recipients -----------------------------------------------------------------------------------------------------------

PEOPLE = ["good@x.example", "never@x.example", "later@x.example"]
SAID = {"good": b"250 ok\r\n", "never": b"550 5.1.1 who?\r\n", "later": b"450 4.2.2 full\r\n"}
EXPECTED = [Status.SENT, Status.REJECTED, Status.FAILED]


def by_name(line: str) -> bytes:
    return next(answer for name, answer in SAID.items() if name in line)


@both
@each_way
async def test_some_recipients_are_refused_and_everybody_has_a_word(way: str, ehlo: bytes) -> None:
    async with faking(EHLO=ehlo, RCPT=by_name) as server, faking() as other:
        message = letter(to=PEOPLE)
        providers = [server.provider(), other.provider()]
        async with MailService(FailoverProvider(providers), retry=QUICK) as service:
            (outcome,) = await WAYS[way](service, [message])
        assert [*statuses(message, outcome).values()] == EXPECTED
        assert len(server.taken) == 1
        assert other.connections == 0  # somebody has it: nobody is to get it from another server


@both
@each_way
async def test_all_recipients_are_refused(way: str, ehlo: bytes) -> None:
    never, mixed = letter(0, to=PEOPLE[1]), letter(1, to=PEOPLE[1:])
    async with faking(EHLO=ehlo, RCPT=by_name) as server:
        async with MailService(server.provider(), retry=QUICK) as service:
            outcomes = await WAYS[way](service, [never, mixed])
        assert [*map(word, outcomes)] == ["permanent", "temporary"]
        assert [*statuses(mixed, outcomes[1]).values()] == EXPECTED[1:]
        assert server.messages == []


@each_way
async def test_lmtp_says_a_word_for_each_behind_the_dot(way: str) -> None:
    verdicts = b"250 2.0.0 ok\r\n552 5.2.2 too big\r\n451 4.2.0 busy\r\n"
    refused = b"552 5.2.2 too big\r\n451 4.2.0 busy\r\n"
    message, other = letter(0, to=PEOPLE), letter(1, to=PEOPLE[1:])
    async with faking(BODY=[verdicts, refused]) as server:
        provider = SMTPProvider.from_url(f"lmtp://127.0.0.1:{server.port}", rate_limit=None)
        async with MailService(provider, retry=QUICK) as service:
            first, second = await WAYS[way](service, [message, other])
        assert [*statuses(message, first).values()] == EXPECTED
        assert isinstance(first, SendResult)
        assert {type(error) for error in first.refused.values()} == {PermanentRefusal, TemporaryRefusal}
        assert word(second) == "temporary"
        assert [*statuses(other, second).values()] == EXPECTED[1:]
        assert len(server.messages) == 2  # none was sent again


# A server that is killed ----------------------------------------------------------------------------------------------


class Process:
    """`smtpx serve` with a Maildir, as a process that can be killed and started again on its port."""

    def __init__(self, maildir: Path) -> None:
        self.maildir = maildir
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "smtpx", "serve", "--port", str(self.port), "--maildir", str(self.maildir)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def subjects(self) -> list[str]:
        return [subject_of(path.read_bytes()) for path in (self.maildir / "new").glob("*")]

    @property
    def count(self) -> int:
        return sum(1 for _ in (self.maildir / "new").glob("*"))


async def test_a_server_that_is_killed_under_load_loses_nothing_in_silence_and_gets_nothing_twice(
    tmp_path: Path,
) -> None:
    server = Process(tmp_path / "mail")
    provider = SMTPProvider(
        "127.0.0.1", server.port, security=Security.NONE, rate_limit=None, max_connections=4, timeout=10
    )
    service = MailService(provider, retry=Retry(attempts=3, first_seconds=0.05, jitter_seconds=0.05))
    outcomes: dict[int, list[Outcome]] = {}

    def keep(message: Message, outcome: Outcome) -> bool:
        """Whether it is done: what failed for now is given to the service again, as an application would."""
        outcomes.setdefault(int(str(message.subject).removeprefix("Letter ")), []).append(outcome)
        return word(outcome) != "temporary"

    async def sender(numbers: range) -> None:
        for number in numbers:
            await until_done(one_by_one, [letter(number)])

    async def until_done(way: Way, left: list[Message]) -> None:
        while left:
            said = await way(service, left)
            left = [message for message, outcome in zip(left, said, strict=True) if not keep(message, outcome)]
            await asyncio.sleep(0.01)

    server.start()
    try:
        tasks = [asyncio.create_task(sender(range(start, start + 25))) for start in range(1000, 9000, 1000)]
        tasks.append(asyncio.create_task(until_done(in_bulk, letters(300))))
        for _ in range(4):
            before = server.count
            await eventually(lambda: server.count > before + 25, 30)  # noqa: B023 - called at once
            server.kill()
            server.start()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)
        await service.close()
    finally:
        server.kill()
    assert len(outcomes) == 8 * 25 + 300
    final = [said[-1] for said in outcomes.values()]
    assert {*map(word, final)} <= {"sent", "unknown"}
    assert any(len(said) > 1 for said in outcomes.values())  # it was killed under load
    account_for([letter(number) for number in outcomes], final, server.subjects)

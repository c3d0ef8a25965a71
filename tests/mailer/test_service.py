"""The service: names, defaults, preparation, retries, bulk, health."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from smtpx.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RefusedError,
    SMTPXError,
    TemporaryRefusal,
)
from smtpx.mailer.local import MemoryProvider
from smtpx.mailer.once import DuplicateError
from smtpx.mailer.provider import BulkError, HealthState, NotTriedError, Probe, ProviderClosedError
from smtpx.mailer.retry import Retry
from smtpx.mailer.service import MailService
from smtpx.mailer.template import Templates
from smtpx.message.address import Address
from smtpx.message.compose import Message, MessageError
from smtpx.message.sendable import Posting, Sendable
from smtpx.wire.reply import Reply
from tests.mailer.rig import FROM, TO, BulkAPI, Note, letter, letters, office, result_for, theirs
from tests.mailer.test_observer import Everything
from tests.server.rig import eventually

QUICK = Retry(attempts=3, first_seconds=0.01, jitter_seconds=0)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def refusal(code: int, stage: str = "rcpt") -> RefusedError:
    return RefusedError.of(Reply(code, None, ("told so",)), stage=stage)


# Registration ---------------------------------------------------------------------------------------------------------


def test_register_ok_empty_name_missing_taken() -> None:
    service = MailService()
    service.register("smtp", MemoryProvider())
    assert service.has_provider("smtp")
    assert not service.has_provider("other")
    with pytest.raises(ConfigurationError, match="needs a name"):
        service.register("", MemoryProvider())
    with pytest.raises(ConfigurationError, match="'none' is none"):
        service.register("none", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="'smtp' already"):
        service.register("smtp", MemoryProvider())


async def test_default_ok_unknown_single_several_and_p16_given_beforehand() -> None:
    one, other = MemoryProvider(), MemoryProvider()
    service = MailService(one)
    assert service.default == "default"
    assert service.provider() is one
    service = MailService({"a": one, "b": other})
    assert service.default is None
    with pytest.raises(ConfigurationError, match="none of the providers is the default"):
        await service.send(letter())
    with pytest.raises(ConfigurationError, match="none of the providers is the default"):
        await service.send_bulk([letter()])
    with pytest.raises(ConfigurationError, match="no provider 'c'; known: a, b"):
        service.set_default("c")
    service.set_default("b")
    await service.send(letter())
    assert len(other.outbox) == 1
    late = MailService(default="b")
    with pytest.raises(ConfigurationError, match="known: none"):
        await late.send(letter())
    late.register("a", one)
    late.register("b", other)
    await late.send(letter())
    assert len(other.outbox) == 2
    with pytest.raises(ConfigurationError, match="no provider is registered"):
        MailService().provider()


def test_listing_sorted_and_empty() -> None:
    assert MailService().list_providers() == []
    service = MailService({"b": MemoryProvider(from_email=FROM), "a": BulkAPI(lambda given: [])}, clock=lambda: NOON)
    service.set_default("b")
    assert service.providers == ["a", "b"]
    first, second = service.list_providers()
    assert (first.name, first.type, first.is_default, first.registered_at) == ("a", "api", False, NOON)
    assert (second.name, second.type, second.is_default) == ("b", "memory", True)
    assert second.metadata == {"from_email": FROM}


@pytest.mark.parametrize("name", ["max_recipients", "max_message_bytes", "max_keys"])
def test_limits_of_nothing_are_a_mistake(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        MailService(**{name: 0})  # type: ignore[arg-type]


# One message ----------------------------------------------------------------------------------------------------------


async def test_p10_three_lines_send_a_mail() -> None:
    async with office() as post:
        async with MailService(post.provider()) as mail:
            await mail.send(Message(from_=FROM, to=TO, subject="Hi", text="Hello"))
        assert post.subjects == ["Hi"]
        assert post.messages[0].tls
        assert post.messages[0].identity == "user"


async def test_by_name_by_what_the_message_says_and_unknown() -> None:
    a, b, c = (MemoryProvider() for _ in range(3))
    async with MailService({"a": a, "b": b, "c": c}, default="a") as service:
        await service.send(letter())
        await service.send(letter(provider="b"))
        await service.send(letter(provider="b"), provider="c")
        assert [len(each.outbox) for each in (a, b, c)] == [1, 1, 1]
        with pytest.raises(ConfigurationError, match="no provider 'd'"):
            await service.send(letter(provider="d"))
        with pytest.raises(ConfigurationError, match="no provider 'd'"):
            await service.send(letter(), provider="d")


async def test_messages_are_stamped_by_clock_and_id_source_and_transformed() -> None:
    class Signed:
        def __init__(self, inner: Sendable, mark: bytes) -> None:
            self.inner, self.mark, self.message_id = inner, mark, inner.message_id

        def posting(self) -> Posting:
            return self.inner.posting()

        def octets(self, *, eight_bit: bool, utf8: bool) -> Iterator[bytes]:
            yield b"X-Signed: " + self.mark + b"\r\n"
            yield from self.inner.octets(eight_bit=eight_bit, utf8=utf8)

    memory = MemoryProvider()
    service = MailService(
        memory,
        clock=lambda: NOON,
        new_id=lambda domain: f"<1@{domain}>",
        transforms=[lambda message: Signed(message, b"a"), lambda message: Signed(message, b"b")],
    )
    await service.send(letter())
    await service.send_bulk([letter()])
    first, second = memory.outbox
    assert first.octets == second.octets
    assert first.octets.startswith(b"X-Signed: b\r\nX-Signed: a\r\nDate: Wed, 01 Jul 2026 12:00:00 +0000\r\n")
    assert first.email["Message-ID"] == "<1@shop.example>"


async def test_default_sender_is_that_of_the_provider() -> None:
    a, b = MemoryProvider(from_email="a@a.example"), MemoryProvider(from_email="b@b.example")
    service = MailService({"a": a, "b": b}, default="a")
    await service.send(letter(from_=()))
    await service.send(letter(from_=()), provider="b")
    assert (a.outbox[0].sender, b.outbox[0].sender) == ("a@a.example", "b@b.example")


# The builder ----------------------------------------------------------------------------------------------------------


async def test_builder_is_bound_to_the_service_and_makes_the_same_octets_as_a_message() -> None:
    memory, other = MemoryProvider(from_email=FROM), MemoryProvider(from_email=FROM)
    service = MailService(
        {"default": memory, "other": other},
        default="default",
        clock=lambda: NOON,
        new_id=lambda domain: "<1@x.example>",
    )
    result = await service.new().to(TO).cc("b@home.example").subject("Hi").html("<p>Hi").text("Hi").send()
    assert result.accepted
    await service.send(Message(to=TO, cc="b@home.example", subject="Hi", html="<p>Hi", text="Hi"))
    assert memory.outbox[0].octets == memory.outbox[1].octets
    await service.new().to(TO).text("x").provider("other").send()
    assert len(other.outbox) == 1
    with pytest.raises(ConfigurationError, match="no provider 'nobody'"):
        await service.new().to(TO).text("x").provider("nobody").send()


async def test_builder_errors_are_those_of_validation_and_of_the_provider() -> None:
    memory = MemoryProvider(from_email=FROM)
    service = MailService(memory)
    with pytest.raises(MessageError, match="to: "):
        await service.new().text("x").send()
    with pytest.raises(MessageError, match="no address: nobody"):
        await service.new().to("nobody").send()
    memory.fail(refusal(550))
    with pytest.raises(PermanentRefusal):
        await service.new().to(TO).text("x").send()
    with pytest.raises(ConfigurationError, match="no provider is registered"):
        await MailService().new().to(TO).text("x").send()


async def test_builder_build_is_a_copy_and_a_clone_is_independent() -> None:
    memory = MemoryProvider(from_email=FROM)
    builder = MailService(memory).new().to(TO).text("one")
    built = builder.build()
    clone = builder.clone().to("c@home.example")
    builder.text("two").to("b@home.example")
    assert built.text == "one"
    assert len(built.to) == 1
    await clone.send()
    assert memory.outbox[0].recipients == (TO, "c@home.example")


async def test_builder_renders_the_templates_of_the_service() -> None:
    memory = MemoryProvider(from_email=FROM)
    templates = Templates({"hi.txt": "{% block subject %}Hi {{ name }}{% endblock %}Dear {{ name }}"})
    await MailService(memory, templates=templates).new().to(TO).template("hi", name="Jane").send()
    assert memory.outbox[0].subject == "Hi Jane"


# Validation -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"to": TO, "text": "minimal text"},
        {"to": TO, "html": "<p>minimal HTML"},
        {"cc": TO, "text": "x"},
        {"bcc": TO, "text": "x"},
        {"to": "a@b.example", "cc": "c@d.example", "bcc": "e@f.example", "text": "x", "html": "<p>x"},
        {"to": [f"u{number}@home.example" for number in range(100)], "text": "x"},
        {"to": TO, "text": "x" * 1000},
    ],
)
async def test_valid(fields: dict[str, Any]) -> None:
    memory = MemoryProvider()
    await MailService(memory, max_message_bytes=1000).send(Message(from_=FROM, **fields))
    assert len(memory.outbox) == 1


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"from_": FROM, "text": "x"}, {"to"}),
        ({"from_": FROM, "to": TO}, {"text"}),
        ({"from_": FROM, "to": TO, "text": "x" * 1001}, {"size"}),
        ({"from_": FROM, "to": TO, "text": "x" * 500, "html": "y" * 501}, {"size"}),
        ({"from_": FROM, "to": [f"u{number}@home.example" for number in range(101)], "text": "x"}, {"recipients"}),
        (
            {
                "from_": FROM,
                **{f: [f"{f}{n}@home.example" for n in range(40)] for f in ("to", "cc", "bcc")},
                "text": "x",
            },
            {"recipients"},
        ),
        ({"to": TO, "text": "x"}, {"from_"}),
        ({}, {"from_", "to", "text"}),
    ],
)
async def test_invalid_with_all_findings_at_once(fields: dict[str, Any], names: set[str]) -> None:
    memory = MemoryProvider()
    service = MailService(memory, max_message_bytes=1000)
    with pytest.raises(MessageError) as caught:
        await service.send(Message(**fields))
    assert names <= {each.field for each in caught.value.findings}
    assert {each.field for each in caught.value.findings} <= names | {"sender"}
    assert memory.outbox == []


async def test_what_is_no_message_is_held_to_the_limits_too() -> None:
    memory = MemoryProvider()
    service = MailService(memory, max_recipients=2, max_message_bytes=30)
    await service.send(Note(text=b"x" * 28 + b"\r\n", recipients=("a@b.example", "c@d.example")))
    with pytest.raises(LocalProtocolError, match="3 recipients, and 2 are allowed"):
        await service.send(Note(recipients=("a@b.example", "c@d.example", "e@f.example")))
    with pytest.raises(LocalProtocolError, match="more than the 30 octets"):
        await service.send(Note(text=b"x" * 29 + b"\r\n"))
    with pytest.raises(LocalProtocolError, match=r"not str$"):
        await service.send("a@b.example")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"to": ["a@x.example", "b@x.example"], "cc": ["c@x.example"]}, (["a", "b"], ["c"], [])),
        ({"to": ["a@x.example"], "cc": ["a@x.example", "c@x.example"], "bcc": ["a@x.example"]}, (["a"], ["c"], [])),
        ({"cc": ["a@x.example"], "bcc": ["a@x.example", "b@x.example"]}, ([], ["a"], ["b"])),
        ({"to": ["a@x.example", "b@x.example", "a@X.example"]}, (["a", "b"], [], [])),
        ({"to": ["a@x.example", "A@x.example"]}, (["a", "A"], [], [])),
        (
            {"to": ["a@x.example"], "cc": ["b@x.example", "a@x.example"], "bcc": ["b@X.EXAMPLE", "c@x.example"]},
            (["a"], ["b"], ["c"]),
        ),
        ({"to": "Team: a@x.example, b@x.example;, a@x.example", "cc": []}, (["Team", "a"], [], [])),
    ],
)
async def test_p07_clean_up_of_recipients(given: dict[str, Any], kept: tuple[list[str], ...]) -> None:
    memory = MemoryProvider()
    await MailService(memory).send(letter(**{"to": (), **given}))
    sent = memory.outbox[0].message
    assert isinstance(sent, Message)
    found = tuple(
        [each.mailbox.local_part if isinstance(each, Address) else each.name for each in named]
        for named in (sent.to, sent.cc, sent.bcc)
    )
    assert found == kept
    folded = [(address.partition("@")[0], address.partition("@")[2].lower()) for address in memory.outbox[0].recipients]
    assert len(set(folded)) == len(folded)


# Retries --------------------------------------------------------------------------------------------------------------

REPEATED = [
    ConnectError("down", stage="connect"),
    refusal(451),
    refusal(421, "mail"),
    ConnectionLost("x", stage="data"),
]
LEFT = [
    refusal(550),
    refusal(451, "final"),
    ConnectionLost("x", stage="body"),
    ConnectionLost("x", stage="final"),
    ValueError("x"),
    RuntimeError("x"),
]


@pytest.mark.parametrize("error", REPEATED, ids=repr)
async def test_temporary_errors_before_the_body_are_tried_again_with_the_same_octets(error: Exception) -> None:
    memory = MemoryProvider()
    ids: list[str | None] = []
    memory.fail(error, times=2, when=lambda message: ids.append(message.message_id) is None)
    service = MailService(memory, retry=QUICK)
    assert (await service.send(letter())).accepted
    assert [*ids] == [memory.outbox[0].message.message_id] * 2


@pytest.mark.parametrize("error", LEFT, ids=repr)
async def test_nothing_else_is_tried_again(error: Exception) -> None:
    memory = MemoryProvider()
    memory.fail(error, times=1)
    service = MailService(memory, retry=QUICK)
    with pytest.raises(type(error)):
        await service.send(letter())
    memory.fail(error, times=1)
    result = await service.send_bulk([letter(), letter()])
    assert [theirs(each.error) for each in result.outcomes] == [error, None]
    assert len(memory.outbox) == 1


async def test_attempts_come_to_an_end_and_without_a_policy_there_is_one() -> None:
    memory = MemoryProvider()
    memory.fail(refusal(451), times=3)
    with pytest.raises(TemporaryRefusal):
        await MailService(memory, retry=QUICK).send(letter())
    memory.fail(refusal(451), times=2)
    with pytest.raises(TemporaryRefusal):
        await MailService(memory).send(letter())
    assert (await MailService(memory, retry=QUICK).send(letter())).accepted


async def test_a_partial_success_is_not_tried_again() -> None:
    memory = MemoryProvider()
    memory.refuse("busy@home.example", Reply(450, None, ("busy",)))
    result = await MailService(memory, retry=QUICK).send(letter(to=[TO, "busy@home.example"]))
    assert list(result.refused) == ["busy@home.example"]
    assert len(memory.outbox) == 1


async def test_in_bulk_only_those_that_failed_for_now_are_tried_again() -> None:
    memory = MemoryProvider()
    memory.fail(refusal(451), times=4, when=lambda message: "3" in str(message.posting().recipients[0]))
    memory.fail(refusal(550), times=1, when=lambda message: "5" in str(message.posting().recipients[0]))
    service = MailService(memory, retry=Retry(attempts=10, first_seconds=0.001, jitter_seconds=0))
    told: list[int] = []
    messages = [letter(number, to=f"u{number}@home.example") for number in range(7)]
    result = await service.send_bulk(messages, on_outcome=lambda each: told.append(each.index))
    assert told == list(range(7))
    assert [each.index for each in result.failed] == [5]
    assert [each.subject for each in memory.outbox] == [f"Letter {number}" for number in (0, 1, 2, 4, 6, 3)]
    with pytest.raises(BulkError, match="1 of 7"):
        result.raise_for_failed()


async def test_closing_ends_the_wait_for_another_attempt() -> None:
    memory = MemoryProvider()
    memory.fail(refusal(451), times=None)
    service = MailService(memory, retry=Retry(first_seconds=60))
    single = asyncio.create_task(service.send(letter()))
    many = asyncio.create_task(service.send_bulk(letters(2)))
    await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        await service.close()
        with pytest.raises(TemporaryRefusal):
            await single
        result = await many
    assert all(isinstance(each.error, SMTPXError) for each in result.outcomes)
    assert len(result.outcomes) == 2


async def test_greylisting_by_a_real_server() -> None:
    from tests.mailer.rig import faking

    seen: set[str] = set()

    def grey(line: str) -> bytes:
        known = line in seen
        seen.add(line)
        return b"250 ok\r\n" if known else b"451 4.7.1 greylisted\r\n"

    async with faking(RCPT=grey) as server, MailService(server.provider(), retry=QUICK) as service:
        assert (await service.send(letter(0, to="first@home.example"))).accepted
        assert not (await service.send_bulk(letters(3))).failed
        assert len(server.messages) == 4


# Keys -----------------------------------------------------------------------------------------------------------------


async def test_a_key_is_sent_once() -> None:
    memory = MemoryProvider()
    service = MailService(memory, max_keys=2)
    await service.send(letter(), key="invoice-17")
    with pytest.raises(DuplicateError, match="invoice-17"):
        await service.send(letter(), key="invoice-17")
    memory.fail(refusal(550))
    with pytest.raises(PermanentRefusal):
        await service.send(letter(), key="invoice-18")
    await service.send(letter(), key="invoice-18")
    memory.fail(ConnectionLost("x", stage="final"))
    with pytest.raises(ConnectionLost):
        await service.send(letter(), key="invoice-19")
    with pytest.raises(DuplicateError):
        await service.send(letter(), key="invoice-19")
    await service.send(letter(), key="invoice-17")  # beyond the number of keys they are forgotten
    assert len(memory.outbox) == 3


async def test_a_key_under_way_is_taken() -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 0.02
    service = MailService(memory)
    results = await asyncio.gather(
        service.send(letter(), key="a"), service.send(letter(), key="a"), return_exceptions=True
    )
    assert isinstance(results[1], DuplicateError)
    assert len(memory.outbox) == 1


# Bulk -----------------------------------------------------------------------------------------------------------------


async def test_bulk_all_good_by_name_and_to_several_providers_in_order() -> None:
    a, b = MemoryProvider(), MemoryProvider()
    service = MailService({"a": a, "b": b}, default="a")
    told: list[int] = []
    messages = [letter(number, provider="b" if number % 2 else None) for number in range(6)]
    result = await service.send_bulk(messages, on_outcome=lambda each: told.append(each.index))
    assert not result.failed
    assert [each.message for each in result.outcomes] == messages
    assert told == list(range(6))
    assert [each.subject for each in a.outbox] == ["Letter 0", "Letter 2", "Letter 4"]
    assert [each.subject for each in b.outbox] == ["Letter 1", "Letter 3", "Letter 5"]
    await service.send_bulk(messages, provider="b")
    assert len(b.outbox) == 9
    with pytest.raises(ConfigurationError, match="no provider 'c'"):
        await service.send_bulk(messages, provider="c")


async def test_p14_bulk_has_clean_up_limits_and_an_error_for_each_bad_one() -> None:
    memory = MemoryProvider()
    service = MailService({"a": memory}, max_recipients=2)
    messages: list[Any] = [
        letter(0, to=["x@home.example", "x@HOME.example"]),
        letter(1, text=None),
        letter(2, to=()),
        None,
        letter(4, to=[f"u{number}@home.example" for number in range(3)]),
        letter(5, provider="nobody"),
        letter(6),
    ]
    for provider in (None, "a"):
        result = await service.send_bulk(messages, provider=provider)
        bad = [1, 2, 3, 4, 5] if provider is None else [1, 2, 3, 4]
        assert [each.index for each in result.failed] == bad
        assert all(isinstance(each.error, LocalProtocolError | ConfigurationError) for each in result.failed)
    assert memory.outbox[0].recipients == ("x@home.example",)


async def test_bulk_send_errors_and_a_provider_that_breaks() -> None:
    memory = MemoryProvider()
    memory.fail(refusal(550))
    result = await MailService(memory).send_bulk(letters(3))
    assert [each.index for each in result.failed] == [0]

    def breaks(given: list[Sendable]) -> list[Any]:
        raise RuntimeError("oops")

    result = await MailService(BulkAPI(breaks)).send_bulk(letters(3))
    assert [each.is_unknown for each in result.outcomes] == [True, True, True]
    result = await MailService(BulkAPI(lambda given: [result_for(given[0])], tells=False)).send_bulk(letters(2))
    assert [each.is_unknown for each in result.outcomes] == [False, True]


async def test_bulk_of_a_provider_that_is_closed() -> None:
    a, b = MemoryProvider(), MemoryProvider()
    service = MailService({"a": a, "b": b}, default="a")
    await a.close()
    result = await service.send_bulk([letter(0), letter(1, provider="b"), letter(2)])
    assert [type(each.error) for each in result.outcomes] == [ProviderClosedError, type(None), ProviderClosedError]
    assert len(b.outbox) == 1
    await b.close()
    result = await service.send_bulk([letter(1)], provider="b")
    assert isinstance(result.outcomes[0].error, NotTriedError)


async def test_bulk_passes_on_what_the_source_raises_and_takes_async_iterators() -> None:
    async def source() -> AsyncIterator[Message]:
        yield letter(0)
        yield letter(1)
        raise LookupError("no more")

    memory = MemoryProvider()
    told: list[int] = []
    with pytest.raises(LookupError, match="no more"):
        await MailService(memory).send_bulk(source(), on_outcome=lambda each: told.append(each.index))
    assert told == [0, 1]
    assert len(memory.outbox) == 2


async def test_a_callback_that_fails_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    memory = MemoryProvider()

    def broken(outcome: object) -> None:
        raise RuntimeError("the bar is gone")

    assert not (await MailService(memory).send_bulk(letters(2), on_outcome=broken)).failed
    assert "the bar is gone" in caplog.text


async def test_cancelled_in_bulk() -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 0.01
    service = MailService(memory)
    told: list[Any] = []
    sending = asyncio.create_task(service.send_bulk(letters(50), on_outcome=told.append))
    await eventually(lambda: len(memory.outbox) == 3)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert [each.index for each in told] == list(range(50))
    assert isinstance(told[49].error, NotTriedError)
    assert sum(each.error is None for each in told) == len(memory.outbox)


async def test_cancelled_and_expired_before_sending() -> None:
    memory = MemoryProvider()
    service = MailService(memory)

    async def expired() -> None:
        async with asyncio.timeout(0):
            await asyncio.sleep(0)
            await service.send(letter())

    with pytest.raises(TimeoutError):
        await expired()
    assert memory.outbox == []


# Closing --------------------------------------------------------------------------------------------------------------


async def test_closing_closes_what_it_owns_and_takes_no_more() -> None:
    owned, lent, mine = MemoryProvider(), MemoryProvider(), MemoryProvider()
    async with MailService({"owned": owned}) as service:
        service.register("lent", lent, owned=False)
        assert not service.is_closed
    assert (owned.is_closed, lent.is_closed, service.is_closed) == (True, False, True)
    await service.close()
    for call in (service.send(letter()), service.send_bulk([letter()])):
        with pytest.raises(ProviderClosedError, match="this mail service is closed"):
            await call
    with pytest.raises(ProviderClosedError):
        service.register("more", mine)
    async with MailService(mine, owned=False):
        pass
    assert not mine.is_closed


async def test_closed_in_the_middle_of_a_bulk_the_rest_is_not_tried() -> None:
    memory = MemoryProvider()
    memory.delay_seconds = 0.01
    service = MailService(memory)
    sending = asyncio.create_task(service.send_bulk(letters(50)))
    await eventually(lambda: len(memory.outbox) == 2)
    await service.close()
    result = await sending
    assert len(result.outcomes) == 50
    assert len(result.succeeded) == len(memory.outbox)
    assert all(isinstance(each.error, NotTriedError) for each in result.failed)


# Health (2.6) ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({}, "UNHEALTHY"),
        ({"a": "HEALTHY"}, "HEALTHY"),
        ({"a": "UNHEALTHY"}, "UNHEALTHY"),
        ({"a": "DEGRADED"}, "DEGRADED"),
        ({"a": "UNHEALTHY", "b": "HEALTHY"}, "UNHEALTHY"),
        ({"a": "HEALTHY", "b": "UNHEALTHY"}, "DEGRADED"),
        ({"a": "HEALTHY", "b": "DEGRADED"}, "DEGRADED"),
        ({"a": "HEALTHY", "b": "HEALTHY"}, "HEALTHY"),
    ],
)
async def test_readiness_is_that_of_the_default_and_then_of_the_others(states: dict[str, str], expected: str) -> None:
    service = MailService(default="a")
    for name, state in states.items():
        provider = BulkAPI(lambda given: [])
        provider.health = HealthState(state)
        service.register(name, provider)
    health = await service.check(Probe.READINESS)
    assert health.state.value == expected
    assert [each.state.value for each in health.dependencies] == list(states.values())
    assert (await service.check()).state.value == ("HEALTHY" if states else "UNHEALTHY")


async def test_an_observer_is_told_of_each_message_of_the_service() -> None:
    observer = Everything()
    async with MailService({"a": MemoryProvider(), "b": MemoryProvider()}, default="a", observer=observer) as mail:
        await mail.send(letter(provider="b"))
        await mail.send_bulk([letter(provider="b")])
        await mail.new().from_(FROM).to(TO).text("x").send()
    assert [each for each in observer.told if "ended" not in str(each[0])] == [
        ("message", "b"),
        ("many", "a"),
        ("one of many", "b"),
        ("message", "a"),
    ]

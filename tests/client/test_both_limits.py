"""Both clients obey what a server says of its limits (RFC 9422), and say what came of it."""

from collections.abc import Iterator

import pytest

import smtpx
from smtpx.client.settings import Limits
from smtpx.errors import ConfigurationError, ConnectionLost, PermanentRefusal, TemporaryRefusal, UnsupportedError
from tests.client.dialogues import BODY, BODY_WIRE, FROM, TO, url
from tests.peers import Colour, ScriptedServer

QUIT = "C: QUIT\nS: 221 bye\n"


def start(limits: str) -> str:
    return f"S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250 {limits}\n"


def transaction(*to: str, replies: dict[str, str] | None = None, end: str = "250 done") -> str:
    script = f"C: MAIL FROM:<{FROM}>\nS: 250 m\n"
    for each in to:
        script += f"C: RCPT TO:<{each}>\nS: {(replies or {}).get(each, '250 r')}\n"
    return script + f"C: DATA\nS: 354 go\n{BODY_WIRE}S: {end}\n"


A, B, C = "a@1.example", "b@2.example", "c@1.example"


def test_t10_a_thousand_recipients_of_a_server_that_takes_a_hundred(colour: Colour) -> None:
    sizes: list[int] = []

    class Counting(smtpx.Session):
        async def mail(self, sender: object, params: object) -> None:
            sizes.append(0)

        async def rcpt(self, recipient: object, params: object) -> None:
            sizes[-1] += 1

    to = [f"r{number}@y.example" for number in range(1000)]
    limits = smtpx.ServerLimits(max_recipients=100, max_messages_per_connection=3)
    with (
        smtpx.ServerThread(Counting, port=0, limits=limits) as server,
        colour.client(f"smtp+plain://127.0.0.1:{server.port}") as client,
    ):
        result = client.send(BODY, sender=FROM, recipients=to)
    assert list(result.accepted) == to
    assert sizes == [100] * 10
    assert len(result.parts) == 10
    assert result.duration_seconds > 0


def test_mailmax_ends_the_use_of_a_connection(colour: Colour) -> None:
    script = start("LIMITS MAILMAX=2") + transaction(TO) * 2 + QUIT
    with ScriptedServer(script) as server, colour.client(url(server)) as client:
        for _ in range(4):
            client.send(BODY, sender=FROM, recipients=[TO])
        assert server.connections == 2


def test_rcptdomainmax_goes_by_domain_and_by_connection(colour: Colour) -> None:
    one = start("LIMITS RCPTDOMAINMAX=1") + transaction(A, C)
    other = start("LIMITS RCPTDOMAINMAX=1") + transaction(B) + QUIT
    with ScriptedServer(one + QUIT, other, tolerant=True) as server, colour.client(url(server)) as client:
        result = client.send(BODY, sender=FROM, recipients=[A, B, C])
        assert list(result.accepted) == [A, B, C]
        assert server.connections == 2


def test_one_connection_alone_says_what_is_left(colour: Colour) -> None:
    script = start("LIMITS RCPTDOMAINMAX=1") + transaction(A) + QUIT
    with ScriptedServer(script) as server, colour.open(url(server)) as connection:
        with pytest.raises(UnsupportedError) as caught:
            connection.send(BODY, sender=FROM, recipients=[A, B])
        assert list(caught.value.result.accepted) == [A]


def test_strict_or_content_that_can_not_be_repeated_is_not_split(colour: Colour) -> None:
    def content() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 65_534 + b"\r\n"

    with ScriptedServer(start("LIMITS RCPTMAX=1") + QUIT) as server, colour.client(url(server)) as client:
        for message, strict in ((BODY, True), (content(), False)):
            with pytest.raises(UnsupportedError) as caught:
                client.send(message, sender=FROM, recipients=[A, B], strict=strict)
            assert caught.value.keyword == "LIMITS"


def test_short_content_of_an_iterator_is_known_whole_and_can_be_repeated(colour: Colour) -> None:
    script = start("LIMITS RCPTMAX=1") + transaction(A) + transaction(B) + QUIT
    with ScriptedServer(script) as server, colour.client(url(server)) as client:
        assert len(client.send(iter([BODY]), sender=FROM, recipients=[A, B]).accepted) == 2


def test_a_part_refused_and_a_part_lost(colour: Colour) -> None:
    refused = transaction(A).partition("C: DATA")[0].replace("S: 250 r", "S: 550 r") + "C: RSET\nS: 250 x\n"
    script = start("LIMITS RCPTMAX=1") + refused + transaction(B) + QUIT
    with ScriptedServer(script) as server, colour.client(url(server)) as client:
        result = client.send(BODY, sender=FROM, recipients=[A, B])
    assert (list(result.accepted), list(result.refused)) == ([B], [A])
    lost = transaction(B).replace("S: 250 done\n", "EOF")
    with (
        ScriptedServer(start("LIMITS RCPTMAX=1") + transaction(A) + lost) as server,
        colour.client(url(server)) as client,
        pytest.raises(ConnectionLost) as caught,
    ):
        client.send(BODY, sender=FROM, recipients=[A, B, C])
    assert caught.value.stage == "final"
    assert list(caught.value.result.accepted) == [A, B]  # of B it is not known
    assert [list(each.accepted) for each in caught.value.result.parts] == [[A]]
    ended = "C: MAIL FROM:<a@x.example>\nS: 421 enough\nEOF"
    with (
        ScriptedServer(start("LIMITS RCPTMAX=1") + transaction(A) + ended, start("LIMITS RCPTMAX=1") + ended) as server,
        colour.client(url(server)) as client,
        pytest.raises(TemporaryRefusal) as refusal,
    ):
        client.send(BODY, sender=FROM, recipients=[A, B])
    assert list(refusal.value.result.accepted) == [A]


def test_a_part_is_done_and_no_connection_is_to_be_had_for_the_rest(colour: Colour) -> None:
    script = start("LIMITS MAILMAX=1 RCPTMAX=1") + transaction(A) + QUIT
    with (
        ScriptedServer(script, "S: 421 enough\n", tolerant=True) as server,
        colour.client(url(server)) as client,
        pytest.raises(TemporaryRefusal) as caught,
    ):
        client.send(BODY, sender=FROM, recipients=[A, B])
    assert (list(caught.value.result.accepted), caught.value.result.refused) == ([A], {})


def test_a_single_part_that_is_refused_is_the_servers_own_word(colour: Colour) -> None:
    script = start("LIMITS RCPTMAX=5") + f"C: MAIL FROM:<{FROM}>\nS: 550 not you\n" + QUIT
    with (
        ScriptedServer(script) as server,
        colour.client(url(server)) as client,
        pytest.raises(PermanentRefusal, match="not you"),
    ):
        client.send(BODY, sender=FROM, recipients=[A])


def test_t11_too_many_recipients_are_refused_unless_more_transactions_are_wished_for(colour: Colour) -> None:
    replies = {B: "452 4.5.3 too many"}
    first = start("ENHANCEDSTATUSCODES") + transaction(A, B, replies=replies)
    with ScriptedServer(first + QUIT) as server, colour.client(url(server)) as client:
        result = client.send(BODY, sender=FROM, recipients=[A, B])
        assert isinstance(result.refused[B], TemporaryRefusal)
    limits = Limits(overflow_transactions=3)
    with ScriptedServer(first + transaction(B) + QUIT) as server, colour.client(url(server), limits=limits) as client:
        result = client.send(BODY, sender=FROM, recipients=[A, B])
        assert list(result.accepted) == [A, B]
        assert not result.refused


def test_limits_that_make_no_sense() -> None:
    with pytest.raises(ConfigurationError, match="max_messages_per_connection"):
        Limits(max_messages_per_connection=0)
    with pytest.raises(ConfigurationError, match="max_in_flight"):
        Limits(max_in_flight=0)

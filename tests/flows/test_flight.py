"""Several messages under way on one connection: who got what, and which replies belong to whom."""
# ruff: noqa: ANN401 - flows, and faces of either colour, have no common type

from typing import Any

import pytest

from smtpx.errors import (
    ConnectionLost,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    UnsupportedError,
)
from smtpx.extensions import STANDARD
from smtpx.flows.content import Content
from smtpx.flows.flight import Flight, Job, can_fly
from smtpx.flows.outcome import SendResult
from smtpx.flows.plan import Envelope, TransactionOptions
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.extension import Extension, ExtensionSet, MailFacts, Offer
from smtpx.protocol.limits import ClientLimits
from smtpx.wire.address import Mailbox
from tests.flows.cases import mailboxes, ready
from tests.peers import Dialogue

BODY = b"x\r\n"


class Garbage(Extension):
    """Says what can't be said."""

    keyword = "GARBAGE"

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> list[str]:
        return ["X=\r\n"] if mail.size == 5 else []


def job(name: str, *to: str, body: bytes = BODY, **options: Any) -> Job:
    envelope = Envelope(Mailbox.parse(f"{name}@x.example"), mailboxes(*(f"{each}@y.example" for each in to or ("r",))))
    extensions = ExtensionSet(options.pop("extensions", STANDARD))
    return Job(name, envelope, Content.of(body), TransactionOptions(extensions=extensions, **options))


class Ledger:
    def __init__(self, *jobs: Job) -> None:
        self.waiting = list(jobs)
        self.outcomes: dict[object, SendResult | SMTPXError] = {}
        self.sent_back: list[tuple[object, bool]] = []

    def next_job(self) -> Job | None:
        return self.waiting.pop(0) if self.waiting else None

    def landed(self, job: Job, outcome: SendResult | SMTPXError) -> None:
        assert job.key not in self.outcomes
        self.outcomes[job.key] = outcome

    def lost(self, job: Job, error: SMTPXError, *, begun: bool) -> None:
        assert isinstance(error, SMTPXError)
        self.sent_back.append((job.key, begun))


class Played:
    """A flight against a script, whole and octet by octet."""

    def __init__(
        self,
        text: str,
        *jobs: Job,
        offers: str = "PIPELINING,CHUNKING",
        clean: bool = True,
        max_in_flight: int = 4,
        limits: ClientLimits | None = None,
        cuts: tuple[int | None, ...] = (None, 1),
    ) -> None:
        for cut in cuts:
            self.protocol = ready(offers, limits=limits)
            self.ledger = Ledger(*jobs)
            flight = Flight(self.protocol, max_in_flight=max_in_flight)
            dialogue = Dialogue(text, cut=cut)
            self.error = dialogue.run(flight.fly(self.ledger))
            dialogue.done()
            self.writes = dialogue.writes if cut is None else self.writes
            assert self.protocol.is_clean is clean
            assert self.protocol.is_closed is not clean
            assert len(self.ledger.outcomes) + len(self.ledger.sent_back) + len(self.ledger.waiting) == len(jobs)

    def __getitem__(self, name: str) -> Any:
        return self.ledger.outcomes[name]

    @property
    def sent_back(self) -> dict[object, bool]:
        return dict(self.ledger.sent_back)


def envelope(name: str, *to: str, reset: bool = True) -> str:
    lines = ["C: RSET"] if reset else []
    lines += [f"C: MAIL FROM:<{name}@x.example>", *(f"C: RCPT TO:<{each}@y.example>" for each in to or ("r",))]
    return "\n".join(lines) + "\n"


def chunk(name: str, *to: str, reset: bool = True) -> str:
    return envelope(name, *to, reset=reset) + "C: BDAT 3 LAST\nC: x\n"


def data(name: str, *to: str, reset: bool = False) -> str:
    return envelope(name, *to, reset=reset) + "C: DATA\n"


def say(*replies: str) -> str:
    return "".join(f"S: {reply}\n" for reply in replies)


OK = ("250 reset", "250 m", "250 r", "250 done")
BODY_END = "C: x\nC: .\n"


def test_nothing_to_send() -> None:
    assert Played("").writes == []


def test_the_second_waits_for_proof_of_rset_and_then_all_go_at_once() -> None:
    names = "abcdefg"
    text = chunk("a") + say("250 reset")
    text += "".join(map(chunk, "bcd")) + say(*OK[1:]) + chunk("e") + say(*OK) + chunk("f") + say(*OK) + chunk("g")
    played = Played(text + say(*OK * 4), *map(job, names))
    assert [played[name].reply.text for name in names] == ["done"] * 7
    assert played["a"].used_chunking
    assert played.error is None


def test_replies_in_one_packet_make_one_write_of_what_follows() -> None:
    protocol, ledger = ready("PIPELINING,CHUNKING"), Ledger(*map(job, "abcdefgh"))
    text = chunk("a") + say(*OK) + chunk("b", reset=False) + "".join(map(chunk, "cde"))
    text += say(*OK[1:], *OK * 3) + chunk("f", reset=False) + "".join(map(chunk, "gh")) + say(*OK[1:], *OK * 2)
    dialogue = Dialogue(text)
    assert dialogue.run(Flight(protocol, max_in_flight=4).fly(ledger)) is None
    dialogue.done()
    assert len(ledger.outcomes) == 8
    assert len(dialogue.writes) == 3


def refused_in_the_middle(*replies: str) -> Played:
    """b is refused with c and d behind it."""
    text = chunk("a") + say("250 reset") + "".join(map(chunk, "bcd")) + say(*OK[1:], *replies, *OK * 2)
    return Played(text, *map(job, "abcd"))


@pytest.mark.parametrize(
    ("replies", "stage", "text"),
    [
        (("250 reset", "550 m", "503 r", "503 b"), "mail", "m"),
        (("250 reset", "550 m", "250 r", "250 b"), "mail", "m"),
        (("250 reset", "250 m", "550 r", "503 b"), "rcpt", "r"),
        (("250 reset", "250 m", "550 r", "250 to nobody"), "rcpt", "r"),
        (("250 reset", "250 m", "250 r", "550 b"), "final", "b"),
    ],
)
def test_a_refusal_disturbs_nobody(replies: tuple[str, ...], stage: str, text: str) -> None:
    played = refused_in_the_middle(*replies)
    error = played["b"]
    assert isinstance(error, PermanentRefusal)
    assert error.stage == stage
    assert error.reply.text == text
    assert [played[name].reply.text for name in "acd"] == ["done"] * 3


def test_some_recipients_refused_and_duplicates_named_once() -> None:
    text = chunk("a", "r", "s", "t") + say("250 reset", "250 m", "250 r", "452 s", "550 t", "250 done")
    result = Played(text, job("a", "r", "s", "r", "t"))["a"]
    assert list(result.accepted) == ["r@y.example"]
    assert {address: error.reply.code for address, error in result.refused.items()} == {
        "s@y.example": 452,
        "t@y.example": 550,
    }


def test_reset_behind_the_last_one_that_failed() -> None:
    refused = say("250 reset", "250 m", "550 r", "503 b") + "C: RSET\nS: 250 reset\n"
    assert isinstance(Played(chunk("a") + refused, job("a"))["a"], PermanentRefusal)
    alone = say("250 m", "550 r", "503 b") + "C: RSET\nS: 250 reset\n"  # one at a time: RSET only where it is due
    text = chunk("a", reset=False) + alone + chunk("b", reset=False) + say(*OK[1:])
    played = Played(text, job("a"), job("b"), max_in_flight=1)
    assert isinstance(played["a"], PermanentRefusal)
    assert played["b"].accepted


def test_250_for_nobody_leaves_nothing_open() -> None:
    for_nobody = say("250 m", "550 r", "250 to nobody") + "C: RSET\nS: 250 reset\n"
    text = chunk("a", reset=False) + for_nobody + chunk("b", reset=False) + say(*OK[1:])
    played = Played(text, job("a"), job("b"), max_in_flight=1)
    assert isinstance(played["a"], PermanentRefusal)
    assert played["b"].accepted
    assert isinstance(Played(chunk("a") + say("250 reset") + for_nobody, job("a"))["a"], PermanentRefusal)


def test_a_server_without_reset_gets_one_message_at_a_time() -> None:
    text = chunk("a") + say("502 what?", *OK[1:])
    text += chunk("b", reset=False) + say(*OK[1:]) + chunk("c", reset=False) + say(*OK[1:])
    assert len(Played(text, *map(job, "abc")).ledger.outcomes) == 3
    text = chunk("a") + say("502 what?", "250 m", "550 r", "503 b") + "C: RSET\nS: 502 what?\nCLOSE"
    played = Played(text, job("a"), job("b"), clean=False)  # nobody may get what was meant for others
    assert isinstance(played["a"], PermanentRefusal)
    assert played.sent_back == {"b": True}
    assert isinstance(played.error, ConnectionLost)


def test_421_to_an_envelope_leaves_those_behind_to_another_connection() -> None:
    text = (
        chunk("a") + say("250 reset") + "".join(map(chunk, "bcd")) + say(*OK[1:], "250 reset", "421 enough") + "CLOSE"
    )
    played = Played(text, *map(job, "abcd"), clean=False)
    assert played["a"].accepted
    assert played.sent_back == {"b": True, "c": False, "d": False}
    assert isinstance(played.error, TemporaryRefusal)
    assert played.error.stage == "mail"


def test_421_as_verdict_is_one() -> None:
    text = chunk("a") + say("250 reset") + "".join(map(chunk, "bcd")) + say(*OK[1:-1], "421 enough") + "CLOSE"
    played = Played(text, *map(job, "abcd"), clean=False)
    assert isinstance(played["a"], TemporaryRefusal)
    assert played["a"].stage == "final"
    assert played.sent_back == {"b": False, "c": False, "d": False}


def test_421_where_the_fate_was_certain_already() -> None:
    text = chunk("a", "r", "s") + say("250 reset", "550 no", "421 enough") + "CLOSE"
    played = Played(text, job("a", "r", "s"), clean=False)
    assert isinstance(played["a"], PermanentRefusal)
    text = chunk("a", "r", "s") + say("250 reset", "250 m", "250 r", "421 enough") + "CLOSE"
    played = Played(text, job("a", "r", "s"), clean=False)
    assert played.sent_back == {"a": True}
    assert isinstance(played.error, TemporaryRefusal)
    assert played.error.result.accepted == {}
    assert set(played.error.result.refused) == {"r@y.example", "s@y.example"}


def test_lost_connection_leaves_what_was_written_unknown() -> None:
    text = chunk("a") + say("250 reset") + "".join(map(chunk, "bcd"))
    text += say(*OK[1:], "250 reset", "250 m", "550 r", "250 no", "250 reset", "250 m", "550 c")
    text = text.replace("S: 250 no\n", "S: 503 b\n") + "EOF\nCLOSE"
    played = Played(text, *map(job, "abcd"), clean=False)
    assert played["a"].accepted
    assert isinstance(played["b"], PermanentRefusal)
    assert isinstance(played["c"], PermanentRefusal)  # whatever happened to it, nobody was there to get it
    assert isinstance(played["d"], ConnectionLost)
    assert played["d"].stage == "final"
    assert played["d"].result.accepted == {}
    assert played["d"] is not played.error


def test_lost_while_writing_reads_what_the_server_had_said() -> None:
    text = chunk("a") + say(*OK) + "LOST\n"
    protocol, ledger = ready("PIPELINING,CHUNKING"), Ledger(*map(job, "abc"))
    dialogue = Dialogue(text + "S: 250 m\nS: 421 going\nCLOSE")
    error = dialogue.run(Flight(protocol, max_in_flight=4).fly(ledger))
    assert isinstance(error, TemporaryRefusal)
    assert ledger.outcomes.keys() == {"a"}
    assert ledger.sent_back == [("b", True), ("c", False)]


def test_nothing_more_is_sent_where_writing_failed() -> None:
    text = chunk("a") + say(*OK) + "LOST\nS: 250 m\nS: 250 r\nS: 250 done\nEOF\nCLOSE"
    protocol, ledger = ready("PIPELINING,CHUNKING"), Ledger(*map(job, "abcdefgh"))
    error = Dialogue(text).run(Flight(protocol, max_in_flight=2).fly(ledger))
    assert isinstance(error, ConnectionLost)
    assert [type(each) for each in ledger.outcomes.values()] == [SendResult, SendResult, ConnectionLost]
    assert ledger.sent_back == [("d", False)]
    assert len(ledger.waiting) == 4


def test_a_reply_too_many_ends_it() -> None:
    text = chunk("a") + say(*OK, "250 more") + "CLOSE"
    protocol, ledger = ready("PIPELINING,CHUNKING"), Ledger(job("a"), job("b"))
    dialogue = Dialogue(text)
    error = dialogue.run(Flight(protocol, max_in_flight=4).fly(ledger))
    assert isinstance(error, RemoteProtocolError)
    assert isinstance(ledger.outcomes["a"], SendResult)
    assert ledger.sent_back == [("b", True)]


@pytest.mark.parametrize(("end", "kind"), [("P: 421 idle", TemporaryRefusal), ("P: 250 what", RemoteProtocolError)])
def test_a_connection_that_was_bad_before(end: str, kind: type[Exception]) -> None:
    played = Played(end + "\nCLOSE", job("a"), job("b"), clean=False)
    assert isinstance(played.error, kind)
    assert played.sent_back == {"a": True}
    assert [each.key for each in played.ledger.waiting] == ["b"]


def test_bounds_of_what_is_under_way() -> None:
    limits = ClientLimits(max_bodies_in_flight_bytes=6)
    text = chunk("a") + say("250 reset") + chunk("b") + say(*OK[1:]) + chunk("c") + say(*OK * 2)
    assert len(Played(text, *map(job, "abc"), limits=limits).ledger.outcomes) == 3
    limits = ClientLimits(max_unanswered_command_bytes=100)
    text = chunk("a") + say(*OK) + chunk("b", reset=False) + say(*OK[1:])
    assert len(Played(text, *map(job, "ab"), limits=limits, cuts=(None,)).ledger.outcomes) == 2


def test_what_can_not_be_sent_is_told_at_once() -> None:
    text = chunk("a") + say(*OK) + chunk("c", reset=False) + say(*OK[1:])
    played = Played(text, job("a"), job("b", body="ä".encode()), job("c"), cuts=(None,))
    assert isinstance(played["b"], UnsupportedError)
    assert played["c"].accepted


def test_words_of_an_extension_that_can_not_be_said() -> None:
    bad = job("b", body=b"bad\r\n", extensions=[*STANDARD, Garbage()])
    text = chunk("a") + say(*OK) + chunk("c", reset=False) + say(*OK[1:])
    played = Played(text, job("a"), bad, job("c"), cuts=(None,))
    assert isinstance(played["b"], LocalProtocolError)
    assert (str(played["b"]), played["b"].stage) == (
        "a control character in the argument of MAIL (stage: mail)",
        "mail",
    )
    assert played["a"].accepted
    assert played["c"].accepted
    assert isinstance(Played("", bad)["b"], LocalProtocolError)


# With DATA ---------------------------------------------------------------------------------------------------------


def test_the_next_envelope_goes_behind_the_final_dot() -> None:
    go = say("250 m", "250 r", "354 go")
    text = data("a") + go + BODY_END + data("b") + say("250 done") + go + BODY_END + data("c") + say("554 no") + go
    played = Played(text + BODY_END + say("250 done"), *map(job, "abc"), offers="PIPELINING")
    assert len(played.writes) == 4
    assert played["a"].accepted
    assert not played["a"].used_chunking
    assert isinstance(played["b"], PermanentRefusal)
    assert played["c"].accepted


@pytest.mark.parametrize(
    "refused",
    [
        say("550 m", "503 r", "503 d") + "C: RSET\nS: 250 reset\n",
        say("250 m", "550 r", "503 d") + "C: RSET\nS: 250 reset\n",
        say("250 m", "250 r", "451 d") + "C: RSET\nS: 250 reset\n",
        say("250 m", "550 r", "354 go") + "C: .\n" + say("554 nobody") + "C: RSET\nS: 250 reset\n",
        say("550 m", "503 r", "354 go") + "C: .\n" + say("250 nobody") + "C: RSET\nS: 250 reset\n",
    ],
)
def test_refused_before_the_content_of_data(refused: str) -> None:
    good = say("250 m", "250 r", "354 go") + BODY_END
    text = data("a") + good + data("b") + say("250 done") + refused + data("c") + good + say("250 done")
    played = Played(text, *map(job, "abc"), offers="PIPELINING")
    assert played["a"].accepted
    assert not isinstance(played["b"], SendResult)
    assert played["c"].accepted


def test_reset_goes_with_the_next_group_once_it_is_known_to_work() -> None:
    bad = say("250 m", "550 r", "503 d")
    text = data("a") + bad + "C: RSET\nS: 250 reset\n" + data("b") + bad + data("c", reset=True)
    text += say("250 reset") + bad + "C: RSET\nS: 250 reset\n"
    assert len(Played(text, *map(job, "abc"), offers="PIPELINING").ledger.outcomes) == 3


def test_refused_before_there_was_anything_to_refuse() -> None:
    text = data("a") + say("250 m", "250 r", "354 go", "552 too much") + "CLOSE"
    protocol, ledger = ready("PIPELINING"), Ledger(job("a"), job("b"))
    error = Dialogue(text).run(Flight(protocol, max_in_flight=4).fly(ledger))
    assert isinstance(error, PermanentRefusal)
    assert isinstance(ledger.outcomes["a"], PermanentRefusal)


def test_lost_between_dot_and_verdict_only_that_one_is_unknown() -> None:
    text = data("a") + say("250 m", "250 r", "354 go") + BODY_END + data("b") + "EOF\nCLOSE"
    played = Played(text, *map(job, "ab"), offers="PIPELINING", clean=False)
    assert played["a"].stage == "final"
    assert list(played["a"].result.accepted) == ["r@y.example"]
    assert played.sent_back == {"b": False}
    text = data("a") + say("250 m", "250 r") + "EOF\nCLOSE"
    played = Played(text, job("a"), offers="PIPELINING", clean=False)
    assert played.sent_back == {"a": True}
    assert played.error.stage == "data"


def test_lost_while_the_dot_is_written() -> None:
    text = data("a") + say("250 m", "250 r", "354 go") + "LOST\nS: 250 done\nEOF\nCLOSE"
    protocol, ledger = ready("PIPELINING"), Ledger(*map(job, "abc"))
    dialogue = Dialogue(text)
    assert isinstance(dialogue.run(Flight(protocol, max_in_flight=4).fly(ledger)), ConnectionLost)
    assert isinstance(ledger.outcomes["a"], SendResult)
    assert ledger.sent_back == [("b", True)]


def test_421_as_verdict_on_data() -> None:
    text = data("a") + say("250 m", "250 r", "354 go") + BODY_END + data("b") + say("421 enough") + "CLOSE"
    played = Played(text, *map(job, "ab"), offers="PIPELINING", clean=False)
    assert isinstance(played["a"], TemporaryRefusal)
    assert played.sent_back == {"b": False}


def test_what_may_fly() -> None:
    protocol = ready("PIPELINING")
    assert can_fly(protocol, job("a"))
    assert not can_fly(ready("CHUNKING"), job("a"))
    assert not can_fly(ready("PIPELINING", LMTP), job("a"))
    assert not can_fly(protocol, job("a", strict=True))
    assert not can_fly(protocol, job("a", pipelining=False))
    assert not can_fly(protocol, job("a", *(f"r{number}" for number in range(51))))
    assert not can_fly(protocol, job("a", body=b"x" * 65_537))
    assert not can_fly(protocol, job("a")._replace(content=Content(None)))


@pytest.mark.parametrize("offers", ["PIPELINING", "PIPELINING,CHUNKING"])
def test_a_refused_mail_is_all_there_is_to_say_of_its_recipients(offers: str) -> None:
    content = "C: BDAT 3 LAST\nC: x\n" if "CHUNKING" in offers else "C: DATA\n"
    text = envelope("a", reset=offers.endswith("CHUNKING")) + content
    replies = "S: 250 reset\n" if offers.endswith("CHUNKING") else ""
    replies += "S: 450 4.7.1 later\nS: 503 MAIL first\nS: 503 MAIL first\n"
    run = Played(text + replies + "C: RSET\nS: 250 ok\n", job("a"), offers=offers)
    assert isinstance(run["a"], TemporaryRefusal)
    assert run["a"].result is None

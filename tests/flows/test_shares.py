"""One message in several transactions: who goes when, and one result of all."""

import pytest

from smtpx.errors import PermanentRefusal, RefusedError, TemporaryRefusal
from smtpx.extensions.limits import OfferedLimits
from smtpx.flows.outcome import SendResult
from smtpx.flows.plan import Envelope
from smtpx.flows.shares import Delivery, split
from smtpx.wire.address import Mailbox
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply
from tests.flows.cases import mailboxes

ABC = mailboxes("a@x.example", "b@y.example", "c@X.example")
OK = Reply(250, None, ("ok",))


def refusal(to: str, code: int = 452, enhanced: EnhancedCode | None = None, stage: str = "rcpt") -> RefusedError:
    return RefusedError.of(Reply(code, enhanced, ("no",)), recipient=to, stage=stage)


def part(*accepted: str, **refused: int) -> SendResult:
    refusals = {f"{name}@x.example": refusal(name, code) for name, code in refused.items()}
    return SendResult({each: OK for each in accepted}, refusals, Reply(250, None, (f"for {accepted[0]}",)))


def delivery(*addresses: str, overflow: int = 0, keep_duplicates: bool = False) -> Delivery:
    envelope = Envelope(Mailbox.parse("s@x.example"), mailboxes(*addresses))
    return Delivery(envelope, overflow=overflow, keep_duplicates=keep_duplicates)


def test_split_by_number_and_by_domain() -> None:
    assert split(ABC, OfferedLimits(), set()) == (ABC, ())
    assert split(ABC, OfferedLimits(max_recipients=2), set()) == (ABC[:2], ABC[2:])
    by_domain = OfferedLimits(max_recipient_domains=1)
    assert split(ABC, by_domain, set()) == ((ABC[0], ABC[2]), (ABC[1],))
    assert split(ABC, by_domain, {"y.example"}) == ((ABC[1],), (ABC[0], ABC[2]))
    assert split(ABC, by_domain, {"z.example"}) == ((), ABC)


def test_t10_one_result_in_the_callers_order() -> None:
    whole = delivery("a@x.example", "b@x.example", "a@x.example", "c@x.example")
    a, b, c = list(whole.left)
    whole.take((b,), (a, c), part("b@x.example"))
    whole.take((a, c), (), part("a@x.example", c=550))
    result = whole.outcome()
    assert list(result.accepted) == ["a@x.example", "b@x.example"]
    assert list(result.refused) == ["c@x.example"]
    assert result.reply is not None
    assert result.reply.text == "for a@x.example"
    assert [list(each.accepted) for each in result.parts] == [["b@x.example"], ["a@x.example"]]


def test_a_part_that_is_refused_is_no_end() -> None:
    whole = delivery("a@x.example", "b@x.example")
    a, b = list(whole.left)
    error = refusal("a@x.example", 550)
    error.result = SendResult({}, {"a@x.example": error})
    whole.refuse((a,), (b,), error)
    assert whole.left == (b,)
    assert whole.has_begun
    whole.take((b,), (), part("b@x.example"))
    assert whole.outcome().reply == Reply(250, None, ("for b@x.example",))
    assert set(whole.outcome().refused) == {"a@x.example"}


def test_a_sender_that_is_refused_is_refused_for_all() -> None:
    whole = delivery("a@x.example", "b@x.example")
    a, b = list(whole.left)
    whole.refuse((a,), (b,), RefusedError.of(Reply(550, None, ("not you",)), stage="mail"))
    assert whole.left == ()
    with pytest.raises(PermanentRefusal) as caught:
        whole.outcome()
    assert set(caught.value.refusals) == {"a@x.example", "b@x.example"}


def test_who_was_one_too_many_comes_next_as_long_as_that_may_go_on() -> None:
    whole = delivery("a@x.example", "b@x.example", "c@x.example", overflow=1)
    a, b, c = list(whole.left)
    whole.take((a, b, c), (), part("a@x.example", b=452, c=452))
    assert whole.left == (b, c)
    whole.take((b, c), (), part("b@x.example", c=452))
    assert whole.left == ()
    result = whole.outcome()
    assert list(result.accepted) == ["a@x.example", "b@x.example"]
    assert isinstance(result.refused["c@x.example"], TemporaryRefusal)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (refusal("b", 452, EnhancedCode(4, 5, 3)), True),
        (refusal("b", 552, EnhancedCode(5, 5, 3)), True),
        (refusal("b", 452, EnhancedCode(4, 3, 1)), False),
        (refusal("b", 450), False),
        (refusal("b", 452, stage="final"), False),
    ],
)
def test_what_too_many_recipients_looks_like(error: RefusedError, again: bool) -> None:
    whole = delivery("a@x.example", "b@x.example", overflow=1)
    a, b = list(whole.left)
    whole.take((a, b), (), SendResult({"a@x.example": OK}, {"b@x.example": error}, OK))
    assert whole.left == ((b,) if again else ())


def test_so_far() -> None:
    whole = delivery("a@x.example", "a@x.example", keep_duplicates=True)
    assert len(whole.left) == 2
    assert whole.so_far().accepted == {}
    whole.take(whole.left[:1], whole.left[1:], part("a@x.example"))
    assert whole.so_far(part("a@x.example")).parts[0].accepted
    assert whole.so_far().parts == ()

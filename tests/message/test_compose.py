"""A message as a value."""

import copy
import io
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import smtpx
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Alternative, Message, MessageError, MessageFields
from smtpx.wire.address import NULL_SENDER

GOOD: dict[str, Any] = {"from_": "a@b.example", "to": "c@d.example", "text": "x"}


def made(**fields: Any) -> Message:  # noqa: ANN401 - any fields
    return Message(**fields)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_fields_and_what_they_are_when_nothing_is_said() -> None:
    fields = {name for name in vars(Message) if not name.startswith("__") and name in MessageFields.__annotations__}
    assert fields == MessageFields.__annotations__.keys()
    empty = Message()
    assert (empty.to, empty.subject, empty.charset, empty.derive_text) == ((), None, "utf-8", True)
    assert made(subject=None, to=None, bulk=None) == empty  # optional arguments, handed on
    with pytest.raises(TypeError, match="a Message has no 'body'"):
        made(body="x")
    assert smtpx.Message is Message
    assert smtpx.Attachment is Attachment


def test_it_does_not_change() -> None:
    message = Message(**GOOD)
    with pytest.raises(AttributeError, match=r"message\.with_\(subject=\.\.\.\)"):
        message.subject = "x"
    with pytest.raises(AttributeError):
        del message.text
    to = ["c@d.example"]
    kept = Message(to=to)
    to.append("x@y.example")
    assert len(kept.to) == 1


def test_equal_values() -> None:
    assert Message(**GOOD) == Message(**GOOD)
    assert hash(Message(**GOOD)) == hash(Message(**GOOD))
    assert Message(**GOOD) != made(**{**GOOD, "text": "y"})
    assert Message(bulk=False) == Message()
    assert Message() != "x"
    assert repr(Message(subject="Hi", bulk=True)) == "Message(subject='Hi', bulk=True)"
    message = Message(**GOOD, attachments=[Attachment(b"x", "x")])
    assert pickle.loads(pickle.dumps(message)) == message == copy.deepcopy(message) == copy.copy(message)  # noqa: S301


def test_what_it_says_is_not_shown() -> None:
    said: dict[str, Any] = {"text": "secret", "html": "<b>secret", "alternatives": [Alternative("secret", "text/x")]}
    shown = repr(Message(to="c@d.example", **said))
    assert "text=<6 characters>, html=<9 characters>" in shown
    assert "secret" not in shown


def test_what_is_not_there_yet_is_no_finding_about_the_sender() -> None:
    with pytest.raises(MessageError) as caught:
        Message(to="nobody", subject="x", text="y")
    assert [each.field for each in caught.value.findings] == ["to"]


def test_with() -> None:
    message = Message(**GOOD, subject="Hi")
    changed = message.with_(to="e@f.example", subject=None)
    assert (str(changed.to[0]), changed.subject, changed.text) == ("e@f.example", None, "x")
    assert message.subject == "Hi"
    with pytest.raises(MessageError) as caught:
        message.with_(to="nobody", subject="a\nb")
    assert [each.field for each in caught.value.findings] == ["to", "subject"]

    class Own(Message):
        pass

    assert type(Own(**GOOD).with_(text="y")) is Own


def test_stamped_once() -> None:
    domains: list[str] = []

    def new_id(domain: str) -> str:
        domains.append(domain)
        return f"<{len(domains)}@{domain}>"

    stamped = made(**{**GOOD, "from_": "Ann <a@BÜCHER.example>"}).stamped(lambda: NOON, new_id)
    assert (stamped.date, stamped.message_id, domains) == (NOON, "<1@xn--bcher-kva.example>", ["xn--bcher-kva.example"])
    assert stamped.stamped(lambda: NOON, new_id) is stamped
    dated = Message(**GOOD, date=NOON).stamped(lambda: datetime.max.replace(tzinfo=UTC), new_id)
    assert (dated.date, dated.message_id) == (NOON, "<2@b.example>")
    named = Message(**GOOD, message_id="x@y").stamped(lambda: NOON, new_id)
    assert (named.date, named.message_id) == (NOON, "<x@y>")
    assert Message(sender="s@t.example").stamped(lambda: NOON, new_id).message_id == "<3@t.example>"
    with pytest.raises(MessageError, match="From is missing"):
        Message(to="c@d.example").stamped(lambda: NOON, new_id)


def test_6_1_the_envelope() -> None:
    posting = made(**{**GOOD, "from_": "a@b.example, e@f.example"}, sender="s@b.example", bcc="C@d.example").posting()
    assert (str(posting.sender), [*map(str, posting.recipients)]) == ("s@b.example", ["c@d.example", "C@d.example"])
    assert Message(**GOOD, envelope_from="").posting().sender is NULL_SENDER
    other = Message(**GOOD, recipients=["x@y.example", "x@Y.example"]).posting()
    assert [*map(str, other.recipients)] == ["x@y.example"]


@pytest.mark.parametrize(
    ("fields", "findings"),
    [
        ({"from_": ()}, ["from_"]),
        ({"from_": "a@b.example, c@d.example"}, ["sender"]),
        ({"to": ()}, ["to"]),
        ({"recipients": []}, ["recipients"]),
        ({"from_": (), "to": ()}, ["from_", "to"]),
    ],
)
def test_no_envelope(fields: dict[str, Any], findings: list[str]) -> None:
    with pytest.raises(MessageError) as caught:
        made(**{**GOOD, **fields}).posting()
    assert [each.field for each in caught.value.findings] == findings


def test_p07_bcc_only() -> None:
    message = Message(from_="a@b.example", bcc="c@d.example, c@D.EXAMPLE", text="x")
    message.check()
    assert [*map(str, message.posting().recipients)] == ["c@d.example"]


def test_6_6_wishes() -> None:
    wishes: dict[str, Any] = {
        "ret": "HDRS",
        "envid": "x1",
        "notify": {"c@d.example": "FAILURE"},
        "orcpt": "c@d.example",
        "require_tls": True,
        "mt_priority": 3,
        "hold_for": 60,
    }
    message = made(**GOOD, **wishes)
    assert message.posting().wishes == message.wishes == wishes
    assert Message(**GOOD).wishes == {}


def test_checked_and_answered() -> None:
    message = Message(**GOOD, subject="Hi", date=NOON, message_id="<1@b.example>")
    message.check(strict=True)
    with pytest.raises(MessageError, match="2 recipients, and 1 are allowed"):
        message.with_(cc="e@f.example").check(max_recipients=1)
    answer = Message(from_="c@d.example", text="y").reply_to_message(message)
    assert (answer.subject, answer.to, answer.references) == ("Re: Hi", message.from_, ("<1@b.example>",))
    kept = Message(subject="Own", to="x@y.example").reply_to_message(message)
    assert (kept.subject, str(kept.to[0])) == ("Own", "x@y.example")


def test_written(tmp_path: Path) -> None:
    message = Message(**GOOD, date=NOON, message_id="<1@b.example>")
    file = io.BytesIO()
    message.write(file)
    message.write(tmp_path / "x.eml")
    assert file.getvalue() == bytes(message) == (tmp_path / "x.eml").read_bytes()
    assert message.measure() == (len(bytes(message)), True)


@pytest.mark.parametrize("field", ["from_", "sender", "to", "cc", "reply_to", "read_receipt_to"])
def test_needs_utf8(field: str) -> None:
    assert made(**{field: "jörg@a.example"}).needs_utf8
    assert not made(**{field: "Jörg <j@ä.example>"}).needs_utf8
    assert not Message(bcc="jörg@a.example").needs_utf8


def test_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x")
    assert not Message(**GOOD, attachments=[Attachment(b"x")]).is_streamed
    assert Message(**GOOD, attachments=[path]).is_streamed
    inner = Message(**GOOD, inline={"a": path})
    assert inner.is_streamed
    assert Message(**GOOD, attachments=[Attachment.of_message(inner)]).is_streamed

"""The builder: the same message as the value, step by step."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.builder import Builder
from smtpx.mailer.template import Templates
from smtpx.message.address import Address, Group
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Alternative, Message, MessageError, RawHeader

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def builder(templates: Templates | None = None) -> Builder[Message]:
    return Builder(lambda message: message, templates)


def test_4_builder_and_value_make_the_same_octets() -> None:
    built = (
        builder()
        .from_("Ann <a@b.example>")
        .to("c@d.example", ("Ünal", "e@f.example"))
        .to(["g@h.example"])
        .cc(Address("", "i@j.example"))
        .bcc(Group("Team", (Address("", "k@l.example"),)))
        .reply_to("r@b.example")
        .subject("first")
        .subject("Grüße")
        .text("Hallo")
        .html("<p>Hallo <img src='cid:logo'>")
        .alternative("BEGIN:VCALENDAR", "text/calendar; method=REQUEST")
        .attach(b"%PDF", "x.pdf", description="A report")
        .attach(Attachment(b"x", "y"))
        .attach(io.BytesIO(b"stream"), "z", type="application/x-z")
        .inline("logo", b"\x89PNG\r\n")
        .inline("other", b"x", "other.gif")
        .header("X-A", "1")
        .header("X-B", "2\r\n 3", raw=True)
        .importance("high")
        .list_unsubscribe("https://a.example/u", one_click=True)
        .dsn(notify="FAILURE", ret="HDRS", envid="e1")
        .date(NOON)
        .provider("bulk")
        .set(message_id="1@b.example", organization="B")
        .send()
    )
    value = Message(
        from_="Ann <a@b.example>",
        to=["c@d.example", ("Ünal", "e@f.example"), "g@h.example"],
        cc="i@j.example",
        bcc="Team: k@l.example;",
        reply_to="r@b.example",
        subject="Grüße",
        text="Hallo",
        html="<p>Hallo <img src='cid:logo'>",
        alternatives=[Alternative("BEGIN:VCALENDAR", "text/calendar; method=REQUEST")],
        attachments=[
            Attachment(b"%PDF", "x.pdf", description="A report"),
            Attachment(b"x", "y"),
            Attachment(b"stream", "z", type="application/x-z"),
        ],
        inline={"logo": b"\x89PNG\r\n", "other": Attachment(b"x", "other.gif")},
        headers=[("X-A", "1"), RawHeader("X-B", "2\r\n 3")],
        importance="high",
        list_unsubscribe="https://a.example/u",
        one_click=True,
        notify="FAILURE",
        ret="HDRS",
        envid="e1",
        date=NOON,
        provider="bulk",
        message_id="<1@b.example>",
        organization="B",
    )
    assert bytes(built) == bytes(value)
    assert built.posting() == value.posting()
    assert built.provider == "bulk"


def test_1_3_a_built_message_does_not_follow_the_builder() -> None:
    begun = builder().from_("a@b.example").to("c@d.example").text("x")
    built = begun.build()
    begun.to("e@f.example").text("y").attach(b"x", "x")
    assert (len(built.to), built.text, built.attachments) == (1, "x", ())
    assert (len(begun.build().to), begun.build().text) == (2, "y")


def test_1_3_a_clone_is_independent() -> None:
    first = builder(Templates({"t.txt": "Dear {{ name }}"})).from_("a@b.example").to("c@d.example").provider("bulk")
    first.template("t", name="Ann")
    second = first.clone().to("e@f.example").inline("a", b"x").text("y")
    assert [len(each.build().to) for each in (first, second)] == [1, 2]
    assert (first.build().text, second.build().text) == ("Dear Ann", "y")
    assert first.build().inline == {}
    assert second.build().provider == "bulk"


def test_the_last_from_counts() -> None:
    assert [*map(str, builder().from_("a@b.example").from_("c@d.example").build().from_)] == ["c@d.example"]


def test_all_mistakes_are_told_at_once_and_nothing_is_sent() -> None:
    sent: list[Message] = []
    bad = Builder(sent.append).from_("a b").to("c@d.example", "nobody").subject("a\r\nBcc: x@y.example").text("x")
    with pytest.raises(MessageError) as caught:
        bad.send()
    assert [each.field for each in caught.value.findings] == ["from_", "to", "subject"]
    assert sent == []


def test_send_gives_what_sending_gives() -> None:
    async def send(message: Message) -> str:
        return str(message.subject)

    import asyncio

    assert asyncio.run(Builder(send).subject("Hi").send()) == "Hi"


def test_an_attachment_is_said_in_one_way() -> None:
    with pytest.raises(TypeError, match="has its name and its type already"):
        builder().attach(Attachment(b"x"), "name")
    with pytest.raises(TypeError, match="a file is Path"):
        builder().attach("x.pdf")  # type: ignore[arg-type]
    kept = builder().inline("a", Attachment(b"x", "a.gif")).build().inline["a"]
    assert kept == Attachment(b"x", "a.gif")


def test_templates() -> None:
    templates = Templates(
        {"hi.html": "<title>{% block subject %}Hi {{ name }}{% endblock %}</title>", "hi.txt": "Hi {{ name }}\n"}
    )
    fields: Any = builder(templates).template("hi", name="Tom & Jerry").build()
    assert (fields.subject, fields.text) == ("Hi Tom & Jerry", "Hi Tom & Jerry\n")
    assert fields.html == "<title>Hi Tom &amp; Jerry</title>"
    own = builder(templates).template("hi", name="x").subject("Own").text("own").build()
    assert (own.subject, own.text, own.html) == ("Own", "own", "<title>Hi x</title>")
    with pytest.raises(ConfigurationError, match="templates: none were given"):
        builder().template("hi")

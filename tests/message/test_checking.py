"""What forbids a message to be sent: everything is found at once."""

# ruff: noqa: ANN401 - values of any kind
from datetime import UTC, datetime
from typing import Any

import pytest

from smtpx.message.attachments import Attachment
from smtpx.message.checking import cids_in, envelope_findings, findings_of, forward_paths, reverse_path
from smtpx.message.compose import Alternative, Message, MessageError
from smtpx.wire.address import Mailbox

GOOD: dict[str, Any] = {"from_": "a@b.example", "to": "c@d.example", "text": "x"}


def made(**fields: Any) -> Message:
    return Message(**fields)


def found(options: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    try:
        made(**{**GOOD, **fields}).check(**(options or {}))
    except MessageError as error:
        return [each.field for each in error.findings]
    return []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": None, "html": "<p>"},
        {"text": None, "alternatives": [Alternative("x", "text/x")]},
        {"text": None, "attachments": [Attachment(b"x")]},
        {"text": "", "inline": {"a": b"x"}},
        {"to": (), "cc": "c@d.example"},
        {"to": (), "bcc": "c@d.example"},
        {"to": "undisclosed-recipients:;", "bcc": "c@d.example"},
        {"to": (), "recipients": ["c@d.example"]},
        {"from_": "a@b.example, c@d.example", "sender": "a@b.example"},
        {"to": [f"{number}@d.example" for number in range(100)]},
        {"to": "c@d.example", "cc": ["c@D.example"] * 200},
        {"text": "x" * 26_214_400},
        {"list_unsubscribe": ["https://a.example/u", "mailto:u@a.example"], "one_click": True},
        {"charset": "latin-1", "text": "ü"},
        {"encoding": "7bit"},
    ],
)
def test_good_ones(fields: dict[str, Any]) -> None:
    assert found(**fields) == []


@pytest.mark.parametrize(
    ("fields", "findings"),
    [
        ({"from_": ()}, ["from_"]),
        ({"from_": "a@b.example, c@d.example"}, ["sender"]),
        ({"to": ()}, ["to"]),
        ({"to": "undisclosed-recipients:;"}, ["to"]),
        ({"text": ""}, ["text"]),
        ({"text": None}, ["text"]),
        ({"text": "", "html": ""}, ["text"]),
        ({"to": [f"{number}@d.example" for number in range(101)]}, ["recipients"]),
        (
            {
                "cc": [f"{number}@d.example" for number in range(50)],
                "bcc": "x@y.example,z@y.example",
                "to": [f"{number}@e.example" for number in range(50)],
            },
            ["recipients"],
        ),
        ({"text": "x" * 26_214_401}, ["size"]),
        ({"text": "x" * 26_214_000, "attachments": [Attachment(b"x" * 401)]}, ["size"]),
        ({"html": "ü" * 13_107_200}, ["size"]),
        ({"alternatives": [Alternative(b"x" * 26_214_400, "text/x")]}, ["size"]),
        ({"one_click": True}, ["one_click"]),
        ({"one_click": True, "list_unsubscribe": "mailto:u@a.example"}, ["one_click"]),
        ({"one_click": True, "list_unsubscribe": ["https://a.example/u", "https://b.example/u"]}, ["one_click"]),
        ({"hold_for": 5, "hold_until": datetime(2026, 3, 1, tzinfo=UTC)}, ["hold_until"]),
        ({"charset": "latin-1", "text": "€"}, ["text"]),
        ({"charset": "latin-1", "html": "€"}, ["html"]),
        ({"encoding": "7bit", "text": "ü"}, ["text"]),
        ({"from_": (), "to": (), "text": None, "one_click": True}, ["from_", "to", "text", "one_click"]),
        ({"from_": "a b", "to": "c", "text": None}, ["from_", "to", "text"]),
        ({"to": "c", "cc": "d", "bcc": ["e", "f@g.example"], "subject": "a\nb"}, ["to", "cc", "bcc", "subject"]),
        ({"list_unsubscribe": "x", "one_click": True}, ["list_unsubscribe"]),
        ({"text": "\ud800"}, ["text"]),
    ],
)
def test_all_findings_at_once(fields: dict[str, Any], findings: list[str]) -> None:
    assert found(**fields) == findings


def test_limits_can_be_set() -> None:
    assert found({"max_recipients": 1, "max_bytes": 1}) == []
    assert found({"max_recipients": 1}, cc="e@f.example") == ["recipients"]
    assert found({"max_bytes": 1}, text="xy") == ["size"]


def test_findings_name_field_and_value() -> None:
    with pytest.raises(MessageError) as caught:
        made(**{**GOOD, "to": "nobody\r\nhere"})
    assert caught.value.findings[0].value == "nobody\\x0d\\x0ahere"


@pytest.mark.parametrize(
    ("html", "cids"),
    [
        ('<img src="cid:logo">', {"logo"}),
        ("<img src=cid:logo><img src='CID:a.b@c'>", {"logo", "a.b@c"}),
        ("<p style=\"background: url('cid:x%40y')\">", {"x@y"}),
        ("<p style='background: url(cid:z)'>", {"z"}),
        ('<p style="background: url(&quot;cid:q&quot;)">', {"q"}),
        ("placid:pond", set()),
    ],
)
def test_cids(html: str, cids: set[str]) -> None:
    assert cids_in(html) == cids


def test_6_3_unused_and_missing_cids_are_findings_when_strict() -> None:
    fields: dict[str, Any] = {
        "html": '<img src="cid:used"><img src="cid:missing"><img src="cid:by@hand">',
        "inline": {"used": b"x", "unused": b"x"},
        "attachments": [Attachment(b"x", content_id="by@hand")],
    }
    assert found(**fields) == []
    assert found({"strict": True}, **fields) == ["html", "inline"]
    assert found({"strict": True}) == []


def test_1_3_recipients_are_folded() -> None:
    message = Message(
        from_="a@b.example",
        to="c@d.example, C@d.example, x@bücher.example",
        cc="c@D.EXAMPLE, e@f.example",
        bcc=[
            "Eve <e@F.example>",
            "X@xn--bcher-kva.example",
            "x@xn--bcher-kva.example",
            "Team: c@d.example, g@h.example;",
        ],
    )
    assert [str(each) for each in forward_paths(message)] == [
        "c@d.example",
        "C@d.example",
        "x@bücher.example",
        "e@f.example",
        "X@xn--bcher-kva.example",
        "g@h.example",
    ]


@pytest.mark.parametrize(
    ("fields", "sender"),
    [
        ({}, "a@b.example"),
        ({"sender": "s@b.example"}, "s@b.example"),
        ({"sender": "s@b.example", "envelope_from": "e@b.example"}, "e@b.example"),
        ({"envelope_from": ""}, ""),
        ({"from_": "a@b.example, c@d.example"}, "None"),
        ({"from_": ()}, "None"),
    ],
)
def test_6_1_the_envelope_sender(fields: dict[str, Any], sender: str) -> None:
    assert str(reverse_path(made(**{**GOOD, **fields}))) == sender


def test_the_envelope_alone() -> None:
    message = made(from_="a@b.example, c@d.example", recipients=[])
    found = [*envelope_findings(message, reverse_path(message), forward_paths(message))]
    assert [each.field for each in found] == ["sender", "recipients"]
    assert [each.field for each in envelope_findings(Message(), None, ())] == ["from_", "to"]
    assert [*envelope_findings(Message(), Mailbox("a", "b.example"), (Mailbox("c", "d.example"),))] == []


def test_what_is_wrong_already_is_not_told_twice() -> None:
    assert findings_of(Message(), except_for={"from_", "to", "text"}) == []

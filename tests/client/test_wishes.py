"""Wishes for extensions, from keyword arguments to the wire and into a session."""

from datetime import UTC, datetime
from typing import Any

import pytest

import smtpx
from smtpx.client.mail import envelope
from smtpx.client.wishes import with_wishes
from smtpx.extensions import ALL, STANDARD
from smtpx.extensions.deliverby import Deadline
from smtpx.extensions.dsn import OriginalRecipient
from smtpx.protocol.extension import ExtensionSet
from smtpx.server.body import Body
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params

BODY = b"Subject: x\r\n\r\nhello\r\n"
FROM, TO, OTHER = "a@x.example", "b@y.example", "c@y.example"


class Watcher(smtpx.Session):
    seen: list[str]

    async def mail(self, sender: Mailbox, params: Params) -> None:
        self.seen.append(f"MAIL {params.to_wire()}")

    async def rcpt(self, recipient: Mailbox, params: Params) -> None:
        self.seen.append(f"RCPT {recipient} {params.to_wire()}".rstrip())

    async def data(self, body: Body) -> None:
        await body.read()


def watcher() -> type[Watcher]:
    return type("Fresh", (Watcher,), {"seen": []})


def test_c15_dsn_wishes_reach_the_session() -> None:
    kind = watcher()
    with smtpx.ServerThread(kind, port=0) as server, smtpx.Client(server.url) as client:
        client.send(
            BODY,
            sender=FROM,
            recipients=[TO, OTHER],
            ret="hdrs",
            envid="x=1",
            notify={TO: ("FAILURE", "DELAY"), OTHER: "never"},
            orcpt={TO: "x=1@example.com", OTHER: OriginalRecipient("utf-8", "x=1@例.jp")},
        )
    assert kind.seen == [
        "MAIL SIZE=21 RET=HDRS ENVID=x+3D1",
        f"RCPT {TO} NOTIFY=FAILURE,DELAY ORCPT=RFC822;x+3D1@example.com",
        f"RCPT {OTHER} NOTIFY=NEVER ORCPT=UTF-8;x\\x{{3D}}1@\\x{{4F8B}}.jp",
    ]


def test_one_wish_for_all_recipients() -> None:
    kind = watcher()
    with smtpx.ServerThread(kind, port=0) as server:
        smtpx.send(server.url, BODY, sender=FROM, recipients=[TO, OTHER], notify=("SUCCESS",), timeout=20)
    assert kind.seen[1:] == [f"RCPT {TO} NOTIFY=SUCCESS", f"RCPT {OTHER} NOTIFY=SUCCESS"]


def test_c16_c17_c18_the_other_extensions() -> None:
    kind = watcher()
    when = datetime(2014, 4, 3, 23, 1, tzinfo=UTC)
    with (
        smtpx.ServerThread(kind, port=0, extensions=ALL) as server,
        smtpx.Client(server.url) as client,
    ):
        client.send(
            BODY,
            sender=FROM,
            recipients=[TO],
            by=Deadline(100, returns=True, trace=True),
            mt_priority=6,
            rrvs=when,
            hold_for=60,
        )
    assert kind.seen[0].startswith("MAIL SIZE=21")
    assert {"BY=100;RT", "MT-PRIORITY=6", "HOLDFOR=60"} <= set(kind.seen[0].split())
    assert kind.seen[1] == f"RCPT {TO} RRVS=2014-04-03T23:01:00Z"


def test_d19_what_is_not_offered_is_an_error_or_dropped_but_never_silent() -> None:
    kind = watcher()
    without = [each for each in STANDARD if each.keyword != "DSN"]
    with smtpx.ServerThread(kind, port=0, extensions=without) as server, smtpx.Client(server.url) as client:
        for wish in ({"notify": "never"}, {"ret": "FULL"}, {"mt_priority": 3}, {"require_tls": True}):
            with pytest.raises(smtpx.UnsupportedError):
                client.send(BODY, sender=FROM, recipients=[TO], **wish)  # type: ignore[arg-type]
        assert kind.seen == []
        result = client.send(
            BODY, sender=FROM, recipients=[TO], notify="never", ret="FULL", mt_priority=3, on_unsupported="drop"
        )
        assert result.dropped == ("DSN", "MT-PRIORITY")
        assert client.send(BODY, sender=FROM, recipients=[TO], on_unsupported="drop").dropped == ()
    assert kind.seen == ["MAIL SIZE=21", f"RCPT {TO}"] * 2


def test_dropping_does_not_touch_what_the_content_needs() -> None:
    without = [each for each in STANDARD if each.keyword not in ("8BITMIME", "DSN")]
    with (
        smtpx.ServerThread(watcher(), port=0, extensions=without) as server,
        smtpx.Client(server.url) as client,
        pytest.raises(smtpx.UnsupportedError, match="8-bit"),
    ):
        client.send("ü\r\n".encode(), sender=FROM, recipients=[TO], ret="FULL", on_unsupported="drop")


@pytest.mark.parametrize("wish", [{"envid": "a\r\nRSET"}, {"notify": ("NEVER", "SUCCESS")}, {"ret": "ALL"}])
def test_h050_malformed_wishes_never_get_out(wish: dict[str, Any]) -> None:
    kind = watcher()
    with smtpx.ServerThread(kind, port=0) as server, smtpx.Client(server.url) as client:
        with pytest.raises(smtpx.LocalProtocolError):
            client.send(BODY, sender=FROM, recipients=[TO], **wish)
        assert client.send(BODY, sender=FROM, recipients=[TO]).accepted
    assert kind.seen == ["MAIL SIZE=21", f"RCPT {TO}"]


async def test_step_by_step_in_both_colours() -> None:
    kind = watcher()
    async with smtpx.Server(kind, port=0) as server:
        url = f"smtp+plain://127.0.0.1:{server.port}"
        async with smtpx.AsyncConnection.open(url) as connection:
            await connection.mail(FROM, ret="FULL", envid="7")
            await connection.rcpt(TO, notify="failure", orcpt=TO)
            await connection.data(BODY)
            with pytest.raises(smtpx.LocalProtocolError, match="colour"):
                await connection.mail(FROM, colour="red")  # type: ignore[call-arg]
            with pytest.raises(smtpx.UnsupportedError):
                await connection.mail(FROM, mt_priority=1)
            async with connection.transaction(FROM, [TO], notify="never") as transaction:
                assert (await transaction.send(BODY)).accepted
    assert [line.rstrip() for line in kind.seen] == [
        "MAIL RET=FULL ENVID=7",
        f"RCPT {TO} NOTIFY=FAILURE ORCPT=RFC822;{TO}",
        "MAIL BODY=8BITMIME",  # the content is not known yet
        f"RCPT {TO} NOTIFY=NEVER",
    ]


def test_step_by_step_blocking() -> None:
    kind = watcher()
    with smtpx.ServerThread(kind, port=0) as server, smtpx.Connection.open(server.url) as connection:
        connection.mail(FROM, ret="FULL")
        connection.rcpt(TO, notify="failure")
        connection.data(BODY)
    assert kind.seen == ["MAIL RET=FULL", f"RCPT {TO} NOTIFY=FAILURE"]


def test_wishes_find_their_places() -> None:
    extensions = ExtensionSet(ALL)
    to = envelope(FROM, [TO, OTHER])
    assert with_wishes(to, extensions, {}) is to
    assert with_wishes(to, extensions, {"ret": None, "require_tls": False, "on_unsupported": "drop"}) is to
    dressed = with_wishes(to, extensions, {"ret": "FULL", "orcpt": {OTHER: "d@z.example"}, "options": {"body": "7BIT"}})
    assert dressed.options == {"ret": "FULL", "body": "7BIT"}
    assert dressed.recipient_options == {TO: {}, OTHER: {"orcpt": "d@z.example"}}
    with pytest.raises(smtpx.LocalProtocolError, match="'colour'"):
        with_wishes(to, extensions, {"options": {"colour": "red"}})

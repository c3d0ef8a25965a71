"""A server's metrics and spans, as the SDK of OpenTelemetry has them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from smtpx.errors import ConfigurationError
from smtpx.net.tls import server_tls
from smtpx.protocol.limits import ServerLimits
from smtpx.server.body import Body
from smtpx.server.listener import Server
from smtpx.server.session import Reject
from smtpx.server.settings import Deadlines
from smtpx.telemetry import ServerTelemetry
from smtpx.telemetry.instruments import SERVER_GAUGES
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import (
    BDAT,
    EHLO,
    ENV,
    MAIL,
    RCPT,
    RawClient,
    Recorder,
    certificate,
    eventually,
    fresh_server_tls,
    recorders,
    running,
)
from tests.telemetry.collected import Collected

CLOSED = "smtpx.server.connection.duration"


def served(kind: type[Recorder] = Recorder, **options: Any) -> tuple[Collected, Any]:  # noqa: ANN401
    collected = Collected()
    observer = ServerTelemetry(collected.meters, collected.tracers)
    options.setdefault("deadlines", Deadlines(close=0.1))  # whoever said QUIT looks on from its socket
    return collected, running(recorders(kind)[0], observer=observer, allow_insecure_auth=True, **options)


async def closed(collected: Collected, connections: int = 1) -> None:
    await eventually(lambda: collected.value(CLOSED) == connections)


async def test_a_message_accepted() -> None:
    collected, serving = served()
    async with serving as server, await RawClient.open(server) as client:
        await client.say(EHLO + "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", 2)
        assert collected.value("smtpx.server.connection.open") == 1
        await client.say(ENV + "DATA\r\n", 3)
        assert collected.value("smtpx.server.message.open") == 1
        await client.say("Subject: x\r\n\r\nhello\r\n.\r\n")
        assert collected.value("smtpx.server.message.open") == 0
        await client.say("NONSENSE\r\nQUIT\r\n", 2)
        await closed(collected)
    assert collected.points("smtpx.server.connection.open") == [({}, 0)]
    assert collected.points("smtpx.server.message") == [({"smtpx.outcome": "accepted"}, 1)]
    assert collected.value("smtpx.server.transaction.duration", smtpx__outcome="accepted") == 1
    (size,) = collected.metrics()["smtpx.server.message.size"].data.data_points
    assert (size.count, size.sum) == (1, 21)
    assert collected.points("smtpx.server.auth") == [({"smtpx.mechanism": "PLAIN", "smtpx.result": "success"}, 1)]
    replied = {
        (found["smtpx.verb"], found["smtpx.reply.class"]) for found, _ in collected.points("smtpx.server.command")
    }
    assert {("GREETING", "2yz"), ("MAIL", "2yz"), ("DATA", "3yz"), ("END OF DATA", "2yz"), ("other", "5yz")} <= replied
    assert {found["smtpx.hook"] for found, _ in collected.points("smtpx.server.hook.duration")} >= {"mail", "data"}
    assert collected.value("smtpx.server.io", network__io__direction="receive") > 100
    assert collected.value("smtpx.server.io", network__io__direction="transmit") > 100
    span = collected.span("smtpx.server.transaction")
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    attributes = dict(span.attributes or {})
    assert attributes.pop("smtpx.transaction.id") == f"{attributes.pop('smtpx.connection.id')}.1"
    assert attributes == {
        "network.protocol.name": "smtp",
        "network.transport": "tcp",
        "network.peer.address": "127.0.0.1",
        "smtpx.outcome": "accepted",
        "smtpx.recipients": 1,
        "smtpx.recipients.refused": 0,
        "smtpx.octets": 21,
    }
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time >= span.start_time


async def test_no_label_and_no_attribute_names_a_person() -> None:
    collected, serving = served()
    async with serving as server, await RawClient.open(server) as client:
        await client.say(EHLO + ENV + "DATA\r\n", 4)
        await client.say("Subject: private\r\n\r\nx\r\n.\r\n")
        await client.say("AUTH PLAIN AHVzZXIAd3Jvbmc=\r\nQUIT\r\n", 2)
        await closed(collected)
    labels = repr([collected.points(name) for name in collected.metrics()])
    spans = repr([dict(span.attributes or {}) for span in collected.spans])
    for secret in ("client.example", "server.example", "private", "user", "wrong", "AHV"):
        assert secret not in labels + spans
    assert "127.0.0.1" not in labels


async def test_chunks_refused_and_abandoned() -> None:
    class Refusing(Recorder):
        async def data(self, body: Body) -> Reply | None:
            raise Reject.content_refused()

    collected, serving = served(Refusing)
    async with serving as server, await RawClient.open(server) as client:
        await client.say("BDAT 1\r\nx" + BDAT, 4)  # a chunk that belongs to no message
        assert collected.value("smtpx.server.message.open") == 0
        await client.say("BDAT 1 LAST\r\nx")
        await client.say(MAIL + RCPT + "RSET\r\nQUIT\r\n", 4)
        await closed(collected)
    assert collected.value("smtpx.server.message", smtpx__outcome="refused") == 1
    assert collected.value("smtpx.server.message", smtpx__outcome="abandoned") == 1
    assert collected.value("smtpx.server.message.open") == 0
    assert "smtpx.server.message.size" not in collected.metrics()
    first, second = collected.spans
    assert (first.attributes or {})["error.type"] == "550"
    assert "error.type" not in (second.attributes or {})


async def test_a_client_that_vanishes_is_an_error_of_its_kind() -> None:
    collected, serving = served()
    async with serving as server:
        async with await RawClient.open(server) as client:
            await client.say(EHLO + ENV + "DATA\r\n", 4)
        await closed(collected)
    assert (collected.span("smtpx.server.transaction").attributes or {})["error.type"] == "lost"
    assert collected.value("smtpx.server.message.open") == 0


async def test_trouble_of_ours() -> None:
    class Odd(Recorder):
        async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
            raise ValueError("private")

    collected, serving = served(Odd, deadlines=Deadlines(command=0.1, close=0.1))
    async with serving as server, await RawClient.open(server) as client:
        await client.say(EHLO + "AUTH LOGIN dXNlcg==\r\n", 2)
        await client.say("d3Jvbmc=\r\n")
        await client.say(ENV, 2)
        await client.reply()
        await closed(collected)
    assert collected.points("smtpx.server.hook.error") == [({"smtpx.hook": "rcpt"}, 1)]
    assert collected.points("smtpx.server.deadline") == [({"smtpx.deadline": "command"}, 1)]
    assert collected.value("smtpx.server.auth", smtpx__result="failure") == 1
    assert collected.span("smtpx.server.transaction").status.status_code is StatusCode.ERROR


async def test_tls_and_who_is_turned_away() -> None:
    collected, serving = served(tls=fresh_server_tls(), limits=ServerLimits(max_connections=1))
    async with serving as server:
        async with await RawClient.open(server) as client:
            async with await RawClient.open(server, greeting=False) as second:
                await second.reply()
            await client.say(EHLO + "STARTTLS\r\n", 2)
            await client.start_tls()
        await closed(collected)
        async with await RawClient.open(server) as client:
            await client.say(EHLO + "STARTTLS\r\n", 2)
            await client.send_raw(b"in clear\r\n")
            await closed(collected, 2)
    assert collected.points("smtpx.server.connection.refused") == [
        ({"smtpx.reason": "too many connections; try again later"}, 1)
    ]
    assert collected.value("smtpx.server.tls", smtpx__result="success") == 1
    assert collected.value("smtpx.server.tls", smtpx__result="not_tls") == 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_section_2_connections_without_an_octet_are_counted(implicit: bool) -> None:
    options: dict[str, Any] = {"tls": fresh_server_tls(), "implicit_tls": True} if implicit else {}
    collected, serving = served(**options)
    async with serving as server:
        async with await RawClient.open(server, greeting=not implicit):
            pass
        await closed(collected)
        async with await RawClient.open(server, greeting=not implicit) as client:
            await client.send_raw(b"x")
            await eventually(lambda: server.connections == 1)
            await asyncio.sleep(0.02)
        await closed(collected, 2)
    assert collected.points("smtpx.server.connection.silent") == [({}, 1)]


async def test_gauges_of_a_server() -> None:
    collected = Collected()
    telemetry = ServerTelemetry(collected.meters, collected.tracers)
    server = Server(Recorder, port=0, observer=telemetry)
    telemetry.attach(server)
    gauges = {each.name: each for each in SERVER_GAUGES}

    def now() -> dict[str, Any]:
        found = collected.metrics()
        return {name: found[name].data.data_points[0].value for name in gauges if name in found}

    async with server:
        server._guard.load.hold(500)
        assert now() == {"smtpx.server.message.held": 500, "smtpx.server.hook.stuck": 0, "smtpx.server.ready": True}
        server._guard.load.hold(-500)
    assert now()["smtpx.server.ready"] is False


def test_limits() -> None:
    collected = Collected()
    ServerTelemetry(collected.meters, collected.tracers).limit_hit("192.0.2.1", "max_connections", 10)
    assert collected.points("smtpx.server.limit") == [({"smtpx.limit": "max_connections"}, 1)]


@pytest.mark.parametrize("given", [{}, {"meter_provider": None}])
def test_without_providers_it_takes_those_of_the_application(given: dict[str, None]) -> None:
    assert isinstance(Server(Recorder, observer=ServerTelemetry(**given)), Server)


async def test_certificates(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    certificate().private_key_and_cert_chain_pem.write_to_path(str(both))
    collected, serving = served(tls=server_tls(both), tls_watch_seconds=None)
    async with serving as server:
        assert collected.value("smtpx.server.tls.certificate_not_after") == server.certificates.not_after
        both.write_text("garbage")
        with pytest.raises(ConfigurationError):
            server.reload_tls()
        assert collected.value("smtpx.server.tls.certificate_not_after") == server.certificates.not_after
    results = {"success": 1, "failure": 1}
    assert {each["smtpx.result"]: value for each, value in collected.points("smtpx.server.tls.reload")} == results


def test_an_end_that_is_not_known() -> None:
    collected = Collected()
    ServerTelemetry(collected.meters, collected.tracers).certificates_reloaded("expired", None)
    assert collected.points("smtpx.server.tls.certificate_not_after") == []

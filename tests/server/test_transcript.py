"""The dialogue of a connection: every line, nothing of AUTH, content as its size."""

from smtpx.server.session import Session
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, ENV, RawClient, recorders, running


async def test_a_dialogue() -> None:
    lines: list[tuple[str, str, str]] = []

    def trace(connection: str, side: str, line: str) -> None:
        lines.append((connection, side, line))

    session, made = recorders()
    async with (
        running(session, trace=trace, allow_insecure_auth=True) as server,
        await RawClient.open(server) as client,
    ):
        await client.say(EHLO)
        await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n")
        await client.say(ENV + "DATA\r\n", 3)
        await client.say("Subject: hidden\r\n\r\nhidden\r\n.\r\n")
        await client.say("BDAT 6 LAST\r\nhidden")
        await client.say("QUIT\r\n")
    assert {connection for connection, _, _ in lines} == {made[0].peer.id}
    dialogue = [f"{side}: {line}" for _, side, line in lines]
    end = dialogue.index("C: AUTH PLAIN ****")
    assert dialogue[2] == "S: 250-server.example"
    assert all(line.startswith("S: 250-") for line in dialogue[2 : end - 1])
    assert dialogue[end - 1].startswith("S: 250 ")
    assert dialogue[:2] + dialogue[end:] == [
        "S: 220 server.example ESMTP ready",
        "C: EHLO client.example",
        "C: AUTH PLAIN ****",
        "S: 235 2.7.0 authenticated",
        "C: MAIL FROM:<a@client.example>",
        "S: 250 2.1.0 sender ok",
        "C: RCPT TO:<b@server.example>",
        "S: 250 2.1.5 recipient ok",
        "C: DATA",
        "S: 354 send the message, end it with a line that holds only a dot",
        "C: <27 octets>",
        "S: 250 2.0.0 kept",
        "C: BDAT 6 LAST",
        "S: 503 5.5.1 bad sequence of commands",
        "C: QUIT",
        "S: 221 2.0.0 bye",
    ]


async def test_two_connections_are_told_apart() -> None:
    lines: list[tuple[str, str, str]] = []

    class Plain(Session):
        async def hello(self, verb: str, name: str) -> Reply | None:
            return None

    async with (
        running(Plain, trace=lambda *line: lines.append(line)) as server,
        await RawClient.open(server) as one,
        await RawClient.open(server) as two,
    ):
        await one.say("EHLO one\r\n")
        await two.say("EHLO two\r\n")
    ids = {line: connection for connection, _, line in lines}
    assert ids["EHLO one"] != ids["EHLO two"]

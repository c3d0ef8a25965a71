"""The open-relay guard: server-hardening 8 and H101, on a real server."""

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.extensions import STANDARD
from smtpx.extensions.xclient import XClient
from smtpx.sasl import Credentials
from smtpx.sasl.anonymous import ANONYMOUS
from smtpx.server.listener import Listener, Server
from smtpx.server.middleware import Stack
from smtpx.server.relay import AuthorizedRelay, SenderLogin
from smtpx.server.session import Reject, Session
from smtpx.wire.address import NULL_SENDER, Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, MAIL, RawClient, Recorder, fresh_server_tls, running

DENIED, TAKEN = "550 5.7.1", "250 2.1.5"
LOGIN = "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"


class Known(Recorder):
    """Knows one mailbox, `b`, in all of its domains."""

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        if recipient.local_part != "b" and recipient.domain in ("server.example", "xn--bcher-kva.example"):
            raise Reject.mailbox_unavailable()
        return None


def guarded(*local: str, kind: type[Session] = Known, **options: Any) -> Stack:  # noqa: ANN401
    return Stack(kind, AuthorizedRelay(local or ["server.example"], **options))


async def answers(maker: Stack, *recipients: str, before: str = "", **options: Any) -> list[str]:  # noqa: ANN401
    """What RCPT is answered, for each."""
    options.setdefault("allow_insecure_auth", True)
    async with running(maker, **options) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        for line in before.splitlines(keepends=True):
            assert (await client.say(line))[0][0] == "2", line
        await client.say(MAIL)
        return [(await client.say(f"RCPT TO:{each}\r\n".encode()))[0] for each in recipients]


# H101 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("<a%b.example@server.example>", "550 5.1.1"),
        ('<"a@b.example"@server.example>', "550 5.1.1"),
        ("<b.example!a@server.example>", "550 5.1.1"),
        ("<@server.example:a@b.example>", DENIED),
        ("<a@b.example>", DENIED),
        ("<b@server.example>", TAKEN),
        ("<b@SERVER.example>", TAKEN),
        ("<@b.example:b@server.example>", TAKEN),
        ("<@server.example,@server.example:a@b.example>", DENIED),
        ("<a%server.example@b.example>", DENIED),
        ('<"a@server.example"@b.example>', DENIED),
        ("<server.example!a@b.example>", DENIED),
        ("<b@sub.server.example>", DENIED),
        ("<b@server.example.b.example>", DENIED),
        ("<b@xserver.example>", DENIED),
        ("<b@[127.0.0.1]>", DENIED),
        ("<b@[IPv6:::1]>", DENIED),
        ("<Postmaster>", TAKEN),
        ("<postmaster@b.example>", DENIED),
    ],
)
async def test_h101_open_relay_forms(path: str, answer: str) -> None:
    assert await answers(guarded(), path) == [answer]


async def test_h101_a_forged_local_sender_gives_no_right() -> None:
    async with running(guarded()) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        for sender in ("<b@server.example>", "<>", "<postmaster@server.example>"):
            assert await client.say(f"MAIL FROM:{sender}\r\n") == ["250 2.1.0"]
            assert await client.say("RCPT TO:<a@b.example>\r\n") == [DENIED]
            await client.say("RSET\r\n")
        assert await client.say("EHLO server.example\r\n" + MAIL, 2) == ["250", "250 2.1.0"]
        assert await client.say("RCPT TO:<a@b.example> NOTIFY=NEVER\r\n") == [DENIED]


async def test_one_refused_recipient_leaves_the_others() -> None:
    assert await answers(guarded(), "<b@server.example>", "<a@b.example>", "<b@server.example>") == [
        TAKEN,
        DENIED,
        TAKEN,
    ]


# Domains of ours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("local", ["bücher.example", "xn--bcher-kva.example"])
async def test_both_forms_of_a_name_are_ours(local: str) -> None:
    async with running(guarded(local)) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        await client.say("MAIL FROM:<a@client.example> SMTPUTF8\r\n")
        for path in (
            "<b@bücher.example>",
            "<b@xn--bcher-kva.example>",
            "<b@XN--BCHER-KVA.EXAMPLE>",
            "<b@BÜCHER.example>",
        ):
            assert await client.say(f"RCPT TO:{path}\r\n".encode()) == [TAKEN]
        assert await client.say("RCPT TO:<b@bücher.example.net>\r\n".encode()) == [DENIED]


async def test_subdomains_only_where_they_are_written() -> None:
    wild = guarded("*.server.example", "[127.0.0.1]")
    paths = "<b@server.example>", "<b@a.server.example>", "<b@a.b.server.example>", "<b@[127.0.0.1]>"
    assert await answers(wild, *paths) == [DENIED, TAKEN, TAKEN, TAKEN]


# Who may relay --------------------------------------------------------------------------------------------------------


async def test_who_is_logged_in() -> None:
    assert await answers(guarded(), "<a@b.example>", before=LOGIN) == [TAKEN]
    assert await answers(guarded(authenticated=False), "<a@b.example>", before=LOGIN) == [DENIED]


async def test_anonymous_is_no_login() -> None:
    class Open(Session):
        async def authenticate(self, identity: Credentials) -> Reply | None:
            return None

    options = {"mechanisms": [ANONYMOUS], "before": "AUTH ANONYMOUS c2lyaGM=\r\n"}
    assert await answers(guarded(kind=Open), "<a@b.example>", **options) == [DENIED]


@pytest.mark.parametrize("networks", [["127.0.0.0/8"], ["127.0.0.1"], [ipaddress.ip_network("127.0.0.0/30")]])
async def test_trusted_networks(networks: list[str]) -> None:
    assert await answers(guarded(trusted_networks=networks), "<a@b.example>") == [TAKEN]


async def test_other_networks_and_unix_sockets(tmp_path: Path) -> None:
    assert await answers(guarded(trusted_networks=["10.0.0.0/8", "unix"]), "<a@b.example>") == [DENIED]
    for networks, answer in ((["unix"], TAKEN), (["127.0.0.0/8"], DENIED)):
        path = str(tmp_path / "s")
        async with running(guarded(trusted_networks=networks), unix=path), await RawClient.open(path) as client:
            await client.say(EHLO + MAIL, 2)
            assert await client.say("RCPT TO:<a@b.example>\r\n") == [answer]


@pytest.mark.parametrize(
    ("claim", "answer"),
    [("ADDR=192.0.2.7", DENIED), ("ADDR=10.1.2.3", TAKEN), ("ADDR=[UNAVAILABLE]", DENIED)],
)
async def test_the_client_behind_a_trusted_peer_is_judged(claim: str, answer: str) -> None:
    """Not the peer, though its own address may relay."""
    maker = guarded(trusted_networks=["127.0.0.0/8", "10.0.0.0/8"])
    extensions = [*STANDARD, XClient(trusted=["127.0.0.1"])]
    async with running(maker, extensions=extensions) as server, await RawClient.open(server) as client:
        await client.say(EHLO)
        assert await client.say(f"XCLIENT {claim}\r\n") == ["220"]
        await client.say(EHLO + MAIL, 2)
        assert await client.say("RCPT TO:<a@b.example>\r\n") == [answer]


async def test_a_proxied_client_is_judged_by_its_own_address() -> None:
    maker = guarded(trusted_networks=["127.0.0.0/8"])
    async with running(maker, proxy_protocol=True) as server:
        for source, answer in (("192.0.2.1", DENIED), ("127.0.0.9", TAKEN)):
            async with await RawClient.open(server, greeting=False) as client:
                await client.send(f"PROXY TCP4 {source} 192.0.2.2 1234 25\r\n")
                assert (await client.codes(1))[0].startswith("220")
                await client.say(EHLO + MAIL, 2)
                assert await client.say("RCPT TO:<a@b.example>\r\n") == [answer]


# What is not served at all --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("networks", [["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"]])
def test_networks_of_everybody(networks: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="would be everybody"):
        AuthorizedRelay(["server.example"], trusted_networks=networks)


@pytest.mark.parametrize(
    ("policy", "kind", "options", "wrong"),
    [
        (AuthorizedRelay(["a.example"]), Recorder, {"allow_insecure_auth": True}, "needs TLS"),
        (AuthorizedRelay(["a.example"]), Recorder, {"allow_insecure_auth": True, "tls": True}, "needs TLS"),
        (AuthorizedRelay(["a.example"]), Recorder, {"tls": True}, None),
        (
            AuthorizedRelay(["a.example"]),
            Recorder,
            {"allow_insecure_auth": True, "tls": True, "implicit_tls": True},
            None,
        ),
        (AuthorizedRelay(["a.example"]), Recorder, {"allow_insecure_auth": True, "host": "127.0.0.1"}, None),
        (AuthorizedRelay(["a.example"], authenticated=False), Recorder, {"allow_insecure_auth": True}, None),
        (AuthorizedRelay(["a.example"]), Session, {}, None),
        (AuthorizedRelay(), Session, {}, "nobody is served"),
        (AuthorizedRelay(trusted_networks=["10.0.0.0/8"]), Session, {}, "nobody is served"),
        (AuthorizedRelay(authenticated=False), Recorder, {"tls": True}, "nobody is served"),
        (AuthorizedRelay(), Recorder, {"tls": True}, None),
        (AuthorizedRelay(), Session, {"host": "::1"}, None),
        (AuthorizedRelay(), Session, {"unix": "/nonexistent"}, None),
    ],
)
def test_what_is_not_served(
    policy: AuthorizedRelay, kind: type[Session], options: dict[str, Any], wrong: str | None
) -> None:
    options = {"host": "0.0.0.0", **options}
    if options.get("tls"):
        options["tls"] = fresh_server_tls()
    if wrong is None:
        Server(Stack(kind, policy), **options)
    else:
        with pytest.raises(ConfigurationError, match=rf"0\.0\.0\.0: .*{wrong}"):
            Server(Stack(kind, policy), **options)


def test_one_listener_in_public_is_enough() -> None:
    listeners = [Listener(), Listener(host="::")]
    with pytest.raises(ConfigurationError, match=r"::: .*nobody is served"):
        Server(Stack(Session, AuthorizedRelay()), listeners=listeners)


def test_a_mechanism_without_tls_that_only_can_be_guessed_offline() -> None:
    """SCRAM is offered in clear where there is no STARTTLS."""

    class Scram(Session):
        async def lookup(self, mechanism: str, username: str) -> None: ...

    with pytest.raises(ConfigurationError, match="needs TLS"):
        Server(Stack(Scram, AuthorizedRelay(["a.example"])), host="0.0.0.0")
    Server(Stack(Scram, AuthorizedRelay(["a.example"])), host="0.0.0.0", tls=fresh_server_tls())


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (
            AuthorizedRelay(["b.example", "*.a.example"], trusted_networks=["10.0.0.0/8"]),
            "mail to b.example, *.a.example from everybody, to others from 10.0.0.0/8 and for users who are logged in",
        ),
        (AuthorizedRelay(authenticated=False), "mail to no domain from everybody, to others from nobody"),
    ],
)
def test_the_policy_in_one_line(policy: AuthorizedRelay, text: str) -> None:
    assert str(policy) == text


# Who may send as whom -------------------------------------------------------------------------------------------------

OWNERS = {"user": ["user@server.example", "*.user.example", "<>"], "boss": ["boss@server.example"]}


@pytest.mark.parametrize(
    ("sender", "answer"),
    [
        ("<user@server.example>", "250 2.1.0"),
        ('<"USER"@server.example>', "250 2.1.0"),
        ("<x@a.user.example>", "250 2.1.0"),
        ("<>", "250 2.1.0"),
        ("<boss@server.example>", "553 5.7.1"),
        ("<user@server.example.evil.example>", "553 5.7.1"),
    ],
)
async def test_who_is_logged_in_sends_as_itself(sender: str, answer: str) -> None:
    maker = Stack(Recorder, SenderLogin(OWNERS))
    async with running(maker, allow_insecure_auth=True) as server, await RawClient.open(server) as client:
        assert await client.say(f"{EHLO}{LOGIN}", 2) == ["250", "235 2.7.0"]
        assert await client.say(f"MAIL FROM:{sender}\r\n") == [answer]


@pytest.mark.parametrize(("protect", "answer"), [(False, "250 2.1.0"), (True, "553 5.7.1")])
async def test_who_is_not_logged_in(protect: bool, answer: str) -> None:
    maker = Stack(Recorder, SenderLogin(OWNERS, protect=protect))
    async with running(maker) as server, await RawClient.open(server) as client:
        assert await client.say(EHLO + "MAIL FROM:<boss@server.example>\r\n", 2) == ["250", answer]
        await client.say("RSET\r\n")
        assert await client.say("MAIL FROM:<>\r\nRSET\r\n", 2) == ["250 2.1.0", "250 2.0.0"]
        assert await client.say(MAIL) == ["250 2.1.0"]


def test_who_owns_nothing() -> None:
    assert not SenderLogin(OWNERS).is_allowed("stranger", Mailbox.parse("user@server.example"))
    assert not SenderLogin(OWNERS).is_allowed("boss", NULL_SENDER)

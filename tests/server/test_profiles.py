"""The table of profiles, read back from the settings that really hold; and what they do on a port."""

import ssl
from typing import Any

import pytest

from smtpx.errors import ConfigurationError
from smtpx.protocol import replies
from smtpx.protocol.limits import DefaultCap, ServerLimits
from smtpx.server.listener import Listener, Server
from smtpx.server.profiles import PROFILES, Profile, profile_of
from smtpx.server.session import Session
from smtpx.server.settings import Deadlines
from smtpx.wire.reply import Reply
from tests.server.rig import EHLO, MAIL, RCPT, RawClient, Recorder, fresh_server_tls, recorders, running

MIB = 1024 * 1024


def server(profile: Any = "dev", **options: Any) -> Server:  # noqa: ANN401 - names as they come from a command line
    return Server(Recorder, profile=profile, port=0, tls=fresh_server_tls(), **options)


def effective(made: Server) -> dict[str, Any]:
    """The rows of the table, from what connections are given."""
    shell, plan = made._settings_of(made._places[0]), made._places[0]
    rules, limits = shell.protocol, shell.protocol.limits
    assert plan.tls is not None
    return {
        "bind": plan.host,
        "TLS": "required" if rules.require_tls else "offered" if rules.starttls else "off",
        "AUTH": ("required" if rules.require_auth else "offered") if rules.mechanisms else "off",
        "greeting delay": shell.greeting_delay_seconds,
        "sync_check": rules.sync_check,
        "per-address cap": limits.max_connections_per_ip,
        "hard errors": limits.hard_error_limit,
        "size": limits.max_message_bytes,
        "recipients": (limits.max_recipients, limits.max_null_sender_recipients),
        "session tickets": not plan.tls.options & ssl.OP_NO_TICKET and plan.tls.num_tickets > 0,
        "commands before AUTH": limits.max_unauthenticated_commands,
        "guessers at connect": made._guard._refuse_guessers,
    }


COMMON = {"bind": "127.0.0.1", "size": 25 * MIB, "greeting delay": 0.0, "sync_check": "data", "hard errors": 20}
TABLE: dict[str, dict[str, Any]] = {
    "dev": COMMON
    | {
        "TLS": "offered",  # a certificate was given: that is asking
        "AUTH": "offered",  # so was a session with a login
        "per-address cap": 50,
        "recipients": (1000, None),
        "session tickets": True,
        "commands before AUTH": None,
        "guessers at connect": False,
    },
    "submission": COMMON
    | {
        "TLS": "required",
        "AUTH": "required",
        "per-address cap": 50,
        "recipients": (1000, None),
        "session tickets": True,
        "commands before AUTH": 20,
        "guessers at connect": True,
    },
    "mx": COMMON
    | {
        "TLS": "offered",
        "AUTH": "off",
        "greeting delay": 3.0,
        "sync_check": "all",
        "per-address cap": 20,
        "hard errors": 10,
        "recipients": (100, 1),
        "session tickets": False,
        "commands before AUTH": None,
        "guessers at connect": False,
    },
}


@pytest.mark.parametrize("name", PROFILES)
def test_section_12_the_table(name: str) -> None:
    assert effective(server(name)) == TABLE[name]
    assert isinstance(PROFILES[name].limits.max_connections_per_ip, DefaultCap)


def test_dev_is_what_there_is_without_a_profile() -> None:
    assert PROFILES["dev"] == Profile() == Profile(limits=ServerLimits(), deadlines=Deadlines())
    assert effective(Server(Recorder, port=0, tls=fresh_server_tls())) == TABLE["dev"]


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"require_tls": False}, {"TLS": "offered"}),
        ({"require_auth": False}, {"AUTH": "offered"}),
        ({"greeting_delay": 1.0}, {"greeting delay": 1.0}),
        ({"sync_check": "off"}, {"sync_check": "off"}),
        ({"session_tickets": False}, {"session tickets": False}),
        ({"limits": ServerLimits(hard_error_limit=7)}, {"hard errors": 7, "commands before AUTH": None}),
    ],
)
def test_keywords_outrank_the_profile(options: dict[str, Any], changed: dict[str, Any]) -> None:
    assert effective(server("submission", **options)) == TABLE["submission"] | changed


def test_a_login_on_mx_has_to_be_asked_for() -> None:
    made = server("mx", mechanisms=Server(Recorder)._shell.protocol.mechanisms, session_tickets=True)
    assert effective(made) == TABLE["mx"] | {"AUTH": "offered", "session tickets": True}


def test_a_profile_of_ones_own() -> None:
    mine = Profile(require_tls=True, deadlines=Deadlines(command=1.0))
    assert profile_of(mine) is mine
    assert server(mine)._shell.deadlines.command == 1.0
    assert effective(server(mine)) == TABLE["dev"] | {"TLS": "required"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"profile": "port25"}, "no profile 'port25'; there are dev, submission, mx"),
        ({"profile": "submission", "tls": None}, "require_tls without a certificate"),
        ({"profile": "submission", "session": Session}, "no method for any mechanism"),
        ({"trusted_networks": ["0.0.0.0/0"]}, "would trust everybody"),
        ({"trusted_networks": ["::/0"]}, "would trust everybody"),
        ({"trusted_networks": ["192.0.2.1/24"]}, "not a network"),
    ],
)
def test_what_can_not_be(options: dict[str, Any], what: str) -> None:
    options = {"tls": fresh_server_tls()} | options
    session = options.pop("session", Recorder)
    with pytest.raises(ConfigurationError, match=what):
        Server(session, **options)


def test_tickets_are_switched_off_in_every_context() -> None:
    listeners = [Listener(tls=fresh_server_tls()), Listener(), Listener(tls=fresh_server_tls(), implicit_tls=True)]
    Server(Session, profile="mx", listeners=listeners)
    assert [each.tls and each.tls.num_tickets for each in listeners] == [0, None, 0]


# On a port -----------------------------------------------------------------------------------------------------------


async def test_submission_wants_tls_then_a_login() -> None:
    kind, made = recorders()
    async with (
        running(kind, profile="submission", tls=fresh_server_tls(), limits=None) as server,
        await RawClient.open(server) as client,
    ):
        assert await client.say(EHLO) == ["250"]
        assert await client.say(MAIL) == ["530 5.7.0"]
        assert await client.say("STARTTLS\r\n") == ["220 2.0.0"]
        await client.start_tls()
        assert await client.say(EHLO + MAIL, 2) == ["250", "530 5.7.0"]
        assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n") == ["235 2.7.0"]
        assert await client.say(MAIL) == ["250 2.1.0"]
    assert made[0].calls[:3] == ["connect", "authenticate", "mail"]


async def test_mx_takes_a_report_for_one_recipient_and_offers_no_login() -> None:
    async with (
        running(Recorder, profile="mx", greeting_delay=0.0, limits=None) as server,
        await RawClient.open(server) as client,
    ):
        await client.send(EHLO)
        assert not [line for line in (await client.reply()).lines if line.startswith("AUTH")]
        assert await client.say("MAIL FROM:<>\r\n" + RCPT * 2, 3) == ["250 2.1.0", "250 2.1.5", "452 4.5.3"]
        assert await client.say("RSET\r\n" + MAIL + RCPT * 2, 4) == ["250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.1.5"]
        await client.send("NOOP\r\nNOOP\r\n")  # sync_check "all"
        assert await client.codes(1) == ["554 5.5.0"]


def test_no_reply_names_the_software() -> None:
    texts = [str(each) for each in vars(replies).values() if isinstance(each, Reply)]
    assert len(texts) > 50
    assert not [text for text in texts if "smtpx" in text.lower() or "python" in text.lower()]
    assert "smtpx" not in Server(Session)._shell.protocol.banner

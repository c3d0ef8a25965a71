"""The client protocol: each reply belongs to one command, and what does not fit ends the connection."""

import pytest

from smtpx.errors import LocalProtocolError, RefusedError, RemoteProtocolError, TemporaryRefusal
from smtpx.protocol.client import Answer, ClientProtocol
from smtpx.protocol.dialect import LMTP
from smtpx.protocol.facts import TLSFacts
from smtpx.protocol.limits import ClientLimits
from smtpx.protocol.phases import Phase

FACTS = TLSFacts("TLSv1.3", "x")


def say(protocol: ClientProtocol, text: str) -> Answer:
    """The next answer."""
    protocol.receive_data(text.replace("\n", "\r\n").encode())
    answer = protocol.next_answer()
    assert answer is not None
    return answer


def greeted() -> ClientProtocol:
    protocol = ClientProtocol()
    say(protocol, "220 x\n")
    return protocol


def ready() -> ClientProtocol:
    protocol = greeted()
    protocol.command("EHLO", "me")
    say(protocol, "250-x\n250-SIZE 5\n250 PIPELINING\n")
    return protocol


def test_greeting_and_hello() -> None:
    protocol = ClientProtocol()
    assert protocol.phase is Phase.BANNER
    assert protocol.stage == "greeting"
    assert protocol.next_answer() is None
    assert say(protocol, "220 x\n").is_positive
    assert protocol.phase is Phase.HELLO
    assert protocol.command("EHLO", "me") == b"EHLO me\r\n"
    assert protocol.owed is not None
    assert (protocol.owed.command, protocol.owed.line, protocol.stage, protocol.owes) == ("EHLO", "EHLO me", "hello", 1)
    say(protocol, "250-x\n250 SIZE 5\n")
    assert protocol.capabilities["SIZE"] == "5"
    assert protocol.is_clean
    assert protocol.owed is None
    assert protocol.stage is None


def test_an_unknown_verb_is_its_own_stage() -> None:
    protocol = ready()
    protocol.command("XCLIENT", "NAME=x")
    assert protocol.stage == "xclient"


def test_whole_transaction_in_one_group() -> None:
    protocol = ready()
    for verb, argument in (("MAIL", "FROM:<>"), ("RCPT", "TO:<a@b>"), ("DATA", None)):
        protocol.command(verb, argument, recipient="a@b" if verb == "RCPT" else None)
    protocol.receive_data(b"250 m\r\n550 r\r\n354 go\r\n")
    mail, rcpt, data = (protocol.next_answer() for _ in range(3))
    assert mail is not None
    assert rcpt is not None
    assert data is not None
    assert rcpt.owed.recipient == "a@b"
    error = rcpt.refusal()
    assert (error.command, error.recipient, error.stage) == ("RCPT TO:<a@b>", "a@b", "rcpt")
    assert protocol.in_body  # 354 with nobody: it has to be ended
    protocol.open_body()
    assert protocol.stage == "body"
    protocol.close_body()
    assert protocol.stage == "final"
    say(protocol, "554 x\n")
    assert protocol.is_clean


@pytest.mark.parametrize(
    ("phase", "verb"), [(0, "MAIL"), (1, "MAIL"), (2, "RCPT"), (2, "DATA"), (2, "BDAT"), (2, "HANDSHAKE")]
)
def test_commands_out_of_order_are_not_sent(phase: int, verb: str) -> None:
    protocol = (ClientProtocol, greeted, ready)[phase]()
    with pytest.raises(LocalProtocolError, match="out of order"):
        protocol.command(verb, "0 LAST" if verb == "BDAT" else None)


@pytest.mark.parametrize(
    "char", ["\r\n", "\r", "\n", "\0", "\t", "\x0b", "\x0c", "\x1b", "\x7f", "\u0085", "\u2028", "\u2029"]
)
def test_h050_h052_controls_never_get_out(char: str) -> None:
    protocol = ready()
    with pytest.raises(LocalProtocolError):
        protocol.command("VRFY", f"a{char}b")
    assert protocol.is_clean
    assert protocol.command("VRFY", "a\u560a\u560d") == "VRFY a\u560a\u560d\r\n".encode()


def test_bdat_and_its_last() -> None:
    protocol = ready()
    protocol.command("MAIL", "FROM:<>")
    protocol.command("RCPT", "TO:<a@b>")
    protocol.command("BDAT", "3")
    protocol.command("BDAT", "0 LAST")
    protocol.receive_data(b"250 m\r\n250 r\r\n250 1\r\n")
    for _ in range(3):
        protocol.next_answer()
    assert protocol.phase is Phase.CHUNKS
    assert protocol.in_transaction
    assert protocol.stage == "final"
    say(protocol, "250 ok\n")
    assert protocol.is_clean


def test_lmtp_owes_a_verdict_for_each() -> None:
    for chunked in (False, True):
        protocol = ClientProtocol(dialect=LMTP)
        say(protocol, "220 x\n")
        protocol.command("LHLO", "me")
        say(protocol, "250 x\n")
        protocol.command("MAIL", "FROM:<>")
        say(protocol, "250 m\n")
        protocol.command("RCPT", "TO:<a@b>")
        say(protocol, "250 r\n")
        if chunked:
            protocol.command("BDAT", "0 LAST")
            protocol.expect_verdicts(("a", "b"))
        else:
            protocol.command("DATA")
            say(protocol, "354 go\n")
            protocol.open_body(("a", "b"))
            protocol.close_body()
        assert protocol.owes == 2
        assert say(protocol, "250 a\n").owed.recipient == "a"
        assert say(protocol, "550 b\n").owed.recipient == "b"
        assert protocol.is_clean


@pytest.mark.parametrize(
    ("command", "reply"),
    [("EHLO", "354"), ("NOOP", "334"), ("MAIL", "354"), ("RSET", "300"), ("STARTTLS", "334"), ("QUIT", "354")],
)
def test_a_class_that_makes_no_sense(command: str, reply: str) -> None:
    protocol = ready()
    protocol.command(command)
    with pytest.raises(RemoteProtocolError, match="makes no sense"):
        say(protocol, f"{reply} x\n")
    assert protocol.is_closed


def test_data_needs_a_354() -> None:
    protocol = ready()
    for verb in ("MAIL", "RCPT", "DATA"):
        protocol.command(verb)
    say(protocol, "250 x\n")
    say(protocol, "250 x\n")
    with pytest.raises(RemoteProtocolError):
        say(protocol, "250 x\n")


@pytest.mark.parametrize(
    "octets",
    [
        b"abc hello\r\n",
        b"25 x\r\n",
        b"2500 x\r\n",
        b"099 x\r\n",
        b"250 x\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b"250-a\r\n550 b\r\n",
        b"230-a\r\ntext without code\r\n230 b\r\n",
    ],
)
def test_h057_f30_what_is_no_reply(octets: bytes) -> None:
    protocol = ready()
    protocol.command("NOOP")
    protocol.receive_data(octets)
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.next_answer()
    assert caught.value.stage == "noop"
    assert protocol.is_closed


@pytest.mark.parametrize("octets", [b"x" * 10_000, b"250-x\r\n" * 10_000, b"250-" + b"x" * 4000 + b"\r\n"])
def test_h057_c04_endless_replies(octets: bytes) -> None:
    protocol = ready()
    protocol.command("NOOP")
    for _ in range(100):
        protocol.receive_data(octets)
    with pytest.raises(RemoteProtocolError):
        protocol.next_answer()
    assert protocol.is_closed
    with pytest.raises(LocalProtocolError):  # the next call fails too
        protocol.command("NOOP")


def test_limits_are_the_callers() -> None:
    protocol = ClientProtocol(limits=ClientLimits(max_reply_line_bytes=100, max_reply_lines=2, max_reply_bytes=200))
    with pytest.raises(RemoteProtocolError):
        say(protocol, "220-a\n220-b\n220 c\n")


def test_h057_octets_above_7f_and_f31_long_refusals_are_fine() -> None:
    protocol = ready()
    protocol.command("NOOP")
    protocol.receive_data(b"550-5.1.1 a\xff\r\n550-5.1.1 b\r\n550-5.1.1 c\r\n550 5.1.1 d\r\n")
    answer = protocol.next_answer()
    assert answer is not None
    assert answer.reply.lines == ("a\\xff", "b", "c", "d")
    assert str(answer.reply.enhanced) == "5.1.1"


def test_c03_enhanced_codes() -> None:
    protocol = ready()
    for text, enhanced, lines in (
        ("500 5.0.0 a\n", "5.0.0", ("a",)),
        ("500 b\n", "None", ("b",)),
        ("500-5.0.0 c\n500 5.0.0 d\n", "5.0.0", ("c", "d")),
    ):
        protocol.command("MAIL", "FROM:<>")
        reply = say(protocol, text).reply
        assert (str(reply.enhanced), reply.lines) == (enhanced, lines)


def test_h058_unasked_reply() -> None:
    protocol = ready()
    with pytest.raises(RemoteProtocolError, match="nobody asked"):
        say(protocol, "250 x\n")
    assert protocol.is_closed
    protocol = ready()
    with pytest.raises(TemporaryRefusal):
        say(protocol, "421 bye\n")
    protocol = ready()
    protocol.receive_data(b"25")
    assert not protocol.is_clean
    with pytest.raises(RemoteProtocolError, match="nobody asked"):
        protocol.command("NOOP")
    assert protocol.is_closed


@pytest.mark.parametrize(("reply", "error"), [("250 ok\n", RemoteProtocolError), ("552 no\n", None)])
def test_h058_early_verdict(reply: str, error: type[Exception] | None) -> None:
    protocol = ready()
    for verb in ("MAIL", "RCPT", "DATA"):
        protocol.command(verb)
    protocol.receive_data(b"250 m\r\n250 r\r\n354 go\r\n")
    for _ in range(3):
        protocol.next_answer()
    protocol.open_body()
    if error is None:
        answer = say(protocol, reply)
        assert answer.early
        assert isinstance(answer.refusal(), RefusedError)
    else:
        with pytest.raises(error):
            say(protocol, reply)
    assert protocol.is_closed


def test_421_closes_whatever_comes_behind_it() -> None:
    protocol = ready()
    for verb in ("MAIL", "RCPT", "DATA"):
        protocol.command(verb)
    protocol.receive_data(b"421 bye\r\n503 x\r\n354 go\r\n")
    for _ in range(3):
        protocol.next_answer()
    assert protocol.is_closed
    assert not protocol.in_body


def test_auth_masks_its_line() -> None:
    protocol = ready()
    assert protocol.command("AUTH", "PLAIN c2VjcmV0", shown="AUTH PLAIN ****") == b"AUTH PLAIN c2VjcmV0\r\n"
    assert say(protocol, "334 x\n").owed.line == "AUTH PLAIN ****"
    assert protocol.phase is Phase.AUTH
    assert protocol.respond(b"eA==") == b"eA==\r\n"
    assert protocol.stage == "auth"
    say(protocol, "535 no\n")
    assert protocol.is_clean


def test_starttls_forgets_everything() -> None:
    protocol = ready()
    protocol.identity = "x"
    protocol.command("STARTTLS")
    say(protocol, "220 go\n")
    protocol.tls_started(FACTS)
    assert protocol.tls is FACTS
    assert dict(protocol.capabilities) == {}
    assert protocol.identity is None
    assert protocol.hello_reply is None
    assert protocol.phase is Phase.HELLO
    implicit = ClientProtocol()
    implicit.tls_started(FACTS)
    assert implicit.phase is Phase.BANNER


@pytest.mark.parametrize("behind", [b"250 x\r\n", b"2"])
def test_h036_octets_behind_the_220(behind: bytes) -> None:
    protocol = ready()
    protocol.command("STARTTLS")
    protocol.receive_data(b"220 go\r\n" + behind)
    with pytest.raises(RemoteProtocolError, match="in clear"):
        protocol.next_answer()
    assert protocol.is_closed


def test_refused_hello_teaches_nothing() -> None:
    protocol = greeted()
    protocol.command("EHLO", "me")
    say(protocol, "550-x\n550 SIZE\n")
    assert protocol.hello_reply is None
    protocol.command("HELO", "me")
    say(protocol, "250-x\n250 SIZE\n")
    assert protocol.hello_reply is not None
    assert dict(protocol.capabilities) == {}


def test_connection_closed() -> None:
    protocol = ready()
    protocol.connection_closed()
    with pytest.raises(LocalProtocolError):
        protocol.command("NOOP")


def test_h057_f_replies_that_end_in_lf_alone_are_taken_only_where_it_was_asked_for() -> None:
    strict = ClientProtocol()
    strict.receive_data(b"220 x\n")
    with pytest.raises(RemoteProtocolError):
        strict.next_answer()
    lenient = ClientProtocol(limits=ClientLimits(lenient_replies=True))
    lenient.receive_data(b"220-x\n220 y\r\n")
    answer = lenient.next_answer()
    assert answer is not None
    assert answer.reply.lines == ("x", "y")

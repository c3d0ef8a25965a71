"""What is counted against a client, and when it is too much."""

from smtpx.protocol import replies
from smtpx.protocol.conduct import Conduct, Ending
from smtpx.protocol.events import (
    LimitHit,
    MailAsked,
)
from smtpx.protocol.limits import ServerLimits
from tests.protocol.server_peer import (
    EHLO,
    ENVELOPE,
    GOOD_AUTH,
    MAIL,
    MECHANISMS,
    NOOP,
    RCPT,
    answering,
    ends,
    make_settings,
    play,
    survives,
)

NO = replies.make(550, "5.7.1", "no")


def test_commands_without_authentication_can_be_limited() -> None:
    settings = make_settings(
        mechanisms=MECHANISMS, allow_insecure_auth=True, limits={"max_unauthenticated_commands": 3}
    )
    assert ends(EHLO, NOOP * 3, settings=settings).codes == ["250", "250 2.0.0", "250 2.0.0", "421 4.7.0"]
    assert survives(EHLO, GOOD_AUTH, NOOP * 5, settings=settings).codes[2:] == ["250 2.0.0"] * 5


def test_what_is_not_counted() -> None:
    settings = make_settings(starttls=True, require_tls=True, mechanisms=MECHANISMS, limits={"hard_error_limit": 1})
    assert survives(EHLO, MAIL * 5, settings=settings).codes[1:] == ["530 5.7.0"] * 5
    settings = make_settings(mechanisms=MECHANISMS, limits={"hard_error_limit": 1})
    assert survives(EHLO, GOOD_AUTH * 5, settings=settings).codes[1:] == ["538 5.7.11"] * 5
    settings = make_settings(limits={"hard_error_limit": 1})
    later = replies.make(450, "4.7.1", "later")
    assert (
        survives(EHLO, MAIL * 5, settings=settings, policy=answering(MailAsked, later)).codes[1:] == ["450 4.7.1"] * 5
    )


def test_recipients_beyond_all_measure() -> None:
    settings = make_settings(limits={"max_recipients": 1, "recipient_overshoot": 1, "hard_error_limit": 2})
    outcome = ends(EHLO, ENVELOPE + RCPT * 3, settings=settings)
    assert outcome.codes[3:] == ["452 4.5.3", "452 4.5.3", "421 4.7.0"]


def test_503_is_excused_only_behind_a_refusal() -> None:
    settings = make_settings(limits={"hard_error_limit": 2})
    refuse = answering(MailAsked, NO)
    assert survives(EHLO, MAIL + RCPT * 3, settings=settings, policy=refuse).codes[2:] == ["503 5.5.1"] * 3
    assert ends(EHLO, MAIL + NOOP + RCPT, settings=settings, policy=refuse).codes[-1] == "421 4.7.0"


def test_limits_of_octets_and_content_are_told() -> None:
    settings = make_settings(limits={"max_hops": 0})
    loop = play(EHLO + ENVELOPE + "DATA\r\n", "Received: x\r\n.\r\n", settings=settings)
    assert loop.of(LimitHit) == [LimitHit("max_hops", 0)]
    assert play("GET / HTTP/1.1\r\n").of(LimitHit) == [LimitHit("foreign_verbs", 0)]


LIMITS = ServerLimits(
    hard_error_limit=2, junk_command_limit=1, recipient_overshoot=1, max_auth_failures=2, max_unauthenticated_commands=1
)


def recorded() -> tuple[Conduct, list[str]]:
    """A client's record, and the limits that were told."""
    told: list[str] = []
    return Conduct(lambda event: told.append(event.limit)), told


def test_errors_are_forgiven_with_a_message() -> None:
    conduct, told = recorded()
    for _ in range(3):
        assert conduct.count_refusal(NO, LIMITS) is None
        conduct.message_taken()
    assert (conduct.errors, told) == (0, [])
    assert conduct.count_refusal(NO, LIMITS) is None
    assert conduct.count_refusal(NO, LIMITS) == Ending(replies.TOO_MANY_ERRORS, "too many errors")
    assert told == ["hard_error_limit"]


def test_junk_is_an_error_in_the_end() -> None:
    conduct, told = recorded()
    assert [conduct.count_junk(LIMITS) for _ in range(2)] == [None, None]
    assert told == ["junk_command_limit"]
    ending = conduct.count_junk(LIMITS)
    assert ending == Ending(replies.TOO_MANY_ERRORS, "too many commands that do nothing")
    assert told == ["junk_command_limit", "hard_error_limit"]


def test_guesses_are_not_forgiven() -> None:
    conduct, told = recorded()
    assert conduct.count_auth_failure(LIMITS) is None
    conduct.message_taken()
    assert conduct.count_auth_failure(LIMITS) == Ending(
        replies.TOO_MANY_AUTH_FAILURES, "too many authentication failures"
    )
    assert (conduct.auth_failures, conduct.errors, told) == (2, 1, ["max_auth_failures"])

"""The exception tree: what each class is, says, holds, and keeps when it is pickled."""

import copy
import pickle
from collections.abc import Callable

import pytest

from smtpx import errors
from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    ProtocolError,
    RefusedError,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    TLSError,
    TransportError,
    UnsupportedError,
)
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply

NO_USER = Reply(550, EnhancedCode(5, 1, 1), ("no such user",))
BUSY = Reply(450, EnhancedCode(4, 2, 1), ("busy",))
PLAIN = (
    SMTPXError,
    ConfigurationError,
    ProtocolError,
    LocalProtocolError,
    RemoteProtocolError,
    TransportError,
    ConnectError,
    TLSError,
    ConnectionLost,
    DeadlineError,
)
MAKERS: dict[type[SMTPXError], Callable[[], SMTPXError]] = {
    **{cls: lambda cls=cls: cls("what happened", stage="final") for cls in PLAIN},
    UnsupportedError: lambda: UnsupportedError("no STARTTLS", keyword="STARTTLS", stage="starttls"),
    RefusedError: lambda: RefusedError(NO_USER, command="RCPT TO:<a@b>", recipient="a@b", stage="rcpt"),
    TemporaryRefusal: lambda: TemporaryRefusal(BUSY, command="DATA", stage="data"),
    PermanentRefusal: lambda: PermanentRefusal(NO_USER, stage="rcpt"),
    AuthenticationError: lambda: AuthenticationError("refused", mechanism="PLAIN", reply=NO_USER),
}
each_class = pytest.mark.parametrize("make", MAKERS.values(), ids=[cls.__name__ for cls in MAKERS])


def test_every_public_class_is_tested_here() -> None:
    assert {cls.__name__ for cls in MAKERS} == set(errors.__all__)


@pytest.mark.parametrize(
    ("cls", "parents"),
    [
        (SMTPXError, [Exception]),
        (ConfigurationError, [SMTPXError, ValueError]),
        (ProtocolError, [SMTPXError]),
        (LocalProtocolError, [ProtocolError, ValueError]),
        (RemoteProtocolError, [ProtocolError]),
        (UnsupportedError, [SMTPXError]),
        (RefusedError, [SMTPXError]),
        (TemporaryRefusal, [RefusedError]),
        (PermanentRefusal, [RefusedError]),
        (AuthenticationError, [SMTPXError]),
        (TransportError, [SMTPXError, OSError]),
        (ConnectError, [TransportError]),
        (TLSError, [TransportError]),
        (ConnectionLost, [TransportError]),
        (DeadlineError, [TransportError, TimeoutError]),
    ],
)
def test_class_tree(cls: type[SMTPXError], parents: list[type[Exception]]) -> None:
    assert list(cls.__bases__) == parents


@each_class
def test_is_temporary_says_whether_to_try_again(make: Callable[[], SMTPXError]) -> None:
    again = {TemporaryRefusal, TransportError, ConnectError, TLSError, ConnectionLost, DeadlineError}
    error = make()
    assert error.is_temporary is (type(error) in again)


def test_a_bad_certificate_will_not_be_better_soon() -> None:
    error = TLSError("expired", is_certificate=True)
    assert error.is_certificate
    assert not error.is_temporary
    assert not TLSError("broken handshake").is_certificate
    assert (error.reason, TLSError("x").reason, TLSError("x", reason="eof").reason) == ("certificate", "other", "eof")


@each_class
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_with_its_attributes(make: Callable[[], SMTPXError], protocol: int) -> None:
    error = make()
    error.result = {"accepted": ["c@d"]}
    error.add_note("seen twice")
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own octets
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (again.args, str(again), again.is_temporary) == (error.args, str(error), error.is_temporary)


@each_class
def test_copied_with_its_attributes(make: Callable[[], SMTPXError]) -> None:
    error = make()
    assert vars(copy.copy(error)) == vars(copy.deepcopy(error)) == vars(error)


@each_class
def test_h055_d45_holds_nothing_but_what_is_named(make: Callable[[], SMTPXError]) -> None:
    """No room for credentials: what a class keeps is listed in its docstring."""
    named = {"message", "stage", "keyword", "reply", "command", "recipient", "refusals", "mechanism"}
    assert set(vars(make())) <= named | {"is_temporary", "is_certificate", "was_challenged", "reason"}


def test_h055_sasl_error_as_a_cause_leaves_no_secret_behind() -> None:
    from smtpx.sasl import Password, SASLError

    with pytest.raises(ConfigurationError) as caught:  # noqa: PT012 - the raise is what is looked at
        try:
            Password("user", "hunter2\n")
        except SASLError as cause:
            raise ConfigurationError(str(cause)) from cause
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"


def test_text_names_the_stage_when_there_is_one() -> None:
    assert str(ConnectionLost("peer closed", stage="final")) == "peer closed (stage: final)"
    assert str(ConfigurationError("bad port")) == "bad port"
    assert repr(ConfigurationError("bad port")) == "ConfigurationError('bad port')"
    assert SMTPXError("x").stage is None
    assert SMTPXError("x").result is None


def test_transport_errors_are_caught_as_os_errors() -> None:
    error = DeadlineError("too slow", stage="mail")
    assert isinstance(error, OSError | TimeoutError)
    assert (error.errno, error.args, str(error)) == (None, ("too slow",), "too slow (stage: mail)")


@pytest.mark.parametrize(
    ("reply", "cls"),
    [
        (BUSY, TemporaryRefusal),
        (Reply(421, None, ("closing",)), TemporaryRefusal),
        (NO_USER, PermanentRefusal),
        (Reply(250, None), PermanentRefusal),
    ],
)
def test_rfc5321_4_2_1_class_of_a_refusal_is_the_first_digit(reply: Reply, cls: type[RefusedError]) -> None:
    error = RefusedError.of(reply, command="MAIL FROM:<a@b>", recipient=None, stage="mail")
    assert type(error) is cls
    assert (error.reply, error.command, error.recipient, error.stage) == (reply, "MAIL FROM:<a@b>", None, "mail")


def test_refusal_says_who_and_why() -> None:
    assert str(RefusedError.of(NO_USER, recipient="a@b", stage="rcpt")) == "<a@b>: 550 5.1.1 no such user (stage: rcpt)"
    assert str(RefusedError.of(NO_USER)) == "550 5.1.1 no such user"


def test_refusal_of_every_recipient_lists_them() -> None:
    error = RefusedError.of(NO_USER, stage="rcpt")
    error.refusals = {"a@b": RefusedError.of(NO_USER), "c@d": RefusedError.of(BUSY)}
    expected = "every recipient was refused: <a@b>: 550 5.1.1 no such user; <c@d>: 450 4.2.1 busy"
    assert str(error) == expected
    assert str(pickle.loads(pickle.dumps(error))) == expected  # noqa: S301 - our own octets


def test_refusal_of_very_many_recipients_names_the_first() -> None:
    error = RefusedError.of(NO_USER, stage="rcpt")
    error.refusals = {f"{number}@b": RefusedError.of(NO_USER) for number in range(1500)}
    assert "<9@b>: 550 5.1.1 no such user; and 1490 more" in str(error)
    assert len(str(error)) < 500


def test_refusal_that_lists_itself_is_pickled() -> None:
    error = RefusedError.of(NO_USER, recipient="a@b")
    error.refusals = {"a@b": error}
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own octets
    assert again.refusals["a@b"] is again
    assert str(again) == str(error)


def test_h056_refusal_steers_no_terminal() -> None:
    assert "\x1b" not in str(RefusedError.of(Reply(550, None, ("\x1b]0;pwn\x07",))))


@pytest.mark.parametrize(("reply", "temporary"), [(None, False), (NO_USER, False), (Reply(454, None), True)])
def test_rfc4954_6_authentication_may_work_later_after_4yz(reply: Reply | None, temporary: bool) -> None:
    error = AuthenticationError("no", mechanism="LOGIN", reply=reply)
    assert error.is_temporary is temporary
    assert (error.mechanism, error.reply, error.stage) == ("LOGIN", reply, "auth")
    assert str(error) == "no (stage: auth)"

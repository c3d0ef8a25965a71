"""Errors that are ours and the standard library's at once."""

import copy
import pickle
import smtplib
import ssl

import pytest

from smtpx import errors
from smtpx.adapters.errors import DeliveryError, as_delivery_error
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply

LATER = Reply(450, EnhancedCode(4, 2, 0), ("later",))
NO = Reply(550, None, ("no", "never"))


def all_of_them() -> errors.RefusedError:
    error = errors.RefusedError.of(NO, recipient="a@example.org", stage="rcpt")
    error.refusals = {
        "a@example.org": errors.RefusedError.of(NO, recipient="a@example.org", stage="rcpt"),
        "b@example.org": errors.RefusedError.of(LATER, recipient="b@example.org", stage="rcpt"),
    }
    return error


CASES = [
    (errors.RefusedError.of(LATER, recipient="a@example.org", stage="rcpt"), smtplib.SMTPRecipientsRefused),
    (all_of_them(), smtplib.SMTPRecipientsRefused),
    (errors.RefusedError.of(NO, command="MAIL FROM:<a@example.org> SIZE=3", stage="mail"), smtplib.SMTPSenderRefused),
    (errors.RefusedError.of(NO, stage="mail"), smtplib.SMTPSenderRefused),
    (errors.RefusedError.of(NO, stage="final"), smtplib.SMTPDataError),
    (errors.RefusedError.of(NO, stage="greeting"), smtplib.SMTPConnectError),
    (errors.RefusedError.of(NO, stage="hello"), smtplib.SMTPHeloError),
    (errors.AuthenticationError("wrong", mechanism="PLAIN", reply=NO), smtplib.SMTPAuthenticationError),
    (errors.AuthenticationError("none fits", mechanism="-"), smtplib.SMTPException),
    (errors.UnsupportedError("no TLS", keyword="STARTTLS"), smtplib.SMTPNotSupportedError),
    (errors.ConnectError("nobody there", stage="connect"), ConnectionError),
    (errors.ConnectionLost("gone", stage="final"), smtplib.SMTPServerDisconnected),
    (errors.DeadlineError("too late", stage="mail"), TimeoutError),
    (errors.TLSError("not good", is_certificate=True, stage="starttls"), ssl.SSLCertVerificationError),
    (errors.TLSError("broke", stage="starttls"), ssl.SSLError),
    (errors.RemoteProtocolError("nonsense", stage="rcpt"), smtplib.SMTPException),
    (errors.SMTPXError("whatever"), smtplib.SMTPException),
]


@pytest.mark.parametrize(("error", "theirs"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_both_kinds_of_except_catch_it(error: errors.SMTPXError, theirs: type[Exception]) -> None:
    made = as_delivery_error(error)
    for kind in (type(error), theirs, DeliveryError, smtplib.SMTPException, OSError, errors.SMTPXError):
        assert isinstance(made, kind)
    assert str(made) == str(error)
    assert made.is_temporary == error.is_temporary
    assert made.stage == error.stage


@pytest.mark.parametrize(("error", "theirs"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_it_can_be_pickled_and_copied(error: errors.SMTPXError, theirs: type[Exception]) -> None:
    made = as_delivery_error(error)
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made)):  # noqa: S301 - our own
        assert type(again) is type(made)
        assert str(again) == str(error)
        assert again.__dict__.keys() == made.__dict__.keys()


def test_attributes_that_smtplib_has() -> None:
    assert as_delivery_error(all_of_them()).recipients == {
        "a@example.org": (550, b"no\nnever"),
        "b@example.org": (450, b"4.2.0 later"),
    }
    sender = as_delivery_error(CASES[2][0])
    assert (sender.sender, sender.smtp_code, sender.smtp_error) == ("a@example.org", 550, b"no\nnever")
    assert as_delivery_error(CASES[3][0]).sender == ""
    assert as_delivery_error(CASES[7][0]).smtp_code == 550

"""Which error is which exit status."""

import pytest

from smtpx.cli.status import Status, status_of
from smtpx.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    DeadlineError,
    LocalProtocolError,
    PermanentRefusal,
    RemoteProtocolError,
    SMTPXError,
    TemporaryRefusal,
    TLSError,
    UnsupportedError,
)
from smtpx.protocol.replies import make

NO = make(550, "5.1.1", "no")
LATER = make(451, "4.3.0", "later")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("x"), 64),
        (LocalProtocolError("x", stage="hello"), 64),
        (LocalProtocolError("x", stage="mail"), 65),
        (LocalProtocolError("x", stage="body"), 65),
        (UnsupportedError("x", keyword="SIZE"), 65),
        (UnsupportedError("x", keyword="8BITMIME"), 65),
        (UnsupportedError("x", keyword="SMTPUTF8"), 65),
        (UnsupportedError("x", keyword="BINARYMIME"), 65),
        (UnsupportedError("x", keyword="STARTTLS"), 69),
        (UnsupportedError("x", keyword="AUTH"), 69),
        (UnsupportedError("x", keyword="DSN"), 69),
        (PermanentRefusal(NO), 69),
        (TLSError("x", is_certificate=True), 69),
        (SMTPXError("x"), 69),
        (TLSError("x"), 75),
        (TemporaryRefusal(LATER), 75),
        (AuthenticationError("x", mechanism="PLAIN", reply=LATER), 75),
        (ConnectError("x"), 75),
        (ConnectionLost("x", stage="final"), 75),
        (DeadlineError("x"), 75),
        (RemoteProtocolError("x"), 76),
        (AuthenticationError("x", mechanism="PLAIN", reply=NO), 69),
        (AuthenticationError("x", mechanism="PLAIN", reply=make(535, "5.7.8", "no")), 77),
        (AuthenticationError("x", mechanism="PLAIN"), 77),
    ],
)
def test_status_of(error: SMTPXError, status: int) -> None:
    assert status_of(error) == status


def test_the_numbers_are_those_of_sysexits() -> None:
    names = {Status.USAGE: 64, Status.DATA: 65, Status.NO_INPUT: 66, Status.UNAVAILABLE: 69, Status.INTERNAL: 70}
    names |= {Status.CANT_CREATE: 73, Status.TEMPORARY: 75, Status.PROTOCOL: 76, Status.CREDENTIALS: 77}
    assert {status: int(status) for status in names} == names

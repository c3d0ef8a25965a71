"""Events are values, and none shows a secret."""

import dataclasses

import pytest

from smtpx.protocol import events
from smtpx.protocol.events import AuthAsked, BodyReceived, ConnectionEnded, RcptAsked
from smtpx.sasl import Credentials, Secret
from smtpx.wire.address import Mailbox
from smtpx.wire.params import NO_PARAMS

KINDS = [getattr(events, name) for name in events.__all__ if name not in ("AbortCause", "Event")]


@pytest.mark.parametrize("kind", KINDS)
def test_events_are_frozen_values(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined] # dataclass() puts it there
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)


def test_events_compare_by_value() -> None:
    assert BodyReceived(b"x") == BodyReceived(b"x")
    assert RcptAsked(Mailbox("a", "b"), NO_PARAMS) == RcptAsked(Mailbox("a", "b"), NO_PARAMS)
    assert ConnectionEnded("QUIT", expected=True) != ConnectionEnded("QUIT", expected=False)


def test_credentials_do_not_show_the_password() -> None:
    assert "hunter2" not in repr(AuthAsked(Credentials("PLAIN", "user", "", Secret("hunter2"))))

"""Deadlines, and what `--timeout` does to them."""

import dataclasses

import pytest

from smtpx.extensions import STANDARD
from smtpx.protocol.extension import ExtensionSet
from smtpx.protocol.settings import ServerSettings
from smtpx.server.settings import Deadlines, ShellSettings


def test_rfc5321_4_5_3_2_defaults() -> None:
    deadlines = Deadlines()
    assert deadlines.command >= 300  # 4.5.3.2.7: at least five minutes
    assert deadlines.data >= 180  # 4.5.3.2.5: three minutes for a block
    assert deadlines.final < 600  # 4.5.3.2.6: clients wait ten minutes
    assert (deadlines.auth_step, deadlines.auth_exchange, deadlines.tls_handshake) == (60, 180, 60)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (10.0, {"command": 10.0, "auth_step": 10.0, "data": 10.0}),
        (100.0, {"command": 100.0, "data": 100.0}),
        (1000.0, {"command": 1000.0}),
    ],
)
def test_capped(seconds: float, expected: dict[str, float]) -> None:
    assert dataclasses.asdict(Deadlines().capped(seconds)) == dataclasses.asdict(Deadlines()) | expected


def test_shell_settings() -> None:
    protocol = ServerSettings(hostname="server.example", extensions=ExtensionSet(STANDARD))
    shell = ShellSettings(protocol=protocol)
    assert shell.deadlines == Deadlines()
    assert shell.greeting_delay_seconds == 0


def test_rule_5_deadlines_under_pressure() -> None:
    pressed = Deadlines().under_pressure()
    assert dataclasses.asdict(pressed) == {
        "command": 10.0,
        "auth_step": 10.0,
        "auth_exchange": 30.0,
        "data": 10.0,
        "min_data_rate": 2000.0,
        "tls_handshake": 10.0,
        "proxy_header": 2.0,
        "handler": 60.0,
        "final": 120.0,
        "write": 10.0,
        "close": 1.0,
        "drain_envelope": 10.0,
    }
    short = Deadlines(command=0.1, min_data_rate=5000.0).under_pressure()
    assert (short.command, short.min_data_rate) == (0.1, 5000.0)


def test_rule_5_settings_know_what_holds_under_pressure() -> None:
    protocol = ServerSettings(hostname="server.example", extensions=ExtensionSet(STANDARD))
    calm = ShellSettings(protocol=protocol, greeting_delay_seconds=3.0)
    assert calm.at(pressure=True) is calm  # nobody has asked
    shell = calm.with_pressed()
    assert shell.at(pressure=False) is shell
    pressed = shell.at(pressure=True)
    assert pressed.greeting_delay_seconds == 0.0
    assert pressed.protocol.limits == protocol.limits.under_pressure()
    assert pressed.deadlines == Deadlines().under_pressure()

"""What a listener is told beyond the protocol's rules: deadlines, and how patient it is before the greeting."""

from dataclasses import dataclass, field, fields, replace

from smtpx.protocol.settings import ServerSettings
from smtpx.server.observer import ServerObserver
from smtpx.server.transcript import Trace

__all__ = ["Deadlines", "ShellSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds for each phase; a deadline covers the whole unit, so one octet does not extend it.

    `command` is RFC 5321 4.5.3.2.7's five minutes. `data` is a budget that content refills at `min_data_rate` octets a
    second: whoever sends faster never expires.
    """

    command: float = 300.0
    auth_step: float = 60.0
    auth_exchange: float = 180.0
    data: float = 180.0
    min_data_rate: float = 500.0
    tls_handshake: float = 60.0
    proxy_header: float = 5.0
    handler: float = 60.0
    final: float = 300.0  # storing the message; clients wait ten minutes
    write: float = 60.0
    close: float = 5.0  # for the peer to end its side
    drain_envelope: float = 10.0

    def capped(self, seconds: float) -> "Deadlines":
        """These, with `seconds` for a command and at most that for an AUTH step and the data budget."""
        return replace(self, command=seconds, auth_step=min(self.auth_step, seconds), data=min(self.data, seconds))

    def under_pressure(self) -> "Deadlines":
        """These, where they are shorter than what a server can afford that is nearly full."""
        shorter = {
            each.name: min(getattr(self, each.name), getattr(_UNDER_PRESSURE, each.name)) for each in fields(self)
        }
        shorter["min_data_rate"] = max(self.min_data_rate, _UNDER_PRESSURE.min_data_rate)
        return Deadlines(**shorter)


_UNDER_PRESSURE = Deadlines(  # a full server has no time: Postfix, stress-adaptive behaviour
    command=10.0,
    auth_step=10.0,
    auth_exchange=30.0,
    data=10.0,
    min_data_rate=2000.0,
    tls_handshake=10.0,
    proxy_header=2.0,
    final=120.0,
    write=10.0,
    close=1.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    """Everything one listener's connections share."""

    protocol: ServerSettings
    deadlines: Deadlines = field(default_factory=Deadlines)
    greeting_delay_seconds: float = 0.0
    observer: ServerObserver | None = None
    trace: Trace | None = None
    alpn: frozenset[bytes] | None = None  # what clients that use ALPN must ask for; None: anything
    pressed: "ShellSettings | None" = None  # what holds in their place while the server is nearly full

    def with_pressed(self) -> "ShellSettings":
        """These, which know what becomes of them under pressure."""
        protocol = replace(self.protocol, limits=self.protocol.limits.under_pressure())
        pressed = replace(
            self, protocol=protocol, deadlines=self.deadlines.under_pressure(), greeting_delay_seconds=0.0, pressed=None
        )
        return replace(self, pressed=pressed)

    def at(self, *, pressure: bool) -> "ShellSettings":
        """What holds with or without pressure."""
        return self.pressed if pressure and self.pressed is not None else self

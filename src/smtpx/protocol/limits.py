"""Every limit of a server and of a client, with the reason for its number. None means unlimited where it is allowed."""

from dataclasses import dataclass, fields, replace
from typing import Any

from smtpx.errors import ConfigurationError

__all__ = ["ClientLimits", "DefaultCap", "ServerLimits"]

KIB = 1024
MIB = 1024 * KIB


class DefaultCap(int):
    """A number per address that loopback peers, unix sockets and trusted networks are spared; a plain int is for all.

    >>> ServerLimits(max_connections_per_ip=DefaultCap(20)).max_connections_per_ip
    20
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one listener takes from a peer before it says no. Sizes are octets, times seconds."""

    # Lines. RFC 5321 4.5.3.1.4 asks for 512 at least; AUTH, DSN, SMTPUTF8 and SIZE raise that.
    max_command_line_bytes: int = 2048
    max_discard_bytes: int = 65_536  # how far the end of a longer line is looked for
    max_auth_line_bytes: int = 12_288  # RFC 4954 4, without CRLF
    max_local_part_bytes: int = 64  # RFC 5321 4.5.3.1.1
    max_esmtp_params: int = 20

    # Messages.
    max_message_bytes: int | None = 25 * MIB
    max_header_bytes: int = MIB
    max_hops: int = 100  # Received fields, RFC 5321 6.3
    max_text_line_bytes: int | None = None  # bodies are streamed: long lines cost nothing
    max_recipients: int = 1000  # RFC 5321 4.5.3.1.8: never below 100 on a public server
    max_null_sender_recipients: int | None = None  # a report has one recipient; on public servers 1 stops backscatter
    recipient_overshoot: int = 100  # refused RCPTs before each further one counts as an error
    max_messages_per_connection: int | None = 1000

    # Patience.
    soft_error_limit: int = 10  # from the next one on replies are delayed
    error_delay_seconds: float = 1.0
    hard_error_limit: int = 20  # this one is answered 421
    junk_command_limit: int = 100  # NOOP, RSET, hello, VRFY, EXPN, HELP that cost nothing
    small_chunk_limit: int = 1000  # BDAT chunks below 1 KiB in one message
    max_unauthenticated_commands: int | None = None
    max_auth_failures: int = 3  # on one connection; RFC 4954 9: not before three
    auth_failure_delay_seconds: float = 1.0  # grows by itself with each failure
    auth_failures_per_ip_minute: int = 10
    auth_failures_per_ip_day: int = 50
    auth_failures_per_user: int | None = 100  # in an hour, from all addresses
    max_auth_checks: int = 64  # at once; further ones wait, for hashing is a lever
    max_auth_checks_per_ip: int = 4

    # Connections. Numbers per address that are given here hold for everybody, defaults not for peers that are trusted.
    max_connections: int = 1000
    max_connections_per_ip: int | None = DefaultCap(50)
    connection_rate_per_ip: int | None = DefaultCap(300)  # in a minute
    network_factor: int = 3  # for a /26 or /48; twice for a /21 or /32
    ipv6_prefix: int = 64  # addresses of one network count as one
    max_session_seconds: float | None = 3600.0  # ended between two commands, never in a message
    descriptor_reserve: int = 10  # kept free for stores and logs

    # Memory.
    spool_total_memory_bytes: int = 64 * MIB  # of all messages that wait for their sessions; above it none is kept
    max_unread_bytes: int = 64 * KIB  # input that waits for a session; then reading pauses
    max_unsent_bytes: int = 64 * KIB  # replies the peer does not read; then reading pauses
    body_ahead_bytes: int = 64 * KIB  # body collected before `data` starts, and kept while it is busy

    def __post_init__(self) -> None:
        _check(self)

    def under_pressure(self) -> "ServerLimits":
        """These, where they are higher than what a server can afford that is nearly full. No limit stays no limit."""
        return replace(self, **{name: _lower(getattr(self, name), value) for name, value in _UNDER_PRESSURE.items()})


_UNDER_PRESSURE: dict[str, Any] = {  # Postfix's idea: 20 errors become 1, 100 junk commands 1
    "soft_error_limit": 1,
    "error_delay_seconds": 0.0,  # delays cost places
    "hard_error_limit": 2,
    "junk_command_limit": 5,
    "small_chunk_limit": 100,
    "recipient_overshoot": 10,
    "max_messages_per_connection": 20,
    "max_unauthenticated_commands": 10,
    "max_connections_per_ip": 5,
    "connection_rate_per_ip": 30,
    "max_session_seconds": 600.0,
}


def _lower(value: Any, affordable: Any) -> Any:  # noqa: ANN401 - of the field's type
    if value is None or value <= affordable:
        return value
    return DefaultCap(affordable) if isinstance(value, DefaultCap) else affordable


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What a client takes from a server, and how far it runs ahead of its answers. Sizes are octets."""

    max_reply_line_bytes: int = 4096
    max_reply_lines: int = 256
    max_reply_bytes: int = 64 * KIB
    max_unanswered_command_bytes: int = 32 * KIB  # more could fill both sides' socket buffers and stop both
    max_early_body_bytes: int = 64 * KIB  # BDAT octets sent before it is known that anybody wants them
    max_bodies_in_flight_bytes: int = 256 * KIB  # of all messages of a connection that wait for their verdicts
    chunk_bytes: int = 256 * KIB  # of one BDAT that does not go with its envelope, and of one write of a body
    lenient_replies: bool = False  # take replies whose lines end in LF alone

    def __post_init__(self) -> None:
        _check(self)


def _check(limits: "ServerLimits | ClientLimits") -> None:
    """Say what is wrong where it was written: None in the wrong place would be an error for each connection."""
    for each in fields(limits):
        value = getattr(limits, each.name)
        if value is None and "None" not in str(each.type):
            raise ConfigurationError(f"{each.name} can't be unlimited: give a number")
        if value is not None and not value >= 0:
            raise ConfigurationError(f"{each.name} is {value!r}, and must be 0 or more")

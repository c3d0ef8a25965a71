"""What a listener is for, and the settings that go with it: each is only what a keyword would have said.

>>> PROFILES["mx"].limits.max_recipients
100
"""

from dataclasses import dataclass, field
from typing import Literal

from smtpx.errors import ConfigurationError
from smtpx.protocol.limits import DefaultCap, ServerLimits
from smtpx.server.settings import Deadlines

__all__ = ["PROFILES", "Profile", "ProfileName", "profile_of"]

ProfileName = Literal["dev", "submission", "mx"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settings of `Server` that hold where a keyword says nothing.

    `offers_auth`: mechanisms are offered, if the session has a method for any. `refuse_guessers`: who has failed to log
    in too often is not let in at all. `session_tickets` False: contexts are told to give out none.
    """

    limits: ServerLimits = field(default_factory=ServerLimits)
    deadlines: Deadlines = field(default_factory=Deadlines)
    require_tls: bool = False
    require_auth: bool = False
    offers_auth: bool = True
    greeting_delay: float = 0.0
    sync_check: Literal["data", "all", "off"] = "data"
    session_tickets: bool = True
    refuse_guessers: bool = False


PROFILES: dict[str, Profile] = {
    # For programs under development, and what `Server` does by itself.
    "dev": Profile(),
    # For our own users' mail programs (RFC 6409): ports 587 and 465.
    "submission": Profile(
        limits=ServerLimits(max_unauthenticated_commands=20),
        require_tls=True,
        require_auth=True,
        refuse_guessers=True,
    ),
    # For everybody's servers: port 25. Bots talk before the greeting; some senders abort when they resume a session.
    "mx": Profile(
        limits=ServerLimits(
            max_connections_per_ip=DefaultCap(20),
            hard_error_limit=10,
            soft_error_limit=5,
            max_recipients=100,
            max_null_sender_recipients=1,
        ),
        offers_auth=False,
        greeting_delay=3.0,
        sync_check="all",
        session_tickets=False,
    ),
}


def profile_of(name: str | Profile) -> Profile:
    """A profile by its name, or one of your own.

    Raises:
        ConfigurationError: if there is none of that name.
    """
    found = name if isinstance(name, Profile) else PROFILES.get(name)
    if found is None:
        raise ConfigurationError(f"no profile {name!r}; there are {', '.join(PROFILES)}")
    return found

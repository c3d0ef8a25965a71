"""SMTP extensions, one RFC per file. `STANDARD` is what servers and clients use unless told otherwise.

`ALL` holds one of each kind to choose from, `by_name` chooses as a command line does.

>>> [each.keyword for each in by_name("SIZE,DSN")]
['SIZE', 'DSN']
"""

from collections.abc import Mapping

from smtpx.errors import ConfigurationError
from smtpx.extensions.auth import Auth
from smtpx.extensions.binarymime import BinaryMIME
from smtpx.extensions.body_types import EightBitMIME
from smtpx.extensions.chunking import Chunking
from smtpx.extensions.deliverby import DeliverBy
from smtpx.extensions.dsn import DSN
from smtpx.extensions.enhanced_codes import EnhancedStatusCodes
from smtpx.extensions.future_release import FutureRelease
from smtpx.extensions.limits import Limits
from smtpx.extensions.mt_priority import MTPriority
from smtpx.extensions.pipelining import Pipelining
from smtpx.extensions.requiretls import RequireTLS
from smtpx.extensions.rrvs import RequireRecipientValidSince
from smtpx.extensions.size import Size
from smtpx.extensions.smtputf8 import SMTPUTF8
from smtpx.extensions.starttls import StartTLS
from smtpx.extensions.xclient import XClient
from smtpx.extensions.xforward import XForward
from smtpx.protocol.extension import Extension

__all__ = [
    "ALL",
    "BY_NAME",
    "DSN",
    "SMTPUTF8",
    "STANDARD",
    "Auth",
    "BinaryMIME",
    "Chunking",
    "DeliverBy",
    "EightBitMIME",
    "EnhancedStatusCodes",
    "FutureRelease",
    "Limits",
    "MTPriority",
    "Pipelining",
    "RequireRecipientValidSince",
    "RequireTLS",
    "Size",
    "StartTLS",
    "XClient",
    "XForward",
    "by_name",
]

STANDARD: tuple[Extension, ...] = (
    Pipelining(),
    EightBitMIME(),
    SMTPUTF8(),
    EnhancedStatusCodes(),
    Chunking(),
    StartTLS(),
    Auth(),
    Size(),
    DSN(),
    BinaryMIME(),
    Limits(),
)

ALL: tuple[Extension, ...] = (
    *STANDARD,
    # A server that takes these must do something about it, or somebody will believe that it does.
    RequireTLS(),
    DeliverBy(),
    MTPriority(),
    FutureRelease(),
    RequireRecipientValidSince(),
    # These trust nobody until they are made with a list.
    XClient(),
    XForward(),
)

BY_NAME: Mapping[str, Extension] = {each.keyword: each for each in ALL}


def by_name(names: str, *, known: Mapping[str, Extension] = BY_NAME) -> tuple[Extension, ...]:
    """Extensions by their keywords: `DSN,SIZE` for just these, `+RRVS,-DSN` for `STANDARD` with changes.

    `known` may hold other instances, or extensions of your own.

    Raises:
        ConfigurationError: for a name that is not known, and for signs on some names only.
    """
    words = [word.strip().upper() for word in names.split(",") if word.strip()]
    signed = [word[0] in "+-" for word in words]
    if any(signed) and not all(signed):
        raise ConfigurationError("give either the extensions that you want, or changes: a + or - before each name")
    chosen = {each.keyword for each in STANDARD} if any(signed) else set[str]()
    for word in words:
        name = word[1:] if any(signed) else word
        if name not in known:
            raise ConfigurationError(f"no extension is called {name!r}; there are {', '.join(known)}")
        (chosen.discard if word.startswith("-") else chosen.add)(name)
    return tuple(extension for name, extension in known.items() if name in chosen)

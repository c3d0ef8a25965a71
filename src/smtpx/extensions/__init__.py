"""SMTP extensions, one RFC per file. `STANDARD` is what servers and clients use unless told otherwise."""

from smtpx.extensions.auth import Auth
from smtpx.extensions.body_types import EightBitMIME
from smtpx.extensions.chunking import Chunking
from smtpx.extensions.enhanced_codes import EnhancedStatusCodes
from smtpx.extensions.pipelining import Pipelining
from smtpx.extensions.size import Size
from smtpx.extensions.smtputf8 import SMTPUTF8
from smtpx.extensions.starttls import StartTLS
from smtpx.protocol.extension import Extension

__all__ = [
    "SMTPUTF8",
    "STANDARD",
    "Auth",
    "Chunking",
    "EightBitMIME",
    "EnhancedStatusCodes",
    "Pipelining",
    "Size",
    "StartTLS",
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
)

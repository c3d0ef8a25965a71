"""CHUNKING (RFC 3030): content in counted pieces, without dots, and no round trip before it."""

from collections.abc import Mapping

from smtpx.protocol.commands import bdat
from smtpx.protocol.extension import Extension, VerbHandler

__all__ = ["Chunking"]


class Chunking(Extension):
    """Offer and use BDAT."""

    keyword = "CHUNKING"

    def verbs(self) -> Mapping[str, VerbHandler]:
        """BDAT."""
        return {"BDAT": bdat}

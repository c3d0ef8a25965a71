"""The certificates of a server's listeners: made anew from their files, and only then used."""

import logging
import ssl
from collections.abc import Iterable
from contextlib import suppress

from smtpx.errors import ConfigurationError
from smtpx.net.certificates import Fingerprint, fingerprint
from smtpx.net.tls import recipe_of
from smtpx.server.observer import ServerObserver

__all__ = ["Certificates"]

_log = logging.getLogger("smtpx.server")


class Certificates:
    """Which context new handshakes get, for each that a listener was given.

    Args:
        observer: told of each reload, and of how it is at the start.

    Attributes:
        error: why the last reload failed; None if it did not.
        not_after: when the first of the certificates that are in use ends, in seconds since 1970; None if that is not
            known, because the contexts were not made by `server_tls`.
    """

    def __init__(self, contexts: Iterable[ssl.SSLContext], observer: ServerObserver | None = None) -> None:
        self._observer = observer
        self._current = {context: context for context in contexts}
        self._recipes = {context: recipe for context in self._current if (recipe := recipe_of(context)) is not None}
        self._files = tuple(files for recipe in self._recipes.values() for files in recipe.files)
        self._paths = tuple(path for recipe in self._recipes.values() for path in recipe.paths)
        self._seen: Fingerprint = ()
        self.error: str | None = None
        self.not_after: float | None = None

    def start(self) -> None:
        """Look at the files as they are now; certificates that are not in force are told to the log."""
        self._seen = fingerprint(self._paths)
        try:
            self.not_after = self._end_of_life()
        except ConfigurationError as error:
            _log.warning("%s", error)
            self._tell(str(error))
        else:
            self._tell(None)

    def current(self, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
        """The context that has taken the place of the one a listener was given."""
        return self._current[context] if context is not None else None

    def reload(self) -> None:
        """Read all files again. All are good and used for what comes next, or none is. May be called by any thread.

        Raises:
            ConfigurationError: what is wrong; everything stays as it is then.
        """
        try:
            fresh, not_after = self._fresh()
        except ConfigurationError as error:
            self.error = str(error)
            _log.error("certificates were not reloaded, the old ones stay: %s", error)
            self._tell(self.error)
            raise
        self._current, self.not_after, self.error = fresh, not_after, None
        _log.info("certificates were reloaded")
        self._tell(None)

    def _tell(self, error: str | None) -> None:
        if self._observer is not None and self._files:
            self._observer.certificates_reloaded(error, self.not_after)

    def reload_if_changed(self) -> bool:
        """Reload if a file is not what it was when this was last asked; whether it was tried. Errors are logged."""
        seen = fingerprint(self._paths)
        if seen == self._seen:
            return False
        self._seen = seen
        with suppress(ConfigurationError):  # logged; the next change is another try
            self.reload()
        return True

    @property
    def are_reloadable(self) -> bool:
        """Whether there are files to read again."""
        return bool(self._files)

    def _fresh(self) -> tuple[dict[ssl.SSLContext, ssl.SSLContext], float | None]:
        if not self._files:
            raise ConfigurationError("no listener has a certificate that server_tls read from files that stay")
        self._seen = fingerprint(self._paths)
        fresh = dict(self._current)
        for original, recipe in self._recipes.items():
            recipe.check(original)
            fresh[original] = recipe.make()
        return fresh, self._end_of_life()

    def _end_of_life(self) -> float | None:
        """When the first certificate ends. Raises ConfigurationError if one is not in force."""
        return min((files.check_validity() for files in self._files), default=None)

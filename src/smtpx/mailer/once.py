"""Keys of messages that are to be sent once only, however often the program asks."""

from collections import OrderedDict

from smtpx.errors import ConfigurationError, SMTPXError

__all__ = ["DuplicateError", "Once"]


class DuplicateError(SMTPXError):
    """A message with this key was sent already, or is under way, or may have been sent. Nothing was sent now."""

    def __init__(self, key: str) -> None:
        super().__init__(f"a message with the key {key!r} was sent already, or may have been")
        self.key = key


class Once:
    """Remembers keys in memory, the youngest `size` of them.

    Raises:
        ConfigurationError: for a size below 1.
    """

    def __init__(self, size: int = 10_000) -> None:
        if size < 1:
            raise ConfigurationError("max_keys must be at least 1")
        self._size = size
        self._keys: OrderedDict[str, None] = OrderedDict()

    def take(self, key: str) -> None:
        """This one is sent now.

        Raises:
            DuplicateError: it was taken before.
        """
        if key in self._keys:
            raise DuplicateError(key)
        self._keys[key] = None
        if len(self._keys) > self._size:
            self._keys.popitem(last=False)

    def free(self, key: str) -> None:
        """It was not sent, for certain."""
        self._keys.pop(key, None)

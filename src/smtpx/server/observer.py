"""Who looks on: what a server tells of its connections as things happen, without a say in them."""

__all__ = ["ServerObserver"]


class ServerObserver:
    """Told of what happens on a server's connections. Every method does nothing; override what you want to know.

    One object serves all connections of a server. Methods are called in the event loop and must not block. What they
    raise is logged and changes nothing. They get no secrets, and nothing they get may be changed.
    """

    def limit_hit(self, address: str, limit: str, value: float) -> None:
        """A peer ran into a limit.

        Args:
            address: the peer's IP address, or "unix".
            limit: the limit's name, a field of `ServerLimits` or `Deadlines`.
            value: the limit's value at this moment.
        """

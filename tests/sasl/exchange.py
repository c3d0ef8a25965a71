"""Plays the two halves of a mechanism against each other, with a store in which the server looks users up."""

from collections.abc import Mapping

from smtpx.sasl.credentials import Credentials, Secret
from smtpx.sasl.mechanism import AuthExchange, Challenge, ExchangeContext, Lookup, ServerExchange, ServerMechanism
from smtpx.sasl.scram_record import ScramRecord

Store = Mapping[tuple[str, str], ScramRecord | Secret]
CONTEXT = ExchangeContext(host="server.example")


class Server:
    """A server in the middle of an exchange.

    Attributes:
        lookups: what was asked of the store.
        credentials: the outcome, once there is one.
    """

    def __init__(
        self, mechanism: ServerMechanism, context: ExchangeContext = CONTEXT, store: Store | None = None
    ) -> None:
        self.exchange: ServerExchange = mechanism.start(context)
        self.lookups: list[Lookup] = []
        self.credentials: Credentials | None = None
        self._store = store or {}
        first = next(self.exchange)
        assert isinstance(first, Challenge)
        self.first = first.data

    def answer(self, message: bytes) -> bytes | None:
        """The challenge behind a message; None when there are credentials."""
        try:
            step = self.exchange.send(message)
            while isinstance(step, Lookup):
                self.lookups.append(step)
                step = self.exchange.send(self._store.get((step.kind, step.username)))
        except StopIteration as stop:
            self.credentials = stop.value
            return None
        return step.data

    def finish(self, message: bytes) -> Credentials:
        """The credentials that a last message leads to."""
        assert self.answer(message) is None
        assert self.credentials is not None
        return self.credentials


def log_in(client: AuthExchange, server: Server) -> Credentials:
    """The whole exchange; errors of either side come through."""
    first = client.initial_response()
    message = client.respond(server.first) if first is None else first
    while (challenge := server.answer(message)) is not None:
        message = client.respond(challenge)
    client.complete()
    assert server.credentials is not None
    return server.credentials


def is_hidden(secret: str, *shown: object) -> bool:
    """Whether a secret shows in no repr and no text of these."""
    return all(secret not in repr(each) and secret not in str(each) for each in shown)


def chain(error: BaseException) -> list[BaseException]:
    """An error with everything a traceback shows with it."""
    found = [error]
    while (following := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        found.append(error := following)
    return found


__all__ = ["CONTEXT", "Server", "Store", "chain", "is_hidden", "log_in"]

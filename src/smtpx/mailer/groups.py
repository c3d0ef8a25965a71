"""Many messages by one provider, whatever it does: each that it took has an outcome, exactly one."""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from smtpx.client.bulk import SendOutcome
from smtpx.flows.outcome import SendResult
from smtpx.mailer.ledger import lost
from smtpx.mailer.provider import NotTriedError, Provider
from smtpx.message.sendable import Sendable

__all__ = ["send_group"]

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


async def send_group(
    name: str,
    provider: Provider,
    source: AsyncGenerator[tuple[T, Sendable], None],
    tell: Callable[[T, SendResult | Exception], object],
) -> NotTriedError | None:
    """Send many. Of those it says nothing about, nobody knows whether they were sent.

    Args:
        name: of the provider.
        source: messages, each with what it is called here.
        tell: what became of each.

    Returns:
        Why it did not take the rest; None if there is no rest.

    Raises:
        Exception: what the source raises, behind the outcomes of all it gave.
    """
    fed: deque[T] = deque()
    source_failed: Exception | None = None
    is_over = False
    told = 0

    async def feed() -> AsyncGenerator[Sendable, None]:
        nonlocal source_failed, is_over
        try:
            async for key, message in source:
                fed.append(key)
                yield message
        except Exception as error:
            source_failed = error
        is_over = True

    def take(outcome: SendOutcome) -> None:
        nonlocal told
        told += 1
        if fed:
            tell(fed.popleft(), outcome.result or outcome.error or lost(f"{name} gave no outcome"))

    cause: Exception | None = None
    try:
        async with aclosing(source), aclosing(feed()) as messages:
            result = await provider.send_bulk(messages, on_outcome=take)
        for outcome in result.outcomes[told:]:
            take(outcome)
    except Exception as error:
        cause = error
    why = "" if cause is None else f": {type(cause).__name__}"  # what it says may be internal
    for key in fed:
        tell(key, cause if isinstance(cause, NotTriedError) else _because(lost(f"{name} gave no outcome{why}"), cause))
    if source_failed is not None:
        raise source_failed
    if is_over:
        return None
    return cause if isinstance(cause, NotTriedError) else _because(NotTriedError(f"{name} did not take it{why}"), cause)


def _because(error: E, cause: Exception | None) -> E:
    error.__cause__ = cause
    return error

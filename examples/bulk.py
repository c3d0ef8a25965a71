"""A newsletter: one message to each of many people, over a few connections, with a list of whom to try again.

    python examples/bulk.py submission://user:secret@mail.example.org news@example.org < addresses.txt

The addresses are read as they are needed, one in a line. What can't be sent goes to standard output, as
`address TAB later|never|unknown TAB why`: `later` may be tried again, `never` should not, and `unknown` may have been
delivered already.
"""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from email.message import EmailMessage

from smtpx import AsyncClient, Limits, Outgoing, SendOutcome


def letters(sender: str, addresses: Iterable[str]) -> Iterator[Outgoing]:
    """One letter for each address."""
    for number, address in enumerate(filter(None, map(str.strip, addresses)), start=1):
        letter = EmailMessage()
        letter["From"], letter["Subject"] = sender, f"News, copy {number}"
        letter.set_content("Nothing happened this week.\n")
        # The envelope says where it goes, and a bad address is the failure of this letter only.
        yield Outgoing(letter, sender, [address])


def verdict(outcome: SendOutcome) -> str:
    """What to do about a letter that was not accepted."""
    if outcome.is_unknown:
        return "unknown"
    return "later" if outcome.error is not None and outcome.error.is_temporary else "never"


async def send_all(url: str, sender: str, addresses: Iterable[str]) -> tuple[int, list[str]]:
    """How many were accepted, and a line for each of the others."""
    accepted, others = 0, list[str]()
    async with AsyncClient(url, limits=Limits(max_connections=4)) as client:
        async for outcome in client.send_many(letters(sender, addresses)):
            if outcome.result is not None:
                accepted += 1
                continue
            letter = outcome.message
            address = letter.recipients[0] if isinstance(letter, Outgoing) and letter.recipients else "?"
            others.append(f"{address}\t{verdict(outcome)}\t{outcome.error}")
    return accepted, others


if __name__ == "__main__":
    count, failures = asyncio.run(send_all(sys.argv[1], sys.argv[2], sys.stdin))
    print(*failures, sep="\n", end="\n" if failures else "")
    print(f"{count} accepted, {len(failures)} not", file=sys.stderr)
    sys.exit(1 if failures else 0)

"""A mailing from a table and a template, with a progress bar, that can be taken up again where it stopped.

    export SMTPX_URL=submission://user:secret@mail.example.org SMTPX_FROM=news@example.org
    python examples/mailer.py people.csv mails/newsletter

The first line of the table names its columns; one of them is `email`, and the template may use them all. The template
`newsletter` is `newsletter.html`, `newsletter.txt`, or both, with the subject in the block `subject`.

What became of each goes to `people.csv.sent`, as `address TAB status`, the last line for an address counting. Run it
again, and it goes to those who have not got it for certain: who was just being sent to when it was killed is `unknown`,
and is left out. Needs smtpx[templates].
"""

import asyncio
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

from smtpx import Message, MessageError, SendOutcome
from smtpx.mailer import MailerSettings, Retry, Status, Templates, statuses

AGAIN = {Status.FAILED}  # not: sent, rejected, invalid; nor unknown, for they may have it


class Report:
    """Who has got it, in a file that grows with each message."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        last = dict(line.split("\t") for line in lines)
        self.done = {address for address, status in last.items() if status not in AGAIN}
        self.counts = Counter[str]()
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def begin(self, address: str) -> None:
        """From now on nobody knows, until the outcome is there."""
        self.done.add(address)
        self._file.write(f"{address}\t{Status.UNKNOWN}\n")

    def end(self, address: str, status: Status) -> None:
        """This is what became of it."""
        self.counts[status] += 1
        self._file.write(f"{address}\t{status}\n")

    def close(self) -> None:
        """All is told."""
        self._file.close()


def letters(rows: Iterable[Mapping[str, str]], templates: Templates, name: str, report: Report) -> Iterator[Message]:
    """One for each line that has not been done; what can't be made is in the report."""
    for row in rows:
        address = row["email"].strip()
        if address in report.done:
            continue
        report.begin(address)
        try:
            made = templates.render(name, row)
            yield Message(
                to=address, subject=made.subject, text=made.text, html=made.html, inline=made.images, bulk=True
            )
        except MessageError as error:
            print(f"\n{address}: {error}", file=sys.stderr)
            report.end(address, Status.INVALID)


async def main(table: Path, template: Path) -> int:
    """Send to everybody; 0 if nobody is left who may be tried again."""
    templates = Templates(template.parent, images=template.parent)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    report = Report(table.with_name(table.name + ".sent"))

    def told(outcome: SendOutcome) -> None:
        message = cast("Message", outcome.message)
        for address, status in statuses(message, outcome.result or outcome.error or ValueError()).items():
            report.end(address, status)
        done = min(len(report.done), len(rows))
        print(f"\r[{'#' * (40 * done // len(rows)):40}] {done} of {len(rows)}", end="", file=sys.stderr)

    with closing(report):
        async with MailerSettings.from_environment().service(retry=Retry(attempts=3, first_seconds=0.2)) as service:
            await service.send_bulk(letters(rows, templates, template.name, report), on_outcome=told)
    print(file=sys.stderr)
    print(*(f"{count} {status}" for status, count in sorted(report.counts.items())), sep=", ")
    return 1 if any(report.counts[status] for status in AGAIN) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]))))

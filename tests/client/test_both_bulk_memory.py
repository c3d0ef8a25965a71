"""What `send_many` keeps does not grow with the number of messages (P16)."""

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

import smtpx
from smtpx.client.bulk import Outgoing, SendOutcome
from tests.client.bulk_cases import mails
from tests.client.test_async_crew import TestAsyncCrew as AsyncMany
from tests.client.test_crew import TestCrew as Many


class Passing(list[SendOutcome]):
    """Looks at outcomes, and keeps none."""

    seen = 0

    def append(self, outcome: SendOutcome) -> None:
        assert outcome.result is not None
        self.seen += 1


@pytest.mark.parametrize("many", [Many, AsyncMany])
def test_3000_messages_take_no_more_than_1000(many: type[Many]) -> None:
    sizes: list[int] = []

    def source() -> Iterator[Outgoing]:
        for number, mail in enumerate(mails(3000, 2000)):
            if number in (1000, 2999):
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
            yield mail

    outcomes = Passing()
    with smtpx.ServerThread(smtpx.Session, port=0) as server:
        tracemalloc.start()
        try:
            many().send_many(f"smtp+plain://127.0.0.1:{server.port}", source(), options={"seen": outcomes})
        finally:
            tracemalloc.stop()
    assert outcomes.seen == 3000
    assert sizes[1] - sizes[0] < 200_000  # the messages between are 4 MB

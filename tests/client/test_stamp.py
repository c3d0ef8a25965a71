"""Date and Message-ID of messages that have none."""

import re

from smtpx.client.stamp import new_id, now_here


def test_6_4_128_random_bits_at_a_domain() -> None:
    ids = {new_id("a.example") for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"<[0-9a-f]{32}@a\.example>", each) for each in ids)


def test_the_date_has_its_zone() -> None:
    assert now_here().utcoffset() is not None

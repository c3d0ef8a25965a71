"""Transcripts never hold what a client says in an AUTH exchange, however its octets are cut (D45, P47)."""

import pytest

from smtpx.net.trace import mask_auth


def heard(*turns: tuple[str, bytes], size: int = 0) -> bytes:
    found: list[bytes] = []
    masked = mask_auth(lambda side, octets: found.append(side.encode() + b":" + octets))
    for side, octets in turns:
        step = size if size and side == "S" else len(octets)
        for start in range(0, len(octets), step):
            masked(side, octets[start : start + step])
    return b"".join(found)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
def test_exchange(size: int) -> None:
    text = heard(
        ("S", b"220 x\r\n"),
        ("C", b"auth login\r\n"),
        ("S", b"334 VXNlcm5hbWU6\r\n"),
        ("C", b"dXNlcg==\r\n"),
        ("S", b"334-x\r\n334 UGFzc3dvcmQ6\r\n"),
        ("C", b"c2VjcmV0\r\n"),
        ("S", b"235 ok\r\n"),
        ("C", b"NOOP\r\n"),
        size=size,
    )
    assert b"dXNlcg" not in text
    assert b"c2VjcmV0" not in text
    assert text.count(b"C:****\r\n") == 2
    assert text.endswith(b"C:NOOP\r\n")


def test_initial_response() -> None:
    text = heard(("C", b"AUTH PLAIN AHUAcA==\r\n"), ("S", b"535-no\r\n535 no\r\n"), ("C", b"QUIT\r\n"))
    assert text == b"C:AUTH PLAIN ****\r\nS:535-no\r\n535 no\r\nC:QUIT\r\n"


def test_other_commands_are_shown() -> None:
    assert heard(("C", b"MAIL FROM:<auth@x>\r\n"), ("S", b"334 what\r\n"), ("C", b"x\r\n")).endswith(b"C:x\r\n")

"""Command lines as a server reads them, and what is in order."""

import pytest

from tests.protocol.server_peer import (
    EHLO,
    ENVELOPE,
    MAIL,
    MECHANISMS,
    NOOP,
    AtServer,
    ServerPeer,
    ends,
    make_settings,
    survives,
)


@pytest.mark.parametrize(("line", "code"), [
    (b"\r\n", "500 5.5.2"),
    (b"\xff\r\n", "500 5.5.2"),
    (b"MAIL \xff\r\n", "501 5.5.4"),
    (b"STARTTLS \xff\r\n", "501 5.5.4"),
    (b"XYZZY \xff\r\n", "500 5.5.2"),
    (b"NOOP \0\r\n", "500 5.5.2"),
    (b"NOOP " + b"x" * 2100 + b"\r\n", "500 5.5.2"),
    (b"NOOP " + b"x" * 20_000 + b"\r\n", "500 5.5.2"),
])  # fmt: skip
def test_lines_that_cannot_be_read(line: bytes, code: str) -> None:
    assert survives(EHLO, line).codes[1:] == [code]


@pytest.mark.parametrize(("line", "code"), [
    (b"NOOP\n", "500 5.5.2"),
    (b"NO\rOP\r\n", "500 5.5.2"),
    (b"x" * 65_536, "500 5.5.2"),
    (b"GET / HTTP/1.0\r\n", "500 5.5.2"),
    (b"GET /\xff HTTP/1.0\r\n", "500 5.5.2"),
    (b"BDAT \xff\r\n", "501 5.5.4"),
    (b"BDAT 5\0\r\n", "501 5.5.4"),
])  # fmt: skip
def test_lines_behind_which_nothing_can_be_trusted(line: bytes, code: str) -> None:
    assert ends(EHLO, line).codes[1:] == [code]


def test_first_octet() -> None:
    assert ends(b"\x16").codes == ["500 5.5.2"]
    assert survives(b"\tx\r\n").codes == ["500 5.5.2"]


def test_sync_check() -> None:
    early = EHLO + ENVELOPE + "DATA\r\nx\r\n.\r\n"
    assert ends(early, cuts=(None,)).codes[3:] == ["554 5.5.0"]
    assert ends(early, settings=make_settings(sync_check="all"), cuts=(None,)).codes == ["554 5.5.0"]
    assert survives(early, settings=make_settings(sync_check="off")).contents == [b"x\r\n"]


def test_refused_data_with_content_behind_it() -> None:
    settings = make_settings(sync_check="off")
    assert ends(EHLO, "DATA\r\nx\r\n.\r\n", settings=settings, cuts=(None,)).codes == ["250", "503 5.5.1"]
    assert survives(EHLO, "DATA\r\n", settings=settings).codes == ["250", "503 5.5.1"]


def test_verbs_that_are_not_there() -> None:
    bare = make_settings(extensions=())
    assert survives(EHLO, "XYZZY\r\n", "TURN\r\n", settings=bare).codes[1:] == ["500 5.5.2", "502 5.5.1"]


def test_what_must_come_first() -> None:
    assert survives(MAIL).codes == ["503 5.5.1"]
    locked = make_settings(starttls=True, require_tls=True)
    assert survives(EHLO, MAIL, settings=locked).codes[1:] == ["530 5.7.0"]
    known = make_settings(mechanisms=MECHANISMS, require_auth=True)
    assert survives(EHLO, MAIL, NOOP, settings=known).codes[1:] == ["530 5.7.0", "250 2.0.0"]


def test_whoever_looks_on_hears_every_line() -> None:
    peer = ServerPeer().connect()
    peer.protocol.watcher = watcher = AtServer()
    assert peer.send("NOOP\r\nXYZZY \xff\r\n") == ["250 2.0.0", "500 5.5.2"]
    assert [line for what, line in watcher.told if what == "heard"] == [b"NOOP", "XYZZY \xff".encode()]


def test_a_stranger_who_says_too_much() -> None:
    settings = make_settings(limits={"max_unauthenticated_commands": 2})
    assert ends(EHLO, NOOP * 2, settings=settings).codes == ["250", "250 2.0.0", "421 4.7.0"]

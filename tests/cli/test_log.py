"""Log lines: one each, nothing raw in them."""

import json
import logging
import re

import pytest

from smtpx.cli.log import start_logging
from smtpx.server.transaction_log import TransactionLog

LOG = logging.getLogger("smtpx.test")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_text_is_time_level_logger_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("text", verbose=False)
    LOG.info("hello %s", "you")
    (line,) = lines(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO smtpx\.test hello you", line)


def test_h056_text_shows_control_characters_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("text", verbose=False)
    LOG.info("%s", "a\x1b[2J\r\n\x85\u2028é\ud800")
    (line,) = lines(capsys)
    assert line.endswith(r"a\x1b[2J\x0d\x0a\x85\u2028\xe9\ud800")


def test_a_line_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("text", verbose=False)
    LOG.info("%s", "x" * 300_000)
    (line,) = lines(capsys)
    assert len(line) == 8192 + len("...")


def test_h056_a_traceback_follows_escaped_in_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("text", verbose=False)
    try:
        raise ValueError("from\x1b]0;a\x07peer")
    except ValueError:
        LOG.exception("it raised")
    first, *rest = lines(capsys)
    assert first.endswith("ERROR smtpx.test it raised")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == r"ValueError: from\x1b]0;a\x07peer"


def test_h056_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("json", verbose=False)
    LOG.warning("a\x1b\n%s", "é\u2028", extra={"connection": "c1", "peer": b"192.0.2.1"})
    try:
        raise ValueError("x\ny")
    except ValueError:
        LOG.exception("it raised")
    first, second = map(json.loads, lines(capsys))
    assert re.fullmatch(r"[0-9T:.-]+Z", first.pop("time"))
    expected = {"level": "warning", "logger": "smtpx.test", "message": "a\x1b\né\u2028", "connection": "c1"}
    assert first == {**expected, "peer": "b'192.0.2.1'"}
    assert second["exception"].startswith("Traceback")
    assert second["exception"].endswith(r"ValueError: x" + "\ny")


def test_verbose_is_debug(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("text", verbose=False)
    LOG.debug("quiet")
    start_logging("text", verbose=True)
    LOG.debug("loud")
    (line,) = lines(capsys)
    assert line.endswith("DEBUG smtpx.test loud")


def test_json_has_the_fields_of_a_transaction_log(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("json", verbose=False)
    fields = {"id": "c1.1", "connection": "c1", "peer": "192.0.2.1", "from": "a@x.example", "to": ["b"], "octets": 5}
    TransactionLog(logging.getLogger("smtpx.transactions")).write(fields)
    LOG.info("x", extra={"transaction": "c1.1"})
    LOG.info("y", extra={"transaction": {}})
    first, second, third = map(json.loads, lines(capsys))
    expected = {"transaction": "c1.1", "connection": "c1", "peer": "192.0.2.1", "from": "a@x.example", "to": ["b"]}
    assert {name: first[name] for name in (*expected, "octets")} == {**expected, "octets": 5}
    assert first["message"].startswith('transaction id="c1.1"')
    assert "id" not in first
    assert (second["transaction"], third["transaction"]) == ("c1.1", None)

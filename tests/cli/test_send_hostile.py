"""`smtpx send` against servers that do what no server should: the status that fits, one line, never a traceback."""

import json
from collections.abc import Callable

import pytest

from smtpx.errors import RefusedError
from tests.cli.peers import FakeServer, run
from tests.hostile_server import ROWS, Row, tls_servers


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(capfd: pytest.CaptureFixture[str], row: Row) -> None:
    with row.server() as server:
        where = f"smtp+plain://{row.user}127.0.0.1:{server.port}"
        envelope = ("--from", "a@example.org", "--to", "b@example.net", "--text", "hello")
        outcome = run(
            capfd, "send", "--url", where, *envelope, "--helo", "me", "--timeout", str(row.timeout_seconds), "--json"
        )
    assert outcome.status == row.status, outcome
    said = json.loads(outcome.out)
    assert (said["error"] is None) == (row.status == 0)
    lost = row.error is not None and not issubclass(row.error, RefusedError)
    is_unknown = lost and (row.where == "." or "success before the end" in row.name)
    assert bool(said["accepted"]) == (row.status == 0)
    assert bool(said["unknown"]) == is_unknown
    assert bool(said["refused"]) == (row.status != 0 and not is_unknown)
    assert not is_unknown or said["error"]["stage"] == "final"
    assert row.status == 0 or row.stage in (None, said["error"]["stage"])
    assert outcome.err.count("\n") <= 1
    assert len(outcome.err) < 3000


@pytest.mark.parametrize(
    ("name", "scheme", "make"), tls_servers(), ids=lambda each: each if isinstance(each, str) else ""
)
def test_75_h041_no_handshake(
    capfd: pytest.CaptureFixture[str], name: str, scheme: str, make: Callable[[], FakeServer]
) -> None:
    with make() as server:
        where = f"{scheme}://u:p@127.0.0.1:{server.port}"
        envelope = ("--from", "a@example.org", "--to", "b@example.net", "--text", "hello")
        outcome = run(capfd, "send", "--url", where, *envelope, "--helo", "me", "--timeout", "0.7")
    assert outcome.status == 75, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert not {"AUTH", "MAIL"} & set(server.verbs)

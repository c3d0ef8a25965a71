"""smtpx sends to smtp-sink, which can be told to misbehave at any step."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from .certificates import Certificates
from .children import Child, free_port, wait_until
from .letters import KINDS, Letter, make_letter
from .sending import WAYS, Order, address_of
from .table import Row

pytestmark = pytest.mark.peer("smtp-sink", direction="smtpx → smtp-sink")

_ALICE, _BOB = "alice@example.test", "bob@example.test"
_every_way = pytest.mark.parametrize("way", WAYS)

_BAD_INPUT, _UNAVAILABLE, _TEMPORARY = 65, 69, 75


@dataclass(frozen=True, slots=True)
class Sink:
    """A running smtp-sink and the directory that it dumps messages into."""

    port: int
    dumps: Path

    def wait_for(self, letter: Letter) -> str:
        """The dump of that letter, without the empty line that the sink puts at the end."""
        wait_until(lambda: bool(self._find(letter)), timeout_seconds=20)
        return self._find(letter)[0]

    def _find(self, letter: Letter) -> list[str]:
        texts = (path.read_bytes().decode("latin-1") for path in self.dumps.glob("*"))
        return [text for text in texts if letter.marker.decode() in text]


Start = Callable[..., Sink]


@pytest.fixture
def sink(workshop: Path) -> Iterator[Start]:
    """Start smtp-sink with the given options."""
    with ExitStack() as running:

        def start(*options: str) -> Sink:
            directory = _new_directory(workshop)
            port = free_port()
            user = ["-u", "nobody"] if os.geteuid() == 0 else []
            command = ["smtp-sink", *user, "-d", f"{directory}/%M.", *options]
            child = Child("smtp-sink", [*command, f"inet:127.0.0.1:{port}", "100"], directory / ".log")
            running.enter_context(child).wait_for_port(port)
            return Sink(port, directory)

        yield start


@_every_way
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"utf8-headers"}))
def test_message(way: str, kind: str, row: Row, sink: Start, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter(kind)
    server = sink()
    url = address_of("smtp+plain", server.port)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _BOB], certificates.authority))
    assert outcome.accepted == {_ALICE, _BOB}, outcome
    dump = server.wait_for(letter)
    assert dump[dump.index("X-Interop-Id") :].encode("latin-1") == letter.unix + b"\n"


@_every_way
def test_utf8_headers_without_smtputf8(way: str, row: Row, sink: Start, certificates: Certificates) -> None:
    """Such a message is internationalised (RFC 6532), whatever its addresses: the server must have offered to."""
    row.tls, row.auth = "none", "none"
    url = address_of("smtp+plain", sink().port)
    letter = make_letter("utf8-headers")
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority))
    assert outcome.error == "UnsupportedError", outcome
    assert outcome.status in (_BAD_INPUT, None), outcome


@_every_way
@pytest.mark.parametrize("options", ["-e", "-P", "-p", "-8", "-E", "-N", "-p -8 -E -N -a"])
def test_poor_servers(way: str, options: str, row: Row, sink: Start, certificates: Certificates) -> None:
    """HELO only, a PIX greeting, no PIPELINING, no 8BITMIME, no enhanced codes, no DSN."""
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    server = sink(*options.split())
    url = address_of("smtp+plain", server.port)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE], certificates.authority))
    assert outcome.accepted == {_ALICE}, outcome
    dump = server.wait_for(letter)
    assert re.search(r"X-Rcpt-Args: <alice@example\.test>", dump), dump


@_every_way
def test_lmtp(way: str, row: Row, sink: Start, certificates: Certificates) -> None:
    row.tls, row.auth = "none", "none"
    letter = make_letter("dots")
    server = sink("-L")
    url = address_of("lmtp", server.port)
    outcome = WAYS[way](Order(url, letter.octets, [_ALICE, _BOB], certificates.authority))
    assert outcome.accepted == {_ALICE, _BOB}, outcome
    server.wait_for(letter)


@_every_way
@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data", "."])
@pytest.mark.parametrize(
    ("option", "status"),
    [("-f", _UNAVAILABLE), ("-r", _TEMPORARY), ("-q", _TEMPORARY), ("-Q", _TEMPORARY)],
    ids=["5yz", "4yz", "disconnected", "421"],
)
def test_failure(
    way: str,
    stage: str,
    option: str,
    status: int,
    row: Row,
    sink: Start,
    certificates: Certificates,
) -> None:
    row.tls, row.auth = "none", "none"
    server = sink(option, stage)
    url = address_of("smtp+plain", server.port)
    outcome = WAYS[way](Order(url, make_letter().octets, [_ALICE], certificates.authority))
    # Lost behind the final dot: who was accepted by RCPT may have it or not, and only then is somebody named.
    unknown = (option, stage) == ("-q", ".")
    assert outcome.accepted | outcome.unknown == ({_ALICE} if unknown else set()), outcome
    assert way != "smtpx send" or not outcome.accepted, outcome
    assert outcome.error, outcome
    assert outcome.status in (status, None), outcome


_numbers = count()


def _new_directory(workshop: Path) -> Path:
    directory = workshop / f"sink-{next(_numbers)}"
    directory.mkdir()
    directory.chmod(0o777)
    return directory

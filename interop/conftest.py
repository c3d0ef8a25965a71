"""Fixtures that start the peers, and the table of what ran.

A test module names its peer with `pytestmark = pytest.mark.peer("swaks", direction="swaks → smtpx")`.
A missing peer skips the module loudly; with SMTPX_REQUIRE_PEERS=1 it is a failure.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .certificates import Certificates, make_certificates
from .children import all_logs
from .dovecot import Dovecot
from .exim import Exim
from .keepers import Keeper
from .letters import example_letters
from .peers import Peer, find_peer
from .postfix import Account, Plan, Postfix
from .serving import LibraryServer, SmtpxServe, library_options, with_accounts, with_certificate
from .table import Row, as_document, as_text

_PROJECT = Path(__file__).resolve().parent.parent
_ROWS: list[Row] = []
_MISSING: set[Peer] = set()
_ROW = pytest.StashKey[Row]()
_ALL = pytest.StashKey[int]()

# Characters that mean something in a URL, so that percent-encoding is tested on the way.
ROBOT = Account("robot", "s3cret:/@%41")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-docs", action="store_true", help="write the table into docs/interop.md")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "peer(name, ..., direction): the foreign program, others it needs, and who sends to whom"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "example" in metafunc.fixturenames:
        examples = example_letters(_PROJECT / "examples" / "messages")
        metafunc.parametrize("example", examples, ids=[example.kind for example in examples])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # First: before -k takes some away.
    config.stash[_ALL] = len(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for log in all_logs():
        log.mark()
    marker = item.get_closest_marker("peer")
    if not marker:
        return
    peers = [find_peer(name) for name in marker.args]
    row = Row(peers[0].name, peers[0].version, marker.kwargs["direction"], _title(item))
    item.stash[_ROW] = row
    _ROWS.append(row)
    if missing := [peer for peer in peers if peer.missing]:
        _MISSING.update(missing)
        give_up = pytest.fail if os.environ.get("SMTPX_REQUIRE_PEERS") == "1" else pytest.skip
        give_up("; ".join(f"{peer.name} can't take part: {peer.missing}" for peer in missing))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if row := item.stash.get(_ROW, None):
        _note_result(row, report)
    if report.failed:
        logs = ((log.title, log.text()) for log in all_logs())
        report.sections.extend((f"log of {title}", text) for title, text in logs if text)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not _ROWS:
        return
    terminalreporter.section("what ran")
    terminalreporter.write_line(as_text(_ROWS))
    if _MISSING:
        reasons = "; ".join(sorted(f"{peer.name} ({peer.missing})" for peer in _MISSING))
        terminalreporter.write_line(f"NOT TESTED: {reasons}", yellow=True, bold=True)
    if config.getoption("--write-docs"):
        terminalreporter.write_line(_write_docs(complete=len(_ROWS) == config.stash[_ALL]))


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """This test's line of the table, to say how TLS and AUTH were used."""
    return request.node.stash[_ROW]  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """A directory that Postfix's own users may enter, unlike those of `tmp_path`."""
    directory = Path(tempfile.mkdtemp(prefix="smtpx-interop-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def certificates(workshop: Path) -> Certificates:
    return make_certificates(workshop)


@pytest.fixture(scope="session")
def robot() -> Account:
    """Who may log in, everywhere."""
    return ROBOT


Serve = Callable[..., SmtpxServe]


@pytest.fixture(scope="session")
def serve(workshop: Path) -> Iterator[Serve]:
    """Start `smtpx serve` with the given options; all are drained at the end of the run."""
    with ExitStack() as running:

        def start(name: str, *options: str | Path, kind: type[SmtpxServe] = SmtpxServe) -> SmtpxServe:
            directory = workshop / name
            directory.mkdir()
            place = () if "--unix" in options else ("--port", "0")
            return running.enter_context(kind(directory, *place, *options))

        yield start


@pytest.fixture(scope="session")
def serve_starttls(serve: Serve, certificates: Certificates) -> SmtpxServe:
    """STARTTLS, and AUTH required."""
    return serve("starttls", *with_certificate(certificates), *with_accounts(ROBOT))


@pytest.fixture(scope="module")
def serve_wrong_logins(serve: Serve, certificates: Certificates, request: pytest.FixtureRequest) -> SmtpxServe:
    """As `serve_starttls`, one for each module, as it shuts out networks with many failed logins."""
    name = f"wrong-{request.module.__name__.rpartition('.')[2]}"
    return serve(name, *with_certificate(certificates), *with_accounts(ROBOT))


@pytest.fixture(scope="session")
def serve_implicit(serve: Serve, certificates: Certificates) -> SmtpxServe:
    """TLS from the first octet, and AUTH required."""
    return serve("implicit", "--implicit-tls", *with_certificate(certificates), *with_accounts(ROBOT))


@pytest.fixture(scope="session")
def serve_open(serve: Serve) -> SmtpxServe:
    """No TLS, no AUTH."""
    return serve("open")


@pytest.fixture(scope="session")
def serve_narrow(serve: Serve) -> SmtpxServe:
    """Messages of at most 50,000 octets."""
    return serve("narrow", "--max-size", "50000")


@pytest.fixture(scope="session")
def serve_lmtp(serve: Serve) -> SmtpxServe:
    """LMTP, no TLS, no AUTH."""
    return serve("lmtp", "--lmtp")


@pytest.fixture(scope="session")
def serve_lmtp_socket(serve: Serve, workshop: Path) -> SmtpxServe:
    """LMTP on a unix socket."""
    server = serve("lmtp-socket", "--lmtp", "--unix", workshop / "lmtp.sock")
    Path(server.socket_path).chmod(0o666)  # peers don't run as our user
    return server


@pytest.fixture(scope="session")
def serve_by_library(serve: Serve, certificates: Certificates) -> SmtpxServe:
    """STARTTLS, every SASL mechanism, and nobody@ refused."""
    return serve("library", *library_options(certificates, ROBOT), kind=LibraryServer)


@pytest.fixture(scope="session")
def serve_lmtp_by_library(serve: Serve, certificates: Certificates) -> SmtpxServe:
    """LMTP with STARTTLS, and nobody@ refused."""
    return serve("library-lmtp", *library_options(certificates, ROBOT), "--lmtp", kind=LibraryServer)


StartPostfix = Callable[[str, Plan], Postfix]


@pytest.fixture(scope="session")
def start_postfix(workshop: Path, certificates: Certificates) -> Iterator[StartPostfix]:
    """Start a private Postfix; all are stopped at the end of the run."""
    with ExitStack() as running:

        def start(name: str, plan: Plan) -> Postfix:
            directory = workshop / name
            directory.mkdir(mode=0o755)
            return running.enter_context(Postfix(directory, plan, certificates))

        yield start


@pytest.fixture(scope="session")
def postfix_server(start_postfix: StartPostfix, certificates: Certificates) -> Postfix:
    """Postfix that receives on several ports and delivers to Maildirs."""
    return start_postfix("postfix-server", _server_plan(certificates))


def _server_plan(certificates: Certificates) -> Plan:
    login = {"smtpd_sasl_auth_enable": "yes"}
    starttls = {**login, "smtpd_tls_security_level": "encrypt"}
    everyone = {"mynetworks": "127.0.0.0/8"}
    strict = {**everyone, "smtpd_forbid_unauth_pipelining": "yes"}
    return Plan(
        listeners={
            "submission": starttls,
            "tls12": {**starttls, "smtpd_tls_mandatory_protocols": "TLSv1.2"},
            "submissions": {**starttls, "smtpd_tls_wrappermode": "yes"},
            "stranger": {
                **starttls,
                "smtpd_tls_chain_files": str(certificates.strangers_key_and_chain),
            },
            "relay": {**strict, "smtpd_tls_security_level": "may"},
            "strange-relay": {
                **strict,
                "smtpd_tls_security_level": "may",
                "smtpd_tls_chain_files": str(certificates.strangers_key_and_chain),
            },
            "plain": strict,
            "lockstep": {**strict, "smtpd_discard_ehlo_keywords": "pipelining, chunking"},
            "bare": {**strict, "smtpd_discard_ehlo_keywords": _EVERY_KEYWORD},
            "narrow": {**everyone, "message_size_limit": "50000"},
            "narrow-silent": {
                **everyone,
                "message_size_limit": "50000",
                "smtpd_discard_ehlo_keywords": "size, silent-discard",
            },
        },
        mailboxes={
            "alice@example.test": "alice",
            "bob@example.test": "bob",
            "quoted.name+tag@example.test": "tag",
            "jürgen@example.test": "juergen",
            "太郎@例え.test": "taro",
        },
        accounts=[ROBOT],
        mechanisms="PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256",
    )


StartExim = Callable[..., Exim]


@pytest.fixture(scope="session")
def start_exim(workshop: Path, certificates: Certificates) -> Iterator[StartExim]:
    """Start a private Exim; all are stopped at the end of the run."""
    with ExitStack() as running:

        def start(name: str, **plan: Any) -> Exim:  # noqa: ANN401 - what Exim takes
            directory = workshop / name
            directory.mkdir(mode=0o755)
            return running.enter_context(Exim(directory, certificates, ROBOT, **plan))

        yield start


@pytest.fixture(scope="session")
def exim_server(start_exim: StartExim) -> Exim:
    """Exim that receives and delivers to Maildirs."""
    mailboxes = {"alice@example.test": "alice", "bob@example.test": "bob", "jürgen@example.test": "juergen"}
    return start_exim("exim-server", mailboxes=mailboxes)


@pytest.fixture(scope="session")
def dovecot(workshop: Path, certificates: Certificates) -> Iterator[Dovecot]:
    """Dovecot that delivers to Maildirs of alice, bob and broken, whose is none, and knows who may log in."""
    directory = workshop / "dovecot"
    directory.mkdir(mode=0o755)
    with Dovecot(directory, certificates, ROBOT, ["alice", "bob", "broken"]) as running:
        (directory / "mail" / "broken").touch()
        yield running


StartKeeper = Callable[..., Keeper]


@pytest.fixture(scope="session")
def start_keeper(workshop: Path, certificates: Certificates) -> Iterator[StartKeeper]:
    """Start a library's server, with options for the library; all are stopped at the end of the run."""
    with ExitStack() as running:

        def start(name: str, program: Sequence[str], **options: object) -> Keeper:
            directory = workshop / name
            directory.mkdir()
            return running.enter_context(Keeper(program, directory, certificates, ROBOT, options))

        yield start


_EVERY_KEYWORD = "pipelining, chunking, size, vrfy, etrn, starttls, auth, enhancedstatuscodes, 8bitmime, dsn, smtputf8"


def _write_docs(*, complete: bool) -> str:
    if not complete:
        return "docs/interop.md is not written: this was a part of the tests only"
    document = _PROJECT / "docs" / "interop.md"
    document.parent.mkdir(exist_ok=True)
    document.write_text(as_document(_ROWS, _system()), encoding="utf-8")
    return "docs/interop.md is written"


def _title(item: pytest.Item) -> str:
    return item.name.partition("[")[0].removeprefix("test_").replace("_", " ")


def _note_result(row: Row, report: pytest.TestReport) -> None:
    if report.failed:
        row.result = "FAILED"
    elif report.skipped:
        row.result = "skipped"
    elif report.when == "call" and report.passed:
        row.result = "passed"


def _system() -> str:
    names = platform.freedesktop_os_release()
    return f"{names.get('PRETTY_NAME', 'Linux')} with Python {platform.python_version()}"

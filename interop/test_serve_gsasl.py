"""libgsasl logs in to `smtpx serve`: SCRAM bound to the TLS channel, by GnuTLS on one side and OpenSSL on the other.

Its client says STARTTLS before EHLO, so a relay says EHLO for it; TLS goes through that untouched.
"""

import base64
import re
import ssl

import pytest

from .between import Between, hello_first, read_along
from .certificates import Certificates
from .clients import gsasl
from .postfix import Account
from .serving import SmtpxServe
from .table import Row

pytestmark = pytest.mark.peer("gsasl", direction="gsasl → smtpx serve")
_BY_LIBRARY = pytest.mark.peer("gsasl", direction="gsasl → smtpx.Server")

_TLS_1_2 = "--priority=NORMAL:-VERS-TLS1.3"
_WELL = "Client authentication finished (server trusted)"


def _by(mechanism: str) -> str:
    return f"--mechanism={mechanism}"


def test_bound_to_the_channel(row: Row, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account) -> None:
    """By tls-unique, which is what TLS 1.2 has; the server proves itself too."""
    row.tls, row.auth = "STARTTLS, TLS 1.2", "SCRAM-SHA-256-PLUS"
    with Between(serve_starttls.port, hello_first) as between:
        done = gsasl(between.port, robot, certificates.authority, _TLS_1_2, _by("SCRAM-SHA-256-PLUS"))
    assert done.returncode == 0, done.stdout
    assert "(TLS1.2)" in done.stdout
    assert _WELL in done.stdout
    assert "235 2.7.0" in done.stdout


@_BY_LIBRARY
def test_bound_to_the_channel_by_sha_1(
    row: Row, serve_by_library: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS, TLS 1.2", "SCRAM-SHA-1-PLUS"
    with Between(serve_by_library.port, hello_first) as between:
        done = gsasl(between.port, robot, certificates.authority, _TLS_1_2, _by("SCRAM-SHA-1-PLUS"))
    assert done.returncode == 0, done.stdout
    assert _WELL in done.stdout
    serve_by_library.wait_for_log("logged in by SCRAM-SHA-1-PLUS\n")


def test_the_best_it_finds(row: Row, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS, TLS 1.2", "best common"
    with Between(serve_starttls.port, hello_first) as between:
        done = gsasl(between.port, robot, certificates.authority, _TLS_1_2)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^AUTH SCRAM-SHA-256-PLUS\r?$", done.stdout, re.MULTILINE)
    assert _WELL in done.stdout


def test_bound_by_tls_exporter(
    row: Row, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    """On TLS 1.3 it knows nothing else, which is refused by a Python that can't export (docs/decisions.md, gaps)."""
    can_export = hasattr(ssl.SSLObject, "export_keying_material")
    row.tls = "STARTTLS, TLS 1.3"
    row.auth = "SCRAM-SHA-256-PLUS" + ("" if can_export else ", refused: no tls-exporter")
    with Between(serve_starttls.port, hello_first) as between:
        done = gsasl(between.port, robot, certificates.authority, _by("SCRAM-SHA-256-PLUS"))
    assert "(TLS1.3)" in done.stdout, done.stdout
    first = base64.b64decode(done.stdout.partition("334 ")[2].splitlines()[1])
    assert first.startswith(b"p=tls-exporter,,n=robot,r=")
    if can_export:
        assert _WELL in done.stdout
    else:
        assert done.returncode != 0
        assert "501 5.5.2" in done.stdout
        assert "235" not in done.stdout


def test_not_bound(row: Row, serve_starttls: SmtpxServe, certificates: Certificates, robot: Account) -> None:
    row.tls, row.auth = "STARTTLS, TLS 1.3", "SCRAM-SHA-256"
    with Between(serve_starttls.port, hello_first) as between:
        done = gsasl(between.port, robot, certificates.authority, "--no-cb", _by("SCRAM-SHA-256"))
    assert done.returncode == 0, done.stdout
    assert "(TLS1.3)" in done.stdout
    assert _WELL in done.stdout


def test_whoever_reads_along_is_noticed(
    row: Row, serve_wrong_logins: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    """With the server's own key and certificate in the middle: only the binding tells."""
    row.tls, row.auth = "STARTTLS, somebody between", "SCRAM-SHA-256-PLUS"
    with Between(serve_wrong_logins.port, read_along(certificates.key_and_chain)) as between:
        done = gsasl(between.port, robot, certificates.authority, _TLS_1_2, _by("SCRAM-SHA-256-PLUS"))
        assert done.returncode != 0, done.stdout
        assert "535 5.7.8" in done.stdout
        done = gsasl(between.port, robot, certificates.authority, _TLS_1_2, "--no-cb", _by("SCRAM-SHA-256"))
    assert _WELL in done.stdout  # without a binding nobody notices, so it was that


def test_wrong_password_is_refused(
    row: Row, serve_wrong_logins: SmtpxServe, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS, TLS 1.2", "SCRAM-SHA-256-PLUS, wrong"
    wrong = Account(robot.user, "not-the-one")
    with Between(serve_wrong_logins.port, hello_first) as between:
        done = gsasl(between.port, wrong, certificates.authority, _TLS_1_2, _by("SCRAM-SHA-256-PLUS"))
    assert done.returncode != 0, done.stdout
    assert "535 5.7.8" in done.stdout

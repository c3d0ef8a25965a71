"""Both clients and certificates that are not good (H045): nothing secret is said, and the reason is named."""

from pathlib import Path

import pytest

from smtpx.errors import TLSError
from tests.certificates import Authority, server_context
from tests.client.dialogues import LOCK, QUIT
from tests.client.test_both_connecting import TLS_SCRIPT
from tests.peers import Colour, ScriptedServer

AUTHORITY = Authority()
FAULTY = AUTHORITY.faulty()
REASONS = {
    "expired": "has expired",
    "not_yet_valid": "not yet valid",
    "wrong_name": "Hostname mismatch",
    "self_signed": "self-signed certificate",
    "wrong_purpose": "(unsuitable|unsupported) certificate purpose",
    "unknown_issuer": "unable to get local issuer",
    "weak_key": "key too (small|weak)",
}


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("scheme", ["submission", "submissions"])
def test_h045_a_faulty_certificate_ends_it_before_the_password(
    colour: Colour, fault: str, scheme: str, tmp_path: Path
) -> None:
    script = "TLS\n" if scheme == "submissions" else TLS_SCRIPT.partition("TLS\nC: EHLO")[0] + "TLS\n"
    url = f"{scheme}://user:s3cret@localhost:"
    with ScriptedServer(script, tls=server_context(FAULTY[fault], tmp_path), tolerant=True) as server:
        with pytest.raises(TLSError, match=REASONS[fault]) as caught:
            colour.open(f"{url}{server.port}?hello_name=me", ca_file=AUTHORITY.trust(tmp_path), timeout=10)
        assert caught.value.is_certificate
        assert not caught.value.is_temporary
        assert b"AUTH" not in b"".join(server.heard)


@pytest.mark.parametrize("fault", sorted(set(FAULTY) - {"weak_key"}))
def test_h045_opportunistic_without_a_password_goes_on_and_says_so(colour: Colour, fault: str, tmp_path: Path) -> None:
    with (
        ScriptedServer(TLS_SCRIPT + QUIT, tls=server_context(FAULTY[fault], tmp_path), tolerant=True) as server,
        colour.open(f"smtp://localhost:{server.port}?hello_name=me", timeout=10) as connection,
    ):
        assert not connection.tls.verified


@pytest.mark.parametrize("scheme", ["submission", "submissions"])
@pytest.mark.parametrize(("name", "good"), [("localhost", True), ("*.example.org", False), ("127.0.0.1", False)])
def test_h045_names(colour: Colour, scheme: str, name: str, good: bool, tmp_path: Path) -> None:
    script = TLS_SCRIPT + QUIT if scheme == "submission" else "TLS\n" + LOCK + QUIT
    context = server_context(AUTHORITY.issue(name), tmp_path)
    with ScriptedServer(script, tls=context, tolerant=True) as server:
        hosts = {"localhost": good, "127.0.0.1": name == "127.0.0.1"}
        for host, fits in hosts.items():
            url = f"{scheme}://{host}:{server.port}?hello_name=me"
            if fits:
                with colour.open(url, ca_file=AUTHORITY.trust(tmp_path), timeout=10) as connection:
                    assert connection.tls.verified
            else:
                with pytest.raises(TLSError, match="mismatch"):
                    colour.open(url, ca_file=AUTHORITY.trust(tmp_path), timeout=10)

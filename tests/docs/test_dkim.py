"""What docs/dkim.md says is so: its Python runs, over a DNS of our own, and its tables name what there is."""

import inspect
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

import smtpx
from smtpx.dkim import Key, Result, Signer, verify
from tests.dkim.bodies import MESSAGE, Letter

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "dkim.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


class Vault:
    """Keeps a key, and signs."""

    key = Key.generate("rsa")

    def sign(self, name: str, digest: bytes) -> bytes:
        assert name == "mail-key"
        return self.key.sign(digest)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str | None]]:
    """A DNS server on loopback that knows these records; None is SERVFAIL. The system's resolver asks it."""
    records: dict[str, str | None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], sock.getsockname()[1]
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        thread = threading.Thread(target=_answer, args=(sock, records))
        thread.start()
        yield records
        sock.sendto(b"", sock.getsockname())
        thread.join()


def _answer(sock: socket.socket, records: Mapping[str, str | None]) -> None:
    while True:
        octets, peer = sock.recvfrom(4096)
        if not octets:
            return
        query = dns.message.from_wire(octets)
        reply = dns.message.make_response(query)
        name = query.question[0].name.to_text()
        text = records.get(name.removesuffix("."), "")
        if text is None:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif text:
            strings = " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", strings))
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        sock.sendto(reply.to_wire(max_size=4096), peer)


@pytest.fixture
def names(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    zone: dict[str, str | None],
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    """What is there when every snippet has run, one after the other; each is asked for what it shows."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"message": Letter(MESSAGE), "vault": Vault()}
    for block in BLOCKS:
        if "verify(octets" in block:
            zone["mail._domainkey.example.org"] = names["key"].dns_record()
        exec(block, names)  # noqa: S102 - our own document
        names.setdefault("printed", []).append(capsys.readouterr().out)
    return names


def test_its_python_runs(names: dict[str, Any], tmp_path: Path, zone: dict[str, str | None]) -> None:
    assert len(BLOCKS) == 8
    assert (tmp_path / "mail.pem").stat().st_mode & 0o777 == 0o600
    assert names["printed"][0].startswith('mail._domainkey.example.org. TXT "v=DKIM1; k=rsa; p=MIIB')
    assert '" "' in names["printed"][0]
    assert names["printed"][6] == "pass example.org \n"
    signed, both = (b"".join(names[each].octets(eight_bit=False, utf8=False)) for each in ("signed", "both"))
    assert [each.result for each in verify(signed, names["get_key"])] == [Result.PASS]
    assert [each.result for each in verify(both, names["get_key"])] == [Result.PERMERROR, Result.PASS]


def test_its_vault_signs(names: dict[str, Any], zone: dict[str, str | None]) -> None:
    signer: Signer = names["signer"]
    zone[signer.dns_name] = Vault.key.dns_record()
    assert [each.is_pass for each in verify(signer.signature(MESSAGE) + MESSAGE, names["get_key"])] == [True]


def test_its_key_source_tells_never_from_not_now(names: dict[str, Any], zone: dict[str, str | None]) -> None:
    signed = b"".join(names["signed"].octets(eight_bit=False, utf8=False))
    zone.clear()
    assert [each.result for each in verify(signed, names["get_key"])] == [Result.PERMERROR]
    zone["mail._domainkey.example.org"] = None
    assert [each.result for each in verify(signed, names["get_key"])] == [Result.TEMPERROR]


def test_its_server(names: dict[str, Any]) -> None:
    signed = b"".join(names["signed"].octets(eight_bit=False, utf8=False))
    with smtpx.ServerThread(names["Inbox"], port=0) as server:
        options = {"sender": "me@example.org", "recipients": ["you@example.net"]}
        reply = smtpx.send(server.url, signed, **options).reply
        assert reply is not None
        assert reply.text == "example.org"
        with pytest.raises(smtpx.PermanentRefusal, match=r"5\.7\.20 no signature that is good"):
            smtpx.send(server.url, MESSAGE, **options)


def test_its_tables_name_what_there_is() -> None:
    arguments = set(re.findall(r"^\| `(\w+)` \| .* \| .* \|$", DOCUMENT, re.MULTILINE))
    parameters = inspect.signature(Signer).parameters
    assert arguments == {name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    results = re.findall(r"^\| `(\w+)` \| [^|]* \|$", DOCUMENT, re.MULTILINE)
    assert results == ["result", *(each.value for each in Result)]

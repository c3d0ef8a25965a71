"""A throw-away certification authority, the server's certificate, and one by a stranger."""

from dataclasses import dataclass
from pathlib import Path

import trustme

__all__ = ["CLIENT", "Certificates", "make_certificates"]

CLIENT = "robot@example.test"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files; servers' certificates are for `localhost` and `127.0.0.1`, the client's for `CLIENT`."""

    authority: Path
    chain: Path
    key: Path
    key_and_chain: Path
    strangers_key_and_chain: Path
    client_key_and_chain: Path


def make_certificates(directory: Path) -> Certificates:
    """Write a fresh set below the directory."""
    authority, stranger = trustme.CA(), trustme.CA()
    made = Certificates(
        authority=directory / "ca.pem",
        chain=directory / "chain.pem",
        key=directory / "key.pem",
        key_and_chain=directory / "key-and-chain.pem",
        strangers_key_and_chain=directory / "stranger.pem",
        client_key_and_chain=directory / "client.pem",
    )
    ours = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(made.authority)
    ours.private_key_pem.write_to_path(made.key)
    for certificate in ours.cert_chain_pems:
        certificate.write_to_path(made.chain, append=True)
    ours.private_key_and_cert_chain_pem.write_to_path(made.key_and_chain)
    strangers = stranger.issue_cert("localhost", "127.0.0.1")
    strangers.private_key_and_cert_chain_pem.write_to_path(made.strangers_key_and_chain)
    client = authority.issue_cert(CLIENT)
    client.private_key_and_cert_chain_pem.write_to_path(made.client_key_and_chain)
    return made

"""A certificate for localhost."""

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme


class Certificate(NamedTuple):
    """A server's context, and the file a client trusts it by."""

    server: ssl.SSLContext
    ca_file: Path


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return Certificate(context, ca_file)

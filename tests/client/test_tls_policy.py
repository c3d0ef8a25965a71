"""Which TLS context a connection gets: verified, unless the alternative is no TLS at all."""

import ssl
from typing import Any

import pytest

from smtpx.client.settings import settings_for
from smtpx.client.tls_policy import context_for
from smtpx.sasl import Password
from tests.client.conftest import Certificates

USER = {"auth": Password("u", "p")}


@pytest.mark.parametrize(
    ("url", "options", "local", "verifies"),
    [
        ("smtp://h", {}, False, False),
        ("smtp://h", USER, False, True),
        ("smtp://h", USER, True, False),
        ("submission://h", {}, True, True),
        ("smtps://h", {}, True, True),
        ("smtps://h", {"verify": False}, False, False),
    ],
)
def test_verification(url: str, options: dict[str, Any], local: bool, verifies: bool) -> None:
    context = context_for(settings_for(url, **options), local=local)
    assert (context.verify_mode is ssl.CERT_REQUIRED) is verifies
    assert context.check_hostname is verifies
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_authorities_of_the_callers_are_there_to_be_checked(certificates: Certificates) -> None:
    settings = settings_for("smtp://h", ca_file=certificates.ca_file)
    assert context_for(settings, local=True).verify_mode is ssl.CERT_REQUIRED


def test_a_context_of_the_callers_is_taken_as_it_is() -> None:
    context = ssl.create_default_context()
    assert context_for(settings_for("smtps://h", ssl_context=context), local=False) is context

"""A certificate for localhost, and Django configured, as far as mail needs it."""

from collections.abc import Iterator

import django
import pytest
from django.conf import settings

from tests.adapters.office import Office, office
from tests.client.conftest import Certificates, certificates_for

if not settings.configured:
    settings.configure(SECRET_KEY="of no use", USE_TZ=True, DEFAULT_FROM_EMAIL="shop@example.org")
    django.setup()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates_for(tmp_path_factory.mktemp("ca"), "localhost", "127.0.0.1")


@pytest.fixture
def clear() -> Iterator[Office]:
    """A server without TLS and AUTH."""
    with office() as made:
        yield made


@pytest.fixture
def secure(certificates: Certificates) -> Iterator[Office]:
    """A server that demands STARTTLS and AUTH."""
    with office(auth=True, tls=certificates.server, require_tls=True, require_auth=True) as made:
        yield made

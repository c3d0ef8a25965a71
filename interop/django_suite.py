"""Django's own tests for mail backends, with ours: `python -m interop.django_suite DIRECTORY` of Django's tests.

They are run as Django has them, from its source distribution, which `scripts/interop` fetches: for each test a line on
standard output, `ok`, `failed` or `skipped`, with its name.
"""
# ruff: noqa: ANN401, T201 - Django has no types; standard output is read by who started it

import sys
import unittest
import warnings
from typing import Any

import django
from django.conf import settings

from smtpx import ServerThread, Session
from smtpx.server.body import Body

_BACKEND = "smtpx.adapters.django.EmailBackend"
_MAILBOX: list[Any] = []


class _Keeper(Session):
    """Keeps what arrives, in the form that Django's tests want."""

    async def data(self, body: Body) -> None:
        from mail.tests import message_from_bytes  # type: ignore[import-not-found]

        octets = await body.read()
        # As Django's own handler does: from 6.1 the tests are exact about the last line end, before they were not.
        _MAILBOX.append(message_from_bytes(octets.replace(b"\r\n", b"\n") if _HAS_MAILERS else octets.rstrip()))


class _Says(unittest.TextTestResult):
    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        print(f"ok {test.id()}")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        print(f"skipped {test.id()}: {reason}")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        print(f"failed {test.id()}")

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        print(f"failed {test.id()}")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(f"failed {subtest.id()}")


_HAS_MAILERS = django.VERSION >= (6, 1)


def _tests(url: str) -> type[unittest.TestCase]:
    from django.test import SimpleTestCase

    from smtpx.adapters.django import EmailBackend

    class Ours:
        def get_mailbox_content(self) -> list[Any]:
            return _MAILBOX

        def flush_mailbox(self) -> None:
            _MAILBOX.clear()

        def setUp(self) -> None:
            super().setUp()  # type: ignore[misc]
            _MAILBOX.clear()

    if not _HAS_MAILERS:
        from mail.tests import BaseEmailBackendTests

        class SharedTests(Ours, BaseEmailBackendTests, SimpleTestCase):  # type: ignore[misc]
            email_backend = _BACKEND

        return SharedTests

    from mail.test_backends import SharedEmailBackendTests

    class SharedTestsWithMailers(Ours, SharedEmailBackendTests, SimpleTestCase):  # type: ignore[misc]
        backend_class = EmailBackend

        def create_backend(self, **options: Any) -> Any:
            return super().create_backend(**{"url": url, **options})

        # Where a backend needs options or has fail_silently, Django's comments ask for these two to be overridden.
        def test_create_from_mailers(self) -> None:
            super().test_create_from_mailers(required_options={"url": url})

        def test_fail_silently_arg_accepted(self) -> None:
            quiet, loud = self.create_backend(fail_silently=True), self.create_backend(fail_silently=False)
            assert (quiet.fail_silently, loud.fail_silently) == (True, False)

    return SharedTestsWithMailers


def main(directory: str) -> int:
    """The exit status: 0 if all of them passed."""
    sys.path.insert(0, directory)
    warnings.simplefilter("default")
    with ServerThread(_Keeper, port=0) as server:
        old = {} if _HAS_MAILERS else {"EMAIL_SMTPX": {"url": server.url}}
        settings.configure(SECRET_KEY="of-no-use", USE_TZ=True, **old)
        django.setup()
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(_tests(server.url))
        result = unittest.TextTestRunner(sys.stderr, resultclass=_Says).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

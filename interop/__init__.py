"""smtpx against mail programs that others wrote; run by `scripts/interop`, never by `scripts/test`."""

import pytest

pytest.register_assert_rewrite("interop.checks")

"""Keys of messages that are sent once only."""

import pytest

from smtpx.errors import ConfigurationError
from smtpx.mailer.once import DuplicateError, Once


def test_a_key_is_taken_once_until_it_is_free() -> None:
    once = Once()
    once.take("a")
    with pytest.raises(DuplicateError, match="'a'") as caught:
        once.take("a")
    assert caught.value.key == "a"
    assert not caught.value.is_temporary
    once.free("a")
    once.free("a")
    once.take("a")


def test_the_oldest_are_forgotten() -> None:
    once = Once(2)
    for key in ("a", "b", "c"):
        once.take(key)
    once.take("a")
    with pytest.raises(DuplicateError):
        once.take("c")
    with pytest.raises(ConfigurationError, match="max_keys"):
        Once(0)

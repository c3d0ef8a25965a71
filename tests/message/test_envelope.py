"""Envelopes that were given, and what the header adds."""

from typing import NoReturn

import pytest

from smtpx.message.address import addresses_of, read_addresses
from smtpx.message.envelope import Given, each_once
from smtpx.message.sendable import Posting
from smtpx.wire.address import NULL_SENDER, Mailbox

A, B, C = (Mailbox(name, "x.example") for name in "abc")


def test_what_is_given_counts_and_the_header_for_the_rest() -> None:
    assert Given().posting(lambda: A, lambda: (B,)) == Posting(A, (B,))
    given = Given().also(C, "Jane <b@x.example>, team: c@x.example;", {"ret": "HDRS"})

    def never() -> NoReturn:
        raise AssertionError

    assert given.posting(never, never) == Posting(C, (B, C), {"ret": "HDRS"})
    assert given.also(None, None, None) == given
    assert given.also("a@x.example", None, {}).posting(never, never) == Posting(A, (B, C), {})
    with pytest.raises(TypeError):
        given.wishes["ret"] = "FULL"  # type: ignore[index]


@pytest.mark.parametrize("sender", ["", "<>", NULL_SENDER])
def test_no_sender(sender: str | Mailbox) -> None:
    assert Given().also(sender, A, None).posting(lambda: A, lambda: ()) == Posting(NULL_SENDER, (A,))


def test_no_recipient() -> None:
    for given in (Given(), Given().also(A, [], None)):
        with pytest.raises(ValueError, match="no recipient"):
            given.posting(lambda: A, lambda: ())


def test_bad_ones() -> None:
    for sender, recipients in (("nobody", None), (None, ["nobody"]), ("a@b, c@d", None), ("team:;", None)):
        with pytest.raises(ValueError, match=r"address|group"):
            Given().also(sender, recipients, None)


def test_each_once() -> None:
    text = "a@B.example, A@b.example, x <a@b.EXAMPLE>, a@bücher.example, a@xn--bcher-kva.example"
    found = each_once(addresses_of(read_addresses(text)))
    assert [str(each) for each in found] == ["a@B.example", "A@b.example", "a@bücher.example"]

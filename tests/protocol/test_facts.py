"""What a server knows of its client."""

from smtpx.protocol.facts import Claims, ServerFacts, TLSFacts


def test_nothing_is_known_at_first() -> None:
    facts = ServerFacts()
    assert (facts.tls, facts.hello_name, facts.extended, facts.identity) == (None, None, False, None)


def test_tls_is_not_verified_unless_somebody_says_so() -> None:
    tls = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    assert not tls.verified
    assert (tls.server_name, tls.group) == (None, None)
    assert tls == TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256")


def test_notes_are_of_one_connection() -> None:
    first, second = ServerFacts(), ServerFacts()
    first.notes["X"] = 1
    assert (first.notes, second.notes) == ({"X": 1}, {})


def test_nothing_is_claimed_at_first() -> None:
    facts = ServerFacts()
    assert (facts.address, facts.port, facts.claims, facts.forwarded) == ("", 0, None, None)
    assert Claims() == Claims(name=None, address=None, login=None)

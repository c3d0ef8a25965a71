"""SMTP and LMTP as values."""

from smtpx.protocol.dialect import LMTP, SMTP


def test_rfc5321_4_1_1_1_hello_verbs_of_smtp() -> None:
    assert SMTP.hello_verbs == {"EHLO", "HELO"}
    assert not SMTP.verdict_per_recipient


def test_rfc2033_4_1_hello_verbs_of_lmtp() -> None:
    assert LMTP.hello_verbs == {"LHLO"}
    assert LMTP.verdict_per_recipient


def test_words_and_schemes() -> None:
    assert [(each.name, each.greeting_word, each.scheme) for each in (SMTP, LMTP)] == [
        ("SMTP", "ESMTP", "smtp"),
        ("LMTP", "LMTP", "lmtp"),
    ]

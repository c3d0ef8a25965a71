"""The examples that the standards print, octet by octet: RFC 6376 appendix A, RFC 8463 appendix A, RFC 6376 3.4."""

import base64
from datetime import UTC, datetime

from smtpx.dkim import Key, Result, Signer, verify
from smtpx.dkim.canonical import canonical_field
from tests.dkim.bodies import canonical_body

RFC_6376_A2 = (
    b"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
    b"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
    b"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
    b"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
    b"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
    b"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
    b"      4bmp/YzhwvcubU4=;\r\n"
    b"Received: from client1.football.example.com  [192.0.2.1]\r\n"
    b"      by submitserver.example.com with SUBMISSION;\r\n"
    b"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\n"
    b"Hi.\r\n"
    b"\r\n"
    b"We lost the game. Are you hungry yet?\r\n"
    b"\r\n"
    b"Joe.\r\n"
)
RFC_6376_RECORD = (
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt"
    "IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi"
    "tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)

RFC_8463_MESSAGE = (
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\n"
    b"Hi.\r\n"
    b"\r\n"
    b"We lost the game.  Are you hungry yet?\r\n"
    b"\r\n"
    b"Joe.\r\n"
    b"\r\n"
)
RFC_8463_A3 = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    b" subject : date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    b" date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    b" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    b" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
) + RFC_8463_MESSAGE
RFC_8463_RECORDS = {
    "brisbane._domainkey.football.example.com": ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
    "test._domainkey.football.example.com": (
        "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
        "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
        "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ),
}
RFC_8463_SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
SEED_AS_PKCS8 = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"  # RFC 8410 7, without the seed


def test_rfc_6376_appendix_a_2() -> None:
    (found,) = verify(RFC_6376_A2, {"brisbane._domainkey.example.com": RFC_6376_RECORD}.get)
    assert found.is_pass
    assert (found.domain, found.selector) == ("example.com", "brisbane")
    assert (found.identity, found.algorithm) == ("joe@football.example.com", "rsa-sha256")
    assert found.signed_headers == ("received", "from", "to", "subject", "date", "message-id")
    assert found.body_length is None


def test_rfc_8463_appendix_a_3() -> None:
    found = verify(RFC_8463_A3, RFC_8463_RECORDS.get)
    assert [each.result for each in found] == [Result.PASS, Result.PASS]
    assert [each.algorithm for each in found] == ["ed25519-sha256", "rsa-sha256"]
    assert found[0].signed_at == datetime(2018, 6, 10, 13, 38, 29, tzinfo=UTC)


def test_each_octet_of_the_example_counts() -> None:
    """A change anywhere is noticed, unless it is one that the canonical form does not show."""
    quiet = 0
    for place in range(0, len(RFC_8463_A3), 7):
        changed = RFC_8463_A3[:place] + b"~" + RFC_8463_A3[place + 1 :]
        found = verify(changed, RFC_8463_RECORDS.get)
        quiet += len(found) == 2 and all(each.is_pass for each in found)
    assert quiet == 0


def test_rfc_8463_signed_by_us() -> None:
    """The key of A.2 and the message of A.3: `Key` reads it, its record is the one that is printed there."""
    key = Key.read(pem(SEED_AS_PKCS8 + base64.b64decode(RFC_8463_SEED)))
    name = "brisbane._domainkey.football.example.com"
    assert key.dns_record() == RFC_8463_RECORDS[name]
    signer = Signer("football.example.com", "brisbane", key)
    assert signer.dns_name == name
    (found,) = verify(signer.signature(RFC_8463_MESSAGE) + RFC_8463_MESSAGE, RFC_8463_RECORDS.get)
    assert found.is_pass


def pem(der: bytes) -> str:
    return f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n"


def test_rfc_6376_3_4_5() -> None:
    """The example of the four canonical forms."""
    fields = (b"A: X\r\n", b"B : Y\t\r\n\tZ  \r\n")
    body = b" C \r\nD \t E\r\n\r\n\r\n"
    assert b"".join(canonical_field(each, relaxed=True) for each in fields) == b"a:X\r\nb:Y Z\r\n"
    assert b"".join(canonical_field(each, relaxed=False) for each in fields) == b"".join(fields)
    assert canonical_body(body, relaxed=True) == b" C\r\nD E\r\n"
    assert canonical_body(body, relaxed=False) == b" C \r\nD \t E\r\n"

"""smtpx logs in where Dovecot judges: Postfix passes the mechanism's messages on to it."""

import pytest

from .certificates import Certificates
from .conftest import StartPostfix
from .dovecot import Dovecot, make_token
from .letters import make_letter
from .postfix import Account, Plan, Postfix
from .sending import LIBRARY_WAYS, WAYS, Order, address_of
from .table import Row

pytestmark = pytest.mark.peer("Dovecot", "Postfix", direction="smtpx → Postfix with Dovecot's logins")

_ALICE = "alice@example.test"
_PASSWORD_MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
_every_way = pytest.mark.parametrize("way", LIBRARY_WAYS)


@pytest.fixture(scope="module")
def postfix(start_postfix: StartPostfix, dovecot: Dovecot) -> Postfix:
    """Postfix that receives on one port, where Dovecot judges logins."""
    settings = {"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"inet:127.0.0.1:{dovecot.port('auth')}"}
    listener = {"smtpd_sasl_auth_enable": "yes", "smtpd_tls_security_level": "encrypt"}
    plan = Plan({"submission": listener}, settings=settings, mailboxes={_ALICE: "alice"})
    return start_postfix("postfix-dovecot", plan)


@_every_way
@pytest.mark.parametrize("mechanism", _PASSWORD_MECHANISMS)
def test_password(
    way: str, mechanism: str, row: Row, postfix: Postfix, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter()
    url = address_of("submission", postfix.port("submission"), robot)
    order = Order(url, letter.octets, [_ALICE], certificates.authority, mechanisms=[mechanism])
    WAYS[way](order).assert_sent(_ALICE)
    assert postfix.maildir("alice").wait_for(letter)[0].octets == letter.unix
    postfix.log.wait_for(f"sasl_method={mechanism}, sasl_username=robot")


@_every_way
@pytest.mark.parametrize("mechanism", _PASSWORD_MECHANISMS)
def test_wrong_password(
    way: str, mechanism: str, row: Row, postfix: Postfix, certificates: Certificates, robot: Account
) -> None:
    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    url = address_of("submission", postfix.port("submission"), Account(robot.user, "not-the-one"))
    order = Order(url, make_letter().octets, [_ALICE], certificates.authority, mechanisms=[mechanism])
    outcome = WAYS[way](order)
    assert outcome.error == "AuthenticationError", outcome


@_every_way
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_token(
    way: str, mechanism: str, row: Row, postfix: Postfix, certificates: Certificates, robot: Account
) -> None:
    import smtpx

    row.tls, row.auth = "STARTTLS", mechanism
    letter = make_letter()
    url = address_of("submission", postfix.port("submission"))
    token = smtpx.BearerToken(robot.user, make_token(robot.user))
    order = Order(url, letter.octets, [_ALICE], certificates.authority, mechanisms=[mechanism], auth=token)
    WAYS[way](order).assert_sent(_ALICE)
    assert postfix.maildir("alice").wait_for(letter)[0].octets == letter.unix
    postfix.log.wait_for(f"sasl_method={mechanism}, sasl_username=robot")


@_every_way
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_wrong_token(
    way: str, mechanism: str, row: Row, postfix: Postfix, certificates: Certificates, robot: Account
) -> None:
    import smtpx

    row.tls, row.auth = "STARTTLS", f"{mechanism}, wrong"
    url = address_of("submission", postfix.port("submission"))
    token = smtpx.BearerToken(robot.user, "not-the-one")
    order = Order(url, make_letter().octets, [_ALICE], certificates.authority, mechanisms=[mechanism], auth=token)
    outcome = WAYS[way](order)
    assert outcome.error == "AuthenticationError", outcome

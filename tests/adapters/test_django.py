"""The Django backend, under the numbers of the list of pains (P60 to P69) and by its acceptance list."""
# ruff: noqa: ANN401 - Django has no types

import asyncio
import datetime
import logging
import os
import pickle
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage as LibraryMessage
from email.message import MIMEPart
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.test import override_settings

import smtpx
from smtpx.adapters import django as adapter
from smtpx.adapters.django import DeliveryError, EmailBackend, InvalidOptions, recipients_refused
from smtpx.extensions import STANDARD
from smtpx.flows.session import Security
from tests.adapters.office import PASSWORD, USER, Office, office
from tests.certificates import Authority
from tests.client.conftest import Certificates
from tests.peers import ScriptedServer

MAILERS: Any = getattr(mail, "mailers", None)  # from Django 6.1
HAS_MAILERS = MAILERS is not None
old_way = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


@pytest.fixture(autouse=True)
def no_pools_left() -> Iterator[None]:
    yield
    adapter._POOLS.close_all()


def backend(**options: Any) -> EmailBackend:
    """Made as Django 6.1 makes it."""
    return EmailBackend(alias="default", **options)


def letter(*to: str, sender: str = "shop@example.org", **more: Any) -> Any:
    return EmailMessage("Hello", "a letter\n", sender, list(to or ("jane@example.org",)), **more)


def submission(secure: Office) -> str:
    return f"submission://{USER}:{quote(PASSWORD, safe='')}@localhost:{secure.port}"


# The pains of the list ------------------------------------------------------------------------------------------------


def test_p60_threads_share_a_bounded_pool(clear: Office) -> None:
    shared = backend(url=clear.server.url, max_connections=3)
    start = threading.Barrier(8)
    sent: list[int] = []

    def work() -> None:
        start.wait()
        sent.extend(shared.send_messages([letter()]) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent == [1] * 80
    assert len(clear.letters) == 80
    assert clear.most_open <= 3


async def test_p61_coroutines_send_without_stopping_the_loop(secure: Office, certificates: Certificates) -> None:
    """anymail/django-anymail#306."""
    shared = backend(url=submission(secure), ca_file=certificates.ca_file)
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            steps += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert await shared.asend_messages([letter(), letter()]) == 2
    counting.cancel()
    assert steps > 10  # the loop went round meanwhile
    assert [each.user for each in secure.letters] == [USER, USER]


@pytest.mark.parametrize(
    ("options", "security", "port"),
    [
        ({"url": "submission://mail.example.org"}, Security.STARTTLS, 587),
        ({"url": "smtps://mail.example.org"}, Security.IMPLICIT, 465),
        ({"host": "mail.example.org", "use_tls": True}, Security.STARTTLS, 587),
        ({"host": "mail.example.org", "use_ssl": True}, Security.IMPLICIT, 465),
        ({"host": "mail.example.org", "use_ssl": False, "use_tls": False}, Security.OPPORTUNISTIC, 25),
        ({"host": "mail.example.org", "use_tls": True, "port": 25}, Security.STARTTLS, 25),
        ({"host": "localhost"}, Security.NONE, 25),
        ({"host": "::1", "port": 2525}, Security.NONE, 2525),
    ],
)
def test_p62_one_url_or_djangos_two_booleans(options: dict[str, Any], security: Security, port: int) -> None:
    made = backend(**options).client_settings()
    assert (made.security, made.target.port) == (security, port)


def test_p62_both_booleans_are_refused() -> None:
    with pytest.raises(InvalidOptions, match=r"^MAILERS\['default'\]: .*'use_ssl' and 'use_tls'.*incompatible"):
        backend(host="mail.example.org", use_tls=True, use_ssl=True)
    both = {"host": "h.example", "use_tls": True, "use_ssl": True}
    with override_settings(EMAIL_SMTPX=both), pytest.raises(ValueError, match="incompatible"):  # Django's, before 6.1
        EmailBackend()


def test_p63_partial_refusal_is_seen(clear: Office, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []

    def listen(sender: object, message: object, result: object, **_: object) -> None:
        heard.append((sender, message, result))

    recipients_refused.connect(listen)
    partly = letter("jane@example.org", "nobody@example.org")
    try:
        with caplog.at_level(logging.WARNING, "smtpx.adapters.django"):
            assert backend(url=clear.server.url).send_messages([partly]) == 1
    finally:
        recipients_refused.disconnect(listen)
    assert list(partly.smtpx_result.accepted) == ["jane@example.org"]
    assert list(partly.smtpx_result.refused) == ["nobody@example.org"]
    assert heard == [(EmailBackend, partly, partly.smtpx_result)]
    assert caplog.messages == [
        "1 of 2 recipients refused: <nobody@example.org>: 550 5.1.1 mailbox unavailable (stage: rcpt)"
    ]


def test_p63_what_a_receiver_raises_does_not_have_the_message_sent_again(clear: Office) -> None:
    def listen(**_: object) -> None:
        raise RuntimeError("the receiver's own trouble")

    recipients_refused.connect(listen)
    try:
        assert backend(url=clear.server.url).send_messages([letter("a@example.org", "nobody@example.org")]) == 1
    finally:
        recipients_refused.disconnect(listen)


def test_p63_all_refused_raises(clear: Office) -> None:
    message = letter("nobody@example.org", "later@example.org")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as raised:
        backend(url=clear.server.url).send_messages([message, letter()])
    assert raised.value.recipients.keys() == {"nobody@example.org", "later@example.org"}
    assert isinstance(raised.value, smtpx.TemporaryRefusal)  # one of them may be tried again
    assert message.smtpx_result.refused.keys() == raised.value.recipients.keys()
    assert clear.letters == []  # as in Django, those behind it are not tried


def test_p63_on_partial_raise_is_all_or_nobody(clear: Office) -> None:
    message = letter("jane@example.org", "nobody@example.org")
    with pytest.raises(DeliveryError) as raised:
        backend(url=clear.server.url, on_partial="raise").send_messages([message])
    assert raised.value.result.refused.keys() == {"nobody@example.org"}
    assert clear.letters == []


def test_p64_errors_are_what_old_code_catches(clear: Office) -> None:
    for kind in (smtplib.SMTPException, OSError, smtpx.SMTPXError, DeliveryError, smtpx.PermanentRefusal):
        with pytest.raises(kind):
            backend(url=clear.server.url).send_messages([letter("nobody@example.org")])


def test_p65_unknown_options_are_named() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^MAILERS\['default'\]: Unknown options 'hots', 'prot'\.$"):
        backend(url="smtp://localhost", hots="x", prot=1)
    named = pytest.raises(InvalidOptions, match=r"^EMAIL_SMTPX: Unknown options 'time_out'\.$")
    with override_settings(EMAIL_SMTPX={"url": "smtp://localhost", "time_out": 3}), named:
        EmailBackend()


@pytest.mark.skipif(HAS_MAILERS, reason="Django warns of it by itself from 6.1")
def test_p65_unknown_keywords_before_django_6_1() -> None:
    named = pytest.raises(InvalidOptions, match=r"^Unknown options 'hots'\.$")
    with override_settings(EMAIL_SMTPX={"url": "smtp://localhost"}), named:
        EmailBackend(hots="x")


def test_p66_open_and_close_at_any_time(clear: Office) -> None:
    used = backend(url=clear.server.url)
    used.close()
    assert used.open() is True
    assert used.open() is False
    assert used.send_messages([letter()]) == 1
    assert clear.connections == 1
    used.close()
    used.close()
    assert used.send_messages([letter()]) == 1
    used.close()
    with used as same:
        assert same is used
        assert used.send_messages([letter()]) == 1
    assert clear.connections == 3
    assert used.open() is True
    used.close()


@pytest.mark.parametrize("where", ["subject", "from_email", "to", "cc", "reply_to", "headers"])
def test_p67_a_header_with_a_newline(clear: Office, where: str) -> None:
    evil = "x\nBcc: victim@example.org"
    options: dict[str, Any] = {"to": ["jane@example.org"]}
    options[where] = {"X-Shop": evil} if where == "headers" else evil if where in ("subject", "from_email") else [evil]
    with pytest.raises(ValueError, match=r"."):
        backend(url=clear.server.url).send_messages([EmailMessage(**options)])
    assert clear.connections == 0


def test_p68_nothing_to_send_opens_nothing(clear: Office) -> None:
    idle = backend(url=clear.server.url)
    nobody: Any = EmailMessage("Hello", "a letter", to=[])
    assert idle.send_messages([]) == 0
    assert idle.send_messages(iter(())) == 0
    assert idle.send_messages([nobody, nobody]) == 0
    assert nobody.smtpx_result is None
    assert clear.connections == 0


@pytest.mark.parametrize("scheme", ["smtps", "submissions"])
def test_p69_implicit_tls_on_the_port_of_starttls(scheme: str) -> None:
    with pytest.raises(InvalidOptions, match="submission://"):
        backend(url=f"{scheme}://mail.example.org:587")


# What is configured ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "OPTIONS must define 'url' or 'host'"),
        ({"url": "smtp://h.example", "host": "h.example"}, "leave out 'host'"),
        ({"url": "smtp://h.example", "use_tls": True}, "leave out 'use_tls'"),
        ({"url": "smtp://h.example", "port": 25}, "leave out 'port'"),
        ({"url": "smpt://h.example"}, "did you mean 'smtp'"),
        ({"host": "h example"}, "spaces"),
        ({"host": "h.example", "port": 70000}, "65535"),
        ({"host": "h.example", "timeout": 0}, "'timeout' must be more than 0"),
        ({"host": "h.example", "max_connections": 0}, "max_connections must be at least 1"),
        ({"host": "h.example", "on_partial": "shrug"}, "'on_partial' is 'report' or 'raise'"),
        ({"host": "h.example", "dsn": {"envid": "x"}}, "'dsn' has 'notify' and 'ret', not 'envid'"),
        ({"host": "h.example", "dsn": {"notify": ["SOMETIMES"]}}, "NOTIFY is NEVER"),
        ({"host": "h.example", "dsn": {"ret": None}}, "'dsn'"),
        ({"url": "submission://jane@h.example"}, "user name and password"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOptions, match=text) as raised:
        backend(**options)
    assert str(raised.value).startswith("MAILERS['default']: ")
    assert isinstance(raised.value, ImproperlyConfigured)
    assert isinstance(raised.value, smtpx.ConfigurationError)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)  # noqa: S301 - our own


def test_a_password_never_shows() -> None:
    with pytest.raises(InvalidOptions) as raised:
        backend(url="smtp://jane:s3cret@h.example:0")
    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in repr(backend(url="submission://jane:s3cret@h.example").client_settings())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "submission://jane:old@h.example/"}, ("jane", "old")),
        ({"url": "submission://jane:old@h.example?timeout=3", "username": "joe", "password": "new"}, ("joe", "new")),
        ({"url": "submission://h.example", "username": "joe", "password": "new"}, ("joe", "new")),
        ({"url": "submission://jane@h.example", "password": "new"}, ("jane", "new")),
        ({"url": "submission://jane:old@h.example", "username": "", "password": ""}, None),
        ({"host": "h.example", "use_tls": True, "username": "joe", "password": "new"}, ("joe", "new")),
        ({"host": "h.example", "use_tls": True, "username": "joe", "password": ""}, None),
        ({"host": "h.example", "use_tls": True, "password": "new"}, None),
    ],
)
def test_who_logs_in(options: dict[str, Any], expected: tuple[str, str] | None) -> None:
    auth: Any = backend(**options).client_settings().auth
    assert (auth and (auth.username, auth.secret.reveal())) == expected


def test_all_options_arrive(certificates: Certificates) -> None:
    made = backend(
        host="mail.example.org",
        use_tls=True,
        timeout=7,
        max_connections=2,
        verify=False,
        ca_file=certificates.ca_file,
        hello_name="shop.example.org",
        local_address="127.0.0.2",
    ).client_settings()
    assert (made.timeouts.connect, made.timeouts.final, made.limits.max_connections) == (7, 7, 2)
    assert (made.verify, made.ca_file, made.hello_name) == (False, certificates.ca_file, "shop.example.org")
    assert made.target.local_address == "127.0.0.2"
    assert made.timeout is None  # seconds for each step, as in Django; `timeout` in a URL is for all of them


def test_what_the_url_says_holds_unless_an_option_says_otherwise(certificates: Certificates) -> None:
    url = f"submission://h.example?ca_file={quote(str(certificates.ca_file))}&hello_name=a.example&max_connections=3"
    made = backend(url=url, hello_name="b.example").client_settings()
    assert (made.ca_file, made.hello_name, made.limits.max_connections) == (str(certificates.ca_file), "b.example", 3)


@old_way
def test_settings_from_before_6_1(clear: Office) -> None:
    host = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": clear.port, "EMAIL_TIMEOUT": 9}
    with override_settings(EMAIL_BACKEND="smtpx.adapters.django.EmailBackend", **host):
        assert mail.send_mail("Hello", "a letter", None, ["jane@example.org"]) == 1
        made = EmailBackend()
    assert (made.host, made.port, made.timeout, made.alias) == ("127.0.0.1", clear.port, 9, None)
    assert clear.letters[0].sender == "shop@example.org"


@old_way
def test_keywords_win_over_settings() -> None:
    with override_settings(EMAIL_HOST="elsewhere.example", EMAIL_TIMEOUT=9):
        made = EmailBackend(host="mail.example.org", username="", use_tls=True)
    assert (made.host, made.username, made.use_tls, made.port, made.timeout) == ("mail.example.org", "", True, 25, 9)


@old_way
def test_settings_of_our_own_before_6_1(secure: Office, certificates: Certificates) -> None:
    own = {"url": submission(secure), "ca_file": certificates.ca_file}
    with override_settings(EMAIL_BACKEND="smtpx.adapters.django.EmailBackend", EMAIL_SMTPX=own):
        assert mail.send_mail("Hello", "a letter", None, ["jane@example.org"], html_message="<p>a letter") == 1
        messages = [("Hello", "a letter", None, ["jane@example.org"])] * 3
        assert mail.send_mass_mail(messages) == 3
        with pytest.raises(smtpx.AuthenticationError):
            mail.send_mail("Hello", "x", None, ["jane@example.org"], auth_user="jane", auth_password="wrong")
    assert [each.user for each in secure.letters] == [USER] * 4
    assert [part.get_content_type() for part in secure.letters[0].message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert secure.connections == 2  # one is kept, and the one that could not log in


@pytest.mark.skipif(not HAS_MAILERS, reason="needs Django 6.1, which needs Python 3.12")
def test_mailers(secure: Office, certificates: Certificates) -> None:
    options = {"url": submission(secure), "ca_file": str(certificates.ca_file)}
    entry = {"BACKEND": "smtpx.adapters.django.EmailBackend", "OPTIONS": options}
    with override_settings(MAILERS={"default": entry, "other": {**entry, "OPTIONS": {**options, "prot": 1}}}):
        assert mail.send_mail("Hello", "a letter", None, ["jane@example.org"]) == 1
        assert MAILERS["default"].send_messages([letter()]) == 1
        assert letter().send(using="default") == 1
        with pytest.raises(ImproperlyConfigured, match=r"MAILERS\['other'\]: Unknown options 'prot'"):
            MAILERS["other"]
    assert secure.connections == 1


def test_a_subclass_may_name_itself() -> None:
    class Shop(EmailBackend):
        alias = "shop"

    if not HAS_MAILERS:  # which sets the attribute itself
        assert Shop(host="mail.example.org", use_tls=True).port == 587
    assert str(adapter.InvalidMailer("no", alias="shop")) == "MAILERS['shop']: no"
    assert str(adapter.InvalidMailer("no")) == "no"


def test_a_mailer_does_not_look_at_the_old_settings() -> None:
    with override_settings(EMAIL_SMTPX={"url": "smtp://elsewhere.example", "verify": False}):
        made = backend(host="mail.example.org").client_settings()
    assert (made.target.host, made.verify) == ("mail.example.org", True)


def test_the_module_does_not_need_settings() -> None:
    program = "import smtpx.adapters, sys; assert 'django' not in sys.modules; import smtpx.adapters.django"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_without_django_it_says_what_is_missing() -> None:
    program = "import sys; sys.modules['django'] = None; import smtpx.adapters.django"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert "ImportError: this needs smtpx[django]" in run.stderr


# What is sent ---------------------------------------------------------------------------------------------------------


def test_the_message_is_djangos_own(clear: Office) -> None:
    message = EmailMultiAlternatives("Grüße", "Schöne Grüße\n", "Shop <shop@example.org>", ["Jane <jane@example.org>"])
    message.attach_alternative("<p>Schöne Grüße", "text/html")
    message.attach("a.bin", bytes(range(256)), "application/octet-stream")
    message.bcc = ["boss@example.org"]
    assert backend(url=clear.server.url).send_messages([message]) == 1
    (arrived,) = clear.letters
    assert arrived.recipients == ["jane@example.org", "boss@example.org"]
    assert arrived.sender == "shop@example.org"
    assert b"boss" not in arrived.octets
    assert arrived.message["Subject"] == "Grüße"
    assert b"\n" not in arrived.octets.replace(b"\r\n", b"")
    (attached,) = arrived.message.iter_attachments()
    assert attached.get_content() == bytes(range(256))


class Framed(EmailMessage):
    """What projects do: they override how a message is written."""

    def message(self, **options: Any) -> Any:
        message = super().message(**options)
        message["X-Framed"] = "yes"
        return message


def test_what_a_project_overrides_is_kept(clear: Office) -> None:
    assert backend(url=clear.server.url).send_messages([Framed("Hello", "a", to=["jane@example.org"])]) == 1
    assert clear.letters[0].message["X-Framed"] == "yes"


def test_a_bcc_header_does_not_get_out(clear: Office) -> None:
    message = letter(headers={"Bcc": "boss@example.org"})
    if HAS_MAILERS:
        with pytest.raises(ValueError, match="Bcc"):
            backend(url=clear.server.url).send_messages([message])
    else:
        assert backend(url=clear.server.url).send_messages([message]) == 1
        assert b"boss" not in clear.letters[0].octets


def test_a_server_without_8bitmime_gets_seven_bits() -> None:
    extensions = [each for each in STANDARD if each.keyword not in ("8BITMIME", "BINARYMIME")]
    message = EmailMessage("Grüße", "Schöne Grüße\n", "shop@example.org", ["jane@example.org"])
    with office(extensions=extensions) as made:
        assert backend(url=made.server.url).send_messages([message]) == 1
        (arrived,) = made.letters
    assert arrived.octets.isascii()
    assert arrived.message.get_content().strip() == "Schöne Grüße"


def test_addresses_beyond_ascii(clear: Office) -> None:
    message = letter("Kundin <jane@xn--fa-hia.example>", "日本 <to@漢字.example>", sender="shop@bücher.example")
    assert backend(url=clear.server.url).send_messages([message]) == 1
    (arrived,) = clear.letters
    assert arrived.sender == "shop@xn--bcher-kva.example"
    assert arrived.recipients == ["jane@xn--fa-hia.example", "to@xn--p8s937b.example"]
    with pytest.raises(ValueError, match=r"^Invalid address 'nø@example.dk': the local part is not ASCII"):
        backend(url=clear.server.url).send_messages([letter("nø@example.dk")])


@pytest.mark.parametrize("address", ["a@b@example.org", "a@b, c@d", "@", "to@", "to\nevil@example.org", "", "<>"])
def test_bad_addresses_are_named(clear: Office, address: str) -> None:
    message = EmailMessage("Hello", "x", "shop@example.org", ["jane@example.org"], bcc=[address, "x@example.org"])
    if not address:
        assert backend(url=clear.server.url).send_messages([message]) == 1  # Django leaves empty ones out
        return
    with pytest.raises(ValueError, match=r"^Invalid address ") as raised:
        backend(url=clear.server.url).send_messages([message])
    assert repr(address) in str(raised.value)
    assert clear.connections == 0


def test_an_address_without_domain_gets_this_hosts(clear: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter.DNS_NAME, "get_fqdn", lambda: "www.example.org")
    message = letter("root", "Root <root>", sender="Web <webmaster>")
    assert backend(url=clear.server.url).send_messages([message]) == 1
    assert (clear.letters[0].sender, clear.letters[0].recipients) == (
        "webmaster@www.example.org",
        ["root@www.example.org"],
    )


def test_the_null_sender(clear: Office) -> None:
    message = letter(sender="<>", headers={"From": "Mail System <postmaster@example.org>"})
    assert backend(url=clear.server.url).send_messages([message]) == 1
    assert clear.letters[0].sender == ""


def test_a_name_twice_is_one_recipient(clear: Office) -> None:
    assert backend(url=clear.server.url).send_messages([letter("a@example.org", "A <a@example.org>")]) == 1
    assert clear.letters[0].recipients == ["a@example.org"]


def test_dsn(clear: Office) -> None:
    told = {"notify": ["FAILURE", "DELAY"], "ret": "HDRS"}
    assert backend(url=clear.server.url, dsn=told).send_messages([letter()]) == 1
    assert clear.letters[0].params == ["NOTIFY=FAILURE,DELAY", "RET=HDRS"]


def test_tls_and_login(secure: Office, certificates: Certificates) -> None:
    host = {"host": "localhost", "port": secure.port, "username": USER, "password": PASSWORD}
    assert backend(**host, use_tls=True, ca_file=certificates.ca_file).send_messages([letter()]) == 1
    assert (secure.letters[0].tls, secure.letters[0].user) == (True, USER)


def test_implicit_tls_and_a_certificate_of_our_own(certificates: Certificates, tmp_path: Path) -> None:
    authority = Authority("Clients")
    (tmp_path / "own.pem").write_bytes(authority.issue("shop.example.org", email="shop@example.org").pem)
    context = certificates.server
    with office(tls=context, implicit_tls=True) as made:
        options = {"host": "localhost", "port": made.port, "use_ssl": True, "ca_file": certificates.ca_file}
        both = {"ssl_certfile": tmp_path / "own.pem", "ssl_keyfile": tmp_path / "own.pem"}
        assert backend(**options, **both).send_messages([letter()]) == 1
        assert made.letters[0].tls
        with pytest.raises(InvalidOptions, match="ssl_certfile"):
            backend(**options, ssl_certfile=tmp_path / "absent.pem").send_messages([letter()])


# The acceptance list: each kind of trouble has its type, and names stage and address ----------------------------------


def failure(made: EmailBackend, message: Any = None, *, kinds: tuple[type[Exception], ...]) -> Any:
    with pytest.raises(DeliveryError) as raised:
        made.send_messages([message or letter()])
    assert isinstance(raised.value.__cause__, smtpx.SMTPXError)
    for kind in kinds:
        assert isinstance(raised.value, kind), kind
    return raised.value


def test_a_certificate_that_is_not_good(secure: Office) -> None:
    error = failure(backend(url=submission(secure)), kinds=(smtpx.TLSError, ssl.SSLCertVerificationError))
    assert (error.is_certificate, error.stage) == (True, "starttls")
    assert secure.letters == []


def test_verification_can_be_switched_off(secure: Office) -> None:
    assert backend(url=submission(secure), verify=False).send_messages([letter()]) == 1


def test_a_refused_recipient(clear: Office) -> None:
    error = failure(backend(url=clear.server.url), letter("nobody@example.org"), kinds=(smtpx.PermanentRefusal,))
    assert (error.stage, error.recipient, error.reply.code) == ("rcpt", "nobody@example.org", 550)


def test_a_refused_sender(clear: Office) -> None:
    error = failure(
        backend(url=clear.server.url), letter(sender="banned@example.org"), kinds=(smtplib.SMTPSenderRefused,)
    )
    assert (error.stage, error.sender, error.smtp_code) == ("mail", "banned@example.org", 550)


def test_421(clear: Office) -> None:
    clear.greeting = smtpx.Reject(421, "4.3.2", "too busy")
    error = failure(backend(url=clear.server.url), kinds=(smtpx.TemporaryRefusal,))
    assert (error.stage, error.reply.code, error.is_temporary) == ("greeting", 421, True)


def test_a_refused_message(clear: Office) -> None:
    clear.at_data = smtpx.Reject.content_refused()
    error = failure(backend(url=clear.server.url), kinds=(smtplib.SMTPDataError,))
    assert error.stage == "final"


def test_wrong_credentials(secure: Office, certificates: Certificates) -> None:
    error = failure(
        backend(url=submission(secure), username=USER, password="wrong", ca_file=certificates.ca_file),
        kinds=(smtplib.SMTPAuthenticationError,),
    )
    assert (error.stage, error.smtp_code) == ("auth", 535)
    assert "wrong" not in str(error)


def test_a_server_without_what_is_needed(clear: Office) -> None:
    kinds = (smtplib.SMTPNotSupportedError, smtpx.UnsupportedError)
    error = failure(backend(url=f"submission://127.0.0.1:{clear.port}"), kinds=kinds)
    assert error.keyword == "STARTTLS"


def test_what_is_closed_in_the_middle_says_so(clear: Office) -> None:
    def closing() -> Iterator[Any]:
        yield letter()
        adapter._POOLS.close_all()
        yield letter()

    with pytest.raises(ValueError, match="this client is closed"):
        backend(url=clear.server.url).send_messages(closing())
    assert len(clear.letters) == 1


def test_a_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = failure(backend(url=f"smtp+plain://127.0.0.1:{port}", timeout=0.2), kinds=(TimeoutError,))
    assert error.stage == "greeting"


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    error = failure(backend(url=f"smtp+plain://127.0.0.1:{port}"), kinds=(ConnectionError,))
    assert error.stage == "connect"
    assert str(port) in str(error)


def test_a_connection_lost_at_the_end_is_not_repeated() -> None:
    lost = """
        S: 220 ready
        C: EHLO shop.example.org
        S: 250 fine
        C: MAIL FROM:<shop@example.org>
        S: 250 fine
        C: RCPT TO:<jane@example.org>
        S: 250 fine
        C: DATA
        S: 354 go on
    """
    with ScriptedServer(lost, tolerant=True, act=None) as server:
        made = backend(url=f"smtp+plain://127.0.0.1:{server.port}", hello_name="shop.example.org", timeout=0.5)
        message = letter()
        error = failure(made, message, kinds=(smtpx.DeadlineError,))
        assert server.connections == 1
    assert error.stage == "final"
    assert list(message.smtpx_result.accepted) == ["jane@example.org"]  # unknown, not refused


def test_fail_silently_swallows_these_only(clear: Office) -> None:
    quiet = backend(url=clear.server.url, fail_silently=True)
    refused, good = letter("nobody@example.org"), letter()
    assert quiet.send_messages([refused, good]) == 1
    assert refused.smtpx_result.refused
    with pytest.raises(ValueError, match="Invalid address"):
        quiet.send_messages([letter("nonsense@")])


def test_fail_silently_does_not_knock_for_each_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    quiet = backend(url=f"smtp+plain://127.0.0.1:{port}", fail_silently=True)
    messages = [letter() for _ in range(3)]
    made: list[object] = []
    tried = iter(messages)
    assert quiet.send_messages(made.append(each) or each for each in tried) == 0
    assert len(made) == 1
    assert quiet.open() is None
    quiet.fail_silently = False
    with pytest.raises(ConnectionError):
        quiet.open()
    with pytest.raises(DeliveryError), quiet:
        raise AssertionError("not reached")


def test_open_notices_a_server_that_went_away(clear: Office) -> None:
    made = backend(url=clear.server.url)
    assert made.send_messages([letter()]) == 1  # leaves an idle connection
    clear.server.stop()
    with pytest.raises(ConnectionError):
        made.open()


def test_no_thread_is_left(clear: Office) -> None:
    before = set(threading.enumerate())
    with backend(url=clear.server.url) as made:
        made.send_messages([letter()])
    assert set(threading.enumerate()) == before


async def test_it_works_where_a_loop_runs(clear: Office) -> None:
    assert backend(url=clear.server.url).send_messages([letter()]) == 1  # starts none of its own


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_does_not_share_connections(clear: Office) -> None:
    program = f"""
import os
from django.conf import settings
settings.configure(SECRET_KEY="of no use")
from django.core.mail import EmailMessage
from smtpx.adapters.django import EmailBackend
backend = EmailBackend(alias="default", url={clear.server.url!r})
message = EmailMessage("Hello", "x", "shop@example.org", ["jane@example.org"])
backend.open()
assert backend.send_messages([message]) == 1
child = os.fork()
assert backend.send_messages([message]) == 1
if not child:
    assert backend.open() is True
    backend.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert backend.open() is False
assert backend.send_messages([message]) == 1
backend.close()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(clear.letters) == 4
    assert clear.connections == 2


def test_several_mailers_have_pools_of_their_own(clear: Office) -> None:
    one, other = backend(url=clear.server.url), EmailBackend(alias="other", url=clear.server.url)
    for _ in range(3):
        one.send_messages([letter()])
        other.send_messages([letter()])
    assert clear.connections == 2


def test_attached_messages_and_parts_are_sent(clear: Office) -> None:
    part = MIMEPart()
    part.set_content("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", subtype="calendar")
    forwarded = LibraryMessage()
    forwarded["Subject"] = "inside"
    forwarded["Date"] = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    forwarded.set_content("inside\n")
    message = letter()
    message.attach("inside.eml", forwarded.as_bytes(), "message/rfc822")
    if HAS_MAILERS:
        message.attach(part)
    assert backend(url=clear.server.url).send_messages([message]) == 1
    kinds = [each.get_content_type() for each in clear.letters[0].message.walk()]
    assert "message/rfc822" in kinds

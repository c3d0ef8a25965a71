"""Flask: the names of Flask-Mail without its pains (P80 to P87 of the list), and the acceptance list."""
# ruff: noqa: ANN401 - of arguments that are passed on

import logging
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

import smtpx
from smtpx.adapters.flask import (
    Attachment,
    BadHeaderError,
    DeliveryError,
    Mail,
    Message,
    email_dispatched,
    recipients_refused,
)
from tests.adapters.office import PASSWORD, USER, Office, office
from tests.client.conftest import Certificates
from tests.peers import ScriptedServer


@pytest.fixture
def mails() -> Iterator[list[Mail]]:
    made: list[Mail] = []
    yield made
    for each in made:
        each.close()


@pytest.fixture
def mail_for(mails: list[Mail]) -> Any:
    def make(**config: Any) -> Mail:
        app = Flask("shop")
        app.config.update({"MAIL_DEFAULT_SENDER": ("Shop", "shop@example.org"), **config})
        mails.append(Mail(app))
        return mails[-1]

    return make


@pytest.fixture
def mail(mail_for: Any, clear: Office) -> Mail:
    made: Mail = mail_for(MAIL_SERVER="127.0.0.1", MAIL_PORT=clear.port)
    return made


def hello(*recipients: str, **more: Any) -> Message:
    more.setdefault("sender", "shop@example.org")
    return Message("Hello", list(recipients or ("jane@example.org",)), "a letter\n", **more)


def parts(message: Any) -> list[str]:
    return [each.get_content_type() for each in message.walk()]


# The pains of the list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [False, True])
def test_p80_certificates_are_checked(mail_for: Any, certificates: Certificates, implicit: bool) -> None:
    with office(tls=certificates.server, implicit_tls=implicit) as made:
        place = {
            "MAIL_SERVER": "localhost",
            "MAIL_PORT": made.port,
            "MAIL_USE_SSL" if implicit else "MAIL_USE_TLS": True,
        }
        with pytest.raises(DeliveryError) as raised:
            mail_for(**place).send(hello())
        assert isinstance(raised.value, ssl.SSLCertVerificationError)
        assert made.letters == []
        mail_for(**place, MAIL_CA_FILE=certificates.ca_file).send(hello())
        mail_for(**place, MAIL_TLS_VERIFY=False).send(hello())
        assert [each.tls for each in made.letters] == [True, True]


def test_p81_there_is_a_timeout(mail_for: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError) as raised:
            mail_for(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_TIMEOUT=0.2).send(hello())
        assert isinstance(raised.value, smtpx.DeadlineError)
        assert raised.value.stage == "greeting"


@pytest.mark.parametrize(("config", "seconds"), [({}, 30), ({"MAIL_TIMEOUT": 5}, 5), ({"MAIL_TIMEOUT": None}, 300)])
def test_p81_it_is_30_seconds_by_default(mail_for: Any, config: dict[str, Any], seconds: float) -> None:
    provider: Any = mail_for(**config).state._provider()
    assert provider.settings.timeouts.mail == seconds


def test_p82_the_result_is_returned(mail: Mail, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []

    def listen(message: Message, app: Flask, result: Any) -> None:
        heard.append((message, app, result))

    message = hello("jane@example.org", "nobody@example.org")
    with recipients_refused.connected_to(listen), caplog.at_level(logging.WARNING):
        result = mail.send(message)
    assert (list(result.accepted), list(result.refused)) == (["jane@example.org"], ["nobody@example.org"])
    assert heard == [(message, mail.app, result)]
    assert "1 of 2 recipients refused: <nobody@example.org>: 550 5.1.1 mailbox unavailable" in caplog.text


def test_p82_all_refused_raises(mail: Mail, clear: Office) -> None:
    heard: list[Any] = []

    def listen(message: Message, **_: Any) -> None:
        heard.append(message)

    message = hello("nobody@example.org")
    refused = pytest.raises(smtplib.SMTPRecipientsRefused)
    with recipients_refused.connected_to(listen), email_dispatched.connected_to(listen), refused as raised:
        mail.send(message)
    assert raised.value.recipients.keys() == {"nobody@example.org"}
    assert isinstance(raised.value, smtpx.PermanentRefusal)
    assert heard == [message]


def test_p83_order_is_kept_and_repeats_are_not(mail: Mail, clear: Office) -> None:
    names = [f"{name}@example.org" for name in ("zoe", "adam", "mia", "ben", "zoe")]
    mail.send(hello(*names, cc=["ben@example.org", "carl@example.org", "abe@example.org"]))
    (letter,) = clear.letters
    assert letter.message["To"] == ", ".join(names[:4])
    assert letter.message["Cc"] == "carl@example.org, abe@example.org"
    assert letter.recipients == [*names[:4], "carl@example.org", "abe@example.org"]


EVIL = "x\r\nBcc: victim@example.org"


@pytest.mark.parametrize(
    "options",
    [
        {"subject": EVIL},
        {"sender": EVIL},
        {"recipients": [EVIL]},
        {"cc": [EVIL]},
        {"bcc": [EVIL]},
        {"reply_to": EVIL},
        {"extra_headers": {"X-Shop": EVIL}},
        {"extra_headers": {EVIL: "x"}},
        {"sender": ("Shop\nBcc: a@b.example", "shop@example.org")},
    ],
    ids=str,
)
def test_p84_no_newline_gets_into_any_header(options: dict[str, Any]) -> None:
    with pytest.raises(BadHeaderError) as raised:
        Message(**{"recipients": ["jane@example.org"], **options})
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, smtpx.LocalProtocolError)
    assert raised.value.findings


def test_p84_it_shows_where_it_is_set() -> None:
    message = hello()
    with pytest.raises(BadHeaderError, match="subject"):
        message.subject = EVIL
    with pytest.raises(BadHeaderError):
        hello().add_recipient(EVIL)
    sneaky = hello()
    assert not sneaky.has_bad_headers()
    sneaky.cc.append(EVIL)
    assert sneaky.has_bad_headers()


def test_p85_the_first_error_wins(mail_for: Any) -> None:
    script = """
        S: 220 ready
        C: EHLO shop.example.org
        S: 250 fine
        C: MAIL FROM:<shop@example.org>
        S: 550 5.7.1 not from you
        EOF
    """
    with ScriptedServer(script, tolerant=True) as server:
        mail = mail_for(SMTPX_URL=f"smtp+plain://127.0.0.1:{server.port}?hello_name=shop.example.org")
        with pytest.raises(smtplib.SMTPSenderRefused, match="not from you") as raised, mail.connect() as connection:
            connection.send(hello())
    assert raised.value.sender == "shop@example.org"
    with pytest.raises(KeyError, match="the application's own"), mail.connect():
        raise KeyError("the application's own")


def test_p86_inline_images_are_related(mail: Mail, clear: Office) -> None:
    """pallets-eco/flask-mail#91, #104."""
    message = hello(html='<p><img src="cid:logo@shop.example">')
    message.attach("logo.png", "image/png", b"\x89PNG\r\n", "inline", headers={"Content-ID": "<logo@shop.example>"})
    message.attach("report.pdf", "application/pdf", b"%PDF")
    mail.send(message)
    (letter,) = clear.letters
    assert parts(letter.message) == [
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    assert "<logo@shop.example>" in [each["Content-ID"] for each in letter.message.walk()]


@pytest.mark.parametrize(
    ("arguments", "kind", "content"),
    [
        (("a.txt", "text/plain", b"abc"), "text/plain", "abc"),
        (("a.csv", None, "a;b\n"), "text/csv", "a;b\n"),
        ((None, "text/calendar", "BEGIN:VCALENDAR"), "text/calendar", "BEGIN:VCALENDAR"),
        (("data.bin", "application/x-thing", b"\x00"), "application/x-thing", b"\x00"),
        (("/etc/passwd".rpartition("/")[2], None, b"x"), "application/octet-stream", b"x"),
        (("empty", None, None), "application/octet-stream", b""),
    ],
)
def test_p87_attachments_are_explicit(
    mail: Mail, clear: Office, arguments: tuple[Any, ...], kind: str, content: object
) -> None:
    mail.send(hello(attachments=[Attachment(*arguments)]))
    (part,) = clear.letters[0].message.iter_attachments()
    assert (part.get_content_type(), part.get_filename()) == (kind, arguments[0])
    assert part.get_content() == content


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("../../etc/passwd", None, b"x"), ValueError),
        (("a\nb", None, b"x"), ValueError),
        (("a", "nonsense", b"x"), ValueError),
        (("a", "image/png", "/etc/passwd"), TypeError),  # text is never a path
        (("a", None, b"x", "sideways"), ValueError),
        (("a", None, b"x", None, {"X-Evil": "y"}), ValueError),
    ],
)
def test_p87_bad_attachments(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        Attachment(*arguments)
    with pytest.raises(error):
        hello().attach(*arguments)


# The names of Flask-Mail ----------------------------------------------------------------------------------------------


def test_flask_mails_own_example(clear: Office, mails: list[Mail]) -> None:
    """The manual's steps, with another import."""
    app = Flask(__name__)
    app.config.update(MAIL_PORT=clear.port, MAIL_DEFAULT_SENDER="shop@example.org")  # MAIL_SERVER is this host
    mail = Mail()
    mail.init_app(app)
    mails.append(Mail(app))

    @app.route("/")
    def index() -> str:
        message = Message("Hello", sender=("Me", "me@example.org"), recipients=["to@example.org"])
        assert message.sender == "Me <me@example.org>"
        message.body = "testing"
        message.html = "<b>testing</b>"
        message.add_recipient("somebodyelse@example.org")
        mail.send(message)
        mail.send_message("Again", recipients=["to@example.org"], body="by default")
        with mail.connect() as connection:
            for number in range(3):
                connection.send(Message(f"hello {number}", body="...", recipients=["to@example.org"]))
            connection.send_message("last", body="...", recipients=["to@example.org"])
        return "sent"

    assert app.test_client().get("/").text == "sent"
    app.extensions["mail"].close()
    first, again, *others = clear.letters
    assert (first.sender, again.sender) == ("me@example.org", "shop@example.org")
    assert first.recipients == ["to@example.org", "somebodyelse@example.org"]
    assert parts(first.message) == ["multipart/alternative", "text/plain", "text/html"]
    assert [each.message["Subject"] for each in others] == ["hello 0", "hello 1", "hello 2", "last"]
    assert clear.connections == 1


def test_record_messages_while_testing(mail: Mail, clear: Office) -> None:
    assert mail.app is not None
    mail.app.testing = True
    with mail.record_messages() as outbox:
        result = mail.send(hello())
        with pytest.raises(BadHeaderError, match="recipient"):
            mail.send(Message("nobody", sender="shop@example.org", body="x"))
    assert [each.subject for each in outbox] == ["Hello"]
    assert list(result.accepted) == ["jane@example.org"]
    assert "MAIL_SUPPRESS_SEND" in str(result.reply)
    assert clear.connections == 0
    mail.app.config["MAIL_SUPPRESS_SEND"] = False
    mail.send(hello())
    assert mail.state is not None
    mail.state.suppress = True
    mail.send(hello())
    assert len(clear.letters) == 1
    with mail.record_messages() as later:
        pass
    assert later == []


def test_signals(mail: Mail, caplog: pytest.LogCaptureFixture, clear: Office) -> None:
    def fails(message: Message, app: Flask) -> None:
        raise RuntimeError("the receiver's own trouble")

    with email_dispatched.connected_to(fails):
        mail.send(hello())  # is out; an error would have it sent again
    assert "a receiver of email-dispatched failed" in caplog.text
    assert len(clear.letters) == 1


def test_everything_a_message_has(mail: Mail, clear: Office) -> None:
    message = Message(
        "Grüße",
        ["Jane <jane@example.org>"],
        "Schöne Grüße",
        alts={"html": "<p>Schöne Grüße", "calendar": "BEGIN:VCALENDAR"},
        sender="Shop <shop@example.org>",
        bcc=["boss@example.org"],
        reply_to="answers@example.org",
        date=0.0,
        charset="iso-8859-1",
        extra_headers={"X-Shop": "1", "Message-ID": "<a@example.org>", "In-Reply-To": "<b@example.org>"},
        mail_options=["RET=HDRS", "BODY=8BITMIME", "SMTPUTF8"],
        rcpt_options=["NOTIFY=FAILURE,DELAY"],
    )
    assert message.send_to == {"Jane <jane@example.org>", "boss@example.org"}
    assert message.html == "<p>Schöne Grüße"
    with mail.connect() as connection:
        message.send(connection)
        connection.send(message, envelope_from="bounces@example.org")
    letter, bounced = clear.letters
    read = letter.message
    assert (read["Subject"], read["X-Shop"], read["Reply-To"]) == ("Grüße", "1", "answers@example.org")
    assert (read["Message-ID"], read["In-Reply-To"]) == ("<a@example.org>", "<b@example.org>")
    assert read["Date"].datetime == datetime(1970, 1, 1, tzinfo=UTC)
    assert parts(read) == ["multipart/alternative", "text/plain", "text/html", "text/calendar"]
    assert letter.recipients == ["jane@example.org", "boss@example.org"]
    assert b"boss" not in letter.octets
    assert letter.params == ["NOTIFY=FAILURE,DELAY"] * 2 + ["RET=HDRS"]
    assert (letter.sender, bounced.sender) == ("shop@example.org", "bounces@example.org")
    assert b"iso-8859-1" in letter.octets.lower()
    message.html = None
    assert message.alts.keys() == {"calendar"}
    message.date = datetime(2026, 1, 1, tzinfo=UTC)
    message.extra_headers = {}
    message.msgId = "<c@example.org>"
    assert "2026" in str(message)
    assert b"<c@example.org>" in bytes(message)


def test_unknown_wire_options() -> None:
    with pytest.raises(ValueError, match="'HOLDFOR'"):
        hello(mail_options=["HOLDFOR=3"])
    assert hello(mail_options=["REQUIRETLS"]).native().require_tls


def test_ascii_attachments(mail_for: Any, clear: Office) -> None:
    mail = mail_for(MAIL_PORT=clear.port, MAIL_ASCII_ATTACHMENTS=True)
    mail.send(hello(attachments=[Attachment("Ünïcödé  ①.txt", None, b"x"), Attachment("日本", None, b"y")]))
    names = [each.get_filename() for each in clear.letters[0].message.iter_attachments()]
    assert names == ["Unicode 1.txt", "attachment"]


# Configuration --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"MAIL_USE_TLS": True, "MAIL_USE_SSL": True}, "one of them at most"),
        ({"SMTPX_URL": "smtp://h.example", "MAIL_SERVER": "h.example"}, "leave out MAIL_SERVER"),
        ({"SMTPX_URL": "smpt://h.example"}, "did you mean 'smtp'"),
        ({"MAIL_TIMEOUT": 0}, "MAIL_TIMEOUT must be more than 0"),
        ({"MAIL_DEFAULT_SENDER": "nonsense"}, "from_email"),
        ({"MAIL_PORT": 70000}, "65535"),
    ],
)
def test_configuration_that_makes_no_sense(mail_for: Any, config: dict[str, Any], text: str) -> None:
    with pytest.raises(smtpx.ConfigurationError, match=text):
        mail_for(**config)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "127.0.0.1:25 NONE"),
        ({"MAIL_SERVER": "mail.example.org"}, "mail.example.org:25 OPPORTUNISTIC"),
        ({"MAIL_SERVER": "mail.example.org", "MAIL_USE_TLS": True}, "mail.example.org:25 STARTTLS"),
        ({"MAIL_SERVER": "mail.example.org", "MAIL_USE_SSL": True}, "mail.example.org:465 IMPLICIT"),
        ({"MAIL_SERVER": "::1", "MAIL_PORT": 2525}, "[::1]:2525 NONE"),
        ({"SMTPX_URL": "submission://mail.example.org"}, "mail.example.org:587 STARTTLS"),
    ],
)
def test_configuration(mail_for: Any, config: dict[str, Any], text: str) -> None:
    settings = mail_for(**config).state._provider().settings
    assert f"{settings.target} {settings.security.name}" == text


def test_max_emails_is_for_one_connection(mail_for: Any, clear: Office) -> None:
    mail = mail_for(MAIL_PORT=clear.port, MAIL_MAX_EMAILS=2)
    for _ in range(5):
        mail.send(hello())
    assert clear.connections == 3


def test_debug_writes_the_dialogue_without_secrets(
    mail_for: Any, secure: Office, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    login = {
        "MAIL_USERNAME": USER,
        "MAIL_PASSWORD": PASSWORD,
        "MAIL_USE_TLS": True,
        "MAIL_CA_FILE": certificates.ca_file,
    }
    mail = mail_for(MAIL_SERVER="localhost", MAIL_PORT=secure.port, MAIL_DEBUG=True, **login)
    assert mail.app is not None
    with caplog.at_level(logging.DEBUG, mail.app.logger.name):
        mail.send(hello())
    assert secure.letters[0].user == USER
    assert "C: MAIL FROM:<shop@example.org>" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_local_provider_by_url(mail_for: Any) -> None:
    mail = mail_for(SMTPX_URL="memory:")
    assert mail.send(hello()).accepted


def test_a_message_beyond_the_servers_size(mail_for: Any) -> None:
    with office(limits=smtpx.ServerLimits(max_message_bytes=1000)) as made:
        with pytest.raises(smtpx.SMTPXError, match="1000"):
            mail_for(MAIL_PORT=made.port).send(hello(attachments=[Attachment("a", None, bytes(2000))]))
        assert made.letters == []


def test_a_file_that_is_gone_when_it_is_sent(mail: Mail, clear: Office, tmp_path: Path) -> None:
    report = tmp_path / "report.bin"
    report.write_bytes(bytes(2_000_000))
    message = hello(attachments=[Attachment("report.bin", None, report)])
    report.unlink()
    with pytest.raises(ValueError, match="can't be read"):
        mail.send(message)
    assert clear.letters == []


def test_a_log_handler_that_mails_does_not_hang(mail_for: Any, clear: Office) -> None:
    mail = mail_for(MAIL_PORT=clear.port, MAIL_DEBUG=True)
    told: list[Exception] = []

    class Mailing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                mail.send(hello())  # from where the dialogue is told, which is under way
            except smtpx.LocalProtocolError as error:
                told.append(error)

    handler = Mailing()
    mail.app.logger.addHandler(handler)
    mail.app.logger.setLevel(logging.DEBUG)
    try:
        mail.send(hello())
    finally:
        mail.app.logger.removeHandler(handler)
        mail.app.logger.setLevel(logging.NOTSET)
    assert "can't wait for itself" in str(told[0])
    assert len(clear.letters) == 1


def test_the_default_sender_of_another_application(mail_for: Any, clear: Office) -> None:
    message = Message("Hello", ["jane@example.org"], "x")  # made outside of any
    assert message.sender is None
    mail_for(MAIL_PORT=clear.port).send(message)
    assert clear.letters[0].sender == "shop@example.org"
    with pytest.raises(BadHeaderError, match="envelope_from"), mail_for(MAIL_PORT=clear.port).connect() as connection:
        connection.send(message, envelope_from="a\nb")


def test_without_init_app() -> None:
    with Flask("bare").app_context(), pytest.raises(RuntimeError, match="init_app"):
        Mail().send(hello())


def test_without_a_sender(mail_for: Any, clear: Office) -> None:
    with pytest.raises(BadHeaderError, match="from_"):
        mail_for(MAIL_PORT=clear.port, MAIL_DEFAULT_SENDER=None).send(hello(sender=None))


def test_without_flask_it_says_what_is_missing() -> None:
    program = "import sys; sys.modules['flask'] = None; import smtpx.adapters.flask"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert "ImportError: this needs smtpx[flask]" in run.stderr


# The acceptance list --------------------------------------------------------------------------------------------------


def failure(mail: Mail, message: Message, *kinds: type[Exception]) -> Any:
    with pytest.raises(DeliveryError) as raised:
        mail.send(message)
    for kind in (*kinds, smtplib.SMTPException, smtpx.SMTPXError):
        assert isinstance(raised.value, kind), kind
    return raised.value


def test_a_refused_sender(mail: Mail) -> None:
    error = failure(mail, hello(sender="banned@example.org"), smtplib.SMTPSenderRefused, smtpx.PermanentRefusal)
    assert (error.stage, error.sender) == ("mail", "banned@example.org")


def test_421(mail: Mail, clear: Office) -> None:
    clear.greeting = smtpx.Reject(421, "4.3.2", "too busy")
    error = failure(mail, hello(), smtpx.TemporaryRefusal)
    assert (error.stage, error.reply.code) == ("greeting", 421)


def test_nobody_there(mail_for: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert failure(mail_for(MAIL_PORT=port), hello(), ConnectionError, smtpx.ConnectError).stage == "connect"


def test_wrong_credentials(mail_for: Any, secure: Office) -> None:
    url = f"submission://{USER}:{quote('wrong')}@localhost:{secure.port}"
    mail = mail_for(SMTPX_URL=url, MAIL_TLS_VERIFY=False)
    error = failure(mail, hello(), smtplib.SMTPAuthenticationError, smtpx.AuthenticationError)
    assert (error.stage, error.smtp_code) == ("auth", 535)


def test_no_thread_is_left_and_it_may_be_used_again(mail: Mail, clear: Office) -> None:
    before = set(threading.enumerate())
    mail.send(hello())
    mail.close()
    mail.close()
    assert set(threading.enumerate()) == before
    mail.send(hello())
    assert len(clear.letters) == 2


async def test_it_works_where_a_loop_runs(mail: Mail, clear: Office) -> None:
    mail.send(hello())
    assert len(clear.letters) == 1


def test_threads_share_it(mail: Mail, clear: Office) -> None:
    threads = [threading.Thread(target=mail.send, args=(hello(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clear.letters) == 8
    assert clear.connections == 1


def test_a_fork_does_not_share_connections(clear: Office) -> None:
    program = f"""
import os
from flask import Flask
from smtpx.adapters.flask import Mail, Message
app = Flask("shop")
app.config["SMTPX_URL"] = {clear.server.url!r}
mail = Mail(app)
message = Message("Hello", ["jane@example.org"], "x", sender="shop@example.org")
mail.send(message)
child = os.fork()
mail.send(message)
if not child:
    mail.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
mail.send(message)
mail.close()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(clear.letters) == 4
    assert clear.connections == 2

"""Mail for Flask, by the names of Flask-Mail: change one import.

    from smtpx.adapters.flask import Mail, Message

    mail = Mail(app)  # SMTPX_URL, or MAIL_SERVER and its family, in app.config
    result = mail.send(Message("Hi", recipients=["jane@example.org"], body="..."))

See docs/frameworks.md for what differs, and why.
"""

import unicodedata
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from smtpx.adapters.errors import DeliveryError, as_delivery_error
from smtpx.client.settings import Limits
from smtpx.client.stamp import new_id, now_here
from smtpx.errors import ConfigurationError, LocalProtocolError, SMTPXError
from smtpx.flows.outcome import SendResult
from smtpx.flows.steps import Timeouts
from smtpx.mailer.blocking import SyncMailService
from smtpx.mailer.provider import Provider
from smtpx.mailer.settings import provider_from_url
from smtpx.message.attachments import Attachment as NativeAttachment
from smtpx.message.compose import Message as NativeMessage
from smtpx.message.findings import MessageError
from smtpx.message.input import Alternative
from smtpx.net.targets import Target
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.reply import Reply

try:
    from blinker import Namespace
    from flask import Flask, current_app, has_app_context
except ImportError as error:
    raise ImportError("this needs smtpx[flask]: pip install 'smtpx[flask]'") from error

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Attachment",
    "BadHeaderError",
    "Connection",
    "DeliveryError",
    "Mail",
    "Message",
    "email_dispatched",
    "recipients_refused",
]

Sender: TypeAlias = str | tuple[str, str]

_signals = Namespace()
email_dispatched = _signals.signal("email-dispatched", "a message was sent, or would have been: sender is the message")
recipients_refused = _signals.signal("recipients-refused", "some or all recipients were refused: has `result`")

_TIMEOUT_SECONDS = 30.0
_SUPPRESSED = Reply(250, EnhancedCode(2, 0, 0), ("not sent: MAIL_SUPPRESS_SEND",))
_SERVER_KEYS = ("MAIL_SERVER", "MAIL_PORT", "MAIL_USE_TLS", "MAIL_USE_SSL", "MAIL_USERNAME", "MAIL_PASSWORD")
# Fields that a message has by other means; `extra_headers` may name them all the same.
_FIELDS = {
    "in-reply-to": "in_reply_to",
    "message-id": "message_id",
    "references": "references",
    "sender": "sender",
}
_AUTOMATIC = frozenset({"BODY", "SIZE", "SMTPUTF8"})  # used by themselves where they are needed
_OPTIONS = {"RET": "ret", "ENVID": "envid", "REQUIRETLS": "require_tls", "NOTIFY": "notify", "ORCPT": "orcpt"}


class BadHeaderError(MessageError):
    """A message that can't be sent as it is, such as one with a newline in a header or an address."""


class Attachment:
    """Something to go along with a message.

    Args:
        filename: the name that the recipient sees, without a path.
        content_type: the media type; else what the name stands for.
        data: octets, a binary stream, or text if the type is text. Never a path.
        disposition: "attachment" or "inline".
        headers: Content-ID, Content-Description and Content-Language. With a Content-ID it is an inline part of the
            HTML, which refers to it by `cid:`.

    Raises:
        ValueError, TypeError: for what can't be attached.
    """

    def __init__(
        self,
        filename: str | None = None,
        content_type: str | None = None,
        data: Any = None,  # noqa: ANN401 - octets, a stream, or text
        disposition: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.filename = filename
        self.content_type = content_type
        self.data = data
        self.disposition = disposition or "attachment"
        self.headers = dict(headers or {})
        self.native()

    @property
    def content_id(self) -> str | None:
        """Its Content-ID, without angle brackets."""
        found = next((value for name, value in self.headers.items() if name.lower() == "content-id"), None)
        return found.strip("<>") if found is not None else None

    def native(self, *, ascii_name: bool = False) -> NativeAttachment:
        """It as smtpx has it."""
        told = {name.lower(): value for name, value in self.headers.items()}
        if unknown := told.keys() - {"content-id", "content-description", "content-language"}:
            raise ValueError(f"an attachment has no header {', '.join(sorted(unknown))}")
        name = _ascii(self.filename) if ascii_name and self.filename else self.filename
        content: Any = b"" if self.data is None else self.data
        kind = self.content_type or ""
        if isinstance(content, str) and (kind or "text/plain").startswith("text/"):
            text = NativeAttachment.of_text(content, name, type=kind.partition(";")[0])
            content, kind = text.content, text.type
        return NativeAttachment(
            cast("Any", content),
            name,
            type=kind,
            content_id=self.content_id,
            disposition=cast("Any", self.disposition),
            description=told.get("content-description"),
            language=told.get("content-language"),
        )


class Message:
    """A message by the names of Flask-Mail. Whatever is set is looked at at once, so an error shows where it was made.

    Args:
        subject: any text.
        recipients, cc, bcc: addresses, each with or without a name.
        body, html: the same twice, or one of them.
        alts: further forms of the text, by subtype.
        sender: who it is from, perhaps as (name, address); else MAIL_DEFAULT_SENDER.
        attachments: `Attachment` values.
        reply_to: where answers go.
        date: when it was written: seconds since 1970, or a datetime.
        charset: of body and HTML.
        extra_headers: further fields.
        mail_options, rcpt_options: as on the wire: RET, ENVID, REQUIRETLS; NOTIFY, ORCPT.

    Attributes:
        msgId: its Message-ID; None: one is made when it is sent.

    Raises:
        BadHeaderError: for what can't be sent.
    """

    def __init__(
        self,
        subject: str = "",
        recipients: Sequence[str] | None = None,
        body: str | None = None,
        html: str | None = None,
        alts: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        sender: Sender | None = None,
        cc: Sequence[str] | None = None,
        bcc: Sequence[str] | None = None,
        attachments: Sequence[Attachment] | None = None,
        reply_to: str | None = None,
        date: float | datetime | None = None,
        charset: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        mail_options: Sequence[str] | None = None,
        rcpt_options: Sequence[str] | None = None,
    ) -> None:
        put = self.__dict__
        put["subject"] = subject
        put["recipients"] = list(recipients or [])
        put["body"] = body
        forms = dict[str, str](alts or {})
        put["alts"] = forms if html is None else {**forms, "html": html}
        put["sender"] = _sender_text(sender or _default_sender())
        put["cc"] = list(cc or [])
        put["bcc"] = list(bcc or [])
        put["attachments"] = list(attachments or [])
        put["reply_to"] = reply_to
        put["date"] = date
        put["msgId"] = None
        put["charset"] = charset
        put["extra_headers"] = extra_headers
        put["mail_options"] = list(mail_options or [])
        put["rcpt_options"] = list(rcpt_options or [])
        self.native()

    if TYPE_CHECKING:
        subject: str
        recipients: list[str]
        body: str | None
        alts: dict[str, str]
        sender: str | None
        cc: list[str]
        bcc: list[str]
        attachments: list[Attachment]
        reply_to: str | None
        date: float | datetime | None
        msgId: str | None
        charset: str | None
        extra_headers: Mapping[str, str] | None
        mail_options: list[str]
        rcpt_options: list[str]

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, _sender_text(cast("Any", value)) if name == "sender" else value)
        self.native()

    @property
    def html(self) -> str | None:
        """The HTML form."""
        return self.alts.get("html")

    @html.setter
    def html(self, value: str | None) -> None:
        if value is None:
            self.alts.pop("html", None)
        else:
            self.alts["html"] = value

    @property
    def send_to(self) -> set[str]:
        """Everybody who gets it."""
        return {*self.recipients, *self.cc, *self.bcc}

    def add_recipient(self, recipient: str) -> None:
        """One more in To."""
        self.recipients = [*self.recipients, recipient]

    def attach(
        self,
        filename: str | None = None,
        content_type: str | None = None,
        data: Any = None,  # noqa: ANN401 - as for Attachment
        disposition: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """One more `Attachment`."""
        self.attachments = [*self.attachments, Attachment(filename, content_type, data, disposition, headers)]

    def native(self, *, ascii_names: bool = False) -> NativeMessage:
        """It as smtpx has it.

        Raises:
            BadHeaderError: for what can't be sent.
        """
        try:
            return NativeMessage(**self._fields(ascii_names=ascii_names))
        except MessageError as error:
            raise BadHeaderError(error.findings) from None

    def _fields(self, *, ascii_names: bool) -> Any:  # noqa: ANN401 - of Message
        parts = [(each.content_id, each.native(ascii_name=ascii_names)) for each in self.attachments]
        kinds = [each for each in self.alts.items() if each[0] != "html"]
        made: dict[str, Any] = {
            "from_": self.sender,
            "to": list(self.recipients),
            "cc": list(self.cc),
            "bcc": list(self.bcc),
            "reply_to": self.reply_to,
            "subject": self.subject or None,
            "text": self.body,
            "html": self.html,
            "derive_text": False,
            "alternatives": [Alternative(text, f"text/{kind}") for kind, text in kinds],
            "attachments": [part for content_id, part in parts if content_id is None],
            "inline": {content_id: part for content_id, part in parts if content_id is not None},
            "date": _moment(self.date),
            "message_id": self.msgId,
            "charset": self.charset,
            **_wishes((*self.mail_options, *self.rcpt_options)),
        }
        others: list[tuple[str, str]] = []
        for name, value in (self.extra_headers or {}).items():
            if name.lower() in _FIELDS:
                made[_FIELDS[name.lower()]] = value
            else:
                others.append((name, value))
        return {**made, "headers": others}

    def has_bad_headers(self) -> bool:
        """Whether it can't be sent as it is; lists may have been changed since they were looked at."""
        try:
            self.native()
        except BadHeaderError:
            return True
        return False

    def as_bytes(self) -> bytes:
        """As it would be sent."""
        return bytes(self.native().stamped(now_here, new_id))

    def as_string(self) -> str:
        """As it would be sent."""
        return self.as_bytes().decode()

    __bytes__ = as_bytes
    __str__ = as_string

    def send(self, connection: "Connection") -> SendResult:
        """Send it; see `Mail.send`."""
        return connection.send(self)


class Connection:
    """What `Mail.connect` gives: the application's own connections, kept open between messages and behind them."""

    def __init__(self, state: "_State") -> None:
        self._state = state

    def send(self, message: Message, envelope_from: str | None = None) -> SendResult:
        """Send a message; see `Mail.send`.

        Args:
            envelope_from: the envelope sender, where it is not the message's.
        """
        return self._state.send(message, envelope_from)

    def send_message(self, *args: Any, **kwargs: Any) -> SendResult:  # noqa: ANN401 - those of Message
        """Make a message, and send it."""
        return self.send(Message(*args, **kwargs))

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pass


class Mail:
    """Sends the mail of Flask applications.

    Args:
        app: an application; or `init_app` is called for each.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self.app = app
        self.state: _State | None = None if app is None else self.init_app(app)

    def init_app(self, app: Flask) -> "_State":
        """Take an application's configuration. Nothing is dialled.

        Raises:
            ConfigurationError: naming what makes no sense in it.
        """
        state = app.extensions["mail"] = _State(app)
        return state

    def _state(self) -> "_State":
        app: Any = self.app or current_app
        try:
            state: _State = app.extensions["mail"]
        except KeyError:
            raise RuntimeError("Mail.init_app was not called for this application") from None
        return state

    def send(self, message: Message) -> SendResult:
        """Send a message, over connections that the application keeps.

        Returns:
            What became of each recipient. Those who were refused are logged too, and `recipients_refused` is sent.
            With MAIL_SUPPRESS_SEND nothing is sent, and everybody was accepted.

        Raises:
            DeliveryError: nobody got it.
            BadHeaderError: it can't be sent.
        """
        return self._state().send(message)

    def send_message(self, *args: Any, **kwargs: Any) -> SendResult:  # noqa: ANN401 - those of Message
        """Make a message, and send it."""
        return self.send(Message(*args, **kwargs))

    def connect(self) -> Connection:
        """For `with`: a place to send several messages by. Connections are kept anyway."""
        return Connection(self._state())

    @contextmanager
    def record_messages(self) -> Generator[list[Message]]:
        """For tests: a list of all messages that are sent, or would be, in a `with` block."""
        outbox: list[Message] = []

        def record(message: Message, **_: object) -> None:
            outbox.append(message)

        with email_dispatched.connected_to(record):
            yield outbox

    def close(self) -> None:
        """Say QUIT; messages under way are finished first. It may be used again."""
        self._state().close()


class _State:
    """What an application has: its configuration, and a mail service, from the first message on."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._config = cast("Mapping[str, Any]", app.config)
        self.default_sender = _sender_text(self._config.get("MAIL_DEFAULT_SENDER"))
        self.suppress: bool | None = None
        self._service = SyncMailService(self._provider())  # nothing is started yet, but what makes no sense shows

    @property
    def is_suppressed(self) -> bool:
        """Whether messages are only recorded: as MAIL_SUPPRESS_SEND says, else while the application is tested."""
        suppress = self._config.get("MAIL_SUPPRESS_SEND") if self.suppress is None else self.suppress
        return self.app.testing if suppress is None else bool(suppress)

    def send(self, message: Message, envelope_from: str | None = None) -> SendResult:
        ready = message.native(ascii_names=bool(self._config.get("MAIL_ASCII_ATTACHMENTS")))
        try:
            if not ready.from_ and self.default_sender:
                ready = ready.with_(from_=self.default_sender)
            if envelope_from is not None:
                ready = ready.with_(envelope_from=envelope_from)
            result = self._suppressed(ready) if self.is_suppressed else self._own_service().send(ready)
        except MessageError as error:
            raise BadHeaderError(error.findings) from None
        except LocalProtocolError:
            raise
        except SMTPXError as error:
            self._tell_refused(message, error.result)
            raise as_delivery_error(error) from error
        self._tell_refused(message, result)
        self._tell(email_dispatched, message)
        return result

    def _suppressed(self, message: NativeMessage) -> SendResult:
        message.check()
        return SendResult({str(each): _SUPPRESSED for each in message.posting().recipients}, {}, _SUPPRESSED)

    def _own_service(self) -> SyncMailService:
        if self._service.is_closed:
            self._service = SyncMailService(self._provider())
        return self._service

    def close(self) -> None:
        self._service.close()

    def _tell_refused(self, message: Message, result: SendResult | None) -> None:
        if result is None or not result.refused:
            return
        refusals = "; ".join(map(str, result.refused.values()))
        self.app.logger.warning("%d of %d recipients refused: %s", len(result.refused), len(message.send_to), refusals)
        self._tell(recipients_refused, message, result=result)

    def _tell(self, signal: Any, message: Message, **more: object) -> None:  # noqa: ANN401 - blinker's
        try:
            signal.send(message, app=self.app, **more)
        except Exception:  # the message is out: an error here would have it sent once more
            self.app.logger.exception("a receiver of %s failed", signal.name)

    # Configuration ---------------------------------------------------------------------------------------------------

    def _provider(self) -> Provider:
        config = self._config
        options: dict[str, Any] = {"from_email": self.default_sender or ""}
        url: str | None = config.get("SMTPX_URL")
        if url is not None:
            if twice := [name for name in _SERVER_KEYS if config.get(name) is not None]:
                raise ConfigurationError(f"SMTPX_URL says it all: leave out {', '.join(twice)}")
            if url.partition(":")[0].lower() in ("memory", "console", "file"):
                return provider_from_url(url, **options)
        else:
            url = _address(config)
            options |= {"rate_limit": None, **_login(config)}
        options["timeouts"] = _timeouts(config.get("MAIL_TIMEOUT", _TIMEOUT_SECONDS))
        if config.get("MAIL_TLS_VERIFY", True) is False:
            options["verify"] = False
        if (ca_file := config.get("MAIL_CA_FILE")) is not None:
            options["ca_file"] = ca_file
        if (most := config.get("MAIL_MAX_EMAILS")) is not None:
            options["limits"] = Limits(max_connections=1, max_messages_per_connection=most)
        if config.get("MAIL_DEBUG", self.app.debug):
            options["trace"] = self._trace
        return provider_from_url(url, **options)

    def _trace(self, side: str, octets: bytes) -> None:
        self.app.logger.debug("%s: %s", side, octets.decode("ascii", "backslashreplace").rstrip())


def _address(config: Mapping[str, Any]) -> str:
    if config.get("MAIL_USE_TLS") and config.get("MAIL_USE_SSL"):
        raise ConfigurationError("MAIL_USE_TLS and MAIL_USE_SSL: one of them at most")
    host = str(config.get("MAIL_SERVER") or "127.0.0.1")
    implicit, required = config.get("MAIL_USE_SSL"), config.get("MAIL_USE_TLS")
    scheme = "smtps" if implicit else "smtp+starttls" if required else "smtp+plain" if Target(host).is_local else "smtp"
    port = config.get("MAIL_PORT") or (465 if implicit else 25)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _login(config: Mapping[str, Any]) -> dict[str, str]:
    username, password = config.get("MAIL_USERNAME"), config.get("MAIL_PASSWORD")
    return {"username": username, "password": password} if username and password else {}


def _timeouts(seconds: float | None) -> Timeouts:
    if seconds is None:
        return Timeouts()
    if not seconds > 0:
        raise ConfigurationError("MAIL_TIMEOUT must be more than 0 seconds; None is for the times of RFC 5321")
    return Timeouts(**{each.name: float(seconds) for each in fields(Timeouts)})


def _sender_text(sender: Sender | None) -> str | None:
    return f"{sender[0]} <{sender[1]}>" if isinstance(sender, tuple) else sender


def _default_sender() -> Sender | None:
    state: _State | None = current_app.extensions.get("mail") if has_app_context() else None
    return state.default_sender if state is not None else None


def _moment(date: float | datetime | None) -> datetime | None:
    return datetime.fromtimestamp(date, UTC).astimezone() if isinstance(date, int | float) else date


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(plain.split()) or "attachment"


def _wishes(options: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in options:
        keyword, _, value = option.partition("=")
        if keyword.upper() in _AUTOMATIC:
            continue
        name = _OPTIONS.get(keyword.upper())
        if name is None:
            raise ValueError(f"an option that a message has not: {keyword!r}; it has {', '.join(_OPTIONS)}")
        found[name] = True if name == "require_tls" else value.split(",") if name == "notify" else value
    return found

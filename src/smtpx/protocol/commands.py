"""The commands every server knows (RFC 5321 4.1.1): each reads its argument and ends in one reply or one question.

Whether a command is in order at all was decided by the table before these are called.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from smtpx.protocol import replies
from smtpx.protocol.events import AbortCause, HelloAsked, MailAsked, RcptAsked
from smtpx.wire.address import Mailbox, parse_path
from smtpx.wire.codes import EnhancedCode
from smtpx.wire.commands import parse_bdat, split_from, split_to
from smtpx.wire.params import Param, Params, parse_params
from smtpx.wire.reply import Reply
from smtpx.wire.syntax import Fault, WireError

if TYPE_CHECKING:
    from smtpx.protocol.extension import Conversation
    from smtpx.protocol.server import ServerProtocol

__all__ = [
    "LAST_IN_GROUP",
    "NEED_AUTH",
    "SYNCHRONOUS",
    "UNAVAILABLE",
    "VERBS",
    "WITHOUT_TLS",
    "bdat",
    "out_of_order",
    "unknown",
]

MAX_HELLO_BYTES = 255
WITHOUT_TLS = frozenset({"NOOP", "EHLO", "HELO", "LHLO", "STARTTLS", "QUIT"})  # RFC 3207 4
NEED_AUTH = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "BDAT LAST", "VRFY", "EXPN"})
LAST_IN_GROUP = frozenset({"EHLO", "HELO", "LHLO", "DATA", "VRFY", "EXPN", "NOOP"})  # RFC 2920 3.1
SYNCHRONOUS: Mapping[str, frozenset[str]] = {  # by `sync_check`: no input may wait behind these
    "off": frozenset(),
    "data": frozenset({"DATA"}),
    "all": LAST_IN_GROUP,
}

_WRONG_DIALECT = replies.make(500, "5.5.1", "this server speaks the other protocol")
_BAD_SENDER = EnhancedCode(5, 1, 7)
_BAD_RECIPIENT = EnhancedCode(5, 1, 3)
_BAD_ARGUMENT = EnhancedCode(5, 5, 4)
_NOTHING: Mapping[str, Param[Any]] = {}  # what is offered behind HELO
Handler = Callable[["ServerProtocol", str | None], None]


def unknown(machine: "ServerProtocol", argument: str | None) -> None:
    """A verb nobody knows."""
    machine.reply(replies.BAD_LINE)


def _unavailable(machine: "ServerProtocol", argument: str | None) -> None:
    machine.reply(replies.NOT_IMPLEMENTED)


def out_of_order(machine: "ServerProtocol", verb: str) -> Reply:
    """The 503 for a command that can't come in this phase."""
    if verb not in ("DATA", "BDAT", "BDAT LAST") or not machine.in_transaction:
        return replies.OUT_OF_ORDER
    count = machine.transaction.refused_recipients
    if not count:
        return replies.NO_VALID_RECIPIENT
    return replies.make(503, "5.5.1", f"no valid recipient: {count} refused")


def _hello(verb: str) -> Handler:
    def hello(machine: "ServerProtocol", argument: str | None) -> None:
        settings = machine.settings
        name = (argument or "").partition(" ")[0]
        if verb not in settings.dialect.hello_verbs:
            machine.reply(_WRONG_DIALECT)
        elif not name or len(name.encode()) > MAX_HELLO_BYTES:
            machine.reply(replies.ARGUMENT_MISSING)
        elif not name.isascii() and "SMTPUTF8" not in settings.extensions:
            machine.reply(replies.NOT_UTF8)
        elif machine.count_junk():
            machine.ask(HelloAsked(verb, name), lambda reply: _greet_client(machine, verb, name, reply))

    return hello


def _greet_client(machine: "ServerProtocol", verb: str, name: str, reply: Reply | None) -> None:
    if reply is not None and reply.code >= 400:
        machine.finish(verb, reply)  # a refused hello changes nothing
        return
    settings, facts = machine.settings, machine.facts
    facts.hello_name = name
    facts.extended = verb == settings.dialect.extended_hello
    if reply is None:
        lines = settings.extensions.keyword_lines(settings, facts) if facts.extended else []
        reply = Reply(250, None, (settings.hostname, *lines))
    final = reply
    if machine.in_transaction:
        machine.reset(verb, AbortCause.HELLO, lambda: machine.finish(verb, final))
    else:
        machine.finish(verb, final)


def _mail(machine: "ServerProtocol", argument: str | None) -> None:
    settings, limits = machine.settings, machine.settings.limits
    if limits.max_messages_per_connection is not None and machine.messages >= limits.max_messages_per_connection:
        machine.limit_hit("max_messages_per_connection")
        machine.close(replies.TOO_MANY_MESSAGES, "too many messages")
        return
    try:
        text = split_from(argument, spaces=settings.syntax != "strict")
        sender, params = _address(machine, text, settings.extensions.mail_params, recipient=False)
    except WireError as error:
        _refuse(machine, "MAIL", _fault_reply(machine, error, _BAD_SENDER))
        return
    if not sender.is_ascii and not _has_utf8(machine, params):
        _refuse(machine, "MAIL", replies.NEEDS_SMTPUTF8)
        return
    usual = replies.SENDER_OK
    for check in settings.extensions.mail_checks:
        if (opinion := check(machine, sender, params)) is not None:
            if opinion.code >= 400:
                if opinion is replies.TOO_LARGE:
                    machine.limit_hit("max_message_bytes")
                _refuse(machine, "MAIL", opinion)
                return
            usual = opinion
    machine.ask(MailAsked(sender, params), lambda reply: _mail_answered(machine, sender, params, reply or usual))


def _mail_answered(machine: "ServerProtocol", sender: Mailbox, params: Params, reply: Reply) -> None:
    if reply.code < 300:
        transaction = machine.transaction
        transaction.sender, transaction.mail_params = sender, params
        machine.finish("MAIL", reply)
    else:
        _refuse(machine, "MAIL", reply)


def _rcpt(machine: "ServerProtocol", argument: str | None) -> None:
    settings = machine.settings
    try:
        text = split_to(argument, spaces=settings.syntax != "strict")
        recipient, params = _address(machine, text, settings.extensions.rcpt_params, recipient=True)
    except WireError as error:
        _refuse(machine, "RCPT", _fault_reply(machine, error, _BAD_RECIPIENT))
        return
    if not recipient.is_ascii and not _has_utf8(machine, machine.transaction.mail_params):
        _refuse(machine, "RCPT", replies.NEEDS_SMTPUTF8)
        return
    for check in settings.extensions.rcpt_checks:
        if (refusal := check(machine, recipient, params)) is not None:
            _refuse(machine, "RCPT", refusal)
            return
    if (limit := _full(machine)) is not None:
        if machine.count_overshoot(limit):
            machine.finish("RCPT", replies.TOO_MANY_RECIPIENTS)
        return
    machine.ask(RcptAsked(recipient, params), lambda reply: _rcpt_answered(machine, recipient, params, reply))


def _full(machine: "ServerProtocol") -> str | None:
    """The limit that one more recipient would exceed."""
    transaction, limits = machine.transaction, machine.settings.limits
    number = len(transaction.recipients)
    if number >= limits.max_recipients:
        return "max_recipients"
    most = limits.max_null_sender_recipients
    is_report = most is not None and transaction.sender is not None and transaction.sender.is_null
    return "max_null_sender_recipients" if is_report and most is not None and number >= most else None


def _rcpt_answered(machine: "ServerProtocol", recipient: Mailbox, params: Params, reply: Reply | None) -> None:
    reply = reply or replies.RECIPIENT_OK
    if reply.code < 300:
        machine.transaction.recipients.append(recipient)
        machine.transaction.rcpt_params.append(params)
        machine.finish("RCPT", reply)
    else:
        _refuse(machine, "RCPT", reply)


def _address(
    machine: "ServerProtocol", text: str, known: Mapping[str, Param[Any]], *, recipient: bool
) -> tuple[Mailbox, Params]:
    settings = machine.settings
    if text.startswith("<@") and settings.source_routes == "reject":
        raise WireError(Fault.ADDRESS, "source routes are not taken")
    mailbox, rest = parse_path(
        text,
        recipient=recipient,
        brackets=settings.syntax != "lenient",
        max_local_part_bytes=settings.limits.max_local_part_bytes,
    )
    offered = known if machine.facts.extended else _NOTHING
    return mailbox, parse_params(rest, offered, max_params=settings.limits.max_esmtp_params)


def _has_utf8(machine: "ServerProtocol", params: Params) -> bool:
    return machine.settings.extensions.mail_params.get("SMTPUTF8") in params


def _fault_reply(machine: "ServerProtocol", error: WireError, address: EnhancedCode) -> Reply:
    if error.limit:
        machine.limit_hit(error.limit)
    if error.fault is Fault.UNKNOWN_PARAMETER:
        return Reply(555, _BAD_ARGUMENT, (error.detail,))
    enhanced = address if error.fault is Fault.ADDRESS else _BAD_ARGUMENT
    return Reply(501, enhanced, (error.detail,))


def _refuse(machine: "ServerProtocol", verb: str, reply: Reply) -> None:
    if verb == "RCPT":
        machine.transaction.refused_recipients += 1
    machine.finish(verb, reply)
    machine.excuse()


def _data(machine: "ServerProtocol", argument: str | None) -> None:
    if argument is not None:
        machine.refuse_data(replies.NO_ARGUMENT)
        return
    for check in machine.settings.extensions.data_checks:
        if (refusal := check(machine)) is not None:
            machine.refuse_data(refusal)
            return
    machine.open_data()


def bdat(machine: "Conversation", argument: str | None) -> None:
    """BDAT, offered or not: without a size there is no telling where the next command begins."""
    try:
        chunk, well_formed = parse_bdat(argument)
    except WireError:
        machine.close(replies.BAD_CHUNK, "a chunk of unknown size")
    else:
        machine.receive_chunk(chunk, well_formed=well_formed)


def _rset(machine: "ServerProtocol", argument: str | None) -> None:
    if argument is not None:
        machine.reply(replies.NO_ARGUMENT)
    elif machine.count_junk():
        machine.reset("RSET", AbortCause.RESET, lambda: machine.finish("RSET", replies.RESET_OK))


def _noop(machine: "ServerProtocol", argument: str | None) -> None:
    if machine.count_junk():
        machine.finish("NOOP", replies.OK)


def _help(machine: "ServerProtocol", argument: str | None) -> None:
    if machine.count_junk():
        machine.finish("HELP", replies.HELP)


def _vrfy(machine: "ServerProtocol", argument: str | None) -> None:
    if not machine.count_junk():
        return
    text, _, last = (argument or "").rpartition(" ")
    utf8 = bool(text) and last.upper() == "SMTPUTF8"  # RFC 6531 3.7.4.2
    if argument is None:
        machine.reply(replies.ARGUMENT_MISSING)
    elif utf8 and "SMTPUTF8" not in machine.settings.extensions:
        machine.reply(replies.UNKNOWN_PARAMETER)
    elif not argument.isascii() and not utf8:
        machine.reply(replies.NEEDS_SMTPUTF8)
    else:
        machine.finish("VRFY", replies.CANNOT_VERIFY)


def _expn(machine: "ServerProtocol", argument: str | None) -> None:
    if machine.count_junk():
        machine.reply(replies.NOT_IMPLEMENTED)


def _quit(machine: "ServerProtocol", argument: str | None) -> None:
    if argument is not None:
        machine.reply(replies.NO_ARGUMENT)
    else:
        machine.quit()


VERBS: Mapping[str, Handler] = {
    "EHLO": _hello("EHLO"),
    "HELO": _hello("HELO"),
    "LHLO": _hello("LHLO"),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _data,
    "RSET": _rset,
    "NOOP": _noop,
    "HELP": _help,
    "VRFY": _vrfy,
    "EXPN": _expn,
    "QUIT": _quit,
}

# Known, and not to be had unless an extension brings it.
UNAVAILABLE: Mapping[str, Handler] = {
    "BDAT": bdat,
    **dict.fromkeys(("AUTH", "STARTTLS", "SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN", "BURL"), _unavailable),
}

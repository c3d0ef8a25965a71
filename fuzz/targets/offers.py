"""EHLO replies: what extensions learn from them, and what a client then says to MAIL and RCPT."""

from collections.abc import Mapping
from typing import Any

from fuzz.source import Source
from smtpx.errors import LocalProtocolError, UnsupportedError
from smtpx.extensions import ALL
from smtpx.extensions.deliverby import Deadline
from smtpx.flows.content import Content
from smtpx.flows.plan import Envelope, TransactionOptions, plan_for
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.extension import ExtensionSet
from smtpx.wire.address import Mailbox
from smtpx.wire.reply import ReplyParser
from smtpx.wire.syntax import WireError, has_controls

EXTENSIONS = ExtensionSet(ALL)
TOKENS = (
    *(
        b"250-x\r\n",
        b"250 ",
        b"250-",
        b"\r\n",
        b"=",
        b" ",
        b"AUTH=LOGIN PLAIN",
        b"AUTH ",
        b"SIZE 1000",
        b"SIZE 99999999999999",
    ),
    *(name.encode() for name in EXTENSIONS.keywords),
    *(
        b"RCPTMAX=1",
        b"MAILMAX=20",
        b"DELIVERBY 240",
        b"FUTURERELEASE 600 2027-01-01T00:00:00Z",
        b"MT-PRIORITY STANAG4406",
    ),
    *(b"\xc5\xbfIZE 1", b"\xe3\x80\x80", b"1\xc2\xb2", b"\xd9\xa1"),
)
_MAIL = {
    "ret": "HDRS",
    "envid": "x",
    "by": Deadline(60),
    "mt_priority": 3,
    "hold_for": 60,
    "require_tls": True,
    "size": 5,
}
_RCPT = {"notify": ("FAILURE",), "orcpt": "b@y.example"}
_SENDER = Mailbox.parse("a@x.example")
_RECIPIENTS = (Mailbox.parse("b@y.example"), Mailbox("\u00fc", "b\u00fccher.example"))


def target(data: bytes) -> None:
    """Control octets: which wishes there are, and what becomes of those that can't be had."""
    source = Source(data)
    chosen, drop, eight_bit = source.pick(256), source.pick(2) == 1, source.pick(2) == 1
    parser = ReplyParser()
    parser.feed(source.rest())
    try:
        reply = parser.next_reply()
    except WireError:
        return
    if reply is None:
        return
    capabilities = Capabilities.from_reply(reply)
    _check(capabilities)
    wishes = {name: value for bit, (name, value) in enumerate(_MAIL.items()) if chosen >> bit & 1}
    _plan(capabilities, wishes, _RCPT if chosen & 1 else {}, drop=drop, eight_bit=eight_bit)


def _check(capabilities: Capabilities) -> None:
    assert dict(capabilities) == {keyword: capabilities[keyword.lower()] for keyword in capabilities}
    assert len(list(capabilities)) == len(capabilities)
    assert repr(capabilities)
    for keyword in capabilities:
        assert keyword in capabilities
        assert " " not in keyword
    for extension in ALL:
        learn = getattr(extension, "learn", None)
        offer = capabilities.offer(extension.keyword)
        if learn is not None and offer is not None:
            learn(offer)


def _plan(
    capabilities: Capabilities, mail: Mapping[str, Any], rcpt: Mapping[str, Any], *, drop: bool, eight_bit: bool
) -> None:
    options = {str(each): rcpt for each in _RECIPIENTS} if rcpt else {}
    envelope = Envelope(_SENDER, _RECIPIENTS, mail, options)
    content = Content.of(b"\xff\r\n" if eight_bit else b"x\r\n")
    try:
        plan = plan_for(
            envelope,
            _RECIPIENTS,
            content,
            TransactionOptions(extensions=EXTENSIONS, drop_unsupported=drop),
            capabilities,
        )
    except (UnsupportedError, LocalProtocolError):
        return
    said = {line.recipient for line in plan.lines if line.verb == "RCPT"}
    assert said | set(plan.refused) == {str(each) for each in _RECIPIENTS}, "a recipient was forgotten"
    assert not said & set(plan.refused)
    for line in plan.lines:
        assert not has_controls(line.argument)
        words = line.argument.split(" ")[1:]
        known = EXTENSIONS.mail_params if line.verb == "MAIL" else EXTENSIONS.rcpt_params
        for word in words:
            keyword = known[word.partition("=")[0]].keyword
            owners = [each.keyword for each in ALL if known[keyword] in (*each.mail_params, *each.rcpt_params)]
            assert any(owner in capabilities for owner in owners), "a parameter that was not offered"

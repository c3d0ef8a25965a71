"""What will be said for one envelope: MAIL and RCPT lines with the parameters that content and server demand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from smtpx.errors import LocalProtocolError, RefusedError, UnsupportedError
from smtpx.flows.content import Content
from smtpx.flows.steps import Timeouts
from smtpx.protocol import replies
from smtpx.protocol.capabilities import Capabilities
from smtpx.protocol.extension import Extension, ExtensionSet, MailFacts
from smtpx.protocol.facts import TLSFacts
from smtpx.wire.address import Mailbox
from smtpx.wire.syntax import WireError, has_controls

__all__ = ["CommandLine", "Envelope", "Plan", "TransactionOptions", "check_content", "plan_for", "sendable"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom. `sender` is `NULL_SENDER` for reports; recipients keep the caller's order.

    `options` are wishes for extensions on MAIL, `recipient_options` on each RCPT, by name.
    """

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    recipient_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    @property
    def needs_utf8(self) -> bool:
        """Whether some address can't be sent without SMTPUTF8: a domain alone always can (RFC 6531 3.2)."""
        return not all(each.local_part.isascii() for each in (self.sender, *self.recipients))


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionOptions:
    """How to talk: `pipelining` and `chunking` may be switched off, `strict` gives up at the first refusal.

    `smtputf8` None means: when an address or the header needs it. `drop_unsupported`: wishes for extensions that the
    server does not offer are left out instead of being an error.
    """

    extensions: ExtensionSet
    timeouts: Timeouts = field(default_factory=Timeouts)
    pipelining: bool = True
    chunking: bool = True
    strict: bool = False
    smtputf8: bool | None = None
    drop_unsupported: bool = False


class CommandLine(NamedTuple):
    """A command of the envelope; `recipient` is whom it is about."""

    verb: str
    argument: str
    recipient: str | None = None


class Plan(NamedTuple):
    """The envelope's commands, and recipients that this server can't be asked about, each with the reason.

    `dropped` are the keywords of extensions whose wishes were left out.
    """

    lines: list[CommandLine]
    refused: dict[str, RefusedError]
    uses_utf8: bool
    dropped: tuple[str, ...] = ()


def plan_for(
    envelope: Envelope,
    recipients: Sequence[Mailbox],
    content: Content,
    options: TransactionOptions,
    capabilities: Capabilities,
    *,
    tls: TLSFacts | None = None,
) -> Plan:
    """The commands for `recipients`, which are those of the envelope, perhaps without duplicates.

    A recipient that needs SMTPUTF8 where there is none is refused here, as the server would have to; the others go on.

    Raises:
        UnsupportedError, LocalProtocolError: nothing of it can be sent.
    """
    refused = _unsendable(envelope, recipients, options, capabilities)
    recipients = [each for each in recipients if str(each) not in refused]
    utf8_address = options.smtputf8 is not False and not (
        sendable(envelope.sender).is_ascii and all(sendable(each).is_ascii for each in recipients)
    )
    utf8 = bool(options.smtputf8) or utf8_address or (content.utf8_header and options.smtputf8 is not False)
    words = _mail_words(envelope, content, options, capabilities, needs_utf8=utf8, tls=tls)
    lines = [CommandLine("MAIL", " ".join([f"FROM:{_path(envelope.sender, utf8)}", *words]))]
    wishing, dropped = _wishing(envelope, options, capabilities)
    for recipient in recipients:
        address = str(recipient)
        wishes = {**envelope.recipient_options.get(address, {}), "smtputf8": utf8} if wishing else {}
        words = [word for each in wishing for word in each.dress_rcpt(wishes, capabilities.offer(each.keyword))]
        lines.append(CommandLine("RCPT", " ".join([f"TO:{_path(recipient, utf8)}", *words]), address))
    for line in lines:  # before any of them is owed a reply: with several messages under way others would suffer
        if has_controls(line.argument):
            raise LocalProtocolError(f"a control character in the argument of {line.verb}", stage=line.verb.lower())
    return Plan(lines, refused, utf8, dropped)


def check_content(
    envelope: Envelope,
    content: Content,
    options: TransactionOptions,
    capabilities: Capabilities,
    *,
    uses_utf8: bool,
    tls: TLSFacts | None = None,
) -> None:
    """See that content fits an envelope that was sent before the content was known.

    Raises:
        UnsupportedError: too large, 8-bit, or with a UTF-8 header where the server, or our MAIL, does not allow it.
    """
    _mail_words(envelope, content, options, capabilities, needs_utf8=uses_utf8, tls=tls)
    if content.utf8_header and not uses_utf8 and options.smtputf8 is not False:
        text = "a header field is UTF-8 and MAIL was sent without SMTPUTF8"
        raise UnsupportedError(text, keyword="SMTPUTF8", stage="data")


def sendable(mailbox: Mailbox) -> Mailbox:
    """The mailbox as it goes without SMTPUTF8: its domain in A-labels (RFC 6531 3.2).

    Raises:
        LocalProtocolError: if that is no domain.
    """
    if mailbox.domain.isascii():
        return mailbox
    try:
        return mailbox.to_ascii_domain()
    except WireError as error:
        raise LocalProtocolError(error.detail) from None


def _path(mailbox: Mailbox, utf8: bool) -> str:
    return (mailbox if utf8 else sendable(mailbox)).to_path()


def _mail_words(
    envelope: Envelope,
    content: Content,
    options: TransactionOptions,
    capabilities: Capabilities,
    *,
    needs_utf8: bool,
    tls: TLSFacts | None,
) -> list[str]:
    if content.binary and not (options.chunking and "CHUNKING" in capabilities and "BINARYMIME" in capabilities):
        missing = "BINARYMIME" if "BINARYMIME" not in capabilities else "CHUNKING"
        text = f"binary content can't be sent: {missing} is not offered or not wanted"
        raise UnsupportedError(text, keyword=missing, stage="mail")
    facts = MailFacts(
        size=content.size,
        eight_bit=content.eight_bit,
        needs_utf8=needs_utf8,
        options=envelope.options,
        chunking=options.chunking and "CHUNKING" in capabilities,
        tls=tls,
    )
    extensions = (
        _wishing(envelope, options, capabilities)[0] if envelope.options else options.extensions.content_dressers
    )
    return [word for each in extensions for word in each.dress_mail(facts, capabilities.offer(each.keyword))]


def _wishing(
    envelope: Envelope, options: TransactionOptions, capabilities: Capabilities
) -> tuple[Sequence[Extension], tuple[str, ...]]:
    """The extensions that have something to say here, and the keywords of those whose wishes are dropped."""
    if not envelope.options and not envelope.recipient_options:
        return (), ()
    if not options.drop_unsupported:
        return options.extensions.all, ()
    wanted = {*envelope.options, *(name for each in envelope.recipient_options.values() for name in each)}
    lacking = [
        each
        for each in options.extensions.all
        if each.needs_wish
        and wanted.intersection((*each.mail_options, *each.rcpt_options))
        and capabilities.offer(each.keyword) is None
    ]
    kept = [each for each in options.extensions.all if each not in lacking]
    return kept, tuple(each.keyword for each in lacking)


def _unsendable(
    envelope: Envelope, recipients: Sequence[Mailbox], options: TransactionOptions, capabilities: Capabilities
) -> dict[str, RefusedError]:
    if options.smtputf8 or (options.smtputf8 is None and "SMTPUTF8" in capabilities) or not envelope.needs_utf8:
        return {}
    found = [each for each in recipients if not each.local_part.isascii()]
    if options.strict or len(found) == len(recipients) or not envelope.sender.local_part.isascii():
        text = "an address is not ASCII, and SMTPUTF8 is not offered or not wanted"
        raise UnsupportedError(text, keyword="SMTPUTF8", stage="rcpt" if found else "mail")
    reply = replies.NEEDS_SMTPUTF8
    return {str(each): RefusedError.of(reply, recipient=str(each), stage="rcpt") for each in found}

"""An extension of your own: XTAG labels messages, and XTAGS tells how many came with which label.

One class is both sides. A server that has it offers `XTAG 16` in its EHLO reply, takes `XTAG=...` with MAIL, and knows
the verb XTAGS; a client that has it adds the parameter. docs/extensions.md walks through this file. Run it:

    python examples/own_extension.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import smtpx
from smtpx.protocol.extension import Conversation, MailFacts, Offer, VerbHandler, dress
from smtpx.protocol.facts import ServerFacts
from smtpx.protocol.settings import ServerSettings
from smtpx.server.body import Body
from smtpx.wire.params import Param, Params
from smtpx.wire.syntax import Fault, WireError

LABEL = re.compile(r"[a-z0-9-]+")


def parse_label(value: str | None) -> str:
    """The text behind `XTAG=`, or an error that the peer is told as 501 5.5.4."""
    label = (value or "").lower()
    if LABEL.fullmatch(label) is None:
        raise WireError(Fault.ARGUMENT, "a label is letters, digits and hyphens")
    return label


TAG: Param[str] = Param("XTAG", parse_label, str)


class Tags(smtpx.Extension):
    """Labels for messages.

    Args:
        max_chars: what a server takes.
        label: what a client labels its messages with.
    """

    keyword = "XTAG"
    mail_params = (TAG,)

    def __init__(self, *, max_chars: int = 16, label: str | None = None) -> None:
        self.max_chars = max_chars
        self.label = label

    # The server's side.

    def advertise(self, settings: ServerSettings, facts: ServerFacts) -> str | None:
        """What stands behind the keyword: the longest label. None would keep quiet about the extension."""
        return str(self.max_chars)

    def check_mail(self, conversation: Conversation, sender: smtpx.Mailbox, params: Params) -> smtpx.Reply | None:
        """A refusal, before the session is asked; None for no objection."""
        label = params.get(TAG)
        if label is not None and len(label) > self.max_chars:
            return smtpx.reply(501, "5.5.4", f"a label has at most {self.max_chars} characters")
        return None

    def verbs(self) -> Mapping[str, VerbHandler]:
        """Commands by name, each with a function that ends in one reply or one question to the session."""
        return {"XTAGS": self.xtags}

    def xtags(self, conversation: Conversation, argument: str | None) -> None:
        """XTAGS, or XTAGS label."""
        if conversation.in_transaction:
            conversation.reply(smtpx.reply(503, "5.5.1", "not inside a transaction"))
        elif argument is not None and LABEL.fullmatch(argument.lower()) is None:
            conversation.reply(smtpx.reply(501, "5.5.4", "XTAGS takes a label, or nothing"))
        else:
            conversation.ask_session("XTAGS", argument)

    # The client's side.

    @staticmethod
    def learn(offer: Offer) -> int:
        """What the server says behind the keyword, as a value: `capabilities.get(Tags)`."""
        return int(offer[0]) if offer and offer[0].isdecimal() else 16

    def dress_mail(self, mail: MailFacts, offer: Offer | None) -> Iterable[str]:
        """The parameter for MAIL; an error if the server can't take it, and then nothing is sent at all."""
        words = dress(self.keyword, "mail", {TAG: self.label}, offer)
        if words and len(self.label or "") > self.learn(offer or ()):
            raise smtpx.UnsupportedError("the server takes shorter labels only", keyword=self.keyword, stage="mail")
        return words


class Sorter(smtpx.Session):
    """Counts the messages of its connection by label."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.label = "none"

    async def mail(self, sender: smtpx.Mailbox, params: Params) -> None:
        """The label is a typed value like any other parameter."""
        self.label = params.get(TAG) or "none"

    async def data(self, body: Body) -> None:
        """A message arrived whole."""
        await body.discard()
        self.counts[self.label] += 1

    async def command(self, verb: str, argument: str | None) -> smtpx.Reply | None:
        """The verb's answer; None would be 502, as if there were no such verb."""
        counts = self.counts if argument is None else {argument.lower(): self.counts[argument.lower()]}
        return smtpx.ok(" ".join(f"{label}={count}" for label, count in counts.items()) or "nothing yet")


def main() -> None:
    """A server with the extension, and two clients."""
    with smtpx.ServerThread(Sorter, port=0, extensions=[*smtpx.STANDARD, Tags()]) as server:
        extensions = [*smtpx.STANDARD, Tags(label="invoice")]
        with smtpx.Connection.open(server.url, extensions=extensions) as connection:
            print("labels of up to", connection.capabilities.get("XTAG"), "characters")
            for _ in range(2):
                connection.send(b"Subject: hello\r\n\r\n", sender="a@example.org", recipients="b@example.org")
            print(connection.command("XTAGS").text)
            print(connection.command("XTAGS", "newsletter").text)

        with smtpx.Client(server.url, extensions=[*smtpx.STANDARD, Tags(label="much-longer-than-that")]) as client:
            try:
                client.send(b"Subject: hello\r\n\r\n", sender="a@example.org", recipients="b@example.org")
            except smtpx.UnsupportedError as error:
                print("not sent:", error)


if __name__ == "__main__":
    main()

"""A post office: a server in a thread that keeps what it gets, and refuses those whose address says so."""
# ruff: noqa: ANN401 - options of Server

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from smtpx import Credentials, Mailbox, Reject, ScramRecord, Secret, ServerThread, Session
from smtpx.sasl import LOGIN, PLAIN, SCRAM_SHA_256
from smtpx.server.body import Body
from smtpx.server.users import Users
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply

__all__ = ["PASSWORD", "USER", "Letter", "Office", "office"]

USER, PASSWORD = "robot", "s3cret:/@%41"  # what means something in a URL is in it


@dataclass(frozen=True)
class Letter:
    """What arrived, and how."""

    sender: str
    recipients: list[str]
    octets: bytes
    user: str | None
    tls: bool
    params: list[str] = field(default_factory=list[str])

    @property
    def message(self) -> EmailMessage:
        """Read by the standard library."""
        message = message_from_bytes(self.octets, policy=default)
        assert isinstance(message, EmailMessage)
        return message


class Office:
    """What all sessions of one server share."""

    def __init__(self, **options: Any) -> None:
        self.letters: list[Letter] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.greeting: Reject | None = None
        self.at_data: Reject | None = None
        self.lock = threading.Lock()
        self.users = Users({USER: PASSWORD})
        self.server = ServerThread(lambda: Clerk(self), port=0, **options)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port


class Clerk(Session):
    """One connection."""

    def __init__(self, office: Office) -> None:
        self.office = office

    async def connect(self) -> Reply | None:
        office = self.office
        with office.lock:
            office.connections += 1
            office.open += 1
            office.most_open = max(office.most_open, office.open)
        if office.greeting is not None:
            raise office.greeting
        return None

    async def authenticate(self, identity: Credentials) -> Reply | None:
        if not await self.office.users.accepts(identity):
            raise Reject.bad_credentials()
        return None

    async def lookup(self, mechanism: str, username: str) -> ScramRecord | Secret | None:
        return self.office.users.lookup(mechanism, username)

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        if sender.local_part == "banned":
            raise Reject(550, "5.7.1", "not from you")
        return None

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        if recipient.local_part == "nobody":
            raise Reject.mailbox_unavailable()
        if recipient.local_part == "later":
            raise Reject.try_later()
        return None

    async def data(self, body: Body) -> Reply | None:
        octets = await body.read()
        if self.office.at_data is not None:
            raise self.office.at_data
        envelope, peer = self.envelope, self.peer
        params = [each.to_wire(given.get(each)) for given in envelope.recipient_params for each in given]
        params += [each.to_wire(envelope.params.get(each)) for each in envelope.params if each.keyword == "RET"]
        to = [str(each) for each in envelope.recipients]
        letter = Letter(str(envelope.sender), to, octets, peer.identity, peer.tls is not None, params)
        with self.office.lock:
            self.office.letters.append(letter)
        return None

    async def close(self) -> None:
        with self.office.lock:
            self.office.open -= 1


@contextmanager
def office(*, auth: bool = False, **options: Any) -> Iterator[Office]:
    """A server for the time of a `with` block; the options are those of `Server`."""
    if auth:
        options["mechanisms"] = [SCRAM_SHA_256, PLAIN, LOGIN]
    made = Office(**options)
    with made.server:
        yield made

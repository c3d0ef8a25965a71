"""Both halves of every mechanism, fed noise, and talking to each other with somebody in between who changes octets."""

from functools import partial

from fuzz.source import Source
from smtpx.sasl import (
    ANONYMOUS,
    CRAM_MD5,
    EXTERNAL,
    LOGIN,
    OAUTHBEARER,
    PLAIN,
    XOAUTH2,
    Anonymous,
    BearerToken,
    Certificate,
    Challenge,
    ClientMechanism,
    Credentials,
    ExchangeContext,
    Lookup,
    Password,
    ProofError,
    SASLError,
    ScramRecord,
    Secret,
    ServerMechanism,
    scram_servers,
)
from smtpx.sasl.cram_md5 import CramMD5Server
from smtpx.sasl.scram import ScramClient

TOKENS = (
    *(
        b"n,,n=user,r=fuzz",
        b"y,,",
        b"p=tls-exporter,,",
        b"a=",
        b"=2C",
        b",m=x",
        b"r=fuzzserver,s=c2FsdA==,i=1",
        b"e=no",
    ),
    *(
        b"c=biws,r=fuzzserver,p=",
        b"v=",
        b"\0user\0secret",
        b"user",
        b"secret",
        b"auth=Bearer token",
        b"\x01",
        b"user=user",
    ),
    *(b"\n", b"\xc2\xad", b"\xc3\x85", b"<1@x>", b"0123456789abcdef0123456789abcdef"),
)
_BINDINGS = {"tls-exporter": b"channel", "tls-server-end-point": b"certificate"}
_SCRAM = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1")
_CONTEXT = ExchangeContext(bindings=_BINDINGS, offered=_SCRAM, host="x.example", port=587, peer_identity="user")
_RECORDS = {
    name: ScramRecord.make("secret", mechanism=name, iterations=1, salt=b"salt")
    for name in ("SCRAM-SHA-256", "SCRAM-SHA-1")
}
_CRAM = ServerMechanism("CRAM-MD5", False, False, partial(CramMD5Server, nonce=lambda: "1"), needs_lookup=True)
SERVERS: dict[str, ServerMechanism] = {
    each.name: each
    for each in (
        *scram_servers(*_SCRAM, secret=b"x", iterations=1, nonce=lambda: "server"),
        *(PLAIN, LOGIN, _CRAM, XOAUTH2, OAUTHBEARER, EXTERNAL, ANONYMOUS),
    )
}
assert CRAM_MD5.name in SERVERS


def target(data: bytes) -> None:
    """Control octets: mechanism, what is done with it, whether the password is right."""
    source = Source(data)
    name, way, is_right = source.choose(sorted(SERVERS)), source.pick(3), source.pick(2) == 0
    if way == 0:
        _serve(SERVERS[name], source.rest().split(b"\n"))
    elif way == 1:
        _answer(_client(name, is_right=True), source.rest().split(b"\n"))
    else:
        _between(name, source, is_right=is_right)


def _client(name: str, *, is_right: bool) -> ClientMechanism:
    word = "secret" if is_right else "wrong"
    if name in _SCRAM:
        auth = Password("user", word, scram_iterations=range(1, 100))
        return ClientMechanism(name, False, partial(ScramClient, auth, name, nonce=lambda: "fuzz"))
    kinds = (Password("user", word), BearerToken("user", word), Certificate(), Anonymous("trace"))
    return next(each for kind in kinds for each in kind.mechanisms() if each.name == name)


def _found(lookup: Lookup) -> ScramRecord | Secret | None:
    if lookup.username != "user":
        return None
    return Secret("secret") if lookup.kind == "CRAM-MD5" else _RECORDS[lookup.kind]


def _serve(mechanism: ServerMechanism, messages: list[bytes]) -> None:
    exchange = mechanism.start(_CONTEXT)
    step: object = next(exchange)
    for message in [*messages, *[b""] * 4]:
        try:
            step = exchange.send(message)
            while isinstance(step, Lookup):
                step = exchange.send(_found(step))
        except SASLError as error:
            assert "secret" not in str(error)
            return
        except StopIteration as stop:
            _check(mechanism, stop.value)
            return
        assert isinstance(step, Challenge)
    raise AssertionError("an exchange without end")


def _check(mechanism: ServerMechanism, credentials: Credentials) -> None:
    assert credentials.mechanism == mechanism.name
    assert credentials.username
    assert "\0" not in credentials.username + credentials.authorization_id + credentials.trace
    secrets = (credentials.password, credentials.token)
    assert all(secret is None or secret.reveal() for secret in secrets), "an empty password"
    assert credentials.is_proven == (mechanism.needs_lookup or mechanism.name == "EXTERNAL")
    assert (credentials.is_proven or mechanism.name == "ANONYMOUS") == (secrets == (None, None))


def _answer(mechanism: ClientMechanism, challenges: list[bytes]) -> None:
    """A server that knows nothing may make a client say anything but that it is content."""
    exchange = mechanism.start(_CONTEXT)
    exchange.initial_response()
    try:
        for challenge in challenges:
            exchange.respond(challenge)
        exchange.complete()
    except SASLError as error:
        if not any(b"secret" in challenge for challenge in challenges):  # what a server says may be shown
            assert "secret" not in str(error) + exchange.explain_failure()
    else:
        assert mechanism.name not in _SCRAM, "a server that knows nothing has proven itself"


def _between(name: str, source: Source, *, is_right: bool) -> None:
    """Client and server with somebody between them."""
    client, server = _client(name, is_right=is_right).start(_CONTEXT), SERVERS[name].start(_CONTEXT)
    middle = _Middle(source)
    says_well = False
    try:
        step: object = next(server)
        response = client.initial_response()
        if response is not None:
            assert SERVERS[name].accepts_initial
            step = server.send(middle.carry(response))
        while True:
            if isinstance(step, Lookup):
                step = server.send(_found(step))
            else:
                assert isinstance(step, Challenge)
                step = server.send(middle.carry(client.respond(middle.carry(step.data))))
    except SASLError as error:
        assert middle.has_changed or isinstance(error, ProofError)
        assert middle.has_changed or not is_right
        return
    except StopIteration as stop:
        _check(SERVERS[name], stop.value)
        says_well = True
    client.complete()
    if name in _SCRAM:
        assert says_well
        assert is_right
        assert not middle.has_changed, "a changed message was believed"
    if name == "CRAM-MD5":
        assert is_right


class _Middle:
    """Carries messages; where the source says so it puts an octet in, in place of one or beside it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.has_changed = False

    def carry(self, message: bytes) -> bytes:
        """The message, perhaps changed."""
        what = self._source.octet()
        if what < 200:
            return message
        place = self._source.octet() % (len(message) + 1)
        octets = self._source.take(1 + what % 3)
        changed = message[:place] + octets + message[place + what % 2 :]
        self.has_changed = self.has_changed or changed != message
        return changed

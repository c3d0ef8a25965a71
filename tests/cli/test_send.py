"""`smtpx send`: every exit status against a server, what is printed, and what leaves."""

import base64
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from smtpx.net.tls import server_tls
from smtpx.protocol.limits import ServerLimits
from smtpx.sasl import Credentials
from smtpx.server.body import Body
from smtpx.server.run import ServerThread
from smtpx.server.session import Reject, Session, ok
from smtpx.wire.address import Mailbox
from smtpx.wire.params import Params
from smtpx.wire.reply import Reply
from tests.cli.peers import FakeServer, Outcome, child, command, run

Capture = pytest.CaptureFixture[str]
LETTER = b"From: a@example.org\r\nSubject: t\r\n\r\n.dot\r\nhello\r\n"
UNIX_LETTER = LETTER.replace(b"\r\n", b"\n")
PASSWORD = "pa:ss@wörd"
CHALLENGE = b"334 VXNlcm5hbWU6\r\n"
URL_PASSWORD = "pa%3Ass%40w%C3%B6rd"
TO = ("--from", "a@example.org", "--to", "b@example.net")


class Letter:
    """What the server got."""

    def __init__(self, sender: Mailbox) -> None:
        self.sender = str(sender)
        self.recipients: list[str] = []
        self.content = b""


class Mailboxes(Session):
    """Keeps what comes. Refuses recipients by their name, and all but one password."""

    letters: list[Letter]

    async def authenticate(self, identity: Credentials) -> None:
        if identity.username == "later":
            raise Reject(454, "4.7.0", "not just now")
        if not identity.is_password(PASSWORD):
            raise Reject.bad_credentials()

    async def mail(self, sender: Mailbox, params: Params) -> Reply | None:
        self.letter = Letter(sender)
        return None

    async def rcpt(self, recipient: Mailbox, params: Params) -> Reply | None:
        if recipient.local_part.startswith("nobody"):
            raise Reject(550, "5.1.1", "nobody here")
        if recipient.local_part.startswith("full"):
            raise Reject(452, "4.2.2", "mailbox full")
        self.letter.recipients.append(str(recipient))
        return None

    async def data(self, body: Body) -> Reply:
        self.letter.content = await body.read()
        self.letters.append(self.letter)
        return ok("queued as 42")


class Post:
    """A running server and what it got."""

    def __init__(self, server: ServerThread, letters: list[Letter], ca: Path) -> None:
        self.port = server.port
        self.letters = letters
        self.ca = ca

    def url(self, scheme: str = "smtp", user: str = "", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{user + '@' if user else ''}{host}:{self.port}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def post(tmp_path: Path, authority: trustme.CA, request: pytest.FixtureRequest) -> Iterator[Post]:
    """A server with TLS and a login; options by indirect parameters."""
    options: dict[str, Any] = getattr(request, "param", {})
    names = options.pop("names", ("localhost", "127.0.0.1"))
    authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    kind = type("Mine", (Mailboxes,), {"letters": []})
    tls = server_tls(tmp_path / "cert.pem") if options.pop("tls", True) else None
    with ServerThread(kind, port=0, tls=tls, hostname="mx.example.org", **options) as server:
        yield Post(server, kind.letters, tmp_path / "ca.pem")


def send(capfd: Capture, url: str, *options: str | Path, to: tuple[str, ...] = TO) -> Outcome:
    return run(capfd, "send", "--url", url, *to, *options)


def parsed(outcome: Outcome) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(outcome.out)
    return value


# Sent ---------------------------------------------------------------------------------------------------------------


def test_a_message(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url(), "--subject", "Grüße", "--text", "Hello")
    assert outcome.status == 0
    assert outcome.out == "accepted <b@example.net>: 250 2.1.5 recipient ok\nserver: 250 2.0.0 queued as 42\n"
    assert outcome.err == ""
    (letter,) = post.letters
    assert (letter.sender, letter.recipients) == ("a@example.org", ["b@example.net"])
    assert b"\r\n\r\nHello\r\n" in letter.content


def test_recipients_of_all_kinds_and_bcc_in_no_header(capfd: Capture, post: Post) -> None:
    to = ("--from", "Anna <a@example.org>", "--to", "b1@x.example", "--to", "Ben <b2@x.example>")
    more = (
        "--cc",
        "c1@x.example",
        "--cc",
        "c2@x.example",
        "--bcc",
        "hidden1@x.example",
        "--bcc",
        "H <hidden2@x.example>",
    )
    assert send(capfd, post.url(), *more, to=to).status == 0
    (letter,) = post.letters
    assert letter.recipients == [f"{name}@x.example" for name in ("b1", "b2", "c1", "c2", "hidden1", "hidden2")]
    assert b"To: b1@x.example,\r\n Ben <b2@x.example>\r\n" in letter.content
    assert b"hidden" not in letter.content
    assert b"bcc" not in letter.content.lower()


def test_bcc_alone(capfd: Capture, post: Post) -> None:
    assert send(capfd, post.url(), to=("--from", "a@example.org", "--bcc", "b@example.net")).status == 0
    assert b"b@example.net" not in post.letters[0].content


@pytest.mark.parametrize("sender", ["", "<>"])
def test_the_null_sender(capfd: Capture, post: Post, sender: str) -> None:
    assert send(capfd, post.url(), to=("--from", sender, "--to", "b@example.net")).status == 0
    assert post.letters[0].sender == ""


def test_odd_addresses(capfd: Capture, post: Post) -> None:
    to = (
        "--from",
        '"a b"@example.org',
        "--to",
        '"<x>@y"@example.net',
        "--to",
        "é@example.net",
        "--to",
        "b@[192.0.2.1]",
    )
    assert send(capfd, post.url(), to=to).status == 0
    assert post.letters[0].recipients == ['"<x>@y"@example.net', "é@example.net", "b@[192.0.2.1]"]


def test_a_domain_in_another_script(capfd: Capture) -> None:
    with FakeServer(offers=["PIPELINING"]) as server:
        outcome = send(capfd, server.url, to=("--from", "a@bücher.example", "--to", "b@例え.jp"))
    assert outcome.status == 0
    assert [line for line in server.lines if "@" in line] == [
        "MAIL FROM:<a@xn--bcher-kva.example>",
        "RCPT TO:<b@xn--r8jz45g.jp>",
    ]
    assert b"To: b@xn--r8jz45g.jp\r\n" in server.contents[0]


def test_attachments_and_fields(capfd: Capture, post: Post, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    options = (
        "--attach",
        tmp_path / "a.bin",
        "--attach",
        tmp_path / "a.bin",
        "--header",
        "X-A: 1",
        "--header",
        "X-A: 2",
    )
    assert send(capfd, post.url(), *options, "--html", "<p>x").status == 0
    content = post.letters[0].content
    assert content.count(base64.b64encode(bytes(range(57)))) == 2
    assert b"X-A: 1\r\nX-A: 2\r\n" in content


@pytest.mark.parametrize("option", ["--no-pipelining", "--no-chunking", "--json"])
def test_options_that_change_how_it_is_said(capfd: Capture, post: Post, option: str) -> None:
    outcome = send(capfd, post.url("smtp+plain"), "--trace", option)
    assert outcome.status == 0
    assert ("BDAT" in outcome.err) == (option != "--no-chunking")
    assert ("C: MAIL" in outcome.err) == ("C: RCPT" in outcome.err)
    if option == "--no-pipelining":
        assert re.search(r"C: MAIL.*\nS: 250 .*\nC: RCPT", outcome.err)


def test_trace_cuts_what_is_long(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url(), "--trace", "--text", "\n".join(["x" * 70] * 100))
    assert re.search(r"^C: \.\.\. \d+ more octets$", outcome.err, re.MULTILINE)


def test_helo_local_address_and_timeout(capfd: Capture, post: Post) -> None:
    options = ("--helo", "client.example.org", "--local-address", "127.0.0.2", "--timeout", "20", "--trace")
    outcome = send(capfd, post.url(), *options)
    assert outcome.status == 0
    assert "C: EHLO client.example.org\n" in outcome.err


# --eml --------------------------------------------------------------------------------------------------------------


def test_a_whole_message_arrives_octet_by_octet(capfd: Capture, post: Post, tmp_path: Path) -> None:
    octets = LETTER + bytes(each for each in range(256) if each not in b"\r\n") + b"\r\n.\r\n..\r\nno end"
    (tmp_path / "x.eml").write_bytes(octets)
    assert send(capfd, post.url(), "--eml", tmp_path / "x.eml").status == 0
    assert post.letters[0].content in (octets, octets + b"\r\n")


@pytest.mark.parametrize("letter", [LETTER, LETTER + b"x" * 70 * 40_000])
def test_a_message_from_a_pipe(post: Post, letter: bytes) -> None:
    outcome = child("send", "--url", post.url(), *TO, "--eml", "-", stdin=letter)
    assert outcome.status == 0
    assert post.letters[0].content.removesuffix(b"\r\n") == letter.removesuffix(b"\r\n")


def test_a_message_from_a_file_by_redirection(post: Post, tmp_path: Path) -> None:
    (tmp_path / "x.eml").write_bytes(LETTER)
    with (tmp_path / "x.eml").open("rb") as file:
        assert child("send", "--url", post.url(), *TO, "--eml", "-", stdin=file).status == 0
    assert post.letters[0].content == LETTER


def test_standard_input_is_closed() -> None:
    words = command("send", "--url", "smtp://127.0.0.1:1", *TO, "--eml", "-")
    closed = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *words], capture_output=True, text=True, check=False)
    assert closed.returncode == 64
    assert closed.stderr == "smtpx: --eml -: standard input is closed (see smtpx send --help)\n"


@pytest.mark.parametrize("way", ["file", "pipe"])
def test_h018_a_file_of_unix(post: Post, tmp_path: Path, way: str) -> None:
    (tmp_path / "x.eml").write_bytes(UNIX_LETTER)
    eml = "-" if way == "pipe" else tmp_path / "x.eml"
    words = ("send", "--url", post.url(), *TO, "--eml", eml, "--trace")
    outcome = child(*words, stdin=UNIX_LETTER)
    assert outcome.status == 65
    assert "C: MAIL" not in outcome.err
    message = outcome.err.splitlines()[-1]
    assert message.startswith("smtpx: a bare LF")
    assert "--normalize-newlines" in message
    assert re.search(r"octet \d+|line \d+", message)
    assert child(*words, "--normalize-newlines", stdin=UNIX_LETTER).status == 0
    assert [letter.content for letter in post.letters] == [LETTER]


@pytest.mark.parametrize("x", [b"\n.\n", b"\r.\r", b"\r\n.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\r\n.\r\n"])
def test_h018_smuggling_stays_here(capfd: Capture, tmp_path: Path, x: bytes) -> None:
    (tmp_path / "x.eml").write_bytes(LETTER + x + b"MAIL FROM:<x@y.example>\r\n")
    with FakeServer() as server:
        assert send(capfd, server.url, "--eml", tmp_path / "x.eml").status == 65
        assert "MAIL" not in server.verbs
        assert send(capfd, server.url, "--eml", tmp_path / "x.eml", "--normalize-newlines").status == 0
    (content,) = server.contents
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|(?:^|\n)\.\r", content) is None


@pytest.mark.parametrize("options", [("--subject", ""), ("--text", ""), ("--html", "x"), ("--header", "A: b")])
def test_a_whole_message_has_everything(capfd: Capture, options: tuple[str, str]) -> None:
    outcome = send(capfd, "smtp://127.0.0.1:1", "--eml", __file__, *options)
    message = f"--eml is a whole message: it can't go with {options[0]}"
    assert (outcome.status, outcome.err) == (64, f"smtpx: {message} (see smtpx send --help)\n")


def test_a_file_that_can_not_be_read(capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.eml").write_bytes(LETTER)

    def fail(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", fail)
    outcome = send(capfd, "smtp://127.0.0.1:1", "--eml", tmp_path / "x.eml")
    assert (outcome.status, outcome.err) == (66, f"smtpx: can't read {tmp_path}/x.eml: Permission denied\n")


@pytest.mark.parametrize("option", ["--eml", "--attach", "--auth-password-file", "--auth-token-file"])
def test_66_no_such_file(capfd: Capture, tmp_path: Path, option: str) -> None:
    for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        user = "me@" if "auth" in option else ""
        outcome = send(capfd, f"smtp://{user}127.0.0.1:1", option, path, "--json")
        assert (outcome.status, outcome.out, outcome.err) == (66, "", f"smtpx: can't read {path}: {why}\n")


def test_66_a_file_breaks_off(capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    outcome = send(capfd, "smtp://127.0.0.1:1", "--attach", tmp_path / "x")
    assert (outcome.status, outcome.err) == (66, "smtpx: can't read a file: Input/output error\n")


# What is printed ----------------------------------------------------------------------------------------------------


def test_json_to_the_letter(capfd: Capture, post: Post) -> None:
    options = ("--json", "--ca", post.ca, "--to", "nobody@example.net")
    outcome = send(capfd, post.url("submission", host="localhost"), *options)
    assert (outcome.status, outcome.err) == (1, "")
    value = parsed(outcome)
    tls = value.pop("tls")
    assert list(tls) == ["version", "cipher", "verified", "group"]
    assert (tls["version"], tls["verified"]) == ("TLSv1.3", True)
    assert value == {
        "accepted": {"b@example.net": {"code": 250, "enhanced": "2.1.5", "text": "recipient ok"}},
        "refused": {"nobody@example.net": {"code": 550, "enhanced": "5.1.1", "text": "nobody here"}},
        "unknown": {},
        "reply": {"code": 250, "enhanced": "2.0.0", "text": "queued as 42"},
        "error": None,
    }


def test_json_of_a_failure(capfd: Capture) -> None:
    outcome = send(capfd, "smtp://127.0.0.1:1", "--json")
    assert (outcome.status, outcome.err) == (75, "")
    value = parsed(outcome)
    message = value["error"].pop("message")
    assert message.startswith("can't connect to 127.0.0.1 port 1: Connection refused")
    error = {"type": "ConnectError", "stage": "connect"}
    refused = {"b@example.net": {"code": None, "enhanced": None, "text": None}}
    assert value == {"accepted": {}, "refused": refused, "unknown": {}, "reply": None, "tls": None, "error": error}


@pytest.mark.parametrize("offers", [[], ["PIPELINING"], ["PIPELINING", "CHUNKING"]])
@pytest.mark.parametrize(
    ("answers", "codes"),
    [
        ({"MAIL": b"550 5.7.1 not you\r\n"}, [550, 550, 550]),
        ({"RCPT": [b"550 5.1.1 no\r\n", b"421 4.3.2 bye\r\n", None]}, [550, 421, 421]),
        ({"EHLO": b"521 5.3.2 no\r\n"}, [521, 521, 521]),
        ({"MAIL": None}, [None, None, None]),
    ],
)
def test_json_has_everybody_once(
    capfd: Capture, offers: list[str], answers: dict[str, Any], codes: list[int | None]
) -> None:
    others = ("--to", "c@example.net", "--cc", "d@b\u00fccher.example", "--bcc", "b@example.net")
    with FakeServer(answers, offers=offers) as server:
        value = parsed(send(capfd, server.url, *others, "--json"))
    everybody = dict(zip(["b@example.net", "c@example.net", "d@b\u00fccher.example"], codes, strict=True))
    asked = value["refused"] if value["error"]["stage"] != "final" else value["unknown"]
    assert {to: reply["code"] for to, reply in asked.items()} == everybody
    assert sum(len(value[name]) for name in ("accepted", "refused", "unknown")) == 3


@pytest.mark.parametrize("post", [{"tls": False}], indirect=True)
def test_json_without_tls(capfd: Capture, post: Post) -> None:
    assert parsed(send(capfd, post.url(), "--json"))["tls"] is None


def test_json_when_everybody_is_refused(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url(), "--json", to=("--from", "a@example.org", "--to", "nobody@example.net"))
    value = parsed(outcome)
    assert outcome.status == 69
    assert (list(value["refused"]), value["reply"], value["accepted"]) == (["nobody@example.net"], None, {})
    assert value["error"]["type"] == "PermanentRefusal"
    assert value["error"]["stage"] == "rcpt"


def test_h056_a_reply_does_not_steer_the_terminal(capfd: Capture) -> None:
    with FakeServer({"RCPT": b"550 \x1b]0;pwn\x07\xff\xc2\x85\r\n"}) as server:
        outcome = send(capfd, server.url, "--trace")
        assert parsed(send(capfd, server.url, "--json"))["refused"]["b@example.net"]["code"] == 550
    assert outcome.status == 69
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", outcome.out + outcome.err)
    assert "refused <b@example.net>: 550 \\x1b]0;pwn\\x07" in outcome.err


def test_nobody_reads_the_outcome(post: Post) -> None:
    words = command("send", "--url", post.url(), *TO)
    script = 'sh -c \'"$0" "$@"; echo $? >&2\' "$@" | sleep 0'
    pipe = subprocess.run(["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=True)
    assert pipe.stderr == "0\n"
    assert len(post.letters) == 1


# Passwords ----------------------------------------------------------------------------------------------------------


def secrets_of(user: str) -> list[str]:
    password = PASSWORD.encode()
    plain = b"\0" + user.encode() + b"\0" + password
    return [PASSWORD, URL_PASSWORD, *(base64.b64encode(each).decode().rstrip("=") for each in (plain, password))]


@pytest.mark.parametrize("offer", ["AUTH PLAIN LOGIN", "AUTH PLAIN", "AUTH LOGIN"])
@pytest.mark.parametrize("verdict", [b"235 2.7.0 ok\r\n", b"535 5.7.8 no\r\n", b"454 4.7.0 later\r\n"])
def test_trace_never_shows_a_password(capfd: Capture, offer: str, verdict: bytes) -> None:
    answers: dict[str, Any] = {"AUTH": verdict}
    if offer == "AUTH LOGIN":
        answers = {"AUTH": b"334 VXNlcm5hbWU6\r\n"}
        user, password = (base64.b64encode(each).decode().upper() for each in (b"me", PASSWORD.encode()))
        answers |= {user: b"334 UGFzc3dvcmQ6\r\n", password: verdict}
    with FakeServer(answers, offers=[offer]) as server:
        outcome = send(capfd, f"smtp://me:{URL_PASSWORD}@127.0.0.1:{server.port}", "--trace")
    assert outcome.status == {b"2": 0, b"5": 77, b"4": 75}[verdict[:1]]
    assert re.search(rf"C: AUTH {offer.split()[1]}( \*\*\*\*)?\n", outcome.err)
    for secret in secrets_of("me"):
        assert secret not in outcome.err + outcome.out
    assert any(base64.b64encode(PASSWORD.encode()).decode() in line or "AUTH PLAIN" in line for line in server.lines)


@pytest.mark.parametrize("cuts", [(1,), (2,), (3,)])
def test_trace_never_shows_a_password_when_replies_come_in_pieces(capfd: Capture, cuts: tuple[int, ...]) -> None:
    user, password = (base64.b64encode(each).decode().upper() for each in (b"me", PASSWORD.encode()))

    def slowly(connection: socket.socket) -> None:
        for piece in (CHALLENGE[: cuts[0]], CHALLENGE[cuts[0] :]):
            connection.sendall(piece)
            time.sleep(0.05)

    answers: dict[str, Any] = {"AUTH": slowly, user: slowly, password: b"235 2.7.0 ok\r\n"}
    with FakeServer(answers, offers=["AUTH LOGIN"]) as server:
        outcome = send(capfd, f"smtp://me:{URL_PASSWORD}@127.0.0.1:{server.port}", "--trace")
    assert outcome.status == 0
    for secret in secrets_of("me"):
        assert secret not in outcome.err


@pytest.mark.parametrize(
    "url", ["smtp://me:{}@[", "nope://me:{}@x", "smtp://me:{}@x:99999", "smtp://me:{}@x/path", "smtp://me:{}@x?nope=1"]
)
def test_no_message_shows_a_password(capfd: Capture, url: str) -> None:
    outcome = send(capfd, url.format("s3cr3t"), "--json")
    assert outcome.status == 64
    assert "s3cr3t" not in outcome.out + outcome.err


# Exit statuses ------------------------------------------------------------------------------------------------------


def test_1_some_refused(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url(), "--to", "nobody@example.net", "--to", "full@example.net")
    assert outcome.status == 1
    assert "accepted <b@example.net>" in outcome.out
    assert outcome.err.splitlines() == [
        "refused <nobody@example.net>: 550 5.1.1 nobody here",
        "refused <full@example.net>: 452 4.2.2 mailbox full",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--url", "localhost"), None),
        (("--url", "smtp://"), None),
        (("--url", "smtp://x", "--local-address", "here"), "'here' is not an IP address (see smtpx send --help)"),
        (("--url", "smtp://x", "--dsn-notify", "never,delay"), None),
        (("--url", "smtp://x", "--dsn-notify", "sometimes"), None),
        (("--url", "smtp://x", "--envid", "é"), None),
        (("--url", "lmtp+unix:///x", "--local-address", "::1"), None),
        (("--url", "smtp://x", "--normalize-newlines"), "--normalize-newlines goes with --eml (see smtpx send --help)"),
    ],
)
def test_64_mistakes(capfd: Capture, options: tuple[str, ...], message: str | None) -> None:
    outcome = run(capfd, "send", *TO, *options)
    assert outcome.status == 64
    assert outcome.err.startswith("smtpx: ")
    assert outcome.err.count("\n") == 1
    assert message is None or outcome.err.endswith(f"{message}\n")


def test_64_nobody_to_send_to(capfd: Capture) -> None:
    outcome = send(capfd, "smtp://x", to=("--from", "a@example.org"))
    message = "no recipient: give --to, --cc or --bcc"
    assert (outcome.status, outcome.err) == (64, f"smtpx: {message} (see smtpx send --help)\n")


def test_64_a_name_that_is_none(capfd: Capture, post: Post) -> None:
    assert send(capfd, post.url(), "--helo", "a b").status == 64


def test_64_no_certificates_in_the_file(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url("submission"), "--ca", __file__)
    assert outcome.status == 64
    assert f"can't read certificates from {__file__}" in outcome.err


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "b"),
        ("--to", "b c@example.net"),
        ("--to", ""),
        ("--to", "b@example.net\r\nRCPT TO:<c@example.net>"),
        ("--to", "b@example.net>\r\nDATA <x@y"),
        ("--cc", "b@exam_ple..net"),
        ("--bcc", "a" * 65 + "@example.net"),
        ("--to", "b@bü cher.example"),
        ("--subject", "a\r\nBcc: c@example.net"),
        ("--subject", "=?utf-8?q?a=0D=0ABcc=3A_c?="),
        ("--header", "A: b\nBcc: c@example.net"),
        ("--header", "A\r\nBcc: c@example.net"),
        ("--to", '"x\r\nBcc: y" <b@example.net>'),
        ("--text", "\udcff"),
    ],
)
def test_65_bad_addresses_and_fields(capfd: Capture, options: tuple[str, str]) -> None:
    with FakeServer() as server:
        outcome = send(capfd, server.url, *options)
    assert outcome.status == 65
    assert outcome.err.startswith("smtpx: ")
    assert outcome.err.count("\n") == 1
    assert server.lines == []


@pytest.mark.parametrize("way", ["file", "pipe"])
def test_65_larger_than_the_server_takes(post: Post, tmp_path: Path, way: str) -> None:
    octets = LETTER + (b"x" * 998 + b"\r\n") * 30_000
    (tmp_path / "big.eml").write_bytes(octets)
    eml = "-" if way == "pipe" else tmp_path / "big.eml"
    outcome = child("send", "--url", post.url(), *TO, "--eml", eml, "--trace", stdin=octets if way == "pipe" else b"")
    assert outcome.status == 65
    assert (
        f"the message has {len(octets)} octets and the server takes {ServerLimits().max_message_bytes}" in outcome.err
    )
    assert "C: MAIL" not in outcome.err


def test_65_h098_eight_bits_and_no_8bitmime(capfd: Capture, tmp_path: Path) -> None:
    (tmp_path / "x.eml").write_bytes(LETTER + "é\r\n".encode())
    with FakeServer(offers=["PIPELINING"]) as server:
        outcome = send(capfd, server.url, "--eml", tmp_path / "x.eml")
        assert outcome.status == 65
        assert "8-bit" in outcome.err
        assert "MAIL" not in server.verbs
        assert send(capfd, server.url, "--text", "é", "--subject", "é").status == 0
    assert server.contents[0].isascii()


def test_65_h098_a_local_part_in_another_script(capfd: Capture) -> None:
    with FakeServer(offers=["PIPELINING"]) as server:
        assert send(capfd, server.url, to=("--from", "é@example.org", "--to", "b@example.net")).status == 65
        assert "MAIL" not in server.verbs
        assert send(capfd, server.url, to=("--from", "a@example.org", "--to", "é@example.net")).status == 65


def test_69_everybody_refused(capfd: Capture, post: Post) -> None:
    to = ("--from", "a@example.org", "--to", "nobody@example.net", "--to", "nobody2@example.net")
    outcome = send(capfd, post.url(), to=to)
    assert (outcome.status, outcome.out) == (69, "")
    assert outcome.err.splitlines() == [
        "refused <nobody@example.net>: 550 5.1.1 nobody here",
        "refused <nobody2@example.net>: 550 5.1.1 nobody here",
    ]


@pytest.mark.parametrize("verb", ["MAIL", "DATA", "."])
def test_69_the_message_refused(capfd: Capture, verb: str) -> None:
    with FakeServer({verb: b"554 5.7.1 no\r\n"}) as server:
        outcome = send(capfd, server.url)
    assert outcome.status == 69
    assert "554 5.7.1 no" in outcome.err
    assert "accepted" not in outcome.out


def test_69_the_greeting_is_a_refusal(capfd: Capture) -> None:
    with FakeServer(greeting=b"554 5.3.2 go away\r\n") as server:
        outcome = send(capfd, server.url)
    assert (outcome.status, outcome.out) == (69, "")
    assert "554 5.3.2 go away" in outcome.err


def test_69_h040_no_starttls(capfd: Capture) -> None:
    with FakeServer(offers=["AUTH PLAIN"]) as server:
        outcome = send(capfd, f"submission://u:p@127.0.0.1:{server.port}")
    assert outcome.status == 69
    assert "no STARTTLS" in outcome.err
    assert set(server.verbs) <= {"EHLO", "QUIT"}


@pytest.mark.parametrize("offers", [["PIPELINING"], ["AUTH GSSAPI"]])
def test_69_no_mechanism(capfd: Capture, offers: list[str]) -> None:
    with FakeServer(offers=offers) as server:
        outcome = send(capfd, f"smtp://u:p@127.0.0.1:{server.port}")
    assert outcome.status == 69
    assert "AUTH" in outcome.err or "mechanism" in outcome.err
    assert "MAIL" not in server.verbs


@pytest.mark.parametrize("scheme", ["submission", "smtp+starttls"])
def test_69_h045_a_certificate_nobody_knows(capfd: Capture, post: Post, scheme: str) -> None:
    outcome = send(capfd, post.url(scheme, f"me:{URL_PASSWORD}"), "--trace")
    assert outcome.status == 69
    assert "the certificate is not good: " in outcome.err
    assert "AUTH" not in outcome.err
    assert send(capfd, post.url(scheme, f"me:{URL_PASSWORD}"), "--insecure").status == 0
    assert send(capfd, post.url(scheme, f"me:{URL_PASSWORD}"), "--ca", post.ca).status == 0
    assert len(post.letters) == 2


@pytest.mark.parametrize("post", [{"names": ("elsewhere.example",)}], indirect=True)
def test_69_h045_a_certificate_of_somebody_else(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url("submission"), "--ca", post.ca)
    assert outcome.status == 69
    assert "not valid for '127.0.0.1'" in outcome.err


@pytest.mark.parametrize("post", [{"implicit_tls": True}], indirect=True)
@pytest.mark.parametrize("scheme", ["smtps", "submissions"])
def test_h045_implicit_tls(capfd: Capture, post: Post, scheme: str) -> None:
    assert send(capfd, post.url(scheme)).status == 69
    outcome = send(capfd, post.url(scheme), "--ca", post.ca, "--json")
    assert (outcome.status, parsed(outcome)["tls"]["verified"]) == (0, True)
    outcome = send(capfd, post.url(scheme), "--insecure", "--json")
    assert (outcome.status, parsed(outcome)["tls"]["verified"]) == (0, False)


def test_h045_opportunistic_takes_any_certificate(capfd: Capture, post: Post) -> None:
    assert parsed(send(capfd, post.url(), "--json"))["tls"]["verified"] is False


def test_75_temporary_refusals(capfd: Capture, post: Post) -> None:
    to = ("--from", "a@example.org", "--to", "full@example.net", "--to", "nobody@example.net")
    assert send(capfd, post.url(), to=to).status == 75
    assert send(capfd, post.url(user="later:x")).status == 75
    with FakeServer(greeting=b"421 4.3.2 busy\r\n") as server:
        assert send(capfd, server.url).status == 75
    with FakeServer({".": b"451 4.3.0 later\r\n"}) as server:
        assert send(capfd, server.url).status == 75


def test_75_nobody_listens(capfd: Capture, tmp_path: Path) -> None:
    outcome = send(capfd, "smtp://127.0.0.1:1")
    assert outcome.status == 75
    assert outcome.err.startswith("smtpx: can't connect to 127.0.0.1 port 1: Connection refused")
    outcome = send(capfd, f"lmtp+unix://{tmp_path}/none")
    assert outcome.status == 75
    assert f"{tmp_path}/none" in outcome.err
    assert send(capfd, "smtp://nowhere.invalid").status == 75
    assert send(capfd, "smtp://127.0.0.1:1", "--local-address", "192.0.2.7").status == 75


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "DATA", "."])
def test_75_the_connection_ends(capfd: Capture, verb: str) -> None:
    with FakeServer({verb: None}) as server:
        outcome = send(capfd, server.url)
    assert outcome.status == 75
    assert "smtpx: " in outcome.err


def test_75_what_became_of_it_is_not_known(capfd: Capture) -> None:
    with FakeServer({".": None}) as server:
        outcome = send(capfd, server.url)
        as_json = send(capfd, server.url, "--json")
    assert outcome.out == "unknown <b@example.net>: to RCPT 250 2.0.0 ok\n"
    assert "(stage: final)" in outcome.err
    assert (outcome.status, as_json.status) == (75, 75)
    value = parsed(as_json)
    assert (value["accepted"], value["refused"]) == ({}, {})
    assert value["unknown"] == {"b@example.net": {"code": 250, "enhanced": "2.0.0", "text": "ok"}}
    assert value["error"]["stage"] == "final"


def test_75_lmtp_verdicts_that_came_before_the_connection_broke(capfd: Capture) -> None:
    def one_verdict(sock: socket.socket) -> None:
        sock.sendall(b"250 2.1.5 kept\r\n550 5.2.2 full\r\n")
        sock.shutdown(socket.SHUT_RDWR)

    recipients = ("--to", "c@example.net", "--to", "d@b\u00fccher.example")
    with FakeServer({".": one_verdict}) as server:
        url = server.url.replace("smtp:", "lmtp:")
        outcome = send(capfd, url, *recipients)
        value = parsed(send(capfd, url, *recipients, "--json"))
    assert outcome.status == 75
    assert outcome.out == "accepted <b@example.net>: 250 2.1.5 kept\nunknown <d@b\u00fccher.example>: no reply\n"
    assert "refused <c@example.net>: 550 5.2.2 full" in outcome.err
    assert list(value["accepted"]) == ["b@example.net"]
    assert list(value["refused"]) == ["c@example.net"]
    assert value["unknown"] == {"d@b\u00fccher.example": {"code": None, "enhanced": None, "text": None}}


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def test_75_the_server_says_nothing(capfd: Capture) -> None:
    with FakeServer(greeting=silent) as server:
        outcome = send(capfd, server.url, "--timeout", "0.3")
    assert outcome.status == 75
    assert "greeting" in outcome.err


@pytest.mark.parametrize("answer", [b"454 4.7.0 not now\r\n", b"220 go\r\nnot a handshake at all\r\n", b"220 go\r\n"])
def test_75_h041_starttls_fails(capfd: Capture, answer: bytes) -> None:
    def garbage(connection: socket.socket) -> None:
        head, _, tail = answer.partition(b"\r\n")
        connection.sendall(head + b"\r\n")
        if not answer.startswith(b"454"):
            connection.recv(1000)
            connection.sendall(tail)
            connection.shutdown(socket.SHUT_RDWR)

    with FakeServer({"STARTTLS": garbage}, offers=["STARTTLS"]) as server:
        assert send(capfd, server.url.replace("smtp:", "submission:")).status == 75
        outcome = send(capfd, server.url, "--json")
    assert outcome.status == 0
    assert parsed(outcome)["tls"] is None


def test_76_h036_a_reply_injected(capfd: Capture) -> None:
    injected = b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n"
    with FakeServer({"STARTTLS": injected}, offers=["STARTTLS"]) as server:
        outcome = send(capfd, f"submission://u:p@127.0.0.1:{server.port}")
    assert outcome.status == 76
    assert server.verbs[:2] == ["EHLO", "STARTTLS"]
    assert "AUTH" not in server.verbs


@pytest.mark.parametrize("answer", [b"hello\r\n", b"250-a\r\n550 b\r\n", b"250 a\r\n250 b\r\n"])
def test_76_the_server_breaks_the_rules(capfd: Capture, answer: bytes) -> None:
    with FakeServer({"MAIL": answer}, offers=[]) as server:
        outcome = send(capfd, server.url, "--no-pipelining")
    assert outcome.status == 76
    assert outcome.err.count("\n") == 1


def test_77_wrong_credentials(capfd: Capture, post: Post) -> None:
    outcome = send(capfd, post.url(user="me:wrong"))
    assert (outcome.status, outcome.out) == (77, "")
    assert "535 5.7.8" in outcome.err
    assert send(capfd, post.url(user=f"me:{URL_PASSWORD}")).status == 0


def test_lmtp_verdicts(capfd: Capture) -> None:
    verdicts = b"250 2.0.0 ok\r\n550 5.2.1 no\r\n"
    with FakeServer({".": verdicts}) as server:
        outcome = send(capfd, server.url.replace("smtp", "lmtp"), "--to", "c@example.net")
    assert outcome.status == 1
    assert "accepted <b@example.net>: 250 2.0.0 ok\n" in outcome.out
    assert outcome.err == "refused <c@example.net>: 550 5.2.1 no\n"

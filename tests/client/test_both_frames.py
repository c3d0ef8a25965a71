"""Tools that show the variables of each frame of a traceback find no password in ours."""

import base64
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import pytest

import smtpx
from smtpx.client.probe import probe
from smtpx.errors import SMTPXError
from tests.client.dialogues import BODY, FROM, TO
from tests.peers import Colour, ScriptedServer

PASSWORD = "hunter2hunter2"
SPELLINGS = (
    PASSWORD,
    base64.b64encode(PASSWORD.encode()).decode().rstrip("="),
    base64.b64encode(b"\0me\0" + PASSWORD.encode()).decode(),
)
START = "S: 220 x\nC: EHLO me\nS: 250-x\nS: 250 AUTH {}\n"
PLAIN = START.format("PLAIN") + f"C: AUTH PLAIN {SPELLINGS[2]}\n"
LOGIN = START.format("LOGIN") + "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: bWU=\nS: 334 UGFzc3dvcmQ6\n"
LOGIN += f"C: {base64.b64encode(PASSWORD.encode()).decode()}\n"
QUIT = "C: QUIT\nS: 221 bye\n"


def frames(error: BaseException | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Variables of our own frames, of the error and all that is shown with it."""
    while error is not None:
        tb: TracebackType | None = error.__traceback__
        while tb is not None:
            if "/smtpx/" in tb.tb_frame.f_code.co_filename and "/tests/" not in tb.tb_frame.f_code.co_filename:
                yield tb.tb_frame.f_code.co_qualname, dict(tb.tb_frame.f_locals)
            tb = tb.tb_next
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def check(action: Callable[[], object]) -> None:
    with pytest.raises(SMTPXError) as caught:
        action()
    found = list(frames(caught.value))
    assert found
    for name, variables in found:
        shown = repr(variables)
        assert not [each for each in SPELLINGS if each in shown], name


@pytest.mark.parametrize(
    "script",
    [
        "S: 554 no\n",
        PLAIN + "S: 535 no\n" + QUIT,
        PLAIN + "EOF\n",
        LOGIN + "S: 535 no\n" + QUIT,
        LOGIN + "S: 334 UGFzc3dvcmQ6\nC: *\nS: 501 ok\n" + QUIT,
        PLAIN + "S: 235 ok\nC: MAIL FROM:<" + FROM + ">\nS: 550 no\n" + QUIT,
    ],
    ids=["greeting", "plain", "plain lost", "login", "login given up", "mail"],
)
def test_when_a_conversation_fails(colour: Colour, script: str) -> None:
    def through_a_client(url: str) -> None:
        with colour.client(url, hello_name="me") as client:
            client.send(BODY, sender=FROM, recipients=[TO])

    def open_one(url: str) -> None:
        with colour.open(url, hello_name="me") as connection:
            connection.send(BODY, sender=FROM, recipients=[TO])

    for way in (through_a_client, open_one):
        with ScriptedServer(script, tolerant=True) as server:
            check(lambda way=way, port=server.port: way(f"smtp+plain://me:{PASSWORD}@127.0.0.1:{port}"))


@pytest.mark.parametrize("script", ["S: 554 no\n", PLAIN + "S: 535 no\n" + QUIT], ids=["greeting", "auth"])
@pytest.mark.parametrize("in_url", [True, False])
def test_send(script: str, in_url: bool) -> None:
    with ScriptedServer(script, tolerant=True) as server:
        user, options = (f"me:{PASSWORD}@", {}) if in_url else ("", {"username": "me", "password": PASSWORD})
        url = f"smtp+plain://{user}127.0.0.1:{server.port}"
        check(lambda: smtpx.send(url, BODY, sender=FROM, recipients=[TO], hello_name="me", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        f"smtp://me:{PASSWORD}@127.0.0.1:1/path",
        f"smtp://me:{PASSWORD}@127.0.0.1:1?timeout=x",
        f"smtp://me:{PASSWORD}%0a@127.0.0.1:1",
        f"smtp://me:{PASSWORD}@127.0.0.1:x",
        f"smto://me:{PASSWORD}@127.0.0.1:1",
    ],
)
def test_when_a_url_makes_no_sense(colour: Colour, url: str) -> None:
    check(lambda: colour.client(url))
    check(lambda: colour.open(url))
    check(lambda: smtpx.send(url, BODY, sender=FROM, recipients=[TO]))
    check(lambda: probe(url))
    check(lambda: colour.client("smtp://x", proxy=f"socks5://me:{PASSWORD}@127.0.0.1:x"))

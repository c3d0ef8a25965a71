"""The example of docs/extensions.md does what the document says, on a real port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import smtpx
from examples import own_extension
from examples.own_extension import Sorter, Tags

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "extensions.md").read_text(encoding="utf-8")
LETTER = b"Subject: hello\r\n\r\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with smtpx.ServerThread(Sorter, port=0, extensions=[*smtpx.STANDARD, Tags()]) as server:
        yield server.url


def connect(url: str, label: str | None = None) -> smtpx.Connection:
    return smtpx.Connection.open(url, extensions=[*smtpx.STANDARD, Tags(label=label)])


def test_it_runs_and_says_what_the_document_shows(capsys: pytest.CaptureFixture[str]) -> None:
    own_extension.main()
    out = capsys.readouterr().out
    assert out in DOCUMENT
    assert out.splitlines()[:3] == ["labels of up to 16 characters", "invoice=2", "newsletter=0"]


def test_every_extension_is_in_the_document() -> None:
    from smtpx.extensions import ALL

    for extension in ALL:
        assert f"`{extension.keyword}`" in DOCUMENT


def test_verb_and_keyword(url: str) -> None:
    with connect(url) as connection:
        assert connection.capabilities["XTAG"] == "16"
        assert connection.command("xtags").text == "nothing yet"
        connection.send(LETTER, sender="a@example.org", recipients="b@example.org")
        assert str(connection.command("XTAGS")) == "250 2.0.0 none=1"


@pytest.mark.parametrize(("argument", "code"), [("a b", 501), ("a;", 501)])
def test_arguments_that_are_refused(url: str, argument: str, code: int) -> None:
    with connect(url) as connection, pytest.raises(smtpx.PermanentRefusal) as caught:
        connection.command("XTAGS", argument)
    assert (caught.value.reply.code, caught.value.stage) == (code, "xtags")


def test_verb_inside_a_transaction(url: str) -> None:
    with connect(url) as connection:
        connection.mail("a@example.org")
        with pytest.raises(smtpx.PermanentRefusal) as caught:
            connection.command("XTAGS")
        assert caught.value.reply.code == 503
        assert connection.rcpt("b@example.org").code == 250


def test_labels_the_server_has_to_refuse(url: str) -> None:
    with connect(url) as connection:
        for parameter, text in (
            ("XTAG=" + "a" * 17, "at most 16"),
            ("XTAG=a.b", "letters, digits"),
            ("XTAG", "letters"),
        ):
            with pytest.raises(smtpx.PermanentRefusal, match=f"501 5.5.4 .*{text}"):
                _mail(connection, parameter)


def _mail(connection: smtpx.Connection, parameter: str) -> None:
    """A client without manners, which says what the extension would not."""
    link = connection._link
    protocol = link.conversation.protocol
    from smtpx.flows.exchange import command
    from smtpx.flows.steps import Flow, Timeouts

    def flow() -> Flow[None]:
        answer = yield from command(protocol, Timeouts(), "MAIL", f"FROM:<a@example.org> {parameter}")
        raise answer.refusal()

    link.run(flow())


def test_a_server_without_it() -> None:
    with smtpx.ServerThread(Sorter, port=0) as server, connect(server.url, "invoice") as connection:
        with pytest.raises(smtpx.UnsupportedError) as caught:
            connection.send(LETTER, sender="a@example.org", recipients="b@example.org")
        assert caught.value.keyword == "XTAG"
        with pytest.raises(smtpx.PermanentRefusal):
            connection.command("XTAGS")


async def test_the_other_colour(url: str) -> None:
    connection = await smtpx.AsyncConnection.open(url, extensions=[*smtpx.STANDARD, Tags(label="news")])
    async with connection:
        await connection.send(LETTER, sender="a@example.org", recipients="b@example.org")
        assert (await connection.command("XTAGS")).text == "news=1"


def test_verbs_of_smtp_have_methods(url: str) -> None:
    with connect(url) as connection:
        for verb in ("DATA", "quit", "StartTLS"):
            with pytest.raises(smtpx.LocalProtocolError, match="method of its own"):
                connection.command(verb)
        with pytest.raises(smtpx.LocalProtocolError):
            connection.command("XTAGS", "a\r\nRSET")
        assert connection.noop().code == 250


def test_offers_that_make_no_sense() -> None:
    assert [Tags.learn(offer) for offer in ((), ("x",), ("8",))] == [16, 16, 8]


def test_xclient_is_a_command_too() -> None:
    from smtpx.extensions import XClient
    from smtpx.protocol.facts import Claims

    extensions = [*smtpx.STANDARD, XClient(["127.0.0.1"])]
    with smtpx.ServerThread(Sorter, port=0, extensions=extensions) as server, connect(server.url) as connection:
        claims = Claims(address="198.51.100.7", hello_name="client.example")
        assert connection.command("XCLIENT", XClient.argument(claims)).code == 220
        connection.send(LETTER, sender="a@example.org", recipients="b@example.org")

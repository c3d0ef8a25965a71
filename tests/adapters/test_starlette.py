"""Starlette and FastAPI: P90 to P94 of the list of pains, and the acceptance list."""
# ruff: noqa: ANN401 - of values that are passed on

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import smtpx
from smtpx.adapters.starlette import Mailer, MailerLifespan, QueueFullError, get_mailer
from smtpx.mailer.local import ConsoleProvider, MemoryProvider
from smtpx.mailer.provider import NotTriedError, ProviderClosedError
from smtpx.mailer.settings import MailerSettings
from smtpx.mailer.smtp import SMTPProvider
from smtpx.mailer.template import Templates
from smtpx.message.attachments import Attachment
from smtpx.message.compose import Message
from smtpx.message.findings import MessageError
from tests.adapters.office import PASSWORD, USER, Office
from tests.adapters.web import TestClient
from tests.client.conftest import Certificates


def hello(*to: str, **more: Any) -> Message:
    return Message(
        from_="shop@example.org", to=list(to or ["jane@example.org"]), subject="Hello", text="a letter\n", **more
    )


async def send(request: Request) -> Response:
    result = await request.state.mailer.send(hello(request.query_params["to"]))
    return JSONResponse({"accepted": list(result.accepted), "refused": list(result.refused)})


async def send_soon(request: Request) -> Response:
    for number in range(int(request.query_params.get("count", 1))):
        request.state.mailer.send_soon(hello(f"jane{number}@example.org"))
    return Response(status_code=202)


ROUTES = [Route("/send", send), Route("/soon", send_soon)]


def wait_until(condition: Callable[[], object]) -> None:
    event = threading.Event()
    for _ in range(500):
        if condition():
            return
        event.wait(0.01)
    raise AssertionError("it did not come")


# The pains of the list ------------------------------------------------------------------------------------------------


def test_p90_one_url_says_it_all(secure: Office, certificates: Certificates) -> None:
    """sabuhish/fastapi-mail#59, #91."""
    place = f"localhost:{secure.port}?ca_file={quote(str(certificates.ca_file))}"
    mailer = MailerLifespan(f"submission://{USER}:{quote(PASSWORD, safe='')}@{place}")
    with TestClient(Starlette(routes=ROUTES, lifespan=mailer)) as client:
        assert client.get("/send?to=jane@example.org").json()["accepted"] == ["jane@example.org"]
    assert (secure.letters[0].user, secure.letters[0].tls) == (USER, True)


def test_p91_connections_are_kept(clear: Office) -> None:
    """sabuhish/fastapi-mail#275."""
    mailer = MailerLifespan(clear.server.url)
    with TestClient(Starlette(routes=ROUTES, lifespan=mailer)) as client:
        for _ in range(5):
            client.get("/send?to=jane@example.org")
        assert clear.connections == 1
    wait_until(lambda: clear.open == 0)


def test_p92_what_is_sent_soon_is_sent_at_shutdown_at_the_latest(clear: Office) -> None:
    """sabuhish/fastapi-mail#120, #221."""
    mailer = MailerLifespan(clear.server.url)
    with TestClient(Starlette(routes=ROUTES, lifespan=mailer)) as client:
        assert client.get("/soon?count=15").status_code == 202
    assert {each.recipients[0] for each in clear.letters} == {f"jane{number}@example.org" for number in range(15)}


async def test_p92_the_queue_has_an_end() -> None:
    provider = MemoryProvider()
    async with Mailer(provider, queue_size=2, workers=1) as mailer:
        mailer.send_soon(hello())
        mailer.send_soon(hello())
        assert mailer.waiting == 2
        with pytest.raises(QueueFullError, match="2 messages wait") as raised:
            mailer.send_soon(hello())
        assert raised.value.is_temporary
        await mailer.drain()
        assert mailer.waiting == 0
        mailer.send_soon(hello())
    assert len(provider.outbox) == 3


async def test_p92_failures_are_told(caplog: pytest.LogCaptureFixture) -> None:
    provider = MemoryProvider()
    provider.refuse("nobody@example.org")
    told: list[tuple[Any, Exception]] = []

    async def on_failure(message: Any, error: Exception) -> None:
        told.append((message, error))

    bad, partly = hello("nobody@example.org"), hello("jane@example.org", "nobody@example.org")
    async with Mailer(provider, on_failure=on_failure) as mailer:
        mailer.send_soon(bad)
        mailer.send_soon(hello())
        mailer.send_soon(partly)
    assert [message for message, _ in told] == [bad, partly]
    assert isinstance(told[0][1], smtpx.PermanentRefusal)
    assert list(told[1][1].result.accepted) == ["jane@example.org"]  # type: ignore[attr-defined]
    assert "not sent to everybody: " in caplog.text
    assert len(provider.outbox) == 2


@pytest.mark.parametrize("on_failure", [None, lambda message, error: 1 / 0])
async def test_p92_failures_are_logged_at_least(on_failure: Any, caplog: pytest.LogCaptureFixture) -> None:
    provider = MemoryProvider()
    provider.fail(smtpx.ConnectError("nobody there", stage="connect"))
    async with Mailer(provider, on_failure=on_failure) as mailer:
        mailer.send_soon(hello())
        mailer.send_soon(hello())
    assert "nobody there" in caplog.text
    assert ("on_failure failed" in caplog.text) is (on_failure is not None)
    assert len(provider.outbox) == 1


async def test_p92_a_shutdown_has_an_end() -> None:
    provider = MemoryProvider(close_seconds=0)
    provider.delay_seconds = 60
    told: list[tuple[Any, Exception]] = []
    first, second = hello(), hello()
    mailer = Mailer(provider, workers=1, drain_seconds=0.05, on_failure=lambda *what: told.append(what))
    mailer.send_soon(first)
    mailer.send_soon(second)
    await asyncio.sleep(0.01)
    await mailer.close()
    assert [message for message, _ in told] == [first, second]
    assert isinstance(told[0][1], smtpx.ConnectionLost)  # it may have been sent
    assert isinstance(told[1][1], NotTriedError)
    with pytest.raises(ProviderClosedError):
        mailer.send_soon(hello())
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "smtpx-mailer"]


async def test_p92_nothing_is_taken_while_it_shuts_down() -> None:
    provider = MemoryProvider()
    provider.delay_seconds = 0.05
    mailer = Mailer(provider)
    mailer.send_soon(hello())
    closing = asyncio.create_task(mailer.close())
    await asyncio.sleep(0)
    with pytest.raises(NotTriedError, match="shutting down"):
        mailer.send_soon(hello())
    await closing
    await mailer.close()
    assert len(provider.outbox) == 1


async def test_p92_what_can_never_be_sent_is_refused_at_once() -> None:
    async with Mailer(MemoryProvider()) as mailer:
        with pytest.raises(MessageError, match="recipient"):
            mailer.send_soon(Message(from_="shop@example.org", text="x"))
        with pytest.raises(smtpx.ConfigurationError, match="elsewhere"):
            mailer.send_soon(hello(), provider="elsewhere")
        assert mailer.waiting == 0


def test_p93_text_is_never_a_path() -> None:
    with pytest.raises(TypeError, match="a file is Path"):
        hello(attachments=[Attachment("/etc/passwd")])  # type: ignore[arg-type]


def test_p94_errors_have_types(clear: Office) -> None:
    mailer = MailerLifespan(clear.server.url)
    with TestClient(Starlette(routes=ROUTES, lifespan=mailer)) as client:
        with pytest.raises(smtpx.PermanentRefusal) as raised:
            client.get("/send?to=nobody@example.org")
        assert (raised.value.stage, raised.value.recipient) == ("rcpt", "nobody@example.org")
        with pytest.raises(smtpx.TemporaryRefusal):
            client.get("/send?to=later@example.org")
        clear.at_data = smtpx.Reject.content_refused()
        with pytest.raises(smtpx.PermanentRefusal) as raised:
            client.get("/send?to=jane@example.org")
        assert raised.value.stage == "final"


# The lifespan ---------------------------------------------------------------------------------------------------------


def fastapi_app(mailer: MailerLifespan) -> FastAPI:
    app = FastAPI(lifespan=mailer)

    @app.post("/signup")
    async def signup(to: str, mailer: Annotated[Mailer, Depends(get_mailer)]) -> dict[str, list[str]]:
        result = await mailer.send(Message(to=to, subject="Welcome", text="hello"))
        return {"accepted": list(result.accepted)}

    @app.websocket("/live")
    async def live(socket: WebSocket, mailer: Annotated[Mailer, Depends(get_mailer)]) -> None:
        await socket.accept()
        mailer.send_soon(Message(to=await socket.receive_text(), subject="Live", text="hello"))
        await socket.close()

    return app


def test_fastapi() -> None:
    mailer = MailerLifespan("memory:", from_email="shop@example.org")
    with TestClient(fastapi_app(mailer)) as client:
        assert client.post("/signup?to=jane@example.org").json() == {"accepted": ["jane@example.org"]}
        with client.websocket_connect("/live") as socket:
            socket.send_text("joe@example.org")
    assert [(each.subject, each.recipients) for each in mailer.outbox] == [
        ("Welcome", ("jane@example.org",)),
        ("Live", ("joe@example.org",)),
    ]
    assert mailer.outbox[0].sender == "shop@example.org"


def test_endpoints_that_are_no_coroutines(clear: Office) -> None:
    mailer = MailerLifespan(clear.server.url)
    app = FastAPI(lifespan=mailer)

    @app.post("/signup")
    def signup(to: str, mailer: Annotated[Mailer, Depends(get_mailer)]) -> str:
        with pytest.raises(MessageError):
            mailer.send_soon(hello("jane@"))
        mailer.send_soon(hello(to))
        return threading.current_thread().name

    with TestClient(app) as client:
        assert "AnyIO worker" in client.post("/signup?to=jane@example.org").json()
    assert clear.letters[0].recipients == ["jane@example.org"]


async def test_what_a_thread_gives_at_the_last_moment_is_told() -> None:
    told: list[Exception] = []
    mailer = Mailer(MemoryProvider(), on_failure=lambda message, error: told.append(error))
    async with mailer:
        blocked = threading.Thread(target=mailer.send_soon, args=(hello(),))
        blocked.start()
        blocked.join()  # the loop can't take it meanwhile
        mailer._desk.close()  # as it is when everything was drained
        await asyncio.sleep(0.01)
    assert [type(each) for each in told] == [NotTriedError]


def test_builders_and_templates() -> None:
    mailer = MailerLifespan("memory:", templates=Templates({"hello.txt": "Hello {{ name }}"}))

    async def build(request: Request) -> Response:
        new = request.state.mailer.new()
        await new.from_("shop@example.org").to("jane@example.org").subject("Hi").template("hello", name="Jane").send()
        return Response()

    with TestClient(Starlette(routes=[Route("/", build)], lifespan=mailer)) as client:
        client.get("/")
    assert "Hello Jane" in mailer.outbox[0].email.get_content()


def test_an_application_may_start_again(clear: Office) -> None:
    mailer = MailerLifespan(clear.server.url)
    app = Starlette(routes=ROUTES, lifespan=mailer)
    for _ in range(2):
        with TestClient(app) as client:
            client.get("/send?to=jane@example.org")
    assert len(clear.letters) == 2
    assert mailer.mailer.is_closed


def test_composed_with_another_lifespan() -> None:
    mailer = MailerLifespan("memory:")

    @asynccontextmanager
    async def other(app: object) -> AsyncIterator[dict[str, Any]]:
        yield {"more": "state"}
        mailer.mailer.send_soon(hello("last@example.org"))

    @asynccontextmanager
    async def without_state(app: object) -> AsyncIterator[None]:
        yield

    async def see(request: Request) -> Response:
        get_mailer(request).send_soon(hello())
        return Response(request.state.more)

    app = Starlette(routes=[Route("/", see)], lifespan=mailer.compose(other))
    with TestClient(app) as client:
        assert client.get("/").text == "state"
    assert [each.recipients for each in mailer.outbox] == [("jane@example.org",), ("last@example.org",)]
    with TestClient(Starlette(routes=ROUTES, lifespan=mailer.compose(without_state))) as client:
        assert client.get("/send?to=jane@example.org").status_code == 200


def test_get_mailer_without_the_lifespan() -> None:
    async def see(request: Request) -> Response:
        return Response(str(get_mailer(request)))

    with TestClient(Starlette(routes=[Route("/", see)])) as client, pytest.raises(RuntimeError, match="MailerLifespan"):
        client.get("/")


def test_the_outbox_is_for_tests() -> None:
    with pytest.raises(smtpx.ConfigurationError, match="memory:"):
        _ = MailerLifespan(ConsoleProvider()).outbox


def test_several_providers() -> None:
    providers = {"transactional": MemoryProvider(), "bulk": MemoryProvider()}
    mailer = MailerLifespan(providers, default="bulk")
    with TestClient(Starlette(routes=ROUTES, lifespan=mailer)) as client:
        client.get("/soon")
    assert [len(each.outbox) for each in providers.values()] == [0, 1]


@pytest.mark.parametrize("options", [{"queue_size": 0}, {"workers": 0}, {"drain_seconds": -1}, {"max_recipients": 0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(smtpx.ConfigurationError):
        MailerLifespan("memory:", **options)


def test_settings_of_the_environment() -> None:
    given = {"SMTPX_URL": "memory:", "SMTPX_FROM": "shop@example.org", "SMTPX_MAX_RECIPIENTS": "1"}
    mailer = MailerLifespan(MailerSettings.from_environment(given))
    with TestClient(fastapi_app(mailer)) as client:
        client.post("/signup?to=jane@example.org")
        with pytest.raises(MessageError, match="recipients"):
            client.post("/signup?to=jane@example.org,joe@example.org")
    assert [each.sender for each in mailer.outbox] == ["shop@example.org"]


def test_a_url_that_makes_no_sense() -> None:
    with pytest.raises(smtpx.ConfigurationError, match="did you mean"):
        MailerLifespan("submision://mail.example.org")


def test_no_thread_is_left(clear: Office) -> None:
    before = set(threading.enumerate())
    with TestClient(Starlette(routes=ROUTES, lifespan=MailerLifespan(clear.server.url))) as client:
        client.get("/send?to=jane@example.org")
    assert set(threading.enumerate()) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_does_not_share_connections(clear: Office) -> None:
    program = f"""
import asyncio, os
from smtpx.adapters.starlette import MailerLifespan
from smtpx.message.compose import Message
mailer = MailerLifespan({clear.server.url!r})

async def live(name):
    async with mailer(None) as state:
        state["mailer"].send_soon(Message(from_="shop@example.org", to=name + "@example.org", text="x"))

loop = asyncio.new_event_loop()
parent = mailer(None)
state = loop.run_until_complete(parent.__aenter__())
letter = Message(from_="shop@example.org", to="parent@example.org", text="x")
loop.run_until_complete(state["mailer"].send(letter))
child = os.fork()
if not child:
    asyncio.run(live("child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(state["mailer"].send(letter))
loop.run_until_complete(parent.__aexit__(None, None, None))
loop.close()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (run.returncode, run.stderr) == (0, "")
    assert [each.recipients[0].partition("@")[0] for each in clear.letters] == ["parent", "child", "parent"]
    assert clear.connections == 2


def test_certificate_trouble_and_wrong_passwords(secure: Office) -> None:
    url = f"submission://{USER}:wrong@localhost:{secure.port}"
    with TestClient(Starlette(routes=ROUTES, lifespan=MailerLifespan(url))) as client:
        with pytest.raises(smtpx.TLSError) as raised:
            client.get("/send?to=jane@example.org")
        assert (raised.value.is_certificate, raised.value.stage) == (True, "starttls")
    provider = SMTPProvider("localhost", secure.port, USER, "wrong", verify=False)
    with TestClient(Starlette(routes=ROUTES, lifespan=MailerLifespan(provider))) as client:
        with pytest.raises(smtpx.AuthenticationError) as refused:
            client.get("/send?to=jane@example.org")
        assert refused.value.stage == "auth"


def test_without_starlette_it_says_what_is_missing() -> None:
    program = "import sys; sys.modules['starlette'] = None; import smtpx.adapters.starlette"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert "ImportError: this needs smtpx[starlette]" in run.stderr

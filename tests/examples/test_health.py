"""Probes over HTTP, of a mail server that is killed, stopped and started again."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest

from examples.health import asgi_health, wsgi_health
from smtpx.mailer import MailService, SMTPProvider, SyncMailService
from tests.cli.peers import Served, serving
from tests.mailer.rig import letter


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--maildir", tmp_path / "Maildir") as server:
        yield server


def provider_for(served: Served) -> SMTPProvider:
    url = served.url.replace("smtp://", "smtp+plain://")
    return SMTPProvider.from_url(url, rate_limit=None, check_seconds=0.5, check_cache_seconds=0)


async def test_asgi(served: Served) -> None:
    async with MailService(provider_for(served)) as mail:
        transport = httpx.ASGITransport(asgi_health(mail))
        async with httpx.AsyncClient(transport=transport, base_url="http://app.example") as client:

            async def ask(path: str) -> tuple[int, Any]:
                found = await client.get(path)
                assert found.headers["content-type"] == "application/json"
                return found.status_code, found.json()

            status, told = await ask("/readyz")
            assert (status, told["state"]) == (200, "DEGRADED")  # it connects on first send
            await mail.send(letter())
            status, told = await ask("/readyz")
            assert (status, told["state"], told["dependencies"][0]["state"]) == (200, "HEALTHY", "HEALTHY")
            served.process.send_signal(signal.SIGSTOP)  # the kernel still accepts, and nobody answers
            try:
                status, told = await ask("/readyz")
            finally:
                served.process.send_signal(signal.SIGCONT)
            assert (status, told["state"]) == (503, "UNHEALTHY")
            assert "no answer in 0.5 s" in told["dependencies"][0]["message"]
            assert (await ask("/readyz"))[0] == 200
            await mail.send(letter())  # the answer that came too late has not put it out of step
            served.process.kill()
            served.process.wait()
            assert (await ask("/readyz"))[0] == 503
            status, told = await ask("/livez")
            assert (status, told["state"]) == (200, "HEALTHY")
            assert (await ask("/other"))[0] == 404


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_wsgi(served: Served) -> None:
    with (
        SyncMailService(provider_for(served)) as mail,
        make_server("127.0.0.1", 0, wsgi_health(mail), handler_class=Quiet) as web,
    ):
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()

        def ask(path: str) -> tuple[int, Any]:
            try:
                with urlopen(f"http://127.0.0.1:{web.server_port}{path}", timeout=5) as found:
                    return found.status, json.load(found)
            except HTTPError as error:
                with error:
                    return error.code, json.load(error)

        try:
            mail.send(letter())
            assert ask("/readyz")[1]["state"] == "HEALTHY"
            assert ask("/livez")[0] == 200
            served.process.kill()
            served.process.wait()
            status, told = ask("/readyz")
            assert (status, told["state"], told["dependencies"][0]["name"]) == (
                503,
                "UNHEALTHY",
                "EmailProvider (SMTP)",
            )
            assert ask("/livez")[0] == 200
            assert ask("/")[0] == 404
        finally:
            web.shutdown()
            thread.join()

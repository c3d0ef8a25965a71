"""Liveness and readiness of mail for the probes of Kubernetes: 200 while it is at work, 503 when it is not.

One application for ASGI servers, one for WSGI servers; mount them beside your own, or copy what you need.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from smtpx.mailer import Health, MailService, Probe, SyncMailService, http_answer

PROBES = {"/livez": Probe.LIVENESS, "/readyz": Probe.READINESS}
HEADERS = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
Message = MutableMapping[str, Any]


def answer(health: Health | None) -> tuple[int, bytes]:
    """Status and body; None is for a path that is no probe."""
    status, told = (404, {"message": "no such probe"}) if health is None else http_answer(health)
    return status, json.dumps(told).encode()


def asgi_health(service: MailService) -> Callable[..., Awaitable[None]]:
    """For Uvicorn, Hypercorn and Granian; in the event loop that sends the mail."""

    async def application(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        probe = PROBES.get(scope["path"])
        status, body = answer(None if probe is None else await service.check(probe))
        headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


def wsgi_health(service: SyncMailService) -> Callable[..., Iterable[bytes]]:
    """For Gunicorn, uWSGI and mod_wsgi; in the process that sends the mail."""

    def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        probe = PROBES.get(environ["PATH_INFO"])
        status, body = answer(None if probe is None else service.check(probe))
        start_response(f"{status} {HTTPStatus(status).phrase}", list(HEADERS))  # which servers add to
        return [body]

    return application

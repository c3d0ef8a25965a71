"""A FastAPI application that welcomes people by mail, in the background.

    SMTPX_URL=submission://user:secret@mail.example.org SMTPX_FROM=shop@example.org fastapi dev examples/fastapi_app.py

Any ASGI server runs it, such as uvicorn. Without SMTPX_URL it prints what it would send. Try it:

    curl -X POST 'http://127.0.0.1:8000/signup?email=you@example.org'
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse

from smtpx.adapters.starlette import Mailer, MailerLifespan, QueueFullError, get_mailer
from smtpx.mailer.provider import Probe
from smtpx.mailer.settings import MailerSettings
from smtpx.message.compose import Message
from smtpx.message.findings import MessageError
from smtpx.message.sendable import Sendable

Mail = Annotated[Mailer, Depends(get_mailer)]


def create_app(environment: Mapping[str, str] = os.environ) -> FastAPI:
    """The application, by the SMTPX_ variables of an environment."""
    settings = MailerSettings.from_environment(
        {"SMTPX_URL": "console:", "SMTPX_FROM": "shop@example.org", **environment}
    )
    app = FastAPI(lifespan=MailerLifespan(settings, on_failure=undelivered))
    app.post("/signup", status_code=202)(signup)
    app.post("/invite", status_code=200)(invite)
    app.get("/health")(health)
    return app


def undelivered(message: Sendable, error: Exception) -> None:
    """What is sent in the background has nobody to raise to: here it would be noted in the user's record."""
    logging.getLogger("shop").warning("%s was not delivered: %s", message.message_id or "a letter", error)


async def signup(email: str, mailer: Mail) -> dict[str, str]:
    """Welcome somebody, without waiting for the mail server."""
    try:
        mailer.send_soon(Message(to=email, subject="Welcome", html="<p>We are <b>glad</b> that you are here."))
    except MessageError as error:
        raise HTTPException(422, str(error)) from None
    except QueueFullError as error:
        raise HTTPException(503, str(error)) from None
    return {"status": "a letter is on its way"}


async def invite(email: str, mailer: Mail) -> dict[str, Any]:
    """Invite several people, and say who can be written to."""
    result = await mailer.send(Message(to=email, subject="Come and see", text="You are invited.\n"))
    return {"invited": list(result.accepted), "refused": {each: str(why) for each, why in result.refused.items()}}


async def health(mailer: Mail) -> JSONResponse:
    """For a readiness probe."""
    found = await mailer.check(Probe.READINESS)
    return JSONResponse(found.to_json(), 200 if found.is_ok else 503)


app = create_app()

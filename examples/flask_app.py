"""A Flask application that welcomes people by mail.

    SMTPX_URL=submission://user:secret@mail.example.org flask --app examples/flask_app.py run

Without SMTPX_URL it prints what it would send. Try it: curl -d email=you@example.org http://127.0.0.1:5000/signup
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request

from smtpx.adapters.flask import BadHeaderError, DeliveryError, Mail, Message

mail = Mail()


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application; Flask's command finds this name."""
    app = Flask(__name__)
    app.config.update(
        SMTPX_URL=os.environ.get("SMTPX_URL", "console:"), MAIL_DEFAULT_SENDER=("Shop", "shop@example.org")
    )
    app.config.update(config or {})
    mail.init_app(app)
    app.post("/signup")(signup)
    return app


def signup() -> Response:
    """Welcome somebody; who can't be written to is told so at once."""
    try:
        message = Message("Welcome", recipients=[request.form.get("email", "")])
        message.body = "We are glad that you are here.\n"
        message.html = "<p>We are <b>glad</b> that you are here."
        mail.send(message)
    except BadHeaderError as error:
        return Response(f"that is no address: {error}\n", 422)
    except DeliveryError as error:
        if error.is_temporary:
            return Response("we can't write to you now; please try again later\n", 503)
        return Response(f"we can't write to you: {error}\n", 422)
    return Response("we have sent you a letter\n", 202)

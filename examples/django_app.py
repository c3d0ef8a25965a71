"""A Django project in one file that welcomes people by mail.

    SMTPX_URL=submission://user:secret@mail.example.org python examples/django_app.py runserver
    SMTPX_URL=... python examples/django_app.py sendtestemail you@example.org

Without SMTPX_URL mail goes to 127.0.0.1, port 1025, where `smtpx inbox` listens. Try it:

    curl -d email=you@example.org http://127.0.0.1:8000/signup
"""

from __future__ import annotations

import os
import sys

from django.conf import settings
from django.core import mail
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from smtpx.adapters.django import DeliveryError

BACKEND = "smtpx.adapters.django.EmailBackend"
OPTIONS = {"url": os.environ.get("SMTPX_URL", "smtp://127.0.0.1:1025"), "timeout": 20}


def mail_settings() -> dict[str, object]:
    """As this Django wants them."""
    if hasattr(mail, "mailers"):  # 6.1 and newer
        return {"MAILERS": {"default": {"BACKEND": BACKEND, "OPTIONS": OPTIONS}}}
    return {"EMAIL_BACKEND": BACKEND, "EMAIL_SMTPX": OPTIONS}


@csrf_exempt  # so that curl can post; a real form has its token
def signup(request: HttpRequest) -> HttpResponse:
    """Welcome somebody; who can't be written to is told so at once."""
    letter = mail.EmailMultiAlternatives(
        "Welcome", "We are glad that you are here.\n", to=[request.POST.get("email", "nobody")]
    )
    letter.attach_alternative("<p>We are <b>glad</b> that you are here.", "text/html")
    try:
        letter.send()
    except DeliveryError as error:
        status = 503 if error.is_temporary else 422
        return HttpResponse(f"we can't write to you: {error}\n", status=status)
    except ValueError as error:
        return HttpResponse(f"that is no address: {error}\n", status=422)
    return HttpResponse("we have sent you a letter\n", status=202)


urlpatterns = [path("signup", signup)]


def configure() -> None:
    """Settings, as a project has them in a module of their own."""
    settings.configure(
        SECRET_KEY="this is an example, and no secret",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
        DEFAULT_FROM_EMAIL="Shop <shop@example.org>",
        USE_TZ=True,
        **mail_settings(),
    )


if __name__ == "__main__":
    configure()
    execute_from_command_line(sys.argv)

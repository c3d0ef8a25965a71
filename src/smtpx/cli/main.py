"""The `smtpx` command: its group, and the one place where exceptions become messages and exit statuses."""

import sys
from collections.abc import Sequence

import click

import smtpx
from smtpx.cli.send import send
from smtpx.cli.serve import serve
from smtpx.cli.status import Status, status_of
from smtpx.errors import SMTPXError

__all__ = ["command", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(smtpx.__version__, prog_name="smtpx", message="%(prog)s %(version)s")
def command() -> None:
    """SMTP for Python: receive mail, send mail.

    \b
    Examples:
      smtpx serve --port 2525 --maildir ./Maildir
      smtpx send --url smtp://127.0.0.1:2525 --from a@example.org --to b@example.org --text 'Hello'
    """


command.add_command(serve)
command.add_command(send)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit status; never a traceback.

    Args:
        arguments: instead of the program's own.
    """
    try:
        result = command.main(
            args=list(arguments) if arguments is not None else None, prog_name="smtpx", standalone_mode=False
        )
    except click.UsageError as error:
        error.show()
        return Status.USAGE
    except click.ClickException as error:
        error.show()
        return Status.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Status.INTERRUPTED
    except SMTPXError as error:
        return _fail(str(error), status_of(error))
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said, not even at exit.
        sys.stdout = None  # type: ignore[assignment]
        return Status.OK
    except OSError as error:
        return _fail(str(error), Status.CANT_CREATE)
    except Exception as error:  # noqa: BLE001 - the last resort before a traceback
        return _fail(f"internal error: {type(error).__name__}: {error}", Status.INTERNAL)
    return int(result or 0)


def _fail(text: str, status: Status) -> int:
    click.echo(f"smtpx: {text}", err=True)
    return status

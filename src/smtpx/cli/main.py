"""The `smtpx` command: its group, and the one place where exceptions become messages and exit statuses."""

from collections.abc import Sequence

import click

import smtpx
from smtpx.cli.output import complain
from smtpx.cli.probe import look
from smtpx.cli.send import send
from smtpx.cli.serve import serve
from smtpx.cli.status import Status, status_of
from smtpx.errors import SMTPXError

__all__ = ["command", "run"]

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT, invoke_without_command=True)
@click.version_option(smtpx.__version__, prog_name="smtpx", message="%(prog)s %(version)s")
@click.pass_context
def command(context: click.Context) -> None:
    """SMTP for Python: receive mail, send mail, look at servers.

    \b
    Examples:
      smtpx serve --port 2525 --maildir ./Maildir
      smtpx send --url smtp://127.0.0.1:2525 --from a@example.org --to b@example.org --text 'Hello'
      smtpx probe mail.example.org
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(Status.USAGE)


command.add_command(serve)
command.add_command(send)
command.add_command(look)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit status; never a traceback.

    Args:
        arguments: instead of the program's own.
    """
    args = None if arguments is None else list(arguments)
    try:
        return int(command.main(args=args, prog_name="smtpx", standalone_mode=False) or 0)
    except click.UsageError as error:
        return _fail(_one_line(error), Status.USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), Status.UNAVAILABLE)
    except (click.Abort, KeyboardInterrupt):
        return Status.INTERRUPTED
    except SystemExit:
        return Status.OK  # click's way of saying that whoever read our output has gone
    except SMTPXError as error:
        return _fail(str(error), status_of(error))
    except OSError as error:
        return _fail(_reason(error), Status.CANT_CREATE)
    except Exception as error:  # the last resort before a traceback
        return _fail(f"internal error: {type(error).__name__}: {error}", Status.INTERNAL)


def _one_line(error: click.UsageError) -> str:
    text = " ".join(error.format_message().split()).removesuffix(".")
    return f"{text} (see {error.ctx.command_path} --help)" if error.ctx is not None else text


def _reason(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror}{where}" if error.strerror else str(error)


def _fail(text: str, status: Status) -> int:
    complain(text)
    return status

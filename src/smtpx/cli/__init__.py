"""The command line. `run` is where it begins and where every error ends."""

from smtpx.cli.main import run

__all__ = ["run"]

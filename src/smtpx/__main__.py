"""`python -m smtpx` and the `smtpx` command."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits with a status of sysexits.h."""
    try:
        import click  # noqa: F401 - only to know whether the extra is there
        import rich  # noqa: F401
    except ImportError:
        print("smtpx: this needs smtpx[cli]: pip install 'smtpx[cli]'", file=sys.stderr)  # noqa: T201
        sys.exit(64)
    from smtpx.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()

"""`python -m smtpx` and the `smtpx` command."""

import importlib
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits with a status of sysexits.h."""
    try:
        for name in ("click", "rich"):
            importlib.import_module(name)
    except ImportError:
        sys.stderr.write("smtpx: the command needs smtpx[cli]: pip install 'smtpx[cli]'\n")
        sys.exit(64)
    from smtpx.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()

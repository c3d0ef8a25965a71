"""`python -m smtpx` and the `smtpx` command."""

import importlib
import os
import sys

__all__ = ["main"]

_INTERRUPTED = 130
_LAST_STANDARD = 2


def main() -> None:
    """Run the command line; exits with a status of sysexits.h."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:  # before there is anything to stop
        sys.exit(_INTERRUPTED)


def _run() -> int:
    _open_closed_descriptors()
    try:
        for name in ("click", "rich"):
            importlib.import_module(name)
    except ImportError:
        sys.stderr.write("smtpx: the command needs smtpx[cli]: pip install 'smtpx[cli]'\n")
        return 64
    from smtpx.cli import run

    return run()


def _open_closed_descriptors() -> None:
    """See that no socket gets the number of a standard stream: what is written there would go to a peer."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    main()

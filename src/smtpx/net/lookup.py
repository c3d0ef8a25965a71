"""Finding the addresses of a name, for callers that block, and not for longer than they want to wait."""

import socket
import threading

from smtpx.net.addresses import Found, lookup_flags

__all__ = ["look_up"]


def look_up(host: str, port: int, timeout_seconds: float) -> Found:
    """What the system knows of a name.

    The system's patience is its own: several name servers, several times each. So a thread asks; one that is late is
    left behind, and ends when the system has made up its mind.

    Raises:
        OSError, UnicodeError: as `socket.getaddrinfo` does.
        TimeoutError: no answer in time.
    """
    if flags := lookup_flags(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    answers: list[Found | Exception] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=ask, name="smtpx-look-up", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    answer = answers[0] if answers else TimeoutError(f"no answer in {timeout_seconds:g} s")
    if isinstance(answer, Exception):
        raise answer
    return answer

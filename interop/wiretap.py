"""A plain-text relay between a client and a server that notes who spoke before being answered."""

import contextlib
import socket
import threading
import time

__all__ = ["Wiretap"]

# Replies are held back this long: whatever the client sends meanwhile, it sent without waiting.
_HOLD_SECONDS = 0.05


class Wiretap:
    """Listens on a loopback port, passes one connection after the other on to another one.

    `turns` holds, per reply awaited, everything that the client said since the reply before.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.turns: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Wiretap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                    self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        self.turns.append(b"")
        forward = threading.Thread(target=self._forward, args=(client, server), daemon=True)
        forward.start()
        while reply := server.recv(65536):
            time.sleep(_HOLD_SECONDS)
            self.turns.append(b"")
            with contextlib.suppress(OSError):
                client.sendall(reply)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
        forward.join(10)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := client.recv(65536):
                self.turns[-1] += said
                server.sendall(said)
            server.shutdown(socket.SHUT_WR)

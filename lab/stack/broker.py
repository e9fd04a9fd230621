"""A broker that takes TCP connections and never says a word: fault F1, as production met it."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Self

from lab.stack.ports import free_port


class MuteBroker:
    """Listens on `port` from a thread of its own until it is stopped.

    It reads what clients send, so that their writes succeed, and closes only what they close.
    """

    def __init__(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        """Listen on an address of this machine, on a free port unless one is given."""
        self.port = port or free_port()
        self.url = f"amqp://guest:guest@{host}:{self.port}/%2F"
        self._listener = socket.create_server((host, self.port), backlog=1024)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="mute-broker", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close every connection: clients see a broker that went away."""
        self._wake.close()
        self._thread.join(5)

    def _serve(self) -> None:
        clients: set[socket.socket] = set()
        with self._listener, self._woken, selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    break
                if self._listener in ready:
                    client, _ = self._listener.accept()
                    clients.add(client)
                    selector.register(client, selectors.EVENT_READ)
                for client in clients & ready:
                    if not _read(client):
                        selector.unregister(client)
                        client.close()
                        clients.remove(client)
        for client in clients:
            client.close()


def _read(client: socket.socket) -> bytes:
    try:
        return client.recv(65_536)
    except OSError:
        return b""

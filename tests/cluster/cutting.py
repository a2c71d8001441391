"""A way to an API server that a test can have go silent: nothing is refused or closed, nothing comes any more."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml

CHUNK = 1 << 16


class Wire:
    """Listens on this machine and hands on to the server that a kubeconfig names."""

    def __init__(self, kubeconfig: str) -> None:
        self._given = yaml.safe_load(Path(kubeconfig).read_text())
        url = urlsplit(self._given["clusters"][0]["cluster"]["server"])
        self._server = (str(url.hostname), url.port or 443)
        self._holes: list[threading.Event] = []  # of each connection; set: nothing goes through it, for ever
        self._silent = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def kubeconfig(self, path: Path) -> str:
        """A file with the same credentials, over this wire."""
        made = json.loads(json.dumps(self._given))
        port = self._listening.getsockname()[1]
        made["clusters"][0]["cluster"] |= {"server": f"https://127.0.0.1:{port}", "tls-server-name": self._server[0]}
        path.write_text(json.dumps(made))
        return str(path)

    def go_silent(self) -> None:
        """As a firewall that drops packets: connections that are there stay so, new ones are not answered."""
        self._silent = True
        for hole in self._holes:
            hole.set()

    def heal(self) -> None:
        """New connections go through; those of before stay dead, as after a router that forgot them."""
        self._silent = False

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                hole = threading.Event()
                self._holes.append(hole)
                if self._silent:
                    hole.set()
                threading.Thread(target=self._hand_on, args=(client, hole), daemon=True).start()

    def _hand_on(self, client: socket.socket, hole: threading.Event) -> None:
        with contextlib.suppress(OSError), client:
            if hole.is_set():
                threading.Event().wait()
            with socket.create_connection(self._server, timeout=10) as server:
                while True:
                    for one in select.select([client, server], [], [], 0.2)[0]:
                        if hole.is_set():
                            threading.Event().wait()
                        data = one.recv(CHUNK)
                        if not data:
                            return
                        (server if one is client else client).sendall(data)
                    if hole.is_set():
                        threading.Event().wait()

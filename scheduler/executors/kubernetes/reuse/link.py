"""The line to a pod that stays: the API server attaches us to the standard streams of its process 1.

It goes the way that logs go, from the API server to the node: whoever runs outside the cluster has it, no NetworkPolicy
stands in between, nothing listens in the pod, and who may speak is the cluster's own question of rights (pods/attach).
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import websocket

from scheduler.executors.kubernetes.client import FORBIDDEN, Api, ApiError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Message = Json | Callable[[], Json | None]  # or how it is made, just before it is sent
STDIN, STDOUT, PROBLEM = 0, 1, 3  # channels of the protocol v4.channel.k8s.io
PING_SECONDS = 20.0
SILENT_SECONDS = 65.0  # after which a line counts as dead
LONGEST_LINE = 16 * 1024**2  # bytes; what a pod says of itself and its tasks has far fewer
PAUSES = (0.1, 0.3, 1.0, 3.0, 5.0)  # seconds between two tries


class Link:
    """`say` may be called by anybody. The callbacks are called from threads of its own; `refused`: we have no right."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        pod: str,
        container: str,
        *,
        heard: Callable[[Json], None],
        connected: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self.api, self.namespace, self.pod, self.container = api, namespace, pod, container
        self.heard, self.connected, self.refused = heard, connected, refused
        self.heard_at = time.monotonic()
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._socket: Any = None
        self._sending = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        for work in (self._receive, self._send):
            threading.Thread(target=work, name=f"line to {self.pod}", daemon=True).start()

    def say(self, message: Message) -> None:
        """Once it is connected; what was said into a line that broke is lost: the state is asked for after that."""
        self._messages.put(message)

    def stop(self) -> None:
        self._stopped.set()
        self._messages.put(None)
        self._close()

    def _receive(self) -> None:
        tries = 0
        while not self._stopped.is_set():
            try:
                self._socket = self.api.attach(self.namespace, self.pod, self.container, timeout=SILENT_SECONDS)
                self._put(b"\n")  # ends what another said who was cut off
                self.connected()
                tries = 0
                self._listen()
            except (ApiError, OSError, ValueError, websocket.WebSocketException) as error:
                logger.debug("the line to %s/%s: %s", self.namespace, self.pod, error)
                if isinstance(error, ApiError) and error.status == FORBIDDEN:
                    self.refused(error.message)
            except Exception:
                logger.exception("the line to %s/%s", self.namespace, self.pod)
            self._close()
            self._stopped.wait(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    def _listen(self) -> None:
        unread = b""
        while not self._stopped.is_set():
            frame = self._socket.recv()
            if not frame:
                return
            data = frame if isinstance(frame, bytes) else frame.encode()
            if data[0] == PROBLEM:
                return
            if data[0] != STDOUT:
                continue
            *lines, unread = (unread + data[1:]).split(b"\n")
            if len(unread) > LONGEST_LINE:
                raise ValueError(f"a line of more than {LONGEST_LINE} bytes")  # of whoever else writes there
            for line in filter(None, lines):
                self._take(line)

    def _take(self, line: bytes) -> None:
        self.heard_at = time.monotonic()
        try:
            told = json.loads(line)
        except ValueError:  # the end of something that was said before we listened
            return
        if isinstance(told, dict):
            self.heard(told)

    def _send(self) -> None:
        while not self._stopped.is_set():
            try:
                message = self._messages.get(timeout=PING_SECONDS)
            except queue.Empty:
                message = {"do": "ping"}
            try:
                told = message() if callable(message) else message
                if told is not None:
                    self._put(json.dumps(told, separators=(",", ":")).encode() + b"\n")
            except (OSError, websocket.WebSocketException) as error:
                logger.debug("the line to %s/%s: %s", self.namespace, self.pod, error)
                self._close()
            except Exception:
                logger.exception("a message to %s/%s", self.namespace, self.pod)

    def _put(self, data: bytes) -> None:
        with self._sending:
            if self._socket is None:
                raise OSError("not connected")
            self._socket.send_binary(bytes((STDIN,)) + data)

    def _close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            try:
                socket.close(timeout=0)
            except Exception:  # noqa: BLE001 - it is gone either way
                logger.debug("closing the line to %s", self.pod)

"""The HTTP side: predictions, which version gave them, health, and a description (OpenAPI).

POST /predict       {"instances": [[1, 2], ...]} or [{"column": 1}, ...] -> {"predictions": [...], "model": {...}}
GET  /model         which version answers, and since when
GET  /health        200 while the process lives; /ready: 200 once a version answers
GET  /openapi.json  this, for programs
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from causeway.serving.models import Loaded
from causeway.serving.openapi import document
from causeway.serving.watch import Served

logger = logging.getLogger(__name__)

MOST_BYTES = 32 * 1024**2  # of a request
MOST_ROWS = 100_000
IDLE_SECONDS = 75.0  # of a connection


class Refused(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server(ThreadingHTTPServer):
    """`address` is (host, port); port 0 takes a free one. `token`: what callers have to show, empty: nothing."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, served: Served, address: tuple[str, int], token: str = "") -> None:
        self.served, self.token = served, token
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    """One connection, which may ask many times."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "causeway-serve"
    timeout = IDLE_SECONDS
    wbufsize = -1  # head and body go out together
    disable_nagle_algorithm = True
    pages: ClassVar[dict[str, str]] = {
        "/health": "health",
        "/ready": "ready",
        "/model": "model",
        "/openapi.json": "openapi",
    }

    def do_GET(self) -> None:
        name = self.pages.get(self.path.partition("?")[0])
        if name is None:
            self._refuse(Refused(HTTPStatus.NOT_FOUND, f"there is {', '.join(self.pages)} and POST /predict"))
            return
        status, body = getattr(self, f"_{name}")()
        self._answer(status, json.dumps(body))

    def do_POST(self) -> None:
        try:
            rows = self._rows()
            made = self._loaded()
            answer = f'{{"predictions": {self._predict(made, rows)}, "model": {made.told_json}}}'
        except Refused as refused:
            self._refuse(refused)
            return
        self._answer(HTTPStatus.OK, answer, made)

    def _health(self) -> tuple[HTTPStatus, Any]:
        return HTTPStatus.OK, {"status": "alive"}

    def _ready(self) -> tuple[HTTPStatus, Any]:
        ready = self.server.served.current is not None
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, {"ready": ready, "problem": self.server.served.problem}

    def _model(self) -> tuple[HTTPStatus, Any]:
        served = self.server.served
        if served.current is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"detail": "no version is loaded"}
        since = served.swapped_at.isoformat() if served.swapped_at else None
        return HTTPStatus.OK, {**served.current.told(), "since": since, "problem": served.problem}

    def _openapi(self) -> tuple[HTTPStatus, Any]:
        return HTTPStatus.OK, document(self.server.served.current, token=bool(self.server.token))

    def _loaded(self) -> Loaded:
        if (found := self.server.served.current) is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no version is loaded")
        return found

    def _rows(self) -> list[Any]:
        """The body is read whatever it is, so that the connection can go on."""
        body = self._body()
        if self.path.partition("?")[0] != "/predict":
            raise Refused(HTTPStatus.NOT_FOUND, "predictions are asked for at /predict")
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.token and not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.UNAUTHORIZED, "send the token: Authorization: Bearer ...")
        try:
            rows = json.loads(body)["instances"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, 'send JSON: {"instances": [[1, 2], ...]}') from None
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST_ROWS:
            raise Refused(HTTPStatus.BAD_REQUEST, f"instances: a list of 1 to {MOST_ROWS:,} rows")
        if len({type(row) for row in rows}) > 1:
            raise Refused(HTTPStatus.BAD_REQUEST, "instances: all rows of one form, lists, objects or numbers")
        return rows

    def _body(self) -> bytes:
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdigit()):
            self.close_connection = True
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "say Content-Length")
        if int(told) > MOST_BYTES:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES:,} bytes at once")
        return self.rfile.read(int(told))

    def _predict(self, made: Loaded, rows: list[Any]) -> str:
        """As JSON."""
        try:
            predictions = made.predict(rows)
        except (ValueError, TypeError, KeyError) as error:  # how frameworks say that rows do not fit
            raise Refused(HTTPStatus.BAD_REQUEST, f"the model does not take these rows: {error}"[:2000]) from None
        except Exception:
            logger.exception("%s failed", made.version.name)
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the model failed; its log says how") from None
        try:
            return json.dumps(predictions, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise Refused(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"JSON has nothing like what it predicts: {error}"
            ) from None

    def _refuse(self, refused: Refused) -> None:
        self._answer(refused.status, json.dumps({"status": refused.status, "detail": str(refused)}))

    def _answer(self, status: HTTPStatus, body: str, made: Loaded | None = None) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if made is not None:
            self.send_header("Causeway-Version", made.version.address)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        logger.debug(format, *args)


def serve(served: Served, *, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Until it is interrupted. Callers show what CAUSEWAY_SERVE_TOKEN says, where that is set. Raises CausewayError and
    CannotLoad for the first version, OSError for a port that is taken.
    """
    with Server(served, (host, port), os.environ.get("CAUSEWAY_SERVE_TOKEN", "")) as server:
        served.start()
        try:
            server.serve_forever(poll_interval=0.1)
        finally:
            served.stop()

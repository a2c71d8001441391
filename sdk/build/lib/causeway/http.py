"""The connection to Causeway's REST API: where it is, who asks, and what its errors mean."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

DEFAULT_URL = "http://localhost:8000"
TIMEOUT_SECONDS = 60
TRIES = 4  # of a read that met a server which is away for a moment
FIRST_PAUSE = 0.5  # seconds; doubles with every try
AWAY = frozenset({502, 503, 504})


class CausewayError(Exception):
    """The API refused, or this side did. `status` is the HTTP status, 0 when there was none."""

    def __init__(self, message: str, *, status: int = 0, unreachable: bool = False, context: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.unreachable = unreachable  # the server did not answer
        self.context = context  # of the problem, for programs; usually None

    @property
    def unavailable(self) -> bool:
        """Whether trying again later may help."""
        return self.unreachable or self.status in AWAY or self.status == 429


class Connection:
    """An authenticated session. Every call returns parsed JSON or raises CausewayError with the server's own words.

    :param url: default `CAUSEWAY_URL`, else http://localhost:8000
    :param token: default `CAUSEWAY_TOKEN`, else the admin's token of an embedded set-up in `CAUSEWAY_HOME` or
        `.causeway`, if this user may read it
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.url = (url or os.environ.get("CAUSEWAY_URL") or DEFAULT_URL).rstrip("/")
        self.session = requests.Session()
        token = token or os.environ.get("CAUSEWAY_TOKEN") or _embedded_token()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        """`path` is below /api/v1/, or a whole URL that the API gave (a next page). Reads are tried again."""
        return self._call(method, path, options, tries=TRIES if method == "GET" else 1)

    def repeat(self, method: str, path: str, **options: Any) -> Any:
        """As `call`, for a write that changes nothing when it is done twice: tried again while the server is away."""
        return self._call(method, path, options, tries=TRIES)

    def _call(self, method: str, path: str, options: dict[str, Any], *, tries: int) -> Any:
        for attempt in range(tries):
            try:
                response = self.raw(method, path, **options)
                return response.json() if response.content else None
            except CausewayError as error:
                if not error.unavailable or attempt == tries - 1:
                    raise
            time.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("unreachable")

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        """The response itself, for what is not JSON; CausewayError as ever."""
        url = path if path.startswith(f"{self.url}/") else f"{self.url}/api/v1/{path}"
        options.setdefault("timeout", TIMEOUT_SECONDS)
        try:
            response = self.session.request(method, url, **options)
        except requests.RequestException as error:
            message = f"{self.url} cannot be reached: {type(error).__name__}"
            raise CausewayError(message, unreachable=True) from error
        if not response.ok:
            raise refusal(response)
        return response

    def pages(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every result of a list, page by page."""
        page = self.call("GET", path, params=parameters)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self.call("GET", page["next"])


def _embedded_token() -> str | None:
    path = Path(os.environ.get("CAUSEWAY_HOME") or ".causeway") / "admin-token"
    return path.read_text().strip() if os.access(path, os.R_OK) else None


def refusal(response: requests.Response) -> CausewayError:
    """The problem's detail and its errors by member, else the bare status."""
    status, text, context = response.status_code, f"HTTP {response.status_code} {response.reason}", None
    try:
        problem = response.json()
        context = problem.get("context")
        lines = [problem.get("detail") or problem.get("title") or ""]
        told = (error for error in problem.get("errors", []) if error["detail"] not in lines[0])
        lines += [f"{error['pointer']}: {error['detail']}" for error in told]
        text = "\n".join(line for line in lines if line) or text
    except (ValueError, AttributeError):
        pass  # not one of our own answers: a proxy's page
    return CausewayError(text, status=status, context=context)

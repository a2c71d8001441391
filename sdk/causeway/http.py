"""The connection to Causeway's REST API: where it is, who asks, and what its errors mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

DEFAULT_URL = "http://localhost:8000"
TIMEOUT_SECONDS = 60


class CausewayError(Exception):
    """The API refused. `status` is the HTTP status, 0 when it could not be reached."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


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
        """`path` is below /api/v1/, or a whole URL that the API gave (a next page)."""
        url = path if path.startswith(self.url) else f"{self.url}/api/v1/{path}"
        options.setdefault("timeout", TIMEOUT_SECONDS)
        try:
            response = self.session.request(method, url, **options)
        except requests.RequestException as error:
            raise CausewayError(f"{self.url} cannot be reached: {type(error).__name__}") from error
        if not response.ok:
            raise CausewayError(_explain(response), status=response.status_code)
        return response.json() if response.content else None

    def pages(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every result of a list, page by page."""
        page = self.call("GET", path, params=parameters)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self.call("GET", page["next"])

    def fetch(self, url: str, target: Path) -> None:
        """Download a signed URL to a file; the file appears only when it is complete."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        try:
            with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS) as response, part.open("wb") as file:
                if not response.ok:
                    raise CausewayError(_explain(response), status=response.status_code)
                for chunk in response.iter_content(1024 * 1024):
                    file.write(chunk)
        except requests.RequestException as error:
            raise CausewayError(f"the download of {target.name} broke off: {error}") from error
        part.replace(target)


def _embedded_token() -> str | None:
    path = Path(os.environ.get("CAUSEWAY_HOME") or ".causeway") / "admin-token"
    return path.read_text().strip() if os.access(path, os.R_OK) else None


def _explain(response: requests.Response) -> str:
    """The problem's detail and its errors by member, else the bare status."""
    try:
        problem = response.json()
        lines = [problem.get("detail") or problem.get("title") or ""]
        lines += [f"{error['pointer']}: {error['detail']}" for error in problem.get("errors", [])]
        return "\n".join(line for line in lines if line) or f"HTTP {response.status_code}"
    except (ValueError, AttributeError):
        return f"HTTP {response.status_code} {response.reason}"

"""Prefect both ways, over its API: asset materialisations become versions, versions become events for automations.

Its address comes from PREFECT_API_URL, and who one is from PREFECT_API_KEY (Cloud) or PREFECT_API_AUTH_STRING, as for
its own client, which is not needed here.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import requests

from causeway.client import Client
from causeway.http import CausewayError
from causeway.version import Version

MATERIALIZED = "prefect.asset.materialization.succeeded"
PUBLISHED = "causeway.version.published"
SECONDS = 30
EVENTS = uuid.UUID("8a6f8f4e-4c9e-5b57-a9b2-6f6a0c2b1d3e")
KEPT = timedelta(days=7)  # Prefect's server keeps events for so long unless told otherwise


class PrefectApi:
    """:param url: of the API, `https://host/api`; default PREFECT_API_URL"""

    def __init__(self, url: str | None = None) -> None:
        self.url = (url or os.environ.get("PREFECT_API_URL") or "").rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise CausewayError("there is no Prefect server: set PREFECT_API_URL to http(s)://host:4200/api")
        self.session = requests.Session()
        if key := os.environ.get("PREFECT_API_KEY"):
            self.session.headers["Authorization"] = f"Bearer {key}"
        elif text := os.environ.get("PREFECT_API_AUTH_STRING"):
            self.session.headers["Authorization"] = f"Basic {base64.b64encode(text.encode()).decode()}"

    def materializations(self, *, since: datetime | None = None) -> Iterator[dict[str, Any]]:
        """The events of assets that were materialised, the oldest first."""
        occurred = {"since": (since or datetime.now(timezone.utc) - KEPT).isoformat()}
        asked = {"filter": {"event": {"name": [MATERIALIZED]}, "occurred": occurred, "order": "ASC"}, "limit": 50}
        page = self._call("POST", f"{self.url}/events/filter", json=asked)
        while True:
            yield from page["events"]
            if not page.get("next_page"):
                return
            page = self._call("GET", page["next_page"])

    def tell(self, version: Version) -> None:
        """Send the event `causeway.version.published` about a version, for automations; twice is once."""
        fields = version.fields
        where = f"{fields['project']}/{fields['domain']}/{fields['name']}"
        event = {
            "id": str(uuid.uuid5(EVENTS, f"{where}@{fields['version']}")),
            "event": PUBLISHED,
            "occurred": fields["created_at"],
            "resource": {
                "prefect.resource.id": f"causeway.artifact.{where}",
                "prefect.resource.name": fields["name"],
                "causeway.version": str(fields["version"]),
            },
            "payload": {"uri": fields["uri"], "partitions": fields["partitions"]},
        }
        self._call("POST", f"{self.url}/events", json=[event])

    def _call(self, method: str, url: str, **given: Any) -> Any:
        try:
            answer = self.session.request(method, url, timeout=SECONDS, allow_redirects=False, **given)
        except requests.RequestException as error:
            raise CausewayError(f"Prefect at {self.url}: {error}") from error
        if answer.status_code >= 400:
            raise CausewayError(f"Prefect: {answer.status_code} {answer.text[:500]}", status=answer.status_code)
        return answer.json() if answer.content else None


def publish(client: Client, api: PrefectApi, *, since: datetime | None = None) -> Iterator[Version]:
    """Publish each materialisation of an asset as a version of the artifact called as the last part of its key.

    The same event again is the same version, so looking twice at the same time does no harm.
    """
    for event in api.materializations(since=since):
        key = event["resource"]["prefect.resource.id"]
        scheme, _, path = key.partition("://")
        payload = event.get("payload") or {}
        metadata = {str(name): str(value) for name, value in payload.items()}
        content: dict[str, Any] = (
            {"external_ref": key, "shape": "file"} if scheme != "file" else {"value": {"asset": key}}
        )
        yield client.create(
            path.rstrip("/").rsplit("/", 1)[-1] or scheme,
            version=str(event["id"]),
            metadata={"prefect.asset": key, **metadata},
            producer=f"prefect:{key}",
            **content,
        )

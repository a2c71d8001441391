"""MLflow both ways, over its REST API: no `mlflow` is needed here.

Its address comes from MLFLOW_TRACKING_URI, and who one is from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD, as for its own client.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from causeway.http import CausewayError
from causeway.trackers import Tracked, without_password
from causeway.version import Version

EXECUTION_TAG = "causeway.execution"  # of runs made within a task (causeway.mlflow_context)
VERSION_TAG = "causeway.version"  # of what was registered from here
SECONDS = 30  # for one answer
PAGE = 1000


class Refused(CausewayError):
    """MLflow's own refusal; `code` is its `error_code`."""

    def __init__(self, message: str, code: str, *, status: int) -> None:
        super().__init__(message, status=status)
        self.code = code


class MlflowTracker:
    """:param uri: of the tracking server; default MLFLOW_TRACKING_URI"""

    def __init__(self, uri: str | None = None) -> None:
        self.uri = (uri or os.environ.get("MLFLOW_TRACKING_URI") or "").rstrip("/")
        if not self.uri.startswith(("http://", "https://")):
            raise CausewayError(
                f"{self.uri or 'nothing'} is no MLflow server: set MLFLOW_TRACKING_URI to http(s)://..."
            )
        self.session = requests.Session()
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            self.session.headers["Authorization"] = f"Bearer {token}"
        elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            self.session.auth = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))

    def models(self, name: str) -> Iterator[Tracked]:
        self._call("GET", "registered-models/get", name=name)  # tells one of no versions from one that is not there
        escaped = name.replace("'", "''")
        found = list(self._pages("GET", "model-versions/search", "model_versions", filter=f"name='{escaped}'"))
        for row in sorted(found, key=lambda one: int(one["version"])):
            if row.get("status", "READY") == "READY":
                yield self._model(row)

    def runs(self, experiment: str) -> Iterator[Tracked]:
        found = self._call("GET", "experiments/get-by-name", experiment_name=experiment)["experiment"]
        asked = {
            "experiment_ids": [found["experiment_id"]],
            "filter": "attributes.status = 'FINISHED'",
            "order_by": ["attributes.end_time ASC"],
        }
        for row in self._pages("POST", "runs/search", "runs", **asked):
            run = row["info"]
            yield Tracked(
                artifact=experiment,
                version=run["run_id"],
                uri=self.address(run["artifact_uri"]),
                kind="other",
                producer=f"mlflow:{run.get('run_name') or run['run_id']}",
                **_told(row),
            )

    def register(self, name: str, version: Version) -> str:
        """A model's version, with a tag that leads back. Its source is the version's data, which is not copied."""
        mine = "{project}/{domain}/{name}@{version}".format(**version.fields)
        try:
            self._call("POST", "registered-models/create", name=name)
        except Refused as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        escaped = name.replace("'", "''")
        for row in self._pages("GET", "model-versions/search", "model_versions", filter=f"name='{escaped}'"):
            if _pairs(row.get("tags")).get(VERSION_TAG) == mine:
                return str(row["version"])
        tags = [{"key": VERSION_TAG, "value": mine}]
        body = {"name": name, "source": version.uri, "tags": tags, "description": f"{mine} of Causeway"}
        return str(self._call("POST", "model-versions/create", **body)["model_version"]["version"])

    def address(self, source: str) -> str:
        """As an address that says which server it belongs to: `mlflow-artifacts:/1/ab` is one of whoever is asked."""
        parts = urlsplit(source)
        if parts.scheme in ("", "file") or len(parts.scheme) == 1:  # on the server's disk
            return f"mlflow://{self._host}/{source.removeprefix('file:').lstrip('/')}"
        if parts.netloc:
            return without_password(source)
        return f"{parts.scheme}://{self._host}/{parts.path.lstrip('/')}"

    @property
    def _host(self) -> str:
        return urlsplit(self.uri).netloc.rpartition("@")[2]

    def _model(self, row: Mapping[str, Any]) -> Tracked:
        """Its source may be the name of a logged model (`models:/m-...`, MLflow 3): the server says where that lies."""
        name, version = row["name"], row["version"]
        found = self._call("GET", "model-versions/get-download-uri", name=name, version=version)
        told = _told(self._call("GET", "runs/get", run_id=row["run_id"])["run"]) if row.get("run_id") else {}
        metadata = {**told.pop("metadata", {}), **_pairs(row.get("tags")), "mlflow.version": version}
        return Tracked(
            artifact=name,
            version=f"mlflow-{version}",
            uri=self.address(found["artifact_uri"]),
            kind="model",
            description=row.get("description", ""),
            producer=f"mlflow:{name}/{version}",
            metadata=metadata,
            **told,
        )

    def _pages(self, method: str, path: str, member: str, **asked: Any) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._call(method, path, max_results=PAGE, **asked, **({"page_token": token} if token else {}))
            yield from page.get(member, ())
            token = page.get("next_page_token", "")
            if not token:
                return

    def _call(self, method: str, path: str, **asked: Any) -> Any:
        url = f"{self.uri}/api/2.0/mlflow/{path}"
        given: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
        try:
            answer = self.session.request(method, url, timeout=SECONDS, allow_redirects=False, **given)
            body = answer.json()  # a ValueError of requests' own where it is none
        except requests.RequestException as error:
            raise CausewayError(f"MLflow at {self.uri}: {error}") from error
        if answer.status_code >= 400:
            code = str(body.get("error_code", "")) if isinstance(body, dict) else ""
            said = body.get("message", "") if isinstance(body, dict) else ""
            raise Refused(f"MLflow: {said or answer.reason}", code, status=answer.status_code)
        return body


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A run's last metrics, and its parameters and tags."""
    data = row.get("data", {})
    metrics = {one["key"]: float(one["value"]) for one in data.get("metrics", ())}
    tags = {key: text for key, text in _pairs(data.get("tags")).items() if not key.startswith("mlflow.")}
    params = {f"param.{key}": text for key, text in _pairs(data.get("params")).items()}
    return {"metrics": metrics, "metadata": {**params, **tags, "mlflow.run": row["info"]["run_id"]}}


def _pairs(rows: Any) -> dict[str, str]:
    return {one["key"]: str(one.get("value", "")) for one in rows or ()}

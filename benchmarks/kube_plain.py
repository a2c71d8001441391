"""A cluster's API as a plain client uses it: what benchmarks create, end, count and remove beside Causeway.

Nothing of Causeway is in it: keep-alive connections, ten threads, JSON as it comes. More threads gain nothing (the API
server is what is full then).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3
import yaml

THREADS = 10
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"
NAMES_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PAGE = 1000
Json = dict[str, Any]


class Kube:
    def __init__(self, kubeconfig: str, folder: Path) -> None:
        given = yaml.safe_load(Path(kubeconfig).read_text())
        cluster, user = given["clusters"][0]["cluster"], given["users"][0]["user"]
        authority = folder / "ca.crt"
        authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        self.host = cluster["server"]
        self.headers = {"Authorization": f"Bearer {user['token']}", "Accept": JSON}
        self.pool = urllib3.PoolManager(maxsize=THREADS + 4, ca_certs=str(authority))

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Json:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        given = {**self.headers, "Content-Type": JSON, **headers}
        answer = self.pool.request(method, f"{self.host}{path}", body=data, headers=given, retries=False, timeout=90)
        if answer.status >= 300 and not (answer.status == 404 and method in ("DELETE", "PATCH")):
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        found: Json = json.loads(answer.data)
        return found

    def watch(self, path: str, version: str, seconds: int) -> Iterator[Json]:
        """Events as they arrive."""
        query = f"watch=true&resourceVersion={version}&timeoutSeconds={seconds}"
        url = f"{self.host}{path}{'&' if '?' in path else '?'}{query}"
        with self.pool.request(
            "GET", url, headers=self.headers, preload_content=False, timeout=seconds + 10
        ) as response:
            rest = b""
            for chunk in response.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)

    def all(self, path: str) -> Iterator[Json]:
        """Metadata of each object, in pages."""
        follow = ""
        while True:
            query = f"{'&' if '?' in path else '?'}limit={PAGE}{f'&continue={follow}' if follow else ''}"
            page = self.ask("GET", path + query, Accept=NAMES_ONLY)
            yield from page["items"] or ()
            if not (follow := page["metadata"].get("continue", "")):
                return

    def count(self, namespace: str) -> int:
        """Pods, without reading them."""
        page = self.ask("GET", f"/api/v1/namespaces/{namespace}/pods?limit=1", Accept=NAMES_ONLY)
        return len(page["items"] or ()) + int(page["metadata"].get("remainingItemCount", 0))

    def in_threads(self, act: Callable[[Any], object], over: Iterable[Any]) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        with ThreadPoolExecutor(THREADS) as threads:
            for _ in threads.map(act, over):
                pass
        return time.monotonic() - began


def ended_status(name: str, code: int = 0) -> Json:
    """What a kubelet writes at the end of a container."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    reason = "Completed" if code == 0 else "Error"
    ended = {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}
    container = {"name": name, "image": "none", "imageID": "", "ready": False, "restartCount": 0}
    told = [{**container, "state": {"terminated": ended}}]
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": told}

"""Follows the pods of one installation on one cluster, or its jobs of a kind, and misses none, whatever happens to the
connection.

List in pages, then watch from the list's version. A watch may die in any way, also silently: bookmarks come once a
minute, so silence for longer means a dead connection, or a blind watch: then, on 410, and every ten minutes anyway, it
lists again. A watch that was cut goes on from its last version, unless the cluster's own is older: an etcd restored
from an older snapshot makes a watch from a version of the future blind without an error, and versions that come after
that say nothing about those before (`on_restored`). Versions are not kept over restarts for the same reason. Of each
pod only its uid and version are kept.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.client import TIMEOUT, Api, ApiError
from scheduler.executors.kubernetes.objects import PAGE
from scheduler.executors.kubernetes.resource import Resource

logger = logging.getLogger(__name__)

RELIST_SECONDS = 600.0
LONGEST_PAUSE = 15.0
CHUNK = 1 << 16

OnPod = Callable[[pods.Json, bool], None]  # the pod, and whether it is gone and this its last state
OnRestored = Callable[[], None]  # versions of before are not to be compared with those that come
OnListed = Callable[[frozenset[str], float, str], None]  # uids of all, since when (monotonic), of which namespace


class ListAgain(Exception):
    """What was known is too old, or cannot be trusted."""


class Watcher:
    """`run` in a thread of its own; `on_pod` and `on_listed` are called from it and must not wait for anything."""

    def __init__(
        self,
        api: Api,
        selector: str,
        on_pod: OnPod,
        on_listed: OnListed,
        *,
        on_restored: OnRestored = lambda: None,
        namespace: str = "",
        resource: Resource | None = None,
    ) -> None:
        """`namespace`: only that one; empty: all of the cluster. `resource`: what is followed instead of pods."""
        self._root = f"/apis/{resource.api_version}" if resource is not None else "/api/v1"
        self._plural, self._kind = (resource.plural, resource.kind) if resource is not None else ("pods", "Pod")
        self.path = self._path(namespace)
        self.api, self.selector, self.namespace = api, selector, namespace
        self.on_pod, self.on_listed, self.on_restored = on_pod, on_listed, on_restored
        self.refused = ""  # why nothing can be watched: rights are missing
        self.connected_at = 0.0  # monotonic; when something was last heard
        self._versions: dict[str, str] = {}  # uid: resourceVersion
        self._newest = 0  # version that was ever told
        self._stopping = threading.Event()
        self._wanted = threading.Event()  # list again soon
        self._pause = 0.0

    def _path(self, namespace: str) -> str:
        return f"{self._root}/namespaces/{namespace}/{self._plural}" if namespace else f"{self._root}/{self._plural}"

    def stop(self) -> None:
        """The thread ends with the next thing it hears, at the latest when the connection counts as dead."""
        self._stopping.set()

    def list_again(self) -> None:
        self._wanted.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                version = self._list()
                self._watch_from(version)
            except ListAgain as why:
                if not self._stopping.is_set():
                    logger.info("listing the %s again: %s", self._plural, why)
            except ApiError as error:
                self.refused = error.message if error.status in (401, 403) else ""
                self._rest(f"the cluster says: {error}")
            except Exception as error:  # noqa: BLE001 - whatever it is, this thread has to go on
                self._rest(f"{type(error).__name__}: {error}")

    def _rest(self, why: str) -> None:
        """Longer from time to time, and not all replicas at once."""
        self._pause = min(LONGEST_PAUSE, max(0.5, self._pause * 2))
        logger.warning("%s cannot be followed (%s); again in %.1f s", self._plural, why, self._pause)
        self._stopping.wait(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def _list(self) -> str:
        """Tell of every pod there is; returns the version of the list."""
        self._wanted.clear()
        present: set[str] = set()
        began = time.monotonic()
        query: dict[str, object] = {"labelSelector": self.selector, "limit": PAGE}
        while True:
            page = self.api.call("GET", self.path, query=query)
            self._compare(page)
            for pod in pods.items(page, "items"):
                present.add(pods.uid_of(pod))
                self._tell(pod)
            query["continue"] = pods.text(page, "metadata", "continue")
            if not query["continue"]:
                break
        self._heard()
        self._versions = {uid: version for uid, version in self._versions.items() if uid in present}
        self.on_listed(frozenset(present), began, self.namespace)
        return pods.text(page, "metadata", "resourceVersion")

    def _watch_from(self, version: str) -> None:
        """Until it is time to list again."""
        due, ended = time.monotonic() + RELIST_SECONDS, False
        while not self._stopping.is_set():
            if time.monotonic() > due or self._wanted.is_set():
                return
            try:
                if ended:
                    self._compare(self.api.call("GET", self.path, query={"labelSelector": self.selector, "limit": 1}))
                ended = True
                for event in self._events(version, due - time.monotonic()):
                    version = self._take(event) or version
                    if self._stopping.is_set() or self._wanted.is_set():
                        return
            except urllib3.exceptions.ReadTimeoutError as error:  # not even a bookmark came
                raise ListAgain(f"the watch was silent: {error}") from None
            except urllib3.exceptions.HTTPError as error:
                logger.info("the watch broke off: %s", error)
            except ApiError as error:
                if error.status == 410:
                    raise ListAgain(error.message) from None
                if error.status in (401, 403):  # that rights are missing is told at once
                    raise
                self._rest(f"the watch was refused: {error}")

    def _compare(self, page: dict[str, Any]) -> None:
        """Of a list: whether the cluster knows what it told us before. Raises ListAgain, once, if it does not."""
        told = _number(pods.text(page, "metadata", "resourceVersion"))
        if told and told < self._newest:
            self._newest = told
            self._versions.clear()
            self.on_restored()
            raise ListAgain("the cluster was set back to an earlier state")
        self._newest = max(self._newest, told)

    def _events(self, version: str, seconds: float) -> Iterator[dict[str, Any]]:
        query = {
            "labelSelector": self.selector,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": max(1, int(seconds)),
        }
        with self.api.open("GET", self.path, query=query, timeout=TIMEOUT) as response:
            rest = b""
            for chunk in response.stream(CHUNK, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    yield _parsed(line)
            if rest.strip():
                yield _parsed(rest)

    def _take(self, event: dict[str, Any]) -> str:
        """Returns the version to go on from."""
        kind, pod = event.get("type"), pods.part(event, "object")
        self._heard()
        if kind == "ERROR":
            raise ListAgain(f"{pod.get('code')} {pods.text(pod, 'message')}")
        if kind == "DELETED":
            self._deleted(pod)
        elif kind in ("ADDED", "MODIFIED") and pod.get("kind", self._kind) == self._kind:
            self._tell(pod)
        version = pods.text(pod, "metadata", "resourceVersion")
        self._newest = max(self._newest, _number(version))
        return version

    def _deleted(self, pod: pods.Json) -> None:
        """A pod that leaves the selection is told as deleted, too: then it is there still."""
        self._versions.pop(pods.uid_of(pod), None)
        if pods.part(pod, "metadata").get("deletionTimestamp"):
            self.on_pod(pod, True)
            return
        path = f"{self._path(pods.namespace_of(pod))}/{pods.name_of(pod)}"
        try:
            now = self.api.call("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise ListAgain(f"a pod is gone, or not: {error}") from None
            now = {}
        same = pods.uid_of(now) == pods.uid_of(pod)
        self.on_pod(now if same else pod, not same)

    def _tell(self, pod: pods.Json) -> None:
        """Not twice of the same state."""
        uid, version = pods.uid_of(pod), pods.text(pod, "metadata", "resourceVersion")
        if not uid or (version and self._versions.get(uid) == version):
            return
        self._versions[uid] = version
        self.on_pod(pod, False)

    def _heard(self) -> None:
        self.connected_at, self._pause, self.refused = time.monotonic(), 0.0, ""


def _number(version: str) -> int:
    """Versions are etcd's revisions, which rise; 0 for what is no number."""
    return int(version) if version.isascii() and version.isdigit() else 0


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        raise ListAgain("the watch sent something that is no JSON") from None
    if not isinstance(event, dict):
        raise ListAgain("the watch sent something that is no event")
    return event

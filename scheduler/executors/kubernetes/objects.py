"""The objects of one cluster that attempts need: pods, their secrets, logs and events, namespaces, templates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import urllib3

from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.client import MERGE_PATCH, NOT_FOUND, STRATEGIC_MERGE_PATCH, TIMEOUT, Api, ApiError
from scheduler.executors.kubernetes.kueue import GROUP
from scheduler.executors.kubernetes.resource import Resource

Json = dict[str, Any]
SILENT_SECONDS = 300.0  # of a log that is followed
PAGE = 100  # pods in one page of a list: as objects they take 40 kB each, and of a page all are there at once
_PLURALS = {"NetworkPolicy": "networkpolicies", "ResourceQuota": "resourcequotas"}  # others: the kind with an s
# As a log's whole text these are no log (the kubelet says so with status 200, once the container is removed)
_NO_LOG = (b"unable to retrieve container logs for ", b"failed to try resolving symlinks in path ")


class Objects:
    """Raises what Api raises, unless it says otherwise."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._kueue = ""  # the path of its API, once it is known

    def create_pod(self, namespace: str, body: bytes) -> Json:
        """A field that the cluster does not know is refused (400): it would be dropped, and nobody would hear of it."""
        return self.api.call("POST", _path(namespace, "pods"), body, query={"fieldValidation": "Strict"})

    def pod(self, namespace: str, name: str) -> Json | None:
        return self._found(_path(namespace, "pods", name))

    def delete_pod(self, namespace: str, name: str, uid: str, *, grace: int) -> None:
        """Not another one of the same name; one that is gone is fine."""
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": grace}
        if uid:
            body["preconditions"] = {"uid": uid}
        with _missing_is_fine():
            self.api.call("DELETE", _path(namespace, "pods", name), body)

    def set_deadline(self, namespace: str, name: str, uid: str, seconds: int) -> None:
        """Its activeDeadlineSeconds, which may be given to a pod that has none, or fewer to one that has."""
        body: Json = {"metadata": {"uid": uid} if uid else {}, "spec": {"activeDeadlineSeconds": seconds}}
        with _missing_is_fine():
            self.api.call("PATCH", _path(namespace, "pods", name), body, kind=MERGE_PATCH)

    def release(self, namespace: str, name: str, uid: str) -> None:
        """Take our finalizer off, and no other's: its end is stored. Not another pod's of the same name."""
        metadata: Json = {"$deleteFromPrimitiveList/finalizers": [names.FINALIZER], **({"uid": uid} if uid else {})}
        with _missing_is_fine():
            self.api.call("PATCH", _path(namespace, "pods", name), {"metadata": metadata}, kind=STRATEGIC_MERGE_PATCH)

    def serves(self, resource: Resource) -> bool:
        """Whether the cluster has objects of that kind."""
        try:
            found = self.api.call("GET", f"/apis/{resource.api_version}")
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return any(pods.text(one, "name") == resource.plural for one in pods.items(found, "resources"))

    def create_job(self, resource: Resource, namespace: str, body: bytes) -> Json:
        """As `create_pod`, also of a field that the operator's version does not have."""
        return self.api.call("POST", _job_path(resource, namespace), body, query={"fieldValidation": "Strict"})

    def job(self, resource: Resource, namespace: str, name: str) -> Json | None:
        return self._found(_job_path(resource, namespace, name))

    def delete_job(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """With all that belongs to it, and that first: what has a finalizer of an operator that is away stays, and
        Deployments and Jobs of it would make their pods again for ever. Not another one of the same name; one that is
        gone is fine.
        """
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        if uid:
            body["preconditions"] = {"uid": uid}
        with _missing_is_fine():
            self.api.call("DELETE", _job_path(resource, namespace, name), body)

    def pods_of(self, namespace: str, attempt_id: int, owner: str) -> list[pods.Json]:
        """All that bear an attempt's marks, whatever made them."""
        selector = f"{names.selector(owner)},{names.ATTEMPT_ID}={attempt_id}"
        return list(self._pages(_path(namespace, "pods"), labelSelector=selector))

    def events(self, namespace: str, name: str, uid: str) -> list[pods.Json]:
        """Of a pod. The old API: the newer one has no times for what the kubelet says."""
        selector = f"involvedObject.kind=Pod,involvedObject.name={name}" + (f",involvedObject.uid={uid}" if uid else "")
        query = {"fieldSelector": selector, "limit": 100}
        return pods.items(self.api.call("GET", _path(namespace, "events"), query=query), "items")

    def warnings(self, namespace: str) -> dict[str, list[pods.Json]]:
        """Of all pods of a namespace, by their uids."""
        found: dict[str, list[pods.Json]] = {}
        for event in self._pages(_path(namespace, "events"), fieldSelector="involvedObject.kind=Pod,type=Warning"):
            found.setdefault(pods.text(event, "involvedObject", "uid"), []).append(event)
        return found

    def _pages(self, path: str, **query: object) -> Iterator[pods.Json]:
        """All that a list has, page by page."""
        while True:
            page = self.api.call("GET", path, query={**query, "limit": PAGE})
            yield from pods.items(page, "items")
            query["continue"] = pods.text(page, "metadata", "continue")
            if not query["continue"]:
                return

    def nodes(self) -> list[pods.Json]:
        """All of the cluster's."""
        return list(self._pages("/api/v1/nodes"))

    def placed_pods(self) -> Iterator[pods.Json]:
        """Anybody's, that have a node and have not ended."""
        ended = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
        yield from self._pages("/api/v1/pods", fieldSelector=ended)

    def workloads(self, namespace: str) -> list[pods.Json]:
        """Kueue's, of a namespace. ApiError 404 where the cluster has no Kueue."""
        if not self._kueue:
            version = kueue_version(self.api)
            if not version:
                raise ApiError(NOT_FOUND, "NotFound", f"the cluster serves no {GROUP}")
            self._kueue = f"/apis/{GROUP}/{version}"
        try:
            return list(self._pages(f"{self._kueue}/namespaces/{quote(namespace, safe='')}/workloads"))
        except ApiError as error:
            if error.status == NOT_FOUND:  # another version by now, or none
                self._kueue = ""
            raise

    def create_secret(self, secret: Json) -> None:
        """One that is there already is the attempt's own, of an earlier try."""
        try:
            self.api.call("POST", _path(secret["metadata"]["namespace"], "secrets"), secret)
        except ApiError as error:
            if error.status != 409:
                raise

    def own_secret(self, pod: pods.Json, patch: Mapping[str, Any]) -> None:
        path = _path(pods.namespace_of(pod), "secrets", names.secret_name(pods.name_of(pod)))
        with _missing_is_fine():
            self.api.call("PATCH", path, dict(patch), kind=MERGE_PATCH)

    def delete_secret(self, namespace: str, name: str) -> None:
        with _missing_is_fine():
            self.api.call("DELETE", _path(namespace, "secrets", name))

    def template(self, namespace: str, name: str) -> Json | None:
        return self._found(_path(namespace, "podtemplates", name))

    def create_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """One that is there is fine."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
        try:
            self.api.call("POST", "/api/v1/namespaces", body)
        except ApiError as error:
            if error.status != 409:
                raise

    def create(self, given: Mapping[str, Any]) -> None:
        """Any object of a namespace; one that is there is left as it is."""
        version, namespace = str(given.get("apiVersion", "v1")), given["metadata"]["namespace"]
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        kind = _PLURALS.get(str(given.get("kind")), f"{str(given.get('kind')).lower()}s")
        try:
            self.api.call("POST", f"{root}/namespaces/{quote(namespace, safe='')}/{kind}", dict(given))
        except ApiError as error:
            if error.status != 409:
                raise

    @contextlib.contextmanager
    def log(
        self, namespace: str, name: str, container: str, *, follow: bool = False, since: str = "", tail: int = 0
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The log with a time stamp before each line. ApiError 400 and, sometimes, 404 before there is one."""
        query: dict[str, object] = {"container": container, "timestamps": "true"}
        query |= {"follow": "true" if follow else "", "sinceTime": since, "tailLines": tail or ""}
        # A task that prints nothing for long is no dead connection, and cannot be told from one: it is begun anew.
        timeout = (TIMEOUT[0], SILENT_SECONDS) if follow else TIMEOUT
        path = _path(namespace, "pods", name) + "/log"
        with self.api.open("GET", path, query=query, timeout=timeout) as response:
            yield response

    def _found(self, path: str) -> Json | None:
        try:
            return self.api.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def kueue_version(api: Api) -> str:
    """Which version of Kueue's API the cluster prefers; empty: it has no Kueue. Raises what Api raises else."""
    try:
        return pods.text(api.call("GET", f"/apis/{GROUP}"), "preferredVersion", "version")
    except ApiError as error:
        if error.status == NOT_FOUND:
            return ""
        raise


def is_no_log(body: bytes) -> bool:
    """Whether it is a sentence about a log that is gone, which comes with status 200 in place of the log."""
    line = body.strip()
    return b"\n" not in line and line.startswith(_NO_LOG)


def _path(namespace: str, kind: str, name: str = "") -> str:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _job_path(resource: Resource, namespace: str, name: str = "") -> str:
    path = f"/apis/{resource.api_version}/namespaces/{quote(namespace, safe='')}/{resource.plural}"
    return f"{path}/{quote(name, safe='')}" if name else path


@contextlib.contextmanager
def _missing_is_fine() -> Iterator[None]:
    """Gone, or another one of that name by now (409: its uid is not the one that was meant)."""
    try:
        yield
    except ApiError as error:
        if error.status not in (404, 409):
            raise

"""An API server for tests: pods are kept and watched as on a cluster, and move only when a test says so."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import Configuration

from scheduler.executors.kubernetes.client import Api
from tests.scheduler.executors.kubernetes.pods import at, condition, ended, runs

Json = dict[str, Any]


class FakeCluster:
    """`refuse` holds what is answered to the next POSTs of pods: (status, message)."""

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], Json] = {}
        self.secrets: dict[tuple[str, str], Json] = {}
        self.templates: dict[tuple[str, str], Json] = {}
        self.leases: dict[str, Json] = {}
        self.events: list[Json] = []
        self.nodes: list[Json] = []
        self.workloads: list[Json] | None = None  # Kueue's; None: there is no Kueue
        self.may_read_workloads = True
        self.served: set[str] = set()  # kinds of jobs, as `kubeflow.org/v1/pytorchjobs`
        self.jobs: dict[tuple[str, str], Json] = {}  # of all kinds
        self.logs: dict[tuple[str, str], bytes] = {}  # by pod and container
        self.namespaces: set[str] | None = None  # None: every one is there
        self.refuse_in: dict[str, tuple[int, str]] = {}  # by namespace, as long as it is there
        self.refuse: list[tuple[int, str]] = []
        self.quota: int | None = None  # pods that have not ended, at most
        self.calls: list[str] = []
        self.watches = 0
        self.kubelet: Callable[[str, Json], None] | None = None  # what becomes of a new or a deleted pod by itself
        self.allowed = True  # whether what is asked for all namespaces may be done
        self.may_list = self.may_get = True
        self.log_status = 200
        self.log_breaks = 0  # so many reads of logs end after their first line
        self.silent = False  # new watches send nothing, not even bookmarks
        self._version = 100
        self._history: list[tuple[int, Json]] = []
        self._changed = threading.Condition(threading.RLock())
        self._cuts = 0
        self._uids = iter(range(1, 10**9))

    # --- what tests do ---

    def run(self, name: str, state: Json | None = None) -> None:
        """Its main container runs, or is in `state`."""
        self.change(name, "Running", state or runs())

    def end(self, name: str, code: int = 0, **over: Any) -> None:
        phase = over.pop("phase", "Succeeded" if code == 0 else "Failed")
        self.change(name, phase, ended(code, over.pop("container_reason", ""), over.pop("said", "")), **over)

    def change(self, name: str, phase: str, state: Json | None = None, **status: Any) -> None:
        with self._changed:
            pod = self.named(name)
            pod["spec"]["nodeName"] = pod["spec"].get("nodeName") or "node-1"
            pod["status"] = {"phase": phase, "conditions": [condition("PodScheduled")], **status}
            if state is not None:
                main = pod["metadata"]["annotations"]["causeway/primary-container"]
                pod["status"]["containerStatuses"] = [{"name": main, "image": "x", "state": state}]
            self._commit("MODIFIED", pod)
            self._reap(pod)

    def admit(self, name: str) -> None:
        """As Kueue does: the pod may be scheduled."""
        with self._changed:
            pod = self.named(name)
            pod["spec"]["schedulingGates"] = []
            self._commit("MODIFIED", pod)

    def evict(self, name: str, reason: str, message: str) -> None:
        """As Kueue does: it says why, and deletes the pod."""
        with self._changed:
            pod = self.named(name)
            told = condition("TerminationTarget", "True", reason, message)
            pod["status"].setdefault("conditions", []).append(told)
            pod["metadata"]["finalizers"].remove("kueue.x-k8s.io/managed")
            self._delete(pod)

    def job(self) -> Json:
        """The one there is."""
        (job,) = self.jobs.values()
        return job

    def tell_job(self, **status: Any) -> None:
        """As its operator does."""
        with self._changed:
            self.job()["status"] = status
            self._commit("MODIFIED", self.job())

    def add_replica(self, role: str, index: int = 0, **labels: str) -> str:
        """A pod of the one job, as Kubeflow's operator makes it of its template; returns its name."""
        with self._changed:
            job = self.job()
            (specs,) = (part for name, part in job["spec"].items() if name.endswith("ReplicaSpecs"))
            (own,) = (one for name, one in specs.items() if name.lower() == role)
            pod = copy.deepcopy(own["template"])
            name = f"{job['metadata']['name']}-{role}-{index}"
            kubeflow = {
                "training.kubeflow.org/job-name": job["metadata"]["name"],
                "training.kubeflow.org/replica-type": role,
                "training.kubeflow.org/replica-index": str(index),
            }
            pod["metadata"] |= {"name": name, "finalizers": []}
            pod["metadata"]["labels"] |= {**kubeflow, **labels}
            pod["metadata"]["namespace"] = job["metadata"]["namespace"]
            status, made = self._create(job["metadata"]["namespace"], pod)
            assert status == 201, made
            return name

    def remove_job(self) -> None:
        """As somebody else does it; its pods stay."""
        with self._changed:
            key = next(iter(self.jobs))
            self._commit("DELETED", self.jobs.pop(key))

    def named(self, name: str) -> Json:
        return next(pod for (_, own), pod in self.pods.items() if own == name)

    def only(self) -> str:
        """The name of the one pod."""
        (key,) = self.pods
        return key[1]

    def delete(self, name: str) -> None:
        """As somebody else does it."""
        with self._changed:
            self._delete(self.named(name))

    def vanish(self, name: str) -> None:
        """Forced, finalizers or not, without anybody being told."""
        with self._changed:
            pod = self.named(name)
            del self.pods[pod["metadata"]["namespace"], name]

    def remove(self, name: str) -> None:
        """Gone, and its last state told; nobody saw it end."""
        with self._changed:
            pod = self.named(name)
            del self.pods[pod["metadata"]["namespace"], name]
            self._commit("DELETED", pod)

    def cut(self) -> None:
        """Every watch breaks off."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def forget_history(self) -> None:
        """As after a compaction: older versions are gone."""
        with self._changed:
            self._history.clear()
            self._version += 100
            self._changed.notify_all()

    def set_back(self, pods: dict[tuple[str, str], Json], version: int) -> None:
        """As when etcd is restored from an older snapshot, and the API server started anew."""
        with self._changed:
            self.pods = copy.deepcopy(pods)
            self._version, self._history = version, []
            self._cuts += 1
            self._changed.notify_all()

    def wait_for_pod(self, count: int = 1, seconds: float = 10) -> None:
        self.until(lambda: len(self.pods) >= count, seconds)

    def until(self, happened: Any, seconds: float = 10) -> None:
        due = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < due, "it did not happen"
            time.sleep(0.01)

    # --- what the API does ---

    def handle(self, method: str, path: str, query: dict[str, str], body: Json, kind: str) -> tuple[int, Json]:
        with self._changed:
            self.calls.append(f"{method} {path}")
            parts = path.strip("/").split("/")
            if path.endswith("selfsubjectaccessreviews"):
                return 201, {"status": {"allowed": self.allowed}}
            if path == "/api/v1/namespaces" and self.namespaces is not None:
                self.namespaces.add(body["metadata"]["name"])
                return 201, body
            listed = method == "GET" and parts[-1] == "pods"
            read = method == "GET" and "pods" in parts[:-1]
            if (listed and not self.may_list) or (read and not self.may_get):
                return _status(403, "Forbidden", 'pods is forbidden: User "c" cannot get resource "pods"')
            if path.startswith("/apis/kueue.x-k8s.io"):
                return self._kueue(path)
            if path.startswith("/apis/") and "/leases" not in path:
                return self._operators(method, parts, query, body)
            if path == "/version":
                return 200, {"gitVersion": "v1.34.4"}
            if path == "/api/v1/nodes":
                return 200, {"items": self.nodes}
            if parts[2] == "pods":
                return 200, self._list(query)
            if "/leases" in path:
                return self._lease(method, path.rpartition("/")[2], body)
            namespace, what, name = parts[3], parts[4], parts[5] if len(parts) > 5 else ""
            if method == "POST" and self.namespaces is not None and namespace not in self.namespaces:
                return _status(404, "NotFound", f'namespaces "{namespace}" not found')
            if what == "pods" and not name:
                return self._create(namespace, body) if method == "POST" else (200, self._list(query, namespace))
            if what == "pods":
                return self._one(method, namespace, name, body)
            if what == "events":
                return 200, {"items": self.events}
            found = {"secrets": self.secrets, "podtemplates": self.templates}.get(what, {})
            if method == "POST":
                found[namespace, body["metadata"]["name"]] = body
                return 201, body
            if (namespace, name) not in found:
                return _status(404, "NotFound", f'{what} "{name}" not found')
            if method == "PATCH":
                found[namespace, name]["metadata"] |= body["metadata"]
            return 200, found.pop((namespace, name)) if method == "DELETE" else found[namespace, name]

    def _kueue(self, path: str) -> tuple[int, Json]:
        if self.workloads is None:
            return _status(404, "NotFound", "the server could not find the requested resource")
        if path == "/apis/kueue.x-k8s.io":
            return 200, {"preferredVersion": {"groupVersion": "kueue.x-k8s.io/v1beta2", "version": "v1beta2"}}
        if not self.may_read_workloads:
            return _status(403, "Forbidden", 'workloads.kueue.x-k8s.io is forbidden: User "c" cannot list resource')
        return 200, {"items": copy.deepcopy(self.workloads), "metadata": {}}

    def _operators(self, method: str, parts: list[str], query: dict[str, str], body: Json) -> tuple[int, Json]:
        api, rest = f"{parts[1]}/{parts[2]}", parts[3:]
        if not rest:
            plurals = [one.rpartition("/")[2] for one in sorted(self.served) if one.startswith(f"{api}/")]
            absent = _status(404, "NotFound", "the server could not find the requested resource")
            return (200, {"resources": [{"name": one} for one in plurals]}) if plurals else absent
        namespace = rest.pop(1) if rest[0] == "namespaces" else ""
        plural, name = (rest[1:] if namespace else rest)[0], (rest[2:] if namespace else rest[1:])
        if f"{api}/{plural}" not in self.served:
            return _status(404, "NotFound", "the server could not find the requested resource")
        if method == "POST":
            return self._create_job(namespace, body)
        if not name:
            found = [copy.deepcopy(one) for one in self.jobs.values() if _plural_of(one) == plural]
            items = [one for one in found if _selected(one, query, namespace)]
            return 200, {"items": items, "metadata": {"resourceVersion": str(self._version)}}
        job = self.jobs.get((namespace, name[0]))
        if job is None:
            return _status(404, "NotFound", f'{plural} "{name[0]}" not found')
        if method == "DELETE":
            del self.jobs[namespace, name[0]]
            self._commit("DELETED", job)
        return 200, copy.deepcopy(job)

    def _create_job(self, namespace: str, job: Json) -> tuple[int, Json]:
        key = namespace, job["metadata"]["name"]
        if key in self.jobs:
            return _status(409, "AlreadyExists", f'"{key[1]}" already exists')
        job["metadata"] |= {"uid": f"u-{next(self._uids)}", "creationTimestamp": at()}
        self.jobs[key] = job
        self._commit("ADDED", job)
        return 201, copy.deepcopy(job)

    def _lease(self, method: str, name: str, body: Json) -> tuple[int, Json]:
        self._version += 1
        found = self.leases.get(name)
        if method == "GET":
            return (200, found) if found else _status(404, "NotFound", name)
        if method == "PUT" and body["metadata"]["resourceVersion"] != (found or {"metadata": {}})["metadata"].get(
            "resourceVersion"
        ):
            return _status(409, "Conflict", "the object has been modified")
        body["metadata"]["resourceVersion"] = str(self._version)
        self.leases[body["metadata"]["name"]] = body
        return 200, body

    def _create(self, namespace: str, pod: Json) -> tuple[int, Json]:
        name = pod["metadata"]["name"]
        if self.refuse:
            status, message = self.refuse.pop(0)
            return _status(status, "", message)
        if namespace in self.refuse_in:
            status, message = self.refuse_in[namespace]
            return _status(status, "InternalError", message)
        alive = [one for one in self.pods.values() if one["status"]["phase"] not in ("Succeeded", "Failed")]
        if self.quota is not None and len(alive) >= self.quota:
            used = f"used: pods={len(alive)}, limited: pods={self.quota}"
            said = f'pods "{name}" is forbidden: exceeded quota: q, requested: pods=1, {used}'
            return _status(403, "Forbidden", said)
        if (namespace, name) in self.pods:
            return _status(409, "AlreadyExists", f'pods "{name}" already exists')
        pod["metadata"] |= {"uid": f"u-{next(self._uids)}", "creationTimestamp": at()}
        pod["status"] = {"phase": "Pending"}
        if self.workloads is not None and "kueue.x-k8s.io/queue-name" in pod["metadata"]["labels"]:  # as its webhook
            pod["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
            pod["metadata"]["finalizers"].append("kueue.x-k8s.io/managed")
        self.pods[namespace, name] = pod
        self._commit("ADDED", pod)
        made = copy.deepcopy(pod)
        if self.kubelet is not None:
            self.kubelet("made", pod)
        return 201, made

    def _one(self, method: str, namespace: str, name: str, body: Json) -> tuple[int, Json]:
        pod = self.pods.get((namespace, name))
        if pod is None:
            return _status(404, "NotFound", f'pods "{name}" not found')
        wanted = (body.get("preconditions") or body.get("metadata") or {}).get("uid")
        if wanted and wanted != pod["metadata"]["uid"]:
            return _status(409, "Conflict", "the UID in the precondition does not match")
        if method == "DELETE":
            self._delete(pod)
        if method == "PATCH" and "spec" in body:
            pod["spec"] |= body["spec"]
            self._commit("MODIFIED", pod)
        elif method == "PATCH":
            gone = body["metadata"]["$deleteFromPrimitiveList/finalizers"]
            pod["metadata"]["finalizers"] = [one for one in pod["metadata"]["finalizers"] if one not in gone]
            self._commit("MODIFIED", pod)
            self._reap(pod)
        return 200, copy.deepcopy(pod)

    def _delete(self, pod: Json) -> None:
        pod["metadata"].setdefault("deletionTimestamp", at(60 * 60 * 24 * 365 * 50))
        self._commit("MODIFIED", pod)
        if self.kubelet is not None and pod["status"]["phase"] not in ("Succeeded", "Failed"):
            self.kubelet("deleted", pod)
        self._reap(pod)

    def _reap(self, pod: Json) -> None:
        """A deleted pod that has ended and that no finalizer keeps goes."""
        metadata = pod["metadata"]
        over = pod["status"]["phase"] in ("Succeeded", "Failed") or not pod["spec"].get("nodeName")
        if "deletionTimestamp" in metadata and over and not metadata["finalizers"]:
            self.pods.pop((metadata["namespace"], metadata["name"]), None)
            self._commit("DELETED", pod)

    def _list(self, query: dict[str, str], namespace: str = "") -> Json:
        found = [copy.deepcopy(pod) for pod in self.pods.values() if _selected(pod, query, namespace)]
        return {"items": found, "metadata": {"resourceVersion": str(self._version)}}

    def _commit(self, kind: str, pod: Json) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        self._history.append((self._version, {"type": kind, "object": copy.deepcopy(pod)}))
        self._changed.notify_all()

    def watched(self, query: dict[str, str], plural: str = "pods") -> Iterator[Json]:
        """Until it is cut."""
        with self._changed:
            self.watches += 1
            cuts, since = self._cuts, int(query["resourceVersion"])
            oldest = self._history[0][0] if self._history else self._version
            if since > self._version:
                self._blind(cuts)
                return
            if since < oldest - 1:
                yield {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
                return
        while True:
            with self._changed:
                new = [] if self.silent else [event for version, event in self._history if version > since]
                since = max([since, *(int(event["object"]["metadata"]["resourceVersion"]) for event in new)])
                if not new:
                    self._changed.wait(0.2)
                if self._cuts != cuts:
                    return
            ours = (event for event in new if _plural_of(event["object"]) == plural)
            yield from (event for event in ours if _selected(event["object"], query, ""))

    def _blind(self, cuts: int) -> None:
        """A version of the future: neither an event nor an error."""
        while self._cuts == cuts:
            self._changed.wait(0.2)


def _selected(pod: Json, query: dict[str, str], namespace: str) -> bool:
    asked = [one.partition("=") for one in query.get("labelSelector", "").split(",") if one]
    labels = pod["metadata"]["labels"]
    fits = all(labels.get(name) == value if equal else name in labels for name, equal, value in asked)
    return fits and namespace in ("", pod["metadata"]["namespace"])


def _plural_of(found: Json) -> str:
    return f"{found.get('kind', 'Pod').lower()}s"


def _status(code: int, reason: str, message: str) -> tuple[int, Json]:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message}


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[Api]:
    """A client of it, through real connections."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            if query.get("watch"):
                events = cluster.watched(query, url.path.rpartition("/")[2])
                self.stream(json.dumps(event).encode() + b"\n" for event in events)
            elif url.path.endswith("/log"):
                name = url.path.split("/")[-2]
                cluster.calls.append(f"{self.command} {url.path}")
                text = cluster.logs.get((name, query["container"]), b"")
                if lines := int(query.get("tailLines") or 0):
                    text = b"".join(text.splitlines(keepends=True)[-lines:])
                text = text[: int(query.get("limitBytes") or len(text))]
                if cluster.log_breaks and query.get("follow"):
                    cluster.log_breaks -= 1
                    self.break_off(text)
                else:
                    self.send(cluster.log_status, text)
            else:
                status, found = cluster.handle(self.command, url.path, query, body, self.headers["Content-Type"] or "")
                self.send(status, json.dumps(found).encode())

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815

        def send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def stream(self, chunks: Iterator[bytes]) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                self.wfile.flush()
            self.close_connection = True  # broken off, not ended

        def break_off(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: data.index(b"\n") + 1])
            self.wfile.flush()
            self.close_connection = True

        def log_message(self, *args: Any) -> None:
            """Not told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{server.server_port}"
    try:
        yield Api(configuration)
    finally:
        cluster.cut()
        server.shutdown()
        server.server_close()

"""Pod objects as a cluster sends them, for tests: whatever is not said is as in a pod that runs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from scheduler.executors.kubernetes import names

Json = dict[str, Any]
CREATED = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)


def at(seconds: float = 0) -> str:
    return (CREATED + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def now(seconds: float = 0) -> str:
    """That much later than it really is."""
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def pod(phase: str = "Running", main: Json | None = None, **over: Any) -> Json:
    """`main`: state of the main container; over: reason, message, conditions, deleted, init, other, spec, labels."""
    status: Json = {"phase": phase, "conditions": over.get("conditions", [condition("PodScheduled")])}
    for name in ("reason", "message"):
        if name in over:
            status[name] = over[name]
    if main is not None:
        status["containerStatuses"] = [{"name": "main", "image": "team/job:1", "state": main}, *over.get("other", [])]
    if "init" in over:
        status["initContainerStatuses"] = over["init"]
    metadata: Json = {
        "name": "f1-n0-0-abc",
        "namespace": "flights-development",
        "uid": "u-1",
        "resourceVersion": "7",
        "creationTimestamp": at(),
        "labels": {names.ATTEMPT_ID: "1", names.OWNER: "me", **over.get("labels", {})},
        "annotations": {names.PRIMARY: "main"},
        "finalizers": [names.FINALIZER],
    }
    if "deleted" in over:
        metadata["deletionTimestamp"] = over["deleted"]
    spec = {"nodeName": "node-1", "containers": [{"name": "main", "image": "team/job:1"}], **over.get("spec", {})}
    return {"metadata": metadata, "spec": spec, "status": status}


def waits(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def runs() -> Json:
    return {"running": {"startedAt": at(2)}}


def ended(code: int = 0, reason: str = "", message: str = "", *, started: str | None = None) -> Json:
    told = reason or ("Completed" if code == 0 else "Error")
    state: Json = {"exitCode": code, "reason": told, "startedAt": started or at(2), "finishedAt": at(9)}
    return {"terminated": {**state, **({"message": message} if message else {})}}


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(1)}


def disrupted(reason: str, message: str = "") -> list[Json]:
    return [condition("PodScheduled"), condition("DisruptionTarget", "True", reason, message)]


def event(reason: str, message: str = "", seconds: float = 3, kind: str = "Warning") -> Json:
    return {"reason": reason, "message": message, "type": kind, "lastTimestamp": at(seconds), "eventTime": None}

"""Pods of a job's replicas, as templates: each is what the task's own pod would be, but for what its role says."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.executors.kubernetes import bounds, kueue, merge, names
from scheduler.executors.kubernetes.build import build
from scheduler.executors.kubernetes.jobs.kind import Json, Plan

_OWN_WORDS = ("command", "args")


def template(
    plan: Plan,
    role: str,
    container: str,
    *,
    image: str = "",
    program: bool = True,
    restart_policy: str = "",
    calls_cluster: bool = False,
) -> Json:
    """metadata and spec of the pods of a role. `container`: what the container of the task's program is called there;
    `program`: whether it has the task's command; `restart_policy`: of the pod, empty: the operator says;
    `calls_cluster`: what runs there makes or reaches other pods by the cluster's API, as the account that it has.
    """
    spec = plan.spec
    needs = spec.job.needs.get(role, spec.needs) if spec.job is not None else spec.needs
    built = build(replace(spec, needs=needs, image=image or spec.image), plan.cluster, plan.around, name=plan.name)
    pod: Json = copy.deepcopy(built.pod)
    main = main_of(pod["spec"], built.primary)
    if container != built.primary and any(one.get("name") == container for one in pod["spec"]["containers"]):
        raise InvalidArgument(
            f"the pod of task {spec.identity.task} has a container {container!r} besides its own: the operator knows "
            "the task's by that name, so another cannot have it"
        )
    main["name"] = container
    if not program:
        for name in _OWN_WORDS:
            main.pop(name, None)
    pod["spec"].pop("restartPolicy", None)
    if calls_cluster:
        pod["spec"].pop("automountServiceAccountToken", None)
    if restart_policy:
        pod["spec"]["restartPolicy"] = restart_policy
    metadata = pod["metadata"]
    labels = {name: value for name, value in metadata["labels"].items() if name != kueue.QUEUE}
    return {
        "metadata": {"labels": labels, "annotations": {**metadata["annotations"], names.PRIMARY: container}},
        "spec": pod["spec"],
    }


def put_over(made: Json, container: str, given: Mapping[str, Any], own: str = "") -> None:
    """Lay the pod that a plug-in sends for a role over a template. `own`: which container of it is the role's, its
    first one where there is none of that name; what it asks for is among the role's needs. Marks are Causeway's.
    """
    told = given.get("podSpec") or {}
    containers = list(told.get("containers") or ())
    named: Mapping[str, Any] = next((one for one in containers if one.get("name") == own), next(iter(containers), {}))
    main = main_of(made["spec"], container)
    merged = merge.over(main, {name: value for name, value in named.items() if name not in ("name", "resources")})
    main.clear()
    main.update(merged)
    made["spec"] = merge.over(made["spec"], {name: value for name, value in told.items() if name != "containers"})
    metadata = given.get("metadata") or {}
    for kind in ("labels", "annotations"):
        made["metadata"][kind] = {**(metadata.get(kind) or {}), **made["metadata"][kind]}
    made["metadata"]["labels"].pop(kueue.QUEUE, None)  # the job waits, and nobody in another project's queue


def main_of(pod: Mapping[str, Any], name: str) -> Json:
    """The container of that name in a pod spec, to be changed."""
    found: Json = next(one for one in pod["containers"] if one.get("name") == name)
    return found


def job(plan: Plan, spec: Json, *, labels: Mapping[str, str] | None = None) -> Json:
    """The whole object, marked as the attempt's; in the project's queue, if it has one."""
    own, annotations = names.marks(plan.spec.identity, plan.around.owner, plan.around.attempt_id, plan.cluster.name)
    queue = plan.cluster.queue_of(*plan.spec.identity.place)
    queued = {kueue.QUEUE: queue} if queue else {}
    return {
        "apiVersion": plan.resource.api_version,
        "kind": plan.resource.kind,
        "metadata": {
            "name": plan.name,
            "namespace": plan.around.namespace,
            "labels": {**plan.cluster.pod_labels, **plan.spec.labels, **(labels or {}), **queued, **own},
            "annotations": {**plan.spec.annotations, **annotations},
        },
        "spec": spec,
    }


def body(made: Json, task: str) -> bytes:
    """The object as it is sent. InvalidArgument where no cluster could keep it."""
    return bounds.body(made, task)

"""`dask` of flytekit as DaskJob of dask-kubernetes: a runner with the task's program, a scheduler, workers.

The scheduler and each worker are Deployments, so their pods are started again for ever; the runner is a plain pod, and
tells how it ended: the object says no more than that it failed. Its Service is described here, because the operator
makes none by itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.ending import Verdict
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Seen, Sight
from scheduler.executors.kubernetes.jobs.templates import job, main_of, template
from scheduler.executors.kubernetes.observe import Over, Runs, Waits
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.wait import Wait

RUNNER, SCHEDULER, WORKER = "job-runner", "scheduler", "worker"
_COMPONENT = "dask.org/component"
_TCP, _DASHBOARD = 8786, 8787
# What a container has that runs in the place of another
_OF_PLACE = ("image", "imagePullPolicy", "env", "envFrom", "volumeMounts", "securityContext", "resources")
_WAITS = """
import socket, sys, time
while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
        break
    except OSError:
        time.sleep(0.5)
"""
_WORKER_NAME = "DASK_WORKER_NAME"
_OF_WORKER = re.compile(r"-worker-([0-9a-f]{7})[0-9a-f]*$", re.ASCII)


def build(plan: Plan) -> Json:
    workers = plan.custom.get("workers") or {}
    runner = template(plan, "runner", RUNNER, restart_policy="Never")
    ports = [
        {"containerPort": _TCP, "name": "tcp-comm", "protocol": "TCP"},
        {"containerPort": _DASHBOARD, "name": "http-dashboard", "protocol": "TCP"},
    ]
    _wait_for_scheduler(runner["spec"], plan.name)
    scheduler = _node(plan, "scheduler", SCHEDULER, plan.custom.get("scheduler") or {}, "dask_scheduler")
    main_of(scheduler, SCHEDULER)["ports"] = ports
    worker = _node(plan, "worker", WORKER, workers, "dask_worker", "--name", f"$({_WORKER_NAME})")
    selector = {"dask.org/cluster-name": plan.name, _COMPONENT: "scheduler"}
    services = [{"name": one["name"], "port": one["containerPort"], "targetPort": one["name"]} for one in ports]
    cluster = {
        "scheduler": {
            "spec": scheduler,
            "service": {"type": "ClusterIP", "selector": selector, "ports": services},
        },
        "worker": {"replicas": int(workers.get("numberOfWorkers") or 1), "spec": worker},
    }
    # Its labels are handed on to its pods: Kueue, which does not know the kind, has each of these wait by itself
    labels = runner["metadata"]["labels"]
    return job(plan, {"job": {"spec": runner["spec"]}, "cluster": {"spec": cluster}}, labels=labels)


def _wait_for_scheduler(runner: Json, name: str) -> None:
    """The program begins when it can be reached: a client gives up after half a minute, while a scheduler may have to
    wait for a node, and for its image there, for much longer.
    """
    main = main_of(runner, RUNNER)
    kept = {part: main[part] for part in _OF_PLACE if part in main}
    waits = {"name": "wait-for-scheduler", **kept, "args": ["python", "-c", _WAITS, f"{name}-scheduler", str(_TCP)]}
    runner["initContainers"] = [*(runner.get("initContainers") or ()), copy.deepcopy(waits)]


def _node(plan: Plan, role: str, container: str, told: Mapping[str, Any], program: str, *words: str) -> Json:
    """Newer images have no programs called dask-scheduler and dask-worker: the modules are started."""
    made = template(plan, role, container, image=str(told.get("image") or ""), program=False)
    main = main_of(made["spec"], container)
    main["args"] = ["python", "-m", f"distributed.cli.{program}", *words]
    spec: Json = made["spec"]
    return spec


def rank(pod: Seen) -> Rank | None:
    labels = pods.part(pod, "metadata", "labels")
    role = labels.get(_COMPONENT)
    if role == "job-runner":
        return Rank("runner")
    if role == "scheduler":
        return Rank("scheduler")
    return Rank("worker", _number(pod)) if role else None


def _number(pod: Seen) -> int:
    """Of a worker's pod, by the random end of what its operator calls the worker: it stays when the pod is made anew. A
    pod's own name has it only where the job's name is short.
    """
    for container in pods.items(pod, "spec", "containers"):
        for entry in pods.items(container, "env"):
            told = pods.text(entry, "value") if entry.get("name") == _WORKER_NAME else ""
            if found := _OF_WORKER.search(told):
                return int(found[1], 16)
    return 0


def observe(scene: Scene) -> Sight:
    if scene.job is None:
        return replicas.gone(scene)
    state = pods.text(scene.status, "jobStatus")
    runner = scene.pods.get(Rank("runner"))
    if state == "Successful":
        return Over(Verdict(failed=False, exit_code=0), replicas.started_at(scene), None)
    if state == "Failed":
        return replicas.failure_of_main(scene, "")
    if (leaving := replicas.leaving(scene)) is not None:
        return leaving
    if (over := replicas.cannot_start(scene)) is not None:
        return over
    if (ending := replicas.of_main(scene)) is not None:
        return ending
    if (over := replicas.crashed(scene, _count_from(runner))) is not None:
        return over
    if runner is not None and replicas.has_started(runner):
        return replicas.stuck(scene) or Runs(pods.started_at(runner, pods.primary_of(runner)))
    if not state and not scene.pods:
        return replicas.silent(scene)
    return replicas.waits(scene) or Waits(Wait("PodInitializing", "its cluster is being made", 3600.0))


def _count_from(runner: Seen | None) -> dict[str, datetime | None]:
    """From when on starts in vain count: of workers once the runner has found the scheduler, which they need, too."""
    found = pods.started_at(runner, pods.primary_of(runner)) if runner is not None else None
    return {"scheduler": None, **({"worker": found} if found is not None else {})}


def _main(spec: AttemptSpec) -> Rank:
    return Rank("runner")


KIND = Kind(
    "dask",
    "the Dask operator",
    (Resource("kubernetes.dask.org", "v1", "DaskJob", "daskjobs"),),
    build,
    observe,
    rank,
    _main,
    by_main=True,
)

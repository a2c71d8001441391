"""`ray` of flytekit as RayJob of KubeRay: a head, groups of workers, and a submitter that waits for the program.

The program runs on the head, so variables and secrets of the task are on all of them. Its command is one text there,
for a shell. How it ended says the job's status alone: the submitter ends well also when the program did not. The probes
of KubeRay need wget in the image: those here need nothing. Its own deadline is not used, after which the submitter
would go on trying against nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.ending import Verdict
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Json, Kind, Plan, Rank, Scene, Seen, Sight
from scheduler.executors.kubernetes.jobs.templates import job, main_of, put_over, template
from scheduler.executors.kubernetes.observe import Over, Runs, Waits
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.wait import Wait

HEAD, WORKER, SUBMITTER = "ray-head", "ray-worker", "ray-job-submitter"
_STAYS = 60  # seconds that its cluster stays after the end, for the last of the logs; it goes before with the job
_SMALL = {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "1Gi"}}  # of the submitter
_RANDOM = re.compile(r"[0-9a-z]{1,5}", re.ASCII)
_DASHBOARD, _GCS, _AGENT = 8265, 6379, 52365  # ports that are open once a head is ready; once a worker is


def build(plan: Plan) -> Json:
    cluster = plan.custom.get("rayCluster") or {}
    groups = [_worker_group(plan, group) for group in cluster.get("workerGroupSpec") or ()]
    grows = bool(cluster.get("enableAutoscaling"))  # by a container beside the head, which asks the cluster for more
    head = _node(plan, "head", HEAD, cluster.get("headGroupSpec") or {}, (_DASHBOARD, _GCS), calls_cluster=grows)
    ray: Json = {"headGroupSpec": {"serviceType": "ClusterIP", **head}, "workerGroupSpecs": groups}
    head["rayStartParams"].setdefault("dashboard-host", "0.0.0.0")  # noqa: S104 - inside its pod's network
    if grows:
        ray["enableInTreeAutoscaling"] = True
        if options := cluster.get("autoscalerOptions"):
            ray["autoscalerOptions"] = options
    spec: Json = {
        "entrypoint": shlex.join(plan.spec.argv),
        "shutdownAfterJobFinishes": True,  # Kueue takes no other
        "ttlSecondsAfterFinished": _STAYS,
        "backoffLimit": 0,
        "rayClusterSpec": ray,
        "submitterPodTemplate": _submitter(plan),
    }
    if environment := _runtime_env(plan.custom):
        spec["runtimeEnvYAML"] = environment
    return job(plan, spec)


def _runtime_env(custom: Mapping[str, Any]) -> str:
    """As YAML; of older plug-ins, which send base64 of JSON alone, that. InvalidArgument for what is neither."""
    if told := custom.get("runtimeEnvYaml"):
        return str(told)
    if not (told := custom.get("runtimeEnv")):
        return ""
    try:
        return str(yaml.safe_dump(json.loads(base64.b64decode(str(told), validate=True))))
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"the task's runtime_env cannot be read: {error}") from None


def _worker_group(plan: Plan, group: Mapping[str, Any]) -> Json:
    name = str(group.get("groupName") or "worker")
    count = int(group.get("replicas") or group.get("minReplicas") or 0)
    return {
        "groupName": name,
        "replicas": count,
        "minReplicas": int(group.get("minReplicas") or count),
        "maxReplicas": int(group.get("maxReplicas") or count),
        **_node(plan, name, WORKER, group, (_AGENT,)),
    }


def _node(
    plan: Plan,
    role: str,
    container: str,
    group: Mapping[str, Any],
    ports: Sequence[int],
    *,
    calls_cluster: bool = False,
) -> Json:
    """Of a head or of a group of workers. Container 0 of the pod that the plug-in sends is meant, whatever it says of
    its primary one.
    """
    made = template(plan, role, container, program=False, calls_cluster=calls_cluster)
    put_over(made, container, group.get("k8sPod") or {})
    main = main_of(made["spec"], container)
    for probe, port in zip(("readinessProbe", "livenessProbe"), (ports[0], ports[-1]), strict=True):
        main.setdefault(probe, {"tcpSocket": {"port": port}, "periodSeconds": 5, "failureThreshold": 60})
    params = {str(name): str(value) for name, value in (group.get("rayStartParams") or {}).items()}
    return {"rayStartParams": params, "template": made}


def _submitter(plan: Plan) -> Json:
    """It asks for little, wherever the others are."""
    made = template(plan, "submitter", SUBMITTER, program=False, restart_policy="Never")
    main = main_of(made["spec"], SUBMITTER)
    main["resources"] = json.loads(json.dumps(_SMALL))
    return made


def rank(pod: Seen) -> Rank | None:
    """KubeRay numbers no worker of a group: each has the number that its name gives."""
    labels = pods.part(pod, "metadata", "labels")
    if labels.get("ray.io/node-type") == "head":
        return Rank("head")
    if labels.get("ray.io/node-type") == "worker":
        return Rank(str(labels.get("ray.io/group") or "worker"), _number(pods.name_of(pod)))
    if "job-name" in labels or "batch.kubernetes.io/job-name" in labels:
        return Rank("submitter")
    return None


def _number(name: str) -> int:
    """Of the five random letters at the end of a pod's name: no two pods of a group have the same."""
    letters = name.rpartition("-")[2]
    return int(letters, 36) if _RANDOM.fullmatch(letters) else 0


def observe(scene: Scene) -> Sight:
    if scene.job is None:
        return replicas.gone(scene)
    state, reason = pods.text(scene.status, "jobDeploymentStatus"), pods.text(scene.status, "reason")
    if state == "Complete":
        return Over(Verdict(failed=False, exit_code=0), _began(scene), None)
    if state == "Failed":
        return Over(_failure(scene, reason), _began(scene), None)
    if (leaving := replicas.leaving(scene)) is not None:
        return leaving
    if state in ("Suspended", "Suspending"):
        return replicas.evicted(scene) if scene.ran and state == "Suspended" else replicas.held_by_kueue(scene)
    if (over := replicas.cannot_start(scene)) is not None:
        return over
    if (over := replicas.crashed(scene, {"head": None})) is not None:
        return over
    if state == "Running":
        return Runs(_began(scene))
    if not state and not scene.pods:
        return replicas.silent(scene)
    return replicas.waits(scene) or Waits(Wait("PodInitializing", _said(scene), scene.graces.initializing))


def _failure(scene: Scene, reason: str) -> Verdict:
    """AppFailed is the program's own end; the rest is its cluster's."""
    told = pods.text(scene.status, "message")
    if pods.text(scene.status, "jobStatus") == "FAILED" or reason == "AppFailed":
        return Verdict("NonZeroExit", told or "the program ended badly", USER)
    for one in _failed_pods(scene):
        return one
    return Verdict(reason or "JobFailed", told or f"{scene.operator} says {reason}", SYSTEM)


def _failed_pods(scene: Scene) -> Iterator[Verdict]:
    over = replicas.failure_of(scene, "")
    if over.verdict.code != "JobFailed":
        yield over.verdict


def _began(scene: Scene) -> Any:
    return pods.moment(pods.part(scene.status, "rayJobInfo").get("startTime")) or replicas.started_at(scene)


def _said(scene: Scene) -> str:
    return pods.text(scene.status, "message") or "its cluster is being made ready"


def _main(spec: AttemptSpec) -> Rank:
    """It prints what the program on the head does."""
    return Rank("submitter")


KIND = Kind("ray", "KubeRay", (Resource("ray.io", "v1", "RayJob", "rayjobs"),), build, observe, rank, _main)

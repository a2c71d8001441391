"""What jobs of Kubeflow's operators have in common: PyTorchJob, TFJob, and both MPIJobs.

Seen of training-operator 1.9.0 and mpi-operator 0.6.0. Not the operator's deadline is used, which a PyTorchJob does not
keep, but Causeway's own; not its time to live: the job goes once its end and its logs are kept; and never its restart
policy ExitCode, which knows no limit. What the object says after the end of its replicas is no evidence (workers that
are being killed count as succeeded), so how it failed is read from the pods.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.ending import Verdict
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import Json, Plan, Rank, Scene, Seen, Sight
from scheduler.executors.kubernetes.jobs.templates import job, template
from scheduler.executors.kubernetes.observe import Ending, Over, Runs
from scheduler.executors.kubernetes.resource import Resource

GROUP = "kubeflow.org"
TRAINING = "the Kubeflow training operator"
_LABEL = "training.kubeflow.org"
_RESTARTS = {"RESTART_POLICY_ON_FAILURE": "OnFailure", "RESTART_POLICY_NEVER": "Never"}
_NUMBER = re.compile(r"-(\d{1,6})$", re.ASCII)


def resource(kind: str, version: str = "v1") -> Resource:
    return Resource(GROUP, version, kind, f"{kind.lower()}s")


def group(custom: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What is said of the replicas of a role: `workerReplicas`; a number alone in version 0 of the types."""
    found = custom.get(name)
    return found if isinstance(found, Mapping) else {}


def replica_spec(
    plan: Plan,
    role: str,
    count: int,
    container: str,
    *,
    program: bool = True,
    policy: str = "Never",
    calls_cluster: bool = False,
) -> Json:
    """Of `count` replicas of a role, as the task asks for them."""
    told = group(plan.custom, f"{role}Replicas")
    image = str(told.get("image") or "")
    made = template(plan, role, container, image=image, program=program, calls_cluster=calls_cluster)
    return {
        "replicas": count,
        "restartPolicy": restart_policy(plan, told, policy),
        "template": made,
    }


def restart_policy(plan: Plan, told: Mapping[str, Any], otherwise: str) -> str:
    """In Kubernetes' word. InvalidArgument for one that no job could end with."""
    asked = str(told.get("restartPolicy") or "")
    if asked and asked not in _RESTARTS:
        raise InvalidArgument(
            f"task {plan.spec.identity.task} asks for the restart policy {asked}: a job can end with "
            f"{' and '.join(sorted(_RESTARTS))} only"
        )
    return _RESTARTS.get(asked, otherwise)


def run_policy(plan: Plan, *, clean: str) -> Json:
    """`clean`: which pods go when the job ends, where the task does not say: NONE is the zero of its enumeration, and
    never arrives.
    """
    told = group(plan.custom, "runPolicy")
    asked = {"CLEANPOD_POLICY_ALL": "All", "CLEANPOD_POLICY_RUNNING": "Running"}
    made: Json = {"cleanPodPolicy": asked.get(str(told.get("cleanPodPolicy")), clean)}
    if told.get("backoffLimit"):
        made["backoffLimit"] = int(told["backoffLimit"])
    return made


def own_deadline(spec: AttemptSpec) -> float:
    """Seconds that the task gives its job by the plug-in's run policy; 0: it does not. Causeway keeps it."""
    told = group(spec.job.custom, "runPolicy").get("activeDeadlineSeconds") if spec.job is not None else None
    return float(told) if isinstance(told, (int, float)) else 0.0


def whole(plan: Plan, specs: str, replica_specs: Mapping[str, Json], policy: Json, **rest: Any) -> Json:
    """The job. `specs`: what its operator calls the replicas' descriptions; groups without any are left out: a group of
    none is made, deleted again, and kills the job.
    """
    kept = {name: one for name, one in replica_specs.items() if one["replicas"]}
    return job(plan, {"runPolicy": policy, specs: kept, **rest})


def rank(pod: Seen) -> Rank | None:
    """By the operator's labels; the launcher of an MPIJob has no number."""
    labels = pods.part(pod, "metadata", "labels")
    role = labels.get(f"{_LABEL}/replica-type") or labels.get(f"{_LABEL}/job-role")
    if not isinstance(role, str) or not role:
        return None
    told = labels.get(f"{_LABEL}/replica-index")
    number = _NUMBER.search(pods.name_of(pod)) if role != "launcher" else None
    index = told if isinstance(told, str) and told.isascii() and told.isdigit() else number[1] if number else "0"
    return Rank(role.lower(), int(index))


def observe(scene: Scene, main: Rank | None) -> Sight:
    """`main`: the replica with whose end the job ends; None: any of them."""
    if scene.job is None:
        return replicas.gone(scene)
    if (over := _told(scene, main)) is not None:
        return over
    if (leaving := replicas.leaving(scene)) is not None:
        return leaving
    if is_true(scene, "Suspended"):
        return replicas.evicted(scene) if scene.ran else replicas.held_by_kueue(scene)
    if (over := replicas.cannot_start(scene)) is not None:
        return over
    if (ending := _untold(scene, main)) is not None:
        return ending
    return _going_on(scene)


def _told(scene: Scene, main: Rank | None) -> Sight | None:
    """What the operator says of the end."""
    if is_true(scene, "Failed"):
        return replicas.failure_of(scene, _message(scene, "Failed"))
    if not is_true(scene, "Succeeded"):
        return None
    well = Over(Verdict(failed=False, exit_code=0), replicas.started_at(scene), None)
    if main is not None or all(map(replicas.is_over, scene.pods.values())):
        return well
    return Ending(True, scene.now + timedelta(seconds=1))  # the one that writes the outputs may still be at it


def _untold(scene: Scene, main: Rank | None) -> Sight | None:
    """Replicas that have ended, while the operator says nothing of it: it may be away."""
    ended = [pod for pod in scene.pods.values() if replicas.is_over(pod)]
    own = scene.pods.get(main) if main is not None else None
    done = own if own is not None and replicas.is_over(own) else None
    if done is None and (main is not None or not ended or len(ended) < max(scene.expected, len(scene.pods))):
        return _failed_alone(scene)
    last = done if done is not None else max(ended, key=replicas.ended_at)
    return replicas.untold(scene, last, replicas.failure_of)


def _failed_alone(scene: Scene) -> Sight | None:
    """A replica that failed for good and holds up the others: its operator says so at once, where it is there."""
    for pod in replicas.failed(scene).values():
        if pods.text(pod, "status", "phase") != "Failed" or pods.part(pod, "metadata").get("deletionTimestamp"):
            continue
        until = replicas.ended_at(pod) + timedelta(seconds=replicas.UNTOLD_SECONDS)
        return Ending(False, until) if scene.now < until else replicas.failure_of(scene, "")
    return None


def _going_on(scene: Scene) -> Sight:
    if not pods.items(scene.status, "conditions") and not scene.pods:
        return replicas.silent(scene)
    if len(scene.pods) < scene.expected:
        return replicas.too_few(scene)
    return replicas.waits(scene) or Runs(replicas.started_at(scene))


def is_true(scene: Scene, condition: str) -> bool:
    return bool(pods.condition(scene.job or {}, condition).get("status") == "True")


def _message(scene: Scene, condition: str) -> str:
    return f"{scene.operator} says: {pods.text(pods.condition(scene.job or {}, condition), 'message')}"

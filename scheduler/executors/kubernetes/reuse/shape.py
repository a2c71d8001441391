"""Whether an attempt may share pods, and what such a pod is. Pure: attempts with the same shape, and no others, share.

The shape is the pod itself, without what is the attempt's own: project and domain, image, resources, template, service
account, labels and annotations of the launch, whatever is in the pod. Variables come with each task; only those that
act when an interpreter starts are the pod's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scheduler.attempts.spec import AttemptSpec, Identity
from scheduler.environment import REUSE
from scheduler.executors.command import own_variables, plan, warm_key
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.build import build
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.containers import GPU, Surroundings, is_device, uses_runner
from scheduler.executors.kubernetes.reuse.policy import ALL, NONE, Reuse
from scheduler.executors.kubernetes.runner import start

Json = dict[str, Any]
SILENCE_SECONDS = 900.0  # without a word of an executor, after which an idle pod ends by itself
END_SECONDS = 5  # that a pod which is deleted is given
TEMPORARY = "causeway-tmp"  # a volume
_AT_START = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "FLYTE_SDK_", "OMP_", "MKL_", "OPENBLAS_", "LANG", "LC_", "TZ")
_NAME = "pool"
TOKEN = "CAUSEWAY_TOKEN"  # noqa: S105 - the name of a variable
SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - of the pod: where tasks leave files besides their own folders


@dataclass(frozen=True)
class Shape:
    key: str
    namespace: str
    pod: str  # as JSON, without a name of its own
    primary: str  # name of the container that runs tasks

    def body(self, name: str) -> bytes:
        """The pod as it is sent."""
        made = json.loads(self.pod)
        made["metadata"]["name"] = name
        return json.dumps(made, separators=(",", ":")).encode()


def fits(spec: AttemptSpec, cluster: Cluster, policy: Reuse) -> bool:
    """Whether it may run in a pod that others run in, by what it says itself. Never one that asks for secrets: they
    would have to be in the pod. One that holds a device only where it asks: an idle pod holds it, too.
    """
    said = spec.env.get(REUSE)
    wanted = spec.reuse or (policy.tasks == ALL and said != "0")
    if policy.tasks == NONE or not wanted or spec.secrets or spec.echo is not None:
        return False
    if _holds_devices(spec) and said != "1":
        return False
    return uses_runner(spec, cluster) and not _sees_processes(spec)


def shape(spec: AttemptSpec, cluster: Cluster, around: Surroundings) -> Shape | None:
    """None where what a PodTemplate of the cluster adds cannot be shared. InvalidArgument as `build`."""
    identity = Identity(_NAME, project=spec.identity.project, domain=spec.identity.domain, task=spec.identity.task)
    own = {name: value for name, value in spec.env.items() if name.startswith(_AT_START)}
    built = build(replace(spec, identity=identity, env=own, timeout_seconds=None), cluster, around)
    pod = built.pod
    if len(pod["spec"]["containers"]) > 1 or pod["spec"].get("shareProcessNamespace") or pod["spec"].get("hostPID"):
        return None
    if pod["spec"].get("activeDeadlineSeconds"):
        return None
    _stays(pod["spec"], pod["spec"]["containers"][0])
    _unmark(pod["metadata"])
    text = json.dumps(pod, sort_keys=True, separators=(",", ":"))
    key = hashlib.sha256(f"{around.owner}\0{spec.identity.place}\0{text}".encode()).hexdigest()[:16]
    pod["metadata"]["labels"][names.POOL] = key
    return Shape(key, around.namespace, json.dumps(pod, separators=(",", ":")), built.primary)


def pod_name(key: str, own: str) -> str:
    """`own`: what tells it from others of the pool."""
    return f"{names.POOL_POD}{key}-{own}"


def variables(spec: AttemptSpec, cluster: Cluster, given: Mapping[str, str]) -> dict[str, str]:
    """What the task gets on top of what its pod has; `given`: how it reaches Causeway."""
    return {"FLYTE_INTERNAL_IMAGE": spec.image or cluster.image, **given, **spec.env}


def program(spec: AttemptSpec, variables: Mapping[str, str]) -> Json | None:
    """What attempts have in common that may be forks of one process with their program in it: the same code, and those
    of their variables that are not an attempt's own. None where it is not known what would be imported.
    """
    found = plan(spec.argv)
    if not found.module:
        return None
    env = {name: value for name, value in own_variables(variables).items() if name != TOKEN}
    return {"key": warm_key(f"{found.distribution} {found.module}", env), "module": found.module, "env": env}


def _stays(spec: Json, container: Json) -> None:
    words = start.pool_words(SILENCE_SECONDS, f"{SHARED[0]}/.causeway", SHARED)
    if container.get("command"):
        container["command"], container["args"] = words[: start.LEAD], words[start.LEAD :]
    else:
        container["args"] = words
    for entry in container["env"]:
        if entry["name"] == start.VARIABLE:
            entry["value"] = start.pool_code()
    container["stdin"] = True
    # What one task wrote into the image's files would be there for the next
    container["securityContext"] = {**(container.get("securityContext") or {}), "readOnlyRootFilesystem": True}
    mounts = container.setdefault("volumeMounts", [])
    if not any(one.get("mountPath") == SHARED[0] for one in mounts):
        mounts.append({"name": TEMPORARY, "mountPath": SHARED[0]})
        spec.setdefault("volumes", []).append({"name": TEMPORARY, "emptyDir": {}})
    spec.setdefault("terminationGracePeriodSeconds", END_SECONDS)


def _unmark(metadata: Json) -> None:
    """It is nobody's attempt, and holds nobody's end."""
    metadata["finalizers"] = [name for name in metadata["finalizers"] if name != names.FINALIZER]
    for kind in ("labels", "annotations"):
        for name in (names.ATTEMPT, names.ATTEMPT_ID, names.NAME, names.TASK):
            metadata[kind].pop(name, None)
    metadata["name"] = ""


def _holds_devices(spec: AttemptSpec) -> bool:
    asked = {**spec.needs.requests, **spec.needs.limits}
    return any(name == GPU or is_device(name) for name, amount in asked.items() if amount not in ("0", ""))


def _sees_processes(spec: AttemptSpec) -> bool:
    return any(pod is not None and len(pod.spec.get("containers") or ()) > 1 for pod in (spec.pod, spec.overlay))

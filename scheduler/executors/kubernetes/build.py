"""An attempt as a pod. Pure: the same spec, cluster and surroundings always make the same pod.

The steps and their order are those of Flyte 1.16.8 (flytek8s/pod_helper.go, ApplyFlytePodConfiguration): the task's
containers, data containers, the cluster's settings, the PodTemplate object beneath, accelerators and shared memory.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes import bounds, kueue, merge, names, scheduling, volumes
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.containers import (
    Surroundings,
    containers,
    env_from,
    give_variables,
    is_device,
    pod_of,
    primary_name,
    resources_of,
)
from scheduler.executors.kubernetes.raw import containers as raw
from scheduler.quantities import quantity

Json = dict[str, Any]


@dataclass(frozen=True)
class Built:
    pod: Json
    body: bytes  # the pod as it is sent
    primary: str  # name of the container that runs the task

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.pod["metadata"]["labels"])


def build(spec: AttemptSpec, cluster: Cluster, around: Surroundings, *, name: str = "") -> Built:
    """InvalidArgument, in one sentence, for what no cluster would take or could run. `name`: of the job whose pod it
    is; empty: the attempt is one pod, and that has its name.
    """
    own = pod_of(spec)
    if not spec.argv and own is None and spec.data_config is None:
        raise InvalidArgument(
            f"no executor of this set-up runs tasks of type {spec.task_type or 'unknown'!r}, which have no container"
        )
    primary = primary_name(spec)
    pod = copy.deepcopy(dict(own.spec)) if own is not None else {}
    pod["containers"] = containers(spec, cluster, around)
    give_variables(pod, spec, cluster)
    main = next(one for one in pod["containers"] if one.get("name") == primary)
    inputs = ""
    if spec.data_config is not None:
        shared = {"env": {**cluster.env, **around.env}, "envFrom": env_from(cluster, around.store_secret)}
        inputs = raw.add(pod, main, spec, spec.data_config, cluster, shared)
    _settle(pod, spec, cluster)
    scheduling.place(pod, spec, cluster)
    metadata = _metadata(spec)
    if around.template is not None:
        template = around.template.get("template") or {}
        pod = merge.pod_over_template(template.get("spec") or {}, pod, primary, inputs)
        metadata = merge.metadata_over_template(template.get("metadata") or {}, metadata)
    for container in (*pod["containers"], *(pod.get("initContainers") or ())):
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    main = next(one for one in pod["containers"] if one.get("name") == primary)
    _fit_limits(main, resources_of(spec.needs, cluster, main.get("resources") or {}))
    scheduling.accelerate(pod, spec, cluster.accelerators)
    if spec.needs.shared_memory is not None:
        volumes.share_memory(pod, main, spec.needs.shared_memory)
    name = name or names.pod_name(spec.identity, around.owner)
    volumes.mount_secrets(pod, main, names.secret_name(name), around)
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _marked(metadata, name, primary, spec, cluster, around),
        "spec": pod,
    }
    return Built(made, bounds.check(made, spec.identity.task or spec.identity.name), primary)


def _settle(pod: Json, spec: AttemptSpec, cluster: Cluster) -> None:
    """What the launch and the cluster say of the pod as a whole; what the task's own pod says goes before."""
    pod["restartPolicy"] = "Never"  # an attempt is tried once: another try is another attempt
    account = spec.service_account or cluster.service_account
    if account:
        pod.setdefault("serviceAccountName", account)
    elif not (pod.get("serviceAccountName") or pod.get("serviceAccount")):
        # Nobody asked for rights in the cluster: then the task's code gets no token of its API either.
        pod.setdefault("automountServiceAccountToken", False)
    if cluster.image_pull_secrets:
        pod.setdefault("imagePullSecrets", [{"name": name} for name in cluster.image_pull_secrets])
    given = {
        "securityContext": cluster.pod_security_context,
        "priorityClassName": cluster.priority_class,
        "runtimeClassName": cluster.runtime_class,
        "schedulerName": cluster.scheduler,
        "dnsPolicy": cluster.dns_policy,
        "dnsConfig": cluster.dns_config,
        "hostNetwork": cluster.host_network,
        # A variable for each service of the namespace: a task does not want them, and many make it slow to start.
        "enableServiceLinks": False,
    }
    for name, value in given.items():
        if value not in (None, ""):
            pod.setdefault(name, copy.deepcopy(value))


def _metadata(spec: AttemptSpec) -> Json:
    """What the task's pod template and the launch say; Causeway's own marks come over it."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for pod in (spec.pod, spec.overlay):
        if pod is not None:
            labels |= pod.labels
            annotations |= pod.annotations
    labels |= spec.labels
    annotations |= spec.annotations
    if spec.iam_role:
        annotations.setdefault("iam.amazonaws.com/role", spec.iam_role)  # as flytepropeller tells kube2iam
    return {"labels": labels, "annotations": annotations}


def _marked(metadata: Json, name: str, primary: str, spec: AttemptSpec, cluster: Cluster, around: Surroundings) -> Json:
    labels, annotations = names.marks(spec.identity, around.owner, around.attempt_id, cluster.name)
    if spec.timeout_seconds:
        annotations[names.TIMEOUT] = f"{spec.timeout_seconds:g}"
    kept = {kind: metadata.get(kind) or {} for kind in ("labels", "annotations")}
    queue = cluster.queue_of(*spec.identity.place)
    return {
        "name": name,
        "namespace": around.namespace,
        # Which queue an administrator sets: nobody waits in another project's instead
        "labels": {**cluster.pod_labels, **kept["labels"], **({kueue.QUEUE: queue} if queue else {}), **labels},
        "annotations": {**cluster.pod_annotations, **kept["annotations"], **annotations, names.PRIMARY: primary},
        "finalizers": [*(metadata.get("finalizers") or ()), names.FINALIZER],
    }


def _fit_limits(container: Json, own: Mapping[str, Mapping[str, str]]) -> None:
    """A template's limit below what the task itself requests gives way; a template's request above the task's own
    limit likewise. Kubernetes would refuse both.
    """
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name in requests.keys() & limits.keys():
        if is_device(name) and requests[name] != limits[name]:
            amount = own.get("requests", {}).get(name) or requests[name]
            requests[name] = limits[name] = amount
        elif quantity(str(requests[name])) > quantity(str(limits[name])):
            if name in own.get("limits", {}) and name not in own.get("requests", {}):
                requests[name] = limits[name]
            elif name not in own.get("limits", {}):
                limits[name] = requests[name]

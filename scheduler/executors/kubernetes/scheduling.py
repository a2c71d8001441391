"""Where a pod may run: selectors, affinities and tolerations, as Flyte 1.16.8 sets them (flytek8s/pod_helper.go)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.kubernetes.cluster import Accelerators, Cluster, Placing
from scheduler.executors.kubernetes.containers import is_device

Json = dict[str, Any]
ARCHITECTURE_LABEL = "kubernetes.io/arch"
ARCHITECTURES = {"ARM_V6": "arm", "ARM_V7": "arm", "UNKNOWN": ""}  # others are the label's value in capitals


def place(pod: Json, spec: AttemptSpec, cluster: Cluster) -> None:
    """Adds to the pod spec what decides on its node."""
    placing = cluster.interruptible if spec.interruptible else cluster.on_demand
    selector = {**cluster.node_selector, **(pod.get("nodeSelector") or {}), **placing.node_selector}
    architecture = ARCHITECTURES.get(spec.architecture, spec.architecture.lower())
    if architecture:
        selector.setdefault(ARCHITECTURE_LABEL, architecture)
    if selector:
        pod["nodeSelector"] = selector
    if cluster.affinity and not pod.get("affinity"):
        pod["affinity"] = copy.deepcopy(dict(cluster.affinity))
    _add_tolerations(pod, _tolerations(pod, cluster, placing))
    if placing.requirement:
        require(pod, placing.requirement)
    if architecture and architecture != "amd64":  # clouds taint their other nodes so
        _add_tolerations(pod, [_toleration(ARCHITECTURE_LABEL, architecture)])


def accelerate(pod: Json, spec: AttemptSpec, rules: Accelerators) -> None:
    """Nodes with the accelerator that the task asks for; nothing where no container asks for a device."""
    asked = spec.needs.accelerator
    if asked is None or not any(is_device(name) for name in _resource_names(pod)):
        return
    if asked.device:
        device = rules.devices.get(asked.device, asked.device)
        require(pod, {"key": rules.device_label, "operator": "In", "values": [device]})
        _add_tolerations(pod, [_toleration(rules.device_label, device)])
    if asked.partition is None:
        return
    if asked.partition:
        require(pod, {"key": rules.partition_label, "operator": "In", "values": [asked.partition]})
        _add_tolerations(pod, [_toleration(rules.partition_label, asked.partition)])
        return
    absent = {"key": rules.partition_label, "operator": "DoesNotExist"}
    require(pod, rules.unpartitioned_requirement or absent)
    if rules.unpartitioned_toleration:
        _add_tolerations(pod, [rules.unpartitioned_toleration])


def require(pod: Json, requirement: Mapping[str, Any]) -> None:
    """Add a node selector requirement to every term: terms are alternatives, so each has to have it."""
    affinity = pod.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.setdefault("nodeSelectorTerms", [])
    if not terms:
        terms.append({})
    for term in terms:
        expressions = term.setdefault("matchExpressions", [])
        if requirement not in expressions:
            expressions.append(dict(requirement))


def _tolerations(pod: Json, cluster: Cluster, placing: Placing) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for name in sorted(_resource_names(pod)):
        found += cluster.resource_tolerations.get(name, ())
    return [*found, *placing.tolerations, *cluster.tolerations]


def _add_tolerations(pod: Json, added: Sequence[Mapping[str, Any]]) -> None:
    present = pod.setdefault("tolerations", [])
    present += [dict(one) for one in added if one not in present]
    if not present:
        del pod["tolerations"]


def _toleration(key: str, value: str) -> Json:
    return {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}


def _resource_names(pod: Mapping[str, Any]) -> set[str]:
    names: set[str] = set()
    for container in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ())):
        told = container.get("resources") or {}
        names.update(told.get("requests") or {}, told.get("limits") or {})
    return names

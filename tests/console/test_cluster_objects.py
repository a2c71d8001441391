"""What docker/kubernetes has for a cluster agrees with the rest. That it runs: tests/cluster/test_deployed.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.executors.kubernetes.cluster import load
from scheduler.executors.kubernetes.jobs.registry import RESOURCES
from scheduler.executors.kubernetes.rights import OF_QUEUES, RIGHTS, of_jobs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker" / "kubernetes"
Json = dict[str, Any]


def objects() -> Iterator[Json]:
    for folder in ("base", "complete"):
        for name in yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())["resources"]:
            if name.endswith(".yaml"):
                yield from yaml.safe_load_all((FOLDER / folder / name).read_text())


def of(kind: str) -> dict[str, Json]:
    return {one["metadata"]["name"]: one for one in objects() if one["kind"] == kind}


def pods() -> list[tuple[str, Json]]:
    found = {**of("Deployment"), **of("StatefulSet")}
    return [(name, one["spec"]["template"]["spec"]) for name, one in found.items()]


def test_the_executor_has_the_rights_that_it_asks_for_and_no_others() -> None:
    rules = of("ClusterRole")["causeway-executor"]["rules"]
    given = {(verb, name) for rule in rules for name in rule["resources"] for verb in rule["verbs"]}
    jobs = {right for one in RESOURCES for right in of_jobs(one)}
    assert given == {(right.verb, right.resource) for right in (*RIGHTS, OF_QUEUES, *jobs)}


def test_pages_may_look_and_nothing_else() -> None:
    rules = of("ClusterRole")["causeway-web"]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list"}
    assert "secrets" not in {name for rule in rules for name in rule["resources"]}


@pytest.mark.parametrize(("name", "spec"), pods(), ids=[name for name, _ in pods()])
def test_every_pod_is_restricted(name: str, spec: Json) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        closed = container["securityContext"]
        assert closed == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    account = of("ServiceAccount")[spec["serviceAccountName"]]
    assert account.get("automountServiceAccountToken") is False or name in ("executor", "web")


def test_whatever_there_are_two_of_keeps_one_while_a_node_is_drained() -> None:
    two = {name for name, one in of("Deployment").items() if one["spec"]["replicas"] > 1}
    assert two == set(of("PodDisruptionBudget")) == {"web", "rpc", "worker", "executor"}


def test_its_cluster_is_understood_and_replicas_agree_on_one() -> None:
    (found,) = load(str(FOLDER / "base" / "clusters.yaml"))
    command = of("Deployment")["executor"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-2:] == ["--cluster", found.name]
    assert found.lease_namespace == "causeway" and not found.kubeconfig


def test_roles_of_the_database_are_those_of_compose() -> None:
    assert of("ConfigMap")["postgres-roles"]["data"]["roles.sh"] == (ROOT / "docker" / "roles.sh").read_text()


@pytest.mark.parametrize(("name", "spec"), pods(), ids=[name for name, _ in pods()])
def test_every_pod_is_asked_whether_it_has_begun_and_each_of_ours_whether_it_hangs(name: str, spec: Json) -> None:
    (container,) = spec["containers"]
    assert {"startupProbe", "readinessProbe"} & container.keys()
    if container["image"] != "causeway":
        return
    assert "livenessProbe" in container
    asked = container["livenessProbe"]
    assert asked["failureThreshold"] * asked["periodSeconds"] >= 60, "one that is busy is not taken for dead"
    if "exec" in asked:  # what has no door beats into a file
        (place,) = [one["value"] for one in container["env"] if one["name"] == "CAUSEWAY_PULSE"]
        for probe in ("startupProbe", "livenessProbe"):
            assert place in " ".join(container[probe]["exec"]["command"])
        assert "/tmp" in {one["mountPath"] for one in container["volumeMounts"]}  # noqa: S108 - of the pod

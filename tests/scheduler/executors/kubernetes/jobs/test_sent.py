"""What flytekit's plug-ins really send (programs/record.py), from the template to the job: specs, amounts, object."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from flyteidl.core import tasks_pb2, workflow_pb2
from google.protobuf import json_format

from scheduler import pods
from scheduler.attempts import wire
from scheduler.attempts.spec import AttemptSpec, Job, Pod
from scheduler.container_needs import needs_of, needs_of_roles
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.jobs.kind import Plan
from scheduler.executors.kubernetes.jobs.registry import KINDS, kind_of
from scheduler.graphs import Target
from scheduler.operators import asks_for, check, roles_of
from scheduler.task_resources import check_template, resources_of
from tests.scheduler.executors.kubernetes.jobs.making import Json
from tests.scheduler.executors.kubernetes.specs import around, spec

SENT = {file.stem: file for file in sorted((Path(__file__).parent / "sent").glob("*.json"))}
ROLES = {
    "pytorch": {"master": 1, "worker": 2},
    "pytorch_gpus": {"master": 1, "worker": 3},
    "elastic": {"worker": 2},
    "elastic_range": {"worker": 4},
    "elastic_one": {},
    "tensorflow": {"chief": 1, "worker": 2},
    "mpi": {"launcher": 1, "worker": 2},
    "horovod": {"launcher": 1, "worker": 3},
    "ray": {"head": 1, "g": 2},
    "ray_nodes": {"head": 1, "big": 5},
    "spark": {"driver": 1, "executor": 2},
    "dask": {"runner": 1, "scheduler": 1, "worker": 3},
}
GPUS = {"pytorch_gpus": 3, "mpi": 2, "ray_nodes": 5}  # of the others none


def sent(name: str) -> tasks_pb2.TaskTemplate:
    return json_format.Parse(SENT[name].read_text(), tasks_pb2.TaskTemplate())


def spec_of(task: tasks_pb2.TaskTemplate) -> AttemptSpec:
    """As the shell makes it, as far as jobs go; through its form in the database."""
    target = Target(workflow_pb2.Node(), task)
    job = Job(json_format.MessageToDict(task.custom), needs_of_roles(target)) if roles_of(task) else None
    words, pod = tuple(pods.container_of(task).args), None
    if pods.has_pod(task):
        pod = Pod(spec=json_format.MessageToDict(task.k8s_pod.pod_spec), primary=pods.primary_name(task))
    made = spec(task_type=task.type, argv=words, pod=pod, job=job, needs=needs_of(target))
    return wire.from_json(json.loads(json.dumps(wire.to_json(made))), name="x")


def test_each_kind_has_been_recorded() -> None:
    assert set(SENT) == set(ROLES)
    assert {sent(name).type for name in SENT} == set(KINDS) | {"python-task"}


@pytest.mark.parametrize("name", sorted(ROLES))
def test_its_replicas_are_known_and_it_may_be_registered(name: str) -> None:
    task = sent(name)
    assert {role.name: role.count for role in roles_of(task)} == ROLES[name]
    assert bool(asks_for(task)) is bool(ROLES[name])
    check(task)
    check_template(task, None)


@pytest.mark.parametrize("name", sorted(ROLES))
def test_quotas_count_all_replicas(name: str) -> None:
    amounts = resources_of(Target(workflow_pb2.Node(), sent(name)))
    assert amounts.get("gpu", 0) == GPUS.get(name, 0)
    if name == "pytorch":
        assert amounts == {"cpu": 1.5, "memory": 3 * 2**30}
    if name == "pytorch_gpus":  # a master of one core, three workers of two
        assert amounts == {"cpu": 7, "memory": 12 * 2**30, "gpu": 3}
    if name == "spark":  # 1 core and 1 GiB, twice 2 cores and 2 GiB, each with what its JVM needs besides
        assert amounts["cpu"] == 5
        assert amounts["memory"] == pytest.approx(1.4 * 5 * 2**30, rel=1e-6)


@pytest.mark.parametrize("name", sorted(set(ROLES) - {"elastic_one"}))
def test_the_job_has_as_many_pods_as_quotas_count(name: str) -> None:
    made = spec_of(sent(name))
    kind = kind_of(made)
    assert kind is not None
    job = kind.build(Plan(made, "job", kind.resources[0], Cluster(), around()))
    assert job["kind"] == kind.resources[0].kind
    assert _counted(job["spec"]) == {role: count for role, count in ROLES[name].items() if role not in _ALONE}


_ALONE = {"head", "driver", "runner", "scheduler"}


def _counted(spec: Json) -> Counter[str]:
    """Of groups that say a number; a group that grows counts as large as it may become."""
    found: Counter[str] = Counter()
    for name, part in spec.items():
        if name.endswith("ReplicaSpecs"):
            found.update({role.lower(): one["replicas"] for role, one in part.items()})
    for group in spec.get("rayClusterSpec", {}).get("workerGroupSpecs", ()):
        found[group["groupName"]] = group["maxReplicas"]
    if "executor" in spec:
        found["executor"] = spec["executor"]["instances"]
    if "cluster" in spec:
        found["worker"] = spec["cluster"]["spec"]["worker"]["replicas"]
    return found


def test_one_process_is_no_job() -> None:
    assert kind_of(spec_of(sent("elastic_one"))) is None


def test_gpus_are_asked_for_by_each_worker_and_by_no_launcher() -> None:
    made = spec_of(sent("mpi"))
    plan = Plan(made, "job", KINDS["mpi"].resources[0], Cluster(), around())
    specs = KINDS["mpi"].build(plan)["spec"]["mpiReplicaSpecs"]
    worker, launcher = (specs[role]["template"]["spec"]["containers"][0] for role in ("Worker", "Launcher"))
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in launcher["resources"]["requests"]

"""What a task with a pod template asks for and runs is read from its pod, as flytekit serialises it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flyteidl.admin import task_pb2
from flyteidl.core import tasks_pb2, workflow_pb2
from flytekit import ContainerTask, PodTemplate, Resources, kwtypes, map_task, task, workflow
from flytekit.extras.accelerators import A100
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import V1Container, V1EnvVar, V1EnvVarSource, V1ObjectFieldSelector, V1PodSpec
from kubernetes.client import V1ResourceRequirements as Needs
from kubernetes.utils.quantity import parse_quantity

from artifacts.exceptions import InvalidArgument
from scheduler import pods
from scheduler.advance import advance
from scheduler.compiler.single_task import workflow_for
from scheduler.graphs import Target
from scheduler.models import TaskExecution
from scheduler.phases import ExecutionPhase
from scheduler.quantities import quantity
from scheduler.task_resources import resources_of
from tests.flyte import register_all, specs_of
from tests.scheduler.driving import error_of, start, workflow_of

GIB, MIB = 2**30, 2**20


def template_of(entity: object) -> tasks_pb2.TaskTemplate:
    return next(spec.template for _, spec in specs_of(entity) if isinstance(spec, task_pb2.TaskSpec))


def amounts_of(entity: object, **overrides: Any) -> dict[str, Any]:
    node = json_format.ParseDict({"taskNode": {"overrides": overrides}}, workflow_pb2.Node())
    return resources_of(Target(node, template_of(entity)))


def pod(*containers: V1Container, **spec: Any) -> PodTemplate:
    return PodTemplate(pod_spec=V1PodSpec(containers=list(containers), **spec))


@task(pod_template=PodTemplate(), requests=Resources(cpu="2", mem="2Gi", gpu="1", ephemeral_storage="1Gi"))
def in_empty_pod(x: int) -> int:
    return x


@task(pod_template=pod(V1Container(name="primary", resources=Needs(requests={"cpu": "500m"}, limits={"cpu": "2"}))))
def in_own_pod(x: int) -> int:
    return x


@task(
    pod_template=pod(
        V1Container(name="primary", resources=Needs(requests={"cpu": "1", "memory": "1Gi"}, limits={"memory": "2Gi"})),
        V1Container(name="proxy", image="p", resources=Needs(requests={"cpu": "250m"}, limits={"memory": "512Mi"})),
        init_containers=[
            V1Container(name="load", image="l", resources=Needs(requests={"cpu": "4", "memory": "100Mi"})),
            V1Container(name="mesh", image="m", restart_policy="Always", resources=Needs(requests={"memory": "512Mi"})),
        ],
    )
)
def among_others(x: int) -> int:
    return x


def test_resources_of_a_task_with_a_pod_template_are_those_of_its_primary_container() -> None:
    assert amounts_of(in_empty_pod) == {"cpu": 2, "memory": 2 * GIB, "gpu": 1, "ephemeral_storage": GIB}
    assert amounts_of(in_own_pod) == {"cpu": 0.5}


def test_containers_of_a_pod_add_up_as_kubernetes_adds_them() -> None:
    """1 + 0.25 cores run together, the init container alone needs 4; of memory 1 Gi + 0.5 Gi + 0.5 Gi."""
    assert amounts_of(among_others) == {"cpu": 4, "memory": 2 * GIB}


def test_what_one_container_may_use_is_not_what_the_pod_reserves() -> None:
    @task(
        pod_template=pod(
            V1Container(name="primary", resources=Needs(requests={"memory": "1Gi"})),
            V1Container(name="proxy", image="p", resources=Needs(requests={"memory": "3Gi"})),
        )
    )
    def beside(x: int) -> int:
        return x

    assert amounts_of(beside) == {"memory": 4 * GIB, "memory_limit": GIB}


def test_an_override_changes_one_resource_of_a_pod_and_keeps_the_others() -> None:
    asked = {"resources": {"requests": [{"name": "MEMORY", "value": "4Gi"}]}}
    assert amounts_of(in_empty_pod, **asked) == {"cpu": 2, "memory": 4 * GIB, "gpu": 1, "ephemeral_storage": GIB}


def test_a_lone_limit_is_asked_for_as_far_as_the_machine_has_it() -> None:
    asked = {"resources": {"limits": [{"name": "CPU", "value": "64"}, {"name": "GPU", "value": "1"}]}}
    assert amounts_of(in_own_pod, **asked) == {"cpu": 0.5, "gpu": 1}  # the pod's own request of a core stays

    @task(limits=Resources(cpu="64", gpu="1"))
    def limited(x: int) -> int:
        return x

    assert amounts_of(limited) == {"cpu": 64, "gpu": 1, "at_most": ["cpu"]}


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.5gb"])
def test_devices_in_kubernetes_words_are_gpus(name: str) -> None:
    @task(pod_template=pod(V1Container(name="primary", resources=Needs(limits={name: "2"}))))
    def trains(x: int) -> int:
        return x

    assert amounts_of(trains) == {"gpu": 2}


@task(pod_template=pod(V1Container(name="primary", resources=Needs(limits={"google.com/tpu": "8"}))))
def on_tpus(x: int) -> int:
    return x


@workflow
def tpu_wf(x: int) -> int:
    return on_tpus(x=x)


@pytest.mark.django_db
@pytest.mark.usefixtures("object_store")
def test_a_device_that_nobody_knows_is_refused_by_name() -> None:
    execution = start(workflow_of(tpu_wf), {"x": 2})
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.FAILED
    assert "on_tpus asks for google.com/tpu, which no executor here gives" in error_of(execution).message


def test_the_kind_of_accelerator_and_the_shared_memory_are_told() -> None:
    @task(requests=Resources(gpu="1"), accelerator=A100, shared_memory="2Gi")
    def trains(x: int) -> int:
        return x

    assert amounts_of(trains) == {"gpu": 1, "accelerator": "nvidia-tesla-a100", "shared_memory": 2 * GIB}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (Needs(requests={"cpu": "3"}, limits={"cpu": "2"}), "greater than its limit"),
        (Needs(requests={"memory": "many"}), "not a resource quantity"),
        (Needs(requests={"memory": "-1Gi"}), "not a resource quantity"),
    ],
)
def test_a_pod_that_cannot_be_given_is_not_registered(needs: Needs, message: str) -> None:
    @task(pod_template=pod(V1Container(name="primary", resources=needs)))
    def odd(x: int) -> int:
        return x

    with pytest.raises(InvalidArgument, match=message):
        register_all(odd)


@pytest.mark.parametrize(
    "spec", [{}, {"containers": "none"}, {"containers": [1, {"name": "other", "resources": []}]}, {"containers": {}}]
)
def test_a_pod_without_the_primary_container_is_refused(spec: dict[str, Any]) -> None:
    template = json_format.ParseDict({"id": {"name": "t"}, "k8sPod": {"podSpec": spec}}, tasks_pb2.TaskTemplate())
    with pytest.raises(InvalidArgument, match="no container 'primary'"):
        resources_of(Target(workflow_pb2.Node(), template))
    assert pods.described(template).image == ""


raw = ContainerTask(
    name="raw_in_pod",
    image="busybox",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(x=int),
    outputs=kwtypes(y=int),
    command=["sh", "-c", "cp /var/inputs/x /var/outputs/y"],
    requests=Resources(mem="100Mi"),
    pod_template=pod(
        V1Container(
            name="primary",
            env=[
                V1EnvVar(name="TOLD", value="1"),
                V1EnvVar(name="NODE", value_from=V1EnvVarSource(field_ref=V1ObjectFieldSelector(field_path="a"))),
            ],
        )
    ),
)


@workflow
def raw_wf(x: int) -> int:
    return raw(x=x)


@pytest.mark.django_db
@pytest.mark.usefixtures("object_store")
def test_a_raw_container_in_a_pod_keeps_its_files_resources_and_environment() -> None:
    execution = start(workflow_of(raw_wf), {"x": 2})
    advance(execution.pk)
    attempt = TaskExecution.objects.get(execution_id=execution.pk)
    data = attempt.command["data_config"]
    assert (data["input_path"], data["output_path"]) == ("/var/inputs", "/var/outputs")
    assert attempt.resources == {"memory": 100 * MIB}
    assert attempt.command["env"]["TOLD"] == "1" and "NODE" not in attempt.command["env"]


def test_a_map_over_a_task_in_a_pod_is_known_as_a_map() -> None:
    spec = workflow_for(template_of(map_task(in_empty_pod)))
    assert spec.template.nodes[0].WhichOneof("target") == "array_node"


@given(
    st.decimals(min_value=0, max_value=1000, places=3, allow_nan=False),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "e2", "E-1", "e+3"]),
)
def test_quantities_mean_what_they_mean_to_kubernetes(number: Decimal, suffix: str) -> None:
    text = f"{number:f}{suffix}"
    assert quantity(text) == float(min(parse_quantity(text), Decimal(2**63 - 1)))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("text", ["", "m", "1K", "1ki", "1.2.3", "-1", "1e9999", "nan", "inf", "1_000", "1 Gi B", "１"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a resource quantity"):
        quantity(text)


def test_a_quantity_beyond_all_measure_is_the_largest_there_is() -> None:
    assert quantity("100E") == float(2**63 - 1)

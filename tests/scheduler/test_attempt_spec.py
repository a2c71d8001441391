from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from flyteidl.admin import execution_pb2, task_pb2
from flyteidl.core import literals_pb2, security_pb2, tasks_pb2, workflow_pb2
from flytekit import PodTemplate, Resources, task
from flytekit.extras.accelerators import A100
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import V1Container, V1ContainerPort, V1PodSpec, V1SecurityContext
from kubernetes.client import V1ResourceRequirements as Ask

from scheduler.attempts import wire
from scheduler.attempts.spec import (
    Accelerator,
    Addresses,
    AttemptSpec,
    DataConfig,
    Identity,
    Job,
    Needs,
    Pod,
    SharedMemory,
)
from scheduler.graphs import Target
from scheduler.secrets.names import Name, Request
from scheduler.shell.attempt_spec import spec_of
from scheduler.shell.task_command import Run
from scheduler.task_resources import Platform
from scheduler.uris import Uris
from tests.flyte import specs_of

WHOLE = AttemptSpec(
    identity=Identity("run-7-n0-1-3", "p", "d", "run", "n0", 1, 3, "wf", "t", "v1", "ann"),
    task_type="python-task",
    image="img:1",
    argv=("sh", "-c", "true"),
    entry=2,
    env={"A": "1"},
    config={"k": "v"},
    architecture="ARM64",
    data_config=DataConfig("/in", "/out", "JSON", "AA=="),
    pod=Pod({"containers": [{"name": "main"}]}, {"l": "1"}, {"a": "2"}, "main", "gpu-template"),
    overlay=Pod(template="small"),
    echo={"a": "o0"},
    needs=Needs(
        {"cpu": "500m"},
        {"google.com/tpu": "8"},
        Accelerator("nvidia-tesla-a100", ""),
        SharedMemory("1Gi"),
        frozenset({"cpu"}),
    ),
    addresses=Addresses("s3://b/i", "s3://b/o", "s3://b/r", "s3://b/c", "s3://b/p", "s3://b/l", "s3://b/t"),
    secrets=(Request(Name("g", "k", "2"), "FILE", "TOKEN"),),
    service_account="runner",
    iam_role="role",
    labels={"team": "a"},
    annotations={"note": "b"},
    interruptible=True,
    timeout_seconds=2.5,
    reuse=True,
    job=Job({"workerReplicas": {"replicas": 2}}, {"worker": Needs({"cpu": "1"})}),
)


def read_back(spec: AttemptSpec) -> AttemptSpec:
    return wire.from_json(json.loads(json.dumps(wire.to_json(spec))), name="not asked for")


def test_a_spec_says_the_same_when_it_is_read_back() -> None:
    assert read_back(WHOLE) == WHOLE
    assert read_back(AttemptSpec(Identity("bare"))) == AttemptSpec(Identity("bare"))


@pytest.mark.parametrize(
    "part", [AttemptSpec, Identity, DataConfig, Pod, Needs, Accelerator, SharedMemory, Addresses, Job]
)
def test_no_field_is_forgotten_in_the_example_above(part: type[Any]) -> None:
    """So that a new field cannot be left out of the JSON without anybody seeing it."""
    made = next(one for one in _parts(WHOLE) if type(one) is part)
    blank = part(**({"identity": Identity("")} if part is AttemptSpec else {"name": ""} if part is Identity else {}))
    same = [one.name for one in fields(part) if getattr(made, one.name) == getattr(blank, one.name)]
    assert same == (["mount_path", "mount_name"] if part is SharedMemory else [])


def _parts(value: Any) -> list[Any]:
    inner = [getattr(value, one.name) for one in fields(value)]
    return [value, *(part for one in inner if is_dataclass(one) for part in _parts(one))]


texts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@given(st.lists(st.text(max_size=8), max_size=4), texts, texts, st.none() | texts, st.none() | st.floats(0, 1e9))
def test_any_words_survive(
    argv: list[str], env: dict[str, str], limits: dict[str, str], echo: dict[str, str] | None, timeout: float | None
) -> None:
    spec = AttemptSpec(
        Identity("x"), argv=tuple(argv), env=env, needs=Needs(limits=limits), echo=echo, timeout_seconds=timeout
    )
    assert read_back(spec) == spec


# As releases up to November 2026 queued an item of a map; homes of theirs are opened with such rows in them.
FORMER: dict[str, Any] = {
    "args": ["pyflyte-map-execute", "--inputs", "file:///s/metadata/p/d/e1/n0/inputs.pb"],
    "env": {"FLYTE_INTERNAL_TASK_NAME": "flows.double", "FLYTE_INTERNAL_TASK_VERSION": "v3"},
    "image": "img",
    "task_type": "python-task",
    "inputs_uri": "file:///s/metadata/p/d/e1/n0/inputs.pb",
    "output_prefix": "file:///s/metadata/p/d/e1/n0/2/7",
    "raw_output_prefix": "file:///s/raw/p/d/e1/n0/2/7",
    "checkpoint_uri": "file:///s/raw/p/d/e1/n0/2/7/_flytecheckpoints",
    "prev_checkpoint_uri": "file:///s/raw/p/d/e1/n0/1/7/_flytecheckpoints",
    "reuse": True,
    "timeout_seconds": 60.0,
    "secrets": [{"group": "g", "key": "k", "version": "", "mount": "ANY", "env_var": ""}],
    "data_config": {"input_path": "/in", "output_path": "/out", "format": "JSON", "outputs": ""},
}


def test_a_row_of_an_older_release_is_read() -> None:
    spec = wire.from_json(FORMER, name="e1-4-n0-2-7", attempt=2, index=7)
    assert spec.identity == Identity("e1-4-n0-2-7", "p", "d", "e1", "n0", 2, 7, "", "flows.double", "v3")
    assert spec.argv[0] == "pyflyte-map-execute" and spec.entry == 0
    assert spec.addresses == Addresses(
        FORMER["inputs_uri"],
        FORMER["output_prefix"],
        FORMER["raw_output_prefix"],
        FORMER["checkpoint_uri"],
        FORMER["prev_checkpoint_uri"],
    )
    assert spec.secrets == (Request(Name("g", "k")),) and spec.reuse and spec.timeout_seconds == 60
    assert spec.data_config == DataConfig("/in", "/out", "JSON")


def test_an_empty_row_of_an_older_release_is_read() -> None:
    assert wire.from_json({}, name="bare", attempt=4) == AttemptSpec(Identity("bare", attempt=4))


def test_an_executor_of_an_older_release_finds_the_keys_it_knows() -> None:
    told = wire.to_json(WHOLE)
    assert FORMER.keys() - told.keys() == set()
    assert told["args"] == ["sh", "-c", "true"] and told["secrets"][0]["mount"] == "FILE"


def test_a_row_of_a_newer_release_is_refused_and_unknown_keys_are_not() -> None:
    given = wire.to_json(WHOLE)
    assert wire.from_json({**given, "colour": "red"}, name="") == WHOLE
    with pytest.raises(wire.UnknownVersion, match="queued by a newer release: 2 is above 1"):
        wire.from_json({**given, "version": 2}, name="x")


# --- from what flytekit sends ---------------------------------------------------------------------------------------


def spec(template: tasks_pb2.TaskTemplate, platform: Platform | None = None, **launch: Any) -> AttemptSpec:
    overrides, asked = launch.pop("overrides", {}), execution_pb2.ExecutionSpec(**launch)
    node = json_format.ParseDict({"taskNode": {"overrides": overrides}}, workflow_pb2.Node())
    run = Run(
        7, "p", "d", "run", asked, Uris("s3://b/metadata/p/d/run", "s3://b/raw/p/d/run"), "n0", 1,
        literals_pb2.LiteralMap, workflow="wf", user="ann", interruptible=True,
    )  # fmt: skip
    return spec_of(run, Target(node, template), platform.SerializeToString() if platform is not None else b"")


def template_of(entity: object) -> tasks_pb2.TaskTemplate:
    return next(one.template for _, one in specs_of(entity) if isinstance(one, task_pb2.TaskSpec))


def test_the_launch_and_the_task_say_who_runs_it_and_what_it_is_labelled() -> None:
    template = tasks_pb2.TaskTemplate(container=tasks_pb2.Container(image="i", command=["run"], args=["it"]))
    template.id.name, template.id.version = "flows.t", "v1"
    template.metadata.metadata.labels["team"] = "task"
    template.metadata.metadata.labels["kind"] = "task"
    template.security_context.run_as.k8s_service_account = "task"
    made = spec(
        template,
        labels={"values": {"team": "launch"}},
        annotations={"values": {"note": "n"}},
        security_context=security_pb2.SecurityContext(run_as=security_pb2.Identity(k8s_service_account="launch")),
    )
    assert made.labels == {"team": "launch", "kind": "task"} and made.annotations == {"note": "n"}
    assert made.service_account == "launch" and spec(template).service_account == "task"
    assert (made.command, made.arguments) == (("run",), ("it",))
    assert made.identity == Identity("run-7-n0-1", "p", "d", "run", "n0", 1, -1, "wf", "flows.t", "v1", "ann")
    assert made.interruptible and made.addresses.prev_checkpoint == "s3://b/raw/p/d/run/n0/0/_flytecheckpoints"


def test_the_pod_is_kept_as_it_was_sent() -> None:
    @task(
        pod_template=PodTemplate(
            primary_container_name="main",
            labels={"l": "1"},
            pod_spec=V1PodSpec(containers=[V1Container(name="main"), V1Container(name="proxy", image="p")]),
        ),
        pod_template_name="named",
    )
    def podded(x: int) -> int:
        return x

    pod = spec(template_of(podded)).pod
    assert pod is not None and (pod.primary, pod.template, pod.labels) == ("main", "named", {"l": "1"})
    assert [one["name"] for one in pod.spec["containers"]] == ["main", "proxy"]


def test_the_image_and_the_variables_of_a_nodes_own_pod_go_before_the_tasks() -> None:
    template = tasks_pb2.TaskTemplate(container=tasks_pb2.Container(image="i", args=["fast", "run"]))
    template.container.env.add(key="MODE", value="task")
    template.container.env.add(key="KEPT", value="task")
    looked_up = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    main = {"name": "main", "image": "j", "args": ["run"], "env": [{"name": "MODE", "value": "node"}, looked_up]}
    pod = {"podSpec": {"containers": [{"name": "side", "image": "s"}, main]}, "primaryContainerName": "main"}
    made = spec(template, overrides={"podTemplate": pod})
    assert (made.image, made.argv, made.env["MODE"], made.env["KEPT"]) == ("j", ("fast", "run"), "node", "task")
    assert "NODE" not in made.env, "the cluster looks it up"
    assert spec(template, overrides={"podTemplate": pod, "containerImage": "k"}).image == "k"
    launched = {"values": [{"key": "MODE", "value": "launch"}]}
    assert spec(template, overrides={"podTemplate": pod}, envs=launched).env["MODE"] == "launch"
    assert spec(template, overrides={"podTemplate": {"metadata": {"labels": {"a": "b"}}}}).image == "i"


def test_templates_are_filled_in_for_every_container_of_a_pod() -> None:
    prep = V1Container(name="prep", image="p", command=["fetch", "{{.input}}"], args=["to", "{{.outputPrefix}}"])
    main, side = V1Container(name="primary"), V1Container(name="side", image="s", args=["{{.namespace}}", "{{ x }}"])

    @task(pod_template=PodTemplate(pod_spec=V1PodSpec(containers=[main, side], init_containers=[prep])))
    def podded(x: int) -> int:
        return x

    made = spec(template_of(podded))
    assert made.pod is not None
    (before,), beside = made.pod.spec["initContainers"], made.pod.spec["containers"][1]
    assert before["command"] == ["fetch", made.addresses.inputs]
    assert before["args"] == ["to", made.addresses.output_prefix]
    assert beside["args"] == ["p-d", "{{ x }}"]


def test_whole_numbers_of_a_pod_are_sent_as_such() -> None:
    """A cluster refuses `runAsUser: 0.0`, and a Struct knows only doubles."""
    root, door = V1SecurityContext(run_as_user=0), V1ContainerPort(container_port=8080)
    pod_spec = V1PodSpec(containers=[V1Container(name="main", security_context=root, ports=[door])])

    @task(pod_template=PodTemplate(primary_container_name="main", pod_spec=pod_spec))
    def podded(x: int) -> int:
        return x

    pod = spec(template_of(podded)).pod
    assert pod is not None
    said = json.dumps(pod.spec)
    assert '"runAsUser": 0}' in said and '"containerPort": 8080}' in said


def test_a_limit_is_there_only_where_somebody_said_one() -> None:
    @task(requests=Resources(cpu="50m", mem="1Gi"), limits=Resources(mem="2Gi", gpu="1"))
    def works(x: int) -> int:
        return x

    needs = spec(template_of(works)).needs
    assert needs.requests == {"cpu": "50m", "memory": "1Gi", "gpu": "1"}
    assert needs.limits == {"memory": "2Gi", "gpu": "1"}


def test_the_platform_fills_in_and_cuts_down() -> None:
    @task(requests=Resources(cpu="8"), limits=Resources(cpu="16"))
    def works(x: int) -> int:
        return x

    platform = Platform(defaults={"memory": "200Mi"}, limits={"cpu": "4"})
    needs = spec(template_of(works), platform).needs
    assert needs.requests == {"cpu": "4", "memory": "200Mi"} and needs.limits == {"cpu": "4"}
    assert needs.defaults == {"memory"}, "what nobody asked for"


def test_devices_of_a_pod_keep_their_names() -> None:
    def podded(**limits: str) -> tasks_pb2.TaskTemplate:
        asked = Ask(limits={name.replace("_", "/"): amount for name, amount in limits.items()})
        pod_spec = V1PodSpec(containers=[V1Container(name="primary", resources=asked)])

        @task(pod_template=PodTemplate(pod_spec=pod_spec))
        def works(x: int) -> int:
            return x

        return template_of(works)

    slices = podded(**{"nvidia.com_mig-1g.5gb": "2", "google.com_tpu": "8", "cpu": "2"})
    assert spec(slices).needs.limits == {"cpu": "2", "nvidia.com/mig-1g.5gb": "2", "google.com/tpu": "8"}
    other = {"resources": {"limits": [{"name": "GPU", "value": "1"}]}}
    assert spec(slices, overrides=other).needs.limits == {"cpu": "2", "gpu": "1", "google.com/tpu": "8"}


def test_the_accelerator_its_partition_and_the_shared_memory_are_told() -> None:
    @task(requests=Resources(gpu="1"), accelerator=A100.partition_1g_5gb, shared_memory="2Gi")
    def part(x: int) -> int:
        return x

    @task(requests=Resources(gpu="1"), accelerator=A100.unpartitioned)
    def whole(x: int) -> int:
        return x

    needs = spec(template_of(part)).needs
    assert needs.accelerator == Accelerator("nvidia-tesla-a100", "1g.5gb")
    assert needs.shared_memory is not None and needs.shared_memory.size_limit == "2Gi"
    assert spec(template_of(whole)).needs.accelerator == Accelerator("nvidia-tesla-a100", "")

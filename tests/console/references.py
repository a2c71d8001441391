"""Every way in which something registered in project `a` can refer to something of project `b`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from causeway import OnArtifact
from flyteidl.admin import launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core import (
    artifact_id_pb2,
    condition_pb2,
    identifier_pb2,
    interface_pb2,
    literals_pb2,
    tasks_pb2,
    types_pb2,
)
from flyteidl.core import workflow_pb2 as core
from flytekit import Artifact, LaunchPlan
from flytekit import task as flytekit_task
from flytekit import workflow as flytekit_workflow
from google.protobuf import wrappers_pb2

from artifacts.store import store
from console.rpc.caller import Caller
from console.rpc.launch_plans import create_launch_plan
from console.rpc.tasks import create_task
from console.rpc.workflows import create_workflow
from tests.flyte import specs_of

TASK, WORKFLOW, PLAN = identifier_pb2.TASK, identifier_pb2.WORKFLOW, identifier_pb2.LAUNCH_PLAN
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
THEIRS, GHOST = "theirs", "ghost"  # what there is in b, and what there is not


def number(value: int) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=value)))


def identifier(kind: int, name: str, *, project: str = "a", version: str = "v1") -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind,  # type: ignore[arg-type]
        project=project,
        domain="development",
        name=name,
        version=version,
    )


def interface(**outputs: interface_pb2.Variable) -> interface_pb2.TypedInterface:
    inputs = interface_pb2.VariableMap(variables={"n": interface_pb2.Variable(type=INTEGER)})
    given = outputs or {"o0": interface_pb2.Variable(type=INTEGER)}
    return interface_pb2.TypedInterface(inputs=inputs, outputs=interface_pb2.VariableMap(variables=given))


def task_spec(described: interface_pb2.TypedInterface | None = None, *, cached: bool = False) -> task_pb2.TaskSpec:
    container = tasks_pb2.Container(image="localhost/x", args=["run"])
    container.env.add(key="TASK_PASSWORD", value="hunter2")
    metadata = tasks_pb2.TaskMetadata(discoverable=cached, discovery_version="1" if cached else "")
    template = tasks_pb2.TaskTemplate(
        type="python-task", metadata=metadata, interface=described or interface(), container=container
    )
    return task_pb2.TaskSpec(template=template)


def one_bound() -> list[literals_pb2.Binding]:
    return [literals_pb2.Binding(var="n", binding=literals_pb2.BindingData(scalar=number(1).scalar))]


def workflow_spec(
    *nodes: core.Node, output: str = "n0", described: interface_pb2.TypedInterface | None = None
) -> workflow_pb2.WorkflowSpec:
    template = core.WorkflowTemplate(interface=described or interface(), nodes=nodes)
    promise = types_pb2.OutputReference(node_id=output, var="o0" if output else "n")
    template.outputs.add(var="o0", binding=literals_pb2.BindingData(promise=promise))
    return workflow_pb2.WorkflowSpec(template=template)


def by_task(name: str, *, project: str = "b", node_id: str = "n0") -> core.Node:
    return core.Node(
        id=node_id, inputs=one_bound(), task_node=core.TaskNode(reference_id=identifier(TASK, name, project=project))
    )


def _by_plan(name: str) -> core.Node:
    node = core.WorkflowNode(launchplan_ref=identifier(PLAN, name, project="b"))
    return core.Node(id="n0", inputs=one_bound(), workflow_node=node)


def _by_workflow(name: str) -> core.Node:
    node = core.WorkflowNode(sub_workflow_ref=identifier(WORKFLOW, name, project="b"))
    return core.Node(id="n0", inputs=one_bound(), workflow_node=node)


def _mapped(node: core.Node) -> core.Node:
    whole = literals_pb2.BindingDataCollection(bindings=[literals_pb2.BindingData(scalar=number(1).scalar)])
    inputs = [literals_pb2.Binding(var="n", binding=literals_pb2.BindingData(collection=whole))]
    array = core.ArrayNode(node=node, is_original_sub_node_interface=wrappers_pb2.BoolValue(value=True))
    return core.Node(id="n0", inputs=inputs, array_node=array)


def _branched(name: str) -> core.Node:
    """In the case that is never taken."""
    block = core.IfElseBlock(
        case=core.IfBlock(condition=_never(), then_node=by_task(name, node_id="then")),
        else_node=by_task("mine", project="a", node_id="else"),
    )
    return core.Node(id="n0", inputs=one_bound(), branch_node=core.BranchNode(if_else=block))


def _never() -> condition_pb2.BooleanExpression:
    return condition_pb2.BooleanExpression(
        comparison=condition_pb2.ComparisonExpression(
            operator=condition_pb2.ComparisonExpression.EQ,
            left_value=condition_pb2.Operand(var="n"),
            right_value=condition_pb2.Operand(primitive=literals_pb2.Primitive(integer=2)),
        )
    )


def _failing(name: str) -> workflow_pb2.WorkflowSpec:
    spec = workflow_spec(by_task("mine", project="a"))
    spec.template.failure_node.CopyFrom(by_task(name, node_id="efn"))
    return spec


def _embedded(name: str) -> workflow_pb2.WorkflowSpec:
    """A sub-workflow of one's own that runs their task."""
    own = identifier(WORKFLOW, "sub")
    spec = workflow_spec(core.Node(id="n0", inputs=one_bound(), workflow_node=core.WorkflowNode(sub_workflow_ref=own)))
    inner = workflow_spec(by_task(name)).template
    inner.id.CopyFrom(own)
    spec.sub_workflows.append(inner)
    return spec


def _claiming(name: str) -> workflow_pb2.WorkflowSpec:
    """A sub-workflow of one's own that says it is theirs."""
    spec = workflow_spec(_by_workflow(name))
    inner = workflow_spec(by_task("mine", project="a")).template
    inner.id.CopyFrom(identifier(WORKFLOW, name, project="b"))
    spec.sub_workflows.append(inner)
    return spec


WORKFLOWS: dict[str, Callable[[str], workflow_pb2.WorkflowSpec]] = {
    "task": lambda name: workflow_spec(by_task(name)),
    "launch plan": lambda name: workflow_spec(_by_plan(name)),
    "sub-workflow": lambda name: workflow_spec(_by_workflow(name)),
    "embedded sub-workflow": _embedded,
    "sub-workflow that claims to be theirs": _claiming,
    "map over a task": lambda name: _of_map(by_task(name)),
    "map over a launch plan": lambda name: _of_map(_by_plan(name)),
    "branch": lambda name: workflow_spec(_branched(name)),
    "failure node": _failing,
}


def _of_map(node: core.Node) -> workflow_pb2.WorkflowSpec:
    listed = interface_pb2.Variable(type=types_pb2.LiteralType(collection_type=INTEGER))
    return workflow_spec(_mapped(node), described=interface(o0=listed))


def _query(**identified: object) -> interface_pb2.Parameter:
    query = artifact_id_pb2.ArtifactQuery(**identified)  # type: ignore[arg-type]
    return interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), artifact_query=query)


def _key(name: str) -> artifact_id_pb2.ArtifactKey:
    return artifact_id_pb2.ArtifactKey(project="b", domain="development", name=name)


def _asking(parameter: interface_pb2.Parameter) -> launch_plan_pb2.LaunchPlanSpec:
    return launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier(WORKFLOW, "mine"), default_inputs=interface_pb2.ParameterMap(parameters={"n": parameter})
    )


@flytekit_task
def _pass_on(n: int) -> int:
    return n


@flytekit_workflow
def _mine(n: int) -> int:
    return _pass_on(n=n)


def _reacting(artifact: Artifact, **inputs: object) -> launch_plan_pb2.LaunchPlanSpec:
    """The launch conditions as flytekit writes them, on our workflow."""
    LaunchPlan.CACHE.pop("reacting", None)
    trigger = OnArtifact(artifact, inputs=inputs) if inputs else OnArtifact(artifact)
    _, spec = specs_of(LaunchPlan.create("reacting", _mine, trigger=trigger), project="a")[-1]
    assert isinstance(spec, launch_plan_pb2.LaunchPlanSpec)
    spec.workflow_id.CopyFrom(identifier(WORKFLOW, "mine"))
    return spec


def _artifact(name: str, project: str = "b") -> Artifact:
    return Artifact(name=name, project=project, domain="development")


def offloaded(name: str) -> literals_pb2.Literal:
    uri = f"{store().root}/metadata/b/development/{name}/value.pb"
    return literals_pb2.Literal(
        offloaded_metadata=literals_pb2.LiteralOffloadedMetadata(uri=uri, inferred_type=INTEGER, size_bytes=4)
    )


def _with_fixed(literal: literals_pb2.Literal) -> launch_plan_pb2.LaunchPlanSpec:
    fixed = literals_pb2.LiteralMap(literals={"n": literal})
    return launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, "mine"), fixed_inputs=fixed)


def _default(literal: literals_pb2.Literal) -> interface_pb2.Parameter:
    return interface_pb2.Parameter(var=interface_pb2.Variable(type=INTEGER), default=literal)


PLANS: dict[str, Callable[[str], launch_plan_pb2.LaunchPlanSpec]] = {
    "workflow": lambda name: launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, name, project="b")),
    "query": lambda name: _asking(_query(artifact_id=artifact_id_pb2.ArtifactID(artifact_key=_key(name)))),
    "query of a version": lambda name: _asking(
        _query(artifact_id=artifact_id_pb2.ArtifactID(artifact_key=_key(name), version="v1"))
    ),
    "query by tag": lambda name: _asking(
        _query(
            artifact_tag=artifact_id_pb2.ArtifactTag(
                artifact_key=_key(name), value=artifact_id_pb2.LabelValue(static_value="champion")
            )
        )
    ),
    "query by address": lambda name: _asking(_query(uri=f"flyte://av0.1/b/development/{name}")),
    "artifact id": lambda name: _asking(
        interface_pb2.Parameter(
            var=interface_pb2.Variable(type=INTEGER), artifact_id=artifact_id_pb2.ArtifactID(artifact_key=_key(name))
        )
    ),
    "trigger": lambda name: _reacting(_artifact(name)),
    "trigger's query": lambda name: _reacting(_artifact("own", "a"), n=_artifact(name).query()),
    "default in their store": lambda name: _asking(_default(offloaded(name))),
    "fixed input in their store": lambda name: _with_fixed(offloaded(name)),
}


def into(name: str) -> interface_pb2.TypedInterface:
    partial = artifact_id_pb2.ArtifactID(artifact_key=_key(name))
    return interface(o0=interface_pb2.Variable(type=INTEGER, artifact_partial_id=partial))


@dataclass(frozen=True)
class Door:
    """The gRPC methods, as a client with the caller's token has them."""

    caller: Caller

    def task(self, name: str, spec: task_pb2.TaskSpec, *, project: str = "a") -> None:
        create_task(task_pb2.TaskCreateRequest(id=identifier(TASK, name, project=project), spec=spec), self.caller)

    def workflow(self, name: str, spec: workflow_pb2.WorkflowSpec, *, project: str = "a") -> None:
        wanted = identifier(WORKFLOW, name, project=project)
        create_workflow(workflow_pb2.WorkflowCreateRequest(id=wanted, spec=spec), self.caller)

    def plan(self, name: str, spec: launch_plan_pb2.LaunchPlanSpec, *, project: str = "a") -> None:
        wanted = identifier(PLAN, name, project=project)
        create_launch_plan(launch_plan_pb2.LaunchPlanCreateRequest(id=wanted, spec=spec), self.caller)

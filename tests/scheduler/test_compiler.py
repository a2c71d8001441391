from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from flyteidl.admin import launch_plan_pb2, task_pb2
from flyteidl.admin import workflow_pb2 as admin_workflow_pb2
from flyteidl.core import compiler_pb2, dynamic_job_pb2, identifier_pb2, interface_pb2, literals_pb2, workflow_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals import from_json
from scheduler.compiler import (
    Available,
    LaunchPlanInterface,
    compile_closure,
    compile_dynamic,
    key_of,
    requirements_of,
    requirements_of_dynamic,
)
from scheduler.compiler.cycles import find_cycle
from scheduler.compiler.single_task import launch_plan_for, node_id_for, workflow_for
from tests.artifacts.test_literals import type_of
from tests.flyte import specs_of
from tests.scheduler import programs

Template = workflow_pb2.WorkflowTemplate


def parts_of(entity: object) -> tuple[admin_workflow_pb2.WorkflowSpec, Available]:
    """The last workflow that a flytekit entity needs, and all else that it registers."""
    available = Available()
    workflows: dict[Any, admin_workflow_pb2.WorkflowSpec] = {}
    for identifier, spec in specs_of(entity):
        if isinstance(spec, task_pb2.TaskSpec):
            available.tasks[key_of(identifier)] = spec.template
        elif isinstance(spec, admin_workflow_pb2.WorkflowSpec):
            workflows[key_of(identifier)] = spec
        elif isinstance(spec, launch_plan_pb2.LaunchPlanSpec):
            interface = workflows[key_of(spec.workflow_id)].template.interface
            inputs = interface_pb2.ParameterMap()
            for name, variable in interface.inputs.variables.items():
                inputs.parameters[name].CopyFrom(interface_pb2.Parameter(var=variable, required=True))
            for name, parameter in spec.default_inputs.parameters.items():
                inputs.parameters[name].CopyFrom(parameter)
            available.launch_plans[key_of(identifier)] = LaunchPlanInterface(inputs, interface.outputs)
    return list(workflows.values())[-1], available


def edges(connections: dict[str, Any]) -> dict[str, list[str]]:
    return {node_id: list(found.ids) for node_id, found in connections.items()}


@pytest.fixture
def everything() -> tuple[admin_workflow_pb2.WorkflowSpec, Available]:
    return parts_of(programs.everything)


def compile_spec(spec: admin_workflow_pb2.WorkflowSpec, available: Available) -> compiler_pb2.CompiledWorkflowClosure:
    return compile_closure(spec.template, spec.sub_workflows, available)


def test_it_compiles_every_kind_of_node(everything: tuple[admin_workflow_pb2.WorkflowSpec, Available]) -> None:
    closure = compile_spec(*everything)
    template = closure.primary.template
    assert [node.id for node in template.nodes[:2]] == ["start-node", "end-node"]
    assert {node.WhichOneof("target") for node in template.nodes} == {
        None, "task_node", "workflow_node", "branch_node", "gate_node", "array_node",
    }  # fmt: skip
    assert [one.template.id.name for one in closure.sub_workflows] == ["tests.scheduler.programs.inner"]
    assert len(closure.tasks) == len(everything[1].tasks)
    branch = next(node for node in template.nodes if node.HasField("branch_node"))
    inside = [branch.branch_node.if_else.case.then_node.id, branch.branch_node.if_else.other[0].then_node.id]
    assert inside == [f"{branch.id}-n0", f"{branch.id}-n1"]


def test_it_writes_down_every_edge_both_ways(everything: tuple[admin_workflow_pb2.WorkflowSpec, Available]) -> None:
    connections = compile_spec(*everything).primary.connections
    up, down = edges(dict(connections.upstream)), edges(dict(connections.downstream))
    names = {node.metadata.name: node.id for node in everything[0].template.nodes}
    size, approval = names["make_size"], names["go"]
    assert up[size] == ["n0", "n1"]  # by data, and by >>
    assert up[approval] == ["n0"]
    assert up["end-node"] and set(down["start-node"]) >= {"n0", "n3"}
    for node_id, before in up.items():
        assert before == sorted(before)
        if "-" not in node_id.removesuffix("-node"):
            assert all(node_id in down[one] for one in before)


def test_it_names_the_start_node_in_promises(everything: tuple[admin_workflow_pb2.WorkflowSpec, Available]) -> None:
    nodes = {node.id: node for node in compile_spec(*everything).primary.template.nodes}
    assert next(b for b in nodes["n0"].inputs if b.var == "x").binding.promise.node_id == "start-node"


def test_it_leaves_the_template_it_was_given_alone(
    everything: tuple[admin_workflow_pb2.WorkflowSpec, Available],
) -> None:
    before = everything[0].SerializeToString(deterministic=True)
    compile_spec(*everything)
    assert everything[0].SerializeToString(deterministic=True) == before


def node(template: Template, node_id: str) -> workflow_pb2.Node:
    return next(one for one in template.nodes if one.id == node_id)


def binding(one: workflow_pb2.Node, name: str) -> literals_pb2.BindingData:
    return next(found.binding for found in one.inputs if found.var == name)


def by_name(template: Template, name: str) -> workflow_pb2.Node:
    return next(one for one in template.nodes if one.metadata.name == name)


def user_of_an_attribute(template: Template) -> workflow_pb2.Node:
    return next(one for one in template.nodes if any(b.binding.promise.attr_path for b in one.inputs if b.var == "x"))


def unknown_task(template: Template) -> None:
    node(template, "n0").task_node.reference_id.version = "v9"


def unknown_launch_plan(template: Template) -> None:
    calls = next(one for one in template.nodes if one.workflow_node.HasField("launchplan_ref"))
    calls.workflow_node.launchplan_ref.name = "nothing"


def unknown_sub_workflow(template: Template) -> None:
    by_name(template, "inner").workflow_node.sub_workflow_ref.name = "nothing"


def unknown_node(template: Template) -> None:
    binding(node(template, "n1"), "x").promise.node_id = "n77"


def unknown_upstream(template: Template) -> None:
    node(template, "n1").upstream_node_ids.append("n77")


def unknown_variable(template: Template) -> None:
    binding(node(template, "n1"), "x").promise.var = "o9"


def unknown_workflow_input(template: Template) -> None:
    binding(node(template, "n0"), "x").promise.var = "zz"


def unknown_input(template: Template) -> None:
    node(template, "n0").inputs[0].var = "zz"


def unbound_input(template: Template) -> None:
    del node(template, "n0").inputs[:]


def doubly_bound_input(template: Template) -> None:
    first = node(template, "n0").inputs[0]
    node(template, "n0").inputs.append(first)


def wrong_scalar(template: Template) -> None:
    binding(node(template, "n0"), "x").CopyFrom(
        literals_pb2.BindingData(scalar=from_json("a", type_of(str), name="x").scalar)
    )


def wrong_promise(template: Template) -> None:
    binding(node(template, "n0"), "x").promise.var = "names"


def list_for_int(template: Template) -> None:
    binding(node(template, "n0"), "x").CopyFrom(
        literals_pb2.BindingData(collection=literals_pb2.BindingDataCollection())
    )


def nothing_bound(template: Template) -> None:
    binding(node(template, "n0"), "x").Clear()


def wrong_attribute(template: Template) -> None:
    binding(user_of_an_attribute(template), "x").promise.attr_path[0].string_value = "weight"


def wrong_attribute_type(template: Template) -> None:
    binding(user_of_an_attribute(template), "x").promise.attr_path[0].string_value = "label"


def duplicate_node(template: Template) -> None:
    node(template, "n1").id = "n0"


def cycle(template: Template) -> None:
    node(template, "n0").upstream_node_ids.append("n1")


def self_cycle(template: Template) -> None:
    node(template, "n0").upstream_node_ids.append("n0")


def missing_output(template: Template) -> None:
    del template.outputs[0]


def wrong_output(template: Template) -> None:
    first, second = template.outputs[0].binding.promise, template.outputs[1].binding.promise
    first.CopyFrom(second)


def no_nodes(template: Template) -> None:
    del template.nodes[:]


def no_target(template: Template) -> None:
    node(template, "n0").ClearField("task_node")


def no_else(template: Template) -> None:
    by_name(template, "which").branch_node.if_else.ClearField("error")


def unbound_condition(template: Template) -> None:
    by_name(template, "which").branch_node.if_else.case.condition.comparison.left_value.var = "zz"


def wrong_condition(template: Template) -> None:
    right = by_name(template, "which").branch_node.if_else.case.condition.comparison.right_value
    right.primitive.string_value = "three"


def wrong_inside_branch(template: Template) -> None:
    then_node = by_name(template, "which").branch_node.if_else.case.then_node
    then_node.task_node.reference_id.name = "nothing"


def signal_named(name: str) -> Callable[[Template], None]:
    def rename(template: Template) -> None:
        by_name(template, "go").gate_node.approve.signal_id = name

    return rename


def gate_without_condition(template: Template) -> None:
    by_name(template, "go").gate_node.ClearField("approve")


def empty_reference(template: Template) -> None:
    by_name(template, "inner").workflow_node.ClearField("sub_workflow_ref")


BROKEN: list[tuple[Callable[[Template], None], str]] = [
    (unknown_task, "node n0: task demo/development/tests.scheduler.programs.double@v9 is not registered"),
    (unknown_launch_plan, "launch plan demo/development/nothing@v1 is not registered"),
    (unknown_sub_workflow, "sub-workflow demo/development/nothing@v1 is not part of what was registered"),
    (unknown_node, 'node n1: input "x" refers to node "n77", which does not exist'),
    (unknown_upstream, 'node n1: runs after node "n77", which does not exist'),
    (unknown_variable, 'node n1: input "x" refers to "o9", but the outputs of node "n0" are: o0'),
    (unknown_workflow_input, 'refers to "zz", but the workflow\'s inputs are: names, when, x'),
    (unknown_input, 'node n0: has no input "zz"; its inputs are: by, x'),
    (unbound_input, 'node n0: input "x" (int) is not bound'),
    (doubly_bound_input, "is bound more than once"),
    (wrong_scalar, 'node n0: input "x" expects int, is bound to str'),
    (wrong_promise, 'node n0: input "x" expects int, is bound to list[int] from start-node.names'),
    (list_for_int, 'node n0: input "x" expects int, is bound to a list'),
    (nothing_bound, 'node n0: input "x" is bound to nothing'),
    (wrong_attribute, '"o0.weight" does not exist in Size(label: str, width: int)'),
    (wrong_attribute_type, 'input "x" expects int, is bound to str from'),
    (duplicate_node, "node n0: there are several nodes of this id"),
    (cycle, "nodes wait for each other: n0 -> n1 -> n0"),
    (self_cycle, "nodes wait for each other: n0 -> n0"),
    (missing_output, 'node end-node: input "o0" (int) is not bound'),
    (wrong_output, 'node end-node: input "o0" expects int, is bound to str'),
    (no_nodes, "the workflow has no nodes"),
    (no_target, "node n0: does nothing"),
    (no_else, "a branch without an else"),
    (unbound_condition, 'a condition uses "zz", which is not bound'),
    (wrong_condition, "a condition compares int with str"),
    (wrong_inside_branch, "task demo/development/nothing@v1 is not registered"),
    (gate_without_condition, "a gate that waits for nothing"),
    (signal_named(".."), "its signal '..' could not be reached"),
    (signal_named("a\nb"), "its signal 'a\\nb' contains a control character"),
    (signal_named("x" * 256), "its signal cannot exceed 255 characters"),
    (empty_reference, "refers to no workflow or launch plan"),
]


@pytest.mark.parametrize(("damage", "complaint"), BROKEN, ids=[damage.__name__ for damage, _ in BROKEN])
def test_it_says_what_is_wrong(
    everything: tuple[admin_workflow_pb2.WorkflowSpec, Available],
    damage: Callable[[Template], None],
    complaint: str,
) -> None:
    damage(everything[0].template)
    with pytest.raises(InvalidArgument) as caught:
        compile_spec(*everything)
    assert complaint in caught.value.message
    assert caught.value.message.startswith("workflow demo/development/tests.scheduler.programs.everything@v1 does not")


def test_it_says_everything_that_is_wrong_at_once(
    everything: tuple[admin_workflow_pb2.WorkflowSpec, Available],
) -> None:
    spec, available = everything
    unknown_input(spec.template)
    no_else(spec.template)
    unknown_task(spec.sub_workflows[0])
    with pytest.raises(InvalidArgument) as caught:
        compile_spec(spec, available)
    found = cast(list[str], caught.value.detail)
    assert any('has no input "zz"' in line for line in found)
    assert any("a branch without an else" in line for line in found)
    assert any(line.startswith("sub-workflow tests.scheduler.programs.inner: node n0: task") for line in found)


def test_it_refuses_sub_workflows_that_contain_each_other(
    everything: tuple[admin_workflow_pb2.WorkflowSpec, Available],
) -> None:
    spec, available = everything
    inner = spec.sub_workflows[0]
    inner.nodes[0].workflow_node.sub_workflow_ref.CopyFrom(inner.id)
    with pytest.raises(InvalidArgument, match="sub-workflows contain each other"):
        compile_spec(spec, available)


def test_it_finds_a_cycle_through_the_inside_of_a_branch(
    everything: tuple[admin_workflow_pb2.WorkflowSpec, Available],
) -> None:
    template = everything[0].template
    branch = by_name(template, "which")
    promise = binding(branch.branch_node.if_else.case.then_node, "x").promise
    node(template, promise.node_id).upstream_node_ids.append(branch.id)
    with pytest.raises(InvalidArgument, match="nodes wait for each other"):
        compile_spec(*everything)


def written_by_dynamic(number: int) -> dynamic_job_pb2.DynamicJobSpec:
    from flytekit.configuration import Image, ImageConfig, SerializationSettings
    from flytekit.core.context_manager import ExecutionState, FlyteContextManager

    image = Image(name="default", fqn="localhost/causeway", tag="test")
    settings = SerializationSettings(
        project="demo", domain="development", version="v1", image_config=ImageConfig(default_image=image)
    )
    context = FlyteContextManager.current_context()
    state = context.execution_state.with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    builder = context.with_execution_state(state).with_serialization_settings(settings)
    with FlyteContextManager.with_context(builder) as inside:
        spec = programs.spread.compile_into_workflow(inside, programs.spread._task_function, n=number)
    return cast(dynamic_job_pb2.DynamicJobSpec, spec.to_flyte_idl())


def test_it_compiles_what_a_dynamic_task_wrote() -> None:
    job = written_by_dynamic(3)
    task = cast(task_pb2.TaskSpec, specs_of(programs.spread)[0][1]).template
    assert not requirements_of_dynamic(job).tasks
    identifier = identifier_pb2.Identifier(name="dynamic_n0")
    closure = compile_dynamic(job, identifier=identifier, outputs=task.interface.outputs, registered=Available())
    assert edges(dict(closure.primary.connections.upstream))["end-node"] == ["dn0", "dn1", "dn2"]
    job.nodes[0].task_node.reference_id.name = "nothing"
    assert len(requirements_of_dynamic(job).tasks) == 1
    with pytest.raises(InvalidArgument) as caught:
        compile_dynamic(job, identifier=identifier, outputs=task.interface.outputs, registered=Available())
    assert caught.value.detail == ["node dn0: task demo/development/nothing@v1 is not registered"]


def test_it_wraps_a_single_task_as_flyteadmin_does() -> None:
    task = cast(task_pb2.TaskSpec, specs_of(programs.double)[0][1]).template
    spec = workflow_for(task)
    assert spec.template.id.name == ".flytegen.tests.scheduler.programs.double"
    closure = compile_closure(spec.template, [], Available(tasks={key_of(task.id): task}))
    assert closure.primary.template.nodes[2].id == "testsschedulerprogramsdouble"
    assert launch_plan_for(task).workflow_id == spec.template.id
    assert len(node_id_for("a.b_c-" * 50)) <= 63
    assert requirements_of([spec.template]).tasks == {key_of(task.id)}


def test_it_finds_cycles_in_large_graphs_without_recursion() -> None:
    chain = {str(i): {str(i + 1)} for i in range(20_000)}
    assert find_cycle(chain) == []
    chain["20000"] = {"19998"}
    assert find_cycle(chain) == ["19998", "19999", "20000", "19998"]

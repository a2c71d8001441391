from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import cast

import pytest
from django.db import connection
from flyteidl.admin import launch_plan_pb2, schedule_pb2, task_pb2, workflow_pb2
from flyteidl.core import identifier_pb2

from artifacts.exceptions import AlreadyExists, CausewayError, InvalidArgument, NotFound
from artifacts.literals import from_json
from scheduler.actions.register import register_launch_plan, register_task, register_workflow
from scheduler.models import LaunchPlan, NamedEntity, Project, Schedule, Task, Workflow
from tests.flyte import register_all, specs_of
from tests.scheduler import programs
from tests.scheduler.test_launch import INTEGER, STRING, identifier

pytestmark = pytest.mark.django_db

DOUBLE = "tests.scheduler.programs.double"


@pytest.fixture
def project() -> Project:
    return Project.objects.create(identifier="demo", name="demo")


@pytest.fixture
def task(project: Project) -> task_pb2.TaskSpec:
    return cast(task_pb2.TaskSpec, specs_of(programs.double)[0][1])


@pytest.fixture
def plan(project: Project) -> launch_plan_pb2.LaunchPlanSpec:
    """A launch plan of the registered workflow `inner`, whose only input is x: int."""
    register_all(programs.inner)
    return launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier("tests.scheduler.programs.inner", identifier_pb2.WORKFLOW)
    )


TASK_ID = identifier(DOUBLE, identifier_pb2.TASK)


def test_it_registers_whole_programs() -> None:
    register_all(programs.everything, programs.spread, programs.training, programs.fixed_plan)
    assert {"everything", "inner", "training"} <= {row.name.rsplit(".")[-1] for row in Workflow.objects.all()}
    assert LaunchPlan.objects.filter(name="fixed_plan", state=LaunchPlan.State.INACTIVE).exists()
    assert NamedEntity.objects.count() == Task.objects.count() + Workflow.objects.count() + LaunchPlan.objects.count()


def test_it_says_that_the_same_exists(task: task_pb2.TaskSpec, plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    with pytest.raises(AlreadyExists, match="task with identical structure already exists"):
        register_task(TASK_ID, task, actor="ann")
    workflow_id, workflow = specs_of(programs.inner)[1]
    with pytest.raises(AlreadyExists, match="workflow with identical structure already exists"):
        register_workflow(workflow_id, cast(workflow_pb2.WorkflowSpec, workflow), actor="ann")
    register_launch_plan(identifier("plan"), plan, actor="ann")
    with pytest.raises(AlreadyExists, match="launch plan with identical structure already exists"):
        register_launch_plan(identifier("plan"), plan, actor="ann")


def test_it_takes_the_order_of_upstream_nodes_for_no_difference(project: Project) -> None:
    """flytekit writes them from a set, whose order changes with every process."""
    register_all(programs.everything)
    workflow_id, workflow = [
        pair for pair in specs_of(programs.everything) if isinstance(pair[1], workflow_pb2.WorkflowSpec)
    ][-1]
    again = workflow_pb2.WorkflowSpec()
    again.CopyFrom(cast(workflow_pb2.WorkflowSpec, workflow))
    for node in again.template.nodes:
        node.upstream_node_ids[:] = list(reversed(node.upstream_node_ids))
    assert again != workflow
    with pytest.raises(AlreadyExists, match="identical structure"):
        register_workflow(workflow_id, again, actor="ann")


def test_it_says_what_differs_from_what_exists(task: task_pb2.TaskSpec, plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    task.template.container.image = "other:1"
    with pytest.raises(InvalidArgument, match="with different structure already exists") as caught:
        register_task(TASK_ID, task, actor="ann")
    assert "template.container.image: 'localhost/causeway:test' -> 'other:1'" in caught.value.message
    register_launch_plan(identifier("plan"), plan, actor="ann")
    plan.max_parallelism = 4
    with pytest.raises(InvalidArgument, match="max_parallelism: nothing -> 4"):
        register_launch_plan(identifier("plan"), plan, actor="ann")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": ""}, "missing name"),
        ({"version": ""}, "missing version"),
        ({"project": ""}, "missing project"),
        ({"name": "n" * 256}, "name cannot exceed 255 characters"),
        ({"version": "a\x00"}, "contains a control character"),
        ({"resource_type": identifier_pb2.WORKFLOW}, "unexpected resource type workflow"),
        ({"resource_type": 77}, "unexpected resource type unknown"),
        ({"project": "elsewhere"}, "project \\[elsewhere\\] is not registered"),
        ({"domain": "moon"}, "domain \\[moon\\] is unrecognized by system"),
    ],
)
def test_it_refuses_bad_identifiers(task: task_pb2.TaskSpec, change: dict[str, object], complaint: str) -> None:
    wanted = identifier_pb2.Identifier()
    wanted.CopyFrom(TASK_ID)
    for field, value in change.items():
        setattr(wanted, field, value)
    with pytest.raises(InvalidArgument, match=complaint):
        register_task(wanted, task, actor="ann")
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        (("template",), "missing spec"),
        (("template", "type"), "missing type"),
        (("template", "metadata"), "missing metadata"),
        (("template", "interface"), "missing typed interface"),
        (("template", "container", "image"), "missing image"),
    ],
)
def test_it_refuses_incomplete_tasks(task: task_pb2.TaskSpec, path: tuple[str, ...], complaint: str) -> None:
    message = task
    for field in path[:-1]:
        message = getattr(message, field)
    message.ClearField(path[-1])
    with pytest.raises(InvalidArgument, match=complaint):
        register_task(TASK_ID, task, actor="ann")


def test_it_refuses_a_workflow_whose_tasks_are_unknown(project: Project) -> None:
    workflow_id, workflow = specs_of(programs.inner)[1]
    with pytest.raises(InvalidArgument, match=f"task demo/development/{DOUBLE}@v1 is not registered"):
        register_workflow(workflow_id, cast(workflow_pb2.WorkflowSpec, workflow), actor="ann")
    assert not NamedEntity.objects.exists()


def test_it_expects_of_a_launch_what_the_plan_leaves_open(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    free = register_launch_plan(identifier("free"), plan, actor="ann")
    expected = launch_plan_pb2.LaunchPlanClosure.FromString(bytes(free.closure)).expected_inputs.parameters
    assert expected["x"].required
    plan.fixed_inputs.literals["x"].CopyFrom(from_json(1, INTEGER, name="x"))
    fixed = register_launch_plan(identifier("fixed"), plan, actor="ann")
    assert not launch_plan_pb2.LaunchPlanClosure.FromString(bytes(fixed.closure)).expected_inputs.parameters


@pytest.mark.parametrize("kind", ["default_inputs", "fixed_inputs"])
@pytest.mark.parametrize(
    ("name", "value", "complaint"), [("y", 1, "unexpected"), ("x", "one", "expects int|wrong type")]
)
def test_it_checks_defaults_and_fixed_inputs(
    plan: launch_plan_pb2.LaunchPlanSpec, kind: str, name: str, value: object, complaint: str
) -> None:
    literal = from_json(value, INTEGER if isinstance(value, int) else STRING, name="x")
    if kind == "fixed_inputs":
        plan.fixed_inputs.literals[name].CopyFrom(literal)
    else:
        parameter = plan.default_inputs.parameters[name]
        parameter.var.type.CopyFrom(INTEGER if isinstance(value, int) else STRING)
        parameter.default.CopyFrom(literal)
    with pytest.raises(InvalidArgument, match=complaint):
        register_launch_plan(identifier("plan"), plan, actor="ann")


def test_it_refuses_a_parameter_that_is_neither_required_nor_has_a_default(
    plan: launch_plan_pb2.LaunchPlanSpec,
) -> None:
    plan.default_inputs.parameters["x"].var.type.CopyFrom(INTEGER)
    with pytest.raises(InvalidArgument, match="neither default, nor is required"):
        register_launch_plan(identifier("plan"), plan, actor="ann")


def test_it_refuses_a_launch_plan_of_an_unknown_workflow(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.workflow_id.version = "v9"
    with pytest.raises(NotFound, match="programs.inner@v9 is not registered"):
        register_launch_plan(identifier("plan"), plan, actor="ann")


def test_it_refuses_labels_that_kubernetes_would(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.labels.values["a key"] = "b"
    with pytest.raises(InvalidArgument, match="invalid label key"):
        register_launch_plan(identifier("plan"), plan, actor="ann")


def _cron(expression: str, kickoff: str = "") -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(
        cron_schedule=schedule_pb2.CronSchedule(schedule=expression), kickoff_time_input_arg=kickoff
    )


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        (_cron("0 * * *"), "invalid cron expression '0 \\* \\* \\*': expected five fields"),
        (_cron("61 * * * *"), "invalid cron expression"),
        (_cron("0 0 30 2 *"), "invalid cron expression"),
        (_cron("CRON_TZ=Mars/Base 0 0 * * *"), "there is no time zone"),
        (_cron("0 0 * * *", "nowhere"), "does not point to a free input"),
        (_cron("0 0 * * *", "x"), "must reference a datetime input. \\[x\\] is a int"),
    ],
)
def test_it_checks_schedules(
    plan: launch_plan_pb2.LaunchPlanSpec, schedule: schedule_pb2.Schedule, complaint: str
) -> None:
    parameter = plan.default_inputs.parameters["x"]
    parameter.var.type.CopyFrom(INTEGER)
    parameter.default.CopyFrom(from_json(1, INTEGER, name="x"))
    plan.entity_metadata.schedule.CopyFrom(schedule)
    with pytest.raises(InvalidArgument, match=complaint):
        register_launch_plan(identifier("plan"), plan, actor="ann")
    assert not Schedule.objects.exists()


def test_it_refuses_a_schedule_that_leaves_an_input_open(plan: launch_plan_pb2.LaunchPlanSpec) -> None:
    plan.entity_metadata.schedule.CopyFrom(_cron("@daily"))
    with pytest.raises(InvalidArgument, match="unbound required input. \\[x\\] is required"):
        register_launch_plan(identifier("plan"), plan, actor="ann")


@pytest.mark.django_db(transaction=True)
def test_it_lets_only_one_of_two_at_once_register(project: Project, task: task_pb2.TaskSpec) -> None:
    def attempt(_: int) -> str:
        try:
            register_task(TASK_ID, task, actor="ann")
            return "registered"
        except CausewayError as error:
            return type(error).__name__
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(attempt, range(4)))
    assert outcomes == ["AlreadyExists"] * 3 + ["registered"]


def test_it_registers_in_few_queries(
    plan: launch_plan_pb2.LaunchPlanSpec, django_assert_max_num_queries: Callable[..., AbstractContextManager[object]]
) -> None:
    with django_assert_max_num_queries(10):
        register_launch_plan(identifier("plan"), plan, actor="ann")

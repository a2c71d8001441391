"""What a user of project `a` can do to project `b` by reference: at registration and at launch, by every kind there is.

Nothing without a role in b, and what is refused does not tell whether the thing exists.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2
from flyteidl.core import literals_pb2

from artifacts.actions.publish import Publication, publish
from artifacts.exceptions import CausewayError, InvalidArgument, NotFound, PermissionDenied
from artifacts.store import store
from console.accounts import access
from console.accounts.models import Role, RoleBinding, User
from console.rpc.caller import Caller
from console.rpc.executions import create_execution
from console.rpc.workflows import get_workflow
from scheduler.actions.launch import LaunchRequest, launch, relaunch
from scheduler.models import Execution, Project
from tests.console.references import (
    INTEGER,
    PLAN,
    PLANS,
    TASK,
    WORKFLOW,
    WORKFLOWS,
    Door,
    by_task,
    identifier,
    into,
    number,
    offloaded,
    task_spec,
    workflow_spec,
)

pytestmark = [pytest.mark.django_db, pytest.mark.accounts, pytest.mark.usefixtures("object_store")]

STRANGERS = ("contributor", "approver", "admin")  # of a, who can register there; in b they have no role
DENIED = (InvalidArgument, NotFound, PermissionDenied)


def user(name: str, **roles: Role) -> User:
    made = User.objects.create(username=name)
    for project, role in roles.items():
        RoleBinding.objects.create(user=made, project=project, role=role)
    return made


@pytest.fixture(autouse=True)
def world(object_store: str) -> dict[str, Door]:
    """Doors by who stands at them, and in both projects a task, a workflow and a launch plan to refer to."""
    for project in ("a", "b"):
        Project.objects.create(identifier=project, name=project)
    cast = {role: user(role, a=Role(role)) for role in ("viewer", *STRANGERS)}
    cast["nobody"] = user("nobody")
    cast["half"] = user("half")
    RoleBinding.objects.create(user=cast["half"], project="a", domain="development", role=Role.CONTRIBUTOR)
    cast["both"] = user("both", a=Role.APPROVER, b=Role.VIEWER)
    cast["root"] = User.objects.create(username="root", is_superuser=True)
    doors = {name: Door(Caller(one)) for name, one in cast.items()}
    for project, name in (("a", "mine"), ("b", "theirs")):
        doors["root"].task(name, task_spec(), project=project)
        doors["root"].workflow(name, workflow_spec(by_task(name, project=project)), project=project)
        doors["root"].plan(name, PLANS["workflow"](name) if project == "b" else _own_plan(), project=project)
    published = Publication("b", "development", "theirs", number(4), INTEGER, version="v1")
    publish(published, actor="root")
    store().put(offloaded("theirs").offloaded_metadata.uri, number(4).SerializeToString())
    return doors


def _own_plan() -> launch_plan_pb2.LaunchPlanSpec:
    return launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, "mine"))


def told(name: str, act: Callable[..., object], *arguments: object, **named: object) -> tuple[type, str]:
    """How the attempt was refused, with the name of what was wanted taken out."""
    with pytest.raises(CausewayError) as error:
        act(*arguments, **named)
    assert isinstance(error.value, DENIED), error.value
    return type(error.value), error.value.message.replace(name, "<it>")


def launched(door: Door, name: str, **inputs: literals_pb2.Literal) -> Execution:
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier(PLAN, name))
    given = literals_pb2.LiteralMap(literals=inputs)
    request = execution_pb2.ExecutionCreateRequest(project="a", domain="development", spec=spec, inputs=given)
    created = create_execution(request, door.caller)
    return Execution.objects.get(project="a", name=created.id.name)


@pytest.mark.parametrize("kind", WORKFLOWS)
def test_no_workflow_can_be_registered_on_what_one_may_not_read(world: dict[str, Door], kind: str) -> None:
    for name in (*STRANGERS, "half"):
        there = told("theirs", world[name].workflow, "w", WORKFLOWS[kind]("theirs"))
        ghost = told("ghost", world[name].workflow, "w", WORKFLOWS[kind]("ghost"))
        assert there == ghost
    world["both"].workflow("w", WORKFLOWS[kind]("theirs"))


@pytest.mark.parametrize("kind", PLANS)
def test_no_launch_plan_can_be_registered_on_what_one_may_not_read(world: dict[str, Door], kind: str) -> None:
    for name in (*STRANGERS, "half"):
        there = told("theirs", world[name].plan, "p", PLANS[kind]("theirs"))
        ghost = told("ghost", world[name].plan, "p", PLANS[kind]("ghost"))
        assert there == ghost
    world["both"].plan("p", PLANS[kind]("theirs"))


def test_nobody_registers_what_publishes_where_he_may_not(world: dict[str, Door]) -> None:
    spec = workflow_spec(by_task("mine", project="a"), described=into("theirs"))
    for name in (*STRANGERS, "half", "both"):
        for output in ("theirs", "ghost"):
            told(output, world[name].task, "t", task_spec(into(output)))
        assert told("theirs", world[name].workflow, "w", spec)[0] is PermissionDenied
    RoleBinding.objects.filter(user__username="both", project="b").update(role=Role.CONTRIBUTOR)
    again = Door(Caller(User.objects.get(username="both")))
    again.task("t", task_spec(into("theirs")))
    again.workflow("w", spec)


@pytest.mark.parametrize("kind", WORKFLOWS)
def test_nobody_launches_what_leads_where_he_may_not_read(world: dict[str, Door], kind: str) -> None:
    """Registered by somebody who may; asked again of whoever launches it, and when he lost the role."""
    world["root"].workflow("w", WORKFLOWS[kind]("theirs"))
    world["root"].plan("p", launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, "w")))
    for name in (*STRANGERS, "half"):
        with pytest.raises(PermissionDenied, match="may not read in b/development"):
            launched(world[name], "p", n=number(1))
    first = launched(world["both"], "p", n=number(1))
    assert first.principal == "both"
    RoleBinding.objects.filter(user__username="both", project="b").delete()
    with pytest.raises(PermissionDenied):
        relaunch(first, actor="both")
    assert Execution.objects.count() == 1


@pytest.mark.parametrize("kind", [kind for kind in PLANS if "trigger" not in kind])
def test_nobody_launches_with_what_he_may_not_read(world: dict[str, Door], kind: str) -> None:
    world["root"].plan("p", PLANS[kind]("theirs"))
    inputs = {"n": number(1)} if kind == "workflow" else {}
    for name in (*STRANGERS, "half"):
        with pytest.raises(PermissionDenied):
            launched(world[name], "p", **inputs)
    assert not Execution.objects.exists()
    if kind != "query by tag":  # there is no champion
        launched(world["both"], "p", **inputs)


@pytest.mark.parametrize("kind", (PLAN, TASK))
def test_nobody_launches_what_he_may_not_read(world: dict[str, Door], kind: int) -> None:
    def launching(door: Door, name: str) -> object:
        spec = execution_pb2.ExecutionSpec(launch_plan=identifier(kind, name, project="b"))
        request = execution_pb2.ExecutionCreateRequest(project="a", domain="development", spec=spec)
        request.inputs.literals["n"].CopyFrom(number(1))
        return create_execution(request, door.caller)

    for name in (*STRANGERS, "half"):
        there = told("theirs", launching, world[name], "theirs")
        assert there == told("ghost", launching, world[name], "ghost")
    assert launching(world["both"], "theirs")


def test_no_input_names_an_object_of_a_store_one_may_not_read(world: dict[str, Door]) -> None:
    for name in (*STRANGERS, "half"):
        there = told("theirs", launched, world[name], "mine", n=offloaded("theirs"))
        ghost = told("ghost", launched, world[name], "mine", n=offloaded("ghost"))
        assert there == ghost
    launched(world["both"], "mine", n=offloaded("theirs"))


def test_no_raw_output_goes_where_one_may_not_write(world: dict[str, Door]) -> None:
    def launching(prefix: str) -> object:
        spec = execution_pb2.ExecutionSpec(launch_plan=identifier(PLAN, "mine"))
        spec.raw_output_data_config.output_location_prefix = prefix
        request = execution_pb2.ExecutionCreateRequest(project="a", domain="development", spec=spec)
        request.inputs.literals["n"].CopyFrom(number(1))
        return create_execution(request, world["both"].caller)

    theirs, root = "raw/b/development/x", store().root
    spellings = [f"file:{root}/{theirs}", f"FILE://{root}/{theirs}", f"local://{root}/{theirs}", f"/{root}//{theirs}"]
    spellings += [f"file://localhost{root}/./{theirs}", f"{root}/raw/a/development/../../b/development/x"]
    for prefix in (f"{root}/{theirs}", *spellings):
        with pytest.raises(PermissionDenied, match="may not launch in b/development"):
            launching(prefix)
    assert launching(f"{store().root}/mine")
    assert launching(f"{store().root}/raw/a/development/mine")
    assert launching("s3://elsewhere/b/development")


def test_viewers_and_strangers_register_and_launch_nothing(world: dict[str, Door]) -> None:
    for name in ("viewer", "nobody"):
        with pytest.raises(PermissionDenied):
            world[name].workflow("w", WORKFLOWS["task"]("theirs"))
        with pytest.raises(PermissionDenied):
            launched(world[name], "mine", n=number(1))


def test_what_stays_in_its_project_asks_for_no_roles(world: dict[str, Door], django_assert_num_queries: object) -> None:
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier(PLAN, "mine"))
    inputs = literals_pb2.LiteralMap(literals={"n": number(1)})
    with CaptureQueriesContext(connection) as queries:
        launch(LaunchRequest("a", "development", "", spec, inputs), actor="contributor")
    assert not [query for query in queries if "accounts_" in query["sql"].replace("accounts_auditevent", "")]
    world["root"].workflow("w", WORKFLOWS["map over a task"]("theirs"))
    with CaptureQueriesContext(connection) as queries:
        world["both"].workflow("w2", WORKFLOWS["map over a task"]("theirs"))
    asked = [query for query in queries if "accounts_" in query["sql"] and "username" in query["sql"]]
    assert len(asked) == 1


def test_whoever_reads_a_workflow_does_not_read_what_it_refers_to(world: dict[str, Door]) -> None:
    """Registered by somebody who may read both; or before it was asked."""
    world["root"].workflow("w", WORKFLOWS["task"]("theirs"))
    wanted = common_pb2.ObjectGetRequest(id=identifier(WORKFLOW, "w"))
    for name, seen in (("viewer", False), ("admin", False), ("both", True), ("root", True)):
        (found,) = get_workflow(wanted, world[name].caller).closure.compiled_workflow.tasks
        assert ("hunter2" in str(found)) is seen
        assert found.template.interface == task_spec().template.interface


def test_an_eager_task_launches_with_the_roles_of_who_launched_it(world: dict[str, Door]) -> None:
    """Its token is good for its own project; what its children refer to is asked of the principal."""
    world["root"].workflow("w", WORKFLOWS["task"]("theirs"))
    world["root"].plan("p", launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, "w")))
    for name, may in (("both", True), ("contributor", False)):
        execution = launched(world[name], "mine", n=number(1))
        eager = Door(Caller(access._task(execution)))
        if may:
            assert launched(eager, "p", n=number(1)).principal == name
        else:
            with pytest.raises(PermissionDenied, match="may not read in b/development"):
                launched(eager, "p", n=number(1))

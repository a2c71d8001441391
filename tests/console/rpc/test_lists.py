from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2
from flytekit.clients.friendly import SynchronousFlyteClient
from flytekit.exceptions.user import FlyteEntityNotExistException, FlyteInvalidInputException
from flytekit.models.admin.common import Sort
from flytekit.models.common import NamedEntityIdentifier
from flytekit.models.filters import Contains, Equal, GreaterThan, NotEqual, ValueIn
from flytekit.remote import FlyteRemote
from google.protobuf.message import Message
from pytest_django import DjangoAssertNumQueries

from scheduler import queries
from scheduler.filters import parse_filters
from scheduler.models import LaunchPlan, NamedEntity, Project, ResourceType, Task
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.tags import tags_of
from tests.console.rpc import rows
from tests.console.rpc.test_dispatch import ADMIN, status

Call = Callable[..., Message]
TEAM = NamedEntityIdentifier("demo", "development", "team.task")


def test_it_finds_the_newest_version_of_a_task(remote: FlyteRemote) -> None:
    for version in ("v1", "v2", "v3"):
        rows.make_task(version=version)
    assert remote.fetch_task(name="team.task").id.version == "v3"
    assert remote.fetch_task(name="team.task", version="v2").id.version == "v2"
    with pytest.raises(FlyteEntityNotExistException):
        remote.fetch_task(name="team.other")


def test_it_pages_through_versions_without_gaps_or_repeats(client: SynchronousFlyteClient) -> None:
    for number in range(7):
        rows.make_task(version=f"v{number}")
    seen, token = [], ""
    while True:
        page, token = client.list_tasks_paginated(TEAM, limit=3, token=token)
        seen += [task.id.version for task in page]
        if not token:
            break
    assert seen == [f"v{number}" for number in reversed(range(7))]


def test_it_sorts_and_filters_as_the_client_asks(client: SynchronousFlyteClient) -> None:
    for name, version in (("team.task", "a"), ("team.task", "b"), ("team.other", "a")):
        rows.make_task(name, version)
    everything = NamedEntityIdentifier("demo", "development")
    by_name = Sort("name", Sort.Direction.ASCENDING)
    found, _ = client.list_tasks_paginated(everything, limit=10, filters=[Equal("version", "a")], sort_by=by_name)
    assert [task.id.name for task in found] == ["team.other", "team.task"]
    found, _ = client.list_tasks_paginated(everything, filters=[Contains("name", ["oth"]), NotEqual("version", "b")])
    assert [task.id.name for task in found] == ["team.other"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("eq(phase,FAILED)", ["f"]),
        ("ne(phase,FAILED)+ne(phase,RUNNING)", ["s"]),
        ("value_in(phase,FAILED;RUNNING)", ["r", "f"]),
        ("value_not_in(phase,FAILED;RUNNING)", ["s"]),
        ("gt(created_at,2026-01-01T00:00:05Z)", ["r", "f"]),
        ("lte(created_at,2026-01-01T01:00:00+01:00)+eq(mode,0)", ["s"]),
        ("gte(duration,5)", ["f"]),
        ("lt(duration, 4s)", ["s"]),
        ("eq(launch_plan.name,team.flow)+eq(workflow.version,v1)", ["r", "f", "s"]),
        ("eq(launch_plan.name,nothing)", []),
        ("eq(execution_name,s)", ["s"]),
        ("contains(user,mar)+not_like(name,f%)", ["r", "s"]),
        ("eq(state,1)", ["gone"]),
        ("value_in(state,0;1)", ["r", "f", "s", "gone"]),
    ],
)
def test_it_filters_executions(demo: Project, filters: str, names: list[str]) -> None:
    plan = rows.make_launch_plan(rows.make_workflow())
    rows.make_execution(plan, "gone", -10, archived=True)
    rows.make_execution(plan, "s", 0)
    rows.make_execution(plan, "f", 10, phase=ExecutionPhase.FAILED, ended_at=rows.at(20))
    rows.make_execution(plan, "r", 20, phase=ExecutionPhase.RUNNING, ended_at=None)
    request = queries.ListRequest(limit=10, filters=filters)
    found, token = queries.list_executions(request, project="demo", domain="development")
    assert [execution.name for execution in found] == names
    assert token == ""


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        # As flytekit's failure handler of eager tasks asks for what the task started (python_function_task.py).
        (
            "value_in(execution_tag.key,eager-exec)+value_in(execution_tag.value,e1)+value_in(phase,QUEUED;RUNNING)",
            ["a"],
        ),
        ("eq(execution_tag.key,eager-exec)+value_in(execution_tag.value,e1;e2)", ["b", "a"]),
        ("eq(execution_tag.key,eager-exec)+eq(execution_tag.value,other)", []),
        ("eq(execution_tag.key,team)", ["c", "a"]),
        ("value_in(admin_tag.name,nightly;weekly)+eq(name,c)", ["c"]),
        (f"eq(admin_tag.name,{'long' * 1000})", ["d"]),
        ("eq(admin_tag.name,a\x00b)", []),
    ],
)
def test_it_filters_executions_by_labels_and_tags(demo: Project, filters: str, names: list[str]) -> None:
    plan = rows.make_launch_plan(rows.make_workflow())
    for at, (name, labels, tags) in enumerate(
        [
            ("a", {"eager-exec": "e1", "team": "other"}, []),
            ("b", {"eager-exec": "e2"}, []),
            ("c", {"team": "x"}, ["nightly"]),
            ("d", {}, ["long" * 1000, "a\x00b"]),
        ]
    ):
        spec = execution_pb2.ExecutionSpec(labels={"values": labels}, tags=tags)
        rows.make_execution(plan, name, at, phase=ExecutionPhase.RUNNING, ended_at=None, tags=tags_of(spec))
    request = queries.ListRequest(limit=10, filters=filters)
    found, _ = queries.list_executions(request, project="demo", domain="development")
    assert [execution.name for execution in found] == names


@pytest.mark.parametrize(
    "filters",
    [
        "phase=FAILED",
        "eq(phase)",
        "like(phase,FAILED)",
        "eq(phase,EXPLODED)",
        "eq(secret,1)",
        "eq(task_execution.phase,FAILED)",
        "gt(created_at,yesterday)",
        "gt(created_at,2026-13-45)",
        "eq(duration,soon)",
        "eq(mode,many)",
        "contains(created_at,2026)",
        "eq(name,a\x00b)",
        "eq(state,2)",
        "eq(name,x)+" * 40 + "eq(name,x)",
        "eq(launch_plan__spec,x)",
        "eq(execution_tag.value,x)",
        "contains(execution_tag.key,x)",
        "eq(execution_tag.secret,x)",
    ],
)
def test_it_refuses_a_filter_it_cannot_answer(client: SynchronousFlyteClient, call: Call, filters: str) -> None:
    request = common_pb2.ResourceListRequest(id={"project": "demo", "domain": "development"}, limit=10, filters=filters)
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "ListExecutions", request)
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "over",
    [
        {"limit": 0},
        {"limit": 1_000_000},
        {"limit": 10, "token": "-1"},
        {"limit": 10, "token": "next"},
        {"limit": 10, "token": "9" * 30},
        {"limit": 10, "sort_by": {"key": "spec"}},
        {"limit": 10, "sort_by": {"key": "created_at", "direction": 7}},
        {"limit": 10, "id": {"project": "demo"}},
        {"limit": 10, "id": {"domain": "development"}},
    ],
)
def test_it_refuses_a_page_it_did_not_offer(call: Call, over: dict[str, object]) -> None:
    fields: dict[str, Any] = {"id": {"project": "demo", "domain": "development"}, **over}
    with pytest.raises(grpc.RpcError) as error:
        call(ADMIN, "ListTasks", common_pb2.ResourceListRequest(**fields))
    assert status(error) is grpc.StatusCode.INVALID_ARGUMENT


def test_it_keeps_a_plus_inside_a_value() -> None:
    parsed = parse_filters("gt(created_at,2026-01-01T00:00:00+01:00)+eq(name,a+b)")
    assert [one.values for one in parsed] == [("2026-01-01T00:00:00+01:00",), ("a+b",)]


def test_it_finds_the_active_launch_plan(client: SynchronousFlyteClient, remote: FlyteRemote) -> None:
    workflow = rows.make_workflow()
    rows.make_launch_plan(workflow, version="v1")
    assert remote.fetch_active_launchplan(name="team.flow") is None
    rows.make_launch_plan(workflow, version="v2", state=LaunchPlan.State.ACTIVE)
    rows.make_launch_plan(workflow, version="v3")
    name = NamedEntityIdentifier("demo", "development", "team.flow")
    assert client.get_active_launch_plan(name).id.version == "v2"
    active, _ = client.list_active_launch_plans_paginated("demo", "development")
    assert [plan.id.version for plan in active] == ["v2"]
    assert active[0].closure.state == launch_plan_pb2.ACTIVE
    found, _ = client.list_launch_plans_paginated(name, filters=[Equal("state", "0")])
    assert [plan.id.version for plan in found] == ["v3", "v1"]


def test_it_lists_names_without_generated_ones(client: SynchronousFlyteClient) -> None:
    for name in ("team.b", "team.a", ".flytegen.team.a"):
        NamedEntity.objects.create(resource_type=ResourceType.WORKFLOW, project="demo", domain="development", name=name)
    found, _ = client.list_workflow_ids_paginated("demo", "development", limit=10)
    assert [entity.name for entity in found] == ["team.a", "team.b"]


def test_it_lists_projects_by_name_leaving_out_archived_ones(remote: FlyteRemote) -> None:
    Project.objects.create(identifier="attic", name="Attic", state=Project.State.ARCHIVED)
    Project.objects.create(identifier="alpha", name="Alpha")
    assert [project.id for project in remote.list_projects()] == ["alpha", "demo"]
    assert [project.id for project in remote.list_projects(filters=[Equal("state", "1")])] == ["attic"]
    assert [domain.id for domain in remote.get_domains()] == ["development", "staging", "production"]


def test_it_reports_recent_executions_with_their_states(remote: FlyteRemote, client: SynchronousFlyteClient) -> None:
    plan = rows.make_launch_plan(rows.make_workflow())
    first = rows.make_execution(plan, "first", 0)
    rows.make_execution(
        plan, "second", 5, phase=ExecutionPhase.ABORTED, abort_cause="too slow", aborted_by="mara", reference=first
    )
    second, found_first = remote.recent_executions(limit=2)
    assert second.id.name == "second" and second.is_done
    assert second.closure.abort_metadata.cause == "too slow"
    assert second.spec.metadata.principal == "mara"
    assert found_first.spec.launch_plan.name == "team.flow"
    assert found_first.closure.duration.total_seconds() == 1
    by_phase = remote.recent_executions(
        filters=[ValueIn("phase", ["ABORTED"]), GreaterThan("created_at", "2026-01-01")]
    )
    assert [execution.id.name for execution in by_phase] == ["second"]


def test_it_shows_no_node_that_only_waits_for_others(client: SynchronousFlyteClient) -> None:
    from flytekit.models.core.identifier import WorkflowExecutionIdentifier

    execution = rows.make_execution(rows.make_launch_plan(rows.make_workflow()), "run")
    parent = rows.make_node(execution, "n0", 0, kind="workflow")
    rows.make_node(execution, "n0-0-n1", 1, parent=parent)
    rows.make_node(execution, "n1", 2, phase=NodePhase.UNDEFINED)
    identifier = WorkflowExecutionIdentifier("demo", "development", "run")
    top, _ = client.list_node_executions(identifier)
    assert [(node.id.node_id, node.metadata.is_parent_node) for node in top] == [("n0", True)]
    inner, _ = client.list_node_executions(identifier, unique_parent_id="n0")
    assert [(node.id.node_id, node.metadata.spec_node_id) for node in inner] == [("n0-0-n1", "n1")]
    assert inner[0].metadata.retry_group == "0"
    with pytest.raises(FlyteEntityNotExistException):
        client.list_node_executions(identifier, unique_parent_id="n1")
    with pytest.raises(FlyteInvalidInputException):
        client.list_node_executions(identifier, limit=0)


def test_it_reads_a_page_in_a_fixed_number_of_statements(
    demo: Project, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    from console.rpc.convert import executions, registry

    plan = rows.make_launch_plan(rows.make_workflow())
    first = rows.make_execution(plan, "first")
    node = rows.make_node(first, "n0")
    for number in range(5):
        rows.make_execution(plan, f"run{number}", parent_node=node, reference=first)
        rows.make_task(version=f"v{number}")
    request = queries.ListRequest(limit=100)
    with django_assert_num_queries(3):  # with their parents, and with those they repeat
        found, _ = queries.list_executions(request, project="demo", domain="development")
        assert [executions.execution(row, may_read=lambda *_: True, listed=True) for row in found]
    with django_assert_num_queries(1):
        tasks, _ = queries.list_versions(Task, request, project="demo", domain="development")
        assert [registry.task(row) for row in tasks]
    with django_assert_num_queries(1):
        plans, _ = queries.list_versions(LaunchPlan, request, project="demo", domain="development")
        assert [registry.launch_plan(row) for row in plans]

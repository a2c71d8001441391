from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from flyteidl.admin import execution_pb2, launch_plan_pb2
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, types_pb2
from pytest_django import Settings

from artifacts.actions.holding import Removed
from artifacts.actions.publish import Publication, publish
from artifacts.actions.retention import remove, set_policy
from artifacts.exceptions import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    QueryUnresolved,
    ResourceExhausted,
)
from artifacts.literals import carried, carry, from_json, to_json
from artifacts.models import ArtifactVersion, Removal
from artifacts.store import store
from console.accounts.models import Role, RoleBinding, User
from lineage.models import ExecutionLink, VersionEdge, Via
from scheduler.actions.launch import LaunchRequest, launch, recover, relaunch
from scheduler.actions.launch_inputs import gather
from scheduler.actions.projects import update_project
from scheduler.actions.register import register_launch_plan
from scheduler.actions.retention import apply_retention
from scheduler.authority import Authority
from scheduler.models import Execution, ExecutionMode, Project
from scheduler.phases import ExecutionPhase
from tests.flyte import register_all
from tests.scheduler import programs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
STRING = types_pb2.LiteralType(simple=types_pb2.STRING)


def identifier(
    name: str, kind: identifier_pb2.ResourceType = identifier_pb2.LAUNCH_PLAN, version: str = "v1"
) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind, project="demo", domain="development", name=name, version=version
    )


def number(value: int) -> literals_pb2.Literal:
    return from_json(value, INTEGER, name="x")


def text(value: str) -> literals_pb2.Literal:
    return from_json(value, STRING, name="x")


def request_for(plan: identifier_pb2.Identifier, name: str = "", **inputs: literals_pb2.Literal) -> LaunchRequest:
    spec = execution_pb2.ExecutionSpec(launch_plan=plan)
    return LaunchRequest("demo", "development", name, spec, literals_pb2.LiteralMap(literals=inputs))


def inputs_of(execution: Execution) -> dict[str, object]:
    literals = literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri)).literals
    return {name: to_json(literals[name]) for name in sorted(literals)}


def publish_dataset(value: int, region: str = "SEA") -> ArtifactVersion:
    return publish(
        Publication(
            project="demo",
            domain="development",
            name="dataset",
            literal=number(value),
            literal_type=INTEGER,
            partitions={"region": region},
        ),
        actor="tester",
    )


@pytest.fixture
def inner() -> None:
    register_all(programs.inner, programs.inner_plan, programs.fixed_plan)


@pytest.fixture
def training() -> identifier_pb2.Identifier:
    register_all(programs.training)
    return identifier("tests.scheduler.programs.training")


def test_it_fills_in_defaults_and_fixed_inputs(inner: None) -> None:
    assert inputs_of(launch(request_for(identifier("inner_plan")), actor="ann")) == {"x": 5}
    assert inputs_of(launch(request_for(identifier("inner_plan"), x=number(6)), actor="ann")) == {"x": 6}
    assert inputs_of(launch(request_for(identifier("fixed_plan")), actor="ann")) == {"x": 7}


def test_it_stores_a_complete_row_for_the_engine(inner: None) -> None:
    execution = launch(request_for(identifier("inner_plan"), "first"), actor="ann")
    stored = Execution.objects.get(pk=execution.pk)
    assert (stored.key, stored.phase, stored.dirty) == ("demo/development/first", ExecutionPhase.UNDEFINED, True)
    assert (stored.mode, stored.principal) == (ExecutionMode.MANUAL, "ann")
    assert stored.workflow.name == "tests.scheduler.programs.inner"
    spec = execution_pb2.ExecutionSpec.FromString(bytes(stored.spec))
    assert spec.metadata.principal == "ann"
    assert not spec.HasField("inputs")


def test_a_launch_looks_and_writes_the_row_and_the_audit(inner: None) -> None:
    """Alone in its transaction it needs no savepoint."""
    launch(request_for(identifier("inner_plan")), actor="ann", alone=True)
    with CaptureQueriesContext(connection) as queries:
        launch(request_for(identifier("inner_plan")), actor="ann", alone=True)
    assert len(queries) == 3, [query["sql"] for query in queries.captured_queries]


def test_it_runs_so_many_nodes_at_once_as_the_settings_say_unless_told_otherwise(
    inner: None, settings: Settings
) -> None:
    settings.CAUSEWAY_MAX_PARALLELISM = 25

    def parallelism(request: LaunchRequest) -> int:
        return execution_pb2.ExecutionSpec.FromString(bytes(launch(request, actor="ann").spec)).max_parallelism

    request = request_for(identifier("inner_plan"))
    assert parallelism(request) == 25
    request.spec.max_parallelism = 4
    assert parallelism(request) == 4


def test_it_names_everything_that_is_wrong_with_the_inputs() -> None:
    register_all(programs.everything)
    plan = identifier("tests.scheduler.programs.everything")
    with pytest.raises(InvalidArgument) as caught:
        launch(request_for(plan, x=text("one"), y=number(1)), actor="ann")
    message = caught.value.message
    assert 'input "x" has the wrong type: expects int, got str' in message
    assert 'invalid input "y"' in message
    assert "missing required inputs: names (list[int])" in message
    assert not Execution.objects.exists()


def test_it_refuses_to_override_a_fixed_input(inner: None) -> None:
    with pytest.raises(InvalidArgument, match='input "x" is fixed by the launch plan and cannot be overridden'):
        launch(request_for(identifier("fixed_plan"), x=number(1)), actor="ann")


def test_it_refuses_a_name_twice_and_keeps_the_inputs_of_the_first(inner: None) -> None:
    first = launch(request_for(identifier("inner_plan"), "once", x=number(1)), actor="ann")
    with pytest.raises(AlreadyExists, match="demo/development/once"):
        launch(request_for(identifier("inner_plan"), "once", x=number(2)), actor="ann")
    assert inputs_of(first) == {"x": 1}


@pytest.mark.parametrize("name", ["1st", "a b", "-a", "a" * 64, "a/../b", "ä"])
def test_it_refuses_malformed_names(inner: None, name: str) -> None:
    with pytest.raises(InvalidArgument, match="execution name"):
        launch(request_for(identifier("inner_plan"), name), actor="ann")


def test_it_refuses_what_is_not_there(inner: None) -> None:
    with pytest.raises(NotFound, match="launch plan demo/development/nothing@v1 is not registered"):
        launch(request_for(identifier("nothing")), actor="ann")
    with pytest.raises(InvalidArgument, match="a launch plan or a task"):
        launch(request_for(identifier("inner", identifier_pb2.WORKFLOW)), actor="ann")
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier("inner_plan"))
    with pytest.raises(InvalidArgument, match="project \\[unheard-of\\] is not registered"):
        launch(LaunchRequest("unheard-of", "development", "", spec), actor="ann")
    with pytest.raises(InvalidArgument, match="domain \\[moon\\] is unrecognized"):
        launch(LaunchRequest("demo", "moon", "", spec), actor="ann")
    update_project(Project.objects.get(identifier="demo"), state=Project.State.ARCHIVED, actor="ann")
    with pytest.raises(InvalidArgument, match="project \\[demo\\] is not active"):
        launch(request_for(identifier("inner_plan")), actor="ann")


def test_it_launches_a_task_through_a_generated_workflow(inner: None) -> None:
    task = identifier("tests.scheduler.programs.double", identifier_pb2.TASK)
    first = launch(request_for(task, x=number(3), by=number(2)), actor="ann")
    again = launch(request_for(task, x=number(4), by=number(2)), actor="ann")
    assert first.workflow.name == ".flytegen.tests.scheduler.programs.double"
    assert first.task is not None and first.task.name == "tests.scheduler.programs.double"
    assert first.workflow_id == again.workflow_id
    with pytest.raises(InvalidArgument, match="missing required inputs: by"):
        launch(request_for(task, x=number(3)), actor="ann")


def test_it_resolves_query_defaults_bound_to_other_inputs(training: identifier_pb2.Identifier) -> None:
    publish_dataset(1, "ATL")
    version = publish_dataset(2, "SEA")
    publish_dataset(3, "LAX")
    execution = launch(request_for(training, region=text("SEA")), actor="ann")
    assert inputs_of(execution) == {"data": 2, "region": "SEA"}
    entry = execution.resolution["data"]
    assert (entry["via"], entry["artifact"], entry["version_id"]) == ("query", "demo/development/dataset", version.pk)
    edge = VersionEdge.objects.get(execution_key=execution.key)
    assert (edge.version_id, edge.variable, edge.via, edge.role) == (version.pk, "data", Via.QUERY, "consumed")
    stored = literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri))
    assert carried(stored.literals["data"]) == version.pk


def test_it_names_the_input_whose_query_matches_nothing(training: identifier_pb2.Identifier) -> None:
    publish_dataset(1, "ATL")
    with pytest.raises(QueryUnresolved, match='input "data":'):
        launch(request_for(training, region=text("SEA")), actor="ann")
    assert not Execution.objects.exists()


def test_the_text_that_pyflyte_run_makes_of_a_query_is_no_value(inner: None) -> None:
    query = interface_pb2.Parameter(
        var=interface_pb2.Variable(type=STRING), artifact_query=programs.Dataset.query(region="SEA").to_flyte_idl()
    )
    publish(
        Publication("demo", "development", "dataset", text("found"), STRING, partitions={"region": "SEA"}), actor="ann"
    )
    around: dict[str, Any] = {"project": "demo", "domain": "development", "trigger": None, "resolved": {}}
    around["authority"] = Authority("ann")
    for given, value in (("Artifact Query: on dataset", "found"), ("Artifact Query: on another", None)):
        found = gather(
            {"x": text(given)},
            expected=interface_pb2.ParameterMap(parameters={"x": query}),
            fixed=literals_pb2.LiteralMap(),
            via=Via.OVERRIDE,
            **around,
        )
        assert to_json(found.inputs.literals["x"]) == (value or given)


def test_it_records_a_version_given_in_place_of_a_query(training: identifier_pb2.Identifier) -> None:
    version = publish_dataset(1, "ATL")
    chosen = carry(number(1), version.pk)
    execution = launch(request_for(training, region=text("SEA"), data=chosen), actor="ann")
    assert execution.resolution["data"]["via"] == "override"
    plain = launch(request_for(training, region=text("SEA"), data=number(9)), actor="ann")
    assert plain.resolution == {}
    assert VersionEdge.objects.filter(execution_key=plain.key).count() == 0


@pytest.mark.parametrize("mark", [999_999_999, 2**70])
def test_it_takes_off_a_mark_that_is_not_true(training: identifier_pb2.Identifier, mark: int) -> None:
    version = publish_dataset(1, "ATL")
    for forged in (carry(number(1), mark), carry(number(2), version.pk)):
        execution = launch(request_for(training, region=text("SEA"), data=forged), actor="ann")
        stored = literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri))
        assert carried(stored.literals["data"]) is None
        assert execution.resolution == {}


def test_marks_count_only_where_the_launching_one_may_read(training: identifier_pb2.Identifier) -> None:
    elsewhere = publish(
        Publication(project="secret", domain="production", name="formula", literal=number(1), literal_type=INTEGER),
        actor="boss",
    )
    User.objects.create(username="ann")
    RoleBinding.objects.create(user=User.objects.create(username="vic"), project="secret", role=Role.VIEWER)
    for actor, found in (("ann", None), ("vic", elsewhere.pk)):
        request = request_for(training, region=text("SEA"), data=carry(number(1), elsewhere.pk))
        execution = launch(request, actor=actor)
        stored = literals_pb2.LiteralMap.FromString(store().get(execution.inputs_uri))
        assert carried(stored.literals["data"]) == found
        edges = VersionEdge.objects.filter(execution_key=execution.key)
        assert list(edges.values_list("version_id", flat=True)) == ([found] if found else [])


def test_an_optional_value_is_the_version_it_was_published_as(training: identifier_pb2.Identifier) -> None:
    optional = types_pb2.LiteralType(union_type=types_pb2.UnionType(variants=[INTEGER]))
    wrapped = literals_pb2.Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=number(1), type=INTEGER)))
    version = publish(Publication("demo", "development", "maybe", wrapped, optional), actor="ann")
    for given in (carry(wrapped, version.pk), carry(number(1), version.pk)):
        expected = interface_pb2.ParameterMap(
            parameters={"n": interface_pb2.Parameter(var=interface_pb2.Variable(type=optional), required=True)}
        )
        around: dict[str, Any] = {"project": "demo", "domain": "development", "trigger": None, "resolved": {}}
        around["authority"] = Authority("ann")
        found = gather({"n": given}, expected=expected, fixed=literals_pb2.LiteralMap(), via=Via.OVERRIDE, **around)
        assert found.resolved["n"].version == version


def test_marks_inside_lists_have_to_be_true_as_well(training: identifier_pb2.Identifier) -> None:
    version = publish_dataset(1)
    listed = interface_pb2.ParameterMap(
        parameters={
            "ns": interface_pb2.Parameter(
                var=interface_pb2.Variable(type=types_pb2.LiteralType(collection_type=INTEGER)), required=True
            )
        }
    )
    items = [carry(number(1), version.pk), carry(number(2), version.pk)]
    given = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=items))
    around: dict[str, Any] = {
        "project": "demo",
        "domain": "development",
        "trigger": None,
        "resolved": {},
        "via": Via.OVERRIDE,
        "authority": Authority("ann"),
    }
    found = gather({"ns": given}, expected=listed, fixed=literals_pb2.LiteralMap(), **around)
    assert [carried(item) for item in found.inputs.literals["ns"].collection.literals] == [version.pk, None]


def test_it_records_the_triggering_version(training: identifier_pb2.Identifier) -> None:
    version = publish_dataset(1, "ATL")
    execution = launch(
        request_for(training, region=text("ATL"), data=carry(number(1), version.pk)),
        actor="system:trigger",
        mode=ExecutionMode.TRIGGER,
        trigger=version,
    )
    assert VersionEdge.objects.get(execution_key=execution.key).via == Via.TRIGGER


def test_it_relaunches_with_the_same_versions_and_changed_inputs(training: identifier_pb2.Identifier) -> None:
    version = publish_dataset(1, "SEA")
    first = launch(request_for(training, region=text("SEA")), actor="ann")
    publish_dataset(2, "SEA")
    again = relaunch(first, name="again", overwrite_cache=True, actor="bob")
    assert inputs_of(again) == {"data": 1, "region": "SEA"}
    assert (again.name, again.mode, again.reference) == ("again", ExecutionMode.RELAUNCH, first)
    assert (again.resolution["data"]["via"], again.resolution["data"]["version_id"]) == ("query", version.pk)
    assert execution_pb2.ExecutionSpec.FromString(bytes(again.spec)).overwrite_cache
    changed = relaunch(first, inputs=literals_pb2.LiteralMap(literals={"region": text("ATL")}), actor="bob")
    assert inputs_of(changed) == {"data": 1, "region": "ATL"}
    links = ExecutionLink.objects.filter(kind="relaunch", source=first.key)
    assert {link.execution_key for link in links} == {again.key, changed.key}


def test_it_relaunches_with_what_the_queries_find_now(training: identifier_pb2.Identifier) -> None:
    publish_dataset(1, "SEA")
    first = launch(request_for(training, region=text("SEA")), actor="ann")
    newer = publish_dataset(2, "SEA")
    again = relaunch(first, newest=True, actor="bob")
    assert inputs_of(again) == {"data": 2, "region": "SEA"}
    assert again.resolution["data"]["version_id"] == newer.pk


def test_it_relaunches_a_launch_plan_with_fixed_inputs(inner: None) -> None:
    first = launch(request_for(identifier("fixed_plan")), actor="ann")
    assert inputs_of(relaunch(first, actor="ann")) == {"x": 7}


def test_it_recovers_only_what_ended_without_success(inner: None) -> None:
    first = launch(request_for(identifier("inner_plan")), actor="ann")
    with pytest.raises(FailedPrecondition, match="has not ended"):
        recover(first, actor="ann")
    first.phase = ExecutionPhase.SUCCEEDED
    with pytest.raises(FailedPrecondition, match="nothing to recover"):
        recover(first, actor="ann")
    first.phase = ExecutionPhase.FAILED
    again = recover(first, name="again", actor="ann")
    spec = execution_pb2.ExecutionSpec.FromString(bytes(again.spec))
    assert (again.mode, spec.metadata.mode) == (ExecutionMode.RECOVERED, execution_pb2.ExecutionMetadata.RECOVERED)
    assert spec.metadata.reference_execution.name == first.name
    assert ExecutionLink.objects.get(execution_key=again.key).kind == "recover"


def test_it_takes_settings_from_the_launch_plan_that_the_request_leaves_open(inner: None) -> None:
    plan = launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier("tests.scheduler.programs.inner", identifier_pb2.WORKFLOW), max_parallelism=3, role="r"
    )
    plan.labels.values["team"] = "data"
    plan.envs.values.add(key="A", value="1")
    plan.fixed_inputs.literals["x"].CopyFrom(number(1))
    register_launch_plan(identifier("settings"), plan, actor="ann")
    asked = request_for(identifier("settings"))
    asked.spec.envs.values.add(key="B", value="2")
    asked.spec.tags.append("nightly")
    launched = launch(asked, actor="ann")
    spec = execution_pb2.ExecutionSpec.FromString(bytes(launched.spec))
    assert launched.tags == ["nightly", "team", "team=data"]
    assert spec.max_parallelism == 3
    assert dict(spec.labels.values) == {"team": "data"}
    assert [one.key for one in spec.envs.values] == ["B"]
    assert spec.security_context.run_as.iam_role == "r"


def test_it_keeps_to_the_concurrency_policy(inner: None) -> None:
    plan = launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier("tests.scheduler.programs.inner", identifier_pb2.WORKFLOW)
    )
    plan.fixed_inputs.literals["x"].CopyFrom(number(1))
    plan.concurrency_policy.max = 1
    plan.concurrency_policy.behavior = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    register_launch_plan(identifier("single"), plan, actor="ann")
    first = launch(request_for(identifier("single")), actor="ann")
    with pytest.raises(ResourceExhausted, match="already runs 1"):
        launch(request_for(identifier("single")), actor="ann")
    Execution.objects.filter(pk=first.pk).update(phase=ExecutionPhase.SUCCEEDED)
    launch(request_for(identifier("single")), actor="ann")


def test_it_leaves_nothing_behind_when_rolled_back(training: identifier_pb2.Identifier) -> None:
    publish_dataset(1, "SEA")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        launch(request_for(training, region=text("SEA")), actor="ann")
        raise ZeroDivisionError
    assert not Execution.objects.exists()
    assert not VersionEdge.objects.exists()


def test_it_takes_few_queries(
    inner: None, django_assert_num_queries: Callable[..., AbstractContextManager[object]]
) -> None:
    launch(request_for(identifier("inner_plan")), actor="ann")
    with django_assert_num_queries(5):  # the launch plan; the row in a savepoint; who did it
        launch(request_for(identifier("inner_plan")), actor="ann")


@pytest.mark.django_db(transaction=True)
def test_it_launches_once_under_a_name_however_many_try(inner: None) -> None:
    task = identifier("tests.scheduler.programs.double", identifier_pb2.TASK)

    def attempt(value: int) -> int | None:
        try:
            launch(request_for(task, "same", x=number(value), by=number(2)), actor="ann")
            return value
        except AlreadyExists:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        winners = [value for value in pool.map(attempt, range(1, 5)) if value is not None]
    assert len(winners) == 1
    assert inputs_of(Execution.objects.get()) == {"by": 2, "x": winners[0]}


@pytest.mark.django_db(transaction=True)
def test_it_keeps_to_the_concurrency_policy_however_many_launch_at_once(inner: None) -> None:
    plan = launch_plan_pb2.LaunchPlanSpec(
        workflow_id=identifier("tests.scheduler.programs.inner", identifier_pb2.WORKFLOW)
    )
    plan.fixed_inputs.literals["x"].CopyFrom(number(1))
    plan.concurrency_policy.max = 2
    plan.concurrency_policy.behavior = launch_plan_pb2.CONCURRENCY_LIMIT_BEHAVIOR_SKIP
    register_launch_plan(identifier("two_at_most"), plan, actor="ann")

    def attempt(number: int) -> bool:
        try:
            launch(request_for(identifier("two_at_most"), f"racer{number}"), actor="ann")
        except ResourceExhausted:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 2
    assert Execution.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_version_that_a_launch_found_is_not_removed_while_it_launches(
    valkey: object, training: identifier_pb2.Identifier
) -> None:
    version, _ = publish_dataset(1), publish_dataset(2)
    chosen = carry(number(1), version.pk)
    policy = set_policy(version.artifact, keep_newest=1, actor="ann")
    removed: list[Removal] = []

    def retention() -> None:
        try:
            removed.extend(apply_retention(policy))
        finally:
            connection.close()

    other = threading.Thread(target=retention)
    with transaction.atomic():
        launch(request_for(training, region=text("SEA"), data=chosen), actor="ann")
        other.start()
        other.join(0.3)
        assert other.is_alive()  # waits until it is known whether the launch commits
    other.join()
    assert removed == []


@pytest.mark.django_db(transaction=True)
def test_a_launch_is_refused_whose_version_is_being_removed(
    valkey: object, training: identifier_pb2.Identifier
) -> None:
    version = publish_dataset(1)
    refused: list[Removed] = []

    def work() -> None:
        try:
            launch(request_for(training, region=text("SEA")), actor="ann")
        except Removed as error:
            refused.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=work)
    with transaction.atomic():
        remove([version], actor="ann", reason="old")
        other.start()
        other.join(0.3)
    other.join()
    assert [error.message for error in refused] == [f'input "data": {version} was removed at this very moment']
    assert not Execution.objects.exists()

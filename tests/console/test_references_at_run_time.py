"""What executions, triggers and schedules of project `a` can do to project `b`: what their principal may, then."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from flyteidl.admin import execution_pb2, launch_plan_pb2, schedule_pb2
from flyteidl.core import dynamic_job_pb2, literals_pb2, types_pb2

from artifacts.actions.publish import Publication, publish
from artifacts.exceptions import PermissionDenied
from artifacts.models import ArtifactVersion
from artifacts.store import store
from console.accounts import access
from console.accounts.models import Role, RoleBinding, User
from scheduler import task_tokens
from scheduler.actions.launch import LaunchRequest, launch
from scheduler.actions.launch_plans import set_state
from scheduler.actions.register import register_launch_plan, register_task, register_workflow
from scheduler.advance import advance
from scheduler.attempts.claims import claim
from scheduler.attempts.observations import Ended, Running
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.reports import report_ends, report_running
from scheduler.executors.packing import MachinePacking
from scheduler.ledger import told_reason
from scheduler.models import (
    Execution,
    FiringOutcome,
    LaunchPlan,
    Project,
    Schedule,
    ScheduleFire,
    TaskExecution,
    Trigger,
    TriggerFiring,
)
from scheduler.phases import AttemptPhase, ExecutionPhase
from scheduler.schedules.fire import fire_due
from scheduler.shell import data
from scheduler.triggers.evaluate import evaluate_version, retry_by_hand
from tests.console.references import (
    INTEGER,
    PLAN,
    PLANS,
    TASK,
    WORKFLOW,
    WORKFLOWS,
    by_task,
    identifier,
    into,
    number,
    offloaded,
    task_spec,
    workflow_spec,
)
from tests.scheduler.driving import ROOM, Driver, Futures, error_of, outputs

pytestmark = [pytest.mark.django_db, pytest.mark.accounts]

START = datetime(2020, 1, 1, tzinfo=timezone.utc)
_versions = itertools.count(1)


def give(name: str, project: str, role: Role) -> None:
    RoleBinding.objects.create(user=User.objects.get(username=name), project=project, role=role)


def lose(name: str, project: str) -> None:
    RoleBinding.objects.filter(user__username=name, project=project).delete()


def published(value: int, project: str = "b", name: str = "theirs") -> ArtifactVersion:
    return publish(
        Publication(project, "development", name, number(value), INTEGER, version=f"v{next(_versions)}"), actor="root"
    )


@pytest.fixture(autouse=True)
def world(object_store: str) -> None:
    """ann may launch in a, and read in b; root everything. In both projects a task, a workflow, a launch plan."""
    for project in ("a", "b"):
        Project.objects.create(identifier=project, name=project)
    User.objects.create(username="root", is_superuser=True)
    User.objects.create(username="ann")
    give("ann", "a", Role.APPROVER)
    give("ann", "b", Role.VIEWER)
    for project, name in (("a", "mine"), ("b", "theirs")):
        register(name, project=project)


def register(name: str, *, project: str = "a", cached: bool = False) -> None:
    register_task(identifier(TASK, name, project=project), task_spec(cached=cached), actor="root")
    workflow = identifier(WORKFLOW, name, project=project)
    register_workflow(workflow, workflow_spec(by_task(name, project=project)), actor="root")
    plan(name, launch_plan_pb2.LaunchPlanSpec(workflow_id=workflow), project=project)


def plan(name: str, spec: launch_plan_pb2.LaunchPlanSpec, *, project: str = "a", version: str = "v1") -> LaunchPlan:
    return register_launch_plan(identifier(PLAN, name, project=project, version=version), spec, actor="root")


def on_workflow(name: str, spec: object) -> None:
    register_workflow(identifier(WORKFLOW, name), spec, actor="root")  # type: ignore[arg-type]
    plan(name, launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, name)))


def launched(name: str, *, project: str = "a", actor: str = "ann", **inputs: literals_pb2.Literal) -> Execution:
    spec = execution_pb2.ExecutionSpec(launch_plan=identifier(PLAN, name, project=project))
    given = literals_pb2.LiteralMap(literals=inputs or {"n": number(1)})
    return launch(LaunchRequest(project, "development", "", spec, given), actor=actor)


def run(execution: Execution, **answers: Callable[..., object]) -> Execution:
    """With the children that it starts."""
    driver = Driver({"mine": lambda n: n, "theirs": lambda n: 10 * n, **answers})
    for _ in range(4):
        Execution.objects.filter(ended_at=None).update(dirty=True)  # as the sweep finds parents whose child has ended
        for one in Execution.objects.filter(ended_at=None).order_by("pk"):
            driver.run(one)
    execution.refresh_from_db()
    return execution


def test_a_child_runs_with_the_rights_of_its_parents_principal() -> None:
    published(4)
    passes = identifier(WORKFLOW, "passes", project="b")  # its input on, as its output
    register_workflow(passes, workflow_spec(by_task("theirs"), output=""), actor="root")
    asking = PLANS["query"]("theirs")
    asking.workflow_id.CopyFrom(passes)
    plan("asking", asking, project="b")
    spec = WORKFLOWS["launch plan"]("asking")
    del spec.template.nodes[0].inputs[:]
    on_workflow("starts", spec)
    execution = run(launched("starts"))
    assert execution.phase == ExecutionPhase.SUCCEEDED and outputs(execution) == {"o0": 4}
    child = Execution.objects.get(parent_node__execution=execution)
    assert (child.project, child.principal) == ("a", "ann")
    waiting = launched("starts")
    lose("ann", "b")
    assert run(waiting).phase == ExecutionPhase.FAILED
    assert "is not registered" in error_of(waiting).message
    assert not Execution.objects.filter(parent_node__execution=waiting).exists()


def test_a_map_over_launch_plans_asks_as_well() -> None:
    on_workflow("many", WORKFLOWS["map over a launch plan"]("theirs"))
    assert run(launched("many")).phase == ExecutionPhase.SUCCEEDED
    waiting = launched("many")
    lose("ann", "b")
    assert run(waiting).phase == ExecutionPhase.FAILED
    assert Execution.objects.filter(parent_node__isnull=False).count() == 1


def test_the_cache_of_a_project_is_its_own() -> None:
    register("secret", project="b", cached=True)
    on_workflow("uses", WORKFLOWS["task"]("secret"))
    ours = iter(range(100, 200))
    compute = {"secret": lambda n: next(ours)}
    assert outputs(run(launched("secret", project="b", actor="root"), **compute)) == {"o0": 100}
    assert outputs(run(launched("uses"), **compute)) == {"o0": 101}  # not what b computed
    assert outputs(run(launched("uses"), **compute)) == {"o0": 101}  # but what a did
    assert outputs(run(launched("secret", project="b", actor="root"), **compute)) == {"o0": 100}  # nor b what a did


def test_publishing_elsewhere_needs_a_role_there_when_it_is_done() -> None:
    register_task(identifier(TASK, "writes", project="b"), task_spec(into("result")), actor="root")
    on_workflow("writing", workflow_spec(by_task("writes")))
    answers = {"writes": lambda n: 5}
    refused = run(launched("writing"), **answers)
    assert refused.phase == ExecutionPhase.FAILED
    assert "ann may not publish in b/development, where an output is published" in error_of(refused).message
    assert not ArtifactVersion.objects.filter(artifact__project="b").exists()
    give("ann", "b", Role.CONTRIBUTOR)
    assert run(launched("writing"), **answers).phase == ExecutionPhase.SUCCEEDED
    version = ArtifactVersion.objects.get(artifact__project="b")
    assert version.created_by == "ann"


def test_a_workflow_publishes_elsewhere_by_the_same_rule() -> None:
    on_workflow("writing", workflow_spec(by_task("mine", project="a"), described=into("result")))
    assert run(launched("writing")).phase == ExecutionPhase.FAILED
    assert not ArtifactVersion.objects.exists()
    assert run(launched("writing", actor="root")).phase == ExecutionPhase.SUCCEEDED


def test_the_code_of_a_task_may_no_more_than_who_launched_it_may_by_now() -> None:
    """Or one who was shut out would go on by a task that launches itself again and again."""
    execution = launched("mine")
    advance(execution.pk)
    token = task_tokens.issue(TaskExecution.objects.get(execution_id=execution.pk).pk)

    def may() -> list[str]:
        user = access.authenticate_token(token)
        return [action.value for action in access.Action if access.can(user, action, "a", "development")]

    everything = may()
    assert everything == ["read", "publish", "launch", "register"]
    lose("ann", "a")
    assert may() == []
    give("ann", "a", Role.VIEWER)
    assert may() == ["read"]
    give("ann", "a", Role.ADMIN)
    assert may() == everything
    User.objects.filter(username="ann").update(is_active=False)
    assert may() == []
    Execution.objects.update(principal="system:schedule")
    assert may() == everything


def job(node_task: str, **brought: str) -> Futures:
    spec = dynamic_job_pb2.DynamicJobSpec(nodes=workflow_spec(by_task(node_task)).template.nodes)
    spec.outputs.extend(workflow_spec(by_task(node_task)).template.outputs)
    for name in brought.values():
        bare = task_spec().template
        bare.id.CopyFrom(identifier(TASK, name, project="b"))
        spec.tasks.append(bare)
    return Futures(spec.SerializeToString())


def test_what_a_dynamic_task_refers_to_is_asked_about() -> None:
    assert run(launched("mine"), mine=lambda n: job("theirs")).phase == ExecutionPhase.SUCCEEDED
    lose("ann", "b")
    told = set()
    for name in ("theirs", "ghost"):
        failed = run(launched("mine"), mine=lambda n, name=name: job(name))
        assert failed.phase == ExecutionPhase.FAILED
        told.add(error_of(failed).message.replace(name, "<it>"))
        claimed = run(launched("mine"), mine=lambda n, name=name: job(name, brought=name))
        assert "ann may not read in b/development" in error_of(claimed).message
    assert len(told) == 1 and "is not registered" in told.pop()


def test_offloaded_values_are_read_where_the_principal_may() -> None:
    """A task's output that says its value lies in the store of b."""
    secret = literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[number(1), number(2)]))
    literal = offloaded("theirs")
    literal.offloaded_metadata.inferred_type.collection_type.simple = types_pb2.INTEGER
    store().put(literal.offloaded_metadata.uri, secret.SerializeToString())
    listed = types_pb2.LiteralType(collection_type=INTEGER)
    points = task_spec()
    points.template.interface.outputs.variables["o0"].type.CopyFrom(listed)
    register_task(identifier(TASK, "points"), points, actor="root")
    spec = WORKFLOWS["map over a task"]("theirs")
    spec.template.nodes[0].array_node.node.task_node.reference_id.CopyFrom(identifier(TASK, "mine"))
    spec.template.nodes[0].inputs[0].binding.CopyFrom(
        literals_pb2.BindingData(promise=types_pb2.OutputReference(node_id="p", var="o0"))
    )
    spec.template.nodes.append(by_task("points", project="a", node_id="p"))
    on_workflow("reads", spec)

    def pointed(execution: Execution) -> Execution:
        """Until the map is prepared, or refused."""
        advance(execution.pk)
        row = TaskExecution.objects.get(execution_id=execution.pk)
        uri = f"{row.command['output_prefix']}/outputs.pb"
        data.write(uri, literals_pb2.LiteralMap(literals={"o0": literal}))
        now = datetime.now(timezone.utc)
        claim("local", "test", MachinePacking(ROOM, ROOM, now=now), now=now)
        ended = Ended(row.pk, Outcome(AttemptPhase.SUCCEEDED, output_uri=uri), datetime.now(timezone.utc))
        report_running([Running(row.pk, "1:1", datetime.now(timezone.utc))], actor="test")
        report_ends([ended], actor="test")
        advance(execution.pk)
        execution.refresh_from_db()
        return execution

    allowed = pointed(launched("reads"))
    assert allowed.phase == ExecutionPhase.RUNNING
    assert TaskExecution.objects.filter(execution_id=allowed.pk, index__gte=0).count() == 2
    Execution.objects.update(ended_at=START, phase=ExecutionPhase.ABORTED)
    TaskExecution.objects.update(phase=AttemptPhase.ABORTED)
    lose("ann", "b")
    refused = pointed(launched("reads"))
    assert refused.phase == ExecutionPhase.FAILED
    assert "ann may not read the value at" in error_of(refused).message


def reacting(version: str = "v1", actor: str = "ann") -> Trigger:
    found = plan("reacting", PLANS["trigger"]("theirs"), version=version)
    set_state(found, LaunchPlan.State.ACTIVE, actor=actor)
    Trigger.objects.filter(launch_plan=found).update(activated_at=START)
    return Trigger.objects.get(launch_plan=found)


def fired(value: int) -> TriggerFiring:
    version = published(value)
    evaluate_version(version.pk)
    return TriggerFiring.objects.get(version=version)


@pytest.mark.parametrize("loss", ["there", "here", "account"])
def test_a_trigger_stops_when_who_activated_it_lost_the_role(loss: str) -> None:
    trigger = reacting()
    first = fired(1)
    assert first.outcome == FiringOutcome.FIRED and first.execution is not None
    assert first.execution.principal == "ann"
    if loss == "account":
        User.objects.filter(username="ann").update(is_active=False)
    else:
        lose("ann", {"there": "b", "here": "a"}[loss])
    stopped = fired(2)
    assert (stopped.outcome, stopped.execution) == (FiringOutcome.FAILED, None)
    assert stopped.reason.startswith("ann, who activated it, may no longer")
    set_state(trigger.launch_plan, LaunchPlan.State.ACTIVE, actor="root")  # it is active already: root vouches for it
    again = fired(3)
    assert again.execution is not None and again.execution.principal == "root"
    assert retry_by_hand(stopped.pk, actor="root").outcome == FiringOutcome.FIRED


def test_a_triggers_queries_are_asked_for_with_the_rights_of_who_activated_it() -> None:
    published(7)
    found = plan("reacting", PLANS["trigger's query"]("theirs"))
    set_state(found, LaunchPlan.State.ACTIVE, actor="ann")
    Trigger.objects.update(activated_at=START)
    evaluate_version(published(1, "a", "own").pk)
    assert TriggerFiring.objects.get().outcome == FiringOutcome.FIRED
    lose("ann", "b")
    version = published(2, "a", "own")
    evaluate_version(version.pk)
    refused = TriggerFiring.objects.get(version=version)
    assert refused.outcome == FiringOutcome.FAILED
    assert "ann may not read in b/development, where input 'n' is queried from" in refused.reason


def test_nobody_activates_what_reads_where_he_may_not() -> None:
    lose("ann", "b")
    for name in ("trigger", "query", "workflow"):
        found = plan(f"plan-{name}", PLANS[name]("theirs"))
        with pytest.raises(PermissionDenied, match="ann may not read in b/development"):
            set_state(found, LaunchPlan.State.ACTIVE, actor="ann")
    assert not LaunchPlan.objects.filter(state=LaunchPlan.State.ACTIVE).exists()


def test_triggers_and_schedules_from_before_go_on_as_the_control_plane() -> None:
    reacting()
    Trigger.objects.update(activated_by="")
    lose("ann", "a")
    found = fired(1)
    assert found.execution is not None and found.execution.principal == "system:trigger"


def test_a_schedule_stops_when_who_activated_it_lost_the_role() -> None:
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, "mine"))
    spec.fixed_inputs.literals["n"].CopyFrom(number(1))
    spec.entity_metadata.schedule.CopyFrom(schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=1)))
    found = plan("scheduled", spec)
    set_state(found, LaunchPlan.State.ACTIVE, actor="ann")
    due = Schedule.objects.get().next_fire_at
    assert due is not None
    fire_due(now=due)
    assert Execution.objects.get().principal == "ann"
    lose("ann", "a")
    fire_due(now=due + timedelta(minutes=1))
    stopped = ScheduleFire.objects.order_by("-fire_at")[0]
    assert stopped.execution is None and stopped.error.startswith("ann, who activated it, may no longer launch in a/")
    set_state(found, LaunchPlan.State.ACTIVE, actor="root")
    fire_due(now=due + timedelta(minutes=2))
    assert Execution.objects.order_by("-pk")[0].principal == "root"


def test_why_a_query_found_nothing_is_told_to_those_who_may_read_there() -> None:
    found = plan("reacting", PLANS["trigger's query"]("nothing-yet"))
    set_state(found, LaunchPlan.State.ACTIVE, actor="ann")
    Trigger.objects.update(activated_at=START)
    version = published(1, "a", "own")
    evaluate_version(version.pk)
    firing = TriggerFiring.objects.get()
    assert firing.outcome == FiringOutcome.UNRESOLVED
    assert told_reason(firing, lambda project, domain: True) == firing.reason
    hidden = told_reason(firing, lambda project, domain: project == "a")
    assert hidden == "an input found no version of b/development/nothing-yet, which you may not read"

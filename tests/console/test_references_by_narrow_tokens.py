"""A token for project `a` leads to no other, whatever its owner may: neither while it is used nor by what goes on when
the call is over. What somebody launches or activates with it stays within the project as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flyteidl.admin import launch_plan_pb2, schedule_pb2

from artifacts.exceptions import PermissionDenied
from console.accounts import access, tokens
from console.accounts.models import User
from console.accounts.scopes import forget_caller
from scheduler import task_tokens
from scheduler.actions.launch import recover, relaunch
from scheduler.actions.launch_plans import set_state
from scheduler.advance import advance
from scheduler.authority import Authority
from scheduler.executors.local import reads
from scheduler.models import Execution, FiringOutcome, LaunchPlan, Schedule, TaskExecution, Trigger
from scheduler.phases import ExecutionPhase
from scheduler.schedules.fire import fire_due
from tests.console.references import PLAN, WORKFLOW, WORKFLOWS, identifier, number
from tests.console.test_references_at_run_time import fired, job, launched, on_workflow, plan, reacting, run
from tests.console.test_references_at_run_time import world as world  # the fixture: ann may read in b
from tests.scheduler.driving import error_of

pytestmark = [pytest.mark.django_db, pytest.mark.accounts]


@contextmanager
def called_with_a_token(project: str = "a") -> Iterator[User]:
    """As a door begins and ends a call of ann's."""
    secret = tokens.create(User.objects.get(username="ann"), "ci", project=project)[1]
    try:
        yield access.authenticate_token(secret)
    finally:
        forget_caller()


def test_what_a_dynamic_task_names_is_asked_of_the_token_it_was_launched_with() -> None:
    with called_with_a_token():
        narrow = launched("mine")
    refused = run(narrow, mine=lambda n: job("theirs"))
    assert refused.phase == ExecutionPhase.FAILED and "is not registered" in error_of(refused).message
    with called_with_a_token(""):
        whole = launched("mine")
    assert run(whole, mine=lambda n: job("theirs")).phase == ExecutionPhase.SUCCEEDED


def test_children_and_what_they_find_out_are_within_the_project_too() -> None:
    on_workflow("starts", WORKFLOWS["launch plan"]("theirs"))
    spec = WORKFLOWS["launch plan"]("theirs")
    spec.template.nodes[0].workflow_node.launchplan_ref.CopyFrom(identifier(PLAN, "mine"))
    on_workflow("starts-ours", spec)
    with called_with_a_token():
        with pytest.raises(PermissionDenied):
            launched("starts")
        ours = launched("starts-ours")
    assert run(ours, mine=lambda n: job("theirs")).phase == ExecutionPhase.FAILED
    child = Execution.objects.get(parent_node__execution=ours)
    assert (child.principal, child.principal_project) == ("ann", "a")


def test_who_launches_again_does_it_with_the_token_of_now() -> None:
    first = launched("mine")
    failed = run(first, mine=lambda n: job("ghost"))
    with called_with_a_token():
        for again in (relaunch(failed, actor="ann"), recover(failed, actor="ann")):
            assert again.principal_project == "a"
            assert run(again, mine=lambda n: job("theirs")).phase == ExecutionPhase.FAILED
    whole = relaunch(failed, actor="ann")
    assert run(whole, mine=lambda n: job("theirs")).phase == ExecutionPhase.SUCCEEDED


def test_the_code_of_a_task_launches_within_the_project() -> None:
    """An eager workflow calls with the attempt's own token."""
    on_workflow("leads", WORKFLOWS["task"]("theirs"))
    with called_with_a_token():
        narrow = launched("mine")
    advance(narrow.pk)
    attempt = TaskExecution.objects.get(execution_id=narrow.pk)
    try:
        access.authenticate_token(task_tokens.issue(attempt.pk))
        with pytest.raises(PermissionDenied, match="may not read in b/development"):
            launched("leads")
        assert launched("mine").principal_project == "a"
    finally:
        forget_caller()
    assert launched("leads").principal_project == ""


@pytest.mark.parametrize(("project", "may"), [("a", False), ("", True)])
def test_an_attempt_reads_objects_of_the_tokens_project_alone(
    project: str, may: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "close_old_connections", lambda: None)  # the test's own connection
    with called_with_a_token(project):
        execution = launched("mine")
    advance(execution.pk)
    attempt = TaskExecution.objects.get(execution_id=execution.pk)
    assert reads.may_read(attempt.pk, "b", "development") is may
    assert reads.may_read(attempt.pk, "a", "development")


def test_a_trigger_activated_with_a_token_fires_within_its_project() -> None:
    with called_with_a_token(), pytest.raises(PermissionDenied):
        reacting()
    reacting("v2")
    Trigger.objects.update(activated_project="a")  # as if its sources had been in a when it was activated
    stopped = fired(1)
    assert stopped.outcome == FiringOutcome.FAILED
    assert stopped.reason.startswith("ann, who activated it, may no longer read in b/development")
    assert reacting("v3").activated_project == ""
    again = fired(2)
    assert again.execution is not None and again.execution.principal_project == ""


def test_what_a_schedule_launches_stays_within_the_project_of_the_token_that_activated_it() -> None:
    spec = launch_plan_pb2.LaunchPlanSpec(workflow_id=identifier(WORKFLOW, "mine"))
    spec.fixed_inputs.literals["n"].CopyFrom(number(1))
    spec.entity_metadata.schedule.CopyFrom(schedule_pb2.Schedule(rate=schedule_pb2.FixedRate(value=1)))
    found = plan("scheduled", spec)
    with called_with_a_token():
        set_state(found, LaunchPlan.State.ACTIVE, actor="ann")
    due = Schedule.objects.get().next_fire_at
    assert due is not None
    fire_due(now=due)
    execution = Execution.objects.get()
    assert execution.principal_project == "a"
    assert run(execution, mine=lambda n: job("theirs")).phase == ExecutionPhase.FAILED
    set_state(found, LaunchPlan.State.ACTIVE, actor="ann")
    fire_due(now=due + timedelta(minutes=1))
    assert Execution.objects.order_by("-pk")[0].principal_project == ""


def test_an_authority_of_one_project_may_nothing_elsewhere() -> None:
    assert Authority("root").reads("b", "development")
    assert not Authority("root", project="a").reads("b", "development")
    assert Authority("root", project="a").reads("a", "development")

from __future__ import annotations

import errno
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from flyteidl.core import execution_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact

from artifacts.store import LocalStore
from scheduler import sweep
from scheduler.advance import advance
from scheduler.graphs import workflow_scope
from scheduler.models import Execution, Gate, NodeExecution, TaskExecution, Workflow
from scheduler.phases import NODE_TERMINAL, AttemptPhase, ExecutionPhase, NodePhase
from scheduler.sweep import sweep_all
from tests.artifacts.publishing import publish_output
from tests.scheduler.driving import Driver, error_of, outputs, start, workflow_of
from tests.scheduler.test_advance import diamond, plus
from tests.scheduler.test_gates import asking

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


def test_it_finds_what_lost_wake_ups_left() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    driver = Driver({"add": plus})
    for _ in range(6):
        sweep_all()
        driver.answer_all()
    assert outputs(execution) == {"o0": 36}


def test_it_fails_an_execution_that_cannot_be_evaluated_and_sweeps_the_others() -> None:
    broken = start(workflow_of(diamond), {"a": 1, "b": 2})
    sound = start(workflow_of(diamond), {"a": 1, "b": 2})
    Workflow.objects.filter(pk=broken.workflow_id).update(closure=b"\xff\xff")
    for _ in range(3):
        sweep_all()
    broken.refresh_from_db()
    assert broken.phase == ExecutionPhase.FAILED
    assert error_of(broken).code == "EvaluationBrokeDown"
    sound.refresh_from_db()
    assert sound.phase == ExecutionPhase.RUNNING


def give_up(execution: Execution) -> None:
    """Make it one that cannot be evaluated, until it is failed for that."""
    Workflow.objects.filter(pk=execution.workflow_id).update(closure=b"\xff\xff")
    workflow_scope.cache_clear()
    Execution.objects.filter(pk=execution.pk).update(dirty=True)
    for _ in range(3):
        sweep_all()
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.FAILED


def test_nothing_waits_for_a_decision_in_an_execution_that_was_given_up() -> None:
    execution = start(workflow_of(asking), {"a": 1})
    advance(execution.pk)
    assert Gate.objects.get(execution=execution).waiting_since is not None
    give_up(execution)
    assert Gate.objects.get(execution=execution).waiting_since is None


def test_it_leaves_ended_executions_alone() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    Driver({"add": plus}).run(execution)
    Execution.objects.filter(pk=execution.pk).update(dirty=True, wake_at=timezone.now())
    sweep_all()
    execution.refresh_from_db()
    assert (execution.dirty, execution.wake_at) == (False, None)


def test_it_fails_an_execution_whose_store_stays_full(object_store: str) -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    full = OSError(errno.ENOSPC, "No space left on device")
    for minutes in (0, 1, 3):
        moment = timezone.now() + timedelta(minutes=minutes)
        with (
            patch("django.utils.timezone.now", lambda now=moment: now),
            patch.object(LocalStore, "put", side_effect=full),
        ):
            sweep_all()
        execution.refresh_from_db()
        assert (execution.phase == ExecutionPhase.FAILED) == (minutes == 3)
    told = error_of(execution)
    assert (told.code, told.kind) == ("DiskFull", execution_pb2.ExecutionError.SYSTEM)
    assert "No space left" in told.message


def test_it_goes_on_when_the_store_has_room_again(object_store: str) -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    with patch.object(LocalStore, "put", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        sweep_all()
    assert outputs(Driver({"add": plus}).run(execution)) == {"o0": 36}
    assert "store_fails_since" not in execution.counters


def test_it_stops_what_ran_for_an_execution_that_is_given_up() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    advance(execution.pk)
    give_up(execution)
    nodes = NodeExecution.objects.filter(execution=execution)
    assert not nodes.exclude(phase__in=sorted(NODE_TERMINAL | {NodePhase.UNDEFINED})).exists()
    assert not TaskExecution.objects.filter(execution_id=execution.pk, phase=AttemptPhase.QUEUED).exists()


def test_a_step_that_fails_keeps_no_other_from_being_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("corrupt")

    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    version = publish_output(FlyteArtifact(name="a"), 1).versions[0][1]
    for step in ("scheduler.sweep._parents", "scheduler.sweep._children", "scheduler.triggers.evaluate._due_again"):
        monkeypatch.setattr(step, broken)
    monkeypatch.setattr("scheduler.triggers.evaluate.unsettled", broken)
    sweep_all()
    execution.refresh_from_db()
    version.refresh_from_db()
    assert execution.phase == ExecutionPhase.RUNNING
    assert version.triggers_evaluated_at is not None


def test_an_older_child_of_a_repeated_node_does_not_have_its_parent_evaluated_for_ever() -> None:
    """The node failed once and runs again: its first child ended, the second one goes on."""
    parent = start(workflow_of(diamond), {"a": 1, "b": 2})
    advance(parent.pk)
    node = NodeExecution.objects.filter(execution=parent).order_by("pk")[0]
    NodeExecution.objects.filter(pk=node.pk).update(kind="launch_plan", phase=NodePhase.RUNNING)
    children = [start(workflow_of(diamond), {"a": 1, "b": 2}) for _ in range(2)]
    for child, phase in zip(children, (ExecutionPhase.FAILED, ExecutionPhase.RUNNING), strict=True):
        ended = timezone.now() if phase == ExecutionPhase.FAILED else None
        Execution.objects.filter(pk=child.pk).update(parent_node=node, phase=phase, ended_at=ended)
    untold = [NodePhase.RUNNING, [ExecutionPhase.FAILED, ExecutionPhase.SUCCEEDED], 10]
    assert sweep._column(sweep._UNTOLD_PARENTS, untold) == []
    Execution.objects.filter(pk=children[1].pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=timezone.now())
    assert sweep._column(sweep._UNTOLD_PARENTS, untold) == [node.pk]

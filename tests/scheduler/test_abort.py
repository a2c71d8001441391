from __future__ import annotations

import pytest

from scheduler.actions.executions import abort
from scheduler.advance import advance
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, phases, start, workflow_of
from tests.scheduler.test_advance import diamond, outer, plus

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


def test_it_stops_queued_attempts() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    advance(execution.pk)
    abort(execution, cause="stop", actor="ann")
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.ABORTED
    assert TaskExecution.objects.get(execution_id=execution.pk).phase == AttemptPhase.ABORTED
    assert phases(execution)["n0"] == NodePhase.ABORTED


def test_it_stops_everything_below_sub_workflows() -> None:
    execution = start(workflow_of(outer), {"a": 1})
    advance(execution.pk)
    abort(execution, cause="stop", actor="ann")
    advance(execution.pk)
    assert phases(execution) == {
        "start-node": NodePhase.SUCCEEDED,
        **dict.fromkeys(("n0", "n1", "n0-0-n0", "n1-0-n0"), NodePhase.ABORTED),
        **dict.fromkeys(("n0-0-start-node", "n1-0-start-node"), NodePhase.SUCCEEDED),
    }


def test_it_aborts_before_anything_began() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    abort(execution, cause="stop", actor="ann")
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.ABORTED
    assert not TaskExecution.objects.filter(execution_id=execution.pk).exclude(phase=AttemptPhase.ABORTED).exists()


def test_it_ignores_reports_after_the_end() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    advance(execution.pk)
    driver = Driver({"add": plus})
    driver.answer_all()
    abort(execution, cause="stop", actor="ann")
    advance(execution.pk)
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.ABORTED
    assert not TaskExecution.objects.filter(execution_id=execution.pk, handled=False).exists()

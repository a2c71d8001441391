from __future__ import annotations

import pytest
from django.utils import timezone

from scheduler.models import Execution, Workflow
from scheduler.phases import ExecutionPhase
from scheduler.sweep import sweep_all
from tests.scheduler.driving import Driver, error_of, outputs, start, workflow_of
from tests.scheduler.test_advance import diamond, plus

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


def test_it_leaves_ended_executions_alone() -> None:
    execution = start(workflow_of(diamond), {"a": 1, "b": 2})
    Driver({"add": plus}).run(execution)
    Execution.objects.filter(pk=execution.pk).update(dirty=True, wake_at=timezone.now())
    sweep_all()
    execution.refresh_from_db()
    assert (execution.dirty, execution.wake_at) == (False, None)

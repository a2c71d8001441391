from __future__ import annotations

import pytest
from flyteidl.admin import task_pb2
from flyteidl.core import workflow_pb2
from flytekit import Resources, conditional, eager, task, workflow
from flytekit.core.task import Echo

from scheduler.advance import advance
from scheduler.graphs import Target
from scheduler.models import TaskExecution
from scheduler.phases import ExecutionPhase
from scheduler.task_resources import EAGER_CPU, resources_of
from tests.flyte import specs_of
from tests.scheduler.driving import error_of, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

echo = Echo(name="echo", inputs={"radius": float})
pair = Echo(name="pair", inputs={"a": int, "b": int})


@task
def area(radius: float) -> float:
    return 3 * radius


@eager
async def waits(radius: float) -> float:
    return area(radius=radius)


@eager(requests=Resources(cpu="500m"))
async def waits_and_works(radius: float) -> float:
    return area(radius=radius)


@workflow
def echo_wf(radius: float) -> float:
    return conditional("kind").if_(radius < 1.0).then(area(radius=radius)).else_().then(echo(radius=radius))


@workflow
def pair_wf(a: int) -> None:
    pair(a=a, b=a)


@pytest.mark.parametrize(("entity", "cpu"), [(waits, EAGER_CPU), (waits_and_works, 0.5)])
def test_an_eager_workflow_that_only_waits_holds_no_core(entity: object, cpu: float) -> None:
    (template,) = (spec.template for _, spec in specs_of(entity) if isinstance(spec, task_pb2.TaskSpec))
    assert resources_of(Target(workflow_pb2.Node(), template)) == {"cpu": cpu}


def test_an_echo_says_which_output_its_input_becomes() -> None:
    execution = start(workflow_of(echo_wf), {"radius": 2.0})
    advance(execution.pk)
    command = TaskExecution.objects.get(execution_id=execution.pk).command
    assert command["echo"] == {"radius": "o0"} and command["args"] == []


def test_an_echo_of_two_inputs_is_refused() -> None:
    execution = start(workflow_of(pair_wf), {"a": 1})
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.FAILED
    assert "at most one" in error_of(execution).message

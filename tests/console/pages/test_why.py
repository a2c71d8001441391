"""Why something waits: on the list of executions, on its page, on that of its node, and in gRPC's answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from console.accounts.models import User
from console.rpc.convert.attempts import task_execution
from scheduler import doing
from scheduler.models import Execution, Project, Quota, Task, TaskExecution
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.quotas import lanes
from tests.console.pages.cast import World, make_execution
from tests.scheduler.attempts import make_attempt


@pytest.fixture
def waiting(world: World) -> TaskExecution:
    execution = make_execution("queued", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=1))
    node = execution.nodes.create(
        node_id="n0", spec_node_id="n0", kind="task", phase=NodePhase.QUEUED, created_at=execution.created_at,
        updated_at=execution.created_at,
    )  # fmt: skip
    now = execution.created_at
    Project.objects.get_or_create(identifier=execution.project)
    Quota.objects.create(
        scope="project", project=execution.project, resource="attempts", limit=0, created_by="root", created_at=now,
        updated_by="root", updated_at=now,
    )  # fmt: skip
    row = make_attempt(node, task=Task.objects.first())
    lanes.give([row.pk])
    row.refresh_from_db()
    return row


def test_pages_say_it(world: World, waiting: TaskExecution, browse: Callable[[User], Client]) -> None:
    client = browse(world.admin)
    execution = Execution.objects.get(pk=waiting.execution_id)
    said = f"asks for 1 attempts, 0 of 0 are in use (quota of project {execution.project})"
    listed = client.get("/executions/").content.decode()
    assert "Waiting" in listed and f"for a quota: {said}" in listed
    shown = client.get(f"/executions/{execution.key}/").content.decode()
    assert said in shown and "number 1 of 1 in line" in shown
    assert said in client.get(f"/executions/{execution.key}/nodes/n0/").content.decode()
    Quota.objects.all().delete()
    shown = client.get(f"/executions/{execution.key}/").content.decode()
    assert "cluster away" in shown and said not in shown


def test_flytekit_is_told(world: World, waiting: TaskExecution) -> None:
    found = doing.of_attempts([waiting])[waiting.pk].why
    assert found is not None
    told = task_execution(waiting, waiting.node, Execution.objects.get(pk=waiting.execution_id), found.words)
    assert told.closure.reason.startswith("quota: asks for 1 attempts") and "number 1 of 1" in told.closure.reason

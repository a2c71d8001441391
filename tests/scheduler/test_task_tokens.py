"""What a running task may do at the doors."""

from __future__ import annotations

import pytest
from flytekit import task, workflow

from artifacts.exceptions import PermissionDenied, Unauthenticated
from console.accounts import access
from console.accounts.access import Action
from console.rpc.caller import authenticate
from scheduler import task_tokens
from scheduler.advance import advance
from scheduler.models import Execution, TaskExecution
from scheduler.phases import AttemptPhase
from tests.scheduler.driving import start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def ask(a: int) -> int:
    return a


@workflow
def asking(a: int) -> int:
    return ask(a=a)


@pytest.fixture
def attempt() -> TaskExecution:
    execution = start(workflow_of(asking), {"a": 1})
    Execution.objects.filter(pk=execution.pk).update(principal="ann")
    advance(execution.pk)
    return TaskExecution.objects.get(execution_id=execution.pk)


def test_a_running_task_is_a_contributor_to_its_own_domain(attempt: TaskExecution) -> None:
    caller = authenticate([("authorization", f"Bearer {task_tokens.issue(attempt.pk)}")])
    assert caller.name == "ann"
    for action in (Action.READ, Action.LAUNCH, Action.REGISTER):
        caller.may(action, "demo", "development")
    for action, project, domain in (
        (Action.LAUNCH, "demo", "production"),
        (Action.READ, "other", "development"),
        (Action.DECIDE, "demo", "development"),
        (Action.READ, "", ""),
    ):
        with pytest.raises(PermissionDenied):
            caller.may(action, project, domain)
    filtered = Execution.objects.filter(access.readable(caller.user))
    assert filtered.count() == 1


def test_its_token_ends_with_the_attempt(attempt: TaskExecution) -> None:
    token = task_tokens.issue(attempt.pk)
    TaskExecution.objects.filter(pk=attempt.pk).update(phase=AttemptPhase.SUCCEEDED)
    with pytest.raises(Unauthenticated, match="has ended"):
        access.authenticate_token(token)


def test_nobody_makes_up_a_token(attempt: TaskExecution) -> None:
    token = task_tokens.issue(attempt.pk)
    with pytest.raises(Unauthenticated, match="not valid"):
        access.authenticate_token(token[:-1] + ("a" if token[-1] != "a" else "b"))

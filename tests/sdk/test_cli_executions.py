"""`causeway execution` against the real API."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from flyteidl.core import execution_pb2

from artifacts.models import Kind
from artifacts.store import store
from console.accounts.models import Role, RoleBinding, User
from scheduler.attempts import replicas
from scheduler.attempts.observations import Replica, Replicas
from scheduler.models import Execution, ExecutorInstance, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from scheduler.uris import log_of_replica
from tests.console.pages import program
from tests.console.pages.cast import make_attempt, make_execution, make_node, make_version, put_literals, text
from tests.flyte import register_module
from tests.sdk.conftest import Command

PLAN = "train_on_dataset"


@pytest.fixture
def waits(causeway: Command) -> Execution:
    register_module(program, project="demo", domain="development")
    now = timezone.now()
    ExecutorInstance.objects.create(name="here", executor="local", capacity={}, started_at=now, seen_at=now)
    execution = make_execution("awaits", PLAN, ExecutionPhase.RUNNING, age=timedelta(minutes=8), principal="abe")
    node = make_node(execution, "n0", NodePhase.QUEUED, started_at=None)
    make_attempt(node, AttemptPhase.QUEUED, reason="waiting for gpu 1")
    execution.inputs_uri = put_literals(execution, "inputs", region=text("SEA"))
    execution.save()
    return execution


@pytest.fixture
def failed(waits: Execution) -> Execution:
    error = execution_pb2.ExecutionError(code="USER:ValueError", message="depth must be positive")
    execution = make_execution(
        "afailed", PLAN, ExecutionPhase.FAILED, age=timedelta(minutes=5), error=error.SerializeToString()
    )
    for number, log in enumerate(("first\n", "second <x>\nthird\n")):
        node = make_node(execution, f"n{number}", NodePhase.FAILED)
        uri = store().join(store().root, "logs", f"{number}.log")
        store().put(uri, log.encode())
        make_attempt(node, AttemptPhase.FAILED, log_uri=uri)
    return execution


def test_it_lists_what_they_do_and_why_they_wait(causeway: Command, failed: Execution) -> None:
    listed = causeway("execution", "list")

    assert "waiting for gpu 1, next in line" in listed and "failed" in listed
    assert [each["name"] for each in json.loads(causeway("execution", "list", "--state", "waiting", "--json"))] == [
        "awaits"
    ]
    assert [each["name"] for each in json.loads(causeway("execution", "list", "--state", "FAILED", "--json"))] == [
        "afailed"
    ]
    assert "awaits" not in causeway("execution", "list", "--state", "running")
    assert "awaits" not in causeway("execution", "list", "--search", "phase:failed")
    assert "awaits" in causeway("execution", "list", "--by", "abe", "--plan", PLAN, "--limit", 1)


def test_it_shows_nodes_with_what_they_do_and_the_error(causeway: Command, failed: Execution) -> None:
    assert "depth must be positive" in causeway("execution", "show", "afailed")
    shown = causeway("execution", "show", "demo/development/awaits")
    assert "n0" in shown and shown.count("waiting for gpu 1") == 2 and "/executions/demo/development/awaits/" in shown
    whole = json.loads(causeway("execution", "show", "awaits", "--json"))
    assert whole["doing"]["state"] == "waiting" and whole["nodes"][0]["doing"]["reason"].startswith("for gpu 1")


def test_it_watches_until_the_end_and_says_so_by_its_exit_code(causeway: Command, failed: Execution) -> None:
    assert "depth must be positive" in causeway("execution", "watch", "afailed", exit_code=1)
    causeway("execution", "watch", "awaits", "--timeout", 0.5, exit_code=1)
    Execution.objects.filter(pk=failed.pk).update(phase=ExecutionPhase.SUCCEEDED, error=None)
    assert "succeeded" in causeway("execution", "watch", "afailed")


def test_it_prints_logs_of_all_nodes_or_of_one(causeway: Command, failed: Execution) -> None:
    assert causeway("execution", "logs", "afailed") == (
        "== n0, attempt 1 ==\nfirst\n\n== n1, attempt 1 ==\nsecond <x>\nthird\n"
    )
    assert causeway("execution", "logs", "afailed", "--node", "n1", "--tail", 1, "--follow") == "third\n"
    rows = json.loads(causeway("execution", "logs", "afailed", "--json"))
    assert [(row["node"], row["attempt"], row["text"]) for row in rows][0] == ("n0", 1, "first\n")
    assert "node n9" in causeway("execution", "logs", "afailed", "--node", "n9", exit_code=3)


def test_it_prints_the_log_of_a_replica(causeway: Command, failed: Execution) -> None:
    row = TaskExecution.objects.get(node__execution=failed, node__node_id="n1")
    uri = log_of_replica(row.log_uri, "worker-1")
    store().put(uri, b"of the worker\n")
    replicas.keep([Replicas(row.pk, row.created_at, (Replica("worker-1", "worker", 1, log_uri=uri),))])
    assert causeway("execution", "logs", "afailed", "--node", "n1", "--replica", "worker-1") == "of the worker\n"
    assert "no replica worker-2" in causeway(
        "execution", "logs", "afailed", "--node", "n1", "--replica", "worker-2", exit_code=3
    )


def test_it_aborts_with_a_cause_and_repeats(causeway: Command, failed: Execution, waits: Execution) -> None:
    causeway("execution", "abort", "awaits", "--cause", "wrong data")
    waits.refresh_from_db()
    assert (waits.abort_cause, waits.aborted_by) == ("wrong data", "abe")
    causeway("execution", "abort", "afailed", exit_code=1)

    make_version("ml-dataset", Kind.DATASET)
    Execution.objects.filter(pk=failed.pk).update(inputs_uri=waits.inputs_uri)
    said = causeway("execution", "recover", "afailed")
    again = Execution.objects.get(reference=failed)
    assert again.name in said and f"/executions/demo/development/{again.name}/" in said


def test_a_viewer_may_not_abort(causeway: Command, waits: Execution) -> None:
    RoleBinding.objects.filter(user=User.objects.get(username="abe")).update(role=Role.VIEWER)

    assert "may not launch" in causeway("execution", "abort", "awaits", exit_code=4)
    assert "awaits" in causeway("execution", "list")


def test_a_launch_says_what_it_does_and_where_to_look(causeway: Command, waits: Execution) -> None:
    said = causeway("launch", "tests.console.pages.program.making", exit_code=3)

    assert "did you mean" in said and "tests.console.pages.program.make" in said

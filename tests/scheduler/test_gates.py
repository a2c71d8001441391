from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from flyteidl.core import literals_pb2, types_pb2
from flytekit import WorkflowFailurePolicy, approve, conditional, dynamic, sleep, task, wait_for_input, workflow

from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.literals import from_json
from scheduler.actions.executions import abort
from scheduler.actions.gates import decide, declared_gate, get_or_create_signal, set_signal, takes_approval
from scheduler.advance import advance
from scheduler.models import Execution, Gate, NodeExecution
from scheduler.phases import ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, error_of, futures, outputs, phases, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
HOUR = timedelta(hours=1)
INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)
TEXT = types_pb2.LiteralType(simple=types_pb2.STRING)
BOOLEAN = types_pb2.LiteralType(simple=types_pb2.BOOLEAN)


@task
def double(a: int) -> int:
    return 2 * a


@workflow
def approved(a: int) -> int:
    checked = approve(double(a=a), "is-it-good", timeout=HOUR)
    return double(a=checked)


@workflow
def asking(a: int) -> int:
    extra = wait_for_input("how-many", timeout=HOUR, expected_type=int)
    return double(a=extra)


@workflow
def sleeping(a: int) -> int:
    first = double(a=a)
    rest = sleep(timedelta(minutes=5))
    last = double(a=first)
    first >> rest
    rest >> last
    return last


@workflow
def branching(a: int) -> int:
    return conditional("size").if_(a > 2).then(asking(a=a)).else_().then(double(a=a))


@dynamic
def spread(a: int) -> int:
    return asking(a=a)


@workflow
def spreading(a: int) -> int:
    return spread(a=double(a=a))


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def asking_long_and_short(a: int) -> int:
    one = wait_for_input("how-many", timeout=HOUR, expected_type=int)
    double(a=one)
    other = wait_for_input("how-many", timeout=timedelta(minutes=1), expected_type=int)
    return double(a=other)


@workflow
def asking_twice(a: int) -> int:
    one = wait_for_input("how-many", timeout=HOUR, expected_type=int)
    other = wait_for_input("how-many", timeout=HOUR, expected_type=int)
    double(a=one)
    return double(a=other)


def whole(value: int) -> literals_pb2.Literal:
    return from_json(value, types_pb2.LiteralType(simple=types_pb2.INTEGER), name="value")


def waiting(execution: Execution) -> Gate:
    return Gate.objects.get(execution=execution, decided_at=None, waiting_since__isnull=False)


def run(execution: Execution) -> Execution:
    return Driver({"double": lambda a: 2 * a, "spread": lambda a: futures(spread, a=a)}).run(execution)


def later(span: timedelta) -> AbstractContextManager[object]:
    moment = timezone.now() + span
    return patch("django.utils.timezone.now", lambda: moment)


def test_it_waits_for_approval_and_hands_the_value_on() -> None:
    execution = run(start(workflow_of(approved), {"a": 3}))
    assert execution.phase == ExecutionPhase.RUNNING
    gate = waiting(execution)
    assert gate.expires_at is not None and gate.node is not None and gate.node.node_id == "n1"
    decide(gate, approve=True, actor="ann", comment="fine")
    assert outputs(run(execution)) == {"o0": 12}
    gate.refresh_from_db()
    assert (gate.decided_by, gate.comment) == ("ann", "fine")


def test_it_fails_when_rejected() -> None:
    execution = run(start(workflow_of(approved), {"a": 3}))
    decide(waiting(execution), approve=False, actor="ann")
    run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert error_of(execution).code == "ReceivedRejectSignal"


def test_it_refuses_a_second_decision() -> None:
    execution = run(start(workflow_of(approved), {"a": 3}))
    gate = waiting(execution)
    decide(gate, approve=True, actor="ann")
    with pytest.raises(FailedPrecondition, match="decided by ann"):
        decide(gate, approve=False, actor="bob")


def test_it_takes_the_value_of_a_signal() -> None:
    execution = run(start(workflow_of(asking), {"a": 3}))
    set_signal(execution, "how-many", whole(21), actor="ann")
    assert outputs(run(execution)) == {"o0": 42}


def test_it_takes_a_signal_before_the_node_is_reached() -> None:
    execution = start(workflow_of(asking), {"a": 3})
    set_signal(execution, "how-many", whole(21), actor="ann")
    assert outputs(run(execution)) == {"o0": 42}


@pytest.mark.parametrize("early", [True, False])
def test_it_knows_the_signals_inside_branches_and_sub_workflows(early: bool) -> None:
    execution = start(workflow_of(branching), {"a": 3})
    if not early:
        run(execution)
    set_signal(execution, "how-many", whole(21), actor="ann")
    assert outputs(run(execution)) == {"o0": 42}


def test_it_knows_the_signals_of_what_a_dynamic_task_returned() -> None:
    execution = start(workflow_of(spreading), {"a": 3})
    with pytest.raises(InvalidArgument, match="how-many"):
        set_signal(execution, "how-many", whole(21), actor="ann")
    driver = Driver({"double": lambda a: 2 * a, "spread": lambda a: futures(spread, a=a)})
    for _ in range(2):
        advance(execution.pk)
        driver.answer_all()
    driver.run(execution)
    set_signal(execution, "how-many", whole(21), actor="ann")
    assert outputs(run(execution)) == {"o0": 42}


def test_a_client_declares_the_signal_of_a_dynamic_task_that_did_not_run() -> None:
    execution = start(workflow_of(spreading), {"a": 3})
    assert get_or_create_signal(execution, "how-many", INTEGER).node is None
    assert get_or_create_signal(execution, "how-many", TEXT).literal_type == INTEGER.SerializeToString()
    set_signal(execution, "how-many", whole(21), actor="ann")
    assert outputs(run(execution)) == {"o0": 42}


def test_a_signal_declared_with_another_type_fails_its_node() -> None:
    execution = start(workflow_of(spreading), {"a": 3})
    get_or_create_signal(execution, "how-many", TEXT)
    set_signal(execution, "how-many", from_json("many", TEXT, name="value"), actor="ann")
    run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert error_of(execution).code == "BadSignalValue" and "expects int, got str" in error_of(execution).message


def test_what_may_turn_out_to_be_an_approval_takes_an_approver() -> None:
    execution = start(workflow_of(spreading), {"a": 3})
    assert takes_approval(get_or_create_signal(execution, "perhaps", BOOLEAN))
    assert not takes_approval(get_or_create_signal(execution, "number", INTEGER))
    assert takes_approval(declared_gate(start(workflow_of(approved), {"a": 3}), "is-it-good"))
    assert not takes_approval(declared_gate(start(workflow_of(asking), {"a": 3}), "how-many"))


def test_two_nodes_wait_for_one_signal() -> None:
    execution = run(start(workflow_of(asking_twice), {"a": 3}))
    assert execution.phase == ExecutionPhase.RUNNING
    set_signal(execution, "how-many", whole(4), actor="ann")
    assert outputs(run(execution)) == {"o0": 8}


def test_a_signal_is_open_while_one_of_its_nodes_still_waits() -> None:
    execution = start(workflow_of(asking_long_and_short), {"a": 1})
    advance(execution.pk)
    gate = Gate.objects.get(execution=execution)
    with later(timedelta(minutes=2)):
        advance(execution.pk)
        assert phases(execution)["n2"] == NodePhase.FAILED
        gate.refresh_from_db()
        waiting = NodeExecution.objects.get(execution=execution, node_id="n0")
        assert (gate.node, gate.expires_at) == (waiting, waiting.wake_at)
        assert gate.waiting_since is not None
        set_signal(execution, "how-many", whole(5), actor="ann")
        run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert phases(execution)["n1"] == NodePhase.SUCCEEDED


def test_it_refuses_a_value_of_another_type() -> None:
    execution = run(start(workflow_of(asking), {"a": 3}))
    text = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x")))
    with pytest.raises(InvalidArgument, match="how-many"):
        set_signal(execution, "how-many", text, actor="ann")
    assert not Gate.objects.filter(execution=execution, decided_at__isnull=False).exists()


def test_it_names_the_signals_there_are() -> None:
    execution = start(workflow_of(asking), {"a": 3})
    with pytest.raises(InvalidArgument, match="how-many"):
        set_signal(execution, "how-much", whole(1), actor="ann")


def test_it_times_out_and_refuses_late_decisions() -> None:
    execution = run(start(workflow_of(approved), {"a": 3}))
    gate = waiting(execution)
    with later(2 * HOUR):
        with pytest.raises(FailedPrecondition, match="timed out"):
            decide(gate, approve=True, actor="ann")
        run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert error_of(execution).code == "TimeoutExpired"
    with pytest.raises(FailedPrecondition):
        decide(gate, approve=True, actor="ann")


def test_it_sleeps() -> None:
    execution = run(start(workflow_of(sleeping), {"a": 1}))
    assert execution.phase == ExecutionPhase.RUNNING and execution.wake_at is not None
    with later(timedelta(minutes=6)):
        assert outputs(run(execution)) == {"o0": 4}


def test_it_aborts_what_waits() -> None:
    execution = run(start(workflow_of(approved), {"a": 3}))
    abort(execution, cause="not needed", actor="ann")
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase == ExecutionPhase.ABORTED
    assert (execution.abort_cause, execution.aborted_by) == ("not needed", "ann")
    assert phases(execution)["n1"] == NodePhase.ABORTED
    assert not NodeExecution.objects.filter(execution=execution, phase=NodePhase.RUNNING).exists()
    with pytest.raises(FailedPrecondition):
        abort(execution, cause="again", actor="ann")

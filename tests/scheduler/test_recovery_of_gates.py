"""A decision counts again only for what it was about: gates of recovered executions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.utils import timezone
from flytekit import approve, dynamic, sleep, task, wait_for_input, workflow

from artifacts.literals import from_json
from scheduler.actions.gates import decide, set_signal
from scheduler.models import Decision, Execution, Gate, NodeExecution
from scheduler.phases import ExecutionPhase, NodePhase
from tests.scheduler.driving import Driver, TaskFailed, futures, outputs, phases, start, workflow_of
from tests.scheduler.test_gates import INTEGER
from tests.scheduler.test_reuse import recovering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
HOUR = timedelta(hours=1)
ORDER: list[tuple[str, int]] = []  # (signal, value) of the gates, as the dynamic task names them this time


@task
def double(a: int) -> int:
    return 2 * a


@task
def last(values: list[int]) -> int:
    return sum(values)


@dynamic
def each_approved(n: int) -> int:
    return last(values=[approve(double(a=value), signal, timeout=HOUR) for signal, value in ORDER])


@dynamic
def each_asked(n: int) -> int:
    values = []
    for signal, value in ORDER:
        shown = double(a=value)
        answer = wait_for_input(signal, timeout=HOUR, expected_type=int)
        shown >> answer
        values.append(answer)
    return last(values=values)


@dynamic
def each_after_a_rest(n: int) -> int:
    values = []
    for _, value in ORDER:
        shown, then = double(a=value), double(a=value + 100)
        rest = sleep(timedelta(minutes=5))
        shown >> rest
        rest >> then
        values.append(then)
    return last(values=values)


@workflow
def approving(n: int) -> int:
    return each_approved(n=n)


@workflow
def asking(n: int) -> int:
    return each_asked(n=n)


@workflow
def resting(n: int) -> int:
    return each_after_a_rest(n=n)


def driver(*, fails: bool) -> Driver:
    def answer(values: list[int]) -> int:
        if fails:
            raise TaskFailed
        return sum(values)

    dynamics = (each_approved, each_asked, each_after_a_rest)
    answers = {each.name.rpartition(".")[2]: (lambda n, each=each: futures(each, n=n)) for each in dynamics}
    return Driver({"double": lambda a: 2 * a, "last": answer, **answers})


def waiting(execution: Execution) -> list[str]:
    gates = Gate.objects.filter(execution=execution, decided_at=None, waiting_since__isnull=False)
    return sorted(gates.values_list("signal_id", flat=True))


def approved_then_failed(order: Sequence[tuple[str, int]]) -> Execution:
    ORDER[:] = order
    execution = start(workflow_of(approving), {"n": 1})
    driver(fails=True).run(execution)
    for gate in Gate.objects.filter(execution=execution):
        decide(gate, approve=True, actor="ann")
    driver(fails=True).run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    return execution


def recover(failed: Execution, order: Sequence[tuple[str, int]]) -> Execution:
    ORDER[:] = order
    return driver(fails=False).run(recovering(failed, {"n": 1}))


def test_an_approval_follows_what_was_approved() -> None:
    failed = approved_then_failed([("small", 1), ("large", 9)])
    recovered = recover(failed, [("large", 9), ("small", 1)])
    assert recovered.phase == ExecutionPhase.SUCCEEDED and outputs(recovered) == {"o0": 20}
    gates = NodeExecution.objects.filter(execution=recovered, kind="gate")
    assert set(gates.values_list("phase", flat=True)) == {NodePhase.RECOVERED}


def test_an_approval_that_was_voided_is_asked_for_again() -> None:
    order = [("small", 1), ("large", 9)]
    failed = approved_then_failed(order)
    Decision.objects.filter(gate__signal_id="large").update(voided_at=timezone.now(), void_reason="the deck changed")
    recovered = recover(failed, order)
    assert recovered.phase == ExecutionPhase.RUNNING and waiting(recovered) == ["large"]


@pytest.mark.parametrize(
    ("order", "asked"),
    [
        ([("new", 5), ("small", 1), ("large", 9)], ["new"]),  # takes the place of another
        ([("small", 9), ("large", 1)], ["large", "small"]),  # the same names for other values
        ([("small", 1), ("large", 8)], ["large"]),
        ([("other", 1), ("large", 9)], ["other"]),  # the same value asked for by another name
    ],
)
def test_an_approval_passes_no_other_gate(order: list[tuple[str, int]], asked: list[str]) -> None:
    recovered = recover(approved_then_failed([("small", 1), ("large", 9)]), order)
    assert recovered.phase == ExecutionPhase.RUNNING and waiting(recovered) == asked


@pytest.mark.parametrize(
    ("order", "asked"),
    [
        ([("a", 1), ("b", 2)], []),
        ([("b", 2), ("a", 1)], []),
        ([("a", 2), ("b", 1)], ["a", "b"]),  # people saw something else before they answered
        ([("c", 3), ("a", 1), ("b", 2)], ["c"]),
    ],
)
def test_an_answer_counts_for_the_same_question_after_the_same_steps(
    order: list[tuple[str, int]], asked: list[str]
) -> None:
    ORDER[:] = [("a", 1), ("b", 2)]
    failed = start(workflow_of(asking), {"n": 1})
    driver(fails=True).run(failed)
    for signal, value in (("a", 10), ("b", 20)):
        set_signal(failed, signal, from_json(value, INTEGER, name="value"), actor="ann")
    driver(fails=True).run(failed)
    assert failed.phase == ExecutionPhase.FAILED
    recovered = recover(failed, order)
    assert waiting(recovered) == asked
    if not asked:
        assert outputs(recovered) == {"o0": 30}


def later(span: timedelta) -> AbstractContextManager[object]:
    moment = timezone.now() + span
    return patch("django.utils.timezone.now", lambda: moment)


def test_time_that_passed_for_one_step_has_not_passed_for_another() -> None:
    ORDER[:] = [("", 1), ("", 2)]
    failed = start(workflow_of(resting), {"n": 1})
    driver(fails=True).run(failed)
    with later(HOUR):
        driver(fails=True).run(failed)
    assert failed.phase == ExecutionPhase.FAILED
    recovered = recover(failed, [("", 3), ("", 2)])
    assert recovered.phase == ExecutionPhase.RUNNING
    found = phases(recovered)
    gates = NodeExecution.objects.filter(execution=recovered, kind="gate").order_by("pk")
    assert sorted(found[gate.node_id] for gate in gates) == [NodePhase.RUNNING, NodePhase.RECOVERED]

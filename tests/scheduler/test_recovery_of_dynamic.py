"""A dynamic workflow that comes out differently when its execution is recovered, in every way that chance thinks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from flytekit import LaunchPlan, dynamic, map_task, task, workflow
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scheduler.advance import advance
from scheduler.models import Execution, NodeExecution
from scheduler.phases import ExecutionPhase, NodePhase
from scheduler.sweep import sweep_all
from tests.flyte import register_all
from tests.scheduler.driving import Answer, Driver, TaskFailed, error_of, futures, outputs, start, workflow_of
from tests.scheduler.test_reuse import later, recovering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

Step = tuple[str, Any]
SCRIPTS: dict[str, Sequence[Step]] = {}  # what the dynamic task of that name comes to


@task
def plus(n: int) -> int:
    return n + 1


@task
def minus(n: int) -> int:
    return n - 1


@task
def tenfold(n: int) -> int:
    return n * 10


@task
def total(ns: list[int]) -> int:
    return sum(ns)


@task
def late(after: list[int]) -> int:
    return 0


@workflow
def twice_up(n: int) -> int:
    return plus(n=plus(n=n))


@workflow
def down_elsewhere(n: int) -> int:
    return minus(n=n)


plan = LaunchPlan.get_or_create(down_elsewhere, "recovery_down")


@dynamic
def inner(name: str) -> list[int]:
    return made(SCRIPTS[name])


@dynamic
def outer(name: str) -> list[int]:
    values = made(SCRIPTS[name])
    return [*values, late(after=values)]


def made(steps: Sequence[Step]) -> list[Any]:
    """The nodes of a script, as a dynamic task names them."""
    makers: dict[str, Answer] = {
        "plus": lambda n: plus(n=n),
        "minus": lambda n: minus(n=n),
        "sub": lambda n: twice_up(n=n),
        "plan": lambda n: plan(n=n),
        "map": lambda ns: total(ns=map_task(tenfold)(n=ns)),
        "plans": lambda ns: total(ns=map_task(plan)(n=ns)),
        "inner": lambda name: total(ns=inner(name=name)),
    }
    return [makers[kind](given) for kind, given in steps]


@workflow
def static(n: int, ns: list[int]) -> int:
    return late(after=[down_elsewhere(n=plus(n=n)), total(ns=map_task(tenfold)(n=ns))])


@workflow
def program(name: str) -> list[int]:
    return outer(name=name)


def expected(steps: Sequence[Step]) -> list[int]:
    """The model: what a fresh run comes to."""
    values: dict[str, Answer] = {
        "plus": lambda n: n + 1,
        "minus": lambda n: n - 1,
        "sub": lambda n: n + 2,
        "plan": lambda n: n - 1,
        "map": lambda ns: sum(10 * n for n in ns),
        "plans": lambda ns: sum(n - 1 for n in ns),
        "inner": lambda name: sum(expected(SCRIPTS[name])),
    }
    return [values[kind](given) for kind, given in steps]


class Machine:
    """Runs everything there is; remembers which task computed what. `refuses`: (task, input) that fails."""

    def __init__(self, refuses: frozenset[tuple[str, int]] = frozenset(), *, late_fails: bool = False) -> None:
        self.did: Counter[tuple[str, int]] = Counter()
        self.refuses, self.late_fails = refuses, late_fails
        self.driver = Driver(
            {
                "plus": lambda n: self.compute("plus", n, n + 1),
                "minus": lambda n: self.compute("minus", n, n - 1),
                "tenfold": lambda n: self.compute("tenfold", n, n * 10),
                "total": lambda ns: sum(ns),
                "late": self.late,
                "inner": lambda name: futures(inner, name=name),
                "outer": lambda name: futures(outer, name=name),
            }
        )

    def compute(self, name: str, given: int, value: int) -> int:
        if (name, given) in self.refuses:
            raise TaskFailed(f"{name}({given})")
        self.did[name, given] += 1
        return value

    def late(self, after: list[int]) -> int:
        if self.late_fails:
            raise TaskFailed("the first time")
        return 0

    def run(self, execution: Execution) -> Execution:
        for _ in range(40):
            for pk in Execution.objects.filter(ended_at=None).order_by("pk").values_list("pk", flat=True):
                advance(pk)
            sweep_all()
            execution.refresh_from_db()
            if not self.driver.answer_all() and not Execution.objects.filter(ended_at=None).exists():
                break
        return execution


numbers = st.integers(0, 3)
leaves = st.one_of(
    st.tuples(st.sampled_from(["plus", "minus", "sub", "plan"]), numbers),
    st.tuples(st.sampled_from(["map", "plans"]), st.lists(numbers, min_size=1, max_size=4)),
)
steps = st.one_of(leaves, st.tuples(st.just("inner"), st.sampled_from(["inner-1", "inner-2"])))
flat = st.tuples(st.sampled_from(["plus", "minus"]), numbers)
refusals = st.frozensets(st.tuples(st.sampled_from(["plus", "minus", "tenfold"]), numbers), max_size=3)


@st.composite
def changed(draw: st.DrawFn, script: Sequence[Step], more: st.SearchStrategy[Step]) -> list[Step]:
    """The same script in another order, with some left out and some more."""
    left = [step for step in script if draw(st.integers(0, 4))]
    added = draw(st.lists(more, min_size=0 if left else 1, max_size=2))
    return list(draw(st.permutations([*left, *added])))


@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # shrinking takes longer than thinking about what was found
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_recovered_execution_comes_to_what_a_fresh_one_would(data: st.DataObject) -> None:
    register_all(plan)
    script = data.draw(st.lists(steps, min_size=1, max_size=5))
    some = st.lists(flat, min_size=1, max_size=4)
    SCRIPTS.update({"outer": script, "inner-1": data.draw(some), "inner-2": data.draw(some)})
    row = workflow_of(program, plans=[plan])
    first = Machine(data.draw(refusals), late_fails=True)
    failed = first.run(start(row, {"name": "outer"}))
    assert failed.phase == ExecutionPhase.FAILED

    before = {name: sum(expected(SCRIPTS[name])) for name in ("inner-1", "inner-2")}
    SCRIPTS["outer"] = data.draw(changed(script, steps))
    for name in ("inner-1", "inner-2"):
        SCRIPTS[name] = data.draw(changed(SCRIPTS[name], flat))
    second = Machine()
    recovered = second.run(recovering(failed, {"name": "outer"}))
    assert recovered.phase == ExecutionPhase.SUCCEEDED, error_of(recovered).message
    *values, last = outputs(recovered)["o0"]
    fresh_values = expected(SCRIPTS["outer"])
    assert (len(values), last) == (len(fresh_values), 0)
    for (kind, given_), value, fresh_value in zip(SCRIPTS["outer"], values, fresh_values, strict=True):
        # A dynamic task that had succeeded as a whole is a result like any other.
        assert value == fresh_value or (kind == "inner" and value == before[given_])
    fresh = Machine()
    fresh.run(start(row, {"name": "outer"}))
    assert second.did <= fresh.did


@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_nothing_is_handed_over_twice(data: st.DataObject) -> None:
    """What a fresh run computes n times was computed n times by both together."""
    register_all(plan)
    script = data.draw(st.lists(steps, min_size=1, max_size=5))
    some = st.lists(leaves, min_size=1, max_size=3)
    SCRIPTS.update({"outer": script, "inner-1": data.draw(some), "inner-2": data.draw(some)})
    row = workflow_of(program, plans=[plan])
    first = Machine(data.draw(refusals), late_fails=True)
    failed = first.run(start(row, {"name": "outer"}))
    SCRIPTS["outer"] = data.draw(changed(script, steps))
    second = Machine()
    recovered = second.run(recovering(failed, {"name": "outer"}))
    assert outputs(recovered) == {"o0": [*expected(SCRIPTS["outer"]), 0]}
    fresh = Machine()
    fresh.run(start(row, {"name": "outer"}))
    assert second.did <= fresh.did <= first.did + second.did


def recover_with(
    before: list[Step], after: list[Step], *, refuses: frozenset[tuple[str, int]] = frozenset()
) -> Machine:
    """What is computed when a workflow that came to `before` and failed comes to `after`."""
    register_all(plan)
    SCRIPTS["outer"] = before
    row = workflow_of(program, plans=[plan])
    failed = Machine(refuses, late_fails=True).run(start(row, {"name": "outer"}))
    assert failed.phase == ExecutionPhase.FAILED
    SCRIPTS["outer"] = after
    again = Machine()
    recovered = again.run(recovering(failed, {"name": "outer"}))
    assert outputs(recovered) == {"o0": [*expected(after), 0]}
    return again


def test_another_order_is_not_computed_again() -> None:
    before: list[Step] = [("plus", 1), ("plan", 2), ("map", [1, 2]), ("sub", 3), ("inner", "inner-1")]
    SCRIPTS["inner-1"] = [("minus", 8), ("minus", 9)]
    assert not recover_with(before, before[::-1]).did


def test_one_step_more_is_all_that_is_computed() -> None:
    assert recover_with([("plus", 1), ("plus", 2)], [("plus", 7), ("plus", 1), ("plus", 2)]).did == {("plus", 7): 1}


def test_items_of_a_map_are_known_by_what_they_take_in() -> None:
    again = recover_with([("map", [1, 2, 3])], [("map", [3, 4, 2, 1])])
    assert again.did == {("tenfold", 4): 1}
    again = recover_with([("map", [1, 2, 3])], [("map", [3, 1, 2])], refuses=frozenset({("tenfold", 2)}))
    assert again.did == {("tenfold", 2): 1}


def test_what_was_computed_once_is_handed_over_once() -> None:
    """Two nodes that compute the same may want two results: of a sampling task, say."""
    assert recover_with([("plus", 1)], [("plus", 1)] * 3).did == {("plus", 1): 2}
    assert recover_with([("map", [5, 5])], [("map", [5, 5, 5]), ("map", [5])]).did == {("tenfold", 5): 2}
    assert recover_with([("map", [6, 6])], [("map", [6, 6, 6]), ("map", [6, 6])]).did == {("tenfold", 6): 3}


def test_a_part_goes_nowhere_else_once_the_whole_was_handed_over() -> None:
    assert recover_with([("sub", 3)], [("sub", 3), ("sub", 3), ("plus", 3)]).did == {("plus", 3): 2, ("plus", 4): 1}
    again = recover_with([("sub", 3), ("plus", 3)], [("plus", 3), ("sub", 3), ("plus", 4)])
    assert again.did == {("plus", 4): 1}
    assert recover_with([("plan", 2)], [("plan", 2), ("plan", 2)]).did == {("minus", 2): 1}


LATER: list[tuple[list[Step], list[Step], list[Step], dict[tuple[str, int], int]]] = [
    # what it came to at first and then, what a dynamic task comes to that is only run then, and what that computes
    ([("sub", 3)], [("sub", 3)], [("plus", 3), ("plus", 4)], {("plus", 3): 1, ("plus", 4): 1}),
    ([("sub", 3)], [("plus", 3)], [("sub", 3)], {("plus", 3): 1}),
    ([("plan", 2)], [("plan", 2)], [("plan", 2)], {("minus", 2): 1}),
    ([("map", [6, 7])], [("map", [6])], [("map", [6, 7])], {("tenfold", 6): 1}),
    ([("map", [6, 7])], [("map", [6, 7])], [("map", [7])], {("tenfold", 7): 1}),
    ([("plans", [6, 7])], [("plan", 6)], [("plans", [6, 7])], {("minus", 6): 1}),
    ([("inner", "inner-2")], [("inner", "inner-2")], [("map", [5]), ("plus", 5)], {("tenfold", 5): 1, ("plus", 5): 1}),
    ([("inner", "inner-2")], [("map", [5]), ("plus", 5)], [("inner", "inner-2")], {("tenfold", 5): 1, ("plus", 5): 1}),
]


@pytest.mark.parametrize(("before", "after", "later_on", "computed"), LATER, ids=str)
def test_wholes_and_parts_are_known_in_later_turns_too(
    before: list[Step], after: list[Step], later_on: list[Step], computed: dict[tuple[str, int], int]
) -> None:
    SCRIPTS.update({"inner-1": later_on, "inner-2": [("plus", 5), ("map", [5, 6])]})
    assert recover_with(before, [*after, ("inner", "inner-1")]).did == computed


def test_a_second_recovery_hands_over_once_what_the_first_had_taken_over() -> None:
    """The first took a part, and made a new whole of it."""
    register_all(plan)
    SCRIPTS["outer"] = [("sub", 3), ("plan", 2)]
    row = workflow_of(program, plans=[plan])
    failed = Machine(frozenset({("plus", 4), ("minus", 2)})).run(start(row, {"name": "outer"}))
    assert failed.phase == ExecutionPhase.FAILED
    second = Machine(late_fails=True)
    broken = second.run(recovering(failed, {"name": "outer"}))
    assert broken.phase == ExecutionPhase.FAILED
    assert second.did == {("plus", 4): 1, ("minus", 2): 1}
    SCRIPTS["outer"] = [("sub", 3), ("plus", 3), ("plan", 2), ("plan", 2)]
    third = Machine()
    assert outputs(third.run(recovering(broken, {"name": "outer"}))) == {"o0": [5, 4, 1, 1, 0]}
    assert third.did == {("plus", 3): 1, ("minus", 2): 1}


@workflow
def static_whole(name: str) -> list[int]:
    up, child = twice_up(n=3), plan(n=2)
    made_of = outer(name=name)
    up >> made_of
    child >> made_of
    return made_of


def test_what_stands_at_its_own_place_goes_nowhere_else() -> None:
    register_all(plan)
    SCRIPTS["outer"] = [("plus", 8)]
    failed = Machine(late_fails=True).run(start(workflow_of(static_whole, plans=[plan]), {"name": "outer"}))
    assert failed.phase == ExecutionPhase.FAILED
    SCRIPTS["outer"] = [("plus", 8), ("plus", 3), ("plan", 2)]
    again = Machine()
    assert outputs(again.run(recovering(failed, {"name": "outer"}))) == {"o0": [9, 4, 1, 0]}
    assert again.did == {("plus", 3): 1, ("minus", 2): 1}


def test_children_are_handed_over_by_their_inputs() -> None:
    before: list[Step] = [("plan", 1), ("plan", 2), ("plans", [3, 4])]
    again = recover_with(before, [("plans", [4, 5, 3]), ("plan", 2), ("plan", 9)], refuses=frozenset({("minus", 4)}))
    assert again.did == {("minus", 4): 1, ("minus", 5): 1, ("minus", 9): 1}


def test_a_second_recovery_takes_over_what_the_first_had_no_time_for() -> None:
    register_all(plan)
    SCRIPTS["outer"] = [("plus", 1), ("plus", 2)]
    row = workflow_of(program, plans=[plan])
    failed = Machine(late_fails=True).run(start(row, {"name": "outer"}))
    worse = Machine()
    broken = recovering(failed, {"name": "outer"})

    def fail(name: str) -> int:
        raise TaskFailed

    worse.driver.answers = {**worse.driver.answers, "outer": fail}
    assert worse.run(broken).phase == ExecutionPhase.FAILED
    SCRIPTS["outer"] = [("plus", 2), ("plus", 1)]
    again = Machine()
    recovered = again.run(recovering(broken, {"name": "outer"}))
    assert outputs(recovered) == {"o0": [3, 2, 0]}
    assert not again.did
    found = NodeExecution.objects.filter(execution=recovered, phase=NodePhase.RECOVERED)
    assert set(found.values_list("spec_node_id", flat=True)) == {"dn0", "dn1"}


def test_nodes_below_a_repeated_task_are_found_below_one_that_was_not() -> None:
    """The number of the task's attempt is a part of their ids."""
    register_all(plan)
    SCRIPTS["outer"] = [("plus", 1), ("map", [2, 3])]
    row = workflow_of(program, plans=[plan])
    execution = start(row, {"name": "outer"})
    first = Machine(late_fails=True)
    tries: list[str] = []

    def at_the_second_attempt(name: str) -> Any:
        tries.append(name)
        if len(tries) == 1:
            raise TaskFailed("lost", system=True, retryable=True)
        return futures(outer, name=name)

    first.driver.answers = {**first.driver.answers, "outer": at_the_second_attempt}
    first.run(execution)
    with later(3600):  # the back-off is over
        first.run(execution)
    assert execution.phase == ExecutionPhase.FAILED
    assert NodeExecution.objects.filter(execution=execution, node_id="n0-1-dn0").exists()
    again = Machine()
    recovered = again.run(recovering(execution, {"name": "outer"}))
    assert outputs(recovered) == {"o0": [2, 50, 0]} and not again.did


def test_other_inputs_make_other_results() -> None:
    """What is recovered may be given something else, where a step before it was computed again."""
    row = workflow_of(static)
    failed = Machine(late_fails=True).run(start(row, {"n": 1, "ns": [1, 2]}))
    assert failed.phase == ExecutionPhase.FAILED
    again = Machine()
    recovered = again.run(recovering(failed, {"n": 1, "ns": [2, 5]}))
    assert outputs(recovered) == {"o0": 0} and again.did == {("tenfold", 5): 1}
    again = Machine()
    recovered = again.run(recovering(failed, {"n": 2, "ns": [1, 2]}))
    assert again.did == {("plus", 2): 1, ("minus", 3): 1}


def test_what_ran_before_there_were_fingerprints_is_recovered_where_nodes_cannot_move() -> None:
    row = workflow_of(static)
    failed = Machine(late_fails=True).run(start(row, {"n": 1, "ns": [1, 2]}))
    NodeExecution.objects.filter(execution=failed).update(fingerprint="")
    again = Machine()
    again.run(recovering(failed, {"n": 1, "ns": [1, 2]}))
    assert not again.did
    again = Machine()
    again.run(recovering(failed, {"n": 5, "ns": [1, 2]}))
    assert again.did == {("plus", 5): 1, ("minus", 6): 1}

    SCRIPTS["outer"] = [("plus", 1), ("plus", 2)]
    row = workflow_of(program, plans=[plan])
    failed = Machine(late_fails=True).run(start(row, {"name": "outer"}))
    NodeExecution.objects.filter(execution=failed).update(fingerprint="")
    again = Machine()
    again.run(recovering(failed, {"name": "outer"}))
    assert again.did == {("plus", 1): 1, ("plus", 2): 1}

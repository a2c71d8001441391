"""The timeline of an execution."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from console.accounts.models import User
from console.pages.badges import Badge
from console.pages.executions_context import STEADY, NodeRow, steady_end
from console.pages.timeline import UNITS, Line, critical_path
from scheduler.models import Execution, NodeExecution, NodeKind
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import World, make_attempt, make_execution, make_node

Browse = Callable[[User], Client]
SECOND = timedelta(seconds=1)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def lines_of(client: Client, execution: Execution) -> dict[str, Line]:
    answer = client.get(f"/executions/demo/development/{execution.name}/timeline/")
    assert answer.status_code == 200
    return {line.row.node.node_id: line for line in answer.context["lines"]}


def test_waiting_running_and_every_try_lie_on_one_axis(world: World, browse: Browse) -> None:
    run = make_execution("along", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(hours=1))
    start = run.created_at
    Execution.objects.filter(pk=run.pk).update(ended_at=start + 100 * SECOND)
    node = make_node(run, "n0", NodePhase.SUCCEEDED, created_at=start)
    times = ((0, 10, 30, AttemptPhase.RETRYABLE_FAILED), (40, 50, 100, AttemptPhase.SUCCEEDED))
    for number, (created, began, ended, phase) in enumerate(times):
        make_attempt(
            node,
            phase,
            attempt=number,
            created_at=start + created * SECOND,
            started_at=start + began * SECOND,
            ended_at=start + ended * SECOND,
        )
    make_node(run, "n1", NodePhase.SUCCEEDED, kind=NodeKind.GATE, created_at=start, cache_status=2)

    lines = lines_of(browse(world.admin), run)

    found = [(part.kind, round(part.x), round(part.width)) for part in lines["n0"].segments]
    assert found == [("wait", 0, 100), ("run", 100, 200), ("wait", 400, 100), ("run", 500, 500)]
    assert "try 1: failed, retried, 20 s" in lines["n0"].words and "try 2: succeeded, 50 s" in lines["n0"].words
    assert lines["n1"].is_cached


def test_a_map_is_how_many_ran_at_once(world: World, browse: Browse) -> None:
    run = make_execution("along", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(hours=1))
    start = run.created_at
    Execution.objects.filter(pk=run.pk).update(ended_at=start + 100 * SECOND)
    node = make_node(run, "m", NodePhase.SUCCEEDED, kind=NodeKind.ARRAY, created_at=start)
    for index in range(4):
        make_attempt(
            node,
            AttemptPhase.SUCCEEDED,
            index=index,
            name=f"m-{index}",
            started_at=start,
            ended_at=start + (100 if index == 0 else 50) * SECOND,
        )

    segments = lines_of(browse(world.admin), run)["m"].segments

    assert segments[0].words == "4 at once" and segments[-1].words == "1 at once"
    assert sum(part.width for part in segments) == UNITS


def test_what_has_not_begun_has_no_bar_and_what_runs_reaches_now(world: World, browse: Browse) -> None:
    run = make_execution("along", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=10))
    make_node(run, "n0", NodePhase.UNDEFINED, started_at=None)
    runs = make_node(run, "n1", NodePhase.RUNNING)
    make_attempt(runs, AttemptPhase.RUNNING)
    client = browse(world.admin)

    lines = lines_of(client, run)

    assert lines["n0"].segments == [] and lines["n0"].words == "not begun"
    (part,) = [one for one in lines["n1"].segments if one.kind == "run"]
    assert round(part.x + part.width) == UNITS
    page = client.get("/executions/demo/development/along/timeline/", headers={"HX-Request": "true"})
    assert "hx-trigger" in page.content.decode()


@given(st.floats(0.01, 10_000_000))
def test_the_end_of_what_runs_is_close_and_moves_seldom(age: float) -> None:
    start = datetime(2026, 3, 1, tzinfo=timezone.utc)
    moments = [age * SECOND * (1 + part / 1000) for part in range(32)]  # a 32nd longer in the end

    ends = [steady_end(start, start + moment) - start for moment in moments]

    rounding = timedelta(milliseconds=1)
    assert all(
        moment - rounding <= end <= moment * (1 + 1 / STEADY) + rounding
        for moment, end in zip(moments, ends, strict=True)
    )
    assert len(set(ends)) <= 6


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 8))), min_size=1, max_size=9),
    st.integers(0, 9),
)
def test_the_critical_path_is_what_the_end_waited_for(nodes: list[tuple[int, set[int]]], still: int) -> None:
    """Nodes by when they ended, each after some of those before it; one of them may still run."""
    rows = [_row(pk, START + ended * SECOND if pk != still else None, above) for pk, (ended, above) in enumerate(nodes)]
    now = START + 60 * SECOND

    found = critical_path(rows, now)

    def end(pk: int) -> datetime:
        return rows[pk].node.ended_at or now

    assert max(end(row.node.pk) for row in rows) == max(end(pk) for pk in found)
    walked = sorted(found, reverse=True)
    for later, earlier in itertools.pairwise(walked):
        above = {int(name) for name in rows[later].upstream if int(name) < len(rows)}
        assert end(earlier) == max(end(pk) for pk in above) == found[later]
    assert not [name for name in rows[walked[-1]].upstream if int(name) < len(rows)]


def _row(pk: int, ended: datetime | None, above: set[int]) -> NodeRow:
    phase = NodePhase.QUEUED if ended is None else NodePhase.SUCCEEDED  # what waits has not begun, and is waited for
    began = START if ended is not None else None
    node = NodeExecution(pk=pk, spec_node_id=str(pk), phase=phase, created_at=START, started_at=began, ended_at=ended)
    upstream = tuple(str(one) for one in sorted(above) if one < pk)
    return NodeRow(node, "", "", "", 0, Badge("Running"), 0, 0, None, 1, None, upstream)

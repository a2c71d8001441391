"""Queued, waiting, starting, running and gated are different words, and the reason stands beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from datetime import timezone as dt_timezone
from itertools import product

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from flyteidl.admin import execution_pb2 as admin_execution_pb2
from flyteidl.core import compiler_pb2, execution_pb2, identifier_pb2, workflow_pb2

from artifacts.store import store
from console.accounts.models import User
from console.pages.failures import describe_error
from scheduler import doing
from scheduler.actions import quotas
from scheduler.actions.quotas import Setter
from scheduler.doing import Fact, State, everywhere, sources
from scheduler.doing.sources import Source
from scheduler.doing.states import RANKS
from scheduler.models import Execution, ExecutorInstance, GateKind, NodeExecution, NodeKind, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from scheduler.quotas import lanes
from tests.console.pages.cast import World, make_attempt, make_execution, make_node

Browse = Callable[[User], Client]
RUN = "/executions/demo/development/{}/"
COUNTED = 17  # statements of a list of executions that is filtered by what they do
NODE_OF = {AttemptPhase.RUNNING: NodePhase.RUNNING}


def is_there(executor: str = "local", cluster: str = "") -> None:
    place = {"executor": executor, "cluster": cluster, "capacity": {}}
    now = timezone.now()
    ExecutorInstance.objects.get_or_create(
        name=f"{executor} {cluster}", defaults={**place, "started_at": now, "seen_at": now}
    )


def run_with(name: str, phase: AttemptPhase, reason: str = "", **over: object) -> Execution:
    """An execution that the engine calls RUNNING, with one attempt, at an executor that is there."""
    is_there(str(over.get("executor", "local")), str(over.get("cluster", "")))
    execution = make_execution(name, "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=8))
    node = make_node(execution, "n0", NODE_OF.get(phase, NodePhase.QUEUED), started_at=None)
    make_attempt(node, phase, reason=reason, **over)
    return execution


def row_of(page: str, name: str) -> str:
    """The row of a list of executions, without its tags."""
    import re

    row = next(part for part in page.split("<tr>") if f"/{name}/" in part)
    return " ".join(re.sub(r"<[^>]+>", " ", row.partition("</tr>")[0]).split())


@pytest.mark.parametrize(
    ("phase", "reason", "state", "told"),
    [
        (AttemptPhase.QUEUED, "", "Queued", "next in line"),
        (AttemptPhase.QUEUED, "waiting for cpu 1", "Waiting", "for cpu 1, next in line"),
        (AttemptPhase.QUEUED, "waiting for the quota of demo: gpu 4", "Waiting", "for the quota of demo: gpu 4"),
        (AttemptPhase.WAITING_FOR_RESOURCES, "Unschedulable: 0/3 nodes", "Waiting", "for Unschedulable: 0/3 nodes"),
        (AttemptPhase.INITIALIZING, "", "Starting", ""),
        (AttemptPhase.RUNNING, "", "Running", ""),
    ],
)
def test_a_list_says_in_a_word_and_its_reason_what_an_execution_does(
    world: World, browse: Browse, phase: AttemptPhase, reason: str, state: str, told: str
) -> None:
    run_with("aone", phase, reason)
    client = browse(world.admin)

    row = row_of(client.get("/executions/").content.decode(), "aone")

    assert f" {state} " in row and told in row
    assert (" 8 min" in row.partition("by hand")[2].partition("ago")[0].removesuffix(" 8 min ")) == (
        state in ("Starting", "Running")
    ), "the clock counts for what runs alone"
    found = client.get(f"/executions/?phase={state.lower()}").context["page"].rows
    assert "aone" in {each.name for each in found}
    for other in {"queued", "waiting", "starting", "running", "gated"} - {state.lower()}:
        rows = client.get(f"/executions/?q=phase:{other}").context["page"].rows
        assert "aone" not in {each.name for each in rows}


def test_an_open_gate_makes_it_gated_and_home_counts_each_apart(world: World, browse: Browse) -> None:
    run_with("aqueued", AttemptPhase.QUEUED)
    run_with("awaits", AttemptPhase.QUEUED, "waiting for gpu 1")
    run_with("aruns", AttemptPhase.RUNNING)
    client = browse(world.admin)

    assert "Gated for an approval: approve_model" in row_of(client.get("/executions/").content.decode(), "aevaluates")
    home = client.get("/").context
    assert (home["running"], home["queued"]) == (1, 2)


def test_what_is_furthest_on_names_it_and_the_rest_is_counted(world: World) -> None:
    execution = run_with("amap", AttemptPhase.RUNNING)
    node = NodeExecution.objects.get(execution=execution)
    for index in range(3):
        make_attempt(node, AttemptPhase.QUEUED, index=index, name=f"amap-{index}", reason="waiting for cpu 2")

    now = doing.of_execution(execution)

    assert now is not None and now.state is State.RUNNING
    assert now.counts == {State.RUNNING: 1, State.WAITING: 3}


def test_the_place_in_the_line_is_by_priority_and_age_of_its_own_executor(world: World) -> None:
    first, second = run_with("afirst", AttemptPhase.QUEUED), run_with("asecond", AttemptPhase.QUEUED)
    urgent = run_with("aurgent", AttemptPhase.QUEUED, priority=5)
    apart = run_with("apart", AttemptPhase.QUEUED, executor="kubernetes", cluster="big")

    places = doing.of_executions([first, second, urgent, apart])

    assert [places[row.pk].place for row in (urgent, first, second, apart)] == [1, 2, 3, 1]
    alone = [doing.of_execution(row) for row in (urgent, first, second, apart)]
    whys = [now.why for now in alone if now is not None]
    assert [(one.place, one.of) for one in whys if one is not None] == [(1, 3), (2, 3), (3, 3), (1, 1)]


def test_it_waits_for_a_slot_a_sleep_and_the_next_try(world: World) -> None:
    later = timezone.now() + timedelta(hours=1)
    runs = [
        make_execution(f"a{number}", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=1))
        for number in range(3)
    ]
    make_node(runs[0], "n0", NodePhase.QUEUED, parked=True, attempts=0)
    spec = admin_execution_pb2.ExecutionSpec(max_parallelism=25).SerializeToString()
    Execution.objects.filter(pk=runs[0].pk).update(spec=spec)
    make_node(runs[1], "n0", NodePhase.QUEUED, attempts=1, wake_at=later)
    make_node(runs[2], "n0", NodePhase.RUNNING, kind=NodeKind.GATE, wake_at=later)

    found = [doing.of_execution(run) for run in runs]

    assert all(now is not None and now.state is State.WAITING for now in found)
    texts = [now.reason for now in found if now is not None]
    assert "max parallelism" in texts[0] and "next try at" in texts[1] and "sleep that ends at" in texts[2]
    told = [now.why for now in found if now is not None and now.why is not None]
    assert [one.code for one in told] == ["parallelism", "schedule", "schedule"]
    assert told[0].message == "1 nodes wait for one of 25 places (max_parallelism)"
    assert told[2].message == f"it goes on at {later.astimezone(dt_timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def test_a_time_that_stops_what_runs_is_waited_for_by_nobody(world: World) -> None:
    """The time-out of a task, or of a gate: `wake_at` is set for them too."""
    later = timezone.now() + timedelta(hours=1)
    runs = run_with("aruns", AttemptPhase.RUNNING), run_with("agate", AttemptPhase.RUNNING)
    for run in runs:
        run.nodes.update(wake_at=later)
        Execution.objects.filter(pk=run.pk).update(wake_at=later)
        run.refresh_from_db()
    gate = make_node(runs[1], "n1", NodePhase.RUNNING, kind=NodeKind.GATE, wake_at=later)
    runs[1].gates.create(
        node=gate, signal_id="s", kind=GateKind.APPROVE, literal_type=b"", waiting_since=later, created_at=later
    )

    assert [now and (now.state, now.why) for now in map(doing.of_execution, runs)] == [(State.RUNNING, None)] * 2
    now = doing.of_nodes(runs[1], [gate])[gate.pk]
    assert (now.state, now.what) == (State.GATED, "an approval: s")
    TaskExecution.objects.filter(execution_id=runs[1].pk).update(phase=AttemptPhase.SUCCEEDED)
    runs[1].nodes.filter(node_id="n0").update(phase=NodePhase.SUCCEEDED)
    assert {pk: one.code for pk, one in doing.of_executions(runs).items()} == {runs[0].pk: "", runs[1].pk: "gate"}
    Execution.objects.filter(pk=runs[1].pk).update(phase=ExecutionPhase.ABORTING)
    assert doing.of_executions(list(Execution.objects.filter(pk=runs[1].pk))) == {}


def test_places_are_numbered_only_where_something_asked_about_is_queued(world: World) -> None:
    runs, queued = run_with("aruns", AttemptPhase.RUNNING), run_with("aqueued", AttemptPhase.QUEUED)
    plans = []
    for run in (runs, queued):
        with CaptureQueriesContext(connection) as captured:
            list(sources.attempts([run.pk]))
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + captured[0]["sql"])
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
    assert "(never executed)" in plans[0] and plans[0].count("never executed") > plans[1].count("never executed")


def agrees() -> dict[int, State]:
    """What searches and counts say is what lists say of the rows that they show."""
    rows = list(Execution.objects.all())
    shown = {pk: now.state for pk, now in doing.of_executions(rows).items()}
    assert everywhere.states_of([row.pk for row in rows]) == shown
    assert everywhere.counts(Execution.objects.all()) == Counter(shown.values())
    for state in State:
        found = Execution.objects.filter(pk__in=everywhere.executions_in(state)).values_list("pk", flat=True)
        assert set(found) == {pk for pk, one in shown.items() if one is state}
    return shown


def test_searches_and_counts_say_of_all_what_lists_say_of_those_they_show(world: World) -> None:
    later, now = timezone.now() + timedelta(hours=1), timezone.now()
    held = (AttemptPhase.INITIALIZING, AttemptPhase.WAITING_FOR_RESOURCES, AttemptPhase.RUNNING)
    reasons = ("", "waiting for cpu 1", "Unschedulable: 0/3 nodes", "pulling the image")
    for number, (phase, reason) in enumerate(product((AttemptPhase.QUEUED, *held), reasons)):
        run_with(f"an{number}", phase, reason)
    run_with("aaway", AttemptPhase.QUEUED, executor="kubernetes", cluster="away")
    ExecutorInstance.objects.filter(cluster="away").delete()
    several = run_with("aseveral", AttemptPhase.QUEUED, "waiting for cpu 1")
    make_attempt(make_node(several, "n1", NodePhase.RUNNING), AttemptPhase.RUNNING)
    asleep, parked, parent, fresh, ending = (
        make_execution(name, "train_on_dataset", phase, age=timedelta(minutes=1))
        for name, phase in {
            "asleep": ExecutionPhase.RUNNING,
            "aparked": ExecutionPhase.RUNNING,
            "aparent": ExecutionPhase.RUNNING,
            "afresh": ExecutionPhase.UNDEFINED,
            "aborting": ExecutionPhase.ABORTING,
        }.items()
    )
    make_node(asleep, "n0", NodePhase.RUNNING, kind=NodeKind.GATE, wake_at=later)
    make_node(parked, "n0", NodePhase.QUEUED, parked=True, attempts=0)
    starts = make_node(parent, "n0", NodePhase.RUNNING, kind=NodeKind.LAUNCH_PLAN)
    middle = make_execution("amiddle", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=1))
    Execution.objects.filter(pk=middle.pk).update(parent_node=starts)
    again = make_node(middle, "n0", NodePhase.RUNNING, kind=NodeKind.LAUNCH_PLAN)
    Execution.objects.filter(pk=run_with("abelow", AttemptPhase.QUEUED, "waiting for gpu 1").pk).update(
        parent_node=again
    )
    for number, project in enumerate(("demo", "other")):
        one = make_execution(f"await{number}", "train_on_dataset", ExecutionPhase.QUEUED, age=timedelta(minutes=1))
        Execution.objects.filter(pk=one.pk).update(waits_since=now, project=project)
    nobody = Setter("root", platform=True)
    quotas.set_quota(quotas.Wanted(quotas.scope_of(project="demo"), "executions", 0), by=nobody)

    shown = agrees()

    assert set(shown.values()) == set(State)
    assert ending.pk not in shown and shown[fresh.pk] is State.QUEUED and shown[parent.pk] is State.WAITING
    with CaptureQueriesContext(connection) as captured:
        everywhere.counts(Execution.objects.all())
    quotas.set_quota(quotas.Wanted(quotas.scope_of(project="demo"), "attempts", 0), by=nobody)
    for attempt in TaskExecution.objects.filter(phase=AttemptPhase.QUEUED):
        lanes.give([attempt.pk])
    assert agrees() != shown
    for number in range(30):
        run_with(f"more{number}", AttemptPhase.QUEUED, "waiting for cpu 1")
    with CaptureQueriesContext(connection) as more:
        everywhere.counts(Execution.objects.all())
    assert len(captured) <= len(more) <= 8, [one["sql"][:90] for one in more]


def test_a_list_with_its_filters_and_facets_asks_of_its_rows_once(world: World, browse: Browse) -> None:
    counted = []
    for number in range(3):
        run_with(f"a{number}", AttemptPhase.QUEUED, "waiting for cpu 1")
        client = browse(world.admin)
        with CaptureQueriesContext(connection) as captured:
            rows = client.get("/executions/?phase=waiting").context["page"].rows
        assert len(rows) == number + 1
        counted.append(len(captured))
    assert len([one for one in captured if "AS active" in one["sql"]]) == 1
    assert counted[1:] == [COUNTED] * 2, [one["sql"][:90] for one in captured]


def test_who_started_others_does_what_they_do_and_tells_nothing_of_another_project(world: World) -> None:
    parent = make_execution("aparent", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=9))
    starts = make_node(parent, "n0", NodePhase.RUNNING, kind=NodeKind.LAUNCH_PLAN)
    child = run_with("achild", AttemptPhase.QUEUED, "waiting for gpu 8")
    Execution.objects.filter(pk=child.pk).update(parent_node=starts)
    assert (now := doing.of_execution(parent)) is not None and now.what == "gpu 8"
    assert doing.of_nodes(parent, [starts])[starts.pk].what == "gpu 8"

    Execution.objects.filter(pk=child.pk).update(project="elsewhere")

    now = doing.of_execution(parent)
    assert now is not None and (now.state, now.what) == (State.WAITING, "an execution it started")
    agrees()


def test_a_node_does_what_the_nodes_below_it_do(world: World, browse: Browse) -> None:
    execution = make_execution("anest", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=9))
    top = make_node(execution, "n0", NodePhase.DYNAMIC_RUNNING)
    below = make_node(execution, "n0-0-n1", NodePhase.QUEUED, spec_node_id="n1", parent=top, started_at=None)
    make_attempt(below, AttemptPhase.QUEUED, reason="waiting for memory 4")
    is_there()
    client = browse(world.admin)

    rows = client.get(RUN.format("anest")).context["nodes"]
    page = client.get(RUN.format("anest") + "nodes/n0/").content.decode()

    assert [(row.badge.label, row.doing.what, row.is_still) for row in rows] == [("Waiting", "memory 4", True)] * 2
    assert "for memory 4, next in line" in page


def test_whatever_makes_things_wait_adds_a_source_and_is_seen_everywhere(
    world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = make_execution("aheld", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=1))
    fact = Fact(held.pk, None, State.WAITING, "the quota of demo", timezone.now(), place=3)
    source = Source(lambda _: [fact], lambda _: ("SELECT %s::bigint, %s", [held.pk, RANKS[State.WAITING]]))
    monkeypatch.setattr(sources, "SOURCES", [*sources.SOURCES, source])
    client = browse(world.admin)

    assert "Waiting for the quota of demo, number 3 in line" in row_of(
        client.get("/executions/").content.decode(), "aheld"
    )
    assert "aheld" in {row.name for row in client.get("/executions/?phase=waiting").context["page"].rows}


def error(code: str, message: str, kind: int = execution_pb2.ExecutionError.USER) -> bytes:
    return execution_pb2.ExecutionError(code=code, message=message, kind=kind).SerializeToString()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "message", "raised"),
    [
        ("USER:ValueError", "Trace:\n\n    Traceback (most recent call last):\n\nMessage:\n\n    bad", True),
        ("RetriesExhausted|USER:KeyError", "[2/2] currentAttempt done. Last Error: USER::'x'", True),
        ("ResourcesUnavailable", "the task asks for more than this machine has: gpu 1 of 0", False),
        ("SecretNotFound", "there is no secret token", False),
        ("NoExecutor", "no executor runs tasks of the type spark", False),
        ("RetriesExhausted|ImagePull", "the image cannot be pulled", False),
        ("OOMKilled", "killed for want of memory", False),
    ],
)
def test_only_what_code_raised_is_called_so(code: str, message: str, raised: bool) -> None:
    failure = describe_error(error(code, message))

    assert failure is not None and (failure.origin == "raised by user code") is raised


def test_nodes_that_a_dynamic_task_wrote_are_called_by_their_functions(world: World, browse: Browse) -> None:
    def node(name: str, task: str) -> workflow_pb2.Node:
        reference = identifier_pb2.Identifier(resource_type=identifier_pb2.TASK, name=task)
        return workflow_pb2.Node(
            id=name,
            metadata=workflow_pb2.NodeMetadata(name=name),
            task_node=workflow_pb2.TaskNode(reference_id=reference),
        )

    digest = "2dbe340ef7712afd00112233445566aa"
    template = workflow_pb2.WorkflowTemplate(
        nodes=[node("dn0", "team.flows.one_fold"), node("dn1", f"team.map_score_{digest}-arraynode")]
    )
    closure = compiler_pb2.CompiledWorkflowClosure(primary=compiler_pb2.CompiledWorkflow(template=template))
    uri = store().join(store().root, "metadata", "dynamic.pb")
    store().put(uri, closure.SerializeToString())
    execution = make_execution("adyn", "train_on_dataset", ExecutionPhase.RUNNING, age=timedelta(minutes=9))
    top = make_node(execution, "n0", NodePhase.DYNAMIC_RUNNING, is_dynamic=True, dynamic_uri=uri)
    for number in range(2):
        make_node(execution, f"n0-0-dn{number}", NodePhase.QUEUED, spec_node_id=f"dn{number}", parent=top)
    client = browse(world.admin)

    rows = client.get(RUN.format("adyn")).context["nodes"]

    assert [row.name for row in rows][1:] == ["one_fold", "score"]
    assert "<h1>one_fold</h1>" in client.get(RUN.format("adyn") + "nodes/n0-0-dn0/").content.decode()
    assert TaskExecution.objects.filter(execution_id=execution.pk).count() == 0

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from flyteidl.admin import execution_pb2
from flytekit import map_task, task, workflow
from flytekit.core.task import Echo

from scheduler.advance import advance
from scheduler.attempts import claims
from scheduler.executors import registry
from scheduler.executors.packing import Unbounded
from scheduler.models import Execution, TaskExecution
from scheduler.phases import ExecutionPhase
from scheduler.placement import Asked, Cluster, Kind, NoExecutor, NoPlace, Place, Service, place
from tests.scheduler.driving import error_of, start, workflow_of

LOCAL = Kind("local")
PODS = Kind("pods", clustered=True, plugins=frozenset({"pytorch"}), any_resource=True)
BOTH = [LOCAL, PODS]
SERVED = Kind("services", serves=True)
ASKED = Asked("1", project="p", domain="d", task="t", task_type="python-task")


def cluster(name: str, **fields: object) -> Cluster:
    return replace(Cluster(name, kind="pods"), **fields)  # type: ignore[arg-type]


def asked(**fields: object) -> Asked:
    return replace(ASKED, **fields)  # type: ignore[arg-type]


def test_one_machine_runs_everything_whatever_label_it_has() -> None:
    assert place(ASKED, [LOCAL]) == place(ASKED, BOTH) == Place("local")
    assert place(asked(label="gpu", pool="x"), BOTH) == Place("local")


def test_a_cluster_goes_before_the_machine_unless_it_is_only_for_its_label() -> None:
    assert place(ASKED, BOTH, [cluster("a")]) == Place("pods", "a")
    shy = cluster("a", weight=0, labels=frozenset({"gpu"}))
    assert place(ASKED, BOTH, [shy]) == Place("local")
    assert place(asked(label="gpu"), BOTH, [shy]) == Place("pods", "a")
    assert place(ASKED, BOTH, [cluster("a", open=False)]) == Place("local")
    assert place(ASKED, [LOCAL], [cluster("a")]) == Place("local"), "of a kind that is not installed"
    assert place(asked(runs_program=False), BOTH, [cluster("a")]) == Place("local")


def test_an_administrator_may_have_the_machine_go_first() -> None:
    clusters = [cluster("a", labels=frozenset({"gpu"}))]
    assert place(ASKED, BOTH, clusters, machine_first=True) == Place("local")
    assert place(asked(label="gpu"), BOTH, clusters, machine_first=True) == Place("pods", "a")
    assert place(asked(resources=("google.com/tpu",)), BOTH, clusters, machine_first=True) == Place("pods", "a")
    assert place(ASKED, [PODS], clusters, machine_first=True) == Place("pods", "a")


def test_labels_and_pools_choose_among_clusters() -> None:
    clusters = [cluster("a", labels=frozenset({"gpu"})), cluster("b", pools=frozenset({"night"}))]
    assert place(asked(label="gpu"), BOTH, clusters).cluster == "a"
    assert place(asked(pool="night"), BOTH, clusters).cluster == "b"
    with pytest.raises(NoPlace, match="no cluster has the label 'gpu' and the pool 'night': there are a, b"):
        place(asked(label="gpu", pool="night"), BOTH, clusters)


@pytest.mark.parametrize(
    ("limits", "fits", "other"),
    [
        ({"task_types": frozenset({"spark"})}, {"task_type": "spark"}, {}),
        ({"projects": frozenset({"q"})}, {"project": "q"}, {}),
        ({"projects": frozenset({"q/d"})}, {"project": "q"}, {"project": "q", "domain": "e"}),
    ],
)
def test_a_cluster_takes_what_it_is_for(
    limits: dict[str, object], fits: dict[str, object], other: dict[str, object]
) -> None:
    clusters = [cluster("a", **limits)]
    assert place(asked(**fits), BOTH, clusters) == Place("pods", "a")
    assert place(asked(**other), BOTH, clusters) == Place("local")
    with pytest.raises(NoPlace, match="no open cluster runs tasks of type"):
        place(asked(**other), [PODS], clusters)


def test_what_only_a_cluster_can_run_goes_there_or_is_refused() -> None:
    tpus, several = (
        asked(resources=("google.com/tpu",)),
        asked(task_type="pytorch", processes="4 nodes", way_out="; try one"),
    )
    for one in (tpus, several):
        assert place(one, BOTH, [cluster("a")]) == Place("pods", "a")
    with pytest.raises(NoPlace, match="task t asks for google.com/tpu, which no executor here gives"):
        place(tpus, BOTH)
    with pytest.raises(NoExecutor, match="asks for 4 nodes: this set-up has no executor .* same; try one"):
        place(several, BOTH)
    with pytest.raises(NoExecutor):
        place(asked(task_type="spark", processes="a driver"), BOTH, [cluster("a")])
    with pytest.raises(NoPlace, match="an administrator configures a cluster"):
        place(ASKED, [PODS])


def test_executions_spread_by_weight_and_each_stays_where_it_is() -> None:
    clusters = [cluster("a", weight=3), cluster("b"), cluster("c", weight=0)]
    many = [asked(seed=str(number)) for number in range(2000)]
    before = [place(one, BOTH, clusters).cluster for one in many]
    assert before == [place(one, BOTH, list(reversed(clusters))).cluster for one in many]
    counts = Counter(before)
    assert counts.keys() == {"a", "b"} and 1350 < counts["a"] < 1650
    more = [place(one, BOTH, [*clusters, cluster("d")]).cluster for one in many]
    assert all(now in (then, "d") for then, now in zip(before, more, strict=True))


# --- through the engine ---------------------------------------------------------------------------------------------

echo = Echo(name="echo", inputs={"x": int})


@task
def work(x: int) -> int:
    return x


@workflow
def some_wf(x: int, xs: list[int]) -> None:
    work(x=echo(x=x))
    work(x=x)
    map_task(work)(x=xs)


@pytest.fixture
def two_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = dict(registry.REGISTRY) | {"pods": registry.Entry(PODS, "", clusters=f"{__name__}:configured")}
    monkeypatch.setattr(registry, "REGISTRY", entries)


def configured() -> list[Cluster]:
    return [cluster("a"), cluster("b", labels=frozenset({"gpu"}), weight=0)]


def places(execution: Execution) -> set[tuple[str, str]]:
    return set(TaskExecution.objects.filter(execution_id=execution.pk).values_list("executor", "cluster"))


@pytest.mark.django_db
@pytest.mark.usefixtures("object_store", "two_clusters")
def test_the_engine_queues_attempts_where_they_belong() -> None:
    plain = start(workflow_of(some_wf), {"x": 1, "xs": [1, 2]})
    advance(plain.pk)
    assert places(plain) == {("pods", "a"), ("local", "")}, "the echo needs no cluster"
    label = execution_pb2.ExecutionSpec(execution_cluster_label={"value": "gpu"}).execution_cluster_label
    labelled = start(workflow_of(some_wf), {"x": 1, "xs": [1, 2]}, execution_cluster_label=label)
    advance(labelled.pk)
    assert places(labelled) == {("pods", "b"), ("local", "")}
    taken = claims.claim("pods", "one", Unbounded(99), now=plain.created_at, cluster="b").rows
    assert {row.execution_id for row in taken} == {labelled.pk} and len(taken) == 3


@pytest.mark.django_db
@pytest.mark.usefixtures("object_store", "two_clusters")
def test_a_label_that_no_cluster_has_fails_in_words() -> None:
    label = execution_pb2.ExecutionSpec(execution_cluster_label={"value": "moon"}).execution_cluster_label
    execution = start(workflow_of(some_wf), {"x": 1, "xs": [1]}, execution_cluster_label=label)
    advance(execution.pk)
    execution.refresh_from_db()
    assert execution.phase in (ExecutionPhase.FAILED, ExecutionPhase.FAILING)
    assert "no cluster has the label 'moon': there are a, b" in error_of(execution).message


# --- connector services -----------------------------------------------------------------------------------------------

YARD = Service("yard", types=frozenset({("ship", 0), ("ship", 2), ("python-task", 9)}))
SHIP = {"task_type": "ship", "own_program": False}


def test_a_type_that_a_service_runs_goes_there_with_a_program_of_its_own_or_without() -> None:
    everywhere = [*BOTH, SERVED]
    assert place(asked(**SHIP), everywhere, [cluster("a")], [YARD]) == Place("services")
    assert place(asked(**SHIP | {"own_program": True}), everywhere, [], [YARD]) == Place("services")
    assert place(asked(**SHIP, version=2), everywhere, [], [YARD], machine_first=True) == Place("services")
    assert place(ASKED, everywhere, [], [YARD]) == Place("local"), "another version of its type"
    assert place(asked(**SHIP), BOTH, [], [YARD]) == Place("local"), "of a kind that is not installed"
    assert place(asked(**SHIP, runs_program=False), everywhere, [], [YARD]) == Place("local"), "an echo"


def test_what_only_a_service_could_run_waits_for_one_that_has_not_said_what_it_runs() -> None:
    unread = Service("yard", known=False)
    assert place(asked(**SHIP), [LOCAL, SERVED], [], [unread]) == Place("services")
    assert place(asked(**SHIP | {"own_program": True}), [LOCAL, SERVED], [], [unread]) == Place("local")
    claimed = replace(unread, claims=frozenset({"ship"}))
    assert place(asked(**SHIP | {"own_program": True}), [LOCAL, SERVED], [], [claimed]) == Place("services")
    other = replace(unread, claims=frozenset({"train"}))
    assert place(asked(**SHIP), [LOCAL, SERVED], [], [other]) == Place("local")


@pytest.mark.parametrize(
    ("service", "version", "said"),
    [
        (replace(YARD, open=False), 0, "(yard) is closed, or not open to p/d"),
        (replace(YARD, projects=frozenset({"q", "p/x"})), 0, "not open to p/d"),
        (YARD, 1, "in version 1; connectors here run version 0, 2 of it"),
    ],
)
def test_a_service_that_does_not_take_it_says_why(service: Service, version: int, said: str) -> None:
    with pytest.raises(NoExecutor) as refused:
        place(asked(**SHIP, version=version), [LOCAL, SERVED], [], [service])
    assert said in refused.value.message
    with_program = asked(task_type="ship", version=version)
    assert place(with_program, [LOCAL, SERVED], [], [service]) == Place("local")

"""Annotated outputs of mapped tasks: the value of every item is a version, and what the cache has is not published."""

# mypy: disable-error-code="untyped-decorator, no-any-return"

from __future__ import annotations

import base64
from typing import Annotated

import pytest
from flytekit import Artifact, map_task, task, workflow
from flytekit.core.artifact import Inputs

from artifacts.literals import marks
from artifacts.models import ArtifactVersion
from artifacts.wire import DECLARED_KEY
from lineage.models import Derivation, VersionEdge
from scheduler.attempts.outcomes import Outcome
from scheduler.models import Execution, NodeExecution, TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase
from scheduler.shell import data
from tests.flyte import register_all
from tests.scheduler.driving import Answer, Driver, TaskFailed, error_of, outputs, start, workflow_of
from tests.scheduler.test_reuse import recovering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

Raw, Model, Report = (Artifact(name=f"mapped-{n}") for n in ("raw", "kept", "report"))
Region = Artifact(name="mapped-region", partition_keys=["region"])


@task
def raw(n: int) -> Annotated[int, Raw]:
    return n


@task
def train(region: str, x: int) -> Annotated[int, Region(region=Inputs.region)]:
    return x


@task(cache=True, cache_version="1")
def kept(n: int) -> Annotated[int, Model]:
    return n


@task
def report(values: list[int]) -> Annotated[int, Report]:
    return len(values)


@task
def report_some(values: list[int | None]) -> Annotated[int, Report]:
    return len(values)


@workflow
def regions(names: list[str]) -> int:
    return report(values=map_task(train)(region=names, x=[raw(n=1), raw(n=2)]))


@workflow
def some(names: list[str]) -> int:
    return report_some(values=map_task(train, min_success_ratio=0.5)(region=names, x=[raw(n=1), raw(n=2)]))


@workflow
def again(ns: list[int]) -> int:
    return report(values=map_task(kept)(n=ns))


@workflow
def once(n: int) -> Annotated[int, Report]:
    return kept(n=n)


ANSWERS: dict[str, Answer] = {
    "raw": lambda n: n,
    "train": lambda region, x: 10 * x,
    "kept": lambda n: n,
    "report": lambda values: len(values),
    "report_some": lambda values: len(values),
}


def versions(name: str) -> dict[str, ArtifactVersion]:
    return {row.version.partition(".")[2]: row for row in ArtifactVersion.objects.filter(artifact__name=name)}


def consumed(execution: Execution, node: str) -> set[int]:
    edges = VersionEdge.objects.filter(execution_key=execution.key, node_id=node, role="consumed")
    return set(edges.values_list("version_id", flat=True))


def test_it_publishes_the_value_of_every_item() -> None:
    register_all(train)
    execution = Driver(ANSWERS).run(start(workflow_of(regions), {"names": ["ATL", "SEA"]}))
    assert outputs(execution) == {"o0": 2}
    inputs = versions("mapped-raw")
    items = versions("mapped-region")
    assert {name: row.partitions for name, row in items.items()} == {
        "n2.0.0.o0": {"region": "ATL"},
        "n2.1.0.o0": {"region": "SEA"},
    }
    assert {row.node_id for row in items.values()} == {"n2"}
    made = {(edge.source_id, edge.target_id) for edge in Derivation.objects.all()}
    assert {(inputs["n0.0.o0"].pk, items["n2.0.0.o0"].pk), (inputs["n1.0.o0"].pk, items["n2.1.0.o0"].pk)} <= made
    assert (inputs["n0.0.o0"].pk, items["n2.1.0.o0"].pk) not in made  # each of its own input, not of the others'
    assert consumed(execution, "n3") == {row.pk for row in items.values()}


def test_it_publishes_nothing_twice_and_nothing_of_items_that_failed() -> None:
    register_all(train)

    def half(region: str, x: int) -> int:
        if region == "SEA":
            raise TaskFailed("no data")
        return x

    execution = Driver({**ANSWERS, "train": half}).run(start(workflow_of(some), {"names": ["ATL", "SEA"]}))
    assert execution.phase == ExecutionPhase.SUCCEEDED
    TaskExecution.objects.filter(execution_id=execution.pk).update(handled=False)  # every report comes again
    Execution.objects.filter(pk=execution.pk).update(dirty=True)
    Driver(ANSWERS).run(execution)
    items = versions("mapped-region")
    assert list(items) == ["n2.0.0.o0"]
    assert consumed(execution, "n3") == {items["n2.0.0.o0"].pk}


def test_an_item_whose_partition_is_refused_fails() -> None:
    register_all(train)
    execution = Driver(ANSWERS).run(start(workflow_of(regions), {"names": ["", "SEA"]}))
    assert execution.phase == ExecutionPhase.FAILED


def test_a_recovered_item_is_the_version_that_it_was() -> None:
    register_all(train)
    failing = {"SEA"}

    def answer(region: str, x: int) -> int:
        if region in failing:
            raise TaskFailed("no data")
        return 10 * x

    names = {"names": ["ATL", "SEA"]}
    failed = Driver({**ANSWERS, "train": answer}).run(start(workflow_of(regions), names))
    assert failed.phase == ExecutionPhase.FAILED
    first = versions("mapped-region")["n2.0.0.o0"]
    failing.clear()
    driver = Driver({**ANSWERS, "train": answer})
    again = driver.run(recovering(failed, names))
    assert outputs(again) == {"o0": 2}
    assert len(driver.ran) == 2  # the item that had failed, and the report
    assert consumed(again, "n3") == {row.pk for row in versions("mapped-region").values()}
    assert first.pk in consumed(again, "n3")


def test_an_item_that_was_refused_is_not_recovered() -> None:
    register_all(train)
    names = {"names": ["", "SEA"]}
    failed = Driver(ANSWERS).run(start(workflow_of(regions), names))
    again = Driver(ANSWERS).run(recovering(failed, names))
    assert again.phase == ExecutionPhase.FAILED


class Telling(Driver):
    """As zygote.mapped: what the items of a map write says how it is declared, for a task that is not registered."""

    def answer(self, row: TaskExecution) -> Outcome:
        outcome = super().answer(row)
        if row.index >= 0 and outcome.phase == AttemptPhase.SUCCEEDED:
            values = data.read(outcome.output_uri)
            declared = train.interface.outputs["o0"].to_flyte_idl()
            if self.elsewhere:
                declared.artifact_partial_id.artifact_key.project = self.elsewhere
            told = base64.b64encode(declared.SerializeToString()).decode()
            values.literals["o0"].metadata[DECLARED_KEY] = told
            data.write(outcome.output_uri, values)
        return outcome

    elsewhere = ""


@pytest.mark.parametrize("workflow_", [regions, some])
def test_items_publish_what_their_process_says_where_the_task_is_not_registered(workflow_: object) -> None:
    execution = Telling(ANSWERS).run(start(workflow_of(workflow_), {"names": ["ATL", "SEA"]}))
    assert outputs(execution) == {"o0": 2}
    items = versions("mapped-region")
    assert {name: row.partitions for name, row in items.items()} == {
        "n2.0.0.o0": {"region": "ATL"},
        "n2.1.0.o0": {"region": "SEA"},
    }
    assert consumed(execution, "n3") == {row.pk for row in items.values()}
    node = NodeExecution.objects.get(execution=execution, node_id="n2")
    assert DECLARED_KEY.encode() not in data.read(node.output_uri).SerializeToString()


def test_what_a_process_says_publishes_nothing_in_another_project() -> None:
    driver = Telling(ANSWERS)
    driver.elsewhere = "finance"
    execution = driver.run(start(workflow_of(regions), {"names": ["ATL", "SEA"]}))
    assert execution.phase == ExecutionPhase.FAILED
    assert "has to be registered" in error_of(execution).message
    assert not versions("mapped-region")


def test_items_from_the_cache_carry_their_first_version() -> None:
    register_all(kept)
    row = workflow_of(again)
    Driver(ANSWERS).run(start(row, {"ns": [1, 2]}))
    first = {version.pk for version in versions("mapped-kept").values()}
    execution = Driver(ANSWERS).run(start(row, {"ns": [2, 1]}))
    assert {version.pk for version in versions("mapped-kept").values()} == first and len(first) == 2
    node = NodeExecution.objects.get(execution=execution, node_id="n0")
    assert marks(data.read(node.output_uri).literals["o0"]) == (first, True)
    assert consumed(execution, "n1") == first


def test_a_cache_hit_carries_the_first_version() -> None:
    row = workflow_of(once)
    Driver(ANSWERS).run(start(row, {"n": 1}))
    driver = Driver(ANSWERS)
    driver.run(start(row, {"n": 1}))
    assert driver.ran == []
    (model,) = versions("mapped-kept").values()
    assert ArtifactVersion.objects.filter(artifact__name="mapped-report", same_data_as=model).count() == 2

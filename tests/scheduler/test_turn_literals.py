"""What a turn wrote that was rolled back is not what the one that repeats it reads."""

from __future__ import annotations

from typing import Annotated

import pytest
from django.db.utils import OperationalError
from flytekit import Artifact, map_task, task, workflow

from artifacts.literals import marks
from artifacts.models import ArtifactVersion
from lineage.models import Derivation, VersionEdge
from scheduler import advance as advancing
from scheduler.shell.data import Literals, read
from scheduler.shell.flush import flush
from scheduler.shell.turn import Turn
from tests.flyte import register_all
from tests.scheduler.driving import Answer, Driver, outputs, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

MANY = 60  # items
Raw, Made = Artifact(name="repeated-raw"), Artifact(name="repeated-made")


@task
def raw(n: int) -> Annotated[int, Raw]:
    return n


@task
def made(n: int) -> Annotated[int, Made]:
    return n


@task
def count(ns: list[int], extra: int) -> int:
    return len(ns) + extra


@workflow
def program(n: int) -> int:
    return made(n=raw(n=n))


@workflow
def mapping(n: int) -> int:
    return count(ns=map_task(made)(n=[raw(n=i) for i in range(MANY)]), extra=n)


class Flaky:
    """Every other turn is rolled back when all is done and nothing is written yet."""

    def __init__(self) -> None:
        self.turns = 0

    def __call__(self, turn: Turn) -> None:
        self.turns += 1
        if self.turns % 2:
            raise OperationalError("the database is away for a moment")
        flush(turn)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Flaky:
    found = Flaky()
    monkeypatch.setattr(advancing, "flush", found)
    return found


def test_lineage_outlives_turns_that_are_rolled_back(flaky: Flaky) -> None:
    answers = {"raw": lambda n: n, "made": lambda n: 2 * n}
    execution = Driver(answers).run(start(workflow_of(program), {"n": 3}))
    assert outputs(execution) == {"o0": 6} and flaky.turns >= 6
    source, target = (ArtifactVersion.objects.get(artifact__name=f"repeated-{name}") for name in ("raw", "made"))
    consumed = VersionEdge.objects.filter(execution_key=execution.key, node_id="n1", role="consumed")
    assert list(consumed.values_list("version_id", flat=True)) == [source.pk]
    assert Derivation.objects.filter(source=source, target=target).exists()
    assert marks(read(execution.outputs_uri).literals["o0"])[0] == {target.pk}


def test_the_lists_that_items_share_are_those_of_the_turn_that_counted(flaky: Flaky) -> None:
    """More items than one file holds the inputs of; each takes in a version that is published in a repeated turn."""
    register_all(made)
    answers: dict[str, Answer] = {"raw": lambda n: n, "made": lambda n: n, "count": lambda ns, extra: len(ns) + extra}
    execution = Driver(answers).run(start(workflow_of(mapping), {"n": 3}))
    assert outputs(execution) == {"o0": 3 + MANY}
    made_of = Derivation.objects.filter(target__artifact__name="repeated-made", source__artifact__name="repeated-raw")
    assert made_of.values("source").distinct().count() == MANY


def test_a_turn_reads_what_it_wrote_and_another_what_lies_there(object_store: object) -> None:
    from artifacts.store import store

    uri = f"{store().root}/metadata/p/d/e/n0/outputs.pb"
    first, second, third = Literals(), Literals(), Literals()
    for turn, version in ((first, "101"), (second, "102")):
        values = read("")
        values.literals["o0"].metadata["_ua"] = version
        turn.write(uri, values)
        assert turn.read(uri).literals["o0"].metadata["_ua"] == version
    assert third.read(uri).literals["o0"].metadata["_ua"] == "102"

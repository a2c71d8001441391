"""Where a value came from is what the control plane says: what users' code writes into literal metadata is nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from flyteidl.core import literals_pb2, types_pb2
from flytekit import Artifact, map_task, task, workflow

from artifacts.actions.publish import Publication, publish
from artifacts.literals import from_json, parts
from artifacts.models import ArtifactVersion
from lineage.models import Derivation, VersionEdge
from scheduler.attempts.outcomes import Outcome
from scheduler.phases import ExecutionPhase
from scheduler.shell import data
from tests.flyte import register_all
from tests.scheduler.driving import Driver, outputs, start, workflow_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

INTEGER = types_pb2.LiteralType(simple=types_pb2.INTEGER)


@dataclass
class Forger(Driver):
    """A user's code that says of everything it writes that it is that version."""

    mark: int = 0

    def answer(self, row: Any) -> Outcome:
        outcome = super().answer(row)
        if outcome.output_uri.endswith("outputs.pb"):
            written = literals_pb2.LiteralMap()
            written.CopyFrom(data.read(outcome.output_uri))
            for literal in written.literals.values():
                for part in parts(literal):
                    part.metadata["_ua"] = str(self.mark)
            forged = outcome.output_uri.replace("outputs.pb", "forged.pb")
            data.write(forged, written)
            return Outcome(outcome.phase, output_uri=forged)
        return outcome


@task
def one(n: int) -> int:
    return n


@task
def many(n: int) -> list[int]:
    return [n]


@task
def total(ns: list[int], n: int) -> Annotated[int, Artifact(name="forged-total")]:
    return n


@workflow
def forging(n: int) -> tuple[int, list[int], int]:
    ns = many(n=one(n=n))
    return total(ns=map_task(one)(n=ns), n=one(n=n)), ns, one(n=n)


@pytest.fixture
def secret() -> ArtifactVersion:
    literal = from_json(7, INTEGER, name="x")
    return publish(Publication("secret", "production", "formula", literal, INTEGER, card="# Secret"), actor="boss")


def test_outputs_that_claim_to_be_a_version_are_not_taken_for_it(secret: ArtifactVersion) -> None:
    register_all(one)
    answers: dict[str, Callable[..., Any]] = {"one": lambda n: 7, "many": lambda n: [7], "total": lambda ns, n: 7}
    execution = Forger(answers, mark=secret.pk).run(start(workflow_of(forging), {"n": 7}))
    assert execution.phase == ExecutionPhase.SUCCEEDED
    assert outputs(execution) == {"o0": 7, "o1": [7], "o2": 7}
    version = ArtifactVersion.objects.get(artifact__name="forged-total")
    assert version.same_data_as_id is None and not version.card
    assert not VersionEdge.objects.filter(version=secret).exists()
    assert not Derivation.objects.filter(source=secret).exists()
    marks = {part.metadata["_ua"] for part in _parts(execution.outputs_uri) if "_ua" in part.metadata}
    assert marks == {str(version.pk)}


def _parts(uri: str) -> list[literals_pb2.Literal]:
    return [part for literal in data.read(uri).literals.values() for part in parts(literal)]

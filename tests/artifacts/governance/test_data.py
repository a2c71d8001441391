"""Checks of what a dataset holds, by its profile."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.utils import timezone
from flyteidl.core import literals_pb2, types_pb2

from artifacts.actions.publish import Publication, publish
from artifacts.governance.checks import Wish, set_check
from artifacts.governance.data import judge_concept, judge_data, overdue
from artifacts.governance.quarantine import quarantine
from artifacts.models import ArtifactVersion, CheckResult, VersionProfile
from artifacts.store import store
from tests.artifacts.governance.making import model, the_artifact

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Datasets lie in it."""


def dataset(version: str, **columns: Any) -> ArtifactVersion:
    """A published parquet file."""
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    uri = store().join(store().root, "data", f"{version}.parquet")
    store().put(uri, target.getvalue())
    kind = types_pb2.LiteralType(structured_dataset_type=types_pb2.StructuredDatasetType(format="parquet"))
    metadata = literals_pb2.StructuredDatasetMetadata(structured_dataset_type=kind.structured_dataset_type)
    scalar = literals_pb2.Scalar(structured_dataset=literals_pb2.StructuredDataset(uri=uri, metadata=metadata))
    publication = Publication(
        project="flytesnacks",
        domain="development",
        name="rides",
        literal=literals_pb2.Literal(scalar=scalar),
        literal_type=kind,
        version=version,
    )
    return publish(publication, actor="ada")


def said(version: ArtifactVersion) -> dict[str, tuple[str, str]]:
    return {row.name: (row.status, row.message) for row in CheckResult.objects.filter(version=version)}


def judged(version: ArtifactVersion) -> dict[str, tuple[str, str]]:
    judge_data(version.pk)
    return said(version)


def test_it_is_pending_until_a_worker_read_it_once() -> None:
    first = dataset("v1", x=[1, 2, 3])
    set_check(first.artifact, Wish("many", "rows", {"at_least": 3}), actor="root")
    second = dataset("v2", x=[1])
    assert said(second) == {"many": ("pending", "its data is still to be read")}
    assert judged(first) == {"many": ("passed", "the number of rows is 3")}
    assert judged(second) == {"many": ("failed", "the number of rows is 1, at least 3 is asked")}
    assert judge_data(second.pk) == 0
    assert VersionProfile.objects.count() == 2


def test_what_a_killed_worker_left_is_found() -> None:
    first = dataset("v1", x=[1])
    set_check(first.artifact, Wish("many", "rows", {"at_least": 3}), actor="root")
    assert overdue(limit=10) == []
    CheckResult.objects.update(at=timezone.now() - timedelta(minutes=1))
    assert overdue(limit=10) == [first.pk]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"columns": {"x": "bigint", "name": "VARCHAR"}}, ""),
        ({"columns": {"x": "DOUBLE"}}, "x is BIGINT, not DOUBLE"),
        ({"columns": {"y": "BIGINT"}}, "it has no column y"),
        ({"columns": {"x": "BIGINT"}, "exact": True}, "it also has name"),
        ({"not_null": ["x"]}, ""),
        ({"not_null": ["name"]}, "name has 1 nulls"),
        ({"not_null": ["y"]}, "it has no column y"),
    ],
)
def test_the_schema_is_as_asked_for(parameters: dict[str, Any], problem: str) -> None:
    version = dataset("v1", x=[1, 2], name=["a", None])
    set_check(version.artifact, Wish("shape", "schema", parameters), actor="root")
    status, message = judged(version)["shape"]
    assert (status, message) == (("failed", problem) if problem else ("passed", "as asked for"))


def test_drift_against_the_previous_version() -> None:
    first = dataset("v1", x=list(range(1000)), c=["a", "b"] * 500)
    set_check(first.artifact, Wish("still", "drift", {"against": "previous"}), actor="root")
    assert judged(first)["still"] == ("passed", "there is nothing to compare it with (previous)")
    same = dataset("v2", x=list(range(1000)), c=["b", "a"] * 500)
    assert judged(same)["still"][0] == "passed"
    moved = dataset("v3", x=list(range(800, 1800)), c=["a", "b"] * 500)
    status, message = judged(moved)["still"]
    assert status == "failed" and message.startswith("against previous: x (psi ")
    row = CheckResult.objects.get(version=moved)
    assert row.numbers["value"] == row.evidence["columns"]["x"]["psi"] > 0.2
    assert row.evidence["against"] == same.pk and row.evidence["columns"]["c"]["psi"] == 0


def test_what_cannot_be_read_fails_with_the_reason() -> None:
    version = dataset("v1", x=[1])
    store().delete(version.uri)
    store().put(version.uri, b"\x00nothing")
    set_check(version.artifact, Wish("many", "rows", {"at_least": 1}), actor="root")
    assert judged(version)["many"] == (
        "failed",
        "its data cannot be read: only parquet, CSV and Arrow files can be profiled",
    )


def test_a_metric_that_gets_worse_over_versions_is_concept_drift() -> None:
    model("v0", auc=0.9)
    for number in range(1, 9):
        model(f"v{number}", auc=0.9 + 0.001 * (number % 3))
    set_check(the_artifact(), Wish("steady", "concept", {"metric": "auc", "recent": 3, "by": 0.01}), actor="root")
    steady = model("v9", auc=0.901)
    assert said(steady)["steady"][0] == "pending"  # scipy is no part of a publication
    assert judged(steady)["steady"][0] == "passed"
    quarantine(steady, actor="root", reason="to be left out")
    worse = [model(f"w{number}", auc=0.85) for number in range(3)]
    status, message = judged(worse[-1])["steady"]
    assert status == "failed"
    assert message.startswith(
        "the median of auc is 0.85 in the newest 3 versions, 0.901 in the 9 before: worse by 0.05"
    )
    row = CheckResult.objects.get(version=worse[-1])
    assert row.numbers["p_value"] < 0.05 and row.numbers["versions"] == 12
    assert row.numbers["value"] == pytest.approx(0.051)
    assert judged(worse[0])["steady"][0] == "passed"  # one bad version among three is no drift
    slight = [model(f"x{number}", auc=0.849 - 0.0001 * number) for number in range(3)]
    rows = CheckResult.objects.filter(version=slight[-1])
    near = {"metric": "auc", "recent": 3, "before": 3, "by": 0.01}
    set_check(the_artifact(), Wish("steady", "concept", near), actor="root")
    judge_data(slight[-1].pk)
    assert rows.get().status == "passed"  # surely worse, and by less than matters


def test_three_that_are_all_worse_than_three_are_told_from_chance() -> None:
    values = [0.7, 0.71, 0.72, 0.9, 0.91, 0.92]
    parameters = {"metric": "auc", "recent": 3, "before": 3, "p": 0.05, "better": "more"}
    assert judge_concept(parameters, values).status == "failed"  # 1 of 20 deals is as bad: p is 0.05
    assert judge_concept(parameters, [*values[:2], 0.9, *values[3:]]).status == "passed"


def test_a_version_without_the_metric_is_not_judged_by_others() -> None:
    set_check(model("v1", auc=0.9).artifact, Wish("steady", "concept", {"metric": "auc"}), actor="root")
    assert judged(model("v2"))["steady"] == ("failed", "it has no metric 'auc'")


def test_with_too_few_versions_it_passes_and_says_so() -> None:
    first = model("v1", auc=0.9)
    set_check(first.artifact, Wish("steady", "concept", {"metric": "auc"}), actor="root")
    assert judged(first)["steady"] == (
        "passed",
        "1 versions have auc: too few to compare the newest 5 with those before",
    )

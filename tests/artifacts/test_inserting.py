"""Rows put in by columns are the rows that `bulk_create` would have made."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from django.db import DataError, IntegrityError, transaction

from artifacts.inserting import insert_rows
from artifacts.models import Artifact, ArtifactVersion, Kind, Metric
from artifacts.terms import terms_of

pytestmark = pytest.mark.django_db
AT = datetime(2026, 5, 17, 8, tzinfo=timezone.utc)


def version(artifact: Artifact, number: int) -> ArtifactVersion:
    row = ArtifactVersion(
        artifact=artifact,
        version=f"v{number} \"quoted\" \\ 'so'",
        kind=Kind.DATASET,
        literal=bytes([number, 0, 255]),
        literal_type=b"",
        partitions={"région": 'S"E\\A'},
        partition_digest="d",
        time_partition=AT if number % 2 else None,
        attempt=number or None,
        metadata={"framework": "it's"},
        metrics={"auc": 0.5},
        created_at=AT,
    )
    row.terms = terms_of(row)
    return row


def test_what_is_put_in_is_what_is_read() -> None:
    artifact = Artifact.objects.create(project="p", domain="d", name="a", kind=Kind.DATASET)
    rows, others = [version(artifact, number) for number in range(5)], [version(artifact, 9)]
    insert_rows(rows)
    ArtifactVersion.objects.bulk_create(others)
    for row in (*rows, *others):
        kept = ArtifactVersion.objects.get(pk=row.pk)
        assert kept.version == row.version, "each row has its own key"
        for field in ArtifactVersion._meta.concrete_fields:
            value = getattr(kept, field.attname)
            if field.name == "terms":
                assert "'framework'" in value
                assert "'s'" in value
            else:
                assert (bytes(value) if isinstance(value, memoryview) else value) == getattr(row, field.attname)
    assert not rows[0]._state.adding
    insert_rows(list[Metric]())


def test_a_key_that_is_taken_is_the_databases_error() -> None:
    artifact = Artifact.objects.create(project="p", domain="d", name="a", kind=Kind.DATASET)
    insert_rows([version(artifact, 1)])
    with pytest.raises(IntegrityError, match="artifact_version_unique"), transaction.atomic():
        insert_rows([version(artifact, 2), version(artifact, 1)])


def test_what_is_too_long_is_refused_and_not_cut() -> None:
    artifact = Artifact.objects.create(project="p", domain="d", name="a", kind=Kind.DATASET)
    row = version(artifact, 1)
    row.node_id = "n" * 256
    with pytest.raises(DataError, match="too long"), transaction.atomic():
        insert_rows([row])
    assert not ArtifactVersion.objects.exists()

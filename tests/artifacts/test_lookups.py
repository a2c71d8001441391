"""`__in` of many values finds what it finds of few, as one array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from artifacts.lookups import MANY
from artifacts.models import Alias, Artifact, Kind, Metric
from tests.artifacts.publishing import published

pytestmark = pytest.mark.django_db


@pytest.fixture
def artifacts() -> list[Artifact]:
    return Artifact.objects.bulk_create(
        Artifact(
            project="flytesnacks", domain="development", name=f"a{n:03}", kind=Kind.VALUE, created_at=timezone.now()
        )
        for n in range(MANY + 30)
    )


def is_array(rows: QuerySet[Any]) -> bool:
    return "= ANY(" in str(rows.query)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_numbers_and_texts_are_found(artifacts: list[Artifact], kind: Callable[..., Any]) -> None:
    wanted = artifacts[5:-5]
    for rows in (
        Artifact.objects.filter(pk__in=kind(one.pk for one in wanted)),
        Artifact.objects.filter(name__in=kind(one.name for one in wanted)),
        Artifact.objects.exclude(pk__in=kind(one.pk for one in [*artifacts[:5], *artifacts[-5:]] * 6)),
    ):
        assert set(rows) == set(wanted)
    assert is_array(Artifact.objects.filter(name__in=kind(one.name for one in wanted)))


def test_doubles_count_once_and_what_is_not_there_is_no_matter(artifacts: list[Artifact]) -> None:
    ids = [artifacts[0].pk] * MANY + [-1, artifacts[1].pk]
    assert Artifact.objects.filter(pk__in=ids).count() == 2


def test_what_refers_to_many_rows_is_found(artifacts: list[Artifact]) -> None:
    version = published("a001")
    Metric.objects.create(version=version, name="auc", value=0.5)
    Alias.objects.create(artifact=version.artifact, name="champion", version=version, moved_at=timezone.now())
    by_key = Alias.objects.filter(artifact__in=[one.pk for one in artifacts])
    assert [one.version for one in by_key] == [version] and is_array(by_key)
    assert Alias.objects.filter(artifact__in=artifacts).count() == 1, "rows for their keys"
    assert Alias.objects.filter(artifact__in=Artifact.objects.all()).count() == 1, "a query"
    assert Alias.objects.filter(artifact__name__in=[one.name for one in artifacts]).count() == 1
    assert list(Artifact.objects.prefetch_related("versions"))


def test_few_values_and_mixed_ones_are_left_to_django(artifacts: list[Artifact]) -> None:
    few = Artifact.objects.filter(pk__in=[one.pk for one in artifacts[:MANY]])
    assert few.count() == MANY and not is_array(few)
    with_none = Artifact.objects.filter(name__in=[None, *(one.name for one in artifacts)])
    assert with_none.count() == len(artifacts) and not is_array(with_none)
    assert not Artifact.objects.filter(name__in=[]).exists()


def test_a_text_is_a_value_whatever_stands_in_it(artifacts: list[Artifact]) -> None:
    odd = ['a,b"{}', "a\\b", "it's", "NULL", "%s", ""]
    Artifact.objects.filter(pk=artifacts[0].pk).update(name=odd[0])
    Artifact.objects.filter(pk=artifacts[1].pk).update(name=odd[1])
    Artifact.objects.filter(pk=artifacts[2].pk).update(name=odd[2])
    names = [*odd, *(f"none{n}" for n in range(MANY))]
    assert {one.name for one in Artifact.objects.filter(name__in=names)} == set(odd[:3])

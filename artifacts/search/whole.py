"""Facets of all versions of some artifacts, not of the newest alone: a busy artifact hides none of the others.

What artifacts and combinations of partition values there are is known without their versions, so every value is told;
its versions are counted by index until there are FACETED of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from artifacts.models import Artifact, Partition
from artifacts.search.facets import FACETED, KEYS, Facet, Facets

ARTIFACTS = 5_000  # with more, the newest versions have to do
SLICES = 1_000  # combinations of partition values, likewise
VALUES = 8  # of a facet, those of the newest versions first
_FEW = f"SELECT count(*) FROM ({{found}} LIMIT {FACETED + 1}) AS few"  # noqa: S608 - a constant
# Versions of an artifact need not be of its kind.
_OF_KIND = _FEW.format(found="SELECT FROM artifacts_artifactversion WHERE kind = %s AND removed_at IS NULL")
_EACH = f"""
SELECT FROM {{parts}} CROSS JOIN LATERAL (
    SELECT FROM artifacts_artifactversion AS version
    WHERE version.artifact_id = part.artifact AND removed_at IS NULL {{slice}} LIMIT {FACETED + 1}
) AS one
"""  # noqa: S608 - constants
_OF_ARTIFACTS = _FEW.format(found=_EACH.format(parts="unnest(%s::bigint[]) AS part (artifact)", slice=""))
_OF_SLICES = _FEW.format(
    found=_EACH.format(
        parts="unnest(%s::bigint[], %s::text[]) AS part (artifact, digest)",
        slice="AND version.partition_digest = part.digest",
    )
)


class Known(NamedTuple):
    """As much of an artifact as facets tell."""

    pk: int
    kind: str
    project: str
    domain: str
    name: str
    partition_keys: list[str]


Statement = tuple[str, list[Any]]
ByValue = dict[str, list[int]]  # artifacts
Slices = dict[str, list[tuple[int, str]]]  # by value, artifacts and digests of the partition values that have it


def of_all(artifacts: Sequence[Known], newest: Facets) -> Facets:
    """`newest`, with the facets of kind, project, domain, name and partition keys of all versions of the artifacts.
    Three queries. As it is where there are too many artifacts to look at; kinds only where these are all there are.
    """
    if len(artifacts) > ARTIFACTS:
        return newest
    asked = [*_kinds(artifacts, newest), *_of_artifacts(artifacts, newest), *_of_slices(artifacts, newest)]
    values: dict[str, list[Facet]] = defaultdict(list)
    for (label, value, _), count in zip(asked, _counted([one for _, _, one in asked]), strict=True):
        if count:
            values[label].append(Facet(value, count))
    ordered = {label: sorted(found, key=lambda one: -one.versions) for label, found in values.items()}
    return newest._replace(values={**newest.values, **ordered}, whole=frozenset(ordered))


Asked = tuple[str, str, Statement]  # a facet, one of its values, and what counts its versions


def _kinds(artifacts: Sequence[Known], newest: Facets) -> list[Asked]:
    kinds = {one.kind for one in artifacts} | {one.value for one in newest.values.get("kind", ())}
    are_all = len(kinds) > 1 and len(artifacts) == Artifact.objects.count()  # one kind tells nothing apart
    return [("kind", kind, (_OF_KIND, [kind])) for kind in sorted(kinds) if are_all]


def _of_artifacts(artifacts: Sequence[Known], newest: Facets) -> Iterator[Asked]:
    projects, domains, names = defaultdict(list), defaultdict(list), defaultdict(list)
    for pk, _, project, domain, name, _ in artifacts:
        projects[project].append(pk)
        domains[domain].append(pk)
        names[name].append(pk)
    by_label: dict[str, ByValue] = {"project": projects, "domain": domains, "name": names}
    for label, by_value in by_label.items():
        for value in _first(by_value, newest.values.get(label, ())):
            yield label, value, (_OF_ARTIFACTS, [by_value[value]])


def _of_slices(artifacts: Sequence[Known], newest: Facets) -> Iterator[Asked]:
    """By partition key, where there are few combinations of values."""
    keyed = [one.pk for one in artifacts if one.partition_keys][: SLICES + 1]  # each has one at least
    rows = Partition.objects.filter(artifact__in=keyed)
    if not keyed or len(keyed) > SLICES or rows[: SLICES + 1].count() > SLICES:
        return
    found: dict[str, Slices] = defaultdict(lambda: defaultdict(list))
    for artifact, digest, values in rows.values_list("artifact", "digest", "values"):
        for key, value in values.items():
            found[f"partition.{key}"][value].append((artifact, digest))
    widest = sorted(found.items(), key=lambda one: (-sum(map(len, one[1].values())), one[0]))
    for label, by_value in widest[:KEYS]:
        for value in _first(by_value, newest.values.get(label, ())):
            yield label, value, (_OF_SLICES, list(map(list, zip(*by_value[value], strict=True))))


def _first(by_value: Mapping[str, Sequence[Any]], newest: Sequence[Facet]) -> list[str]:
    """The values that are counted: those of the newest versions, then those of most artifacts. None of a single one: it
    tells nothing apart.
    """
    known = [one.value for one in newest if one.value in by_value]
    others = sorted(by_value, key=lambda value: (-len(by_value[value]), value))
    return list(dict.fromkeys([*known, *others]))[:VALUES] if len(by_value) > 1 else []


def _counted(statements: Sequence[Statement]) -> list[int]:
    if not statements:
        return []
    with connection.cursor() as cursor:
        sql = f"SELECT {', '.join(f'({one})' for one, _ in statements)}"  # noqa: S608 - constants
        cursor.execute(sql, [value for _, values in statements for value in values])
        return list(cursor.fetchone() or ())

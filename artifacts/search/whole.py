"""Facets of all versions of some artifacts, not of the newest alone: a busy artifact hides none of the others.

What artifacts and combinations of partition values there are is known without their versions, so every value is told;
its versions are counted by index until there are FACETED of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from artifacts.models import Artifact, Partition
from artifacts.search.facets import FACETED, KEYS, Facet, Facets

ARTIFACTS = 5_000  # with more, the newest versions have to do
SLICES = 4_000  # combinations of partition values, likewise
VALUES = 8  # of a facet, those of the newest versions first
_ONE_VALUE = """
SELECT count(*) FROM (
    SELECT FROM unnest(%s::bigint[], %s::text[]) AS part (artifact, digest) CROSS JOIN LATERAL (
        SELECT FROM artifacts_artifactversion AS version
        WHERE version.artifact_id = part.artifact AND removed_at IS NULL {slice} LIMIT {most}
    ) AS one LIMIT {most}
) AS few
"""
# Versions of an artifact need not be of its kind.
_OF_KIND = f"""
SELECT count(*) FROM (
    SELECT FROM artifacts_artifactversion WHERE kind = %s AND removed_at IS NULL LIMIT {FACETED + 1}
) AS few
"""  # noqa: S608 - a constant
_OF_ARTIFACTS = _ONE_VALUE.format(slice="", most=FACETED + 1)
_OF_SLICES = _ONE_VALUE.format(slice="AND version.partition_digest = part.digest", most=FACETED + 1)


class Part(NamedTuple):
    artifact: int
    digest: str = ""  # of the partition values; empty: all of the artifact


Parts = dict[str, list[Part]]  # by value
Statement = tuple[str, list[Any]]


def of_all(artifacts: Sequence[Artifact], newest: Facets) -> Facets:
    """`newest`, with the facets of kind, project, domain, name and partition keys of all versions of the artifacts.
    Three queries. As it is where there are too many artifacts to look at; kinds only where these are all there are.
    """
    if len(artifacts) > ARTIFACTS:
        return newest
    parts: dict[str, Parts] = {label: defaultdict(list) for label in ("project", "domain", "name")}
    for one in artifacts:
        for label in parts:
            parts[label][getattr(one, label)].append(Part(one.pk))
    parts |= _by_key(artifacts)
    kinds = sorted({one.kind for one in artifacts} | {one.value for one in newest.values.get("kind", ())})
    asked = [("kind", kind, _kind(kind)) for kind in kinds if len(artifacts) == Artifact.objects.count()]
    for label, by_value in parts.items():
        if len(by_value) > 1:
            for value in _first(by_value, newest.values.get(label, ())):
                asked.append((label, value, _of_parts(by_value[value])))
    values: dict[str, list[Facet]] = defaultdict(list)
    for (label, value, _), count in zip(asked, _counted([one for _, _, one in asked]), strict=True):
        if count:
            values[label].append(Facet(value, count))
    ordered = {label: sorted(found, key=lambda one: -one.versions) for label, found in values.items()}
    return newest._replace(values={**newest.values, **ordered}, whole=frozenset(ordered))


def _by_key(artifacts: Sequence[Artifact]) -> Mapping[str, Parts]:
    keyed = [one.pk for one in artifacts if one.partition_keys]
    rows = Partition.objects.filter(artifact__in=keyed).values_list("artifact", "digest", "values")
    slices = list(rows[: SLICES + 1]) if keyed else []
    found: dict[str, Parts] = defaultdict(lambda: defaultdict(list))
    for artifact, digest, values in slices if len(slices) <= SLICES else ():
        for key, value in values.items():
            found[f"partition.{key}"][value].append(Part(artifact, digest))
    widest = sorted(found.items(), key=lambda one: (-sum(map(len, one[1].values())), one[0]))
    return dict(widest[:KEYS])


def _first(by_value: Parts, newest: Sequence[Facet]) -> list[str]:
    """The values that are counted: those of the newest versions, then those of most artifacts."""
    known = [one.value for one in newest if one.value in by_value]
    others = sorted(by_value, key=lambda value: (-len(by_value[value]), value))
    return list(dict.fromkeys([*known, *others]))[:VALUES]


def _kind(kind: str) -> Statement:
    return _OF_KIND, [kind]


def _of_parts(parts: Sequence[Part]) -> Statement:
    of_slices = bool(parts[0].digest)
    return _OF_SLICES if of_slices else _OF_ARTIFACTS, [[one.artifact for one in parts], [one.digest for one in parts]]


def _counted(statements: Sequence[Statement]) -> list[int]:
    if not statements:
        return []
    with connection.cursor() as cursor:
        sql = f"SELECT {', '.join(f'({one})' for one, _ in statements)}"  # noqa: S608 - constants
        cursor.execute(sql, [value for _, values in statements for value in values])
        return list(cursor.fetchone() or ())

"""Facts about versions and executions, written in the transaction of what they describe.

Writing one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from artifacts.arrays import column_of
from artifacts.inserting import insert_rows
from artifacts.prepared import prepared
from lineage.models import ExecutionLink, LinkKind, VersionEdge, VersionRole, Via


@dataclass(frozen=True)
class Use:
    """One version at one place of an execution. `node_id` empty: the execution's own input or output.

    `sources`, of what was produced: the ids of the nearest published versions that flowed into it.
    """

    version_id: int
    node_id: str = ""
    attempt: int = 0
    variable: str = ""
    via: Via = Via.LITERAL
    sources: tuple[int, ...] = ()


def record_produced(execution_key: str, uses: Iterable[Use], *, at: datetime) -> None:
    """The execution published these versions, out of their sources. Two queries at most, whatever their number."""
    found = list(uses)
    _record(execution_key, found, VersionRole.PRODUCED, at)
    record_derivations((source, use.version_id) for use in found for source in use.sources)


def record_consumed(execution_key: str, uses: Iterable[Use], *, at: datetime) -> None:
    """The execution, or one of its nodes, took these versions in. One query, whatever their number.

    Ids come with literals that users' containers write: one that names no version is left out.
    """
    record_all_consumed([(execution_key, at, use) for use in uses])


def record_all_consumed(uses: Sequence[tuple[str, datetime, Use]]) -> None:
    """As `record_consumed`, of several executions: with the key of each, and when."""
    if not uses:
        return
    found = [use for _, _, use in uses]
    with prepared() as cursor:
        cursor.execute(
            _CONSUMED,
            {
                "role": VersionRole.CONSUMED.value,
                "executions": column_of(key for key, _, _ in uses),
                "ats": column_of(at for _, at, _ in uses),
                "versions": column_of(use.version_id for use in found),
                "nodes": column_of(use.node_id[:255] for use in found),
                "attempts": column_of(use.attempt for use in found),
                "variables": column_of(use.variable[:255] for use in found),
                "vias": column_of(use.via.value for use in found),
            },
        )


_CONSUMED = """
INSERT INTO lineage_versionedge (version_id, execution_key, node_id, attempt, variable, role, via, at)
SELECT used.version, used.execution, used.node, used.attempt, used.variable, %(role)s::text, used.via, used.at
FROM unnest(
    %(executions)s::text[], %(ats)s::timestamptz[], %(versions)s::bigint[], %(nodes)s::text[], %(attempts)s::int[],
    %(variables)s::text[], %(vias)s::text[]
) AS used(execution, at, version, node, attempt, variable, via)
JOIN artifacts_artifactversion AS version ON version.id = used.version
ON CONFLICT DO NOTHING
"""


def _record(execution_key: str, uses: Iterable[Use], role: VersionRole, at: datetime) -> None:
    edges = [
        VersionEdge(
            version_id=use.version_id,
            execution_key=execution_key,
            node_id=use.node_id,
            attempt=use.attempt,
            variable=use.variable,
            role=role,
            via=use.via,
            at=at,
        )
        for use in uses
    ]
    if edges:
        VersionEdge.objects.bulk_create(edges, ignore_conflicts=True, batch_size=1000)


# A source is older than what is made of it: the graph has no circles, whatever a literal claims.
_DERIVED = """
INSERT INTO lineage_derivation (source_id, target_id)
SELECT DISTINCT pair.source, pair.target
FROM unnest(%(sources)s::bigint[], %(targets)s::bigint[]) AS pair(source, target)
JOIN artifacts_artifactversion AS source ON source.id = pair.source
WHERE pair.source < pair.target
ON CONFLICT DO NOTHING
"""


def record_derivations(pairs: Iterable[tuple[int, int]]) -> None:
    """(source, target): the target was made of the source. Sources that do not exist, or are younger, are left out."""
    found = sorted(set(pairs))
    if found:
        with connection.cursor() as cursor:
            cursor.execute(_DERIVED, {"sources": [one[0] for one in found], "targets": [one[1] for one in found]})


def record_started(
    execution_key: str, *, kind: LinkKind, source: str, at: datetime, detail: Mapping[str, object] | None = None
) -> None:
    """The execution was started by `source`: an execution key, or `trigger:<id>`, `schedule:<id>`."""
    link = ExecutionLink(execution_key=execution_key, kind=kind, source=source, detail=dict(detail or {}), at=at)
    record_links([link])


def record_links(links: Sequence[ExecutionLink]) -> None:
    """As `record_started`, of several executions."""
    insert_rows(links, unless_there=True)


_READ = """
INSERT INTO lineage_versionread (version_id, "by", times, first_at, last_at)
SELECT version, %(by)s, 1, %(at)s, %(at)s FROM unnest(%(versions)s::bigint[]) AS version ORDER BY version
ON CONFLICT (version_id, "by") DO UPDATE SET times = lineage_versionread.times + 1, last_at = excluded.last_at
"""


def record_reads(version_ids: Collection[int], *, by: str, at: datetime) -> None:
    """Somebody queried the data of these versions."""
    if version_ids:
        with connection.cursor() as cursor:
            cursor.execute(_READ, {"versions": sorted(version_ids), "by": by, "at": at})

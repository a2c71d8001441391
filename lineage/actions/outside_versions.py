"""Outputs of runs elsewhere become versions, where a naming rule says so, and hang together as their runs do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from flyteidl.core import literals_pb2, types_pb2

from artifacts.actions.publish import Publication
from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion, Granularity
from lineage.models import DatasetRule
from lineage.outside.events import Name, read_time
from lineage.outside.facets import shown
from lineage.outside.rules import Named, Rule, address_of, named_by
from lineage.statements import rows_of, run_columns

# Of each publication the version, or why there is none.
Publish = Callable[[Sequence[Publication]], list[ArtifactVersion | CausewayError]]


@dataclass(frozen=True)
class _Output:
    """What a completed run wrote, of which there is no version yet. `ended`, `began`: the run."""

    use: int
    dataset: Name
    facets: str  # as stored
    run_id: uuid.UUID
    began: datetime
    ended: datetime
    run_facets: str
    job: str


_OUTPUTS = """
SELECT used.id, dataset.namespace, dataset.name, used.facets, run.run_id, coalesce(run.started_at, run.first_at),
       run.ended_at, run.facets, job.name
FROM lineage_outsideuse AS used
JOIN lineage_outsiderun AS run ON run.id = used.run_id
JOIN lineage_outsidejob AS job ON job.id = run.job_id
JOIN lineage_outsidedataset AS dataset ON dataset.id = used.dataset_id
WHERE used.run_id = ANY(%s) AND used.role = 'output' AND run.state = 'COMPLETE' AND used.version_id IS NULL
ORDER BY run.ended_at, used.id
"""
_MADE = """
UPDATE lineage_outsideuse AS kept SET version_id = new.version, made_at = new.ended, refusal = new.refusal
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[]) AS new(id, version, ended, refusal)
WHERE kept.id = new.id
RETURNING kept.dataset_id, kept.made_at
"""


# An output in the namespace of the place's own artifacts is the version that its facet names. What an execution of ours
# made of what is known; of one from outside the run tells.
_OWN = """
UPDATE lineage_outsideuse AS kept
SET version_id = version.id, made_at = CASE WHEN version.execution_key = '' THEN run.ended_at END
FROM lineage_outsiderun AS run, lineage_outsidedataset AS dataset, artifacts_artifact AS artifact,
    artifacts_artifactversion AS version
WHERE kept.run_id = ANY(%s) AND kept.role = 'output' AND kept.version_id IS NULL
    AND run.id = kept.run_id AND run.state = 'COMPLETE'
    AND dataset.id = kept.dataset_id AND dataset.namespace = %s
    AND artifact.project = %s AND artifact.domain = %s AND artifact.name = dataset.name
    AND version.artifact_id = artifact.id AND version.version = kept.facets #>> '{version,1,datasetVersion}'
RETURNING kept.dataset_id, kept.made_at
"""
_ANY_MADE = """
SELECT EXISTS (SELECT FROM lineage_outsideuse WHERE run_id = ANY(%s) AND role = 'output' AND made_at IS NOT NULL)
"""


def publish_outputs(place: tuple[str, str], runs: Sequence[int], *, publish: Publish) -> int:
    """The number of versions that the rules of the place made of what these runs wrote; those that are there already,
    as the runs say themselves, hang together with the others.
    """
    project, domain = place
    if not runs:
        return 0
    namespace = f"{settings.CAUSEWAY_OPENLINEAGE_NAMESPACE}/{project}/{domain}"
    there = rows_of(_OWN, [list(runs), namespace, project, domain])
    rules = list(DatasetRule.objects.filter(project=project, domain=domain).order_by("position", "id"))
    made = [row for row in _made(rules, place, runs, publish) if row[1] is not None] if rules else []
    if rules or rows_of(_ANY_MADE, [list(runs)])[0][0]:
        _derive(runs, [*made, *(row for row in there if row[1] is not None)], place)
    return len(made)


def _made(
    rules: Sequence[DatasetRule], place: tuple[str, str], runs: Sequence[int], publish: Publish
) -> list[tuple[Any, ...]]:
    patterns = [Rule(one.namespace, one.name, one.artifact, tuple(one.partitions.items())) for one in rules]
    results: list[tuple[_Output, ArtifactVersion | CausewayError]] = []
    wanted: list[tuple[_Output, Publication]] = []
    for use, namespace, name, *rest in rows_of(_OUTPUTS, [list(runs)]):
        output = _Output(use, Name(namespace, name), *rest)
        found = named_by(patterns, output.dataset)
        if found is None:
            continue
        index, named = found
        if isinstance(named, Named):
            wanted.append((output, _publication(output, named, rules[index], place)))
        else:
            results.append((output, named))
    if wanted:
        published = publish([publication for _, publication in wanted])
        results += [(output, told) for (output, _), told in zip(wanted, published, strict=True)]
    return run_columns(_MADE, [_row(output, told) for output, told in results])


def _row(output: _Output, told: ArtifactVersion | CausewayError) -> tuple[object, ...]:
    if isinstance(told, CausewayError):
        return output.use, None, None, told.message[:2000]
    return output.use, told.pk, output.ended, ""


def _publication(output: _Output, named: Named, rule: DatasetRule, place: tuple[str, str]) -> Publication:
    """Its identity is the run and the dataset: however often it is told, it is published once."""
    literal, kind = _literal(address_of(output.dataset), rule)
    facets = shown(json.loads(output.facets))
    return Publication(
        *place,
        named.artifact,
        literal,
        kind,
        version=f"{output.run_id}-{output.dataset.key[:8]}",
        partitions=named.partitions,
        time_partition=_time_of(output) if rule.by_time else None,
        granularity=Granularity[rule.by_time.upper()] if rule.by_time else Granularity.UNSET,
        metrics=_metrics(facets.get("outputStatistics")),
        producer=f"openlineage:{output.job}"[:400],
        metadata=_metadata(output, facets),
        at=min(output.ended, timezone.now()),
    )


def _literal(address: str, rule: DatasetRule) -> tuple[literals_pb2.Literal, types_pb2.LiteralType]:
    if rule.shape == "dataset":
        structured = types_pb2.StructuredDatasetType(format=rule.format)
        value = literals_pb2.StructuredDataset(
            uri=address, metadata=literals_pb2.StructuredDatasetMetadata(structured_dataset_type=structured)
        )
        return (
            literals_pb2.Literal(scalar=literals_pb2.Scalar(structured_dataset=value)),
            types_pb2.LiteralType(structured_dataset_type=structured),
        )
    single = types_pb2.BlobType.SINGLE if rule.shape == "file" else types_pb2.BlobType.MULTIPART
    blob_type = types_pb2.BlobType(format=rule.format, dimensionality=single)
    blob = literals_pb2.Blob(uri=address, metadata=literals_pb2.BlobMetadata(type=blob_type))
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(blob=blob)), types_pb2.LiteralType(blob=blob_type)


def _metadata(output: _Output, facets: Mapping[str, Any]) -> dict[str, str]:
    found = {"openlineage.run": str(output.run_id), "openlineage.dataset": output.dataset.name[:1000]}
    version = facets.get("version")
    if isinstance(version, dict) and isinstance(version.get("datasetVersion"), str):
        found["openlineage.version"] = version["datasetVersion"][:1000]
    return found


def _metrics(statistics: Any) -> dict[str, float]:
    """Of the facet outputStatistics, under the names that it gives them."""
    if not isinstance(statistics, dict):
        return {}
    names = {"rowCount": "rows", "size": "bytes", "fileCount": "files"}
    found = {ours: _number(statistics.get(theirs)) for theirs, ours in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    """None for what is none, or larger than a metric can be: no event is refused for it."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _time_of(output: _Output) -> datetime:
    """What the run is for, by its scheduler (facet nominalTime); else when it began."""
    facet = shown(json.loads(output.run_facets)).get("nominalTime")
    try:
        return read_time(facet.get("nominalStartTime"), "nominalStartTime") if isinstance(facet, dict) else output.began
    except CausewayError:
        return output.began


# A version told of late may be what runs read that were told of before: those that began after it was made, and before
# the next one was.
_READERS = """
SELECT DISTINCT reading.run_id
FROM unnest(%s::bigint[], %s::timestamptz[]) AS made(dataset, at)
CROSS JOIN LATERAL (
    SELECT min(made_at) AS at FROM lineage_outsideuse WHERE dataset_id = made.dataset AND made_at > made.at
) AS next
JOIN lineage_outsideuse AS reading ON reading.dataset_id = made.dataset
    AND reading.read_at >= made.at AND reading.read_at < coalesce(next.at, 'infinity')
"""
# What a run read of a dataset is the version that a facet names, or the last one made before the run began. A source
# was made before its target, by the runs' times: there are no circles, whatever the order in which they were told of.
_DERIVE = """
WITH target AS (
    SELECT written.version_id AS id, written.made_at, run.id AS run, coalesce(run.started_at, run.first_at) AS began
    FROM lineage_outsideuse AS written JOIN lineage_outsiderun AS run ON run.id = written.run_id
    WHERE written.run_id = ANY(%(runs)s) AND written.made_at IS NOT NULL
), wanted AS (
    SELECT DISTINCT coalesce(reading.version_id, before.version_id) AS source, target.id AS target
    FROM target
    JOIN lineage_outsideuse AS reading ON reading.run_id = target.run AND reading.role = 'input'
    LEFT JOIN LATERAL (
        SELECT written.version_id
        FROM lineage_outsideuse AS written JOIN lineage_outsiderun AS maker ON maker.id = written.run_id
        WHERE written.dataset_id = reading.dataset_id AND written.made_at <= target.began
          AND written.made_at < target.made_at
        ORDER BY written.made_at DESC, maker.run_id DESC LIMIT 1
    ) AS before ON reading.version_id IS NULL
    WHERE coalesce(reading.version_id, before.version_id) IS NOT NULL
      AND coalesce(reading.version_id, before.version_id) <> target.id
), gone AS (
    DELETE FROM lineage_derivation AS kept USING target
    WHERE kept.target_id = target.id
      AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.target = target.id AND wanted.source = kept.source_id)
)
INSERT INTO lineage_derivation (source_id, target_id) SELECT source, target FROM wanted
ON CONFLICT DO NOTHING
"""


def _derive(runs: Sequence[int], made: Sequence[tuple[Any, ...]], place: tuple[str, str]) -> None:
    """One after the other in a place, each seeing what those before it wrote: else neither of two late versions of a
    dataset would know that the other one takes its readers away. Whoever waits here asks for no further locks.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 16))", ["/".join(place)])
        readers = [run for (run,) in run_columns(_READERS, made)]
        cursor.execute(_DERIVE, {"runs": [*runs, *readers]})

"""Questions about what other systems told: bounded, newest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from artifacts.models import ArtifactVersion
from lineage.models import OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.outside.events import Role
from lineage.outside.facets import shown
from lineage.statements import rows_of

SHOWN = 100  # runs, jobs or datasets beside one thing


class Column(NamedTuple):
    """Of a dataset's schema. `sources`: (namespace, name, field) of the columns it was made of, and how."""

    name: str
    type: str
    description: str
    depth: int  # of a field within fields
    sources: list[tuple[str, str, str]]


def columns_of(dataset: OutsideDataset) -> list[Column]:
    """Of the facets `schema` and `columnLineage`, whatever part of them is there."""
    facets = shown(dataset.facets)
    lineage = _member(facets.get("columnLineage"), "fields", dict)
    rows = list(_fields(_member(facets.get("schema"), "fields", list), 0))
    named = {row[0] for row in rows}
    rows += [(name, "", "", 0) for name in sorted(lineage) if name not in named]
    return [Column(name, kind, text, depth, _sources(lineage.get(name))) for name, kind, text, depth in rows]


def _fields(fields: Iterable[Any], depth: int, path: str = "") -> Iterable[tuple[str, str, str, int]]:
    for field in fields:
        if not isinstance(field, dict) or not isinstance(field.get("name"), str) or depth > 10:
            continue
        name = f"{path}.{field['name']}" if path else field["name"]
        yield name, str(field.get("type") or ""), str(field.get("description") or ""), depth
        inner = field.get("fields")
        if isinstance(inner, list):
            yield from _fields(inner, depth + 1, name)


def _sources(told: Any) -> list[tuple[str, str, str]]:
    found = _member(told, "inputFields", list)
    return [
        (str(one.get("namespace", "")), str(one.get("name", "")), str(one.get("field", "")))
        for one in found
        if isinstance(one, dict)
    ]


def _member(facet: Any, name: str, kind: type[Any]) -> Any:
    value = facet.get(name) if isinstance(facet, dict) else None
    return value if isinstance(value, kind) else kind()


class Neighbour(NamedTuple):
    """A job that reads or writes a dataset, or a dataset of a job: how often, and when last."""

    pk: int
    namespace: str
    name: str
    role: str
    runs: int
    last: datetime | None


_JOBS_OF = """
SELECT job.id, job.namespace, job.name, used.role, count(used.run_id), max(run.seen_at)
FROM lineage_outsideuse AS used JOIN lineage_outsidejob AS job ON job.id = used.job_id
LEFT JOIN lineage_outsiderun AS run ON run.id = used.run_id
WHERE used.dataset_id = %s GROUP BY 1, 2, 3, 4 ORDER BY 6 DESC NULLS LAST, 1 DESC LIMIT %s
"""
_DATASETS_OF = """
SELECT dataset.id, dataset.namespace, dataset.name, used.role, count(used.run_id), max(run.seen_at)
FROM lineage_outsideuse AS used JOIN lineage_outsidedataset AS dataset ON dataset.id = used.dataset_id
LEFT JOIN lineage_outsiderun AS run ON run.id = used.run_id
WHERE used.job_id = %s GROUP BY 1, 2, 3, 4 ORDER BY 6 DESC NULLS LAST, 1 DESC LIMIT %s
"""


def jobs_of(dataset: OutsideDataset) -> list[Neighbour]:
    return [Neighbour(*row) for row in rows_of(_JOBS_OF, [dataset.pk, SHOWN])]


def datasets_of(job: OutsideJob) -> list[Neighbour]:
    return [Neighbour(*row) for row in rows_of(_DATASETS_OF, [job.pk, SHOWN])]


def uses_of_dataset(dataset: OutsideDataset) -> list[OutsideUse]:
    """Runs that read or wrote it, the latest first, with their jobs and versions."""
    rows = OutsideUse.objects.filter(dataset=dataset, run__isnull=False)
    return list(rows.select_related("run", "job", "version__artifact").defer(*_HEAVY).order_by("-pk")[:SHOWN])


def uses_of_run(run: OutsideRun) -> list[OutsideUse]:
    """Inputs, then outputs."""
    rows = OutsideUse.objects.filter(run=run).select_related("dataset", "version__artifact").defer(*_HEAVY)
    return list(rows.order_by("role", "dataset__namespace", "dataset__name")[: 10 * SHOWN])


_HEAVY = tuple(f"version__{column}" for column in ("literal", "literal_type", "card", "terms"))


def runs_of_job(job: OutsideJob) -> QuerySet[OutsideRun]:
    return OutsideRun.objects.filter(job=job).order_by("-seen_at", "-pk")


def children_of(run: OutsideRun) -> list[OutsideRun]:
    """Runs of the same place that name it as their parent."""
    rows = OutsideRun.objects.filter(parent=run.run_id, project=run.project, domain=run.domain)
    return list(rows.select_related("job").order_by("first_at", "pk")[:SHOWN])


def uses_of_version(version: ArtifactVersion) -> list[OutsideUse]:
    """By runs elsewhere: who wrote it, and who read it; the latest first."""
    rows = OutsideUse.objects.filter(version=version, run__isnull=False)
    return list(rows.select_related("run", "job", "dataset").order_by("-pk")[:SHOWN])


@dataclass(frozen=True)
class OutsideGraph:
    """Jobs and datasets by id, and what goes from one to the other. `edges`: job, dataset, role."""

    jobs: dict[int, OutsideJob]
    datasets: dict[int, OutsideDataset]
    edges: list[tuple[int, int, str]]
    truncated: bool


_EDGES = """
SELECT DISTINCT used.job_id, used.dataset_id, used.role
FROM lineage_outsideuse AS used JOIN lineage_outsidejob AS job ON job.id = used.job_id
WHERE job.project = %s AND job.domain = %s ORDER BY 1, 2, 3 LIMIT %s
"""
MAX_EDGES = 20_000


def graph_of(project: str, domain: str) -> OutsideGraph:
    """The whole of a place, by jobs: the runs of a job are one. Three queries."""
    edges = rows_of(_EDGES, [project, domain, MAX_EDGES + 1])
    truncated, found = len(edges) > MAX_EDGES, [(job, dataset, role) for job, dataset, role in edges[:MAX_EDGES]]
    jobs = OutsideJob.objects.defer("facets").in_bulk({edge[0] for edge in found})
    datasets = OutsideDataset.objects.defer("facets").in_bulk({edge[1] for edge in found})
    return OutsideGraph(jobs, datasets, found, truncated)


def arrows(graph: OutsideGraph) -> list[tuple[str, str]]:
    """From key to key: `d<id>` to `j<id>` for what a job reads, `j<id>` to `d<id>` for what it writes."""
    return [
        (f"d{dataset}", f"j{job}") if role == Role.INPUT.value else (f"j{job}", f"d{dataset}")
        for job, dataset, role in graph.edges
    ]

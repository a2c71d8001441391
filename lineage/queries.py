"""Questions about lineage, each a single bounded query, newest facts first where there is an order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import QuerySet

from artifacts.models import ArtifactVersion
from lineage.models import Derivation, ExecutionLink, VersionEdge, VersionRead, VersionRole

HOP_LIMIT = 200  # neighbours shown of one version
HEAVY = ("literal", "literal_type", "card", "terms")  # columns that a list of versions does not need


@dataclass
class Step:
    """An execution beside a version, with the other versions on its far side."""

    execution_key: str
    edges: list[VersionEdge]  # how this version and the execution meet
    others: list[ArtifactVersion] = field(default_factory=list)  # with their artifacts


@dataclass
class Hop:
    """One hop around a version: who made it and of what, who used it and what they made."""

    version: ArtifactVersion
    producers: list[Step]
    consumers: list[Step]
    truncated: bool  # there is more than HOP_LIMIT of something
    same_data_as: ArtifactVersion | None = None
    republished: list[ArtifactVersion] = field(default_factory=list)


def one_hop(version: ArtifactVersion) -> Hop:
    """Four queries, whatever the number of neighbours."""
    near = list(VersionEdge.objects.filter(version=version).order_by("-pk")[: HOP_LIMIT + 1])
    sources = list(_versions(Derivation.objects.filter(target=version), "source"))
    derived = list(_versions(Derivation.objects.filter(source=version), "target"))
    producers = _steps(edge for edge in near[:HOP_LIMIT] if edge.role == VersionRole.PRODUCED)
    consumers = _steps(edge for edge in near[:HOP_LIMIT] if edge.role == VersionRole.CONSUMED)
    original = next((one for one in sources if _is_promotion(one, version)), None)
    sources = [one for one in sources if one is not original]
    if version.execution_key:
        producers.setdefault(version.execution_key, Step(version.execution_key, [])).others += sources[:HOP_LIMIT]
    for made in derived[:HOP_LIMIT]:  # by an execution that took it in, or that was handed what was computed of it
        if _is_promotion(version, made):
            continue
        consumers.setdefault(made.execution_key, Step(made.execution_key, [])).others.append(made)
    # An execution that took in its own output in a later node, and published nothing of it, is its producer only.
    consumers = {key: step for key, step in consumers.items() if key not in producers or step.others}
    return Hop(
        version,
        list(producers.values()),
        list(consumers.values()),
        max(len(near), len(sources), len(derived)) > HOP_LIMIT,
        same_data_as=version.same_data_as,
        republished=[made for made in derived if made.same_data_as_id == version.pk],
    )


def _is_promotion(source: ArtifactVersion, made: ArtifactVersion) -> bool:
    """Whether `made` is the source elsewhere, by no execution: it keeps the name of the one that made it."""
    return made.same_data_as_id == source.pk and made.execution_key == source.execution_key


def _steps(edges: Iterable[VersionEdge]) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for edge in edges:
        steps.setdefault(edge.execution_key, Step(edge.execution_key, [])).edges.append(edge)
    return steps


def _versions(rows: QuerySet[Derivation], end: str) -> Iterator[ArtifactVersion]:
    """The versions at one end of the derivations, newest first, with their artifacts."""
    found = rows.select_related(f"{end}__artifact").defer(*(f"{end}__{column}" for column in HEAVY))
    for row in found.order_by(f"-{end}_id")[: HOP_LIMIT + 1]:
        yield getattr(row, end)


def started_by(execution_key: str) -> list[ExecutionLink]:
    """What started the execution: a trigger firing, a parent, a relaunch, a recovery or a schedule."""
    return list(ExecutionLink.objects.filter(execution_key=execution_key).order_by("at"))


def started_from(source: str, *, limit: int = HOP_LIMIT) -> list[ExecutionLink]:
    """The executions that `source` (an execution key, `trigger:<id>`, `schedule:<id>`) started, newest first."""
    return list(ExecutionLink.objects.filter(source=source).order_by("-at", "-pk")[:limit])


def versions_of(execution_key: str) -> list[VersionEdge]:
    """What an execution took in and published, each with its version and artifact."""
    edges = VersionEdge.objects.filter(execution_key=execution_key)
    return list(edges.select_related("version__artifact").order_by("role", "at", "pk"))


_CHILDREN = """
    SELECT derivation.source_id, derivation.target_id, target.removed_at IS NOT NULL
    FROM lineage_derivation AS derivation JOIN artifacts_artifactversion AS target ON target.id = derivation.target_id
    WHERE derivation.source_id = ANY(%(ids)s)
"""


def needed_by_descendants(ids: Iterable[int], *, staying: Collection[int] = ()) -> set[int]:
    """Those of the versions that something was made of which stays: it is neither removed nor among them, however far
    on, or it is one of `staying`.

    One query for each layer of removed versions in between.
    """
    asked = set(ids)
    children: dict[int, set[int]] = {pk: set() for pk in asked}
    kept: set[int] = set(staying)
    frontier = list(children)
    while frontier:
        with connection.cursor() as cursor:
            cursor.execute(_CHILDREN, {"ids": frontier})
            rows = cursor.fetchall()
        for parent, child, _removed in rows:
            children[parent].add(child)
        tombstones = {child for _, child, removed in rows if removed and child not in children}
        kept |= {child for _, child, removed in rows if not removed and child not in children}
        frontier = list(tombstones)
        children.update({pk: set() for pk in tombstones})
    return _leading_to(kept, children) & asked


def _leading_to(kept: set[int], children: dict[int, set[int]]) -> set[int]:
    """Those of the keys from which one comes to what is kept."""
    parents: dict[int, list[int]] = {}
    for parent, ones in children.items():
        for child in ones:
            parents.setdefault(child, []).append(parent)
    needed: set[int] = set()
    queue = list(kept)
    while queue:
        for parent in parents.get(queue.pop(), ()):
            if parent not in needed:
                needed.add(parent)
                queue.append(parent)
    return needed


READS = 20


def latest_reads(version: ArtifactVersion) -> list[VersionRead]:
    """Who queried its data by SQL, the latest READS of them."""
    return list(VersionRead.objects.filter(version=version).order_by("-last_at", "-pk")[:READS])

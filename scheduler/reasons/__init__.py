"""Why something is as it is: every decision, of people and of rules, that led to a version or an execution, in order.

Read from the rows that the decisions left. Of each it is known where it happened; what lies where the reader may not
read is counted, and never named in the words of another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from django.db.models import Q

from artifacts.models import ArtifactVersion
from lineage.models import VersionEdge, VersionRole
from lineage.walks import VersionNode, ancestry, nodes_of
from scheduler.models import Execution
from scheduler.reasons import decisions, starts
from scheduler.reasons import versions as of_versions
from scheduler.reasons.steps import STEPS, MayRead, Reader, Step

ANCESTORS = 300  # nearest versions that are looked at


@dataclass
class Why:
    """`steps` in order, the oldest first; `hidden`: steps where the reader may not read; `truncated`: there are more
    ancestors than were looked at.
    """

    steps: list[Step] = field(default_factory=list)
    hidden: int = 0
    truncated: bool = False


def why_version(version: ArtifactVersion, *, may_read: MayRead) -> Why:
    """What led to the version and what was decided about it since: its ancestors, the executions that made them and
    what started those, gates, checks, moves of aliases, promotions, holds and removals. About fifteen queries.
    """
    reached = ancestry(version.pk, limit=ANCESTORS)
    return _why(reached.versions, [], may_read, focus={version.pk}, truncated=reached.truncated)


def why_execution(execution: Execution, *, may_read: MayRead) -> Why:
    """What led to the execution: what started it, and what led to the versions that it took in."""
    edges = VersionEdge.objects.filter(execution_key=execution.key)
    consumed = list(edges.filter(role=VersionRole.CONSUMED).values_list("version_id", flat=True).distinct()[:20])
    versions: dict[int, VersionNode] = {}
    truncated = False
    for pk in consumed:
        reached = ancestry(pk, limit=ANCESTORS)
        versions |= reached.versions
        truncated |= reached.truncated
    versions |= nodes_of(edges.filter(role=VersionRole.PRODUCED).values_list("version_id", flat=True)[:50])
    return _why(versions, [execution.key], may_read, focus=set(consumed), truncated=truncated)


def _why(
    versions: dict[int, VersionNode], keys: Sequence[str], may_read: MayRead, *, focus: Collection[int], truncated: bool
) -> Why:
    found = Why(truncated=truncated)
    runs = _executions({*keys, *(node.execution_key for node in versions.values() if node.execution_key)})
    reader = Reader(versions, {run.key: run for run in runs}, may_read)
    for step in _all(reader, focus):
        if may_read(*step.place):
            found.steps.append(step)
        else:
            found.hidden += 1
    found.steps.sort(key=lambda step: (step.at, _ORDER.get(step.table, 5), step.row))
    return found


_ORDER = {"execution": 1, "trigger_firing": 0, "schedule_fire": 0, "version": 2}


def _executions(keys: Iterable[str]) -> list[Execution]:
    """Those of the keys, and those that they are children of, by one look for each level."""
    found: dict[int, Execution] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        project, domain, name = key.split("/", 2)
        names.setdefault((project, domain), []).append(name)
    wanted = Q(pk__in=())
    for (project, domain), some in names.items():
        wanted |= Q(project=project, domain=domain, name__in=some)
    rows = Execution.objects.select_related("launch_plan", "workflow").only(
        *("project", "domain", "name", "created_at", "mode", "principal", "parent_node__execution_id"),
        *("launch_plan__name", "launch_plan__version", "workflow__name", "reference_id", "shadow_id"),
    )
    fresh = list(rows.filter(wanted).select_related("parent_node")[:STEPS])
    while fresh and len(found) < STEPS:
        found |= {run.pk: run for run in fresh}
        parents = {run.parent_node.execution_id for run in fresh if run.parent_node is not None}
        fresh = list(rows.filter(pk__in=parents - found.keys()).select_related("parent_node"))
    return list(found.values())


def _all(reader: Reader, focus: Collection[int]) -> Iterator[Step]:
    ids, runs = list(reader.versions), {run.pk: run for run in reader.runs.values()}
    yield from of_versions.published(reader)
    yield from starts.launched(reader)
    yield from starts.fired(reader, runs)
    yield from starts.scheduled(runs)
    yield from decisions.decided(reader, runs)
    yield from of_versions.moved(reader, focus)
    yield from decisions.promoted(reader, ids)
    yield from of_versions.kept(reader, ids)
    yield from of_versions.happened(reader, ids, list(reader.runs))

"""Versions or executions beside each other, for doors: what differs of them, as far as somebody may know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from flyteidl.core import literals_pb2
from google.protobuf.message import DecodeError

from artifacts.exceptions import CausewayError, InvalidArgument
from artifacts.literals import primary_uri, to_json
from artifacts.measures import Better, Measure, is_number, measures_of
from artifacts.models import ArtifactVersion
from console.access_objects import access_execution, access_version_id
from console.accounts import access
from console.accounts.access import AnyUser
from console.environments import environments_behind, environments_of
from console.interfaces import load_literals
from lineage.compare import Made, card_diff, differing_ancestries, facts_of, schema_of
from lineage.models import VersionEdge, VersionRole
from scheduler.models import Execution, NodeExecution

MOST = 12  # things beside each other
NODES = 200  # of each execution
EDGES = 2_000


@dataclass(frozen=True)
class Line:
    """One thing that is known of what is compared; None where there is none."""

    name: str
    values: Sequence[Any]

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True)
class Compared:
    """`cards`: by place, how the card differs from the base's. `hidden`: artifacts that differ and may not be named."""

    measures: Sequence[Measure]
    facts: Sequence[Line]
    schema: Sequence[Line]
    inputs: Sequence[Line]
    outputs: Sequence[Line] = ()
    environment: Sequence[Line] = ()
    ancestry: Sequence[Made] = ()
    hidden: int = 0
    cards: Mapping[int, Sequence[str]] = field(default_factory=dict)


def check_number(count: int) -> None:
    if count > MOST:
        raise InvalidArgument(f"{count} are too many to compare: at most {MOST}")


def versions_to_compare(user: AnyUser, ids: Sequence[int]) -> list[ArtifactVersion]:
    """Those versions, each once; NotFound for one that the user may not read, InvalidArgument for too many."""
    wanted = list(dict.fromkeys(ids))
    check_number(len(wanted))
    return [access_version_id(user, pk) for pk in wanted]


def executions_to_compare(user: AnyUser, keys: Sequence[str]) -> list[Execution]:
    """By `project/domain/name`; errors as for versions, and InvalidArgument for what is no key."""
    wanted = list(dict.fromkeys(keys))
    check_number(len(wanted))
    if bad := [key for key in wanted if key.count("/") != 2]:
        raise InvalidArgument(f"'{bad[0][:200]}' is no execution: write project/domain/name")
    return [access_execution(user, *key.split("/")) for key in wanted]


def compare_versions(
    user: AnyUser, versions: Sequence[ArtifactVersion], *, base: int = 0, said: Mapping[str, Better] | None = None
) -> Compared:
    """`base`: the place of the version that the others are held against; `said`: which way measures are better."""
    may_read = access.reader(user)
    made = differing_ancestries(versions)
    told = [one for one in made if all(may_read(node.project, node.domain) for own in one.own for node in own)]
    facts = [facts_of(version) for version in versions]
    diffs = {at: card_diff(versions[base], version) for at, version in enumerate(versions) if at != base}
    return Compared(
        measures=measures_of([version.metrics for version in versions], base=base, said=said),
        facts=_lines([_without_numbers(one) for one in facts]),
        schema=_lines([schema_of(version) for version in versions]),
        inputs=_lines(_inputs_of(versions, may_read)),
        environment=_lines(environments_behind(versions, may_read)),
        ancestry=told,
        hidden=len(made) - len(told),
        cards={at: diff for at, diff in diffs.items() if diff},
    )


def _without_numbers(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics are measures: they are compared as such."""
    return {name: value for name, value in facts.items() if not name.startswith("metric ") or not is_number(value)}


def _lines(things: Sequence[Mapping[str, Any]]) -> list[Line]:
    """In the order in which the names come up."""
    names = dict.fromkeys(name for thing in things for name in thing)
    return [Line(name, [thing.get(name) for thing in things]) for name in names]


def _inputs_of(versions: Sequence[ArtifactVersion], may_read: Callable[[str, str], bool]) -> list[dict[str, Any]]:
    """Of the executions that published them."""
    keys = {version.execution_key for version in versions if version.execution_key.count("/") == 2}
    wanted = Q(pk__in=[])
    for project, domain, name in sorted(key.split("/") for key in keys):
        if may_read(project, domain):
            wanted |= Q(project=project, domain=domain, name=name)
    rows = Execution.objects.filter(wanted).only("project", "domain", "name", "inputs_uri")
    found = {row.key: values_at(row.inputs_uri) for row in rows}
    return [found.get(version.execution_key, {}) for version in versions]


def values_at(uri: str) -> dict[str, Any]:
    """A literal map as JSON by name, of data where it lies; empty for one that cannot be read now."""
    try:
        literals = load_literals(uri).literals
    except (CausewayError, DecodeError):
        return {}
    return {name: _value(literals[name]) for name in sorted(literals)}


def _value(literal: literals_pb2.Literal) -> Any:
    value = to_json(literal)
    return primary_uri(literal) or value if isinstance(value, dict) else value


def compare_executions(
    user: AnyUser, executions: Sequence[Execution], *, base: int = 0, said: Mapping[str, Better] | None = None
) -> Compared:
    """As for versions. How long they and their nodes took, the numbers they returned and the metrics of what they
    published are measures.
    """
    outputs = [values_at(execution.outputs_uri) for execution in executions]
    edges = _edges(user, executions)
    numbers = [
        {
            "duration in seconds": _seconds(execution),
            **_durations(execution),
            **{f"output {name}": value for name, value in returned.items()},
            **_published(edges[execution.key]),
        }
        for execution, returned in zip(executions, outputs, strict=True)
    ]
    return Compared(
        measures=measures_of(numbers, base=base, said=said),
        facts=_lines([_facts(execution) | _versions(edges[execution.key]) for execution in executions]),
        schema=(),
        inputs=_lines([values_at(execution.inputs_uri) for execution in executions]),
        outputs=_lines([{name: one for name, one in each.items() if not is_number(one)} for each in outputs]),
        environment=_lines(environments_of(executions)),
    )


def _seconds(thing: Execution | NodeExecution) -> float | None:
    if thing.started_at is None or thing.ended_at is None:
        return None
    return round((thing.ended_at - thing.started_at).total_seconds(), 3)


def _durations(execution: Execution) -> dict[str, float | None]:
    """Of the nodes of its workflow itself."""
    nodes = NodeExecution.objects.filter(execution=execution, parent__isnull=True).order_by("id")
    rows = nodes.only("node_id", "started_at", "ended_at")[:NODES]
    return {f"seconds of {node.node_id}": _seconds(node) for node in rows}


def _facts(execution: Execution) -> dict[str, Any]:
    plan = execution.launch_plan
    return {
        "workflow": execution.workflow.name,
        "version": execution.workflow.version,
        "launch plan": plan.name if plan is not None else None,
        "phase": execution.get_phase_display(),
        "launched by": execution.principal,
        "abort cause": execution.abort_cause or None,
    }


def _edges(user: AnyUser, executions: Iterable[Execution]) -> dict[str, list[VersionEdge]]:
    """What they took in and published, of what the user may read. One query."""
    may_read = access.reader(user)
    rows = VersionEdge.objects.filter(execution_key__in=[execution.key for execution in executions])
    heavy = [f"version__{column}" for column in ("literal", "literal_type", "card", "terms")]
    found: dict[str, list[VersionEdge]] = defaultdict(list)
    for edge in rows.select_related("version__artifact").defer(*heavy).order_by("-id")[:EDGES]:
        if may_read(*edge.version.artifact.key[:2]):
            found[edge.execution_key].append(edge)
    return found


def _versions(edges: Iterable[VersionEdge]) -> dict[str, Any]:
    named: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        verb = "used" if edge.role == VersionRole.CONSUMED else "published"
        named[f"{verb} {edge.version.artifact}"].add(edge.version.version)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(named.items())}


def _published(edges: Iterable[VersionEdge]) -> dict[str, Any]:
    return {
        f"{name} of {edge.version.artifact.name}": value
        for edge in edges
        if edge.role == VersionRole.PRODUCED
        for name, value in edge.version.metrics.items()
    }

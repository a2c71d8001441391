"""What home shows of a project, or of all: what needs somebody, what failed, what is due, how the week went.

Nothing that repeats fills it: what is the same stands once, with a count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.http import HttpRequest

from artifacts.models import Artifact, ArtifactVersion
from console import quotas
from console.accounts import access
from console.accounts.access import Action
from console.pages import badges
from console.pages.approvals_context import readable_subjects, waiting_gates
from console.pages.artifacts_context import readable_versions
from console.pages.badges import Badge
from console.pages.charts import Bar, BarChart, Part, bars
from console.pages.executions_context import readable_executions
from console.pages.failure_groups import grouped
from console.pages.failures import BAD, Failure
from console.pages.scope import in_scope
from scheduler.actions.gates import takes_approval
from scheduler.activity import SAMPLE, Repeated, Storm, by_workflow, days, newest_of_each, storms
from scheduler.models import Execution, Gate, Schedule, Trigger, Workflow
from scheduler.phases import ExecutionPhase
from scheduler.schedules.agenda import GRACE

SHOWN, FAILURES, DUE = 8, 400, 6
NAMES = 2_000  # workflows and artifacts of which the newest is looked for, each by an index
_ENDED = (ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT, ExecutionPhase.ABORTED)


@dataclass(frozen=True)
class Asks:
    """Gates of the same name in the same workflow. `gate`: the most urgent of them; `subject`: what that is about."""

    gate: Gate
    count: int
    is_mine: bool  # the user may decide it
    subject: ArtifactVersion | None = None


class Slim(NamedTuple):
    """As much of an execution that failed as tells it from others."""

    pk: int
    error: bytes | None
    principal: str
    project: str
    domain: str
    workflow__name: str


@dataclass(frozen=True)
class Failed:
    newest: Execution
    failure: Failure
    count: int
    is_mine: bool  # the user launched one of them


@dataclass(frozen=True)
class Blown:
    storm: Storm
    outcomes: list[tuple[Badge, int]]
    may_pause: bool


@dataclass(frozen=True)
class Published:
    version: ArtifactVersion
    count: int  # of those looked at


def asks(request: HttpRequest) -> list[Asks]:
    """What waits for people, what this one may decide first, then the most urgent."""
    found: dict[tuple[str, str, str, str], list[Gate]] = {}
    for gate in waiting_gates(request)[:SAMPLE]:
        run = gate.execution
        found.setdefault((run.project, run.domain, run.workflow.name, gate.signal_id), []).append(gate)
    rows = [Asks(gates[0], len(gates), _may_decide(request, gates[0])) for gates in found.values()]
    shown = sorted(rows, key=lambda row: not row.is_mine)[:SHOWN]
    about = readable_subjects(request, [row.gate for row in shown])
    return [replace(row, subject=about.get(row.gate.pk)) for row in shown]


def _may_decide(request: HttpRequest, gate: Gate) -> bool:
    needed = Action.DECIDE if takes_approval(gate) else Action.LAUNCH
    return access.can(request.user, needed, gate.execution.project, gate.execution.domain)


def failed(request: HttpRequest, now: datetime) -> list[Failed]:
    """Of a day, equal failures of a workflow together; those of the user first, then the most frequent. Only what is
    shown is read whole.
    """
    rows = readable_executions(request)
    day = rows.filter(archived=False, created_at__gt=now - timedelta(days=1), phase__in=BAD)
    slim = day.select_related(None).defer(None).order_by("-created_at", "-id").values_list(*Slim._fields)
    newest = [Slim(*row) for row in slim[:FAILURES]]
    name = request.user.get_username()
    groups = [
        (group, any(row.principal == name for row in group.rows)) for group in grouped(newest, by=lambda row: row[3:])
    ]
    chosen = sorted(groups, key=lambda one: not one[1])[:SHOWN]
    whole = rows.in_bulk([group.newest.pk for group, _ in chosen])
    return [
        Failed(whole[group.newest.pk], group.failure, group.count, is_mine)
        for group, is_mine in chosen
        if group.newest.pk in whole
    ]


def blowing(request: HttpRequest, now: datetime) -> list[Blown]:
    rows = Trigger.objects.select_related("launch_plan").defer("condition", "launch_plan__spec", "launch_plan__closure")
    found = []
    for storm in storms(in_scope(request, rows, prefix="launch_plan__"), now=now):
        plan = storm.trigger.launch_plan
        counts = sorted(storm.outcomes.items(), key=lambda pair: -pair[1])
        told = [(badges.FIRING.get(outcome, Badge(outcome)), count) for outcome, count in counts]
        found.append(Blown(storm, told, access.can(request.user, Action.ACTIVATE, plan.project, plan.domain)))
    return found


def due(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """What the clock starts next, and how many should have started by now."""
    heavy = ("launch_plan__spec", "launch_plan__closure")
    rows = in_scope(request, Schedule.objects.select_related("launch_plan").defer(*heavy), prefix="launch_plan__")
    active = rows.filter(active=True, paused_at__isnull=True, next_fire_at__isnull=False)
    first = list(active.order_by("next_fire_at")[:DUE])
    late = [one for one in first if one.next_fire_at is not None and one.next_fire_at < now - GRACE]
    all_late = len(late) == DUE  # then there may be others
    return {
        "due": first,
        "overdue": active.filter(next_fire_at__lt=now - GRACE).count() if all_late else len(late),
    }


def runs(request: HttpRequest) -> list[Repeated]:
    """The newest of each workflow."""
    workflows = in_scope(request, Workflow.objects.order_by("-created_at"))[:NAMES]
    return by_workflow(readable_executions(request).filter(archived=False), most=SHOWN, owners=workflows)


def published(request: HttpRequest) -> list[Published]:
    """The newest version of each artifact; where a few fill all that is newest, those of the others are looked for."""
    counts: dict[int, int] = {}
    newest: dict[int, int] = {}
    rows = readable_versions(request)
    looked_at = list(rows.order_by("-created_at", "-id").values_list("artifact_id", "pk")[:SAMPLE])
    for artifact, pk in looked_at:
        counts[artifact] = counts.get(artifact, 0) + 1
        newest.setdefault(artifact, pk)
    others: list[int] = []
    if len(newest) < SHOWN and len(looked_at) == SAMPLE:
        others = newest_of_each(
            in_scope(request, Artifact.objects.order_by("-id"))[:NAMES], rows, "artifact", 2 * SHOWN
        )
    versions = rows.in_bulk([*list(newest.values())[:SHOWN], *others])
    ordered = sorted(versions.values(), key=lambda version: version.created_at, reverse=True)
    first = {version.artifact_id: version for version in reversed(ordered)}
    shown = sorted(first.values(), key=lambda version: version.created_at, reverse=True)[:SHOWN]
    return [Published(version, counts.get(version.artifact_id, 1)) for version in shown]


def week(request: HttpRequest, now: datetime) -> BarChart | None:
    counted = days(readable_executions(request).filter(archived=False), now=now)
    given = [Bar(f"{day:%a %d %b}", _parts(phases)) for day, phases in counted]
    total = sum(count for _, phases in counted for count in phases.values())
    bad = sum(phases.get(phase, 0) for _, phases in counted for phase in BAD)
    title = f"Executions of seven days: {total}, of which {bad} failed"
    return bars(title, given, head=("Day", "Executions"))


def _parts(phases: Mapping[int, int]) -> list[Part]:
    """Failures at the bottom, where they are seen best."""
    bad = phases.get(ExecutionPhase.FAILED, 0) + phases.get(ExecutionPhase.TIMED_OUT, 0)
    others = sum(count for phase, count in phases.items() if phase not in _ENDED)
    counts = [
        (badges.FAILED, bad),
        (badges.ABORTED, phases.get(ExecutionPhase.ABORTED, 0)),
        (Badge("unfinished", "info"), others),
        (badges.SUCCEEDED, phases.get(ExecutionPhase.SUCCEEDED, 0)),
    ]
    return [Part(count, badge.tone, badge.label.lower()) for badge, count in counts if count]


def quota_bars(limits: Iterable[quotas.Shown]) -> Sequence[quotas.Shown]:
    """Those that are used most."""
    return sorted((one for one in limits if one.valid and one.percent), key=lambda one: -one.percent)[:DUE]

"""Which executions make a partition right now, or failed to: for the matrix of an artifact.

What an execution is about is known by its inputs: those called as a partition key, and the one of a date and time
(`missing_partitions`), as they are indexed (`scheduler.value_index`); and by what its launch plan fixes of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from django.db.models import Q
from django.http import HttpRequest

from artifacts.matrix import Matrix, Place
from artifacts.models import Artifact, ArtifactVersion
from console.accounts import access
from console.pages import badges
from console.pages.missing_partitions import TIME, inputs_named, makers_of, moment_of
from console.pages.specs import expected_inputs
from scheduler.models import Execution, ExecutionValue, LaunchPlan, ValueSide
from scheduler.phases import EXECUTION_FAILED, ExecutionPhase

NEWEST = 200  # executions of the makers that are looked at, of those that failed and of those that go on
_GOES_ON = (ExecutionPhase.UNDEFINED, ExecutionPhase.QUEUED, ExecutionPhase.RUNNING, ExecutionPhase.SUCCEEDING)
Key = tuple[tuple[str, str], ...]  # partition keys and their values, in order
PlanName = tuple[str, str, str]  # project, domain, name


class PlaceRun(NamedTuple):
    """As much of an execution as its place tells."""

    pk: int
    project: str
    domain: str
    name: str
    phase: int
    created_at: datetime
    launch_plan__project: str
    launch_plan__domain: str
    launch_plan__name: str

    @property
    def plan(self) -> PlanName:
        return self.launch_plan__project, self.launch_plan__domain, self.launch_plan__name

    @property
    def tone(self) -> str:
        return "bad" if self.phase in EXECUTION_FAILED else "info"

    @property
    def words(self) -> str:
        return badges.EXECUTION.get(self.phase, badges.QUEUED).label.lower()


def runs_of_places(request: HttpRequest, artifact: Artifact, matrix: Matrix) -> dict[tuple[str, str], PlaceRun]:
    """By row and column: the newest execution, unless it failed before what is there was published."""
    makers = {_name(one.plan): one for one in makers_of(artifact, _keys_of(matrix))}
    inputs = {name: inputs_named(expected_inputs(one.plan), artifact) for name, one in makers.items()}
    runs = _runs(request, [name for name, one in makers.items() if inputs[name] or one.fixed])
    said = _said([run.pk for run in runs], {each for named in inputs.values() for each in named.values()})
    # By the partition keys of which a run says something: what it says, and the newest that says so.
    known: dict[tuple[str, ...], dict[Key, PlaceRun]] = defaultdict(dict)
    for run in runs:
        texts, named = said.get(run.pk, {}), inputs[run.plan]
        if all(each in texts for each in named.values()):
            told = {key: _spelled(key, texts[each]) for key, each in named.items()} | dict(makers[run.plan].fixed)
            known[tuple(sorted(told))].setdefault(tuple(sorted(told.items())), run)
    found = {}
    for place in (place for _, places in matrix.rows for place in places):
        some = [by_key[key] for keys, by_key in known.items() if (key := _key_of(place, keys)) in by_key]
        newest = max(some, key=lambda one: one.created_at, default=None)
        if newest is not None and (newest.phase not in EXECUTION_FAILED or _is_news(newest, place)):
            found[place.row, place.column] = newest
    return found


def _name(plan: LaunchPlan) -> PlanName:
    return plan.project, plan.domain, plan.name


def _keys_of(matrix: Matrix) -> list[str]:
    """Of the executions that made the newest version of each row."""
    newest = []
    for _, places in matrix.rows:
        made = [(place.created_at, place.version) for place in places if place.created_at and place.version]
        newest += [max(made)[1]] if made else []
    rows = ArtifactVersion.objects.filter(pk__in=newest).exclude(execution_key="")
    return list(rows.values_list("execution_key", flat=True))


def _runs(request: HttpRequest, plans: Sequence[PlanName]) -> list[PlaceRun]:
    """The newest of these launch plans, of those that the user may read."""
    if not plans:
        return []
    of = Q(pk__in=[])
    for project, domain, name in plans:
        of |= Q(launch_plan__project=project, launch_plan__domain=domain, launch_plan__name=name)
    rows = Execution.objects.filter(of, archived=False).order_by("-created_at").values_list(*PlaceRun._fields)
    # Asked one after the other, each is found in an index of few rows; both together, among all that ever ran.
    some = (rows.filter(phase__in=sorted(EXECUTION_FAILED)), rows.filter(phase__in=_GOES_ON, ended_at__isnull=True))
    newest = sorted(
        (PlaceRun(*row) for each in some for row in each[:NEWEST]), key=attrgetter("created_at"), reverse=True
    )
    readable = access.reader(request.user)
    return [one for one in newest[:NEWEST] if readable(one.project, one.domain)]


def _is_news(run: PlaceRun, place: Place) -> bool:
    return place.created_at is None or run.created_at > place.created_at


def _said(runs: Collection[int], names: Collection[str]) -> dict[int, dict[str, str]]:
    """By execution: what its inputs of these names say."""
    values = ExecutionValue.objects.filter(execution__in=runs, side=ValueSide.INPUT, name__in=names)
    texts: dict[int, dict[str, str]] = defaultdict(dict)
    for pk, name, text in values.values_list("execution_id", "name", "text") if runs and names else ():
        texts[pk][name] = text
    return texts


def _key_of(place: Place, keys: Sequence[str]) -> Key:
    return tuple((key, _spelled(key, place.partitions.get(key, ""))) for key in keys)


def _spelled(key: str, text: str) -> str:
    """A period to the minute, however it is written."""
    return _minute(moment_of(text)) if key == TIME else text


def _minute(moment: str) -> str:
    """`2026-03-01`, `2026-03-01T14:00` and `2026-03-01T14:00:00Z` alike, to the minute."""
    return f"{moment}T00:00" if len(moment) == len("2026-03-01") else moment[: len("2026-03-01T14:00")]

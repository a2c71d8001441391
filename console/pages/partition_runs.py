"""Which executions make a partition right now, or failed to: for the matrix of an artifact.

What an execution is about is known by its inputs: those called as a partition key, and the one of a date and time
(`missing_partitions`), as they are indexed (`scheduler.value_index`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest

from artifacts.matrix import Matrix, Place
from artifacts.models import Artifact
from console.accounts import access
from console.pages import badges
from console.pages.missing_partitions import TIME, inputs_named, maker_of, moment_of
from console.pages.specs import expected_inputs
from scheduler.models import Execution, ExecutionValue, ValueSide
from scheduler.phases import ExecutionPhase

NEWEST = 400  # executions of the maker that are looked at
_FAILED = (ExecutionPhase.FAILED, ExecutionPhase.TIMED_OUT)
_GOES_ON = (ExecutionPhase.UNDEFINED, ExecutionPhase.QUEUED, ExecutionPhase.RUNNING, ExecutionPhase.SUCCEEDING)
Key = tuple[tuple[str, str], ...]  # inputs and what they say, in order


@dataclass(frozen=True)
class PlaceRun:
    execution: Execution

    @property
    def tone(self) -> str:
        return "bad" if self.execution.phase in _FAILED else "info"

    @property
    def words(self) -> str:
        return badges.EXECUTION.get(self.execution.phase, badges.QUEUED).label.lower()


def runs_of_places(request: HttpRequest, artifact: Artifact, matrix: Matrix) -> dict[tuple[str, str], PlaceRun]:
    """By row and column: the newest execution, unless it failed before what is there was published."""
    plan = maker_of(artifact)
    if plan is None:
        return {}
    named = inputs_named(expected_inputs(plan), artifact)
    if not named:
        return {}
    of_plan = Execution.objects.filter(
        launch_plan__project=plan.project, launch_plan__domain=plan.domain, launch_plan__name=plan.name
    )
    rows = of_plan.filter(archived=False, phase__in=(*_FAILED, *_GOES_ON)).only(
        "project", "domain", "name", "phase", "created_at"
    )
    readable = access.reader(request.user)
    newest = [row for row in rows.order_by("-created_at")[:NEWEST] if readable(row.project, row.domain)]
    by_key: dict[Key, Execution] = {}
    said = _said(newest, named)
    for row in newest:
        by_key.setdefault(said.get(row.pk, ()), row)
    found = {}
    for _, places in matrix.rows:
        for place in places:
            run = by_key.get(_key_of(place, named))
            if run is not None and (run.phase not in _FAILED or _is_news(run, place)):
                found[place.row, place.column] = PlaceRun(run)
    return found


def _is_news(run: Execution, place: Place) -> bool:
    return place.created_at is None or run.created_at > place.created_at


def _said(rows: list[Execution], named: Mapping[str, str]) -> dict[int, Key]:
    """By execution: what its inputs say of each partition key, for those that say all of it."""
    values = ExecutionValue.objects.filter(
        execution__in=[row.pk for row in rows], side=ValueSide.INPUT, name__in=set(named.values())
    )
    texts: dict[int, dict[str, str]] = defaultdict(dict)
    for pk, name, text in values.values_list("execution_id", "name", "text"):
        texts[pk][name] = text
    moment = named.get(TIME)
    return {
        pk: tuple((name, _minute(given[name]) if name == moment else given[name]) for name in named.values())
        for pk, given in texts.items()
        if all(name in given for name in named.values())
    }


def _key_of(place: Place, named: Mapping[str, str]) -> Key:
    spelled = {key: place.partitions.get(key, "") for key in named}
    if TIME in spelled:
        spelled[TIME] = _minute(moment_of(spelled[TIME]))
    return tuple((named[key], spelled[key]) for key in named)


def _minute(moment: str) -> str:
    """`2026-03-01`, `2026-03-01T14:00` and `2026-03-01T14:00:00Z` alike, to the minute."""
    return f"{moment}T00:00" if len(moment) == len("2026-03-01") else moment[: len("2026-03-01T14:00")]

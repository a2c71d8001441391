"""Many events become what they say together: one state for each job, run, dataset and use, whatever their order."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from lineage.outside.events import ENDED, Dataset, Event, Name, Role, RunState
from lineage.outside.facets import Facets, merge

_ORDER = {state: number for number, state in enumerate(RunState)}


@dataclass(frozen=True)
class Thing:
    """A job or a dataset. `seen_at`: the time of the last event about it."""

    name: Name
    facets: Facets
    seen_at: datetime

    def __or__(self, other: Thing) -> Thing:
        return Thing(self.name, merge(self.facets, other.facets), max(self.seen_at, other.seen_at))


@dataclass(frozen=True)
class Run:
    """A run ends once: an end counts more than whatever is told later, and of two ends the later one."""

    job: str  # key
    state: RunState
    state_at: datetime
    first_at: datetime
    seen_at: datetime
    started_at: datetime | None
    facets: Facets
    parent: uuid.UUID | None

    @property
    def ended_at(self) -> datetime | None:
        return self.state_at if self.state in ENDED else None

    @property
    def began_at(self) -> datetime:
        """When it began, as far as is known."""
        return self.started_at or self.first_at

    def __or__(self, other: Run) -> Run:
        state, state_at = _later(self, other)
        starts = [at for at in (self.started_at, other.started_at) if at is not None]
        facets = merge(self.facets, other.facets)
        parents = [one for one in (self.parent, other.parent) if one is not None]
        return Run(
            min(self.job, other.job),
            state,
            state_at,
            min(self.first_at, other.first_at),
            max(self.seen_at, other.seen_at),
            min(starts, default=None),
            facets,
            max(parents, default=None),
        )


def _later(one: Run, other: Run) -> tuple[RunState, datetime]:
    last = max((one, other), key=lambda run: (run.state in ENDED, run.state_at, _ORDER[run.state]))
    return last.state, last.state_at


UseKey = tuple[str, uuid.UUID | None, str, Role]  # job's key, run or None (what a job does anyhow), dataset's key, role


@dataclass
class Folded:
    jobs: dict[str, Thing] = field(default_factory=dict)
    datasets: dict[str, Thing] = field(default_factory=dict)
    runs: dict[uuid.UUID, Run] = field(default_factory=dict)
    uses: dict[UseKey, Facets] = field(default_factory=dict)


def fold(events: Iterable[Event]) -> Folded:
    folded = Folded()
    for event in events:
        if event.job is not None:
            _add(folded.jobs, Thing(event.job, event.job_facets, event.at))
        if event.run_id is not None and event.job is not None:
            run = _run_of(event, event.job)
            before = folded.runs.get(event.run_id)
            folded.runs[event.run_id] = run if before is None else before | run
        for dataset in event.datasets:
            _add(folded.datasets, Thing(dataset.name, dataset.facets, event.at))
            _use(folded, event, dataset)
    return folded


def _add(things: dict[str, Thing], thing: Thing) -> None:
    key = thing.name.key
    before = things.get(key)
    things[key] = thing if before is None else before | thing


def _run_of(event: Event, job: Name) -> Run:
    started = event.at if event.state is RunState.START else None
    return Run(job.key, event.state, event.at, event.at, event.at, started, event.run_facets, event.parent)


def _use(folded: Folded, event: Event, dataset: Dataset) -> None:
    if dataset.role is None or event.job is None:
        return
    job = event.job.key if event.run_id is None else ""  # of a run's use the run knows the job
    key = (job, event.run_id, dataset.name.key, dataset.role)
    folded.uses[key] = merge(folded.uses.get(key, {}), dataset.of_use)

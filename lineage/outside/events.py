"""OpenLineage events as their producers send them, read and checked (openlineage.io, specification 2-0-2).

Run, job and dataset events of any version: what is told apart is only what the specification has named alike since
1-0-0. What it does not know of an event it leaves alone.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any

from artifacts.exceptions import InvalidArgument
from lineage.outside.facets import Facets, stamped

MAX_NAMESPACE = 1024
MAX_NAME = 4096
MAX_DATASETS = 2000  # of one event, each way
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s?([Zz]|[+-]\d\d:?\d\d)?(?:\[[\w/+:-]{1,60}\])?"
)
# Of a dataset's facets those that tell of this one run's reading or writing of it.
OF_THE_USE = frozenset({"version", "lifecycleStateChange"})


class RunState(enum.Enum):
    """As the specification names them, from the earliest in a run's life to the last."""

    OTHER = "OTHER"
    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ABORT = "ABORT"
    FAIL = "FAIL"


ENDED = frozenset({RunState.COMPLETE, RunState.ABORT, RunState.FAIL})


class Role(enum.Enum):
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True)
class Name:
    """Of a job or a dataset."""

    namespace: str
    name: str

    @cached_property
    def key(self) -> str:
        """Short, for the names may be longer than an index takes."""
        return blake2b(f"{self.namespace}\0{self.name}".encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """At one end of an event. `of_use`: facets of this reading or writing, the others are the dataset's own."""

    name: Name
    facets: Facets
    of_use: Facets = field(default_factory=dict)
    role: Role | None = None  # None: a dataset event


@dataclass(frozen=True)
class Event:
    """`run_id` is None for job and dataset events, `job` for dataset events alone."""

    at: datetime
    job: Name | None
    job_facets: Facets
    run_id: uuid.UUID | None
    state: RunState
    run_facets: Facets
    parent: uuid.UUID | None
    datasets: tuple[Dataset, ...]


def read_event(data: Any) -> Event:
    """InvalidArgument, with the member's name, for what is no event."""
    event = _object(data, "the event")
    at = read_time(event.get("eventTime"), "eventTime")
    if "run" in event:
        return _run_event(event, at)
    if "job" in event:
        return Event(at, *_job(event, at), None, RunState.OTHER, {}, None, _datasets(event, at))
    if "dataset" in event:
        return Event(at, None, {}, None, RunState.OTHER, {}, None, (_dataset(event["dataset"], None, "dataset", at),))
    raise InvalidArgument("an OpenLineage event has a `run` and a `job`, or a `job`, or a `dataset`")


def _run_event(event: Mapping[str, Any], at: datetime) -> Event:
    run = _object(event["run"], "run")
    facets = _facets(run, "facets", "run", at)
    told = event.get("eventType") or RunState.OTHER.value
    try:
        state = RunState(str(told).upper())
    except ValueError:
        known = ", ".join(one.value for one in RunState)
        raise InvalidArgument(f"eventType {str(told)[:40]!r} is unknown; known are: {known}") from None
    parent = facets.get("parent")
    return Event(
        at,
        *_job(event, at),
        run_id=_uuid(run.get("runId"), "run.runId"),
        state=state,
        run_facets=facets,
        parent=_parent(parent.value if parent else None),
        datasets=_datasets(event, at),
    )


def _job(event: Mapping[str, Any], at: datetime) -> tuple[Name, Facets]:
    job = _object(event.get("job"), "job")
    return _name(job, "job"), _facets(job, "facets", "job", at)


def _datasets(event: Mapping[str, Any], at: datetime) -> tuple[Dataset, ...]:
    found = []
    for member, role in (("inputs", Role.INPUT), ("outputs", Role.OUTPUT)):
        rows = event.get(member)
        if rows is None:
            continue
        if not isinstance(rows, list) or len(rows) > MAX_DATASETS:
            raise InvalidArgument(f"{member} is a list of at most {MAX_DATASETS} datasets")
        found += [_dataset(row, role, f"{member}/{index}", at) for index, row in enumerate(rows)]
    return tuple(found)


def _dataset(data: Any, role: Role | None, where: str, at: datetime) -> Dataset:
    row = _object(data, where)
    facets = _facets(row, "facets", where, at)
    of_use: Facets = {}
    if role is not None:
        of_use = _facets(row, f"{role.value}Facets", where, at) | {
            name: facets[name] for name in OF_THE_USE & facets.keys()
        }
    return Dataset(_name(row, where), facets, of_use, role)


def _name(row: Mapping[str, Any], where: str) -> Name:
    for member, most in (("namespace", MAX_NAMESPACE), ("name", MAX_NAME)):
        value = row.get(member)
        if not isinstance(value, str) or not value or len(value) > most:
            raise InvalidArgument(f"{where}.{member} is a text of 1 to {most} characters")
        if "\0" in value:
            raise InvalidArgument(f"{where}.{member} holds a NUL character")
    return _named(row["namespace"], row["name"])


@lru_cache(maxsize=4000)
def _named(namespace: str, name: str) -> Name:
    """The same object for the same names, which come again and again: its key is made once."""
    return Name(namespace, name)


def _facets(row: Mapping[str, Any], member: str, where: str, at: datetime) -> Facets:
    found = row.get(member)
    return {} if found is None else stamped(_object(found, f"{where}.{member}"), at, where=f"{where}.{member}")


def _object(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise InvalidArgument(f"{where} is a JSON object")
    return data


def _uuid(value: Any, where: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except (AttributeError, TypeError, ValueError):
        raise InvalidArgument(f"{where} is a UUID, not {str(value)[:60]!r}") from None


def _parent(facet: Any) -> uuid.UUID | None:
    """What the facet says, where it says it rightly: a parent that cannot be read is no reason to lose a run."""
    run = facet.get("run") if isinstance(facet, dict) else None
    try:
        return _uuid(run.get("runId"), "parent") if isinstance(run, dict) else None
    except InvalidArgument:
        return None


def read_time(value: Any, where: str) -> datetime:
    """With a zone, or in UTC; fractions as fine as Java writes them. InvalidArgument for what is no time."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidArgument(f"{where} is a time as in 2026-05-17T08:00:00.000Z, not {str(value)[:60]!r}")
    day, clock, fraction, zone = found.groups()
    clock = clock if len(clock) > 5 else f"{clock}:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}")
        offset = timedelta()
        if zone and zone not in "Zz":
            digits = zone[1:].replace(":", "")
            offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)
        return moment.replace(tzinfo=timezone(offset)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise InvalidArgument(f"{where} {value!r} is no time that there is") from None

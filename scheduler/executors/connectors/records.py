"""Jobs and catalogues in the database, for threads of the executor, whose connection may have been lost meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections, transaction

from scheduler.executors.connectors.jobs import Job
from scheduler.models import ConnectorCatalogue, ConnectorJob

P = ParamSpec("P")
R = TypeVar("R")
_FIELDS = ("connector", "sync", "asked_at", "resource_meta", "created_at", "links", "info")


def in_thread(act: Callable[P, R]) -> Callable[P, R]:
    """With a connection that works, or an error that says that there is none."""

    @wraps(act)
    def acted(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return act(*args, **kwargs)
        finally:
            close_old_connections()

    return acted


class Records:
    """scheduler.executors.connectors.jobs.Jobs, as rows of ConnectorJob."""

    @in_thread
    def load(self, attempts: Sequence[int]) -> Mapping[int, Job]:
        rows = ConnectorJob.objects.filter(attempt_id__in=attempts)
        return {
            row.attempt_id: Job(
                connector=row.connector,
                sync=row.sync,
                asked_at=row.asked_at,
                meta=bytes(row.resource_meta),
                created_at=row.created_at,
                links=tuple((name, uri) for name, uri in row.links),
                info=row.info,
            )
            for row in rows
        }

    @in_thread
    def save(self, jobs: Mapping[int, Job | None]) -> None:
        rows = [_row(attempt, job) for attempt, job in sorted(jobs.items()) if job is not None]
        gone = sorted(attempt for attempt, job in jobs.items() if job is None)
        with transaction.atomic():
            if rows:
                ConnectorJob.objects.bulk_create(
                    rows, update_conflicts=True, unique_fields=["attempt"], update_fields=_FIELDS
                )
            if gone:
                ConnectorJob.objects.filter(attempt_id__in=gone).delete()


def _row(attempt: int, job: Job) -> ConnectorJob:
    return ConnectorJob(
        attempt_id=attempt,
        connector=job.connector,
        sync=job.sync,
        asked_at=job.asked_at,
        resource_meta=job.meta,
        created_at=job.created_at,
        links=[list(link) for link in job.links],
        info=dict(job.info),
    )


@in_thread
def catalogues() -> dict[str, list[dict[str, Any]]]:
    """What each connector was last heard to run, by `name endpoint`."""
    rows = ConnectorCatalogue.objects.exclude(read_at=None)
    return {f"{row.name} {row.endpoint}": row.types for row in rows}


@in_thread
def heard(name: str, endpoint: str, types: list[dict[str, Any]], at: datetime) -> None:
    """The service at that address answered."""
    values = {"endpoint": endpoint, "types": types, "read_at": at, "asked_at": at, "problem": ""}
    ConnectorCatalogue.objects.update_or_create(name=name, defaults=values)


@in_thread
def silent(name: str, endpoint: str, problem: str, at: datetime) -> None:
    """It did not. What it said before still counts, if it was at the same address."""
    row, _ = ConnectorCatalogue.objects.get_or_create(name=name, defaults={"endpoint": endpoint, "asked_at": at})
    if row.endpoint != endpoint:
        row.endpoint, row.types, row.read_at = endpoint, [], None
    row.asked_at, row.problem = at, problem
    row.save()

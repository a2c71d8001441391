"""What people see of attempts that are jobs of connectors: where else they can be seen, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.executors.connectors.connectors import KIND
from scheduler.models import ConnectorJob, TaskExecution


def jobs_of(rows: Iterable[TaskExecution]) -> dict[int, ConnectorJob]:
    """Of these attempts, those that have one, by attempt: one query, and none where no attempt is at a connector."""
    ids = [row.pk for row in rows if row.executor == KIND]
    found = ConnectorJob.objects.filter(attempt_id__in=ids).defer("resource_meta") if ids else ()
    return {job.attempt_id: job for job in found}


def links_of(job: ConnectorJob | None) -> list[tuple[str, str]]:
    """Name and address of each, as its connector says."""
    return [(str(name), str(uri)) for name, uri in job.links] if job is not None else []

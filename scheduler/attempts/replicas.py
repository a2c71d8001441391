"""What the replicas of jobs do, kept beside their attempts: the newest of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from django.db import transaction

from scheduler.attempts.observations import Replica, Replicas
from scheduler.models import AttemptReplicas, TaskExecution

_FIELDS = frozenset(field.name for field in fields(Replica))
_MOMENTS = ("started_at", "ended_at")


def keep(seen: Iterable[Replicas]) -> int:
    """Write down the newest of each attempt; returns of how many. One that is gone meanwhile is left out."""
    newest = {one.attempt_id: one for one in seen}
    with transaction.atomic():
        there = TaskExecution.objects.filter(pk__in=newest).values_list("pk", flat=True).order_by("pk")
        rows = [
            AttemptReplicas(attempt_id=pk, at=newest[pk].at, replicas=[_to_json(one) for one in newest[pk].replicas])
            for pk in there
        ]
        AttemptReplicas.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["attempt"], update_fields=["at", "replicas"]
        )
    return len(rows)


def of(row: TaskExecution) -> list[Replica]:
    """Of an attempt, in the order of roles and numbers; none of one that is a single process. One query."""
    kept = AttemptReplicas.objects.filter(attempt=row).first()
    return [_from_json(one) for one in kept.replicas] if kept is not None else []


def _to_json(one: Replica) -> dict[str, Any]:
    """What is empty is left out."""
    told = {name: value for name, value in asdict(one).items() if value not in (None, "")}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}


def _from_json(told: Mapping[str, Any]) -> Replica:
    given = {name: value for name, value in told.items() if name in _FIELDS}
    for name in _MOMENTS:
        if name in given:
            given[name] = datetime.fromisoformat(given[name])
    return Replica(**given)

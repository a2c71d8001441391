"""Primary keys of registered tasks; a version never changes, so they are remembered."""

from __future__ import annotations

from functools import lru_cache

from flyteidl.core import identifier_pb2

from scheduler.graphs import identity
from scheduler.models import Task


def task_pk(identifier: identifier_pb2.Identifier) -> int | None:
    """None for a task that only a dynamic spec knows."""
    try:
        return _pk(*identity(identifier))
    except Task.DoesNotExist:
        return None


@lru_cache(maxsize=4096)
def _pk(project: str, domain: str, name: str, version: str) -> int:
    found = Task.objects.only("pk").get(project=project, domain=domain, name=name, version=version)
    return int(found.pk)

"""Which other projects' objects an attempt may read in a local store: those that its execution was given lawfully.

The control plane asked at the launch whether its author may read a version, and recorded then that it is consumed.
"""

from __future__ import annotations

from django.db import close_old_connections

from lineage.models import VersionEdge
from scheduler.authority import Authority
from scheduler.models import Execution, TaskExecution


def may_read(attempt_id: int, project: str, domain: str) -> bool:
    """Whether the launcher of the attempt's execution may read there, or a version of there is consumed by it."""
    close_old_connections()  # in a thread of the executor, whose connection may have been lost since the last time
    try:
        return _may_read(attempt_id, project, domain)
    finally:
        close_old_connections()


def _may_read(attempt_id: int, project: str, domain: str) -> bool:
    execution = TaskExecution.objects.filter(pk=attempt_id).values("execution_id")
    wanted = ("project", "domain", "name", "principal", "principal_project")
    row = Execution.objects.filter(pk__in=execution).values_list(*wanted).first()
    if row is None:
        return False
    *key, principal, confined = row
    if Authority(principal, project=confined).reads(project, domain):
        return True
    edges = VersionEdge.objects.filter(execution_key="/".join(key), role="consumed")
    return bool(edges.filter(version__artifact__project=project, version__artifact__domain=domain).exists())

"""Which other projects' objects an attempt may read in a local store: those that its execution was given lawfully.

The control plane asked at the launch whether its author may read a version, and recorded then that it is consumed.
"""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string

from lineage.models import VersionEdge
from scheduler.models import Execution, TaskExecution


def may_read(attempt_id: int, project: str, domain: str) -> bool:
    """Whether the launcher of the attempt's execution may read there, or a version of there is consumed by it."""
    execution = TaskExecution.objects.filter(pk=attempt_id).values("execution_id")
    row = Execution.objects.filter(pk__in=execution).values_list("project", "domain", "name", "principal").first()
    if row is None:
        return False
    *key, principal = row
    ask = import_string(settings.CAUSEWAY_MAY_READ)
    if ask(principal, project, domain):
        return True
    edges = VersionEdge.objects.filter(execution_key="/".join(key), role="consumed")
    return bool(edges.filter(version__artifact__project=project, version__artifact__domain=domain).exists())

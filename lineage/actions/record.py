"""Facts about versions and executions, written in the transaction of what they describe.

Writing one twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lineage.models import ExecutionLink, LinkKind, VersionEdge, VersionRole, Via


@dataclass(frozen=True)
class Use:
    """One version at one place of an execution. `node_id` empty: the execution's own input or output."""

    version_id: int
    node_id: str = ""
    attempt: int = 0
    variable: str = ""
    via: Via = Via.LITERAL


def record_produced(execution_key: str, uses: Iterable[Use], *, at: datetime) -> None:
    """The execution published these versions. One query, whatever their number."""
    _record(execution_key, uses, VersionRole.PRODUCED, at)


def record_consumed(execution_key: str, uses: Iterable[Use], *, at: datetime) -> None:
    """The execution, or one of its nodes, took these versions in. One query, whatever their number."""
    _record(execution_key, uses, VersionRole.CONSUMED, at)


def _record(execution_key: str, uses: Iterable[Use], role: VersionRole, at: datetime) -> None:
    edges = [
        VersionEdge(
            version_id=use.version_id,
            execution_key=execution_key,
            node_id=use.node_id,
            attempt=use.attempt,
            variable=use.variable,
            role=role,
            via=use.via,
            at=at,
        )
        for use in uses
    ]
    if edges:
        VersionEdge.objects.bulk_create(edges, ignore_conflicts=True, batch_size=1000)


def record_started(
    execution_key: str, *, kind: LinkKind, source: str, at: datetime, detail: Mapping[str, object] | None = None
) -> None:
    """The execution was started by `source`: an execution key, or `trigger:<id>`, `schedule:<id>`."""
    link = ExecutionLink(execution_key=execution_key, kind=kind, source=source, detail=dict(detail or {}), at=at)
    ExecutionLink.objects.bulk_create([link], ignore_conflicts=True)

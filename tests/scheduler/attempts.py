"""Rows around attempts, as the engine makes them."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Any

from scheduler.models import Execution, NodeExecution, NodeKind, TaskExecution, Workflow
from scheduler.phases import AttemptPhase

_numbers = itertools.count(1)


def make_node(**fields: Any) -> NodeExecution:
    number = next(_numbers)
    now = datetime.now(timezone.utc)
    workflow = Workflow.objects.create(
        project="p", domain="d", name="w", version=f"v{number}", spec=b"", closure=b"", digest=b""
    )
    execution = Execution.objects.create(
        project="p", domain="d", name=f"e{number}", workflow=workflow, spec=b"", created_at=now, updated_at=now
    )
    base = {"node_id": "n0", "spec_node_id": "n0", "kind": NodeKind.TASK, "created_at": now, "updated_at": now}
    return NodeExecution.objects.create(execution=execution, **{**base, **fields})


def make_attempt(node: NodeExecution | None = None, **fields: Any) -> TaskExecution:
    number = next(_numbers)
    now = datetime.now(timezone.utc)
    node = node or make_node()
    base = {
        "node": node,
        "execution_id": node.execution_id,
        "attempt": number,
        "name": f"attempt-{number}",
        "phase": AttemptPhase.QUEUED,
        "created_at": now,
        "updated_at": now,
    }
    return TaskExecution.objects.create(**{**base, **fields})

"""What a decision about what may start costs an executor, with many attempts waiting for quotas.

Usage: .venv/bin/python benchmarks/admission.py [attempts=10000] [projects=10] [decisions=300]
It needs a database of its own (DATABASE_URL, migrated): it fills it with attempts, and rolls all of it back.
CPU is that of this process and of the database's session together, where the database is on this (Linux) machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import django
from django.db import connection, transaction

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


def main(attempts: int = 10_000, projects: int = 10, decisions: int = 300) -> None:
    django.setup()
    with transaction.atomic():
        _fill(attempts, projects)
        for label, limit in (("nothing may start", 0), ("one may start each time", attempts)):
            _set_limit(limit)
            print(f"{attempts} waiting of {projects} projects, {label}:")
            _show("  a decision", _measure(decisions))
            if limit == 0:
                _pages()
        transaction.set_rollback(True)


def _pages(times: int = 20) -> None:
    """Server time of what people look at meanwhile, without a network: a superuser, all projects."""
    from django.conf import settings
    from django.test import Client

    from console.accounts.models import User

    settings.ALLOWED_HOSTS = ["testserver"]
    with connection.cursor() as cursor:  # a decision that was interrupted would end the session (reading.STALLED)
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    user = User.objects.create(username="bench", is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(user)
    for address in ("/quotas/", "/api/v1/queue", "/executions/", "/"):
        statements, found = 0, []

        def count(execute: Any, *told: Any) -> Any:
            nonlocal statements
            statements += 1
            return execute(*told)

        with connection.execute_wrapper(count):
            client.get(address)
        for _ in range(times):
            clock = Clock()
            answer = client.get(address)
            found.append(clock.told())
            if answer.status_code != 200:
                raise SystemExit(f"{address}: {answer.status_code} {answer.content[:300]!r}")
        _show(f"  {address}, {statements} statements", found)


class Clock:
    """Milliseconds since it was made: passed, of this process's CPU, and of the database session's."""

    def __init__(self) -> None:
        self._began = self._now()

    def told(self) -> tuple[float, ...]:
        return tuple((now - began) * 1000 for now, began in zip(self._now(), self._began, strict=True))

    def _now(self) -> tuple[float, ...]:
        session = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
        return time.perf_counter(), time.process_time(), int(session.read_text().split()[0]) / 1e9


def _show(name: str, found: list[tuple[float, ...]]) -> None:
    passed, here, session = (list(column) for column in zip(*found, strict=True))
    both = [one + other for one, other in zip(here, session, strict=True)]
    told = f"{name}: "
    for what, times in (("passed", passed), ("CPU", both)):
        p95 = statistics.quantiles(times, n=20)[-1]
        told += f"{what} best {min(times):.2f}, median {statistics.median(times):.2f}, p95 {p95:.2f} ms; "
    print(f"{told}of that the session's {statistics.median(session):.2f}", flush=True)


def _fill(attempts: int, projects: int) -> None:
    from scheduler.models import Execution, NodeExecution, Project, TaskExecution, Workflow
    from scheduler.quotas import lanes

    now = datetime.now(timezone.utc)
    workflow = Workflow.objects.create(
        project="b", domain="d", name="w", version="1", spec=b"", closure=b"", digest=b""
    )
    rows = []
    for number in range(projects):
        project = f"bench-{number}"
        Project.objects.create(identifier=project)
        for part in range(20):
            execution = Execution.objects.create(
                project=project, domain="development", name=f"e{part}", workflow=workflow, spec=b"", created_at=now,
                updated_at=now,
            )  # fmt: skip
            node = NodeExecution.objects.create(
                execution=execution, node_id="n0", spec_node_id="n0", kind="array", created_at=now, updated_at=now
            )
            resources = {"gpu": 1} if part % 2 else {"cpu": 1}
            lane = lanes.row_of(project=project, domain="development", user="ann", launch_plan="w", priority=0,
                                resources=resources, needs={})  # fmt: skip
            lanes.write([lane])
            rows += [
                TaskExecution(node=node, execution_id=execution.pk, index=index, name=f"b-{execution.pk}-{index}",
                              created_at=now, updated_at=now, resources=resources, lane=lane.id)
                for index in range(attempts // projects // 20)
            ]  # fmt: skip
    TaskExecution.objects.bulk_create(rows, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE scheduler_taskexecution; ANALYZE scheduler_lane")


def _set_limit(limit: int) -> None:
    from scheduler.actions.quotas import Setter, Wanted, scope_of, set_quota
    from scheduler.models import Project

    for project in Project.objects.filter(identifier__startswith="bench-"):
        for resource in ("attempts", "gpu"):
            wanted = Wanted(
                scope_of(project=project.identifier), resource, limit or (0 if resource == "attempts" else 9)
            )
            set_quota(wanted, by=Setter("bench", platform=True))


def _measure(decisions: int) -> list[tuple[float, ...]]:
    from scheduler.attempts.claims import claim
    from scheduler.executors.packing import Unbounded

    found = []
    for _ in range(decisions):
        clock = Clock()
        claim("local", "bench", Unbounded(1), now=datetime.now(timezone.utc))
        found.append(clock.told())
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

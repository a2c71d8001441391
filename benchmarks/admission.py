"""What a decision about what may start costs an executor, with many attempts waiting for quotas.

Usage: .venv/bin/python benchmarks/admission.py [attempts=10000] [projects=10] [decisions=300]
It needs a database of its own (DATABASE_URL, migrated): it fills it with attempts, and rolls all of it back.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import datetime, timezone

import django
from django.db import connection, transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


def main(attempts: int = 10_000, projects: int = 10, decisions: int = 300) -> None:
    django.setup()
    with transaction.atomic():
        _fill(attempts, projects)
        for label, limit in (("nothing may start", 0), ("one may start each time", attempts)):
            _set_limit(limit)
            times = _measure(decisions)
            figures = f"best {min(times):.2f}, median {statistics.median(times):.2f}"
            p95 = statistics.quantiles(times, n=20)[-1]
            print(f"{attempts} waiting of {projects} projects, {label}: {figures}, p95 {p95:.2f} ms")
            if limit == 0:
                _pages()
        transaction.set_rollback(True)


def _pages(times: int = 20) -> None:
    """Server time of what people look at meanwhile, without a network: a superuser, all projects."""
    from django.conf import settings
    from django.test import Client

    from console.accounts.models import User

    settings.ALLOWED_HOSTS = ["testserver"]
    user = User.objects.create(username="bench", is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(user)
    for address in ("/quotas/", "/api/v1/queue", "/executions/", "/"):
        found = []
        for _ in range(times):
            start = time.perf_counter()
            answer = client.get(address)
            found.append((time.perf_counter() - start) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{address}: {answer.status_code} {answer.content[:300]!r}")
        p95 = statistics.quantiles(found, n=20)[-1]
        print(f"  {address}: best {min(found):.1f}, median {statistics.median(found):.1f}, p95 {p95:.1f} ms")


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


def _measure(decisions: int) -> list[float]:
    from scheduler.attempts.claims import claim
    from scheduler.executors.packing import Unbounded

    found = []
    for _ in range(decisions):
        start = time.perf_counter()
        claim("local", "bench", Unbounded(1), now=datetime.now(timezone.utc))
        found.append((time.perf_counter() - start) * 1000)
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

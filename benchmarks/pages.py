"""What every page and polled fragment costs in a filled installation; with `--browser`, what a browser makes of them.

    script/fill --versions 1000000 --executions 100000     # into an installation that runs
    CAUSEWAY_HOME=... .venv/bin/python benchmarks/pages.py [--only WORD] [--browser http://localhost:8000]

Server: milliseconds of wall time (p50, p95), CPU of this process and of its connection's server process together (p95:
what a busy machine does not change), statements, bytes compressed. Browser: bytes of the first load with everything it
fetches, layout shift, and how many pixels the page is wider than the window, at 1280 px. A star: more than asked for.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
if TYPE_CHECKING:
    from django.test import Client

    from console.accounts.models import User

FRAGMENT = {"HX-Request": "true"}
CANVAS_BYTES, PLAIN_BYTES, SHIFT = 200_000, 60_000, 0.02
FOUND = """() => ({
  shift: window.shifted,
  wide: document.documentElement.scrollWidth - window.innerWidth,
})"""
OBSERVED = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


class Address(NamedTuple):
    path: str
    is_fragment: bool = False

    @property
    def label(self) -> str:
        return f"{self.path}{'  (fragment)' if self.is_fragment else ''}"


# Pages that need no row to be named by.
PLAIN = (
    *(
        "/",
        "/?project=retail&domain=development",
        "/artifacts/",
        "/artifacts/names/",
        "/artifacts/names/?sort=-versions",
    ),
    *("/artifacts/names/?sort=-stale", "/artifacts/names/?q=orders", "/artifacts/?q=alias:champion", "/map/"),
    *("/artifacts/?q=region%3DSEA", "/artifacts/?q=kind:model+sort:created", "/artifacts/?q=nothing-is-called-so"),
    *("/map/?project=retail&domain=development", "/executions/", "/executions/?q=phase:failed", "/approvals/"),
    *("/executions/?q=phase:idle", "/executions/?q=created%3E2020-01-01", "/launch-plans/", "/workflows/", "/tasks/"),
    *("/reactions/", "/schedules/", "/schedules/calendar/", "/quotas/", "/usage/", "/usage/?days=90", "/search/"),
    *("/search/?q=train", "/search/?q=daily+orders", "/search/?q=zz", "/projects/", "/projects/retail/", "/sessions/"),
    *("/tokens/", "/notifications/", "/secrets/", "/connections/", "/clusters/", "/connectors/", "/approvers/"),
    *("/promotions/", "/service-levels/", "/elsewhere/", "/sql/", "/figures/", "/styleguide/", "/api/v1/docs"),
)
FRAGMENTS = (
    *("/", "/artifacts/", "/artifacts/names/", "/executions/", "/approvals/", "/launch-plans/", "/reactions/"),
    *("/schedules/", "/quotas/", "/search/?q=train", "/search/?q=ann"),
)


def addresses() -> Iterator[Address]:
    """Of each kind of thing the newest, and the one that has most."""
    yield from map(Address, PLAIN)
    yield from (Address(path, is_fragment=True) for path in FRAGMENTS)
    yield from map(Address, (*_artifacts(), *_runs(), *_plans()))


def _artifacts() -> Iterator[str]:
    from django.db.models import Count, Max

    from artifacts.models import Alias, Artifact, ArtifactVersion
    from scheduler.models import Gate

    most = Artifact.objects.annotate(n=Count("versions")).order_by("-n").values_list("pk", flat=True)[:2]
    named = Alias.objects.order_by("-pk").values_list("version", flat=True)[:1]
    newest = ArtifactVersion.objects.filter(artifact__in=list(most)).values("artifact").annotate(newest=Max("pk"))
    versions = ArtifactVersion.objects.in_bulk([*named, *(row["newest"] for row in newest)])
    for artifact in Artifact.objects.filter(versions__in=list(versions)):
        yield "/artifacts/{}/{}/{}/".format(*artifact.key)
        yield f"/map/?{urlencode({'artifact': str(artifact)})}"
        yield f"/artifacts/governance/{artifact.pk}/"
        yield f"/artifacts/retention/{artifact.pk}/"
        pair = artifact.versions.order_by("-created_at").values_list("pk", flat=True)[:2]
        yield f"/compare/?{urlencode([('v', pk) for pk in pair])}"
    for pk in versions:
        for tab in ("", "card/", "object/", "lineage/", "graph/", "canvas/", "triggers/", "why/", "keep/"):
            yield f"/artifacts/versions/{pk}/{tab}"
    for gate in Gate.objects.filter(decided_at__isnull=True, waiting_since__isnull=False).order_by("pk")[:1]:
        yield f"/approvals/{gate.pk}/"


def _runs() -> Iterator[str]:
    from scheduler.models import Execution, NodeExecution, NodeKind, TaskExecution
    from scheduler.phases import ExecutionPhase

    for phase in (ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.RUNNING):
        if (run := Execution.objects.filter(phase=phase).order_by("-pk").first()) is None:
            continue
        for tab in ("", "timeline/", "graph/", "data/", "logs/", "decks/", "resources/", "events/", "why/"):
            yield f"/executions/{run.key}/{tab}"
        for node in NodeExecution.objects.filter(execution=run, kind=NodeKind.TASK)[:1]:
            yield f"/executions/{run.key}/nodes/{node.node_id}/"
    widest = NodeExecution.objects.filter(kind=NodeKind.ARRAY).select_related("execution").order_by("-pk").first()
    if widest is not None:
        yield f"/executions/{widest.execution.key}/"
        yield f"/executions/{widest.execution.key}/nodes/{widest.node_id}/"
        yield f"/executions/{widest.execution.key}/nodes/{widest.node_id}/items/"
        yield f"/executions/{widest.execution.key}/logs/"
    pair = Execution.objects.filter(phase=ExecutionPhase.SUCCEEDED).order_by("-pk")[:2]
    yield f"/compare/?{urlencode([('x', run.key) for run in pair])}"
    for attempt in TaskExecution.objects.select_related("node__execution").order_by("-pk")[:1]:
        yield f"/executions/{attempt.node.execution.key}/nodes/{attempt.node.node_id}/logs/{attempt.pk}/"


def _plans() -> Iterator[str]:
    from scheduler.models import LaunchPlan, Schedule, Task

    for plan in LaunchPlan.objects.filter(project__in=("retail", "mobility"), state=LaunchPlan.State.ACTIVE)[:2]:
        yield f"/launch-plans/{plan.project}/{plan.domain}/{plan.name}/"
        yield f"/launch-plans/{plan.project}/{plan.domain}/{plan.name}/launch/"
        yield f"/workflows/{plan.project}/{plan.domain}/{plan.workflow.name}/"
    for task in Task.objects.filter(project="retail").order_by("-pk")[:1]:
        yield f"/tasks/{task.project}/{task.domain}/{task.name}/"
    for schedule in Schedule.objects.filter(active=True)[:1]:
        yield f"/schedules/{schedule.pk}/backfill/"


def measure(found: Sequence[Address], client: Client, looks: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")
    print(f"{'wall p50':>9} {'p95':>7} {'CPU p95':>8} {'statements':>10} {'KB':>6}")
    for address in found:
        headers = FRAGMENT if address.is_fragment else {}
        with CaptureQueriesContext(connection) as captured:
            response = client.get(address.path, headers=headers)
        statements = len(captured)  # the next request forgets them
        if response.status_code not in (200, 286):
            print(f"{response.status_code} {address.label}")
            continue
        walls, cpus = [], []
        for _ in range(looks):
            began, spent = time.perf_counter(), time.process_time() + _spent(server)
            client.get(address.path, headers=headers)
            walls.append((time.perf_counter() - began) * 1000)
            cpus.append((time.process_time() + _spent(server) - spent) * 1000)
        slow = "*" if _p95(cpus) > 100 else " "
        size = len(gzip.compress(response.getvalue())) / 1000
        figures = f"{statistics.median(walls):9.0f} {_p95(walls):7.0f} {_p95(cpus):7.0f}{slow}"
        print(f"{figures} {statements:10} {size:6.1f}  {address.label}", flush=True)


def _spent(schedstat: Path) -> float:
    """Seconds that a process ran (proc(5): the first number is nanoseconds)."""
    return int(schedstat.read_text().split()[0]) / 1e9


def _p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def look(found: Sequence[Address], cookie: str, url: str) -> None:
    """As a browser that has been nowhere yet sees them: nothing is kept from one to the next."""
    from playwright.sync_api import sync_playwright

    print(f"{'KB':>9} {'shift':>7} {'too wide':>9}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for address in found:
            with browser.new_context(viewport={"width": 1280, "height": 900}, base_url=url) as context:
                context.add_cookies([{"name": "sessionid", "value": cookie, "url": url}])
                page = context.new_page()
                page.add_init_script(OBSERVED)
                devtools = context.new_cdp_session(page)
                devtools.send("Network.enable")
                sizes: list[float] = []
                devtools.on(
                    "Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"])
                )
                page.goto(address.path)
                page.wait_for_timeout(700)
                seen, size = page.evaluate(FOUND), sum(sizes)
                most = CANVAS_BYTES if page.locator("[data-lineage]").count() else PLAIN_BYTES
            marks = [size > most, seen["shift"] > SHIFT, seen["wide"] > 0]
            figures = (f"{size / 1000:8.1f}", f"{seen['shift']:7.3f}", f"{seen['wide']:8}")
            shown = " ".join(f"{text}{'*' if mark else ' '}" for text, mark in zip(figures, marks, strict=True))
            print(f"{shown} {address.label}", flush=True)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="addresses that hold this")
    parser.add_argument("--looks", type=int, default=20, help="at each address")
    parser.add_argument("--browser", default="", metavar="URL", help="of the installation: look with Debian's chromium")
    given = parser.parse_args()

    import django

    django.setup()
    from django.conf import settings
    from django.test import Client

    import console.wsgi  # noqa: F401 - as the web process is: what it loads is none of the garbage collector's business
    from artifacts.models import ArtifactVersion
    from scheduler.models import Execution

    settings.ALLOWED_HOSTS = ["*"]
    print(f"{ArtifactVersion.objects.count():,} versions, {Execution.objects.count():,} executions")
    client = Client()
    client.force_login(_somebody())
    found = list(dict.fromkeys(one for one in addresses() if given.only in one.label))
    if given.browser:
        pages = [one for one in found if not one.is_fragment]
        look(pages, client.cookies[settings.SESSION_COOKIE_NAME].value, given.browser)
    else:
        measure(found, client, given.looks)


def _somebody() -> User:
    """A platform administrator: who may read most is asked for most."""
    from console.accounts.models import User

    user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if user is None:
        raise SystemExit("there is no superuser in this installation")
    return user


if __name__ == "__main__":
    main()

"""A burst of versions, each of which several triggers match: firings a second, how late they are, a page meanwhile.

A firing is an execution that a trigger launched. What its workflow does is in the cache, so that no process is started:
what is measured is what triggers cost, and as little as there can be of what runs. Times are the database's rows'.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from map import Meter
from setup import DOMAIN, PROJECT, Bench, arguments, bench, show
from storm import signed_in

ARTIFACT = "burst"
HEAD = """
from causeway import OnArtifact
from flytekit import Artifact, LaunchPlan, task, workflow

Data = Artifact(name="burst")

@task(cache=True, cache_version="1")
def known(number: int) -> int:
    return number

@workflow
def look_up(data: int) -> int:
    return known(number=1)
"""
PLAN = """
plan_{0} = LaunchPlan.create("burst_{0}", look_up, trigger=OnArtifact(Data, inputs={{"data": Data}}))
"""
PAGE = "executions/"
LEFT = """
SELECT (SELECT count(*) FROM scheduler_triggerfiring WHERE outcome = 'fired'),
       (SELECT count(*) FROM scheduler_execution WHERE ended_at IS NOT NULL)
"""
FIRED = """
SELECT extract(epoch FROM v.created_at)::float8, extract(epoch FROM e.created_at)::float8,
       extract(epoch FROM e.ended_at)::float8
FROM scheduler_triggerfiring f
JOIN artifacts_artifactversion v ON v.id = f.version_id
JOIN scheduler_execution e ON e.id = f.execution_id
WHERE v.id > %s ORDER BY e.created_at
"""


def publisher(url: str, token: str, versions: int, batch: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    place = {"project": PROJECT, "domain": DOMAIN, "name": ARTIFACT}
    for first in range(0, versions, batch):
        items = [{**place, "value": number} for number in range(first, min(first + batch, versions))]
        connection.request("POST", "/api/v1/artifact-versions/bulk", json.dumps({"items": items}), headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 201:
            raise SystemExit(answer.decode())


def publish(b: Bench, versions: int, clients: int, batch: int) -> None:
    each = [versions // clients + (number < versions % clients) for number in range(clients)]
    processes = [
        multiprocessing.Process(target=publisher, args=(b.stack.http_url, b.stack.admin_token, count, batch))
        for count in each
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


class Page(threading.Thread):
    """Somebody who looks at the executions, once in half a second, until told to stop."""

    def __init__(self, b: Bench) -> None:
        super().__init__(daemon=True)
        self.session, self.url = signed_in(b), f"{b.stack.http_url}/{PAGE}"
        self.took: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.5):
            began = time.monotonic()
            self.session.get(self.url, timeout=60).raise_for_status()
            self.took.append((time.monotonic() - began) * 1000)


def wait_for(b: Bench, firings: int, seconds: float) -> None:
    """Until so many fired and ended, or nothing more comes."""
    seen, until = (0, 0), time.monotonic() + seconds
    while time.monotonic() < until:
        found = b.rows(LEFT)[0]
        if found != seen:
            seen, until = found, time.monotonic() + seconds  # type: ignore[assignment]
        if min(found) >= firings:  # type: ignore[type-var]
            return
        time.sleep(0.5)
    print(f"gave up waiting: {seen[0]} fired, {seen[1]} ended of {firings}", file=sys.stderr)


def burst(b: Bench, versions: int, triggers: int, clients: int, batch: int) -> None:
    before = b.rows("SELECT coalesce(max(id), 0) FROM artifacts_artifactversion")[0][0]
    done = b.rows(LEFT)[0][0]
    page, meter = Page(b), Meter(b)
    used = meter.cpu()
    page.start()
    meter.start()
    began = time.time()
    publish(b, versions, clients, batch)
    published = time.time() - began
    wait_for(b, int(done) + versions * triggers, 60)  # type: ignore[call-overload]
    page.stop.set()
    page.join()
    spent = {name: seconds - used.get(name, 0.0) for name, seconds in meter.cpu().items()}
    meter.stop(1)
    rows: Any = b.rows(FIRED, before)
    if not rows:
        raise SystemExit("nothing fired")
    first, last = rows[0][0], rows[-1][1]
    ended = max((row[2] for row in rows if row[2] is not None), default=last)
    print(f"{versions} versions in {published:.1f} s: {versions / published:.0f} a second")
    print(f"{len(rows)} firings in {last - first:.1f} s: {len(rows) / (last - first):.0f} a second")
    print(f"all of them ended after {ended - first:.1f} s: {len(rows) / (ended - first):.0f} a second")
    show("version published -> execution exists", [(fired - at) * 1000 for at, fired, _ in rows])
    tail = rows[-max(1, len(rows) // 10) :]
    show("the same, of the last tenth", [(fired - at) * 1000 for at, fired, _ in tail])
    show(f"the page /{PAGE} meanwhile", page.took)
    print("resident MiB, highest:", ", ".join(f"{name} {size}" for name, size in sorted(meter.highest.items())))
    print("CPU a firing:", ", ".join(f"{name} {1000 * s / len(rows):.2f} ms" for name, s in spent.items() if s > 0.1))


def main() -> None:
    asked = arguments(__doc__, versions=1000, triggers=3, clients=2, batch=50)
    with bench() as b:
        b.register("bench_burst", HEAD + "".join(PLAN.format(number) for number in range(asked.triggers)))
        publish(b, 20, 1, 1)
        wait_for(b, 20 * asked.triggers, 30)
        burst(b, asked.versions, asked.triggers, asked.clients, asked.batch)


if __name__ == "__main__":
    main()

"""How fast the registry answers at a million versions: search at the REST door, queries and lineage in the database.

python benchmarks/registry.py                        a set-up of its own, filled in about ten minutes, removed again
python benchmarks/registry.py --home /tmp/registry   kept, and used again the next time

Beside the time that passes it tells the CPU time of those who worked for it, the web process and PostgreSQL: where the
machine has other things to do as well, that is the figure to look at.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import psutil
import psycopg
import requests

if TYPE_CHECKING:
    from tests.stack import RunningStack

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SEARCHES = [
    *("", "drift", "dataset", "wine17", "nosuchword", "drift baseline -holdout", "wine17 kind:model"),
    *("kind:model", "kind:model split=test", "-kind:model -kind:dataset", "name:ml-dataset", "name:wine"),
    *("region=SEB", "region=SEB region=SEC", "region!=SEB", "region=MIE", "region=NOPE", "day=2025-05-05"),
    *("tenant=tenant-3 shop=shop-2 region=SEC", "name:ml-dataset region=MIE", "name:ml-dataset region=SEB split=test"),
    *("project:risk", "project:risk domain:staging drift", "project:risk kind:model metric.auc>0.9"),
    *(
        "by:fit",
        "by:flytesnacks.pipelines.ml_model.fit",
        "by:nosuch",
        "execution:x00000100",
        "version:x00000100.n0.0.o1",
    ),
    *("created>2026-06-01 kind:model", "created<2025-01-01 region=SEA", "time>=2026-06-01", "time=2025-06-01T12"),
    *("metric.auc>0.9", "metric.auc>0.999999", "metric.auc>5", "metric.auc>0.9 region=SEB"),
    *("alias:champion", "alias:latest", "alias:champion kind:model", "metadata.framework=torch", "removed:yes"),
    *("sort:metric.auc", "sort:metric.auc-asc kind:model", "sort:metric.auc region=SEB", "sort:created-asc region=SEB"),
    "kind:model metric.auc>0.9 alias:champion by:fit created>2025-01-01",
]
GIVEN_UP = ["region=SEA", "region=SEA split=test", "kind:model region=SEA"]  # a frequent value of a year ago


class Took(NamedTuple):
    """Milliseconds."""

    passed: float
    cpu: float


@contextmanager
def registry(home: Path, versions: int, artifacts: int, *, lineage: bool = True) -> Iterator[RunningStack]:
    """A running set-up whose registry is filled."""
    from tests.stack import running_stack

    with running_stack(home) as stack:
        os.environ["DATABASE_URL"] = f"postgresql://postgres@/causeway?host={stack.home / 'postgres'}"
        os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
        os.environ["CAUSEWAY_HOME"] = str(stack.home)
        os.environ.setdefault("CAUSEWAY_SECRET_KEY", "only-for-this")
        import django

        django.setup()
        from benchmarks.registry_rows import fill

        url = f"postgresql://postgres@/causeway?host={stack.home / 'postgres'}"
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT count(*) FROM artifacts_artifactversion").fetchone()
            if not found or not found[0]:
                fill(connection, versions=versions, artifacts=artifacts, lineage=lineage)
        yield stack


def busy(pids: Iterable[int]) -> float:
    """How long these processes have been on a CPU, in milliseconds."""
    threads = (file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(file.read_text().split()[0]) for file in threads) / 1e6


def timed(act: Callable[[], object], rounds: int, pids: Iterable[int]) -> list[Took]:
    """`pids` are those of the processes that work for it."""
    act()
    times = []
    for _ in range(rounds):
        before, begun = busy(pids), time.perf_counter()
        act()
        times.append(Took((time.perf_counter() - begun) * 1000, busy(pids) - before))
    return times


def at_the_door(stack: RunningStack, rounds: int) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {stack.admin_token}"

    def get(path: str, **query: str) -> requests.Response:
        response = session.get(f"{stack.http_url}{path}?{urlencode(query)}", timeout=60)
        response.raise_for_status()
        return response

    def measured(act: Callable[[], object], times: int = rounds) -> list[Took]:
        act()  # so that every session of PostgreSQL that takes part is there
        found = (psutil.Process(stack.pids()[name]) for name in ("web", "postgres"))
        return timed(act, times, [each.pid for one in found for each in (one, *one.children(recursive=True))])

    total: dict[str, list[Took]] = {"search": [], "facets": []}
    api = "/api/v1/artifact-versions"
    for text in [*SEARCHES, *GIVEN_UP]:
        for name, path in (("search", api), ("facets", f"{api}/facets")):
            times = measured(partial(get, path, q=text))
            show(f"{name} {text[:60]}", times)
            total[name] += times
    following = get(api, q="region=SEB").json()["next"]

    def turn() -> None:
        nonlocal following
        following = session.get(following, timeout=60).json()["next"]

    total["next page"] = measured(turn, 50)
    for name, times in total.items():
        show(f"{name}, REST", times)
    detail = "/api/v1/artifacts/flytesnacks/production/ml-dataset"
    for name, path, query in [
        ("resolve, all keys, REST", f"{detail}/resolve", {"partition.region": "SEB", "partition.split": "test"}),
        ("resolve, some keys, REST", f"{detail}/resolve", {"partition.region": "MIE"}),
        ("versions of an artifact, REST", f"{detail}/versions", {}),
        ("artifacts, REST", "/api/v1/artifacts", {}),
    ]:
        show(name, measured(partial(get, path, **query), rounds * 3))


def in_the_database(rounds: int) -> None:
    from django.db import connection

    from artifacts.models import ArtifactVersion
    from artifacts.queries import find
    from artifacts.wanted import Wanted
    from benchmarks.registry_triggers import with_triggers
    from lineage.queries import one_hop
    from lineage.walks import ancestry
    from scheduler.triggers.matching import matching

    connection.ensure_connection()
    pids = [os.getpid(), connection.connection.info.backend_pid]
    key = ("flytesnacks", "production", "ml-dataset")
    at = an_hour_of(key, datetime(2026, 3, 1, 5, tzinfo=timezone.utc))
    for name, wanted in {
        "newest": Wanted(*key),
        "newest, all keys": Wanted(*key, partitions={"region": "SEB", "split": "test"}),
        "newest, all keys, a year ago": Wanted(*key, partitions={"region": "SEA", "split": "test"}),
        "newest, some keys": Wanted(*key, partitions={"split": "test"}),
        "newest, some keys, rare": Wanted(*key, partitions={"region": "SEA"}),
        "newest, some keys, time partition": Wanted(*key, partitions={"region": "SEB"}, time_partition=at),
        "newest, some keys, as of then": Wanted(*key, partitions={"region": "SEA"}, created_before=at),
        "newest, some keys, times before": Wanted(*key, partitions={"region": "MIE"}, time_before=at),
        "alias": Wanted("flytesnacks", "production", "ml-model", alias="champion"),
    }.items():
        show(name, timed(partial(find, wanted), rounds * 5, pids))
    count = ArtifactVersion.objects.order_by("-pk").values_list("pk", flat=True)[0]
    for name, pk in (("a recent version", count - 10), ("half way", count // 2), ("used by 100,000 executions", 7)):
        version = ArtifactVersion.objects.select_related("artifact").get(pk=pk)
        show(f"one hop, {name}", timed(partial(one_hop, version), rounds, pids))
        show(f"ancestry, at most 10,000, {name}", timed(partial(ancestry, pk), rounds, pids))
    for name, one_artifact in (
        ("10,000 triggers, 3 on the artifact", False),
        ("10,000 triggers on the artifact", True),
    ):
        with with_triggers(10_000, one_artifact=one_artifact) as version:
            show(f"match of a version, {name}", timed(partial(matching, version), rounds, pids))


def an_hour_of(key: tuple[str, str, str], before: datetime) -> datetime:
    """The last one before that time of which the artifact has a version of the region SEB: small sets lack most."""
    from artifacts.models import ArtifactVersion

    named = dict(zip(("artifact__project", "artifact__domain", "artifact__name"), key, strict=True))
    found = ArtifactVersion.objects.filter(**named, partitions__region="SEB", time_partition__lte=before)
    return found.order_by("-time_partition").values_list("time_partition", flat=True)[0] or before


def show(name: str, times: list[Took]) -> None:
    def figures(values: Iterable[float]) -> str:
        ordered = sorted(values)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        return f"p50 {statistics.median(ordered):7.1f} p95 {p95:7.1f}"

    passed, cpu = figures(each.passed for each in times), figures(each.cpu for each in times)
    print(f"{name:<68} {passed} ms   CPU {cpu} ms   n {len(times)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="keep the set-up there; without it, one of its own is removed again")
    parser.add_argument("--versions", type=int, default=1_000_000)
    parser.add_argument("--artifacts", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each search")
    parser.add_argument("--searches", action="store_true", help="these only, over versions without lineage")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="causeway-registry-") as folder,
        registry(
            asked.home or Path(folder) / "h", asked.versions, asked.artifacts, lineage=not asked.searches
        ) as stack,
    ):
        at_the_door(stack, asked.rounds)
        if not asked.searches:
            in_the_database(asked.rounds)


if __name__ == "__main__":
    main()

"""A cluster in a few lines, and what is missing on it: said before a task finds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from scheduler.executors.kubernetes import pods, rights
from scheduler.executors.kubernetes.capacity import CPU, MEMORY, Has, capacity, is_ready
from scheduler.executors.kubernetes.client import Api, ApiError, connect
from scheduler.executors.kubernetes.cluster import Accelerators, Cluster
from scheduler.executors.kubernetes.jobs.registry import RESOURCES
from scheduler.executors.kubernetes.objects import Objects, kueue_version
from scheduler.executors.kubernetes.resource import Resource

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - comparing, not binding
NO_KUEUE = "missing: Kueue, whose queues the settings name"
QUICK = (3.0, 10.0)  # seconds to connect, and to answer


@dataclass(frozen=True)
class Overview:
    """`version` of Kubernetes: empty where the cluster does not answer. `has`: empty where that may not be asked."""

    lines: tuple[str, ...] = ()
    version: str = ""
    has: tuple[Has, ...] = ()


def lines(
    cluster: Cluster, store_url: str, store_endpoint: str, *, client: Callable[[Cluster], Api] | None = None
) -> Iterator[str]:
    """As `look`, for people."""
    yield from look(cluster, store_url, store_endpoint, client=client).lines


def look(
    cluster: Cluster, store_url: str, store_endpoint: str, *, client: Callable[[Cluster], Api] | None = None
) -> Overview:
    """`store_url`: of the object store; `store_endpoint`: of an S3 server that is not Amazon's. Raises BadCluster."""
    api = (client or connect)(cluster)
    lacking = tuple(_lacking_settings(cluster, store_url, cluster.store_endpoint or store_endpoint))
    try:
        version = _version(api)
        first = f"cluster {cluster.name}: Kubernetes {version} at {api.host}"
        nodes = _nodes(api)
        has = _capacity(api, cluster, nodes) if nodes else []
        jobs = _kinds_of_jobs(api)
        rest = _lacking_rights(api, jobs, with_queues=any(cluster.queues.values()))
        told = [f"  distributed jobs: {', '.join(f'{one.kind} ({one.api_version})' for one in jobs)}"] if jobs else []
        return Overview((first, *_told(nodes, has), *told, *rest, *lacking), version, tuple(has))
    except ApiError as error:
        words = f"cluster {cluster.name} does not answer ({error.message}): its tasks wait until it does"
        return Overview((words, *lacking))


def _version(api: Api) -> str:
    return pods.text(api.call("GET", "/version", timeout=QUICK), "gitVersion").removeprefix("v")


def _nodes(api: Api) -> list[pods.Json] | None:
    """None: they may not be listed."""
    try:
        return pods.items(api.call("GET", "/api/v1/nodes", query={"limit": 5000}, timeout=QUICK), "items")
    except ApiError as error:
        if error.status != 403:
            raise
        return None


def _capacity(api: Api, cluster: Cluster, nodes: Sequence[pods.Json]) -> list[Has]:
    """Nothing where pods of all namespaces may not be listed: what others use is not known then."""
    try:
        return capacity(nodes, Objects(api).placed_pods(), cluster.accelerators)
    except ApiError as error:
        if error.status != 403:
            raise
        return []


def _told(nodes: Sequence[pods.Json] | None, has: Sequence[Has]) -> Iterator[str]:
    if nodes is None:
        yield "  how many nodes and GPUs it has may not be asked"
        return
    ready = [node for node in nodes if is_ready(node)]
    amounts: Counter[str] = Counter()
    for one in capacity(ready, (), Accelerators()):
        amounts[one.resource] += one.allocatable  # type: ignore[assignment]  # cores are no whole numbers
    cpus = amounts.pop(CPU, 0)
    amounts.pop(MEMORY, 0)
    devices = [f"{amount:g} {name}" for name, amount in sorted(amounts.items())]
    away = f", {len(nodes) - len(ready)} not ready" if len(ready) < len(nodes) else ""
    had = ", ".join(devices) or "no GPUs"
    yield f"  {len(ready)} node{'' if len(ready) == 1 else 's'}{away}, {cpus:g} cpus, {had}"
    if has:
        yield f"  {', '.join(one.words for one in has)}"


def _kinds_of_jobs(api: Api) -> list[Resource]:
    """Those that operators of the cluster bring."""
    objects = Objects(api)
    return [one for one in RESOURCES if objects.serves(one)]


def _lacking_rights(api: Api, jobs: Sequence[Resource], *, with_queues: bool) -> Iterator[str]:
    of_jobs = [right for one in jobs for right in rights.of_jobs(one)]
    absent = rights.missing(api, also=(*((rights.OF_QUEUES,) if with_queues else ()), *of_jobs))
    for needed, words in ((True, "MISSING, without it no task runs"), (False, "missing")):
        for right in absent:
            if right.needed is needed:
                yield f"  {words}: the right to {right} ({right.why}); docs/howto/kubernetes.md has the role"
    if with_queues and not kueue_version(api):
        yield f"  {NO_KUEUE}: pods of these projects wait in no queue (`queues` in its settings)"


def _lacking_settings(cluster: Cluster, store_url: str, endpoint: str) -> Iterator[str]:
    if not cluster.image:
        yield "  no default image: tasks that name none end at once (--image NAME)"
    if not store_url.startswith("s3://"):
        yield (
            f"  MISSING, without it no task ends well: an object store that pods can reach; {store_url} is a folder of "
            "this machine (CAUSEWAY_STORE_URL=s3://BUCKET, AWS_ENDPOINT_URL and keys; or script/up --s3-door)"
        )
    elif endpoint and urlsplit(endpoint).hostname in LOCAL_HOSTS:
        yield (
            f"  MISSING, without it no task ends well: pods cannot reach the object store at {endpoint}, which is each "
            "pod's own address (`store_endpoint` in the cluster's settings, or AWS_ENDPOINT_URL)"
        )
    if not cluster.endpoint:
        yield "  no address of the gRPC door for pods: eager workflows do not run there (`endpoint` in its settings)"

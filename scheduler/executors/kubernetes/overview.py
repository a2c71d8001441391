"""A cluster in a few lines, and what is missing on it: said before a task finds out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from artifacts.exceptions import CausewayError
from scheduler.executors.kubernetes import pods, rights
from scheduler.executors.kubernetes.client import Api, ApiError, connect
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.containers import is_device
from scheduler.executors.kubernetes.objects import kueue_version
from scheduler.quantities import quantity

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - comparing, not binding
NO_KUEUE = "missing: Kueue, whose queues the settings name"
QUICK = (3.0, 10.0)  # seconds to connect, and to answer


def lines(
    cluster: Cluster, store_url: str, store_endpoint: str, *, client: Callable[[Cluster], Api] | None = None
) -> Iterator[str]:
    """`store_url`: of the object store; `store_endpoint`: of an S3 server that is not Amazon's. Raises BadCluster."""
    api = (client or connect)(cluster)
    try:
        yield f"cluster {cluster.name}: {_version(api)} at {api.host}"
        yield from _nodes(api)
        with_queues = any(cluster.queues.values())
        yield from _lacking_rights(api, with_queues=with_queues)
        if with_queues and not kueue_version(api):
            yield f"  {NO_KUEUE}: pods of these projects wait in no queue (`queues` in its settings)"
    except ApiError as error:
        yield f"cluster {cluster.name} does not answer ({error.message}): its tasks wait until it does"
    yield from _lacking_settings(cluster, store_url, cluster.store_endpoint or store_endpoint)


def _version(api: Api) -> str:
    return f"Kubernetes {pods.text(api.call('GET', '/version', timeout=QUICK), 'gitVersion').removeprefix('v')}"


def _nodes(api: Api) -> Iterator[str]:
    try:
        nodes = pods.items(api.call("GET", "/api/v1/nodes", query={"limit": 5000}, timeout=QUICK), "items")
    except ApiError as error:
        if error.status != 403:
            raise
        yield "  how many nodes and GPUs it has may not be asked"
        return
    ready = [node for node in nodes if _is_ready(node)]
    devices: dict[str, int] = {}
    for node in ready:
        for name, amount in pods.part(node, "status", "allocatable").items():
            if is_device(name) and not name.startswith("hugepages"):
                devices[name] = devices.get(name, 0) + _whole(amount)
    had = ", ".join(f"{amount} {name}" for name, amount in sorted(devices.items()) if amount) or "no GPUs"
    away = f", {len(nodes) - len(ready)} not ready" if len(ready) < len(nodes) else ""
    cpus = sum(_amount(pods.part(node, "status", "allocatable").get("cpu")) for node in ready)
    yield f"  {len(ready)} node{'' if len(ready) == 1 else 's'}{away}, {cpus:g} cpus, {had}"


def _lacking_rights(api: Api, *, with_queues: bool) -> Iterator[str]:
    absent = rights.missing(api, also=(rights.OF_QUEUES,) if with_queues else ())
    for needed, words in ((True, "MISSING, without it no task runs"), (False, "missing")):
        for right in absent:
            if right.needed is needed:
                yield f"  {words}: the right to {right} ({right.why}); docs/howto/kubernetes.md has the role"


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


def _is_ready(node: pods.Json) -> bool:
    return pods.condition(node, "Ready").get("status") == "True" and not pods.part(node, "spec").get("unschedulable")


def _amount(told: object) -> float:
    try:
        return quantity(str(told))
    except CausewayError:
        return 0.0


def _whole(told: object) -> int:
    return int(_amount(told))

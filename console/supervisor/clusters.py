"""The clusters that `script/up` was told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from console.supervisor.errors import CannotStart
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, load, parse


def clusters(env: Mapping[str, str]) -> list[Cluster]:
    """Raises CannotStart for a description that is not understood."""
    path, kubeconfig = env.get("CAUSEWAY_CLUSTERS"), env.get("CAUSEWAY_KUBECONFIG")
    try:
        if path:
            return load(path)
        return [parse("", kubeconfig=kubeconfig, image=env.get("CAUSEWAY_CLUSTER_IMAGE"))] if kubeconfig else []
    except BadCluster as error:
        raise CannotStart(str(error)) from None


def check(env: Mapping[str, str]) -> None:
    """Raises CannotStart for a kubeconfig that cannot be used: before anything is built or written for the cluster."""
    if not (found := clusters(env)):
        return
    # Only here: the client of Kubernetes takes a second to import.
    from scheduler.executors.kubernetes.client import connect  # noqa: PLC0415

    try:
        for one in found:
            connect(one)
    except BadCluster as error:
        raise CannotStart(str(error)) from None


def describe(env: Mapping[str, str], store_url: str) -> Iterator[str]:
    """Which clusters there are, what they have, and what is missing."""
    if not (found := clusters(env)):
        return
    from scheduler.executors.kubernetes.overview import lines  # noqa: PLC0415 - see above

    try:
        for one in found:
            yield from lines(one, store_url, env.get("AWS_ENDPOINT_URL", ""))
    except BadCluster as error:
        raise CannotStart(str(error)) from None

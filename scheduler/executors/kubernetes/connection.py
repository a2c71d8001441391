"""A client of a configured cluster. Apart from the list of clusters: importing the client takes a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.executors.kubernetes import kubeconfig
from scheduler.executors.kubernetes.client import Api, connect
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster
from scheduler.executors.kubernetes.clusters import bound_to, of_settings
from scheduler.models import ClusterSettings
from scheduler.secrets.cipher import CannotOpen, open_sealed


def api_of(found: Cluster) -> Api:
    """With the kubeconfig that was set, or the file that its description names. BadCluster."""
    return connect(found, credentials_of(found))


def credentials_of(found: Cluster) -> Mapping[str, Any] | None:
    """The kubeconfig that was set for it, from the database; None: none was. BadCluster."""
    if any(one.name == found.name for one in of_settings()):
        return None
    row = ClusterSettings.objects.filter(name=found.name).first()
    if row is None or not row.sealed:
        return None
    try:
        return kubeconfig.read(open_sealed(bytes(row.sealed), bound_to=bound_to(row.name)).decode())
    except CannotOpen as error:
        raise BadCluster(f"cluster {row.name}: its kubeconfig cannot be opened: {error.message}") from None

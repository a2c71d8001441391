"""What an operator says of a cluster. Every field has a default that works on a plain cluster.

The names are ours; what corresponds to Flyte's `plugins.k8s` is told in docs/howto/kubernetes.md. Parts of pods
(tolerations, affinities, security contexts) are Kubernetes' own JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.executors.descriptions import BadDescription, made
from scheduler.executors.kubernetes.reuse import policy

Json = Mapping[str, Any]
_HTTP = re.compile(r"https?://", re.ASCII)
_QUEUE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_TEMPLATE = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
RUNNERS = ("causeway", "flytekit")
LOG_WORDS = frozenset({"cluster", "namespace", "pod", "started", "ended"})


BadCluster = BadDescription


@dataclass(frozen=True)
class Graces:
    """Seconds that a pod may wait for one reason, from when that reason was first seen; 0: for ever.

    Kubernetes itself never ends such a wait. Flyte 1.16.8 gives 180 s for images and container errors and waits for
    ever for a node.
    """

    image: float = 180.0  # an image that cannot be pulled
    config: float = 60.0  # a ConfigMap or Secret that is not there, a container that cannot be made
    creating: float = 600.0  # volumes and sandboxes that fail, from the first event that says so
    initializing: float = 3600.0  # init containers and sidecars that do not get ready
    impossible: float = 900.0  # no node of today could ever run it; a cluster that grows may yet
    hopeless: float = 15.0  # the same by the numbers of all nodes, and nobody says that he adds one; 0: as `impossible`
    unschedulable: float = 86400.0  # nodes could, but are taken
    quota: float = 86400.0  # a ResourceQuota that is used up
    queue: float = 0.0  # a turn in a queue of Kueue
    operator: float = 300.0  # a job of which its operator says nothing, or that is not there
    unreachable: float = 120.0  # a pod that was to end, on a node that says nothing any more


@dataclass(frozen=True)
class Accelerators:
    """How nodes say which GPU they have: labels and taints of the same names, as Flyte has it."""

    resource: str = "nvidia.com/gpu"
    device_label: str = "k8s.amazonaws.com/accelerator"
    partition_label: str = "k8s.amazonaws.com/gpu-partition-size"
    devices: Mapping[str, str] = field(default_factory=dict)  # a device's name to the value of the label, where other
    resources: Mapping[str, str] = field(default_factory=dict)  # a device's name to its resource's name, where other
    unpartitioned_requirement: Json | None = None  # NodeSelectorRequirement; none: the partition's label is absent
    unpartitioned_toleration: Json | None = None


@dataclass(frozen=True)
class Placing:
    """Where pods go that may be taken away (spot nodes), or those that may not."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    requirement: Json | None = None  # NodeSelectorRequirement, added to every term
    tolerations: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Cluster:
    name: str = "kubernetes"
    kubeconfig: str = ""  # path; empty: the service account of the pod that Causeway runs in
    context: str = ""  # of the kubeconfig; empty: its current one
    namespace: str = "{{ project }}-{{ domain }}"
    create_namespaces: bool = True
    namespace_objects: tuple[Json, ...] = ()  # quotas, role bindings and the like for a namespace that is made
    image: str = ""  # where a task names none
    data_image: str = ""  # has Python and flytekit, for the inputs and outputs of raw containers; empty: `image`
    image_pull_policy: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_from_secrets: tuple[str, ...] = ()
    env_from_config_maps: tuple[str, ...] = ()
    namespace_secrets: bool = False  # whether tasks may ask for Secret objects of their namespace, by group and key
    requests: Mapping[str, str] = field(default_factory=dict)  # for containers that ask for nothing of that name
    accelerators: Accelerators = Accelerators()
    tolerations: tuple[Json, ...] = ()
    resource_tolerations: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: Json | None = None
    interruptible: Placing = Placing()
    on_demand: Placing = Placing()
    service_account: str = ""
    pod_security_context: Json | None = None
    security_context: Json | None = None
    priority_class: str = ""
    runtime_class: str = ""
    scheduler: str = ""
    host_network: bool | None = None
    dns_policy: str = ""
    dns_config: Json | None = None
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)  # of Kueue, by `project/domain`, `project`, `*`
    reuse: Mapping[str, Any] = field(default_factory=dict)  # policy.Reuse, by `project/domain`, `project`, `*`
    pod_template: str = "flyte-template"  # a PodTemplate object that, where it exists, all pods begin with
    template_namespace: str = ""  # where templates are looked for that a namespace does not have
    log_links: tuple[Mapping[str, str], ...] = ()  # {"name", "uri"}: the uri with {{ pod }} and the like (LOG_WORDS)
    graces: Graces = Graces()
    abort_grace_seconds: int = 10  # Python as process 1 does not heed SIGTERM: it would wait all of it
    keep_ended_seconds: float = 0.0  # how long an ended pod stays to be looked at
    runner: str = "causeway"  # how flytekit is started in a pod: our way, or "flytekit" for its own
    submissions: int = 10  # pods made at the same time: more gain nothing
    endpoint: str = ""  # host and port where its pods reach the gRPC door, for tasks that launch others
    store_endpoint: str = ""  # where its pods reach the S3 store; empty: where Causeway does
    lease_namespace: str = ""  # where replicas of the executor agree on one; empty: there is one only
    # Which attempts it takes (scheduler.placement.Cluster)
    labels: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    weight: float = 1.0
    open: bool = True

    def namespace_of(self, project: str, domain: str) -> str:
        return filled(self.namespace, {"project": project, "domain": domain})

    def reuse_of(self, project: str, domain: str) -> policy.Reuse:
        """Which tasks of that place share pods, and how many."""
        return policy.chosen(self.reuse, project, domain)

    def queue_of(self, project: str, domain: str) -> str:
        """The name of Kueue's LocalQueue in which pods of that place wait; empty: in none."""
        found = (self.queues.get(key) for key in (f"{project}/{domain}", project, "*"))
        return next((name for name in found if name is not None), "")


def filled(template: str, words: Mapping[str, str]) -> str:
    """The text with each {{ word }} replaced; words that are not known stay."""
    return _TEMPLATE.sub(lambda match: words.get(match[1], match[0]), template)


def parse(text: str, **over: Any) -> Cluster:
    """A cluster from YAML or JSON; `over` what the command line says. BadCluster for what is not understood."""
    import yaml  # noqa: PLC0415 - every process imports this module, and most read none

    try:
        given = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise BadCluster(f"the description of the cluster is no YAML: {error}") from None
    return _of(given, **over)


def described(given: Any) -> Cluster:
    """A cluster from what YAML or JSON says. BadCluster."""
    return _of(given)


def _of(given: Any, **over: Any) -> Cluster:
    if not isinstance(given, dict):
        raise BadCluster("the description of the cluster has to be a mapping, such as `name: gpu-1`")
    told = {**given, **{name: value for name, value in over.items() if value}}
    found: Cluster = made(Cluster, told, "the cluster", _PARTS)
    _check(found)
    return found


def load(path: str) -> list[Cluster]:
    """The clusters that a file describes: a list, or a single one. BadCluster."""
    import yaml  # noqa: PLC0415 - see above

    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadCluster(f"the description of clusters in {path} cannot be read: {error}") from None
    clusters = [_of(one) for one in (given if isinstance(given, list) else [given])]
    if len({one.name for one in clusters}) < len(clusters):
        raise BadCluster(f"{path} describes two clusters of one name: each needs a `name` of its own")
    return clusters


_PARTS = {"graces": Graces, "accelerators": Accelerators, "interruptible": Placing, "on_demand": Placing}


def _check(cluster: Cluster) -> None:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", cluster.name, re.ASCII):
        raise BadCluster(f"a cluster's name has small letters, digits and '-', at most 32: {cluster.name!r} does not")
    if unknown := sorted(set(_TEMPLATE.findall(cluster.namespace)) - {"project", "domain"}):
        raise BadCluster(f"the namespace may say {{{{ project }}}} and {{{{ domain }}}}, not {{{{ {unknown[0]} }}}}")
    for link in cluster.log_links:
        if not isinstance(link, Mapping) or not link.get("name") or not _HTTP.match(str(link.get("uri"))):
            raise BadCluster("each of log_links has a name, and a uri that begins with http:// or https://")
        if unknown := sorted(set(_TEMPLATE.findall(link["uri"])) - LOG_WORDS):
            raise BadCluster(f"log_links: {{{{ {unknown[0]} }}}} is unknown; there are {', '.join(sorted(LOG_WORDS))}")
    if cluster.runner not in RUNNERS:
        raise BadCluster(f"runner is {cluster.runner!r}; it may be {' or '.join(RUNNERS)}")
    for place, queue in cluster.queues.items():
        if not isinstance(queue, str) or (queue and not _QUEUE.fullmatch(queue)):
            raise BadCluster(f"queues: {queue!r} of {place} is no name of a queue: small letters, digits and '-'")
    for place, given in cluster.reuse.items():
        policy.parse(place, given)
    if cluster.submissions < 1:
        raise BadCluster("submissions has to be 1 or more")

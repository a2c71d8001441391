"""The container that runs a task's program, and what it asks for."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import AttemptSpec, Needs, Pod
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.merge import over, resources_beneath
from scheduler.executors.kubernetes.runner import start
from scheduler.secrets.names import Request

Json = dict[str, Any]
MAIN = "main"  # the container of a task that brings no pod
PRIMARY = "primary"  # flytekit's name, where a pod template names none
GPU = "gpu"  # as AttemptSpec says it
# Of these a limit is made of the request, as in Flyte: without one a task takes its neighbours' memory or disk. Of cpu
# it is not: Flyte's limit makes a task that asked for 50m run at a twentieth of the speed of an idle node.
LIMITED = ("memory", "ephemeral-storage")


@dataclass(frozen=True)
class Surroundings:
    """What an attempt is given where it runs, besides what it brings."""

    namespace: str
    owner: str  # mark of the installation
    attempt_id: int
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # how to reach the store and Causeway
    store_secret: str = ""  # name of the Secret object with the keys of the store, as variables
    store_keys: tuple[str, ...] = ()  # the names of these
    template: Mapping[str, Any] | None = None  # the PodTemplate object it begins with
    without_shell: Set[str] = frozenset()  # images that cannot start flytekit our way
    secret_env: Mapping[str, str] = field(default_factory=dict)  # variable: key in the attempt's Secret object
    secret_files: Mapping[str, str] = field(default_factory=dict)  # path below the folder of secrets: key
    secret_paths: Mapping[str, str] = field(default_factory=dict)  # variable: path below the folder of secrets
    elsewhere: tuple[Request, ...] = ()  # secrets that are objects of the namespace, by group and key

    @property
    def has_secrets(self) -> bool:
        """Whether the attempt needs a Secret object of its own."""
        return bool(self.secret_env or self.secret_files)


def pod_of(spec: AttemptSpec) -> Pod | None:
    """The pod that the task brings, or its node in the task's stead; None where there is only a container."""
    for pod in (spec.overlay, spec.pod):
        if pod is not None and pod.spec.get("containers"):
            return pod
    return None


def primary_name(spec: AttemptSpec) -> str:
    pod = pod_of(spec)
    return MAIN if pod is None else pod.primary or PRIMARY


def containers(spec: AttemptSpec, cluster: Cluster, around: Surroundings) -> list[Json]:
    """All ordinary containers of the pod, that of the task's program in its place. InvalidArgument if it is missing."""
    pod = pod_of(spec)
    if pod is None:
        return [program(spec, cluster, around, {"name": MAIN})]
    found = copy.deepcopy(list(pod.spec["containers"]))
    name = primary_name(spec)
    if not any(one.get("name") == name for one in found):
        raise InvalidArgument(f"the pod of task {spec.identity.task} has no container {name!r}")
    return [program(spec, cluster, around, one) if one.get("name") == name else one for one in found]


def program(spec: AttemptSpec, cluster: Cluster, around: Surroundings, template: Json) -> Json:
    """The container of the task's program: what the pod template says of it, with the attempt's own words over it."""
    image = spec.image or cluster.image
    if not image:
        raise InvalidArgument(
            f"task {spec.identity.task} names no image, and no default image is set for the cluster {cluster.name} "
            "(script/up --image NAME, or `image` in its settings)"
        )
    made = {**template, "image": image}
    ours = uses_runner(spec, cluster) and image not in around.without_shell
    command, arguments = (spec.command, spec.arguments) if not ours else _started(spec)
    for name, words in (("command", command), ("args", arguments)):
        if words:
            made[name] = list(words)
        else:
            made.pop(name, None)
    made["env"] = environment(spec, cluster, around, template.get("env") or ())
    if ours:
        made["env"] = [entry for entry in made["env"] if entry["name"] != start.VARIABLE]
        made["env"].append({"name": start.VARIABLE, "value": start.code()})
    if (sources := [*(template.get("envFrom") or ()), *env_from(cluster, around.store_secret)]) and sources:
        made["envFrom"] = sources
    if resources := resources_of(spec.needs, cluster, *_said_beneath(spec, around, template)):
        own = _other_parts(template) if spec.overlay is None else template.get("resources") or {}
        made["resources"] = over(own, resources)
    made.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    as_the_cluster_asks(made, cluster)
    return made


def as_the_cluster_asks(container: Json, cluster: Cluster) -> None:
    """What it does not say itself: a namespace that asks for a security context asks it of every container."""
    if cluster.image_pull_policy:
        container.setdefault("imagePullPolicy", cluster.image_pull_policy)
    if cluster.security_context:
        container.setdefault("securityContext", dict(cluster.security_context))


def give_variables(pod: Json, spec: AttemptSpec, cluster: Cluster) -> None:
    """To the containers beside the program's and before it, as in Flyte: the cluster's below what each says itself,
    Flyte's and the launch's above. The keys of the store and what else the program gets to work with are its own.
    """
    own, primary = pod_of(spec), primary_name(spec)
    if own is None:
        return
    of_program = next((one.get("env") or () for one in own.spec["containers"] if one.get("name") == primary), ())
    kept = {entry.get("name"): entry.get("value") for entry in of_program if "valueFrom" not in entry}
    given = {name: value for name, value in spec.env.items() if name not in kept or kept[name] != value}
    sources = env_from(cluster)
    for one in (*pod["containers"], *(pod.get("initContainers") or ())):
        if one.get("name") == primary:
            continue
        said = [entry for entry in one.get("env") or () if entry.get("name") not in given]
        names = {entry.get("name") for entry in said}
        below = {name: value for name, value in cluster.env.items() if name not in given and name not in names}
        plain = [{"name": name, "value": value} for name, value in {**below, **given}.items()]
        if plain or said:
            one["env"] = [*plain, *said]
        if sources:
            one["envFrom"] = [*sources, *(one.get("envFrom") or ())]


def uses_runner(spec: AttemptSpec, cluster: Cluster) -> bool:
    """Whether flytekit is started our way: where nobody said otherwise, of the cluster or of the task."""
    chosen = spec.env.get(start.VARIABLE) or cluster.env.get(start.VARIABLE) or cluster.runner
    if spec.job is not None:  # who does not write outputs there has its plugin's reasons
        return False
    return chosen != start.FLYTEKIT and spec.data_config is None and start.applies(spec.argv)


def _started(spec: AttemptSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Command and arguments; the image's entry point stays where the task leaves it."""
    words = tuple(start.wrapped(spec.argv))
    return (words[: start.LEAD], words[start.LEAD :]) if spec.command else ((), words)


def environment(spec: AttemptSpec, cluster: Cluster, around: Surroundings, templates: Any) -> list[Json]:
    """Variables: the cluster's, the place's, the task's and the launch's; the later of two of one name wins.

    Flyte has the cluster's win over the task's; then a task cannot set what an operator set as a default.
    """
    image = {
        "FLYTE_INTERNAL_IMAGE": spec.image or cluster.image
    }  # as Flyte's images say, for tasks that register others
    plain = {**image, **cluster.env, **around.env, **spec.env}
    entries = [{"name": name, "value": value} for name, value in plain.items()]
    looked_up = [dict(entry) for entry in templates if isinstance(entry, Mapping) and "valueFrom" in entry]
    # Those first: a value may quote others as $(NAME), and Kubernetes fills in only what stands before it.
    first = [entry for entry in looked_up if entry.get("name") not in plain]
    return [*first, *entries, *(entry for entry in looked_up if entry.get("name") in plain)]


def resources_of(needs: Needs, cluster: Cluster, *beneath: Mapping[str, Any]) -> Json:
    """`resources` of the container: empty if nothing is asked for. `beneath`: what pod templates say of it. That goes
    before what nobody said (defaults of the platform and the cluster, a limit made of a request); it is merged later.
    """
    gpu = gpu_resource(needs, cluster)
    said = {name for one in beneath for part in ("requests", "limits") for name in one.get(part) or ()}
    limited = {name for one in beneath for name in one.get("limits") or ()}
    asked = {name: amount for name, amount in needs.requests.items() if name not in needs.defaults & said}
    requests = {gpu if name == GPU else name: amount for name, amount in asked.items()}
    limits = {gpu if name == GPU else name: amount for name, amount in needs.limits.items()}
    for name, amount in cluster.requests.items():
        if name not in limits and name not in said:
            requests.setdefault(name, amount)
    for name in requests.keys() | limits.keys():
        if is_device(name):  # Kubernetes wants both, and equal
            amount = requests.get(name) or limits[name]
            requests[name] = limits[name] = amount
        elif name in LIMITED and name in requests and name not in limited:
            limits.setdefault(name, requests[name])
    found = {"requests": dict(sorted(requests.items())), "limits": dict(sorted(limits.items()))}
    return {name: amounts for name, amounts in found.items() if amounts}


def _said_beneath(spec: AttemptSpec, around: Surroundings, own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Of pods in code flytekit has put the task's own resources in already, and they are among its needs; not so of a
    pod that a node has in the task's stead.
    """
    below = (around.template or {}).get("template") or {}
    found = resources_beneath(below.get("spec") or {})
    return [found, *([own["resources"]] if spec.overlay is not None and own.get("resources") else [])]


def gpu_resource(needs: Needs, cluster: Cluster) -> str:
    """What the cluster calls the GPUs that are asked for."""
    device = needs.accelerator.device if needs.accelerator is not None else ""
    return cluster.accelerators.resources.get(device, cluster.accelerators.resource)


def is_device(name: str) -> bool:
    """Whether it is a resource that device plug-ins give (`nvidia.com/gpu`): whole numbers, request equal to limit."""
    return "/" in name and not name.startswith("kubernetes.io/")


def _other_parts(template: Mapping[str, Any]) -> Json:
    """What a template says in `resources` besides requests and limits (claims)."""
    told = template.get("resources") or {}
    return {name: value for name, value in told.items() if name not in ("requests", "limits")}


def env_from(cluster: Cluster, store_secret: str = "") -> list[Json]:
    secrets = [{"secretRef": {"name": name, "optional": True}} for name in cluster.env_from_secrets]
    if store_secret:
        secrets.insert(0, {"secretRef": {"name": store_secret}})
    return secrets + [{"configMapRef": {"name": name, "optional": True}} for name in cluster.env_from_config_maps]

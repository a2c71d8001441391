"""What Causeway may do on a cluster: asked of the cluster itself, before a task finds out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.executors.kubernetes.client import Api, ApiError
from scheduler.executors.kubernetes.kueue import GROUP
from scheduler.executors.kubernetes.resource import Resource


@dataclass(frozen=True)
class Right:
    verb: str
    resource: str  # as in `pods/log`
    why: str
    needed: bool = True  # False: something is missing without it, but tasks run
    group: str = ""  # of the API; empty: the core's

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


RIGHTS = (
    Right("create", "pods", "each attempt is a pod"),
    Right("get", "pods", "to find a pod again"),
    Right("list", "pods", "to follow pods"),
    Right("watch", "pods", "to follow pods"),
    Right("patch", "pods", "to let a pod go once its end is stored"),
    Right("delete", "pods", "to stop and to remove pods"),
    Right("get", "pods/log", "logs of tasks", needed=False),
    Right("get", "pods/attach", "pods that stay: tasks are handed to them", needed=False),
    Right("create", "pods/attach", "pods that stay: tasks are handed to them", needed=False),
    Right("list", "events", "to say why a pod waits", needed=False),
    Right("create", "secrets", "secrets of tasks", needed=False),
    Right("patch", "secrets", "to have a task's secrets go with its pod", needed=False),
    Right("delete", "secrets", "secrets of a pod that was not made", needed=False),
    Right("get", "podtemplates", "pod templates of the cluster", needed=False),
    Right("create", "namespaces", "namespaces of projects", needed=False),
    Right("list", "nodes", "to say what the cluster has", needed=False),
)


OF_QUEUES = Right("list", "workloads", "to say why a pod waits in a queue", needed=False, group=GROUP)


def of_jobs(resource: Resource) -> tuple[Right, ...]:
    """What distributed jobs of a kind need."""
    why = f"{resource.kind}s of distributed tasks"
    verbs = ("create", "get", "list", "watch", "delete")
    return tuple(Right(verb, resource.plural, why, needed=False, group=resource.group) for verb in verbs)


def may(api: Api, verb: str, resource: str, namespace: str = "", *, group: str = "") -> bool:
    """In all namespaces, or one. Raises what Api raises."""
    name, _, part = resource.partition("/")
    attributes = {"verb": verb, "resource": name, "subresource": part, "namespace": namespace}
    attributes["group"] = group
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool((answer.get("status") or {}).get("allowed"))


def may_watch_all(api: Api) -> bool:
    """Whether pods of all namespaces may be followed; believed to be so of a cluster that does not answer."""
    try:
        return may(api, "list", "pods") and may(api, "watch", "pods")
    except ApiError:
        return True


def missing(api: Api, namespace: str = "", *, also: Sequence[Right] = ()) -> list[Right]:
    """Of those that every cluster has to give, and of `also`. Raises what Api raises."""
    asked = (*RIGHTS, *also)
    return [right for right in asked if not may(api, right.verb, right.resource, namespace, group=right.group)]

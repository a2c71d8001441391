"""What it means when a cluster does not make a pod, in its own words."""

from __future__ import annotations

import socket

import pytest
from kubernetes.client import Configuration

from scheduler.executors.kubernetes.client import Api, ApiError, Unreachable
from scheduler.executors.kubernetes.refusals import Kind, refusal, without_use

USED_UP = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=50, limited: pods=50'
NEVER = (
    'pods "x" is forbidden: exceeded quota: q, requested: cpu=8,requests.nvidia.com/gpu=8, '
    "used: cpu=0,requests.nvidia.com/gpu=0, limited: cpu=10,requests.nvidia.com/gpu=4"
)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, USED_UP, Kind.QUOTA),
        (403, NEVER, Kind.REFUSED),
        (403, "failed quota: r: must specify limits.memory for: main", Kind.REFUSED),
        (403, "maximum memory usage per Container is 1Gi, but limit is 2Gi", Kind.REFUSED),
        (403, "no PriorityClass with name absent was found", Kind.REFUSED),
        (403, "unable to create new content in namespace x because it is being terminated", Kind.CLOSING),
        (403, 'error looking up service account a/default: serviceaccount "default" not found', Kind.SOON),
        (403, 'error looking up service account a/mine: serviceaccount "mine" not found', Kind.REFUSED),
        (403, 'pods is forbidden: User "x" cannot create resource "pods" in API group ""', Kind.NO_RIGHT),
        (401, "Unauthorized", Kind.LATER),
        (400, 'strict decoding error: unknown field "spec.tomorrow"', Kind.REFUSED),
        (422, "Pod is invalid: only cpu and memory resources are mutable", Kind.REFUSED),
        (409, "pods already exists", Kind.EXISTS),
        (409, "object is being deleted: pods already exists", Kind.EXISTS),
        (404, 'namespaces "x" not found', Kind.NO_NAMESPACE),
        (429, "too many requests", Kind.LATER),
        (500, "etcdserver: request is too large", Kind.REFUSED),
        (500, "rpc error: trying to send message larger than max", Kind.REFUSED),
        (500, "etcdserver: leader changed", Kind.LATER),
        (503, "apiserver not ready", Kind.LATER),
        (413, "Request entity too large", Kind.REFUSED),
        (400, "admission webhook denied the request", Kind.REFUSED),
    ],
)
def test_each_refusal_has_its_meaning(status: int, message: str, kind: Kind) -> None:
    assert refusal(ApiError(status, "", message)).kind == kind


def test_it_says_who_can_mend_it() -> None:
    for status, message, who in (
        (403, NEVER, "raise the quota"),
        (403, "no PriorityClass with name absent was found", "an administrator of the cluster change them"),
        (422, "Pod is invalid", "whoever wrote the task or its pod template"),
        (403, 'secrets is forbidden: User "x" cannot create resource "secrets"', "an administrator of the cluster"),
    ):
        assert who in refusal(ApiError(status, "", message)).mended_by
    assert "an administrator renews its kubeconfig" in refusal(ApiError(401, "", "Unauthorized")).message


def test_no_answer_is_asked_again() -> None:
    assert refusal(Unreachable("no route")).kind == Kind.LATER
    assert refusal(Unreachable("no route")).message.startswith("no route; it goes on by itself once")


def test_why_a_cluster_does_not_answer_is_said_in_plain_words() -> None:
    configuration = Configuration()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        configuration.host = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(Unreachable) as caught:
        Api(configuration).call("GET", "/version")
    assert caught.value.message == f"{configuration.host} does not answer: [Errno 111] Connection refused"


def test_a_clusters_own_wish_to_wait_is_heeded() -> None:
    assert refusal(ApiError(429, "", "slow down", retry_after=7)).after == 7


def test_what_exceeds_a_whole_quota_says_which() -> None:
    assert refusal(ApiError(403, "", NEVER)).message.startswith(
        "it asks for more requests.nvidia.com/gpu than the quota q of its namespace has in all"
    )


def test_a_reason_for_waiting_does_not_change_with_what_others_use() -> None:
    found = refusal(ApiError(403, "", USED_UP)).message
    assert without_use(found) == without_use(found.replace("used: pods=50", "used: pods=49"))
    assert without_use(found) == "exceeded quota: q, requested: pods=1, limited: pods=50"

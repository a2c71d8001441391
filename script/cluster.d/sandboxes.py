"""Ends and removes all pods of a container runtime: `sandboxes.py SOCKET`.

It speaks the kubelet's protocol with runtimes (k8s.io/cri-api, pkg/apis/runtime/v1). That also takes the pods' networks
away, which ending their processes would leave.
"""

from __future__ import annotations

import sys

import grpc
from wire import TEXT, encoded, messages

MESSAGES = messages(
    "runtime.v1",
    {
        "ListRequest": {},
        "PodSandbox": {"id": (1, TEXT, False)},
        "ListResponse": {"items": (1, "PodSandbox", True)},
        "OneRequest": {"pod_sandbox_id": (1, TEXT, False)},
        "OneResponse": {},
    },
)


def main(socket: str) -> int:
    """0 where no pod is left."""
    failures = 0
    with grpc.insecure_channel(f"unix://{socket}") as channel:

        def call(method: str, request: str, response: str, **fields: str) -> object:
            answer = MESSAGES[response].FromString
            unary = channel.unary_unary(f"/runtime.v1.RuntimeService/{method}", encoded, answer)
            return unary(MESSAGES[request](**fields), timeout=60)

        listed = call("ListPodSandbox", "ListRequest", "ListResponse")
        for pod in listed.items:  # type: ignore[attr-defined]
            try:
                call("StopPodSandbox", "OneRequest", "OneResponse", pod_sandbox_id=pod.id)
                call("RemovePodSandbox", "OneRequest", "OneResponse", pod_sandbox_id=pod.id)
            except grpc.RpcError as error:
                print(f"pod {pod.id}: {error}", file=sys.stderr)  # noqa: T201 - what the caller logs
                failures += 1
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

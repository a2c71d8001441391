"""A device plug-in: gives a node GPUs that it does not have, for tests of what asks for them.

`gpus.py RESOURCE=COUNT ...` speaks the kubelet's own protocol (k8s.io/kubelet, pkg/apis/deviceplugin/v1beta1), so
devices are counted, handed out and given back as real ones are. A kubelet that starts empties the folder of sockets
and forgets all plug-ins: they are served and registered again. Nothing is mounted into pods; NVIDIA_VISIBLE_DEVICES
says which were handed out.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from wire import BOOLEAN, TEXT, Field, encoded, messages

FOLDER = Path("/var/lib/kubelet/device-plugins")  # the kubelet's, wherever its root lies
KUBELET = FOLDER / "kubelet.sock"

DECLARED: dict[str, dict[str, Field]] = {
    "Empty": {},
    "DevicePluginOptions": {"pre_start_required": (1, BOOLEAN, False)},
    "RegisterRequest": {"version": (1, TEXT, False), "endpoint": (2, TEXT, False), "resource_name": (3, TEXT, False)},
    "Device": {"ID": (1, TEXT, False), "health": (2, TEXT, False)},
    "ListAndWatchResponse": {"devices": (1, "Device", True)},
    "ContainerAllocateRequest": {"devices_ids": (1, TEXT, True)},
    "AllocateRequest": {"container_requests": (1, "ContainerAllocateRequest", True)},
    "Environment": {"key": (1, TEXT, False), "value": (2, TEXT, False)},
    "ContainerAllocateResponse": {"envs": (1, "Environment", True)},
    "AllocateResponse": {"container_responses": (1, "ContainerAllocateResponse", True)},
}
MESSAGES = messages("v1beta1", DECLARED)


class Plugin:
    """Serves the devices of one resource and keeps them known to the kubelet."""

    def __init__(self, resource: str, count: int) -> None:
        self.resource = resource
        self.ids = [f"gpu-{number}" for number in range(count)]
        self.socket = FOLDER / f"{resource.replace('/', '-')}.sock"
        self.server: grpc.Server | None = None
        self.stopped = threading.Event()  # of the server that runs
        self.known_to: tuple[int, int] | None = None

    def options(self, request: Any, context: grpc.ServicerContext) -> Any:
        return MESSAGES["DevicePluginOptions"]()

    def list_and_watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        stopped = self.stopped
        yield MESSAGES["ListAndWatchResponse"](devices=[{"ID": each, "health": "Healthy"} for each in self.ids])
        while context.is_active() and not stopped.wait(1):  # the list is complete as long as the stream is open
            pass

    def allocate(self, request: Any, context: grpc.ServicerContext) -> Any:
        answers = [
            {"envs": [{"key": "NVIDIA_VISIBLE_DEVICES", "value": ",".join(asked.devices_ids)}]}
            for asked in request.container_requests
        ]
        return MESSAGES["AllocateResponse"](container_responses=answers)

    def serve(self) -> None:
        if self.server is not None:
            self.stopped.set()
            self.server.stop(None).wait()
        self.socket.unlink(missing_ok=True)
        self.stopped = threading.Event()
        self.server = grpc.server(ThreadPoolExecutor(max_workers=8))
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        empty = MESSAGES["Empty"].FromString
        handlers = {
            "GetDevicePluginOptions": unary(self.options, empty, encoded),
            "ListAndWatch": stream(self.list_and_watch, empty, encoded),
            "Allocate": unary(self.allocate, MESSAGES["AllocateRequest"].FromString, encoded),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", handlers),))
        self.server.add_insecure_port(f"unix://{self.socket}")
        self.server.start()

    def register(self) -> None:
        request = MESSAGES["RegisterRequest"](version="v1beta1", endpoint=self.socket.name, resource_name=self.resource)
        with grpc.insecure_channel(f"unix://{KUBELET}") as channel:
            call = channel.unary_unary("/v1beta1.Registration/Register", encoded, MESSAGES["Empty"].FromString)
            call(request, timeout=5)

    def keep_known(self) -> None:
        """One look: serves and registers where the kubelet is another than before, or has taken our socket away."""
        kubelet = current_kubelet()
        if kubelet is None or (kubelet == self.known_to and self.socket.exists()):
            return
        self.serve()
        try:
            self.register()
        except grpc.RpcError as error:  # it is starting, or has just ended
            print(f"{self.resource}: not registered: {error}", file=sys.stderr, flush=True)  # noqa: T201 - its log
            self.known_to = None
        else:
            print(f"{self.resource}: {len(self.ids)} registered", file=sys.stderr, flush=True)  # noqa: T201
            self.known_to = kubelet


def current_kubelet() -> tuple[int, int] | None:
    """Which kubelet's socket is there: each that starts makes another."""
    try:
        found = KUBELET.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_ctime_ns


def main() -> None:
    asked = [argument.rpartition("=") for argument in sys.argv[1:]]
    if not asked or not all(name and count.isdigit() for name, _, count in asked):
        sys.exit("usage: gpus.py RESOURCE=COUNT ..., such as nvidia.com/gpu=4")
    plugins = [Plugin(name, int(count)) for name, _, count in asked]
    while True:
        for plugin in plugins:
            plugin.keep_known()
        time.sleep(0.5)


if __name__ == "__main__":
    main()

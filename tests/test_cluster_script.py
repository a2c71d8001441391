"""`script/cluster` where there is no cluster: what it says of this machine, and of clusters that are not its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = (
    "bash sh env dirname basename sed awk cat cut cp date grep head id ls mkdir mktemp python3 rm rmdir seq sort tail"
    " touch tr uname unshare wc true sha256sum"
)
CANNOT, WRONG_USE = 3, 2


class Machine:
    """One that has only some programs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, folder / "programs"
        self.programs.mkdir()
        self.environment = {"PATH": str(self.programs), "CLUSTER_DIR": str(folder / "cluster"), "HOME": str(folder)}
        self.environment["CAUSEWAY_VENV"] = sys.prefix
        for name in TOOLS.split():
            if found := shutil.which(name):
                (self.programs / name).symlink_to(found)

    def has(self, name: str, script: str) -> None:
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def script(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "script" / "cluster"), *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("arguments", [("start",), ("fly",), ("start", "engine"), ("down", "--all"), ("build", "k9s")])
def test_it_says_how_it_is_used(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.script(*arguments)
    assert done.returncode == WRONG_USE
    assert done.stderr


@pytest.mark.parametrize("verb", ["status", "up"])
def test_it_says_what_the_machine_lacks(machine: Machine, verb: str) -> None:
    done = machine.script(verb)
    assert done.returncode == CANNOT, done.stderr
    assert "the program containerd (Debian's package containerd" in done.stderr
    assert "Go 1.26 or newer" in done.stderr
    assert not (machine.folder / "cluster" / "home").exists()


def test_an_old_go_is_none(machine: Machine) -> None:
    machine.has("go", "echo go version go1.19.8 linux/amd64")
    assert "Go 1.26 or newer" in machine.script("status").stderr
    machine.has("go", "echo go version go1.27.1 linux/amd64")
    assert "Go 1.26 or newer" not in machine.script("status").stderr


def test_it_asks_for_root(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    done = machine.script("status")
    assert done.returncode == CANNOT
    assert "- root, for containers and a bridge; or a cluster that KUBECONFIG names" in done.stderr


@pytest.mark.parametrize("verb", ["status", "up"])
def test_another_cluster_is_taken_without_root_or_go(machine: Machine, verb: str) -> None:
    machine.has("id", "echo 1000")
    machine.has("kubectl", 'echo "NODE of $KUBECONFIG"')
    machine.environment["KUBECONFIG"] = "/somebody/config"
    done = machine.script(verb)
    assert done.returncode == 0, done.stderr
    assert "the cluster of /somebody/config is taken as it is" in done.stdout
    assert "NODE of /somebody/config" in done.stdout
    assert machine.script("down").returncode == 1, "it is not ours to stop"


def test_another_cluster_that_does_not_answer_is_an_error(machine: Machine) -> None:
    machine.has("kubectl", "echo connection refused >&2; exit 1")
    machine.environment["KUBECONFIG"] = "/somebody/config"
    done = machine.script("up")
    assert done.returncode == 1
    assert "the cluster of /somebody/config does not answer: connection refused" in done.stderr


def test_another_cluster_needs_kubectl(machine: Machine) -> None:
    machine.environment["KUBECONFIG"] = "/somebody/config"
    done = machine.script("up")
    assert done.returncode == CANNOT
    assert "kubectl is needed" in done.stderr


class Kubelet:
    """The kubelet's side of the protocol of device plug-ins."""

    def __init__(self, gpus: ModuleType) -> None:
        self.gpus, self.registered = gpus, list[Any]()
        gpus.KUBELET.unlink(missing_ok=True)
        self.server = grpc.server(ThreadPoolExecutor(max_workers=2))
        register = grpc.unary_unary_rpc_method_handler(
            self.register, gpus.MESSAGES["RegisterRequest"].FromString, gpus.encoded
        )
        handler = grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": register})
        self.server.add_generic_rpc_handlers((handler,))
        self.server.add_insecure_port(f"unix://{gpus.KUBELET}")
        self.server.start()

    def register(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.registered.append(request)
        return self.gpus.MESSAGES["Empty"]()

    def stop(self) -> None:
        self.server.stop(None).wait()

    def ask(self, method: str, request: Any, response: str, stream: bool = False) -> Any:
        """The answer of the plug-in that registered last, or the first one of a stream."""
        socket = self.gpus.FOLDER / self.registered[-1].endpoint
        with grpc.insecure_channel(f"unix://{socket}") as channel:
            make: Callable[..., Any] = channel.unary_stream if stream else channel.unary_unary
            answer = self.gpus.MESSAGES[response].FromString
            call = make(f"/v1beta1.DevicePlugin/{method}", self.gpus.encoded, answer)
            answered = call(request, timeout=10)
            return next(answered) if stream else answered


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "script" / "cluster.d"))
    import gpus

    folder = tmp_path_factory.mktemp("k")  # short: sockets
    monkeypatch.setattr(gpus, "FOLDER", folder)
    monkeypatch.setattr(gpus, "KUBELET", folder / "kubelet.sock")
    yield gpus


def test_devices_are_listed_and_handed_out(gpus: ModuleType) -> None:
    kubelet, plugin = Kubelet(gpus), gpus.Plugin("nvidia.com/gpu", 3)
    plugin.keep_known()
    assert [(each.version, each.resource_name) for each in kubelet.registered] == [("v1beta1", "nvidia.com/gpu")]
    listed = kubelet.ask("ListAndWatch", gpus.MESSAGES["Empty"](), "ListAndWatchResponse", stream=True)
    assert [(each.ID, each.health) for each in listed.devices] == [(f"gpu-{number}", "Healthy") for number in range(3)]
    asked = gpus.MESSAGES["AllocateRequest"](container_requests=[{"devices_ids": ["gpu-1", "gpu-2"]}])
    (answer,) = kubelet.ask("Allocate", asked, "AllocateResponse").container_responses
    assert [(each.key, each.value) for each in answer.envs] == [("NVIDIA_VISIBLE_DEVICES", "gpu-1,gpu-2")]
    kubelet.stop()


def test_a_kubelet_that_starts_anew_is_told_again(gpus: ModuleType) -> None:
    plugin = gpus.Plugin("nvidia.com/gpu", 1)
    plugin.keep_known()  # none there yet
    first = Kubelet(gpus)
    plugin.keep_known()
    plugin.keep_known()
    assert len(first.registered) == 1, "once is enough for one kubelet"
    first.stop()
    for socket in gpus.FOLDER.iterdir():
        socket.unlink()
    time.sleep(0.01)  # another inode may have the number of the first, not its time
    second = Kubelet(gpus)
    plugin.keep_known()
    assert len(second.registered) == 1
    listed = second.ask("ListAndWatch", gpus.MESSAGES["Empty"](), "ListAndWatchResponse", stream=True)
    assert [each.ID for each in listed.devices] == ["gpu-0"]
    second.stop()

"""The same flytekit programs on Flyte and on Causeway, on one cluster, in turn: times of both, and their ratios.

`python benchmarks/pods_peer.py --flyte localhost:8089`: the gRPC address of a Flyte that runs on the cluster of
script/cluster, which this program does not start (benchmarks/README.md says how one is made). Causeway is started here,
unless `--causeway ADDRESS --causeway-config FILE` names one. Nothing is asked of either but what every client may ask:
what happens to pods is read from the cluster's own watch, by when it arrives here, and an execution's end by asking for
it. Each round runs on both, one after the other, so that both have the machine as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from flytekit.configuration import Config, PlatformConfig
from flytekit.models.core.execution import WorkflowExecutionPhase
from flytekit.remote import FlyteRemote
from kube_plain import Json, Kube
from setup import DOMAIN, PROJECT

from tests.cluster.running import a_cluster
from tests.stack import running_stack

STORE = ("CAUSEWAY_STORE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MODULE = "bench_pods_peer"
OURS = "causeway-beside"  # the namespace
LINKS = 5  # of the chain
POLL_SECONDS = 0.05
PROGRAM = """
from flytekit import task, workflow

@task
def nothing(n: int) -> int:
    return n + 1

@workflow
def one() -> int:
    return nothing(n=1)

@workflow
def chain() -> int:
    n = nothing(n=0)
    for _ in range({links} - 1):
        n = nothing(n=n)
    return n
"""


@dataclass
class Seen:
    """A pod, by when the watch told of it (Unix time)."""

    name: str
    made: float
    main_ended: float = 0.0  # its main container; the pod's phase turns a second later
    ended: float = 0.0
    seconds: float = 0.0  # of the container, from its whole seconds: right on the average


class Pods(threading.Thread):
    """Every pod of a namespace, from the cluster's own watch."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        super().__init__(daemon=True)
        self.kube, self.path = kube, f"/api/v1/namespaces/{namespace}/pods"
        self.seen: dict[str, Seen] = {}  # by uid
        self.version = kube.ask("GET", f"{self.path}?limit=1")["metadata"]["resourceVersion"]

    def run(self) -> None:
        for event in self.kube.watch(self.path, self.version, 3600):
            if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                self._take(event["object"], time.time(), gone=event["type"] == "DELETED")

    def _take(self, pod: Json, now: float, *, gone: bool) -> None:
        metadata, status = pod["metadata"], pod["status"]
        one = self.seen.setdefault(metadata["uid"], Seen(metadata["name"], now))
        main: Json = (status.get("containerStatuses") or [{}])[0]
        if (ended := main.get("state", {}).get("terminated")) and not one.main_ended:
            one.main_ended = now
            one.seconds = _at(ended["finishedAt"]) - _at(ended["startedAt"])
        # Causeway lets a pod go as soon as its outputs are there: its phase need never turn.
        if (gone or status.get("phase") in ("Succeeded", "Failed")) and not one.ended:
            one.ended = now


def _at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@dataclass
class Side:
    """One of the two. Figures by measure, in the unit that its name says."""

    name: str
    remote: FlyteRemote
    kube: Kube
    namespace: str
    found: dict[str, list[float]] = field(default_factory=dict)

    def note(self, measure: str, value: float) -> None:
        self.found.setdefault(measure, []).append(value)

    def launch(self, workflow: str) -> Any:
        plan = self.remote.fetch_launch_plan(name=f"{MODULE}.{workflow}", version=self.version)
        return self.remote.execute(plan, inputs={})

    version = "v1"

    def pods(self) -> Pods:
        pods = Pods(self.kube, self.namespace)
        pods.start()
        return pods

    def wait(self, execution: Any) -> tuple[float, float]:
        """When it was created, and when it was first said to have succeeded (Unix time)."""
        deadline = time.monotonic() + 300
        while True:
            told = self.remote.client.get_execution(execution.id)
            phase = told.closure.phase
            if phase == WorkflowExecutionPhase.SUCCEEDED:
                return told.closure.created_at.replace(tzinfo=timezone.utc).timestamp(), time.time()
            if phase in (WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.ABORTED) or time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: {execution.id.name} is {phase}: {told.closure.error}")
            time.sleep(POLL_SECONDS)


def chain(side: Side) -> None:
    pods = side.pods()
    created, ended = side.wait(side.launch("chain"))
    links = _settled(pods, LINKS)
    side.note("execution created -> pod object, ms", 1000 * (links[0].made - created))
    for before, after in zip(links, links[1:], strict=False):
        side.note("main container ended -> next node's pod object, ms", 1000 * (after.made - before.main_ended))
        side.note("pod ended -> next node's pod object, ms", 1000 * (after.made - before.ended))
    side.note(f"chain of {LINKS}, s", ended - created)
    _last(side, links, ended)


def one(side: Side) -> None:
    pods = side.pods()
    created, ended = side.wait(side.launch("one"))
    (only,) = links = _settled(pods, 1)
    side.note("execution created -> pod object, ms", 1000 * (only.made - created))
    side.note("one no-op, s", ended - created)
    _last(side, links, ended)


def _last(side: Side, links: list[Seen], ended: float) -> None:
    side.note("main container ended -> SUCCEEDED, ms", 1000 * (ended - links[-1].main_ended))
    side.note("pod ended -> SUCCEEDED, ms", 1000 * (ended - links[-1].ended))
    for each in links:
        side.note("a container, start to end, s (mean)", each.seconds)


def many(side: Side, count: int) -> None:
    """So many no-ops at once: from the first one's creation to the last one's end."""
    started = [side.launch("one") for _ in range(count)]
    times = [side.wait(each) for each in started]
    side.note(f"{count} no-ops at once, s", max(end for _, end in times) - min(at for at, _ in times))


def _settled(pods: Pods, count: int) -> list[Seen]:
    """The pods in the order they were made, once all of them have ended."""
    deadline = time.monotonic() + 30
    while len(found := [each for each in list(pods.seen.values()) if each.ended]) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"the watch told of {len(found)} ended pods, not of {count}: {pods.seen}")
        time.sleep(0.05)
    return sorted(found, key=lambda each: each.made)


def register(config: Path, image: str, version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{MODULE}.py").write_text(PROGRAM.format(links=LINKS))
        command = [
            str(Path(sys.executable).with_name("pyflyte")),
            "-c",
            str(config),
            "register",
            "-p",
            PROJECT,
            "-d",
            DOMAIN,
        ]
        command += ["--version", version, "--image", image, f"{MODULE}.py"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"registration failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def table(peer: Side, ours: Side, wanted: dict[str, float]) -> None:
    print(f"| measure | {peer.name} | {ours.name} | ratio | to reach | n |\n| --- | --- | --- | --- | --- | --- |")
    for measure, theirs in peer.found.items():
        if measure not in ours.found:
            continue
        middle: Callable[[list[float]], float] = statistics.mean if "mean" in measure else statistics.median
        here, there = middle(ours.found[measure]), middle(theirs)
        goal = next((f"{share}" for name, share in wanted.items() if measure.startswith(name)), "")
        print(f"| {measure} | {there:.4g} | {here:.4g} | {here / there:.2f} | {goal} | {len(theirs)} |")


WANTED = {
    "execution created -> pod object": 0.6,
    "pod ended -> next node's pod object": 0.12,
    "pod ended -> SUCCEEDED": 0.12,
    "a container, start to end": 0.5,
    "one no-op": 0.45,
    "chain of": 0.45,
    "20 no-ops at once": 0.5,
}


@contextmanager
def sides(args: argparse.Namespace) -> Iterator[tuple[Side, Side]]:
    cluster = a_cluster()
    environment = cluster.environment
    image, version = environment["CLUSTER_TASK_IMAGE"], f"v{time.time():.0f}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kube = Kube(environment["KUBECONFIG"], folder)
        peer_config = folder / "flyte.yaml"
        peer_config.write_text(f"admin:\n  endpoint: {args.flyte}\n  insecure: true\n  authType: Pkce\n")
        peer = Side("Flyte", FlyteRemote(Config(PlatformConfig(args.flyte, insecure=True)), PROJECT, DOMAIN), kube, "")
        env = {name: environment[name] for name in STORE}
        described = folder / "clusters.yaml"
        described.write_text(json.dumps({"kubeconfig": environment["KUBECONFIG"], "image": image, "namespace": OURS}))
        running = stack.enter_context(running_stack(folder / "home", **env, CAUSEWAY_CLUSTERS=str(described)))
        ours = Side("Causeway", FlyteRemote(running.flyte_config(), PROJECT, DOMAIN), kube, "")
        peer.namespace, ours.namespace = f"{PROJECT}-{DOMAIN}", OURS
        peer.version = ours.version = version
        for config in (peer_config, running.flyte_config_file):
            register(config, image, version)
        yield peer, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flyte", default="localhost:8089", help="address of its gRPC door (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of one no-op and of the chain (default: %(default)s)")
    parser.add_argument("--many", type=int, default=20, help="no-ops at once (default: %(default)s); 0: none")
    args = parser.parse_args()
    with sides(args) as (peer, ours):
        for side in (peer, ours):
            one(side)  # warm-up
            side.found.clear()
        try:
            for _ in range(args.rounds):
                for act in (one, chain):
                    for side in (peer, ours):
                        act(side)
            for side in (peer, ours) if args.many else ():
                many(side, args.many)
        finally:  # also of a run that is broken off
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; unmodified flytekit")
            table(peer, ours, WANTED)


if __name__ == "__main__":
    main()

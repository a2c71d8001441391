"""Thousands of pods on nodes that only pretend: how fast they are made, what holding them costs, whether any is lost.

Through all of Causeway: unmodified flytekit registers a map of no-op tasks and launches it, workers make the attempts,
the cluster's executor makes the pods and follows them. kwok plays the nodes and starts the pods; this program ends
them, in a kubelet's words, and had laid each item's outputs into the store before: nothing runs there that could.

Needs a cluster of script/cluster's own with nothing else on it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import psutil
import yaml
from flytekit.models.literals import Literal, LiteralMap, Primitive, Scalar
from flytekit.remote import FlyteWorkflowExecution
from kube_plain import MERGE_PATCH, Json, Kube, ended_status
from setup import DOMAIN, PROJECT, Bench, arguments, bench, show

from tests.cluster.running import SCRIPT, a_cluster

SUCCEEDED, FAILED, ABORTED = 4, 6, 7  # core.WorkflowExecution.Phase
RUNNING = 2  # core.TaskExecution.Phase
NAMESPACE, PLAIN = "scale-causeway", "scale-plain"  # of this program alone
STORE = ("CAUSEWAY_STORE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PROGRAM = """
from flytekit import map_task, task, workflow

@task(environment={"CAUSEWAY_REUSE": "0"})
def nothing(n: int) -> int:
    return n

@workflow
def mapping(ns: list[int]) -> list[int]:
    return map_task(nothing, concurrency=0)(n=ns)
"""
SAMPLE = 400  # pods whose ends are timed, at SAMPLE_RATE a second
SAMPLE_RATE = 25


class Meter(threading.Thread):
    """The highest resident size of a process, while it runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.highest, self.over = psutil.Process(pid), 0, threading.Event()
        self.cpu = sum(self.process.cpu_times()[:2])

    def run(self) -> None:
        while not self.over.wait(0.25):
            try:
                self.highest = max(self.highest, self.process.memory_info().rss)
            except psutil.Error:
                return

    def stop(self) -> str:
        self.over.set()
        self.join()
        return self.told()

    def told(self) -> str:
        full = self.process.memory_full_info()
        cpu = sum(self.process.cpu_times()[:2]) - self.cpu
        return f"PSS {full.pss >> 20} MiB, RSS {full.rss >> 20} (highest {self.highest >> 20}), CPU {cpu:.1f} s"


@dataclass
class Scale:
    b: Bench
    kube: Kube
    store: Any  # boto3's client
    bucket: str
    launched: dict[str, int] = field(default_factory=dict)  # execution: items

    @property
    def executor(self) -> int:
        return next(pid for name, pid in self.b.stack.pids().items() if name.startswith("executor-"))

    # --- Causeway -----------------------------------------------------------------------------------------------------

    def launch(self, items: int) -> tuple[FlyteWorkflowExecution, float]:
        """A map whose items' outputs are in the store already, as their programs would write them; and when it began
        (monotonic).
        """
        name = f"scale-{len(self.launched)}-{os.getpid()}"
        self.launched[name] = items
        document = LiteralMap({"o0": Literal(scalar=Scalar(primitive=Primitive(integer=1)))}).to_flyte_idl()
        body, prefix = document.SerializeToString(), f"metadata/{PROJECT}/{DOMAIN}/{name}/n0/0"
        self.kube.in_threads(
            lambda n: self.store.put_object(Bucket=self.bucket, Key=f"{prefix}/{n}/outputs.pb", Body=body), range(items)
        )
        plan = self.b.remote.fetch_launch_plan(name="program.bench_scale.mapping", version="v1")
        began = time.monotonic()
        return self.b.remote.execute(plan, inputs={"ns": list(range(items))}, execution_name=name), began

    def made(self) -> int:
        return self.kube.count(NAMESPACE)

    def settled(self) -> int:
        """As `made`, once the pods of attempts that have ended are gone."""
        while (there := self.made()) > len(self.living()):
            time.sleep(0.5)
        return there

    def until_made(self, wanted: int, seconds: float = 1800) -> list[tuple[float, int]]:
        """How many pods there were when, until there are so many."""
        seen: list[tuple[float, int]] = []
        deadline = time.monotonic() + seconds
        while not seen or seen[-1][1] < wanted:
            if time.monotonic() > deadline:
                raise SystemExit(f"only {seen[-1][1]} of {wanted} pods were made in {seconds:.0f} s")
            time.sleep(0.25)
            seen.append((time.monotonic(), self.made()))
        return seen

    def until_running(self, wanted: int, seconds: float = 900) -> None:
        """As many attempts are known to run: the scheduler and kwok have caught up, and so has the watch."""
        deadline = time.monotonic() + seconds
        while self.phases().get(RUNNING, 0) < wanted and time.monotonic() < deadline:
            time.sleep(0.5)

    def phases(self) -> dict[int, int]:
        rows = self.b.rows("SELECT phase, count(*) FROM scheduler_taskexecution GROUP BY phase")
        return {int(phase): int(number) for phase, number in rows}  # type: ignore[call-overload]

    def unended(self) -> list[str]:
        """Executions that go on. One that ends otherwise than well ends this program."""
        rows = self.b.rows("SELECT name, phase FROM scheduler_execution WHERE name = ANY(%s)", list(self.launched))
        if wrong := [name for name, phase in rows if phase in (FAILED, ABORTED)]:
            raise SystemExit(f"{wrong} did not succeed; attempts by phase: {self.phases()}")
        return [str(name) for name, phase in rows if phase != SUCCEEDED]

    # --- the cluster --------------------------------------------------------------------------------------------------

    def living(self, *, running: bool = True) -> list[Json]:
        """Metadata of Causeway's pods."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        return list(self.kube.all(path + ("?fieldSelector=status.phase%3DRunning" if running else "")))

    def end(self, pod: Json) -> float:
        """Write its end; returns when the cluster had it (Unix time)."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/status"
        main = pod["metadata"]["annotations"]["causeway/primary-container"]
        self.kube.ask("PATCH", path, {"status": ended_status(main)}, **{"Content-Type": MERGE_PATCH})
        return time.time()

    def plain_pods(self, count: int) -> float:
        """As many pods a second as a plain client makes: bodies as Causeway's, without what makes them Causeway's."""
        model = self.kube.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?limit=1")["items"][0]
        metadata = {name: model["metadata"][name] for name in ("labels", "annotations")}
        metadata["labels"] = {**metadata["labels"], "causeway/owner": "nobody"}
        spec = {name: value for name, value in model["spec"].items() if name != "nodeName"}
        spec["volumes"], spec["containers"][0]["volumeMounts"] = [], []
        path = f"/api/v1/namespaces/{PLAIN}/pods"

        def make(number: int) -> None:
            own = {**metadata, "name": f"plain-{number}", "namespace": PLAIN}
            self.kube.ask("POST", path, {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": spec})

        seconds = self.kube.in_threads(make, range(count))
        # Not as one collection: the API server breaks that off after a minute.
        self.kube.in_threads(lambda n: self.kube.ask("DELETE", f"{path}/plain-{n}?gracePeriodSeconds=0"), range(count))
        while self.kube.count(PLAIN):
            time.sleep(0.5)
        return count / seconds


def cut(scale: Scale, items: int) -> None:
    """In the middle of making pods every stream is cut, then the executor is killed."""
    before = scale.settled()
    scale.launch(items)
    scale.until_made(before + items // 4)
    subprocess.run([SCRIPT, "restart", "api", "--kill"], check=True, capture_output=True)
    scale.until_made(before + items // 2)
    os.kill(scale.executor, signal.SIGKILL)
    began = time.monotonic()
    scale.until_made(before + items)
    print(
        f"API server, then executor killed: all pods were made {time.monotonic() - began:.0f} s after that", flush=True
    )


def rates(seen: list[tuple[float, int]], began: float, before: int, wanted: int) -> str:
    """Pods a second: from the launch to the last one, and between the tenth and the ninetieth per cent."""
    whole = (wanted - before) / (seen[-1][0] - began)
    inner = [(at, n) for at, n in seen if 0.1 <= (n - before) / (wanted - before) <= 0.9]
    steady = (inner[-1][1] - inner[0][1]) / (inner[-1][0] - inner[0][0]) if len(inner) > 1 else float("nan")
    return f"{whole:.0f} pods a second from launch to the last, {steady:.0f} between 10 and 90 %"


def delays(scale: Scale, count: int) -> None:
    """From when the cluster has a pod's end to when the database has the attempt's."""
    chosen = scale.living()[:count]
    written: dict[int, float] = {}
    seen: dict[int, float] = {}
    ids = [int(pod["metadata"]["labels"]["causeway/attempt-id"]) for pod in chosen]
    over = threading.Event()

    def look() -> None:
        query = "SELECT id FROM scheduler_taskexecution WHERE id = ANY(%s) AND ended_at IS NOT NULL"
        while len(seen) < len(ids) and not over.is_set():
            left = [each for each in ids if each not in seen]
            for (each,) in scale.b.rows(query, left):
                seen[int(each)] = time.time()  # type: ignore[call-overload]
            time.sleep(0.03)

    looking = threading.Thread(target=look)
    looking.start()
    began = time.monotonic()
    for number, pod in enumerate(chosen):
        time.sleep(max(0.0, began + number / SAMPLE_RATE - time.monotonic()))
        written[ids[number]] = scale.end(pod)
    looking.join(timeout=60)
    over.set()
    if lost := set(ids) - seen.keys():
        print(f"  {len(lost)} of {len(ids)} ends were not seen within a minute")
    show("  end written in the cluster -> in the database", [1000 * (seen[each] - written[each]) for each in seen])


def end_all(scale: Scale, seconds: float = 1800) -> None:
    """All that live, as fast as the cluster takes it, until all executions have ended and no pod is left."""
    total, began = 0, time.monotonic()
    while left := scale.unended():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"{left} have not ended after {seconds:.0f} s; attempts by phase: {scale.phases()}")
        if pods := scale.living():
            scale.kube.in_threads(scale.end, pods)
            total += len(pods)
            print(f"  {total} ends written after {time.monotonic() - began:.1f} s")
        time.sleep(0.5)
    print(f"  all executions have succeeded after {time.monotonic() - began:.1f} s")
    while scale.made():
        time.sleep(0.5)
    print(f"  no pod is left after {time.monotonic() - began:.1f} s")


@contextmanager
def scaled(nodes: int) -> Iterator[Scale]:
    cluster = a_cluster()
    subprocess.run([SCRIPT, "fake-nodes", str(nodes)], check=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "clusters.yaml"
        described = {
            "name": "fake",
            "kubeconfig": cluster.environment["KUBECONFIG"],
            "image": "none",
            "namespace": NAMESPACE,
            "node_selector": {"fake": "node"},
            "tolerations": [{"key": "fake", "operator": "Exists"}],
        }
        settings.write_text(yaml.safe_dump([described]))
        env = {name: cluster.environment[name] for name in STORE}
        kube = Kube(cluster.environment["KUBECONFIG"], Path(folder))
        os.environ.update(env)
        try:
            with bench(**env, CAUSEWAY_CLUSTERS=str(settings)) as b:
                b.register("bench_scale", PROGRAM)
                kube.pool.request(
                    "POST",
                    f"{kube.host}/api/v1/namespaces",
                    headers=kube.headers,
                    body=json.dumps({"metadata": {"name": PLAIN}}),
                )
                yield Scale(b, kube, boto3.client("s3"), env["CAUSEWAY_STORE_URL"].removeprefix("s3://"))
        finally:
            clean(kube)
            subprocess.run([SCRIPT, "fake-nodes", "0"], check=True)


def clean(kube: Kube) -> None:
    """Whatever a run that failed has left."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    pods = [
        pod
        for pod in kube.all(path)
        if pod["metadata"].get("annotations", {}).get("causeway/execution", "").startswith("scale-")
    ]

    def remove(pod: Json) -> None:
        own = f"{path}/{pod['metadata']['name']}"
        kube.ask("DELETE", f"{own}?gracePeriodSeconds=0")
        kube.ask("PATCH", own, {"metadata": {"finalizers": None}}, **{"Content-Type": MERGE_PATCH})

    kube.in_threads(remove, pods)
    kube.ask("DELETE", f"/api/v1/namespaces/{PLAIN}")


def hold(scale: Scale, items: int) -> None:
    """So many pods more."""
    meter = Meter(scale.executor)
    meter.start()
    before = scale.settled()
    _, began = scale.launch(items)
    seen = scale.until_made(before + items)
    print(f"{before} and {items} pods: {rates(seen, began, before, before + items)}")
    scale.until_running(before + items)
    print(f"  executor with {before + items} pods: {meter.stop()}")


def main() -> None:
    args = arguments(__doc__, nodes=1000, pods=5000, more=0, plain=3000, kill=0, end=1)
    with scaled(args.nodes) as scale:
        scale.launch(50)  # warm-up
        scale.until_made(50)
        print(f"executor with 50 pods: {Meter(scale.executor).told()}")
        if args.plain:
            print(f"plain client: {scale.plain_pods(args.plain):.0f} pods a second ({args.plain} pods)")
        end_all(scale)
        hold(scale, args.pods)
        delays(scale, SAMPLE)
        if args.more:
            hold(scale, args.more - scale.settled())
            delays(scale, SAMPLE)
        if args.kill:
            cut(scale, args.pods)
        if not args.end:
            return
        meter = Meter(scale.executor)
        meter.start()
        end_all(scale)
        print(f"  executor: {meter.stop()}")
        print(f"  attempts by phase: {scale.phases()}, of {sum(scale.launched.values())}")


if __name__ == "__main__":
    main()

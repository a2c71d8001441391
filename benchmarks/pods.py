"""No-op tasks as pods: where the time goes, from the launch to the end, on the cluster of KUBECONFIG or script/cluster.

Everything goes through Causeway's ordinary doors with unmodified flytekit. That a pod has ended, and when it came, is
taken from a watch of the benchmark's own, so of the moment in which the API server first says so; when a container
started and ended from containerd's own events where that is within reach, else from the watch as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from causeway.client import Client
from flytekit.remote import FlyteRemote
from setup import DOMAIN, PROJECT, Bench, show

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.client import connect
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.watch import Watcher
from tests.cluster.running import a_cluster
from tests.stack import running_stack

NAMESPACE = "causeway-benchmark"
STORE = ("CAUSEWAY_STORE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
LOOK_SECONDS = 0.2
PROGRAM = """
from flytekit import Resources, task, workflow

@task(requests=Resources(cpu="50m", mem="200Mi"))
def step(n: int) -> int:
    return n + 1

@workflow
def one(n: int = 0) -> int:
    return step(n=n)

@workflow
def chain(n: int = 0) -> int:
    for _ in range(5):
        n = step(n=n)
    return n

@workflow
def many(n: int = 0) -> None:
    for i in range(20):
        step(n=i)
"""


class Seen:
    """When the API server first said it of each pod, by the pod's name: seconds since the epoch."""

    def __init__(self, kubeconfig: str) -> None:
        api = connect(Cluster(kubeconfig=kubeconfig))
        self.made: dict[str, float] = {}
        self.scheduled: dict[str, float] = {}
        self.runs: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.containers: dict[str, str] = {}  # the pod's name by the container's id
        self.execution: dict[str, str] = {}
        self._watcher = Watcher(api, "causeway/owner", self._pod, lambda *_: None, namespace=NAMESPACE)
        threading.Thread(target=self._watcher.run, daemon=True).start()

    def _pod(self, pod: pods.Json, gone: bool) -> None:
        now, name = time.time(), pods.name_of(pod)
        self.made.setdefault(name, now)
        self.execution[name] = pods.text(pod, "metadata", "labels", "causeway/execution")
        if pods.text(pod, "spec", "nodeName"):
            self.scheduled.setdefault(name, now)
        for status in pods.statuses(pod):
            if told := pods.text(status, "containerID"):
                self.containers[told.rpartition("/")[2]] = name
            if pods.part(status, "state", "running"):
                self.runs.setdefault(name, now)
            if pods.terminated(status) is not None:
                self.ended.setdefault(name, now)
        if gone:
            self.ended.setdefault(name, now)

    def of(self, execution: str) -> list[str]:
        """Its pods in the order in which they came."""
        return sorted((name for name, of in self.execution.items() if of == execution), key=self.made.__getitem__)


class Containerd:
    """When containers started and ended, of the containerd that script/cluster runs: events of its own."""

    _LINE = re.compile(r"(\S+ \S+ \+0000) UTC \S+ /tasks/(start|exit) (\{.*\})")

    def __init__(self) -> None:
        self.at: dict[tuple[str, str], float] = {}  # container, "start" or "exit"
        folder = os.environ.get("CAUSEWAY_CLUSTER_HOME") or Path.home() / ".cache/causeway/cluster"
        socket, program = Path(folder) / "home" / "containerd.sock", shutil.which("ctr")
        self.process: subprocess.Popen[str] | None = None
        if program and socket.exists():
            command = [program, "--address", str(socket), "--namespace", "k8s.io", "events"]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or () if self.process is not None else ():
            if found := self._LINE.match(line):
                when = datetime.strptime(found[1][:26].rstrip("+ ") + " +0000", "%Y-%m-%d %H:%M:%S.%f %z")
                self.at.setdefault((json.loads(found[3])["container_id"], found[2]), when.timestamp())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()


class Measured:
    def __init__(self, bench: Bench, seen: Seen, containerd: Containerd) -> None:
        self.bench, self.seen, self.containerd = bench, seen, containerd
        self.figures: dict[str, list[float]] = {}

    def note(self, name: str, seconds: float) -> None:
        self.figures.setdefault(name, []).append(seconds)

    def run(self, workflow: str) -> None:
        plan = self.bench.remote.fetch_launch_plan(name=f"program.bench_pods.{workflow}", version="v1")
        execution = self.bench.remote.execute(plan, inputs={"n": 0})
        self.bench.remote.wait(
            execution, poll_interval=timedelta(seconds=LOOK_SECONDS), timeout=timedelta(minutes=4), sync_nodes=False
        )
        if execution.error is not None:
            raise SystemExit(f"{workflow} failed: {execution.error.message}")
        name = execution.id.name
        time.sleep(2.5)  # until the last pod has been seen to end
        times = (
            "extract(epoch FROM e.created_at), extract(epoch FROM e.ended_at), extract(epoch FROM min(t.created_at))"
        )
        query = f"""SELECT {times} FROM scheduler_execution e
            JOIN scheduler_nodeexecution n ON n.execution_id = e.id JOIN scheduler_taskexecution t ON t.node_id = n.id
            WHERE e.name = %s GROUP BY e.id"""  # noqa: S608
        created, ended, queued = (float(each) for each in self.bench.rows(query, name)[0])  # type: ignore[arg-type]
        self._of_execution(workflow, name, created, queued, ended)

    def _of_execution(self, workflow: str, name: str, created: float, queued: float, ended: float) -> None:
        seen, found = self.seen, self.seen.of(name)
        words = {"one": "one no-op in all", "chain": "chain of 5", "many": "20 no-ops at once"}
        self.note(words[workflow], ended - created)
        if workflow != "many":
            self.note("execution created to pod object", seen.made[found[0]] - created)
            self.note("  of it: to the attempt in the queue", queued - created)
            for before, after in zip(found, found[1:], strict=False):
                self.note("pod ended to the next pod object", seen.made[after] - seen.ended[before])
            self.note("pod ended to execution SUCCEEDED", ended - seen.ended[found[-1]])
        of = {pod: container for container, pod in seen.containers.items()}
        at = self.containerd.at
        for pod in found:
            suffix = " (20 at once)" if workflow == "many" else ""
            start = at.get((of.get(pod, ""), "start"), seen.runs.get(pod, seen.ended[pod]))
            end = at.get((of.get(pod, ""), "exit"), seen.ended[pod])
            self.note(f"a container, start to end{suffix}", end - start)
            self.note(f"pod object to its container's start{suffix}", start - seen.made[pod])
            self.note(f"container's end to the API saying so{suffix}", seen.ended[pod] - end)


@contextmanager
def stack_on_pods(runner: str, **settings: object) -> Iterator[tuple[Bench, str]]:
    """`settings`: of the cluster, further ones."""
    cluster = a_cluster()
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder:
        image = cluster.environment["CLUSTER_TASK_IMAGE"]
        described = {
            "name": "pods",
            "kubeconfig": cluster.environment["KUBECONFIG"],
            "image": image,
            "namespace": NAMESPACE,
            **({"runner": runner} if runner else {}),
            **settings,
        }
        path = Path(folder) / "clusters.yaml"
        path.write_text(json.dumps(described))
        env = {name: cluster.environment[name] for name in STORE} | {"CAUSEWAY_CLUSTERS": str(path)}
        with running_stack(Path(folder) / "h", **env) as stack:
            remote = FlyteRemote(stack.flyte_config(), default_project=PROJECT, default_domain=DOMAIN)
            bench = Bench(stack, Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN), remote)
            bench.register("bench_pods", PROGRAM, image=image)
            yield bench, cluster.environment["KUBECONFIG"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="of one no-op; of chains a third, of 20 at once one")
    parser.add_argument("--runner", default="", help="causeway or flytekit: the setting of the cluster")
    parser.add_argument("--skip", default="", help="chain, many: what to leave out")
    args = parser.parse_args()
    containerd = Containerd()
    with stack_on_pods(args.runner) as (bench, kubeconfig):
        measured = Measured(bench, Seen(kubeconfig), containerd)
        measured.run("one")  # warm-up: the namespace is made, the code cached
        measured.figures.clear()
        rounds = {"one": args.rounds, "chain": max(1, args.rounds // 3), "many": 1}
        for workflow, count in rounds.items():
            for _ in range(0 if workflow in args.skip.split(",") else count):
                measured.run(workflow)
    containerd.stop()
    for name, values in measured.figures.items():
        show(name, [1000 * value for value in values])


if __name__ == "__main__":
    sys.exit(main())

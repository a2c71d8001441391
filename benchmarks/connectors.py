"""Echo tasks through flytekit's connector service: one after the other, and many jobs in flight at once.

An attempt's time is from its being queued to its end in the database, less the time that its job takes by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from flytekit.core.options import Options
from flytekit.remote.entities import FlyteLaunchPlan
from setup import ROOT, Bench, arguments, bench, show

SERVICE = """
import time
from dataclasses import dataclass

from flyteidl.core.execution_pb2 import TaskExecution
from flytekit.extend.backend.base_connector import AsyncConnectorBase, ConnectorRegistry, Resource, ResourceMeta


@dataclass
class Job(ResourceMeta):
    due: float
    n: int


class Echo(AsyncConnectorBase):
    name = "Echo"

    def __init__(self):
        super().__init__(task_type_name="bench-echo", metadata_type=Job)

    async def create(self, task_template, inputs=None, **given):
        seconds = float(task_template.custom["seconds"])
        return Job(time.time() + seconds, inputs.literals["n"].scalar.primitive.integer)

    async def get(self, resource_meta, **given):
        if time.time() < resource_meta.due:
            return Resource(phase=TaskExecution.RUNNING)
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"o0": resource_meta.n})

    async def delete(self, resource_meta, **given):
        return None


ConnectorRegistry.register(Echo())
"""
PROGRAM = """
from flytekit import kwtypes, workflow
from flytekit.core.base_task import PythonTask
from flytekit.core.interface import Interface
from flytekit.extend.backend.base_connector import AsyncConnectorExecutorMixin


class Echo(AsyncConnectorExecutorMixin, PythonTask):
    def __init__(self, name, seconds):
        self.seconds = seconds
        interface = Interface(inputs=kwtypes(n=int), outputs=kwtypes(o0=int))
        super().__init__(task_type="bench-echo", name=name, task_config=None, interface=interface)

    def get_custom(self, settings):
        return {{"seconds": self.seconds}}


quick, slow = Echo("bench.quick", 0.0), Echo("bench.slow", {seconds})


@workflow
def chain(n: int = 0) -> int:
    for _ in range({steps}):
        n = quick(n=n)
    return n


@workflow
def wide(n: int = 0):
    for _ in range({many}):
        slow(n=n)
"""
TIMES = """
SELECT extract(epoch FROM a.ended_at - a.created_at)::float * 1000, extract(epoch FROM a.ended_at)::float
FROM scheduler_taskexecution a JOIN scheduler_execution e ON e.id = a.execution_id
WHERE e.name = %s AND a.executor = 'connectors' ORDER BY a.ended_at
"""


@contextmanager
def service() -> Iterator[str]:
    """A connector service of ours, as `script/up --connectors` starts it; its address."""
    from tests.stack import free_port

    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_echo.py").write_text(SERVICE)
        env = {**os.environ, "PYTHONPATH": folder, "CAUSEWAY_CONNECTOR_MODULES": "bench_echo"}
        serve = ROOT / "console" / "supervisor" / "connector" / "serve.py"
        process = subprocess.Popen([sys.executable, str(serve), address], env=env, stderr=subprocess.DEVNULL)
        try:
            yield address
        finally:
            process.kill()
            process.wait()


def run(b: Bench, plan: FlyteLaunchPlan) -> str:
    """The name of an execution that has ended."""
    execution = b.remote.execute(plan, inputs={}, options=Options(max_parallelism=10_000))
    b.remote.wait(execution, poll_interval=timedelta(milliseconds=200), sync_nodes=False)
    return str(execution.id.name)


def main() -> None:
    args = arguments(__doc__, steps=20, rounds=6, many=200, seconds=2)
    with service() as address, bench(CAUSEWAY_CONNECTORS=f"bench={address}") as b:
        b.register("bench_connectors", PROGRAM.format(steps=args.steps, many=args.many, seconds=float(args.seconds)))
        time.sleep(5)  # until the executor of connectors is there and has heard what the service runs
        chain = b.remote.fetch_launch_plan(name="program.bench_connectors.chain", version="v1")
        wide = b.remote.fetch_launch_plan(name="program.bench_connectors.wide", version="v1")
        alone: list[float] = []
        for number in range(args.rounds + 1):
            name = run(b, chain)
            alone += [took for took, _ in b.rows(TIMES, name)] if number else []
        show("an echo task, queued → ended", alone, unit="ms")
        for number in range(args.rounds // 2 + 1):
            rows = b.rows(TIMES, run(b, wide))
            if number:
                own = args.seconds * 1000
                show(
                    f"{args.many} jobs of {args.seconds} s at once, beyond their own time",
                    [t - own for t, _ in rows],
                    unit="ms",
                )
                spread = rows[-1][1] - rows[0][1]
                show("... ended a second", [len(rows) / max(spread, 0.001)], unit="")


if __name__ == "__main__":
    main()

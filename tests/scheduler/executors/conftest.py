"""A local executor with real zygotes and a real store, and a user's project with tasks for every way to end."""

from __future__ import annotations

import io
import itertools
import queue
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import execution_pb2, literals_pb2

from artifacts.store import LocalStore, open_store
from scheduler.attempts.observations import Ended, Observation, Running
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import Addresses, AttemptSpec, Identity
from scheduler.executors.base import Assignment
from scheduler.executors.local.executor import LocalExecutor

PROJECT = Path(__file__).parent / "project"
RESOLVER = "flytekit.core.python_auto_container.default_task_resolver"


class Bench:
    """Drives an executor as the daemon does, without a database."""

    numbers = itertools.count(1)

    def __init__(self, home: Path, *, start: bool = True) -> None:
        self.home = home
        store = open_store(f"{home}/objects")
        assert isinstance(store, LocalStore)
        self.store = store
        self.distribution = f"{store.root}/uploads/code.tar.gz"
        self.store.put(self.distribution, archive(PROJECT))
        self.starts: dict[int, Running] = {}
        self.ends: dict[int, Ended] = {}
        if start:
            self.new_executor()

    def new_executor(self, gpu: int = 0) -> None:
        """As after a restart of the daemon."""
        self.events: queue.Queue[Observation] = queue.Queue()
        self.executor = LocalExecutor(self.home, self.store, total=Resources(cpu=4, memory=1 << 40, gpu=gpu))
        self.executor.start(self.events.put)

    def task(
        self, name: str, *, module: str = "workflows.tasks", fast: bool = True, index: int = -1, **options: Any
    ) -> Assignment:
        """An attempt of the project's task `name`; options: inputs, env, resources, memory_limit, args, timeout,
        reuse, kind (the task's name as those like it have it)."""
        number = next(self.numbers)
        prefix = f"{self.store.root}/metadata/p/d/e{number}/n0/0"
        inputs = f"{self.store.root}/metadata/p/d/e{number}/n0/inputs.pb"
        self.store.put(inputs, literal_map(**options.pop("inputs", {})).SerializeToString())
        loader = ["--", "task-module", module, "task-name", name]
        places = ["--inputs", inputs, "--output-prefix", prefix]
        raw = f"{self.store.root}/raw/p/d/e{number}/n0/0"
        places += ["--raw-output-data-prefix", raw]
        args = ["pyflyte-execute", *places, "--resolver", RESOLVER, *loader]
        if fast:
            wrap = ["pyflyte-fast-execute", "--additional-distribution", self.distribution, "--dest-dir", "/root", "--"]
            args = [*wrap, *args]
        args = options.pop("args", args)
        spec = AttemptSpec(
            Identity(f"e{number}-n0-0", "p", "d", f"e{number}", "n0", task=options.pop("kind", "")),
            argv=tuple(args),
            env=options.pop("env", {}),
            addresses=Addresses(inputs=inputs, output_prefix=prefix, raw_output_prefix=raw),
            timeout_seconds=options.pop("timeout", None),
            reuse=options.pop("reuse", False),
        )
        return Assignment(
            number,
            spec,
            log_uri=f"{self.store.root}/logs/e{number}.log",
            **{"resources": Resources(cpu=0.5), **options},
        )

    @staticmethod
    def bare(number: int, name: str) -> Assignment:
        """An attempt with nothing to run."""
        return Assignment(number, AttemptSpec(Identity(name)), Resources())

    def run(self, assignment: Assignment, timeout: float = 60) -> Ended:
        self.executor.submit(assignment)
        return self.wait_end(assignment, timeout)

    def wait_start(self, assignment: Assignment, timeout: float = 60) -> Running:
        self._pump(lambda: assignment.attempt_id in self.starts, timeout)
        return self.starts[assignment.attempt_id]

    def wait_end(self, assignment: Assignment, timeout: float = 60) -> Ended:
        self._pump(lambda: assignment.attempt_id in self.ends, timeout)
        return self.ends[assignment.attempt_id]

    def _pump(self, done: Callable[[], bool], timeout: float) -> None:
        until = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < until, "nothing came"
            self.executor.tick()
            try:
                event = self.events.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(event, Running):
                self.starts[event.attempt_id] = event
            elif isinstance(event, Ended):
                assert event.attempt_id not in self.ends, "two ends for one attempt"
                self.ends[event.attempt_id] = event
                assert event.on_recorded is not None
                event.on_recorded()

    def outputs(self, ended: Ended) -> literals_pb2.LiteralMap:
        return literals_pb2.LiteralMap.FromString(self.store.get(ended.outcome.output_uri))

    def log(self, assignment: Assignment, errors: str = "strict") -> str:
        return self.store.get(assignment.log_uri).decode(errors=errors)


def crash(bench: Bench) -> None:
    """The executor's process is gone without a word: the sockets close, nothing is told or cleaned up."""
    bench.executor.emit = lambda event: None
    bench.executor.pools.own.stop()


def error(ended: Ended) -> execution_pb2.ExecutionError:
    assert ended.outcome.error is not None, ended
    return execution_pb2.ExecutionError.FromString(ended.outcome.error)


def archive(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            if path.name != "__pycache__":
                tar.add(path, path.name)
    return buffer.getvalue()


def literal_map(**values: int | str) -> literals_pb2.LiteralMap:
    literals = literals_pb2.LiteralMap()
    for name, value in values.items():
        primitive = literals.literals[name].scalar.primitive
        if isinstance(value, int):
            primitive.integer = value
        else:
            primitive.string_value = value
    return literals


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("home"))
    yield made
    made.executor.stop()


@pytest.fixture
def bench(shared_bench: Bench) -> Bench:
    """Shared, because a zygote takes a second to start. Tests that break the executor make their own."""
    return shared_bench


@pytest.fixture
def own_bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.executor.stop()

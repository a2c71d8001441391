"""flytekit's own connector service as a process, and an executor of attempts at it."""

from __future__ import annotations

import importlib.util
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flyteidl.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2

from artifacts.store import open_store
from scheduler.attempts.observations import Ended, Observation
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import Addresses, AttemptSpec, Identity
from scheduler.executors.base import Assignment
from scheduler.executors.connectors.connector import Connector
from scheduler.executors.connectors.executor import ConnectorsExecutor, Setting
from scheduler.executors.connectors.jobs import Job

PROGRAMS = Path(__file__).parent / "programs"
NEEDED = ("httpx", "prometheus_client")
TEXT = types_pb2.LiteralType(simple=types_pb2.STRING)
Seen = TypeVar("Seen", bound=Observation)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Serving:
    """`pyflyte serve connector`, which may be killed and started again at its address."""

    port: int = field(default_factory=free_port)
    environment: Mapping[str, str] = field(default_factory=dict)
    commands: Path = Path(sys.executable).parent  # where its `pyflyte` lies
    modules: Sequence[str] = ("shipyard",)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            str(self.commands / "pyflyte"),
            "serve",
            "connector",
            "--port",
            str(self.port),
            "--prometheus_port",
            str(free_port()),
        ]
        env = {**os.environ, **self.environment}
        self.process = subprocess.Popen(
            [*command, *(word for name in self.modules for word in ("--modules", name))],
            cwd=PROGRAMS,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < until, "the service did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    """One that all tests of a module share, and leave running."""
    yield from served()


def served() -> Iterator[Serving]:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"`pyflyte serve connector` needs packages that are not installed: {', '.join(missing)}")
    one = Serving(environment={"SHIPYARD_KEY": "s3cr3t-of-the-yard"})
    one.start()
    yield one
    one.kill()


class MemoryJobs:
    """Jobs that outlive their executor, as rows do; and what services said."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.said: dict[str, list[dict[str, Any]]] = {}
        self.problems: dict[str, str] = {}

    def load(self, attempts: Sequence[int]) -> Mapping[int, Job]:
        return {pk: self.jobs[pk] for pk in attempts if pk in self.jobs}

    def save(self, jobs: Mapping[int, Job | None]) -> None:
        for pk, job in jobs.items():
            if job is None:
                self.jobs.pop(pk, None)
            else:
                self.jobs[pk] = job

    def catalogues(self) -> Mapping[str, list[dict[str, Any]]]:
        return dict(self.said)

    def heard(self, name: str, endpoint: str, types: list[dict[str, Any]], at: datetime) -> None:
        self.said[f"{name} {endpoint}"] = types
        self.problems.pop(name, None)

    def silent(self, name: str, endpoint: str, problem: str, at: datetime) -> None:
        self.problems[name] = problem


class Yard:
    """Drives the executor as the daemon does, without a database; ships are built in `folder`."""

    numbers = itertools.count(1)

    def __init__(self, home: Path, *connectors: Connector, task_seconds: float = 0.0) -> None:
        self.folder = home / "yard"
        self.folder.mkdir(exist_ok=True)
        self.store = open_store(f"{home}/objects")
        self.connectors = list(connectors)
        self.records = MemoryJobs()
        self.setting = Setting(task_seconds=task_seconds)
        self.events: list[Observation] = []

    def make(self) -> ConnectorsExecutor:
        return ConnectorsExecutor(self.store, self.records, lambda: list(self.connectors), self.records, self.setting)

    def start(self) -> ConnectorsExecutor:
        """A new process, in place of an earlier one."""
        self.events = []
        self.executor = self.make()
        self.executor.start(self.events.append)
        return self.executor

    def order(
        self,
        name: str = "",
        *,
        task_type: str = "ship",
        version: int = 0,
        text: str = "",
        outputs: bool = True,
        timeout: float | None = None,
        **custom: Any,
    ) -> Assignment:
        number = next(self.numbers)
        home = f"{self.store.root}/metadata/p/d/e{number}/n0"
        template = tasks_pb2.TaskTemplate(
            id=identifier_pb2.Identifier(
                resource_type=identifier_pb2.TASK, project="p", domain="d", name="yard.ship", version="v1"
            ),
            type=task_type,
            task_type_version=version,
        )
        template.custom.update({"yard": str(self.folder), "name": name or f"s{number}", **custom})
        given = literals_pb2.LiteralMap()
        if text:
            template.interface.inputs.variables["text"].CopyFrom(interface_pb2.Variable(type=TEXT))
            given.literals["text"].scalar.primitive.string_value = text
        if outputs:
            template.interface.outputs.variables["o0"].CopyFrom(interface_pb2.Variable(type=TEXT))
        self.store.put(f"{home}/task.pb", template.SerializeToString())
        self.store.put(f"{home}/inputs.pb", given.SerializeToString())
        spec = AttemptSpec(
            Identity(f"e{number}-n0-0", "p", "d", f"e{number}", "n0", task="yard.ship", task_version="v1", user="me"),
            task_type=task_type,
            addresses=Addresses(inputs=f"{home}/inputs.pb", output_prefix=f"{home}/0", template=f"{home}/task.pb"),
            timeout_seconds=timeout,
        )
        return Assignment(number, spec, Resources())

    def submitted(self, name: str = "", **options: Any) -> Assignment:
        assignment = self.order(name, **options)
        self.executor.submit(assignment)
        return assignment

    def mark(self, name: str, what: str = "done") -> None:
        (self.folder / f"{name}.{what}").touch()

    def orders(self) -> list[str]:
        path = self.folder / "orders"
        return path.read_text().splitlines() if path.exists() else []

    def wait(
        self,
        kind: type[Seen],
        assignment: Assignment,
        seconds: float = 30.0,
        such: Callable[[Seen], bool] = lambda seen: True,
    ) -> Seen:
        until = time.monotonic() + seconds
        while True:
            for event in list(self.events):
                if isinstance(event, kind) and event.attempt_id == assignment.attempt_id and such(event):
                    return event
            assert time.monotonic() < until, f"no {kind.__name__} came: {self.events}"
            time.sleep(0.01)

    def end(self, assignment: Assignment, seconds: float = 30.0) -> Ended:
        return self.wait(Ended, assignment, seconds)

    def outputs(self, ended: Ended) -> dict[str, str]:
        assert ended.outcome.output_uri, ended.outcome
        found = literals_pb2.LiteralMap.FromString(self.store.get(ended.outcome.output_uri))
        return {name: one.scalar.primitive.string_value for name, one in found.literals.items()}


@pytest.fixture
def yard(serving: Serving, tmp_path: Path) -> Iterator[Yard]:
    """Of the shared service."""
    made = Yard(tmp_path, Connector(name="yard", endpoint=serving.endpoint))
    made.start()
    yield made
    made.executor.stop()

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flyteidl.core import execution_pb2

from artifacts.store import LocalStore
from scheduler.attempts.observations import Ended, Observation
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import Addresses, AttemptSpec, Identity
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.client import Api
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.executor import KubernetesExecutor
from scheduler.secrets.mounts import Mounts
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving


class Bench:
    """An executor on a cluster for tests, and what it says."""

    def __init__(self, fake: FakeCluster, api: Api, home: Path) -> None:
        self.fake, self.api, self.home = fake, api, home
        self.store = LocalStore(str(home / "objects"), public_url="http://localhost", max_upload_bytes=1)
        self.seen: list[Observation] = []
        self.mounts = Mounts()
        self.settings = Cluster(image="base:1")
        self.logs_of_ended: dict[int, str] = {}
        self.executor = self.begin()

    def begin(self) -> KubernetesExecutor:
        made = self.make()
        made.start(self.seen.append)
        return made

    def make(self) -> KubernetesExecutor:
        return KubernetesExecutor(
            self.settings,
            self.api,
            self.store,
            self.home / "logs-on-their-way",
            owner="me",
            secrets_of=lambda attempt_id, asked: self.mounts,
            env_of=lambda assignment: {"FLYTE_PLATFORM_URL": "here"},
            log_of=lambda attempt_id, handle: self.logs_of_ended.get(attempt_id, ""),
        )

    def restart(self) -> None:
        """A new process in place of this one."""
        self.executor.stop()
        self.seen.clear()
        self.executor = self.begin()

    def assignment(self, number: int = 1, *, execution: str = "f1", handle: str = "", **over: object) -> Assignment:
        identity = Identity(
            name=f"{execution}-n0-{number}", project="p", domain="d", execution=execution, node="n0", attempt=number
        )
        prefix = f"{self.store.root}/metadata/p/d/{execution}/n0/{number}"
        addresses = Addresses(inputs=f"{prefix}/in.pb", output_prefix=prefix, raw_output_prefix=f"{prefix}/raw")
        given: dict[str, object] = {"identity": identity, "argv": ("true",), "addresses": addresses}
        spec = AttemptSpec(**{**given, **over})  # type: ignore[arg-type]
        log = f"{self.store.root}/logs/{execution}-{number}.log"
        return Assignment(number, spec, Resources(), log_uri=log, handle=handle)

    def succeed(self, assignment: Assignment) -> None:
        """Its task has written its outputs."""
        self.store.put(f"{assignment.spec.addresses.output_prefix}/outputs.pb", b"")

    def ends(self) -> list[Ended]:
        return [seen for seen in list(self.seen) if isinstance(seen, Ended)]

    def outcome(self, number: int = 1) -> Outcome:
        """How the attempt ended, once it has."""
        self.until(lambda: any(end.attempt_id == number for end in self.ends()))
        (end,) = [end for end in self.ends() if end.attempt_id == number]
        return end.outcome

    def error(self, number: int = 1) -> execution_pb2.ExecutionError:
        """Of an attempt that failed, once it has."""
        told = self.outcome(number).error
        assert told is not None
        return execution_pb2.ExecutionError.FromString(told)

    def record(self) -> None:
        """As the daemon does once the ends are committed."""
        for end in self.ends():
            if end.on_recorded is not None:
                end.on_recorded()

    def of(self, kind: type[Observation]) -> list[Observation]:
        return [seen for seen in list(self.seen) if isinstance(seen, kind)]

    def until(self, happened: object, seconds: float = 15) -> None:
        def ticked() -> bool:
            self.executor.tick()
            return bool(happened())  # type: ignore[operator]

        self.fake.until(ticked, seconds)


@pytest.fixture
def fake() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def bench(fake: FakeCluster, tmp_path: Path) -> Iterator[Bench]:
    with serving(fake) as api:
        made = Bench(fake, api, tmp_path)
        yield made
        made.executor.stop()

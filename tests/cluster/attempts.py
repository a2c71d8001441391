"""The Kubernetes executor on a real cluster, without the rest of Causeway: attempts go in, observations come out."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from flyteidl.core import execution_pb2

from artifacts.store import LocalStore
from scheduler.attempts.observations import Ended, Observation, Running, Waiting
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import Addresses, AttemptSpec, Identity, Needs
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes.client import connect
from scheduler.executors.kubernetes.cluster import Cluster as Settings
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.executor import KubernetesExecutor
from scheduler.executors.kubernetes.names import pod_name
from scheduler.secrets.mounts import Mounts
from tests.cluster.running import Namespace

T = TypeVar("T", bound=Observation)
USER, SYSTEM = execution_pb2.ExecutionError.USER, execution_pb2.ExecutionError.SYSTEM
NOTHING_ASKED = Needs(requests={"cpu": "10m"})


class Attempts:
    """Of one test, in its namespace. What a program leaves as outputs a test puts there itself (`with_outputs`)."""

    _numbers = itertools.count(1)

    def __init__(self, namespace: Namespace, home: Path, **settings: Any) -> None:
        self.namespace, self.home = namespace, home
        self.image = namespace.cluster.environment["CLUSTER_TASK_IMAGE"]
        kubeconfig = namespace.cluster.environment["KUBECONFIG"]
        given: dict[str, Any] = {"kubeconfig": kubeconfig, "namespace": namespace.name, "image": self.image}
        self.settings = Settings(**{**given, "abort_grace_seconds": 2, **settings})
        self.store = LocalStore(str(home / "objects"), public_url="http://localhost", max_upload_bytes=1)
        self.mounts = Mounts()
        self.seen: list[Observation] = []
        self.executor = self.begin()

    def begin(self) -> KubernetesExecutor:
        self.executor = KubernetesExecutor(
            self.settings,
            connect(self.settings),
            self.store,
            self.home / "pod-logs",
            owner=self.namespace.name,
            secrets_of=lambda attempt_id, asked: self.mounts,
            env_of=lambda assignment: {},
        )
        self.executor.start(self._take)
        self._ticking = threading.Event()
        threading.Thread(target=self._tick, args=(self.executor, self._ticking), daemon=True).start()
        return self.executor

    def stop(self) -> None:
        self._ticking.set()
        self.executor.stop()

    def close(self) -> None:
        """At the end of a test: what it left goes with its namespace, which finalizers would keep."""
        self.stop()
        for pod in self.namespace.pods():
            gone = '{"metadata": {"finalizers": null}}'
            with contextlib.suppress(AssertionError):  # it is gone by itself
                self.namespace.kubectl("patch", "pod", pod, "-p", gone)

    def restart(self, **settings: Any) -> None:
        self.stop()
        self.settings = replace(self.settings, **settings)
        self.begin()

    @staticmethod
    def _tick(executor: KubernetesExecutor, ended: threading.Event) -> None:
        while not ended.wait(0.2):
            executor.tick()

    def _take(self, seen: Observation) -> None:
        self.seen.append(seen)
        if isinstance(seen, Ended) and seen.on_recorded is not None:
            seen.on_recorded()

    def assignment(self, script: str, *, with_outputs: bool = False, **over: Any) -> Assignment:
        number = next(self._numbers)
        identity = Identity(f"t{number}-n0-0", project="p", domain="d", execution=f"t{number}", node="n0", task="t")
        prefix = f"{self.store.root}/metadata/p/d/t{number}/n0/0"
        addresses = Addresses(inputs=f"{prefix}/in.pb", output_prefix=prefix, raw_output_prefix=f"{prefix}/raw")
        argv = ("sh", "-c", script) if script else ()
        given = {"identity": identity, "argv": argv, "entry": len(argv), "addresses": addresses, "needs": NOTHING_ASKED}
        if with_outputs:
            self.store.put(f"{prefix}/outputs.pb", b"")
        return Assignment(
            number, AttemptSpec(**{**given, **over}), Resources(), log_uri=f"{self.store.root}/logs/{number}"
        )

    def submit(self, script: str, **over: Any) -> Assignment:
        made = self.assignment(script, **over)
        self.executor.submit(made)
        return made

    def pod(self, assignment: Assignment) -> str:
        return pod_name(assignment.spec.identity, self.namespace.name)

    def until(self, found: Callable[[], Any], seconds: float = 90) -> Any:
        deadline = time.monotonic() + seconds
        while not (answer := found()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"it did not happen; {self.seen}\n{self.namespace.kubectl('describe', 'pods')[-3000:]}"
                )
            time.sleep(0.1)
        return answer

    def of(self, kind: type[T], assignment: Assignment) -> list[T]:
        return [seen for seen in list(self.seen) if isinstance(seen, kind) and seen.attempt_id == assignment.attempt_id]

    def running(self, assignment: Assignment) -> None:
        self.until(lambda: self.of(Running, assignment))

    def waiting(self, assignment: Assignment, code: str, seconds: float = 90) -> Waiting:
        found = self.until(lambda: [one for one in self.of(Waiting, assignment) if one.code == code], seconds)
        return found[0]  # type: ignore[no-any-return]

    def outcome(self, assignment: Assignment, seconds: float = 120) -> Outcome:
        self.until(lambda: self.of(Ended, assignment), seconds)
        (ended,) = self.of(Ended, assignment)
        return ended.outcome

    def error(self, assignment: Assignment, seconds: float = 120) -> execution_pb2.ExecutionError:
        outcome = self.outcome(assignment, seconds)
        assert outcome.error is not None, outcome
        return execution_pb2.ExecutionError.FromString(outcome.error)

    def gone(self, assignment: Assignment) -> None:
        """Its pod, once its end is stored."""
        self.until(lambda: self.pod(assignment) not in self.namespace.pods())

    def log(self, assignment: Assignment) -> str:
        self.gone(assignment)
        return self.store.get(assignment.log_uri).decode()


QUICK = Graces(image=3, config=3, creating=3, impossible=3)

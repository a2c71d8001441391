"""The Kubernetes executor under the suite of the port: over an API server for tests whose pods run by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.executors.base import Assignment, Executor
from scheduler.executors.kubernetes import names
from tests.scheduler.executors.kubernetes.conftest import Bench
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving
from tests.scheduler.executors.subjects import Subject, Work


@pytest.fixture
def kubernetes_subject(tmp_path: Path) -> Iterator[Subject]:
    fake = FakeCluster()
    numbers = iter(range(1, 1000))

    def kubelet(what: str, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if what == "deleted":
            fake.end(name, 137)
        elif pod["metadata"]["labels"][names.EXECUTION] == "fails":
            fake.end(name, 7, said="no good")
        else:
            fake.run(name)

    fake.kubelet = kubelet
    with serving(fake) as api:
        bench = Bench(fake, api, tmp_path)
        bench.executor.stop()

        def work() -> Work:
            assignment = bench.assignment(next(numbers))

            def finish() -> None:
                bench.succeed(assignment)
                name = names.pod_name(assignment.spec.identity, "me")
                fake.until(lambda: any(own == name for _, own in fake.pods))
                fake.end(name)

            return Work(assignment, finish)

        def failing() -> Assignment:
            return bench.assignment(next(numbers), execution="fails")

        def make() -> Executor:
            return bench.make()

        subject = Subject(make, work, failing)
        yield subject
        subject.executor.stop()

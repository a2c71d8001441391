"""The connectors' executor under the suite of the port, with flytekit's own service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.executors.connectors.connector import Connector
from tests.scheduler.executors.connectors.conftest import Serving, Yard, served
from tests.scheduler.executors.subjects import Subject, Work


@pytest.fixture(scope="module")
def connector_service() -> Iterator[Serving]:
    yield from served()


@pytest.fixture
def connectors_subject(connector_service: Serving, tmp_path: Path) -> Iterator[Subject]:
    yard = Yard(tmp_path, Connector(name="yard", endpoint=connector_service.endpoint))

    def work() -> Work:
        assignment = yard.order()
        return Work(assignment, lambda: yard.mark(f"s{assignment.attempt_id}"))

    subject = Subject(yard.make, work, lambda: yard.order(refuse=True))
    yield subject
    subject.executor.stop()

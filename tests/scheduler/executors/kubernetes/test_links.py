"""Links to log systems, and the command that shows a pod."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from scheduler.executors.kubernetes.links import kubectl, log_links
from scheduler.models import TaskExecution

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 28, tzinfo=timezone.utc)


@pytest.fixture
def row(settings: Settings, tmp_path: Path) -> TaskExecution:
    file = tmp_path / "clusters.yaml"
    file.write_text(
        "{name: gpu-1, log_links: [{name: Logs, uri: 'https://x/{{ namespace }}/{{ pod }}?since={{ started }}'}]}"
    )
    settings.CAUSEWAY_CLUSTERS = str(file)
    return made()


def made(**over: Any) -> TaskExecution:
    given: dict[str, Any] = {"executor": "kubernetes", "cluster": "gpu-1", "handle": "ns/pod-1", "started_at": START}
    return TaskExecution(**{**given, **over})


def test_a_clusters_templates_are_filled_in(row: TaskExecution) -> None:
    assert log_links(row) == [("Logs", f"https://x/ns/pod-1?since={int(START.timestamp() * 1000)}")]
    assert kubectl(row)[0] == "kubectl --namespace ns describe pod pod-1"
    assert kubectl(row, "gpus")[1] == "kubectl --context gpus --namespace ns logs --follow pod-1"


def test_what_has_no_pod_has_no_links(row: TaskExecution) -> None:
    for other in (made(handle=""), made(executor="local", handle="12:3"), made(cluster="other")):
        assert log_links(other) == []
    assert kubectl(made(executor="local", handle="12:3")) == []


def test_a_pod_that_others_run_in_too_has_no_log_of_the_attempt(row: TaskExecution) -> None:
    shared = made(handle="ns/pool-0123-4567")
    assert log_links(shared) == []
    assert kubectl(shared) == ["kubectl --namespace ns describe pod pool-0123-4567"]


def test_a_description_that_is_broken_shows_no_links(settings: Settings, tmp_path: Path) -> None:
    settings.CAUSEWAY_CLUSTERS = str(tmp_path / "absent.yaml")
    assert log_links(made()) == []

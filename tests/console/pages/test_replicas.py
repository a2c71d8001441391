"""The replicas of a distributed job on its node's page, over REST, and the log of each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from django.test import Client

from artifacts.store import store
from console.accounts.models import User
from scheduler.attempts import replicas
from scheduler.attempts.observations import Replica, Replicas
from scheduler.executors.kubernetes.clusters import followed_file
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.uris import log_of_replica
from tests.console.pages.cast import World

Browse = Callable[[User], Client]
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


@pytest.fixture
def job(world: World) -> TaskExecution:
    """The attempt of the world as a job of three replicas, of which one has failed."""
    row = world.attempt
    log = store().join(store().root, "logs", "job.log")
    workers = [
        Replica("worker-0", "worker", 0, "j-worker-0", "node-1", "running", log_uri=log_of_replica(log, "worker-0")),
        Replica(
            *("worker-1", "worker", 1, "j-worker-1", "node-2", "failed", "OOMKilled: too much <memory>", 137),
            log_uri=log_of_replica(log, "worker-1"),
        ),
    ]
    told = (Replica("master-0", "master", 0, "j-master-0", "node-1", "running", log_uri=log), *workers)
    TaskExecution.objects.filter(pk=row.pk).update(
        executor="kubernetes", cluster="c", handle="ns/pytorchjob/j", log_uri=log, phase=AttemptPhase.RUNNING
    )
    replicas.keep([Replicas(row.pk, NOW, told)])
    store().put(log, b"the master's words\n")
    store().put(told[2].log_uri, b"the worker's last words\n")
    row.refresh_from_db()
    return row


def _node(row: TaskExecution) -> str:
    execution = row.node.execution
    return f"{execution.project}/{execution.domain}/{execution.name}/nodes/{row.node.node_id}"


def test_the_node_shows_a_picture_of_its_ranks_and_what_each_does(
    world: World, job: TaskExecution, browse: Browse
) -> None:
    page = browse(world.viewer).get(f"/executions/{_node(job)}/").content.decode()
    assert 'aria-label="3 replicas, 2 running, 1 failed"' in page
    assert "worker-1: failed on node-2" in page
    assert "exit code 137" in page and "too much &lt;memory&gt;" in page
    assert "kubectl --namespace ns describe pytorchjob/j" in page


def test_of_very_many_those_are_in_the_table_that_somebody_looks_for(
    world: World, job: TaskExecution, browse: Browse
) -> None:
    many = [Replica(f"worker-{number}", "worker", number, state="running") for number in range(300)]
    many[250] = Replica("worker-250", "worker", 250, state="failed", exit_code=9)
    replicas.keep([Replicas(job.pk, NOW, tuple(many))])
    page = browse(world.viewer).get(f"/executions/{_node(job)}/").content.decode()
    assert 'aria-label="300 replicas, 299 running, 1 failed"' in page
    assert '<td class="main nowrap">worker-250</td>' in page and '<td class="main nowrap">worker-99</td>' not in page
    assert "100 of 300" in page


def test_of_a_job_that_is_over_nothing_runs(world: World, job: TaskExecution, browse: Browse) -> None:
    TaskExecution.objects.filter(pk=job.pk).update(phase=AttemptPhase.FAILED)
    page = browse(world.viewer).get(f"/executions/{_node(job)}/").content.decode()
    assert 'aria-label="3 replicas, 2 stopped, 1 failed"' in page


def test_each_replica_has_its_log(world: World, job: TaskExecution, browse: Browse) -> None:
    client = browse(world.viewer)
    logs = f"/executions/{_node(job)}/logs/{job.pk}/"
    assert "the master&#x27;s words" in client.get(logs).content.decode()
    assert "the worker&#x27;s last words" in client.get(f"{logs}?replica=worker-1").content.decode()
    assert client.get(f"{logs}?replica=../../etc").status_code == 404


def test_while_it_runs_its_log_is_read_where_it_is_followed_into(
    world: World, job: TaskExecution, browse: Browse, settings: object, tmp_path: Path
) -> None:
    settings.CAUSEWAY_HOME = str(tmp_path)  # type: ignore[attr-defined]
    file = followed_file(tmp_path, "c", job.pk, "worker-0")
    file.parent.mkdir(parents=True)
    file.write_text("just now\n")
    page = browse(world.viewer).get(f"/executions/{_node(job)}/logs/{job.pk}/?replica=worker-0").content.decode()
    assert "just now" in page


def test_rest_tells_the_same(world: World, job: TaskExecution, browse: Browse) -> None:
    client = browse(world.viewer)
    base = f"/api/v1/executions/{_node(job)}/attempts/{job.attempt}"
    told = client.get(f"{base}/replicas").json()
    assert [(one["name"], one["state"], one["exit_code"]) for one in told] == [
        ("master-0", "running", None),
        ("worker-0", "running", None),
        ("worker-1", "failed", 137),
    ]
    assert client.get(f"{base}/log?replica=worker-1").content == b"the worker's last words\n"
    assert client.get(f"{base}/log?replica=worker-9").status_code == 404


def test_strangers_see_none_of_it(world: World, job: TaskExecution, browse: Browse) -> None:
    client = browse(world.outsider)
    assert client.get(f"/executions/{_node(job)}/logs/{job.pk}/?replica=worker-1").status_code == 404
    assert client.get(f"/api/v1/executions/{_node(job)}/attempts/{job.attempt}/replicas").status_code == 404

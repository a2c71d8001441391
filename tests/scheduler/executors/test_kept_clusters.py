"""Clusters that stay for later tasks: who takes one, when it ends, and who shares."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from artifacts.store import open_store
from scheduler.attempts.resources import Resources
from scheduler.attempts.spec import AttemptSpec, Identity
from scheduler.executors.base import Assignment
from scheduler.executors.local import clusters
from scheduler.executors.local.means import Means
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import RunDirectory
from scheduler.executors.local.zygote import kept, together
from scheduler.executors.store_keys import store_keys

FORK = get_context("fork")


@contextmanager
def served(told: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """In place of a framework's: this process is all there is."""
    yield {"form": told["form"], "pid": os.getpid()}, lambda: True


def keep(member: Path, seconds: float) -> None:
    (member / "work").mkdir(parents=True)
    os.chdir(member / "work")
    together.serving = served
    kept.main(json.dumps({"form": "dask", "keep": seconds}))


@pytest.fixture
def member(tmp_path: Path) -> Path:
    return tmp_path / "1"


@pytest.fixture
def cluster(member: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A process that keeps one, for as many seconds as the test says."""
    process = FORK.Process(target=keep, args=(member, getattr(request, "param", 60)))
    process.start()
    eventually(lambda: (member / kept.WHERE).exists())
    yield process
    process.kill()
    process.join()


def eventually(condition: Any, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_task_after_the_other_has_the_same_cluster(cluster: Any, member: Path) -> None:
    for _ in range(2):
        with kept.taken(str(member.parent)) as where:
            assert where == {"form": "dask", "pid": cluster.pid}
            assert clusters._in_use(member)
        assert not clusters._in_use(member)


def test_what_opens_it_is_its_users_alone(cluster: Any, member: Path) -> None:
    assert (member / kept.WHERE).stat().st_mode & 0o777 == 0o600
    eventually(lambda: (member / kept.LEASE).exists())
    assert (member / kept.LEASE).stat().st_mode & 0o777 == 0o600


def test_two_at_once_do_not_share_one(cluster: Any, member: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "WAIT_SECONDS", 0.3)
    with kept.taken(str(member.parent)) as first, kept.taken(str(member.parent)) as second:
        assert first is not None and second is None


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_it_ends_when_nobody_asked_for_it_in_its_time(cluster: Any, member: Path) -> None:
    cluster.join(20)
    assert cluster.exitcode == 0 and not (member / kept.WHERE).exists()


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_it_does_not_end_while_a_task_uses_it(cluster: Any, member: Path) -> None:
    with kept.taken(str(member.parent)):
        time.sleep(2)
        assert cluster.is_alive()


def test_one_whose_task_was_killed_is_nobodys_any_more(cluster: Any, member: Path) -> None:
    def task() -> None:
        with kept.taken(str(member.parent)):
            os.kill(os.getpid(), 9)

    process = FORK.Process(target=task)
    process.start()
    process.join()
    cluster.join(20)
    assert cluster.exitcode == 0 and not (member / kept.WHERE).exists()


def test_where_all_have_ended_a_task_has_one_of_its_own_and_the_log_says_why(
    member: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    member.mkdir()
    (member / "done").write_text("{}")
    (member / "log").write_text("No module named 'distributed'")
    with kept.taken(str(member.parent)) as where:
        assert where is None
    said = capfd.readouterr().out
    assert "No module named 'distributed'" in said and "one of its own" in said


def test_an_error_of_the_task_is_its_own(cluster: Any, member: Path) -> None:
    with pytest.raises(OSError, match="no boat"), kept.taken(str(member.parent)):
        raise OSError("no boat")


# --- who shares -----------------------------------------------------------------------------------------------


class Started:
    """The pools, as far as clusters ask them: what was to be run."""

    def __init__(self) -> None:
        self.members: list[Path] = []

    def of(self, python: str) -> Started:
        return self

    def run(self, path: Path, **_: Any) -> None:
        self.members.append(path)


@dataclass
class Office:
    clusters: clusters.Clusters
    started: Started
    runs: list[Run] = field(default_factory=list)

    def run(self, form: str = "dask", project: str = "p", secrets: tuple[Any, ...] = (), **env: str) -> Run:
        """A run that goes on from now on."""
        told = {"form": form, "keep": 60}
        spec = AttemptSpec(
            Identity("e", project, "d"),
            env={together.VARIABLE: json.dumps(told), "FLYTE_INTERNAL_TASK_NAME": env.pop("task", "t"), **env},
            secrets=secrets,
        )
        assignment = Assignment(len(self.runs), spec, Resources(cpu=1))
        run = Run(assignment, RunDirectory(Path("none")))
        self.runs.append(run)
        return run

    def folder(self, run: Run) -> str:
        told = self.clusters.of(run, None, self.runs)
        return told.get(together.CLUSTERS, "")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    started = Started()
    means: Any = Means(tmp_path, open_store(f"{tmp_path}/objects"), Resources(cpu=4))
    pools: Any = started
    return Office(clusters.Clusters(means, pools), started)


def test_the_next_task_finds_the_cluster_of_the_one_before_and_one_at_the_same_time_has_another(office: Office) -> None:
    first = office.run(task="one")
    folder = office.folder(first)
    office.runs.remove(first)
    assert office.folder(office.run(task="two")) == folder
    assert len(office.started.members) == 1
    assert office.folder(office.run()) == folder
    assert [path.name for path in office.started.members] == ["1", "2"]


def test_others_have_clusters_of_their_own(office: Office) -> None:
    every = [office.run(), office.run(project="q"), office.run(form="ray"), office.run(ISLE="Skye")]
    assert len({office.folder(one) for one in every}) == 4 == len(office.started.members)


def test_what_asks_for_secrets_or_gpus_never_shares(office: Office) -> None:
    with_gpu = office.run()
    with_gpu.gpus = (0,)
    request: Any = object()
    assert office.folder(with_gpu) == office.folder(office.run(secrets=(request,))) == ""
    assert office.started.members == []


def test_a_machine_keeps_so_many_and_no_more(office: Office) -> None:
    folders = [office.folder(office.run(ISLE=str(number))) for number in range(clusters.MOST + 1)]
    assert len(office.started.members) == clusters.MOST and folders[-1] == "" and all(folders[:-1])


def test_the_cluster_is_told_nothing_of_the_attempt_that_it_began_for(office: Office) -> None:
    office.folder(office.run(FLYTE_INTERNAL_EXECUTION_ID="e1", ISLE="Skye"))
    told = RunDirectory(office.started.members[0]).told()
    assert told["env"] == {"ISLE": "Skye", **store_keys()} and told["args"][0] == kept.PROGRAM


def test_a_cluster_that_waits_sees_no_gpu(office: Office) -> None:
    office.clusters.means.total = Resources(cpu=4, gpu=2)
    office.folder(office.run())
    assert RunDirectory(office.started.members[0]).variable("CUDA_VISIBLE_DEVICES") == ""
    assert "CUDA_VISIBLE_DEVICES" in RunDirectory(office.started.members[0]).told()["env"]


def test_what_has_ended_goes(office: Office) -> None:
    office.folder(office.run())
    member = office.started.members[0]
    office.clusters.tick()
    assert member.exists()
    (member / "done").write_text('{"status": 0}')
    office.clusters.tick()
    assert member.exists()  # its log may be shown
    os.utime(member / "done", (0, 0))
    office.clusters.tick()
    assert not member.parent.exists()

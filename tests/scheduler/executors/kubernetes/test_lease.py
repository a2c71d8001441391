"""One of several replicas works, and another one goes on when it cannot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import pulse
from scheduler.executors.kubernetes.client import Api
from scheduler.executors.kubernetes.lease import Lease
from tests.cluster.running import eventually
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving

SECONDS = 0.9


class Replica:
    def __init__(self, api: Api, name: str) -> None:
        self.lost = threading.Event()
        self.works = threading.Event()
        self.lease = Lease(api, "ns", "lease", name, self.lost.set, seconds=SECONDS)

    def begin(self) -> Replica:
        threading.Thread(target=self._acquire, daemon=True).start()
        return self

    def _acquire(self) -> None:
        if self.lease.acquire():
            self.works.set()


@pytest.fixture
def fake() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def api(fake: FakeCluster) -> Iterator[Api]:
    with serving(fake) as made:
        yield made


def test_one_works_and_the_other_waits(api: Api) -> None:
    first = Replica(api, "one").begin()
    assert first.works.wait(5)
    second = Replica(api, "two").begin()
    assert not second.works.wait(SECONDS * 3)
    first.lease.stop()
    assert second.works.wait(5)
    assert not first.lost.is_set()
    second.lease.stop()


def test_one_that_died_is_replaced_when_its_time_is_over(api: Api, fake: FakeCluster) -> None:
    body = {"metadata": {"name": "lease", "resourceVersion": "1"}, "spec": {"holderIdentity": "dead"}}
    fake.leases["lease"] = body
    second = Replica(api, "two").begin()
    assert not second.works.wait(SECONDS / 2)
    assert second.works.wait(SECONDS * 4)
    second.lease.stop()


def test_one_whose_lease_was_taken_is_told(api: Api, fake: FakeCluster) -> None:
    first = Replica(api, "one").begin()
    assert first.works.wait(5)
    body = {"metadata": {"name": "lease", "resourceVersion": "9999"}, "spec": {"holderIdentity": "other"}}
    fake.leases["lease"] = body
    assert first.lost.wait(5)


def test_one_that_waits_for_a_cluster_that_does_not_answer_gives_up_at_once(
    api: Api, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hang(*args: object, **kwargs: object) -> None:
        asked.set()
        answered.wait(30)

    monkeypatch.setattr(api, "call", hang)
    lease = Lease(api, "ns", "lease", "me", lambda: None, seconds=SECONDS)
    results: list[bool] = []
    waiting = threading.Thread(target=lambda: results.append(lease.acquire()))
    waiting.start()
    assert asked.wait(5)
    lease.give_up()
    waiting.join(2)
    assert results == [False]
    lease.stop()
    answered.set()


def test_one_that_waits_can_be_stopped(api: Api, fake: FakeCluster) -> None:
    fake.leases["lease"] = {"metadata": {"name": "lease", "resourceVersion": "1"}, "spec": {"holderIdentity": "other"}}
    lease = Lease(api, "ns", "lease", "me", lambda: None, seconds=SECONDS)
    threading.Timer(0.2, lease.stop).start()
    assert lease.acquire() is False


def test_one_that_waits_for_its_turn_does_not_look_as_if_it_hung(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSEWAY_PULSE", str(tmp_path / "pulse"))
    monkeypatch.setattr(pulse, "SECONDS", 0.05)
    first = Replica(api, "one").begin()
    assert first.works.wait(5)
    second = Replica(api, "two").begin()
    eventually((tmp_path / "pulse").exists)
    second.lease.give_up()
    first.lease.stop()

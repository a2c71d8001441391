"""The watch: whatever happens to its connection, it goes on, and what happened meanwhile is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.executors.kubernetes.client import Api
from scheduler.executors.kubernetes.watch import Watcher
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving
from tests.scheduler.executors.kubernetes.pods import pod, runs


class Following:
    def __init__(self, fake: FakeCluster, api: Api) -> None:
        self.fake = fake
        self.told: list[tuple[str, str, bool]] = []  # name, phase, gone
        self.lists: list[frozenset[str]] = []
        self.restored = 0
        self.watcher = Watcher(
            api,
            "causeway/owner=me",
            self.on_pod,
            lambda uids, *rest: self.lists.append(uids),
            on_restored=self.on_restored,
        )
        threading.Thread(target=self.watcher.run, daemon=True).start()
        fake.until(lambda: fake.watches)

    def on_pod(self, given: Any, gone: bool) -> None:
        self.told.append((given["metadata"]["name"], given["status"]["phase"], gone))

    def on_restored(self) -> None:
        self.restored += 1

    def saw(self, name: str, phase: str, *, gone: bool = False) -> None:
        self.fake.until(lambda: (name, phase, gone) in self.told)


@pytest.fixture
def following() -> Iterator[Following]:
    fake = FakeCluster()
    with serving(fake) as api:
        made = Following(fake, api)
        yield made
        made.watcher.stop()


def make(fake: FakeCluster, name: str) -> None:
    given = pod()
    given["metadata"]["name"] = name
    fake.handle(
        "POST", "/api/v1/namespaces/ns/pods", {}, {**given, "metadata": {**given["metadata"], "namespace": "ns"}}, ""
    )


def test_pods_are_told_as_they_change(following: Following) -> None:
    make(following.fake, "a")
    following.saw("a", "Pending")
    following.fake.run("a")
    following.saw("a", "Running")


def test_a_cut_watch_goes_on_from_where_it_was(following: Following) -> None:
    make(following.fake, "a")
    following.saw("a", "Pending")
    following.fake.cut()
    following.fake.run("a")
    following.saw("a", "Running")
    assert len(following.lists) == 1, "nothing was listed again"
    assert following.told.count(("a", "Running", False)) == 1


def test_a_version_that_is_gone_is_listed_again(following: Following) -> None:
    make(following.fake, "a")
    following.saw("a", "Pending")
    following.fake.forget_history()
    following.fake.run("a")
    following.fake.cut()
    following.saw("a", "Running")
    assert len(following.lists) >= 2


def test_a_watch_that_was_cut_does_not_go_on_from_a_version_of_the_future(following: Following) -> None:
    """After etcd was restored from an older snapshot such a watch would tell nothing, and no error either."""
    make(following.fake, "a")
    following.saw("a", "Pending")
    before = dict(following.fake.pods)
    for _ in range(5):
        following.fake.run("a")
    following.saw("a", "Running")
    following.told.clear()
    following.fake.set_back(before, 101)
    following.saw("a", "Running")
    make(following.fake, "b")
    following.saw("b", "Pending")
    assert following.restored == 1


def test_a_watch_that_is_silent_is_listed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is dead, or it is blind: bookmarks would come once a minute."""
    monkeypatch.setattr("scheduler.executors.kubernetes.watch.TIMEOUT", (1.0, 0.5))
    fake = FakeCluster()
    with serving(fake) as api:
        fake.silent = True
        following = Following(fake, api)
        make(fake, "a")
        following.saw("a", "Pending")
        assert following.restored == 0
        following.watcher.stop()


def test_a_watch_that_is_blind_is_listed_again(following: Following) -> None:
    """As with a version of the future, after etcd was restored: no event, no error."""
    following.fake.silent = True
    following.fake.cut()
    following.fake.until(lambda: following.fake.watches > 1)
    make(following.fake, "a")
    following.watcher.list_again()
    following.fake.cut()
    following.saw("a", "Pending")


def test_a_deletion_is_told_with_the_last_state(following: Following) -> None:
    make(following.fake, "a")
    following.fake.run("a")
    following.fake.named("a")["metadata"]["finalizers"] = []
    following.fake.delete("a")
    following.fake.end("a", 1)
    following.saw("a", "Failed", gone=True)


def test_leaving_the_selection_is_no_deletion(following: Following) -> None:
    make(following.fake, "a")
    following.saw("a", "Pending")
    with following.fake._changed:
        given = following.fake.named("a")
        given["status"]["phase"] = "Running"
        following.fake._commit("DELETED", given)
    following.saw("a", "Running")
    assert ("a", "Running", True) not in following.told


def test_nothing_is_kept_of_pods_but_their_versions(following: Following) -> None:
    make(following.fake, "a")
    following.saw("a", "Pending")
    assert all(isinstance(version, str) for version in following.watcher._versions.values())
    following.fake.named("a")["metadata"]["finalizers"] = []
    following.fake.run("a", runs())
    following.fake.delete("a")
    following.fake.end("a")
    following.fake.until(lambda: not following.watcher._versions)

"""Logs of pods: nothing twice, nothing lost, no sentence about a log taken for the log."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from artifacts.store import LocalStore
from scheduler.executors.kubernetes.logs import TAIL_LINES, LogKeeper
from scheduler.executors.kubernetes.objects import Objects, is_no_log
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving


def line(second: int, text: str) -> bytes:
    return f"2026-11-28T12:00:{second:02d}.000000001Z {text}\n".encode()


class Kept:
    def __init__(self, objects: Objects, home: Path, *, limit: int = 0) -> None:
        self.store = LocalStore(str(home / "objects"), public_url="http://localhost", max_upload_bytes=1)
        self.uri = f"{self.store.root}/logs/a.log"
        self.keeper = LogKeeper(objects, ("ns", "pod"), "main", home / "a.log", self.uri, self.store, limit)

    def text(self) -> str:
        return self.store.get(self.uri).decode()


def test_what_was_followed_and_what_came_last_are_one(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path)
        fake.logs["pod", "main"] = line(1, "one") + line(2, "two")
        kept.keeper.container_ended()
        kept.keeper.follow()
        fake.logs["pod", "main"] += line(3, "three") + line(3, "also three")
        kept.keeper.finish(())
        assert kept.text() == "one\ntwo\nthree\nalso three\n"


def test_a_log_that_is_gone_leaves_what_was_followed(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path)
        fake.logs["pod", "main"] = line(1, "one")
        kept.keeper.container_ended()
        kept.keeper.follow()
        fake.logs["pod", "main"] = b"unable to retrieve container logs for containerd://abc"
        kept.keeper.finish(())
        assert kept.text() == "one\n"
        assert kept.keeper.peek() == "one\n"


def test_a_follow_outlives_what_breaks_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.executors.kubernetes.logs.LONGEST", 0.2)
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path)
        fake.logs["pod", "main"] = line(1, "one") + line(2, "two") + line(3, "three")
        fake.log_breaks = 7
        following = threading.Thread(target=kept.keeper.follow)
        following.start()
        fake.until(lambda: kept.keeper.path.exists() and kept.keeper.path.read_text() == "one\ntwo\nthree\n", 60)
        kept.keeper.container_ended()
        following.join(10)
        assert kept.keeper.followed.is_set()


def test_a_log_that_nobody_may_read_is_not_asked_for_again_and_again(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        fake.log_status = 403
        Kept(Objects(api), tmp_path).keeper.follow()
        assert len(fake.calls) == 1


def test_a_follow_whose_turn_comes_too_late_is_none(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path)
        fake.logs["pod", "main"] = b"".join(line(1, str(number)) for number in range(TAIL_LINES * 2))
        kept.keeper.finish(())
        kept.keeper.follow()
        assert kept.text().splitlines() == [str(number) for number in range(TAIL_LINES * 2)]


def test_a_log_that_the_store_takes_at_the_second_try_has_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path, limit=5)
        fake.logs |= {("pod", "main"): line(1, "one") + line(2, "two"), ("pod", "prep"): line(0, "prepared")}
        with monkeypatch.context() as away:
            away.setattr(kept.store, "put_file", lambda *given: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                kept.keeper.finish(("prep",))
        kept.keeper.finish(("prep",))
        assert kept.text().count("=== container prep ===") == kept.text().count("left out") == 1


def test_other_containers_follow_the_main_one(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path)
        fake.logs |= {("pod", "main"): line(1, "one"), ("pod", "prep"): line(0, "prepared")}
        kept.keeper.finish(("prep", "quiet"))
        assert kept.text() == "one\n\n=== container prep ===\nprepared\n"


def test_a_log_above_the_limit_says_what_is_left_out(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path, limit=8)
        fake.logs["pod", "main"] = line(1, "one") + line(2, "two") + line(3, "three")
        kept.keeper.finish(())
        assert kept.text().startswith("one\ntwo\n\n[Causeway left out 6 bytes here")


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    fake = FakeCluster()
    with serving(fake) as api:
        kept = Kept(Objects(api), tmp_path)
        fake.logs["pod", "main"] = b"2026-11-28T12:00:01.000000001Z \xff\xfe\n"
        kept.keeper.finish(())
        assert kept.store.get(kept.uri) == b"\xff\xfe\n"
        assert kept.keeper.tail() == "\ufffd\ufffd\n"


@pytest.mark.parametrize(
    ("body", "is_none"),
    [
        (b"unable to retrieve container logs for containerd://5f3a\n", True),
        (b'failed to try resolving symlinks in path "/var/log/pods/x": lstat: no such file\n', True),
        (b"unable to retrieve container logs for x\nand a second line\n", False),
        (b"a program's own words\n", False),
    ],
)
def test_a_sentence_in_place_of_a_log_is_known(body: bytes, is_none: bool) -> None:
    assert is_no_log(body) is is_none

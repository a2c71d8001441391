"""What was found out a moment ago."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from artifacts.task_users import Identity
from scheduler.executors.local import lately
from scheduler.executors.local.lately import Lately
from scheduler.executors.local.starting import Starting


def test_it_is_known_for_so_many_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    known: Lately[str, int] = Lately(5.0)
    assert known.get("a") is None
    known.put("a", 1)
    now = 104.0
    assert known.get("a") == 1
    known.put("b", 2)
    now = 106.0
    assert known.get("a") is None and known.get("b") == 2


def test_the_oldest_go_and_threads_do_not_get_in_each_others_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lately, "MOST", 10)
    known: Lately[int, int] = Lately(60.0)
    failed: list[BaseException] = []

    def use(first: int) -> None:
        try:
            for number in range(first, first + 2000):
                known.put(number, number)
                assert known.get(number) in (number, None)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=use, args=(10_000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for number in range(20):
        known.put(number, number)
    assert [known.get(number) for number in (9, 10, 19)] == [None, 10, 19]


def test_a_folder_is_handed_over_once_in_a_while() -> None:
    handed: list[str] = []
    starting: Any = SimpleNamespace(_handed_over=Lately(5.0))
    store: Any = SimpleNamespace(hand_over=lambda folder, user: handed.append(folder))
    for folder in ("a", "b", "a"):
        Starting._hand_over_once(starting, store, folder, Identity(1, 1))
    assert handed == ["a", "b"]


def test_what_is_not_known_is_found_and_what_cannot_be_found_is_not_known() -> None:
    known: Lately[str, int] = Lately(60.0)
    with pytest.raises(OSError, match="away"):
        known.of("a", lambda: _raise(OSError("away")))
    assert known.of("a", lambda: 1) == 1
    assert known.of("a", lambda: 2) == 1


def _raise(error: Exception) -> int:
    raise error

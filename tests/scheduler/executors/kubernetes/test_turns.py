"""Whose pod is made next."""

from __future__ import annotations

from scheduler.executors.kubernetes.turns import LONGEST, SHORTEST, Turns


def take(turns: Turns, now: float = 0.0) -> list[int]:
    found = []
    while (attempt := turns.next(now)) is not None:
        found.append(attempt)
    return found


def test_executions_take_turns() -> None:
    turns = Turns(most=10)
    for attempt in (1, 2, 3, 4):
        turns.add(attempt, "ns", "big")
    turns.add(10, "ns", "small")
    assert take(turns) == [1, 10, 2, 3, 4]


def test_namespaces_take_turns() -> None:
    turns = Turns(most=10)
    for attempt in (1, 2, 3):
        turns.add(attempt, "a", "x")
    turns.add(10, "b", "y")
    assert take(turns) == [1, 10, 2, 3]


def test_no_more_are_tried_at_a_time_than_may_be() -> None:
    turns = Turns(most=2)
    for attempt in (1, 2, 3):
        turns.add(attempt, "ns", "x")
    assert take(turns) == [1, 2]
    turns.made(1)
    assert take(turns) == [3]


def test_a_used_up_quota_lets_one_try_after_pauses_that_double() -> None:
    turns = Turns(most=10)
    for attempt in (1, 2, 3):
        turns.add(attempt, "ns", "x")
    turns.add(9, "other", "y")
    assert turns.next(0) == 1
    turns.refused(1, "used up", 0.0, quota=True)
    assert take(turns, 0.0) == [9], "other namespaces go on"
    assert turns.next(SHORTEST - 0.1) is None
    assert take(turns, SHORTEST) == [1]
    turns.refused(1, "used up", SHORTEST, quota=True)
    assert turns.next(SHORTEST * 2.5) is None
    assert turns.next(SHORTEST * 3) == 1


def test_an_end_lets_the_next_try_at_once() -> None:
    turns = Turns(most=10)
    turns.add(1, "ns", "x")
    turns.next(0)
    turns.refused(1, "used up", 0.0, quota=True)
    turns.freed("ns")
    assert turns.next(0.0) == 1


def test_a_place_that_takes_again_what_waits_is_short_no_more() -> None:
    turns = Turns(most=10)
    for attempt in (1, 2, 3):
        turns.add(attempt, "ns", "x")
    turns.next(0)
    turns.refused(1, "used up", 0.0, quota=True)
    assert dict(turns.waiting()) == {1: "used up", 2: "used up", 3: "used up"}
    for _ in range(3):
        (tried,) = take(turns, LONGEST)
        turns.made(tried)
    assert not dict(turns.waiting())
    turns.add(4, "ns", "x")
    turns.add(5, "ns", "x")
    assert take(turns, LONGEST) == [4, 5]


def test_a_busy_cluster_slows_everything() -> None:
    turns = Turns(most=10)
    turns.add(1, "a", "x")
    turns.add(2, "b", "y")
    turns.next(0)
    turns.refused(1, "busy", 0.0, quota=False, after=5.0)
    assert turns.next(4.9) is None
    assert turns.next(5.0) is not None
    assert turns.next(5.0) is None, "one at a time until it takes one"


def test_who_was_refused_comes_after_the_others_of_the_namespace() -> None:
    turns = Turns(most=10)
    turns.add(1, "ns", "x")
    turns.add(2, "ns", "y")
    assert turns.next(0) == 1
    turns.refused(1, "used up", 0.0, quota=True)
    assert turns.next(LONGEST) == 2


def test_what_is_dropped_is_not_tried() -> None:
    turns = Turns(most=10)
    turns.add(1, "ns", "x")
    assert turns.drop(1)
    assert not turns.drop(1)
    assert turns.next(0) is None

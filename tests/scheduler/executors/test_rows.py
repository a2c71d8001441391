"""Small attempts that share processes: what they hold, and how many an executor takes ahead of free places."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from scheduler.attempts.choices import Queued
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Rows
from scheduler.executors.packing import PATIENCE, Held, InRows, MachinePacking

CPU = 0.125
TOTAL = Resources(cpu=2, memory=8 << 30)
QUICK, OTHER = 1, 2
ROWS = Rows(lambda task: task == QUICK, places=2, most=6)
NOW = datetime.now(timezone.utc)


def packing(*held: Held, rows: Rows | None = ROWS, total: Resources = TOTAL) -> MachinePacking:
    in_rows = InRows(rows, CPU)
    free = in_rows.left(total, held)
    return MachinePacking(free, total, now=NOW, default_cpu=CPU, in_rows=in_rows)


def queued(*tasks: int | None, resources: str = "{}", since: datetime = NOW) -> list[Queued]:
    return [Queued(pk, resources, since, "", task) for pk, task in enumerate(tasks, 1)]


def of(task: int | None, cpu: float = CPU, memory: int = 0) -> Held:
    return Held(Resources(cpu=cpu, memory=memory), task)


def test_those_that_wait_for_their_turn_in_a_process_hold_nothing() -> None:
    one = packing()
    one.sort(queued(QUICK, QUICK, QUICK, QUICK))
    assert one.choice.fitting == [1, 2, 3, 4]
    assert one.free == TOTAL - Resources(cpu=2 * CPU)
    assert packing(*[of(QUICK)] * 4).free == one.free


def test_no_more_are_taken_ahead_than_a_moments_work() -> None:
    one = packing(*[of(QUICK)] * 4)
    one.sort(queued(*[QUICK] * 4, OTHER))
    assert one.choice.fitting == [1, 2, 5]  # and others have the places meanwhile
    assert one.choice.waiting == {"waiting for cpu 0.125": [3, 4]}


def test_a_full_machine_takes_only_those_that_go_behind_others() -> None:
    long = of(OTHER, cpu=2 - 2 * CPU)
    one = packing(long, *[of(QUICK)] * 2)
    assert one.free.cpu == 0 and one.has_room()
    one.sort(queued(OTHER, QUICK, None))
    assert one.choice.fitting == [2]
    without = packing(of(OTHER, cpu=2))
    assert not without.has_room()
    without.sort(queued(QUICK))
    assert without.choice.fitting == []


def test_what_asks_for_something_by_itself_holds_it() -> None:
    one = packing(*[of(QUICK)] * 3)
    one.sort(queued(QUICK, QUICK, resources='{"cpu": 1, "memory": 1024}'))
    assert one.choice.fitting == [1]
    assert one.free == TOTAL - Resources(cpu=2 * CPU + 1, memory=1024)


def test_for_one_that_waits_long_for_its_turn_nothing_is_kept_free() -> None:
    one = packing(*[of(QUICK)] * 6)
    before = one.free
    one.sort(queued(QUICK, since=NOW - PATIENCE - timedelta(seconds=1)))
    assert one.choice.fitting == [] and one.free == before


def test_one_that_waits_long_for_all_processors_gets_them_from_rows_too() -> None:
    long_ago = NOW - PATIENCE - timedelta(seconds=1)
    one = packing(*[of(QUICK)] * 3)
    ahead, behind = Queued(7, "{}", long_ago, "", QUICK), queued(QUICK, QUICK)
    one.sort([ahead, *queued(None, resources='{"cpu": 2}', since=long_ago), *behind[1:]])
    assert one.choice.fitting == [7]  # what is before it in the queue, and nothing behind it


def test_one_that_waits_long_for_what_rows_do_not_hold_leaves_them_alone() -> None:
    one = packing(Held(Resources(cpu=CPU, memory=8 << 30), OTHER), *[of(QUICK)] * 3)
    waits = queued(None, resources='{"memory": 4096}', since=NOW - PATIENCE - timedelta(seconds=1))
    one.sort([*waits, *queued(None, QUICK, QUICK)[1:]])
    assert one.choice.fitting == [2, 3]


def test_once_they_are_not_quick_any_more_each_holds_its_own() -> None:
    assert packing(*[of(QUICK)] * 5, rows=None).free == TOTAL - Resources(cpu=5 * CPU)
    assert not packing(*[of(QUICK)] * 20, rows=None).has_room()


@given(st.lists(st.sampled_from([QUICK, OTHER]), max_size=40), st.lists(st.sampled_from([QUICK, OTHER]), max_size=40))
def test_the_machine_is_never_overdrawn_and_what_is_taken_counts_as_what_is_held(
    held: list[int], more: list[int]
) -> None:
    before = [of(task) for task in held[:12]]
    one = packing(*before)
    one.sort(queued(*more))
    taken = [more[pk - 1] for pk in one.choice.fitting]
    again = packing(*before, *map(of, taken))
    assert again.free == one.free and one.free.cpu >= 0
    quick = (held[:12] + taken).count(QUICK)
    assert quick <= max(ROWS.most, held[:12].count(QUICK))
    if OTHER in more and one.free.cpu >= CPU:
        assert taken.count(OTHER) == more.count(OTHER)  # none is kept from a free place by quick ones

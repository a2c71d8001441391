"""The rules of admission against a model that recounts everything from what is held."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.quotas.rules import DOMAIN, EVERYTHING, PROJECT, USER, Block, Lane, Ledger, Limit, Scope, circle
from scheduler.quotas.turns import PATIENCE, Fit, Line, Served, Turns, Waiting

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
PROJECTS = ("a", "b", "c")
SCOPES = [
    Scope(EVERYTHING),
    *(Scope(PROJECT, p) for p in PROJECTS),
    *(Scope(DOMAIN, p, "d") for p in PROJECTS),
    Scope(USER, user="u"),
]


def anything(lane: Lane, one: Waiting) -> Fit:
    return Fit.TAKEN


@st.composite
def lanes(draw: st.DrawFn) -> list[Lane]:
    asked = st.dictionaries(st.sampled_from(["attempts", "cpu"]), st.integers(1, 4).map(float), min_size=1)
    return [
        Lane(number, draw(st.sampled_from(PROJECTS)), draw(st.sampled_from("de")), draw(st.sampled_from("uv")),
             priority=draw(st.sampled_from([0, 0, 0, 5])), demand=draw(asked))
        for number in range(1, draw(st.integers(1, 6)) + 1)
    ]  # fmt: skip


@st.composite
def limits(draw: st.DrawFn) -> list[Limit]:
    """At most one of each scope and resource; guarantees that the widest limit can keep; lenders of the same kind."""
    found: list[Limit] = []
    for resource in ("attempts", "cpu"):
        promised = 0.0
        pool = float(draw(st.integers(2, 12)))
        for scope in draw(st.lists(st.sampled_from(SCOPES), unique=True, max_size=5)):
            limit = pool if scope.kind == EVERYTHING else float(draw(st.integers(0, 8)))
            share = float(draw(st.integers(0, 2))) if scope.kind == PROJECT else 0.0
            share = min(share, limit) if promised + share <= pool else 0.0
            promised += share
            others = [one for one in found if one.resource == resource and one.scope.kind == scope.kind == PROJECT]
            lender = draw(st.sampled_from([None, *(one.id for one in others)]))
            found.append(Limit(len(found) + 1, scope, resource, limit, guaranteed=share, lender=lender))
    return found


def direct(limit: Limit, held: Counter[Lane]) -> float:
    return sum(n * lane.demand.get(limit.resource, 0.0) for lane, n in held.items() if limit.scope.covers(lane))


def loans(limit: Limit, found: list[Limit], held: Counter[Lane]) -> float:
    """What others use of this limit; a chain of borrowers counts through."""
    return sum(
        max(0.0, direct(one, held) + loans(one, found, held) - one.limit) for one in found if one.lender == limit.id
    )


def violations(found: list[Limit], held: Counter[Lane]) -> list[str]:
    """What the model says is wrong with holding all that."""
    wrong = []
    for limit in found:
        used = direct(limit, held) + loans(limit, found, held)
        if used > limit.limit and limit.lender is None:
            wrong.append(f"{limit} exceeded by {used}")
        kept = sum(
            max(0.0, one.guaranteed - direct(one, held))
            for one in found
            if one.resource == limit.resource and limit.scope.contains(one.scope)
        )
        if limit.scope.kind == EVERYTHING and used + kept > limit.limit:
            wrong.append(f"{limit}: nothing is left of what others are guaranteed")
        lent = loans(limit, found, held)
        own = direct(limit, held)
        too_much = lent > max(0.0, limit.limit - max(limit.guaranteed, own))
        if lent and too_much and (limit.lender is None or own <= limit.limit - lent):
            wrong.append(f"{limit} lends {lent}, which it uses itself or is guaranteed")
    return wrong


@settings(max_examples=300)
@given(limits(), lanes(), st.integers(0, 2**32))
def test_nothing_is_exceeded_and_nothing_idle_and_all_ends(found: list[Limit], known: list[Lane], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    waiting = {lane: [Waiting(n * 100 + lane.id, n % 3, NOW) for n in range(chance.randint(0, 8))] for lane in known}
    held: Counter[Lane] = Counter()
    for _ in range(200):
        ledger = Ledger(found)
        for lane, count in held.items():
            ledger.hold(lane, count)
        turns = Turns(ledger, NOW)
        turns.choose([Line.of(lane, queue) for lane, queue in waiting.items()], anything, most=chance.randint(1, 20))
        for lane, one in turns.taken:
            waiting[lane].remove(one)
            held[lane] += 1
            assert violations(found, held) == []
        for lane, one, _ in turns.never:
            waiting[lane].remove(one)
            assert _would_be_wrong(found, Counter(), lane), "it could run with nothing else there"
        if not turns.taken and not turns.never:
            for lane, queue in waiting.items():
                assert not queue or ledger.block(lane) is not None
                assert not queue or _would_be_wrong(found, held, lane), f"{lane} could start"
            if not any(held.values()):
                break
        for lane in [lane for lane, count in held.items() if count and chance.random() < 0.5]:
            held[lane] -= chance.randint(1, held[lane])
    stuck = [lane for lane, queue in waiting.items() if queue]
    # What is left waits for pauses (`attempts` is one), or for what others are guaranteed of it.
    assert all(_pauses(found, lane) for lane in stuck)


def _would_be_wrong(found: list[Limit], held: Counter[Lane], lane: Lane) -> bool:
    """By the model, or because it would borrow what its lender has borrowed or promised."""
    after = held + Counter({lane: 1})
    return bool(violations(found, after)) or any(
        limit.lender is not None and direct(limit, after) + loans(limit, found, after) > limit.limit for limit in found
    )


def _pauses(found: list[Limit], lane: Lane) -> bool:
    ledger = Ledger(found)
    block = ledger.block(lane)
    return block is not None and (block.limit.resource == "attempts" or block.limit.lender is not None)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (3.0, 2.0, 1.0)])
@given(size=st.integers(6, 30), seed=st.integers(0, 2**32))
def test_each_project_gets_its_share(weights: tuple[float, ...], size: int, seed: int) -> None:
    """Of equal tasks each project holds what its weight is worth, give or take one, once all of them wait."""
    chance = random.Random(seed)  # noqa: S311
    found = [Limit(1, Scope(), "attempts", float(size))]
    found += [
        Limit(n + 2, Scope(PROJECT, p), "weight", w) for n, (p, w) in enumerate(zip(PROJECTS, weights, strict=True))
    ]
    known = [Lane(n, p, demand={"attempts": 1.0, "cpu": 1.0}) for n, p in enumerate(PROJECTS, start=1)]
    held: Counter[Lane] = Counter()
    for _ in range(60):
        ledger = Ledger(found)
        for lane, count in held.items():
            ledger.hold(lane, count)
        turns = Turns(ledger, NOW, {lane.project: float(held[lane]) for lane in known})
        lines = [Line.of(lane, [Waiting(n, 1, NOW) for n in range(200)]) for lane in known]
        turns.choose(lines, anything, most=chance.randint(1, size))
        held.update(lane for lane, _ in turns.taken)
        assert sum(held.values()) <= size
        if sum(held.values()) == size:  # one at a time ends: its place goes to whoever is furthest below his share
            running = [lane for lane in known for _ in range(held[lane])]
            held[chance.choice(running)] -= 1
    while sum(held.values()) < size:
        ledger = Ledger(found)
        for lane, count in held.items():
            ledger.hold(lane, count)
        turns = Turns(ledger, NOW, {lane.project: float(held[lane]) for lane in known})
        turns.choose([Line.of(lane, [Waiting(1, 1, NOW)]) for lane in known], anything, most=1)
        held.update(lane for lane, _ in turns.taken)
    for lane, w in zip(known, weights, strict=True):
        assert abs(held[lane] - size * w / sum(weights)) <= 2


def test_executions_of_a_project_take_turns_item_by_item() -> None:
    lane = Lane(1, "a", demand={"attempts": 1.0})
    line = Line.of(lane, [*(Waiting(n, 7, NOW) for n in range(1, 6)), Waiting(10, 8, NOW), Waiting(11, 8, NOW)])
    turns = Turns(Ledger([]), NOW)
    turns.choose([line], anything, most=5)
    assert [one.pk for _, one in turns.taken] == [1, 10, 2, 11, 3]


@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4), lanes_apart=st.booleans())
def test_where_there_is_one_place_they_take_turns_too(sizes: list[int], lanes_apart: bool) -> None:
    """A map and what was launched after it: nobody holds anything whenever the place becomes free."""
    served, order, ahead = Served(), [], itertools.count()
    left = {
        execution: [Waiting(next(ahead), execution, NOW + timedelta(seconds=execution / 100)) for _ in range(size)]
        for execution, size in enumerate(sizes, start=1)
    }
    for step in range(1, sum(sizes) + 1):
        now = NOW + timedelta(seconds=step)
        lane_of = {
            execution: Lane(execution if lanes_apart else 1, "a", demand={"attempts": 1.0}) for execution in left
        }
        lines: dict[Lane, list[Waiting]] = {}
        for execution, ones in left.items():
            lines.setdefault(lane_of[execution], []).extend(ones)
        turns = Turns(Ledger([Limit(1, Scope(), "attempts", 1.0)]), now, served=served)
        turns.choose([Line.of(lane, ones) for lane, ones in lines.items() if ones], anything, most=5)
        ((_, one),) = turns.taken
        served.note(turns.taken, now)
        left[one.execution].remove(one)
        order.append(one.execution)
    rounds = [[one for one, size in enumerate(sizes, start=1) if size > turn] for turn in range(max(sizes))]
    assert order == [one for each in rounds for one in each]


def test_small_ones_pass_a_large_one_until_it_has_waited_for_long() -> None:
    found = [Limit(1, Scope(), "nvidia.com/gpu", 8.0)]
    running, large = Lane(1, "z", demand={"nvidia.com/gpu": 4.0}), Lane(2, "a", demand={"nvidia.com/gpu": 8.0})
    small, other = Lane(3, "b", demand={"nvidia.com/gpu": 1.0}), Lane(4, "b", demand={"cpu": 1.0})

    def taken(waited: timedelta) -> list[int]:
        ledger = Ledger(found)
        ledger.hold(running)
        turns = Turns(ledger, NOW)
        lines = [Line.of(large, [Waiting(1, 1, NOW - waited)])]
        lines += [Line.of(lane, [Waiting(lane.id, lane.id, NOW)]) for lane in (small, other)]
        turns.choose(lines, anything, most=9)
        return sorted(lane.id for lane, _ in turns.taken)

    assert taken(timedelta(seconds=1)) == [3, 4]
    assert taken(PATIENCE * 2) == [4], "what needs no GPU passes still"


def test_what_is_reserved_takes_nothing_from_a_guaranteed_share() -> None:
    pool = Limit(1, Scope(), "cpu", 8.0)
    share = Limit(2, Scope(PROJECT, "b"), "cpu", 8.0, guaranteed=2.0)
    ledger = Ledger([pool, share])
    ledger.hold(Lane(1, "c", demand={"cpu": 4.0}))
    big, mine = Lane(2, "a", demand={"cpu": 6.0}), Lane(3, "b", demand={"cpu": 2.0})
    ledger.reserve(big)
    assert ledger.block(mine) is None
    ledger.hold(mine)
    assert ledger.block(mine) is not None, "beyond its share it waits like others"


def test_nothing_is_reserved_of_everything_for_what_its_own_project_keeps_waiting() -> None:
    pool, own = Limit(1, Scope(), "cpu", 8.0), Limit(2, Scope(PROJECT, "a"), "cpu", 6.0)
    ledger = Ledger([pool, own])
    mine, other = Lane(1, "a", demand={"cpu": 5.0}), Lane(2, "b", demand={"cpu": 1.0})
    ledger.hold(mine)
    ledger.reserve(mine)
    assert ledger.reserved == {2: 5.0}
    assert ledger.block(other) is None


def test_what_is_borrowed_counts_against_the_lender_and_not_beyond_his_share() -> None:
    mine = Limit(1, Scope(PROJECT, "a"), "cpu", 4.0, "project a", lender=2)
    theirs = Limit(2, Scope(PROJECT, "b"), "cpu", 4.0, "project b", guaranteed=1.0)
    a, b = Lane(1, "a", demand={"cpu": 1.0}), Lane(2, "b", demand={"cpu": 1.0})
    ledger = Ledger([mine, theirs])
    ledger.hold(a, 6)
    assert ledger.block(a) is None
    ledger.hold(a)
    assert ledger.block(a) is not None, "the last one is guaranteed to b"
    assert ledger.block(b) is None
    ledger.hold(b)
    block = ledger.block(b)
    assert block is not None and block.used == 4.0 and "4 of 4 are in use" in block.words


def test_what_can_never_fit_is_told_from_what_fits_later() -> None:
    lane = Lane(1, "a", demand={"nvidia.com/gpu": 8.0, "attempts": 1.0})
    lasting = Limit(1, Scope(PROJECT, "a"), "nvidia.com/gpu", 4.0, "project a")
    block = Ledger([lasting]).never(lane)
    assert block is not None
    assert block.words == "asks for 8 nvidia.com/gpu, 0 of 4 are in use (quota of project a)"
    until = Limit(1, Scope(PROJECT, "a"), "nvidia.com/gpu", 4.0, lasting=False)
    assert Ledger([until]).never(lane) is None and Ledger([until]).block(lane) is not None
    pause = Limit(1, Scope(PROJECT, "a"), "attempts", 0.0)
    assert Ledger([pause]).never(lane) is None and Ledger([pause]).block(lane) is not None
    promised = [Limit(1, Scope(), "nvidia.com/gpu", 8.0), Limit(2, Scope(PROJECT, "b"), "nvidia.com/gpu", 4.0, "", 1.0)]
    assert Ledger(promised).never(lane) is not None, "one of the eight is kept for b for ever"


def test_hours_count_what_was_used() -> None:
    month = Limit(1, Scope(PROJECT, "a"), "gpu-hours", 10.0, "project a", window="month")
    gpu, cpu = Lane(1, "a", demand={"nvidia.com/gpu": 2.0}), Lane(2, "a", demand={"cpu": 2.0})
    assert Ledger([month], {1: 9.5}).block(gpu) is None
    block = Ledger([month], {1: 10.25}).block(gpu)
    assert block is not None and block.words == "10.25 of 10 gpu-hours of this month are used (quota of project a)"
    assert Ledger([month], {1: 10.25}).block(cpu) is None


def test_borrowing_in_a_circle_is_seen() -> None:
    assert circle({1: 2, 2: 3, 3: 1}, 1) == [1, 2, 3, 1]
    assert circle({1: 2, 2: None}, 1) == []


@pytest.mark.parametrize(
    ("resource", "window", "said"),
    [
        ("nvidia.com/gpu", "", "asks for 1 nvidia.com/gpu, more than is free (quota of user ann)"),
        ("gpu-hours", "month", "the gpu-hours of this month are used up (quota of user ann)"),
        ("launches", "", "the launches of this minute are used up (quota of user ann)"),
    ],
)
def test_what_a_user_has_elsewhere_is_not_told_to_those_who_read_what_waits(
    resource: str, window: str, said: str
) -> None:
    limit = Limit(1, Scope(USER, user="ann"), resource, 7, "user ann", window=window)
    block = Block(limit, asks=1.0, used=7.0, kept=3.0)
    assert block.words == said and "7 of 7" in block.told(numbers=True)

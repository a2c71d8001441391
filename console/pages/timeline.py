"""When the nodes of an execution waited and ran: bars on one axis, each try by itself, maps as how many ran at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from console.pages import badges
from console.pages.executions_context import NodeRow, steady_end
from console.pages.wording import spell_duration
from scheduler.models import Execution, NodeKind, TaskExecution
from scheduler.phases import AttemptPhase, NodePhase

UNITS = 1000.0  # of the axis
LEAST = 4.0  # units of a bar that would be thinner
MARKS = 4  # equal parts of the axis
BINS = 100  # of a map's density
HEIGHT = 20.0
ITEMS = 20_000  # of maps that are looked at
CACHED = 2  # core.CatalogCacheStatus.CACHE_HIT


@dataclass(frozen=True)
class Segment:
    """`kind`: wait, run, or dense, a part of a map's density."""

    x: float
    width: float
    y: float
    height: float
    tone: str
    kind: str
    words: str


@dataclass(frozen=True)
class Line:
    row: NodeRow
    segments: list[Segment]
    is_cached: bool
    words: str  # for who cannot see it
    critical: tuple[float, float] | None = None  # where it begins and how long it is, if the end waited for it


@dataclass(frozen=True)
class _Try:
    node: int
    index: int
    number: int
    phase: int
    reason: str
    created: datetime
    started: datetime | None
    ended: datetime | None


class _Axis:
    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self.span = max((end - start).total_seconds(), 0.001)

    def at(self, moment: datetime) -> float:
        return UNITS * min(max((moment - self.start).total_seconds() / self.span, 0.0), 1.0)

    def segment(self, begin: datetime, end: datetime | None, tone: str, kind: str, words: str) -> Segment:
        thin = kind == "wait"
        y, height = (7.0, 6.0) if thin else (2.0, 16.0)
        return Segment(*self.stretch(begin, end), y, height, tone, kind, words)

    def stretch(self, begin: datetime, end: datetime | None) -> tuple[float, float]:
        """Where it begins and how long it is, inside the axis and never too short to be seen."""
        x, stop = self.at(begin), self.at(end or self.end)
        width = max(stop - x, LEAST)
        return round(min(x, UNITS - width), 1), round(width, 1)


def timeline_context(execution: Execution, rows: Sequence[NodeRow], *, are_all: bool) -> dict[str, Any]:
    """`rows`: the nodes of the page. One query for all their tries. What the end waited for is known of all only."""
    begun = [row.node.created_at for row in rows]
    start = min([execution.started_at or execution.created_at, *begun])
    axis = _Axis(start, execution.ended_at or steady_end(start, timezone.now()))
    tries = _tries([row.node.pk for row in rows])
    parts = [spell_duration(timedelta(seconds=axis.span * part / MARKS)) for part in range(MARKS + 1)]
    critical = critical_path(rows, axis.end) if are_all else {}
    lines = [_line(row, tries[row.node.pk], axis, critical.get(row.node.pk)) for row in rows]
    return {"lines": lines, "axis": ["0", *parts[1:]], "began": start, "has_critical": bool(critical)}


def critical_path(rows: Sequence[NodeRow], now: datetime) -> dict[int, datetime]:
    """Primary keys of the nodes that the end waited for: of those beside each other the one that ended last, of what it
    waited for again the one that ended last, and so on; and the same inside each of them. With each, from when on it
    was waited for: the end of the one before it.
    """
    below: dict[int | None, dict[str, NodeRow]] = defaultdict(dict)
    for row in rows:
        if row.node.phase != NodePhase.UNDEFINED:
            below[row.node.parent_id][row.node.spec_node_id] = row
    found: dict[int, datetime] = {}
    inside: list[int | None] = [None]
    while inside:
        beside = below[inside.pop()]
        last = max(beside.values(), key=lambda row: row.node.ended_at or now, default=None)
        while last is not None:
            found[last.node.pk] = last.node.created_at
            inside.append(last.node.pk)
            before = [beside[up] for up in last.upstream if up in beside and beside[up].node.pk not in found]
            earlier = max(before, key=lambda row: row.node.ended_at or now, default=None)
            if earlier is not None:
                found[last.node.pk] = earlier.node.ended_at or now
            last = earlier
    return found


def _tries(nodes: list[int]) -> dict[int, list[_Try]]:
    found: dict[int, list[_Try]] = defaultdict(list)
    columns = ("node_id", "index", "attempt", "phase", "reason", "created_at", "started_at", "ended_at")
    rows = TaskExecution.objects.filter(node__in=nodes).order_by("pk").values_list(*columns)
    for row in rows[:ITEMS]:
        found[row[0]].append(_Try(*row))
    return found


def _line(row: NodeRow, tries: list[_Try], axis: _Axis, awaited: datetime | None) -> Line:
    node = row.node
    cached = node.cache_status == CACHED
    if node.kind == NodeKind.ARRAY and tries:
        segments = _density(tries, axis)
        words = f"{len({one.index for one in tries})} items"
    elif tries:
        segments = [part for one in tries for part in _of_try(one, axis)]
        words = "; ".join(part.words for part in segments)
    elif node.started_at is not None:
        took = spell_duration((node.ended_at or axis.end) - node.started_at)
        words = f"{row.badge.label.lower()}, {took}"
        segments = [axis.segment(node.started_at, node.ended_at, row.badge.tone, "run", words)]
    else:
        segments, words = [], "not begun"
    words = ("from the cache; " if cached else "") + words + ("; on the critical path" if awaited is not None else "")
    critical = axis.stretch(awaited, node.ended_at) if awaited is not None else None
    return Line(row, segments, cached, words, critical)


def _of_try(one: _Try, axis: _Axis) -> list[Segment]:
    """What it waited, and what it ran."""
    badge = badges.of_attempt_row(one.phase, one.reason)
    found = []
    until = one.started or one.ended or axis.end
    if until - one.created > timedelta(seconds=axis.span / UNITS):
        waited = f"try {one.number + 1}: waited {spell_duration(until - one.created)}"
        found.append(axis.segment(one.created, until, "neutral", "wait", waited))
    if one.started is not None:
        took = spell_duration((one.ended or axis.end) - one.started)
        words = f"try {one.number + 1}: {badge.label.lower()}, {took}"
        found.append(axis.segment(one.started, one.ended, badge.tone, "run", words))
    return found


def _density(tries: list[_Try], axis: _Axis) -> list[Segment]:
    """How many items ran at once, in each hundredth of the axis."""
    running = [0.0] * (BINS + 1)
    failed = [False] * BINS
    for one in tries:
        if one.started is None:
            continue
        first = int(axis.at(one.started) / UNITS * (BINS - 1))
        last = int(axis.at(one.ended or axis.end) / UNITS * (BINS - 1))
        running[first] += 1
        running[last + 1] -= 1
        failed[last] = failed[last] or one.phase in (AttemptPhase.FAILED, AttemptPhase.RETRYABLE_FAILED)
    counts, now = [], 0.0
    for change in running[:BINS]:
        now += change
        counts.append(now)
    most = max(counts)
    if not most:
        return []
    width = UNITS / BINS
    return [
        Segment(
            round(place * width, 1),
            width,
            round(HEIGHT - HEIGHT * count / most, 1),
            round(HEIGHT * count / most, 1),
            "bad" if failed[place] else "info",
            "dense",
            f"{count:.0f} at once",
        )
        for place, count in enumerate(counts)
        if count
    ]

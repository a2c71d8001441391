"""The lines of all logs of an execution in one stream: by when they were written, of which node, at which level.

A line says when and how grave by its own words, as Python's `logging` and most others write them; what says nothing
follows the line before it. Lines of `print` have neither: they stand where their attempt had come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from heapq import merge

from django.db.models import Case, Count, QuerySet, When

from artifacts.exceptions import CausewayError, InvalidArgument
from console.logs import LogPart, read_log_of
from scheduler.models import Execution, TaskExecution
from scheduler.phases import AttemptPhase

LEVELS = ("debug", "info", "warning", "error")
ATTEMPTS = 40  # whose logs are read: those that failed first, then the newest
PORTION = 500  # attempts that are looked up at once for a download
TAIL = 96 * 1024  # bytes read of the end of each
LINES = 1_000  # shown at once: the newest
LONGEST = 4_000  # characters of a line
_HEAD = 120  # characters of a line in which its level is looked for
_BAD = (AttemptPhase.FAILED, AttemptPhase.RETRYABLE_FAILED)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,6}))?\d*(Z|[+-]\d{2}:?\d{2})?")
_LEVEL = re.compile(r"\b(DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b")
_WORDS = {"DEBUG": "debug", "INFO": "info", "WARN": "warning", "WARNING": "warning"}
_TRACE = "Traceback (most recent call last)"


@dataclass(frozen=True)
class LogLine:
    """`at`: None where nothing before it in the log says one and its attempt has not started."""

    at: datetime | None
    level: str  # one of LEVELS; empty where no line so far says one
    node: str
    attempt: int  # primary key
    number: int  # of the try, from 1
    item: int  # of a map; -1: of none
    text: str


@dataclass(frozen=True)
class Asked:
    """Which lines: of one node or attempt, with a text in them, at least so grave."""

    node: str = ""
    attempt: int | None = None
    text: str = ""
    level: str = ""

    def __post_init__(self) -> None:
        if self.level and self.level not in LEVELS:
            raise InvalidArgument(f"level: one of {', '.join(LEVELS)}, not {self.level[:40]!r}")

    def takes(self, line: LogLine) -> bool:
        if self.text and self.text.lower() not in line.text.lower():
            return False
        return not self.level or LEVELS.index(line.level or "info") >= LEVELS.index(self.level)


@dataclass(frozen=True)
class Stream:
    """`left_out`: how many attempts were not looked at, for there are too many; `more`: earlier lines are not shown."""

    lines: list[LogLine]
    left_out: int
    more: bool


def stream(execution: Execution, asked: Asked, *, limit: int = LINES) -> Stream:
    """The newest lines that were asked for, in order of time."""
    rows, found = _attempts(execution, asked), []
    failed_first = Case(When(phase__in=_BAD, then=0), default=1)
    known = list(rows.order_by(failed_first, "-pk")[:ATTEMPTS])
    more = rows.count() - ATTEMPTS if len(known) == ATTEMPTS else 0
    cut = False
    for row in known:
        part = _end_of(row)
        if part is not None:
            cut = cut or part.size > len(part.data)
            found.append([line for line in _lines(row, part.data, cut=part.size > len(part.data)) if asked.takes(line)])
    lines = list(merge(*found, key=_moment))
    return Stream(lines[-limit:], max(more, 0), cut or len(lines) > limit)


def whole(execution: Execution, asked: Asked) -> Iterator[bytes]:
    """All logs one after another, each under a line that says whose it is; in parts, for a download."""
    rows, after = _attempts(execution, asked).order_by("pk"), 0
    while some := list(rows.filter(pk__gt=after)[:PORTION]):
        for row in some:
            yield from _whole_of(row)
        after = some[-1].pk


def _whole_of(row: TaskExecution) -> Iterator[bytes]:
    yield f"===== {_named(row)}\n".encode()
    offset = 0
    while True:
        try:
            part = read_log_of(row, offset=offset)
        except CausewayError:
            break
        yield part.data
        if not part.data or part.next_offset >= part.size:
            break
        offset = part.next_offset
    yield b"\n"


def _attempts(execution: Execution, asked: Asked) -> QuerySet[TaskExecution]:
    """Those with a log, without what is heavy."""
    rows = TaskExecution.objects.filter(execution_id=execution.pk).exclude(phase=AttemptPhase.QUEUED)
    rows = rows.exclude(log_uri="").select_related("node").defer("command", "error", "node__error", "node__state")
    rows = rows.filter(node__node_id=asked.node) if asked.node else rows
    return rows.filter(pk=asked.attempt) if asked.attempt is not None else rows


def _end_of(row: TaskExecution) -> LogPart | None:
    try:
        return read_log_of(row, offset=None, limit=TAIL)
    except CausewayError:  # gone, or its place does not answer: the others are shown
        return None


def _named(row: TaskExecution) -> str:
    item = f", item {row.index}" if row.index >= 0 else ""
    return f"{row.node.node_id}{item}, attempt {row.attempt + 1}"


def _lines(row: TaskExecution, data: bytes, *, cut: bool) -> Iterator[LogLine]:
    texts = data.decode("utf-8", "replace").splitlines()
    at, level = row.started_at, ""
    for text in texts[1:] if cut and len(texts) > 1 else texts:
        own, said = _level_of(text), _time_of(text)
        at = max(at, said) if at is not None and said is not None else said or at
        level = own or level
        yield LogLine(at, level, row.node.node_id, row.pk, row.attempt + 1, row.index, text[:LONGEST])


def _time_of(text: str) -> datetime | None:
    found = _TIME.search(text[:_HEAD])
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    zone = "+00:00" if zone in (None, "Z") else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0').ljust(6, '0')}{zone}")
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):  # 2026-99-99, or the edge of the calendar
        return None


def _level_of(text: str) -> str:
    if _TRACE in text:
        return "error"
    found = _LEVEL.search(text[:_HEAD])
    return _WORDS.get(found.group(1), "error") if found else ""


_NEVER = datetime.min.replace(tzinfo=timezone.utc)


def _moment(line: LogLine) -> datetime:
    return line.at or _NEVER


def nodes_with_logs(execution: Execution) -> Sequence[tuple[str, int]]:
    """Nodes that have attempts, with how many, in the order in which they began."""
    rows = TaskExecution.objects.filter(execution_id=execution.pk).order_by("node_id")
    return list(rows.values_list("node__node_id").annotate(count=Count("pk")))


def told(lines: Iterable[LogLine]) -> list[dict[str, object]]:
    """For JSON."""
    return [
        {
            "at": line.at,
            "level": line.level,
            "node": line.node,
            "attempt": line.attempt,
            "try": line.number,
            "item": line.item,
            "text": line.text,
        }
        for line in lines
    ]

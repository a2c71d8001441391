"""What the attempts of an execution asked for and what they used: curves over time, and the figures beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.pages import badges
from console.pages.badges import Badge
from console.pages.charts import Bound, Dot, LineChart, Series, lines
from console.pages.wording import spell_duration
from scheduler.models import AttemptSamples, Execution, TaskExecution
from scheduler.quotas.resources import CPU, GPU, MEMORY, words

SHOWN = 20  # attempts with curves: those that used most of the processors
LISTED = 200
TOO_LITTLE = 0.25  # of what was asked for: it could ask for less


@dataclass(frozen=True)
class UsedRow:
    attempt: TaskExecution
    name: str
    badge: Badge
    asked_cpu: str
    peak_cpu: str
    asked_memory: str
    peak_memory: str
    cpu_time: str
    advice: str
    charts: list[LineChart]


def resources_context(execution: Execution) -> dict[str, Any]:
    rows = AttemptSamples.objects.filter(attempt__execution_id=execution.pk).select_related("attempt__node")
    heavy = ("attempt__command", "attempt__error", "attempt__node__error", "attempt__node__state")
    found = list(rows.defer(*heavy).order_by("-cpu_seconds", "-attempt_id")[: LISTED + 1])
    shown = [_row(row, with_charts=place < SHOWN) for place, row in enumerate(found[:LISTED])]
    ran = TaskExecution.objects.filter(execution_id=execution.pk, started_at__isnull=False).count()
    return {"used": shown, "more_used": len(found) > LISTED, "unmeasured": max(ran - len(found), 0), "ran": ran}


def _row(row: AttemptSamples, *, with_charts: bool) -> UsedRow:
    attempt = row.attempt
    asked = attempt.resources
    cpu, memory = float(asked.get("cpu") or 0), float(asked.get("memory") or 0)
    item = f"[{attempt.index}]" if attempt.index >= 0 else ""
    again = f" #{attempt.attempt + 1}" if attempt.attempt else ""
    return UsedRow(
        attempt,
        f"{attempt.node.node_id}{item}{again}",
        badges.of_attempt_row(attempt.phase, attempt.reason),
        words(CPU, cpu) if cpu else "",
        f"{row.peak_cpu:.2f}",
        words(MEMORY, memory) if memory else "",
        words(MEMORY, row.peak_memory),
        spell_duration(timedelta(seconds=row.cpu_seconds)),
        _advice(row, memory),
        _charts(row, cpu, memory, float(asked.get("gpu") or 0)) if with_charts and len(row.points) > 1 else [],
    )


def _advice(row: AttemptSamples, memory: float) -> str:
    """Only of memory: of a processor that is left alone others have the use."""
    if memory and row.peak_memory > 0.9 * memory:
        return "close to its limit of memory"
    if memory >= 2**29 and row.peak_memory < TOO_LITTLE * memory:
        return "used less than a quarter of the memory that it asked for"
    return ""


def _charts(row: AttemptSamples, cpu: float, memory: float, gpu: float) -> list[LineChart]:
    begun = row.attempt.started_at or row.attempt.created_at
    charts = [
        _chart(row.points, begun, 1, "cpu", cpu, row.peak_cpu, lambda cores: f"{cores:.2f} cores"),
        _chart(row.points, begun, 2, "memory", memory, row.peak_memory, lambda count: words(MEMORY, count)),
    ]
    busy = [point[3] for point in row.points if point[3] is not None]
    if busy:
        charts.append(_chart(row.points, begun, 3, "GPU", gpu, max(busy), lambda part: f"{part:.2f} {GPU} busy"))
    return [chart for chart in charts if chart is not None]


def _chart(
    points: Sequence[Sequence[float]],
    begun: datetime,
    column: int,
    name: str,
    asked: float,
    peak: float,
    spell: Callable[[float], str],
) -> LineChart | None:
    """`points` begin with the seconds since the attempt began."""
    dots = [Dot(begun + timedelta(seconds=point[0]), point[column] or 0.0) for point in points]
    bound = f"asked for {spell(asked)}" if asked else "asked for nothing"
    over = spell_duration(timedelta(seconds=points[-1][0]))
    return lines(
        f"{name} over {over}: at most {spell(peak)}, {bound}",
        [Series(name, dots)],
        spell=spell,
        head=("", "After", name),
        since=begun,
        bound=Bound(asked, bound) if asked else None,
        with_zero=True,
        with_dots=False,
    )

"""What was measured of both sides in every round, and how it is told."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from setup import percentile

Act = Callable[[], list[float]]  # one round of a measure: its samples
Round = tuple[list[float], list[float]]  # the peer's samples, and ours
LINKS = 20  # of a chain


@dataclass(frozen=True)
class Sizes:
    """How much is asked of each side in a round."""

    tasks: int = 100
    versions: int = 400
    searches: int = 50
    events: int = 10
    filled: int = 2000  # versions made before the first round, to search in


# What can be measured, in this order: of a peer those that its module has.
MEASURES = {
    "start": ("second start: its UI answers", "s"),
    "memory": ("memory, idle (PSS)", "MB"),
    "versions": ("versions, one a request, 4 clients", "a second"),
    "search": ("search of a unique tag", "ms"),
    "tasks": ("no-op tasks, a process each", "a second"),
    "reused": ("no-op tasks, processes used again", "a second"),
    "chain": (f"chain of {LINKS} no-op tasks", "s"),
    "event": ("event to user function", "ms"),
}


def ratio(rounds: Sequence[Round]) -> float:
    """Ours to the peer's: the median of the rounds' own ratios, so that a slow hour hits both sides of each alike."""
    return statistics.median(statistics.median(ours) / statistics.median(theirs) for theirs, ours in rounds)


def told(samples: Sequence[float]) -> str:
    """The median, and p95 where there are enough samples for one."""
    middle = f"{statistics.median(samples):.4g}"
    return middle if len(samples) < 20 else f"{middle} (p95 {percentile(samples, 0.95):.4g})"


def table(peer: str, rounds: Mapping[str, Sequence[Round]], remarks: Mapping[str, str]) -> str:
    lines = [f"| measure | {peer} | Causeway | ratio | rounds | |", "| --- | --- | --- | --- | --- | --- |"]
    for measure, (name, unit) in MEASURES.items():
        if found := rounds.get(measure):
            theirs, ours = ([each for side in one for each in side] for one in zip(*found, strict=True))
            figures = f"{told(theirs)} | {told(ours)} | {ratio(found):.2f}x | {len(found)}"
            lines.append(f"| {name}, {unit} | {figures} | {remarks.get(measure, '')} |")
    return "\n".join(lines)

"""How far predictions of a number are off."""

from __future__ import annotations

from typing import Any

from causeway.decks.drawing import Axis, dots
from causeway.decks.page import folded, numbers, plain_table, same_length, section

MOST_DOTS = 500
BINS = 12


def residuals(actual: Any, predicted: Any, *, title: str = "Residuals") -> str:
    """True less predicted value, against the predicted one, with the usual measures and how they are spread.

    Raises ValueError where there are not as many predictions as values, or not all are finite numbers.
    """
    true, told = numbers(actual, "actual"), numbers(predicted, "predicted")
    same_length(actual=true, predicted=told)
    off = [a - b for a, b in zip(true, told, strict=True)]
    mean = sum(true) / len(true)
    squares, around = sum(one * one for one in off), sum((one - mean) ** 2 for one in true)
    measures = [
        ("Mean absolute error", sum(map(abs, off)) / len(off)),
        ("Root mean squared error", (squares / len(off)) ** 0.5),
        ("Mean error", sum(off) / len(off)),
        ("R²", 1 - squares / around if around else float("nan")),
    ]
    every = max(1, len(off) // MOST_DOTS)
    shown = list(zip(told, off, strict=True))[::every][:MOST_DOTS]
    largest = max(map(abs, off)) or 1.0
    x, y = Axis(min(told), max(told), "Predicted"), Axis(-largest, largest, "True less predicted")
    said = f"{len(off):,} cases" + (f", {len(shown)} of them drawn." if every > 1 else ".")
    drawn = dots(shown, x, y, label=f"{title}: {said}", guide=[(x.low, 0.0), (x.high, 0.0)])
    spread = folded("How residuals are spread", plain_table(["From", "To", "Cases"], _spread(off)))
    return section(title, plain_table(["Measure", "Value"], measures), drawn, spread, said=said)


def _spread(off: list[float]) -> list[tuple[float, float, int]]:
    low, high = min(off), max(off)
    step = (high - low) / BINS or 1.0
    counts = [0] * BINS
    for one in off:
        counts[min(BINS - 1, int((one - low) / step))] += 1
    return [(low + number * step, low + (number + 1) * step, count) for number, count in enumerate(counts)]

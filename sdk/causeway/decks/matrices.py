"""What was taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from causeway.decks.page import escaped, listed, plain_table, same_length, section

MOST_CLASSES = 50


def confusion_matrix(
    actual: Any, predicted: Any, *, labels: Sequence[Any] | None = None, title: str = "Confusion matrix"
) -> str:
    """Rows are the true classes, columns what they were taken for, with precision and recall of each class.

    :param labels: the classes in their order; default all that occur, sorted
    Raises ValueError for more than MOST_CLASSES classes, for a label that `labels` lacks, and where there are not as
    many predictions as labels.
    """
    true, told = listed(actual), listed(predicted)
    same_length(actual=true, predicted=told)
    if not true:
        raise ValueError("a confusion matrix needs at least one case")
    found = {*true, *told}
    classes = list(labels) if labels is not None else sorted(found, key=lambda one: (str(type(one)), one))
    if missing := sorted(map(str, found - set(classes))):
        raise ValueError(f"labels lacks {', '.join(missing[:5])}, which occurs")
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"{len(classes)} classes are too many for a matrix that can be read; at most {MOST_CLASSES}")
    counts = Counter(zip(true, told, strict=True))
    right = sum(counts[one, one] for one in classes)
    rows = [_row(one, classes, counts) for one in classes]
    said = f"{right:,} of {len(true):,} are right ({right / len(true):.1%})."
    return section(title, _grid(classes, counts), plain_table(_HEADS, rows, "By class"), said=said)


_HEADS = ["Class", "Cases", "Precision", "Recall", "F1"]


def _row(one: Any, classes: Sequence[Any], counts: Counter[Any]) -> tuple[Any, ...]:
    right = counts[one, one]
    cases, told = sum(counts[one, other] for other in classes), sum(counts[other, one] for other in classes)
    precision, recall = right / told if told else 0.0, right / cases if cases else 0.0
    together = 2 * precision * recall / (precision + recall) if right else 0.0
    return str(one), cases, precision, recall, together


def _grid(classes: Sequence[Any], counts: Counter[Any]) -> str:
    """Shaded by the share of the row; the number says the same."""
    top = "".join(f'<th scope="col" class="n">{escaped(one)}</th>' for one in classes)
    body = ""
    for one in classes:
        whole = sum(counts[one, other] for other in classes) or 1
        cells = "".join(_cell(counts[one, other], counts[one, other] / whole, other == one) for other in classes)
        body += f'<tr><th scope="row">{escaped(one)}</th>{cells}</tr>'
    head = f'<thead><tr><th scope="col">True class, taken for</th>{top}</tr></thead>'
    return f'<div class="cw-scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _cell(number: int, share: float, right: bool) -> str:
    colour = "36,86,166" if right else "176,58,46"
    ink = ";color:#fff" if share > 0.55 else ""
    shade = f' style="background:rgba({colour},{share:.2f}){ink}"' if number else ""
    return f'<td class="n"{shade}>{number:,}</td>'

"""Pieces of HTML, and how they come into a task's deck."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

INK, MUTED, LINE, FILL = "#1d2733", "#55606d", "#c3cad3", "#2456a6"
STYLE = (
    f"<style>.cw-deck{{font:15px/1.5 system-ui,sans-serif;color:{INK};background:#fff;max-width:60rem}}"
    f".cw-deck table{{border-collapse:collapse;margin:.5rem 0}}.cw-deck th,.cw-deck td{{padding:.25rem .6rem;"
    f"border-bottom:1px solid {LINE};text-align:left}}.cw-deck td.n,.cw-deck th.n{{text-align:right;"
    "font-variant-numeric:tabular-nums}.cw-deck caption{text-align:left;font-weight:600;padding:.25rem 0}"
    f".cw-deck p{{color:{MUTED};margin:.25rem 0}}.cw-deck svg{{max-width:100%;height:auto}}"
    ".cw-deck section{margin:1rem 0 2rem}.cw-deck summary{cursor:pointer}.cw-scroll{overflow-x:auto}</style>"
)


def show(*parts: str, name: str = "Report") -> None:
    """Put the pieces into the running task's deck of that name, one below the other; the task needs `enable_deck=True`.
    Called again, it adds to it.
    """
    from flytekit import Deck, current_context

    context = current_context()
    deck = next((one for one in context.decks if one.name == name), None)
    if deck is None:
        deck = Deck(name)
    deck.append(f'{STYLE}<div class="cw-deck">{"".join(parts)}</div>')


def section(title: str, *parts: str, said: str = "") -> str:
    lead = f"<p>{escaped(said)}</p>" if said else ""
    return f"<section><h2>{escaped(title)}</h2>{lead}{''.join(parts)}</section>"


def plain_table(heads: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """The first column heads its row; numbers stand to the right."""
    rows = list(rows)
    numeric = [all(is_number(row[at]) for row in rows) and bool(rows) for at in range(len(heads))]
    top = "".join(
        f'<th scope="col"{_side(right)}>{escaped(one)}</th>' for one, right in zip(heads, numeric, strict=True)
    )
    body = "".join(f"<tr>{_cells(row, numeric)}</tr>" for row in rows)
    said = f"<caption>{escaped(caption)}</caption>" if caption else ""
    return f'<div class="cw-scroll"><table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: Sequence[Any], numeric: Sequence[bool]) -> str:
    head, *rest = zip(row, numeric, strict=True)
    cells = "".join(f"<td{_side(right)}>{text(value)}</td>" for value, right in rest)
    return f'<th scope="row"{_side(head[1])}>{text(head[0])}</th>{cells}'


def _side(right: bool) -> str:
    return ' class="n"' if right else ""


def folded(summary: str, inner: str) -> str:
    """Open to whoever asks: works without a script, and by keyboard."""
    return f"<details><summary>{escaped(summary)}</summary>{inner}</details>"


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def text(value: Any) -> str:
    """A cell's text: four significant digits of a fraction."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else escaped(str(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else escaped(str(value))


def escaped(value: object) -> str:
    return html.escape(str(value), quote=True)


def numbers(values: Any, what: str) -> list[float]:
    """ValueError for what is no sequence of finite numbers, or an empty one."""
    found = [float(value) for value in listed(values)]
    if not found:
        raise ValueError(f"{what}: there are no values")
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{what}: not all values are finite numbers")
    return found


def listed(values: Any) -> list[Any]:
    """Of a list, an array, a column of a frame of any library."""
    for name in ("tolist", "to_list", "to_pylist"):
        if hasattr(values, name):
            return list(getattr(values, name)())
    return list(values)


def same_length(**columns: Sequence[Any]) -> None:
    """ValueError unless they are."""
    if len({len(column) for column in columns.values()}) > 1:
        said = ", ".join(f"{name} has {len(column)}" for name, column in columns.items())
        raise ValueError(f"as many values are needed of each: {said}")

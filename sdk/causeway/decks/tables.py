"""Tables that sort without a script: every order is there, and radio buttons show one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from causeway.decks.page import escaped, is_number, plain_table, section

MOST_ROWS, MOST_CELLS = 200, 40_000  # cells of all orders together


def table(rows: Any, *, columns: Sequence[str] | None = None, title: str = "Table", sort: str | None = None) -> str:
    """Rows that whoever reads the deck can sort by any column.

    :param rows: mappings, or a frame of pandas, Polars or Arrow
    :param columns: which, in this order; default all of the first row
    :param sort: the column that they are sorted by at first, the largest first; default as they come
    Raises ValueError for no columns, or one that there is not. Of more than MOST_ROWS rows the first are shown, and it
    says so.
    """
    found = _mappings(rows)
    heads = list(columns) if columns is not None else list(found[0] if found else ())
    if not heads or (sort is not None and sort not in heads):
        raise ValueError(f"no column {sort!r}: there are {', '.join(heads) or 'none'}")
    if found and (missing := [one for one in heads if one not in found[0]]):
        raise ValueError(f"no column {missing[0]!r}: there are {', '.join(map(str, found[0]))}")
    cells = [tuple(row.get(name) for name in heads) for row in found]
    said = f"{len(cells):,} rows" + (f"; the first {MOST_ROWS} are shown." if len(cells) > MOST_ROWS else ".")
    orders = list(_orders(cells[:MOST_ROWS], heads, sort))
    while len(orders) > 1 and sum(len(one) for _, one in orders) * len(heads) > MOST_CELLS:
        orders.pop()
    return section(title, _chosen_from(heads, orders, title), said=said)


def _mappings(rows: Any) -> list[Mapping[str, Any]]:
    if hasattr(rows, "to_dicts"):  # Polars
        return list(rows.to_dicts())
    if hasattr(rows, "to_pylist"):  # Arrow
        return list(rows.to_pylist())
    if hasattr(rows, "to_dict"):  # pandas
        return list(rows.to_dict("records"))
    return list(rows)


def _orders(cells: list[Any], heads: Sequence[str], first: str | None) -> Iterator[tuple[str, list[Any]]]:
    """The one that is shown at first comes first."""
    if first is None:
        yield "as they come", cells
    for at, name in sorted(enumerate(heads), key=lambda one: one[1] != first):
        ranked = sorted(cells, key=lambda row: _rank(row[at]))  # noqa: B023 - sorted here and now
        yield f"{name}, largest first", ranked[::-1]
        yield f"{name}, smallest first", ranked


def _rank(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then texts; nothing and NaN are the smallest."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return 0, 0.0, ""
    if is_number(value):
        return 1, float(value), ""
    return 2, 0.0, str(value)


def _chosen_from(heads: Sequence[str], orders: Sequence[tuple[str, list[Any]]], title: str) -> str:
    own = "cw" + hashlib.sha256(repr((title, orders)).encode()).hexdigest()[:10]
    style, choices, shown = f"<style>.{own} .cw-order{{display:none}}", "", ""
    for number, (words, rows) in enumerate(orders):
        place, checked = f"{own}-{number}", " checked" if not number else ""
        style += f"#{place}:checked~.{place}{{display:block!important}}#{place}:checked+label{{font-weight:600}}"
        choices += (
            f'<input type="radio" name="{own}" id="{place}"{checked}><label for="{place}">{escaped(words)}</label> '
        )
        shown += f'<div class="cw-order {place}">{plain_table(heads, rows, f"Sorted: {words}")}</div>'
    return f'{style}</style><fieldset class="{own}"><legend>Sort by</legend>{choices}{shown}</fieldset>'

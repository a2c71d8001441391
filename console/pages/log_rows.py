"""Lines of logs as HTML. A page shows a thousand: templates would take most of its time for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console.log_lines import LogLine
from console.pages.badges import Badge
from console.pages.tags import moment
from scheduler.models import Execution


def rows_of(execution: Execution, lines: Sequence[tuple[LogLine, Badge | None]], *, stamped: bool) -> SafeString:
    """`stamped`: with the time of each."""
    stamp = lru_cache(maxsize=256)(lambda at: f'<span class="faint log-at">{moment(at, "%H:%M:%S")}</span>')
    place = (execution.project, execution.domain, execution.name)
    address = lru_cache(maxsize=256)(lambda *log: escape(reverse("node-logs", args=[*place, *log])))
    rows = (
        f'<div class="log-line{f" tone-{level.tone}" if level is not None else ""}">'
        f"{stamp(line.at) if stamped else ''}"
        f'<a class="log-node" href="{address(line.node, line.attempt)}" tabindex="-1">{_of(line)}</a>'
        f'<span class="log-text">{escape(line.text)}</span></div>'
        for line, level in lines
    )
    return mark_safe("".join(rows))  # noqa: S308 - each line escapes what it says


def _of(line: LogLine) -> str:
    item = f"[{line.item}]" if line.item >= 0 else ""
    return f"{escape(line.node)}{item}{f' #{line.number}' if line.number > 1 else ''}"

"""The rows of an artifact's versions as HTML: half of what the page took in templates was theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from artifacts.models import ArtifactVersion
from console.pages.metrics import spell
from console.pages.moments import ago_html
from console.pages.version_marks import marks_of, partitions_html
from console.pages.wording import spell_size
from scheduler.subjects import Approval


def version_rows(
    versions: Sequence[ArtifactVersion], metrics: Sequence[str], decisions: Mapping[int, Sequence[Approval]]
) -> SafeString:
    """With a box to compare each, its marks and the metrics that are shown."""
    page, now = reverse("version", args=[0]).removesuffix("0/"), timezone.now()
    rows = ("".join(_cells(one, page, metrics, decisions.get(one.pk, ()), now)) for one in versions)
    return mark_safe("".join(f"<tr>{row}</tr>\n" for row in rows))  # noqa: S308 - each cell escapes what it says


def _cells(
    version: ArtifactVersion, page: str, metrics: Sequence[str], decisions: Sequence[Approval], now: Any
) -> Iterator[str]:
    name = escape(version.version)
    yield f'<td><input type="checkbox" name="v" value="{version.pk}" aria-label="Compare {name}"></td>'
    removed = '<span class="cell-sub">data removed</span>' if version.removed_at else ""
    link = f'<a class="wrap mono small" href="{page}{version.pk}/">{name}</a>'
    yield f'<td class="w-name">{link}{marks_of(version)}{_decision(decisions)}{removed}</td>'
    yield f'<td class="span"><span class="chips">{partitions_html(version)}</span></td>'
    for metric in metrics:
        value = version.metrics.get(metric)
        told = "" if value is None else escape(spell(value))
        yield f'<td class="num nowrap small" data-label="{escape(metric)}">{told}</td>'
    size = "" if version.size_bytes is None else spell_size(version.size_bytes)
    yield f'<td class="num nowrap small">{size}</td>'
    yield f'<td class="num nowrap small muted">{ago_html(version.created_at, now)}</td>'


def _decision(decisions: Sequence[Approval]) -> str:
    """The newest, which leads to the page of it."""
    if not decisions:
        return ""
    gate, approved = decisions[0].gate, decisions[0].approved
    tone, words = ("good", "approved") if approved else ("bad", "rejected")
    title = escape(f"{gate.signal_id}: by {gate.decided_by}")
    url = reverse("approval", args=[gate.pk])
    return f' <a class="badge tone-{tone} badge-dot" href="{url}" title="{title}">{words}</a>'

"""What a list of versions says beside each: its aliases, the checks it fails, and whether queries pass it over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape

from django.utils.safestring import SafeString, mark_safe

from artifacts.governance.failing import failures_of
from artifacts.models import ArtifactVersion, CheckResult, Severity
from lineage.walks import VersionNode

NAMED = 2  # checks that are called by their names


def marks_of(version: ArtifactVersion) -> SafeString:
    """As HTML. Of each of the rows of a long list: templates would take several times as long for it."""
    found = [
        f'<span class="chip chip-alias"><span>{escape(alias.name)}</span></span>' for alias in version.aliases.all()
    ]
    if failures := failures_of(version):
        tone = "bad" if failures[0].severity == Severity.BLOCK else "warn"
        title = escape(", ".join(map(_told, failures)))
        words = escape(failing_words(failures))
        found.append(f'<span class="badge badge-dot badge-long tone-{tone}" title="{title}">{words}</span>')
    if version.is_shadow:
        found.append('<span class="badge tone-info">shadow</span>')
    elif version.quarantined_at:
        found.append('<span class="badge tone-warn">quarantined</span>')
    return mark_safe("".join(f" {one}" for one in found))  # noqa: S308 - what is not ours is escaped


_CHIP = '<span class="chip" title="{0} = {1}"><span class="chip-key">{0}</span><span>{1}</span></span>'


@lru_cache(maxsize=2_000)  # rows of a list share their values
def chip_html(key: str, value: str) -> str:
    return _CHIP.format(escape(key), escape(value))


def partitions_html(version: ArtifactVersion | VersionNode) -> str:
    """All partitions of a version, the time at its granularity among them."""
    return " ".join([chip_html(key, str(value)) for key, value in version.shown_partitions])


def failing_words(failures: Sequence[CheckResult]) -> str:
    """`fails auc, fresh and 2 more`; nothing of one that fails none."""
    if not failures:
        return ""
    names = ", ".join(one.name for one in failures[:NAMED])
    rest = len(failures) - NAMED
    return f"fails {names} and {rest} more" if rest > 0 else f"fails {names}"


def _told(one: CheckResult) -> str:
    return one.name if one.severity == Severity.BLOCK else f"{one.name} (warns only)"

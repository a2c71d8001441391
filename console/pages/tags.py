"""Template tags of the console, loaded everywhere as builtins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from artifacts.literals.numbers import plain
from artifacts.models import Alias, AliasMove, ArtifactVersion, CheckResult
from artifacts.search.language import Condition
from console.accounts import access
from console.accounts.access import Action, AnyUser
from console.doing import doing_of, doing_of_attempt
from console.pages import badges, metrics
from console.pages.badges import Badge
from console.pages.failures import failure_of
from console.pages.moments import ago_html
from console.pages.version_marks import chip_html, marks_of, partitions_html
from console.pages.version_rows import version_rows
from console.pages.wording import spell_browser, spell_duration, spell_size
from lineage.walks import VersionNode
from scheduler.contests.rules import Standing
from scheduler.doing import Doing
from scheduler.ledger import Station, told_history, told_reason
from scheduler.models import Execution, TaskExecution, TriggerFiring

register = template.Library()


REASON_SHOWN = 160  # characters of what something waits for


@register.filter
def execution_page(key: str) -> str:
    """The address of an execution's page, from `project/domain/name`."""
    return reverse("execution", args=key.split("/", 2))


@register.simple_tag
@lru_cache(maxsize=200)
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', static("icons/sprite.svg"), name
    )


def _badge(badge: Badge | None, *, dot: bool = True) -> SafeString:
    badge = badge or Badge("Unknown")
    extra = (" badge-dot" if dot else "") + (" badge-live" if badge.live else "")
    return format_html('<span class="badge tone-{}{}">{}</span>', badge.tone, extra, badge.label)


@register.simple_tag
def execution_phase(execution: Execution) -> SafeString:
    """What it does while it goes on, its phase from then on."""
    now = doing_of(execution)
    return _badge(badges.STATE[now.state] if now is not None else badges.EXECUTION.get(execution.phase))


@register.simple_tag
def execution_waits(execution: Execution) -> SafeString | str:
    """For what, in which place and since when, of one that does not run; else nothing."""
    return _waits(doing_of(execution))


@register.filter
def failure_said(execution: Execution) -> str:
    """What went wrong, in a line, of a row of a list that knows."""
    failure = failure_of(execution)
    return failure.summary if failure is not None else ""


@register.simple_tag
def waits(doing: Doing | None) -> SafeString | str:
    return _waits(doing)


def _waits(doing: Doing | None) -> SafeString | str:
    if doing is None or (doing.state.is_going and not doing.what):
        return ""
    reason = Truncator(doing.reason).chars(REASON_SHOWN)
    if doing.since is None:
        return reason
    return format_html("{}{} so far", f"{reason}; " if reason else "", duration(doing.since, None))


@register.simple_tag
def execution_duration(execution: Execution) -> SafeString | str:
    """It counts on while something of it runs, not while it waits."""
    now = doing_of(execution)
    if now is not None and not now.state.is_going:
        return ""
    return duration(execution.started_at, execution.ended_at)


@register.simple_tag
def attempt_phase(attempt: TaskExecution) -> SafeString:
    now = doing_of_attempt(attempt)
    return _badge(badges.STATE[now.state] if now is not None else badges.ATTEMPT.get(attempt.phase))


@register.filter
def reason_for(firing: TriggerFiring, user: AnyUser) -> str:
    """Why it came out so, as far as the user may know."""
    return told_reason(firing, access.may_read(user))


@register.filter
def history_for(firing: TriggerFiring, user: AnyUser) -> list[Station]:
    """What it was before, as far as the user may know."""
    return told_history(firing, access.may_read(user))


@register.filter
def readable_by(version: ArtifactVersion, user: AnyUser) -> bool:
    """Whether the user may be told of the version: a ledger may name those of other projects."""
    return access.can(user, Action.READ, version.artifact.project, version.artifact.domain)


@register.simple_tag
def firing_outcome(outcome: str) -> SafeString:
    return _badge(badges.FIRING.get(outcome))


@register.simple_tag
def plan_state(state: int) -> SafeString:
    return _badge(badges.LAUNCH_PLAN_STATE.get(state))


@register.simple_tag
def check_badge(result: CheckResult) -> SafeString:
    return _badge(badges.CHECK.get(result.status))


@register.simple_tag
def check_status(status: str) -> SafeString:
    """Of CheckStatus."""
    return _badge(badges.CHECK.get(status))


@register.simple_tag
def standing_badge(standing: Standing) -> SafeString:
    return _badge(badges.of_standing(standing))


@register.simple_tag
def kind_badge(kind: str) -> SafeString:
    return _badge(badges.KIND.get(kind), dot=False)


@register.simple_tag
def badge(badge: Badge) -> SafeString:
    return _badge(badge)


@register.filter
def of(found: Mapping[int, Any] | str, key: int) -> Any:
    """What a mapping has for the key; None where there is no mapping on the page, or nothing in it."""
    return found.get(key) if isinstance(found, Mapping) else None


@register.filter
def node_kind(kind: str) -> str:
    return badges.NODE_KIND.get(kind, kind)


@register.filter
def plain_number(number: float | None) -> str:
    """For a field that gives it back: no digit less, no separators. Nothing for None."""
    return "" if number is None else plain(number)


@register.filter
def in_textarea(text: str) -> str:
    """HTML drops a line end right behind `<textarea>`: a text that begins with one needs another."""
    return f"\n{text}" if text.startswith("\n") else text


@register.filter
def short_name(name: str) -> str:
    """The function's name out of a dotted one, `train_model` of `team.flows.train_model`."""
    return name.rsplit(".", 1)[-1]


@register.filter
def module_name(name: str) -> str:
    """What comes before it; empty for a plain name."""
    return name.rpartition(".")[0]


@register.filter
def search_for(name: str) -> str:
    """What finds the versions of an artifact, for an address."""
    return quote(str(Condition("name", ":", name)))


@register.filter
def via_words(via: str) -> str:
    return badges.VIA.get(via, via)


@register.filter
def mode_words(mode: int) -> str:
    return badges.MODE.get(mode, "by hand")


@register.filter
def channel_words(channel: str) -> str:
    return badges.CHANNEL.get(channel, channel)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    return "" if moment is None else mark_safe(ago_html(moment, timezone.now()))  # noqa: S308 - nothing of others


@register.simple_tag
def deadline(moment: datetime | None) -> SafeString | str:
    if moment is None:
        return ""
    left = moment - timezone.now()
    text = f"in {spell_duration(left)}" if left.total_seconds() > 0 else "expired"
    title = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return format_html('<time datetime="{}" title="{}" data-clock="until">{}</time>', moment.isoformat(), title, text)


@register.simple_tag
def moment(at: datetime | None, shape: str = "%Y-%m-%d %H:%M:%S") -> SafeString | str:
    """In UTC; where scripts run and nobody chose UTC, they show the same in the browser's zone (clocks.js). `shape`:
    of strftime, with %Y-%m-%d, %H:%M:%S or %H:%M in it.
    """
    if at is None:
        return ""
    text = at.strftime(shape)
    html = '<time datetime="{}" data-clock="at" title="{}">{}{}</time>'
    whole = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return format_html(html, at.isoformat(), whole, text, " UTC" if "%Y" in shape else "")


@register.simple_tag
def duration(start: datetime | None, end: datetime | None) -> SafeString | str:
    """From start to end; of something that still runs, a number that counts on."""
    if start is None:
        return ""
    text = spell_duration((end or timezone.now()) - start)
    if end is not None:
        return text
    return format_html('<span class="nowrap" data-clock="running" data-since="{}">{}</span>', start.isoformat(), text)


@register.filter
def browser(agent: str) -> str:
    return spell_browser(agent)


@register.filter
def seconds(count: float) -> str:
    """`2 h` for 7200."""
    return spell_duration(timedelta(seconds=count))


@register.filter
def milliseconds(count: float) -> str:
    """A latency: `52 ms`, from a second on as any duration."""
    return f"{count:.0f} ms" if count < 1000 else spell_duration(timedelta(milliseconds=count))


@register.filter
def size(count: int | None) -> str:
    return "" if count is None else spell_size(count)


@register.filter
def percent(share: float) -> str:
    """A share from 0 to 1, to a tenth of a percent; only what is whole is called so."""
    if 0 < share < 1:
        return f"{min(max(share * 100, 0.1), 99.9):.1f} %"
    return f"{share * 100:.0f} %"


@register.filter
def words(name: str) -> str:
    return name.replace("_", " ")


@register.filter
def metric(value: Any) -> str:
    return metrics.spell(value)


def _chips(pairs: Mapping[str, Any]) -> list[str]:
    return [chip_html(str(key), str(value)) for key, value in sorted(pairs.items())]


@register.simple_tag
def chips(pairs: Mapping[str, Any]) -> SafeString:
    """Partitions, labels, metadata: key and value side by side."""
    return mark_safe(" ".join(_chips(pairs)))  # noqa: S308 - what they say is escaped


@register.simple_tag
def partitions(version: ArtifactVersion | VersionNode) -> SafeString:
    """All partitions of a version, the time at its granularity among them."""
    return mark_safe(partitions_html(version))  # noqa: S308 - what it says is escaped


@register.simple_tag
def marks(version: ArtifactVersion) -> SafeString:
    """What a list says beside the version's name."""
    return marks_of(version)


@register.simple_tag(takes_context=True)
def rows_of_versions(context: template.Context) -> SafeString:
    """Those of `page`, with the metrics and decisions that the context has."""
    metrics = [one.name for one in context["metric_columns"] if one.is_shown]
    return version_rows(context["page"].rows, metrics, context["decisions"])


@register.simple_tag
def pointer_of(alias: Alias | AliasMove) -> SafeString:
    """Of which partitions a pointer is, or its move, where the alias is kept per partition."""
    return mark_safe("".join(f"{chip} " for chip in _chips(alias.partitions)))  # noqa: S308 - as above


@register.filter
def partitions_text(version: ArtifactVersion | VersionNode) -> str:
    """The same for where there are no tags: options of a select, labels of a drawing."""
    return ", ".join(f"{key}={value}" for key, value in version.shown_partitions)


@register.simple_tag(takes_context=True)
def query_with(context: template.Context, **changes: Any) -> str:
    """The page's query string with some parameters changed (empty: removed); paging starts over."""
    query = context["request"].GET.copy()
    query.pop("before", None)
    for name, value in changes.items():
        if value in ("", None):
            query.pop(name, None)
        else:
            query[name] = value
    return f"?{query.urlencode()}"

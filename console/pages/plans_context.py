"""What the pages about launch plans show: triggers and schedules in words, the ledger, the launch form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from flyteidl.core import artifact_id_pb2, interface_pb2

from artifacts.literals import describe_type, to_json
from artifacts.wire import more_of_query
from console.accounts import access
from console.accounts.access import Action
from console.doing import with_doing
from console.pages.failures import with_failures
from console.pages.paging import Page
from console.pages.run_strips import RunStrip, strip_of, strips_of
from console.pages.scope import in_scope
from console.pages.specs import expected_inputs, plan_spec
from console.pages.trigger_charts import firings_a_minute, latencies
from console.pages.values import spell
from scheduler.models import LaunchPlan, Schedule, Trigger, TriggerFiring
from scheduler.schedules.parse import recurrence_of
from scheduler.schedules.words import in_words
from scheduler.triggers.kinds import KINDS

VERSIONS_SHOWN, FIRINGS_SHOWN, LATENCY_SAMPLE = 50, 20, 500
HEAVY = ("spec", "closure", "digest")


def newest_plans(request: HttpRequest) -> QuerySet[LaunchPlan]:
    """One row a name: its active version, else its newest."""
    best = LaunchPlan.objects.filter(
        project=OuterRef("project"), domain=OuterRef("domain"), name=OuterRef("name")
    ).order_by("-state", "-created_at", "-id")
    rows = in_scope(request, LaunchPlan.objects.all()).exclude(name__startswith=".flytegen")
    rows = rows.filter(pk=Subquery(best.values("pk")[:1]))
    rows = rows.select_related("trigger", "schedule", "workflow")
    heavy = (*HEAVY, "workflow__spec", "workflow__closure", "trigger__condition")
    return rows.prefetch_related("trigger__sources").defer(*heavy)


@dataclass(frozen=True)
class PlanRow:
    plan: LaunchPlan
    starts: str
    strip: RunStrip | None


def plan_rows(request: HttpRequest, page: Page[LaunchPlan]) -> list[PlanRow]:
    strips = strips_of(request, page.rows)
    return [PlanRow(plan, starts_in_words(plan), strips.get(plan.pk)) for plan in page.rows]


def starts_in_words(plan: LaunchPlan) -> str:
    words = []
    if _has(plan, "trigger"):
        words.append(trigger_in_words(plan.trigger))
    if _has(plan, "schedule"):
        words.append(schedule_in_words(plan.schedule))
    return "; ".join(words) or "when somebody launches it"


def _has(plan: LaunchPlan, what: str) -> bool:
    try:
        return getattr(plan, what) is not None
    except (Trigger.DoesNotExist, Schedule.DoesNotExist):
        return False


def trigger_in_words(trigger: Trigger) -> str:
    sources = [
        f"{each.name} with {each.conditions}" if each.conditions else each.name for each in trigger.sources.all()
    ]
    return KINDS[trigger.kind].describe(trigger, sources)


_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def schedule_in_words(schedule: Schedule) -> str:
    """`at 03:00, every day (UTC)`."""
    words = in_words(recurrence_of(schedule))
    return f"{words} (UTC)" if schedule.kind == Schedule.Kind.CRON and schedule.time_zone == "UTC" else words


@dataclass(frozen=True)
class Latency:
    """From a version's publication to its execution's launch, over the newest firings; in milliseconds."""

    count: int
    p50: float
    p95: float


def latency_of(trigger_ids: list[int]) -> Latency | None:
    sql = """
        SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
        FROM (SELECT latency_ms FROM scheduler_triggerfiring
              WHERE trigger_id = ANY(%s) AND latency_ms IS NOT NULL ORDER BY at DESC LIMIT %s) AS recent
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [trigger_ids, LATENCY_SAMPLE])
        count, p50, p95 = cursor.fetchone()
    return Latency(count, p50, p95) if count else None


def plan_context(request: HttpRequest, plan: LaunchPlan) -> dict[str, Any]:
    same = LaunchPlan.objects.filter(project=plan.project, domain=plan.domain, name=plan.name).defer(*HEAVY)
    versions = list(same.select_related("trigger", "schedule").order_by("-created_at", "-id")[:VERSIONS_SHOWN])
    trigger_ids = list(Trigger.objects.filter(launch_plan__in=same.values("pk")).values_list("pk", flat=True))
    firings = TriggerFiring.objects.filter(trigger__in=trigger_ids).select_related("version__artifact", "execution")
    heavy = ("version__literal", "version__literal_type", "version__card", "execution__spec")
    recent = plan.executions.model.objects.filter(launch_plan__in=same.values("pk")).select_related("workflow")
    slim = recent.defer("spec", "error", "workflow__spec", "workflow__closure")
    schedule = plan.schedule if _has(plan, "schedule") else None
    fires = schedule.fires.select_related("execution").defer("execution__spec") if schedule else None
    return {
        "plan": plan,
        "history": strip_of(request, plan),
        "versions": versions,
        "active": next((row for row in versions if row.state == LaunchPlan.State.ACTIVE), None),
        "starts": starts_in_words(plan),
        "trigger": plan.trigger if _has(plan, "trigger") else None,
        "schedule": schedule,
        "schedule_words": in_words(recurrence_of(schedule)) if schedule else "",
        "last_fire": fires.order_by("-fire_at").first() if fires is not None else None,
        "firings": list(firings.defer(*heavy).order_by("-at")[:FIRINGS_SHOWN]),
        "latency": latency_of(trigger_ids) if trigger_ids else None,
        "minutes": firings_a_minute(firings, timezone.now()) if trigger_ids else None,
        "latencies": latencies(firings) if trigger_ids else None,
        "recent": with_failures(with_doing(list(slim.order_by("-created_at", "-id")[:10]))),
        "inputs": [describe_input(name, parameter) for name, parameter in sorted(expected_inputs(plan).items())],
        "fixed": _fixed(plan),
        "may_activate": access.can(request.user, Action.ACTIVATE, plan.project, plan.domain),
        "may_launch": access.can(request.user, Action.LAUNCH, plan.project, plan.domain),
    }


def _fixed(plan: LaunchPlan) -> dict[str, str]:
    literals = plan_spec(plan).fixed_inputs.literals
    return {name: spell(to_json(literals[name])) for name in sorted(literals)}


@dataclass(frozen=True)
class InputRow:
    name: str
    type: str
    default: str


def describe_input(name: str, parameter: interface_pb2.Parameter) -> InputRow:
    which = parameter.WhichOneof("behavior")
    described = describe_type(parameter.var.type)
    if which == "default":
        return InputRow(name, described, spell(to_json(parameter.default, parameter.var.type)))
    if which == "artifact_query":
        return InputRow(name, described, query_in_words(parameter.artifact_query))
    if which == "artifact_id":
        return InputRow(name, described, f"version {parameter.artifact_id.version}")
    return InputRow(name, described, "")


def query_in_words(query: artifact_id_pb2.ArtifactQuery) -> str:
    which = query.WhichOneof("identifier")
    if which == "uri":
        return f"the artifact {query.uri}"
    if which == "artifact_tag":
        return f"{query.artifact_tag.artifact_key.name} with alias {query.artifact_tag.value.static_value}"
    if which != "artifact_id":
        return "an artifact"
    wanted = query.artifact_id
    parts = [f"{key} = {_label(value)}" for key, value in sorted(wanted.partitions.value.items())]
    if wanted.HasField("time_partition"):
        parts.append(f"time = {_label(wanted.time_partition.value)}")
    for key, value in sorted(more_of_query(query).items()):
        told = f"the input {value['input']}" if isinstance(value, dict) else value
        parts.append(f"{key.replace('_', ' ')} = {told}")
    newest = f"version {wanted.version}" if wanted.version else "the newest version"
    return f"{newest} of {wanted.artifact_key.name}" + (f" with {', '.join(parts)}" if parts else "")


def _label(value: artifact_id_pb2.LabelValue) -> str:
    which = value.WhichOneof("value")
    if which == "static_value":
        return value.static_value
    if which == "time_value":
        return value.time_value.ToDatetime().isoformat()
    if which == "input_binding":
        return f"the input {value.input_binding.var}"
    if which == "triggered_binding":
        return f"the triggering version's {value.triggered_binding.partition_key or 'time'}"
    return "any"

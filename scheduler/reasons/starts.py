"""What started executions: people, triggers with what they were before they fired, schedules."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.ledger import told_history, told_reason
from scheduler.models import Execution, ExecutionMode, FiringOutcome, ScheduleFire, Trigger, TriggerFiring
from scheduler.reasons.steps import HIDDEN, STEPS, Reader, Step

_MODES = {
    ExecutionMode.MANUAL: "was launched",
    ExecutionMode.SCHEDULED: "was launched by its schedule",
    ExecutionMode.SYSTEM: "was launched by the system",
    ExecutionMode.RELAUNCH: "was launched again",
    ExecutionMode.CHILD_WORKFLOW: "was launched by a parent execution",
    ExecutionMode.RECOVERED: "was recovered",
    ExecutionMode.TRIGGER: "was launched by an artifact",
}

# What a trigger did about a version before it fired for it
_BEFORE = {
    FiringOutcome.WAITING: "waited with",
    FiringOutcome.UNRESOLVED: "did not find all inputs for",
    FiringOutcome.SKIPPED: "skipped",
    FiringOutcome.FAILED: "could not launch for",
    FiringOutcome.EXPIRED: "waited in vain with",
}


def launched(reader: Reader) -> Iterator[Step]:
    for run in reader.runs.values():
        what = run.launch_plan.name if run.launch_plan is not None else run.workflow.name
        how = "ran beside production, for a contest" if run.shadow_id else _MODES[ExecutionMode(run.mode)]
        words = f"execution {run.name} of {what} {how}"
        automatic = run.mode in (ExecutionMode.SCHEDULED, ExecutionMode.SYSTEM, ExecutionMode.TRIGGER)
        actor = f"system:{ExecutionMode(run.mode).name.lower()}" if automatic else run.principal
        yield Step(
            run.created_at,
            actor,
            "execution.launch",
            words,
            (run.project, run.domain),
            "execution",
            run.pk,
            reason=f"as {run.principal}" if automatic and run.principal else "",
            execution=run.key,
        )


def fired(reader: Reader, runs: dict[int, Execution]) -> Iterator[Step]:
    rows = TriggerFiring.objects.filter(execution__in=runs, outcome=FiringOutcome.FIRED)
    rows = rows.select_related("trigger__launch_plan", "version__artifact").defer(
        "trigger__condition", "trigger__launch_plan__spec", "trigger__launch_plan__closure", *_heavy("version")
    )
    told: set[int] = set()
    for firing in rows[:STEPS]:
        plan, of = firing.trigger.launch_plan, firing.version.artifact
        version = str(firing.version) if reader.may_read(of.project, of.domain) else HIDDEN
        run = runs[firing.execution_id or 0]
        trigger = f"the trigger of {plan.name}@{plan.version}"
        words = f"{trigger} fired for {version} and launched {run.name}"
        for before in told_history(firing, reader.may_read):
            yield Step(
                before.at,
                "system:trigger",
                f"trigger.{before.outcome}",
                f"{trigger} {_BEFORE[before.outcome]} {version}",
                (plan.project, plan.domain),
                "trigger_firing",
                firing.pk,
                reason=before.reason,
                version=firing.version_id if version != HIDDEN else None,
            )
        yield Step(
            firing.at,
            "system:trigger",
            "trigger.fire",
            words,
            (plan.project, plan.domain),
            "trigger_firing",
            firing.pk,
            reason=told_reason(firing, reader.may_read),
            version=firing.version_id if version != HIDDEN else None,
            execution=run.key,
        )
        if firing.trigger_id not in told:
            told.add(firing.trigger_id)
            yield from _activated(firing.trigger)


def _activated(trigger: Trigger) -> Iterator[Step]:
    """Who switched the reaction on."""
    plan = trigger.launch_plan
    if trigger.activated_at is not None:
        words = f"launch plan {plan.name}@{plan.version} was activated"
        place = plan.project, plan.domain
        yield Step(
            trigger.activated_at, trigger.activated_by, "launch_plan.activate", words, place, "trigger", trigger.pk
        )


def scheduled(runs: dict[int, Execution]) -> Iterator[Step]:
    rows = ScheduleFire.objects.filter(execution__in=runs).select_related("schedule__launch_plan")
    for fire in rows.defer("schedule__launch_plan__spec", "schedule__launch_plan__closure")[:STEPS]:
        plan, run = fire.schedule.launch_plan, runs[fire.execution_id or 0]
        words = f"the schedule of {plan.name}@{plan.version} was due at {fire.fire_at:%Y-%m-%d %H:%M} UTC"
        place = plan.project, plan.domain
        yield Step(
            run.created_at,
            "system:schedule",
            "schedule.fire",
            words,
            place,
            "schedule_fire",
            fire.pk,
            execution=run.key,
        )


def _heavy(prefix: str) -> list[str]:
    return [f"{prefix}__{name}" for name in ("literal", "literal_type", "card", "terms")]

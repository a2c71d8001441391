"""What a check's program said, once it has ended; that it failed, or took too long, is a verdict too."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from flyteidl.core import execution_pb2, literals_pb2

from artifacts.exceptions import CausewayError, FailedPrecondition
from artifacts.governance.checks import ACTOR, Judgement, withdraw, write_results
from artifacts.governance.kinds import Verdict, failed
from artifacts.happenings import CHECK_ASKED
from artifacts.literals import to_json
from artifacts.models import ArtifactVersion, CheckResult, CheckRule, CheckStatus, Happening
from artifacts.store import store
from scheduler.actions.executions import abort
from scheduler.actions.launchable import launchable
from scheduler.models import Execution, TriggerFiring
from scheduler.phases import EXECUTION_TERMINAL, ExecutionPhase
from scheduler.triggers.judging.answers import verdict_from
from scheduler.triggers.judging.declaring import MADE, MINUTES, PROGRAM, outputs_of

MAX_ERROR = 2000  # characters of what it failed with

# Verdicts that can be given: of programs that ended or took too long, and of checks that nobody asks for any more.
_DUE = """
    SELECT result.version_id, result.name FROM artifacts_checkresult AS result
    JOIN artifacts_artifactversion AS version ON version.id = result.version_id
    LEFT JOIN artifacts_checkrule AS rule
        ON rule.artifact_id = version.artifact_id AND rule.name = result.name AND rule.kind = result.kind
    LEFT JOIN LATERAL (
        SELECT id FROM artifacts_happening
        WHERE version_id = result.version_id AND kind = 'check.asked' AND name = result.name ORDER BY id DESC LIMIT 1
    ) AS asked ON true
    LEFT JOIN scheduler_triggerfiring AS firing ON firing.happening_id = asked.id
    LEFT JOIN scheduler_execution AS execution ON execution.id = firing.execution_id
    WHERE result.status = 'pending' AND result.kind = 'program' AND (
        rule.id IS NULL OR execution.phase = ANY(%s)
        OR result.at < %s - make_interval(secs => (rule.parameters->>'minutes')::float * 60)
    ) ORDER BY result.id LIMIT %s
"""


def due(*, limit: int) -> list[tuple[int, str]]:
    """(version, check) of which a verdict can be given: what a killed worker left, and what takes too long."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [sorted(EXECUTION_TERMINAL), timezone.now(), limit])
        return [(int(version_id), str(name)) for version_id, name in cursor.fetchall()]


def is_judging(execution: Execution) -> bool:
    """Whether it may be a check's program. No query, but for the first time that its launch plan is met."""
    return execution.launch_plan_id is not None and launchable(execution.launch_plan_id).name.startswith(MADE)


def settle_end(execution: Execution) -> None:
    """Called after the commit that ended it; the sweep finds those whose worker was killed before."""
    asked = TriggerFiring.objects.filter(execution=execution.pk, happening__kind=CHECK_ASKED.name)
    for version_id, name in asked.values_list("version_id", "happening__name"):
        settle(version_id, name)


def settle(version_id: int, name: str) -> None:
    """Give the verdict that is due, once, whoever calls; nothing where none is."""
    late = None
    with transaction.atomic():
        version = locked_version(version_id)
        result = CheckResult.objects.filter(
            version=version_id, name=name, status=CheckStatus.PENDING, kind=PROGRAM.name
        ).first()
        if result is None:
            return
        rule = rule_of(version, name)
        if rule is None:
            withdraw(version.artifact, name, actor=ACTOR, version_id=version_id)
            return
        firings = TriggerFiring.objects.filter(happening=asked_last(version_id, name))
        firing = firings.select_related("execution", "trigger").defer("trigger__condition").first()
        verdict = _verdict(firing, rule) or _too_late(firing, result.at, rule)
        if verdict is None:
            return
        write_results([Judgement.of(version, rule, verdict)], actor=ACTOR)
        late = firing.execution if firing is not None else None
    if late is not None and late.phase not in EXECUTION_TERMINAL:
        with suppress(FailedPrecondition):  # it ended this moment
            abort(late, cause=f"check {name} of {version}: {verdict.message}", actor=ACTOR)


def locked_version(version_id: int) -> ArtifactVersion:
    """Whoever says something of a version holds it, so that what is said last stays."""
    rows = ArtifactVersion.objects.select_for_update(no_key=True, of=("self",)).select_related("artifact")
    return rows.defer("card", "terms", "literal", "literal_type", "metadata").get(pk=version_id)


def rule_of(version: ArtifactVersion, name: str) -> CheckRule | None:
    return CheckRule.objects.filter(artifact=version.artifact_id, name=name, kind=PROGRAM.name).first()


def asked_last(version_id: int, name: str) -> int:
    """The happening that asks for the check of the version: what answers an earlier one counts for nothing."""
    asked = Happening.objects.filter(version=version_id, kind=CHECK_ASKED.name, name=name)
    return asked.order_by("-pk").values_list("pk", flat=True).first() or 0


def _verdict(firing: TriggerFiring | None, rule: CheckRule) -> Verdict | None:
    execution = firing.execution if firing is not None else None
    if firing is None or execution is None or execution.phase not in EXECUTION_TERMINAL:
        return None
    evidence = {"execution": execution.key, "launch_plan": str(firing.trigger.launch_plan)}
    found = _answer(firing, execution, rule)
    return Verdict(found.status, found.message, found.numbers, {**found.evidence, **evidence})


def _answer(firing: TriggerFiring, execution: Execution, rule: CheckRule) -> Verdict:
    if execution.phase != ExecutionPhase.SUCCEEDED:
        return failed(f"its program {ExecutionPhase(execution.phase).label.lower()}: {_why(execution)}")
    types = outputs_of(firing.trigger)
    try:
        said = literals_pb2.LiteralMap.FromString(store().get(execution.outputs_uri)).literals
    except CausewayError as error:
        return failed(f"its program's answer cannot be read: {error.message}")
    values: Mapping[str, Any] = {name: to_json(said[name], types[name]) for name in types if name in said}
    return verdict_from(rule.name, types, values, rule.parameters)


def _why(execution: Execution) -> str:
    if execution.phase == ExecutionPhase.ABORTED:
        return execution.abort_cause[:MAX_ERROR]
    error = execution_pb2.ExecutionError.FromString(bytes(execution.error or b""))
    return f"{error.code}: {error.message}"[:MAX_ERROR] if error.code else error.message[:MAX_ERROR]


def _too_late(firing: TriggerFiring | None, since: datetime, rule: CheckRule) -> Verdict | None:
    minutes = float(rule.parameters.get("minutes", MINUTES))
    if timezone.now() < since + timedelta(minutes=minutes):
        return None
    waits = f" ({firing.reason})" if firing is not None and firing.reason else ""
    return failed(f"its program gave no answer within {minutes:g} min{waits}")

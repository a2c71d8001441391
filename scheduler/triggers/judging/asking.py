"""A check's program is launched for each version that it is asked about."""

from __future__ import annotations

from artifacts.exceptions import CausewayError
from artifacts.governance.checks import ACTOR, Judgement, withdraw, write_results
from artifacts.governance.kinds import failed
from artifacts.happenings import CHECK_ASKED, follow
from artifacts.models import ArtifactVersion, CheckResult, CheckRule, CheckStatus, Happening
from scheduler.models import FiringOutcome, TriggerFiring
from scheduler.triggers.evaluate import evaluate_asked
from scheduler.triggers.judging.declaring import trigger_of
from scheduler.triggers.judging.settling import asked_last, locked_version, rule_of

_NEVER = (FiringOutcome.FAILED, FiringOutcome.SKIPPED)  # by itself it does not launch any more


@follow(CHECK_ASKED)
def ask(happening: Happening) -> None:
    """Launch the program, in the transaction that notes the happening as handled: once, whoever is killed."""
    if happening.version_id is None:
        return
    version = locked_version(happening.version_id)
    rule = rule_of(version, happening.name)
    if rule is None:
        withdraw(version.artifact, happening.name, actor=ACTOR, version_id=version.pk)
        return
    if asked_last(version.pk, happening.name) != happening.pk:  # it was asked again since
        return
    try:
        trigger = trigger_of(version.artifact, rule.name, rule.parameters, principal=rule.set_by)
    except CausewayError as error:
        _refuse(version, rule, error.message)
        return
    firing = evaluate_asked(happening, trigger)
    if firing.outcome in _NEVER:
        _refuse(version, rule, firing.reason)
    else:
        _note(happening, firing)


def _refuse(version: ArtifactVersion, rule: CheckRule, why: str) -> None:
    write_results([Judgement.of(version, rule, failed(f"its program could not be launched: {why}"))], actor=ACTOR)


def _note(happening: Happening, firing: TriggerFiring) -> None:
    """Where who waits can look."""
    pending = CheckResult.objects.filter(version=happening.version_id, name=happening.name, status=CheckStatus.PENDING)
    if firing.execution is None:
        pending.update(message=f"its program was not launched yet: {firing.reason}")
    else:
        said = f"its program runs: {firing.execution.key}"
        pending.update(message=said, evidence={"execution": firing.execution.key})

"""Checks: rules of an artifact, and what they say of its versions.

A result and the happening of it are written in one transaction; what a publication brings along is judged in the
publication's own, so that no version is ever seen without what its checks say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.dispatch import Signal
from django.utils import timezone

from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound
from artifacts.governance.kinds import KINDS, PREVIOUS, Facts, Kind, Verdict, judge_bounds, read_parameters
from artifacts.governance.reading import Members
from artifacts.happenings import CHECK_ASKED, CHECK_FAILED, CHECK_PASSED, CHECK_WITHDRAWN, a_happening, write
from artifacts.models import (
    Alias,
    AliasPolicy,
    Artifact,
    ArtifactVersion,
    CheckResult,
    CheckRule,
    CheckStatus,
    Happening,
    Severity,
)
from artifacts.names import check_alias, check_partition_value
from artifacts.wire import check_json, check_metrics, check_text
from audit.record import record

ACTOR = "system:checks"
MAX_RULES = 50  # of one artifact
MAX_MESSAGE = 10_000
JUDGED_AT_ONCE = 20  # versions that a new rule judges at once: the newest, and those that aliases name
ASKED_AT_ONCE = 1  # as above, where each costs an execution
data_wanted = Signal()  # sent with `version_ids` whose data is to be read, inside the transaction


@dataclass(frozen=True)
class Wish:
    """A check as somebody wants it set."""

    name: str
    kind: str
    parameters: object = None
    partitions: Mapping[str, str] | None = None
    severity: str = Severity.BLOCK


def set_check(artifact: Artifact, wish: Wish, *, actor: str) -> CheckRule:
    """Set the check, in the place of one of that name; the newest versions, and those aliases name, are judged by it.

    InvalidArgument for parameters that the kind does not take, partitions that the artifact lacks, or an alias that it
    would compare with and that nobody could have.
    """
    check_alias(wish.name)
    parameters = read_parameters(wish.kind, wish.parameters)
    against = KINDS[wish.kind].compares_with(parameters)
    if against not in ("", PREVIOUS):
        check_alias(against)
    if wish.severity not in Severity.values:
        raise InvalidArgument(f"the severity is {' or '.join(Severity.values)}, not {str(wish.severity)[:80]!r}")
    values = {
        "kind": wish.kind,
        "parameters": parameters,
        "partitions": _partitions(artifact, wish.partitions or {}),
        "severity": wish.severity,
        "set_by": actor,
        "set_at": timezone.now(),
    }
    with transaction.atomic():
        _lock(artifact)
        others = CheckRule.objects.filter(artifact=artifact).exclude(name=wish.name)
        if others.count() >= MAX_RULES:
            raise InvalidArgument(f"{artifact} has {MAX_RULES} checks, and that is how many there may be")
        KINDS[wish.kind].declare(artifact, wish.name, parameters, actor)
        rule, _ = CheckRule.objects.update_or_create(artifact=artifact, name=wish.name, defaults=values)
        detail = {"kind": wish.kind, "parameters": parameters, "severity": str(wish.severity)}
        record(actor, "check.set", f"{artifact} {wish.name}", **_place(artifact), detail=detail)
        if rule.kind != "reported":  # of what was published before, nobody was asked to report
            newest = ASKED_AT_ONCE if KINDS[rule.kind].asks else JUDGED_AT_ONCE
            _judge(_to_judge(artifact, newest), [rule], actor=ACTOR)
    return rule


def drop_check(artifact: Artifact, name: str, *, actor: str) -> None:
    """From now on nothing is judged by it; what it said stays, and what waits for it waits no more. NotFound when there
    is none, FailedPrecondition while a policy demands it.
    """
    with transaction.atomic():
        _lock(artifact)
        rule = CheckRule.objects.filter(artifact=artifact, name=name).first()
        if rule is None:
            raise NotFound(f"{artifact} has no check '{name}'; there are: {', '.join(names_of(artifact)) or 'none'}")
        for policy in AliasPolicy.objects.filter(artifact=artifact).order_by("alias"):
            if name in policy.rules.get("checks", []):
                raise FailedPrecondition(f"the policy of '{policy.alias}' demands '{name}': change that first")
        rule.delete()
        withdraw(artifact, name, actor=actor)
        record(actor, "check.remove", f"{artifact} {name}", **_place(artifact))


def withdraw(artifact: Artifact, name: str, *, actor: str, version_id: int | None = None) -> None:
    """Nobody waits for a verdict that nobody will give: of one version, or of all that the check did not judge yet."""
    pending = CheckResult.objects.filter(status=CheckStatus.PENDING, name=name, version__artifact=artifact)
    if version_id is not None:
        pending = pending.filter(version=version_id)
    light = [f"version__{column}" for column in HEAVY]
    rows = list(pending.select_related("version").defer(*light).select_for_update(of=("self",), no_key=True))
    CheckResult.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        row.version.artifact = artifact
    write([a_happening(CHECK_WITHDRAWN, actor=actor, version=row.version, name=name) for row in rows])


def names_of(artifact: Artifact) -> list[str]:
    return list(CheckRule.objects.filter(artifact=artifact).order_by("name").values_list("name", flat=True))


def _place(artifact: Artifact) -> dict[str, Any]:
    return {"project": artifact.project, "domain": artifact.domain}


def _lock(artifact: Artifact) -> None:
    Artifact.objects.select_for_update(no_key=True).get(pk=artifact.pk)


def _partitions(artifact: Artifact, values: Mapping[str, str]) -> dict[str, str]:
    if unknown := sorted(set(values) - set(artifact.partition_keys)):
        keys = ", ".join(artifact.partition_keys) or "none"
        raise InvalidArgument(f"{artifact.name} has no partition {', '.join(unknown)}; its partition keys: {keys}")
    return {key: check_partition_value(key, value) for key, value in sorted(values.items())}


HEAVY = ("card", "terms", "literal", "literal_type", "metadata")


def _to_judge(artifact: Artifact, count: int) -> list[ArtifactVersion]:
    rows = ArtifactVersion.objects.filter(artifact=artifact, removed_at__isnull=True).defer(*HEAVY)
    newest = list(rows.order_by("-created_at", "-pk")[:count])
    named = rows.filter(aliases__isnull=False).exclude(pk__in=[row.pk for row in newest]).distinct()
    found = [*newest, *named]
    for row in found:
        row.artifact = artifact
    return sorted(found, key=lambda row: row.pk)


def judge_published(versions: Sequence[ArtifactVersion]) -> None:
    """Judge new versions, in the transaction of their publication. A query, for artifacts that have checks."""
    watched = [version for version in versions if version.artifact.has_checks]
    rules: list[CheckRule] = []
    if watched:
        of_these = CheckRule.objects.filter(artifact__in={version.artifact_id for version in watched})
        rules = list(of_these.order_by("name"))
        _judge(watched, rules, actor=ACTOR)
    for version in versions:
        if version.reports:
            own = {rule.name: rule for rule in rules if rule.artifact_id == version.artifact_id}
            said = [
                judgement_of(version, read_report(name, one), own.get(name)) for name, one in version.reports.items()
            ]
            write_results(said, actor=version.created_by)


def judge_again(version: ArtifactVersion, *, actor: str) -> list[CheckResult]:
    """Judge the version by all rules of its artifact as they are now: what was reported stays as it is."""
    with transaction.atomic():
        rules = [
            rule
            for rule in CheckRule.objects.filter(artifact=version.artifact_id).order_by("name")
            if rule.kind != "reported"
        ]
        _judge([version], rules, actor=actor)
        record(actor, "check.run", version, **_place(version.artifact), detail={"checks": len(rules)})
    return list(CheckResult.objects.filter(version=version).order_by("name"))


def _judge(versions: Sequence[ArtifactVersion], rules: Sequence[CheckRule], *, actor: str) -> None:
    judgements = []
    for version in versions:
        for rule in rules:
            if rule.artifact_id == version.artifact_id and _applies(rule, version):
                verdict = KINDS[rule.kind].judge(rule.parameters, _facts(version, rule))
                judgements.append(Judgement.of(version, rule, verdict))
    write_results(judgements, actor=actor)
    wanting = {
        one.version.pk for one in judgements if one.kind.reads_data and one.verdict.status == CheckStatus.PENDING
    }
    if wanting:
        data_wanted.send(CheckResult, version_ids=sorted(wanting))


def _applies(rule: CheckRule, version: ArtifactVersion) -> bool:
    return all(version.partitions.get(key) == value for key, value in rule.partitions.items())


def _facts(version: ArtifactVersion, rule: CheckRule) -> Facts:
    against = KINDS[rule.kind].compares_with(rule.parameters)
    other = other_of(version, against) if against else None
    others = {against: other.metrics} if other is not None else {}
    return Facts(version.metrics, version.created_at, version.time_partition, others)


def other_of(version: ArtifactVersion, against: str) -> ArtifactVersion | None:
    """What the version is compared with: the one before it in its partition, or the one that an alias names, for its
    partition values where it is kept per partition.
    """
    if against == PREVIOUS:
        return previous_of(version)
    named = Alias.objects.filter(
        artifact=version.artifact_id, name=against, partitions__contained_by=version.partitions
    ).exclude(version=version.pk)
    alias = named.select_related("version").defer(*(f"version__{column}" for column in HEAVY)).first()
    return alias.version if alias is not None else None


def previous_of(version: ArtifactVersion) -> ArtifactVersion | None:
    """The newest of the same partition that is older, neither removed nor quarantined."""
    return older_of(version).defer(*HEAVY).order_by("-created_at", "-pk").first()


def older_of(version: ArtifactVersion, *, itself: bool = False) -> QuerySet[ArtifactVersion]:
    """Those of the same partition that are older, neither removed nor quarantined; with `itself`, whatever it is."""
    rows = ArtifactVersion.objects.filter(
        artifact=version.artifact_id, partition_digest=version.partition_digest, created_at__lte=version.created_at
    )
    older = Q(removed_at__isnull=True, quarantined_at__isnull=True, pk__lt=version.pk)
    return rows.filter(older | Q(pk=version.pk)) if itself else rows.filter(older)


@dataclass(frozen=True)
class Judgement:
    """What a check says of a version, to be written."""

    version: ArtifactVersion
    name: str
    kind: Kind
    severity: str
    verdict: Verdict

    @classmethod
    def of(cls, version: ArtifactVersion, rule: CheckRule, verdict: Verdict) -> Judgement:
        return cls(version, rule.name, KINDS[rule.kind], rule.severity, verdict)


def write_results(judgements: Iterable[Judgement], *, actor: str) -> list[CheckResult]:
    """What is said now, in the place of what was said before, and the happenings of what is decided, or asked for."""
    now, found = timezone.now(), list(judgements)
    rows = [
        CheckResult(
            version=one.version,
            name=one.name,
            kind=one.kind.name,
            severity=one.severity,
            status=one.verdict.status,
            message=one.verdict.message[:MAX_MESSAGE],
            numbers=dict(one.verdict.numbers),
            evidence=dict(one.verdict.evidence),
            actor=actor[:150],
            at=now,
        )
        for one in found
    ]
    CheckResult.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["version", "name"],
        update_fields=["kind", "severity", "status", "message", "numbers", "evidence", "actor", "at"],
    )
    write([_happening(one, actor) for one in found if one.kind.asks or one.verdict.status != CheckStatus.PENDING])
    return rows


_KINDS = {CheckStatus.PASSED: CHECK_PASSED, CheckStatus.FAILED: CHECK_FAILED, CheckStatus.PENDING: CHECK_ASKED}


def _happening(one: Judgement, actor: str) -> Happening:
    kind = _KINDS[one.verdict.status]
    detail = {
        "kind": one.kind.name,
        "severity": str(one.severity),
        "message": one.verdict.message[:MAX_MESSAGE],
        "numbers": dict(one.verdict.numbers),
        "evidence": dict(one.verdict.evidence),
    }
    return a_happening(kind, actor=actor, version=one.version, name=one.name, detail=detail)


@dataclass(frozen=True)
class Report:
    """What somebody says of a version: that it passes or not, or a value that the check's bounds decide about."""

    name: str
    passed: bool | None = None
    value: float | None = None
    message: str = ""
    numbers: Mapping[str, object] | None = None
    evidence: Mapping[str, Any] | None = None
    severity: str = ""  # of a check that the artifact does not have; else the check's own counts


def report(version: ArtifactVersion, said: Report, *, actor: str) -> CheckResult:
    """Write what is reported of the version, in the place of what was said before.

    InvalidArgument where neither `passed` nor a value that bounds decide about is given, or a check that the control
    plane judges itself is reported without a value; FailedPrecondition for a version whose data was removed.
    """
    check_alias(said.name)
    with transaction.atomic():
        locked = ArtifactVersion.objects.select_for_update(no_key=True, of=("self",)).filter(pk=version.pk)
        if locked.values_list("removed_at", flat=True).first() is not None:
            raise FailedPrecondition(f"{version} was removed: nothing is reported of it any more")
        rule = CheckRule.objects.filter(artifact=version.artifact_id, name=said.name).first()
        judgement = judgement_of(version, said, rule)
        [row] = write_results([judgement], actor=actor)
        detail = {"status": str(row.status), "message": row.message[:500]}
        record(actor, "check.report", f"{version} {said.name}", **_place(version.artifact), detail=detail)
    return row


def read_report(name: str, given: object) -> Report:
    """A report as a task wrote it. InvalidArgument for what it cannot say."""
    members = Members(given, f"the report of check '{name[:64]}'")
    passed = members.flag("passed") if isinstance(given, Mapping) and given.get("passed") is not None else None
    found = Report(
        check_alias(name),
        passed,
        members.number("value"),
        members.text("message"),
        members.mapping_of_any("numbers"),
        members.mapping_of_any("evidence"),
        members.choice("severity", tuple(Severity.values), ""),
    )
    members.done()
    return found


def judgement_of(version: ArtifactVersion, said: Report, rule: CheckRule | None) -> Judgement:
    """What the report says, by the rule of that name if there is one."""
    kind = KINDS[rule.kind] if rule is not None else KINDS["reported"]
    if not kind.takes_values:
        raise InvalidArgument(f"the check '{said.name}' is judged by Causeway ({kind.words}): it cannot be reported")
    if said.severity and said.severity not in Severity.values:
        raise InvalidArgument(f"the severity is {' or '.join(Severity.values)}, not {said.severity[:80]!r}")
    severity = rule.severity if rule is not None else said.severity or Severity.BLOCK
    if said.passed is not None and kind.name != "reported":
        raise InvalidArgument(f"the check '{said.name}' has bounds: report a 'value', not that it passed")
    return Judgement(version, said.name, kind, severity, verdict_of(said, rule.parameters if rule is not None else {}))


def verdict_of(said: Report, bounds: Mapping[str, Any]) -> Verdict:
    """What the report comes to. InvalidArgument where it says neither that it passed nor a value for the bounds."""
    numbers = check_metrics(said.numbers or {})
    if said.value is not None:
        numbers |= check_metrics({"value": said.value})
    check_text(said.message, "the message")
    evidence = dict(said.evidence or {})
    check_json(evidence, "the evidence")
    if said.value is not None and {"at_least", "at_most"} & set(bounds):  # an admin's word goes before the reporter's
        told = judge_bounds(bounds.get("metric", said.name), numbers["value"], bounds)
        message = f"{told.message}: {said.message}" if said.message else told.message
        return Verdict(told.status, message, {**numbers, **told.numbers}, evidence)
    if said.passed is None:
        raise InvalidArgument(f"say whether '{said.name}' passed: 'passed', or a 'value' where the check has bounds")
    return Verdict(CheckStatus.PASSED if said.passed else CheckStatus.FAILED, said.message, numbers, evidence)

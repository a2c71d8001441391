"""Checks of what a dataset holds, and of many versions: judged by a worker, after the publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from artifacts.governance.checks import ACTOR, Judgement, older_of, other_of, write_results
from artifacts.governance.kinds import KINDS, Verdict, failed, judge_bounds, passed
from artifacts.literals.numbers import plain
from artifacts.measures import Better
from artifacts.models import ArtifactVersion, CheckResult, CheckRule, CheckStatus, VersionProfile
from artifacts.profiles.concept import change
from artifacts.profiles.drift import drift
from artifacts.profiles.making import Unreadable, profile_of

DATA_KINDS = [name for name, kind in KINDS.items() if kind.reads_data]


def judge_data(version_id: int) -> int:
    """Give the verdicts that wait for the version's data to be read; how many. Once, whoever calls."""
    waiting = CheckResult.objects.filter(version=version_id, status=CheckStatus.PENDING, kind__in=DATA_KINDS)
    names = set(waiting.values_list("name", flat=True))
    if not names:
        return 0
    version = ArtifactVersion.objects.select_related("artifact").defer("card", "terms", "literal").get(pk=version_id)
    rules = list(CheckRule.objects.filter(artifact=version.artifact_id, name__in=names))
    verdicts = {rule.name: _verdict(version, rule) for rule in rules}
    with transaction.atomic():
        ArtifactVersion.objects.select_for_update(no_key=True, of=("self",)).get(pk=version_id)
        still = set(waiting.values_list("name", flat=True))
        judged = [Judgement.of(version, rule, verdicts[rule.name]) for rule in rules if rule.name in still]
        write_results(judged, actor=ACTOR)
        gone = waiting.filter(name__in=names - {rule.name for rule in rules})
        gone.delete()  # of checks that were taken away meanwhile nobody waits for a verdict
    return len(judged)


def overdue(*, limit: int, seconds: float = 30.0) -> list[int]:
    """Versions whose data should have been read by now: what a killed worker left."""
    old = timezone.now() - timedelta(seconds=seconds)
    rows = CheckResult.objects.filter(status=CheckStatus.PENDING, kind__in=DATA_KINDS, at__lt=old)
    return sorted(set(rows.values_list("version_id", flat=True)[:limit]))


def _verdict(version: ArtifactVersion, rule: CheckRule) -> Verdict:
    if rule.kind == "concept":
        if (name := rule.parameters["metric"]) not in version.metrics:
            return failed(f"it has no metric {name!r}")
        return judge_concept(rule.parameters, history_of(version, rule.parameters))
    try:
        profile = profile_of(version)
        if rule.kind == "rows":
            return judge_bounds("the number of rows", float(profile.rows), rule.parameters)
        if rule.kind == "schema":
            return judge_schema(rule.parameters, profile)
        other = other_of(version, str(rule.parameters["against"]))
        return judge_drift(rule.parameters, profile_of(other) if other is not None else None, profile)
    except Unreadable as error:
        return failed(f"its data cannot be read: {error}")


def judge_concept(parameters: Mapping[str, Any], values: Sequence[float]) -> Verdict:
    """Whether the `recent` newest values are no worse than those `before` them, but by chance or by so much (`by`).

    :param values: of the metric, in versions of one partition that have it; the newest first
    """
    name, size, by = parameters["metric"], int(parameters["recent"]), float(parameters.get("by", 0.0))
    recent, before = values[:size], values[size : size + int(parameters["before"])]
    found = change(recent, before, more_is_better=parameters["better"] == Better.MORE.value)
    if found is None:
        return passed(f"{len(values)} versions have {name}: too few to compare the newest {size} with those before")
    numbers = {"value": found.worse, "p_value": found.p_value, "before": found.before, "recent": found.recent}
    numbers |= {"allowed": by, "versions": float(len(recent) + len(before))}
    said = f"the median of {name} is {plain(found.recent)} in the newest {len(recent)} versions"
    said += f", {plain(found.before)} in the {len(before)} before"
    if found.p_value <= parameters["p"] and found.worse > by:
        return failed(f"{said}: worse by {found.worse:.6g}, at most {plain(by)} is allowed", **numbers)
    return passed(said, **numbers)


def history_of(version: ArtifactVersion, parameters: Mapping[str, Any]) -> list[float]:
    """The metric of the version and of the newest before it in its partition that have it, the newest first."""
    rows = older_of(version, itself=True).filter(metrics__has_key=parameters["metric"])
    newest = rows.order_by("-created_at", "-pk").values_list("metrics", flat=True)
    count = int(parameters["recent"]) + int(parameters["before"])
    return [float(metrics[parameters["metric"]]) for metrics in newest[:count]]


def judge_schema(parameters: Mapping[str, Any], profile: VersionProfile) -> Verdict:
    """Whether the columns have the types asked for (DuckDB's names, any case), no others if `exact`, and no nulls."""
    columns = {column["name"]: column for column in profile.columns}
    wanted: Mapping[str, str] = parameters.get("columns", {})
    wrong = [f"it has no column {name}" for name in [*wanted, *parameters.get("not_null", ())] if name not in columns]
    for name, kind in wanted.items():
        if name in columns and columns[name]["type"].lower() != kind.lower():
            wrong.append(f"{name} is {columns[name]['type']}, not {kind}")
    if parameters.get("exact") and (more := sorted(set(columns) - set(wanted))):
        wrong.append(f"it also has {', '.join(more)}")
    for name in parameters.get("not_null", ()):
        if name in columns and (nulls := profile.rows - columns[name]["count"]):
            wrong.append(f"{name} has {nulls} nulls")
    numbers = {"rows": float(profile.rows), "columns": float(len(columns))}
    return failed("; ".join(dict.fromkeys(wrong)), **numbers) if wrong else passed("as asked for", **numbers)


def judge_drift(parameters: Mapping[str, Any], before: VersionProfile | None, after: VersionProfile) -> Verdict:
    """Whether no column differs more from the reference's than the bounds allow; the evidence has every column."""
    against = parameters["against"]
    if before is None:
        return passed(f"there is nothing to compare it with ({against})")
    found = drift({"columns": before.columns}, {"columns": after.columns}, parameters.get("columns", ()))
    if not found:
        return failed(f"it has no column in common with {against} that can be compared")
    worst = {key: max(value for one in found if (value := getattr(one, key)) is not None) for key in _MEASURES
             if any(getattr(one, key) is not None for one in found)}  # fmt: skip
    broken = [
        f"{one.name} ({key} {value:.4g}, at most {parameters[key]:.4g} is allowed)"
        for one in found
        for key in _MEASURES
        if key in parameters and (value := getattr(one, key)) is not None and value > parameters[key]
    ]
    numbers = {"value": worst["psi"], **worst, "columns": float(len(found)), "drifted": float(len(broken))}
    evidence = {"against": before.version_id, "columns": {one.name: _told(one) for one in found}}
    status = CheckStatus.FAILED if broken else CheckStatus.PASSED
    said = "; ".join(broken[:10]) or f"psi at most {worst['psi']:.4g}"
    return Verdict(status, f"against {against}: {said}", numbers, evidence)


_MEASURES = ("psi", "js", "ks")


def _told(one: Any) -> dict[str, float]:
    values = {key: getattr(one, key) for key in (*_MEASURES, "p_value")}
    return {key: value for key, value in values.items() if value is not None}

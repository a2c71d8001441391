"""Pages about whether versions are good enough: an artifact's checks and the policies of its aliases."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from artifacts.governance import checks, pointers, quarantine
from artifacts.governance.kinds import KINDS
from artifacts.governance.policies import Clause, Policy, kept_policy
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
from console.access_objects import access_artifact_id, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.pages.artifact_charts import line_of
from console.pages.artifacts_context import alias_moves
from console.pages.charts import Bound, Dot, LineChart, Series, lines
from console.pages.metrics import spell
from console.pages.responses import PageRequest, attempt, page
from console.pages.typed_values import form_text

JUDGED_SHOWN = 20  # the newest versions, with what checks say of them
CHARTED, CHARTS = 100, 12  # newest versions whose checks are drawn, and how many checks
UNDONE_SHOWN = 20  # the newest happenings of which something is tried again, or was given up


@dataclass(frozen=True)
class Governed:
    """A policy, where its alias points, and what of the policy holds there now: once, or for each partition."""

    policy: AliasPolicy
    rules: str  # as JSON
    pointers: list[tuple[Alias, list[Clause]]]


@require_GET
@page
def show(request: PageRequest, artifact_id: int) -> HttpResponse:
    artifact = access_artifact_id(request.user, artifact_id)
    place = (artifact.project, artifact.domain)
    rules = list(CheckRule.objects.filter(artifact=artifact).order_by("name"))
    context = {
        "artifact": artifact,
        "rules": [(rule, _in_words(rule.parameters)) for rule in rules],
        "kinds": KINDS.values(),
        "severities": Severity.choices,
        "governed": _governed(artifact),
        "judged": _judged(artifact),
        "charts": _charts(artifact),
        "moves": alias_moves(artifact),
        "undone": Happening.objects.filter(artifact=artifact).exclude(undone=[]).order_by("-pk")[:UNDONE_SHOWN],
        "may_check": access.can(request.user, Action.DECIDE, *place),
        "may_govern": access.can(request.user, Action.ADMIN, *place),
        "typed": request.session.pop("governance_typed", {}),
    }
    return render(request, "artifacts/governance.html", context)


def _governed(artifact: Artifact) -> list[Governed]:
    """Three queries for each policy; there are as many as aliases that somebody governs."""
    rows = AliasPolicy.objects.filter(artifact=artifact).order_by("alias")
    return [
        Governed(
            row,
            json.dumps(_said(row.rules), indent=2),
            pointers.pointers_of(artifact.pk, row.alias, kept_policy(row.rules)),
        )
        for row in rows
    ]


def _said(rules: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing."""
    return {name: value for name, value in rules.items() if value not in ([], {}, 0, False)}


def _judged(artifact: Artifact) -> list[tuple[ArtifactVersion, list[CheckResult]]]:
    versions = ArtifactVersion.objects.filter(artifact=artifact, check_results__isnull=False).distinct()
    newest = list(
        versions.only("version", "created_at", "quarantined_at").order_by("-created_at", "-pk")[:JUDGED_SHOWN]
    )
    results: dict[int, list[CheckResult]] = {version.pk: [] for version in newest}
    for row in CheckResult.objects.filter(version__in=list(results)).order_by("name"):
        results[row.version_id].append(row)
    return [(version, results[version.pk]) for version in newest]


def _charts(artifact: Artifact) -> list[LineChart]:
    """What each check found in the newest versions, where it was a number: a line for each partition."""
    rows = ArtifactVersion.objects.filter(artifact=artifact, is_shadow=False).order_by("-created_at", "-pk")
    versions = rows.only("version", "created_at", "partitions").in_bulk(
        list(rows.values_list("pk", flat=True)[:CHARTED])
    )
    found: dict[str, dict[str, list[Dot]]] = defaultdict(lambda: defaultdict(list))
    bounds: dict[str, Bound] = {}
    results = CheckResult.objects.filter(version__in=versions, numbers__has_key="value")
    for row in results.defer("evidence").order_by("name", "version"):
        version = versions[row.version_id]
        found[row.name][line_of(version)].append(_dot(version, row))
        if (bound := next((row.numbers[name] for name in BOUNDS if name in row.numbers), None)) is not None:
            bounds[row.name] = Bound(bound, f"{spell(bound)} is the bound")
    charts = [
        lines(name, [Series(*one) for one in series.items()], spell=spell, head=HEAD, bound=bounds.get(name))
        for name, series in found.items()
        if sum(map(len, series.values())) > 1
    ]
    return [one for one in charts[:CHARTS] if one is not None]


BOUNDS = ("at_least", "at_most", "allowed")  # numbers of a result that say what was asked
HEAD = ("Partition", "Published", "Value")


def _dot(version: ArtifactVersion, row: CheckResult) -> Dot:
    words = f"{version.version} {row.status}: {row.message or spell(row.numbers['value'])}"
    url = reverse("version", args=[version.pk])
    return Dot(version.created_at, row.numbers["value"], words, url, is_ringed=row.status == CheckStatus.FAILED)


@require_POST
@page
def set_check(request: PageRequest, artifact_id: int) -> HttpResponse:
    """Saves a check, or (`do=remove`) takes one away."""
    artifact = access_artifact_id(request.user, artifact_id, action=Action.DECIDE)
    name, actor = form_text(request.POST, "name"), request.user.username

    def act() -> None:
        if request.POST.get("do") == "remove":
            checks.drop_check(artifact, name, actor=actor)
            return
        parameters = _json(request.POST, "parameters")
        wish = checks.Wish(
            name, form_text(request.POST, "kind"), parameters, severity=form_text(request.POST, "severity")
        )
        checks.set_check(artifact, wish, actor=actor)

    done = "removed" if request.POST.get("do") == "remove" else "set"
    if not attempt(request, act, f"The check “{name}” is {done}."):
        _remember(request, "name", "kind", "parameters", "severity")
    return redirect("governance", artifact_id=artifact.pk)


@require_POST
@page
def set_policy(request: PageRequest, artifact_id: int) -> HttpResponse:
    """Saves the policy of an alias, or (`do=remove`) takes it away."""
    artifact = access_artifact_id(request.user, artifact_id, action=Action.ADMIN)
    alias, actor = form_text(request.POST, "alias"), request.user.username

    def act() -> None:
        if request.POST.get("do") == "remove":
            pointers.drop_alias_policy(artifact, alias, actor=actor)
        else:
            pointers.set_alias_policy(artifact, alias, _json(request.POST, "rules"), actor=actor)

    done = "has no policy any more" if request.POST.get("do") == "remove" else "is governed"
    if not attempt(request, act, f"“{alias}” {done}."):
        _remember(request, "alias", "rules")
    return redirect("governance", artifact_id=artifact.pk)


def _remember(request: PageRequest, *names: str) -> None:
    """What was typed, and refused, stands in the form again."""
    request.session["governance_typed"] = {name: form_text(request.POST, name)[:5000] for name in names}


def _in_words(parameters: Mapping[str, Any]) -> str:
    """`metric auc, at least 0.8`: names as people write them, lists by their items, what is deeper as JSON."""
    told = []
    for name, value in parameters.items():
        items = value if isinstance(value, list) else [value]
        told.append(f"{name.replace('_', ' ')} {' '.join(map(_word, items))}")
    return ", ".join(told)


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _json(form: QueryDict, name: str) -> object:
    try:
        return json.loads(form_text(form, name) or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f'{name} must be JSON, such as {{"metric": "auc"}}: {error}') from None


@require_POST
@page
def judge(request: PageRequest, version_id: int) -> HttpResponse:
    """Judges a version again, approves it for an alias (`do=approve`, `reject`), quarantines it or lets it out."""
    version = access_version_id(request.user, version_id)
    action, actor = request.POST.get("do", ""), request.user.username
    place, reason = (version.artifact.project, version.artifact.domain), form_text(request.POST, "reason")
    if action in ("approve", "reject"):
        alias, seen = form_text(request.POST, "alias"), form_text(request.POST, "digest")
        may = access.can(request.user, Action.DECIDE, *place)

        def say() -> None:
            pointers.approve_version(
                version, alias, approve=action == "approve", comment=reason, actor=actor, may_decide=may, seen=seen
            )

        attempt(request, say, "It is written down.")
    elif action in ("quarantine", "release"):
        access.require(request.user, Action.DECIDE, *place)
        change = quarantine.quarantine if action == "quarantine" else quarantine.release
        done = "Queries pass it over now." if action == "quarantine" else "Queries find it again."
        attempt(request, lambda: change(version, actor=actor, reason=reason), done)
    else:
        access.require(request.user, Action.PUBLISH, *place)
        attempt(request, lambda: checks.judge_again(version, actor=actor), "It was judged again.")
    return redirect("version", version_id=version.pk)


def _shown(policy: Policy, version: ArtifactVersion, alias: str) -> tuple[list[Clause], str]:
    """What of the policy holds; where somebody may approve it, also the digest of what he looks at."""
    if not policy.approvals or version.removed_at is not None:
        return pointers.clauses_of(policy, version, alias), ""
    shown = pointers.shown_of(policy, version, alias)
    return shown.clauses, shown.digest


def version_governance(request: PageRequest, version: ArtifactVersion) -> dict[str, Any]:
    """What a version's page shows: the checks, and for each governed alias what of its policy holds."""
    place = (version.artifact.project, version.artifact.domain)
    policies = list(AliasPolicy.objects.filter(artifact=version.artifact_id).order_by("alias"))
    read: list[tuple[str, Policy]] = [(row.alias, kept_policy(row.rules)) for row in policies]
    return {
        "check_results": list(CheckResult.objects.filter(version=version).order_by("name")),
        "policies": [(alias, policy, *_shown(policy, version, alias)) for alias, policy in read],
        "may_judge": access.can(request.user, Action.PUBLISH, *place),
        "may_quarantine": access.can(request.user, Action.DECIDE, *place),
    }

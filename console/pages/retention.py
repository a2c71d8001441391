"""Pages about letting versions go: the policy of an artifact with its dry run, and removing one version by hand."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from artifacts.actions import retention as policies
from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.models import Removal, RetentionPolicy
from console.access_objects import access_artifact_id, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, attempt, page
from scheduler.actions.removal import plan_removal, remove_version
from scheduler.actions.retention import apply_retention, kept_by_rule, plan_retention, spell

SHOWN = 200


@require_GET
@page
def show_plan(request: PageRequest, artifact_id: int) -> HttpResponse:
    """The policy, or the one being tried (`?keep_newest=&keep_days=`), and what it would do now."""
    artifact = access_artifact_id(request.user, artifact_id)
    saved = RetentionPolicy.objects.filter(artifact=artifact).first()
    trying = "keep_newest" in request.GET or "keep_days" in request.GET
    policy, problem = saved, ""
    if trying:
        try:
            policy = RetentionPolicy(artifact=artifact, **_rules(request.GET.dict()))
            policies.check_rules(policy.keep_newest, policy.keep_for)
        except InvalidArgument as error:
            policy, problem = None, error.message
    removals = Removal.objects.filter(version__artifact=artifact).select_related("version").order_by("-at", "-pk")
    context = {
        "artifact": artifact,
        "saved": saved,
        "policy": policy,
        "rules": spell(policy) if policy else {},
        "days": policy.keep_for.total_seconds() / 86_400 if policy and policy.keep_for is not None else None,
        "trying": trying,
        "problem": problem,
        "plan": plan_retention(policy) if policy else None,
        "kept": kept_by_rule(policy, limit=SHOWN) if policy else [],
        "removals": list(removals.defer("version__literal", "version__card", "version__terms")[:SHOWN]),
        "may_change": access.can(request.user, Action.ADMIN, artifact.project, artifact.domain),
    }
    return render(request, "artifacts/retention.html", context)


def _rules(given: dict[str, str]) -> dict[str, object]:
    """InvalidArgument for what is no number."""
    newest, days = given.get("keep_newest", "").strip(), given.get("keep_days", "").strip()
    try:
        keep_newest = int(newest) if newest else None
        keep_for = timedelta(days=float(days)) if days else None
    except (ValueError, OverflowError):
        raise InvalidArgument("how many and how many days must be numbers") from None
    return {"keep_newest": keep_newest, "keep_for": keep_for, "keep_ancestors": given.get("keep_ancestors") != "off"}


@require_POST
@page
def set_policy(request: PageRequest, artifact_id: int) -> HttpResponse:
    """Save the rules of the form, or (`delete`) keep everything from now on; `try` only shows what they would do."""
    if "try" in request.POST:
        rules = {name: request.POST.get(name, "") for name in ("keep_newest", "keep_days", "keep_ancestors")}
        return redirect(f"{reverse('retention-plan', args=[artifact_id])}?{urlencode(rules)}")
    artifact = access_artifact_id(request.user, artifact_id, action=Action.ADMIN)

    def act() -> None:
        if "delete" in request.POST:
            policies.drop_policy(artifact, actor=request.user.username)
            return
        rules = _rules(request.POST.dict())
        policies.set_policy(artifact, **rules, actor=request.user.username)  # type: ignore[arg-type]

    attempt(request, act, "Everything is kept." if "delete" in request.POST else "Policy saved; it runs every hour.")
    return redirect("retention-plan", artifact_id=artifact.pk)


@require_POST
@page
def run(request: PageRequest, artifact_id: int) -> HttpResponse:
    artifact = access_artifact_id(request.user, artifact_id, action=Action.ADMIN)
    policy = RetentionPolicy.objects.select_related("artifact").filter(artifact=artifact).first()
    if policy is None:
        raise NotFound(f"{artifact} has no retention policy")
    removed: list[Removal] = []

    def act() -> None:
        removed.extend(apply_retention(policy, actor=request.user.username))

    # Data is deleted after the rows have committed; who removed what is in their removals.
    if attempt(request, act, "", together=False):
        attempt(request, lambda: None, f"{len(removed)} version{'' if len(removed) == 1 else 's'} removed.")
    return redirect("retention-plan", artifact_id=artifact.pk)


@page
def remove(request: PageRequest, version_id: int) -> HttpResponse:
    """What removing the version would do; by POST, do it."""
    version = access_version_id(request.user, version_id, action=Action.ADMIN)
    if request.method != "POST":
        return render(request, "artifacts/remove.html", {"version": version, "plan": plan_removal(version)})
    reason = request.POST.get("reason", "").strip()[:1000]

    def act() -> None:
        remove_version(version, tombstone_used="tombstone" in request.POST, actor=request.user.username, reason=reason)

    attempt(request, act, "Removed. What it was, and its lineage, stay readable.", together=False)
    return redirect("version", version_id=version.pk)

"""Pages of who decides: rules, groups and delegations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone as clock
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_approval_rule, access_approver_group, access_delegation
from console.accounts import access
from console.accounts.access import Action
from console.accounts.roles import check_scope
from console.deciding import may_revoke, require_delegator
from console.pages.form_fields import number, texts
from console.pages.responses import PageRequest, attempt, page
from console.pages.typed_values import form_text
from scheduler.actions import approvers as actions
from scheduler.approving.rules import ROLES, Rule
from scheduler.models import ApprovalRule, ApproverGroup, Delegation

SHOWN = 200


@require_GET
@page
def list_approvers(request: PageRequest) -> HttpResponse:
    """Who decides: rules, groups, delegations."""
    known = access.known_projects(request.user)
    readable = Q() if known is None else Q(project__in=known)
    administered = access.known_projects(request.user, action=Action.ADMIN)
    name = request.user.username
    mine = Q() if administered is None else Q(giver=name) | Q(to=name) | Q(project__in=administered)
    rules = ApprovalRule.objects.filter(readable)
    held = Delegation.objects.filter(mine, ends_at__gt=clock.now(), revoked_at=None)
    context = {
        "rules": list(rules.order_by("project", "domain", "workflow", "signal_id")[:SHOWN]),
        "groups": list(ApproverGroup.objects.filter(readable).order_by("project", "name")[:SHOWN]),
        "delegations": list(held.order_by("ends_at")[:SHOWN]),
        "administers": administered is None or bool(administered),
        "roles": ROLES,
    }
    return render(request, "stewardship/approvers.html", context)


@require_POST
@page
def set_rule(request: PageRequest) -> HttpResponse:
    project, domain = form_text(request.POST, "project"), form_text(request.POST, "domain")
    access.require_found(request.user, Action.ADMIN, project, domain, what=f"project {project}")

    def act() -> None:
        check_scope(project, domain)
        place = {"project": project, "domain": domain, **texts(request.POST, "workflow", "signal_id")}
        actions.set_rule(_rule(request.POST), **place, actor=request.user.username)

    attempt(request, act, "The rule holds from now on.")
    return redirect("approvers")


def _names(form: Mapping[str, Any], name: str) -> frozenset[str]:
    """Names with commas or lines between."""
    return frozenset(part.strip() for part in str(form.get(name, "")).replace("\n", ",").split(",") if part.strip())


def _rule(form: Mapping[str, Any]) -> Rule:
    hours = str(form.get("escalate_hours", "")).strip()
    return Rule(
        people=_names(form, "people"),
        groups=_names(form, "groups"),
        role=str(form.get("role", "")),
        quorum=int(number(form, "quorum")),
        rejections=int(number(form, "rejections")),
        author_may="author_may" in form,
        escalate_before=timedelta(hours=number(form, "escalate_hours")) if hours else None,
        escalate_to=_names(form, "escalate_to"),
    )


@require_POST
@page
def remove_rule(request: PageRequest, rule_id: int) -> HttpResponse:
    row = access_approval_rule(request.user, rule_id, action=Action.ADMIN)
    attempt(request, lambda: actions.remove_rule(row, actor=request.user.username), "Removed.")
    return redirect("approvers")


@require_POST
@page
def set_group(request: PageRequest) -> HttpResponse:
    project, name = form_text(request.POST, "project"), form_text(request.POST, "name")
    access.require_found(request.user, Action.ADMIN, project, "", what=f"project {project}")

    def act() -> None:
        check_scope(project, "")
        members = _names(request.POST, "members")
        actions.set_group(project=project, name=name, members=members, actor=request.user.username)

    attempt(request, act, "The group is as you said.")
    return redirect("approvers")


@require_POST
@page
def remove_group(request: PageRequest, project: str, name: str) -> HttpResponse:
    row = access_approver_group(request.user, project, name, action=Action.ADMIN)
    attempt(request, lambda: actions.remove_group(row, actor=request.user.username), "Removed.")
    return redirect("approvers")


@require_POST
@page
def add_delegation(request: PageRequest) -> HttpResponse:
    form = texts(request.POST, "to", "giver", "project", "ends_at", "reason")
    giver = form["giver"] or request.user.username
    require_delegator(request.user, giver=giver, project=form["project"])

    def act() -> None:
        check_scope(form["project"], "")
        told = {"giver": giver, "to": form["to"], "project": form["project"], "reason": form["reason"]}
        ends = _moment(form["ends_at"])
        actions.delegate(**told, starts_at=None, ends_at=ends, actor=request.user.username)

    attempt(request, act, f"{form['to']} decides for {giver} until then.")
    return redirect("approvers")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidArgument(f"until: {text!r} is no date and time, like 2026-12-24 18:00") from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


@require_POST
@page
def revoke_delegation(request: PageRequest, delegation_id: int) -> HttpResponse:
    row = access_delegation(request.user, delegation_id)
    if not may_revoke(request.user, row):
        access.require(request.user, Action.ADMIN, row.project)
    attempt(request, lambda: actions.revoke(row, actor=request.user.username), "It has ended.")
    return redirect("approvers")

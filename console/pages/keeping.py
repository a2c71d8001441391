"""What a person does to keep a version, send it on or erase it: holds, pins, promotion, erasing; on one page."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from artifacts.actions.holds import release, set_hold
from artifacts.exceptions import InvalidArgument
from artifacts.models import Erasure, Hold
from console.access_objects import access_hold, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.erasing import known_of, require_eraser
from console.pages.artifacts_context import version_context
from console.pages.responses import PageRequest, attempt, page
from console.pages.typed_values import form_text
from scheduler.actions.erasure import erase, plan_erasure
from scheduler.models import Promotion

NEEDS = {Hold.Kind.LEGAL: Action.ADMIN, Hold.Kind.PIN: Action.DECIDE}  # to set and release one


@require_GET
@page
def show(request: PageRequest, version_id: int) -> HttpResponse:
    version = access_version_id(request.user, version_id)
    place = version.artifact.key[:2]
    holds = Hold.objects.filter(artifact=version.artifact).filter(version__in=[version.pk])
    whole = Hold.objects.filter(artifact=version.artifact, version__isnull=True)
    promoted = Promotion.objects.filter(source=version).select_related("target__artifact")
    may_read = access.reader(request.user)
    context = {
        **version_context(version),
        "tab": "keep",
        "holds": list((holds | whole).order_by("-pk")),
        "promotions": [row for row in promoted if may_read(row.project, row.domain)],
        "erasure": Erasure.objects.filter(version=version).order_by("-pk").first(),
        "may_hold": access.can(request.user, Action.ADMIN, *place),
        "may_pin": access.can(request.user, Action.DECIDE, *place),
        "domains": settings.CAUSEWAY_DOMAINS,
    }
    return render(request, "stewardship/keep.html", context)


@require_POST
@page
def hold(request: PageRequest, version_id: int) -> HttpResponse:
    kind = Hold.Kind.LEGAL if request.POST.get("kind") == Hold.Kind.LEGAL else Hold.Kind.PIN
    version = access_version_id(request.user, version_id, action=NEEDS[kind])
    reason, actor = form_text(request.POST, "reason"), request.user.username

    def act() -> None:
        set_hold(kind, artifact=version.artifact, version=version, reason=reason, actor=actor)

    attempt(request, act, "It stays until that is released.")
    return redirect("version-govern", version_id=version.pk)


@require_POST
@page
def release_hold(request: PageRequest, version_id: int, hold_id: int) -> HttpResponse:
    row = access_hold(request.user, hold_id)
    access.require(request.user, NEEDS[Hold.Kind(row.kind)], *row.artifact.key[:2])
    reason, actor = form_text(request.POST, "reason"), request.user.username
    attempt(request, lambda: release(row, reason=reason, actor=actor), "Released.")
    return redirect("version-govern", version_id=version_id)


@page
def erase_version(request: PageRequest, version_id: int) -> HttpResponse:
    """What erasing would do, with all that was made of it; by POST, do it."""
    version = access_version_id(request.user, version_id, action=Action.ADMIN)
    derived = "derived" in (request.POST if request.method == "POST" else request.GET)
    plan = plan_erasure(version, derived=derived)
    if request.method != "POST":
        known = known_of(plan, request.user)
        hidden = len(plan.derived) - len(known)
        shown = [version.pk, *(one.pk for one, _ in known)]
        blocked = [reason for pk in shown for reason in plan.blocked.get(pk, [])]
        context = {"version": version, "plan": plan, "derived": known, "hidden": hidden, "with_derived": derived}
        return render(request, "stewardship/erase.html", {**context, "blocked": blocked})
    require_eraser(request.user, plan)
    reason = form_text(request.POST, "reason")

    def act() -> None:
        if request.POST.get("version") != version.version:
            raise InvalidArgument("type the name of the version to confirm that it is erased")
        allowed = partial(require_eraser, request.user)
        erase(version, derived=derived, reason=reason, actor=request.user.username, allowed=allowed)

    done = "Erased. That it was there, and its lineage, stay readable."
    if not attempt(request, act, done, together=False):
        return redirect("version-erase", version_id=version.pk)
    return redirect("version-govern", version_id=version.pk)

"""Pages of promotions: those that wait, one with its votes, asking for one and deciding about it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import InvalidArgument
from console.access_objects import access_promotion, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.pages.form_fields import texts
from console.pages.responses import PageRequest, attempt, page
from console.pages.scope import in_scope
from console.pages.typed_values import form_text
from console.promotions import mover_there, require_promoter, require_voter
from scheduler.approving.review import review_of_version
from scheduler.models import GateVote, Promotion
from scheduler.promoting.promote import promote, rule_of, vote

SHOWN = 200


@require_GET
@page
def list_promotions(request: PageRequest) -> HttpResponse:
    """Promotions to where the user may read, those that wait first."""
    heavy = [f"{side}__{name}" for side in ("source", "target") for name in ("literal", "card", "terms")]
    rows = in_scope(request, Promotion.objects.select_related("source__artifact", "target__artifact"), prefix="")
    rows = rows.defer(*heavy).prefetch_related("votes").order_by("-requested_at", "-pk")
    may_read = access.reader(request.user)

    def known(row: Promotion) -> bool:
        return may_read(*row.source.artifact.key[:2])

    waiting = [(row, known(row)) for row in rows.filter(state=Promotion.State.REQUESTED)[:SHOWN]]
    done = [(row, known(row)) for row in rows.exclude(state=Promotion.State.REQUESTED)[:SHOWN]]
    context = {"sections": [("Waiting", waiting), ("Done", done)]}
    return render(request, "stewardship/promotions.html", context)


@require_GET
@page
def show_promotion(request: PageRequest, promotion_id: int) -> HttpResponse:
    row = access_promotion(request.user, promotion_id)
    rule = rule_of(row)
    context = {
        "promotion": row,
        "rule": None if rule.is_default else rule,
        "known": access.can(request.user, Action.READ, *row.source.artifact.key[:2]),
        "votes": list(GateVote.objects.filter(promotion=row).order_by("pk")),
        "proof": row.decisions.order_by("-pk").first(),
        "digest": review_of_version(row.source).digest if row.state == Promotion.State.REQUESTED else "",
    }
    return render(request, "stewardship/promotion.html", context)


@require_POST
@page
def promote_version(request: PageRequest, version_id: int) -> HttpResponse:
    version = access_version_id(request.user, version_id)
    form = texts(request.POST, "project", "domain", "name", "alias", "reason")
    form["project"] = form["project"] or version.artifact.project
    require_promoter(request.user, form["project"], form["domain"], form["name"] or version.artifact.name)
    made: list[Promotion] = []

    def act() -> None:
        mover = mover_there(request.user, form["project"], form["domain"])
        made.append(promote(version, **form, actor=request.user.username, mover=mover))

    if attempt(request, act, ""):
        return redirect("promotion", promotion_id=made[0].pk)
    return redirect("version-govern", version_id=version.pk)


@require_POST
@page
def decide_promotion(request: PageRequest, promotion_id: int) -> HttpResponse:
    row = access_promotion(request.user, promotion_id)
    require_voter(request.user, row)
    approve = request.POST.get("decision") == "approve"
    told = {"comment": form_text(request.POST, "comment"), "seen": form_text(request.POST, "digest")}

    def act() -> None:
        if request.POST.get("decision") not in ("approve", "reject"):
            raise InvalidArgument("choose Approve or Reject")
        mover = mover_there(request.user, row.project, row.domain)
        vote(row, approve=approve, actor=request.user.username, **told, mover=mover)

    attempt(request, act, "Your vote is kept.")
    return redirect("promotion", promotion_id=row.pk)

"""Moving and removing aliases from a version's page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from artifacts.actions.aliases import ANYWHERE, drop_alias, move_alias
from console.access_objects import access_version_id
from console.accounts.access import Action
from console.governance import mover_of
from console.pages.responses import PageRequest, attempt, page
from console.pages.typed_values import form_text


@require_POST
@page
def move(request: PageRequest, version_id: int) -> HttpResponse:
    """Points the alias at the version, or takes it away (`do=remove`). `expected`: the version that the page showed it
    at, so that nobody moves what somebody else has just moved.
    """
    version = access_version_id(request.user, version_id, action=Action.DECIDE)
    name, actor = form_text(request.POST, "alias"), request.user.username
    reason, expected = form_text(request.POST, "reason"), request.POST.get("expected", ANYWHERE)
    removes = request.POST.get("do") == "remove"
    mover = mover_of(request.user, version.artifact, force=request.POST.get("force") == "yes")

    def act() -> None:
        if removes:
            drop_alias(
                version.artifact,
                name,
                actor=actor,
                reason=reason,
                expected=version.version,
                mover=mover,
                partitions=version.partitions,
            )
        else:
            move_alias(version, name, actor=actor, reason=reason, expected=expected, mover=mover)

    attempt(request, act, f"“{name}” no longer exists." if removes else f"“{name}” names this version now.")
    return redirect("version", version_id=version.pk)

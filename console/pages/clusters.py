"""Clusters that tasks run on as pods: what there are, what each has, and the form by which one is set."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import AlreadyExists, InvalidArgument
from console import clusters, pools
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, attempt, page
from scheduler.actions.clusters import change_cluster, remove_cluster
from scheduler.actions.clusters import set_cluster as set_it


@never_cache
@require_GET
@page
def list_clusters(request: PageRequest) -> HttpResponse:
    """`?edit=NAME` fills the form with one that is there."""
    chosen = request.GET.get("edit", "")
    found = clusters.access_cluster(request.user, chosen) if chosen else None
    editable = found is not None and found.editable
    return _show(request, {"name": found.name, "description": found.yaml} if found and editable else {})


def _show(request: PageRequest, typed: dict[str, str], problem: str = "") -> HttpResponse:
    context = {
        "clusters": clusters.shown(request.user),
        "kept": clusters.kept(request.user),
        "typed": typed,
        "problem": problem,
    }
    return render(request, "account/clusters.html", context, status=400 if problem else 200)


@sensitive_post_parameters("kubeconfig")
@require_POST
@page
def set_cluster(request: PageRequest) -> HttpResponse:
    """An empty kubeconfig leaves the one that was set; the box takes it away. What was typed stays, except for it."""
    access.require(request.user, Action.ADMIN)
    typed = {name: request.POST.get(name, "").strip() for name in ("name", "description")}
    text = request.POST.get("kubeconfig", "").replace("\r\n", "\n")
    given = text if text.strip() else "" if request.POST.get("without") else None
    try:
        row, made = set_it(
            typed["name"],
            typed["description"].replace("\r\n", "\n"),
            kubeconfig_text=given,
            actor=request.user.username,
        )
    except (InvalidArgument, AlreadyExists) as error:
        return _show(request, typed, error.message)
    messages.success(request, f"{row} is set." if made else f"{row} is changed.")
    return redirect("clusters")


@require_GET
@never_cache
@page
def show_overview(request: PageRequest, name: str) -> HttpResponse:
    """What the cluster says of itself: asked for by the list once it is on the page."""
    seen = clusters.overview(clusters.access_cluster(request.user, name))
    return render(request, "account/_cluster_overview.html", {"lines": seen.lines, "answers": bool(seen.version)})


@require_GET
@never_cache
@page
def show_pools(request: PageRequest, name: str) -> HttpResponse:
    """Pods that stay, how full they are, and who runs where."""
    found = clusters.access_cluster(request.user, name)
    return render(request, "account/cluster_pools.html", {"cluster": found, "seen": pools.pools(found)})


@require_POST
@page
def switch(request: PageRequest, name: str) -> HttpResponse:
    """Open it for new attempts, or close it."""
    row, is_open = clusters.access_row(request.user, name), request.POST.get("open") == "yes"
    said = f"{name} takes new attempts." if is_open else f"{name} takes no new attempts; those on it go on."
    attempt(request, lambda: change_cluster(row, {"open": is_open}, actor=request.user.username), said)
    return redirect("clusters")


@require_POST
@page
def remove(request: PageRequest, name: str) -> HttpResponse:
    row = clusters.access_row(request.user, name)
    attempt(request, lambda: remove_cluster(row, actor=request.user.username), f"{name} is removed.")
    return redirect("clusters")

"""What an administrator sets by a description, clusters and connectors: lists, and the form by which one is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import AlreadyExists, InvalidArgument
from console import clusters, connectors
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import User
from console.described import Described
from console.pages.responses import PageRequest, attempt, page
from scheduler.actions.clusters import change_cluster, remove_cluster, set_cluster
from scheduler.actions.connectors import change_connector, remove_connector, set_connector


@dataclass(frozen=True)
class Kind:
    """`noun`: begins the names of its pages. `more`: what its form has besides name and description, as the action that
    sets one takes it. `closed`: what becomes of what is on one that is closed. `others`: what its list shows besides.
    """

    noun: str
    shown: Callable[[User], Sequence[Described[Any]]]
    find: Callable[[User, str], Described[Any]]
    put: Callable[..., tuple[Any, bool]]
    change: Callable[..., object]
    take_away: Callable[..., object]
    closed: str
    more: Callable[[PageRequest], dict[str, Any]] = lambda request: {}
    others: Callable[[User], dict[str, Any]] = lambda user: {}

    @property
    def view(self) -> str:
        return f"{self.noun}s"


def _kubeconfig(request: PageRequest) -> dict[str, Any]:
    """An empty one leaves the one that was set; the box takes it away."""
    text = request.POST.get("kubeconfig", "").replace("\r\n", "\n")
    return {"kubeconfig_text": text if text.strip() else "" if request.POST.get("without") else None}


CLUSTERS = Kind(
    "cluster",
    clusters.shown,
    clusters.access_cluster,
    set_cluster,
    change_cluster,
    remove_cluster,
    closed="those on it go on",
    more=_kubeconfig,
    others=lambda user: {"kept": clusters.kept(user)},
)
CONNECTORS = Kind(
    "connector",
    connectors.shown,
    connectors.access_connector,
    set_connector,
    change_connector,
    remove_connector,
    closed="its jobs go on",
)


@never_cache
@require_GET
@page
def list_all(request: PageRequest, kind: Kind) -> HttpResponse:
    """`?edit=NAME` fills the form with one that is there."""
    chosen = request.GET.get("edit", "")
    found = kind.find(request.user, chosen) if chosen else None
    editable = found is not None and found.editable
    return _show(request, kind, {"name": found.name, "description": found.yaml} if found and editable else {})


def _show(request: PageRequest, kind: Kind, typed: dict[str, str], problem: str = "") -> HttpResponse:
    context = {"noun": kind.noun, "all": kind.shown(request.user), "typed": typed, "problem": problem}
    context |= kind.others(request.user)
    return render(request, f"account/{kind.view}.html", context, status=400 if problem else 200)


@sensitive_post_parameters("kubeconfig")
@require_POST
@page
def set_one(request: PageRequest, kind: Kind) -> HttpResponse:
    """What was typed stays where it is not understood, secrets excepted."""
    access.require(request.user, Action.ADMIN)
    typed = {name: request.POST.get(name, "").strip() for name in ("name", "description")}
    description = typed["description"].replace("\r\n", "\n")
    try:
        row, made = kind.put(typed["name"], description, actor=request.user.username, **kind.more(request))
    except (InvalidArgument, AlreadyExists) as error:
        return _show(request, kind, typed, error.message)
    messages.success(request, f"{row} is set." if made else f"{row} is changed.")
    return redirect(kind.view)


@require_POST
@page
def switch(request: PageRequest, kind: Kind, name: str) -> HttpResponse:
    """Open it for new attempts, or close it."""
    row, is_open = kind.find(request.user, name).changeable(), request.POST.get("open") == "yes"
    said = f"{name} takes new attempts." if is_open else f"{name} takes no new attempts; {kind.closed}."
    attempt(request, lambda: kind.change(row, {"open": is_open}, actor=request.user.username), said)
    return redirect(kind.view)


@require_POST
@page
def remove(request: PageRequest, kind: Kind, name: str) -> HttpResponse:
    row = kind.find(request.user, name).changeable()
    attempt(request, lambda: kind.take_away(row, actor=request.user.username), f"{name} is removed.")
    return redirect(kind.view)

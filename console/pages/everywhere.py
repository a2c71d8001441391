"""Search over everything, for the palette (Ctrl-K) and a page of its own; views that people keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from artifacts.exceptions import CausewayError, InvalidArgument
from artifacts.governance.failing import failures_of
from artifacts.models import Alias, Artifact, ArtifactVersion
from artifacts.search import read_search
from console.accounts import access
from console.accounts.access import Action
from console.accounts.models import SavedView
from console.accounts.views_kept import MOST_NAME, drop_view, keep_view
from console.pages import badges
from console.pages.artifacts_context import HEAVY, readable_versions
from console.pages.known_pages import pages_called
from console.pages.responses import PageRequest, attempt, back, is_fragment, page, respond
from console.pages.scope import in_scope
from console.pages.typed_values import form_text
from console.pages.version_marks import failing_words
from scheduler.models import Execution, NamedEntity, ResourceType

SHOWN = 6  # of each kind
SHORTEST = 2  # letters from which on more than pages is looked through
MOST_WORDS = 3  # of which one may be an alias
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
GENERATED = ".flytegen"
Row = TypeVar("Row", Artifact, NamedEntity)


@dataclass(frozen=True)
class Hit:
    """`more`: what else to know it by; `launch`: where it is launched, empty where it cannot be."""

    title: str
    url: str
    more: str = ""
    icon: str = "link"
    launch: str = ""


@dataclass(frozen=True)
class Group:
    title: str
    hits: list[Hit] = field(default_factory=list)


@require_GET
@page
def search_everything(request: PageRequest) -> HttpResponse:
    """`?q=`; without it, pages, and the views that one keeps."""
    text = request.GET.get("q", "").strip()[:200]
    groups = [group for group in found(request, text) if group.hits]
    context = {"q": text, "groups": groups, "views": _views(request, text)}
    template = "search/_results.html" if is_fragment(request) else "search/search.html"
    return respond(request, template, "search/_results.html", context, live=True)


def found(request: HttpRequest, text: str) -> Iterator[Group]:
    yield Group("Pages and actions", list(_pages(request, text)))
    if len(text) < SHORTEST:
        return
    yield Group("Launch plans", list(_entities(request, "launch-plan", text)))
    yield Group("Artifacts", [_artifact(row) for row in _named(in_scope(request, Artifact.objects.all()), text)])
    yield Group("Aliases", [_alias(row) for row in _aliases(request, text)])
    yield Group("Executions", [_execution(row) for row in _executions(request, text)])
    yield Group("Workflows", list(_entities(request, "workflow", text)))
    yield Group("Tasks", list(_entities(request, "task", text)))
    yield Group("Versions", [_version(row) for row in _versions(request, text)])


def _pages(request: HttpRequest, text: str) -> Iterator[Hit]:
    for one in pages_called(request, text):
        yield Hit(one.label, one.url, one.more, one.icon)


def _named(rows: QuerySet[Row], text: str) -> list[Row]:
    """Whose name contains every word, the shortest names first: they are what was meant."""
    for word in text.split():
        rows = rows.filter(name__icontains=word)
    return sorted(rows.order_by("name")[: 10 * SHOWN], key=lambda row: (len(row.name), row.name))[:SHOWN]


def _artifact(row: Artifact) -> Hit:
    url = reverse("artifact", args=[row.project, row.domain, row.name])
    return Hit(row.name, url, f"{row.kind}, {row.project} / {row.domain}", "artifact")


def _aliases(request: HttpRequest, text: str) -> list[Alias]:
    """Called as one of the words is, of artifacts that have the others in their names."""
    words = text.split()
    if not 1 < len(words) <= MOST_WORDS:
        return []
    found: dict[int, Alias] = {}
    for name in words:
        of = _named(in_scope(request, Artifact.objects.all()), " ".join(word for word in words if word != name))
        rows = Alias.objects.filter(artifact__in=[one.pk for one in of], name=name) if of else Alias.objects.none()
        slim = rows.select_related("artifact", "version").defer(*(f"version__{column}" for column in HEAVY))
        found |= {row.pk: row for row in slim.order_by("-moved_at", "-pk")[:SHOWN]}
    return list(found.values())[:SHOWN]


def _alias(row: Alias) -> Hit:
    where = "".join(f"{key} {value}, " for key, value in sorted(row.partitions.items()))
    title = f"{row.artifact.name}:{row.name}"
    return Hit(title, reverse("version", args=[row.version_id]), where + row.version.version, "artifact")


def _executions(request: HttpRequest, text: str) -> list[Execution]:
    """Whose names begin so, by the index of names."""
    if not _NAME.fullmatch(text):
        return []
    rows = in_scope(request, Execution.objects.filter(archived=False, name__startswith=text))
    slim = rows.select_related("workflow").only("project", "domain", "name", "phase", "workflow__name", "created_at")
    return list(slim.order_by("name")[:SHOWN])


def _execution(row: Execution) -> Hit:
    badge = badges.EXECUTION.get(row.phase, badges.QUEUED)
    more = f"{row.workflow.name.rsplit('.', 1)[-1]}, {badge.label.lower()}, {row.created_at:%Y-%m-%d %H:%M}"
    return Hit(row.name, reverse("execution", args=[row.project, row.domain, row.name]), more, "run")


# Name of the view, which registered names it shows, icon.
_ENTITIES = {
    "launch-plan": (ResourceType.LAUNCH_PLAN, "plan"),
    "workflow": (ResourceType.WORKFLOW, "workflow"),
    "task": (ResourceType.TASK, "task"),
}

_LAUNCHED = {"launch-plan": "launch-plan-launch", "task": "task-launch"}


def _entities(request: HttpRequest, view: str, text: str) -> Iterator[Hit]:
    """From the table of names, which has one row for each, however many versions were registered of it."""
    kind, icon = _ENTITIES[view]
    rows = in_scope(request, NamedEntity.objects.filter(resource_type=kind))
    for row in _named(rows.exclude(name__startswith=GENERATED), text):
        place, title = (row.project, row.domain), row.name.rsplit(".", 1)[-1]
        to = _LAUNCHED.get(view)
        launch = reverse(to, args=[*place, row.name]) if to and access.can(request.user, Action.LAUNCH, *place) else ""
        yield Hit(title, reverse(view, args=[*place, row.name]), " / ".join(place), icon, launch)


def _versions(request: HttpRequest, text: str) -> list[ArtifactVersion]:
    """In the language of the artifacts' search; what makes no sense there finds none."""
    try:
        return list(read_search(text).page(readable_versions(request), limit=SHOWN).rows)
    except CausewayError:
        return []


def _version(row: ArtifactVersion) -> Hit:
    where = ", ".join(f"{key} {value}" for key, value in row.shown_partitions)
    parts = (failing_words(failures_of(row)), where, row.version, f"{row.created_at:%Y-%m-%d %H:%M}")
    more = ", ".join(part for part in parts if part)
    return Hit(row.artifact.name, reverse("version", args=[row.pk]), more, "artifact")


def _views(request: HttpRequest, text: str) -> list[SavedView]:
    """One's own whose name contains every word."""
    rows = SavedView.objects.filter(user=request.user.pk)
    for word in text.split():
        rows = rows.filter(name__icontains=word)
    return list(rows.order_by("name"))


@require_POST
@page
def save_view(request: PageRequest) -> HttpResponse:
    """Keep the address `next` under `name`, for oneself."""
    name, address = form_text(request.POST, "name").strip(), request.POST.get("next", "")

    def act() -> None:
        if not url_has_allowed_host_and_scheme(address, None) or not address.startswith("/"):
            raise InvalidArgument("a view is an address of this console, such as /executions/?phase=failed")
        keep_view(request.user, name, address)

    attempt(request, act, f"Kept as “{name[:MOST_NAME]}”: Ctrl-K finds it.")
    return back(request, "/search/")


@require_POST
@page
def remove_view(request: PageRequest, view_id: int) -> HttpResponse:
    attempt(request, lambda: drop_view(request.user, view_id), "The view is no longer kept.")
    return back(request, f"{reverse('search')}?{urlencode({'q': ''})}")

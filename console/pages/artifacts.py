from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from artifacts.cards import render_card
from artifacts.exceptions import InvalidArgument, NotFound, SearchTooLong
from artifacts.store import store
from console.access_objects import access_artifact, access_version_id
from console.accounts import access
from console.accounts.access import Action
from console.card_images import image_path
from console.pages.artifact_versions import versions_context
from console.pages.artifacts_context import (
    LINK_VALID,
    artifact_context,
    overview_context,
    version_context,
)
from console.pages.artifacts_search import EMPTY, search_page
from console.pages.governance import version_governance
from console.pages.lineage import lineage_summary
from console.pages.lineage_context import lineage_context
from console.pages.outside import outside_of
from console.pages.responses import PageRequest, page, respond


@require_GET
@page
def list_artifacts(request: PageRequest) -> HttpResponse:
    text, problem = request.GET.get("q", "").strip(), ""
    if kind := request.GET.get("kind", ""):  # how addresses were written once
        text = f"{text} kind:{kind}".strip()
    try:
        found, facets = search_page(request, text)
    except (InvalidArgument, SearchTooLong) as error:
        found, facets, problem = EMPTY, [], error.message
    context = {"page": found, "facets": facets, "q": text, "filtered": bool(text), "problem": problem}
    return respond(request, "artifacts/list.html", "artifacts/_list.html", context, live=True)


@require_GET
@page
def show_artifact(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    artifact = access_artifact(request.user, project, domain, name)
    context = artifact_context(request, artifact) | versions_context(request, artifact)
    return respond(request, "artifacts/artifact.html", "artifacts/_artifact_versions.html", context, live=True)


@require_GET
@page
def show_version(request: PageRequest, version_id: int) -> HttpResponse:
    version = access_version_id(request.user, version_id)
    place = version.artifact.key[:2]
    context = version_context(version) | overview_context(request, version)
    context |= version_governance(request, version)
    context |= {
        "tab": "overview",
        "may_remove": access.can(request.user, Action.ADMIN, *place),
        "may_name": version.removed_at is None and access.can(request.user, Action.DECIDE, *place),
        "names": list(
            version.artifact.aliases.filter(partitions__contained_by=version.partitions)
            .order_by("name")
            .select_related("version")
            .only("name", "version__version", "artifact")
        ),
    }
    return render(request, "artifacts/overview.html", context)


@require_GET
@page
def show_card(request: PageRequest, version_id: int) -> HttpResponse:
    version = access_version_id(request.user, version_id)
    context = version_context(version) | {"card": render_card(version, image_url=image_path), "tab": "card"}
    return render(request, "artifacts/card.html", context)


@require_GET
@page
def show_lineage(request: PageRequest, version_id: int) -> HttpResponse:
    version = access_version_id(request.user, version_id)
    context = version_context(version) | lineage_context(request, version) | lineage_summary(version, request)
    context |= {"tab": "lineage", "outside": outside_of(request, version)}
    return render(request, "artifacts/lineage.html", context)


@require_GET
@page
def download(request: PageRequest, version_id: int) -> HttpResponse:
    """To a signed URL of the version's object, or of `?file=` below it."""
    version = access_version_id(request.user, version_id)
    if not version.uri:
        raise NotFound("this version holds its value inline; there is no object to download")
    part = request.GET.get("file", "")
    uri = store().join(version.uri, part) if part else version.uri
    if not store().exists(uri):
        raise NotFound(f"nothing lies at {uri}")
    return redirect(store().signed_get(uri, expires=LINK_VALID, filename=uri.rsplit("/", 1)[-1]))

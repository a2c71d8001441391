"""Versions that fit an input, found while one types: what its query could find, or whatever has a type it takes."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest
from flyteidl.core import types_pb2

from artifacts.exceptions import CausewayError
from artifacts.governance.failing import with_failures
from artifacts.literals import is_castable
from artifacts.models import ArtifactVersion
from artifacts.queries import candidates
from artifacts.search import read_search
from artifacts.wanted import Wanted
from console.accounts import access
from scheduler.models import LaunchPlan, Task

LOOKED_AT = 100  # versions found, of which those that fit are shown
SHOWN = 20


def fitting_versions(
    request: HttpRequest,
    entity: LaunchPlan | Task,
    literal_type: types_pb2.LiteralType,
    text: str,
    wanted: Wanted | None = None,
) -> tuple[Sequence[ArtifactVersion], str]:
    """The newest that match the search, whose values the input takes, of what the user may read; and a problem with
    the search. `wanted`: what the input's query asks for; without one, versions of the entity's project.
    """
    readable = access.readable(request.user, project="artifact__project", domain="artifact__domain")
    rows = ArtifactVersion.objects.filter(readable, removed_at__isnull=True)
    if wanted is not None:
        place = {"project": wanted.project, "domain": wanted.domain, "name": wanted.name}
        rows = rows.filter(**{f"artifact__{key}": value for key, value in place.items()})
    elif "project:" not in text:
        rows = rows.filter(artifact__project=entity.project, artifact__domain=entity.domain)
    rows = (
        rows.select_related("artifact").prefetch_related("aliases", with_failures()).defer("literal", "card", "terms")
    )
    try:
        if wanted is not None and (first := rows.first()) is not None:
            rows = rows.filter(pk__in=candidates(first.artifact, wanted).values("pk"))
        found = read_search(text).page(rows, limit=LOOKED_AT).rows
    except CausewayError as error:
        return [], error.message
    return [version for version in found if _fits(version, literal_type)][:SHOWN], ""


def _fits(version: ArtifactVersion, literal_type: types_pb2.LiteralType) -> bool:
    return is_castable(types_pb2.LiteralType.FromString(bytes(version.literal_type)), literal_type)

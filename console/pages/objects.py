"""The object of a version: its files, what is in them, and all of them to download."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_GET
from flyteidl.core import literals_pb2, types_pb2

from artifacts.card_rendering import rendered
from artifacts.exceptions import NotFound
from artifacts.literals import describe_type, to_json
from artifacts.literals.protobuf import message_text
from artifacts.models import ArtifactVersion
from artifacts.preview.kinds import Kind
from artifacts.preview.looking import preview
from artifacts.store import store
from console.access_objects import access_version_id, check_present
from console.card_images import LARGEST, preview_path
from console.pages.artifacts_context import version_context
from console.pages.object_files import File, files_context, packed
from console.pages.responses import PageRequest, is_fragment, page
from console.pages.values import spell


@require_GET
@page
def show_object(request: PageRequest, version_id: int) -> HttpResponse:
    """The files, and below them what is in `?file=`, else in the first one."""
    version = access_version_id(request.user, version_id)
    literal = literals_pb2.Literal.FromString(bytes(version.literal))
    literal_type = types_pb2.LiteralType.FromString(bytes(version.literal_type))
    found = files_context(version.uri)
    chosen = _chosen(found["files"], request.GET.get("file"))
    context = version_context(version) | found
    context |= {
        "tab": "object",
        "raw": message_text(literal),
        "raw_type": message_text(literal_type),
        "type": describe_type(literal_type),
        "value": "" if version.uri else spell(to_json(literal, literal_type)),
        "chosen": chosen,
    }
    return render(request, "artifacts/object.html", context)


def _chosen(files: list[File], wanted: str | None) -> File | None:
    """NotFound for a file that is not there. Marks that writers leave (`_SUCCESS`, `.part`) are no first file."""
    if wanted is not None:
        return File(wanted, 0)
    plain = [file for file in files if not file.name.startswith(("_", "."))]
    return next(iter(plain or files), None)


@require_GET
@page
def show_preview(request: PageRequest, version_id: int) -> HttpResponse:
    """What is in `?file=` of the version: the fragment that the page asks for, and a page for who has no scripts."""
    version = access_version_id(request.user, version_id)
    context = version_context(version) | preview_context(version, request.GET.get("file", ""))
    template = "artifacts/_preview.html" if is_fragment(request) else "artifacts/preview.html"
    return render(request, template, context | {"tab": "object"})


def preview_context(version: ArtifactVersion, path: str) -> dict[str, Any]:
    """NotFound where there is no such file, or the version's data was removed."""
    check_present(version)
    uri = file_uri(version, path)
    seen = preview(uri)
    # Users' bytes are served by an address that serves nothing but pictures and sounds, and confines even those.
    is_media = seen.kind in (Kind.IMAGE, Kind.AUDIO) and seen.size <= LARGEST
    return {
        "path": path,
        "seen": seen,
        "media": preview_path(uri) if is_media else "",
        "card": rendered(seen.text, "markdown") if seen.kind is Kind.MARKDOWN else "",
    }


def file_uri(version: ArtifactVersion, path: str) -> str:
    """Of a file of the version; NotFound for one that could not be."""
    if not version.uri:
        raise NotFound("this version holds its value inline; there is no object")
    uri = store().join(version.uri, path) if path else version.uri
    if not store().contains(uri):
        raise NotFound(f"nothing lies at {uri[:300]}")
    return uri


@require_GET
@page
def download_all(request: PageRequest, version_id: int) -> HttpResponseBase:
    """All files as one ZIP archive, made while it is sent."""
    version = access_version_id(request.user, version_id)
    check_present(version)
    name = get_valid_filename(f"{version.artifact.name}-{version.version}"[:200])
    response = StreamingHttpResponse(packed(file_uri(version, "")), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return response

"""The page that answers "why" of a version or an execution."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from console.access_objects import access_execution, access_version_id
from console.accounts import access
from console.pages.artifacts_context import version_context
from console.pages.responses import PageRequest, page
from scheduler.reasons import Why, why_execution, why_version


@require_GET
@page
def show_version(request: PageRequest, version_id: int) -> HttpResponse:
    version = access_version_id(request.user, version_id)
    why = why_version(version, may_read=access.reader(request.user))
    context = {**version_context(version), **_context(why), "tab": "why"}
    return render(request, "why/version.html", context)


@require_GET
@page
def show_execution(request: PageRequest, project: str, domain: str, name: str) -> HttpResponse:
    execution = access_execution(request.user, project, domain, name)
    why = why_execution(execution, may_read=access.reader(request.user))
    return render(request, "why/execution.html", {"execution": execution, **_context(why)})


def _context(why: Why) -> dict[str, Any]:
    people = sorted({step.actor for step in why.steps if not step.is_automatic})
    return {"why": why, "people": people, "automatic": sum(step.is_automatic for step in why.steps)}

"""The project and domain somebody looks at: chosen in the top bar, kept in the session, overruled by the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from console.accounts import access

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Scope:
    """Empty: all of them."""

    project: str = ""
    domain: str = ""

    def __str__(self) -> str:
        return " / ".join(part for part in (self.project, self.domain) if part) or "All projects"


def scope_of(request: HttpRequest) -> Scope:
    kept = request.session.get("scope") or {}
    if "project" in request.GET or "domain" in request.GET:
        return Scope(request.GET.get("project", ""), request.GET.get("domain", ""))
    return Scope(kept.get("project", ""), kept.get("domain", ""))


def in_scope(request: HttpRequest, rows: QuerySet[Row], *, prefix: str = "") -> QuerySet[Row]:
    """The rows of the scope that the user may read. `prefix` leads to project and domain, e.g. `artifact__`."""
    project, domain = f"{prefix}project", f"{prefix}domain"
    rows = rows.filter(access.readable(request.user, project=project, domain=domain))
    scope = scope_of(request)
    if scope.project:
        rows = rows.filter(**{project: scope.project})
    if scope.domain:
        rows = rows.filter(**{domain: scope.domain})
    return rows

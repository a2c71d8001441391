"""The project and domain somebody looks at: chosen in the top bar, kept in the session, overruled by the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

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
    if is_from_outside(request):
        kept = {}
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


# Lists: their addresses say whose rows they show, so that a pasted one shows everybody the same.
LISTS = frozenset(
    f"/{name}/" if name else "/"
    for name in (
        *("", "artifacts", "artifacts/names", "executions", "approvals", "launch-plans", "schedules", "reactions"),
        *("workflows", "tasks", "map", "quotas"),
    )
)


def is_from_outside(request: HttpRequest) -> bool:
    """Whether a list was opened by an address that somebody typed or pasted, or from another site: what it does not
    say is then not taken from the session. Browsers say so (Fetch Metadata); of others nothing is known.
    """
    return request.path in LISTS - {"/"} and request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"


class ScopeInAddress:
    """Who goes from page to page to a list gets the scope into its address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self._is_step(request):
            kept = request.session.get("scope") or {}
            query = request.GET.copy()
            query.update({name: kept[name] for name in ("project", "domain") if kept.get(name)})
            if len(query) > len(request.GET):
                return redirect(f"{request.path}?{query.urlencode()}")
        return self.get_response(request)

    @staticmethod
    def _is_step(request: HttpRequest) -> bool:
        return (
            request.method == "GET"
            and request.path in LISTS
            and request.headers.get("Sec-Fetch-Site") == "same-origin"
            and "HX-Request" not in request.headers
            and "project" not in request.GET
            and "domain" not in request.GET
        )

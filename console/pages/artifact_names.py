"""Artifacts by name: what there is, how fresh, and who makes and reads it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from artifacts.models import Alias, Artifact
from artifacts.producers import name_of
from artifacts.summaries import COUNTED, Summary, summaries_of
from console.pages.paging import number
from console.pages.responses import PageRequest, page, respond
from console.pages.scope import in_scope
from lineage.names import stale_counts
from scheduler.models import TriggerSource

SHOWN = 500  # artifacts that are ordered; a search or the scope narrows more of them
PAGE = 100  # of them on a page
NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Row:
    artifact: Artifact
    summary: Summary
    aliases: list[str]
    stale: int  # partitions whose newest version is out of date
    readers: int  # launch plans that react to it

    @property
    def versions(self) -> str:
        return _counted(self.summary.versions)

    @property
    def partitions(self) -> str:
        return _counted(self.summary.partitions)

    @property
    def producer(self) -> str:
        return name_of(self.summary.producer or "") or self.summary.by or ""


def _counted(count: int) -> str:
    return f"{COUNTED:,}+" if count > COUNTED else f"{count:,}"


@dataclass(frozen=True)
class Column:
    """`href`: sorts by it, or the other way round where it does already; `way`: as aria-sort."""

    key: str
    title: str
    is_number: bool = False
    href: str = ""
    way: str = ""


_COLUMNS = (
    Column("name", "Name"),
    Column("kind", "Kind"),
    Column("versions", "Versions", is_number=True),
    Column("partitions", "Partitions", is_number=True),
    Column("stale", "Out of date", is_number=True),
    Column("producer", "Produced by"),
    Column("readers", "Read by", is_number=True),
    Column("size", "Size", is_number=True),
    Column("newest", "Newest", is_number=True),
)
_SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: (row.artifact.name, row.artifact.project, row.artifact.domain),
    "kind": lambda row: row.artifact.kind,
    "versions": lambda row: row.summary.versions,
    "partitions": lambda row: row.summary.partitions,
    "stale": lambda row: row.stale,
    "producer": lambda row: row.producer,
    "readers": lambda row: row.readers,
    "size": lambda row: row.summary.size_bytes or -1,
    "newest": lambda row: row.summary.newest_at or NEVER,
}
_PLAIN = ("name", "kind", "producer", "size", "newest")  # ordered by the newest version and the name alone
_DOWN_FIRST = ("versions", "partitions", "stale", "readers", "size", "newest")


@require_GET
@page
def list_names(request: PageRequest) -> HttpResponse:
    """`?q=` words of names and descriptions, `?kind=`, `?sort=name` or `-name`, `?page=` from 1 on."""
    text, kind = request.GET.get("q", "").strip(), request.GET.get("kind", "")
    rows = in_scope(request, Artifact.objects.all())
    for word in text.split():
        rows = rows.filter(Q(name__icontains=word) | Q(description__icontains=word))
    kinds = Counter(rows.values_list("kind", flat=True))
    rows = rows.filter(kind=kind) if kind else rows
    found = list(rows.order_by("-pk")[: SHOWN + 1])
    sort = request.GET.get("sort", "-newest")
    sort = sort if sort.removeprefix("-") in _SORTS else "-newest"
    pages = max(1, -(-min(len(found), SHOWN) // PAGE))
    at = min(max(number(request.GET.get("page", "")) or 1, 1), pages)
    context = {
        "rows": _ordered(found[:SHOWN], sort, at),
        "page": at,
        "pages": range(1, pages + 1),
        "columns": _columns(request, sort),
        "kinds": [(label, each, kinds[each]) for each, label in Artifact._meta.get_field("kind").choices or ()],
        "kind": kind,
        "q": text,
        "more": len(found) > SHOWN,
        "filtered": bool(text or kind),
    }
    return respond(request, "artifacts/names.html", "artifacts/_names.html", context, live=True)


def _ordered(artifacts: list[Artifact], sort: str, page: int) -> list[Row]:
    """One page. What is counted is counted of its rows alone, unless it is what they are ordered by."""
    key = sort.removeprefix("-")
    plain = key in _PLAIN
    rows = _plain_rows(artifacts) if plain else _rows(artifacts)
    by_name = sorted(rows, key=_SORTS["name"])
    ordered = sorted(by_name, key=_SORTS[key], reverse=sort.startswith("-"))[(page - 1) * PAGE : page * PAGE]
    if not plain:
        return ordered
    filled = {row.artifact.pk: row for row in _rows([row.artifact for row in ordered])}
    return [filled[row.artifact.pk] for row in ordered]


def _plain_rows(artifacts: list[Artifact]) -> list[Row]:
    summaries = summaries_of([artifact.pk for artifact in artifacts], with_counts=False)
    return [Row(one, summaries[one.pk], [], 0, 0) for one in artifacts]


def _rows(artifacts: list[Artifact]) -> list[Row]:
    """Four queries for all of them."""
    ids = [artifact.pk for artifact in artifacts]
    summaries, stale = summaries_of(ids), stale_counts(ids)
    aliases: dict[int, list[str]] = defaultdict(list)
    for artifact_id, name in Alias.objects.filter(artifact__in=ids).order_by("name").values_list("artifact_id", "name"):
        aliases[artifact_id].append(name)
    sources = TriggerSource.objects.filter(active=True, name__in={artifact.name for artifact in artifacts})
    readers = Counter(set(sources.values_list("project", "domain", "name", "trigger")))
    by_key = Counter(key[:3] for key in readers)
    return [Row(one, summaries[one.pk], aliases[one.pk], stale.get(one.pk, 0), by_key[one.key]) for one in artifacts]


def _columns(request: PageRequest, sort: str) -> list[Column]:
    found = []
    for column in _COLUMNS:
        query = request.GET.copy()
        query.pop("page", None)
        down = f"-{column.key}"
        if column.key == sort.removeprefix("-"):
            query["sort"] = column.key if sort == down else down
            way = "descending" if sort == down else "ascending"
        else:
            query["sort"], way = down if column.key in _DOWN_FIRST else column.key, ""
        found.append(replace(column, href=f"?{query.urlencode()}", way=way))
    return found

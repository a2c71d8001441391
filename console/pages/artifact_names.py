"""Artifacts by name: what there is, how fresh, and who makes and reads it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from django.db.models import Count, Q
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from artifacts.models import Alias, Artifact, CheckResult, CheckStatus
from artifacts.producers import name_of
from artifacts.summaries import COUNTED, Summary, summaries_of
from console.pages.paging import PAGE_SIZE, number
from console.pages.responses import PageRequest, page, respond
from console.pages.scope import in_scope
from lineage.names import stale_counts
from scheduler.models import TriggerSource

SHOWN = 500  # artifacts that are ordered; a search or the scope narrows more of them
NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Row:
    artifact: Artifact
    summary: Summary
    aliases: list[str]
    stale: int  # partitions whose newest version is out of date
    readers: int  # launch plans that react to it
    checked: str = ""  # what checks say of its newest version, the worst of them; empty: nothing

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
    Column("checked", "Checks"),
    Column("producer", "Produced by"),
    Column("readers", "Read by", is_number=True),
    Column("size", "Size", is_number=True),
    Column("newest", "Newest", is_number=True),
)
_WORST = ("", CheckStatus.PASSED, CheckStatus.PENDING, CheckStatus.FAILED)  # the worst last
_SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: (row.artifact.name, row.artifact.project, row.artifact.domain),
    "kind": lambda row: row.artifact.kind,
    "versions": lambda row: row.summary.versions,
    "partitions": lambda row: row.summary.partitions,
    "stale": lambda row: row.stale,
    "checked": lambda row: _WORST.index(row.checked),
    "producer": lambda row: row.producer,
    "readers": lambda row: row.readers,
    "size": lambda row: row.summary.size_bytes or -1,
    "newest": lambda row: row.summary.newest_at or NEVER,
}
# What is asked for besides the newest version and the name, by what it is ordered by.
_NEEDS = {"versions": "counts", "partitions": "counts", "stale": "stale", "readers": "readers", "checked": "checks"}
_ALL = frozenset(("counts", "stale", "readers", "aliases", "checks"))
_DOWN_FIRST = ("versions", "partitions", "stale", "checked", "readers", "size", "newest")


@require_GET
@page
def list_names(request: PageRequest) -> HttpResponse:
    """`?q=` words of names and descriptions, `?kind=`, `?sort=name` or `-name`, `?page=` from 1 on."""
    text, kind = request.GET.get("q", "").strip(), request.GET.get("kind", "")
    rows = in_scope(request, Artifact.objects.all())
    for word in text.split():
        rows = rows.filter(Q(name__icontains=word) | Q(description__icontains=word))
    kinds = dict(rows.order_by().values_list("kind").annotate(Count("pk")))
    rows = rows.filter(kind=kind) if kind else rows
    found = list(rows.order_by("-pk")[: SHOWN + 1])
    sort = request.GET.get("sort", "-newest")
    sort = sort if sort.removeprefix("-") in _SORTS else "-newest"
    pages = max(1, -(-min(len(found), SHOWN) // PAGE_SIZE))
    at = min(max(number(request.GET.get("page", "")) or 1, 1), pages)
    context = {
        "rows": _ordered(found[:SHOWN], sort, at),
        "page": at,
        "pages": range(1, pages + 1),
        "columns": _columns(request, sort),
        "kinds": [(label, each, kinds.get(each, 0)) for each, label in Artifact._meta.get_field("kind").choices or ()],
        "kind": kind,
        "q": text,
        "more": len(found) > SHOWN,
        "filtered": bool(text or kind),
    }
    return respond(request, "artifacts/names.html", "artifacts/_names.html", context, live=True)


def _ordered(artifacts: list[Artifact], sort: str, page: int) -> list[Row]:
    """One page. Of all only what they are ordered by is asked for, the rest of the rows of the page alone."""
    key = sort.removeprefix("-")
    by_name = sorted(_rows(artifacts, {_NEEDS.get(key, "")}), key=_SORTS["name"])
    ordered = sorted(by_name, key=_SORTS[key], reverse=sort.startswith("-"))[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    filled = {row.artifact.pk: row for row in _rows([row.artifact for row in ordered], _ALL)}
    return [filled[row.artifact.pk] for row in ordered]


def _rows(artifacts: list[Artifact], needs: Collection[str]) -> list[Row]:
    """A query for the newest versions, with their counts where these are needed, and one for each other need."""
    ids = [artifact.pk for artifact in artifacts]
    summaries = summaries_of(ids, with_counts="counts" in needs)
    stale = stale_counts(ids) if "stale" in needs else {}
    readers = _readers(artifacts) if "readers" in needs else Counter()
    aliases: dict[int, list[str]] = defaultdict(list)
    rows = Alias.objects.filter(artifact__in=ids if "aliases" in needs else []).order_by("name")
    for artifact_id, name in rows.values_list("artifact_id", "name").distinct():
        aliases[artifact_id].append(name)
    checked = _checked(summaries) if "checks" in needs else {}
    return [
        Row(one, summaries[one.pk], aliases[one.pk], stale.get(one.pk, 0), readers[one.key], checked.get(one.pk, ""))
        for one in artifacts
    ]


def _checked(summaries: Mapping[int, Summary]) -> dict[int, str]:
    """By artifact: the worst that checks say of its newest version."""
    found: dict[int, str] = {}
    rows = CheckResult.objects.filter(version__in=[one.newest for one in summaries.values() if one.newest is not None])
    for artifact, status in rows.values_list("version__artifact", "status"):
        found[artifact] = max(found.get(artifact, ""), status, key=_WORST.index)
    return found


def _readers(artifacts: list[Artifact]) -> Counter[tuple[str, str, str]]:
    """By an artifact's key."""
    sources = TriggerSource.objects.filter(active=True, name__in={artifact.name for artifact in artifacts})
    found = set(sources.values_list("project", "domain", "name", "trigger"))
    return Counter((project, domain, name) for project, domain, name, _ in found)


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

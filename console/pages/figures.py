"""The operators' figures as a page, for who has no Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from console import figures
from console.accounts import access
from console.accounts.access import Action
from console.pages.responses import PageRequest, page
from console.pages.wording import spell_duration, spell_size

_BYTES = ("memory",)


@dataclass(frozen=True)
class Row:
    what: str
    of: str
    value: str


@dataclass(frozen=True)
class Group:
    title: str
    rows: list[Row]


_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Work",
        ("causeway_executions", "causeway_executions_held", "causeway_attempts", "causeway_oldest_queued_seconds"),
    ),
    (
        "Waiting",
        (
            "causeway_triggers_waiting",
            "causeway_gates_waiting",
            "causeway_schedules_late",
            "causeway_notifications_waiting",
            "causeway_lineage_events_waiting",
            "causeway_late_work",
        ),
    ),
    ("Executors", ("causeway_executors_alive", "causeway_executor_asked", "causeway_executor_capacity")),
    (
        "Database and broker",
        (
            "causeway_rows",
            "causeway_database_bytes",
            "causeway_database_sessions",
            "causeway_database_sessions_max",
            "causeway_database_oldest_transaction_seconds",
            "causeway_database_answer_seconds",
            "causeway_broker_answer_seconds",
            "causeway_broker_messages",
        ),
    ),
)


@never_cache
@require_GET
@page
def show_figures(request: PageRequest) -> HttpResponse:
    access.require(request.user, Action.WATCH)
    found = figures.gather()
    context = {
        "parts": [(dict(sample.labels)["part"], bool(sample.value)) for sample in found["causeway_up"]],
        "hour": figures.last_hour(),
        "ends": figures.ends_of_last_hour(),
        "groups": [Group(title, _rows(names, found)) for title, names in _GROUPS],
    }
    return render(request, "account/figures.html", context)


def _rows(names: tuple[str, ...], found: Mapping[str, list[figures.Sample]]) -> list[Row]:
    return [
        Row(figures.KINDS[name].help.rstrip("."), ", ".join(value for _, value in sample.labels if value), shown)
        for name in names
        for sample in found.get(name, ())
        for shown in [_spell(name, sample)]
    ]


def _spell(name: str, sample: figures.Sample) -> str:
    if name.endswith("_bytes") or dict(sample.labels).get("resource") in _BYTES:
        return spell_size(int(sample.value))
    if name.endswith("_answer_seconds"):
        return f"{1000 * sample.value:.1f} ms"
    if name.endswith("_seconds"):
        return spell_duration(timedelta(seconds=sample.value))
    return f"{sample.value:,.10g}"

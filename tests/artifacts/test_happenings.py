from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from artifacts.actions.aliases import drop_alias, move_alias
from artifacts.actions.retention import remove
from artifacts.happenings import EXPIRED, KINDS, Kind, follow, happened, register
from artifacts.models import Happening, Metric
from scheduler.happenings import TRIES, handle, unhandled
from tests.artifacts.publishing import published

pytestmark = pytest.mark.django_db


@pytest.fixture
def kind() -> Iterator[Kind]:
    made = register("test.fell", "fell")
    yield made
    del KINDS[made.name]


def test_it_writes_that_a_version_was_published() -> None:
    version = published("m", 1)
    row = Happening.objects.get()
    assert (row.kind, row.version, row.artifact, row.at) == (
        "version.published",
        version,
        version.artifact,
        version.created_at,
    )
    assert (row.project, row.domain, row.subject) == ("flytesnacks", "development", str(version))
    assert (row.execution_key, row.actor, row.detail) == (version.execution_key, "ada", {})
    assert row.handled_at is not None


def test_it_writes_nothing_for_what_was_published_before() -> None:
    published("m", 1)
    published("m", 1)
    assert Happening.objects.count() == 1
    assert not Metric.objects.exists()


def test_it_writes_moves_and_ends_of_aliases() -> None:
    first, second = published("m", 1), published("m", 2)
    move_alias(first, "champion", actor="ada", reason="best so far")
    move_alias(second, "champion", actor="bob")
    drop_alias(first.artifact, "champion", actor="bob")
    rows = Happening.objects.exclude(kind="version.published").order_by("pk")
    assert [(row.kind, row.name, row.version, row.actor) for row in rows] == [
        ("alias.moved", "champion", first, "ada"),
        ("alias.moved", "champion", second, "bob"),
        ("alias.removed", "champion", None, "bob"),
    ]
    assert rows[1].detail["from"] == first.version
    assert {row.subject for row in rows} == {f"{first.artifact}:champion"}


def test_it_writes_that_a_policy_let_a_version_go() -> None:
    version = published("m", 1)
    remove([version], actor="system:retention", reason="retention: keep 1 day", kind=EXPIRED)
    remove([version], actor="system:retention", reason="again", kind=EXPIRED)
    row = Happening.objects.get(kind="version.expired")
    assert (row.version, row.detail) == (version, {"reason": "retention: keep 1 day"})


def test_what_follows_is_done_once(kind: Kind) -> None:
    done: list[str] = []
    follow(kind)(lambda happening: done.append(happening.subject))
    row = happened(kind, actor="ada", subject="a tree")
    assert row is not None and unhandled(limit=10) == [row.pk]
    assert handle(row.pk)
    assert not handle(row.pk)
    assert done == ["a tree"]
    assert unhandled(limit=10) == []


def test_a_consequence_that_breaks_is_noted_and_keeps_no_other_from_its_effect(kind: Kind) -> None:
    @follow(kind)
    def breaks(happening: Happening) -> None:
        published("m", 1)
        raise RuntimeError("no such luck")

    @follow(kind)
    def works(happening: Happening) -> None:
        published("m", 2)

    row = happened(kind, actor="ada", subject="a tree", detail={"high": 3})
    assert row is not None
    handle(row.pk)
    row.refresh_from_db()
    assert row.detail == {"high": 3, "broken": ["breaks: no such luck"]}
    assert row.handled_at is not None
    assert [one.subject.rpartition("@")[2][:2] for one in Happening.objects.filter(kind="version.published")] == ["x2"]


def test_it_is_gone_with_the_fact(kind: Kind) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        happened(kind, actor="ada", subject="a tree")
        raise ZeroDivisionError
    assert not Happening.objects.exists()


def test_of_one_key_there_is_one(kind: Kind) -> None:
    assert happened(kind, actor="ada", subject="a tree", key="fell:1") is not None
    assert happened(kind, actor="bob", subject="a tree", key="fell:1") is None
    assert happened(kind, actor="bob", subject="a tree", key="fell:2") is not None
    assert [row.actor for row in Happening.objects.order_by("pk")] == ["ada", "bob"]


def test_a_kind_is_registered_once(kind: Kind) -> None:
    with pytest.raises(ValueError, match=r"test\.fell"):
        register("test.fell", "fell over")


def test_what_breaks_is_done_again_alone_until_it_works(kind: Kind) -> None:
    calls: list[str] = []

    @follow(kind)
    def breaks_once(happening: Happening) -> None:
        calls.append("breaks_once")
        if calls.count("breaks_once") <= 2:
            raise RuntimeError("no such luck")

    @follow(kind)
    def works(happening: Happening) -> None:
        calls.append("works")

    row = happened(kind, actor="ada", subject="a tree")
    assert row is not None
    handle(row.pk)
    row.refresh_from_db()
    assert (row.undone, row.tries, row.detail["broken"]) == (["breaks_once"], 1, ["breaks_once: no such luck"])
    assert row.retry_at is not None and unhandled(limit=10) == []
    assert not handle(row.pk)
    Happening.objects.update(retry_at=timezone.now())
    assert unhandled(limit=10) == [row.pk]
    assert [handle(row.pk), handle(row.pk)] == [True, False]
    done = Happening.objects.get(pk=row.pk)
    assert (done.undone, done.retry_at, done.detail) == ([], None, {})
    assert calls == ["breaks_once", "breaks_once", "works", "breaks_once"]  # all at once, each apart, then alone


def test_what_breaks_again_and_again_is_given_up_and_stays_to_be_seen(kind: Kind) -> None:
    @follow(kind)
    def breaks(happening: Happening) -> None:
        raise RuntimeError("no such luck")

    row = happened(kind, actor="ada", subject="a tree")
    assert row is not None
    pauses = []
    while handle(row.pk):
        row.refresh_from_db()
        pauses.append(round((row.retry_at - timezone.now()).total_seconds(), -1) if row.retry_at else None)
        Happening.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())
    assert pauses == [10, 60, 600, 3600, 21600, None]
    row.refresh_from_db()
    assert (row.undone, row.tries, row.detail["broken"]) == (["breaks"], TRIES, ["breaks: no such luck"])


def test_what_asks_for_another_time_is_done_then(kind: Kind) -> None:
    later = timezone.now() + timedelta(hours=3)
    answers = iter([later, None])
    follow(kind)(lambda happening: next(answers))
    row = happened(kind, actor="ada", subject="a tree")
    assert row is not None
    handle(row.pk)
    row.refresh_from_db()
    assert (row.retry_at, row.tries) == (later, 0)
    Happening.objects.update(retry_at=timezone.now())
    assert handle(row.pk)
    assert next(answers, "all were asked") == "all were asked"
    assert unhandled(limit=10) == []

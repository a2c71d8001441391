"""Artifacts by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from artifacts import summaries
from artifacts.actions.publish import Publication, publish
from artifacts.models import ArtifactVersion, CheckResult, CheckStatus, Kind
from console.accounts.models import User
from lineage.actions.record import record_derivations
from scheduler.models import TriggerSource
from tests.artifacts.publishing import INT, integer
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]
NAMES = "/artifacts/names/"


def made(name: str, **over: Any) -> ArtifactVersion:
    return publish(Publication("demo", "development", name, integer(1), INT, **over), actor="ann")


def rows(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"{NAMES}{query}")
    assert answer.status_code == 200
    return {row.artifact.name: row for row in answer.context["rows"]}


def test_each_name_stands_once_with_what_there_is_of_it(world: World, browse: Browse) -> None:
    for number in range(40):
        make_version("storm", Kind.VALUE, number=500 + number)
    TriggerSource.objects.update(active=True)
    make_version("ml-model", Kind.MODEL, number=900, removed_at=timezone.now())
    client = browse(world.admin)

    found = rows(client)

    assert set(found) == {"ml-model", "ml-dataset", "storm"}
    assert found["ml-model"].aliases == ["champion"] and found["ml-model"].versions == "1"
    assert found["ml-dataset"].readers == 1 and found["ml-model"].summary.newest == world.model.pk
    assert found["ml-model"].producer == "tests.console.pages.program.train"
    assert 'href="/artifacts/?q=name%3Astorm"' in client.get(NAMES).content.decode()
    assert [row.artifact.name for row in client.get("/artifacts/?q=name%3Astorm").context["page"].rows][0] == "storm"


def test_it_says_what_checks_say_of_the_newest_version(world: World, browse: Browse) -> None:
    passed = {"kind": "metric", "severity": "block", "status": CheckStatus.PASSED, "at": timezone.now()}
    for name, over in (("good", {}), ("fresh", {"status": CheckStatus.FAILED})):
        CheckResult.objects.create(version=world.model, name=name, **(passed | over))
    CheckResult.objects.create(version=make_version("ml-dataset", Kind.DATASET, number=800), name="old", **passed)
    client = browse(world.admin)

    found = rows(client, "?sort=-checked")

    assert [(name, row.checked) for name, row in found.items()][0] == ("ml-model", CheckStatus.FAILED)
    assert found["ml-dataset"].checked == "", "an older version's does not count"


def test_it_counts_what_is_out_of_date(world: World, browse: Browse) -> None:
    source, model = made("raw"), made("made-of-raw")
    record_derivations([(source.pk, model.pk)])
    client = browse(world.admin)
    assert rows(client)["made-of-raw"].stale == 0
    made("raw")
    assert rows(client)["made-of-raw"].stale == 1


@pytest.mark.parametrize(
    "key", ["name", "kind", "versions", "partitions", "stale", "checked", "producer", "readers", "size", "newest"]
)
def test_every_column_sorts_both_ways(world: World, browse: Browse, key: str) -> None:
    judged = make_version("judged", Kind.MODEL)
    CheckResult.objects.create(version=judged, name="good", status=CheckStatus.FAILED, at=timezone.now())
    made("alone", size_bytes=7)
    TriggerSource.objects.update(active=True)
    client = browse(world.admin)
    up, down = list(rows(client, f"?sort={key}")), list(rows(client, f"?sort=-{key}"))
    assert set(up) == set(down) and up != down or key in ("stale", "partitions")
    column = next(each for each in client.get(f"{NAMES}?sort={key}").context["columns"] if each.key == key)
    assert (column.way, column.href) == ("ascending", f"?sort=-{key}")


def test_it_narrows_by_words_and_kind_and_to_what_one_may_read(world: World, browse: Browse) -> None:
    make_version("hidden", Kind.MODEL, project="secret")
    client = browse(world.admin)
    assert set(rows(client, "?q=model")) == {"ml-model"}
    assert set(rows(client, "?kind=dataset")) == {"ml-dataset"}
    assert "Nothing matches" in client.get(f"{NAMES}?q=nothing").content.decode()
    assert "hidden" not in rows(browse(world.viewer)) and rows(browse(world.outsider)) == {}
    assert "No artifacts here yet" in browse(world.outsider).get(NAMES).content.decode()


def test_counts_go_so_far(world: World, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "COUNTED", 1)
    make_version("storm", Kind.VALUE, number=1)
    for number in range(5):
        make_version("storm", Kind.VALUE, number=500 + number)
    assert rows(browse(world.admin))["storm"].summary.versions == 2

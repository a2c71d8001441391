from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.models import Alias, ArtifactVersion, Kind, Partition, Removal, RetentionPolicy
from audit.models import AuditEvent
from console.accounts.models import User
from lineage.actions.record import record_derivations
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]


def text_of(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, path
    return response.content.decode()


def test_it_shows_the_whole_ancestry_as_drawing_table_and_files(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    page = f"/artifacts/versions/{world.model.pk}/graph/"
    response = client.get(page)
    assert [row.version.name for row in response.context["rows"]] == ["ml-dataset"]
    assert {box.title for box in response.context["boxes"]} == {"ml-model", "ml-dataset"}
    assert "ml-model" in text_of(
        client, f"/artifacts/versions/{world.dataset.pk}/graph/?direction=downstream&depth=all"
    )
    assert text_of(client, f"{page}?format=dot").startswith("digraph")
    assert text_of(client, f"{page}?format=mermaid").startswith("flowchart")
    assert len(json.loads(text_of(client, f"{page}?format=json"))["nodes"]) == 2
    assert json.loads(text_of(client, f"{page}?format=openlineage"))[0]["eventType"] == "COMPLETE"
    assert "format must be one of" in text_of(client, f"{page}?format=exe", 400)
    for depth in ("0", "-1", "9" * 40, "x", "²"):
        assert client.get(f"{page}?depth={depth}").status_code == 200


def test_versions_that_may_not_be_read_have_no_name(world: World, browse: Browse) -> None:
    secret = make_version("secret-data", Kind.DATASET, project="elsewhere")
    later = make_version("report", Kind.FILE)
    record_derivations([(secret.pk, later.pk)])
    page = f"/artifacts/versions/{later.pk}/graph/"
    assert "secret-data" in text_of(browse(world.admin), page)
    seen = text_of(browse(world.viewer), page)
    assert "secret-data" not in seen and "not visible to you" in seen
    for path in (f"/artifacts/versions/{later.pk}/lineage/", "/map/", f"{page}?format=json", f"{page}?format=mermaid"):
        assert "secret-data" not in text_of(browse(world.viewer), path)


def test_it_shows_what_is_out_of_date_and_what_it_was_trained_on(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    page = f"/artifacts/versions/{world.model.pk}/lineage/"
    before = text_of(client, page)
    assert "Trained on" in before and "Out of date" not in before
    make_version(
        "ml-dataset",
        Kind.DATASET,
        number=77,
        partitions=world.dataset.partitions,
        created_at=timezone.now(),
    )
    after = text_of(client, page)
    assert "Out of date" in after and "stale" in text_of(client, f"/artifacts/versions/{world.model.pk}/")
    Partition.objects.create(
        artifact=world.model.artifact, digest=world.model.partition_digest, values=world.model.partitions
    )
    assert "Out of date" in text_of(client, "/map/")


def test_it_compares_two_versions(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    other = make_version("ml-model", Kind.MODEL, number=78, metrics={"auc": 0.1}, card="# other")
    led = client.get(f"/artifacts/versions/{other.pk}/compare/")  # with the one before it, by itself
    assert led["Location"] == f"/compare/?v={world.model.pk}&v={other.pk}"
    found = text_of(client, led["Location"])
    assert "auc" in found and "demo/development/ml-dataset" in found
    for asked, status in ((world.dataset.pk, 200), (999999, 404), ("x", 200)):
        answer = client.get(f"/artifacts/versions/{other.pk}/compare/?with={asked}", follow=True)
        assert answer.status_code == status, asked
    moved = client.get(f"/artifacts/versions/{other.pk}/compare/?with={other.pk}&this={world.model.pk}")
    assert moved["Location"] == f"/compare/?v={other.pk}&v={world.model.pk}"


def test_it_draws_the_map_with_a_bounded_number_of_queries(
    world: World, browse: Browse, django_assert_max_num_queries: Any
) -> None:
    client = browse(world.admin)
    one = text_of(client, "/map/?artifact=demo/development/ml-model")
    assert "ml-dataset" in one and "ml-model" in one
    assert text_of(client, "/map/?format=dot").startswith("digraph")
    assert client.get("/map/?artifact=demo/development/nothing").status_code == 404
    for number in range(20):
        made = make_version(f"made-{number}", Kind.FILE)
        record_derivations([(world.dataset.pk, made.pk)])
    with django_assert_max_num_queries(16):
        client.get("/map/")


@pytest.fixture
def old(world: World) -> list[ArtifactVersion]:
    now = timezone.now()
    return [make_version("logs", Kind.VALUE, number=n, created_at=now - timedelta(days=9 - n)) for n in range(3)]


def test_a_policy_is_tried_saved_run_and_deleted(world: World, browse: Browse, old: list[ArtifactVersion]) -> None:
    client = browse(world.admin)
    page = f"/artifacts/retention/{old[0].artifact_id}/"
    assert "No policy" in text_of(client, page)
    tried = client.post(f"{page}set/", {"try": "1", "keep_newest": "1", "keep_days": ""}, follow=True)
    assert [one.pk for one in tried.context["plan"].remove] == [old[0].pk, old[1].pk]
    assert not RetentionPolicy.objects.exists()
    Alias.objects.create(artifact=old[0].artifact, name="first", version=old[0], moved_at=timezone.now())
    client.post(f"{page}set/", {"keep_newest": "1", "keep_days": "2.5", "keep_ancestors": "on"})
    saved = text_of(client, page)
    assert "alias &#x27;first&#x27; names it" in saved
    client.post(f"{page}run/")
    assert [one.version_id for one in Removal.objects.all()] == [old[1].pk]
    assert "Removed so far" in text_of(client, page)
    client.post(f"{page}set/", {"delete": "1"})
    assert not RetentionPolicy.objects.exists()
    assert list(AuditEvent.objects.filter(actor="admin").values_list("verb", flat=True).order_by("id")) == [
        "retention.set",
        "retention.run",
        "retention.remove",
    ]
    for bad in ({"keep_newest": "x"}, {"keep_newest": "0"}, {"keep_days": "1e999"}, {}):
        client.post(f"{page}set/", bad)
        assert client.get(page, bad).status_code == 200
    assert not RetentionPolicy.objects.exists()


def test_only_admins_change_retention(world: World, browse: Browse, old: list[ArtifactVersion]) -> None:
    client = browse(world.viewer)
    page = f"/artifacts/retention/{old[0].artifact_id}/"
    assert "Save" not in text_of(client, page)
    assert client.post(f"{page}set/", {"keep_newest": "1"}).status_code == 403
    assert client.post(f"{page}run/").status_code == 403
    assert client.get(f"/artifacts/versions/{old[0].pk}/remove/").status_code == 403
    assert browse(world.outsider).get(page).status_code == 404


def test_a_version_is_removed_by_hand(world: World, browse: Browse, old: list[ArtifactVersion]) -> None:
    client = browse(world.admin)
    page = f"/artifacts/versions/{old[0].pk}/remove/"
    assert "Remove a version" in text_of(client, page)
    client.post(page, {"reason": "wrong"})
    assert Removal.objects.get().reason == "wrong"
    record_derivations([(old[1].pk, old[2].pk)])
    page = f"/artifacts/versions/{old[1].pk}/remove/"
    assert "made of it" in text_of(client, page)
    client.post(page, {"reason": "wrong"})
    assert Removal.objects.count() == 1
    client.post(page, {"reason": "wrong", "tombstone": "on"})
    assert Removal.objects.count() == 2
    assert "cannot be removed" in text_of(client, page)

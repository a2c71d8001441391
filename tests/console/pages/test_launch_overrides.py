"""Another version than the query finds: which are offered, and what is asked before one that does not fit is taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.models import ArtifactVersion, Kind
from console.accounts import tokens
from console.accounts.models import User
from console.pages import launch_form
from scheduler.actions.launch import relaunch
from scheduler.models import Execution
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]
LAUNCH = "/launch-plans/demo/development/train_on_dataset/launch/"


@pytest.fixture
def lax(world: World) -> ArtifactVersion:
    return ArtifactVersion.objects.get(artifact__name="ml-dataset", partitions={"region": "LAX"})


def launched(client: Client, **fields: str) -> Execution | None:
    before = set(Execution.objects.values_list("pk", flat=True))
    client.post(LAUNCH, {f"in.{name.replace('__', '.')}": value for name, value in fields.items()})
    return Execution.objects.exclude(pk__in=before).first()


def test_a_version_that_does_not_fit_is_taken_only_after_saying_so(
    world: World, browse: Browse, lax: ArtifactVersion
) -> None:
    client = browse(world.admin)
    given = {"region": "SEA", "dataset__version": str(lax.pk)}

    assert launched(client, **given) is None
    page = client.post(LAUNCH, {"in.region": "SEA", "in.dataset.version": str(lax.pk)}).content.decode()
    assert "is not ml-dataset with region=SEA" in page and 'name="in.dataset.anyway"' in page

    run = launched(client, **given, dataset__anyway="1")

    assert run is not None and run.resolution["dataset"]["outside"] == "ml-dataset with region=SEA"
    shown = client.get(f"/executions/demo/development/{run.name}/").content.decode()
    assert "asks for ml-dataset with region=SEA" in shown and "none of these" in shown


def test_an_older_one_that_fits_is_taken_without_a_word(world: World, browse: Browse) -> None:
    older = make_version("ml-dataset", Kind.DATASET, number=900)

    run = launched(browse(world.admin), region="SEA", dataset__version=str(older.pk))

    assert run is not None and run.resolution["dataset"]["version_id"] == older.pk
    assert "outside" not in run.resolution["dataset"]


def test_the_run_is_marked_at_every_door_and_when_it_is_launched_again(world: World, lax: ArtifactVersion) -> None:
    token = tokens.create(world.admin, "test")[1]
    body = {
        "project": "demo",
        "domain": "development",
        "launch_plan": {"name": "train_on_dataset"},
        "inputs": {"region": "SEA"},
        "artifacts": {"dataset": lax.pk},
    }

    answer = Client().post(
        "/api/v1/executions", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )

    assert (
        answer.status_code == 201 and answer.json()["resolution"]["dataset"]["outside"] == "ml-dataset with region=SEA"
    )
    run = Execution.objects.get(name=answer.json()["name"])
    assert relaunch(run, actor="admin").resolution["dataset"]["outside"] == "ml-dataset with region=SEA"


def test_it_offers_what_fits_first_and_any_other_by_name(
    world: World, browse: Browse, lax: ArtifactVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch_form, "CHOICES_SHOWN", 3)
    now = timezone.now()
    for number in range(6):
        make_version(
            "ml-dataset",
            Kind.DATASET,
            number=200 + number,
            partitions={"region": "LAX"},
            created_at=now - timedelta(hours=1),
        )
    old = make_version("ml-dataset", Kind.DATASET, number=5000)
    removed = make_version("ml-dataset", Kind.DATASET, number=2, removed_at=now)
    client = browse(world.admin)

    field = next(each for each in client.get(f"{LAUNCH}?in.region=SEA").context["fields"] if each.is_query)

    assert {version.partitions["region"] for version in field.fitting} == {"SEA"}
    assert {version.partitions["region"] for version in field.others} == {"LAX"} and len(field.others) == 3
    assert removed not in field.fitting
    run = launched(client, region="SEA", dataset__named=old.version)
    assert run is not None and run.resolution["dataset"]["version_id"] == old.pk
    assert launched(client, region="SEA", dataset__named="no-such") is None
    assert launched(client, region="SEA", dataset__version=str(removed.pk)) is None


def test_what_was_chosen_stands_in_the_box_instead_of_what_the_query_finds(
    world: World, browse: Browse, lax: ArtifactVersion
) -> None:
    query = f"{LAUNCH}?field=dataset&in.region=SEA&in.dataset.version={lax.pk}"

    box = browse(world.admin).get(query, headers={"HX-Request": "true"}).content.decode()

    assert "Instead:" in box and "LAX" in box and f"/artifacts/versions/{world.dataset.pk}/" not in box


def test_latest_is_of_the_same_partitions_and_of_what_was_not_removed(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    sea = world.dataset
    newer = make_version("ml-dataset", Kind.DATASET, number=0, partitions={"region": "LAX"})

    def is_latest(version: ArtifactVersion) -> bool:
        return bool(client.get(f"/artifacts/versions/{version.pk}/").context["is_latest"])

    assert is_latest(sea) and is_latest(newer)
    gone = make_version("ml-dataset", Kind.DATASET, number=1, removed_at=timezone.now())
    assert is_latest(sea) and not is_latest(gone)
    again = make_version("ml-dataset", Kind.DATASET, number=3)
    assert is_latest(again) and not is_latest(sea)
    page = client.get("/artifacts/demo/development/ml-dataset/")
    assert page.context["newest"] == newer.pk


def test_days_are_partitions_of_their_own(world: World, browse: Browse) -> None:
    first = make_version("daily", Kind.DATASET, number=1, time_partition=timezone.now().replace(hour=0, minute=0))
    earlier = make_version(
        "daily",
        Kind.DATASET,
        number=2,
        time_partition=first.time_partition - timedelta(days=1),  # type: ignore[operator]
    )
    for version in (first, earlier):
        assert browse(world.admin).get(f"/artifacts/versions/{version.pk}/").context["is_latest"]

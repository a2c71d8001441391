"""An artifact's page: versions found and sorted, metrics as columns and charts, aliases moved, gaps launched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from flyteidl.core import literals_pb2

from artifacts.governance.pointers import set_alias_policy
from artifacts.models import Alias, AliasMove, Artifact, ArtifactVersion, Granularity, Kind, Metric
from audit.models import AuditEvent
from console.accounts.models import Role, User
from scheduler.models import Gate
from tests.console.pages.cast import World, make_version, user

Browse = Callable[[User], Client]
PAGE = "/artifacts/demo/development/scored/"


@pytest.fixture
def scored(world: World) -> list[ArtifactVersion]:
    """Six versions, of two regions in turn, the last the newest."""
    now = timezone.now()
    made = [
        make_version(
            "scored",
            Kind.MODEL,
            number=100 + at,
            partitions={"region": "SEA" if at % 2 else "LAX"},
            metrics={"auc": (80 + at) / 100, "loss": 1 - at / 10},
            created_at=now - timedelta(hours=10 - at),
        )
        for at in range(6)
    ]
    rows = [Metric(version=one, name=name, value=value) for one in made for name, value in one.metrics.items()]
    Metric.objects.bulk_create(rows)
    return made


def decide(world: World, *, approve: bool) -> Gate:
    gate = world.gate
    literal = literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(boolean=approve)))
    gate.value, gate.decided_at, gate.decided_by = literal.SerializeToString(), timezone.now(), "ann"
    gate.save()
    return gate


def shown(answer: object) -> list[int]:
    return [row.pk for row in answer.context["page"].rows]  # type: ignore[attr-defined]


def test_it_draws_each_metric_by_partition_with_aliases(
    world: World, browse: Browse, scored: list[ArtifactVersion]
) -> None:
    Alias.objects.create(artifact=scored[3].artifact, name="champion", version=scored[3], moved_at=timezone.now())
    charts = browse(world.admin).get(PAGE).context["charts"]

    assert [drawn.title for drawn in charts] == ["auc", "loss"]
    assert sorted(series.name for series in charts[0].series) == ["LAX", "SEA"]
    marked = [each.dot for series in charts[0].series for each in series.dots if each.dot.mark]
    assert [(dot.mark, dot.value, dot.url) for dot in marked] == [
        ("champion", 0.83, f"/artifacts/versions/{scored[3].pk}/")
    ]


def test_what_was_approved_is_marked_and_leads_to_the_decision(world: World, browse: Browse) -> None:
    make_version("ml-model", Kind.MODEL, number=1, metrics={"accuracy": 0.9})
    gate = decide(world, approve=True)
    answer = browse(world.admin).get("/artifacts/demo/development/ml-model/")

    assert f'href="/approvals/{gate.pk}/"' in answer.content.decode() and ">approved<" in answer.content.decode()
    ringed = {dot.dot.url: dot.dot.is_ringed for series in answer.context["charts"][0].series for dot in series.dots}
    assert ringed[f"/artifacts/versions/{world.model.pk}/"] and sum(ringed.values()) == 1
    decide(world, approve=False)
    assert ">rejected<" in browse(world.admin).get("/artifacts/demo/development/ml-model/").content.decode()


def test_data_that_an_approved_run_used_is_not_approved(world: World, browse: Browse) -> None:
    decide(world, approve=True)
    assert browse(world.admin).get("/artifacts/demo/development/ml-dataset/").context["decisions"] == {}


def test_versions_are_narrowed_and_sorted_by_a_metric(
    world: World, browse: Browse, scored: list[ArtifactVersion]
) -> None:
    client = browse(world.admin)
    assert shown(client.get(f"{PAGE}?q=region=SEA")) == [scored[at].pk for at in (5, 3, 1)]
    assert shown(client.get(f"{PAGE}?q=sort:metric.loss-asc"))[0] == scored[5].pk
    assert shown(client.get(f"{PAGE}?q=metric.auc<0.82")) == [scored[at].pk for at in (1, 0)]
    bad = client.get(f"{PAGE}?q=metric.auc>much")
    assert bad.status_code == 200 and "compared with a number" in bad.content.decode()


def test_the_columns_are_those_that_one_chooses(world: World, browse: Browse, scored: list[ArtifactVersion]) -> None:
    answer = browse(world.admin).get(f"{PAGE}?metric=loss")
    assert answer.context["shown_metrics"] == ["loss"] and [one.title for one in answer.context["charts"]] == ["loss"]
    (loss,) = [one for one in answer.context["metric_columns"] if one.is_shown]
    sort = browse(world.admin).get(PAGE + loss.sort.partition("#")[0])
    assert sort.context["shown_metrics"] == ["loss"] and shown(sort)[0] == scored[0].pk  # the largest first
    (again,) = [one for one in sort.context["metric_columns"] if one.is_shown]
    assert again.way == "descending"
    turned = browse(world.admin).get(PAGE + again.sort.partition("#")[0])
    assert shown(turned)[0] == scored[5].pk


def test_an_alias_is_moved_with_its_reason_and_the_move_is_shown(
    world: World, browse: Browse, scored: list[ArtifactVersion]
) -> None:
    client = browse(world.admin)
    form = {"alias": "champion", "reason": "better on LAX"}
    client.post(f"/artifacts/versions/{scored[4].pk}/alias/", form)

    assert Alias.objects.get(artifact=scored[4].artifact).version_id == scored[4].pk
    page = client.get(PAGE).content.decode()
    assert "better on LAX" in page and "Where they have been" in page
    assert AuditEvent.objects.filter(verb="alias.move", actor="admin").exists()
    client.post(f"/artifacts/versions/{scored[4].pk}/alias/", {"alias": "champion", "do": "remove"})
    assert not Alias.objects.filter(artifact=scored[4].artifact).exists()


def test_an_alias_is_moved_back_to_where_it_was(world: World, browse: Browse, scored: list[ArtifactVersion]) -> None:
    client = browse(world.admin)
    for version in (scored[1], scored[3]):
        client.post(f"/artifacts/versions/{version.pk}/alias/", {"alias": "champion"})
    page = client.get(PAGE).content.decode()
    assert f"/artifacts/versions/{scored[1].pk}/alias/" in page and "Move back" in page
    form = {"alias": "champion", "expected": scored[3].version, "reason": "moved back"}
    client.post(f"/artifacts/versions/{scored[1].pk}/alias/", form)

    assert Alias.objects.get(artifact=scored[1].artifact).version_id == scored[1].pk
    client.post(f"/artifacts/versions/{scored[4].pk}/alias/", form)  # from a page that told the same
    assert Alias.objects.get(artifact=scored[1].artifact).version_id == scored[1].pk
    assert "Move back" not in browse(user("carla", role=Role.CONTRIBUTOR)).get(PAGE).content.decode()
    ArtifactVersion.objects.filter(pk=scored[3].pk).update(removed_at=timezone.now())
    assert "Move back" not in client.get(PAGE).content.decode()


def test_each_regions_pointer_has_its_own_way_back(world: World, browse: Browse, scored: list[ArtifactVersion]) -> None:
    artifact = scored[0].artifact
    Artifact.objects.filter(pk=artifact.pk).update(partition_keys=["region"])
    artifact.refresh_from_db()
    set_alias_policy(artifact, "champion", {"per": ["region"]}, actor="ann")
    client = browse(world.admin)
    for version in (scored[0], scored[1], scored[3]):  # of LAX, SEA, SEA
        client.post(f"/artifacts/versions/{version.pk}/alias/", {"alias": "champion"})

    pointers = {one.alias.called: one.before for one in client.get(PAGE).context["pointers"]}
    assert pointers == {"champion?region=LAX": None, "champion?region=SEA": scored[1]}
    client.post(f"/artifacts/versions/{scored[1].pk}/alias/", {"alias": "champion", "expected": scored[3].version})
    named = {alias.called: alias.version_id for alias in Alias.objects.filter(artifact=artifact)}
    assert named == {"champion?region=LAX": scored[0].pk, "champion?region=SEA": scored[1].pk}


def test_who_may_not_decide_moves_no_alias(world: World, browse: Browse, scored: list[ArtifactVersion]) -> None:
    person = user("carla", role=Role.CONTRIBUTOR)
    answer = browse(person).post(f"/artifacts/versions/{scored[4].pk}/alias/", {"alias": "champion"})
    assert answer.status_code == 403 and not AliasMove.objects.filter(artifact=scored[4].artifact).exists()
    assert "Move the alias here" not in browse(person).get(f"/artifacts/versions/{scored[4].pk}/").content.decode()


def test_a_bad_name_is_refused_in_words(world: World, browse: Browse, scored: list[ArtifactVersion]) -> None:
    answer = browse(world.admin).post(f"/artifacts/versions/{scored[0].pk}/alias/", {"alias": "latest"}, follow=True)
    assert "latest" in answer.content.decode() and not AliasMove.objects.filter(artifact=scored[0].artifact).exists()


def test_a_gap_leads_to_the_form_of_what_makes_it_filled_in(world: World, browse: Browse) -> None:
    artifact = Artifact.objects.get(name="ml-model")
    answer = browse(world.admin).get("/artifacts/missing/demo/development/ml-model/?region=NYC")

    address = urlsplit(answer["Location"])
    assert address.path == "/launch-plans/demo/development/train_on_dataset/launch/"
    assert artifact.partition_keys == ["region"]
    assert parse_qs(address.query).get("in.region", ["NYC"]) == ["NYC"]
    assert browse(world.admin).get(answer["Location"]).status_code == 200


def test_a_gap_of_what_comes_from_outside_says_so(world: World, browse: Browse) -> None:
    make_version("outside", Kind.DATASET, number=1)
    answer = browse(world.admin).get("/artifacts/missing/demo/development/outside/?region=NYC", follow=True)
    assert "its newest versions came from outside" in answer.content.decode()


def test_only_who_may_launch_is_led_there(world: World, browse: Browse) -> None:
    artifact = Artifact.objects.get(name="ml-dataset")
    Artifact.objects.filter(pk=artifact.pk).update(granularity=Granularity.DAY)
    day = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for at, row in enumerate(ArtifactVersion.objects.filter(artifact=artifact)):
        ArtifactVersion.objects.filter(pk=row.pk).update(time_partition=day - timedelta(days=2 * at))
    page = "/artifacts/demo/development/ml-dataset/"
    for partition in ({"region": "SEA"}, {"region": "LAX"}):
        make_version("ml-dataset", Kind.DATASET, number=400, version=f"p{partition}", partitions=partition)
    assert "/artifacts/missing/" not in browse(world.viewer).get(page).content.decode()
    answer = browse(world.viewer).get("/artifacts/missing/demo/development/ml-dataset/?region=NYC", follow=True)
    assert "You may not launch" in answer.content.decode()

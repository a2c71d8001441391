"""The comparison of versions and executions: what it says, to whom, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from django.utils import timezone

from artifacts.models import Alias, Artifact, ArtifactVersion, Kind
from console.accounts.models import User
from console.comparison import MOST
from lineage.actions.record import record_derivations
from scheduler.models import Task, TaskExecution
from tests.console.pages.cast import World, make_version, put_literals, text

Browse = Callable[[User], Client]


def models(count: int) -> list[ArtifactVersion]:
    return [
        make_version(
            "scored", Kind.MODEL, number=200 + at, metrics={"auc": 0.8 + at / 100, "loss": 0.5 - at / 10, "rows": at}
        )
        for at in range(count)
    ]


def page_of(client: Client, *, status: int = 200, **query: object) -> str:
    answer = client.get(f"/compare/?{urlencode(query, doseq=True)}")
    assert answer.status_code == status, answer.content[:500]
    return answer.content.decode()


def test_it_says_what_is_better_and_worse_than_the_base(world: World, browse: Browse) -> None:
    first, second, third = models(3)
    page = page_of(browse(world.admin), v=[first.pk, second.pk, third.pk])

    assert "+0.01 (+1.25 %) better" in page and "−0.1 (−20 %) better" in page
    assert "nobody said which way" in page  # rows
    assert "worse" in page_of(browse(world.admin), v=[first.pk, second.pk], less="auc")


def test_another_base_turns_it_round(world: World, browse: Browse) -> None:
    first, second = models(2)
    page = page_of(browse(world.admin), v=[first.pk, second.pk], base=second.pk)
    assert "−0.01 (−1.23 %) worse" in page


def test_it_draws_bars_and_parallel_coordinates(world: World, browse: Browse) -> None:
    answer = browse(world.admin).get(f"/compare/?{urlencode({'v': [one.pk for one in models(3)]}, doseq=True)}")

    assert [drawn.title for drawn in answer.context["bars"]] == ["auc", "loss", "rows"]
    assert [axis.axis.is_less_better for axis in answer.context["parallel"].axes] == [False, True, False]


def test_what_has_no_value_has_no_bar_of_zero(world: World, browse: Browse) -> None:
    made = [
        make_version(
            "partly", Kind.MODEL, number=300 + at, metrics={"auc": 0.5 + at / 10, **({"f1": 0.7} if at else {})}
        )
        for at in range(2)
    ]
    answer = browse(world.admin).get("/compare/", {"v": [version.pk for version in made]})
    drawn = {chart.title: [bar.bar.value for bar in chart.bars] for chart in answer.context["bars"]}
    assert drawn == {"auc": [0.5, 0.6], "f1": [0.7]}


def test_numbers_at_the_ends_of_what_there_is_break_no_page(world: World, browse: Browse) -> None:
    odd = [{"a": 1e308, "b": 5e-324, "c": 1e300}, {"a": -1e308, "b": 1.0, "c": 1.0000000000000002e300}]
    made = [make_version("odd", Kind.MODEL, number=310 + at, metrics=metrics) for at, metrics in enumerate(odd)]
    client, ids = browse(world.admin), [version.pk for version in made]
    assert client.get("/compare/", {"v": ids}).status_code == 200
    assert client.get("/artifacts/demo/development/odd/").status_code == 200
    told = client.get(f"/api/v1/artifact-versions/compare?versions={ids[0]},{ids[1]}")
    deltas = {one["name"]: one["deltas"][1] for one in told.json()["measures"]}
    assert (deltas["a"]["difference"], deltas["b"]["share"]) == (None, None)


def test_it_names_what_only_some_were_made_of(world: World, browse: Browse) -> None:
    old, new = (make_version("raw-data", Kind.DATASET, number=at) for at in (300, 301))
    shared = make_version("shared-data", Kind.DATASET, number=302)
    first, second = models(2)
    record_derivations([(old.pk, first.pk), (new.pk, second.pk), (shared.pk, first.pk), (shared.pk, second.pk)])

    (made,) = browse(world.admin).get(f"/compare/?v={first.pk}&v={second.pk}").context["found"].ancestry

    assert made.artifact == "demo/development/raw-data"
    assert [[node.pk for node in own] for own in made.own] == [[old.pk], [new.pk]]


def test_it_shows_inputs_of_the_runs_that_made_them(world: World, browse: Browse) -> None:
    world.makes.inputs_uri = put_literals(world.makes, "inputs", region=text("LAX"))
    world.makes.save()
    page = page_of(browse(world.admin), v=[world.dataset.pk, world.model.pk])
    assert "<td" in page and "LAX" in page and "region" in page


def test_rights_are_asked_of_each_version(world: World, browse: Browse) -> None:
    foreign = make_version("foreign", Kind.MODEL, number=1, project="elsewhere", metrics={"auc": 0.123})
    client = browse(world.viewer)
    page_of(client, v=[world.model.pk, foreign.pk], status=404)
    page_of(browse(world.outsider), v=[world.model.pk], status=404)
    assert "foreign" not in page_of(client, v=[world.model.pk, world.dataset.pk])


def test_ancestors_that_may_not_be_read_are_counted_not_named(world: World, browse: Browse) -> None:
    foreign = make_version("foreign", Kind.DATASET, number=1, project="elsewhere")
    first, second = models(2)
    record_derivations([(foreign.pk, second.pk)])

    page = page_of(browse(world.viewer), v=[first.pk, second.pk])

    assert "1 more artifact that you may not read differs" in page and "foreign" not in page


def test_too_many_are_refused_with_the_number_allowed(world: World, browse: Browse) -> None:
    ids = [one.pk for one in models(MOST + 1)]
    assert f"at most {MOST}" in page_of(browse(world.admin), v=ids, status=400)
    page_of(browse(world.admin), v=ids[:MOST])


def test_the_same_twice_is_once_and_one_alone_asks_for_another(world: World, browse: Browse) -> None:
    page = page_of(browse(world.admin), v=[world.model.pk, world.model.pk])
    assert "Nothing to compare with" in page
    assert "Choose versions" in page_of(browse(world.admin))


def test_what_is_no_version_or_execution_is_refused(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    assert "is no version" in page_of(client, v="x", status=400)
    assert "is no execution" in page_of(client, x="x", status=400)
    assert "not both" in page_of(client, x="a/b/c", v="1", status=400)
    page_of(client, x="demo/development/nothing", status=404)


def test_an_artifact_alone_means_its_newest_two(world: World, browse: Browse) -> None:
    models(3)  # the first is the newest: numbers are minutes of age
    answer = browse(world.admin).get("/compare/?artifact=demo/development/scored")
    assert [column.thing.version for column in answer.context["columns"]] == ["e200.n0.0.o0", "e201.n0.0.o0"]


def test_it_compares_executions(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    page = page_of(client, x=[world.trains.key, world.failed.key])

    assert "duration in seconds" in page and "published demo/development/ml-model" in page
    assert "accuracy of ml-model" in page and "SEA" in page
    page_of(browse(world.outsider), x=[world.trains.key], status=404)


def test_it_offers_what_is_called_so_in_other_domains(world: World, browse: Browse) -> None:
    """So an experiment is held against production."""
    trial, _ = models(2)
    there = Artifact.objects.create(project="demo", domain="production", name="scored", kind=Kind.MODEL)
    old, champion, newest = (
        make_version(
            "scored", Kind.MODEL, number=300 - at, artifact=there, metrics={"auc": 0.7 + at / 10}, partitions={}
        )
        for at in range(3)
    )
    Alias.objects.create(artifact=there, name="champion", version=champion, moved_at=timezone.now())
    foreign = make_version("scored", Kind.MODEL, number=1, project="elsewhere")

    answer = browse(world.viewer).get("/compare/", {"v": trial.pk})
    page = answer.content.decode()

    assert [one.pk for one in answer.context["elsewhere"]] == [newest.pk, champion.pk]
    assert "demo / production champion" in page
    assert f'value="{old.pk}"' not in page and f'value="{foreign.pk}"' not in page
    both = page_of(browse(world.viewer), v=[trial.pk, champion.pk])
    assert "demo/development/scored" in both and "demo/production/scored" in both and "better" in both


def test_it_says_in_which_environments_they_were_made(world: World, browse: Browse) -> None:
    """Training and deployment: image, flytekit, code and place, of executions and of what they published."""
    clean, train = (Task.objects.get(name=f"tests.console.pages.program.{name}") for name in ("clean", "train"))
    attempts = TaskExecution.objects.filter(node__execution=world.makes)
    attempts.update(task=clean, executor="local", command={"image": "team:old"}, resources={"cpu": 1.0})
    attempts = TaskExecution.objects.filter(node__execution=world.trains)
    resources = {"cpu": 4.0, "memory": 2**31, "gpu": 1}
    attempts.update(
        task=train, executor="kubernetes", cluster="east", command={"image": "team:new"}, resources=resources
    )
    client = browse(world.viewer)

    for asked in ({"x": [world.makes.key, world.trains.key]}, {"v": [world.dataset.pk, world.model.pk]}):
        found = client.get("/compare/", asked).context["found"].environment
        told = {line.name: list(line.values) for line in found}
        assert told["image"] == ["team:old", "team:new"]
        assert told["ran on"] == ["local", "kubernetes east"]
        assert told["flytekit"][0] == told["flytekit"][1] != ""
        assert (told["cpu"], told["memory in MiB"], told["gpu"]) == (["1", "4"], [None, "2048"], [None, "1"])
        page = client.get("/compare/", asked).content.decode()
        assert "Environment" in page and "team:new" in page and ">flytekit<" not in page, "what is the same is left out"
    rest = f"/api/v1/artifact-versions/compare?versions={world.dataset.pk},{world.model.pk}"
    lines = {line["name"]: line for line in client.get(rest).json()["environment"]}
    assert lines["image"]["differs"] and not lines["flytekit"]["differs"]


def test_the_environment_of_a_run_that_may_not_be_read_is_not_told(world: World, browse: Browse) -> None:
    task = Task.objects.get(name="tests.console.pages.program.clean")
    TaskExecution.objects.filter(node__execution=world.makes).update(task=task, command={"image": "secret:1"})
    foreign = make_version("foreign", Kind.DATASET, number=1, project="elsewhere", execution_key=world.makes.key)
    other = make_version("foreign", Kind.DATASET, number=2, project="elsewhere")
    assert "secret:1" not in page_of(browse(world.outsider), v=[foreign.pk, other.pk])


def test_its_queries_are_bounded(world: World, browse: Browse, django_assert_max_num_queries: Any) -> None:
    ids = [one.pk for one in models(4)]
    client = browse(world.admin)
    with django_assert_max_num_queries(32):  # of each version five: itself, its aliases and three for its ancestry
        page_of(client, v=ids)

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from artifacts.models import ArtifactVersion, CardFormat, Kind
from console.accounts.models import User
from console.pages.paging import PAGE_SIZE
from lineage.models import VersionEdge, VersionRole, Via
from tests.console.pages.cast import World, make_version

Browse = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def shown(client: Client, query: str) -> str:
    return client.get(f"/artifacts/{query}", headers=HTMX).content.decode()


def test_it_finds_by_name_and_by_partition(world: World, browse: Browse) -> None:
    client = browse(world.admin)

    assert "ml-model" in shown(client, "?q=model") and "ml-dataset" not in shown(client, "?q=model")
    assert "LAX" in shown(client, "?q=region=LAX") and "SEA" not in shown(client, "?q=region=LAX")
    assert "ml-dataset" not in shown(client, "?kind=model")


def test_it_says_what_to_do_when_nothing_matches(world: World, browse: Browse) -> None:
    assert "Nothing matches" in shown(browse(world.admin), "?q=nosuchthing")


def test_it_answers_htmx_with_the_list_alone(world: World, browse: Browse) -> None:
    text = shown(browse(world.admin), "")

    assert text.lstrip().startswith("<section") and "<html" not in text


def test_it_pages_without_losing_or_repeating_a_version(world: World, browse: Browse) -> None:
    now = timezone.now()
    for number in range(PAGE_SIZE + 10):
        make_version("many", Kind.FILE, number=number, created_at=now - timedelta(days=1, seconds=number // 3))
    client = browse(world.admin)
    seen: list[int] = []
    query = "?q=many"
    while query:
        page = client.get(f"/artifacts/{query}").context["page"]
        seen += [row.pk for row in page.rows]
        query = page.older

    assert len(seen) == len(set(seen)) == PAGE_SIZE + 10


def test_it_ignores_a_malformed_cursor(world: World, browse: Browse) -> None:
    assert browse(world.admin).get("/artifacts/?after=nonsense_x").status_code == 200


def test_a_facet_adds_its_filter_to_the_search_and_takes_it_out_again(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    groups = {group.title: group.values for group in client.get("/artifacts/").context["facets"]}
    model = next(each for each in groups["Kind"] if each.value == "model")
    assert not model.chosen and model.href == "?q=kind%3Amodel"

    found = client.get(f"/artifacts/{model.href}")
    assert {row.kind for row in found.context["page"].rows} == {"model"}
    assert model.count == str(len(found.context["page"].rows))
    (chosen,) = next(group.values for group in found.context["facets"] if group.title == "Kind")
    assert chosen.chosen and chosen.href == "?q="
    assert 'aria-current="true"' in found.content.decode()


def test_a_facet_says_nothing_of_what_one_may_not_read(world: World, browse: Browse) -> None:
    assert browse(world.outsider).get("/artifacts/").context["facets"] == []


def test_it_shows_where_a_version_came_from_and_how_to_pull_it(world: World, browse: Browse) -> None:
    text = browse(world.admin).get(f"/artifacts/versions/{world.model.pk}/").content.decode()

    assert "/executions/demo/development/atrains/" in text
    assert "causeway -p demo -d development artifact pull ml-model" in text
    assert "from causeway.client import Client" in text
    assert "0.9737" in text and "champion" in text and "scikit-learn" in text


def test_it_renders_the_card_without_what_could_do_harm(world: World, browse: Browse) -> None:
    evil = make_version(
        "evil", Kind.MODEL, card="# Hi\n<script>alert(1)</script><img src=x onerror=alert(1)>", card_format="markdown"
    )
    assert evil.card_format == CardFormat.MARKDOWN
    text = browse(world.admin).get(f"/artifacts/versions/{evil.pk}/card/").content.decode()

    assert "Hi</h1>" in text
    assert "alert(1)" not in text.replace("&lt;script&gt;alert(1)", "")


def test_it_leads_downloads_to_a_signed_address(world: World, browse: Browse) -> None:
    response = browse(world.admin).get(f"/artifacts/versions/{world.model.pk}/download/")

    assert response.status_code == 302 and "/objects/" in response["Location"]


def test_it_downloads_nothing_outside_the_version(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    for part in ("../secret", "/etc/passwd", "%2e%2e/x"):
        response = client.get(f"/artifacts/versions/{world.model.pk}/download/?file={part}")
        assert response.status_code in (400, 404), part


def test_it_draws_one_hop_of_lineage_with_links(world: World, browse: Browse) -> None:
    response = browse(world.admin).get(f"/artifacts/versions/{world.model.pk}/lineage/")
    text = response.content.decode()

    assert {box.title for box in response.context["boxes"]} == {
        "ml-dataset",
        "train_model",
        "ml-model",
        "evaluate_model",
    }
    assert len(response.context["drawing"].paths) == 3
    assert f"/artifacts/versions/{world.dataset.pk}/lineage/" in text
    assert "/executions/demo/development/aevaluates/" in text


def test_it_hides_foreign_projects_from_the_lineage(world: World, browse: Browse) -> None:
    from lineage.models import VersionRole, Via
    from tests.console.pages.cast import edge

    foreign: ArtifactVersion = make_version(
        "foreign-data", Kind.DATASET, project="elsewhere", execution_key=world.evaluates.key
    )
    edge(foreign, world.evaluates, VersionRole.PRODUCED, Via.OUTPUT)
    path = f"/artifacts/versions/{world.model.pk}/lineage/"

    assert "foreign-data" in browse(world.admin).get(path).content.decode()
    assert "foreign-data" not in browse(world.viewer).get(path).content.decode()


def test_it_says_what_is_wrong_with_a_search(world: World, browse: Browse) -> None:
    assert "compared with a number" in shown(browse(world.admin), "?q=metric.accuracy>much")


def test_it_lists_no_version_whose_data_was_removed_but_shows_it(world: World, browse: Browse) -> None:
    ArtifactVersion.objects.filter(pk=world.model.pk).update(removed_at=timezone.now())
    client = browse(world.admin)

    assert "ml-model" not in shown(client, "")
    assert "Its data was removed" in client.get(f"/artifacts/versions/{world.model.pk}/").content.decode()


def test_it_turns_the_pages_of_an_artifacts_versions(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    for number in range(60):
        make_version("ml-dataset", Kind.DATASET, number=1000 + number)
    first = client.get("/artifacts/demo/development/ml-dataset/")
    assert len(first.context["page"].rows) == 50 and "62 in all" in first.content.decode()
    second = client.get(f"/artifacts/demo/development/ml-dataset/{first.context['page'].older}")
    assert len(second.context["page"].rows) == 12 and not second.context["page"].older


def test_it_names_the_launch_plans_that_used_an_artifact_only_to_those_who_may_read_them(
    world: World, browse: Browse
) -> None:
    elsewhere = make_version("shared", Kind.DATASET, project="elsewhere")
    key = world.trains.key
    VersionEdge.objects.create(
        version=elsewhere, execution_key=key, role=VersionRole.CONSUMED, via=Via.QUERY, at=timezone.now()
    )
    url = "/artifacts/elsewhere/development/shared/"

    assert "train_on_dataset" in browse(world.admin).get(url).content.decode()
    found = browse(world.outsider).get(url)
    assert found.status_code == 200 and "train_on_dataset" not in found.content.decode()


def test_an_execution_of_the_same_name_in_another_project_has_not_used_the_artifact(
    world: World, browse: Browse
) -> None:
    shared = make_version("shared", Kind.DATASET)
    VersionEdge.objects.create(
        version=shared,
        execution_key=f"other/development/{world.trains.name}",
        role=VersionRole.CONSUMED,
        via=Via.QUERY,
        at=timezone.now(),
    )

    assert browse(world.admin).get("/artifacts/demo/development/shared/").context["consumers"] == []

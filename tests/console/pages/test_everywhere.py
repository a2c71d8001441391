"""Search over everything, views that are kept, and the scope in the address."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from artifacts.actions.aliases import move_alias
from artifacts.governance.pointers import Mover
from artifacts.models import Kind
from console.accounts.models import Role, RoleBinding, SavedView, User
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import World, make_execution, make_version

Browse = Callable[[User], Client]
HTMX = {"HX-Request": "true"}


def _found(client: Client, text: str) -> dict[str, list[str]]:
    groups = client.get("/search/", {"q": text}).context["groups"]
    return {group.title: [hit.title for hit in group.hits] for group in groups}


def test_it_finds_things_of_every_kind(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    assert _found(client, "ml-model")["Artifacts"] == ["ml-model"]
    assert _found(client, "train_on")["Launch plans"] == ["train_on_dataset"]
    assert _found(client, "train")["Workflows"] == ["train_model"]
    assert _found(client, "train")["Tasks"] == ["train"]
    assert _found(client, "atra")["Executions"] == ["atrains"]
    assert _found(client, "kind:model region=SEA")["Versions"] == ["ml-model"]
    assert _found(client, "failed")["Pages and actions"] == ["What failed"]
    assert _found(client, "usage")["Pages and actions"] == ["Usage", "Usage of this month by user"]


def test_what_one_wants_to_do_is_found_by_other_words_too(world: World, browse: Browse) -> None:
    def pages(user: User, text: str) -> list[tuple[str, str]]:
        groups = browse(user).get("/search/", {"q": text}).context["groups"]
        return [(hit.title, hit.url) for group in groups if group.title == "Pages and actions" for hit in group.hits]

    assert ("Queue and quotas", "/quotas/") in pages(world.admin, "gpu")
    assert ("Queue and quotas", "/quotas/?project=demo") in pages(world.admin, "demo quota")
    assert ("Usage", "/usage/?project=demo") in pages(world.viewer, "cost demo")
    assert ("What failed", "/executions/?phase=failed&project=demo") in pages(world.viewer, "errors demo")
    assert ("Schedules", "/schedules/") in pages(world.viewer, "late")
    assert ("demo", "/projects/demo/") in pages(world.admin, "service account")
    assert ("demo", "/projects/demo/") in pages(world.admin, "demo")
    assert not [url for _, url in pages(world.viewer, "service account demo") if url.startswith("/projects/d")]
    assert not [url for _, url in pages(world.outsider, "usage demo") if "demo" in url]


def test_an_alias_is_found_by_its_artifact(world: World, browse: Browse) -> None:
    move_alias(world.model, "champion", actor="ann", mover=Mover("ann", ("approver",)))
    (hit,) = (
        hit
        for group in browse(world.viewer).get("/search/?q=ml-model+champion").context["groups"]
        if group.title == "Aliases"
        for hit in group.hits
    )
    assert (hit.title, hit.url) == ("ml-model:champion", f"/artifacts/versions/{world.model.pk}/")
    assert "Aliases" not in _found(browse(world.outsider), "ml-model champion")


def test_every_hit_leads_somewhere(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    for text in ("", "train", "atrains", "ml-", "demo", "usage demo"):
        for group in client.get("/search/", {"q": text}).context["groups"]:
            for hit in group.hits:
                assert client.get(hit.url).status_code == 200, hit.url


def test_what_one_may_launch_is_launched_from_there(world: World, browse: Browse) -> None:
    def launches(user: User) -> list[str]:
        groups = browse(user).get("/search/?q=train").context["groups"]
        return [hit.launch for group in groups for hit in group.hits if hit.launch]

    assert launches(world.viewer) == []
    found = launches(world.admin)
    assert "/launch-plans/demo/development/train_on_dataset/launch/" in found
    assert all(browse(world.admin).get(url).status_code == 200 for url in found)


def test_nobody_finds_what_he_may_not_read(world: World, browse: Browse) -> None:
    found = _found(browse(world.outsider), "train")
    assert set(found) <= {"Pages and actions"}
    assert "Executions" not in _found(browse(world.outsider), "atrains")
    assert "Clusters" not in str(_found(browse(world.viewer), "clusters"))
    assert _found(browse(world.admin), "clusters")["Pages and actions"] == ["Clusters"]


@pytest.mark.parametrize("text", ["x", "a'b", "%", "_", '"open', "metric.x>", "ä" * 300, "sort:nothing", "-"])
def test_what_makes_no_sense_finds_nothing_and_breaks_nothing(world: World, browse: Browse, text: str) -> None:
    assert browse(world.viewer).get("/search/", {"q": text}).status_code == 200


def test_the_palette_gets_the_results_alone(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get("/search/?q=ml-model", headers=HTMX).content.decode()
    assert "palette-hit" in page and "<html" not in page


def test_it_is_on_every_page_and_names_its_keys(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get("/executions/").content.decode()
    assert '<dialog id="palette"' in page and "<kbd>?</kbd>" in page
    assert 'href="/search/"' in page  # without scripts


def test_a_view_is_kept_found_changed_and_dropped(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    client.post("/views/keep/", {"name": "bad ones", "next": "/executions/?phase=failed"})
    assert "/executions/?phase=failed" in client.get("/search/").content.decode()
    for text, is_found in (("BAD on", True), ("ones good", False)):
        assert ("phase=failed" in client.get("/search/", {"q": text}).content.decode()) == is_found, text
    client.post("/views/keep/", {"name": "bad ones", "next": "/executions/?phase=aborted"})
    (view,) = SavedView.objects.all()
    assert view.address == "/executions/?phase=aborted"
    assert "bad ones" not in browse(world.admin).get("/search/").content.decode()
    assert browse(world.admin).post(f"/views/{view.pk}/remove/").status_code == 404
    client.post(f"/views/{view.pk}/remove/")
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    "given",
    [
        {"name": "", "next": "/executions/"},
        {"name": "x" * 81, "next": "/executions/"},
        {"name": "away", "next": "https://elsewhere.example/"},
        {"name": "away", "next": "//elsewhere.example/"},
        {"name": "away", "next": "javascript:alert(1)"},
        {"name": "long", "next": "/executions/?q=" + "x" * 2001},
    ],
)
def test_a_view_that_is_none_is_refused(world: World, browse: Browse, given: dict[str, str]) -> None:
    assert "tone-bad" in browse(world.viewer).post("/views/keep/", given, follow=True).content.decode()
    assert not SavedView.objects.exists()


def _elsewhere(world: World) -> None:
    RoleBinding.objects.create(user=world.viewer, project="elsewhere", role=Role.VIEWER)
    make_version("theirs", Kind.MODEL, number=70, project="elsewhere")
    make_execution("theirs", "train_on_dataset", ExecutionPhase.FAILED, age=timedelta(0), project="elsewhere")


def test_going_to_a_list_puts_the_scope_into_the_address(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    client.post("/scope/", {"scope": "demo/development"})
    step = client.get("/executions/?phase=failed", headers={"Sec-Fetch-Site": "same-origin"})
    assert step["Location"] == "/executions/?phase=failed&project=demo&domain=development"
    assert client.get(step["Location"], headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get("/tokens/", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_pasted_address_shows_the_same_rows_to_everybody(world: World, browse: Browse) -> None:
    _elsewhere(world)
    scoped = browse(world.viewer)
    scoped.post("/scope/", {"scope": "demo"})
    pasted = {"Sec-Fetch-Site": "none"}

    def names(client: Client, address: str) -> set[str]:
        return {row.name for row in client.get(address, headers=pasted).context["page"].rows}

    for address in ("/executions/?phase=failed", "/executions/?phase=failed&project=demo"):
        assert names(scoped, address) == names(browse(world.viewer), address)
    assert names(scoped, "/executions/?phase=failed") == {"afailed", "theirs"}
    assert names(scoped, "/executions/?phase=failed&project=demo") == {"afailed"}


def test_a_search_keeps_the_scope_of_the_address(world: World, browse: Browse) -> None:
    page = browse(world.viewer).get("/executions/?project=demo").content.decode()
    assert '<input type="hidden" name="project" value="demo">' in page

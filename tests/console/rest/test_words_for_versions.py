"""What one word means that names a version (`latest`, an alias, a version): the same at every door."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from artifacts.actions.retention import remove
from artifacts.models import Alias, Artifact, ArtifactVersion
from artifacts.queries import find, newest_of
from artifacts.wanted import Wanted
from console.accounts.models import User
from tests.console.rest.conftest import Caller, problem

PATH = "/api/v1/artifacts/demo/development/model"


@pytest.fixture
def model(cast: dict[str, User], api: Caller) -> Artifact:
    """`v1`, which is the champion, and `v2`, which is newer."""
    for number in (1, 2):
        assert api("ann").post(f"{PATH}/versions", {"version": f"v{number}", "value": number}).status_code == 201
    assert api("abe").put(f"{PATH}/aliases/champion", {"version": "v1"}).status_code == 200
    return Artifact.objects.get(name="model")


def value(answer: Any) -> object:
    assert answer.status_code == 200, answer.content
    return answer.json()["value"]


def test_no_version_can_be_called_latest(model: Artifact, api: Caller) -> None:
    told = problem(api("ann").post(f"{PATH}/versions", {"version": "latest", "value": 9}), 400)
    assert "'latest' always names the newest version" in told["detail"]
    items = [{"name": "model", "project": "demo", "domain": "development", "version": "latest", "value": 9}]
    assert api("ann").post("/api/v1/artifact-versions/bulk", {"items": items}).status_code == 400
    assert ArtifactVersion.objects.count() == 2


def test_no_version_can_take_the_name_of_an_alias(model: Artifact, api: Caller) -> None:
    told = problem(api("ann").post(f"{PATH}/versions", {"version": "champion", "value": 9}), 409)
    assert "'champion' is an alias of model" in told["detail"]
    other = "/api/v1/artifacts/demo/development/other/versions"
    assert api("ann").post(other, {"version": "champion", "value": 9}).status_code == 201  # of another artifact it is
    assert value(api("ann").get(f"{PATH}/versions/champion")) == 1


def test_no_alias_can_take_the_name_of_a_version(model: Artifact, api: Caller) -> None:
    told = problem(api("abe").put(f"{PATH}/aliases/v2", {"version": "v1"}), 409)
    assert "model has a version 'v2'" in told["detail"]
    assert api("abe").put(f"{PATH}/aliases/champion", {"version": "v2"}).status_code == 200  # one there is can be moved


@pytest.mark.parametrize("word", ["champion", "latest"])
def test_a_version_of_such_a_name_from_before_takes_nobodys_place(model: Artifact, api: Caller, word: str) -> None:
    """Published when it was not refused yet; then another one, so that it is not the newest."""
    api("ann").post(f"{PATH}/versions", {"version": "intruder", "value": 9})
    ArtifactVersion.objects.filter(version="intruder").update(version=word)
    api("ann").post(f"{PATH}/versions", {"version": "v3", "value": 3})
    right = {"champion": 1, "latest": 3}[word]
    ann = api("ann")
    assert value(ann.get(f"{PATH}/versions/{word}")) == right
    assert value(ann.get(f"{PATH}/versions/{word}/object")) == right
    assert ann.get(f"{PATH}/resolve?alias={word}").json()["version"]["version"] == f"v{right}"
    moved = api("abe").put(f"{PATH}/aliases/also", {"version": word}).json()
    assert moved["version"] == f"v{right}"


def test_latest_is_the_newest_whose_data_is_there(model: Artifact, api: Caller, browser: Any) -> None:
    newest = ArtifactVersion.objects.get(version="v2")
    remove([newest], actor="ada", reason="wrong")
    first = ArtifactVersion.objects.get(version="v1")
    assert newest_of(model) == first == find(Wanted(*model.key, version="latest")).version
    ann = api("ann")
    assert ann.get(f"{PATH}/versions/latest").json()["version"] == "v1"
    assert [one["version"] for one in ann.get(f"{PATH}/versions?alias=latest").json()["results"]] == ["v1"]
    assert ann.get(PATH).json()["newest_version"] == "v1"
    assert ann.get("/api/v1/artifact-versions?q=alias:latest").json()["results"][0]["version"] == "v1"
    shown = browser("ann").get(f"/artifacts/versions/{first.pk}/").content.decode()
    assert "<span>latest</span>" in shown
    assert "<span>latest</span>" not in browser("ann").get(f"/artifacts/versions/{newest.pk}/").content.decode()


def test_an_address_means_the_same(model: Artifact, api: Caller) -> None:
    Alias.objects.create(
        artifact=model, name="best", version=ArtifactVersion.objects.get(version="v1"), moved_at=timezone.now()
    )
    for wanted, version in (
        (Wanted(*model.key, alias="best"), "v1"),
        (Wanted(*model.key, alias="latest"), "v2"),
        (Wanted(*model.key, version="latest"), "v2"),
        (Wanted(*model.key, version="v1"), "v1"),
    ):
        assert find(wanted).version.version == version

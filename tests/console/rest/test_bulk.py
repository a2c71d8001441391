"""Publishing many versions in one request: all of them, or none."""

from __future__ import annotations

from typing import Any

import pytest

from artifacts.models import Artifact, ArtifactVersion, Metric
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/artifact-versions/bulk"
VERSIONS = "/api/v1/artifacts/demo/development/dataset/versions"


def item(**members: Any) -> dict[str, Any]:
    return {"project": "demo", "domain": "development", "name": "dataset", "value": 1, **members}


def test_it_publishes_all_items(api: Caller) -> None:
    items = [
        item(version="v1", partitions={"region": "SEA"}, metrics={"auc": 0.9}, card="# Card"),
        item(version="v2", partitions={"region": "LAX"}, value=[1, 2]),
        item(name="elsewhere", uri="s3://bucket/k", value=...),
    ]
    del items[2]["value"]
    answer = api("ann").post(URL, {"items": items})
    assert answer.status_code == 201, answer.content
    assert [(each["name"], each["created"]) for each in answer.json()["results"]] == [
        ("dataset", True),
        ("dataset", True),
        ("elsewhere", True),
    ]
    assert api("vic").get(f"{VERSIONS}/v1").json()["metrics"] == {"auc": 0.9}
    again = api("ann").post(URL, {"items": [items[0], items[0]]}).json()["results"]
    assert [each["created"] for each in again] == [False, False]
    assert again[0]["id"] == answer.json()["results"][0]["id"]
    assert ArtifactVersion.objects.count() == 3


def test_the_same_item_twice_is_published_once(api: Caller) -> None:
    results = api("ann").post(URL, {"items": [item(version="v1"), item(version="v1")]}).json()["results"]
    assert [each["created"] for each in results] == [True, False]
    problem(api("ann").post(URL, {"items": [item(version="v2"), item(version="v2", value=2)]}), 409)
    assert ArtifactVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("bad", "status", "said"),
    [
        (item(value={"a": None}, version="a/b"), 400, "items/1"),
        (item(partitions={"region": "SEA"}), 400, "items/1|declared"),
        (item(metrics={"auc": "high"}), 400, "items/1: metrics/auc"),
        (item(project="elsewhere"), 404, "items/1"),
        ({"value": 1}, 400, "items/1"),
        (3, 400, "items/1"),
        (item(uri="/etc/passwd"), 400, "items/1"),
    ],
)
def test_one_bad_item_refuses_all(api: Caller, bad: Any, status: int, said: str) -> None:
    found = problem(api("ann").post(URL, {"items": [item(version="v1"), bad]}), status)["detail"]
    assert any(each in found for each in said.split("|")), found
    assert not ArtifactVersion.objects.exists()
    assert not Artifact.objects.exists()


@pytest.mark.parametrize(
    "body", [[], {}, {"items": []}, {"items": [{}] * 1001}, {"items": "x"}, {"items": [1], "x": 1}]
)
def test_it_says_what_a_body_is(api: Caller, body: Any) -> None:
    assert "items" in problem(api("ann").post(URL, body), 400)["detail"]


def test_only_contributors_publish_in_bulk(api: Caller) -> None:
    problem(api("vic").post(URL, {"items": [item()]}), 403)


def test_it_asks_the_database_little(api: Caller, django_assert_num_queries: Any) -> None:
    ann = api("ann")
    ann.post(VERSIONS, {"value": 0, "partitions": {"region": "SEA"}})
    # token, bindings; begin; artifact, version; partition, metrics and what happened in one; commit
    with django_assert_num_queries(7):
        ann.post(VERSIONS, {"value": 1, "partitions": {"region": "SEA"}, "metrics": {"auc": 0.5}})
    # the same and: is this version there already (the artifact has no aliases that it could be called as)
    with django_assert_num_queries(8):
        items = [item(value=index, version=f"v{index}", partitions={"region": "SEA"}) for index in range(100)]
        items = [{**each, "metrics": {"auc": 0.5}} for each in items]
        assert ann.post(URL, {"items": items}).status_code == 201
    assert Metric.objects.count() == 101

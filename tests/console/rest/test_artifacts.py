from __future__ import annotations

import json
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from artifacts.models import Alias, Artifact, ArtifactVersion
from artifacts.store import store
from console.accounts.models import Role, RoleBinding, User
from console.rest.artifacts import ALIASES_SHOWN
from lineage.actions.record import Use, record_consumed
from lineage.models import Via
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.rows import START

DATASET = "/api/v1/artifacts/demo/development/dataset"
MODEL = "/api/v1/artifacts/demo/development/model"


def publish(client: Any, url: str = DATASET, **body: Any) -> dict[str, Any]:
    response = client.post(f"{url}/versions", {"value": 1, **body})
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


def names(client: Any, url: str) -> list[str]:
    return [each.get("version") or each["name"] for each in client.get(url).json()["results"]]


@pytest.mark.parametrize(
    ("value", "kind"), [(3, "int"), (2.5, "float"), ("x", "str"), (True, "bool"), ([1, 2.5], "list"), ({"a": [1]}, "")]
)
def test_it_publishes_a_json_value(api: Caller, value: Any, kind: str) -> None:
    found = publish(api("ann"), value=value, metadata={"a": "b"}, metrics={"auc": 0.9}, version="v1")
    assert (found["value"], found["created_by"], found["metrics"]) == (value, "ann", {"auc": 0.9})
    assert kind in found["type"]
    assert found["address"] == "flyte://av0.1/demo/development/dataset@v1"
    assert api("vic").get(f"{DATASET}/versions/v1").json() == found
    assert api("vic").get(f"/api/v1/artifact-versions/{found['id']}").json() == found


def test_it_publishes_the_same_once(api: Caller) -> None:
    ann = api("ann")
    first = publish(ann, version="v1")
    again = ann.post(f"{DATASET}/versions", {"value": 1, "version": "v1"})
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    problem(ann.post(f"{DATASET}/versions", {"value": 2, "version": "v1"}), 409)
    assert ArtifactVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "exactly one"),
        ({"value": 1, "uri": "s3://b/k"}, "exactly one"),
        ({"value": None}, "null"),
        ({"value": [1, "a"]}, "one type"),
        ({"uri": "no-scheme"}, "not an object"),
        ({"uri": "/etc/passwd"}, "not an object"),
        ({"uri": "file:///etc/passwd"}, "not an object"),
        ({"uri": "ftp://ada:s3cr3t@host/model"}, "holds a password"),
        ({"value": 1, "version": "a/b"}, "version"),
        ({"value": 1, "partitions": {"region": ""}}, "region"),
        ({"value": 1, "partitions": {"region": {"a": 1}}}, "region"),
        ({"value": 1, "metrics": {"auc": "high"}}, "auc"),
        ({"value": 1, "card": "x", "card_format": "pdf"}, "card_format"),
        ({"value": 1, "time_partition": "soon"}, "time_partition"),
        ({"value": 1, "kind": "thing"}, "kind"),
        ({"value": 1, "shape": "cube"}, "shape"),
        ({"value": 2**70}, "value"),
    ],
)
def test_it_explains_a_bad_publication(api: Caller, body: dict[str, Any], said: str) -> None:
    assert said in problem(api("ann").post(f"{DATASET}/versions", body), 400)["detail"]
    assert not ArtifactVersion.objects.exists()


def test_it_publishes_by_reference(api: Caller) -> None:
    found = publish_reference(api("ann"), "s3://elsewhere/data.csv", format="csv")
    assert (found["uri"], found["kind"]) == ("s3://elsewhere/data.csv", "dataset")
    data = api("vic").get(f"{DATASET}/versions/{found['version']}/object").json()
    assert (data["uri"], data["files"]) == ("s3://elsewhere/data.csv", [])


def publish_reference(client: Any, uri: str, **body: Any) -> dict[str, Any]:
    response = client.post(f"{DATASET}/versions", {"uri": uri, **body})
    assert response.status_code == 201, response.content
    found: dict[str, Any] = response.json()
    return found


def test_a_reference_opens_nothing_its_publisher_may_not_read(api: Caller) -> None:
    root = store().root
    problem(api("ann").post(f"{DATASET}/versions", {"uri": f"{root}/raw/elsewhere/development/e1/x"}), 403)
    problem(api("ann").post(f"{DATASET}/versions", {"uri": f"{root}/raw"}), 403)
    problem(api("ann").post(f"{DATASET}/versions", {"uri": f"{root}/raw/demo/development/../../elsewhere/d/x"}), 400)
    publish_reference(api("ann"), f"{root}/raw/demo/development/e1/x")


def test_it_lists_the_files_of_a_directory(api: Caller) -> None:
    folder = f"{store().root}/raw/demo/development/e1/folder"
    for name in ("a.csv", "b/c.csv"):
        store().put(f"{folder}/{name}", b"123")
    found = publish_reference(api("ann"), folder, shape="directory")
    files = api("vic").get(f"{DATASET}/versions/{found['version']}/object").json()["files"]
    assert [(each["path"], each["size_bytes"]) for each in files] == [("a.csv", 3), ("b/c.csv", 3)]
    assert all(each["url"].startswith("http") for each in files)


def test_what_a_pickled_model_is_called_and_was_made_with_is_told(api: Caller) -> None:
    uri = f"{store().root}/raw/demo/development/e1/model.pkl"
    store().put(uri, pickle.dumps({"depth": 3}))
    found = publish_reference(api("ann"), uri)
    seen = api("vic").get(f"{DATASET}/versions/{found['version']}/preview").json()
    assert (seen["kind"], seen["what"], seen["parameters"]) == ("pickled object", "dict", [["depth", "3"]])


def upload(client: Any, data: dict[str, Any] | str, content: bytes = b"a,b\n1,2\n", name: str = "data.csv") -> Any:
    text = data if isinstance(data, str) else json.dumps(data)
    parts = {"file": SimpleUploadedFile(name, content), "data": text}
    return client.post(f"{DATASET}/versions", parts, format="multipart")


def test_it_stores_an_uploaded_file(api: Caller) -> None:
    ann = api("ann")
    response = upload(ann, {"format": "csv", "version": "v1", "partitions": {"region": "SEA"}})
    assert response.status_code == 201, response.content
    found = response.json()
    assert (found["size_bytes"], len(found["content_hash"]), found["kind"]) == (8, 64, "dataset")
    assert store().get(found["uri"]) == b"a,b\n1,2\n"
    assert f"/artifacts/demo/development/{found['content_hash']}/" in found["uri"]
    again = upload(ann, {"format": "csv", "version": "v1", "partitions": {"region": "SEA"}})
    assert again.json()["id"] == found["id"]
    other = upload(ann, {"format": "csv", "version": "v1", "partitions": {"region": "SEA"}}, b"other")
    problem(other, 409)


def test_it_stores_a_large_file_from_disk(api: Caller) -> None:
    content = b"x" * 3_000_000
    found = upload(api("ann"), {}, content).json()
    assert store().size(found["uri"]) == len(content)


@pytest.mark.parametrize("name", ["../../etc/passwd", ".hidden", "a b/ü?.csv", "\n", "x" * 500])
def test_it_makes_file_names_harmless(api: Caller, name: str) -> None:
    response = upload(api("ann"), {}, name=name)
    if response.status_code == 201:
        assert store().get(response.json()["uri"]) == b"a,b\n1,2\n"
        assert ".." not in response.json()["uri"]
    else:
        problem(response, 400)


def test_it_stores_nothing_of_a_refused_upload(api: Caller, tmp_path: Path) -> None:
    problem(upload(api("ann"), {"version": "a/b"}), 400)
    problem(upload(api("ann"), "{"), 400)
    problem(upload(api("ann"), {"value": 1}), 400)
    problem(api("ann").post(f"{DATASET}/versions", {"data": "{}"}, format="multipart"), 400)
    assert list(store().list(store().root)) == []


def test_it_limits_uploads(api: Caller, settings: Settings) -> None:
    settings.CAUSEWAY_MAX_UPLOAD_BYTES = 1000
    problem(upload(api("ann"), {}, b"x" * 1001), 413)
    assert not ArtifactVersion.objects.exists()


def test_only_contributors_publish(api: Caller) -> None:
    problem(api("vic").post(f"{DATASET}/versions", {"value": 1}), 403)
    problem(api("sue").post(f"{DATASET}/versions", {"value": 1}), 404)


@pytest.mark.parametrize(
    "suffix", ["", "/versions", "/versions/v1", "/versions/v1/card", "/versions/v1/lineage", "/resolve"]
)
def test_it_hides_foreign_artifacts(api: Caller, suffix: str) -> None:
    publish(api("ann"), version="v1", card="# Card")
    assert api("vic").get(DATASET + suffix).status_code == 200
    problem(api("sue").get(DATASET + suffix), 404)


def test_it_lists_artifacts(api: Caller, django_assert_num_queries: Any) -> None:
    ann = api("ann")
    publish(ann, description="Flowers", version="v1")
    publish(ann, version="v2")
    publish(ann, MODEL, kind="model")
    client = api("vic")
    found = client.get("/api/v1/artifacts").json()["results"]
    assert [each["name"] for each in found] == ["model", "dataset"]
    assert (found[1]["newest_version"], found[1]["description"]) == ("v2", "Flowers")
    assert names(client, "/api/v1/artifacts?q=flow") == ["dataset"]
    assert names(client, "/api/v1/artifacts?kind=model") == ["model"]
    assert names(client, "/api/v1/artifacts?q=flow&name=model") == []
    assert names(api("sue"), "/api/v1/artifacts") == []
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get("/api/v1/artifacts")


def test_it_filters_versions(api: Caller, django_assert_num_queries: Any) -> None:
    ann = api("ann")
    for version, region, day in [("v1", "SEA", 1), ("v2", "LAX", 1), ("v3", "SEA", 2)]:
        publish(ann, version=version, partitions={"region": region}, time_partition=f"2026-01-0{day}T05:00:00Z")
    client = api("vic")
    for query, found in {
        "": ["v3", "v2", "v1"],
        "partition.region=SEA": ["v3", "v1"],
        "partition.region=ATL": [],
        "time_partition=2026-01-01T09:00:00Z": ["v2", "v1"],
        "time_from=2026-01-02T00:00:00Z": ["v3"],
        "time_before=2026-01-02T00:00:00Z": ["v2", "v1"],
        "partition.region=SEA&limit=1": ["v3"],
        "alias=champion": [],
        "kind=model": [],
        "created_before=2020-01-01T00:00:00Z": [],
    }.items():
        assert names(client, f"{DATASET}/versions?{query}") == found, query
    problem(client.get(f"{DATASET}/versions?region=SEA"), 400)
    problem(client.get(f"{DATASET}/versions?time_from=soon"), 400)
    with django_assert_num_queries(4):  # token, bindings, artifact, rows
        client.get(f"{DATASET}/versions")


def test_it_resolves_a_query_and_explains_it(api: Caller) -> None:
    ann = api("ann")
    for version, region in [("v1", "SEA"), ("v2", "LAX")]:
        publish(ann, version=version, partitions={"region": region})
    client = api("vic")
    assert client.get(f"{DATASET}/resolve").json()["version"]["version"] == "v2"
    found = client.get(f"{DATASET}/resolve?partition.region=SEA").json()
    assert found["version"]["version"] == "v1" and found["explanation"]
    assert "SEA" in problem(client.get(f"{DATASET}/resolve?partition.region=ATL"), 404)["detail"]
    problem(client.get(f"{DATASET}/resolve?partition.zone=ATL"), 400)
    problem(client.get(f"{DATASET}/resolve?zone=ATL"), 400)


def test_it_finds_the_latest(api: Caller) -> None:
    ann = api("ann")
    publish(ann, version="v1")
    publish(ann, version="v2")
    assert api("vic").get(f"{DATASET}/versions/latest").json()["version"] == "v2"
    problem(api("vic").get(f"{DATASET}/versions/champion"), 404)


def test_a_removed_version_is_shown_but_not_found(api: Caller) -> None:
    ann = api("ann")
    publish(ann, version="v1")
    removed = publish(ann, version="v2")
    ArtifactVersion.objects.filter(pk=removed["id"]).update(removed_at=START)
    client = api("vic")
    assert names(client, f"{DATASET}/versions") == ["v1"]
    assert names(client, f"{DATASET}/versions?removed=true") == ["v2"]
    assert client.get(f"{DATASET}/versions/latest").json()["version"] == "v1"
    assert client.get("/api/v1/artifacts").json()["results"][0]["newest_version"] == "v1"
    assert client.get(f"{DATASET}/versions/v2").json()["removed_at"] == "2026-05-17T12:00:00Z"
    assert "removed" in problem(client.get(f"{DATASET}/versions/v2/object"), 404)["detail"]


def test_it_shows_cards_safely(api: Caller) -> None:
    publish(api("ann"), version="v1", card="# Title\n<script>alert(1)</script>")
    publish(api("ann"), version="v2")
    response = api("vic").get(f"{DATASET}/versions/v1/card")
    assert b"<h1>Title</h1>" in response.content and b"<script" not in response.content
    assert "sandbox" in response["Content-Security-Policy"]
    problem(api("vic").get(f"{DATASET}/versions/v2/card"), 404)


def test_it_shows_one_hop_of_lineage_and_counts_what_is_hidden(api: Caller, cast: dict[str, User]) -> None:
    RoleBinding.objects.create(user=cast["ann"], role=Role.CONTRIBUTOR, project="elsewhere")
    ann = api("ann")
    dataset = publish(ann, version="v1")
    ArtifactVersion.objects.filter(pk=dataset["id"]).update(execution_key="demo/development/e0")
    record_consumed("elsewhere/development/e1", [Use(dataset["id"], variable="x", via=Via.QUERY)], at=START)
    hop = api("vic").get(f"{DATASET}/versions/v1/lineage").json()
    assert hop["consumers"] == [{"execution": None, "via": ["query"], "versions": [], "hidden": 0}]
    assert ann.get(f"{DATASET}/versions/v1/lineage").json()["consumers"][0]["execution"] == "elsewhere/development/e1"


def test_it_searches_across_artifacts(api: Caller) -> None:
    ann, root = api("ann"), api("root")
    publish(ann, version="v1", partitions={"region": "SEA"}, metrics={"auc": 0.95}, card="about drift")
    publish(ann, MODEL, version="v2", kind="model")
    publish(root, DATASET.replace("/demo/", "/elsewhere/"), version="v3")
    url = "/api/v1/artifact-versions"
    for query, found in {
        "": ["v2", "v1"],
        "q=": ["v2", "v1"],
        "q=drift": ["v1"],
        "q=region%3DSEA": ["v1"],
        "q=kind:model": ["v2"],
        "q=metric.auc%3E0.9": ["v1"],
        "q=name:dataset&domain=staging": [],
        "project=elsewhere": [],
    }.items():
        assert names(api("vic"), f"{url}?{query}") == found, query
    assert names(root, f"{url}?q=name:dataset") == ["v3", "v1"]
    facets = api("vic").get(f"{url}/facets").json()
    assert facets["kind"] == [{"value": "model", "versions": 1}, {"value": "value", "versions": 1}]
    assert facets["project"] == [{"value": "demo", "versions": 2}]
    assert facets["partitions"] == {"region": [{"value": "SEA", "versions": 1}]}
    assert (facets["counted"], facets["more"]) == (2, False)
    assert names(api("vic"), f"{url}?q=sort:created-asc") == ["v1", "v2"]
    first = api("vic").get(f"{url}?limit=1&q=sort:created-asc").json()
    assert names(api("vic"), first["next"]) == ["v2"]
    problem(root.get(f"{url}?q=colour:red"), 400)
    problem(root.get(f"{url}?q=created%3Esoon"), 400)
    client = api("vic")
    client.get(url)
    # Token, bindings; savepoint, its end, limits (3), where windows end, ids, rows
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    assert len(queries) == 10, "\n".join(query["sql"][:150] for query in queries)


def test_of_many_pointers_an_artifact_shows_some_and_where_all_are(api: Caller) -> None:
    ann, vic = api("ann"), api("vic")
    publish(ann, version="v1", partitions={"region": "SEA"})
    artifact = Artifact.objects.get(name="dataset")
    version = artifact.versions.get()
    now = timezone.now()
    rows = [
        Alias(
            artifact=artifact,
            name=name,
            version=version,
            partitions={"region": f"R{number:03}"},
            partition_digest=f"{number:032}",
            moved_at=now - timedelta(seconds=number),
        )
        for name in ("champion", "candidate")
        for number in range(ALIASES_SHOWN - 20)
    ]
    Alias.objects.bulk_create(rows)
    told = vic.get(DATASET).json()
    assert len(told["aliases"]) == ALIASES_SHOWN and told["alias_count"] == len(rows)
    listed: list[tuple[str, str]] = []
    following = f"{told['aliases_url']}?limit=50"
    while following:
        page = vic.get(following).json()
        listed += [(one["name"], one["partitions"]["region"]) for one in page["results"]]
        following = page["next"]
    assert len(set(listed)) == len(listed) == len(rows)
    assert listed[:2] == [("candidate", "R000"), ("champion", "R000")], "those moved last first"
    of_one = vic.get(f"{DATASET}/aliases?alias=champion&partition.region=R007").json()["results"]
    assert [(one["name"], one["version"]) for one in of_one] == [("champion", "v1")]
    problem(vic.get(f"{DATASET}/aliases?partition.zone=1"), 400)
    problem(vic.get(f"{DATASET}/aliases?colour=red"), 400)
    problem(api("sue").get(f"{DATASET}/aliases"), 404)


def test_an_approver_moves_aliases(api: Caller) -> None:
    ann, abe = api("ann"), api("abe")
    for version in ("v1", "v2"):
        publish(ann, version=version)
    champion = f"{DATASET}/aliases/champion"
    moved = abe.put(champion, {"version": "v1", "reason": "first", "expected": None})
    assert moved.status_code == 200, moved.content
    problem(abe.put(champion, {"version": "v2", "expected": None}), 409)
    problem(abe.put(champion, {"version": "v2", "expected": "v9"}), 409)
    assert abe.put(champion, {"version": "latest", "expected": "v1"}).json()["version"] == "v2"
    assert api("vic").get(f"{DATASET}/versions/champion").json()["aliases"] == ["champion"]
    assert names(api("vic"), f"{DATASET}/versions?alias=champion") == ["v2"]
    assert [each["version"] for each in api("vic").get(DATASET).json()["aliases"]] == ["v2"]
    moves = api("vic").get(f"{champion}/moves").json()["results"]
    assert [(each["from_version"], each["to_version"], each["actor"]) for each in moves] == [
        ("v1", "v2", "abe"),
        (None, "v1", "abe"),
    ]
    assert abe.delete(champion).status_code == 204
    problem(abe.delete(champion), 404)


def test_it_refuses_bad_aliases(api: Caller) -> None:
    publish(api("ann"), version="v1")
    abe = api("abe")
    problem(abe.put(f"{DATASET}/aliases/latest", {"version": "v1"}), 400)
    problem(abe.put(f"{DATASET}/aliases/1st", {"version": "v1"}), 400)
    problem(abe.put(f"{DATASET}/aliases/champion", {"version": "v9"}), 404)
    problem(abe.put(f"{DATASET}/aliases/champion", {}), 400)
    problem(api("ann").put(f"{DATASET}/aliases/champion", {"version": "v1"}), 403)
    problem(api("sue").put(f"{DATASET}/aliases/champion", {"version": "v1"}), 404)


@pytest.mark.parametrize("value", [" x ", "\t", "a\nb", "O'Brien", "日" * 1024])
def test_it_keeps_partition_values_and_attributes_as_they_are(api: Caller, value: str) -> None:
    ann = api("ann")
    publish(ann, partitions={"region": "x"})
    body = {"value": 2, "partitions": {"region": value}, "metadata": {"note": value}}
    made = ann.post(f"{DATASET}/versions", body).json()
    assert (made["partitions"], made["metadata"]) == ({"region": value}, {"note": value})
    found = ann.get(f"{DATASET}/resolve", {"partition.region": value}).json()
    assert found["version"]["id"] == made["id"]


@pytest.mark.parametrize("path", ["resolve", "versions"])
def test_a_partition_asked_for_has_no_nul(api: Caller, path: str) -> None:
    publish(api("ann"), partitions={"region": "x"})
    response = api("vic").get(f"{DATASET}/{path}", {"partition.region": "a\0"})
    assert "holds a NUL character" in problem(response, 400)["detail"]


@pytest.mark.parametrize(
    ("place", "said"),
    [("nope/development", "project [nope] is not registered"), ("demo/nope", "domain [nope] is unrecognized")],
)
def test_publishing_makes_no_projects(api: Caller, place: str, said: str) -> None:
    root = api("root")
    project, domain = place.split("/")
    item = {"project": project, "domain": domain, "name": "x", "value": 1}
    answers = [
        root.post(f"/api/v1/artifacts/{place}/x/versions", {"value": 1}),
        root.post("/api/v1/artifact-versions/bulk", {"items": [item]}),
    ]
    assert all(said in problem(answer, 400)["detail"] for answer in answers)
    assert not Artifact.objects.exists()


def test_the_identity_of_a_removed_version_is_not_used_again(api: Caller) -> None:
    publish(api("ann"), version="v1")
    api("ada").delete(f"{DATASET}/versions/v1")
    body = {"value": 1, "version": "v1"}
    response = api("ann").post(f"{DATASET}/versions", body)
    assert "was published before, and removed" in problem(response, 409)["detail"]
    moved = api("abe").put(f"{DATASET}/aliases/a", {"version": "v1"})
    assert "was removed" in problem(moved, 409)["detail"]

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from artifacts.actions.retention import delete_objects
from artifacts.models import ArtifactVersion, Removal
from artifacts.store import store
from audit.models import AuditEvent
from lineage.actions.record import record_derivations
from tests.console.rest.conftest import Caller, problem
from tests.console.rest.test_artifacts import DATASET, MODEL, publish

POLICY, PLAN, RUN = f"{DATASET}/retention", f"{DATASET}/retention/plan", f"{DATASET}/retention/run"


def aged(client: Any, count: int) -> list[int]:
    """Versions v0, v1, ... of the dataset, a day apart, v0 the oldest."""
    made = [publish(client, version=f"v{n}", value=n)["id"] for n in range(count)]
    for n, pk in enumerate(made):
        ArtifactVersion.objects.filter(pk=pk).update(created_at=timezone.now() - timedelta(days=count - n, minutes=1))
    return made


def test_it_sets_reads_and_deletes_a_policy(api: Caller) -> None:
    ada = api("ada")
    publish(ada, version="v0")
    problem(ada.get(POLICY), 404)
    found = ada.put(POLICY, {"keep_newest": 2, "keep_days": 1.5}).json()
    assert (found["keep_newest"], found["keep_days"], found["keep_ancestors"], found["set_by"]) == (2, 1.5, True, "ada")
    assert api("vic").get(POLICY).json() == found
    for body in ({}, {"keep_newest": 0}, {"keep_days": -1}, {"keep_days": 1e300}, {"keep_newest": "x"}, {"keep": 1}):
        problem(ada.put(POLICY, body), 400)
    problem(api("abe").put(POLICY, {"keep_newest": 1}), 403)
    problem(api("abe").delete(POLICY), 403)
    assert ada.delete(POLICY).status_code == 204
    problem(ada.delete(POLICY), 404)
    assert set(AuditEvent.objects.values_list("verb", flat=True)) >= {"retention.set", "retention.remove"}


def test_a_dry_run_says_what_goes_and_why_the_rest_stays(api: Caller) -> None:
    ada, vic = api("ada"), api("vic")
    made = aged(ada, 5)
    ada.put(f"{DATASET}/aliases/champion", {"version": "v0"})
    model = publish(ada, MODEL, version="m1", kind="model")["id"]
    record_derivations([(made[1], model)])
    problem(vic.get(PLAN), 404)
    plan = vic.get(f"{PLAN}?keep_newest=1&keep_days=2.5").json()
    assert [one["version"] for one in plan["remove"]] == ["v2"]
    assert {one["version"]: one["reason"] for one in plan["needed"]} == {
        "v0": "alias 'champion' names it",
        "v1": "a kept version was made of it",
    }
    assert {one["version"]: one["reason"] for one in plan["kept"]} == {
        "v4": "younger than 2.5 days",
        "v3": "younger than 2.5 days",
    }
    assert not Removal.objects.exists()
    kept = vic.get(f"{PLAN}?keep_newest=2").json()["kept"]
    assert [one["reason"] for one in kept] == ["one of the newest 2 of its partition"] * 2
    assert [one["version"] for one in vic.get(f"{PLAN}?keep_newest=1&keep_ancestors=false").json()["remove"]] == [
        "v1",
        "v2",
        "v3",
    ]


def test_it_runs_a_policy_and_lists_every_removal(api: Caller, django_assert_num_queries: Any) -> None:
    ada, vic = api("ada"), api("vic")
    aged(ada, 4)
    problem(ada.post(RUN), 404)
    ada.put(POLICY, {"keep_newest": 1})
    problem(api("abe").post(RUN), 403)
    assert ada.post(RUN).json() == {"removed": 3} and ada.post(RUN).json() == {"removed": 0}
    first = vic.get(f"{DATASET}/removals?limit=2").json()
    rest = vic.get(first["next"]).json()
    found = [*first["results"], *rest["results"]]
    assert sorted(one["version"] for one in found) == ["v0", "v1", "v2"] and rest["next"] is None
    assert {(one["actor"], one["reason"]) for one in found} == {("ada", "retention: keep the newest 1")}
    assert all(one["objects_deleted_at"] for one in found)
    with django_assert_num_queries(4):
        vic.get(f"{DATASET}/removals")


def test_it_removes_a_version_by_hand_and_its_data(api: Caller) -> None:
    ada, vic = api("ada"), api("vic")
    file = SimpleUploadedFile("data.csv", b"a,b\n1,2\n")
    found = ada.post(f"{DATASET}/versions", {"file": file, "data": '{"version": "v1"}'}, format="multipart").json()
    url = f"{DATASET}/versions/v1"
    problem(api("abe").delete(url), 403)
    dry = ada.delete(f"{url}?dry_run=true").json()
    assert dry["removed"] is False and dry["blocked"] == [] and [one["kept_for"] for one in dry["data"]] == [""]
    assert store().exists(found["uri"])
    assert ada.delete(f"{url}?reason=broken").json()["removed"] is True
    assert not store().exists(found["uri"])
    assert vic.get(url).json()["removed_at"] is not None
    removal = Removal.objects.get()
    assert (removal.reason, removal.actor, removal.freed_bytes) == ("broken", "ada", 8)
    assert AuditEvent.objects.filter(verb="version.remove", actor="ada").count() == 1
    problem(ada.delete(url), 409)
    problem(ada.delete(f"{DATASET}/versions/v9"), 404)


def test_what_others_were_built_from_is_refused_or_becomes_a_tombstone(api: Caller) -> None:
    ada = api("ada")
    dataset = publish(ada, version="v1")["id"]
    model = publish(ada, MODEL, version="m1", kind="model")["id"]
    record_derivations([(dataset, model)])
    url = f"/api/v1/artifact-versions/{dataset}"
    assert "a kept version was made of it" in problem(ada.delete(url), 409)["detail"]
    assert ada.delete(f"{url}?dry_run=true").json()["needs_tombstone"] is True
    assert ada.delete(f"{url}?tombstone=true").json()["removed"] is True
    nodes = ada.get(f"/api/v1/artifact-versions/{model}/lineage").json()["nodes"]
    assert [(one["id"], one["removed_at"] is not None) for one in nodes] == [(model, False), (dataset, True)]
    ada.put(f"{MODEL}/aliases/champion", {"version": "m1"})
    refused = problem(ada.delete(f"/api/v1/artifact-versions/{model}?tombstone=true"), 409)
    assert "alias 'champion' names it" in refused["detail"]


def test_data_that_was_referred_to_or_is_shared_stays(api: Caller, object_store: str) -> None:
    ada = api("ada")
    outside = f"{object_store}/raw/demo/development/lake/part"
    store().put(outside, b"12345")
    publish_from = {"version": "v1", "uri": "s3://lake/data.csv"}
    response = ada.post(f"{DATASET}/versions", publish_from)
    assert response.status_code == 201
    (data,) = ada.delete(f"{DATASET}/versions/v1").json()["data"]
    assert data["kept_for"] == "it lies outside the object store"
    uris = []
    for version in ("s1", "s2"):  # the same bytes lie in the same place
        file = SimpleUploadedFile("data.csv", b"same")
        body = {"file": file, "data": f'{{"version": "{version}"}}'}
        uris.append(ada.post(f"{DATASET}/versions", body, format="multipart").json()["uri"])
    assert uris[0] == uris[1]
    (data,) = ada.delete(f"{DATASET}/versions/s1").json()["data"]
    assert data["kept_for"] == "dataset@s2 lies there too" and store().exists(uris[0])
    ada.delete(f"{DATASET}/versions/s2")
    assert not store().exists(uris[0])


def test_an_upload_that_is_deleted_at_this_moment_is_not_published(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = api("ada")
    file = SimpleUploadedFile("data.csv", b"abc")
    uri = ada.post(f"{DATASET}/versions", {"file": file, "data": '{"version": "v1"}'}, format="multipart").json()["uri"]
    sizes = [3, None]  # deleted after the first look
    monkeypatch.setattr("console.rest.publishing.size_of", lambda _uri: sizes.pop(0))
    refused = problem(ada.post(f"{MODEL}/versions", {"uri": uri}), 409)
    assert "nothing lies at" in refused["detail"] and "upload it again" in refused["detail"]
    assert not ArtifactVersion.objects.filter(artifact__name="model").exists()


def test_objects_left_by_a_crash_go_later_once(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = api("ada")
    file = SimpleUploadedFile("data.csv", b"abc")
    uri = ada.post(f"{DATASET}/versions", {"file": file, "data": '{"version": "v1"}'}, format="multipart").json()["uri"]
    monkeypatch.setattr("scheduler.actions.removal.delete_objects", lambda: None)  # the process died here
    ada.delete(f"{DATASET}/versions/v1")
    assert store().exists(uri) and Removal.objects.get().objects_deleted_at is None
    assert delete_objects() == 1 and not store().exists(uri)
    assert delete_objects() == 0

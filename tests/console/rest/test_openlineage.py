"""OpenLineage events come in over REST: one graph whatever their order, versions by naming rules, by rights."""

from __future__ import annotations

import gzip
import json
import random
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from artifacts.models import ArtifactVersion, Happening
from audit.models import AuditEvent
from console import openlineage
from console.accounts import tokens
from lineage.actions import outside_versions
from lineage.models import DatasetRule, Derivation, OutsideDataset, OutsideJob, OutsideRun, OutsideUse
from lineage.walks import ancestry
from tests.console.rest.conftest import Caller
from tests.lineage.outside_events import dataset, day_of, event

pytestmark = pytest.mark.django_db
HERE = "/api/v1/lineage?project=demo&domain=development"
RULES = "/api/v1/lineage/rules"
RUN = uuid.UUID("0190c0de-0000-7000-8000-000000000001")
PLACE = {"project": "demo", "domain": "development"}


def rules(api: Caller, *more: dict[str, Any]) -> None:
    made: list[dict[str, Any]] = [
        {"namespace": "postgres://*", "name": "shop.public.{table}", "artifact": "raw-{table}", "by_time": "day"},
        {"namespace": "postgres://*", "name": "shop.marts.{table}", "artifact": "mart-{table}"},
        {"namespace": "s3://features", "name": "{table}/*", "artifact": "features", "partitions": {"table": "{table}"}},
        *more,
    ]
    for rule in made:
        answer = api("ada").post(RULES, {**PLACE, **rule})
        assert answer.status_code == 201, answer.content


def picture() -> dict[str, Any]:
    """All that was kept, by names instead of numbers."""
    versions = {one.pk: (one.artifact.name, one.version) for one in ArtifactVersion.objects.select_related("artifact")}
    return {
        "jobs": sorted(OutsideJob.objects.values_list("namespace", "name", "seen_at")),
        "datasets": sorted((one.namespace, one.name, json.dumps(one.facets)) for one in OutsideDataset.objects.all()),
        "runs": sorted(
            (
                str(one.run_id),
                one.job.name,
                one.state,
                one.started_at,
                one.ended_at,
                str(one.parent),
                json.dumps(one.facets),
            )
            for one in OutsideRun.objects.select_related("job")
        ),
        "uses": sorted(
            (
                str(one.run),
                one.dataset.name,
                one.role,
                json.dumps(one.facets),
                versions.get(one.version_id or 0),
                one.refusal,
            )
            for one in OutsideUse.objects.select_related("run", "dataset")
        ),
        "versions": sorted(
            (one.artifact.name, one.version, one.partitions, one.time_partition, one.metrics, one.uri, one.created_at)
            for one in ArtifactVersion.objects.select_related("artifact")
        ),
        "made of": sorted((versions[row.target_id], versions[row.source_id]) for row in Derivation.objects.all()),
    }


def clear() -> None:
    for model in (OutsideUse, OutsideRun, OutsideJob, OutsideDataset, Derivation, Happening, ArtifactVersion):
        model._default_manager.all().delete()


def test_shuffled_doubled_and_batched_events_give_the_same_graph_as_in_order(api: Caller) -> None:
    rules(api)
    events = [one for day in range(4) for one in day_of(day)]
    ann = api("ann")
    for one in events:
        assert ann.post(HERE, one).status_code == 201
    in_order = picture()
    assert len(in_order["versions"]) == 12
    assert len(in_order["made of"]) == 8, "each day's mart of its table, its features of its mart"
    for seed in range(4):
        clear()
        chance = random.Random(seed)  # noqa: S311 - reproducible
        mixed = events * 2
        chance.shuffle(mixed)
        while mixed:
            size = chance.randint(1, 12)
            batch, mixed = mixed[:size], mixed[size:]
            assert ann.post("/api/v1/lineage/batch?project=demo&domain=development", batch).status_code == 201
        assert picture() == in_order, seed


def test_a_version_of_an_output_tells_of_its_run(api: Caller) -> None:
    rules(api)
    answer = api("ann").post(HERE, day_of(3))
    assert answer.json()["summary"] == {"received": 9, "successful": 9, "failed": 0}
    assert answer.json()["versions"] == 3
    features = ArtifactVersion.objects.get(artifact__name="features")
    assert (features.uri, features.partitions) == ("s3://features/daily/features", {"table": "daily"})
    assert features.metrics == {"rows": 103.0, "bytes": 4096.0}
    assert features.producer == "openlineage:app.features"
    assert features.created_by == "ann"
    raw = ArtifactVersion.objects.get(artifact__name="raw-orders")
    assert raw.time_partition is not None
    assert raw.time_partition.isoformat() == "2026-05-20T00:00:00+00:00"
    names = {one.name for one, _ in ancestry(features.pk).relatives()}
    assert names == {"raw-orders", "mart-daily"}


def test_what_is_told_late_is_put_between(api: Caller) -> None:
    """A reader told of first gets another source, once the table turns out to have been written anew before."""
    rules(api)
    table = dataset("postgres://db:5432", "shop.public.orders")
    mart = dataset("postgres://db:5432", "shop.marts.daily")
    first, second, reader = (uuid.UUID(int=number) for number in (1, 2, 3))
    ann = api("ann")
    ann.post(
        HERE, [event("START", first, "load", minute=0), event("COMPLETE", first, "load", minute=1, outputs=[table])]
    )
    ann.post(
        HERE,
        [
            event("START", reader, "mart", minute=10, inputs=[table]),
            event("COMPLETE", reader, "mart", minute=12, outputs=[mart]),
        ],
    )
    assert [str(row.source.version)[:36] for row in Derivation.objects.all()] == [str(first)]
    ann.post(HERE, event("COMPLETE", second, "load", minute=5, outputs=[table]))
    assert [str(row.source.version)[:36] for row in Derivation.objects.all()] == [str(second)]
    ann.post(HERE, event("COMPLETE", uuid.UUID(int=4), "load", minute=11, outputs=[table]))
    assert [str(row.source.version)[:36] for row in Derivation.objects.all()] == [str(second)], "written after it began"


def test_a_run_whose_begin_is_told_last_reads_what_was_there_when_it_began(api: Caller) -> None:
    rules(api)
    table = dataset("postgres://db:5432", "shop.public.orders")
    mart = dataset("postgres://db:5432", "shop.marts.daily")
    first, second, third, reader = (uuid.UUID(int=number) for number in (1, 2, 3, 4))
    for one in (
        event("COMPLETE", first, "load", minute=1, outputs=[table]),
        event("COMPLETE", reader, "mart", minute=12, inputs=[table], outputs=[mart]),
        event("START", reader, "mart", minute=10, inputs=[table]),
        event("COMPLETE", third, "load", minute=11, outputs=[table]),
        event("COMPLETE", second, "load", minute=5, outputs=[table]),
    ):
        assert api("ann").post(HERE, one).status_code == 201
    assert [str(row.source.version)[:36] for row in Derivation.objects.all()] == [str(second)]


def test_an_output_that_is_a_version_of_ours_is_made_of_the_run_s_inputs(api: Caller, settings: Settings) -> None:
    """As training sets of a feature store are, which are published first and told of then."""
    own = f"{settings.CAUSEWAY_OPENLINEAGE_NAMESPACE}/demo/development"
    for name in ("raw", "training", "other"):
        answer = api("ann").post(f"/api/v1/artifacts/demo/development/{name}/versions", {"value": 1, "version": "v1"})
        assert answer.status_code == 201, answer.content
    said = {"version": {"datasetVersion": "v1"}}
    view, raw = dataset("shop", "drivers"), dataset(own, "raw", facets=said)
    for place, output in ((HERE, "training"), (HERE.replace("=development", "=staging"), "other")):
        for one in (
            event("COMPLETE", RUN, "set", minute=9, outputs=[dataset(own, output, facets=said)]),
            event("START", RUN, "set", minute=1, inputs=[view, raw]),
        ):
            assert api("ann").post(place, one).status_code == 201
    assert [(row.target.artifact.name, row.source.artifact.name) for row in Derivation.objects.all()] == [
        ("training", "raw")
    ], "and nothing of a place that the events are not for"
    (use,) = OutsideUse.objects.filter(version__artifact__name="training")
    assert [one.dataset.name for one in OutsideUse.objects.filter(run=use.run, version=None)] == ["drivers"]


def test_statements_do_not_grow_with_a_batch(api: Caller) -> None:
    rules(api)
    api("ann").post(HERE, day_of(0))
    counted = []
    for days in (range(1, 2), range(2, 12)):
        with CaptureQueriesContext(connection) as caught:
            assert api("ann").post(HERE, [one for day in days for one in day_of(day)]).json()["versions"] == 3 * len(
                days
            )
        counted.append(len(caught))
    assert counted[0] == counted[1]


def test_a_count_that_no_metric_can_hold_is_left_out(api: Caller) -> None:
    rules(api)
    told = {"outputStatistics": {"rowCount": 10**400, "size": 7}}
    output = dataset("s3://features", "daily/features", outputFacets=told)
    assert api("ann").post(HERE, event("COMPLETE", RUN, "big", outputs=[output])).json()["versions"] == 1
    assert ArtifactVersion.objects.get().metrics == {"bytes": 7.0}


def test_a_run_that_failed_publishes_nothing(api: Caller) -> None:
    rules(api)
    table = dataset("postgres://db:5432", "shop.public.orders")
    api("ann").post(HERE, [event("START", RUN, "load"), event("FAIL", RUN, "load", minute=3, outputs=[table])])
    assert OutsideRun.objects.get().state == "FAIL"
    assert not ArtifactVersion.objects.exists()


def test_a_name_that_cannot_be_one_is_told_and_loses_no_event(api: Caller) -> None:
    rules(api, {"namespace": "kafka", "name": "*", "artifact": "{name}"})
    good = dataset("postgres://db:5432", "shop.public.orders")
    answer = api("ann").post(HERE, event("COMPLETE", RUN, "load", outputs=[dataset("kafka", "a/b"), good]))
    assert (answer.status_code, answer.json()["versions"]) == (201, 1)
    assert "not an artifact name" in OutsideUse.objects.get(dataset__namespace="kafka").refusal


def test_one_publication_that_is_refused_does_not_stop_the_others(api: Caller) -> None:
    """The artifact has a partition already that this rule does not give."""
    body = {"value": 1, "partitions": {"region": "SEA"}}
    ann = api("ann")
    assert ann.post("/api/v1/artifacts/demo/development/mart-daily/versions", body).status_code == 201
    rules(api)
    ann.post(HERE, day_of(0))
    assert set(OutsideUse.objects.exclude(version=None).values_list("dataset__name", flat=True)) == {
        "shop.public.orders",
        "daily/features",
    }
    assert "region" in OutsideUse.objects.get(dataset__name="shop.marts.daily", role="output").refusal


def test_facets_are_kept_with_schema_and_columns(api: Caller) -> None:
    ann = api("ann")
    ann.post(HERE, day_of(0))
    found = ann.get("/api/v1/lineage/datasets?namespace=postgres://db:5432&name=shop.marts.daily").json()["results"]
    one = ann.get(f"/api/v1/lineage/datasets/{found[0]['id']}").json()
    assert [(column["name"], column["type"]) for column in one["columns"]] == [("day", "date"), ("eur", "numeric")]
    assert one["columns"][1]["sources"] == [
        {"namespace": "postgres://db:5432", "name": "shop.public.orders", "field": "eur"}
    ]
    assert set(one["facets"]) == {"schema", "columnLineage"}
    assert sorted((job["name"], job["role"]) for job in one["jobs"]) == [
        ("app.features", "input"),
        ("dbt.daily", "output"),
    ]
    runs = ann.get("/api/v1/lineage/runs?state=COMPLETE").json()["results"]
    load = next(run for run in runs if run["job"]["name"] == "shop.load")
    whole = ann.get(f"/api/v1/lineage/runs/{load['id']}").json()
    assert set(whole["facets"]) == {"parent", "nominalTime"}
    assert [(use["role"], use["dataset"]["name"]) for use in whole["uses"]] == [
        ("input", "orders/part-0.parquet"),
        ("output", "shop.public.orders"),
    ]
    dag = next(run for run in runs if run["job"]["name"] == "shop")
    children = ann.get(f"/api/v1/lineage/runs/{dag['id']}").json()["children"]
    assert [child["job"]["name"] for child in children] == ["shop.load"]
    graph = ann.get("/api/v1/lineage/graph?project=demo&domain=development").json()
    assert (len(graph["jobs"]), len(graph["datasets"]), len(graph["edges"])) == (3, 4, 6)


def test_a_version_of_ours_that_a_run_read_is_found(api: Caller) -> None:
    ann = api("ann")
    ann.post("/api/v1/artifacts/demo/development/model/versions", {"value": 1, "version": "v1"})
    ann.post("/api/v1/artifacts/elsewhere/development/model/versions", {"value": 1, "version": "v1"})
    api("sue").post("/api/v1/artifacts/elsewhere/development/model/versions", {"value": 1, "version": "v1"})
    rules(api)
    used = [
        dataset(f"causeway/{project}/development", "model", facets={"version": {"datasetVersion": "v1"}})
        for project in ("demo", "elsewhere")
    ]
    written = dataset("postgres://db:5432", "shop.marts.scores")
    ann.post(HERE, event("COMPLETE", RUN, "score", inputs=used, outputs=[written]))
    ours = ArtifactVersion.objects.get(artifact__project="demo", artifact__name="model")
    assert list(OutsideUse.objects.filter(role="input").exclude(version=None).values_list("version", flat=True)) == [
        ours.pk
    ]
    scores = ArtifactVersion.objects.get(artifact__name="mart-scores")
    assert [one.pk for one, _ in ancestry(scores.pk).relatives()] == [ours.pk]


def test_of_a_batch_the_right_ones_are_kept_and_the_others_told(api: Caller) -> None:
    bad = {**event("START", RUN, "j"), "eventTime": "soon"}
    answer = api("ann").post(HERE, [bad, event("START", RUN, "j"), 7])
    assert answer.status_code == 201
    body = answer.json()
    assert (body["status"], body["summary"]["failed"]) == ("partial_success", 2)
    assert [one["index"] for one in body["failed_events"]] == [0, 2]
    assert "eventTime" in body["failed_events"][0]["reason"]
    assert OutsideRun.objects.count() == 1
    for nothing in (bad, [bad], [], {}, "x"):
        refused = api("ann").post(HERE, json.dumps(nothing), content_type="application/json")
        assert refused.status_code == 400, nothing
    assert OutsideRun.objects.count() == 1


def test_gzip_is_read_and_bombs_are_not(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = api("ann")
    packed = gzip.compress(json.dumps(event("START", RUN, "j")).encode())

    def send(body: bytes, encoding: str = "gzip") -> Any:
        return ann.post(HERE, body, content_type="application/json", HTTP_CONTENT_ENCODING=encoding)

    assert send(packed).status_code == 201
    assert send(packed[:-9]).status_code == 400
    assert send(b"no gzip").status_code == 400
    assert send(packed, "br").status_code == 400
    monkeypatch.setattr(openlineage, "MAX_BYTES", 100)
    assert send(packed).status_code == 413


def test_events_belong_where_they_are_sent_and_to_a_tokens_project(api: Caller, cast: dict[str, Any]) -> None:
    ann = api("ann")
    assert ann.post("/api/v1/lineage/to/demo/staging", event("START", RUN, "j")).json()["domain"] == "staging"
    _token, secret = tokens.create(cast["ann"], "airflow", scopes=["publish"], project="demo")
    ann.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    told = ann.post("/api/v1/lineage", event("START", RUN, "j")).json()
    assert (told["project"], told["domain"]) == ("demo", "development")
    assert OutsideRun.objects.count() == 2, "a run is one of its place: nobody changes another project's"


@pytest.mark.parametrize(("who", "status"), [("vic", 403), ("sue", 404)])
def test_who_may_not_publish_sends_no_events(api: Caller, who: str, status: int) -> None:
    assert api(who).post(HERE, event("START", RUN, "j")).status_code == status
    assert not OutsideRun.objects.exists()


def test_strangers_see_nothing_of_it(api: Caller) -> None:
    api("ann").post(HERE, day_of(0))
    sue = api("sue")
    for kind, model in (("datasets", OutsideDataset), ("jobs", OutsideJob), ("runs", OutsideRun)):
        assert sue.get(f"/api/v1/lineage/{kind}").json()["results"] == []
        assert api("vic").get(f"/api/v1/lineage/{kind}").json()["results"]
        pk = model.objects.values_list("pk", flat=True)[0]
        assert sue.get(f"/api/v1/lineage/{kind}/{pk}").status_code == 404
        assert api("vic").get(f"/api/v1/lineage/{kind}/{pk}").status_code == 200
    assert sue.get("/api/v1/lineage/graph?project=demo&domain=development").status_code == 404


def test_a_dataset_that_lies_in_our_store_is_published_by_who_may_read_it(
    api: Caller, object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a rule would open what lies there to the readers of the artifact."""
    address = f"{object_store}/uploads/elsewhere/development/secret.bin"
    monkeypatch.setattr(outside_versions, "address_of", lambda dataset: address)
    rules(api, {"namespace": "s3://*", "name": "*", "artifact": "stolen"})
    api("ann").post(HERE, event("COMPLETE", RUN, "j", outputs=[dataset("s3://bucket", "secret.bin")]))
    assert "may not read" in OutsideUse.objects.get().refusal
    assert not ArtifactVersion.objects.exists()


def test_rules_are_made_by_administrators_and_are_in_the_trail(api: Caller) -> None:
    body = {**PLACE, "namespace": "kafka", "name": "{topic}", "artifact": "topic-{topic}"}
    assert api("ann").post(RULES, body).status_code == 403
    assert api("sue").post(RULES, body).status_code == 404
    made = api("ada").post(RULES, body).json()
    assert api("ada").post(RULES, {**body, "artifact": "{nothing}"}).status_code == 400
    one = f"{RULES}/{made['id']}"
    assert api("vic").get(one).json()["artifact"] == "topic-{topic}"
    assert api("sue").get(one).status_code == 404
    assert api("ann").patch(one, {"position": 3}).status_code == 403
    assert api("ada").patch(one, {"position": 3}).json()["position"] == 3
    assert api("ada").patch(one, {"name": "{other}"}).status_code == 400, "the artifact's name asks for {topic}"
    assert DatasetRule.objects.get().name == "{topic}"
    assert api("ada").delete(one).status_code == 204
    verbs = AuditEvent.objects.filter(verb__startswith="dataset_rule").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["dataset_rule.create", "dataset_rule.change", "dataset_rule.remove"]

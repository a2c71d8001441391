"""OpenLineage events as producers write them: of a scheduler, of dbt and of Spark's listener."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
START = datetime(2026, 5, 17, 6, tzinfo=timezone.utc)
Json = dict[str, Any]


def facet(schema: str, **values: Any) -> Json:
    producer = "https://github.com/OpenLineage/OpenLineage/tree/1.40.0/client/python"
    return {"_producer": producer, "_schemaURL": f"https://openlineage.io/spec/facets/{schema}.json", **values}


def dataset(namespace: str, name: str, *, columns: dict[str, str] | None = None, **more: Any) -> Json:
    facets: Json = more.pop("facets", {})
    if columns:
        fields = [{"name": name, "type": kind} for name, kind in columns.items()]
        facets = {**facets, "schema": facet("1-1-1/SchemaDatasetFacet", fields=fields)}
    return {"namespace": namespace, "name": name, "facets": facets, **more}


def event(
    kind: str,
    run: uuid.UUID,
    job: str,
    *,
    minute: float = 0,
    namespace: str = "airflow",
    inputs: list[Json] | None = None,
    outputs: list[Json] | None = None,
    run_facets: Json | None = None,
    job_facets: Json | None = None,
) -> Json:
    at = (START + timedelta(minutes=minute)).isoformat()
    return {
        "eventType": kind,
        "eventTime": at,
        "producer": "https://airflow.apache.org",
        "schemaURL": SPEC,
        "run": {"runId": str(run), "facets": run_facets or {}},
        "job": {"namespace": namespace, "name": job, "facets": job_facets or {}},
        "inputs": inputs or [],
        "outputs": outputs or [],
    }


def day_of(number: int) -> list[Json]:
    """One day of three producers, in order: a scheduler loads, dbt transforms, Spark writes features.

    As these send them: outputs at the end only (scheduler), at both (dbt), with RUNNING in between and more facets each
    time (Spark).
    """
    load, transform, features, dag = (uuid.uuid5(uuid.NAMESPACE_URL, f"{one}-{number}") for one in "ltfd")
    at = 24 * 60 * number
    raw = dataset("s3://landing", "orders/part-0.parquet", columns={"id": "long", "eur": "double"})
    table = dataset("postgres://db:5432", "shop.public.orders", columns={"id": "bigint", "eur": "numeric"})
    clean = dataset("postgres://db:5432", "shop.marts.daily", columns={"day": "date", "eur": "numeric"})
    out = {"namespace": "s3://features", "name": "daily/features"}
    parent = facet("1-1-0/ParentRunFacet", run={"runId": str(dag)}, job={"namespace": "airflow", "name": "shop"})
    nominal = facet("1-0-1/NominalTimeRunFacet", nominalStartTime=(START + timedelta(days=number)).isoformat())
    statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=100 + number, size=4096)
    from_table = [{"namespace": "postgres://db:5432", "name": "shop.public.orders", "field": "eur"}]
    lineage = facet("1-2-0/ColumnLineageDatasetFacet", fields={"eur": {"inputFields": from_table}})
    clean["facets"]["columnLineage"] = lineage
    spark: dict[str, Any] = {"namespace": "spark"}
    return [
        event("START", dag, "shop", minute=at),
        event("START", load, "shop.load", minute=at + 1, run_facets={"parent": parent, "nominalTime": nominal}),
        event("COMPLETE", load, "shop.load", minute=at + 5, inputs=[raw], outputs=[table]),
        event("START", transform, "dbt.daily", minute=at + 6, namespace="dbt", inputs=[table], outputs=[clean]),
        event("COMPLETE", transform, "dbt.daily", minute=at + 8, namespace="dbt", inputs=[table], outputs=[clean]),
        event("START", features, "app.features", minute=at + 9, **spark),
        event("RUNNING", features, "app.features", minute=at + 10, inputs=[clean], **spark),
        event(
            "COMPLETE",
            features,
            "app.features",
            minute=at + 12,
            inputs=[clean],
            outputs=[{**out, "outputFacets": {"outputStatistics": statistics}}],
            **spark,
        ),
        event("COMPLETE", dag, "shop", minute=at + 13),
    ]

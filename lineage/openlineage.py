"""OpenLineage events (openlineage.io, specification 2-0-2): executions as runs, artifact versions as datasets.

A run's id is a UUID made of the execution's key, so that every event of it, and of its children, names the same one.
The job is what was executed; jobs and datasets are named in `<CAUSEWAY_OPENLINEAGE_NAMESPACE>/<project>/<domain>`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from django.conf import settings
from flyteidl.core import types_pb2

from artifacts.literals import describe_type
from artifacts.models import ArtifactVersion
from lineage.walks import VersionNode

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets"
PRODUCER = "https://github.com/causeway/causeway"
RUNS = uuid.UUID("6f2f6a50-7a2c-5b1e-9a37-1d3d4c1b7a10")


def run_id(execution_key: str) -> str:
    return str(uuid.uuid5(RUNS, execution_key))


def run_event_of(
    execution_key: str,
    *,
    job: str,
    at: datetime,
    inputs: Iterable[VersionNode],
    outputs: Iterable[VersionNode],
    event_type: str = "COMPLETE",
    parent: Mapping[str, str] | None = None,
    owner: str = "",
    error: str = "",
    types: Mapping[int, bytes] | None = None,
) -> dict[str, Any]:
    """`job` is what was run (`workflow:<name>@<version>`), `parent` the key and job of the execution that started it.

    `types` are the literal types of versions, as stored: what is known of columns is taken from there.
    """
    project, domain = (*execution_key.split("/"), "", "")[:2]
    run_facets: dict[str, Any] = {}
    if parent:
        run_facets["parent"] = _facet(
            "1-0-1/ParentRunFacet",
            run={"runId": run_id(parent["key"])},
            job={"namespace": _namespace(*parent["key"].split("/")[:2]), "name": _bare(parent["job"])},
        )
    if error:
        run_facets["errorMessage"] = _facet("1-0-1/ErrorMessageRunFacet", message=error, programmingLanguage="PYTHON")
    job_facets: dict[str, Any] = {
        "jobType": _facet(
            "2-0-3/JobTypeJobFacet",
            processingType="BATCH",
            integration="CAUSEWAY",
            jobType=job.partition(":")[0].upper() if ":" in job else "WORKFLOW",
        )
    }
    if owner:
        job_facets["ownership"] = _facet("1-0-1/OwnershipJobFacet", owners=[{"name": owner, "type": "PRINCIPAL"}])
    known = types or {}
    return {
        "eventType": event_type,
        "eventTime": at.astimezone(timezone.utc).isoformat(),
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "run": {"runId": run_id(execution_key), "facets": run_facets},
        "job": {"namespace": _namespace(project, domain), "name": _bare(job) or execution_key, "facets": job_facets},
        "inputs": [_dataset(one, known.get(one.pk)) for one in inputs],
        "outputs": [_dataset(one, known.get(one.pk)) for one in outputs],
    }


def _facet(schema: str, **values: Any) -> dict[str, Any]:
    name = schema.rpartition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{schema}.json#/$defs/{name}", **values}


def _namespace(project: str, domain: str) -> str:
    return f"{settings.CAUSEWAY_OPENLINEAGE_NAMESPACE}/{project}/{domain}"


def _bare(job: str) -> str:
    """`workflow:<name>@<version>` without kind and version: the same job every time."""
    return job.partition(":")[2].partition("@")[0] if ":" in job else job.partition("@")[0]


def _dataset(version: VersionNode, literal_type: bytes | None) -> dict[str, Any]:
    facets: dict[str, Any] = {"version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=version.version)}
    fields = columns_of(literal_type) if literal_type is not None else []
    if fields:
        facets["schema"] = _facet("1-1-1/SchemaDatasetFacet", fields=fields)
    return {"namespace": _namespace(version.project, version.domain), "name": version.name, "facets": facets}


def columns_of(literal_type: bytes) -> list[dict[str, str]]:
    """Columns of a dataset, where its type names them; for any other value the type itself as the one field."""
    found = types_pb2.LiteralType.FromString(bytes(literal_type))
    if found.HasField("structured_dataset_type"):
        columns = found.structured_dataset_type.columns
        return [{"name": column.name, "type": describe_type(column.literal_type)} for column in columns]
    if found.HasField("schema"):
        kinds = types_pb2.SchemaType.SchemaColumn.SchemaColumnType
        return [{"name": one.name, "type": kinds.Name(one.type).lower()} for one in found.schema.columns]
    return [{"name": "value", "type": describe_type(found)}]


def types_of(ids: Iterable[int]) -> dict[int, bytes]:
    rows = ArtifactVersion.objects.filter(pk__in=list(ids)).values_list("pk", "literal_type")
    return {pk: bytes(kind) for pk, kind in rows}

"""Feast and Causeway: versions as sources of feature views; training sets as versions that know what they are of."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from causeway.client import Client
from causeway.http import CausewayError
from causeway.version import Version

TAG = "causeway."  # before the members of a version in the tags of a source
MEMBERS = ("project", "domain", "name", "version")
PRODUCER = "https://github.com/causeway/causeway/sdk/feast"
_FACET = "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"


def file_source(version: Version, *, timestamp_field: str, folder: Path | None = None, **options: Any) -> Any:
    """A version as a Feast `FileSource` of the artifact's name, whose tags say which version it is.

    :param folder: where the data is downloaded to, in a folder of the version's own; without one, Feast reads it where
        it lies, which it has to be able to
    :param options: others of FileSource, such as `created_timestamp_column`
    """
    from feast import FileSource

    told = {f"{TAG}{member}": str(version.fields[member]) for member in MEMBERS}
    path = version.uri
    if folder is not None:
        path = str(version.download(folder / str(version.fields["name"]) / version.version.replace("/", "_")))
    if not path:
        raise CausewayError(f"{version.name}@{version.version} is a plain value: a feature view is made of a file")
    tags = {**options.pop("tags", {}), **told}
    return FileSource(
        name=str(version.fields["name"]), path=path, timestamp_field=timestamp_field, tags=tags, **options
    )


def training_set(
    client: Client, store: Any, name: str, entities: Any, features: Iterable[str] | Any, **details: Any
) -> Version:
    """Publish what the store's features were at each row's time (`get_historical_features`) as a version.

    Its lineage is told as an OpenLineage run: of the feature views, as Feast names them in its own events, and of the
    versions that their sources are.

    :param entities: a data frame of entity keys and `event_timestamp`, or SQL, as Feast takes it
    :param features: references (`driver_stats:rides`), or a FeatureService
    :param details: as of `Client.create`
    """
    began = datetime.now(timezone.utc)
    asked = features if hasattr(features, "feature_view_projections") else list(features)
    frame = store.get_historical_features(entity_df=entities, features=asked).to_df()
    views = _views(store, asked)
    metadata = {
        "feast.project": str(store.project),
        "feast.views": ", ".join(sorted(views)),
        **details.pop("metadata", {}),
    }
    version = client.create(
        name, frame=frame, **{"producer": f"feast:{store.project}", "kind": "dataset", **details}, metadata=metadata
    )
    _tell(client, store, version, views, began)
    return version


def _views(store: Any, asked: Any) -> dict[str, Any]:
    """The feature views by name."""
    if isinstance(asked, list):
        names = {reference.partition(":")[0].partition("@")[0] for reference in asked}
    else:
        names = {projection.name for projection in asked.feature_view_projections}
    known = {view.name: view for view in [*store.list_feature_views(), *store.list_on_demand_feature_views()]}
    return {name: known.get(name) for name in names}


def _tell(client: Client, store: Any, version: Version, views: dict[str, Any], began: datetime) -> None:
    from feast.openlineage.identity import resolve_namespace

    said = getattr(store.config, "openlineage", None)
    namespace = resolve_namespace(said.namespace if said else None, store.project)
    run, job = {"runId": str(uuid.uuid4())}, {"namespace": namespace, "name": f"training_set_{version.fields['name']}"}
    inputs = [{"namespace": namespace, "name": name} for name in sorted(views)]
    inputs += [own for view in views.values() if (own := _own(getattr(view, "batch_source", None)))]
    output = _dataset({member: str(version.fields[member]) for member in MEMBERS})
    common = {"run": run, "job": job, "producer": PRODUCER}
    events = [
        {**common, "eventType": "START", "eventTime": began.isoformat(), "inputs": inputs},
        {**common, "eventType": "COMPLETE", "eventTime": datetime.now(timezone.utc).isoformat(), "outputs": [output]},
    ]
    place = {"project": version.fields["project"], "domain": version.fields["domain"]}
    client.connection.call("POST", "lineage", params=place, json=events)


def _own(source: Any) -> dict[str, Any] | None:
    tags = getattr(source, "tags", None) or {}
    found = {member: tags[f"{TAG}{member}"] for member in MEMBERS if f"{TAG}{member}" in tags}
    return _dataset(found) if len(found) == len(MEMBERS) else None


def _dataset(version: dict[str, str]) -> dict[str, Any]:
    facet = {"_producer": PRODUCER, "_schemaURL": _FACET, "datasetVersion": version["version"]}
    ours = os.environ.get("CAUSEWAY_OPENLINEAGE_NAMESPACE", "causeway")  # as the server's, whose default is the same
    namespace = f"{ours}/{version['project']}/{version['domain']}"
    return {"namespace": namespace, "name": version["name"], "facets": {"version": facet}}

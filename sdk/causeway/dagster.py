"""Dagster both ways: its materialisations become versions, and versions set off its assets and jobs.

Both are sensors, which Dagster's daemon runs and keeps a cursor for; they go into the `Definitions` as others do. Needs
`dagster` in the environment that holds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from causeway.client import Client
from causeway.http import CausewayError
from causeway.version import Version

AT_ONCE = 100  # materialisations, or versions, of one evaluation
PATHS = ("uri", "path")  # metadata of a materialisation that says where its data lies, the first that is there


def publishing_sensor(
    assets: Sequence[str],
    *,
    client: Client | None = None,
    names: Mapping[str, str] | None = None,
    name: str = "causeway_publishing",
    seconds: int = 30,
) -> Any:
    """A sensor that publishes each materialisation of the assets as a version, once and in order.

    :param assets: keys as Dagster shows them, `a/b`
    :param names: of the artifacts by asset; default: the last part of the key
    """
    import dagster

    keys = {one: dagster.AssetKey.from_user_string(one) for one in assets}

    @dagster.sensor(name=name, minimum_interval_seconds=seconds, default_status=dagster.DefaultSensorStatus.RUNNING)
    def sensor(context: Any) -> Any:  # Dagster reads the types of sensors, and finds none that a function imported
        seen = _numbers(context.cursor)
        published = []
        for text, key in keys.items():
            for record in _records(context.instance, key, seen.get(text, 0)):
                artifact = (names or {}).get(text) or key.path[-1]
                published.append(_publish(client or Client(), artifact, text, record))
                seen[text] = record.storage_id
                context.update_cursor(_text(seen))  # one that fails is tried again, those before it are not
        return dagster.SkipReason(f"published {', '.join(map(str, published)) or 'nothing'}")

    return sensor


def _records(instance: Any, key: Any, after: int) -> Iterator[Any]:
    import dagster

    wanted = dagster.AssetRecordsFilter(asset_key=key, after_storage_id=after)
    yield from instance.fetch_materializations(wanted, limit=AT_ONCE, ascending=True).records


def _publish(client: Client, artifact: str, asset: str, record: Any) -> Version:
    """Its identity is Dagster's own number of the event, with the run."""
    materialization = record.asset_materialization
    told = {key: getattr(value, "value", None) for key, value in materialization.metadata.items()}
    address = next((str(told[key]) for key in PATHS if told.get(key)), "")
    numbers = {key: one for key, one in told.items() if isinstance(one, int | float) and not isinstance(one, bool)}
    said = {"dagster.asset": asset, "dagster.run": record.run_id, "dagster.path": address}
    partition = {"partition": record.partition_key} if record.partition_key else {}
    version = f"{record.run_id}-{record.storage_id}"
    content: dict[str, Any] = {"value": {"asset": asset, "run": record.run_id, **partition}}
    if "://" in address and not address.startswith("file:"):
        content = {"external_ref": address, "shape": "file"}
    return client.create(
        artifact,
        version=version,
        partitions=partition,
        metrics={key.replace("/", "."): float(one) for key, one in numbers.items()},  # dagster/row_count and the like
        metadata={key: text for key, text in said.items() if text},
        producer=f"dagster:{asset}",
        **content,
    )


def version_sensor(
    artifact: str,
    *,
    job: Any = None,
    asset: str = "",
    client: Client | None = None,
    name: str = "",
    seconds: int = 30,
) -> Any:
    """A sensor that launches a job for each new version of an artifact, or tells Dagster of it as a materialisation of
    an (external) asset, by which its automation conditions go on. What is there before its first look is not.

    :param job: of Dagster; its run has the tags `causeway/artifact` and `causeway/version`
    :param asset: key of an external asset
    """
    import dagster

    if (job is None) == (not asset):
        raise CausewayError("give exactly one of a job and an asset")
    key = dagster.AssetKey.from_user_string(asset) if asset else None
    title = name or f"causeway_{''.join(c if c.isalnum() else '_' for c in artifact)}"

    @dagster.sensor(
        name=title, job=job, minimum_interval_seconds=seconds, default_status=dagster.DefaultSensorStatus.RUNNING
    )
    def sensor(context: Any) -> Any:  # Dagster reads the types of sensors, and finds none that a function imported
        versions = newer_than(client or Client(), artifact, context.cursor)
        if context.cursor is None:
            context.update_cursor(str(versions[-1].fields["id"] if versions else 0))
            return dagster.SkipReason(f"looks at {artifact} from now on")
        found = versions[:AT_ONCE]
        if not found:
            return dagster.SkipReason(f"no new version of {artifact}")
        context.update_cursor(str(found[-1].fields["id"]))
        if key is None:
            return [dagster.RunRequest(run_key=str(one.fields["id"]), tags=_tags(one)) for one in found]
        events = [dagster.AssetMaterialization(asset_key=key, metadata=_tags(one)) for one in found]
        return dagster.SensorResult(asset_events=events)

    return sensor


def newer_than(client: Client, artifact: str, cursor: str | None) -> list[Version]:
    """Versions with a greater id, the oldest first; without a cursor the newest alone."""
    found: list[Version] = []
    try:
        for version in client.versions(artifact):
            if cursor is None:
                return [version]
            if version.fields["id"] <= int(cursor):
                break
            found.append(version)
    except CausewayError as error:
        if error.status != 404:  # nothing was published yet
            raise
    return found[::-1]


def _tags(version: Version) -> dict[str, str]:
    fields = version.fields
    where = f"{fields['project']}/{fields['domain']}/{fields['name']}"
    return {"causeway/artifact": where, "causeway/version": str(fields["version"]), "causeway/uri": str(fields["uri"])}


def _numbers(cursor: str | None) -> dict[str, int]:
    return {str(key): int(value) for key, value in json.loads(cursor or "{}").items()}


def _text(seen: Mapping[str, int]) -> str:
    return json.dumps(seen, sort_keys=True)

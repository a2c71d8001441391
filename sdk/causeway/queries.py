"""What a query can ask for beyond flytekit's own: aliases, versions, spans of time, the past, formulas."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, TypeAlias

from flyteidl.core import artifact_id_pb2
from flytekit.core.artifact import ArtifactQuery, DefaultArtifactSerializationHandler, Serializer, TimePartition

from causeway import wire
from causeway.times import start_of, transform_of

__all__ = ["Moment", "asking", "complete", "start_of"]

Moment: TypeAlias = datetime | artifact_id_pb2.InputBindingData


def asking(
    query: ArtifactQuery,
    *,
    alias: str = "",
    version: str = "",
    time_from: Moment | None = None,
    time_before: Moment | None = None,
    created_before: Moment | None = None,
    checks: str = "",
    quarantined: bool = False,
) -> ArtifactQuery:
    """The query, asking for this as well.

    :raises ValueError: for a moment that is neither a datetime nor an input, or checks that are not "passed"
    """
    if checks not in ("", "passed"):
        raise ValueError(f"checks of a query must be 'passed', not {checks!r}")
    moments = {"time_from": time_from, "time_before": time_before, "created_before": created_before}
    more = {"alias": alias} if alias else {}
    more |= {"checks": checks} if checks else {}
    more |= {"quarantined": "yes"} if quarantined else {}
    more |= {key: _said(key, moment) for key, moment in moments.items() if moment is not None}
    query.causeway, query.causeway_version = more, version
    return query


def _said(key: str, moment: Moment) -> Any:
    if isinstance(moment, artifact_id_pb2.InputBindingData):
        return {"input": moment.var}
    if not isinstance(moment, datetime):
        raise ValueError(f"{key} must be a datetime or an input of the workflow, not {type(moment).__name__}")
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).isoformat()


def complete(message: artifact_id_pb2.ArtifactQuery, query: ArtifactQuery) -> artifact_id_pb2.ArtifactQuery:
    """The query's message with what `asking` added; also with the tag that flytekit's own class has and forgets."""
    more = dict(getattr(query, "causeway", None) or {})
    if query.tag:
        more.setdefault("alias", query.tag)
    if version := getattr(query, "causeway_version", ""):
        message.artifact_id.version = version
    if more:
        extra = wire.Query(causeway=json.dumps(more, sort_keys=True))
        message.MergeFromString(extra.SerializeToString())
    return message


class _Complete(DefaultArtifactSerializationHandler):  # type: ignore[misc]
    """Of default inputs; flytekit's own form drops what it does not know, and what is added to an input's time."""

    def artifact_query_to_idl(self, aq: ArtifactQuery, **kwargs: Any) -> artifact_id_pb2.ArtifactQuery:
        return complete(super().artifact_query_to_idl(aq, **kwargs), aq)

    def time_partition_to_idl(self, tp: TimePartition | None, **kwargs: Any) -> artifact_id_pb2.TimePartition | None:
        found: artifact_id_pb2.TimePartition | None = super().time_partition_to_idl(tp, **kwargs)
        transform = transform_of(tp) if tp is not None else None
        if found is None or transform is None:
            return found
        if not found.value.HasField("input_binding"):
            raise ValueError("in a query, only the time of an input can be moved: TimePartition(Inputs.at) - timedelta")
        binding = wire.InputBinding(
            var=found.value.input_binding.var, time_transform=transform.SerializeToString(deterministic=True)
        )
        found.value.input_binding.ParseFromString(binding.SerializeToString(deterministic=True))
        return found


if type(Serializer.serializer) is DefaultArtifactSerializationHandler:  # another package's knows its own platform
    Serializer.register_serializer(_Complete())

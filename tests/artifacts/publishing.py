"""Values published as a task of an execution would publish them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2, types_pb2
from flytekit.core.artifact import Artifact as FlyteArtifact
from flytekit.core.artifact import ArtifactIDSpecification
from google.protobuf.timestamp_pb2 import Timestamp

from artifacts import wire
from artifacts.actions.publish import Published, Source, publish_outputs
from artifacts.models import ArtifactVersion

START = datetime(2026, 5, 17, 12, 0, tzinfo=timezone.utc)
INT = types_pb2.LiteralType(simple=types_pb2.INTEGER)


def integer(value: int, metadata: Mapping[str, str] | None = None) -> literals_pb2.Literal:
    primitive = literals_pb2.Primitive(integer=value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=primitive), metadata=dict(metadata or {}))


def text(value: str) -> literals_pb2.Literal:
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=value)))


def moment(value: datetime) -> literals_pb2.Literal:
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return literals_pb2.Literal(scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(datetime=stamp)))


def variable(artifact: FlyteArtifact | ArtifactIDSpecification) -> interface_pb2.Variable:
    """An output annotated with a flytekit artifact, bound or not."""
    bound = artifact() if isinstance(artifact, FlyteArtifact) else artifact
    return interface_pb2.Variable(type=INT, artifact_partial_id=bound.to_partial_artifact_id())


def at_run_time(partitions: Mapping[str, str] | None = None, time: datetime | None = None, granularity: int = 0) -> str:
    """The `_uap` metadata that `create_from` leaves on a literal."""
    found = artifact_id_pb2.ArtifactID()
    for key, value in (partitions or {}).items():
        found.partitions.value[key].static_value = value
    if time is not None:
        found.time_partition.value.time_value.FromDatetime(time)
        found.time_partition.granularity = granularity  # type: ignore[assignment]
    return base64.b64encode(found.SerializeToString()).decode()


def card_metadata(body: str, *, kind: int = 1, text_type: int = 0) -> dict[str, str]:
    card = wire.Card(type=kind, body=body, text_type=text_type)
    return {wire.CARD_KEY: base64.b64encode(card.SerializeToString()).decode()}


def source(execution: str = "e1", **over: object) -> Source:
    values: dict[str, object] = {
        "execution_key": f"flytesnacks/development/{execution}",
        "project": "flytesnacks",
        "domain": "development",
        "node_id": "n0",
        "attempt": 0,
        "producer": "task:produce@v1",
        "actor": "ada",
    }
    return Source(**{**values, **over})  # type: ignore[arg-type]


def publish_output(
    artifact: FlyteArtifact | ArtifactIDSpecification,
    value: literals_pb2.Literal | int = 7,
    *,
    inputs: Mapping[str, literals_pb2.Literal] | None = None,
    execution: str = "e1",
    at: datetime | None = None,
    output: str = "o0",
    **over: object,
) -> Published:
    literal = integer(value) if isinstance(value, int) else value
    return publish_outputs(
        outputs=interface_pb2.VariableMap(variables={output: variable(artifact)}),
        values=literals_pb2.LiteralMap(literals={output: literal}),
        inputs=literals_pb2.LiteralMap(literals=dict(inputs or {})),
        source=source(execution, **over),
        at=at or START,
    )


def published(name: str, minute: int = 0, **partitions: str) -> ArtifactVersion:
    """A version of `name`, published `minute` minutes after START."""
    artifact = FlyteArtifact(name=name, partition_keys=sorted(partitions) or None)
    bound = artifact(**partitions) if partitions else artifact
    execution = f"x{minute}-{'-'.join(partitions.values())}".lower().replace(" ", "")
    result = publish_output(bound, minute, execution=execution, at=START + timedelta(minutes=minute))
    return result.versions[0][1]

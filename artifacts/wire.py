"""What clients send beyond the published FlyteIDL: messages of `flyteidl.artifact`, keys of literal metadata.

    Trigger  1: core.ArtifactID trigger   2: core.ParameterMap trigger_inputs   (LaunchPlanMetadata.launch_conditions)
    Card     1: string uri   2: CardType type (1 model, 2 dataset)   3: string body   4: text type

`_uc` holds a base64 Card and `_uap` a base64 core.ArtifactID with partitions known at run time only; `_um` is ours: a
JSON object of numbers, the version's metrics.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flyteidl.core import artifact_id_pb2, interface_pb2
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from artifacts.exceptions import InvalidArgument
from artifacts.models import CardFormat, Kind

CARD_KEY = "_uc"
PARTITIONS_KEY = "_uap"
METRICS_KEY = "_um"

PACKAGE = "flyteidl.artifact"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _message_class(name: str, fields: list[tuple[str, int, int, str]], imports: tuple[str, ...]) -> type[Message]:
    """The class of `flyteidl.artifact.<name>`, described here unless something else in the process described it
    already.
    """
    pool = descriptor_pool.Default()
    full_name = f"{PACKAGE}.{name}"
    try:
        descriptor = pool.FindMessageTypeByName(full_name)
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto(
            name=f"causeway/{name.lower()}.proto", package=PACKAGE, syntax="proto3", dependency=imports
        )
        message = file.message_type.add(name=name)
        for field, number, kind, type_name in fields:
            message.field.add(
                name=field, number=number, type=kind, type_name=type_name or None, label=_FIELD.LABEL_OPTIONAL
            )
        pool.Add(file)
        descriptor = pool.FindMessageTypeByName(full_name)
    return message_factory.GetMessageClass(descriptor)


# Any: the concrete classes exist at run time only.
Trigger: Any = _message_class(
    "Trigger",
    [
        ("trigger", 1, _FIELD.TYPE_MESSAGE, ".flyteidl.core.ArtifactID"),
        ("trigger_inputs", 2, _FIELD.TYPE_MESSAGE, ".flyteidl.core.ParameterMap"),
    ],
    (artifact_id_pb2.DESCRIPTOR.name, interface_pb2.DESCRIPTOR.name),
)
Card: Any = _message_class(
    "Card",
    [
        ("uri", 1, _FIELD.TYPE_STRING, ""),
        ("type", 2, _FIELD.TYPE_INT32, ""),
        ("body", 3, _FIELD.TYPE_STRING, ""),
        ("text_type", 4, _FIELD.TYPE_INT32, ""),
    ],
    (),
)
# Clients differ in whether the text type is a number or a word; a field of the other wire type would be ignored.
_CardWord: Any = _message_class("CausewayCardWord", [("text_type", 4, _FIELD.TYPE_STRING, "")], ())


class TriggerParts(NamedTuple):
    artifact: artifact_id_pb2.ArtifactID
    inputs: Mapping[str, interface_pb2.Parameter]


def decode_trigger(conditions: any_pb2.Any) -> TriggerParts:
    """What `launch_conditions` asks for. InvalidArgument when it is not a trigger, or does not decode."""
    while conditions.type_url.rpartition("/")[2] == any_pb2.Any.DESCRIPTOR.full_name:  # flytekit packs what is packed
        inner = any_pb2.Any()
        conditions.Unpack(inner)
        conditions = inner
    if conditions.type_url.rpartition("/")[2] != f"{PACKAGE}.Trigger":
        raise InvalidArgument(
            f"launch_conditions of type '{conditions.type_url}' are not understood: only "
            f"{PACKAGE}.Trigger is (OnArtifact)"
        )
    try:
        message = Trigger.FromString(conditions.value)
    except DecodeError as error:
        raise InvalidArgument(f"launch_conditions do not decode as {PACKAGE}.Trigger: {error}") from error
    return TriggerParts(message.trigger, dict(message.trigger_inputs.parameters))


@dataclass(frozen=True)
class CardText:
    format: CardFormat
    body: str
    uri: str = ""
    kind: Kind | None = None  # what the card says the artifact is


def _decode64(value: str, key: str, what: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"literal metadata '{key}' ({what}) is not base64: {error}") from error


def card_of(metadata: Mapping[str, str]) -> CardText | None:
    """The card that came with a literal, if any."""
    encoded = metadata.get(CARD_KEY)
    if not encoded:
        return None
    raw = _decode64(encoded, CARD_KEY, "a card")
    try:
        card, word = Card.FromString(raw), _CardWord.FromString(raw).text_type
    except DecodeError as error:
        raise InvalidArgument(f"literal metadata '{CARD_KEY}' does not decode as a card: {error}") from error
    is_html = "html" in word.lower() if word else card.text_type == 1
    kind = {1: Kind.MODEL, 2: Kind.DATASET}.get(card.type)
    return CardText(CardFormat.HTML if is_html else CardFormat.MARKDOWN, card.body, card.uri, kind)


def runtime_partitions(metadata: Mapping[str, str]) -> artifact_id_pb2.ArtifactID | None:
    """Partition values that the task gave through `create_from`, if any."""
    encoded = metadata.get(PARTITIONS_KEY)
    if not encoded:
        return None
    raw = _decode64(encoded, PARTITIONS_KEY, "partition values")
    try:
        return artifact_id_pb2.ArtifactID.FromString(raw)
    except DecodeError as error:
        raise InvalidArgument(
            f"literal metadata '{PARTITIONS_KEY}' does not decode as an artifact id: {error}"
        ) from error


def metrics_of(metadata: Mapping[str, str]) -> dict[str, float]:
    """Metrics that came with a literal: names to finite numbers."""
    encoded = metadata.get(METRICS_KEY)
    if not encoded:
        return {}
    try:
        values = json.loads(encoded)
    except ValueError as error:
        raise InvalidArgument(f"literal metadata '{METRICS_KEY}' is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InvalidArgument(f"literal metadata '{METRICS_KEY}' must be an object of numbers")
    return check_metrics(values)


def check_metrics(values: Mapping[str, object]) -> dict[str, float]:
    for name, value in values.items():
        if not name or len(name) > 255 or "\x00" in name:
            raise InvalidArgument(f"'{name[:80]}' is not the name of a metric: 1 to 255 characters")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidArgument(f"metric '{name}' must be a finite number, not {value!r}")
    return {name: float(value) for name, value in values.items()}  # type: ignore[arg-type]

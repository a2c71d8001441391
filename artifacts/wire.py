"""What clients send beyond the published FlyteIDL: messages of `flyteidl.artifact`, keys of literal metadata.

    Trigger  1: core.ArtifactID trigger   2: core.ParameterMap trigger_inputs   (LaunchPlanMetadata.launch_conditions)
             100: string causeway, ours: JSON of what a trigger can do beyond that
    core.ArtifactQuery 100: string, ours: JSON of what a query asks for beyond that
    core.InputBindingData 100: core.TimeTransform, ours: how a query's time is moved from the input it is bound to
    Card     1: string uri   2: CardType type (1 model, 2 dataset)   3: string body   4: text type

`_uc` holds a base64 Card and `_uap` a base64 core.ArtifactID with partitions known at run time only; `_um` and `_uat`
are ours: JSON objects, of numbers the version's metrics, of strings its attributes. `_uo`, ours too, is the base64
core.Variable of an item's output, as the mapped task declares it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from artifacts.exceptions import InvalidArgument
from artifacts.models import CardFormat, Kind

CARD_KEY = "_uc"
PARTITIONS_KEY = "_uap"
METRICS_KEY = "_um"
ATTRIBUTES_KEY = "_uat"
DECLARED_KEY = "_uo"
CHECK_PREFIX = "_uck."  # and the name of a check: a JSON object, what the task says of it

PASSED = "passed"
QUERY_WORDS = {"checks": (PASSED,), "quarantined": ("yes",)}  # what a query may ask for in these words alone
QUERY_MOMENTS = ("time_from", "time_before", "created_before")
MAX_ATTRIBUTE_NAME = 255
MAX_ATTRIBUTE = 10_000  # characters

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


# Causeway's own part of a Trigger; others who read one ignore the field. JSON: `scheduler.triggers.parse` says what.
MORE_FIELD = 100
_TriggerMore: Any = _message_class("CausewayTriggerMore", [("causeway", MORE_FIELD, _FIELD.TYPE_STRING, "")], ())

# What is added to the input that a query's time is bound to, or subtracted from it; a field of FlyteIDL's binding.
_InputBindingMore: Any = _message_class(
    "CausewayInputBindingMore",
    [("time_transform", MORE_FIELD, _FIELD.TYPE_MESSAGE, ".flyteidl.core.TimeTransform")],
    (artifact_id_pb2.DESCRIPTOR.name,),
)


def transform_of_input(binding: artifact_id_pb2.InputBindingData) -> artifact_id_pb2.TimeTransform:
    """Empty when the input is taken as it is. InvalidArgument when it does not decode."""
    try:
        found: artifact_id_pb2.TimeTransform = _InputBindingMore.FromString(binding.SerializeToString()).time_transform
    except DecodeError as error:
        raise InvalidArgument(
            f"field {MORE_FIELD} of the binding to input '{binding.var}' is no time transform: {error}"
        ) from error
    return found


_QueryMore: Any = _message_class("CausewayQueryMore", [("causeway", MORE_FIELD, _FIELD.TYPE_STRING, "")], ())


def more_of_query(query: artifact_id_pb2.ArtifactQuery) -> Mapping[str, Any]:
    """Asked beyond FlyteIDL: `alias`, moments (ISO 8601, or `{"input": name}`), QUERY_WORDS. InvalidArgument."""
    try:
        text = _QueryMore.FromString(query.SerializeToString()).causeway
    except DecodeError as error:
        raise InvalidArgument(f"field {MORE_FIELD} of the artifact query is no text: {error}") from error
    more = _read_more(text, "artifact query")
    if unknown := sorted(set(more) - {"alias", *QUERY_MOMENTS, *QUERY_WORDS}):
        known = ", ".join(("alias", *QUERY_MOMENTS, *QUERY_WORDS))
        raise InvalidArgument(f"the artifact query asks for {', '.join(unknown)}; known are: {known}")
    for key, value in more.items():
        bound = key in QUERY_MOMENTS and isinstance(value, dict) and isinstance(value.get("input"), str)
        if not isinstance(value, str) and not bound:
            raise InvalidArgument(f"{key} of the artifact query cannot be {value!r}")
        if key in QUERY_WORDS and value not in QUERY_WORDS[key]:
            allowed = " or ".join(map(repr, QUERY_WORDS[key]))
            raise InvalidArgument(f"{key} of the artifact query is {allowed}, not {value!r}")
    return more


class TriggerParts(NamedTuple):
    artifact: artifact_id_pb2.ArtifactID
    inputs: Mapping[str, interface_pb2.Parameter]
    more: Mapping[str, Any]


def decode_trigger(conditions: any_pb2.Any) -> TriggerParts:
    """What `launch_conditions` asks for. InvalidArgument when it is not a trigger, or does not decode."""
    while conditions.type_url.rpartition("/")[2] == any_pb2.Any.DESCRIPTOR.full_name:  # flytekit packs what is packed
        try:
            conditions = any_pb2.Any.FromString(conditions.value)
        except DecodeError as error:
            raise InvalidArgument(f"launch_conditions do not decode as google.protobuf.Any: {error}") from error
    if conditions.type_url.rpartition("/")[2] != f"{PACKAGE}.Trigger":
        raise InvalidArgument(
            f"launch_conditions of type '{conditions.type_url}' are not understood: only "
            f"{PACKAGE}.Trigger is (OnArtifact)"
        )
    try:
        message = Trigger.FromString(conditions.value)
        more = _TriggerMore.FromString(conditions.value).causeway
    except DecodeError as error:
        raise InvalidArgument(f"launch_conditions do not decode as {PACKAGE}.Trigger: {error}") from error
    return TriggerParts(message.trigger, dict(message.trigger_inputs.parameters), _read_more(more, "trigger"))


def encode_trigger(
    artifact: tuple[str, str, str], inputs: Mapping[str, interface_pb2.Parameter], more: Mapping[str, Any]
) -> any_pb2.Any:
    """Launch conditions on the artifact (project, domain, name), as `decode_trigger` reads them."""
    project, domain, name = artifact
    key = artifact_id_pb2.ArtifactKey(project=project, domain=domain, name=name)
    message = Trigger(
        trigger=artifact_id_pb2.ArtifactID(artifact_key=key),
        trigger_inputs=interface_pb2.ParameterMap(parameters=inputs),
    )
    ours = _TriggerMore(causeway=json.dumps(dict(more), sort_keys=True))
    value = message.SerializeToString(deterministic=True) + ours.SerializeToString()
    return any_pb2.Any(type_url=f"type.googleapis.com/{PACKAGE}.Trigger", value=value)


def _read_more(text: str, what: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
        json.dumps(found, ensure_ascii=False).encode()  # half a character, which JSON can say, cannot be stored
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"field {MORE_FIELD} of the {what} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidArgument(f"field {MORE_FIELD} of the {what} must be a JSON object")
    return found


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
    check_text(card.body, "the card")
    check_text(card.uri, "the card's URI")
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
    return check_metrics(_json_object(metadata, METRICS_KEY, "numbers"))


def attributes_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """What a literal's metadata says about the version: each entry of its own, and those of `_uat`."""
    plain = {key: text for key, text in metadata.items() if not key.startswith("_")}
    for key, text in plain.items():
        check_text(key + text, f"attribute {key[:80]!r}")
    return plain | check_attributes(_json_object(metadata, ATTRIBUTES_KEY, "strings"))


def reports_of(metadata: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """What the task says of checks, by their names."""
    keys = sorted(key for key in metadata if key.startswith(CHECK_PREFIX))
    return {key[len(CHECK_PREFIX) :]: _json_object(metadata, key, "a check's outcome") for key in keys}


def _json_object(metadata: Mapping[str, str], key: str, of: str) -> dict[str, object]:
    encoded = metadata.get(key)
    if not encoded:
        return {}
    try:
        values = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"literal metadata '{key}' is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InvalidArgument(f"literal metadata '{key}' must be an object of {of}")
    return values


def check_attributes(values: Mapping[str, object]) -> dict[str, str]:
    for name, value in values.items():
        if not name or len(name) > MAX_ATTRIBUTE_NAME or not isinstance(value, str) or len(value) > MAX_ATTRIBUTE:
            raise InvalidArgument(
                f"attribute '{name[:80]}' must be text: a name of 1 to {MAX_ATTRIBUTE_NAME} characters, "
                f"a value of at most {MAX_ATTRIBUTE}"
            )
        check_text(name + value, f"attribute {name[:80]!r}")
    return {name: str(value) for name, value in values.items()}


def check_text(text: str, what: str) -> None:
    """InvalidArgument for what the database cannot hold as text."""
    if "\x00" in text or not _is_unicode(text):
        raise InvalidArgument(f"{what} holds a NUL character or half a character")


def check_json(value: object, what: str) -> None:
    """InvalidArgument for what the database cannot hold as JSON: as `check_text`, and numbers that are not finite."""
    if isinstance(value, str):
        check_text(value, what)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgument(f"{what} holds {value}, and not a finite number")
    elif isinstance(value, Mapping):
        for name, one in value.items():
            check_text(str(name), what)
            check_json(one, what)
    elif isinstance(value, list | tuple):
        for one in value:
            check_json(one, what)


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which JSON can say and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_metrics(values: Mapping[str, object]) -> dict[str, float]:
    for name, value in values.items():
        if not name or len(name) > 255 or "\x00" in name or not _is_unicode(name):
            raise InvalidArgument(f"'{name[:80]}' is not the name of a metric: 1 to 255 characters")
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise InvalidArgument(f"metric '{name}' must be a finite number, not {str(value)[:80]!r}")
    return {name: float(value) for name, value in values.items()}  # type: ignore[arg-type]


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floating point numbers
        return False


def declared_of(literals: Mapping[str, literals_pb2.Literal]) -> interface_pb2.VariableMap:
    """The annotated outputs among these, as the process that made them says they are declared."""
    found = interface_pb2.VariableMap()
    for name, literal in literals.items():
        text = literal.metadata.get(DECLARED_KEY) or literal.scalar.union.value.metadata.get(DECLARED_KEY)
        if text:
            try:
                found.variables[name].ParseFromString(base64.b64decode(text, validate=True))
            except (DecodeError, binascii.Error, ValueError):
                raise InvalidArgument(f"the declaration of output {name!r} cannot be read") from None
    return found

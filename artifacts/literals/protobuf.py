"""Protobuf messages as JSON, also those whose Structs hold NaN and infinities, which protobuf's own JSON refuses.

The JSON schema of a dataclass is such a Struct: a field's default may be `float("inf")`.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format, struct_pb2, text_format
from google.protobuf.message import Message

from artifacts.literals.spelling import number_word


def message_dict(message: Message, *, field_names: bool = False) -> dict[str, Any]:
    """As protobuf's `MessageToDict`; what is no number becomes its word. `field_names`: as the .proto has them."""
    try:
        return _to_dict(message, field_names)
    except (ValueError, json_format.SerializeToJsonError):
        copy = type(message)()
        copy.CopyFrom(message)
        _spell_numbers(copy)
        return _to_dict(copy, field_names)


def message_text(message: Message) -> str:
    """As indented JSON, for people; as protobuf's text where JSON cannot say it, such as a year 10,000."""
    try:
        return json.dumps(message_dict(message), indent=2, ensure_ascii=False)
    except (ValueError, json_format.SerializeToJsonError):
        return text_format.MessageToString(message, as_utf8=True)


def _to_dict(message: Message, field_names: bool) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=field_names)
    return found


def _spell_numbers(message: Message) -> None:
    if isinstance(message, struct_pb2.Value) and (word := number_word(message.number_value)):
        message.string_value = word
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = list(value.values())
        else:
            inner = [value] if isinstance(value, Message) else list(value)
        for item in inner:
            if isinstance(item, Message):
                _spell_numbers(item)

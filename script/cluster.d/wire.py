"""Messages of gRPC services of which we speak a few words: declared here, not generated from files to be shipped.

Fields that are not declared are skipped in what comes and left out of what goes.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message

TEXT, BOOLEAN = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BOOL

# A field's number; its type, or the name of its message; whether it is repeated.
Field = tuple[int, "int | str", bool]


def encoded(message: Message) -> bytes:
    """What goes over the wire."""
    return message.SerializeToString()


def messages(package: str, declared: dict[str, dict[str, Field]]) -> dict[str, Any]:
    """The classes of the messages, by name. A map is a repeated message of `key` and `value`, as on the wire."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in declared.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind  # type: ignore[assignment]  # the enum's members are ints to us
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in declared}

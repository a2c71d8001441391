"""The two messages that flyteidl's Python package lacks: `flyteidl.artifact.Trigger` and `flyteidl.artifact.Card`.

They are built in a descriptor pool of their own, so that a program which also has another package defining the same
names keeps working. Sub-messages are declared as bytes: on the wire both are the same.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


def _field(name: str, number: int, kind: _Field.Type.ValueType) -> _Field:
    return _Field(name=name, number=number, type=kind, label=_Field.LABEL_OPTIONAL)


_FILE = descriptor_pb2.FileDescriptorProto(
    name="causeway/flyteidl_artifact.proto",
    package="flyteidl.artifact",
    syntax="proto3",
    message_type=[
        descriptor_pb2.DescriptorProto(
            name="Trigger",
            field=[
                _field("trigger", 1, _Field.TYPE_BYTES),  # flyteidl.core.ArtifactID
                _field("trigger_inputs", 2, _Field.TYPE_BYTES),  # flyteidl.core.ParameterMap
                _field("causeway", 100, _Field.TYPE_STRING),  # ours: JSON, see docs/reference/triggers.md
            ],
        ),
        descriptor_pb2.DescriptorProto(
            name="Query",  # what we add to flyteidl.core.ArtifactQuery: JSON, see docs/reference/triggers.md
            field=[_field("causeway", 100, _Field.TYPE_STRING)],
        ),
        descriptor_pb2.DescriptorProto(
            name="InputBinding",  # flyteidl.core.InputBindingData with a field of ours, which others ignore
            field=[
                _field("var", 1, _Field.TYPE_STRING),
                _field("time_transform", 100, _Field.TYPE_BYTES),  # flyteidl.core.TimeTransform
            ],
        ),
        descriptor_pb2.DescriptorProto(
            name="Card",
            field=[
                _field("uri", 1, _Field.TYPE_STRING),
                _field("type", 2, _Field.TYPE_INT32),  # 1 model, 2 dataset
                _field("body", 3, _Field.TYPE_STRING),
                _field("text_type", 4, _Field.TYPE_INT32),  # 0 Markdown, 1 HTML
            ],
        ),
    ],
)

_pool = descriptor_pool.DescriptorPool()
_pool.Add(_FILE)
_messages = message_factory.GetMessageClassesForFiles([_FILE.name], _pool)

Trigger: Any = _messages["flyteidl.artifact.Trigger"]
Card: Any = _messages["flyteidl.artifact.Card"]
Query: Any = _messages["flyteidl.artifact.Query"]
InputBinding: Any = _messages["flyteidl.artifact.InputBinding"]

"""What an output's annotation declares, and the partition values that one publication fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from flyteidl.core import artifact_id_pb2, interface_pb2, literals_pb2

from artifacts import wire
from artifacts.exceptions import InvalidArgument
from artifacts.models import Granularity
from artifacts.names import check_name, check_partition_keys, check_partition_value, check_place
from artifacts.partitions import label_time, literal_as_text, literal_as_time, parse_time, truncate

Key = tuple[str, str, str]


@dataclass(frozen=True, order=True)
class Declaration:
    """The artifact that an annotation names: whose keys and granularity are fixed by its first publication."""

    key: Key  # project, domain, name
    partition_keys: tuple[str, ...]
    granularity: Granularity


def declaration_of(partial: artifact_id_pb2.ArtifactID, *, project: str, domain: str) -> Declaration:
    """What the annotation declares; project and domain default to the given ones."""
    key = partial.artifact_key
    granularity = Granularity.UNSET
    if partial.HasField("time_partition"):
        granularity = _granularity(partial.time_partition.granularity or Granularity.DAY)
    where = (key.project or project, key.domain or domain)
    check_place(*where)
    return Declaration(
        key=(*where, check_name(key.name)),
        partition_keys=tuple(sorted(check_partition_keys(partial.partitions.value))),
        granularity=granularity,
    )


def _granularity(number: int) -> Granularity:
    if number not in Granularity.values:
        known = ", ".join(f"{each.value} {each.name.lower()}" for each in Granularity if each != Granularity.UNSET)
        raise InvalidArgument(f"{number} is no granularity of time partitions; known are: {known}")
    return Granularity(number)


def _label(label: artifact_id_pb2.LabelValue, inputs: Mapping[str, literals_pb2.Literal], key: str) -> str | None:
    """The value a partition is bound to, None when it comes at run time."""
    kind = label.WhichOneof("value")
    if kind == "static_value":
        return label.static_value or None
    if kind == "input_binding":
        return literal_as_text(_input(label, inputs, f"partition '{key}'"), name=label.input_binding.var)
    return None


def _input(
    label: artifact_id_pb2.LabelValue, inputs: Mapping[str, literals_pb2.Literal], what: str
) -> literals_pb2.Literal:
    name = label.input_binding.var
    if name not in inputs:
        raise InvalidArgument(f"{what} is bound to input '{name}', which does not exist; inputs: {_names(inputs)}")
    return inputs[name]


def _is_said_alike(bound: str, given: str) -> bool:
    """Whether what `create_from` made of a Python value by `str` is the value that the annotation binds."""
    if bound in ("true", "false"):
        return given.lower() == bound
    try:
        return bound == given or parse_time(given) == parse_time(bound)
    except InvalidArgument:
        return False


def _names(names: object) -> str:
    return ", ".join(sorted(names)) or "none"  # type: ignore[call-overload]


@dataclass(frozen=True)
class Publishing:
    """One annotated output with everything known that its version needs of it."""

    output: str
    declaration: Declaration
    partitions: dict[str, str]
    time_partition: datetime | None
    literal: literals_pb2.Literal
    variable: interface_pb2.Variable


def read_output(
    output: str,
    variable: interface_pb2.Variable,
    literal: literals_pb2.Literal,
    inputs: Mapping[str, literals_pb2.Literal],
    *,
    project: str,
    domain: str,
) -> Publishing:
    """Partition values from the annotation (constants, inputs) and from the task (`create_from`), checked for
    completeness.
    """
    partial = variable.artifact_partial_id
    declaration = declaration_of(partial, project=project, domain=domain)
    runtime = wire.runtime_partitions(literal.metadata) or artifact_id_pb2.ArtifactID()
    name = declaration.key[2]

    values = {key: _label(label, inputs, key) for key, label in partial.partitions.value.items()}
    for key, label in runtime.partitions.value.items():
        if key not in values:
            raise InvalidArgument(f"{name} has no partition '{key}'; its partition keys: {_names(values)}")
        bound = values[key]
        if bound is not None and not _is_said_alike(bound, label.static_value):
            raise InvalidArgument(
                f"partition '{key}' of {name} is declared as '{bound}' but create_from gave '{label.static_value}'"
            )
        values[key] = bound if bound is not None else label.static_value
    missing = [key for key, value in values.items() if not value]
    if missing:
        raise InvalidArgument(
            f"{name} was published without partition {_names(missing)}; its partition keys: "
            f"{_names(values)}. Bind it in the "
            f"annotation or give it in create_from"
        )
    moment, granularity = _time_partition(partial, runtime, inputs, declaration)
    return Publishing(
        output=output,
        declaration=replace(declaration, granularity=granularity),
        partitions={key: check_partition_value(key, value or "") for key, value in sorted(values.items())},
        time_partition=moment,
        literal=literal,
        variable=variable,
    )


def _time_partition(
    partial: artifact_id_pb2.ArtifactID,
    runtime: artifact_id_pb2.ArtifactID,
    inputs: Mapping[str, literals_pb2.Literal],
    declaration: Declaration,
) -> tuple[datetime | None, Granularity]:
    name, granularity = declaration.key[2], declaration.granularity
    given = runtime.HasField("time_partition")
    if not partial.HasField("time_partition"):
        if given:
            raise InvalidArgument(f"{name} is not time partitioned, but create_from gave a time partition")
        return None, Granularity.UNSET
    label = partial.time_partition.value
    kind = label.WhichOneof("value")
    if kind == "time_value":
        moment = label_time(label)
    elif kind == "input_binding":
        moment = literal_as_time(_input(label, inputs, "the time partition"), name=label.input_binding.var)
    elif given:
        moment = label_time(runtime.time_partition.value)
        # flytekit declares DAY for a value that comes at run time, and the artifact's own granularity with the value.
        granularity = _granularity(runtime.time_partition.granularity or granularity)
    else:
        raise InvalidArgument(
            f"{name} is time partitioned but was published without a time: bind time_partition in the "
            f"annotation or give "
            "it in create_from"
        )
    return truncate(moment, granularity), granularity

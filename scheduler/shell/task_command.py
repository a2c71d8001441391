"""The command line of an attempt: the container's, with Flyte's templates filled in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import msgpack
from flyteidl.admin import execution_pb2 as admin_execution
from flyteidl.core import literals_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals.decode import timestamp_text
from artifacts.literals.numbers import as_go_prints
from artifacts.literals.times import NANOS
from artifacts.literals.types import MSGPACK
from scheduler import pods
from scheduler.graphs import Target
from scheduler.uris import Uris

LONGEST_KEY = 120  # of a node, in the name of its attempts
_TEMPLATE = re.compile(r"\{\{\s*[.$]([A-Za-z]+)(?:\.([^}\s]+))?\s*\}\}")


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt of one node. `load_inputs` is asked only if a template quotes an input."""

    execution_id: int
    project: str
    domain: str
    name: str
    spec: admin_execution.ExecutionSpec
    uris: Uris
    key: str
    attempt: int
    load_inputs: Callable[[], literals_pb2.LiteralMap]
    index: int = -1
    inputs_uri: str = ""
    first: int = 0  # index of the item that the lists in the inputs begin with
    workflow: str = ""  # its name
    user: str = ""  # who launched it
    interruptible: bool = False

    @property
    def attempt_name(self) -> str:
        """Unique over everything and the same whenever the attempt is made again."""
        key = self.key
        if len(key) > LONGEST_KEY:  # deep inside nested workflows: as much as the column has room for
            key = f"{key[: LONGEST_KEY - 17]}-{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}"
        base = f"{self.name}-{self.execution_id}-{key}-{self.attempt}"
        return base if self.index < 0 else f"{base}-{self.index}"


def filler(run: Run, inputs_uri: str) -> Callable[[str], str]:
    """A function that fills the templates in one word. InvalidArgument if one names an unknown input."""
    key = re.sub(r"[^a-zA-Z0-9_]+", "_", re.sub(r"^[^a-zA-Z_]+", "a", run.attempt_name))
    values = {
        "input": inputs_uri,
        "inputprefix": inputs_uri.rpartition("/")[0],
        "outputprefix": run.uris.attempt(run.key, run.attempt, run.index),
        "rawoutputdataprefix": run.uris.raw_output(run.key, run.attempt, run.index),
        "checkpointoutputprefix": run.uris.checkpoint(run.key, run.attempt, run.index),
        "prevcheckpointprefix": run.uris.checkpoint(run.key, run.attempt - 1, run.index) if run.attempt else '""',
        "perretryuniquekey": key,
        "tasktemplatepath": run.uris.task_file(run.key),
        "namespace": f"{run.project}-{run.domain}",
    }

    def one(match: re.Match[str]) -> str:
        word = match[1].lower()
        if match[2] is None:
            return values.get(word, match[0])
        if word != "inputs":
            return match[0]
        inputs = run.load_inputs().literals
        if match[2] not in inputs:
            raise InvalidArgument(f"the command of node {run.key} asks for an input {match[2]!r} that it does not have")
        return as_argument(inputs[match[2]])

    return lambda argument: _TEMPLATE.sub(one, argument) if "{{" in argument else argument


def as_argument(literal: literals_pb2.Literal) -> str:
    """A literal as text in a command line, as flyteplugins writes it."""
    if literal.WhichOneof("value") == "collection":
        return f"[{','.join(as_argument(item) for item in literal.collection.literals)}]"
    if literal.WhichOneof("value") != "scalar":
        raise InvalidArgument("only scalars and lists of them can stand in a command line")
    scalar = literal.scalar
    match scalar.WhichOneof("value"):
        case "primitive":
            return _primitive(scalar.primitive)
        case "blob":
            return scalar.blob.uri
        case "schema":
            return scalar.schema.uri
        case "structured_dataset":
            return scalar.structured_dataset.uri
        case "union":
            return as_argument(scalar.union.value)
        case "binary":
            return _message_pack(scalar.binary)
        case "none_type":
            return ""
    raise InvalidArgument(f"a {scalar.WhichOneof('value')} cannot stand in a command line")


def _primitive(primitive: literals_pb2.Primitive) -> str:
    match primitive.WhichOneof("value"):
        case "boolean":
            return "true" if primitive.boolean else "false"
        case "datetime":
            return _trimmed(timestamp_text(primitive))
        case "duration":
            return _seconds(primitive.duration.seconds * NANOS + primitive.duration.nanos)
        case "float_value":
            return as_go_prints(primitive.float_value)
        case "integer":
            return str(primitive.integer)
    return primitive.string_value


def _trimmed(moment: str) -> str:
    """As Go's RFC3339Nano: no zeros at the end of a second's fraction."""
    whole, point, fraction = moment.removesuffix("Z").partition(".")
    return f"{whole}{point}{fraction.rstrip('0')}Z" if point else moment


def _seconds(nanos: int) -> str:
    """`5400s`, `-0.000001s`: exact, and what Go, flytekit and `sleep` read. (flyteplugins print a protobuf message.)"""
    whole, rest = divmod(abs(nanos), NANOS)
    return f"{'-' if nanos < 0 else ''}{whole}{f'.{rest:09d}'.rstrip('0') if rest else ''}s"


def _message_pack(binary: literals_pb2.Binary) -> str:
    if binary.tag != MSGPACK:
        raise InvalidArgument(f"binary data with the tag {binary.tag!r} cannot stand in a command line")
    try:
        return _as_go_prints(msgpack.unpackb(binary.value, strict_map_key=False))
    except (ValueError, TypeError, msgpack.exceptions.UnpackException):
        raise InvalidArgument("what is not MessagePack cannot stand in a command line") from None


def _as_go_prints(value: object) -> str:
    """As `fmt.Sprintf("%v")` prints what MessagePack holds."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return as_go_prints(value)
        case bytes():
            return f"[{' '.join(map(str, value))}]"
        case list() | tuple():
            return f"[{' '.join(map(_as_go_prints, value))}]"
        case dict():
            keys = sorted(value, key=lambda key: (type(key).__name__, key))
            return f"map[{' '.join(f'{_as_go_prints(key)}:{_as_go_prints(value[key])}' for key in keys)}]"
    return str(value)


def needs_task_file(target: Target) -> bool:
    if target.task is None:
        return False
    container = pods.described(target.task)
    return any("tasktemplatepath" in argument.lower() for argument in (*container.args, *container.command))

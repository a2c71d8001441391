"""What an executor is told to run: the container's command with Flyte's templates filled in, environment."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
from flyteidl.admin import execution_pb2 as admin_execution
from flyteidl.core import interface_pb2, literals_pb2, tasks_pb2

from artifacts.exceptions import InvalidArgument
from artifacts.literals.decode import timestamp_text
from artifacts.literals.numbers import as_go_prints
from artifacts.literals.times import NANOS
from artifacts.literals.types import MSGPACK
from scheduler.environment import check_variable
from scheduler.graphs import Target
from scheduler.shell.uris import Uris

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

    @property
    def attempt_name(self) -> str:
        """Unique over everything and the same whenever the attempt is made again."""
        key = self.key
        if len(key) > LONGEST_KEY:  # deep inside nested workflows: as much as the column has room for
            key = f"{key[: LONGEST_KEY - 17]}-{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}"
        base = f"{self.name}-{self.execution_id}-{key}-{self.attempt}"
        return base if self.index < 0 else f"{base}-{self.index}"


def command_of(run: Run, target: Target) -> dict[str, Any]:
    """TaskExecution.command. InvalidArgument if the task has no container or a template names an unknown input."""
    task = target.task
    if task is None:
        raise InvalidArgument(f"the task of node {run.key} is not part of the compiled workflow")
    container = task.container
    if task.WhichOneof("target") == "k8s_pod":
        container = pod_container(task)
    inputs_uri = run.inputs_uri or run.uris.inputs(run.key)
    fill = _filler(run, inputs_uri)
    overrides = target.node.task_node.overrides
    data = task.container.data_config
    env = {**environment(run, task, container), **_array_environment(run)}
    args = [fill(argument) for argument in (*container.command, *container.args)]
    _check_possible(run, args, env)
    return {
        "args": args,
        "env": env,
        "image": overrides.container_image or container.image,
        "task_type": task.type,
        "inputs_uri": inputs_uri,
        "output_prefix": run.uris.attempt(run.key, run.attempt, run.index),
        "raw_output_prefix": run.uris.raw_output(run.key, run.attempt, run.index),
        "checkpoint_uri": _checkpoint(run, run.attempt),
        "prev_checkpoint_uri": _checkpoint(run, run.attempt - 1) if run.attempt else "",
        "reuse": env.get("CAUSEWAY_REUSE", "1" if run.index >= 0 else "0") == "1",
        "timeout_seconds": _timeout(target),
        **({"echo": _echo(task)} if task.type == "echo" else {}),
        **({"data_config": _data_config(data, task.interface.outputs)} if data.enabled else {}),
    }


def _check_possible(run: Run, args: list[str], env: dict[str, str]) -> None:
    """What a dynamic task made up, or an input brought into the command, was seen by no door."""
    for argument in args:
        if "\x00" in argument:
            raise InvalidArgument(f"the command of node {run.key} holds a NUL character: {argument[:80]!r}")
    for name, value in env.items():
        check_variable(name, value, f"the environment of node {run.key}")


def _echo(task: tasks_pb2.TaskTemplate) -> dict[str, str]:
    """Output by input of flytekit's `Echo`, which has no container: as flyteplugins' echo, of at most one input."""
    inputs, outputs = list(task.interface.inputs.variables), list(task.interface.outputs.variables)
    if len(inputs) != len(outputs) or len(inputs) > 1:
        has = f"{task.id.name} has {len(inputs)} and {len(outputs)}"
        raise InvalidArgument(f"an echo task has as many outputs as inputs, at most one; {has}")
    return dict(zip(inputs, outputs, strict=True))


def _timeout(target: Target) -> float | None:
    node, task = target.node.metadata.timeout, target.task.metadata.timeout if target.task is not None else None
    seconds = node.ToTimedelta().total_seconds() or (task.ToTimedelta().total_seconds() if task is not None else 0)
    return seconds if seconds > 0 else None


def _data_config(data: tasks_pb2.DataLoadingConfig, outputs: interface_pb2.VariableMap) -> dict[str, str]:
    """Where a raw container finds its inputs and leaves its outputs, and which these are."""
    return {
        "input_path": data.input_path,
        "output_path": data.output_path,
        "format": tasks_pb2.DataLoadingConfig.LiteralMapFormat.Name(data.format),
        "outputs": base64.b64encode(outputs.SerializeToString()).decode(),
    }


def pod_container(task: tasks_pb2.TaskTemplate) -> tasks_pb2.Container:
    """The primary container of a task that brings its own pod spec."""
    primary = dict(task.config).get("primary_container_name", "primary")
    for entry in task.k8s_pod.pod_spec.fields["containers"].list_value.values:
        fields = entry.struct_value.fields
        if fields["name"].string_value == primary:
            env = [item.struct_value.fields for item in fields["env"].list_value.values]
            return tasks_pb2.Container(
                image=fields["image"].string_value,
                command=[value.string_value for value in fields["command"].list_value.values],
                args=[value.string_value for value in fields["args"].list_value.values],
                env=[
                    literals_pb2.KeyValuePair(key=item["name"].string_value, value=item["value"].string_value)
                    for item in env
                ],
            )
    raise InvalidArgument(f"the pod of task {task.id.name} has no container {primary!r}")


def environment(run: Run, task: tasks_pb2.TaskTemplate, container: tasks_pb2.Container) -> dict[str, str]:
    """Flyte's variables, then the task's, then those given at launch."""
    return {
        "FLYTE_INTERNAL_EXECUTION_WORKFLOW": f"{run.project}:{run.domain}:{run.spec.launch_plan.name}",
        "FLYTE_INTERNAL_EXECUTION_ID": run.name,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": run.project,
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": run.domain,
        "FLYTE_ATTEMPT_NUMBER": str(run.attempt),
        "_F_L_MIN_SIZE_MB": "10",  # flytekit offloads larger literals
        "_F_L_MAX_SIZE_MB": "1000",
        "FLYTE_INTERNAL_TASK_PROJECT": task.id.project,
        "FLYTE_INTERNAL_TASK_DOMAIN": task.id.domain,
        "FLYTE_INTERNAL_TASK_NAME": task.id.name,
        "FLYTE_INTERNAL_TASK_VERSION": task.id.version,
        **{pair.key: pair.value for pair in container.env},
        **{pair.key: pair.value for pair in run.spec.envs.values},
    }


def _array_environment(run: Run) -> dict[str, str]:
    """How a map task finds out which item it is for."""
    if run.index < 0:
        return {}
    variables = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX", "FLYTE_K8S_ARRAY_INDEX": str(run.index)}
    if run.first:  # flytekit adds it to the index and takes that item of the lists
        variables["BATCH_JOB_ARRAY_INDEX_OFFSET"] = str(-run.first)
    return variables


def _checkpoint(run: Run, attempt: int) -> str:
    return f"{run.uris.raw_output(run.key, attempt, run.index)}/_flytecheckpoints"


def _filler(run: Run, inputs_uri: str) -> Callable[[str], str]:
    key = re.sub(r"[^a-zA-Z0-9_]+", "_", re.sub(r"^[^a-zA-Z_]+", "a", run.attempt_name))
    values = {
        "input": inputs_uri,
        "inputprefix": inputs_uri.rpartition("/")[0],
        "outputprefix": run.uris.attempt(run.key, run.attempt, run.index),
        "rawoutputdataprefix": run.uris.raw_output(run.key, run.attempt, run.index),
        "checkpointoutputprefix": _checkpoint(run, run.attempt),
        "prevcheckpointprefix": _checkpoint(run, run.attempt - 1) if run.attempt else '""',
        "perretryuniquekey": key,
        "tasktemplatepath": f"{run.uris.node(run.key)}/task.pb",
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
    return target.task is not None and any(
        "tasktemplatepath" in argument.lower()
        for argument in (*target.task.container.args, *target.task.container.command)
    )

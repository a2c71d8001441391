"""Raw containers as processes: inputs are files before the program starts, its files become the outputs.

This is the contract of Flyte's copilot. There is no container here: the two directories lie in the working directory,
and their paths in the command are replaced.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import signal
import subprocess
from datetime import datetime, timedelta, timezone
from typing import Any

from flyteidl.core import errors_pb2, interface_pb2, literals_pb2, types_pb2
from google.protobuf import json_format, struct_pb2

from .folders import folder_of

SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
ERROR_FILE = "_ERROR"
SECRETS = "/etc/flyte/secrets"  # where Flyte mounts them, which a command may say


class BadOutput(Exception):
    """An output file is absent or not what the interface says; the message is for the task's author."""


def run(args: list[str], data: dict[str, str]) -> int:
    """Run the program on the files and return its exit code. `data`: see spec.DataConfig."""
    inputs, outputs = pathlib.Path("_inputs").absolute(), pathlib.Path("_outputs").absolute()
    inputs.mkdir()
    outputs.mkdir()
    write_inputs(inputs, data)
    places = {data["output_path"]: str(outputs), data["input_path"]: str(inputs)}
    if secrets := os.environ.get("FLYTE_SECRETS_DEFAULT_DIR"):
        places[SECRETS] = secrets
    command = [_replaced(argument, places) for argument in args]
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own command
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    if status == 0:
        keep(collect(outputs, data), data["output_prefix"])
    return status


def _replaced(argument: str, places: dict[str, str]) -> str:
    for there, here in places.items():
        if there:
            argument = re.sub(rf"{re.escape(there.rstrip('/'))}(?![\w.-])", here.replace("\\", r"\\"), argument)
    return argument


def _access() -> Any:
    from flytekit.core.context_manager import FlyteContextManager

    return FlyteContextManager.current_context().file_access


def write_inputs(directory: pathlib.Path, data: dict[str, str]) -> None:
    local = directory / "inputs.pb"
    _access().get_data(data["inputs_uri"], str(local))
    given = literals_pb2.LiteralMap.FromString(local.read_bytes())
    values = {name: _write(literal, directory / name) for name, literal in given.literals.items()}
    if data["format"] == "JSON":
        (directory / "inputs.json").write_text(json.dumps(values))
    elif data["format"] == "YAML":
        import yaml

        (directory / "inputs.yaml").write_text(yaml.safe_dump(values, allow_unicode=True))


def _write(literal: literals_pb2.Literal, path: pathlib.Path) -> Any:
    """Leave the value at the path, as text or as the user's file; returns it as JSON has it."""
    match literal.WhichOneof("value"):
        case "collection":
            path.mkdir()
            return [_write(item, path / str(index)) for index, item in enumerate(literal.collection.literals)]
        case "map":
            path.mkdir()
            return {key: _write(item, path / key) for key, item in literal.map.literals.items()}
    scalar = literal.scalar
    kind = scalar.WhichOneof("value")
    if kind in ("blob", "schema", "structured_dataset"):
        uri = getattr(scalar, kind).uri
        many = kind != "blob" or scalar.blob.metadata.type.dimensionality == types_pb2.BlobType.MULTIPART
        _access().get_data(folder_of(uri) if many else uri, str(path), is_multipart=many)
        return str(path)
    if kind == "union":
        return _write(scalar.union.value, path)
    if kind == "binary":
        path.write_bytes(scalar.binary.value)
        return base64.b64encode(scalar.binary.value).decode()
    value, text = _value(scalar)
    path.write_text(text, encoding="utf-8")
    return value


def _value(scalar: literals_pb2.Scalar) -> tuple[Any, str]:
    """The value for JSON and its text."""
    if scalar.WhichOneof("value") == "generic":
        value = json_format.MessageToDict(scalar.generic)
        return value, json.dumps(value)
    if scalar.WhichOneof("value") != "primitive":
        return None, "null"
    primitive = scalar.primitive
    match primitive.WhichOneof("value"):
        case "boolean":
            return primitive.boolean, str(primitive.boolean).lower()
        case "datetime":
            text = primitive.datetime.ToJsonString()
            return text, text
        case "duration":
            text = primitive.duration.ToJsonString()
            return text, text
    value = getattr(primitive, primitive.WhichOneof("value") or "string_value")
    return value, str(value)


def collect(directory: pathlib.Path, data: dict[str, str]) -> Any:
    told = directory / ERROR_FILE
    if told.exists():
        return _error(told.read_text(errors="replace"))
    declared = interface_pb2.VariableMap.FromString(base64.b64decode(data["outputs"]))
    try:
        literals = {
            name: _read(directory / name, variable.type, f"{data['raw_output_prefix']}/{name}", name)
            for name, variable in declared.variables.items()
        }
    except BadOutput as error:
        return _error(str(error))
    return literals_pb2.LiteralMap(literals=literals)


def _error(message: str) -> errors_pb2.ErrorDocument:
    error = errors_pb2.ContainerError(code="USER:BadOutput", message=message)
    return errors_pb2.ErrorDocument(error=error)


def keep(document: Any, prefix: str) -> None:
    name = "error.pb" if isinstance(document, errors_pb2.ErrorDocument) else "outputs.pb"
    path = pathlib.Path(name).absolute()
    path.write_bytes(document.SerializeToString())
    _access().put_data(str(path), f"{prefix}/{name}")


def _read(path: pathlib.Path, declared: types_pb2.LiteralType, uri: str, name: str) -> literals_pb2.Literal:
    if not path.exists():
        raise BadOutput(f"the program left no file for its output {name!r}")
    kind = declared.WhichOneof("type")
    if kind == "blob":
        uri = _access().put_data(str(path), uri, is_multipart=path.is_dir())
        metadata = literals_pb2.BlobMetadata(type=declared.blob)
        return literals_pb2.Literal(
            scalar=literals_pb2.Scalar(blob=literals_pb2.Blob(metadata=metadata, uri=uri)),
        )
    if kind != "simple":
        raise BadOutput(f"output {name!r}: raw containers give simple values and files only")
    content = path.read_bytes()
    try:
        return literals_pb2.Literal(scalar=_scalar(content, declared.simple))
    except (ValueError, json_format.ParseError) as error:
        raise BadOutput(f"output {name!r} is no {types_pb2.SimpleType.Name(declared.simple)}: {error}") from error


def _scalar(content: bytes, simple: int) -> literals_pb2.Scalar:
    if simple == types_pb2.BINARY:
        return literals_pb2.Scalar(binary=literals_pb2.Binary(value=content))
    text = content.decode()
    if simple == types_pb2.STRUCT:
        return literals_pb2.Scalar(generic=json_format.Parse(text, struct_pb2.Struct()))
    primitive = literals_pb2.Primitive()
    word = text.strip()
    if simple == types_pb2.INTEGER:
        primitive.integer = int(word)
    elif simple == types_pb2.FLOAT:
        primitive.float_value = float(word)
    elif simple == types_pb2.BOOLEAN:
        if word.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise ValueError(word)
        primitive.boolean = word.lower() in ("true", "1", "t")
    elif simple == types_pb2.DATETIME:
        at = datetime.fromisoformat(word.replace("Z", "+00:00"))
        primitive.datetime.FromDatetime(at.astimezone(timezone.utc) if at.tzinfo else at)
    elif simple == types_pb2.DURATION:
        primitive.duration.FromTimedelta(_duration(word))
    elif simple == types_pb2.NONE:
        return literals_pb2.Scalar(none_type=literals_pb2.Void())
    else:
        primitive.string_value = text
    return literals_pb2.Scalar(primitive=primitive)


def _duration(text: str) -> timedelta:
    """Go's notation, as Flyte has it: 1h15m30.5s."""
    parts = re.findall(r"([0-9.]+)(ns|us|µs|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.lstrip("+-"):
        raise ValueError(text)
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)

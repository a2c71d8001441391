"""Raw containers on the local executor: files in, files out."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from flyteidl.core import interface_pb2, literals_pb2, types_pb2

from scheduler.attempts.spec import DataConfig
from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from tests.scheduler.executors.conftest import Bench, error

pytestmark = pytest.mark.e2e  # real processes

SIMPLE = types_pb2.SimpleType


def raw(
    bench: Bench, script: str, outputs: dict[str, types_pb2.LiteralType], *, form: str = "JSON", **inputs: int | str
) -> Assignment:
    task = bench.task("add", inputs=inputs, args=["/bin/sh", "-c", script])
    declared = interface_pb2.VariableMap(
        variables={name: interface_pb2.Variable(type=literal_type) for name, literal_type in outputs.items()}
    )
    outputs_as_sent = base64.b64encode(declared.SerializeToString()).decode()
    data = DataConfig("/var/inputs", "/var/outputs/", form, outputs_as_sent)
    return replace(task, spec=replace(task.spec, data_config=data))


def simple(kind: int) -> types_pb2.LiteralType:
    return types_pb2.LiteralType(simple=kind)  # type: ignore[arg-type]


def run(bench: Bench, task: Assignment) -> literals_pb2.LiteralMap:
    ended = bench.run(task)
    assert ended.outcome.phase == AttemptPhase.SUCCEEDED, error(ended).message
    return bench.outputs(ended)


def test_it_gives_inputs_as_files_and_takes_outputs_from_files(bench: Bench) -> None:
    script = """
    expr $(cat /var/inputs/a) + 1 > /var/outputs/number; printf 'é%s' "$(cat /var/inputs/s)" > /var/outputs/text
    echo true > /var/outputs/flag; echo 2026-01-02T03:04:05Z > /var/outputs/at; echo 1h30m > /var/outputs/long
    echo '{"k": [1]}' > /var/outputs/json; echo 0.5 > /var/outputs/half
    """
    kinds = {
        "number": SIMPLE.INTEGER,
        "text": SIMPLE.STRING,
        "flag": SIMPLE.BOOLEAN,
        "at": SIMPLE.DATETIME,
        "long": SIMPLE.DURATION,
        "json": SIMPLE.STRUCT,
        "half": SIMPLE.FLOAT,
    }
    task = raw(bench, script, {name: simple(kind) for name, kind in kinds.items()}, a=2, s="ü b")
    literals = run(bench, task).literals
    primitives = {name: literals[name].scalar.primitive for name in kinds}
    assert primitives["number"].integer == 3
    assert primitives["text"].string_value == "éü b"
    assert primitives["flag"].boolean is True
    assert primitives["at"].datetime.ToJsonString() == "2026-01-02T03:04:05Z"
    assert primitives["long"].duration.ToTimedelta() == timedelta(hours=1.5)
    assert primitives["half"].float_value == 0.5
    assert literals["json"].scalar.generic.fields["k"].list_value.values[0].number_value == 1


@pytest.mark.parametrize(("form", "name"), [("JSON", "inputs.json"), ("YAML", "inputs.yaml"), ("PROTO", "inputs.pb")])
def test_it_gives_all_inputs_in_one_file_too(bench: Bench, form: str, name: str) -> None:
    task = raw(
        bench,
        f"cat /var/inputs/{name} | tr -d '\\000' > /var/outputs/o",
        {"o": simple(SIMPLE.STRING)},
        form=form,
        s="said",
    )
    assert "said" in run(bench, task).literals["o"].scalar.primitive.string_value


def test_it_keeps_files_and_folders(bench: Bench) -> None:
    script = "echo one > /var/outputs/file; mkdir /var/outputs/folder; echo two > /var/outputs/folder/x"
    multipart = types_pb2.BlobType(dimensionality=types_pb2.BlobType.MULTIPART)
    outputs = {
        "file": types_pb2.LiteralType(blob=types_pb2.BlobType()),
        "folder": types_pb2.LiteralType(blob=multipart),
    }
    literals = run(bench, raw(bench, script, outputs)).literals
    assert bench.store.get(literals["file"].scalar.blob.uri) == b"one\n"
    assert bench.store.get(f"{literals['folder'].scalar.blob.uri}/x") == b"two\n"
    assert literals["folder"].scalar.blob.metadata.type == multipart


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("true", "no file for its output 'o'"),
        ("echo many > /var/outputs/o", "output 'o' is no INTEGER"),
        ("echo 'it went wrong' > /var/outputs/_ERROR", "it went wrong"),
        ("echo why; exit 7", "exit code 7"),
    ],
)
def test_it_says_what_is_wrong_with_the_outputs(bench: Bench, script: str, words: str) -> None:
    assert words in error(bench.run(raw(bench, script, {"o": simple(SIMPLE.INTEGER)}))).message

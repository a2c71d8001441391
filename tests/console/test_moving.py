"""Addresses below a store's old place become addresses below its new one, wherever they stand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgpack
import pytest
from django.core.management import CommandError, call_command
from flyteidl.admin import task_pb2
from flyteidl.core import literals_pb2
from google.protobuf.struct_pb2 import Struct

from console.moving import moved
from scheduler.models import Project, Task

OLD, NEW = "/srv/old/objects", "/var/lib/somewhere much longer/than before/objects"


def literals(root: str) -> literals_pb2.LiteralMap:
    """One of each way in which an address is carried."""
    packed = msgpack.packb({"lines": 3, "text": {"path": f"{root}/raw/a"}, "more": [f"{root}/raw/b", b"\x00", 1.5]})
    struct = Struct()
    struct.update({"path": f"{root}/raw/c", "n": 1})
    blob = literals_pb2.Scalar(blob=literals_pb2.Blob(uri=f"{root}/raw/d" + "x" * 200))
    text = literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value=json.dumps({"at": f"{root}/raw/e"})))
    found = literals_pb2.LiteralMap()
    found.literals["blob"].CopyFrom(literals_pb2.Literal(scalar=blob, hash="h", metadata={"k": f"{root}/raw/f"}))
    found.literals["text"].CopyFrom(literals_pb2.Literal(scalar=text))
    found.literals["binary"].scalar.binary.CopyFrom(literals_pb2.Binary(value=packed, tag="msgpack"))
    found.literals["struct"].scalar.generic.CopyFrom(struct)
    found.literals["list"].collection.literals.extend(literals_pb2.Literal(scalar=blob) for _ in range(3))
    found.literals["other"].scalar.primitive.string_value = "/srv/old/objects-of-others/x and été"
    return found


def test_every_kind_of_address_is_moved_and_nothing_else() -> None:
    data = literals(OLD).SerializeToString()
    assert literals_pb2.LiteralMap.FromString(moved(data, OLD.encode(), NEW.encode())) == literals(NEW)
    assert moved(moved(data, OLD.encode(), NEW.encode()), NEW.encode(), OLD.encode()) == data


def test_what_names_no_address_stays_as_it_is() -> None:
    data = literals("/elsewhere").SerializeToString()
    assert moved(data, OLD.encode(), NEW.encode()) == data
    assert moved(b"\xff\xfe", OLD.encode(), NEW.encode()) == b"\xff\xfe"


@pytest.mark.django_db
def test_the_command_moves_rows_and_objects(tmp_path: Path) -> None:
    spec = task_pb2.TaskSpec()
    spec.template.type = "python-task"
    spec.template.container.args.extend(["--additional-distribution", f"{OLD}/code.tar.gz"])
    digest = hashlib.sha256(spec.template.SerializeToString(deterministic=True)).digest()
    named = {"project": "p", "domain": "d", "name": "t", "version": "v"}
    task = Task.objects.create(**named, spec=spec.SerializeToString(), closure=b"", digest=digest)
    Project.objects.create(identifier="p", name="p", description=f"see {OLD}/readme")
    folder = tmp_path / "n0"
    folder.mkdir()
    (folder / "outputs.pb").write_bytes(literals(OLD).SerializeToString())
    (folder / "users.bin").write_bytes(OLD.encode() + b"/x")
    call_command("move_store", OLD, str(tmp_path))
    task.refresh_from_db()
    after = task_pb2.TaskSpec.FromString(bytes(task.spec)).template
    assert after.container.args[1] == f"{tmp_path}/code.tar.gz"
    assert bytes(task.digest) == hashlib.sha256(after.SerializeToString(deterministic=True)).digest(), (
        "registered again it is the same"
    )
    assert Project.objects.get(identifier="p").description == f"see {tmp_path}/readme"
    assert literals_pb2.LiteralMap.FromString((folder / "outputs.pb").read_bytes()) == literals(str(tmp_path))
    assert (folder / "users.bin").read_bytes() == OLD.encode() + b"/x"


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="absolute"):
        call_command("move_store", "objects", str(tmp_path))
    with pytest.raises(CommandError, match="copy the objects first"):
        call_command("move_store", OLD, str(tmp_path / "missing"))

from __future__ import annotations

import pytest
from flyteidl.core import literals_pb2, types_pb2

from artifacts.store import store
from scheduler.actions.folders import mean_folders

pytestmark = pytest.mark.usefixtures("object_store")
MULTIPART, SINGLE = types_pb2.BlobType.MULTIPART, types_pb2.BlobType.SINGLE


def blob(uri: str, dimensionality: int = MULTIPART) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.scalar.blob.uri = uri
    literal.scalar.blob.metadata.type.dimensionality = dimensionality  # type: ignore[assignment]
    return literal


def test_a_directory_that_names_its_only_file_is_the_folder_around_it() -> None:
    folder = f"{store().root}/uploads/demo/development/HASH"
    store().put(f"{folder}/a.txt", b"a")
    inner = blob(f"{folder}/a.txt")
    for literal in (
        inner,
        literals_pb2.Literal(scalar=literals_pb2.Scalar(union=literals_pb2.Union(value=inner))),
        literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[inner])),
        literals_pb2.Literal(map=literals_pb2.LiteralMap(literals={"k": inner})),
    ):
        mean_folders(literal, store())
        assert f"{folder}/a.txt" not in str(literal) and folder in str(literal)


def test_everything_else_stays_as_it_is() -> None:
    root = store().root
    for path in ("uploads/demo/development/H/a.txt", "raw/x/a.txt"):
        store().put(f"{root}/{path}", b"a")
    for literal in (
        blob(f"{root}/uploads/demo/development/H/a.txt", SINGLE),
        blob(f"{root}/uploads/demo/development/H"),
        blob(f"{root}/uploads/demo/development/H/missing"),
        blob(f"{root}/uploads/../raw/x/a.txt"),
        blob(f"{root}/raw/x/a.txt"),
        blob("s3://elsewhere/uploads/a.txt"),
    ):
        before = literal.SerializeToString()
        mean_folders(literal, store())
        assert literal.SerializeToString() == before

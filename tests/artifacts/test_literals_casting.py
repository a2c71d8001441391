from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd
import pytest
from flyteidl.core import types_pb2
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from flytekit.types.structured import StructuredDataset

from artifacts.literals import from_json, infer_type, is_castable, kind_of
from artifacts.models import Kind
from tests.artifacts.test_literals import type_of


class Colour(enum.Enum):
    RED = "red"


class Shade(enum.Enum):
    DARK = "dark"


@dataclass
class Animal:
    name: str


@dataclass
class Dog(Animal):
    tricks: list[str]


@dataclass
class Cat(Animal):
    lives: int


@dataclass
class Chain:
    value: int
    following: list[dict[str, Animal]] | None = None


def columns(**kinds: Any) -> Any:
    from collections import OrderedDict

    return Annotated[pd.DataFrame, OrderedDict(kinds)]


CASTABLE = [
    (int, int, True),
    (int, float, False),
    (int, str, False),
    (bool, int, False),
    (Colour, str, True),
    (str, Colour, True),
    (Colour, Colour, True),
    (Colour, Shade, False),
    (list[int], list[int], True),
    (list[int], list[str], False),
    (list[int], int, False),
    (dict[str, int], dict[str, int], True),
    (dict[str, int], dict[str, str], False),
    (int, int | None, True),
    (int | None, int, False),
    (type(None), int | None, True),
    (str, int | None, False),
    (int | None, int | str | None, True),
    (int | str, int | None, False),
    (FlyteFile["csv"], FlyteFile, True),
    (FlyteFile, FlyteFile["csv"], True),
    (FlyteFile["csv"], FlyteFile["png"], False),
    (FlyteFile["csv"], str, False),
    (pd.DataFrame, StructuredDataset, True),
    (columns(a=int, b=str), columns(a=int), True),
    (columns(a=int), columns(a=int, b=str), False),
    (columns(a=int), columns(a=str), False),
    (pd.DataFrame, columns(a=int), True),
    (Dog, Animal, True),
    (Animal, Dog, False),
    (Dog, Cat, False),
    (Animal, dict, True),
    (Chain, Chain, True),
    (dt.datetime, dt.timedelta, False),
]


@pytest.mark.parametrize(("source", "target", "expected"), CASTABLE, ids=str)
def test_it_casts_as_the_compiler_of_flyte(source: Any, target: Any, expected: bool) -> None:
    assert is_castable(type_of(source), type_of(target)) is expected


def test_it_takes_an_empty_collection_for_any() -> None:
    empty = infer_type(from_json([], type_of(list[int]), name="x"))
    assert empty is not None
    assert is_castable(empty, type_of(list[str]))
    assert not is_castable(empty, type_of(dict[str, str]))


def test_it_refuses_a_value_that_two_variants_could_take() -> None:
    ambiguous = types_pb2.LiteralType(
        union_type=types_pb2.UnionType(variants=[types_pb2.LiteralType(simple=types_pb2.INTEGER)] * 2)
    )
    assert not is_castable(type_of(int), ambiguous)


def test_it_infers_a_union_of_mixed_items() -> None:
    mixed = infer_type(from_json([1, "a", 2, None], type_of(list[int | str | None]), name="x"))
    assert mixed is not None
    assert is_castable(mixed, type_of(list[int | str | None]))
    assert not is_castable(mixed, type_of(list[int]))


@pytest.mark.parametrize(
    ("python_type", "kind"),
    [
        (int, Kind.VALUE),
        (Animal, Kind.VALUE),
        (list[int], Kind.VALUE),
        (Colour, Kind.VALUE),
        (int | None, Kind.VALUE),
        (pd.DataFrame, Kind.DATASET),
        (StructuredDataset, Kind.DATASET),
        (FlyteFile, Kind.FILE),
        (FlyteFile["csv"], Kind.DATASET),
        (FlyteFile["joblib"], Kind.MODEL),
        (FlyteDirectory, Kind.DIRECTORY),
        (int | FlyteFile, Kind.OTHER),
        (type(None), Kind.OTHER),
    ],
    ids=str,
)
def test_it_tells_the_kind_of_an_artifact_from_its_type(python_type: Any, kind: Kind) -> None:
    assert kind_of(type_of(python_type)) == kind


def test_it_tells_the_kind_of_a_list_from_its_items() -> None:
    assert kind_of(types_pb2.LiteralType(collection_type=type_of(FlyteFile["onnx"]))) == Kind.MODEL


def test_it_knows_models_by_transformer_and_by_the_pickled_class() -> None:
    import flytekit.extras.sklearn  # noqa: F401 - registers the transformer
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    assert kind_of(type_of(LogisticRegression)) == Kind.MODEL
    pickled = types_pb2.LiteralType(blob=types_pb2.BlobType(format="PythonPickle"))
    assert kind_of(pickled) == Kind.OTHER
    pickled.metadata.update({"python_class_name": "<class 'xgboost.sklearn.XGBClassifier'>"})
    assert kind_of(pickled) == Kind.MODEL


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        ("HuggingFaceDatasetDict", Kind.DATASET),
        ("TensorFlowRecord", Kind.DATASET),
        ("TensorFlowDataset", Kind.DATASET),
        ("csv", Kind.DIRECTORY),
    ],
)
def test_a_folder_that_a_transformer_makes_of_a_dataset_is_one(format: str, kind: Kind) -> None:
    folder = types_pb2.BlobType(format=format, dimensionality=types_pb2.BlobType.MULTIPART)
    assert kind_of(types_pb2.LiteralType(blob=folder)) == kind

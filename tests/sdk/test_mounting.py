"""Versions declared as mounted: what says it, and what a task that takes one in is given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import causeway.types  # noqa: F401 - listens
import pytest
from causeway import Artifact
from causeway.client import Client
from causeway.mounting import Linked, declared
from flyteidl.core import literals_pb2
from flytekit import Artifact as Plain
from flytekit import FlyteContextManager, task
from flytekit.core.artifact import Inputs
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import LiteralMap
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

from artifacts.models import ArtifactVersion
from tests.sdk.conftest import PICTURES as URI

Pictures = Artifact(name="pictures", mounted=True)
Regional = Artifact(name="regional", mounted=True, partition_keys=["region"])
MARKED = {"mounted": "yes"}


@task
def look(folder: FlyteDirectory) -> str:
    return str(Path(folder.download(), "deep").resolve())


@task
def read(file: FlyteFile) -> str:
    with open(file) as opened:
        assert opened.read() == "a.txt"
    return str(Path(file.path).resolve())


@task
def read_all(files: list[FlyteFile]) -> list[str]:
    return [str(Path(file.download()).resolve()) for file in files]


@task
def read_one(file: Optional[FlyteFile]) -> str:  # noqa: UP045 - as users write it
    assert file is not None
    return str(Path(file.download()).resolve())


@task
def collect() -> Annotated[FlyteDirectory, Pictures]:
    return FlyteDirectory(URI)


@task
def hand_on(folder: FlyteDirectory) -> FlyteDirectory:
    folder.download()
    return folder


def given(to: Any, value: Any, metadata: dict[str, str]) -> Any:
    """What the task gives for one input, a value whose literal says `metadata`."""
    context = FlyteContextManager.current_context()
    ((name, python_type),) = to.python_interface.inputs.items()
    literal = TypeEngine.to_literal(context, value, python_type, TypeEngine.to_literal_type(python_type))
    literal.set_metadata(metadata)
    return to.dispatch_execute(context, LiteralMap({name: literal})).literals["o0"]


def text(literal: Any) -> str:
    return str(literal.scalar.primitive.string_value)


def test_the_second_task_needs_no_copy_and_neither_says_a_word(downloads: list[str], tmp_path: Path) -> None:
    first = text(given(look, FlyteDirectory(URI), MARKED))
    assert first.startswith(str(tmp_path / "mounts")) and len(downloads) == 2
    assert text(given(look, FlyteDirectory(URI), MARKED)) == first and len(downloads) == 2


def test_files_alone_in_lists_and_optional_ones_are_shared_too(downloads: list[str], tmp_path: Path) -> None:
    file = FlyteFile(f"{URI}/a.txt")
    found = text(given(read, file, MARKED))
    assert found.startswith(str(tmp_path / "mounts")) and found.endswith("/a.txt")
    assert text(given(read_one, file, MARKED)) == found and len(downloads) == 1
    listed = given(read_all, [file, FlyteFile(f"{URI}/deep/b.txt")], MARKED).collection.literals
    assert text(listed[0]) == found and len(downloads) == 2


def test_what_is_not_declared_is_copied_for_each_task(downloads: list[str], tmp_path: Path) -> None:
    for metadata in ({}, {"mounted": "no"}):
        assert not text(given(look, FlyteDirectory(URI), metadata)).startswith(str(tmp_path / "mounts"))


def test_where_the_machine_has_no_place_for_it_a_task_copies_as_ever(
    downloads: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAUSEWAY_MOUNTS_DIR", str(tmp_path / "file" / "mounts"))
    assert Path(text(given(look, FlyteDirectory(URI), MARKED)), "b.txt").read_text() == "deep/b.txt"


def test_passed_on_it_stays_where_it_is(downloads: list[str]) -> None:
    assert given(hand_on, FlyteDirectory(URI), MARKED).scalar.blob.uri == URI


def test_a_declaration_marks_what_the_task_gives() -> None:
    context = FlyteContextManager.current_context()
    made = collect.dispatch_execute(context, LiteralMap({})).literals["o0"]
    assert made.metadata == MARKED
    assert declared(Annotated[FlyteFile, Regional(region="north")])
    assert declared(Annotated[FlyteFile, Regional(region=Inputs.region)])
    assert declared(list[Annotated[FlyteFile, Pictures]])
    assert not declared(Annotated[FlyteFile, Artifact(name="pictures")]) and not declared(FlyteFile)
    assert not declared(Annotated[FlyteFile, Plain(name="pictures")])


def test_a_version_from_outside_says_it_wherever_it_goes(client: Client, tmp_path: Path) -> None:
    for version, metadata in (("v1", MARKED), ("v2", {"mounted": "no"}), ("v3", {})):
        client.create("pictures", external_ref=URI, shape="directory", version=version, metadata=metadata)
    said = {
        version.version: dict(literals_pb2.Literal.FromString(bytes(version.literal)).metadata)
        for version in ArtifactVersion.objects.all()
    }
    assert said == {"v1": MARKED, "v2": {}, "v3": {}}
    assert client.get("pictures@v1").fields["metadata"] == MARKED


def test_linking_twice_is_no_harm(downloads: list[str], tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    linked = Linked(URI, str(place), lambda: None)
    linked()
    linked()
    assert (place / "a.txt").read_text() == "a.txt"

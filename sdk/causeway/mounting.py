"""Versions declared as mounted: who takes one in as a FlyteFile or FlyteDirectory reads the machine's one copy.

Pictures = Artifact(name="pictures", mounted=True)

@task
def collect() -> Annotated[FlyteDirectory, Pictures]: ...

@task
def train(pictures: FlyteDirectory) -> float: ...    # says nothing of it

flytekit loads this by itself where the SDK is installed (causeway.types); without it a task has a copy of its own, as
ever. The mark is the attribute `mounted=yes` of the version, and stands on its literal wherever that is taken in.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from flytekit.core.artifact import ArtifactIDSpecification
from flytekit.core.base_task import PythonTask
from flytekit.core.context_manager import FlyteContext
from flytekit.types.directory.types import FlyteDirToMultipartBlobTransformer
from flytekit.types.file.file import FlyteFilePathTransformer

from causeway.literals import inside
from causeway.mounts import mounted

logger = logging.getLogger("causeway.mounting")

MARK, YES = "mounted", "yes"  # literal metadata, which is an attribute of the version that is published


class Linked:
    """In place of flytekit's downloader: where it would put a copy, a link to the machine's. Its own copy after all
    where the machine has no room or no folder for one.
    """

    def __init__(self, uri: str, place: str, download: Callable[[], Any]) -> None:
        self.uri, self.place, self.download = uri, place, download

    def __call__(self) -> None:
        try:
            data = mounted(self.uri)
        except OSError as error:
            logger.warning("%s is copied for this task alone: %s", self.uri, error)
            self.download()
            return
        place = Path(self.place)
        if place.is_symlink():
            return
        if place.is_dir():
            place.rmdir()  # flytekit makes an empty folder to download into
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(data)


def is_marked(literal: Any) -> bool:
    return bool((literal.metadata or {}).get(MARK) == YES)


def mark(literal: Any) -> None:
    literal.set_metadata({**(literal.metadata or {}), MARK: YES})


def declared(annotation: Any) -> bool:
    """Whether an output's type names an artifact that is declared as mounted, by itself or with partitions bound."""
    found = [one.artifact if isinstance(one, ArtifactIDSpecification) else one for one in get_args(annotation)]
    return any(getattr(one, MARK, False) is True or declared(one) for one in found)


def _linking(transformer: Any) -> None:
    read = transformer.async_to_python_value

    @functools.wraps(read)
    async def async_to_python_value(self: Any, ctx: FlyteContext, lv: Any, expected_python_type: Any) -> Any:
        value = await read(self, ctx, lv, expected_python_type)
        if is_marked(lv) and getattr(value, "_remote_source", None) and value._downloader is not None:
            value._downloader = Linked(str(value._remote_source), os.fspath(value.path), value._downloader)
        return value

    transformer.async_to_python_value = async_to_python_value


def register() -> None:
    """Once; does nothing the next time."""
    dispatch, convert = PythonTask.dispatch_execute, PythonTask._output_to_literal_map
    if getattr(dispatch, "causeway_mounts", False):
        return
    for transformer in (FlyteFilePathTransformer, FlyteDirToMultipartBlobTransformer):
        _linking(transformer)

    @functools.wraps(dispatch)
    def dispatch_execute(self: Any, ctx: FlyteContext, input_literal_map: Any) -> Any:
        for literal in input_literal_map.literals.values():
            if is_marked(literal):  # a version that is a list of files, or an optional one
                for one in inside(literal):
                    mark(one)
        return dispatch(self, ctx, input_literal_map)

    @functools.wraps(convert)
    async def output_to_literal_map(self: Any, native_outputs: Any, ctx: FlyteContext) -> Any:
        literals, natives = await convert(self, native_outputs, ctx)
        for name, literal in literals.literals.items():
            if declared(self.python_interface.outputs.get(name)):
                mark(literal)
        return literals, natives

    dispatch_execute.causeway_mounts = True  # type: ignore[attr-defined]
    PythonTask.dispatch_execute, PythonTask._output_to_literal_map = dispatch_execute, output_to_literal_map

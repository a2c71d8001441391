"""Pictures that are declared as mounted where they are made; who looks at them says nothing of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from causeway import Artifact
from flytekit import current_context, task, workflow
from flytekit.types.directory import FlyteDirectory

Pictures = Artifact(name="pictures", mounted=True)


@task
def collect(count: int) -> Annotated[FlyteDirectory, Pictures]:
    folder = Path(current_context().working_directory, "pictures")
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(str(number))
    return FlyteDirectory(str(folder))


@task
def look(pictures: FlyteDirectory) -> tuple[str, int]:
    """Where they lie on this machine, and what they come to."""
    folder = Path(pictures.download())
    return os.path.realpath(folder), sum(int(one.read_text()) for one in folder.iterdir())


@workflow
def collect_wf(count: int = 3) -> FlyteDirectory:
    return collect(count=count)


@workflow
def look_wf(pictures: FlyteDirectory = Pictures.query()) -> tuple[str, int]:
    return look(pictures=pictures)


@workflow
def both_wf(count: int = 4) -> tuple[str, int]:
    return look(pictures=collect(count=count))

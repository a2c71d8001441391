# ruff: noqa
"""A program that imports by its image."""

from __future__ import annotations

import os

from flytekit import ImageSpec, task

trainer = ImageSpec(registry="localhost:30000", packages=["numpy"])
other = ImageSpec(registry="localhost:30000", packages=["polars"])
more = trainer.with_packages(["scipy"])

IMPORTED = [trainer.is_container(), other.is_container(), more.is_container()]


@task
def where() -> list[bool]:
    assert IMPORTED == [trainer.is_container(), other.is_container(), more.is_container()]
    assert sum(IMPORTED) == (os.environ.get("_F_IMG_ID") in (trainer.id, other.id, more.id))
    return IMPORTED

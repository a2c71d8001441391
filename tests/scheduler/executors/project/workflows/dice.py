"""A generator of its own, made when the module is imported."""

from __future__ import annotations

import random

from flytekit import task

DICE = random.Random()  # noqa: S311 - no secrets


@task
def roll() -> float:
    return DICE.random()

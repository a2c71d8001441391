"""Rules that a launch plan declares in code: annotations `causeway.approval/<signal>: {"groups": [...], "quorum": 2}`.

Whoever may register a launch plan writes them, so they can only ask for more than there is without a rule: whoever has
a seat by one has the role approver there besides, and an author has none. A rule that an admin set counts instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from flyteidl.admin import launch_plan_pb2

from artifacts.exceptions import InvalidArgument
from scheduler.approving.rules import Rule
from scheduler.models import LaunchPlan

PREFIX = "causeway.approval/"
_LISTS, _NUMBERS, _TEXTS = ("people", "groups"), ("quorum", "rejections"), ("role",)


def declared(annotations: Mapping[str, str]) -> dict[str, Rule]:
    """By signal; InvalidArgument for what is no rule."""
    return {
        name[len(PREFIX) :]: _parse(name, text) for name, text in sorted(annotations.items()) if name.startswith(PREFIX)
    }


def _parse(name: str, text: str) -> Rule:
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise InvalidArgument(f'annotation {name}: a JSON object like {{"groups": ["board"], "quorum": 2}} is expected')
    if unknown := sorted(set(said) - {*_LISTS, *_NUMBERS, *_TEXTS}):
        known = ", ".join((*_LISTS, *_TEXTS, *_NUMBERS))
        raise InvalidArgument(f"annotation {name}: {unknown[0]!r} is unknown; known are: {known}")
    for key, value in said.items():
        if not _fits(key, value):
            raise InvalidArgument(f"annotation {name}: {key} cannot be {value!r}")
    given: dict[str, Any] = {key: frozenset(value) if key in _LISTS else value for key, value in said.items()}
    return Rule(**given, where=f"the launch plan's {name}", of_approvers=True)


def _fits(key: str, value: object) -> bool:
    if key in _LISTS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if key in _NUMBERS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return isinstance(value, str)


def declared_by(plan_id: int | None) -> dict[str, Rule]:
    """The rules of the launch plan, which never change."""
    return {} if plan_id is None else _declared_by(plan_id)


@lru_cache(maxsize=1000)
def _declared_by(plan_id: int) -> dict[str, Rule]:
    spec = LaunchPlan.objects.values_list("spec", flat=True).get(pk=plan_id)
    return declared(launch_plan_pb2.LaunchPlanSpec.FromString(bytes(spec)).annotations.values)

"""A check of an artifact is asked for, whose judge is a program: the launch plan that is made of it is launched
(scheduler.triggers.judging, which follows the happening: what comes of it is a verdict).
"""

from __future__ import annotations

from collections.abc import Sequence

from artifacts.exceptions import InvalidArgument
from scheduler.compiler.single_task import PREFIX
from scheduler.models import LaunchPlan, Trigger
from scheduler.triggers.kinds.kind import Kind, name_in, register


def _describe(trigger: Trigger, sources: Sequence[str]) -> str:
    return f"when a version of {' or '.join(sources)} is to be checked"


def _admit(launch_plan: LaunchPlan) -> None:
    if not launch_plan.name.startswith(PREFIX):
        raise InvalidArgument("'check' of a trigger is for launch plans that Causeway makes of checks")


ASKED = register(Kind("asked", _describe, key="check", read=name_in, admit=_admit))

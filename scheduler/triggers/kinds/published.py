"""A version of one of several artifacts is published, or of all of them (scheduler.triggers.rounds)."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.models import Trigger, TriggerMode
from scheduler.triggers.kinds.kind import Kind, register


def _describe(trigger: Trigger, sources: Sequence[str]) -> str:
    if trigger.mode == TriggerMode.ANY:
        return f"when a version of {' or '.join(sources)} is published"
    same = f" with the same {', '.join(trigger.join_on).replace('_', ' ')}" if trigger.join_on else ""
    return f"when versions of {' and '.join(sources)}{same} are published"


PUBLISHED = register(Kind("published", _describe, once=True))

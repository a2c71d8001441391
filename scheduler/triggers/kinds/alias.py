"""An alias of an artifact moves to a version, by whoever moves it."""

from __future__ import annotations

from collections.abc import Sequence

from artifacts.exceptions import InvalidArgument
from artifacts.happenings import ALIAS_MOVED, FALLEN_BACK
from artifacts.names import check_alias
from scheduler.models import Trigger
from scheduler.triggers.kinds.kind import Kind, register


def _read(said: object, sources: int) -> str:
    if not isinstance(said, str):
        raise InvalidArgument(f"'alias' of the trigger is a text, not {said!r}")
    if sources > 1:
        raise InvalidArgument("a trigger on an alias watches one artifact")
    return check_alias(said)


def _describe(trigger: Trigger, sources: Sequence[str]) -> str:
    return f"when '{trigger.alias}' of {' or '.join(sources)} moves to a version"


ALIAS = register(Kind("alias", _describe, key="alias", read=_read, follows=(ALIAS_MOVED, FALLEN_BACK)))

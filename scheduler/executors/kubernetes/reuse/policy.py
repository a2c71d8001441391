"""Which tasks of a project may share pods, and how many pods that may be: an operator's words, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.executors.descriptions import BadDescription, made

ASKED, ALL, NONE = "asked", "all", "none"
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "replicas": (1, 500),
    "at_once": (1, 100),
    "idle_seconds": (1, 86_400),
    "life_seconds": (60, 604_800),
}


@dataclass(frozen=True)
class Reuse:
    """For tasks of one place. `tasks`: `asked` are those that say CAUSEWAY_REUSE=1, and maps unless they say 0; `all`
    are all of flytekit's that do not say 0; `none` are none.
    """

    tasks: str = ASKED
    replicas: int = 20  # pods of one shape at most
    at_once: int = 1  # tasks in one pod at the same time
    idle_seconds: float = 120.0  # after its last task a pod goes
    life_seconds: float = 3600.0  # a pod takes no new task after that


def parse(place: str, given: Any) -> Reuse:
    """BadDescription, in one sentence, for what is not understood or cannot be."""
    what = f"reuse of {place}"
    if not isinstance(given, Mapping):
        raise BadDescription(f"{what} has to be a mapping, such as `replicas: 10`")
    found: Reuse = made(Reuse, given, what)
    if found.tasks not in (ASKED, ALL, NONE):
        raise BadDescription(f"{what}: tasks is {found.tasks!r}; it may be {ASKED}, {ALL} or {NONE}")
    for name, (least, most) in _BOUNDS.items():
        value = getattr(found, name)
        if not least <= value <= most or (name in ("replicas", "at_once") and value != int(value)):
            whole = "a whole number " if name in ("replicas", "at_once") else ""
            raise BadDescription(f"{what}: {name} is {value:g}; it may be {whole}from {least:g} to {most:g}")
    return found


def chosen(given: Mapping[str, Any], project: str, domain: str) -> Reuse:
    """The most specific of `project/domain`, `project` and `*` counts alone."""
    for place in (f"{project}/{domain}", project, "*"):
        if place in given:
            return parse(place, given[place])
    return Reuse()

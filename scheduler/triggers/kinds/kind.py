"""A kind of trigger, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from artifacts import happenings
from artifacts.names import check_alias
from scheduler.models import LaunchPlan, Trigger

Words = Callable[[Trigger, Sequence[str]], str]


def _anything(said: object, sources: int) -> str:
    return ""


def _anywhere(launch_plan: LaunchPlan) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """`key`: the launch conditions that have it are of this kind, and `read` says of what, given what stands there and
    how many artifacts are watched (InvalidArgument); without one, it is the kind where no key stands.

    `describe` ends the sentence "it is launched ...", given the sources in words. `admit` refuses launch plans that may
    not have such a trigger. `follows`: the happenings of a version that fire it, by their name where it is of one;
    publications are looked at apart, many at once. `once`: to a version that happens once.
    """

    name: str
    describe: Words
    key: str = ""
    read: Callable[[object, int], str] = _anything
    admit: Callable[[LaunchPlan], None] = _anywhere
    follows: tuple[happenings.Kind, ...] = ()
    once: bool = False


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """ValueError for a second one of the same name or key."""
    if kind.name in KINDS or kind.key in {one.key for one in KINDS.values()}:
        raise ValueError(f"there is a kind of triggers {kind.name!r} or {kind.key!r} already")
    KINDS[kind.name] = kind
    return kind


def name_in(said: object, sources: int) -> str:
    """A `read`: the name of an alias, a check or the like."""
    return check_alias(said)  # type: ignore[arg-type]

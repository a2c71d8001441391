"""What triggers react to: one registry, a module for each kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from causeway import OnAlias, OnArtifact

from artifacts import wire
from artifacts.exceptions import InvalidArgument
from artifacts.happenings import KINDS as HAPPENINGS
from console.pages.plans_context import trigger_in_words
from scheduler.triggers import consequences, kinds
from scheduler.triggers.kinds import ALIAS, ASKED, KINDS, PUBLISHED
from scheduler.triggers.kinds.kind import Kind, register
from scheduler.triggers.parse import trigger_from
from tests.scheduler.triggers.plans import PRIME, active_plan

HERE = Path(kinds.__file__).parent


def test_each_kind_is_a_module_of_its_own() -> None:
    modules = {path.stem for path in HERE.glob("*.py")} - {"__init__", "kind"}
    assert modules == set(KINDS)


def test_a_kind_is_known_once() -> None:
    for name, key in (("published", "new"), ("new", "alias")):
        with pytest.raises(ValueError, match="there is a kind of triggers"):
            register(Kind(name, PUBLISHED.describe, key=key))


def test_what_the_kinds_follow_launches() -> None:
    for kind in KINDS.values():
        for happening in kind.follows:
            assert consequences.launch_on_alias in HAPPENINGS[happening.name].consequences


def conditions(**more: object) -> object:
    return wire.encode_trigger(("flytesnacks", "development", "prime"), {}, more)


def test_the_conditions_tell_the_kind() -> None:
    place = {"project": "flytesnacks", "domain": "development"}
    for more, kind, of in (({}, PUBLISHED, ""), ({"alias": "best"}, ALIAS, "best"), ({"check": "fair"}, ASKED, "fair")):
        spec = trigger_from(conditions(**more), **place)  # type: ignore[arg-type]
        assert (spec.kind, spec.of) == (kind, of)
    with pytest.raises(InvalidArgument, match="a trigger has one of 'alias', 'check'"):
        trigger_from(conditions(alias="best", check="fair"), **place)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_launch_plan_says_in_words_what_starts_it() -> None:
    assert trigger_in_words(active_plan(OnArtifact(PRIME))) == "when a version of prime is published"
    trigger = active_plan(OnAlias(PRIME, "best"), name="on_best")
    assert (trigger.kind, trigger_in_words(trigger)) == ("alias", "when 'best' of prime moves to a version")


@pytest.mark.django_db
def test_only_launch_plans_made_of_checks_wait_to_be_asked() -> None:
    from scheduler.models import LaunchPlan

    with pytest.raises(InvalidArgument, match="'check' of a trigger is for launch plans that Causeway makes"):
        ASKED.admit(LaunchPlan(name="mine"))
    ASKED.admit(LaunchPlan(name=".flytegen.check.model.fair"))

"""Any interleaving of publications, activations, contests and evaluations, beside a small model: each member trains
once on each version that it is there for.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifacts.exceptions import CausewayError
from artifacts.models import ArtifactVersion
from scheduler.actions.contests import catch_up, remove_contest, set_contest
from scheduler.actions.launch_plans import set_state
from scheduler.models import Contest, Execution, LaunchPlan
from scheduler.triggers.evaluate import evaluate_version, sweep_triggers
from tests.artifacts.publishing import publish_output
from tests.scheduler.contests.program import ON_RIDES, PLACE, RIDES, plan, wish

pytestmark = pytest.mark.django_db
MEMBERS = ("own", "bare", "plain")  # the first has a trigger of its own
NUMBERS, NAMES = st.integers(0, 3), st.sampled_from(MEMBERS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish")),
        st.tuples(st.just("evaluate"), NUMBERS),
        st.tuples(st.just("activate"), NAMES, st.sampled_from(["v1", "v2"])),
        st.tuples(st.just("deactivate"), NAMES),
        st.tuples(st.just("set"), st.sampled_from([MEMBERS, MEMBERS[:2], MEMBERS[1:]])),
        st.tuples(st.just("end")),
        st.tuples(st.just("catch_up"), NUMBERS),
    ),
    max_size=14,
)


class Model:
    """`since`: the step from which on a member's trigger takes what is published; None: it is off."""

    def __init__(self) -> None:
        self.step = 0
        self.active: dict[str, str | None] = dict.fromkeys(MEMBERS)
        self.since: dict[str, int | None] = dict.fromkeys(MEMBERS)
        self.contest: tuple[str, ...] = ()
        self.published: list[int] = []
        self.evaluated: set[int] = set()
        self.trained: set[tuple[str, int]] = set()

    def publish(self) -> None:
        self.published.append(self.step)

    def evaluate(self, number: int) -> None:
        if number in self.evaluated:
            return
        self.evaluated.add(number)
        for name, since in self.since.items():
            if since is not None and since <= self.published[number]:
                self.trained.add((name, number))

    def activate(self, name: str, version: str) -> None:
        if self.active[name] == version:
            return
        self.active[name] = version
        if self.since[name] is None and (name == "own" or name in self.contest):
            self.since[name] = self.step

    def deactivate(self, name: str) -> None:
        self.active[name] = self.since[name] = None

    def set(self, members: tuple[str, ...]) -> None:
        if any(self.active[name] is None for name in members):
            return
        self.contest = members
        for name in MEMBERS[1:]:
            if name not in members:
                self.since[name] = None
            elif self.since[name] is None:
                self.since[name] = self.step

    def end(self) -> None:
        self.set(())

    def catch_up(self, number: int) -> None:
        self.evaluate(number)
        for name in self.contest:
            if self.active[name] is not None:
                self.trained.add((name, number))


class World:
    def __init__(self) -> None:
        self.versions: list[ArtifactVersion] = []

    def publish(self) -> None:
        execution = f"rides{len(self.versions)}"
        found = publish_output(RIDES, len(self.versions), execution=execution, at=timezone.now())
        self.versions.append(found.versions[0][1])

    def evaluate(self, number: int) -> None:
        evaluate_version(self.versions[number].pk)

    def activate(self, name: str, version: str) -> None:
        row = LaunchPlan.objects.get(name=name, version=version)
        set_state(row, LaunchPlan.State.ACTIVE, actor="ada")

    def deactivate(self, name: str) -> None:
        for row in LaunchPlan.objects.filter(name=name, state=LaunchPlan.State.ACTIVE):
            set_state(row, LaunchPlan.State.INACTIVE, actor="ada")

    def set(self, members: tuple[str, ...]) -> None:
        set_contest(*PLACE, wish(*members), actor="ada")

    def end(self) -> None:
        for contest in Contest.objects.filter(removed_at=None):
            remove_contest(contest, actor="ada")

    def catch_up(self, number: int) -> None:
        for contest in Contest.objects.filter(removed_at=None):
            catch_up(contest, self.versions[number], actor="ada")


def run(steps: list[tuple[Any, ...]]) -> None:
    model, world = Model(), World()
    for step, (name, *rest) in enumerate(steps):
        if name in ("evaluate", "catch_up") and rest[0] >= len(world.versions):
            continue
        if name == "catch_up" and not model.contest:
            continue
        model.step = step
        getattr(model, name)(*rest)
        with suppress(CausewayError), transaction.atomic():
            getattr(world, name)(*rest)
    for number in range(len(world.versions)):
        model.evaluate(number)
    sweep_triggers()
    sweep_triggers()
    numbers = {version.pk: number for number, version in enumerate(world.versions)}
    rows = Execution.objects.values_list("launch_plan__name", "firings__version")
    counted = Counter((name, numbers[version]) for name, version in rows)
    assert counted == Counter(model.trained)


@pytest.fixture
def registered(object_store: str) -> None:
    for version in ("v1", "v2"):
        plan("own", trigger=ON_RIDES, version=version, active=False)
        for name in MEMBERS[1:]:
            plan(name, version=version, active=False)


# Every example is undone: what is registered stays as it is.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, begun=st.booleans())
def test_each_member_trains_once_on_each_version_that_it_is_there_for(
    registered: None, steps: list[tuple[Any, ...]], begun: bool
) -> None:
    before = [*(("activate", name, "v1") for name in MEMBERS), ("set", MEMBERS)] if begun else []
    with transaction.atomic():
        run([*before, *steps])
        transaction.set_rollback(True)

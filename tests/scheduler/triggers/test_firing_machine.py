"""Any interleaving of publications, checks, pauses, limits, switches, tries, ends and expiries: every firing moves by
the table alone, what is written of it stays, and it adds up to what it is.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from causeway import AllOf, OnArtifact
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from flytekit.core.artifact import Artifact as FlyteArtifact
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.exceptions import FailedPrecondition
from artifacts.governance.checks import Report, Wish, report, set_check
from artifacts.models import ArtifactVersion
from scheduler.actions.launch_plans import set_state
from scheduler.models import Backlog, Execution, LaunchPlan, OnLimit, Trigger, TriggerFiring, TriggerRound
from scheduler.phases import FIRING_TERMINAL, FIRING_TRANSITIONS, ExecutionPhase, FiringOutcome
from scheduler.triggers.evaluate import evaluate_version, retry_by_hand, sweep_triggers
from scheduler.triggers.limits import Limits
from scheduler.triggers.switch import pause, resume, set_limits
from tests.artifacts.governance.making import settle
from tests.scheduler.triggers.plans import PRIME, active_plan, two_inputs
from tests.scheduler.triggers.test_evaluate import publish

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

F = FiringOutcome
MODEL = FlyteArtifact(name="ml-model")
OTHER = FlyteArtifact(name="other")
LIMITS = (
    Limits(),
    Limits(max_concurrent=1),
    Limits(max_concurrent=1, newest_only=True),
    Limits(max_concurrent=1, on_limit=OnLimit.SKIP),
    Limits(max_concurrent=1, on_limit=OnLimit.REPLACE),
    Limits(rate_count=1, rate_seconds=3600.0),
)
PLACE = st.integers(0, 2)
ARGUMENTS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "publish": (st.sampled_from([PRIME, OTHER, PRIME, MODEL]), st.sampled_from([True, True, True, False])),
    "report": (PLACE, st.booleans()),
    "sweep": (),
    "pause": (PLACE, st.sampled_from(list(Backlog))),
    "resume": (PLACE,),
    "limit": (PLACE, st.sampled_from(LIMITS)),
    "switch": (PLACE, st.sampled_from([True, False])),
    "retry": (PLACE,),
    "end": (PLACE,),
    "expire": (),
}
OFTEN = ["publish"] * 8 + ["report", "retry", "resume"] * 2
STEPS = st.lists(
    st.sampled_from([*OFTEN, *ARGUMENTS]).flatmap(lambda name: st.tuples(st.just(name), *ARGUMENTS[name])),
    min_size=10,
    max_size=24,
)


class World:
    """Three triggers: one whose input may lack a version, one whose versions wait for a check, one on rounds of two.

    `paths` is the model: of each firing the outcomes it had, which only ever grow.
    """

    def __init__(self) -> None:
        self.number = 0
        self.versions: list[ArtifactVersion] = []
        self.publish(PRIME, evaluated=True)
        set_check(self.versions[0].artifact, Wish("clean", "reported"), actor="root")
        self.triggers = [
            active_plan(OnArtifact(PRIME, inputs={"a": PRIME, "b": MODEL}), two_inputs, name="single"),
            active_plan(OnArtifact(PRIME, checks="passed"), name="checked"),
            active_plan(
                OnArtifact(AllOf(PRIME, OTHER, window=timedelta(hours=1)), inputs={"a": PRIME, "b": OTHER}),
                two_inputs,
                name="joined",
            ),
        ]
        self.paths: dict[int, list[str]] = {}

    def publish(self, artifact: FlyteArtifact, evaluated: bool) -> None:
        self.number += 1
        execution = f"m{self.number}"
        version = publish(artifact, self.number, execution=execution, minute=self.number)
        ArtifactVersion.objects.filter(pk=version.pk).update(created_at=timezone.now())
        if artifact is PRIME:
            self.versions.append(version)
        if evaluated:
            evaluate_version(version.pk)

    def sweep(self) -> None:
        TriggerFiring.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now() - timedelta(seconds=1))
        sweep_triggers()

    def report(self, place: int, passed: bool) -> None:
        version = self.versions[-1 - place % min(3, len(self.versions))]
        version.refresh_from_db()
        report(version, Report("clean", passed=passed), actor="ada")
        settle()

    def pause(self, place: int, backlog: Backlog) -> None:
        pause(self._trigger(place).pk, backlog=backlog, actor="ann")

    def resume(self, place: int) -> None:
        with suppress(FailedPrecondition):
            resume(self._trigger(place).pk, actor="ann")

    def limit(self, place: int, limits: Limits) -> None:
        set_limits(self._trigger(place).pk, limits, actor="ann")

    def switch(self, place: int, on: bool) -> None:
        state = LaunchPlan.State.ACTIVE if on else LaunchPlan.State.INACTIVE
        set_state(self._trigger(place).launch_plan, state, actor="ann")

    def retry(self, place: int) -> None:
        rows = list(TriggerFiring.objects.exclude(outcome__in=FIRING_TERMINAL).order_by("-pk"))
        if rows:
            with suppress(FailedPrecondition):
                retry_by_hand(rows[place % len(rows)].pk, actor="bob")

    def end(self, place: int) -> None:
        rows = list(Execution.objects.filter(ended_at__isnull=True).order_by("pk"))
        if rows:
            row = rows[place % len(rows)]
            Execution.objects.filter(pk=row.pk).update(phase=ExecutionPhase.SUCCEEDED, ended_at=timezone.now())

    def expire(self) -> None:
        TriggerRound.objects.filter(closed_at__isnull=True).update(expires_at=timezone.now() - timedelta(seconds=1))
        sweep_triggers()

    def _trigger(self, place: int) -> Trigger:
        return self.triggers[place % len(self.triggers)]

    def check(self) -> None:
        rows = list(TriggerFiring.objects.order_by("pk"))
        for row in rows:
            path = [one["outcome"] for one in row.history] + [row.outcome]
            for before, to in zip(path, path[1:], strict=False):
                assert F(to) in FIRING_TRANSITIONS[F(before)], path
            known = self.paths.get(row.pk, [])
            assert path[: len(known)] == known, "what is written of it stays"
            self.paths[row.pk] = path
            times = [parse_datetime(one["at"]) for one in row.history] + [row.at]
            assert times == sorted(times), times  # type: ignore[type-var]
            assert (row.outcome == F.FIRED) == (row.execution_id is not None)
            assert row.outcome == F.WAITING or not row.queued
            assert row.outcome not in FIRING_TERMINAL or (row.retry_at is None and not row.lacks)
        assert {row.pk for row in rows} == set(self.paths), "no row goes"
        for execution in Execution.objects.all():
            fired = [row for row in rows if row.execution_id == execution.pk]
            assert sum(row.latency_ms is not None for row in fired) == 1, "one firing launched it, the others joined"


@settings(max_examples=15)
@given(steps=STEPS)
def test_no_interleaving_moves_a_firing_but_by_the_table(steps: list[tuple[Any, ...]]) -> None:
    with transaction.atomic():
        world = World()
        for name, *rest in steps:
            getattr(world, name)(*rest)
            world.check()
        world.sweep()
        world.check()
        transaction.set_rollback(True)

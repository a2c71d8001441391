"""Any interleaving of publications, of asking again, of workers' turns, ends and delays: each asking has one effect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.governance.checks import Wish, judge_again, set_check
from artifacts.models import ArtifactVersion, CheckResult, Happening
from scheduler.happenings import handle, unhandled
from scheduler.models import Execution, TriggerFiring
from scheduler.phases import EXECUTION_TERMINAL
from scheduler.triggers.judging.settling import due, settle
from tests.artifacts.governance.making import settle as settle_all
from tests.flyte import register_all
from tests.scheduler.driving import Driver, TaskFailed
from tests.scheduler.triggers.test_judging import is_odd, named, publish

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]

PLACE = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish")),
        st.tuples(st.just("ask"), PLACE),
        st.tuples(st.just("turn"), PLACE, st.booleans()),
        st.tuples(st.just("end"), PLACE, st.sampled_from([True, False, None])),
        st.tuples(st.just("wait"), PLACE),
    ),
    max_size=8,
)


class World:
    """What each asking came to, told from the steps alone: None while nobody answered, `late` where nobody did."""

    def __init__(self) -> None:
        register_all(is_odd, version="v1", project="flytesnacks")
        self.versions = [publish(1)]
        set_check(
            self.versions[0].artifact, Wish("fair", "program", {"task": named(is_odd), "minutes": 1}), actor="ada"
        )
        self.answers: dict[int, str] = {}  # by execution

    def publish(self) -> None:
        self.versions.append(publish(len(self.versions) + 1))

    def ask(self, place: int) -> None:
        judge_again(self._version(place), actor="bob")

    def turn(self, place: int, killed: bool) -> None:
        """A worker does one of what is to be done, in any order, or is killed before its commit."""
        if left := unhandled(limit=100):
            with transaction.atomic():
                handle(left[place % len(left)])
                transaction.set_rollback(killed)

    def end(self, place: int, answer: bool | None) -> None:
        rows = list(Execution.objects.exclude(phase__in=EXECUTION_TERMINAL).order_by("pk"))
        if not rows:
            return
        row = rows[place % len(rows)]

        def said(n: int) -> Any:
            if answer is None:
                raise TaskFailed("no such column")
            return answer

        Driver({"is_odd": said}).run(row)
        self.answers.setdefault(row.pk, "passed" if answer else "failed")

    def wait(self, place: int) -> None:
        """Whatever the program of a version would say now comes too late."""
        version = self._version(place)
        results = CheckResult.objects.filter(version=version, status="pending")
        results.update(at=timezone.now() - timedelta(minutes=2))
        self.settle()

    def settle(self) -> None:
        for _ in range(2):  # twice, as after a worker that was killed
            for version_id, name in due(limit=100):
                settle(version_id, name)

    def _version(self, place: int) -> ArtifactVersion:
        return self.versions[place % len(self.versions)]

    def check(self) -> None:
        asked = Happening.objects.filter(kind="check.asked")
        firings = TriggerFiring.objects.filter(happening__in=asked)
        assert firings.values("happening").distinct().count() == firings.count() == Execution.objects.count()
        for version in self.versions:
            result = CheckResult.objects.filter(version=version).first()
            if result is None:  # published before there was the check, and not the newest then
                continue
            mine = Happening.objects.filter(version=version).order_by("pk")
            last = mine.filter(kind="check.asked").last()
            said = list(mine.filter(kind__in=["check.passed", "check.failed"], pk__gt=last.pk if last else 0))
            assert len(said) == (result.status != "pending")
            execution = Execution.objects.filter(firings__happening=last).first()
            if result.status == "pending":
                assert execution is not None and execution.phase not in EXECUTION_TERMINAL
            elif "no answer within" not in result.message:
                assert execution is not None
                assert result.status == self.answers[execution.pk]


@settings(max_examples=6)
@given(steps=STEPS)
def test_each_asking_is_answered_once_by_its_own_program(steps: list[tuple[Any, ...]]) -> None:
    with transaction.atomic():
        world = World()
        for name, *rest in steps:
            getattr(world, name)(*rest)
        settle_all()
        world.settle()
        settle_all()
        world.check()
        transaction.set_rollback(True)

"""Checks whose judge is a user's task or launch plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from causeway import OnArtifact
from django.db import transaction
from django.utils import timezone
from flytekit import LaunchPlan as FlyteLaunchPlan
from flytekit import task, workflow

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound
from artifacts.governance.checks import Report, Wish, drop_check, judge_again, report, set_check
from artifacts.governance.standing import standing_of
from artifacts.happenings import KINDS
from artifacts.models import Artifact, ArtifactVersion, CheckResult, CheckRule, Happening
from scheduler.happenings import handle, unhandled
from scheduler.models import Execution, FiringOutcome, LaunchPlan, Trigger, TriggerFiring
from scheduler.phases import ExecutionPhase
from scheduler.sweep import sweep_all
from scheduler.triggers.evaluate import evaluate_version
from scheduler.triggers.judging.settling import due, settle
from tests.artifacts.governance.making import settle as settle_all
from tests.artifacts.publishing import integer, publish_output
from tests.flyte import register_all
from tests.scheduler.driving import Driver, TaskFailed
from tests.scheduler.triggers.plans import PRIME, active_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


@task
def is_odd(n: int) -> bool:
    return n % 2 == 1


@task
def distance(n: int, of: int = 10) -> float:
    return float(abs(n - of))


@dataclass
class Said:
    passed: bool
    message: str
    numbers: dict[str, float]


@task
def explained(n: int) -> Said:
    return Said(n > 2, f"{n} is what it is", {"n": float(n)})


@task
def anything(n: int) -> dict[str, Any]:
    return {"n": n}


@workflow
def judging(n: int, floor: int) -> bool:
    return is_odd(n=n)


@task
def spell(n: int) -> str:
    return str(n)


@task
def about_nothing() -> bool:
    return True


@task
def of_text(text: str) -> bool:
    return bool(text)


TASKS = (is_odd, distance, explained, anything, spell, about_nothing, of_text)


@pytest.fixture
def artifact() -> Artifact:
    register_all(*TASKS, version="v1", project="flytesnacks")
    for known in [name for name in FlyteLaunchPlan.CACHE if name == "judge_prime"]:
        del FlyteLaunchPlan.CACHE[known]
    register_all(FlyteLaunchPlan.create("judge_prime", judging), version="v1", project="flytesnacks")
    return publish(1).artifact


def publish(number: int) -> ArtifactVersion:
    return publish_output(PRIME, integer(number), execution=f"e{number}").versions[0][1]


def named(one: Any) -> str:
    return str(one.name)


def ask(artifact: Artifact, **parameters: Any) -> None:
    set_check(artifact, Wish("fair", "program", parameters), actor="ada")
    settle_all()


def run(**answers: Any) -> None:
    """All that was launched, to its end."""
    driver = Driver(answers)
    for execution in Execution.objects.filter(ended_at__isnull=True).order_by("pk"):
        driver.run(execution)
    sweep_all()
    settle_all()


def said(version: ArtifactVersion) -> tuple[str, str]:
    row = CheckResult.objects.get(version=version, name="fair")
    return row.status, row.message


def test_each_new_version_is_judged_once_with_it_as_the_input(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    three = publish(3)
    assert said(three) == ("pending", "its program was not asked yet")
    settle_all()
    assert said(three)[1].startswith("its program runs: flytesnacks/development/t")
    assert Execution.objects.count() == 2  # of the newest when it was set, and of this one
    run(is_odd=lambda n: n == 3)
    assert said(three) == ("passed", "")
    assert said(ArtifactVersion.objects.get(execution_key="flytesnacks/development/e1"))[0] == "failed"
    row = CheckResult.objects.get(version=three)
    execution = Execution.objects.get(firings__version=three)
    assert row.evidence["execution"] == execution.key
    assert execution.resolution["n"]["version_id"] == three.pk
    assert (execution.principal, execution.principal_project) == ("ada", "flytesnacks")
    run(is_odd=lambda n: True)
    kinds = Happening.objects.filter(version=three, name="fair").order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["check.asked", "check.passed"]


def test_a_launch_plan_gets_what_else_it_needs_from_the_check(artifact: Artifact) -> None:
    ask(artifact, launch_plan="judge_prime", input="n", inputs={"floor": 7})
    run(is_odd=lambda n: True)
    [execution] = Execution.objects.all()
    assert execution.workflow.name == named(judging)
    assert said(ArtifactVersion.objects.get()) == ("passed", "")


def test_a_number_is_judged_by_the_bounds(artifact: Artifact) -> None:
    ask(artifact, task=named(distance), at_most=5, input="n", inputs={"of": 10})
    near = publish(8)
    settle_all()
    run(distance=lambda n, of: float(abs(n - of)))
    assert said(near) == ("passed", "fair is 2")
    assert said(ArtifactVersion.objects.order_by("pk")[0]) == ("failed", "fair is 9, at most 5 is asked")


def test_a_structure_says_why(artifact: Artifact) -> None:
    ask(artifact, task=named(explained))
    run(explained=lambda n: {"passed": False, "message": "too small", "numbers": {"n": 1}})
    row = CheckResult.objects.get()
    assert (row.status, row.message, row.numbers) == ("failed", "too small", {"n": 1})


def test_a_program_that_fails_or_says_nonsense_is_a_failed_check(artifact: Artifact) -> None:
    def fails(n: int) -> bool:
        raise TaskFailed("no such column")

    ask(artifact, task=named(is_odd))
    run(is_odd=fails)
    assert said(ArtifactVersion.objects.get())[0] == "failed"
    assert "no such column" in said(ArtifactVersion.objects.get())[1]
    ask(artifact, task=named(anything))
    run(anything=lambda n: {"verdict": "good"})
    assert "gave no answer that can be read" in said(ArtifactVersion.objects.get())[1]


def test_one_that_takes_too_long_is_stopped(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd), minutes=2)
    assert due(limit=10) == []
    CheckResult.objects.update(at=timezone.now() - timedelta(minutes=3))
    [(version_id, name)] = due(limit=10)
    settle(version_id, name)
    assert said(ArtifactVersion.objects.get()) == ("failed", "its program gave no answer within 2 min")
    execution = Execution.objects.get()
    assert (execution.phase, execution.aborted_by) == (ExecutionPhase.ABORTING, "system:checks")
    run()
    assert said(ArtifactVersion.objects.get()) == ("failed", "its program gave no answer within 2 min")


def test_triggers_wait_for_it(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    run(is_odd=lambda n: True)
    trigger = active_plan(OnArtifact(PRIME, checks="passed"))
    version = publish(5)
    evaluate_version(version.pk)
    firing = TriggerFiring.objects.get(version=version, trigger=trigger)
    assert (firing.outcome, standing_of(version.pk).pending) == (FiringOutcome.WAITING, ["fair"])
    settle_all()
    run(is_odd=lambda n: True)
    firing.refresh_from_db()
    assert firing.outcome == FiringOutcome.FIRED


def test_who_asks_again_gets_the_last_answer(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    first = Execution.objects.get()
    version = ArtifactVersion.objects.get()
    judge_again(version, actor="bob")
    settle_all()
    Driver({"is_odd": lambda n: True}).run(first)
    sweep_all()
    assert said(version)[0] == "pending"
    run(is_odd=lambda n: False)
    assert said(version)[0] == "failed"
    assert Execution.objects.count() == 2


def test_a_new_version_of_the_program_judges_unless_one_is_named(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    set_check(artifact, Wish("fixed", "program", {"task": named(is_odd), "version": "v1"}), actor="ada")
    register_all(is_odd, version="v2", project="flytesnacks")
    version = publish(3)
    settle_all()
    launched = Execution.objects.filter(firings__version=version)
    names = launched.order_by("firings__happening__name").values_list("launch_plan__name", flat=True)
    assert list(names) == [".flytegen.check.prime.fair", ".flytegen.check.prime.fixed"]
    workflows = launched.order_by("firings__happening__name").values_list("workflow__version", flat=True)
    assert list(workflows) == ["v2", "v1"]


def test_a_check_that_is_taken_away_keeps_nobody_waiting(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    version = publish(3)
    drop_check(artifact, "fair", actor="ada")
    assert standing_of(version.pk).passed
    settle_all()
    run(is_odd=lambda n: True)
    assert not CheckResult.objects.exists()
    assert Execution.objects.count() == 1


def test_a_program_that_went_away_fails_the_check(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    CheckRule.objects.update(parameters={"task": "gone", "minutes": 5})
    version = publish(3)
    settle_all()
    assert said(version) == (
        "failed",
        "its program could not be launched: no task gone is registered in flytesnacks/development",
    )


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({}, InvalidArgument, "names what judges: 'task' or 'launch_plan', one of them"),
        ({"task": "a", "launch_plan": "b"}, InvalidArgument, "one of them"),
        ({"task": "nothing"}, NotFound, "no task nothing is registered in flytesnacks/development"),
        ({"task": named(is_odd), "version": "v9"}, NotFound, "v9"),
        ({"task": named(is_odd), "minutes": 0}, InvalidArgument, "'minutes' must be a finite number, at least 0.01"),
        ({"task": named(is_odd), "minutes": "soon"}, InvalidArgument, "'minutes' must be"),
        ({"task": named(is_odd), "input": "m"}, InvalidArgument, "has no input m; its inputs: n"),
        ({"task": named(is_odd), "at_least": 1}, InvalidArgument, "not a number for the check's bounds"),
        ({"task": named(distance)}, InvalidArgument, "not whether it passes"),
        ({"task": named(spell)}, InvalidArgument, "not whether it passes; allowed are: one boolean"),
        ({"task": named(about_nothing)}, InvalidArgument, "takes the version, 'input': it has none"),
        ({"task": named(of_text)}, InvalidArgument, "takes a text|but prime holds"),
        ({"launch_plan": "judge_prime"}, InvalidArgument, "say which input of judge_prime takes the version"),
        ({"launch_plan": "judge_prime", "input": "n"}, InvalidArgument, "judge_prime also needs floor"),
        (
            {"launch_plan": "judge_prime", "input": "n", "inputs": {"floor": "low"}},
            InvalidArgument,
            'input "floor" expects',
        ),
        ({"launch_plan": "judge_prime", "input": "n", "inputs": {"n": 1, "floor": 1}}, InvalidArgument, "leave it out"),
        ({"task": named(is_odd), "retries": 3}, InvalidArgument, "has retries; known are:"),
    ],
)
def test_what_could_not_judge_is_refused_when_it_is_set(
    artifact: Artifact, parameters: dict[str, Any], error: type[CausewayError], words: str
) -> None:
    before = LaunchPlan.objects.count()
    with pytest.raises(error, match=words):
        set_check(artifact, Wish("fair", "program", parameters), actor="ada")
    assert not CheckRule.objects.exists()
    assert not Trigger.objects.exists()
    assert LaunchPlan.objects.exclude(name__startswith=".flytegen.").count() <= before


def test_it_cannot_be_reported(artifact: Artifact) -> None:
    ask(artifact, task=named(is_odd))
    with pytest.raises(InvalidArgument, match="judged by Causeway"):
        report(ArtifactVersion.objects.get(), Report("fair", passed=True), actor="ada")


def test_a_worker_that_is_killed_loses_and_doubles_nothing(artifact: Artifact) -> None:
    """Every turn is done twice, and one that was rolled back is done again."""
    ask(artifact, task=named(is_odd))
    version = publish(3)
    [pk] = [pk for pk in unhandled(limit=10) if Happening.objects.get(pk=pk).version_id == version.pk]
    with transaction.atomic():
        handle(pk)
        transaction.set_rollback(True)
    assert not Execution.objects.filter(firings__version=version).exists()
    assert [handle(pk), handle(pk)] == [True, False]
    Driver({"is_odd": lambda n: True}).run(Execution.objects.get(firings__version=version))
    with transaction.atomic():
        settle(version.pk, "fair")
        transaction.set_rollback(True)
    assert said(version)[0] == "pending"
    settle(version.pk, "fair")
    settle(version.pk, "fair")
    assert said(version)[0] == "passed"
    assert Happening.objects.filter(kind=KINDS["check.passed"].name, version=version).count() == 1

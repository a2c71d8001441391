"""Who began it: the person or schedule at the end of the chain, from whatever is at its other end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from artifacts.models import ArtifactVersion, Kind
from console.accounts.models import User
from scheduler.models import Execution, ExecutionMode, FiringOutcome, NodeKind, Trigger, TriggerFiring
from scheduler.origins import origin_of
from scheduler.phases import ExecutionPhase, NodePhase
from tests.console.pages.cast import World, make_execution, make_node, make_version

Browse = Callable[[User], Client]


def triggered(name: str, version: ArtifactVersion) -> Execution:
    run = make_execution(
        name,
        "train_on_dataset",
        ExecutionPhase.SUCCEEDED,
        age=timedelta(minutes=1),
        mode=ExecutionMode.TRIGGER,
        principal="system:trigger",
    )
    trigger = Trigger.objects.get(launch_plan=run.launch_plan)
    TriggerFiring.objects.create(
        trigger=trigger,
        version=version,
        outcome=FiringOutcome.FIRED,
        execution=run,
        published_at=version.created_at,
        at=version.created_at,
    )
    return run


def test_a_chain_of_triggers_and_children_ends_at_the_person(world: World, browse: Browse) -> None:
    begins = make_execution(
        "abegins", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(hours=1), principal="ann"
    )
    run = begins
    for number in range(4):
        run = triggered(f"astep{number}", make_version("chain", Kind.DATASET, number=number, execution_key=run.key))
    child = make_execution("achild", "train_on_dataset", ExecutionPhase.SUCCEEDED, age=timedelta(minutes=1))
    node = make_node(run, "n0", NodePhase.SUCCEEDED, kind=NodeKind.LAUNCH_PLAN)
    Execution.objects.filter(pk=child.pk).update(parent_node=node, principal="system:trigger")
    child.refresh_from_db()

    with CaptureQueriesContext(connection) as asked:
        origin = origin_of(child)

    assert (origin.execution.pk, origin.steps, origin.by) == (begins.pk, 5, "ann") and len(asked) == 2
    page = browse(world.admin).get("/executions/demo/development/achild/").content.decode()
    assert "Begun by" in page and "ann," in page and "/executions/demo/development/abegins/" in page
    made = make_version("result", Kind.MODEL, number=40, execution_key=child.key, created_by="system:trigger")
    page = browse(world.admin).get(f"/artifacts/versions/{made.pk}/").content.decode()
    assert "Begun by" in page and "/executions/demo/development/abegins/" in page


def test_it_ends_at_a_schedule_and_at_who_published_from_outside(world: World, browse: Browse) -> None:
    scheduled = make_execution(
        "asched",
        "train_on_dataset",
        ExecutionPhase.SUCCEEDED,
        age=timedelta(hours=1),
        mode=ExecutionMode.SCHEDULED,
        principal="ann",
    )
    after = triggered("aafter", make_version("chain", Kind.DATASET, number=1, execution_key=scheduled.key))
    outside = triggered("aoutside", make_version("chain", Kind.DATASET, number=2, created_by="bob"))
    client = browse(world.admin)

    assert origin_of(after).is_scheduled
    assert "the schedule of" in client.get("/executions/demo/development/aafter/").content.decode()
    assert "bob published" in client.get("/executions/demo/development/aoutside/").content.decode()
    assert origin_of(outside).by == "bob"


def test_what_a_person_launched_names_no_other(world: World, browse: Browse) -> None:
    assert "Begun by" not in browse(world.admin).get("/executions/demo/development/amakes/").content.decode()


def test_the_beginning_in_a_project_one_may_not_read_is_not_told(world: World, browse: Browse) -> None:
    begins = make_execution(
        "ahidden",
        "train_on_dataset",
        ExecutionPhase.SUCCEEDED,
        age=timedelta(hours=1),
        principal="ann",
        project="secret",
    )
    triggered("aseen", make_version("chain", Kind.DATASET, number=1, execution_key=begins.key))

    page = browse(world.viewer).get("/executions/demo/development/aseen/").content.decode()

    assert "Begun by" not in page and "ahidden" not in page

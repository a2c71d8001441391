"""How a firing moves: by the table, compare and set, with what it was before; and nobody else writes an outcome."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from causeway import AllOf, OnArtifact
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from flytekit.core.artifact import Artifact as FlyteArtifact

from scheduler.ledger import told_history
from scheduler.models import Backlog, Execution, Trigger, TriggerFiring
from scheduler.phases import FIRING_TERMINAL, FIRING_TRANSITIONS, FiringOutcome
from scheduler.triggers.evaluate import evaluate_version, retry_by_hand, sweep_triggers
from scheduler.triggers.moves import KEPT, FiringMoved, put, put_all, put_once
from scheduler.triggers.switch import pause, resume
from tests.artifacts.publishing import START
from tests.scheduler.triggers.plans import PRIME, active_plan, two_inputs
from tests.scheduler.triggers.test_evaluate import publish

ROOT = Path(__file__).resolve().parents[3]
WRITER = "scheduler/triggers/moves.py"
F = FiringOutcome


@pytest.fixture
def trigger(db: None) -> Trigger:
    return active_plan(OnArtifact(PRIME, inputs={"n": PRIME}))


_numbers = iter(range(1, 1_000_000))


def a_firing(trigger: Trigger, outcome: FiringOutcome = F.WAITING, **over: Any) -> TriggerFiring:
    version = publish(PRIME, execution=f"m{next(_numbers)}")
    row = TriggerFiring(trigger=trigger, version=version, published_at=START, at=START, **over)
    put(row, outcome)
    return row


def row_of(firing: TriggerFiring) -> TriggerFiring:
    return TriggerFiring.objects.get(pk=firing.pk)


def test_a_move_keeps_what_the_firing_was_and_why(trigger: Trigger) -> None:
    firing = a_firing(trigger, F.UNRESOLVED, reason="n: none of SEA", lacks=["p/d/x"])
    put(firing, F.SKIPPED, reason="paused by ann", lacks=[])
    put(firing, F.FIRED, reason="")
    assert firing.outcome == F.FIRED
    first, second = row_of(firing).history
    assert (first["outcome"], first["reason"], first["lacks"]) == ("unresolved", "n: none of SEA", ["p/d/x"])
    assert (second["outcome"], second["reason"], "lacks" in second) == ("skipped", "paused by ann", False)
    told = told_history(row_of(firing), lambda project, domain: False)
    assert told[0].reason == "an input found no version of p/d/x, which you may not read"
    assert [one.at for one in told] == [START, told[1].at] and START < told[1].at <= timezone.now()


def test_staying_where_it_is_is_no_move(trigger: Trigger) -> None:
    firing = a_firing(trigger, F.UNRESOLVED)
    put(firing, F.UNRESOLVED, reason="still nothing", tries=2)
    found = row_of(firing)
    assert (found.reason, found.tries, found.history, found.at) == ("still nothing", 2, [], START)


def test_of_two_that_move_it_the_second_learns_it_and_writes_nothing(trigger: Trigger) -> None:
    firing = a_firing(trigger, F.WAITING)
    other = row_of(firing)
    put(firing, F.FIRED)
    with pytest.raises(FiringMoved, match="is not waiting any more"):
        put(other, F.SKIPPED, reason="too late")
    found = row_of(firing)
    assert (found.outcome, found.reason, len(found.history)) == (F.FIRED, "", 1)


@pytest.mark.parametrize(("before", "to"), list(product(F, F)), ids=str)
def test_it_moves_as_the_table_says_alone_and_among_many(
    trigger: Trigger, before: FiringOutcome, to: FiringOutcome
) -> None:
    one, many = a_firing(trigger, before), a_firing(trigger, before)
    legal = to == before or to in FIRING_TRANSITIONS[before]
    if legal:
        put(one, to)
    else:
        with pytest.raises(FiringMoved):
            put(one, to)
    assert put_all(TriggerFiring.objects.filter(pk=many.pk), to) == legal
    for firing in (row_of(one), row_of(many)):
        assert firing.outcome == (to if legal else before)
        assert [each["outcome"] for each in firing.history] == ([before] if legal and to != before else [])


def test_the_table_leads_from_every_outcome_to_an_end_and_not_away_from_it() -> None:
    assert set(FIRING_TRANSITIONS) == set(F)
    assert {outcome for outcome, moves in FIRING_TRANSITIONS.items() if not moves} == FIRING_TERMINAL
    assert all(F.FIRED in moves for outcome, moves in FIRING_TRANSITIONS.items() if outcome not in FIRING_TERMINAL)
    assert not any(F.FILTERED in moves for moves in FIRING_TRANSITIONS.values())


def test_only_the_last_moves_are_kept(trigger: Trigger) -> None:
    firing = a_firing(trigger, F.WAITING)
    for number in range(KEPT + 5):
        put(firing, F.UNRESOLVED if number % 2 == 0 else F.WAITING, reason=str(number))
    history = row_of(firing).history
    assert len(history) == KEPT and history[-1]["reason"] == str(KEPT + 3) and history[0]["reason"] == "4"


def test_a_second_row_of_the_same_happening_is_not_written(trigger: Trigger) -> None:
    firing = a_firing(trigger, F.FIRED)
    again = TriggerFiring(trigger=trigger, version=firing.version, published_at=START, at=START)
    put_once(again, F.SKIPPED)
    assert TriggerFiring.objects.get(version=firing.version).outcome == F.FIRED


def test_each_move_is_one_statement(trigger: Trigger) -> None:
    firing = a_firing(trigger, F.WAITING)
    with CaptureQueriesContext(connection) as queries:
        put(firing, F.SKIPPED)
        put_all(TriggerFiring.objects.filter(trigger=trigger), F.WAITING)
    assert len(queries) == 2


@pytest.mark.usefixtures("object_store")
def test_a_version_that_was_dropped_and_launched_by_hand_tells_both(trigger: Trigger) -> None:
    pause(trigger.pk, backlog=Backlog.DROP, actor="ann")
    version = publish(PRIME)
    evaluate_version(version.pk)
    resume(trigger.pk, actor="ann")
    firing = retry_by_hand(TriggerFiring.objects.get().pk, actor="bob")
    (before,) = firing.history
    assert (firing.outcome, before["outcome"]) == (F.FIRED, "skipped")
    assert before["reason"].startswith("paused by ann, who chose to drop")


@pytest.mark.usefixtures("object_store")
def test_a_launch_whose_firing_somebody_moved_meanwhile_is_rolled_back(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = active_plan(OnArtifact(PRIME, inputs={"n": PRIME}, max_concurrent=1))
    pause(limited.pk, backlog=Backlog.KEEP, actor="ann")
    evaluate_version(publish(PRIME).pk)
    monkeypatch.setattr("scheduler.triggers.queue.attempt", _interrupted)
    with pytest.raises(FiringMoved):
        resume(limited.pk, actor="ann")
    monkeypatch.undo()
    assert TriggerFiring.objects.get().outcome == F.WAITING and not Execution.objects.exists()
    limited.refresh_from_db()
    assert limited.paused_at is not None


def _interrupted(firing: TriggerFiring) -> dict[str, Any]:
    """A try during which the firing is moved by somebody who does not hold its trigger."""
    from scheduler.triggers.attempts import attempt

    came = attempt(firing)
    TriggerFiring.objects.filter(pk=firing.pk).update(outcome=F.SKIPPED)
    return came


@pytest.mark.usefixtures("object_store")
def test_an_input_that_was_found_later_tells_what_it_lacked(db: None) -> None:
    model = FlyteArtifact(name="ml-model")
    active_plan(OnArtifact(PRIME, inputs={"a": PRIME, "b": model}), two_inputs)
    evaluate_version(publish(PRIME).pk)
    TriggerFiring.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    sweep_triggers()  # finds nothing again, which is no move
    firing = TriggerFiring.objects.get()
    assert (firing.outcome, firing.tries, firing.history) == (F.UNRESOLVED, 2, [])
    evaluate_version(publish(model, execution="m1").pk)
    found = row_of(firing)
    assert found.outcome == F.FIRED
    assert [(each["outcome"], each["lacks"]) for each in found.history] == [
        ("unresolved", ["flytesnacks/development/ml-model"])
    ]


@pytest.mark.usefixtures("object_store")
def test_the_others_of_a_round_do_not_tell_what_a_query_found_instead(db: None) -> None:
    """Those of a round have no `lacks` of their own by which readers would be kept from it."""
    other, hidden = FlyteArtifact(name="other"), FlyteArtifact(name="ml-model", partition_keys=["region"])
    inputs = {"a": PRIME, "b": hidden.query(region="SEA")}
    active_plan(OnArtifact(AllOf(PRIME, other), inputs=inputs), two_inputs)
    publish(hidden(region="LAX"), execution="h1")
    evaluate_version(publish(PRIME).pk)
    evaluate_version(publish(other, execution="o1").pk)
    head, mate = TriggerFiring.objects.order_by("-pk")
    assert head.outcome == mate.outcome == F.UNRESOLVED and "SEA" in head.reason
    assert mate.reason.endswith(": an input found no version of flytesnacks/development/ml-model")


def test_nobody_else_writes_an_outcome() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in ("audit", "artifacts", "lineage", "scheduler", "console")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.relative_to(ROOT).as_posix() != WRITER and "migrations" not in path.parts
        for line in _writes(ast.parse(path.read_text()))
    ]
    assert found == []


def test_the_look_for_writers_finds_them() -> None:
    writing = [
        'firing.outcome = "fired"',
        'firing.outcome, firing.reason = "fired", ""',
        'TriggerFiring(trigger=1, outcome="fired")',
        'rows.update(outcome="fired")',
        'TriggerFiring.objects.create(outcome="fired")',
        'firing.save(update_fields=["outcome"])',
        "firing.save()",
        'SQL = "update scheduler_triggerfiring set outcome = 1"',
        'SQL = f"INSERT INTO scheduler_triggerfiring ({x})"',
    ]
    assert [len(list(_writes(ast.parse(source)))) for source in writing] == [1] * len(writing)
    reading = (
        'rows.filter(outcome="fired"); x = firing.outcome; Notice(outcome="met"); firing.save(update_fields=["at"])'
    )
    assert list(_writes(ast.parse(reading))) == []


_WRITING = {"update", "create", "get_or_create", "update_or_create", "TriggerFiring"}


def _writes(tree: ast.AST) -> Iterator[int]:
    """Lines that write a firing's outcome: by attribute, by the ORM, by a whole row, by SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "outcome" and isinstance(node.ctx, ast.Store):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                yield node.lineno
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = {word.arg: word.value for word in node.keywords}
            if (name in _WRITING and "outcome" in given) or (name == "save" and _saves(node, given)):
                yield node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = " ".join(node.value.lower().split())
            if "update scheduler_triggerfiring" in text or "insert into scheduler_triggerfiring" in text:
                yield node.lineno


def _saves(call: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    """A firing, with its outcome."""
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    if "update_fields" in given:
        return any(isinstance(one, ast.Constant) and one.value == "outcome" for one in ast.walk(given["update_fields"]))
    return isinstance(receiver, ast.Name) and "firing" in receiver.id

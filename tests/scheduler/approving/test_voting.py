"""Approvals in real executions: quorum, authors, delegation, and what was reviewed fixed by its digest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from flyteidl.core import literals_pb2
from flytekit import LaunchPlan, approve, conditional, map_task, task, wait_for_input, workflow

from artifacts.exceptions import FailedPrecondition, InvalidArgument, PermissionDenied
from artifacts.store import store
from audit.models import AuditEvent
from console.accounts.models import Role, RoleBinding, User
from scheduler.actions.approvers import delegate, revoke, set_group, set_rule
from scheduler.actions.gates import decide, get_or_create_signal, set_signal
from scheduler.approving.escalation import escalate_due
from scheduler.approving.rules import Rule
from scheduler.approving.standing import look_again
from scheduler.approving.voting import LOST
from scheduler.models import Channel, Decision, Execution, Gate, GateVote, NodeExecution, Notification
from scheduler.notifications.texts import subject_of, text_of
from scheduler.phases import ExecutionPhase
from tests.artifacts.governance.making import settle
from tests.flyte import register_all
from tests.scheduler.driving import Driver, error_of, outputs, start, workflow_of
from tests.scheduler.test_children import run_all
from tests.scheduler.test_gates import BOOLEAN, later

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
HOUR = timedelta(hours=1)
BOARD = Rule(groups=frozenset({"board"}), quorum=2)


@task
def double(a: int) -> int:
    return 2 * a


@workflow
def approved(a: int) -> int:
    return double(a=approve(double(a=a), "release", timeout=HOUR))


@task
def refused(reason: str) -> str:
    return f"refused: {reason}"


@task
def went_on(reason: str) -> str:
    return f"went on: {reason}"


@workflow
def deciding(a: int) -> str:
    before = double(a=a)
    decision = wait_for_input("release", timeout=HOUR, expected_type=bool)
    reason = wait_for_input("release.reason", timeout=HOUR, expected_type=str)
    before >> decision
    return (
        conditional("decided").if_(decision.is_true()).then(went_on(reason=reason)).else_().then(refused(reason=reason))
    )


@workflow
def in_a_branch(a: int) -> int:
    return conditional("size").if_(a > 2).then(approved(a=a)).else_().then(double(a=a))


approved_plan = LaunchPlan.get_or_create(approved, "voted_on")


@workflow
def each(a: list[int]) -> list[int]:
    return map_task(approved_plan)(a=a)


@pytest.fixture(autouse=True)
def people() -> None:
    for name in ("ann", "bob", "cat", "dan", "eve"):
        User.objects.create(username=name, email=f"{name}@example.org")
    set_group(project="demo", name="board", members=["ann", "bob", "cat"], actor="root")


def run(execution: Execution) -> Execution:
    said = {"refused": lambda reason: f"refused: {reason}", "went_on": lambda reason: f"went on: {reason}"}
    return Driver({"double": lambda a: 2 * a, **said}).run(execution)


def asked(entity: object = approved, rule: Rule | None = BOARD, principal: str = "eve") -> Gate:
    """An execution of the workflow that has come to its gate."""
    if rule is not None:
        set_rule(rule, project="demo", signal_id="release", actor="root")
    execution = start(workflow_of(entity), {"a": 3})
    Execution.objects.filter(pk=execution.pk).update(principal=principal)
    execution.refresh_from_db()
    run(execution)
    return Gate.objects.get(execution=execution, signal_id="release")


def with_deck(gate: Gate, text: str) -> str:
    """The deck of what ran before the gate."""
    node = NodeExecution.objects.get(execution=gate.execution, node_id="n0")
    uri = store().join(store().root, "metadata", gate.execution.key, "deck.html")
    store().put(uri, text.encode())
    NodeExecution.objects.filter(pk=node.pk).update(deck_uri=uri)
    return uri


def test_it_takes_as_many_as_the_rule_says() -> None:
    gate = asked()
    assert decide(gate, approve=True, actor="ann").decided_at is None
    assert run(gate.execution).phase == ExecutionPhase.RUNNING
    assert decide(gate, approve=True, actor="bob", comment="fine").decided_at is not None
    assert outputs(run(gate.execution)) == {"o0": 12}
    decision = Decision.objects.get(gate=gate)
    assert decision.approved and [vote["actor"] for vote in decision.votes] == ["ann", "bob"]
    assert decision.rule["quorum"] == 2 and decision.rule["rule"] == "demo/*/*/release"
    assert list(AuditEvent.objects.filter(verb__startswith="gate.").values_list("verb", "actor").order_by("pk")) == [
        ("gate.vote", "ann"),
        ("gate.approve", "bob"),
    ]


def test_nobody_counts_twice_and_strangers_do_not_count() -> None:
    gate = asked()
    decide(gate, approve=True, actor="ann")
    with pytest.raises(FailedPrecondition, match="nobody counts twice"):
        decide(gate, approve=True, actor="ann")
    with pytest.raises(PermissionDenied, match="lets ann, bob, cat"):
        decide(gate, approve=True, actor="dan")
    assert GateVote.objects.count() == 1


def _leaves_the_group() -> None:
    set_group(project="demo", name="board", members=["bob", "cat"], actor="root")


def _is_switched_off() -> None:
    User.objects.filter(username="ann").update(is_active=False)


@pytest.mark.parametrize("loses", [_leaves_the_group, _is_switched_off])
def test_who_may_not_decide_any_more_has_decided_nothing_that_others_conclude(loses: Callable[[], None]) -> None:
    gate = asked()
    decide(gate, approve=True, actor="ann")
    loses()
    assert decide(gate, approve=True, actor="bob").decided_at is None
    assert GateVote.objects.get(actor="ann").voided_at is not None
    assert AuditEvent.objects.get(verb="gate.void").detail == {"votes_of": ["ann"], "reason": LOST}
    assert decide(gate, approve=True, actor="cat").decided_at is not None
    assert [one["actor"] for one in Decision.objects.get().votes] == ["bob", "cat"]


def test_accounts_of_programs_have_no_seat() -> None:
    robot = User.objects.create(username="robot", service_of="demo")
    RoleBinding.objects.create(user=robot, role=Role.APPROVER, project="demo")
    with pytest.raises(InvalidArgument, match="no active user 'robot'"):
        set_group(project="demo", name="board", members=["ann", "robot"], actor="root")
    with pytest.raises(InvalidArgument, match="at most 0 is allowed"):
        set_rule(Rule(role="approver"), project="demo", actor="root")


def test_the_author_does_not_decide_unless_the_rule_lets_him() -> None:
    gate = asked(principal="ann")
    with pytest.raises(PermissionDenied, match="ann made what release is about"):
        decide(gate, approve=True, actor="ann")
    set_rule(Rule(people=frozenset({"ann"}), author_may=True), project="demo", signal_id="release", actor="root")
    assert decide(gate, approve=True, actor="ann").decided_at is not None


def test_a_rejection_needs_its_reason_and_ends_it() -> None:
    gate = asked()
    with pytest.raises(InvalidArgument, match="needs its reason"):
        decide(gate, approve=False, actor="ann", comment="  ")
    assert decide(gate, approve=False, actor="ann", comment="too slow").decided_at is not None
    assert run(gate.execution).phase == ExecutionPhase.FAILED
    assert error_of(gate.execution).message.endswith("too slow")


def test_who_was_delegated_to_decides_in_the_others_seat_until_it_ends() -> None:
    gate = asked()
    until = timezone.now() + HOUR
    held = delegate(giver="ann", to="dan", project="demo", starts_at=None, ends_at=until, reason="away", actor="ann")
    decide(gate, approve=True, actor="dan")
    assert (GateVote.objects.get().actor, GateVote.objects.get().acting_for) == ("dan", "ann")
    with pytest.raises(PermissionDenied):  # her seat is taken
        decide(gate, approve=True, actor="ann")
    with pytest.raises(FailedPrecondition):
        decide(gate, approve=True, actor="dan")
    assert decide(gate, approve=True, actor="cat").decided_at is not None
    again = asked()
    revoke(held, actor="ann")
    with pytest.raises(PermissionDenied):
        decide(again, approve=True, actor="dan")


def test_delegations_that_go_round_are_refused() -> None:
    until = timezone.now() + HOUR
    told: dict[str, Any] = {"project": "demo", "starts_at": None, "ends_at": until, "reason": "", "actor": "root"}
    delegate(giver="ann", to="bob", **told)
    delegate(giver="bob", to="cat", **told | {"project": ""})
    with pytest.raises(InvalidArgument, match="cat -> ann -> bob -> cat"):
        delegate(giver="cat", to="ann", **told)
    with pytest.raises(InvalidArgument, match="no active user 'zoe'"):
        delegate(giver="cat", to="zoe", **told)


def test_a_vote_about_a_deck_that_changed_counts_for_nothing() -> None:
    gate = asked()
    uri = with_deck(gate, "<p>0.93</p>")
    decide(gate, approve=True, actor="ann")
    store().put(uri, b"<p>0.99</p>")
    assert decide(gate, approve=True, actor="bob").decided_at is None  # ann's is void
    assert GateVote.objects.get(actor="ann").voided_at is not None
    settle()
    bell, told = Notification.objects.filter(happening__kind="gate.voided").order_by("pk")
    assert (bell.channel, told.channel, told.recipient) == (Channel.CONSOLE, Channel.EMAIL, "ann")
    assert subject_of(told) == (
        f"what ann said about {gate.execution.key}/{gate.signal_id} does not count any more: what was reviewed changed"
    )
    assert f"/executions/{gate.execution.key}/" in text_of(told)
    assert decide(gate, approve=True, actor="ann").decided_at is not None


def test_an_approval_of_a_deck_that_changed_before_it_was_taken_is_asked_for_again() -> None:
    gate = asked(rule=None)
    uri = with_deck(gate, "<p>0.93</p>")
    decide(gate, approve=True, actor="ann")
    store().put(uri, b"<p>0.99</p>")
    assert run(gate.execution).phase == ExecutionPhase.RUNNING
    gate.refresh_from_db()
    assert gate.decided_at is None and gate.voided_at is not None
    assert Decision.objects.get().void_reason == "deck of n0 changed since"
    decide(gate, approve=True, actor="ann")
    assert outputs(run(gate.execution)) == {"o0": 12}
    gate.refresh_from_db()
    assert gate.voided_at is None


def test_the_sweep_finds_an_approval_whose_deck_changed_long_after() -> None:
    gate = asked(rule=None)
    uri = with_deck(gate, "<p>0.93</p>")
    decide(gate, approve=True, actor="ann")
    assert run(gate.execution).phase == ExecutionPhase.SUCCEEDED
    with later(HOUR):
        assert look_again() == 0
    store().delete(uri)
    with later(2 * HOUR):
        assert (look_again(), look_again()) == (1, 0)
    gate.refresh_from_db()
    assert gate.voided_at is not None and gate.approved
    assert AuditEvent.objects.get(verb="gate.void").detail["reason"] == "deck of n0 changed since"


def test_who_looked_at_something_else_is_told_so() -> None:
    with pytest.raises(FailedPrecondition, match="what you reviewed is not what is there now"):
        decide(asked(), approve=True, actor="ann", seen="0" * 64)


def test_under_a_rule_nothing_is_decided_ahead() -> None:
    set_rule(BOARD, project="demo", signal_id="release", actor="root")
    execution = start(workflow_of(approved), {"a": 3})
    yes = Gate(execution=execution, signal_id="release")
    with pytest.raises(FailedPrecondition, match="not reached yet"):
        set_signal(execution, "release", _literal(True), actor="ann")
    assert not Gate.objects.filter(signal_id=yes.signal_id).exists()
    # what was said of a signal that nobody knew to be an approval does not count either
    gate = get_or_create_signal(execution, "release", BOOLEAN)
    Gate.objects.filter(pk=gate.pk).update(value=_literal(True).SerializeToString(), decided_at=timezone.now())
    assert run(execution).phase == ExecutionPhase.RUNNING
    gate.refresh_from_db()
    assert gate.decided_at is None


@pytest.mark.parametrize(("approve", "said", "then"), [(True, "good", "went on"), (False, "too slow", "refused")])
def test_a_workflow_branches_on_a_decision_and_knows_the_reason(approve: bool, said: str, then: str) -> None:
    gate = asked(deciding, Rule(people=frozenset({"ann"})))
    decide(gate, approve=approve, actor="ann", comment=said)
    execution = run(gate.execution)
    assert execution.phase == ExecutionPhase.SUCCEEDED, error_of(execution)
    assert outputs(execution) == {"o0": f"{then}: {said}"}
    reached = NodeExecution.objects.filter(execution=execution, spec_node_id__contains="").values_list(
        "node_id", flat=True
    )
    assert any("n3" in name for name in reached)


def test_a_gate_in_a_branch_has_its_rule_too() -> None:
    gate = asked(in_a_branch)
    decide(gate, approve=True, actor="ann")
    assert decide(gate, approve=True, actor="bob").decided_at is not None
    assert outputs(run(gate.execution)) == {"o0": 12}


def test_every_item_of_a_map_is_decided_by_the_rule_of_its_own_workflow() -> None:
    register_all(approved_plan)
    set_rule(BOARD, project="demo", workflow=f"{__name__}.approved", actor="root")
    execution = start(workflow_of(each, plans=[approved_plan]), {"a": [1, 2]})
    run_all(Driver({"double": lambda a: 2 * a}))
    gates = list(Gate.objects.filter(execution__parent_node__execution=execution).order_by("pk"))
    assert len(gates) == 2
    for gate in gates:
        assert decide(gate, approve=True, actor="ann").decided_at is None
        assert decide(gate, approve=True, actor="bob").decided_at is not None
    run_all(Driver({"double": lambda a: 2 * a}))
    assert outputs(execution) == {"o0": [4, 8]}


def test_others_are_asked_before_the_time_is_up_once() -> None:
    rule = Rule(people=frozenset({"ann"}), escalate_before=HOUR / 2, escalate_to=frozenset({"dan"}))
    gate = asked(rule=rule)
    assert escalate_due() == 0
    with pytest.raises(PermissionDenied):
        decide(gate, approve=True, actor="dan")
    with later(HOUR * 0.6):
        assert (escalate_due(), escalate_due()) == (1, 0)
        told = Notification.objects.filter(happening__kind="gate.escalated").order_by("pk")
        assert [(row.channel, row.recipient) for row in told] == [("console", "dan"), ("email", "dan")]
        gate.refresh_from_db()
        assert decide(gate, approve=True, actor="dan").decided_at is not None


def test_a_role_is_asked_of_the_account_of_that_moment() -> None:
    RoleBinding.objects.create(user=User.objects.get(username="dan"), role=Role.APPROVER, project="demo")
    with pytest.raises(InvalidArgument, match="at most 1 is allowed"):
        set_rule(Rule(role="approver", quorum=2), project="demo", actor="root")
    gate = asked(rule=Rule(role="approver"))
    with pytest.raises(PermissionDenied):
        decide(gate, approve=True, actor="ann")
    assert decide(gate, approve=True, actor="dan").decided_at is not None


def test_a_group_is_not_made_too_small_for_its_rule() -> None:
    set_rule(BOARD, project="demo", actor="root")
    with pytest.raises(InvalidArgument, match="needs 2 people, 1 would be left"):
        set_group(project="demo", name="board", members=["ann"], actor="root")


def _literal(value: bool) -> literals_pb2.Literal:
    from artifacts.literals import from_json

    return from_json(value, BOOLEAN, name="release")

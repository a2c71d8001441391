"""Rules of approving that a launch plan declares in code: they only ask for more, and bad ones are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from causeway import approvals
from flytekit import LaunchPlan as FlyteLaunchPlan
from flytekit import approve, task, workflow

from artifacts.exceptions import InvalidArgument, PermissionDenied
from console.accounts.models import Role, RoleBinding, User
from scheduler.actions.approvers import set_rule
from scheduler.actions.gates import decide
from scheduler.approving.declared import declared
from scheduler.approving.rules import Rule
from scheduler.models import Execution, Gate, LaunchPlan
from tests.flyte import register_all
from tests.scheduler.driving import Driver, start

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]


@task
def double(a: int) -> int:
    return 2 * a


@workflow
def releasing(a: int) -> int:
    return double(a=approve(double(a=a), "go", timeout=timedelta(hours=1)))


@pytest.fixture(autouse=True)
def people() -> None:
    for name in ("ann", "bob", "cat"):
        User.objects.create(username=name)
    for name in ("ann", "bob"):
        RoleBinding.objects.create(user=User.objects.get(username=name), role=Role.APPROVER, project="demo")


def plan_of(name: str, **rule: Any) -> LaunchPlan:
    register_all(releasing)
    plan = FlyteLaunchPlan.get_or_create(releasing, name=name, annotations=approvals(go=rule))
    register_all(plan)
    return LaunchPlan.objects.get(name=name)


def asked(plan: LaunchPlan) -> Gate:
    execution = start(plan.workflow, {"a": 3})
    Execution.objects.filter(pk=execution.pk).update(launch_plan=plan)
    execution.refresh_from_db()
    Driver({"double": lambda a: 2 * a}).run(execution)
    return Gate.objects.get(execution=execution)


def test_a_launch_plan_says_who_decides_and_how_many() -> None:
    gate = asked(plan_of("go-two", people=["ann", "bob", "cat"], quorum=2))
    with pytest.raises(PermissionDenied):
        decide(gate, approve=True, actor="cat")  # named, but no approver
    assert decide(gate, approve=True, actor="ann").decided_at is None
    assert decide(gate, approve=True, actor="bob").decided_at is not None


def test_an_admins_rule_counts_instead() -> None:
    gate = asked(plan_of("go-ruled", people=["ann", "bob"], quorum=2))
    set_rule(Rule(people=frozenset({"cat"})), project="demo", signal_id="go", actor="root")
    assert decide(gate, approve=True, actor="cat").decided_at is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("two", "JSON object"),
        ('{"folks": ["ann"]}', "'folks' is unknown; known are: people, groups, role, quorum, rejections"),
        ('{"people": "ann"}', "people cannot be 'ann'"),
        ('{"people": ["ann"], "quorum": true}', "quorum cannot be True"),
        ('{"people": ["ann"], "quorum": 0}', "quorum cannot be 0"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        declared({"causeway.approval/go": text, "other": "x"})


def test_a_rule_that_nobody_could_fulfil_is_not_registered() -> None:
    with pytest.raises(InvalidArgument, match="quorum: 3 is more than may decide, who are 1"):
        plan_of("go-never", people=["ann"], quorum=3)
    assert not LaunchPlan.objects.filter(name="go-never").exists()

"""Promotion, why, holds, erasing and service levels from a shell."""

from __future__ import annotations

import json

import pytest

from artifacts.models import Hold, Kind
from console.accounts.models import Role, RoleBinding, User
from scheduler.models import ApprovalRule, Promotion, ServiceLevel
from tests.console.pages.cast import make_version
from tests.console.rest.rows import START, make_execution
from tests.sdk.conftest import Command


@pytest.fixture
def weights(causeway: Command) -> str:
    version = make_version("weights", Kind.MODEL, execution_key="demo/development/e1")
    return f"weights@{version.version}"


@pytest.fixture
def admin(causeway: Command) -> User:
    RoleBinding.objects.update(role=Role.ADMIN)
    return User.objects.get(username="abe")


def test_a_version_is_promoted_and_why_says_so(causeway: Command, weights: str) -> None:
    causeway("artifact", "promote", "weights", "--to", "production", exit_code=2)
    said = causeway("artifact", "promote", weights, "--to", "production", "--then-alias", "champion")
    assert "demo/production/weights: promoted" in said
    assert "champion" in causeway("promotion", "list")
    told = causeway("artifact", "why", weights)
    assert "abe: demo/development/weights@e0.n0.0.o0 was promoted to demo/production/weights" in told
    assert "[promotion " in told
    make_execution("e1")
    assert "was launched" in causeway("why", "e1") and json.loads(causeway("why", "e1", "--json"))["steps"]


def test_a_promotion_waits_and_is_decided(causeway: Command, weights: str) -> None:
    User.objects.create(username="vic")
    ApprovalRule.objects.create(
        project="demo", signal_id="promote", people=["abe"], author_may=True, set_by="x", set_at=START
    )
    assert "it waits for 1 to approve" in causeway("artifact", "promote", weights, "--to", "production")
    number = Promotion.objects.get().pk
    assert str(number) in causeway("promotion", "list", "--waiting")
    assert "rejected" in causeway("promotion", "reject", number, "--comment", "no")
    causeway("promotion", "approve", number, exit_code=1)
    causeway("artifact", "promote", weights, "--to", "production")
    assert "promoted" in causeway("promotion", "approve", Promotion.objects.latest("pk").pk)


def test_versions_are_held_released_and_erased(causeway: Command, weights: str, admin: User) -> None:
    causeway("hold", "add", weights, "--reason", "keep")
    causeway("artifact", "erase", weights, "--reason", "gdpr", exit_code=1)
    causeway("hold", "release", Hold.objects.get().pk)
    assert "every version" in causeway("hold", "add", "weights", "--whole", "--reason", "case 12")
    assert "case 12" in causeway("hold", "list")
    held = Hold.objects.latest("pk").pk
    causeway("hold", "release", held, exit_code=1)
    causeway("hold", "release", held, "--reason", "closed")
    assert json.loads(causeway("artifact", "erase", weights, "--dry-run"))["bytes_before"] == 2048
    done = json.loads(causeway("artifact", "erase", weights, "--reason", "gdpr"))
    assert (done["bytes_before"], done["bytes_after"], done["bytes_freed"]) == (2048, 0, 2048)


def test_service_levels_come_and_go(causeway: Command, weights: str, admin: User) -> None:
    causeway("service-level", "add", "new_by", "weights", "--time", "07:00", "--zone", "Europe/Berlin")
    causeway("service-level", "add", "fresh", "weights", "--seconds", "0.5", "-P", "region=SEA")
    causeway("service-level", "add", "fresh", "nothing", "--seconds", "5", exit_code=3)
    causeway("service-level", "add", "new_by", "weights", "--time", "7", exit_code=1)
    assert "a new version by 07:00 Europe/Berlin" in causeway("service-level", "list")
    level = ServiceLevel.objects.earliest("pk").pk
    causeway("service-level", "show", level)
    causeway("service-level", "remove", level)
    causeway("availability", exit_code=4)
    User.objects.filter(pk=admin.pk).update(is_superuser=True)
    assert "executions_failed" in json.loads(causeway("availability"))["counts"]

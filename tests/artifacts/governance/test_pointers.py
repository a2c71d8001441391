from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from artifacts.actions.aliases import drop_alias, move_alias
from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from artifacts.governance.checks import Report, report
from artifacts.governance.pointers import (
    Mover,
    PolicyBroken,
    approve_version,
    policy_of,
    set_alias_policy,
    shown_of,
)
from artifacts.governance.quarantine import quarantine, release
from artifacts.models import Alias, AliasMove, ArtifactVersion, Happening
from artifacts.queries import find, newest_of
from artifacts.wanted import Wanted
from audit.models import AuditEvent
from tests.artifacts.governance.making import ADMIN, APPROVER, auc_check, model, settle, the_artifact

pytestmark = pytest.mark.django_db
FORCE = Mover("root", roles=("approver", "admin"), force=True)


def champion() -> str:
    return Alias.objects.get(name="champion").version.version


def govern(**rules: object) -> None:
    set_alias_policy(the_artifact(), "champion", {"checks": ["good"], **rules}, actor="root")


@pytest.fixture
def versions() -> list[ArtifactVersion]:
    """Two that satisfy the check, one that does not."""
    model("v0", auc=0.1)
    auc_check()
    return [model("v1", auc=0.85), model("v2", auc=0.9), model("v3", auc=0.5)]


def test_a_move_that_breaks_the_policy_is_refused_with_the_numbers(versions: list[ArtifactVersion]) -> None:
    govern()
    move_alias(versions[0], "champion", actor="bob", mover=APPROVER)
    with pytest.raises(PolicyBroken) as refused:
        move_alias(versions[2], "champion", actor="bob", mover=APPROVER)
    assert refused.value.http_status == 409
    assert refused.value.message == ("'champion' cannot name v3: check good failed: auc is 0.5, at least 0.8 is asked")
    assert refused.value.detail[0]["numbers"] == {"value": 0.5, "at_least": 0.8}  # type: ignore[index]
    assert champion() == "v1"
    assert AliasMove.objects.count() == 1


def test_a_move_keeps_what_it_stood_on(versions: list[ArtifactVersion]) -> None:
    govern()
    move_alias(versions[0], "champion", actor="bob", mover=APPROVER)
    report(versions[0], Report("good", value=0.1), actor="monitor")
    move = AliasMove.objects.get()
    assert move.evidence["clauses"][0]["numbers"] == {"value": 0.85, "at_least": 0.8}
    assert move.evidence["policy"]["checks"] == ["good"]
    assert move.happening == Happening.objects.get(kind="alias.moved")
    assert not move.forced


def test_whoever_says_no_role_moves_no_governed_alias(versions: list[ArtifactVersion]) -> None:
    govern()
    with pytest.raises(PolicyBroken, match="it takes the role approver to move it by hand"):
        move_alias(versions[0], "champion", actor="bob")
    move_alias(versions[0], "other", actor="bob")


def test_by_force_with_a_role_and_a_reason(versions: list[ArtifactVersion]) -> None:
    govern()
    bad = versions[2]
    with pytest.raises(PermissionDenied, match="needs the role admin"):
        move_alias(bad, "champion", actor="bob", reason="now", mover=Mover("bob", ("approver",), force=True))
    with pytest.raises(InvalidArgument, match="say why"):
        move_alias(bad, "champion", actor="root", reason=" ", mover=FORCE)
    assert not Alias.objects.exists()
    move_alias(bad, "champion", actor="root", reason="the customer waits", mover=FORCE)
    move = AliasMove.objects.get()
    assert (move.forced, move.reason) == (True, "the customer waits")
    assert AuditEvent.objects.get(verb="alias.move").detail["forced"] == "against its policy"
    assert Happening.objects.get(kind="alias.moved").detail["forced"] is True


def test_force_that_is_not_needed_marks_nothing(versions: list[ArtifactVersion]) -> None:
    govern()
    move_alias(versions[0], "champion", actor="root", mover=FORCE)
    assert not AliasMove.objects.get().forced


def test_a_governed_alias_is_taken_away_by_the_role(versions: list[ArtifactVersion]) -> None:
    govern(role="admin")
    move_alias(versions[0], "champion", actor="root", mover=ADMIN)
    with pytest.raises(PolicyBroken, match="'champion' cannot be taken away: it takes the role admin"):
        drop_alias(the_artifact(), "champion", actor="bob", mover=APPROVER)
    drop_alias(the_artifact(), "champion", actor="root", mover=ADMIN)


def test_approvals_count_once_and_not_from_the_author(versions: list[ArtifactVersion]) -> None:
    govern(approvals=2)
    version = versions[0]  # ada's

    def approve(actor: str, *, yes: bool = True, may: bool = True) -> None:
        approve_version(version, "champion", approve=yes, comment="", actor=actor, may_decide=may)

    with pytest.raises(PermissionDenied, match="ada published"):
        approve("ada")
    with pytest.raises(PermissionDenied, match="somebody with the role approver"):
        approve("mallory", may=False)
    approve("bob")
    approve("bob")
    with pytest.raises(PolicyBroken, match="approved by bob, 2 asked"):
        move_alias(version, "champion", actor="bob", mover=APPROVER)
    approve("eve")
    approve("bob", yes=False)
    with pytest.raises(PolicyBroken, match="approved by eve, 2 asked"):
        move_alias(version, "champion", actor="bob", mover=APPROVER)
    approve("bob")
    move_alias(version, "champion", actor="bob", mover=APPROVER)


def test_nobody_approves_what_no_policy_asks_about(versions: list[ArtifactVersion]) -> None:
    govern()
    with pytest.raises(FailedPrecondition, match="no policy of 'champion' asks for approvals"):
        approve_version(versions[0], "champion", approve=True, comment="", actor="bob", may_decide=True)


def say_yes(version: ArtifactVersion, actor: str, seen: str = "") -> Happening:
    return approve_version(version, "champion", approve=True, comment="", actor=actor, may_decide=True, seen=seen)


def test_an_approval_is_about_what_was_shown(versions: list[ArtifactVersion]) -> None:
    govern(approvals=1)
    version, policy = versions[0], policy_of(the_artifact().pk, "champion")
    assert policy is not None
    shown = shown_of(policy, version, "champion")
    report(version, Report("good", value=0.82), actor="monitor")
    with pytest.raises(FailedPrecondition, match="what its checks say changed since you looked"):
        say_yes(version, "bob", shown.digest)
    assert not Happening.objects.filter(kind="version.approved").exists()
    again = shown_of(policy, version, "champion")
    say_yes(version, "eve")  # what others say changes nothing
    row = say_yes(version, "bob", again.digest)
    assert row.detail["shown"] == again.digest != shown.digest
    assert row.detail["clauses"][0]["numbers"] == {"value": 0.82, "at_least": 0.8}


def test_what_quiet_hours_forbid_is_done_when_they_end() -> None:
    model("v1", auc=0.85)
    auc_check()
    now = timezone.now()
    begin, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 1))
    govern(automatic=True, quiet=[{"begin": begin, "end": end}])
    model("v2", auc=0.9)
    settle()
    assert not Alias.objects.exists()
    row = Happening.objects.get(kind="check.passed", version__version="v2")
    assert row.undone == ["earn"] and row.retry_at is not None
    assert row.retry_at.strftime("%H:%M") == end
    Happening.objects.filter(pk=row.pk).update(retry_at=now)
    govern(automatic=True)  # as it is when they have ended
    settle()
    assert champion() == "v2"
    assert AliasMove.objects.get(happening__cause=row.pk)
    settle()
    assert AliasMove.objects.count() == 1


def test_a_policy_that_was_taken_away_moves_nothing(versions: list[ArtifactVersion]) -> None:
    with pytest.raises(PolicyBroken, match="has no policy by which it could move"):
        move_alias(versions[0], "champion", actor="system:policy", mover=Mover("system:policy", by_hand=False))


def test_an_automatic_alias_goes_to_what_earned_it() -> None:
    model("v1", auc=0.85)
    auc_check()
    govern(automatic=True)
    settle()
    for version, auc in (("v2", 0.9), ("v3", 0.5), ("v4", 0.95)):
        model(version, auc=auc)
        settle()
    moves = AliasMove.objects.order_by("pk").values_list("to_version__version", "actor")
    assert list(moves) == [("v1", "system:policy"), ("v2", "system:policy"), ("v4", "system:policy")]
    causes = AliasMove.objects.values_list("happening__cause__kind", flat=True).distinct()
    assert list(causes) == ["check.passed"]


def test_it_falls_back_to_the_newest_that_is_good_once() -> None:
    first = model("v1", auc=0.85)
    auc_check()
    govern(automatic=True, fall_back=True)
    settle()
    second, third = model("v2", auc=0.9), model("v3", auc=0.95)
    model("v4", auc=0.5)
    settle()
    assert champion() == "v3"
    for value in (0.4, 0.3):
        report(third, Report("good", value=value), actor="monitor")
    settle()
    settle()
    assert champion() == second.version
    back = Happening.objects.get(kind="alias.fallen_back")
    assert (back.version, back.cause.kind, back.detail["from"]) == (second, "check.failed", "v3")  # type: ignore[union-attr]
    assert "auc is 0.3" in back.detail["reason"]
    third.refresh_from_db()
    assert third.quarantined_at is not None
    assert newest_of(the_artifact()).version == "v4"  # type: ignore[union-attr]
    assert not AliasMove.objects.filter(forced=True).exists()
    report(second, Report("good", value=0.1), actor="monitor")
    report(first, Report("good", value=0.1), actor="monitor")
    settle()
    assert champion() == second.version  # nothing is left that satisfies the policy
    assert Happening.objects.filter(kind="alias.stranded", name="champion").count() == 1


def test_a_check_that_the_policy_does_not_ask_for_moves_nothing() -> None:
    version = model("v1", auc=0.85)
    auc_check()
    govern(automatic=True, fall_back=True)
    model("v2", auc=0.9)
    settle()
    report(version, Report("good", value=0.1), actor="monitor")
    report(ArtifactVersion.objects.get(version="v2"), Report("other", passed=False), actor="monitor")
    settle()
    assert champion() == "v2"


def test_queries_pass_over_what_is_quarantined_unless_asked() -> None:
    first, second = model("v1", auc=0.85), model("v2", auc=0.9)
    wanted = Wanted("flytesnacks", "development", "model")
    assert quarantine(second, actor="bob", reason="wrong labels")
    assert not quarantine(second, actor="bob", reason="again")
    assert find(wanted).version == first
    assert find(Wanted("flytesnacks", "development", "model", quarantined=True)).version == second
    assert find(Wanted("flytesnacks", "development", "model", version="v2")).version == second
    with pytest.raises(InvalidArgument, match="say why"):
        quarantine(first, actor="bob", reason="")
    release(second, actor="bob", reason="they are right")
    assert find(wanted).version == second
    with pytest.raises(FailedPrecondition):
        release(second, actor="bob", reason="again")
    kinds = Happening.objects.filter(kind__in=["version.quarantined", "version.released"])
    assert [row.detail["reason"] for row in kinds.order_by("pk")] == ["wrong labels", "they are right"]


def test_a_policy_is_taken_away_once(versions: list[ArtifactVersion]) -> None:
    from artifacts.governance.pointers import drop_alias_policy

    govern()
    drop_alias_policy(the_artifact(), "champion", actor="root")
    with pytest.raises(NotFound):
        drop_alias_policy(the_artifact(), "champion", actor="root")
    move_alias(versions[2], "champion", actor="bob")

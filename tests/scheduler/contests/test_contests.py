"""Contests: set, refused, kept in step, and what their boards show."""

from __future__ import annotations

from typing import Any

import pytest
from causeway import OnArtifact
from django.db import connection
from django.test.utils import CaptureQueriesContext

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import FailedPrecondition, InvalidArgument, NotFound
from artifacts.governance.checks import Wish as CheckWish
from artifacts.governance.checks import set_check
from artifacts.governance.pointers import approve_version, set_alias_policy
from artifacts.models import Alias, AliasMove, Artifact, ArtifactVersion
from audit.models import AuditEvent
from scheduler.actions.contests import catch_up, remove_contest, set_contest
from scheduler.actions.launch_plans import set_state
from scheduler.contests.board import Board, board_of
from scheduler.contests.members import states
from scheduler.contests.rules import Standing
from scheduler.models import Contest, Execution, LaunchPlan, Trigger
from scheduler.phases import ExecutionPhase
from scheduler.triggers.evaluate import evaluate_version
from tests.artifacts.governance.making import ADMIN, later, settle
from tests.artifacts.publishing import integer, publish_output
from tests.scheduler.contests.program import (
    MODEL,
    ON_RIDES,
    OTHER,
    PLACE,
    RIDES,
    infer,
    plan,
    rides,
    run_of,
    train_newest,
    train_text,
    train_without,
    trained,
    wish,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _store(object_store: str) -> None:
    """Launches write their inputs."""


@pytest.fixture
def contest() -> Contest:
    """Three members: one with a trigger of its own, one without, one whose default asks for the dataset."""
    plan("linear", trigger=ON_RIDES)
    plan("forest")
    plan("deep", train_newest)
    return set_contest(*PLACE, wish("linear", "forest", "deep"), actor="ada")


def board(contest: Contest) -> Board:
    return board_of(contest, may_read=lambda project, domain: True)


def shown(contest: Contest) -> list[dict[str, str]]:
    return [{entry.member: entry.standing.value for entry in one.entries} for one in board(contest).rounds]


def launched() -> list[tuple[str, str]]:
    rows = Execution.objects.order_by("pk").values_list("launch_plan__name", "firings__version__version")
    return sorted((name, version.split(".")[0]) for name, version in rows)


def govern(**rules: Any) -> None:
    artifact = Artifact.objects.get(name="demand")
    set_check(artifact, CheckWish("good", "metric", {"metric": "auc", "at_least": 0.6}), actor="root")
    set_alias_policy(artifact, "champion", {"checks": ["good"], "automatic": True, **rules}, actor="root")


def champion() -> ArtifactVersion:
    settle()
    return Alias.objects.get(name="champion").version


def test_a_new_version_trains_every_member_once(contest: Contest) -> None:
    first = rides(1)
    evaluate_version(first.pk)
    rides(2)
    members = ("deep", "forest", "linear")
    assert launched() == sorted((name, f"rides{number}") for name in members for number in (1, 2))
    assert states(contest) == dict.fromkeys(contest.members, "")
    assert Trigger.objects.filter(contest=contest).count() == 2
    record = AuditEvent.objects.get(verb="contest.set")
    assert record.detail["members"] == ["linear", "forest", "deep"]


def test_a_version_of_a_member_that_is_activated_later_is_kept_in_step(contest: Contest) -> None:
    rides(1)
    plan("forest", version="v2")
    rides(2)
    forest = Execution.objects.filter(launch_plan__name="forest").order_by("pk")
    assert list(forest.values_list("launch_plan__version", flat=True)) == ["v1", "v2"]
    set_state(LaunchPlan.objects.get(name="forest", version="v2"), LaunchPlan.State.INACTIVE, actor="ada")
    assert states(contest)["forest"] == "no version of it is active"
    third = rides(3)
    assert shown(contest)[0] == {"linear": "running", "forest": "missing", "deep": "running"}
    set_state(LaunchPlan.objects.get(name="forest", version="v1"), LaunchPlan.State.ACTIVE, actor="ada")
    assert catch_up(contest, third, actor="ada") == ["forest"]
    assert catch_up(contest, third, actor="ada") == []
    assert run_of("forest", third).launch_plan.version == "v1"  # type: ignore[union-attr]


def test_who_leaves_trains_no_more_and_may_come_back(contest: Contest) -> None:
    set_contest(*PLACE, wish("linear", "deep"), actor="ada")
    rides(1)
    assert launched() == [("deep", "rides1"), ("linear", "rides1")]
    set_state(LaunchPlan.objects.get(name="forest"), LaunchPlan.State.INACTIVE, actor="ada")
    set_state(LaunchPlan.objects.get(name="forest"), LaunchPlan.State.ACTIVE, actor="ada")
    rides(2)
    assert ("forest", "rides2") not in launched()
    set_contest(*PLACE, wish("linear", "forest"), actor="ada")
    rides(3)
    assert ("forest", "rides3") in launched() and ("deep", "rides3") not in launched()
    contest.refresh_from_db()
    remove_contest(contest, actor="ada")
    rides(4)
    assert [name for name, version in launched() if version == "rides4"] == ["linear"]  # its own trigger stays
    with pytest.raises(NotFound, match="removed before"):
        remove_contest(contest, actor="ada")
    again = set_contest(*PLACE, wish("linear", "forest"), actor="ada")
    rides(5)
    assert again.pk != contest.pk and ("forest", "rides5") in launched()


def test_a_trigger_that_two_contests_use_stays_with_the_other(contest: Contest) -> None:
    other = set_contest(*PLACE[:3], "shadow", wish("linear", "forest"), actor="ada")
    remove_contest(contest, actor="ada")
    rides(1)
    assert launched() == [("forest", "rides1"), ("linear", "rides1")]
    assert states(other) == {"linear": "", "forest": ""}


REFUSED: list[tuple[list[str], dict[str, Any], type[Exception], str]] = [
    (["linear"], {}, InvalidArgument, "2 to 20 launch plans, not 1"),
    (["linear", "linear"], {}, InvalidArgument, "linear twice"),
    (["linear", "nobody"], {}, NotFound, "there is no launch plan nobody in flytesnacks/development"),
    (["linear", "asleep"], {}, FailedPrecondition, "no version of asleep is active"),
    (["linear", "blind"], {}, InvalidArgument, "blind does not take flytesnacks/development/rides: no input"),
    (["linear", "elsewhere"], {}, InvalidArgument, "its trigger watches flytesnacks/development/other"),
    (["linear", "lazy"], {}, InvalidArgument, "for the newest version alone"),
    (["linear", "choosy"], {}, InvalidArgument, "leaves versions out where a limit is reached"),
    (["linear", "words"], {}, InvalidArgument, "input 'rides' takes str, but rides holds int"),
    (["linear", "infer"], {}, InvalidArgument, "give the inputs model, rides"),
    (["linear", "forest"], {"metric": ""}, InvalidArgument, "metric: by which"),
    (["linear", "forest"], {"metric": "width"}, InvalidArgument, "which its name, 'width', does not tell"),
    (["linear", "forest"], {"better": "wide"}, InvalidArgument, "more or less, not 'wide'"),
    (["linear", "forest"], {"shadow_plan": "none"}, NotFound, "there is no launch plan"),
    (["linear", "forest"], {"shadow_plan": "infer"}, InvalidArgument, "which input of infer takes the model"),
    (["linear", "forest"], {"shadow_input": "model"}, InvalidArgument, "of a shadow_plan, which is not given"),
    (["linear", "forest"], {"shadow_plan": "forest", "shadow_input": "rides"}, InvalidArgument, "forest trains"),
]


def test_what_cannot_be_kept_in_step_is_refused_without_a_trace() -> None:
    publish_output(RIDES, 1, execution="first")
    plan("linear", trigger=ON_RIDES)
    plan("forest")
    plan("asleep", active=False)
    plan("blind", train_without)
    plan("words", train_text)
    plan("infer", infer)
    plan("elsewhere", trigger=OnArtifact(OTHER))
    plan("lazy", trigger=OnArtifact(RIDES, newest_only=True))
    plan("choosy", trigger=OnArtifact(RIDES, max_concurrent=1, on_limit="skip"))
    before = Trigger.objects.count()
    for members, over, error, said in REFUSED:
        with pytest.raises(error, match=said):
            set_contest(*PLACE, wish(*members, **over), actor="ada")
    assert not Contest.objects.exists() and Trigger.objects.count() == before


def test_the_board_shows_what_came_of_each_version_at_each_member(contest: Contest) -> None:
    first, second = rides(1), rides(2)
    trained("linear", first, 0.7)
    trained("forest", first, 0.9)
    trained("deep", first)
    trained("linear", second, 0.8)
    Execution.objects.filter(pk=run_of("forest", second).pk).update(phase=ExecutionPhase.FAILED)
    Execution.objects.filter(pk=run_of("deep", second).pk).update(phase=ExecutionPhase.SUCCEEDED)
    assert shown(contest) == [
        {"linear": "scored", "forest": "failed", "deep": "nothing"},
        {"linear": "scored", "forest": "scored", "deep": "unmeasured"},
    ]
    newest, oldest = board(contest).rounds
    assert newest.is_complete and newest.winner is not None and newest.winner.member == "linear"
    assert oldest.winner is not None and oldest.winner.member == "forest"
    assert [entry.model.value for entry in oldest.entries if entry.model] == [0.7, 0.9, None]
    assert board_of(contest, may_read=lambda project, domain: project != "flytesnacks").rounds == []
    older = board_of(contest, may_read=lambda project, domain: True, before=second.pk).rounds
    assert [one.version.pk for one in older] == [first.pk]


def test_the_board_takes_as_many_queries_for_many_versions_as_for_one(contest: Contest) -> None:
    counts = []
    for number in (1, 2, 3, 4):
        version = rides(number)
        for member in contest.members:
            trained(member, version, 0.7)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            board(contest)
        counts.append(len(captured))
    assert set(counts) == {9}, counts


def test_the_winner_becomes_champion_by_itself_in_whatever_order_they_end(contest: Contest) -> None:
    first = rides(1)
    best = trained("forest", first, 0.9)
    govern()
    assert champion() == best
    trained("linear", first, 0.8, minute=5)  # newer, passes the check, and is worse
    assert champion() == best
    better = trained("deep", first, 0.95, minute=6)
    assert champion() == better
    second = rides(20)
    retrained = trained("linear", second, 0.7)
    assert champion() == retrained  # of newer data, though its number is lower
    trained("forest", second, 0.5)  # the policy does not allow it
    assert champion() == retrained
    late = publish_output(MODEL, 1, execution=run_of("deep", second).name).versions[0][1]
    assert champion() == retrained and late.metrics == {}
    [one, _] = board(contest).rounds
    assert one.winner is not None and one.winner.model is not None
    assert one.winner.model.version_id == retrained.pk
    assert board(contest).champion == retrained
    assert [entry.model.failing for entry in one.entries if entry.member == "forest" and entry.model] == [
        ("check good failed: auc is 0.5, at least 0.6 is asked",)
    ]


def test_two_that_were_judged_before_either_was_champion_leave_the_better_one(contest: Contest) -> None:
    """Both passed their checks against yesterday's champion: the second to be looked at is newer, but not better."""
    first = rides(1)
    trained("linear", first, 0.7)
    govern()
    settle()
    second = rides(20)
    best = trained("forest", second, 0.9)
    trained("deep", second, 0.8, minute=1)
    assert champion() == best
    moves = list(AliasMove.objects.order_by("pk").values_list("to_version", flat=True))
    assert moves[-1] == best.pk and len(moves) == 2


def test_after_approval_it_leads_or_it_does_not(contest: Contest) -> None:
    first = rides(1)
    worse, best = trained("linear", first, 0.7), trained("forest", first, 0.9, minute=1)
    govern(approvals=1)
    settle()
    assert not Alias.objects.exists()
    round_ = board(contest).rounds[0]
    assert round_.winner is None
    assert [entry.model.failing for entry in round_.entries if entry.model] == [
        ("approved by nobody, 1 asked",),
        ("approved by nobody, 1 asked",),
    ]
    for version, expected in ((worse, worse), (best, best), (worse, best)):
        approve_version(version, "champion", approve=True, comment="", actor="bob", may_decide=True)
        assert champion() == expected


def test_what_a_person_made_champion_stays_until_newer_data(contest: Contest) -> None:
    first = rides(1)
    chosen, best = trained("linear", first, 0.7), trained("forest", first, 0.9)
    govern()
    settle()
    move_alias(chosen, "champion", actor="root", reason="it is smaller", mover=ADMIN)
    approve = set_check(best.artifact, CheckWish("again", "metric", {"metric": "auc", "at_least": 0.1}), actor="root")
    assert approve.name == "again" and champion() == chosen
    assert champion() != trained("deep", first, 0.99, minute=3)
    assert champion() == chosen
    second = trained("linear", rides(20), 0.65)
    assert champion() == second


def test_versions_of_others_are_taken_as_they_ever_were(contest: Contest) -> None:
    first = rides(1)
    trained("forest", first, 0.9)
    govern()
    settle()
    stranger = publish_output(MODEL, integer(1, {"_um": '{"auc": 0.7}'}), execution="notebook", at=later(30)).versions[
        0
    ][1]
    assert champion() == stranger
    assert all(entry.standing in (Standing.SCORED, Standing.RUNNING) for entry in board(contest).rounds[0].entries)

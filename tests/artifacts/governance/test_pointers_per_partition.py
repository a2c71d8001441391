"""An alias that its policy keeps per region: a pointer for each, and none that moves another."""

from __future__ import annotations

from typing import Any

import pytest

from artifacts.actions.aliases import NOWHERE, AliasMoved, drop_alias, move_alias
from artifacts.exceptions import CausewayError, FailedPrecondition, InvalidArgument, NotFound, QueryUnresolved
from artifacts.governance.checks import Report, Wish, report, set_check
from artifacts.governance.pointers import PolicyBroken, drop_alias_policy, set_alias_policy
from artifacts.models import Alias, AliasMove, ArtifactVersion, CheckResult, Happening
from artifacts.queries import find, version_called
from artifacts.search.filters import condition_q
from artifacts.search.language import parse
from artifacts.wanted import Wanted
from tests.artifacts.governance.making import APPROVER, auc_check, model, settle, the_artifact

pytestmark = pytest.mark.django_db


def govern(**rules: object) -> None:
    set_alias_policy(the_artifact(), "champion", {"checks": ["good"], "per": ["region"], **rules}, actor="root")


def champions() -> dict[str, str]:
    return {alias.called: alias.version.version for alias in Alias.objects.select_related("version")}


def wanted(region: str = "", **over: Any) -> Wanted:
    partitions = {"region": region} if region else {}
    return Wanted("flytesnacks", "development", "model", alias="champion", partitions=partitions, **over)


@pytest.fixture
def versions() -> dict[str, ArtifactVersion]:
    """Two of each region that satisfy the check."""
    model("v0", auc=0.1, region="SEA")
    auc_check()
    return {f"{region}{n}": model(f"{region}{n}", auc=0.9, region=region) for n in (1, 2) for region in ("SEA", "LAX")}


def test_a_move_takes_the_pointer_of_the_versions_region(versions: dict[str, ArtifactVersion]) -> None:
    govern()
    for name in ("SEA1", "LAX1", "SEA2"):
        move_alias(versions[name], "champion", actor="bob", mover=APPROVER)
    assert champions() == {"champion?region=SEA": "SEA2", "champion?region=LAX": "LAX1"}
    moves = AliasMove.objects.filter(partitions={"region": "SEA"}).order_by("pk")
    assert list(moves.values_list("from_version__version", "to_version__version")) == [(None, "SEA1"), ("SEA1", "SEA2")]
    happening = Happening.objects.filter(kind="alias.moved").latest("pk")
    assert happening.subject == "flytesnacks/development/model:champion?region=SEA"
    assert (happening.name, happening.detail["partitions"]) == ("champion", {"region": "SEA"})
    with pytest.raises(AliasMoved, match="'champion' names LAX1, not SEA2"):
        move_alias(versions["LAX2"], "champion", actor="bob", mover=APPROVER, expected="SEA2")
    with pytest.raises(AliasMoved, match="'champion' names LAX1"):
        move_alias(versions["LAX2"], "champion", actor="bob", mover=APPROVER, expected=NOWHERE)


def test_queries_ask_for_one_of_them(versions: dict[str, ArtifactVersion]) -> None:
    govern()
    for name in ("SEA1", "LAX1"):
        move_alias(versions[name], "champion", actor="bob", mover=APPROVER)
    assert find(wanted("SEA")).version == versions["SEA1"]
    assert find(wanted("LAX")).version == versions["LAX1"]
    for asked, said in (
        (wanted(), "'champion' of model is kept per region: ask for one, as in champion[?]region=SEA"),
        (wanted("NYC"), "'champion' of model names no version for region=NYC"),
    ):
        with pytest.raises(QueryUnresolved, match=said):
            find(asked)
    with pytest.raises(InvalidArgument, match="model has no partition zone"):
        find(Wanted("flytesnacks", "development", "model", alias="champion", partitions={"zone": "1"}))
    artifact = the_artifact()
    assert version_called(artifact, "champion?region=LAX") == versions["LAX1"]
    assert version_called(artifact, "champion?region=NYC") is None
    with pytest.raises(InvalidArgument, match="is kept per region"):
        version_called(artifact, "champion")
    [condition] = parse("alias:champion")
    assert set(ArtifactVersion.objects.filter(condition_q(condition))) == {versions["SEA1"], versions["LAX1"]}


def test_an_alias_for_all_is_asked_for_as_before(versions: dict[str, ArtifactVersion]) -> None:
    move_alias(versions["SEA1"], "champion", actor="bob")
    assert find(wanted()).version == find(wanted("SEA")).version == versions["SEA1"]
    with pytest.raises(QueryUnresolved, match="the version that 'champion' names of model does not have region=LAX"):
        find(wanted("LAX"))
    assert version_called(the_artifact(), "champion?region=LAX") is None
    with pytest.raises(NotFound, match="no alias 'champion' for region=LAX"):
        drop_alias(the_artifact(), "champion", actor="bob", partitions={"region": "LAX"})


def test_each_region_moves_and_falls_back_by_itself() -> None:
    model("s0", auc=0.9, region="SEA")
    auc_check()
    govern(automatic=True, fall_back=True)
    for name, region in (("l0", "LAX"), ("s1", "SEA"), ("l1", "LAX"), ("s2", "SEA")):
        model(name, auc=0.9, region=region)
    settle()
    assert champions() == {"champion?region=SEA": "s2", "champion?region=LAX": "l1"}
    report(ArtifactVersion.objects.get(version="l1"), Report("good", value=0.1), actor="monitor")
    settle()
    assert champions() == {"champion?region=SEA": "s2", "champion?region=LAX": "l0"}
    report(ArtifactVersion.objects.get(version="l0"), Report("good", value=0.1), actor="monitor")
    settle()
    assert champions() == {"champion?region=SEA": "s2", "champion?region=LAX": "l0"}  # none of SEA takes its place
    assert Happening.objects.get(kind="alias.stranded").subject.endswith("model:champion?region=LAX")


def test_a_comparison_is_with_the_champion_of_the_region(versions: dict[str, ArtifactVersion]) -> None:
    govern()
    for name in ("SEA1", "LAX1"):
        move_alias(versions[name], "champion", actor="bob", mover=APPROVER)
    ArtifactVersion.objects.filter(pk=versions["SEA1"].pk).update(metrics={"auc": 0.99})
    set_check(the_artifact(), Wish("level", "comparison", {"metric": "auc", "against": "champion"}), actor="root")
    for region in ("LAX", "SEA"):
        model(f"next-{region}", auc=0.95, region=region)
    said = dict(CheckResult.objects.filter(name="level").values_list("version__version", "status"))
    assert (said["next-LAX"], said["next-SEA"]) == ("passed", "failed")


def test_one_is_taken_away_and_the_others_stay(versions: dict[str, ArtifactVersion]) -> None:
    govern()
    for name in ("SEA1", "LAX1"):
        move_alias(versions[name], "champion", actor="bob", mover=APPROVER)
    artifact = the_artifact()
    for partitions, error, said in (
        ({}, InvalidArgument, "'champion' of model is kept per region: say region"),
        ({"zone": "1"}, InvalidArgument, "no partition zone; its partition keys: region"),
        ({"region": "NYC"}, NotFound, "no alias 'champion' for region=NYC"),
    ):
        with pytest.raises(error, match=said):
            drop_alias(artifact, "champion", actor="bob", mover=APPROVER, partitions=partitions)
    with pytest.raises(PolicyBroken):
        drop_alias(artifact, "champion", actor="eve", partitions={"region": "SEA"})
    drop_alias(artifact, "champion", actor="bob", mover=APPROVER, partitions={"region": "SEA"})
    assert champions() == {"champion?region=LAX": "LAX1"}
    assert AliasMove.objects.latest("pk").partitions == {"region": "SEA"}


def test_what_an_alias_is_kept_by_changes_where_it_stays_clear(versions: dict[str, ArtifactVersion]) -> None:
    move_alias(versions["SEA1"], "champion", actor="bob")
    before = Happening.objects.count()
    govern()
    assert champions() == {"champion?region=SEA": "SEA1"}
    assert Happening.objects.count() == before  # nothing moved
    told = list(AliasMove.objects.order_by("pk").values_list("partitions", "to_version__version", "reason"))[1:]
    reason = "it is kept per region from now on"
    assert told == [({}, None, reason), ({"region": "SEA"}, "SEA1", reason)]
    move_alias(versions["LAX1"], "champion", actor="bob", mover=APPROVER)
    said = (
        r"'champion' names SEA1 \(region=SEA\) and LAX1 \(region=LAX\): kept for all partitions together it could name "
        "one of them only. Take the other away first"
    )
    with pytest.raises(FailedPrecondition, match=said):
        govern(per=[])
    with pytest.raises(FailedPrecondition, match=said):
        drop_alias_policy(the_artifact(), "champion", actor="root")
    assert champions() == {"champion?region=SEA": "SEA1", "champion?region=LAX": "LAX1"}
    drop_alias(the_artifact(), "champion", actor="bob", mover=APPROVER, partitions={"region": "SEA"})
    drop_alias_policy(the_artifact(), "champion", actor="root")
    assert champions() == {"champion": "LAX1"}


@pytest.mark.parametrize(
    ("per", "said"),
    [
        (["zone"], "the artifact has no partition zone; its partitions: region"),
        ("region", "'per' must be a list of texts, not 'region'"),
        (["region", "region"], "a list without repetitions"),
        ([3], "'per' must be a list of texts"),
    ],
)
def test_it_refuses_what_no_alias_can_be_kept_by(versions: dict[str, ArtifactVersion], per: object, said: str) -> None:
    with pytest.raises(CausewayError) as refused:
        govern(per=per)
    assert said in refused.value.message

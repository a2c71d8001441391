"""What stays because somebody says so, and what goes for good."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from artifacts.actions.holds import release, set_hold
from artifacts.actions.publish import Publication, publish
from artifacts.actions.retention import lock_for_removal, remove, set_policy
from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from artifacts.models import ArtifactVersion, Hold, Kind, Metric, Removal
from artifacts.store import store
from lineage.actions.record import record_derivations
from lineage.walks import ancestry
from scheduler.actions.erasure import erase, plan_erasure
from scheduler.actions.removal import plan_removal, remove_version
from scheduler.actions.retention import apply_retention
from scheduler.promoting.promote import promote
from tests.artifacts.publishing import INT, integer
from tests.console.pages.cast import make_version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
LEGAL, PIN = Hold.Kind.LEGAL, Hold.Kind.PIN
RUN = "demo/development/e1"


def made(name: str, number: int = 0) -> ArtifactVersion:
    """One whose bytes are ours to delete."""
    return make_version(name, Kind.DATASET, number=number, execution_key=RUN, card="secret", metrics={"auc": 0.5})


@pytest.mark.parametrize("kind", [LEGAL, PIN])
def test_what_is_held_stays_whoever_asks_until_it_is_released(kind: Hold.Kind) -> None:
    version = made("data")
    hold = set_hold(kind, artifact=version.artifact, version=version, reason="case 12", actor="ann")
    policy = set_policy(version.artifact, keep_for=timedelta(seconds=1), actor="ann")
    assert apply_retention(policy, actor="ann") == []
    assert "case 12" in plan_removal(version).blocked[0]
    for tries in (
        lambda: remove_version(version, tombstone_used=True, actor="ann", reason=""),
        lambda: erase(version, derived=True, reason="gdpr", actor="ann"),
        lambda: remove([version], actor="ann", reason=""),
    ):
        with pytest.raises(FailedPrecondition, match="case 12"):
            tries()
    with pytest.raises(AlreadyExists):
        set_hold(kind, artifact=version.artifact, version=version, reason="again", actor="bob")
    release(hold, reason="closed", actor="ann")
    with pytest.raises(NotFound):
        release(hold, reason="closed", actor="ann")
    assert len(apply_retention(policy, actor="ann")) == 1


def test_a_legal_hold_of_an_artifact_keeps_what_comes_too() -> None:
    first = made("data")
    hold = set_hold(LEGAL, artifact=first.artifact, reason="case 12", actor="ann")
    later = made("data", 1)
    for version in (first, later):
        with pytest.raises(FailedPrecondition, match="a legal hold of ann"):
            remove_version(version, tombstone_used=True, actor="ann", reason="")
    with pytest.raises(InvalidArgument, match="with a reason"):
        release(hold, actor="ann")
    with pytest.raises(InvalidArgument, match="a pin is of one version"):
        set_hold(PIN, artifact=first.artifact, reason="x", actor="ann")
    with pytest.raises(InvalidArgument, match="say why"):
        set_hold(PIN, artifact=first.artifact, version=first, reason=" ", actor="ann")
    remove([made("other")], actor="ann", reason="")
    with pytest.raises(FailedPrecondition, match="was removed"):
        gone = ArtifactVersion.objects.get(artifact__name="other")
        set_hold(PIN, artifact=gone.artifact, version=gone, reason="x", actor="ann")


def chain() -> tuple[ArtifactVersion, ArtifactVersion, ArtifactVersion]:
    data, model, report = made("data"), made("model", 1), made("report", 2)
    record_derivations([(data.pk, model.pk), (model.pk, report.pk)])
    return data, model, report


def test_an_erase_lists_all_that_was_made_of_it_and_leaves_tombstones() -> None:
    data, model, report = chain()
    plan = plan_erasure(data, derived=True)
    assert [(one.pk, steps) for one, steps in plan.derived] == [(model.pk, 1), (report.pk, 2)]
    assert (plan.bytes_before, plan.bytes_after) == (3 * 2048, 0)
    assert [one.pk for one in plan_erasure(data, derived=False).goes] == [data.pk]

    done = erase(data, derived=True, reason="gdpr 17", actor="ann")
    assert (done.bytes_before, done.bytes_after) == (3 * 2048, 0)
    assert [one["id"] for one in done.derived] == [model.pk, report.pk]
    assert list(store().list(f"{store().root}/raw")) == []
    for row in ArtifactVersion.objects.filter(pk__in=[data.pk, model.pk, report.pk]):
        assert row.removed_at is not None and (row.card, row.metrics, row.content_hash) == ("", {}, "")
        assert b"raw" not in bytes(row.literal)
    assert Removal.objects.filter(erasure=done).count() == 3 and not Metric.objects.exists()
    assert {node.pk for node, _ in ancestry(report.pk).relatives()} == {data.pk, model.pk}


def test_without_what_was_made_of_it_only_the_version_goes() -> None:
    data, model, _ = chain()
    done = erase(data, derived=False, reason="wrong file", actor="ann")
    assert done.erased == [data.pk] and len(done.derived) == 2
    model.refresh_from_db()
    assert model.removed_at is None and model.card == "secret"


def test_nothing_goes_where_something_keeps_a_part_of_it() -> None:
    data, model, report = chain()
    set_hold(LEGAL, artifact=report.artifact, version=report, reason="case 12", actor="ann")
    with pytest.raises(FailedPrecondition, match="nothing was erased") as refused:
        erase(data, derived=True, reason="gdpr", actor="ann")
    assert str(report) in str(refused.value.detail)
    assert not Removal.objects.exists() and store().exists(data.uri)
    with pytest.raises(InvalidArgument, match="say why"):
        erase(model, derived=False, reason="", actor="ann")


def test_bytes_that_a_promoted_version_shares_go_with_both_or_stay() -> None:
    data = made("data")
    promoted = promote(data, project="demo", domain="production", actor="ann").target
    assert promoted is not None
    plan = plan_erasure(data, derived=False)
    assert (plan.bytes_before, plan.bytes_after) == (2048, 2048)
    assert erase(data, derived=True, reason="gdpr", actor="ann").bytes_after == 0
    promoted.refresh_from_db()
    assert promoted.removed_at is not None and not store().exists(promoted.uri)


def test_inline_values_go_too() -> None:
    given = Publication("demo", "development", "number", integer(42), INT, metadata={"person": "x"})
    version = publish(given, actor="ann")
    erase(version, derived=False, reason="gdpr", actor="ann")
    version.refresh_from_db()
    assert version.metadata == {} and bytes(version.literal) != integer(42).SerializeToString()
    assert version.removed_at is not None and version.removed_at <= timezone.now()


def test_what_is_made_of_it_at_that_moment_is_not_said_to_be_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    data, late = made("data"), made("model", 1)

    def lock_a_moment_later(rows: QuerySet[ArtifactVersion]) -> QuerySet[ArtifactVersion]:
        record_derivations([(data.pk, late.pk)])
        return lock_for_removal(rows)

    monkeypatch.setattr("scheduler.actions.erasure.lock_for_removal", lock_a_moment_later)
    with pytest.raises(FailedPrecondition, match="at this moment; ask again"):
        erase(data, derived=True, reason="gdpr", actor="ann")
    assert not ArtifactVersion.objects.filter(removed_at__isnull=False).exists()

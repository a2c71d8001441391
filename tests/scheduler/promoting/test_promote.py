"""Promotions: the same bytes under an identity of their own, with lineage, cache, alias and approvals."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from django.utils import timezone
from flytekit import Artifact as FlyteArtifact
from flytekit import task, workflow

from artifacts.actions.aliases import move_alias
from artifacts.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied
from artifacts.governance.pointers import Mover, PolicyBroken, approve_version, set_alias_policy
from artifacts.literals import carried
from artifacts.models import Alias, ArtifactVersion, CheckResult, CheckStatus, Kind, Severity
from artifacts.store import store
from console.accounts.models import User
from lineage.walks import ancestry, impact
from scheduler.actions.approvers import set_rule
from scheduler.actions.removal import remove_version
from scheduler.approving import standing
from scheduler.approving.rules import Rule
from scheduler.models import Decision, Execution, NodeExecution, Promotion, TriggerFiring, Workflow
from scheduler.phases import ExecutionPhase
from scheduler.promoting.promote import promote, vote
from scheduler.shell import data
from scheduler.triggers.evaluate import evaluate_version
from tests.console.pages.cast import make_version
from tests.flyte import register_all
from tests.scheduler.driving import Driver, outputs, start

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("object_store")]
Model = FlyteArtifact(name="promoted-model")
TO: dict[str, Any] = {"project": "demo", "domain": "production"}


@task(cache=True, cache_version="1")
def train(a: int) -> Annotated[int, Model]:
    return a


@workflow
def training(a: int) -> int:
    return train(a=a)


def ran(domain: str, answers: list[int]) -> Execution:
    """The workflow in that domain; `answers` of its task, taken from the front."""
    row = Workflow.objects.get(domain=domain, name__endswith="test_promote.training")
    execution = start(row, {"a": 3})
    Execution.objects.filter(pk=execution.pk).update(domain=domain)
    execution.refresh_from_db()
    Driver({"train": lambda a: answers.pop(0)}).run(execution)
    assert execution.phase == ExecutionPhase.SUCCEEDED
    return execution


def approvals_of(version: ArtifactVersion) -> list[Decision]:
    """Those that stand; those that do not are voided on the way."""
    given = standing.whole().filter(version=version, approved=True, voided_at__isnull=True)
    return [decision for decision in given if standing.stands(decision)]


@pytest.fixture
def source(db: None) -> ArtifactVersion:
    for name in ("ann", "bob", "cat"):
        User.objects.create(username=name)
    for domain in ("development", "production"):
        register_all(training, domain=domain)
    ran("development", [7])
    return ArtifactVersion.objects.get(artifact__name="promoted-model")


def test_it_has_an_identity_of_its_own_and_the_same_bytes(source: ArtifactVersion) -> None:
    made = make_version("weights", Kind.MODEL)
    objects = len(list(store().list(store().root)))
    promotion = promote(made, **TO, alias="champion", reason="good", actor="ann")
    target = promotion.target
    assert target is not None and promotion.state == "promoted"
    assert target.artifact.key == ("demo", "production", "weights") and target.pk != made.pk
    same = ("version", "uri", "content_hash", "partitions", "producer", "execution_key", "metrics", "card")
    assert [getattr(target, name) for name in same] == [getattr(made, name) for name in same]
    assert target.same_data_as == made and target.created_by == "ann"
    assert len(list(store().list(store().root))) == objects
    assert Alias.objects.get(artifact=target.artifact, name="champion").version == target
    assert promote(made, **TO, actor="bob") == promotion and Promotion.objects.count() == 1


def test_lineage_crosses_the_domains(source: ArtifactVersion) -> None:
    target = promote(source, **TO, actor="ann").target
    further = promote(target, project="other", domain="staging", name="adopted", actor="ann").target  # type: ignore[arg-type]
    assert target is not None and further is not None
    assert {node.pk for node, _ in ancestry(further.pk).relatives()} == {target.pk, source.pk}
    assert [(node.domain, depth) for node, depth in impact(source.pk).relatives()] == [
        ("production", 1),
        ("staging", 2),
    ]


def test_its_cache_entry_goes_along(source: ArtifactVersion) -> None:
    promotion = promote(source, **TO, actor="ann")
    again = ran("production", [])  # nothing runs
    assert outputs(again) == {"o0": 7}
    node = NodeExecution.objects.get(execution=again, node_id="n0")
    assert node.cache_key == promotion.cache_key
    assert carried(data.read(node.output_uri).literals["o0"]) == promotion.target_id


def test_a_version_that_goes_takes_nothing_from_the_other(source: ArtifactVersion) -> None:
    made = make_version("weights", Kind.MODEL)
    target = promote(made, **TO, actor="ann").target
    remove_version(made, tombstone_used=True, actor="ann", reason="")
    assert target is not None and store().exists(target.uri)
    remove_version(target, tombstone_used=True, actor="ann", reason="")
    assert not store().exists(target.uri) or not made.execution_key  # what was referred to is never deleted


def test_triggers_there_see_it(source: ArtifactVersion) -> None:
    target = promote(source, **TO, actor="ann").target
    assert target is not None and target.triggers_evaluated_at is None
    evaluate_version(target.pk)
    assert not TriggerFiring.objects.exists()  # nothing watches here; that it was looked at:
    assert ArtifactVersion.objects.get(pk=target.pk).triggers_evaluated_at is not None


def test_a_rule_there_asks_for_approvals_before_anything_is_there(source: ArtifactVersion) -> None:
    rule = Rule(people=frozenset({"ann", "bob", "cat"}), quorum=2)
    set_rule(rule, **TO, signal_id="promote:promoted-model", actor="root")
    promotion = promote(source, **TO, actor="ann")
    assert (promotion.state, promotion.target) == ("requested", None)
    with pytest.raises(PermissionDenied, match="somebody else has to decide"):
        vote(promotion, approve=True, actor="ann")  # she asked for it
    assert vote(promotion, approve=True, actor="bob").state == "requested"
    with pytest.raises(FailedPrecondition, match="nobody counts twice"):
        vote(promotion, approve=True, actor="bob")
    done = vote(promotion, approve=True, actor="cat")
    assert done.state == "promoted" and done.target is not None
    decision = Decision.objects.get(promotion=promotion)
    assert decision.approved and approvals_of(source) == [decision]
    with pytest.raises(FailedPrecondition, match="nothing waits any more"):
        vote(promotion, approve=True, actor="bob")


def test_who_was_switched_off_since_has_approved_nothing(source: ArtifactVersion) -> None:
    rule = Rule(people=frozenset({"bob", "cat"}), quorum=2)
    set_rule(rule, **TO, signal_id="promote", actor="root")
    promotion = promote(source, **TO, actor="ann")
    vote(promotion, approve=True, actor="bob")
    User.objects.filter(username="bob").update(is_active=False)
    assert vote(promotion, approve=True, actor="cat").state == "requested"


def test_an_approval_of_metrics_that_changed_counts_for_nothing(source: ArtifactVersion) -> None:
    rule = Rule(people=frozenset({"bob", "cat"}), quorum=2)
    set_rule(rule, **TO, signal_id="promote", actor="root")
    promotion = promote(source, **TO, actor="ann")
    vote(promotion, approve=True, actor="bob")
    ArtifactVersion.objects.filter(pk=source.pk).update(metrics={"auc": 0.99})
    promotion.source.refresh_from_db()
    assert vote(promotion, approve=True, actor="cat").state == "requested"
    vote(promotion, approve=True, actor="bob")
    decision = Decision.objects.get(promotion=promotion)
    ArtifactVersion.objects.filter(pk=source.pk).update(metrics={"auc": 0.5})
    assert approvals_of(source) == []
    decision.refresh_from_db()
    assert decision.void_reason.endswith("metrics changed since")


def test_an_approval_of_a_deck_that_changed_counts_for_nothing(source: ArtifactVersion) -> None:
    uri = store().join(store().root, "metadata", source.execution_key, "deck.html")
    store().put(uri, b"<p>0.93</p>")
    NodeExecution.objects.filter(node_id=source.node_id).update(deck_uri=uri)
    set_rule(Rule(people=frozenset({"bob"})), **TO, signal_id="promote", actor="root")
    vote(promote(source, **TO, actor="ann"), approve=True, actor="bob")
    assert len(approvals_of(source)) == 1
    store().put(uri, b"<p>0.99</p>")
    assert approvals_of(source) == []
    assert Decision.objects.get().void_reason.endswith(": deck changed since")


def test_what_its_checks_do_not_let_pass_goes_nowhere(source: ArtifactVersion) -> None:
    now = timezone.now()
    result = CheckResult.objects.create(
        version=source,
        name="auc",
        kind="metric",
        severity=Severity.BLOCK,
        status=CheckStatus.FAILED,
        message="0.4",
        actor="system:checks",
        at=now,
    )
    with pytest.raises(FailedPrecondition, match=r"did not pass its checks: auc \(0.4\)"):
        promote(source, **TO, actor="ann")
    CheckResult.objects.filter(pk=result.pk).update(status=CheckStatus.PASSED)
    ArtifactVersion.objects.filter(pk=source.pk).update(quarantined_at=now)
    source.refresh_from_db()
    with pytest.raises(FailedPrecondition, match="is quarantined"):
        promote(source, **TO, actor="ann")
    assert not Promotion.objects.exists()


def test_the_alias_there_moves_by_its_policy(source: ArtifactVersion) -> None:
    first = promote(source, **TO, alias="champion", actor="ann").target
    assert first is not None
    set_alias_policy(first.artifact, "champion", {"approvals": 1}, actor="root")
    ran("development", [9])  # cached: no other version
    other = make_version("other", Kind.MODEL, partitions={})
    mover = Mover("bob", roles=("approver",))
    with pytest.raises(PolicyBroken):
        promote(other, **TO, name=source.artifact.name, alias="champion", actor="bob", mover=mover)
    assert Promotion.objects.count() == 1
    assert Alias.objects.get(artifact=first.artifact, name="champion").version == first


def test_an_approval_for_an_alias_counts_for_the_deck_that_was_seen(source: ArtifactVersion) -> None:
    uri = store().join(store().root, "metadata", source.execution_key, "deck.html")
    store().put(uri, b"<p>0.93</p>")
    NodeExecution.objects.filter(node_id=source.node_id).update(deck_uri=uri)
    set_alias_policy(source.artifact, "champion", {"approvals": 1}, actor="root")
    mover = Mover("bob", roles=("approver",))

    def approve() -> None:
        approve_version(source, "champion", approve=True, comment="", actor="bob", may_decide=True)

    approve()
    store().put(uri, b"<p>0.99</p>")
    with pytest.raises(PolicyBroken):
        move_alias(source, "champion", actor="bob", mover=mover)
    approve()
    assert move_alias(source, "champion", actor="bob", mover=mover).version == source


def test_a_rejected_one_may_be_asked_for_again(source: ArtifactVersion) -> None:
    set_rule(Rule(people=frozenset({"bob"})), **TO, signal_id="promote", actor="root")
    promotion = promote(source, **TO, actor="ann")
    with pytest.raises(InvalidArgument, match="needs its reason"):
        vote(promotion, approve=False, actor="bob")
    assert vote(promotion, approve=False, actor="bob", comment="no").state == "rejected"
    assert promote(source, **TO, actor="ann") != promotion


def test_bad_requests_leave_nothing(source: ArtifactVersion) -> None:
    with pytest.raises(InvalidArgument, match="is there already"):
        promote(source, project="demo", domain="development", actor="ann")
    other = make_version("taken", Kind.MODEL, number=1, version=source.version, partitions={})
    ArtifactVersion.objects.filter(pk=other.pk).update(literal=source.literal)
    with pytest.raises(AlreadyExists, match="not from"):
        promote(source, project="demo", domain="development", name="taken", actor="ann")
    keyed = make_version("keyed", Kind.MODEL, number=2)
    with pytest.raises(InvalidArgument, match="partition keys"):
        promote(source, project="demo", domain="development", name="keyed", actor="ann")
    move_alias(keyed, "best", actor="ann")
    remove_version(make_version("gone", Kind.MODEL, number=3), tombstone_used=False, actor="ann", reason="")
    with pytest.raises(FailedPrecondition, match="removed"):
        promote(ArtifactVersion.objects.get(artifact__name="gone"), **TO, actor="ann")
    assert not Promotion.objects.exists()

"""What a reviewer sees beside the decision: the version, the champion, what changed, how urgent it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.models import Alias, ArtifactVersion, Kind
from console.accounts.models import User
from console.pages.approvals_context import urgency_of
from lineage.actions.record import record_derivations
from lineage.models import VersionRole, Via
from scheduler.models import Gate, GateKind
from scheduler.phases import ExecutionPhase
from scheduler.subjects import decisions_about, precedents_of, subjects_of
from tests.console.pages.cast import BOOLEAN, World, edge, make_execution, make_version
from tests.console.pages.test_artifact_page import decide

Browse = Callable[[User], Client]


def approved_before(world: World, **over: object) -> ArtifactVersion:
    """An older version of the model, of the same region, that somebody approved."""
    version = make_version("ml-model", Kind.MODEL, number=700, metrics={"accuracy": 0.9}, **over)
    plan = world.evaluates.launch_plan
    assert plan is not None
    run = make_execution(f"earlier{version.pk}", plan.name, ExecutionPhase.SUCCEEDED, age=timedelta(days=1))
    edge(version, run, VersionRole.CONSUMED, Via.QUERY, "model")
    gate = Gate.objects.create(
        execution=run,
        signal_id="approve_model",
        kind=GateKind.APPROVE,
        literal_type=BOOLEAN.SerializeToString(),
        created_at=timezone.now(),
    )
    world.gate, gate = gate, world.gate
    decide(world, approve=True)
    world.gate = gate
    return version


def everywhere(project: str, domain: str) -> bool:
    return True


def page(world: World, browse: Browse, who: User | None = None) -> str:
    return browse(who or world.admin).get(f"/approvals/{world.gate.pk}/").content.decode()


def test_the_subject_is_the_model_not_the_data_it_was_tried_on(world: World) -> None:
    edge(world.dataset, world.evaluates, VersionRole.CONSUMED, Via.QUERY, "data")
    assert subjects_of([world.gate])[world.gate.pk].pk == world.model.pk


def test_a_model_made_in_the_same_run_is_the_subject(world: World) -> None:
    gate = Gate.objects.create(
        execution=world.trains,
        signal_id="x",
        kind=GateKind.APPROVE,
        literal_type=BOOLEAN.SerializeToString(),
        created_at=timezone.now(),
    )
    assert subjects_of([gate])[gate.pk].pk == world.model.pk


def test_metrics_stand_beside_the_champions_with_what_is_better(world: World, browse: Browse) -> None:
    world.model.aliases.all().delete()
    champion = make_version("ml-model", Kind.MODEL, number=500, metrics={"accuracy": 0.95, "rows": 500})
    other = make_version("ml-model", Kind.MODEL, number=501, partitions={"region": "LAX"}, metrics={"accuracy": 0.99})
    for name, version in (("champion-SEA", champion), ("champion", other)):
        Alias.objects.create(artifact=version.artifact, name=name, version=version, moved_at=timezone.now())

    assert precedents_of(world.model, may_read=everywhere).standing == champion  # of the same region
    text = page(world, browse)
    assert "champion-SEA" in text and "+0.0237 (+2.49 %) better" in text
    assert f"/compare/?v={champion.pk}&amp;v={world.model.pk}" in text


def test_it_says_what_changed_since_the_last_one_approved(world: World, browse: Browse) -> None:
    before = approved_before(world, metadata={"framework": "xgboost"})
    old = make_version("raw-data", Kind.DATASET, number=1)
    record_derivations([(old.pk, before.pk)])
    edge(before, world.makes, VersionRole.PRODUCED, Via.OUTPUT)

    assert precedents_of(world.model, may_read=everywhere).approved == before
    assert precedents_of(world.model, may_read=lambda project, domain: False).approved is None
    text = page(world, browse)
    assert "What changed since the last one approved" in text
    assert "xgboost" in text and "scikit-learn" in text


def test_evidence_comes_before_other_things_and_the_decision_is_beside_it(world: World, browse: Browse) -> None:
    text = page(world, browse)
    assert text.index("Metrics") < text.index("Deck of examine") < text.index('class="approval-decision"')
    assert "Model card" in text  # the card, as it is shown elsewhere


def test_a_rejection_wants_a_reason(world: World, browse: Browse) -> None:
    client, address = browse(world.admin), f"/approvals/{world.gate.pk}/decide/"
    refused = client.post(address, {"decision": "reject", "comment": "  "}, follow=True).content.decode()
    assert "say why it is rejected" in refused
    world.gate.refresh_from_db()
    assert world.gate.decided_at is None
    client.post(address, {"decision": "reject", "comment": "drifted"})
    world.gate.refresh_from_db()
    assert world.gate.comment == "drifted" and not world.gate.approved
    assert [one.approved for one in decisions_about({world.model.pk})[world.model.pk]] == [False]


def test_the_inbox_says_which_model_of_which_region_by_whom_and_how_urgent(world: World, browse: Browse) -> None:
    text = browse(world.admin).get("/approvals/").content.decode()
    assert "ml-model" in text and "SEA" in text and world.model.version in text
    assert "launched by admin" in text and ">today<" in text


def test_the_inbox_names_nothing_that_one_may_not_read(world: World, browse: Browse) -> None:
    foreign = make_version("foreign", Kind.MODEL, number=1, project="elsewhere")
    edge(foreign, world.evaluates, VersionRole.CONSUMED, Via.QUERY, "x")
    world.model.edges.filter(execution_key=world.evaluates.key).delete()
    assert "foreign" not in browse(world.viewer).get("/approvals/").content.decode()
    assert "foreign" not in page(world, browse, world.viewer)
    assert "foreign" in page(world, browse)


@pytest.mark.parametrize(
    ("left", "label"),
    [(timedelta(minutes=30), "urgent"), (timedelta(minutes=-1), "urgent"), (timedelta(hours=5), "today")],
)
def test_what_expires_soon_is_marked(world: World, left: timedelta, label: str) -> None:
    now = timezone.now()
    world.gate.expires_at = now + left
    badge = urgency_of(world.gate, now)
    assert badge is not None and badge.label == label


def test_what_has_time_is_not_marked(world: World) -> None:
    now = timezone.now()
    world.gate.expires_at = now + timedelta(days=3)
    assert urgency_of(world.gate, now) is None
    world.gate.expires_at = None
    assert urgency_of(world.gate, now) is None

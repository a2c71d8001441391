"""Who subscribed to a project is told of checks that fail and of aliases that fall back, once."""

from __future__ import annotations

import pytest
from django.utils import timezone

from artifacts.actions.aliases import move_alias
from artifacts.governance.checks import Report, report
from artifacts.governance.pointers import set_alias_policy
from scheduler.models import Channel, Notification, Subject, Subscription
from scheduler.notifications.texts import body_of, subject_of, text_of
from tests.artifacts.governance.making import APPROVER, auc_check, model, settle, the_artifact

pytestmark = pytest.mark.django_db


def subscribe(*subjects: Subject, project: str = "flytesnacks", launch_plan: str = "") -> None:
    Subscription.objects.create(
        project=project,
        launch_plan=launch_plan,
        subjects=list(subjects),
        channel=Channel.WEBHOOK,
        address=f"https://example.org/{project}/{launch_plan}",
        created_by="ada",
        created_at=timezone.now(),
    )


def test_they_are_told_once_with_the_numbers() -> None:
    subscribe(Subject.CHECK_FAILED, Subject.ALIAS_FELL_BACK, Subject.ALIAS_STRANDED)
    subscribe(Subject.CHECK_FAILED, project="elsewhere")
    subscribe(Subject.CHECK_FAILED, launch_plan="train")
    model("v1", auc=0.9)
    auc_check()
    set_alias_policy(the_artifact(), "champion", {"checks": ["good"], "fall_back": True}, actor="root")
    second = model("v2", auc=0.95)
    settle()
    move_alias(second, "champion", actor="bob", mover=APPROVER)
    report(second, Report("good", value=0.1), actor="monitor")
    settle()
    settle()
    told = list(Notification.objects.order_by("pk"))
    assert [one.subject for one in told] == [Subject.CHECK_FAILED, Subject.ALIAS_FELL_BACK]
    assert subject_of(told[0]) == f"check good of {second} failed: auc is 0.1, at least 0.8 is asked"
    assert "flytesnacks/development/model:champion fell back to v1" in text_of(told[1])
    assert f"/artifacts/governance/{second.artifact_id}/" in text_of(told[1])
    assert body_of(told[1])["happening"]["kind"] == "alias.fallen_back"

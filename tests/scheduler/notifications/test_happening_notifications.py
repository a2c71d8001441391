"""Who subscribed to a project is told of checks that fail and of aliases that fall back, once."""

from __future__ import annotations

import pytest

from artifacts.actions.aliases import move_alias
from artifacts.governance.checks import Report, report
from artifacts.governance.pointers import set_alias_policy
from scheduler.actions.subscriptions import Wish, subscribe
from scheduler.models import Channel, Notification, Project, Subscription
from scheduler.notifications.texts import body_of, subject_of, text_of
from tests.artifacts.governance.making import APPROVER, auc_check, model, settle, the_artifact

pytestmark = pytest.mark.django_db


def told(*kinds: str, project: str = "flytesnacks", **over: str) -> Subscription:
    Project.objects.get_or_create(identifier=project)
    address = f"https://example.org/{project}/{'/'.join(over.values())}"
    return subscribe(Wish(kinds=kinds, project=project, channel=Channel.WEBHOOK, address=address, **over), actor="ada")


def test_they_are_told_once_with_the_numbers() -> None:
    told("check.failed", "alias.fallen_back", "alias.stranded")
    told("check.failed", project="elsewhere")
    told("check.failed", launch_plan="train")
    model("v1", auc=0.9)
    auc_check()
    set_alias_policy(the_artifact(), "champion", {"checks": ["good"], "fall_back": True}, actor="root")
    second = model("v2", auc=0.95)
    settle()
    move_alias(second, "champion", actor="bob", mover=APPROVER)
    report(second, Report("good", value=0.1), actor="monitor")
    settle()
    settle()
    rows = list(Notification.objects.order_by("pk"))
    assert [one.happening.kind for one in rows] == ["check.failed", "alias.fallen_back"]
    assert subject_of(rows[0]) == f"check good of {second} failed: auc is 0.1, at least 0.8 is asked"
    assert "flytesnacks/development/model:champion fell back to v1" in text_of(rows[1])
    assert f"/artifacts/governance/{second.artifact_id}/" in text_of(rows[1])
    assert body_of(rows[1])["event"] == "alias.fallen_back"

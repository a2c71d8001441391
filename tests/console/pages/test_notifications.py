from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from artifacts.happenings import happened
from audit.models import AuditEvent
from console.accounts.models import Role, User
from scheduler.actions.subscriptions import Wish, subscribe
from scheduler.models import Channel, Project, Subscription
from scheduler.notifications.kinds import ENDS
from scheduler.phases import ExecutionPhase
from tests.console.pages.cast import World, user
from tests.scheduler.notifications.rows import make_notification

Browse = Callable[[User], Client]
FORM: dict[str, Any] = {
    "project": "demo",
    "domain": "development",
    "launch_plan": "train_on_dataset",
    "kinds": ["execution.failed", "gate.waiting"],
    "channel": "webhook",
    "address": "https://hooks.example.com/a/b",
    "secret": "s3cret",
}


EVENTS = "/executions/demo/development/afailed/events/"


def subscribed(number: int = 0, project: str = "demo") -> Subscription:
    Project.objects.get_or_create(identifier=project)
    address = f"ann{number}@example.com"
    wish = Wish(kinds=["execution.failed"], project=project, channel=Channel.EMAIL, address=address)
    return subscribe(wish, actor="admin")


def test_it_subscribes_an_address_and_removes_it_with_audit_rows(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    shown = client.post("/notifications/create/", FORM, follow=True).content.decode()
    assert "https://hooks.example.com/a/b" in shown and "signed" in shown and "s3cret" not in shown
    made = Subscription.objects.get()
    assert (made.kinds, made.launch_plan, made.created_by) == (
        ["execution.failed", "gate.waiting"],
        "train_on_dataset",
        "admin",
    )

    assert "Nobody is subscribed" in client.post(f"/notifications/{made.pk}/remove/", follow=True).content.decode()
    verbs = AuditEvent.objects.filter(verb__startswith="subscription.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["subscription.create", "subscription.remove"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"address": "nowhere"}, "a webhook needs a URL"),
        ({"channel": "email"}, "is not a mail address"),
        ({"kinds": []}, "kinds: choose one"),
        ({"kinds": ["EVERYTHING"]}, "kinds: choose one"),
        ({"channel": "pigeon"}, "how: one of"),
        ({"domain": "moon"}, "domain [moon] is unrecognized"),
        ({"project": "nothing"}, "project [nothing] is not registered"),
    ],
)
def test_it_says_what_is_wrong_and_keeps_what_was_typed(
    world: World, browse: Browse, wrong: dict[str, Any], said: str
) -> None:
    answer = browse(world.admin).post("/notifications/create/", FORM | wrong)

    text = answer.content.decode()
    assert answer.status_code == 400 and said in text and 'value="train_on_dataset"' in text
    assert "s3cret" not in text and not Subscription.objects.exists()


def test_addresses_are_for_admins_of_the_project_only(world: World, browse: Browse) -> None:
    mine, foreign = subscribed(1), subscribed(2, project="elsewhere")
    viewer, owner = browse(world.viewer), browse(user("owner", role=Role.ADMIN))

    assert "example.com" not in viewer.get("/notifications/").content.decode().replace(
        'placeholder="ann@example.com', ""
    )
    assert viewer.post("/notifications/create/", FORM).status_code == 403
    assert viewer.post(f"/notifications/{mine.pk}/remove/").status_code == 403
    seen = owner.get("/notifications/").content.decode()
    assert mine.address in seen and foreign.address not in seen
    assert owner.post(f"/notifications/{foreign.pk}/remove/").status_code == 404
    assert owner.post("/notifications/create/", FORM | {"project": "elsewhere"}).status_code == 403
    assert Subscription.objects.count() == 2


def test_it_pages_subscriptions_with_the_same_queries(
    world: World, browse: Browse, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        subscribed(number)
    client = browse(world.admin)
    with django_assert_max_num_queries(6):
        first = client.get("/notifications/")
    assert "ann59@" in first.content.decode() and "ann9@" not in first.content.decode()
    second = client.get(f"/notifications/{first.context['page'].older}").content.decode()
    assert "ann9@" in second and "ann59@" not in second


def test_it_sends_a_notification_again_from_the_executions_page(world: World, browse: Browse) -> None:
    mail: dict[str, Any] = {"channel": Channel.EMAIL, "address": "ops@example.com", "error": "550 no such mailbox"}
    told = make_notification(world.failed, given_up_at=timezone.now(), **mail)
    address = f"/notifications/{told.pk}/send/"
    assert browse(world.viewer).post(address).status_code == 403
    shown = browse(world.admin).post(address, {"next": EVENTS}, follow=True).content.decode()

    told.refresh_from_db()
    assert told.given_up_at is None and "ops@example.com" in shown and "It is sent again" in shown
    assert AuditEvent.objects.filter(verb="notification.resend").count() == 1


def test_the_bell_counts_what_one_was_told_until_it_is_read(
    world: World, browse: Browse, django_assert_max_num_queries: Any
) -> None:
    client = browse(world.viewer)
    mine = {"project": "", "domain": "", "launch_plan": "", "channel": "console", "address": "", "secret": ""}
    assert client.post("/notifications/create/", FORM | mine | {"kinds": ["execution.*"]}).status_code == 302
    execution = world.failed
    for project in ("demo", "demo", "elsewhere"):
        happened(
            ENDS[ExecutionPhase.FAILED],
            actor="system:engine",
            subject=execution.key,
            place=(project, execution.domain),
            execution_key=execution.key if project == "demo" else "elsewhere/development/a1",
        )
    assert "2 unread" in client.get("/notifications/bell/").content.decode()
    with django_assert_max_num_queries(7):  # the rows, and what ran; else as every page
        shown = client.get("/notifications/inbox/")
    text = shown.content.decode()
    assert f"failed: {execution.key}" in text and "elsewhere" not in text
    ((first, others),) = shown.context["said"]
    assert first.row.pk > others[0].row.pk and "1 more like it" in text
    client.post("/notifications/inbox/read/", {"until": shown.context["newest"]})
    assert "unread" not in client.get("/notifications/bell/").content.decode()
    (made,) = Subscription.objects.filter(owner=world.viewer.username)
    log = client.get(f"/notifications/{made.pk}/log/").content.decode()
    assert execution.key in log and "shown by the console" in log
    assert browse(world.admin).get(f"/notifications/{made.pk}/log/").status_code == 404

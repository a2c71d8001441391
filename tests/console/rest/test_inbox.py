"""What one was told, and by which subscriptions: one's own, and as far as one may still see it."""

from __future__ import annotations

from typing import Any

from artifacts.happenings import ALIAS_MOVED, happened
from console.accounts.models import RoleBinding
from scheduler.models import Notification, Subscription
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/subscriptions"


def something(project: str = "demo") -> None:
    happened(ALIAS_MOVED, actor="bob", subject=f"{project}/development/model:x", place=(project, "development"))


def test_a_viewer_is_told_by_the_console_and_reads_it(api: Caller, django_assert_num_queries: Any) -> None:
    vic = api("vic")
    made = vic.post(URL, {"kinds": ["alias.*"], "channel": "console", "project": "demo"})
    assert made.status_code == 201, made.content
    assert (made.json()["owner"], made.json()["address"]) == ("vic", "")
    something()
    with django_assert_num_queries(3):  # token, bindings, rows
        (told,) = vic.get("/api/v1/inbox").json()["results"]
    assert told["said"] == "demo/development/model:x was moved" and told["read_at"] is None
    assert vic.post("/api/v1/inbox", {"until": told["id"]}).json() == {"read": 1}
    assert vic.get("/api/v1/inbox?unread=true").json()["results"] == []
    (sent,) = vic.get(f"{URL}/{made.json()['id']}/log").json()["results"]
    assert sent["kind"] == "alias.moved" and sent["sent_at"] is not None


def test_what_is_somebodys_own_is_nobody_elses(api: Caller) -> None:
    made = api("vic").post(URL, {"kinds": ["*"], "channel": "console"}).json()
    something()
    for name in ("ada", "abe", "sue"):
        problem(api(name).get(f"{URL}/{made['id']}"), 404)
        problem(api(name).get(f"{URL}/{made['id']}/log"), 404)
        problem(api(name).delete(f"{URL}/{made['id']}"), 404)
        problem(api(name).post(f"/api/v1/notifications/{Notification.objects.get().pk}/send"), 404)
        assert api(name).get("/api/v1/inbox").json()["results"] == []
    assert Subscription.objects.count() == 1


def test_who_may_not_read_there_any_more_is_not_shown_it(api: Caller) -> None:
    vic = api("vic")
    made = vic.post(URL, {"kinds": ["*"], "channel": "console"}).json()
    something("elsewhere")
    something()
    assert len(vic.get("/api/v1/inbox").json()["results"]) == 1
    assert len(vic.get(f"{URL}/{made['id']}/log").json()["results"]) == 1
    RoleBinding.objects.filter(user__username="vic").delete()
    assert vic.get("/api/v1/inbox").json()["results"] == []


def test_a_project_that_one_may_not_see_is_not_there(api: Caller) -> None:
    body = {"kinds": ["*"], "channel": "console", "project": "secret"}
    problem(api("vic").post(URL, body), 404)
    assert not Subscription.objects.exists()


def test_it_lists_kinds(api: Caller) -> None:
    names = {kind["name"] for kind in api("vic").get("/api/v1/happenings/kinds").json()}
    assert {"execution.failed", "gate.waiting", "quota.warned", "level.breached", "version.published"} <= names

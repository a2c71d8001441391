"""The page of the queue and the quotas."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from console.accounts.models import Role, RoleBinding, User
from scheduler.attempts import claims
from scheduler.executors.packing import Unbounded
from scheduler.models import Execution, ExecutorInstance, Project, Quota, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes, used
from tests.console.pages.cast import user
from tests.scheduler.attempts import make_attempt, make_node

Browse = Callable[[User], Client]
FORM = {"project": "demo", "resource": "gpu", "limit": "2"}


@pytest.fixture
def root(db: None) -> User:
    Project.objects.get_or_create(identifier="demo")
    return user("root", superuser=True)


def test_one_is_set_seen_changed_and_removed(root: User, browse: Browse) -> None:
    client = browse(root)
    assert "No quotas" in client.get("/quotas/").content.decode()
    shown = client.post("/quotas/set/", FORM, follow=True).content.decode()
    assert "nvidia.com/gpu of project demo is set." in shown
    row = Quota.objects.get()
    assert (row.limit, row.warn_at, row.updated_by) == (2.0, 80, "root")
    shown = client.get(f"/quotas/?edit={row.pk}").content.decode()
    assert "Change a quota" in shown and 'value="demo"' in shown
    client.post("/quotas/set/", FORM | {"limit": "1", "warn_at": "50", "valid_until": "2099-01-01T00:00"})
    row.refresh_from_db()
    assert (row.limit, row.warn_at, str(row.valid_until)) == (1.0, 50, "2099-01-01 00:00:00+00:00")
    assert "is removed" in client.post(f"/quotas/{row.pk}/remove/", follow=True).content.decode()
    verbs = AuditEvent.objects.filter(verb__startswith="quota.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["quota.create", "quota.update", "quota.remove"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limit": "-3"}, "cannot be negative"),
        ({"resource": "bananas"}, "no resource"),
        ({"warn_at": "lots"}, "1 to 100 percent"),
        ({"valid_from": "soon"}, "no time such as"),
        ({"valid_from": "0001-01-01T00:00+05:00"}, "no time such as"),  # no year of the database's in UTC
        ({"valid_until": "9999-12-31T23:59-05:00"}, "no time such as"),
        ({"project": "nowhere"}, "no project nowhere"),
        ({"user": "ann"}, "does not go with"),
    ],
)
def test_what_is_wrong_is_said_above_what_was_typed(
    root: User, browse: Browse, wrong: dict[str, str], said: str
) -> None:
    answer = browse(root).post("/quotas/set/", FORM | wrong)
    shown = answer.content.decode()
    assert answer.status_code == 400 and said in shown and 'value="gpu"' in shown or "bananas" in shown
    assert not Quota.objects.exists()


def test_what_waits_is_there_in_numbers(root: User, browse: Browse) -> None:
    client = browse(root)
    client.post("/quotas/set/", FORM)
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project="demo", domain="development")
    for _ in range(5):
        make_attempt(node, resources={"gpu": 1})
    claims.claim("local", "one", Unbounded(9), now=TaskExecution.objects.latest("pk").created_at)
    shown = client.get("/quotas/").content.decode()
    assert "asks for 1 nvidia.com/gpu, 2 of 2 are in use (quota of project demo)" in shown
    assert "used up" in shown and "100 %" in shown
    shown = client.get("/quotas/", HTTP_HX_REQUEST="true").content.decode()
    assert 'id="quota-list"' in shown and "<form class" not in shown.replace("data-confirm", "")


def test_it_says_what_each_place_has_and_what_runs_there(root: User, browse: Browse) -> None:
    now = timezone.now()
    alive = {"executor": "local", "capacity": {"cpu": 4, "memory": 2**33}, "started_at": now, "seen_at": now}
    ExecutorInstance.objects.create(name="here", **alive)
    ExecutorInstance.objects.create(name="there", **alive)
    gone = alive | {"executor": "kubernetes", "cluster": "lab", "seen_at": now - timedelta(hours=1), "capacity": {}}
    ExecutorInstance.objects.create(name="pods", **gone)
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project="demo", domain="development")
    runs = {"phase": AttemptPhase.RUNNING, "started_at": now, "executor": "local", "claimed_by": "here"}
    make_attempt(node, resources={"cpu": 2, "memory": 2**32}, **runs)
    make_attempt(node, resources={"cpu": 1}, executor="local")

    answer = browse(root).get("/quotas/")

    lab, local = answer.context["places"]
    assert (lab.name, lab.alive, lab.running) == ("lab", False, 0)
    assert (local.name, local.processes, local.running, local.queued) == ("local", 2, 1, 1)
    assert [(one.words, one.percent) for one in local.loads] == [("2 of 8", 25), ("4 GiB of 16 GiB", 25)]
    assert [asks for _, asks in answer.context["running"]] == ["2 cpu, 4 GiB memory"]
    shown = browse(user("reader", role=Role.VIEWER, project="elsewhere")).get("/quotas/")
    assert [one.name for one in shown.context["places"]] == ["local"]  # totals, and no cluster of others
    assert not shown.context["running"]
    assert browse(user("nobody")).get("/quotas/").context["places"] == []


def test_what_was_used_this_month(root: User, browse: Browse) -> None:
    now = timezone.now()
    begin = max(now - timedelta(hours=2), now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    second = month, month + timedelta(seconds=1)  # from which on there is something to be summed up
    for project, cpu, (start, end) in (("demo", 1, (begin, now)), ("other", 3, (begin, now)), ("other", 3, second)):
        node = make_node()
        Execution.objects.filter(pk=node.execution_id).update(project=project, domain="development")
        row = make_attempt(node, phase=AttemptPhase.SUCCEEDED, started_at=start, ended_at=end, resources={"cpu": cpu})
        lanes.give([row.pk])
    shown = browse(root).get("/usage/?by=project&resource=cpu").content.decode()
    assert "25 percent of all" in shown and "75 percent of all" in shown
    table = _used(shown)
    assert table.index("other") < table.index("demo"), "the most first"
    assert "/api/v1/usage.csv?by=project" in shown
    used.sum_up_past(now=now)
    summed = browse(root).get("/usage/?by=project&resource=cpu").content.decode()
    assert _used(summed) == table
    assert f"<td>{begin:%Y-%m-%d}</td>" in summed, "a column for the day"
    by_hour = browse(root).get("/usage/?by=hour&resource=cpu").content.decode()
    assert f"<td>{begin:%Y-%m-%d}</td>" in by_hour
    ann = user("ann")
    RoleBinding.objects.create(user=ann, role=Role.VIEWER, project="demo")
    shown = browse(ann).get("/usage/?by=nonsense&resource=nonsense").content.decode()
    assert "demo" in _used(shown) and "other" not in _used(shown)


def _used(page: str) -> str:
    """The rows of who used what."""
    return page.split('id="used"')[1].split("<tbody>")[1].partition("</tbody>")[0]


def test_who_may_set_none_sees_no_form(root: User, browse: Browse) -> None:
    browse(root).post("/quotas/set/", FORM)
    ann = user("ann")
    RoleBinding.objects.create(user=ann, role=Role.VIEWER, project="demo")
    client = browse(ann)
    shown = client.get("/quotas/").content.decode()
    assert "project demo" in shown and "Set a quota" not in shown and "Remove" not in shown
    assert client.post("/quotas/set/", FORM | {"limit": "9"}).status_code == 403
    assert client.post(f"/quotas/{Quota.objects.get().pk}/remove/").status_code == 403
    assert Quota.objects.get().limit == 2


def test_a_lender_that_one_may_not_read_has_no_name_and_is_kept(root: User, browse: Browse) -> None:
    Project.objects.get_or_create(identifier="aurora")
    client = browse(root)
    client.post("/quotas/set/", FORM | {"project": "aurora"})
    client.post("/quotas/set/", FORM | {"borrows_from": "aurora"})
    row, lender = Quota.objects.get(project="demo"), Quota.objects.get(project="aurora")
    assert "Borrows from project aurora." in client.get("/quotas/").content.decode()
    ada = user("ada")
    RoleBinding.objects.create(user=ada, role=Role.ADMIN, project="demo")
    client = browse(ada)
    shown = client.get(f"/quotas/?edit={row.pk}").content.decode()
    assert "Borrows from another project." in shown and "aurora" not in shown
    assert 'value="another project"' in shown
    client.post("/quotas/set/", FORM | {"limit": "1", "borrows_from": "another project"})
    row.refresh_from_db()
    assert (row.limit, row.borrows_from) == (1.0, lender)

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from artifacts.models import AliasPolicy, CheckResult, CheckRule, Hold
from audit.models import AuditEvent
from console.accounts import access
from console.accounts.models import ApiToken, GroupRole, Reader, RoleBinding, User
from console.sqlviews import readers
from lineage.models import DatasetRule
from scheduler.models import ClusterSettings, Delegation, Execution, Project, Quota, ServiceLevel, TaskExecution
from scheduler.phases import AttemptPhase
from scheduler.quotas import lanes
from tests.artifacts.governance.making import model
from tests.artifacts.publishing import published
from tests.scheduler.attempts import make_attempt, make_node
from tests.scheduler.executors.kubernetes.kubeconfigs import TOKEN, kubeconfig

pytestmark = pytest.mark.django_db

MODELS: list[type[Model]] = sorted(admin.site._registry, key=str)


@pytest.fixture
def root(client: Client) -> User:
    user = User.objects.create(username="root", is_superuser=True, is_staff=True)
    client.force_login(user)
    return user


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_list_and_form_opens_for_a_superuser(client: Client, root: User, model: type[Model]) -> None:
    meta = model._meta
    prefix = f"admin:{meta.app_label}_{meta.model_name}"
    assert client.get(reverse(f"{prefix}_changelist") + "?q=x").status_code == 200
    assert client.get(reverse(f"{prefix}_add")).status_code in (200, 403)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_staff_without_superuser_see_nothing(client: Client, model: type[Model]) -> None:
    staff = User.objects.create(username="staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.all())
    client.force_login(staff)
    meta = model._meta
    assert client.get(reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")).status_code == 403


def test_others_are_sent_to_log_in(client: Client) -> None:
    client.force_login(User.objects.create(username="ann"))
    assert client.get("/admin/").status_code == 302


def test_facts_cannot_be_changed(client: Client, root: User) -> None:
    event = AuditEvent.objects.create(actor="a", verb="b", subject="c")
    url = reverse("admin:audit_auditevent_change", args=[event.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"actor": "x"}).status_code == 403
    assert client.post(reverse("admin:audit_auditevent_delete", args=[event.pk]), {"post": "yes"}).status_code == 403


def test_a_naming_rule_is_checked_made_changed_and_removed(client: Client, root: User) -> None:
    Project.objects.get_or_create(identifier="demo", defaults={"name": "demo"})
    add = reverse("admin:lineage_datasetrule_add")
    typed = {"project": "demo", "domain": "development", "namespace": "kafka", "name": "{topic}", "position": "1"}
    typed |= {"artifact": "{nothing}", "partitions": "{}", "shape": "dataset", "format": "", "by_time": ""}
    assert b"is in no pattern" in client.post(add, typed).content
    assert b"not registered" in client.post(add, {**typed, "artifact": "x", "project": "nowhere"}).content
    assert not DatasetRule.objects.exists()
    assert client.post(add, {**typed, "artifact": "t-{topic}"}).status_code == 302
    rule = DatasetRule.objects.get()
    assert (rule.artifact, rule.created_by) == ("t-{topic}", "root")
    change = reverse("admin:lineage_datasetrule_change", args=[rule.pk])
    assert client.post(change, {**typed, "artifact": "topics"}).status_code == 302
    assert DatasetRule.objects.get().artifact == "topics"
    client.post(reverse("admin:lineage_datasetrule_delete", args=[rule.pk]), {"post": "yes"})
    assert not DatasetRule.objects.exists()
    verbs = AuditEvent.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["dataset_rule.create", "dataset_rule.change", "dataset_rule.remove"]


def test_a_token_shows_its_secret_once(client: Client, root: User) -> None:
    ann = User.objects.create(username="ann")
    url = reverse("admin:accounts_apitoken_add")
    response = client.post(url, {"user": ann.pk, "name": "ci"}, follow=True)
    message = next(str(each) for each in response.context["messages"] if "cwy_" in str(each))
    assert access.authenticate_token(message.split()[-1]) == ann
    token = ApiToken.objects.get()
    changelist = reverse("admin:accounts_apitoken_changelist")
    assert "cwy_" not in client.get(changelist).content.decode()
    client.post(changelist, {"action": "revoke", "_selected_action": [token.pk]})
    token.refresh_from_db()
    assert token.revoked_at is not None


def trail() -> list[tuple[str, str, str]]:
    return list(AuditEvent.objects.order_by("id").values_list("verb", "subject", "project"))


def test_role_bindings_leave_a_trace(client: Client, root: User) -> None:
    ann = User.objects.create(username="ann")
    Project.objects.create(identifier="p", name="P")
    form = {"user": ann.pk, "role": "viewer", "project": "p"}
    client.post(reverse("admin:accounts_rolebinding_add"), form)
    binding = RoleBinding.objects.get()
    client.post(reverse("admin:accounts_rolebinding_change", args=[binding.pk]), form | {"role": "admin"})
    client.post(reverse("admin:accounts_rolebinding_delete", args=[binding.pk]), {"post": "yes"})
    assert not RoleBinding.objects.exists()
    assert trail() == [
        ("role.bind", "ann:viewer", "p"),
        ("role.unbind", "ann:viewer", "p"),
        ("role.bind", "ann:admin", "p"),
        ("role.unbind", "ann:admin", "p"),
    ]


def test_what_somebody_else_did_first_is_said_on_the_page(
    client: Client, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []

    def made_meanwhile() -> None:  # looked at for the form, and when it is done
        looks.append(None)
        if len(looks) == 2:
            Reader.objects.create(name="bi", role="causeway_reader_bi", created_by="another")

    monkeypatch.setattr(readers, "_check_database", made_meanwhile)
    address = reverse("admin:accounts_reader_add")
    form = {"name": "bi", "places": "*", "statement_seconds": 30, "connections": 2, "description": ""}

    answer = client.post(address, form)

    assert answer.status_code == 302, answer.context["errors"]
    assert answer["Location"] == address
    assert [str(message) for message in client.get(address).context["messages"]] == ["there is a reader bi"]
    assert not trail()


def test_many_bindings_deleted_at_once_leave_a_trace_each(client: Client, root: User) -> None:
    ann = User.objects.create(username="ann")
    rows = [RoleBinding.objects.create(user=ann, role=role, project="p") for role in ("viewer", "admin")]
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    client.post(reverse("admin:accounts_rolebinding_changelist"), chosen)
    assert not RoleBinding.objects.exists()
    assert sorted(trail()) == [("role.unbind", "ann:admin", "p"), ("role.unbind", "ann:viewer", "p")]


@pytest.mark.parametrize(
    ("project", "domain", "message"),
    [
        ("q", "", "there is no project q"),
        ("p", "moon", "there is no domain moon"),
        ("", "staging", "needs its project"),
    ],
)
def test_a_role_is_bound_where_there_is_something(
    client: Client, root: User, project: str, domain: str, message: str
) -> None:
    Project.objects.create(identifier="p", name="P")
    form = {"user": root.pk, "role": "viewer", "project": project, "domain": domain}
    answer = client.post(reverse("admin:accounts_rolebinding_add"), form)
    assert message in answer.content.decode()
    assert not RoleBinding.objects.exists()


def _user_form(user: User, **changes: object) -> dict[str, object]:
    bindings = list(user.role_bindings.all())
    form: dict[str, object] = {
        "username": user.username,
        "is_active": "on",
        "role_bindings-TOTAL_FORMS": len(bindings) + 1,
        "role_bindings-INITIAL_FORMS": len(bindings),
    }
    for n, row in enumerate(bindings):
        fields = {"id": row.pk, "user": user.pk, "role": row.role, "project": row.project, "domain": row.domain}
        form |= {f"role_bindings-{n}-{name}": value for name, value in fields.items()}
    return form | changes


def test_what_is_done_to_users_leaves_a_trace(client: Client, root: User) -> None:
    Project.objects.create(identifier="p", name="P")
    made = {"username": "bo", "password1": "correct-horse-battery", "password2": "correct-horse-battery"}
    client.post(
        reverse("admin:accounts_user_add"),
        made | {"usable_password": "true", "role_bindings-TOTAL_FORMS": 0, "role_bindings-INITIAL_FORMS": 0},
    )
    bo = User.objects.get(username="bo")
    page = reverse("admin:accounts_user_change", args=[bo.pk])
    client.post(page, _user_form(bo, is_superuser="on"))
    bound = {
        f"role_bindings-0-{name}": value for name, value in {"user": bo.pk, "role": "viewer", "project": "p"}.items()
    }
    client.post(page, _user_form(bo, is_superuser="on", **bound))
    client.post(page, _user_form(bo, is_superuser="on", **{"role_bindings-0-DELETE": "on"}))
    client.post(page, _user_form(bo, is_superuser="on"))  # nothing changed
    client.post(page, _user_form(bo, is_superuser="on", username="ann"))  # quotas and executions know bo by the name
    assert User.objects.get(pk=bo.pk).username == "bo"
    other = {"password1": "another-horse-battery", "password2": "another-horse-battery", "usable_password": "true"}
    client.post(reverse("admin:auth_user_password_change", args=[bo.pk]), other)
    client.post(reverse("admin:accounts_user_delete", args=[bo.pk]), {"post": "yes"})
    assert trail() == [
        ("user.create", "bo", ""),
        ("user.update", "bo", ""),
        ("role.bind", "bo:viewer", "p"),
        ("role.unbind", "bo:viewer", "p"),
        ("user.update", "bo", ""),
        ("user.delete", "bo", ""),
    ]
    first, second = AuditEvent.objects.filter(verb="user.update").order_by("pk")
    assert first.detail == {"changed": ["is_superuser"], "is_superuser": True}
    assert second.detail == {"changed": ["password"]}


def test_projects_keep_their_identifier_and_are_never_deleted(client: Client, root: User) -> None:
    project = Project.objects.create(identifier="p", name="P")
    form = {"identifier": "q", "name": "New", "description": "", "labels": "{}", "state": "0"}
    client.post(reverse("admin:scheduler_project_change", args=[project.pk]), form)
    project.refresh_from_db()
    assert (project.identifier, project.name) == ("p", "New")
    assert trail() == [("project.update", "p", "p")]
    form |= {"identifier": "new", "name": "", "state": "1"}
    client.post(reverse("admin:scheduler_project_add"), form | {"name": "N"})
    assert trail()[1:] == [("project.create", "new", "new"), ("project.update", "new", "new")]
    refused = client.post(reverse("admin:scheduler_project_add"), form | {"identifier": "Not OK", "name": "N"})
    assert refused.status_code == 200 and b"invalid project id" in refused.content
    assert client.get(reverse("admin:scheduler_project_delete", args=[project.pk])).status_code == 403


def test_a_cluster_is_set_and_changed_by_the_same_action_as_elsewhere(client: Client, root: User) -> None:
    url, form = "/admin/scheduler/clustersettings/", {"name": "gpu", "description": "image: a:1", "kubeconfig": ""}
    refused = client.post(f"{url}add/", {**form, "description": "imagee: a:1"}).content.decode()
    assert "has no setting" in refused and not ClusterSettings.objects.exists()
    assert client.post(f"{url}add/", {**form, "kubeconfig": kubeconfig()}).status_code == 302
    row = ClusterSettings.objects.get()
    shown = client.get(f"{url}{row.pk}/change/").content.decode()
    assert "image: a:1" in shown and TOKEN not in shown
    assert client.post(f"{url}{row.pk}/change/", {**form, "description": "image: b:1"}).status_code == 302
    row.refresh_from_db()
    assert row.description == {"image": "b:1"} and row.sealed and row.updated_by == row.created_by != ""
    verbs = AuditEvent.objects.filter(verb__startswith="cluster.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["cluster.create", "cluster.update"]


INLINE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style|\sstyle=|\son[a-z]+=|\sx-data")


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/accounts/user/", "/admin/accounts/user/add/", "/admin/scheduler/quota/add/"]
)
def test_the_panel_wears_the_consoles_look_under_its_policy(client: Client, root: User, path: str) -> None:
    client.cookies["theme"] = "dark"
    answer = client.get(path)
    page = answer.content.decode()
    assert "default-src 'self';" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert INLINE.search(page) is None, INLINE.search(page)
    assert "css/admin." in page and 'name="causeway-theme" content="dark"' in page


def test_sessions_of_somebody_are_ended(client: Client, root: User) -> None:
    ann = User.objects.create(username="ann")
    hers = Client()
    hers.force_login(ann)
    chosen = {"action": "end_sessions", "_selected_action": [ann.pk]}
    client.post(reverse("admin:accounts_user_changelist"), chosen)
    assert hers.get("/tokens/").status_code == 302
    assert client.get("/tokens/").status_code == 200
    assert AuditEvent.objects.get(verb="session.end").actor == "root"


def test_roles_of_groups_are_set_where_there_are_such_projects(client: Client, root: User) -> None:
    Project.objects.get_or_create(identifier="p", defaults={"name": "p"})
    form = {"group": "ml", "role": "viewer", "project": "p", "domain": ""}
    client.post(reverse("admin:accounts_grouprole_add"), form)
    refused = client.post(reverse("admin:accounts_grouprole_add"), form | {"project": "nowhere"})
    assert "there is no project nowhere" in refused.content.decode()
    assert [str(row) for row in GroupRole.objects.all()] == ["ml: viewer in p/*"]
    assert AuditEvent.objects.filter(verb="grouprole.create", actor="root").count() == 1


QUOTA = {"scope": "project", "project": "demo", "resource": "attempts", "limit": "4", "warn_at": "80"}
QUOTA |= {"guaranteed": "0"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"limit": "-3"}, "cannot be negative"),
        ({"limit": "1e400"}, "between 0 and 2^53"),
        ({"limit": "nan"}, "resource quantity"),
        ({"limit": "1.5"}, "whole number"),
        ({"limit": "9" * 40}, "between 0 and 2^53"),
        ({"limit": ""}, "This field is required"),
        ({"guaranteed": "5"}, "above the limit"),
        ({"warn_at": "0"}, "1 to 100 percent"),
        ({"warn_at": "99999"}, "less than or equal to 32767"),
        ({"resource": "bananas"}, "no resource: there are executions"),
        ({"window": "day"}, "a window is of hours"),
        ({"project": "nowhere"}, "no project nowhere"),
        ({"domain": "mars"}, "does not go with what is named"),
        ({"user": "ann"}, "does not go with what is named"),
        ({"borrows_from": "1234567"}, "not one of the available choices"),
    ],
)
def test_a_quota_that_cannot_be_is_refused_in_a_sentence(
    client: Client, root: User, wrong: dict[str, str], said: str
) -> None:
    Project.objects.get_or_create(identifier="demo", defaults={"name": "demo"})
    answer = client.post(reverse("admin:scheduler_quota_add"), QUOTA | wrong)
    assert answer.status_code == 200 and said in html.unescape(answer.content.decode())
    assert not Quota.objects.exists()


def test_a_quota_below_what_runs_is_set_and_said_and_a_lender_stays(client: Client, root: User) -> None:
    for name in ("demo", "other"):
        Project.objects.get_or_create(identifier=name, defaults={"name": name})
    add = reverse("admin:scheduler_quota_add")
    assert client.post(add, QUOTA | {"limit": "9"}).status_code == 302
    lender = Quota.objects.get()
    assert client.post(add, QUOTA | {"project": "other", "borrows_from": str(lender.pk)}).status_code == 302
    change = reverse("admin:scheduler_quota_change", args=[lender.pk])
    circle = QUOTA | {"borrows_from": str(Quota.objects.get(project="other").pk)}
    assert "borrowing in a circle" in client.post(change, circle).content.decode()
    node = make_node()
    Execution.objects.filter(pk=node.execution_id).update(project="demo")
    attempts = [make_attempt(node, phase=AttemptPhase.RUNNING, index=index) for index in range(3)]
    lanes.give([one.pk for one in attempts])
    shown = client.post(change, QUOTA | {"limit": "2"}, follow=True).content.decode()
    assert "3 of 2 attempts of project demo are in use: what runs goes on, and nothing more starts" in shown
    assert TaskExecution.objects.filter(phase=AttemptPhase.RUNNING).count() == 3
    delete = reverse("admin:scheduler_quota_delete", args=[lender.pk])
    assert "would require deleting the following protected" in client.post(delete, {"post": "yes"}).content.decode()
    assert Quota.objects.filter(pk=lender.pk).exists()


def test_what_a_group_gives_no_more_is_taken_at_once_and_what_people_gave_stays(client: Client, root: User) -> None:
    Project.objects.get_or_create(identifier="p", defaults={"name": "p"})
    rows = [GroupRole.objects.create(group="ml", project="p", role=role) for role in ("viewer", "admin")]
    ann, bob = (User.objects.create(username=name) for name in ("ann", "bob"))
    for role in ("viewer", "admin"):
        RoleBinding.objects.create(user=ann, project="p", role=role, group="ml")
    RoleBinding.objects.create(user=bob, project="p", role="viewer")
    change = {"group": "ml", "role": "viewer", "project": "p", "domain": "development"}
    client.post(reverse("admin:accounts_grouprole_change", args=[rows[0].pk]), change)
    chosen = {"action": "delete_selected", "_selected_action": [rows[1].pk], "post": "yes"}
    client.post(reverse("admin:accounts_grouprole_changelist"), chosen)
    assert [str(row) for row in RoleBinding.objects.all()] == ["bob viewer in p/*"]
    assert AuditEvent.objects.filter(verb="role.unbind", actor="root").count() == 2


def test_checks_and_policies_are_set_and_removed_by_the_same_actions_as_elsewhere(client: Client, root: User) -> None:
    version = model("v1", auc=0.9)
    add = reverse("admin:artifacts_checkrule_add")
    typed = {"artifact": str(version.artifact_id), "name": "good", "kind": "metric", "severity": "block"}
    typed |= {"parameters": '{"metric": "auc", "at_least": "much"}', "partitions": "{}"}
    assert b"must be a finite number" in client.post(add, typed).content
    assert not CheckRule.objects.exists() and not AuditEvent.objects.filter(verb="check.set").exists()
    assert client.post(add, {**typed, "parameters": '{"metric": "auc", "at_least": 0.8}'}).status_code == 302
    rule = CheckRule.objects.get()
    assert (rule.set_by, CheckResult.objects.get().status) == ("root", "passed")
    change = reverse("admin:artifacts_checkrule_change", args=[rule.pk])
    assert client.post(change, {**typed, "parameters": '{"metric": "auc", "at_least": 0.95}'}).status_code == 302
    assert CheckResult.objects.get().status == "failed"

    policy = {"artifact": str(version.artifact_id), "alias": "champion"}
    add_policy = reverse("admin:artifacts_aliaspolicy_add")
    assert b"no check best" in client.post(add_policy, {**policy, "rules": '{"checks": ["best"]}'}).content
    assert client.post(add_policy, {**policy, "rules": '{"checks": ["good"]}'}).status_code == 302
    delete = reverse("admin:artifacts_checkrule_delete", args=[rule.pk])
    assert b"change that first" in client.get(delete).content
    client.post(delete, {"post": "yes"})
    assert CheckRule.objects.exists()
    row = AliasPolicy.objects.get()
    client.post(reverse("admin:artifacts_aliaspolicy_delete", args=[row.pk]), {"post": "yes"})
    client.post(delete, {"post": "yes"})
    assert not CheckRule.objects.exists() and not AliasPolicy.objects.exists()
    verbs = AuditEvent.objects.order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["check.set", "check.set", "alias_policy.set", "alias_policy.remove", "check.remove"]


def test_delegations_levels_and_holds_are_set_there_and_ended_on_their_pages(client: Client, root: User) -> None:
    version, other = model("v1"), published("other", 1)
    for name in ("ann", "bob"):
        User.objects.create(username=name)
    day = timezone.now() + timedelta(days=1)
    until = {"ends_at_0": f"{day:%Y-%m-%d}", "ends_at_1": "12:00", "ends_at": f"{day:%Y-%m-%d} 12:00"}
    given = {"giver": "ann", "to": "bob", "project": "", "reason": "holiday", **until}
    add = reverse("admin:scheduler_delegation_add")
    assert b"no active user" in client.post(add, {**given, "to": "zoe"}).content
    assert client.post(add, given).status_code == 302
    row = Delegation.objects.get()
    assert (row.giver, row.to, row.created_by) == ("ann", "bob", "root")
    assert client.post(reverse("admin:scheduler_delegation_delete", args=[row.pk]), {"post": "yes"}).status_code == 403

    level = {"project": "flytesnacks", "domain": "development", "kind": "fresh", "name": "model", "partitions": "{}"}
    add = reverse("admin:scheduler_servicelevel_add")
    assert client.post(add, {**level, "seconds": "-1", "time": "", "zone": ""}).status_code == 200
    assert client.post(add, {**level, "seconds": "3600", "time": "", "zone": ""}).status_code == 302
    assert ServiceLevel.objects.get().set_by == "root"

    hold = {"kind": "legal", "artifact": str(version.artifact_id), "version": str(version.pk), "reason": "a case"}
    add = reverse("admin:artifacts_hold_add")
    assert b"is no version of" in client.post(add, {**hold, "version": str(other.pk)}).content
    assert client.post(add, hold).status_code == 302
    assert Hold.objects.get().set_by == "root"
    assert b"is held so already" in client.post(add, hold).content

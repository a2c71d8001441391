from __future__ import annotations

from typing import Any

from audit.models import AuditEvent
from console.accounts.models import ApiToken, RoleBinding, User
from tests.console.rest.conftest import Caller, problem


def test_it_says_who_i_am(api: Caller) -> None:
    body = api("ann").get("/api/v1/me").json()
    assert body["username"] == "ann"
    assert body["roles"] == [{"project": "demo", "domain": "", "role": "contributor"}]


def test_it_makes_a_token_that_works(api: Caller) -> None:
    client = api("ann")
    made = client.post("/api/v1/tokens", {"name": "ci", "expires_at": "2999-01-01T00:00:00Z"})
    assert made.status_code == 201
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['secret']}")
    names = [each["name"] for each in client.get("/api/v1/tokens").json()["results"]]
    assert names == ["ci", "tests"]
    assert made.json()["secret"] not in client.get("/api/v1/tokens").content.decode()


def test_it_refuses_an_expiry_in_the_past(api: Caller) -> None:
    problem(api("ann").post("/api/v1/tokens", {"name": "ci", "expires_at": "2020-01-01T00:00:00Z"}), 400)


def test_it_revokes_my_token_only(api: Caller) -> None:
    ann, vic = api("ann"), api("vic")
    mine = ApiToken.objects.get(user__username="ann")
    problem(vic.delete(f"/api/v1/tokens/{mine.pk}"), 404)
    assert ann.delete(f"/api/v1/tokens/{mine.pk}").status_code == 204
    problem(ann.get("/api/v1/me"), 401)


def test_it_pages_newest_first(api: Caller) -> None:
    client = api("ann")
    for number in range(5):
        client.post("/api/v1/tokens", {"name": f"t{number}"})
    seen: list[str] = []
    url: str | None = "/api/v1/tokens?limit=4"
    while url:
        page = client.get(url).json()
        seen += [each["name"] for each in page["results"]]
        url = page["next"]
    assert seen == ["t4", "t3", "t2", "t1", "t0", "tests"]


def test_an_admin_of_a_project_binds_roles_there_alone(api: Caller, cast: dict[str, User]) -> None:
    ada = api("ada")
    body = {"user": "sue", "role": "viewer", "project": "demo", "domain": "staging"}
    made = ada.post("/api/v1/role-bindings", body)
    assert made.status_code == 201
    problem(ada.post("/api/v1/role-bindings", {**body, "project": "elsewhere"}), 403)
    problem(ada.post("/api/v1/role-bindings", {"user": "sue", "role": "viewer"}), 403)
    problem(ada.post("/api/v1/role-bindings", {**body, "role": "emperor"}), 400)
    problem(ada.post("/api/v1/role-bindings", {**body, "user": "nobody"}), 404)
    bound = [each["user"] for each in ada.get("/api/v1/role-bindings").json()["results"]]
    assert bound == ["sue", "ada", "abe", "ann", "vic"]
    assert ada.delete(f"/api/v1/role-bindings/{made.json()['id']}").status_code == 204
    foreign = RoleBinding.objects.get(project="elsewhere")
    problem(ada.delete(f"/api/v1/role-bindings/{foreign.pk}"), 404)


def test_others_neither_see_nor_bind_roles(api: Caller) -> None:
    abe = api("abe")
    assert abe.get("/api/v1/role-bindings").json()["results"] == []
    problem(abe.post("/api/v1/role-bindings", {"user": "abe", "role": "admin", "project": "demo"}), 403)


def test_the_audit_trail_is_for_admins_of_its_scope(api: Caller, django_assert_num_queries: Any) -> None:
    AuditEvent.objects.create(actor="ann", verb="x.y", subject="z", project="demo")
    AuditEvent.objects.create(actor="sue", verb="x.y", subject="z", project="elsewhere")
    seen = {name: api(name).get("/api/v1/audit?verb=x.y").json()["results"] for name in ("root", "ada", "abe")}
    assert [len(seen[name]) for name in ("root", "ada", "abe")] == [2, 1, 0]
    client = api("ada")
    client.get("/api/v1/me")
    with django_assert_num_queries(3):  # token, bindings, rows
        client.get("/api/v1/audit")

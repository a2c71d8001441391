from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.test import APIClient

from audit.models import AuditEvent
from console.accounts import tokens
from console.accounts.models import User
from tests.console.rest.conftest import Caller, problem

URL = "/api/v1/projects/elsewhere/service-accounts"


def test_a_projects_admin_makes_one_gives_it_a_token_and_closes_it(api: Caller, cast: dict[str, User]) -> None:
    sue = api("sue")
    made = sue.post(URL, {"name": "ci", "role": "contributor", "domain": "development"})
    assert made.status_code == 201
    assert {key: made.json()[key] for key in ("name", "project", "is_open")} == {
        "name": "ci",
        "project": "elsewhere",
        "is_open": True,
    }
    token = sue.post(f"{URL}/ci/tokens", {"name": "nightly"}).json()
    assert token["project"] == "elsewhere"
    robot, headers = APIClient(), {"Authorization": f"Bearer {token['secret']}"}
    assert robot.get("/api/v1/me", headers=headers).json()["username"] == "ci"
    assert sue.delete(f"{URL}/ci").status_code == 204
    assert robot.get("/api/v1/me", headers=headers).status_code == 401
    assert [row["is_open"] for row in sue.get(URL).json()["results"]] == [False]
    problem(sue.post(f"{URL}/ci/tokens", {"name": "again"}), 409)
    verbs = AuditEvent.objects.filter(actor="sue", verb__startswith="service_account").order_by("id")
    assert [(row.verb, row.project) for row in verbs] == [
        ("service_account.create", "elsewhere"),
        ("service_account.close", "elsewhere"),
    ]


def test_nobody_else_may(api: Caller, cast: dict[str, User]) -> None:
    api("sue").post(URL, {"name": "ci", "role": "viewer"})
    calls: tuple[Callable[[APIClient], Any], ...] = (
        lambda who: who.get(URL),
        lambda who: who.post(URL, {"name": "x", "role": "admin"}),
        lambda who: who.delete(f"{URL}/ci"),
        lambda who: who.post(f"{URL}/ci/tokens", {"name": "x"}),
    )
    for call in calls:
        problem(call(api("vic")), 404)
    demo = "/api/v1/projects/demo/service-accounts"
    problem(api("vic").get(demo), 403)
    problem(api("root").delete(f"{demo}/ci"), 404)  # it is another project's
    assert User.objects.get(username="ci").is_active


def test_what_is_wrong_is_said(api: Caller, cast: dict[str, User]) -> None:
    sue = api("sue")
    problem(sue.post(URL, {"name": "sue", "role": "viewer"}), 409)
    problem(sue.post(URL, {"name": "Root", "role": "viewer"}), 409)  # would be taken for another
    problem(sue.post(URL, {"name": "a b", "role": "viewer"}), 400)
    problem(sue.post(URL, {"name": "x", "role": "emperor"}), 400)
    problem(sue.post(URL, {"name": "x", "role": "viewer", "domain": "moon"}), 400)
    assert not User.objects.filter(service_of="elsewhere").exists()


def test_a_limited_token_makes_none_that_may_more_or_outlives_it(api: Caller, cast: dict[str, User]) -> None:
    api("sue").post(URL, {"name": "ci", "role": "admin"})
    limited, secret = tokens.create(cast["sue"], "for a day", scopes=["admin"])
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    made = client.post(f"{URL}/ci/tokens", {"name": "nightly"}, format="json").json()
    assert (made["scopes"], made["project"], made["made_with"]) == (["admin"], "elsewhere", limited.pk)
    tokens.revoke(limited, actor="sue")
    robot = APIClient(headers={"Authorization": f"Bearer {made['secret']}"})
    assert robot.get("/api/v1/me").status_code == 401

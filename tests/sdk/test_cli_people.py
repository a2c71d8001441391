"""Projects, members, tokens, `whoami` and `open`; what was probably meant; tables as wide as the terminal."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from causeway.cli.output import fitted, local_time
from causeway.cli.suggestions import near

from artifacts.exceptions import Unauthenticated
from artifacts.models import Kind
from console.accounts import tokens
from console.accounts.models import ApiToken, Role, RoleBinding, User
from scheduler.models import Project
from tests.console.pages.cast import make_version
from tests.sdk.conftest import Command


@pytest.fixture
def admin(causeway: Command) -> User:
    """The command's account administers the project."""
    user = User.objects.get(username="abe")
    RoleBinding.objects.filter(user=user).update(role=Role.ADMIN)
    return user


def test_it_says_who_it_acts_as_where_and_with_which_roles(causeway: Command) -> None:
    assert "abe at http" in (said := causeway("whoami")) and "roles: approver in demo" in said
    assert json.loads(causeway("whoami", "--json"))["username"] == "abe"
    RoleBinding.objects.all().delete()
    assert "ask an administrator" in causeway("whoami")


def test_members_come_and_go(causeway: Command, admin: User) -> None:
    User.objects.create(username="vic")
    assert causeway("member", "add", "vic", "viewer") == "vic is viewer in demo\n"
    causeway("member", "add", "vic", "approver", "--in-domain", "staging")
    rows = json.loads(causeway("member", "list", "--user", "vic", "--json"))
    assert {(row["role"], row["domain"]) for row in rows} == {("viewer", ""), ("approver", "staging")}
    assert "vic" in causeway("project", "show", "demo")

    causeway("member", "remove", "vic", "approver", exit_code=3)
    causeway("member", "remove", "vic", "approver", "--in-domain", "staging")

    assert [row.role for row in RoleBinding.objects.filter(user__username="vic")] == ["viewer"]
    causeway("member", "add", "nobody", "viewer", exit_code=3)


def test_who_does_not_administer_gives_no_role(causeway: Command) -> None:
    User.objects.create(username="vic")
    causeway("member", "add", "vic", "viewer", exit_code=4)
    assert not RoleBinding.objects.filter(user__username="vic").exists()


def test_accounts_of_programs_are_made_given_tokens_and_closed(causeway: Command, admin: User) -> None:
    assert "ci is made" in causeway("service-account", "create", "ci", "contributor")
    causeway("service-account", "create", "ci", "contributor", exit_code=1)
    secret = causeway("service-account", "token", "ci", "pipeline", "--days", "30").strip()
    made = ApiToken.objects.get(user__username="ci")
    assert made.name == "pipeline" and made.project == "demo" and made.expires_at is not None
    assert tokens.authenticate(secret).username == "ci"
    assert "ci" in causeway("service-account", "list")

    assert causeway("service-account", "close", "ci") == "ci is closed\n"

    with pytest.raises(Unauthenticated):
        tokens.authenticate(secret)
    assert "ci" not in causeway("service-account", "list")
    assert "ci" in causeway("service-account", "list", "--all")
    causeway("service-account", "token", "ci", "again", exit_code=1)
    causeway("service-account", "close", "nobody", exit_code=3)


def test_projects_are_made_archived_and_put_back(causeway: Command, admin: User) -> None:
    causeway("project", "create", "fresh", exit_code=4)
    User.objects.filter(pk=admin.pk).update(is_superuser=True)
    causeway("project", "create", "fresh", "--title", "Fresh", "--label", "team=sea")
    assert "fresh" in causeway("project", "list") and "team=sea" in causeway("project", "show", "fresh")
    causeway("project", "archive", "fresh")
    assert "fresh" not in causeway("project", "list") and "fresh" in causeway("project", "list", "--all")
    causeway("project", "restore", "fresh")
    assert Project.objects.get(identifier="fresh").state == Project.State.ACTIVE


def test_a_token_is_made_once_shown_and_ended(causeway: Command) -> None:
    secret = causeway("token", "create", "ci", "--days", 7, "--scope", "read", "--only-in", "demo").strip()
    made = ApiToken.objects.get(name="ci")
    assert secret.startswith("cwy_") and made.scopes == ["read"] and made.project == "demo" and made.expires_at
    assert "ci" in causeway("token", "list")
    causeway("token", "revoke", made.pk)
    assert "ci" not in causeway("token", "list") and "ci" in causeway("token", "list", "--all")


def test_open_names_the_page_of_what_is_meant(causeway: Command) -> None:
    base = causeway("open", "--print").strip()
    assert causeway("open", "execution", "--print") == f"{base}executions/\n"
    assert causeway("open", "artifact", "my data", "--print") == f"{base}artifacts/demo/development/my%20data/\n"
    assert causeway("open", "task", "other/staging/t.a", "--print") == f"{base}tasks/other/staging/t.a/\n"


def test_a_typing_error_is_told_what_it_may_have_meant(causeway: Command) -> None:
    make_version("eta-model", Kind.MODEL)

    assert "did you mean eta-model?" in causeway("artifact", "get", "eta-modl", exit_code=3)
    assert "Did you mean execution?" in causeway("exection", "list", exit_code=2)
    assert "Did you mean logs?" in causeway("execution", "lgos", exit_code=2)
    assert "did you mean" not in causeway("artifact", "get", "zzz", exit_code=3)


def test_near_names_are_those_of_a_slip_also_behind_the_dots() -> None:
    known = ["team.flows.train_eta", "team.flows.train_all", "daily"]
    assert near("train_eta", known)[0] == "team.flows.train_eta"
    assert near("team.flows.trian_eta", known)[0] == "team.flows.train_eta"
    assert near("unrelated", known) == []


@pytest.mark.parametrize(
    ("widths", "room", "expected"),
    [
        ([10, 10], 80, [10, 10]),
        ([20, 60, 10], 70, [20, 36, 10]),
        ([60, 8, 8], 40, [20, 8, 8]),
        ([8, 8], 5, [8, 8]),
    ],
)
def test_columns_give_way_the_widest_first_and_the_name_last(widths: list[int], room: int, expected: list[int]) -> None:
    assert fitted(widths, room) == expected


def test_times_are_those_of_here() -> None:
    here = datetime.fromisoformat("2026-01-31T18:00:00+00:00").astimezone()
    assert local_time("2026-01-31T18:00:00.123456Z") == here.strftime("%Y-%m-%d %H:%M:%S")
    assert local_time("n0") == "n0"

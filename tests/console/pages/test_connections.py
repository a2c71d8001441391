from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Role, User
from scheduler.models import Connection
from scheduler.secrets.connections import secrets_of
from tests.console.pages.cast import World, user

Browse = Callable[[User], Client]
PASSWORD = "s3cr3t-of-the-team"
FORM = {
    "project": "demo",
    "domain": "development",
    "name": "warehouse",
    "kind": "postgresql",
    "host": "db.example.org",
    "port": "5432",
    "user": "ada",
    "database": "sea",
    "options": "sslmode: require\r\n",
    "password": PASSWORD,
    "secrets": "token: t0ken-of-the-team\r\n",
}


def test_it_is_set_changed_and_removed_and_no_secret_is_shown(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    shown = client.post("/connections/set/", FORM, follow=True).content.decode()
    assert "warehouse is set." in shown and "of-the-team" not in shown
    made = Connection.objects.get()
    filled = client.get(f"/connections/?edit={made.pk}").content.decode()
    assert 'value="db.example.org"' in filled and "sslmode: require" in filled and "of-the-team" not in filled
    changed = FORM | {"password": "", "secrets": "token: null", "host": "new.example.org"}
    assert "warehouse is changed." in client.post("/connections/set/", changed, follow=True).content.decode()
    made.refresh_from_db()
    assert (made.host, secrets_of(made)) == ("new.example.org", {"password": PASSWORD})
    removed = client.post(f"/connections/{made.pk}/remove/", follow=True).content.decode()
    assert "No connections here" in removed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "A b"}, "cannot be the name of a connection"),
        ({"port": "many"}, "port: a whole number"),
        ({"options": "- a"}, "options: lines of"),
        ({"secrets": "a: b: s3cr3t"}, "secrets: lines of"),
        ({"domain": "moon"}, "unrecognized"),
    ],
)
def test_it_says_what_is_wrong_and_keeps_what_is_no_secret(
    world: World, browse: Browse, wrong: dict[str, str], said: str
) -> None:
    answer = browse(world.admin).post("/connections/set/", FORM | wrong)
    text = answer.content.decode()
    assert answer.status_code == 400 and said in text and "db.example.org" in text and "s3cr3t" not in text
    assert not Connection.objects.exists()


def test_only_administrators_set_and_only_who_registers_sees_it(world: World, browse: Browse) -> None:
    browse(world.admin).post("/connections/set/", FORM)
    made = Connection.objects.get()
    contributor = browse(user("carl", role=Role.CONTRIBUTOR))
    text = contributor.get("/connections/?project=demo").content.decode()
    assert "warehouse" in text and "Set a connection" not in text and "Remove" not in text
    assert contributor.get(f"/connections/?edit={made.pk}").status_code == 403
    assert contributor.post("/connections/set/", FORM).status_code == 403
    assert contributor.post(f"/connections/{made.pk}/remove/").status_code == 403
    assert "No connections here" in browse(world.viewer).get("/connections/").content.decode()


def test_the_admin_panel_sets_and_removes_it_by_the_same_action(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    form = {**FORM, "options": '{"sslmode": "require"}'}
    form.pop("secrets")
    refused = client.post("/admin/scheduler/connection/add/", {**form, "name": "A b"}).content.decode()
    assert "cannot be the name of a connection" in refused and not Connection.objects.exists()
    assert client.post("/admin/scheduler/connection/add/", form).status_code == 302
    made = Connection.objects.get()
    assert (secrets_of(made), made.updated_by) == ({"password": PASSWORD}, world.admin.username)
    change = f"/admin/scheduler/connection/{made.pk}/change/"
    assert PASSWORD not in client.get(change).content.decode()
    assert client.post(change, {**form, "host": "h", "password": ""}).status_code == 302
    made.refresh_from_db()
    assert (made.host, secrets_of(made)) == ("h", {"password": PASSWORD})
    client.post(f"/admin/scheduler/connection/{made.pk}/delete/", {"post": "yes"})
    assert not Connection.objects.exists()

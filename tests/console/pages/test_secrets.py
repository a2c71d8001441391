from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from audit.models import AuditEvent
from console.accounts.models import Role, User
from scheduler.models import Secret
from tests.console.pages.cast import World, user

Browse = Callable[[User], Client]
VALUE = "s3cr3t-of-the-team"
FORM = {"project": "demo", "domain": "development", "group": "team", "key": "token", "version": "", "value": VALUE}


def test_it_sets_replaces_and_removes_a_secret_and_shows_no_value(world: World, browse: Browse) -> None:
    client = browse(world.admin)
    shown = client.post("/secrets/set/", FORM, follow=True).content.decode()
    assert "team/token is set." in shown and VALUE not in shown
    shown = client.post("/secrets/set/", FORM | {"value": "line\r\nline"}, follow=True).content.decode()
    assert "team/token has a new value." in shown
    made = Secret.objects.get()
    assert "No secrets here" in client.post(f"/secrets/{made.pk}/remove/", follow=True).content.decode()
    verbs = AuditEvent.objects.filter(verb__startswith="secret.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["secret.create", "secret.replace", "secret.remove"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": "a b"}, "cannot be the key"),
        ({"group": "", "key": ""}, "a group, a key, or both"),
        ({"value": ""}, "needs a value"),
        ({"domain": "moon"}, "unrecognized"),
        ({"project": ""}, "a domain needs its project"),
    ],
)
def test_it_says_what_is_wrong_and_keeps_the_names_only(
    world: World, browse: Browse, wrong: dict[str, str], said: str
) -> None:
    answer = browse(world.admin).post("/secrets/set/", FORM | wrong)
    text = answer.content.decode()
    assert answer.status_code == 400 and said in text and VALUE not in text
    assert not Secret.objects.exists()


def test_only_administrators_set_and_only_who_registers_sees_names(world: World, browse: Browse) -> None:
    browse(world.admin).post("/secrets/set/", FORM)
    made = Secret.objects.get()
    contributor = browse(user("carl", role=Role.CONTRIBUTOR))
    text = contributor.get("/secrets/?project=demo").content.decode()
    assert "token" in text and "Set a secret" not in text and "Remove" not in text
    assert contributor.post("/secrets/set/", FORM).status_code == 403
    assert contributor.post(f"/secrets/{made.pk}/remove/").status_code == 403
    assert "No secrets here" in browse(world.viewer).get("/secrets/").content.decode()
    assert Secret.objects.exists()

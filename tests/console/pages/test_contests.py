"""Pages of contests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from artifacts.models import Alias
from console.accounts.models import User
from scheduler.models import Contest
from tests.scheduler.contests import program

Browse = Callable[[User], Client]


@pytest.fixture
def root(db: None, object_store: str) -> User:
    return User.objects.create(username="root", is_superuser=True)


def test_a_contest_is_set_shown_and_decided_on_its_page(root: User, browse: Browse) -> None:
    client, played = browse(root), program.World()
    page = f"/contests/{played.contest.pk}/"
    shown = client.get(page).content.decode()
    assert "winner" in shown and "auc over versions of rides" in shown and "none yet: they follow" not in shown
    assert "demand:champion" in client.get("/contests/").content.decode()
    played.production(played.champion)
    assert played.challenger.version in client.get(page).content.decode()
    client.post(f"{page}champion/", {"version": played.challenger.pk, "reason": "smaller"})
    assert Alias.objects.get(name="champion").version == played.challenger
    client.post(f"{page}champion/", {"version": played.data.pk})
    assert "is no version of flytesnacks/development/demand" in client.get(page).content.decode()
    form = {"project": "flytesnacks", "domain": "development", "model": "demand", "alias": "champion"}
    form |= {"dataset": "rides", "members": "linear, late", "metric": "auc", "better": ""}
    client.post("/contests/set/", form)
    said = client.get("/contests/").content.decode()
    assert "there is no launch plan late" in said and 'value="linear, late"' in said
    program.plan("late")
    assert client.post("/contests/set/", form).headers["Location"] == page
    assert "Train the missing" in client.get(page).content.decode()
    client.post(f"{page}catch-up/", {"version": played.data.pk})
    assert "Train the missing" not in client.get(page).content.decode()
    outsider = browse(User.objects.create(username="out"))
    assert outsider.get(page).status_code == 404
    assert outsider.post(f"{page}remove/").status_code == 404
    client.post(f"{page}remove/")
    assert Contest.objects.get().removed_at is not None and client.get(page).status_code == 404

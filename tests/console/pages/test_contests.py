"""Pages of contests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from artifacts.governance.pointers import set_alias_policy
from artifacts.models import Alias, Artifact, ArtifactVersion
from console.accounts.models import User
from scheduler.models import Contest
from tests.scheduler.contests import program

Browse = Callable[[User], Client]


def per_region() -> tuple[Contest, ArtifactVersion, ArtifactVersion]:
    """A contest about an alias that is kept per region; in Seattle the champion won, in Los Angeles the challenger."""
    played = program.World()
    far = program.rides(2)
    challenger = program.trained("forest", far, 0.95)
    Artifact.objects.filter(name__in=("rides", "demand")).update(partition_keys=["region"])
    for region, versions in {
        "SEA": [played.data, played.champion, played.challenger],
        "LAX": [far, challenger],
    }.items():
        ArtifactVersion.objects.filter(pk__in=[one.pk for one in versions]).update(partitions={"region": region})
    model = Artifact.objects.get(name="demand")
    set_alias_policy(model, "champion", {"per": ["region"]}, actor="root")
    return played.contest, played.champion, challenger


@pytest.fixture
def root(db: None, object_store: str) -> User:
    return User.objects.create(username="root", is_superuser=True)


def test_where_the_alias_is_kept_per_region_each_has_its_champion_and_its_winner(root: User, browse: Browse) -> None:
    contest, champion, challenger = per_region()
    answer = browse(root).get(f"/contests/{contest.pk}/")
    leaders = answer.context["board"].leaders
    assert [(of, entry.model.version) for of, entry in leaders] == [
        ({"region": "LAX"}, challenger.version),
        ({"region": "SEA"}, champion.version),
    ]
    page = answer.content.decode()
    assert page.count('title="region = SEA"') >= 2  # the champion's and the round's
    assert f'<option value="{challenger.pk}">region=LAX, ' in page


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

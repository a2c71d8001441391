"""The page of clusters: for administrators of the platform, who set, switch and remove them there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from audit.models import AuditEvent
from console.accounts.models import User
from scheduler.attempts.claims import heartbeat
from scheduler.attempts.resources import Resources
from scheduler.executors.kubernetes import asking, clusters
from scheduler.models import ClusterSettings, TaskExecution
from scheduler.phases import AttemptPhase
from tests.console.pages.cast import World, user
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving
from tests.scheduler.executors.kubernetes.kubeconfigs import TOKEN, kubeconfig

Browse = Callable[[User], Client]
FORM = {"name": "gpu", "description": "image: team/tasks:1\r\nlabels: [gpu]\r\n", "kubeconfig": kubeconfig()}


@pytest.fixture(autouse=True)
def as_after_a_start() -> None:
    asking.forget()


@pytest.fixture
def root(db: None) -> User:
    return user("root", superuser=True)


def test_one_is_set_switched_changed_and_removed(root: User, browse: Browse) -> None:
    client = browse(root)
    shown = client.post("/clusters/set/", FORM, follow=True).content.decode()
    assert "gpu is set." in shown and "team/tasks:1" in shown and TOKEN not in shown
    assert "has not been seen" in shown
    shown = client.post("/clusters/gpu/switch/", {"open": "no"}, follow=True).content.decode()
    assert "takes no new attempts" in shown and not clusters.configured()[0].open
    shown = client.get("/clusters/?edit=gpu").content.decode()
    assert "Change gpu" in shown and "open: false" in shown
    client.post("/clusters/set/", {"name": "gpu", "description": "image: b:1", "kubeconfig": ""})
    row = ClusterSettings.objects.get()
    assert row.description == {"image": "b:1"} and row.sealed
    client.post("/clusters/set/", {"name": "gpu", "description": "image: b:1", "kubeconfig": "", "without": "yes"})
    assert not ClusterSettings.objects.get().sealed
    assert "No clusters" in client.post("/clusters/gpu/remove/", follow=True).content.decode()
    verbs = AuditEvent.objects.filter(verb__startswith="cluster.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["cluster.create", *["cluster.update"] * 3, "cluster.remove"]


def test_one_that_is_closed_drains_until_nothing_is_on_it(root: User, browse: Browse) -> None:
    client = browse(root)
    client.post("/clusters/set/", FORM)
    attempt = make_attempt(executor="kubernetes", cluster="gpu", phase=AttemptPhase.RUNNING)
    assert ">Open<" in client.get("/clusters/").content.decode()
    shown = client.post("/clusters/gpu/switch/", {"open": "no"}, follow=True).content.decode()
    assert ">Draining<" in shown and "<dd>1, that go on: nothing new comes</dd>" in shown
    TaskExecution.objects.filter(pk=attempt.pk).update(phase=AttemptPhase.SUCCEEDED)
    shown = client.get("/clusters/").content.decode()
    assert ">Closed<" in shown and "<dd>0</dd>" in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"description": "imagee: x"}, "has no setting"),
        ({"name": "Big"}, "small letters"),
        ({"kubeconfig": kubeconfig(user={"exec": {"command": "sh"}})}, "a program of this machine"),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(
    root: User, browse: Browse, wrong: dict[str, str], said: str
) -> None:
    answer = browse(root).post("/clusters/set/", FORM | wrong)
    text = answer.content.decode()
    assert answer.status_code == 400 and said in text and (FORM | wrong)["name"] in text and TOKEN not in text
    assert not ClusterSettings.objects.exists()


def test_the_overview_comes_after_the_page(root: User, browse: Browse) -> None:
    client = browse(root)
    with serving(FakeCluster()) as api:
        client.post("/clusters/set/", FORM | {"kubeconfig": kubeconfig(api.host)})
        assert 'hx-get="/clusters/gpu/overview/"' in client.get("/clusters/").content.decode()
        assert "Kubernetes 1.34.4 at" in client.get("/clusters/gpu/overview/").content.decode()


def test_its_pools_have_a_page(root: User, browse: Browse) -> None:
    client = browse(root)
    handle = "p-d/pool-k-1"
    attempt = make_attempt(executor="kubernetes", cluster="gpu", phase=AttemptPhase.RUNNING, handle=handle)
    with serving(FakeCluster()) as api:
        client.post("/clusters/set/", FORM | {"kubeconfig": kubeconfig(api.host)})
        assert 'href="/clusters/gpu/pools/"' in client.get("/clusters/").content.decode()
        text = client.get("/clusters/gpu/pools/").content.decode()
    assert "No pods stay here now" in text and "pool-k-1" in text and attempt.node.execution.name in text


def test_those_of_the_file_are_shown_and_not_changed(
    root: User, browse: Browse, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "clusters.yaml").write_text("name: office\nimage: a:1\n")
    settings.CAUSEWAY_CLUSTERS = str(tmp_path / "clusters.yaml")
    client = browse(root)
    text = client.get("/clusters/").content.decode()
    assert "office" in text and "the settings file" in text and "Remove" not in text
    assert client.post("/clusters/office/switch/", {"open": "no"}).status_code == 409
    assert client.post("/clusters/set/", {"name": "office", "description": ""}).status_code == 400


def test_it_is_for_administrators_of_the_platform(world: World, root: User, browse: Browse) -> None:
    browse(root).post("/clusters/set/", FORM)
    assert 'href="/clusters/"' in browse(root).get("/").content.decode()
    for other in (world.admin, world.viewer):
        client = browse(other)
        if other.is_superuser:
            continue
        assert 'href="/clusters/"' not in client.get("/").content.decode()
        assert {client.get("/clusters/").status_code, client.get("/clusters/gpu/pools/").status_code} == {403}
        for url in ("/clusters/set/", "/clusters/gpu/switch/", "/clusters/gpu/remove/"):
            assert client.post(url, FORM).status_code == 403
    assert ClusterSettings.objects.exists()


def test_what_stays_on_machines_for_later_tasks_is_shown(root: User, browse: Browse) -> None:
    since = {"form": "dask", "image": "team/birds:1", "keep": 600, "since": 0.0}
    used = {**since, "form": "ray", "project": "fish", "domain": "staging", "in_use": True}
    waits = {**since, "project": "birds", "domain": "development", "in_use": False}
    heartbeat("isle", "local", Resources(), now=datetime.now(timezone.utc), kept=[waits, used])
    heartbeat("absent", "local", Resources(), now=datetime.now(timezone.utc) - timedelta(hours=1), kept=[waits])
    shown = browse(root).get("/clusters/").content.decode()
    assert "birds/development" in shown and "Waits up to 600 s" in shown and "In use" in shown and "absent" not in shown
    found = browse(root).get("/api/v1/kept-clusters").json()["results"]
    assert [(one["machine"], one["form"], one["project"]) for one in found] == [
        ("isle", "dask", "birds"),
        ("isle", "ray", "fish"),
    ]
    assert browse(user("ann")).get("/api/v1/kept-clusters").status_code == 403

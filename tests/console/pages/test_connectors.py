"""The page of connectors, and what the page of a node shows of a job."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from console.accounts.models import User
from scheduler.executors.connectors import connectors
from scheduler.models import ConnectorCatalogue, ConnectorJob, ConnectorSettings, Execution, ExecutorInstance
from scheduler.phases import AttemptPhase
from tests.console.pages.cast import World, user
from tests.scheduler.attempts import make_attempt

Browse = Callable[[User], Client]
FORM = {"name": "yard", "description": "endpoint: yard:8000\r\nprojects: [isles]\r\n"}


@pytest.fixture
def root(db: None) -> User:
    return user("root", superuser=True)


def test_one_is_set_switched_changed_and_removed(root: User, browse: Browse) -> None:
    client = browse(root)
    shown = client.post("/connectors/set/", FORM, follow=True).content.decode()
    assert "yard is set." in shown and "yard:8000" in shown and "No answer" in shown
    now = timezone.now()
    types = [{"agent": "Yard", "type": "ship", "version": 2, "sync": True}]
    ConnectorCatalogue.objects.create(name="yard", endpoint="yard:8000", types=types, read_at=now, asked_at=now)
    assert "No answer" in client.get("/connectors/").content.decode(), "nobody is there who asks it"
    ExecutorInstance.objects.create(name="connectors", executor="connectors", started_at=now, seen_at=now)
    shown = client.get("/connectors/").content.decode()
    assert "It answers" in shown and "in one call" in shown and ">ship<" in shown
    shown = client.post("/connectors/yard/switch/", {"open": "no"}, follow=True).content.decode()
    assert "takes no new attempts" in shown and not connectors.configured()[0].open
    assert "open: false" in client.get("/connectors/?edit=yard").content.decode()
    client.post("/connectors/set/", {**FORM, "description": "endpoint: b:1"})
    assert ConnectorSettings.objects.get().description == {"endpoint": "b:1"}
    assert "No connectors" in client.post("/connectors/yard/remove/", follow=True).content.decode()
    verbs = AuditEvent.objects.filter(verb__startswith="connector.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["connector.create", *["connector.update"] * 2, "connector.remove"]


def test_what_is_not_understood_is_said_beside_what_was_typed(root: User, browse: Browse) -> None:
    answer = browse(root).post("/connectors/set/", {**FORM, "description": "endpiont: yard:8000"})
    assert answer.status_code == 400
    shown = answer.content.decode()
    assert "has no setting" in shown and "endpiont: yard:8000" in shown and not ConnectorSettings.objects.exists()


def test_others_do_not_see_it(world: World, browse: Browse) -> None:
    client = browse(world.viewer)
    assert client.get("/connectors/").status_code == 403
    assert client.post("/connectors/set/", FORM).status_code == 403
    assert "/connectors/" not in client.get("/").content.decode()


def test_a_node_shows_its_job_with_links_and_what_the_connector_says(root: User, browse: Browse) -> None:
    attempt = make_attempt(executor="connectors", phase=AttemptPhase.RUNNING)
    ConnectorJob.objects.create(
        attempt=attempt,
        connector="yard",
        asked_at=timezone.now(),
        created_at=timezone.now(),
        links=[["Dock", "https://yard.example/7"]],
        info={"hull": "Argo <b>"},
    )
    execution = Execution.objects.get(pk=attempt.execution_id)
    url = f"/executions/{execution.project}/{execution.domain}/{execution.name}/nodes/{attempt.node.node_id}/"
    shown = browse(root).get(url).content.decode()
    assert 'href="https://yard.example/7"' in shown and "Argo &lt;b&gt;" in shown and "connectors yard" in shown
    api = browse(root).get(f"/api/v1{url}".rstrip("/")).json()["newest_attempts"][0]
    assert api["log_links"] == {"Dock": "https://yard.example/7"}
    assert (api["connector"], api["custom_info"]) == ("yard", {"hull": "Argo <b>"})

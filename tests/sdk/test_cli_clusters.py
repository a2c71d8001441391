"""`causeway cluster` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from causeway.client import CausewayError, Client

from console.accounts.models import Role, RoleBinding
from scheduler.executors.kubernetes import asking
from scheduler.models import ClusterSettings
from scheduler.phases import AttemptPhase
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving
from tests.scheduler.executors.kubernetes.kubeconfigs import TOKEN, kubeconfig
from tests.sdk.conftest import Command


@pytest.fixture(autouse=True)
def administrator(client: Client) -> None:
    RoleBinding.objects.update(role=Role.ADMIN, project="", domain="")
    asking.forget()


def test_one_is_set_changed_shown_listed_and_removed(causeway: Command, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig())
    made = causeway("cluster", "set", "gpu", "--kubeconfig", tmp_path / "kubeconfig", "--image", "team/tasks:1")
    assert "gpu is set, open for new attempts" in made
    assert "closed" in causeway("cluster", "set", "gpu", "--closed")
    shown = causeway("cluster", "show", "gpu")
    assert "team/tasks:1" in shown and TOKEN not in shown
    (tmp_path / "gpu.yaml").write_text("image: team/tasks:2\n")
    causeway("cluster", "set", "gpu", "--from-file", tmp_path / "gpu.yaml")
    (row,) = json.loads(causeway("cluster", "list", "--json"))
    assert (row["name"], row["open"], row["kubeconfig"], row["description"]) == (
        "gpu", True, "set", {"image": "team/tasks:2"},
    )  # fmt: skip
    assert "gpu is removed" in causeway("cluster", "remove", "gpu")
    assert not ClusterSettings.objects.exists()


def test_it_says_what_is_wrong(causeway: Command) -> None:
    assert "no cluster gpu" in causeway("cluster", "show", "gpu", exit_code=3)
    causeway("cluster", "set", "gpu", "--image", "a:1")
    assert "nothing to set" in causeway("cluster", "set", "gpu", exit_code=2)
    RoleBinding.objects.update(role=Role.ADMIN, project="demo")
    assert "whole platform" in causeway("cluster", "list", exit_code=4)


def test_check_asks_the_cluster_and_fails_where_tasks_cannot_run(
    causeway: Command, client: Client, tmp_path: Path
) -> None:
    with serving(FakeCluster()) as api:
        (tmp_path / "kubeconfig").write_text(kubeconfig(api.host))
        causeway("cluster", "set", "gpu", "--kubeconfig", tmp_path / "kubeconfig", "--image", "a:1")
        told = client.clusters.check("gpu")
        assert told[0].startswith("cluster gpu: Kubernetes")
        assert any("MISSING, without it no task ends well" in line for line in told)  # the store of tests is a folder
        causeway("cluster", "check", "gpu", exit_code=1)


def test_draining_closes_it_and_waits_for_what_is_on_it(causeway: Command, client: Client) -> None:
    causeway("cluster", "set", "gpu", "--image", "a:1")
    assert "gpu takes no new attempts; none are on it" in causeway("cluster", "drain", "gpu", "--wait", "5")
    assert (client.clusters.get("gpu")["state"], client.clusters.get("gpu")["open"]) == ("closed", False)
    for name, phase in (("gpu", AttemptPhase.RUNNING), ("gpu", AttemptPhase.SUCCEEDED), ("", AttemptPhase.RUNNING)):
        make_attempt(executor="kubernetes", cluster=name, phase=phase)
    assert "gpu takes no new attempts; 1 are on it" in causeway("cluster", "drain", "gpu")
    causeway("cluster", "drain", "gpu", "--wait", "0.1", exit_code=1)
    (row,) = client.clusters.list()
    assert (row["state"], row["attempts"]) == ("draining", 1)


def test_the_client_does_the_same(client: Client) -> None:
    client.clusters.set("gpu", {"image": "a:1"}, kubeconfig=kubeconfig())
    assert client.clusters.change("gpu", {"image": None})["description"] == {}
    assert client.clusters.get("gpu")["open"]
    with pytest.raises(CausewayError, match="has no setting"):
        client.clusters.change("gpu", {"nothing": 1})
    client.clusters.remove("gpu")
    assert client.clusters.list() == []

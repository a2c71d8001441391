from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from audit.models import AuditEvent
from scheduler.executors.kubernetes import asking, clusters
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.connection import api_of
from scheduler.executors.kubernetes.factory import owner
from scheduler.executors.kubernetes.reuse.shape import shape
from scheduler.models import ClusterSettings, ExecutorInstance
from scheduler.phases import AttemptPhase
from tests.console.rest.conftest import Caller, problem
from tests.scheduler.attempts import make_attempt
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving
from tests.scheduler.executors.kubernetes.kubeconfigs import TOKEN, kubeconfig
from tests.scheduler.executors.kubernetes.specs import IDENTITY, around, spec

URL = "/api/v1/clusters"
GPU = f"{URL}/gpu"
BODY = {"description": {"image": "team/tasks:1", "labels": ["gpu"]}, "kubeconfig": kubeconfig()}


@pytest.fixture(autouse=True)
def no_client_of_before() -> None:
    asking.forget()


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(verb__startswith="cluster.").order_by("pk").values_list("verb", flat=True))


def test_a_platform_admin_sets_changes_and_removes_one_and_nobody_reads_its_key(api: Caller) -> None:
    root = api("root")
    made = root.put(GPU, BODY, format="json")
    assert made.status_code == 201, made.content
    assert made.json() | {"updated_at": ""} == {
        "name": "gpu", "source": "database", "open": True, "description": BODY["description"], "kubeconfig": "set",
        "problem": "", "state": "open", "attempts": 0, "alive": False, "seen_at": None, "updated_by": "root",
        "updated_at": "",
    }  # fmt: skip
    again = root.put(GPU, {"description": "image: team/tasks:2\ngraces:\n  image: 60\n"}, format="json")
    assert (again.status_code, again.json()["description"]) == (200, {"image": "team/tasks:2", "graces": {"image": 60}})
    assert again.json()["kubeconfig"] == "set"
    closed = root.patch(GPU, {"open": False, "description": {"graces": {"image": None, "quota": 5}}}, format="json")
    assert closed.json()["open"] is False and closed.json()["description"]["graces"] == {"quota": 5}
    (seen,) = clusters.configured()
    assert (seen.name, seen.open) == ("gpu", False)
    listed = root.get(URL)
    assert [one["name"] for one in listed.json()["results"]] == ["gpu"]
    told = json.dumps([event.detail for event in AuditEvent.objects.all()])
    assert "the kubeconfig" in told and TOKEN not in told
    for answer in (made, again, closed, listed, root.get(GPU)):
        assert TOKEN not in answer.content.decode()
    assert TOKEN.encode() not in bytes(ClusterSettings.objects.get().sealed)
    assert root.delete(GPU).status_code == 204
    assert not clusters.configured()
    assert verbs() == ["cluster.create", "cluster.update", "cluster.update", "cluster.remove"]


def test_it_is_for_administrators_of_the_platform(api: Caller) -> None:
    assert api("root").put(GPU, BODY, format="json").status_code == 201
    for name in ("vic", "ann", "abe", "ada", "sue"):
        caller = api(name)
        for answer in (
            caller.get(URL),
            caller.get(GPU),
            caller.get(f"{GPU}/overview"),
            caller.get(f"{GPU}/pools"),
            caller.delete(GPU),
        ):
            problem(answer, 403)
        problem(caller.put(GPU, BODY, format="json"), 403)
        problem(caller.patch(GPU, {"open": False}, format="json"), 403)
    assert clusters.configured()[0].open


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"description": {"imagee": "x"}}, "has no setting 'imagee'"),
        ({"description": {"graces": {"image": "soon"}}}, "image has to be a number"),
        ({"description": "a: ["}, "is no YAML, line 1"),
        ({"description": [1]}, "has to be a mapping"),
        ({"description": {"name": "other"}}, "of a cluster 'other', not of 'gpu'"),
        ({"description": {"context": "there"}}, "no context 'there'"),
        ({"description": {"kubeconfig": "/etc/passwd"}}, "not both"),
        ({"description": {"kubeconfig": "/etc/passwd"}, "kubeconfig": ""}, "other files are not read"),
        ({"kubeconfig": kubeconfig(user={"exec": {"command": "sh"}})}, "a program of this machine"),
        ({"kubeconfig": "hello"}, "this is no kubeconfig"),
        ({"descripton": {}}, "unknown; known are"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_kept(api: Caller, wrong: dict[str, Any], said: str) -> None:
    told = problem(api("root").put(GPU, BODY | wrong, format="json"), 400)
    assert said in told["detail"] and TOKEN not in told["detail"]
    assert not ClusterSettings.objects.exists() and not verbs()


def test_names_that_cannot_be_and_clusters_that_are_not(api: Caller) -> None:
    root = api("root")
    assert "small letters" in problem(root.put(f"{URL}/Big_One", BODY, format="json"), 400)["detail"]
    problem(root.get(GPU), 404)
    problem(root.patch(GPU, {"open": True}, format="json"), 404)
    problem(root.delete(GPU), 404)


def test_those_of_the_settings_file_are_shown_and_not_changed(api: Caller, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "clusters.yaml"
    file.write_text("- {name: gpu, image: 'a:1', kubeconfig: /etc/k, weight: 2}\n")
    settings.CAUSEWAY_CLUSTERS = str(file)
    root = api("root")
    shown = root.get(GPU).json()
    assert (shown["source"], shown["kubeconfig"]) == ("settings file", "/etc/k")
    assert shown["description"] == {"kubeconfig": "/etc/k", "image": "a:1", "weight": 2}
    for answer in (
        root.put(GPU, BODY, format="json"),
        root.patch(GPU, {"open": False}, format="json"),
        root.delete(GPU),
    ):
        assert "settings file" in problem(answer, 409)["detail"]


def test_it_stays_while_attempts_are_on_it(api: Caller) -> None:
    root = api("root")
    root.put(GPU, BODY, format="json")
    attempt = make_attempt()
    attempt.executor, attempt.cluster = "kubernetes", "gpu"
    attempt.save()
    assert "1 attempts that have not ended" in problem(root.delete(GPU), 409)["detail"]
    assert ClusterSettings.objects.exists()


def test_it_says_whether_its_process_is_alive(api: Caller) -> None:
    root, now = api("root"), timezone.now()
    root.put(GPU, BODY, format="json")
    row = {"executor": "kubernetes", "cluster": "gpu", "started_at": now}
    ExecutorInstance.objects.create(name="one", seen_at=now - timedelta(minutes=5), **row)
    assert root.get(GPU).json()["alive"] is False
    ExecutorInstance.objects.create(name="two", seen_at=now, **row)
    assert root.get(GPU).json()["alive"] is True


def test_the_overview_is_the_clusters_own_or_a_sentence(api: Caller) -> None:
    root = api("root")
    with serving(FakeCluster()) as client:
        root.put(GPU, BODY | {"kubeconfig": kubeconfig(client.host)}, format="json")
        told = root.get(f"{GPU}/overview").json()
        assert (told["answers"], told["version"], told["capacity"]) == (True, "1.34.4", [])
        lines = told["lines"]
        assert lines[0].startswith("cluster gpu: Kubernetes") and lines[1].strip() == "0 nodes, 0 cpus, no GPUs"
    root.put(GPU, BODY, format="json")
    told = root.get(f"{GPU}/overview").json()
    assert (told["answers"], told["version"]) == (False, "")
    line = told["lines"][0]
    assert "does not answer" in line or "cannot be reached" in line


def test_its_pools_say_who_runs_where(api: Caller) -> None:
    root, fake = api("root"), FakeCluster()
    attempt = make_attempt(executor="kubernetes", cluster="gpu", phase=AttemptPhase.RUNNING, handle="p-d/pool-k-1")
    make_attempt(executor="kubernetes", cluster="gpu", phase=AttemptPhase.RUNNING, handle="p-d/own-pod")
    make_attempt(executor="kubernetes", cluster="other", phase=AttemptPhase.RUNNING, handle="p-d/pool-k-2")
    place = around(owner=owner(), namespace="p-d")
    body = shape(spec(identity=replace(IDENTITY, project="p", domain="d")), Cluster(name="gpu"), place)
    assert body is not None
    with serving(fake) as client:
        root.put(GPU, BODY | {"kubeconfig": kubeconfig(client.host)}, format="json")
        for name in ("pool-k-1", "pool-k-2"):
            client.call("POST", "/api/v1/namespaces/p-d/pods", body.body(name))
        fake.run("pool-k-1")
        told = root.get(f"{GPU}/pools").json()
    (pool,) = told["pools"]
    assert (pool["project"], pool["domain"], pool["image"]) == ("p", "d", "team/job:1")
    assert (pool["ready"], pool["busy"]) == (1, 1)
    assert [(one["name"], one["tasks"]) for one in pool["pods"]] == [("pool-k-1", 1), ("pool-k-2", 0)]
    (busy,) = told["attempts"]
    assert (busy["execution"], busy["node"], busy["pod"]) == (attempt.node.execution.name, "n0", "pool-k-1")
    root.put(GPU, BODY, format="json")
    told = root.get(f"{GPU}/pools").json()
    assert told["pools"] == [] and len(told["attempts"]) == 1 and told["problem"]


def test_one_that_this_version_does_not_understand_keeps_nobody_from_the_others(api: Caller) -> None:
    root = api("root")
    root.put(GPU, BODY, format="json")
    now = timezone.now()
    ClusterSettings.objects.create(name="old", description={"gone": 1}, created_at=now, updated_at=now)
    assert [one.name for one in clusters.configured()] == ["gpu"]
    assert set(clusters.to_keep()) == {"gpu"}
    assert "no setting 'gone'" in root.get(f"{URL}/old").json()["problem"]


def test_a_process_starts_anew_for_what_it_read_and_not_for_where_attempts_go(api: Caller) -> None:
    root = api("root")
    root.put(GPU, BODY, format="json")
    before = clusters.to_keep()
    root.patch(GPU, {"open": False, "description": {"weight": 3}}, format="json")
    assert clusters.to_keep() == before
    root.patch(GPU, {"description": {"image": "b:1"}}, format="json")
    assert clusters.to_keep() != before
    assert api_of(clusters.cluster("gpu")).host == "http://127.0.0.1:1"

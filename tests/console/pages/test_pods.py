"""An attempt on a cluster: what its pages, and REST, say of its pod, with a cluster that answers or not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from console.accounts import tokens
from console.accounts.models import User
from scheduler.actions.clusters import set_cluster
from scheduler.attempts.observations import Accepted, Ended, Running, Waiting
from scheduler.attempts.outcomes import Outcome
from scheduler.attempts.reports import report
from scheduler.executors.kubernetes import asking
from scheduler.executors.kubernetes.clusters import followed_file
from scheduler.models import TaskExecution
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from tests.console.pages.cast import World
from tests.scheduler.executors.kubernetes.fake_api import FakeCluster, serving
from tests.scheduler.executors.kubernetes.kubeconfigs import NOBODY, TOKEN, kubeconfig
from tests.scheduler.executors.kubernetes.pods import at
from tests.scheduler.executors.kubernetes.pods import pod as made_pod

Browse = Callable[[User], Client]
NS, POD = "demo-development", "a1-n0-0-0123456789"
FULL = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
LINKS = [
    {"name": "Logs", "uri": "https://logs.example/?q={{ namespace }}/{{ pod }}&from={{ started }}"},
]


@pytest.fixture(autouse=True)
def as_after_a_start(settings: Settings, tmp_path: Path) -> None:
    asking.forget()
    settings.CAUSEWAY_HOME = tmp_path


@pytest.fixture
def fake() -> Iterator[FakeCluster]:
    fake = FakeCluster()
    pod = made_pod("Pending")
    pod["metadata"] |= {"name": POD, "namespace": NS, "uid": "u-7"}
    pod["spec"]["nodeName"] = "gpu-node-3"
    fake.pods[NS, POD] = pod
    with serving(fake) as api:
        _set(api.host)
        yield fake


def _set(host: str) -> None:
    description = {"context": "here", "log_links": LINKS}
    set_cluster("gpu", description, kubeconfig_text=kubeconfig(host), actor="root")


@pytest.fixture
def attempt(world: World) -> TaskExecution:
    """In the cluster's hands, waiting; its node and its execution run."""
    row = world.attempt
    row.node.execution.phase, row.node.phase = ExecutionPhase.RUNNING, NodePhase.RUNNING
    row.node.execution.ended_at = row.node.ended_at = None
    row.node.execution.save()
    row.node.save()
    row.phase, row.executor, row.cluster, row.log_uri = AttemptPhase.INITIALIZING, "kubernetes", "gpu", ""
    row.started_at = row.ended_at = None
    row.command = {"image": "a:1", "argv": ["true"]}
    row.save()
    report([Accepted(row.pk, f"{NS}/{POD}", timezone.now())], actor="executor")
    return row


def wait(row: TaskExecution, code: str = "Unschedulable", message: str = FULL, minutes: int = 7) -> None:
    since = timezone.now() - timedelta(minutes=minutes)
    report([Waiting(row.pk, code, message, since, True)], actor="executor")


def node_page(row: TaskExecution) -> str:
    execution = row.node.execution
    return f"/executions/demo/development/{execution.name}/nodes/{row.node.node_id}/"


def pod_page(row: TaskExecution) -> str:
    return f"{node_page(row)}pod/{row.pk}/"


def text_of(client: Client, url: str, **headers: str) -> str:
    answer = client.get(url, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_the_nodes_page_says_what_it_waits_for_and_where_it_is(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution
) -> None:
    wait(attempt, "QuotaExceeded", "exceeded quota: q", minutes=9)
    wait(attempt)
    text = text_of(browse(world.viewer), node_page(attempt))
    for said in ("Waits: Unschedulable", FULL, "7 min ago", "QuotaExceeded: exceeded quota: q", "gpu", NS, POD):
        assert said in text, said
    assert f"kubectl --context here --namespace {NS} describe pod {POD}" in text
    assert f"kubectl --context here --namespace {NS} logs --follow {POD}" in text
    assert f'hx-get="{pod_page(attempt)}" hx-trigger="load"' in text
    assert not fake.calls, "the page itself does not wait for the cluster"
    execution = attempt.node.execution
    listed = text_of(browse(world.viewer), f"/executions/demo/development/{execution.name}/")
    assert "Unschedulable: " + FULL in listed


def test_events_and_machine_are_the_clusters_own_while_it_lives(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution
) -> None:
    event = {"type": "Warning", "reason": "FailedScheduling", "message": FULL, "lastTimestamp": at(5), "count": 4}
    again = {**event, "message": FULL.replace("3", "2"), "lastTimestamp": at(1), "count": 1}
    fake.events = [again, event, {"type": "Normal", "reason": "Pulled", "message": "<b>pulled</b>", "eventTime": at(9)}]
    wait(attempt)
    text = text_of(browse(world.viewer), pod_page(attempt), **{"HX-Request": "true"})
    assert text.index("Pulled") < text.index("FailedScheduling") and "5 times" in text
    assert "&lt;b&gt;pulled" in text and "gpu-node-3" in text and "Pending" in text
    assert 'hx-trigger="every 4s"' in text and "<html" not in text
    assert "<html" in text_of(browse(world.viewer), pod_page(attempt))


def test_a_reason_whose_numbers_change_is_one_line(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution
) -> None:
    for nodes in range(3, 8):
        wait(attempt, message=f"0/{nodes} nodes are available")
    text = text_of(browse(world.viewer), node_page(attempt)).split("Phases and reasons")[1]
    assert "0/7 nodes" in text and "0/3 nodes" not in text


def test_links_lead_to_log_systems(world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution) -> None:
    client = browse(world.viewer)
    for url in (node_page(attempt), pod_page(attempt)):
        assert f"https://logs.example/?q={NS}/{POD}&amp;from=1" in text_of(client, url)


def test_a_cluster_that_does_not_answer_costs_a_sentence_and_no_time(
    world: World, browse: Browse, attempt: TaskExecution
) -> None:
    client = browse(world.viewer)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _set(f"http://127.0.0.1:{silent.getsockname()[1]}")
        wait(attempt)
        began = time.monotonic()
        text = text_of(client, pod_page(attempt))
        assert "The pod cannot be looked at: cluster gpu" in text and "Waits: Unschedulable" in text
        assert time.monotonic() - began < asking.SECONDS + 3
        began = time.monotonic()
        assert "cannot be looked at" in text_of(client, pod_page(attempt))
        assert time.monotonic() - began < asking.SECONDS, "it is left alone for a while"
    asking.forget()
    _set(NOBODY)
    assert "cannot be reached" in text_of(client, pod_page(attempt))


def test_what_the_cluster_refuses_is_said_in_its_words(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = fake.handle

    def refusing(method: str, path: str, *rest: Any) -> Any:
        if path.endswith("/events"):
            return 403, {"message": "events is forbidden: User u cannot list", "reason": "Forbidden"}
        return handle(method, path, *rest)

    monkeypatch.setattr(fake, "handle", refusing)
    text = text_of(browse(world.viewer), pod_page(attempt))
    assert "does not show events: events is forbidden" in text and "gpu-node-3" in text


def test_an_attempt_without_a_pod_or_a_cluster_says_so(world: World, browse: Browse, attempt: TaskExecution) -> None:
    TaskExecution.objects.filter(pk=attempt.pk).update(handle="")
    wait(attempt, "ClusterBusy", "in turn")
    text = text_of(browse(world.viewer), pod_page(attempt))
    assert "not made yet" in text and "Waits: ClusterBusy" in text and "kubectl" not in text
    TaskExecution.objects.filter(pk=attempt.pk).update(handle=f"{NS}/{POD}")
    assert "there is no cluster" in text_of(browse(world.viewer), pod_page(attempt))
    TaskExecution.objects.filter(pk=attempt.pk).update(executor="local", cluster="")
    assert browse(world.viewer).get(pod_page(attempt)).status_code == 404


def test_only_who_may_read_the_execution_sees_its_pod(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution
) -> None:
    assert browse(world.outsider).get(pod_page(attempt)).status_code == 404
    assert not fake.calls


def test_one_that_has_ended_is_not_asked_for_any_more(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution
) -> None:
    wait(attempt)
    now = timezone.now()
    report([Ended(attempt.pk, Outcome(AttemptPhase.SUCCEEDED), now)], actor="executor")
    text = text_of(browse(world.viewer), pod_page(attempt))
    assert "hx-trigger" not in text.split('id="pod"')[1].split(">")[0] and "Waits:" not in text
    assert "Unschedulable: " in text and "kubectl" not in text and not fake.calls


def test_rest_says_the_same(world: World, fake: FakeCluster, attempt: TaskExecution) -> None:
    wait(attempt)
    _token, secret = tokens.create(world.viewer, "tests")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    url = f"/api/v1{node_page(attempt)}".removesuffix("/")
    for found in (client.get(f"{url}/attempts").json()["results"][0], client.get(url).json()["newest_attempts"][0]):
        assert (found["cluster"], found["namespace"], found["pod"]) == ("gpu", NS, POD)
        assert (found["waiting"]["code"], found["waiting"]["message"]) == ("Unschedulable", FULL)
        assert found["log_links"]["Logs"].startswith(f"https://logs.example/?q={NS}/{POD}&from=1")
        assert found["kubectl"][0] == f"kubectl --context here --namespace {NS} describe pod {POD}"
    report([Running(attempt.pk, f"{NS}/{POD}", timezone.now())], actor="executor")
    assert client.get(url).json()["newest_attempts"][0]["waiting"] is None
    assert not fake.calls


def running(attempt: TaskExecution) -> None:
    report([Running(attempt.pk, f"{NS}/{POD}", timezone.now())], actor="executor")


def test_the_log_of_a_pod_that_runs_is_its_executors_file_on_this_machine(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution, tmp_path: Path
) -> None:
    running(attempt)
    path = followed_file(tmp_path, "gpu", attempt.pk)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one\ntwo\n")
    url, client = f"{node_page(attempt)}logs/{attempt.pk}/", browse(world.viewer)
    assert "one\ntwo" in text_of(client, url)
    more = text_of(client, f"{url}?offset=4", **{"HX-Request": "true"})
    assert "two" in more and "one" not in more and "?offset=8" in more
    assert not fake.calls


def test_the_last_of_it_is_shown_before_it_is_in_the_store(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution, tmp_path: Path
) -> None:
    running(attempt)
    report([Ended(attempt.pk, Outcome(AttemptPhase.SUCCEEDED), timezone.now())], actor="executor")
    path = followed_file(tmp_path, "gpu", attempt.pk)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"the last\n")
    text = text_of(browse(world.viewer), f"{node_page(attempt)}logs/{attempt.pk}/")
    assert "the last" in text and "?offset=9" in text, "and the page asks for more"
    TaskExecution.objects.filter(pk=attempt.pk).update(ended_at=timezone.now() - timedelta(minutes=1))
    assert "?offset=9" not in text_of(browse(world.viewer), f"{node_page(attempt)}logs/{attempt.pk}/")


def test_the_end_of_a_long_log_that_nobody_follows_is_the_clusters(
    world: World, fake: FakeCluster, attempt: TaskExecution, object_store: str
) -> None:
    """As of the two hundred and first pod: its log is neither on this machine nor in the store yet."""
    running(attempt)
    fake.logs[POD, "main"] = b"".join(b"%d %s\n" % (number, b"x" * 90) for number in range(30_000)) + b"the last\n"
    _token, secret = tokens.create(world.viewer, "tests")
    rest = Client(headers={"Authorization": f"Bearer {secret}"})
    said = rest.get(f"/api/v1{node_page(attempt)}attempts/{attempt.attempt}/log", {"tail": 2}).content
    assert said.splitlines()[-1] == b"the last" and said.startswith(b"29999 ")


def test_elsewhere_it_is_what_the_store_has_and_the_cluster_says_after_that(
    world: World, browse: Browse, fake: FakeCluster, attempt: TaskExecution, object_store: str
) -> None:
    running(attempt)
    fake.logs[POD, "main"] = b"one\ntwo\nthree\n"
    url, client = f"{node_page(attempt)}logs/{attempt.pk}/", browse(world.viewer)
    assert "one\ntwo\nthree" in text_of(client, url)
    more = text_of(client, f"{url}?offset=4", **{"HX-Request": "true"})
    assert "two\nthree" in more and "one" not in more and "?offset=14" in more
    _token, secret = tokens.create(world.viewer, "tests")
    rest = Client(headers={"Authorization": f"Bearer {secret}"})
    log = f"/api/v1{node_page(attempt)}attempts/{attempt.attempt}/log"
    answer = rest.get(log, {"tail": 1})
    assert (answer.content, answer["Causeway-Next-Offset"]) == (b"three\n", "14")
    fake.logs[POD, "main"] = b"unable to retrieve container logs for containerd://1"
    assert rest.get(log).content == b""
    assert TOKEN not in text_of(client, url)

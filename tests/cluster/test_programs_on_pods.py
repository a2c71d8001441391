"""Unmodified flytekit programs, from registration to outputs, in pods."""

from __future__ import annotations

from tests.cluster import demo
from tests.cluster.driving import DOMAIN, PROGRAMS, PROJECT, Programs
from tests.cluster.running import Cluster, eventually
from tests.stack import RunningStack


def test_programs_of_every_kind_give_their_outputs(harbour: Programs) -> None:
    secret = {"project": PROJECT, "domain": DOMAIN, "group": "harbour", "key": "token", "value": "sesame"}
    harbour.client.connection.call("PUT", "secrets", json=secret)
    started = {
        "chain": harbour.launch("chain", n=4),
        "mapped": harbour.launch("mapped"),
        "grown": harbour.launch("grown", n=2),
        "raw": harbour.launch("raw", a=2, b=3),
        "secret": harbour.launch("secret"),
        "handed_on": harbour.launch("handed_on"),
        "flaky": harbour.launch("flaky"),
    }
    assert harbour.value(started["chain"]).startswith("5 on ")
    assert harbour.value(started["mapped"], kind=list[int]) == [2, 3, 4]
    assert harbour.value(started["grown"], kind=list[int]) == [1, 2]
    assert harbour.value(started["raw"], "total") == 5
    assert harbour.value(started["raw"], "text") == "hi"
    assert harbour.value(started["secret"]) == 6
    assert harbour.value(started["handed_on"]) == "from a pod"
    assert harbour.value(started["flaky"]) == 7


def test_errors_are_the_users_own_words(harbour: Programs) -> None:
    own, raw = harbour.launch("failing", n=3), harbour.launch("raw_that_fails", a=1)
    assert "ValueError: no 3" in harbour.wait(own).error.message
    assert "exit code 3: sorry" in harbour.wait(raw).error.message


def test_pods_are_found_by_their_execution(harbour: Programs) -> None:
    execution = harbour.launch("patient", n=1)
    selector = f"causeway/execution={execution.id.name}"
    (pod,) = eventually(lambda: harbour.pods(selector))
    labels = pod["metadata"]["labels"]
    assert (labels["causeway/node"], labels["causeway/attempt"]) == ("n0", "0")
    assert harbour.value(execution) == 2
    eventually(lambda: not harbour.pods(selector))


def test_control_planes_that_are_killed_lose_and_double_nothing(harbour: Programs) -> None:
    wide, patient = harbour.launch("wide"), harbour.launch("patient", n=1)
    selector = f"causeway/execution={wide.id.name}"
    eventually(lambda: len(harbour.pods(selector)) >= 4)
    for name in ("executor-pods", "worker-1", "executor-pods"):
        harbour.kill(name)
    assert harbour.value(wide, kind=list[int]) == list(range(8))
    assert harbour.value(patient) == 2
    assert [number for number, _ in harbour.attempts(wide)] == [0] * 8
    eventually(lambda: not harbour.pods(selector))


def test_versions_start_what_waits_for_them_and_a_person_decides(pods_stack: RunningStack, cluster: Cluster) -> None:
    teams = Programs(pods_stack, cluster, PROGRAMS / "reactive")
    plan = teams.remote.fetch_launch_plan(name="reactive.plans.publish", version=teams.version)
    demo.play(teams.client, lambda: teams.value(teams.remote.execute(plan, inputs={"harbour": "Ostend"})))

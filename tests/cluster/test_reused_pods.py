"""Pods that stay, on a real cluster: tasks of a kind share them, nothing passes from one to the next, none is lost."""

from __future__ import annotations

import os

import pytest

from tests.cluster.conftest import SHARING
from tests.cluster.driving import PROGRAMS, Programs
from tests.cluster.running import Cluster, eventually
from tests.stack import RunningStack

REPLICAS, IDLE = SHARING.replicas, SHARING.idle_seconds
ITEMS = int(os.environ.get("CAUSEWAY_REUSED_ITEMS") or 200)


@pytest.fixture(scope="module")
def place(pods_stack: RunningStack, cluster: Cluster) -> Programs:
    return Programs(pods_stack, cluster, PROGRAMS / "ferries.py", "ferries-one")


@pytest.fixture(scope="module")
def other(pods_stack: RunningStack, cluster: Cluster) -> Programs:
    return Programs(pods_stack, cluster, PROGRAMS / "ferries.py", "ferries-two")


def staying(place: Programs) -> list[str]:
    """Names of its pods that stay."""
    return [pod["metadata"]["name"] for pod in place.pods("causeway/pool")]


def test_a_map_runs_in_a_few_pods(place: Programs) -> None:
    execution = place.launch("mapped", ns=list(range(ITEMS)))
    assert place.value(execution, kind=list[int]) == list(range(1, ITEMS + 1))
    attempts = place.attempts(execution)
    assert [number for number, _ in attempts if number >= 0] == [0] * ITEMS
    assert 1 <= len({pod for _, pod in attempts}) <= REPLICAS


def test_a_chain_stays_in_its_pod_and_a_fan_out_shares_those_there_are(place: Programs) -> None:
    hosts = place.value(place.launch("chain")).split()
    assert len(hosts) == 5 and all(host.startswith("pool-") for host in hosts)
    said = place.value(place.launch("fan_out"), kind=list[str])
    assert [one.split(":")[0] for one in said] == [str(n) for n in range(8)]
    assert len({one.split()[1] for one in said} | set(hosts)) <= REPLICAS


def test_nothing_of_a_task_is_left_for_the_next(place: Programs) -> None:
    execution = place.launch("left_behind")
    left, looked = place.value(execution, "o0").split(" ", 1), place.value(execution, "o1").split(" ", 1)
    assert left[1] == "Read-only file system"
    assert left[0] == looked[0], "they ran in one pod"
    assert looked[1] == "[] 0 [] [b'', b'']"


def test_failures_in_the_middle_are_tried_again_and_told_in_the_users_words(place: Programs) -> None:
    mapped, failing = place.launch("with_failures", ns=list(range(20))), place.launch("failing", n=3)
    assert place.value(mapped, kind=list[int]) == list(range(20))
    assert sorted(number for number, _ in place.attempts(mapped)) == [0] * 20 + [1] * 4
    assert "ValueError: no 3" in place.wait(failing).error.message


def test_tasks_of_a_pod_that_is_killed_run_elsewhere(place: Programs) -> None:
    execution = place.launch("waiting", n=20)
    (lost,) = eventually(lambda: [pod.partition("/")[2] for _, pod in place.attempts(execution) if "/pool-" in pod])
    place.cluster.kubectl("delete", "pod", "--namespace", place.namespace, lost, "--force", "--grace-period=0")
    assert place.value(execution) == 20
    assert sorted(number for number, _ in place.attempts(execution)) == [0, 1], "it was tried again, by the system"
    assert lost not in staying(place)


def test_an_executor_that_is_killed_loses_and_doubles_nothing(place: Programs) -> None:
    execution = place.launch("slowly_mapped", ns=list(range(12)))
    eventually(lambda: [pod for _, pod in place.attempts(execution) if "/pool-" in pod])
    place.kill("executor-pods")
    said = place.value(execution, kind=list[str])
    assert [one.split()[0] for one in said] == [str(n) for n in range(12)]
    assert {number for number, _ in place.attempts(execution)} == {0}


def test_a_task_that_is_aborted_ends_and_its_pod_goes_on(place: Programs) -> None:
    execution = place.launch("waiting", n=200)
    eventually(lambda: [pod for _, pod in place.attempts(execution) if "/pool-" in pod])
    (_, pod), *_ = place.attempts(execution)
    place.remote.terminate(execution, "enough")
    again = place.launch("waiting", n=0)
    assert place.value(again) == 0
    assert pod.partition("/")[2] in staying(place)


def test_an_image_that_changed_gets_pods_of_its_own(place: Programs, own_cluster: Cluster) -> None:
    image = own_cluster.environment["CLUSTER_TASK_IMAGE"]
    changed = Programs(
        place.stack, own_cluster, PROGRAMS / "ferries.py", place.project, image=own_cluster.renamed(image, "changed")
    )
    before, after = (set(each.value(each.launch("chain")).split()) for each in (place, changed))
    assert before and after and not before & after
    images = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in place.pods("causeway/pool")}
    assert {images[name] for name in before} == {image}
    assert {images[name] for name in after} == {changed.image}


def test_projects_share_no_pods_and_idle_ones_go(place: Programs, other: Programs) -> None:
    both = [(each, each.launch("chain")) for each in (place, other)]
    first, second = (set(each.value(one).split()) for each, one in both)
    assert first and second and not first & second
    eventually(lambda: not staying(place) and not staying(other), IDLE + 40)

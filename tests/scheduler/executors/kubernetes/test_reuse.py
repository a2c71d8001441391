"""Which tasks share pods that stay, what such a pod is, and how many there are."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.attempts.spec import Identity, Needs, Pod
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import BadCluster, Cluster, parse
from scheduler.executors.kubernetes.reuse.link import Link
from scheduler.executors.kubernetes.reuse.members import end_of, lost
from scheduler.executors.kubernetes.reuse.policy import Reuse
from scheduler.executors.kubernetes.reuse.shape import Shape, fits, program, shape, variables
from scheduler.executors.kubernetes.reuse.sizing import mean_with, wanted
from scheduler.executors.kubernetes.runner import start
from scheduler.executors.kubernetes.runner.pod import program as pod_program
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.kubernetes.specs import IDENTITY, around, spec

CLUSTER = Cluster(image="team/base:1")


def shape_of(place: dict[str, Any] | None = None, **over: Any) -> Shape:
    found = shape(spec(**over), CLUSTER, around(**(place or {})))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reuse: {'*': {replicas: 0}}", "reuse of *: replicas is 0; it may be a whole number from 1 to 500"),
        ("reuse: {'*': {replicas: 100000}}", "replicas is 100000"),
        ("reuse: {a: {at_once: 1.5}}", "reuse of a: at_once is 1.5; it may be a whole number"),
        ("reuse: {a: {life_seconds: 5}}", "life_seconds is 5; it may be from 60"),
        ("reuse: {a: {tasks: some}}", "it may be asked, all or none"),
        ("reuse: {a: {repliacs: 3}}", "reuse of a has no setting 'repliacs'"),
        ("reuse: {a: 3}", "reuse of a has to be a mapping"),
    ],
)
def test_what_an_operator_says_is_checked(text: str, said: str) -> None:
    with pytest.raises(BadCluster) as refused:
        parse(text)
    assert said in str(refused.value)


def test_the_narrowest_place_counts_alone() -> None:
    found = parse("reuse: {'*': {replicas: 3}, risk: {at_once: 2}, risk/production: {tasks: none}}")
    assert found.reuse_of("risk", "production") == Reuse(tasks="none")
    assert found.reuse_of("risk", "staging") == Reuse(at_once=2)
    assert found.reuse_of("other", "staging").replicas == 3
    assert Cluster().reuse_of("risk", "staging") == Reuse()


@pytest.mark.parametrize(
    ("expected", "tasks", "over"),
    [
        (True, "asked", {"reuse": True}),
        (False, "asked", {}),
        (True, "all", {}),
        (False, "all", {"env": {"CAUSEWAY_REUSE": "0"}}),
        (False, "none", {"reuse": True}),
        (False, "all", {"secrets": (Request(Name("group", "key")),)}),
        (False, "all", {"argv": ("sh", "-c", "true")}),
        (False, "all", {"env": {start.VARIABLE: "flytekit"}}),
        (False, "all", {"needs": Needs(requests={"gpu": "1"})}),
        (True, "all", {"needs": Needs(requests={"gpu": "1"}), "env": {"CAUSEWAY_REUSE": "1"}}),
        (False, "all", {"pod": Pod(spec={"containers": [{"name": "primary"}, {"name": "beside"}]})}),
    ],
)
def test_who_shares(expected: bool, tasks: str, over: dict[str, Any]) -> None:
    assert fits(spec(**over), CLUSTER, Reuse(tasks=tasks)) is expected


def test_other_attempts_of_a_task_and_other_tasks_have_the_same_shape() -> None:
    other = replace(IDENTITY, name="f2-9-n3-1", execution="f2", node="n3", attempt=1, user="bob", task="flights.test")
    own: dict[str, Any] = {
        "identity": other,
        "env": {"B": "2"},
        "timeout_seconds": 3.0,
        "argv": ("pyflyte-map-execute", "--x"),
    }
    assert shape_of(**own, place={"attempt_id": 99}).key == shape_of().key


@pytest.mark.parametrize(
    "over",
    [
        {"image": "team/job:2"},
        {"identity": replace(IDENTITY, project="ships")},
        {"identity": replace(IDENTITY, domain="production")},
        {"needs": Needs(requests={"memory": "1Gi"})},
        {"service_account": "robot"},
        {"labels": {"team": "a"}},
        {"pod": Pod(spec={"containers": [{"name": "primary"}], "nodeSelector": {"disk": "fast"}})},
        {"env": {"PYTHONHASHSEED": "1"}},
        {"place": {"namespace": "elsewhere"}},
        {"place": {"owner": "another"}},
        {"place": {"template": {"template": {"spec": {"containers": [], "priorityClassName": "low"}}}}},
    ],
)
def test_whatever_makes_another_pod_makes_another_shape(over: dict[str, Any]) -> None:
    assert shape_of(**over).key != shape_of().key


def test_a_pod_that_stays_is_nobodys_attempt_and_takes_words() -> None:
    pod = json.loads(shape_of(env={"A": "1"}).body("pool-x"))
    (container,) = pod["spec"]["containers"]
    marks = pod["metadata"]["labels"] | pod["metadata"]["annotations"]
    assert not {names.ATTEMPT_ID, names.NAME, names.USER, names.EXECUTION} & marks.keys()
    assert pod["metadata"]["labels"][names.POOL] and pod["metadata"]["finalizers"] == []
    assert container["stdin"] is True and container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "A" not in {one["name"] for one in container["env"]}, "variables come with each task"
    assert {"name": "causeway-tmp", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108


def test_a_deadline_of_the_pod_keeps_it_from_being_shared() -> None:
    pod = Pod(spec={"containers": [{"name": "primary"}], "activeDeadlineSeconds": 60})
    assert shape(spec(pod=pod), CLUSTER, around()) is None


def test_a_task_gets_its_own_variables_and_its_token() -> None:
    found = variables(spec(env={"A": "1"}), CLUSTER, {"CAUSEWAY_TOKEN": "t"})
    assert found == {"A": "1", "CAUSEWAY_TOKEN": "t", "FLYTE_INTERNAL_IMAGE": "team/job:1"}


@pytest.mark.parametrize(
    ("waiting", "running", "mean", "pods"),
    [
        (0, 0, None, 0),
        (1, 0, None, 1),
        (1000, 0, None, 20),  # nobody knows how long they take
        (10, 0, 0.05, 1),  # one pod has done them before another is ready
        (20, 0, 0.1, 1),
        (100, 0, 0.1, 5),
        (1000, 20, 0.05, 20),
        (4, 2, 60.0, 6),
    ],
)
def test_as_many_pods_as_pay(waiting: int, running: int, mean: float | None, pods: int) -> None:
    assert wanted(waiting, running, Reuse(), mean) == pods


def test_where_pods_are_slow_to_come_fewer_are_made() -> None:
    assert [wanted(100, 0, Reuse(), 0.1, birth) for birth in (0.0, 2.0, 5.0, 60.0)] == [10, 5, 2, 1]


def test_attempts_of_a_program_are_told_what_they_have_in_common() -> None:
    argv: tuple[str, ...] = (
        "pyflyte-fast-execute",
        "--additional-distribution",
        "s3://b/code.tar.gz",
        "--dest-dir",
        ".",
        "--",
    )
    argv += ("pyflyte-execute", "--resolver", "r", "--", "task-module", "flights", "task-name", "train")
    own = {"FLYTE_INTERNAL_EXECUTION_ID": "f1", "FLYTE_K8S_ARRAY_INDEX": "3", "CAUSEWAY_TOKEN": "t"}
    told = program(spec(argv=argv), {"A": "1", **own})
    assert told is not None and (told["module"], told["env"]) == ("flights", {"A": "1"})
    assert program(spec(argv=argv), {"A": "1", "FLYTE_ATTEMPT_NUMBER": "1"}) == told
    for over, env in ((argv, {"A": "2"}), ((*argv[:2], "s3://b/other.tar.gz", *argv[3:]), {"A": "1"})):
        other = program(spec(argv=over), env)
        assert other is not None and other["key"] != told["key"]
    assert program(spec(argv=("pyflyte-execute", "--resolver", "own")), {}) is None, "nobody knows what to import"


@pytest.mark.parametrize("line", [b"", b"5", b"[]", b'{"pid": []}', b'{"status": "x"}', b'{"pid": {}}', b"\xff"])
def test_what_a_programs_process_says_that_makes_no_sense_is_told_from_its_words(line: bytes) -> None:
    """It has run a user's code, and what it says must not end the pod."""
    with pytest.raises(ValueError):
        pod_program._understood(line)


def test_what_a_programs_process_says_has_numbers() -> None:
    assert pod_program._understood(b'{"is": "forked", "pid": 7}') == {"is": "forked", "pid": 7, "status": 0}


def test_tasks_that_share_a_pod_need_fewer() -> None:
    assert wanted(10, 2, Reuse(at_once=4), None) == 3


def test_the_mean_follows_what_came_last() -> None:
    assert mean_with(None, 3.0) == 3.0
    assert 1.0 < mean_with(1.0, 2.0) < 2.0


def test_a_tasks_end_is_read_as_that_of_a_pod_of_its_own() -> None:
    found = shape_of(needs=Needs(limits={"memory": "1Gi"}))
    assert not end_of(found, {"code": 0}).verdict.failed
    assert end_of(found, {"code": 3}).verdict.code == "NonZeroExit"
    assert end_of(found, {"code": 137, "why": "oom"}).verdict.code == "OOMKilled"
    assert "1Gi" in end_of(found, {"code": 137, "why": "oom"}).verdict.message
    closing = end_of(found, {"code": 143, "why": "closing"}).verdict
    assert closing.cut_off and closing.retryable and closing.code == "DeletedByOthers"


def test_a_lost_pod_is_nobodys_fault_unless_one_task_alone_used_its_memory() -> None:
    state = {"name": "main", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    pod = {
        "metadata": {"annotations": {names.PRIMARY: "main"}},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Failed", "containerStatuses": [state]},
    }
    assert lost(pod, 1).code == "OOMKilled"
    assert (lost(pod, 2).code, lost(pod, 2).cut_off) == ("PodLost", True)
    assert (lost(None, 1).code, lost(None, 1).cut_off) == ("PodLost", True)
    crashed = {
        **pod,
        "status": {"phase": "Failed", "containerStatuses": [{**state, "state": {"terminated": {"exitCode": 1}}}]},
    }
    assert lost(crashed, 1).code == "PodLost", "process 1 is ours, not the user's"


def test_an_identity_without_a_project_is_possible() -> None:
    assert shape_of(identity=Identity("a")).key != shape_of().key


def test_a_line_that_never_ends_is_not_kept_for_ever() -> None:
    line = Link(None, "ns", "pod", "main", heard=print, connected=print, refused=print)  # type: ignore[arg-type]
    frames = iter([b"\x01" + b"x" * 1024**2] * 20)
    line._socket = SimpleNamespace(recv=lambda: next(frames))
    with pytest.raises(ValueError, match="a line of more than"):
        line._listen()

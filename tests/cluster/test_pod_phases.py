"""Every way in which a pod ends or waits, on a real cluster: what Causeway makes of it.

Most of them wait: for a node, a kubelet, a grace. So those that need nothing for themselves alone are begun together
(`begins`), and each test looks at what became of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flyteidl.core import execution_pb2

from scheduler.attempts.observations import Ended, Running, Waiting
from scheduler.attempts.spec import Needs, Pod, SharedMemory
from scheduler.executors.base import Assignment
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Name, Request
from tests.cluster.attempts import NOTHING_ASKED, QUICK, SYSTEM, USER, Attempts
from tests.cluster.running import GPU, Namespace

DEAF = "trap 'echo heard' TERM; while true; do sleep 0.1; done"
POLITE = "trap 'exit 0' TERM; echo ready; while true; do sleep 0.1; done"
EAT = "python3 -c \"x = 'x' * (400 * 1024 * 1024)\""
SMALL = Needs(requests={"cpu": "10m", "memory": "60Mi"})


@dataclass
class Begun:
    """What a test has begun, and where."""

    attempts: Attempts
    given: list[Assignment]

    @property
    def one(self) -> Assignment:
        (one,) = self.given
        return one

    def error(self, number: int = 0) -> execution_pb2.ExecutionError:
        return self.attempts.error(self.given[number], 240)


Begin = Callable[[Attempts], "Assignment | list[Assignment]"]
Test = TypeVar("Test", bound=Callable[..., None])
BEGINNINGS: dict[str, Begin] = {}


def begins(begin: Begin) -> Callable[[Test], Test]:
    """What the test of this name looks at: submitted when the first of them runs."""

    def named(test: Test) -> Test:
        BEGINNINGS[test.__name__] = begin
        return test

    return named


@pytest.fixture(scope="module")
def together(
    shared_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Begun]]:
    made = Attempts(shared_namespace, tmp_path_factory.mktemp("together"), graces=QUICK)
    begun = {}
    for name in dict.fromkeys(item.name for item in request.session.items if item.name in BEGINNINGS):
        given = BEGINNINGS[name](made)
        begun[name] = Begun(made, given if isinstance(given, list) else [given])
    yield begun
    made.close()


@pytest.fixture
def begun(together: dict[str, Begun], request: pytest.FixtureRequest) -> Begun:
    return together[request.node.name]


@pytest.fixture
def attempts(namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(namespace, tmp_path, graces=QUICK)
    yield made
    made.close()


def with_pod(attempts: Attempts, script: str, *, timeout_seconds: float | None = None, **spec: Any) -> Any:
    """An attempt with a pod template in code."""
    primary = {"name": "primary", "image": attempts.image, **spec.pop("primary", {})}
    pod = Pod(spec={"containers": [primary, *spec.pop("beside", [])], **spec}, primary="primary")
    return attempts.submit(script, pod=pod, timeout_seconds=timeout_seconds)


# --- ends -------------------------------------------------------------------------------------------------------------


@begins(lambda attempts: attempts.submit("echo hello; sleep 1; echo bye", with_outputs=True))
def test_a_task_that_ends_well_with_outputs_succeeds_and_its_pod_goes(begun: Begun) -> None:
    assert begun.attempts.outcome(begun.one).phase == AttemptPhase.SUCCEEDED
    assert begun.attempts.log(begun.one) == "hello\nbye\n"


@begins(lambda attempts: attempts.submit("echo nothing done"))
def test_a_task_that_ends_well_without_outputs_has_failed(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("OutputsNotFound", USER)


@begins(lambda attempts: attempts.submit("echo some; echo last words >&2; exit 7"))
def test_an_exit_code_is_the_users_and_comes_with_the_last_words(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert "exit code 7" in error.message
    assert "last words" in error.message


@begins(lambda attempts: attempts.submit("", argv=("/no/such/binary",), entry=1))
def test_a_program_that_is_not_there_is_told_in_the_runtimes_words(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("StartError", USER)
    assert "/no/such/binary" in error.message
    assert not begun.attempts.outcome(begun.one).retryable


def test_an_image_without_a_shell_has_flytekit_started_its_own_way(attempts: Attempts) -> None:
    command = {"argv": ("pyflyte-execute", "--inputs", "s3://b/i.pb"), "entry": 1, "image": "localhost/pause:1"}
    first = attempts.submit("", **command)
    error = attempts.error(first)
    assert (error.code, error.kind) == ("NoShellInImage", SYSTEM)
    assert attempts.outcome(first).retryable
    error = attempts.error(attempts.submit("", **command))
    assert (error.code, error.kind) == ("StartError", USER)
    assert "pyflyte-execute" in error.message


@begins(lambda attempts: attempts.submit(EAT, needs=SMALL))
def test_too_much_memory_is_known_by_its_reason(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("OOMKilled", USER)
    assert "60Mi" in error.message


@begins(lambda attempts: [attempts.submit(f"{EAT}; exit {code}", needs=SMALL) for code in (0, 7)])
def test_a_child_without_memory_is_known_whatever_its_parent_makes_of_it(begun: Begun) -> None:
    assert begun.error(0).code == begun.error(1).code == "OOMKilled"


def waits_first(attempts: Attempts) -> Assignment:
    """For longer than its timeout is, before its own program runs."""
    prep = {"name": "prep", "image": attempts.image, "command": ["sleep", "5"]}
    program = "sleep 2; echo began; sleep 1000"
    return with_pod(attempts, program, initContainers=[prep], timeout_seconds=4)


@begins(lambda attempts: [attempts.submit("sleep 60", timeout_seconds=3), waits_first(attempts)])
def test_a_deadline_is_the_users(begun: Begun) -> None:
    for number in (0, 1):
        error = begun.error(number)
        assert (error.code, error.kind) == ("TimeoutExpired", USER)
    assert "began" in begun.attempts.log(begun.given[1]), "what it waited for before does not count"


@begins(lambda attempts: with_pod(attempts, DEAF, terminationGracePeriodSeconds=3600, timeout_seconds=3))
def test_a_program_that_may_take_an_hour_to_end_does_not_outlive_its_timeout(begun: Begun) -> None:
    """Its node, once it ends it with the pod's grace, would hear of no shorter one: it ran on where no pod was."""
    error = begun.error()
    assert (error.code, error.kind) == ("TimeoutExpired", USER)
    assert "heard" in begun.attempts.log(begun.one)
    (ran,), (ended,) = begun.attempts.of(Running, begun.one), begun.attempts.of(Ended, begun.one)
    assert (ended.at - ran.at).total_seconds() < 60


def test_a_pod_that_somebody_deletes_is_the_systems_though_it_succeeded(attempts: Attempts) -> None:
    given = attempts.submit(POLITE)
    attempts.running(given)
    attempts.namespace.kubectl("delete", "pod", attempts.pod(given), "--wait=false")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("DeletedByOthers", SYSTEM)
    assert attempts.outcome(given).retryable
    assert "ready" in attempts.log(given)


def test_a_forced_deletion_loses_nothing(attempts: Attempts) -> None:
    given = attempts.submit("sleep 100")
    attempts.running(given)
    attempts.namespace.kubectl("delete", "pod", attempts.pod(given), "--grace-period=0", "--force", "--wait=false")
    assert attempts.error(given).kind == SYSTEM


def test_an_evicted_pod_is_the_systems(attempts: Attempts) -> None:
    given = attempts.submit(POLITE)
    attempts.running(given)
    name, place = attempts.pod(given), attempts.namespace.name
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": place}}
    path = f"/api/v1/namespaces/{place}/pods/{name}/eviction"
    attempts.namespace.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    error = attempts.error(given)
    assert (error.code, error.kind) == ("Evicted", SYSTEM)


def test_a_preempted_gpu_pod_is_the_systems(attempts: Attempts, gpus: int) -> None:
    place = attempts.namespace
    for name, value in (("low", 1), ("high", 1000)):
        metadata = {"name": f"{place.name}-{name}"}
        kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": value}
        place.cluster.kubectl("create", "-f", "-", stdin=json.dumps(kind))
    try:
        attempts.restart(priority_class=f"{place.name}-low")
        given = attempts.submit(POLITE, needs=Needs(requests={"cpu": "10m", "gpu": str(gpus)}))
        attempts.running(given)
        limits = {"limits": {GPU: str(gpus)}}
        main = {"name": "main", "image": attempts.image, "command": ["sleep", "1"], "resources": limits}
        spec = {"containers": [main], "restartPolicy": "Never", "priorityClassName": f"{place.name}-high"}
        place.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "vip"}, "spec": spec})
        error = attempts.error(given)
        assert (error.code, error.kind) == ("Preempted", SYSTEM)
        attempts.gone(given)
    finally:
        place.cluster.kubectl("delete", "priorityclass", f"{place.name}-low", f"{place.name}-high")


def with_init(attempts: Attempts, script: str, **more: Any) -> Any:
    prep = {"name": "prep", "image": attempts.image, "command": ["sh", "-c", script], **more}
    return with_pod(attempts, "echo done; exit 3", initContainers=[prep], terminationGracePeriodSeconds=1)


@begins(lambda attempts: with_init(attempts, "echo no table; exit 3"))
def test_an_init_container_that_fails_is_named(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("InitContainerFailed", USER)
    assert "prep" in error.message
    assert "no table" in error.message
    assert "=== container prep ===\nno table" in begun.attempts.log(begun.one)


@begins(lambda attempts: with_init(attempts, "sleep 1000", restartPolicy="Always"))
def test_a_native_sidecar_does_not_decide(begun: Begun) -> None:
    assert "exit code 3" in begun.error().message


def with_sidecar(attempts: Attempts) -> Any:
    side = {"name": "side", "image": attempts.image, "command": ["sleep", "1000"]}
    return with_pod(attempts, "exit 4", beside=[side])


@begins(with_sidecar)
def test_an_ordinary_sidecar_is_not_waited_for(begun: Begun) -> None:
    assert "exit code 4" in begun.error().message
    begun.attempts.gone(begun.one)


FILL = "dd if=/dev/zero of=/tmp/big bs=1M count=80 2>/dev/null; sleep 300"
LITTLE_DISK = Needs(requests={"cpu": "10m"}, limits={"ephemeral-storage": "20Mi"})


@begins(lambda attempts: attempts.submit(FILL, needs=LITTLE_DISK))
def test_too_much_disk_is_the_tasks_fault(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("EphemeralStorage", USER)


# --- waits ------------------------------------------------------------------------------------------------------------


@begins(lambda attempts: attempts.submit("true", image="localhost:1/team/none:1"))
def test_an_image_that_is_not_there_is_told_at_once_and_ends(begun: Begun) -> None:
    attempts, given = begun.attempts, begun.one
    assert "cannot be pulled" in attempts.waiting(given, "ImagePull").message
    error = attempts.error(given)
    assert (error.code, error.kind) == ("ImagePull", USER)
    assert {seen.code for seen in attempts.of(Waiting, given)} <= {"ImagePull", "ContainerCreating", "Scheduling"}
    attempts.gone(given)


@begins(lambda attempts: attempts.submit("true", image="Not/An Image"))
def test_a_name_that_no_image_can_have_ends_at_once(begun: Begun) -> None:
    error = begun.error()
    assert error.kind == USER
    assert "Not/An Image" in error.message


def with_variable_from(attempts: Attempts, kind: str) -> Any:
    env = [{"name": "A", "valueFrom": {kind: {"name": "absent", "key": "a"}}}]
    return with_pod(attempts, "true", primary={"env": env})


@begins(lambda attempts: [with_variable_from(attempts, kind) for kind in ("configMapKeyRef", "secretKeyRef")])
def test_a_config_map_that_is_not_there_is_named(begun: Begun) -> None:
    for number, kind in enumerate(("configmap", "secret")):
        error = begun.error(number)
        assert (error.code, error.kind) == ("CreateContainerConfigError", USER)
        assert f'{kind} "absent" not found' in error.message


def with_volume(attempts: Attempts) -> Any:
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "secret": {"secretName": "absent"}}]
    return with_pod(attempts, "true", primary=mounts, volumes=volumes)


@begins(with_volume)
def test_a_volume_that_does_not_come_is_told_from_events(begun: Begun) -> None:
    error = begun.error()
    assert error.code == "FailedMount"
    assert 'secret "absent" not found' in error.message


def test_more_gpus_than_any_node_has_can_never_run(attempts: Attempts, gpus: int) -> None:
    given = attempts.submit("true", needs=Needs(requests={"cpu": "10m", "gpu": str(gpus * 2)}))
    error = attempts.error(given)
    assert (error.code, error.kind) == ("NoNodeLargeEnough", USER)
    attempts.gone(given)


def test_gpus_that_others_hold_are_waited_for(attempts: Attempts, gpus: int) -> None:
    everything = Needs(requests={"cpu": "10m", "gpu": str(gpus)})
    first = attempts.submit("sleep 5", needs=everything, with_outputs=True)
    attempts.running(first)
    second = attempts.submit("true", needs=everything, with_outputs=True)
    waits = attempts.waiting(second, "Unschedulable")
    assert waits.short
    assert waits.message.endswith(f"Insufficient {GPU}")
    assert attempts.outcome(second).phase == AttemptPhase.SUCCEEDED


# --- what is given ----------------------------------------------------------------------------------------------------


def test_secrets_are_there_as_variables_and_files_and_go_with_the_pod(attempts: Attempts) -> None:
    attempts.mounts = Mounts({"_FSEC_TEAM_KEY": "v1"}, {"team/key": b"v2"}, {"MY": "team/key"}, hidden=("v1", "v2"))
    file = "$FLYTE_SECRETS_DEFAULT_DIR/team/key"
    script = f'test "$_FSEC_TEAM_KEY" = v1 && test "$(cat {file})" = v2 && test "$(cat $MY)" = v2'
    given = attempts.submit(f"{script} && exit 9", secrets=(Request(Name("team", "key")),))
    assert "exit code 9" in attempts.error(given).message
    attempts.gone(given)
    attempts.until(lambda: not attempts.namespace.get("secrets")["items"])


SHARED = Needs(requests={"cpu": "10m"}, shared_memory=SharedMemory("130Mi"))


@begins(lambda attempts: attempts.submit("df -m /dev/shm | tail -1; exit 5", needs=SHARED))
def test_shared_memory_is_as_large_as_asked_for(begun: Begun) -> None:
    error = begun.error()
    assert " 130 " in error.message


@begins(lambda attempts: attempts.submit("test ! -e /var/run/secrets/kubernetes.io && exit 6"))
def test_a_task_has_no_token_of_the_cluster(begun: Begun) -> None:
    assert "exit code 6" in begun.error().message


def test_the_namespaces_default_template_lies_beneath(attempts: Attempts) -> None:
    primary = {"name": "primary", "image": "noop", "env": [{"name": "FROM_TEMPLATE", "value": "yes"}]}
    template = {"metadata": {"labels": {"from": "template"}}, "spec": {"containers": [primary]}}
    metadata = {"name": "flyte-template"}
    attempts.namespace.create({"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template})
    given = attempts.submit('test "$FROM_TEMPLATE" = yes && exit 8')
    assert "exit code 8" in attempts.error(given).message


@begins(lambda attempts: attempts.submit("true", pod=Pod(template="absent")))
def test_a_template_that_is_not_there_is_told_before_anything_is_made(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("BadTaskSpecification", USER)
    assert "'absent'" in error.message


ABSENT = {"volumeMounts": [{"name": "absent", "mountPath": "/v"}]}


@begins(lambda attempts: with_pod(attempts, "true", primary=ABSENT))
def test_what_the_cluster_refuses_is_in_its_words(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("PodRefused", USER)
    assert "volumeMounts" in error.message


@begins(lambda attempts: with_pod(attempts, "true", fieldOfTomorrow=1))
def test_a_field_that_the_cluster_does_not_know_is_told_and_not_dropped(begun: Begun) -> None:
    error = begun.error()
    assert (error.code, error.kind) == ("PodRefused", USER)
    assert 'unknown field "spec.fieldOfTomorrow"' in error.message
    assert "whoever wrote the task or its pod template" in error.message


def test_cancelling_is_quick_and_ends_aborted(attempts: Attempts) -> None:
    given = attempts.submit("sleep 1000", needs=NOTHING_ASKED)
    attempts.running(given)
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given, 30).phase == AttemptPhase.ABORTED
    assert len(attempts.of(Ended, given)) == 1
    attempts.gone(given)

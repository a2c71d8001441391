"""Every way in which a pod ends or waits, on a real cluster: what Causeway makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.attempts.observations import Ended, Waiting
from scheduler.attempts.spec import Needs, Pod, SharedMemory
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Name, Request
from tests.cluster.attempts import NOTHING_ASKED, QUICK, SYSTEM, USER, Attempts
from tests.cluster.running import GPU, Namespace

POLITE = "trap 'exit 0' TERM; echo ready; while true; do sleep 0.1; done"
EAT = "python3 -c \"x = 'x' * (400 * 1024 * 1024)\""
SMALL = Needs(requests={"cpu": "10m", "memory": "60Mi"})


@pytest.fixture
def attempts(namespace: Namespace, tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(namespace, tmp_path, graces=QUICK)
    yield made
    made.close()


def with_pod(attempts: Attempts, script: str, **spec: Any) -> Any:
    """An attempt with a pod template in code."""
    primary = {"name": "primary", "image": attempts.image, **spec.pop("primary", {})}
    pod = Pod(spec={"containers": [primary, *spec.pop("beside", [])], **spec}, primary="primary")
    return attempts.submit(script, pod=pod)


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_task_that_ends_well_with_outputs_succeeds_and_its_pod_goes(attempts: Attempts) -> None:
    given = attempts.submit("echo hello; sleep 1; echo bye", with_outputs=True)
    assert attempts.outcome(given).phase == AttemptPhase.SUCCEEDED
    assert attempts.log(given) == "hello\nbye\n"


def test_a_task_that_ends_well_without_outputs_has_failed(attempts: Attempts) -> None:
    error = attempts.error(attempts.submit("echo nothing done"))
    assert (error.code, error.kind) == ("OutputsNotFound", USER)


def test_an_exit_code_is_the_users_and_comes_with_the_last_words(attempts: Attempts) -> None:
    given = attempts.submit("echo some; echo last words >&2; exit 7")
    error = attempts.error(given)
    assert (error.code, error.kind) == ("NonZeroExit", USER)
    assert "exit code 7" in error.message
    assert "last words" in error.message


def test_a_program_that_is_not_there_is_told_in_the_runtimes_words(attempts: Attempts) -> None:
    given = attempts.submit("", argv=("/no/such/binary",), entry=1)
    error = attempts.error(given)
    assert (error.code, error.kind) == ("StartError", USER)
    assert "/no/such/binary" in error.message
    assert not attempts.outcome(given).retryable


def test_an_image_without_a_shell_has_flytekit_started_its_own_way(attempts: Attempts) -> None:
    command = {"argv": ("pyflyte-execute", "--inputs", "s3://b/i.pb"), "entry": 0, "image": "localhost/pause:1"}
    first = attempts.submit("", **command)
    error = attempts.error(first)
    assert (error.code, error.kind) == ("NoShellInImage", SYSTEM)
    assert attempts.outcome(first).retryable
    error = attempts.error(attempts.submit("", **command))
    assert (error.code, error.kind) == ("StartError", USER)
    assert "pyflyte-execute" in error.message


def test_too_much_memory_is_known_by_its_reason(attempts: Attempts) -> None:
    error = attempts.error(attempts.submit(EAT, needs=SMALL))
    assert (error.code, error.kind) == ("OOMKilled", USER)
    assert "60Mi" in error.message


@pytest.mark.parametrize("code", [0, 7])
def test_a_child_without_memory_is_known_whatever_its_parent_makes_of_it(attempts: Attempts, code: int) -> None:
    error = attempts.error(attempts.submit(f"{EAT}; exit {code}", needs=SMALL))
    assert error.code == "OOMKilled"


def test_a_deadline_is_the_users(attempts: Attempts) -> None:
    error = attempts.error(attempts.submit("sleep 60", timeout_seconds=3))
    assert (error.code, error.kind) == ("TimeoutExpired", USER)


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


def test_an_init_container_that_fails_is_named(attempts: Attempts) -> None:
    prep = {"name": "prep", "image": attempts.image, "command": ["sh", "-c", "echo no table; exit 3"]}
    given = with_pod(attempts, "echo never", initContainers=[prep])
    error = attempts.error(given)
    assert (error.code, error.kind) == ("InitContainerFailed", USER)
    assert "prep" in error.message
    assert "no table" in error.message
    assert "=== container prep ===\nno table" in attempts.log(given)


def test_a_native_sidecar_does_not_decide(attempts: Attempts) -> None:
    side = {"name": "side", "image": attempts.image, "command": ["sleep", "1000"], "restartPolicy": "Always"}
    given = with_pod(attempts, "echo done; exit 3", initContainers=[side], terminationGracePeriodSeconds=1)
    assert "exit code 3" in attempts.error(given).message


def test_an_ordinary_sidecar_is_not_waited_for(attempts: Attempts) -> None:
    side = {"name": "side", "image": attempts.image, "command": ["sleep", "1000"]}
    given = with_pod(attempts, "exit 4", beside=[side])
    assert "exit code 4" in attempts.error(given, 60).message
    attempts.gone(given)


def test_too_much_disk_is_the_tasks_fault(attempts: Attempts) -> None:
    needs = Needs(requests={"cpu": "10m"}, limits={"ephemeral-storage": "20Mi"})
    given = attempts.submit("dd if=/dev/zero of=/tmp/big bs=1M count=80 2>/dev/null; sleep 300", needs=needs)
    error = attempts.error(given, 200)
    assert (error.code, error.kind) == ("EphemeralStorage", USER)


# --- waits ------------------------------------------------------------------------------------------------------------


def test_an_image_that_is_not_there_is_told_at_once_and_ends(attempts: Attempts) -> None:
    given = attempts.submit("true", image="localhost:1/team/none:1")
    assert "cannot be pulled" in attempts.waiting(given, "ImagePull").message
    error = attempts.error(given)
    assert (error.code, error.kind) == ("ImagePull", USER)
    assert {seen.code for seen in attempts.of(Waiting, given)} <= {"ImagePull", "ContainerCreating", "Scheduling"}
    attempts.gone(given)


def test_a_name_that_no_image_can_have_ends_at_once(attempts: Attempts) -> None:
    error = attempts.error(attempts.submit("true", image="Not/An Image"))
    assert error.kind == USER
    assert "Not/An Image" in error.message


def test_a_config_map_that_is_not_there_is_named(attempts: Attempts) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "a"}}}]
    error = attempts.error(with_pod(attempts, "true", primary={"env": env}))
    assert (error.code, error.kind) == ("CreateContainerConfigError", USER)
    assert 'configmap "absent" not found' in error.message


def test_a_volume_that_does_not_come_is_told_from_events(attempts: Attempts) -> None:
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "secret": {"secretName": "absent"}}]
    error = attempts.error(with_pod(attempts, "true", primary=mounts, volumes=volumes), 90)
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
    attempts.until(lambda: not attempts.namespace.kubectl("get", "secrets", "-o", "name"))


def test_shared_memory_is_as_large_as_asked_for(attempts: Attempts) -> None:
    needs = Needs(requests={"cpu": "10m"}, shared_memory=SharedMemory("130Mi"))
    error = attempts.error(attempts.submit("df -m /dev/shm | tail -1; exit 5", needs=needs))
    assert " 130 " in error.message


def test_a_task_has_no_token_of_the_cluster(attempts: Attempts) -> None:
    given = attempts.submit("test ! -e /var/run/secrets/kubernetes.io && exit 6")
    assert "exit code 6" in attempts.error(given).message


def test_the_namespaces_default_template_lies_beneath(attempts: Attempts) -> None:
    primary = {"name": "primary", "image": "noop", "env": [{"name": "FROM_TEMPLATE", "value": "yes"}]}
    template = {"metadata": {"labels": {"from": "template"}}, "spec": {"containers": [primary]}}
    metadata = {"name": "flyte-template"}
    attempts.namespace.create({"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template})
    given = attempts.submit('test "$FROM_TEMPLATE" = yes && exit 8')
    assert "exit code 8" in attempts.error(given).message


def test_a_template_that_is_not_there_is_told_before_anything_is_made(attempts: Attempts) -> None:
    error = attempts.error(attempts.submit("true", pod=Pod(template="absent")))
    assert (error.code, error.kind) == ("BadTaskSpecification", USER)
    assert "'absent'" in error.message


def test_what_the_cluster_refuses_is_in_its_words(attempts: Attempts) -> None:
    given = with_pod(attempts, "true", primary={"volumeMounts": [{"name": "absent", "mountPath": "/v"}]})
    error = attempts.error(given)
    assert (error.code, error.kind) == ("PodRefused", USER)
    assert "volumeMounts" in error.message


def test_cancelling_is_quick_and_ends_aborted(attempts: Attempts) -> None:
    given = attempts.submit("sleep 1000", needs=NOTHING_ASKED)
    attempts.running(given)
    attempts.executor.cancel(given.attempt_id)
    assert attempts.outcome(given, 30).phase == AttemptPhase.ABORTED
    assert len(attempts.of(Ended, given)) == 1
    attempts.gone(given)

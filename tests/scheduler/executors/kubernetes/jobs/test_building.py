"""Jobs as they are sent to their operators: each trap of a real operator has its test here."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import Needs, Pod
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.jobs import mpi
from scheduler.executors.kubernetes.jobs.kubeflow import own_deadline
from scheduler.executors.kubernetes.jobs.registry import KINDS
from tests.scheduler.executors.kubernetes.jobs.making import ELASTIC, MASTER_AND_TWO, Json, built, plan

TF: Json = {
    "chiefReplicas": {"replicas": 1, "resources": {}},
    "psReplicas": {"resources": {}},
    "workerReplicas": {"replicas": 2, "resources": {}},
    "evaluatorReplicas": {"resources": {}},
}
MPI: Json = {
    "launcherReplicas": {"replicas": 1, "resources": {}},
    "workerReplicas": {"replicas": 3, "resources": {}},
    "slots": 2,
}
RAY: Json = {
    "rayCluster": {"workerGroupSpec": [{"groupName": "g", "replicas": 2, "minReplicas": 2, "maxReplicas": 2}]},
    "runtimeEnv": "eyJwaXAiOiBbIngiXX0=",
    "runtimeEnvYaml": "pip:\n- x\n",
}
SPARK: Json = {
    "mainApplicationFile": "local:///opt/venv/bin/entrypoint.py",
    "executorPath": "/opt/venv/bin/python3",
    "sparkConf": {"spark.executor.instances": "3", "spark.driver.memory": "2g", "spark.sql.x": "1"},
    "databricksConf": {},
}
DASK: Json = {"scheduler": {"resources": {}}, "workers": {"numberOfWorkers": 2, "resources": {}}}
ALL = {"pytorch": MASTER_AND_TWO, "tensorflow": TF, "mpi": MPI, "ray": RAY, "spark": SPARK, "dask": DASK}


def templates(made: Any) -> list[Json]:
    """Every pod template there is in an object."""
    if isinstance(made, dict):
        own = [made] if "containers" in made else []
        return own + [one for value in made.values() for one in templates(value)]
    return [one for value in made for one in templates(value)] if isinstance(made, list) else []


def container(template: Json) -> Json:
    return next(iter(template["spec"]["containers"]))


@pytest.mark.parametrize("kind", ["pytorch", "tensorflow"])
def test_the_container_has_the_name_that_the_operator_knows(kind: str) -> None:
    own = Pod(spec={"containers": [{"name": "primary", "image": "x"}]}, primary="primary")
    for pod in templates(built(kind, ALL[kind], pod=own)["spec"]):
        assert [one["name"] for one in pod["containers"]] == [kind]


def test_another_container_of_that_name_is_refused() -> None:
    own = Pod(spec={"containers": [{"name": "primary"}, {"name": "pytorch", "image": "x"}]}, primary="primary")
    with pytest.raises(InvalidArgument, match="has a container 'pytorch' besides its own"):
        built("pytorch", MASTER_AND_TWO, pod=own)


@pytest.mark.parametrize("kind", sorted(ALL))
def test_names_leave_room_for_what_operators_add(kind: str) -> None:
    long = "f" * 60 + "-n0-0-n1-0"
    made = plan(kind, ALL[kind])
    identity = made.spec.identity
    name = names.pod_name(type(identity)(name=long, execution=long, node="n0"), "me", 44)
    assert len(f"{name}-worker-123456789") <= 63
    assert len(made.name) <= 44


def test_a_group_of_no_replicas_is_left_out() -> None:
    assert list(built("tensorflow", TF)["spec"]["tfReplicaSpecs"]) == ["Chief", "Worker"]


@pytest.mark.parametrize("kind", sorted(ALL))
def test_whole_numbers_are_sent_as_whole_numbers(kind: str) -> None:
    def doubled(value: Any) -> Any:  # as a Struct has them
        if isinstance(value, dict):
            return {name: doubled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [doubled(one) for one in value]
        return float(value) if isinstance(value, int) else value

    made = KINDS[kind].build(plan(kind, doubled(ALL[kind])))
    assert not re.search(r"[ :]\d+\.0[,}\]]", json.dumps(made["spec"]))


def test_a_job_that_fails_keeps_no_gpus_and_an_elastic_one_is_not_cut_short() -> None:
    assert built("pytorch", MASTER_AND_TWO)["spec"]["runPolicy"] == {"cleanPodPolicy": "Running"}
    assert built("pytorch", ELASTIC)["spec"]["runPolicy"] == {"cleanPodPolicy": "None"}
    asked = {**MASTER_AND_TWO, "runPolicy": {"cleanPodPolicy": "CLEANPOD_POLICY_ALL", "backoffLimit": 2.0}}
    assert built("pytorch", asked)["spec"]["runPolicy"] == {"cleanPodPolicy": "All", "backoffLimit": 2}


def test_deadlines_and_lives_of_the_operator_are_not_used() -> None:
    asked = {**MASTER_AND_TWO, "runPolicy": {"activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 5}}
    made = plan("pytorch", asked)
    assert set(KINDS["pytorch"].build(made)["spec"]["runPolicy"]) == {"cleanPodPolicy"}
    assert own_deadline(made.spec) == 60


def test_an_elastic_job_has_workers_only_and_says_each_number() -> None:
    made = built("pytorch", ELASTIC)["spec"]
    assert list(made["pytorchReplicaSpecs"]) == ["Worker"]
    assert made["elasticPolicy"] == {
        "rdzvBackend": "c10d",
        "minReplicas": 2,
        "maxReplicas": 2,
        "nProcPerNode": 1,
        "maxRestarts": 0,
    }


def test_a_replica_is_tried_once_unless_the_task_says_otherwise_and_never_without_end() -> None:
    def asked(policy: str) -> Json:
        return {**MASTER_AND_TWO, "workerReplicas": {"replicas": 1, "restartPolicy": policy}}

    specs = built("pytorch", asked("RESTART_POLICY_ON_FAILURE"))["spec"]["pytorchReplicaSpecs"]
    assert (specs["Master"]["restartPolicy"], specs["Worker"]["restartPolicy"]) == ("Never", "OnFailure")
    for endless in ("RESTART_POLICY_ALWAYS", "RESTART_POLICY_EXIT_CODE"):
        with pytest.raises(InvalidArgument, match=endless):
            built("pytorch", asked(endless))


def test_roles_have_images_and_resources_of_their_own() -> None:
    asked = {**MASTER_AND_TWO, "workerReplicas": {"replicas": 2, "image": "gpu:1"}}
    needs = {"worker": Needs(requests={"gpu": "4"}, limits={"gpu": "4"})}
    made = built("pytorch", asked, needs=needs)["spec"]["pytorchReplicaSpecs"]
    master, worker = (container(made[role]["template"]) for role in ("Master", "Worker"))
    assert (master["image"], worker["image"]) == ("team/job:1", "gpu:1")
    assert "resources" not in master
    assert worker["resources"]["limits"] == {"nvidia.com/gpu": "4"}


@pytest.mark.parametrize("kind", sorted(ALL))
def test_every_pod_bears_the_marks_of_its_attempt_and_no_finalizer(kind: str) -> None:
    made = built(kind, ALL[kind])
    assert made["metadata"]["labels"][names.ATTEMPT_ID] == "7"
    assert "finalizers" not in json.dumps(made)
    if kind == "dask":  # its operator hands the job's own labels on
        return
    for marks in _labels(made["spec"]):
        assert marks[names.ATTEMPT_ID] == "7" and marks[names.OWNER] == "me"


def _labels(made: Any) -> list[Json]:
    found = [made["labels"]] if isinstance(made, dict) and "labels" in made else []
    parts = made.values() if isinstance(made, dict) else made if isinstance(made, list) else []
    return found + [one for part in parts for one in _labels(part)]


@pytest.mark.parametrize("kind", sorted(ALL))
def test_the_job_waits_in_the_queue_and_not_its_pods(kind: str) -> None:
    made = built(kind, ALL[kind], cluster=Cluster(queues={"*": "team"}))
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert "kueue" not in json.dumps(made["spec"])


@pytest.mark.parametrize("kind", sorted(ALL))
def test_all_replicas_share_the_variables_of_the_attempt(kind: str) -> None:
    made = built(kind, ALL[kind], env={"FLYTE_INTERNAL_EXECUTION_ID": "f1"}, place={"env": {"STORE": "s3"}})
    for pod in templates(made["spec"]):
        told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert (told["FLYTE_INTERNAL_EXECUTION_ID"], told["STORE"]) == ("f1", "s3")


@pytest.mark.parametrize("resource", [mpi.V1, mpi.V2])
def test_an_mpi_job_is_made_for_the_api_that_the_cluster_has(resource: Any) -> None:
    made = built("mpi", MPI, resource=resource, argv=("mpirun", "-np", "2", "python"))
    assert made["apiVersion"] == resource.api_version
    spec = made["spec"]
    assert spec["slotsPerWorker"] == 2
    assert {role: one["replicas"] for role, one in spec["mpiReplicaSpecs"].items()} == {"Launcher": 1, "Worker": 3}
    launcher, worker = (container(spec["mpiReplicaSpecs"][role]["template"]) for role in ("Launcher", "Worker"))
    assert launcher["args"] == ["mpirun", "-np", "2", "python"]
    assert not {"command", "args"} & worker.keys(), "the operator says what a worker waits with"
    assert spec["runPolicy"].get("backoffLimit") == (0 if resource == mpi.V2 else None), "its Job would try six times"


def test_an_mpi_worker_has_the_command_that_the_task_gives_it() -> None:
    asked = {**MPI, "workerReplicas": {"replicas": 1, "command": ["/usr/sbin/sshd", "-De", "-p", "2222"]}}
    worker = container(built("mpi", asked)["spec"]["mpiReplicaSpecs"]["Worker"]["template"])
    assert worker["command"] == ["/usr/sbin/sshd", "-De", "-p", "2222"]


def test_a_ray_job_has_a_head_though_the_plugin_sends_none_and_its_program_as_one_text() -> None:
    argv = ("pyflyte-execute", "--inputs", "s3://b/with blank's/i.pb")
    spec = built("ray", RAY, argv=argv)["spec"]
    assert shlex.split(spec["entrypoint"]) == list(argv)
    head = spec["rayClusterSpec"]["headGroupSpec"]
    assert list(head["rayStartParams"]) == ["dashboard-host"]
    assert container(head["template"])["name"] == "ray-head"
    assert "args" not in container(head["template"])
    assert spec["runtimeEnvYAML"] == "pip:\n- x\n" and "runtimeEnv" not in spec
    assert spec["shutdownAfterJobFinishes"] is True and spec["backoffLimit"] == 0
    assert "activeDeadlineSeconds" not in spec


def test_rays_probes_need_no_wget() -> None:
    spec = built("ray", RAY)["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        for probe in ("readinessProbe", "livenessProbe"):
            assert "tcpSocket" in container(group["template"])[probe]


def test_container_0_of_a_ray_pod_counts_whatever_is_called_primary() -> None:
    given = {
        "primaryContainerName": "primary",
        "metadata": {"labels": {"team": "a", "kueue.x-k8s.io/queue-name": "another", names.OWNER: "other"}},
        "podSpec": {
            "containers": [{"name": "ray-worker", "image": "own:2", "env": [{"name": "X", "value": "1"}]}],
            "nodeSelector": {"pool": "gpu"},
        },
    }
    asked = {"rayCluster": {"workerGroupSpec": [{"groupName": "g", "replicas": 1, "k8sPod": given}]}}
    (group,) = built("ray", asked)["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert container(group["template"])["image"] == "own:2"
    assert {"name": "X", "value": "1"} in container(group["template"])["env"]
    assert group["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}
    labels = group["template"]["metadata"]["labels"]
    assert (labels["team"], labels[names.OWNER]) == ("a", "me"), "its marks are Causeway's"
    assert "kueue.x-k8s.io/queue-name" not in labels


def test_an_older_runtime_env_is_read_from_its_base64_and_a_bad_one_is_told() -> None:
    old = {name: value for name, value in RAY.items() if name != "runtimeEnvYaml"}
    assert built("ray", old)["spec"]["runtimeEnvYAML"] == "pip:\n- x\n"
    with pytest.raises(InvalidArgument, match="runtime_env cannot be read"):
        built("ray", {**old, "runtimeEnv": "%%"})


def test_a_spark_application_is_made_of_templates_and_needs_no_webhook() -> None:
    place: Json = {"store_secret": "s", "secret_env": {"_FSEC_G_K": "env-0"}, "secret_files": {"g/k": "file-0"}}
    cluster = Cluster(priority_class="low", pod_security_context={"fsGroup": 7}, tolerations=({"key": "spot"},))
    spec = built("spark", SPARK, image="team/spark:3.5.1-py", place=place, cluster=cluster)["spec"]
    for role, name in (("driver", "spark-kubernetes-driver"), ("executor", "spark-kubernetes-executor")):
        pod = spec[role]["template"]["spec"]
        assert (pod["priorityClassName"], pod["securityContext"]) == ("low", {"fsGroup": 7})
        assert {"key": "spot"} in pod["tolerations"]
        (main,) = pod["containers"]
        assert main["name"] == name and main["envFrom"][0]["secretRef"]["name"] == "s"
        (secret,) = [one["valueFrom"]["secretKeyRef"] for one in main["env"] if one["name"] == "_FSEC_G_K"]
        assert secret["name"].endswith("-secrets")
        assert main["volumeMounts"] and pod["volumes"], "secrets as files too"
        assert not {"command", "args"} & main.keys(), "the image's entry point is Spark's"
    assert spec["sparkConf"]["spark.pyspark.python"] == "/opt/venv/bin/python3"
    assert spec["sparkConf"]["spark.sql.x"] == "1"
    assert spec["sparkVersion"] == "3.5.1"
    assert spec["executor"]["instances"] == 3
    assert spec["driver"]["memory"] == "2g" and "spark.driver.memory" not in spec["sparkConf"]
    assert spec["restartPolicy"] == {"type": "Never"}
    assert "databricks" not in json.dumps(spec).lower()


@pytest.mark.parametrize(("image", "version"), [("s:4.3.0", "4.3.0"), ("app:2.1", "3.5.0"), ("host:5000/app", "3.5.0")])
def test_an_images_tag_is_no_old_spark(image: str, version: str) -> None:
    """The operator would take no templates of it."""
    assert built("spark", SPARK, image=image)["spec"]["sparkVersion"] == version


def test_sparks_pods_run_where_the_application_is() -> None:
    """The operator may make pods in every namespace, and Spark's configuration wins over the application's own."""
    own = plan("spark", SPARK).around.namespace
    conf = {**SPARK["sparkConf"], "spark.kubernetes.namespace": own}
    assert built("spark", {**SPARK, "sparkConf": conf})["spec"]["sparkConf"]["spark.kubernetes.namespace"] == own
    for name, value in (("spark.kubernetes.namespace", "other"), ("spark.kubernetes.namespace=other", "")):
        with pytest.raises(InvalidArgument, match=f"its pods run in the namespace {own}, and spark.kubernetes.namesp"):
            built("spark", {**SPARK, "sparkConf": {name: value}})


def test_no_file_of_the_operators_own_pod_is_uploaded() -> None:
    conf = {"spark.kubernetes.file.upload.path": "s3a://mine/", "spark.files": "file:///var/run/secrets/token"}
    assert "spark.kubernetes.file.upload.path" not in built("spark", {**SPARK, "sparkConf": conf})["spec"]["sparkConf"]


def test_the_pods_that_sparks_plugin_sends_are_laid_over_what_the_cluster_says() -> None:
    given = {
        "primaryContainerName": "own",
        "metadata": {"labels": {"team": "a", names.OWNER: "other"}},
        "podSpec": {
            "containers": [{"name": "side", "image": "s"}, {"name": "own", "image": "own:2", "env": [{"name": "X"}]}],
            "nodeSelector": {"pool": "gpu"},
        },
    }
    cluster = Cluster(tolerations=({"key": "spot"},))
    spec = built("spark", {**SPARK, "executorPod": given}, cluster=cluster)["spec"]
    made = spec["executor"]["template"]
    assert (spec["executor"]["image"], container(made)["image"]) == ("own:2", "own:2")
    assert {"name": "X"} in container(made)["env"] and len(container(made)["env"]) > 1
    assert made["spec"]["nodeSelector"] == {"pool": "gpu"} and {"key": "spot"} in made["spec"]["tolerations"]
    assert (made["metadata"]["labels"]["team"], made["metadata"]["labels"][names.OWNER]) == ("a", "me")
    assert "image" not in spec["driver"]


def test_dasks_program_begins_when_its_scheduler_can_be_reached() -> None:
    """Its client would give up after half a minute."""
    mounts = [{"name": "venv", "mountPath": "/opt/venv"}]
    own = Pod(
        spec={
            "containers": [{"name": "primary", "volumeMounts": mounts, "command": ["tini"]}],
            "initContainers": [{"name": "own", "image": "x"}],
            "volumes": [{"name": "venv", "emptyDir": {}}],
        },
        primary="primary",
    )
    made = built("dask", DASK, pod=own)
    own_one, waits = made["spec"]["job"]["spec"]["initContainers"]
    (main,) = made["spec"]["job"]["spec"]["containers"]
    assert own_one["name"] == "own"
    assert waits["args"][-2:] == [f"{made['metadata']['name']}-scheduler", "8786"] and "command" not in waits
    assert all(waits[part] == main[part] for part in ("image", "env", "volumeMounts"))


def test_what_calls_the_cluster_has_its_accounts_token_and_nothing_else_has() -> None:
    """A driver makes its executors, an autoscaler beside Ray's head its workers, an MPIJob v1 reaches them by exec."""
    grows = {"rayCluster": {**RAY["rayCluster"], "enableAutoscaling": True}}
    callers = {
        "spark": [built("spark", SPARK)["spec"]["driver"]["template"]],
        "ray": [built("ray", grows)["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]],
        "mpi": [built("mpi", MPI, resource=mpi.V1)["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]],
    }
    for (found,) in callers.values():
        assert "automountServiceAccountToken" not in found["spec"]
    others = [
        built("spark", SPARK)["spec"]["executor"]["template"]["spec"],
        *templates(built("mpi", MPI, resource=mpi.V2)["spec"]),
        *templates(built("ray", RAY)["spec"]),
        *templates(built("pytorch", MASTER_AND_TWO)["spec"]),
    ]
    assert all(pod["automountServiceAccountToken"] is False for pod in others)


def test_a_dask_job_brings_its_service_and_starts_modules() -> None:
    made = built("dask", DASK)
    cluster = made["spec"]["cluster"]["spec"]
    service = cluster["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == made["metadata"]["name"]
    assert [one["port"] for one in service["ports"]] == [8786, 8787]
    assert cluster["worker"]["replicas"] == 2
    assert cluster["scheduler"]["spec"]["containers"][0]["args"][:3] == [
        "python",
        "-m",
        "distributed.cli.dask_scheduler",
    ]
    assert cluster["worker"]["spec"]["containers"][0]["args"][2] == "distributed.cli.dask_worker"
    assert made["spec"]["job"]["spec"]["restartPolicy"] == "Never"
    assert "restartPolicy" not in cluster["worker"]["spec"], "a Deployment takes Always only"


@pytest.mark.parametrize("kind", sorted(ALL))
def test_flytekit_is_started_its_own_way_in_jobs(kind: str) -> None:
    made = json.dumps(built(kind, ALL[kind], argv=("pyflyte-execute", "--inputs", "x")))
    assert "CAUSEWAY_RUNNER" not in made

"""An attempt as a pod: what of the task, the launch and the cluster arrives where."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import Any

import pytest

from artifacts.exceptions import InvalidArgument
from scheduler.attempts.spec import Accelerator, DataConfig, Needs, Pod, SharedMemory
from scheduler.executors.kubernetes import names
from scheduler.executors.kubernetes.cluster import Accelerators, BadCluster, Cluster, Placing, described
from scheduler.executors.kubernetes.raw.containers import INPUTS, OUTPUTS, code
from scheduler.secrets.names import Name, Request
from tests.scheduler.executors.kubernetes.specs import around, built, main_of


def env_of(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def requirements(pod: dict[str, Any]) -> list[dict[str, Any]]:
    affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [one for term in affinity["nodeSelectorTerms"] for one in term["matchExpressions"]]


def test_a_plain_task_is_one_container() -> None:
    made = built()
    assert made.pod["kind"] == "Pod"
    assert made.pod["metadata"]["namespace"] == "flights-development"
    assert made.pod["metadata"]["finalizers"] == [names.FINALIZER]
    assert made.pod["metadata"]["labels"][names.EXECUTION] == "f1"
    assert made.pod["spec"]["restartPolicy"] == "Never"
    main = main_of(made)
    assert main["image"] == "team/job:1"
    assert main["args"][-3:] == ["pyflyte-execute", "--inputs", "s3://b/i.pb"]
    assert "command" not in main
    assert json.loads(made.body) == made.pod


def test_words_that_replace_the_entry_point_are_the_command() -> None:
    main = main_of(built(argv=("sh", "-c", "ls"), entry=2))
    assert (main["command"], main["args"]) == (["sh", "-c"], ["ls"])


def test_the_default_image_is_taken_where_a_task_names_none_and_its_lack_is_told() -> None:
    assert main_of(built(Cluster(image="def:1"), image=""))["image"] == "def:1"
    with pytest.raises(InvalidArgument, match="names no image, and no default image is set for the cluster gpu-1"):
        built(Cluster(name="gpu-1"), image="")


def test_the_tasks_variables_win_over_the_clusters() -> None:
    made = built(Cluster(env={"A": "cluster", "B": "2"}), around(env={"FLYTE_AWS_ENDPOINT": "http://s3"}))
    found = env_of(main_of(made))
    assert (found["A"], found["B"], found["FLYTE_AWS_ENDPOINT"]) == ("1", "2", "http://s3")
    assert found["FLYTE_INTERNAL_IMAGE"] == "team/job:1"


# --- resources --------------------------------------------------------------------------------------------------------


def test_a_cpu_limit_is_there_only_where_somebody_set_one() -> None:
    found = main_of(built(needs=Needs(requests={"cpu": "500m", "memory": "1Gi"})))["resources"]
    assert found == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    limited = main_of(built(needs=Needs(requests={"cpu": "1"}, limits={"cpu": "2"})))["resources"]
    assert limited["limits"] == {"cpu": "2"}


def test_nothing_asked_for_is_nothing_said_unless_the_cluster_has_defaults() -> None:
    assert "resources" not in main_of(built())
    found = main_of(built(Cluster(requests={"cpu": "100m"})))["resources"]
    assert found == {"requests": {"cpu": "100m"}}


def test_gpus_are_requested_and_limited_alike_by_the_clusters_name() -> None:
    found = main_of(built(needs=Needs(requests={"gpu": "2"})))["resources"]
    assert found == {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}
    amd = Cluster(accelerators=Accelerators(resource="amd.com/gpu"))
    assert main_of(built(amd, needs=Needs(limits={"gpu": "1"})))["resources"]["requests"] == {"amd.com/gpu": "1"}


def test_devices_of_other_names_are_passed_on() -> None:
    found = main_of(built(needs=Needs(requests={"google.com/tpu": "4"})))["resources"]
    assert found["limits"] == {"google.com/tpu": "4"}


def test_an_accelerator_chooses_nodes_and_tolerates_their_taint() -> None:
    needs = Needs(requests={"gpu": "1"}, accelerator=Accelerator("nvidia-tesla-a100", "1g.5gb"))
    rules = Accelerators(device_label="gpu", partition_label="part")
    made = built(Cluster(accelerators=rules), needs=needs)
    assert requirements(made.pod) == [
        {"key": "gpu", "operator": "In", "values": ["nvidia-tesla-a100"]},
        {"key": "part", "operator": "In", "values": ["1g.5gb"]},
    ]
    keys = [(one["key"], one["value"], one["effect"]) for one in made.pod["spec"]["tolerations"]]
    assert keys == [("gpu", "nvidia-tesla-a100", "NoSchedule"), ("part", "1g.5gb", "NoSchedule")]


def test_a_whole_device_means_a_node_without_partitions() -> None:
    needs = Needs(requests={"gpu": "1"}, accelerator=Accelerator("a100", ""))
    made = built(needs=needs)
    assert requirements(made.pod)[1] == {"key": "k8s.amazonaws.com/gpu-partition-size", "operator": "DoesNotExist"}


def test_an_accelerator_without_a_device_asked_for_chooses_nothing() -> None:
    assert "affinity" not in built(needs=Needs(accelerator=Accelerator("a100"))).pod["spec"]


def test_a_requirement_stands_in_every_alternative_of_an_affinity() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]} for zone in "ab"]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    needs = Needs(requests={"gpu": "1"}, accelerator=Accelerator("a100"))
    made = built(Cluster(affinity=affinity), needs=needs)
    assert [one["key"] for one in requirements(made.pod)].count("k8s.amazonaws.com/accelerator") == 2


def test_shared_memory_is_mounted_and_a_taken_place_is_told() -> None:
    needs = Needs(shared_memory=SharedMemory("1Gi", "/dev/shm", "flyte-shared-memory"))  # noqa: S108
    made = built(needs=needs)
    assert made.pod["spec"]["volumes"] == [
        {"name": "flyte-shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    ]
    assert main_of(made)["volumeMounts"] == [{"name": "flyte-shared-memory", "mountPath": "/dev/shm"}]  # noqa: S108
    mount = {"name": "x", "mountPath": "/dev/shm"}  # noqa: S108
    pod = Pod(spec={"containers": [{"name": "primary", "volumeMounts": [mount]}]}, primary="primary")
    with pytest.raises(InvalidArgument, match="is mounted already"):
        built(needs=needs, pod=pod)


# --- pod templates ----------------------------------------------------------------------------------------------------


def test_a_pod_in_code_keeps_its_other_containers_and_settings() -> None:
    secret = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    pod = Pod(
        spec={
            "containers": [
                {"name": "primary", "image": "old", "args": ["old"], "env": [secret], "resources": {"claims": [1]}},
                {"name": "side", "image": "side:1"},
            ],
            "initContainers": [{"name": "prep", "image": "prep:1"}],
            "nodeSelector": {"disk": "ssd"},
        },
        labels={"team": "flights"},
        primary="primary",
    )
    made = built(pod=pod, labels={"launch": "yes"}, needs=Needs(requests={"cpu": "1"}))
    assert [one["name"] for one in made.pod["spec"]["containers"]] == ["primary", "side"]
    assert made.pod["spec"]["nodeSelector"] == {"disk": "ssd"}
    main = main_of(made)
    assert main["image"] == "team/job:1"
    assert env_of(main)["KEY"] == secret["valueFrom"]
    assert main["resources"] == {"claims": [1], "requests": {"cpu": "1"}}
    assert made.pod["metadata"]["labels"]["team"] == "flights"
    assert made.pod["metadata"]["labels"]["launch"] == "yes"


def test_containers_beside_the_programs_get_the_variables_of_flyte_and_of_the_launch() -> None:
    side = {"name": "side", "image": "s", "env": [{"name": "LEVEL", "value": "own"}, {"name": "FOO", "value": "own"}]}
    main = {"name": "primary", "env": [{"name": "MINE", "value": "1"}]}
    pod = Pod(spec={"containers": [main, side], "initContainers": [{"name": "prep", "image": "p"}]}, primary="primary")
    cluster = Cluster(env={"LEVEL": "cluster", "ZONE": "z"}, env_from_config_maps=("site",))
    place = around(env={"CAUSEWAY_TOKEN": "t"}, store_secret="keys")
    env = {"FLYTE_ATTEMPT_NUMBER": "0", "MINE": "1", "FOO": "launch"}
    found = built(cluster, place, pod=pod, env=env).pod["spec"]
    flytes = {"FLYTE_ATTEMPT_NUMBER": "0", "FOO": "launch", "ZONE": "z"}
    (prep,), beside = found["initContainers"], found["containers"][1]
    assert env_of(prep) == {**flytes, "LEVEL": "cluster"}
    assert env_of(beside) == {**flytes, "LEVEL": "own"}, "the task's own variables and its keys are its program's"
    assert [one["envFrom"] for one in (prep, beside)] == [[{"configMapRef": {"name": "site", "optional": True}}]] * 2


def test_a_variable_may_quote_what_the_cluster_looks_up() -> None:
    """Kubernetes fills `$(POD)` in only where POD stands before it."""
    own, said = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "A", "value": "1"}
    both = {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}
    pod = Pod(spec={"containers": [{"name": "primary", "env": [said, own, both]}]}, primary="primary")
    env = {"ADDRESS": "http://$(POD):$(TOKEN)", "B": "unless the object says"}
    made = main_of(built(place=around(secret_env={"TOKEN": "env-0"}), pod=pod, env=env))["env"]
    told = [entry["name"] for entry in made]
    assert told.index("POD") < told.index("ADDRESS") > told.index("TOKEN")
    assert [entry for entry in made if entry["name"] == "B"] == [{"name": "B", "value": env["B"]}, both]


def test_a_pod_without_the_primary_container_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no container 'main-one'"):
        built(pod=Pod(spec={"containers": [{"name": "other"}]}, primary="main-one"))


def template(**spec: Any) -> dict[str, Any]:
    return {"template": {"metadata": {"labels": {"from": "template"}, "name": "ignored"}, "spec": spec}}


def test_a_named_template_lies_beneath_the_pod() -> None:
    containers = [
        {"name": "default", "image": "noop", "env": [{"name": "D", "value": "1"}], "securityContext": {"runAsUser": 5}},
        {"name": "primary", "image": "noop", "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        {"name": "absent", "image": "noop"},
    ]
    given = template(containers=containers, volumes=[{"name": "v"}], tolerations=[{"key": "t"}], hostNetwork=True)
    made = built(Cluster(tolerations=({"key": "c"},)), around(template=given))
    assert [one["name"] for one in made.pod["spec"]["containers"]] == ["main"]
    main = main_of(made)
    assert main["image"] == "team/job:1"
    assert main["securityContext"] == {"runAsUser": 5}
    assert main["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]
    assert env_of(main)["D"] == "1"
    assert env_of(main)["A"] == "1"
    assert made.pod["spec"]["hostNetwork"] is True
    assert made.pod["spec"]["tolerations"] == [{"key": "t"}, {"key": "c"}]
    assert made.pod["metadata"]["labels"]["from"] == "template"
    assert made.pod["metadata"]["name"] == made.name


def test_a_templates_limit_gives_way_to_what_the_task_requests() -> None:
    containers = [{"name": "primary", "image": "noop", "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}}]
    needs = Needs(requests={"cpu": "2", "gpu": "4"})
    found = main_of(built(place=around(template=template(containers=containers)), needs=needs))["resources"]
    assert found["limits"] == {"cpu": "2", "nvidia.com/gpu": "4"}
    assert found["requests"] == {"cpu": "2", "nvidia.com/gpu": "4"}


def test_what_a_template_says_of_resources_goes_before_what_nobody_said() -> None:
    beneath = {"requests": {"cpu": "3", "memory": "2Gi"}, "limits": {"memory": "8Gi"}}
    containers = [{"name": "primary", "image": "noop", "resources": beneath}]
    place = around(template=template(containers=containers))
    defaulted = Needs(
        requests={"cpu": "100m", "memory": "500Mi", "ephemeral-storage": "1Gi"},
        defaults=frozenset({"cpu", "memory", "ephemeral-storage"}),
    )
    found = main_of(built(Cluster(requests={"cpu": "1"}), place, needs=defaulted))["resources"]
    assert found["requests"] == {"cpu": "3", "memory": "2Gi", "ephemeral-storage": "1Gi"}
    assert found["limits"] == {"memory": "8Gi", "ephemeral-storage": "1Gi"}


def test_what_the_task_says_of_resources_goes_before_its_template() -> None:
    beneath = {"requests": {"cpu": "3", "memory": "2Gi"}, "limits": {"memory": "8Gi"}}
    place = around(template=template(containers=[{"name": "default", "image": "noop", "resources": beneath}]))
    asked = Needs(requests={"cpu": "1", "memory": "4Gi"}, defaults=frozenset({"cpu"}))
    found = main_of(built(place=place, needs=asked))["resources"]
    assert found == {"requests": {"cpu": "3", "memory": "4Gi"}, "limits": {"memory": "8Gi"}}


def test_the_resources_of_a_nodes_own_pod_go_before_defaults_and_below_the_tasks() -> None:
    container = {"name": "primary", "resources": {"requests": {"cpu": "3", "memory": "2Gi"}}}
    own = Pod(spec={"containers": [container]}, primary="primary")
    needs = Needs(requests={"cpu": "100m", "memory": "1Gi"}, defaults=frozenset({"cpu"}))
    found = main_of(built(overlay=own, needs=needs))["resources"]
    assert found == {"requests": {"cpu": "3", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}


# --- where it runs ----------------------------------------------------------------------------------------------------

SPOT = Cluster(
    interruptible=Placing(
        node_selector={"spot": "yes"}, tolerations=({"key": "spot"},), requirement={"key": "s", "operator": "Exists"}
    ),
    on_demand=Placing(requirement={"key": "s", "operator": "DoesNotExist"}),
)


def test_an_interruptible_attempt_goes_to_spot_nodes_and_others_do_not() -> None:
    spot, other = built(SPOT, interruptible=True).pod, built(SPOT).pod
    assert spot["spec"]["nodeSelector"] == {"spot": "yes"}
    assert spot["spec"]["tolerations"] == [{"key": "spot"}]
    assert requirements(spot) == [{"key": "s", "operator": "Exists"}]
    assert "tolerations" not in other["spec"]
    assert requirements(other) == [{"key": "s", "operator": "DoesNotExist"}]


def test_an_architecture_chooses_nodes() -> None:
    made = built(architecture="ARM64").pod["spec"]
    assert made["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert made["tolerations"][0]["value"] == "arm64"


def test_a_resource_brings_its_tolerations() -> None:
    cluster = Cluster(resource_tolerations={"nvidia.com/gpu": ({"key": "gpu", "operator": "Exists"},)})
    assert built(cluster, needs=Needs(requests={"gpu": "1"})).pod["spec"]["tolerations"][0]["key"] == "gpu"
    assert "tolerations" not in built(cluster).pod["spec"]


def test_settings_of_the_cluster_arrive_and_the_tasks_own_go_before() -> None:
    cluster = Cluster(
        service_account="runner",
        priority_class="low",
        runtime_class="gvisor",
        dns_policy="Default",
        host_network=True,
        image_pull_secrets=("pull",),
        pod_security_context={"runAsUser": 1000},
        security_context={"privileged": False},
    )
    spec = built(cluster).pod["spec"]
    assert spec["serviceAccountName"] == "runner"
    assert spec["priorityClassName"] == "low"
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["dnsPolicy"] == "Default"
    assert spec["hostNetwork"] is True
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["securityContext"] == {"runAsUser": 1000}
    assert spec["containers"][0]["securityContext"] == {"privileged": False}
    own = Pod(spec={"containers": [{"name": "primary"}], "priorityClassName": "high"}, primary="primary")
    assert built(cluster, pod=own, service_account="mine").pod["spec"]["priorityClassName"] == "high"
    assert built(cluster, pod=own, service_account="mine").pod["spec"]["serviceAccountName"] == "mine"


def test_a_task_that_asked_for_no_rights_gets_no_token_of_the_cluster() -> None:
    assert built().pod["spec"]["automountServiceAccountToken"] is False
    assert "automountServiceAccountToken" not in built(service_account="mine").pod["spec"]


def test_a_timeout_does_not_count_before_its_container_starts() -> None:
    made = built(timeout_seconds=1.5).pod
    assert "activeDeadlineSeconds" not in made["spec"]
    assert made["metadata"]["annotations"][names.TIMEOUT] == "1.5"
    assert names.TIMEOUT not in built().pod["metadata"]["annotations"]


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_come_from_the_attempts_own_object_as_flytekit_reads_them() -> None:
    place = around(
        secret_env={"_FSEC_TEAM_TOKEN": "env-0"},
        secret_files={"team/token": "file-0"},
        secret_paths={"MY_TOKEN": "team/token"},
    )
    made = built(place=place)
    main = main_of(made)
    found = env_of(main)
    name = names.secret_name(made.name)
    assert found["_FSEC_TEAM_TOKEN"] == {"secretKeyRef": {"name": name, "key": "env-0"}}
    assert found["FLYTE_SECRETS_DEFAULT_DIR"] == "/etc/flyte/secrets"
    assert found["MY_TOKEN"] == "/etc/flyte/secrets/team/token"
    assert made.pod["spec"]["volumes"][0]["secret"]["items"] == [{"key": "file-0", "path": "team/token"}]


def test_every_container_that_the_task_brings_has_its_secrets_and_none_of_ours_does() -> None:
    taken = {"name": "side", "image": "s", "volumeMounts": [{"name": "own", "mountPath": "/etc/flyte/secrets"}]}
    pod = Pod(spec={"containers": [{"name": "primary"}, taken], "initContainers": [{"name": "prep", "image": "p"}]})
    place = around(secret_env={"TOKEN": "env-0"}, secret_files={"team/token": "file-0"})
    cluster = Cluster(image="flytekit:1")
    spec = built(cluster, place, pod=pod, data_config=DataConfig(), argv=("cp",), entry=1).pod["spec"]
    found = {one["name"]: one for one in (*spec["containers"], *spec["initContainers"])}
    has = {name for name, one in found.items() if "TOKEN" in env_of(one)}
    assert has == {"primary", "side", "prep"}
    mounted = {name: [mount["name"] for mount in one["volumeMounts"]] for name, one in found.items()}
    assert mounted["side"] == ["own"] and mounted["prep"] == ["causeway-secrets"]
    assert "causeway-secrets" in mounted["primary"] and "causeway-secrets" not in mounted[INPUTS] + mounted[OUTPUTS]


def test_secrets_of_the_namespace_are_left_to_the_kubelet_beside_our_own() -> None:
    place = around(
        secret_files={"team/token": "file-0"},
        elsewhere=(
            Request(Name("Warehouse", "password"), "ANY", "CERT"),
            Request(Name("other", "key"), "ENV_VAR", "KEY"),
        ),
    )
    made = built(place=place)
    found, name = env_of(main_of(made)), names.secret_name(made.name)
    assert found["_FSEC_OTHER_KEY"] == {"secretKeyRef": {"name": "other", "key": "key"}} == found["KEY"]
    assert found["CERT"] == "/etc/flyte/secrets/warehouse/password"
    (volume,) = made.pod["spec"]["volumes"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": name, "items": [{"key": "file-0", "path": "team/token"}]}},
        {"secret": {"name": "warehouse", "items": [{"key": "password", "path": "warehouse/password"}]}},
    ]


def test_a_group_that_can_be_no_object_of_the_cluster_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgument, match="'my_team' cannot be the name of a Secret object"):
        built(place=around(elsewhere=(Request(Name("my_team", "token")),)))


# --- raw containers ---------------------------------------------------------------------------------------------------


def test_a_raw_container_gets_its_inputs_before_and_a_sidecar_for_its_outputs() -> None:
    made = built(Cluster(image="flytekit:1"), data_config=DataConfig("/in", "/out", "JSON", "x"), argv=("cp",), entry=1)
    outputs, inputs = made.pod["spec"]["initContainers"]
    assert (outputs["name"], outputs["restartPolicy"]) == (OUTPUTS, "Always")
    assert inputs["name"] == INPUTS
    assert "restartPolicy" not in inputs
    assert [one["mountPath"] for one in main_of(made)["volumeMounts"]] == ["/in", "/out"]
    told = json.loads(env_of(outputs)["RAW_CONTAINER_DATA"])
    assert (told["output_prefix"], told["inputs_uri"], told["format"]) == ("s3://b/o", "s3://b/i.pb", "JSON")


def test_what_a_cluster_asks_of_containers_holds_for_those_beside_a_raw_one() -> None:
    """A namespace with the `restricted` standard refuses the whole pod for one container without it."""
    strict = {"allowPrivilegeEscalation": False}
    cluster = Cluster(image="flytekit:1", security_context=strict, image_pull_policy="IfNotPresent")
    made = built(cluster, data_config=DataConfig(), argv=("cp",), entry=1)
    found = [*made.pod["spec"]["initContainers"], main_of(made)]
    assert [(one["securityContext"], one["imagePullPolicy"]) for one in found] == [(strict, "IfNotPresent")] * 3


def test_a_raw_container_without_an_image_for_its_data_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="data_image"):
        built(data_config=DataConfig())


def test_the_code_beside_a_raw_container_is_whole() -> None:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(code()))) as archive:
        for name in archive.namelist():
            compile(archive.read(name), name, "exec")
        assert "causeway_raw/raw.py" in archive.namelist()
    assert code() == code()


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"argv": ("x" * 131_072,)}, "an argument of its command has 131,072 bytes"),
        ({"env": {"A": "x" * 131_070}}, "the variable 'A' has 131,072 bytes"),
        ({"argv": tuple("x" * 100_000 for _ in range(15))}, "its pod has 1,50"),
        ({"labels": {"a b": "x"}}, "the label 'a b' needs a name"),
        ({"labels": {"team": "a/b"}}, "has the value 'a/b'"),
        ({"annotations": {"ok": "x" * 262_144}}, "its annotations have"),
        ({"service_account": "Not_DNS"}, "'Not_DNS' cannot be a serviceAccountName"),
        ({"argv": (), "image": "", "task_type": "sensor"}, "no executor of this set-up runs tasks of type 'sensor'"),
        (
            {"pod": Pod(spec={"containers": [{"name": "A_b"}]}, primary="A_b")},
            "'A_b' cannot be the name of a container",
        ),
    ],
)
def test_what_could_never_run_is_refused_in_one_sentence(over: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        built(**over)
    assert said in refused.value.message
    assert "\n" not in refused.value.message


def test_arguments_just_below_what_linux_takes_are_sent() -> None:
    assert built(argv=("x" * 131_071,)).body


# --- Kueue ------------------------------------------------------------------------------------------------------------


def test_a_project_has_its_queue_whatever_a_task_says() -> None:
    queue = "kueue.x-k8s.io/queue-name"
    cluster = Cluster(queues={"flights/production": "urgent", "flights": "flights-queue", "*": "rest"})
    own = {queue: "urgent"}
    assert built(cluster, labels=own).pod["metadata"]["labels"][queue] == "flights-queue"
    assert cluster.queue_of("flights", "production") == "urgent"
    assert cluster.queue_of("other", "development") == "rest"
    assert queue not in built().pod["metadata"]["labels"]
    assert built(labels=own).pod["metadata"]["labels"][queue] == "urgent", "where nobody set one, it is the task's"


@pytest.mark.parametrize("name", ["Urgent", "a_b", "-a", 3])
def test_a_queue_that_cannot_be_one_is_refused(name: object) -> None:
    with pytest.raises(BadCluster, match="no name of a queue"):
        described({"queues": {"flights": name}})

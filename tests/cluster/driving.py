"""Causeway beside the cluster, as people drive it: programs registered with `pyflyte` and launched with FlyteRemote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from causeway.client import CausewayError, Client
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution

from tests.cluster.running import Cluster, eventually
from tests.stack import RunningStack, running_stack

PROGRAMS = Path(__file__).parent / "programs"
PROJECT, DOMAIN = "flytesnacks", "development"
STORE = ("CAUSEWAY_STORE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
PATIENCE = 240.0


@contextmanager
def stack_of(cluster: Cluster, home: Path, s3: str = "", **environment: str) -> Iterator[RunningStack]:
    """Causeway, whose pods do not outlive it: what a failed test left to nobody would keep its GPUs for ever."""
    with running_stack(home, s3, **environment) as running:
        say = "from scheduler.executors.kubernetes.factory import owner; print(owner())"
        owner = running.manage("shell", "-v", "0", "-c", say).splitlines()[-1]
        yield running
    for pod in cluster.get("pods", selector=f"causeway/owner={owner}")["items"]:
        name, place = pod["metadata"]["name"], ("--namespace", pod["metadata"]["namespace"])
        with suppress(AssertionError):  # it is gone by itself
            cluster.kubectl("patch", *place, "pod", name, "-p", '{"metadata": {"finalizers": null}}')
        cluster.kubectl("delete", *place, "pod", name, "--wait=false", "--ignore-not-found")


class Programs:
    """A file of programs, or a folder of them, registered in a project."""

    def __init__(
        self,
        stack: RunningStack,
        cluster: Cluster,
        source: Path,
        project: str = PROJECT,
        *,
        image: str = "",
        packages: str = "",
    ) -> None:
        """`packages`: a folder of those that the programs import besides ours, to register them with."""
        self.stack, self.cluster, self.project = stack, cluster, project
        self.image = image or cluster.environment["CLUSTER_TASK_IMAGE"]
        self.client = Client(stack.http_url, stack.admin_token, project, DOMAIN)
        self.remote = FlyteRemote(stack.flyte_config(), project, DOMAIN)
        self.module, self.version = source.stem, f"v{time.time():.0f}"
        self._make_project()
        self._register(source, packages)

    def _make_project(self) -> None:
        try:
            self.client.connection.call("POST", "projects", json={"id": self.project, "name": self.project})
        except CausewayError as error:
            assert error.status == 409, error  # it is there

    def _register(self, source: Path, packages: str) -> None:
        place = self.stack.home.parent / "programs" / self.project / self.version
        folder = place / self.module  # nothing else may lie beside them
        if source.is_dir():
            shutil.copytree(source, folder)
        else:
            folder.mkdir(parents=True)
            shutil.copy(source, folder)
        command = [str(Path(sys.executable).parent / "pyflyte"), "register", "-p", self.project, "-d", DOMAIN]
        command += ["--activate-launchplans", "--version", self.version]
        command += ["--image", self.image, "." if source.is_dir() else source.name]
        env = {**os.environ, "FLYTECTL_CONFIG": str(self.stack.flyte_config_file)}
        env |= {"PYTHONPATH": packages} if packages else {}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def namespace(self) -> str:
        return f"{self.project}-{DOMAIN}"

    def kill(self, name: str) -> None:
        """One of Causeway's processes, without a word. Returns when there is another one in its place."""
        killed = eventually(lambda: self.stack.kill(name))
        eventually(lambda: self.stack.pid(name) not in (None, killed))

    def launch(self, name: str, *, pool: str | None = None, **inputs: Any) -> FlyteWorkflowExecution:
        workflow = self.remote.fetch_workflow(name=f"{self.module}.{name}", version=self.version)
        return self.remote.execute(workflow, inputs=inputs, cluster_pool=pool)

    def wait(self, execution: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
        deadline = time.monotonic() + PATIENCE
        self.remote.sync_execution(execution)
        while not execution.is_done:
            assert time.monotonic() < deadline, f"{execution.id.name} is still {execution.closure.phase}"
            time.sleep(0.3)
            self.remote.sync_execution(execution)
        return execution

    def value(self, execution: FlyteWorkflowExecution, output: str = "o0", kind: Any = None) -> Any:
        self.wait(execution)
        assert execution.error is None, execution.error.message
        return execution.outputs.get(output, kind)

    def pods(self, selector: str) -> list[Any]:
        return list(self.cluster.get("pods", namespace=self.namespace, selector=selector)["items"])

    def get(self, execution: FlyteWorkflowExecution, path: str = "") -> Any:
        """What REST says of it, or of what is below it."""
        own = f"executions/{self.project}/{DOMAIN}/{execution.id.name}"
        return self.client.connection.call("GET", f"{own}/{path}" if path else own)

    def attempts(self, execution: FlyteWorkflowExecution) -> list[tuple[int, str]]:
        """Number and pod of each, of whatever node."""
        rows = f"TaskExecution.objects.filter(node__execution__name={execution.id.name!r})"
        say = f"import json; from scheduler.models import TaskExecution; print(json.dumps(list({rows}"
        say += ".values_list('attempt', 'handle'))))"
        found = json.loads(self.stack.manage("shell", "-v", "0", "-c", say).splitlines()[-1])
        return [(number, pod) for number, pod in found]

"""ImageSpecs of unmodified programs, built in pods of the cluster and pushed to a registry, which their tasks run in."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from causeway.building import stem_of
from causeway.client import Client
from flytekit.remote import FlyteRemote

from tests.cluster.driving import DOMAIN, PROJECT
from tests.cluster.running import Cluster, eventually
from tests.stack import RunningStack

PROGRAM = """
from flytekit import ImageSpec, task, workflow

lab = ImageSpec({spec})
other = lab.with_packages(["another"])


@task(container_image=lab)
def ask() -> str:
    import harbourmaster  # who registers this has no such package

    return f"{{harbourmaster.WORD}} {{lab.is_container()}} {{other.is_container()}}"


@workflow
def wf() -> str:
    return ask()
"""


@pytest.fixture(scope="module")
def index(cluster: Cluster, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index that pods reach, with one package of ours in it."""
    folder = tmp_path_factory.mktemp("index")
    place = folder / "simple" / "harbourmaster"
    place.mkdir(parents=True)
    about = "Metadata-Version: 2.1\nName: harbourmaster\nVersion: 1.0\n"
    with zipfile.ZipFile(place / "harbourmaster-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("harbourmaster/__init__.py", 'WORD = "ahoy"\n')
        wheel.writestr("harbourmaster-1.0.dist-info/METADATA", about)
        wheel.writestr("harbourmaster-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("harbourmaster-1.0.dist-info/RECORD", "")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer((registry.partition(":")[0], 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{registry.partition(':')[0]}:{server.server_port}/simple"
    server.shutdown()


class Lab:
    """Where programs are registered, each with an ImageSpec that no other test has."""

    def __init__(self, stack: RunningStack, registry: str, index: str) -> None:
        self.stack, self.registry, self.index = stack, registry, index
        self.client = Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN)
        self.remote = FlyteRemote(stack.flyte_config(), PROJECT, DOMAIN)

    def program(self, folder: Path, **options: Any) -> tuple[Path, str]:
        """Its file, and the repository of its image."""
        name = f"lab-{uuid.uuid4().hex[:8]}"
        told = {"name": name, "registry": self.registry, "packages": ["harbourmaster"], "pip_index": self.index}
        file = folder / f"{name.replace('-', '_')}.py"
        file.write_text(PROGRAM.format(spec=", ".join(f"{key}={value!r}" for key, value in (told | options).items())))
        return file, f"{self.registry}/{name}"

    def pyflyte(self, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "FLYTECTL_CONFIG": str(self.stack.flyte_config_file)}
        env["CAUSEWAY_IMAGE_BUILDER"] = f"{self.registry}/builder:1"
        env["CAUSEWAY_IMAGE_BASE"] = f"{self.registry}/base:1"
        command = [str(Path(sys.executable).parent / "pyflyte"), *words]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=540)

    def register(self, file: Path, version: str) -> subprocess.CompletedProcess[str]:
        return self.pyflyte(
            "register", "-p", PROJECT, "-d", DOMAIN, "--version", version, file.name, folder=file.parent
        )

    def image_of(self, file: Path, version: str) -> str:
        task = self.client.connection.call("GET", f"tasks/{PROJECT}/{DOMAIN}/{file.stem}.ask/{version}")
        return str(task["image"])

    def builds(self, image: str) -> list[Any]:
        """Executions that build it: `image` with its tag."""
        found = []
        for number in range(9):
            name = f"{stem_of(image)}-{number}"
            try:
                found.append(self.remote.fetch_execution(PROJECT, DOMAIN, name))
            except Exception:  # there is none of that number
                return found
        return found


@pytest.fixture(scope="module")
def lab(pods_stack: RunningStack, registry: str, index: str) -> Lab:
    return Lab(pods_stack, registry, index)


def test_a_task_runs_in_the_image_that_was_built_of_its_spec(lab: Lab, tmp_path: Path) -> None:
    file, repository = lab.program(tmp_path)
    done = lab.pyflyte("run", "--remote", "--wait", file.name, "wf", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is built on the cluster: http" in done.stdout
    assert repository in done.stdout

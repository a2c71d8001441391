"""ImageSpecs of unmodified programs, built in pods of the cluster and pushed to a registry; their tasks run in them."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
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
from flytekit.exceptions.user import FlyteEntityNotExistException
from flytekit.remote import FlyteRemote

from tests.cluster.driving import DOMAIN, PROJECT
from tests.cluster.running import Cluster, eventually
from tests.stack import RunningStack

PAGE = (Path(__file__).parents[2] / "docs/howto/images.md").read_text()
(PROGRAM,) = re.findall(r"^```python file=lab.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SPEC = 'name="lab", registry="registry.example/team", packages=["tabulate"]'


class Index:
    """A package index that pods reach."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
        self.server = ThreadingHTTPServer((address, 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://{address}:{self.server.server_port}/simple"

    def add(self, name: str, code: str) -> None:
        (place := self.folder / "simple" / name).mkdir(parents=True)
        with zipfile.ZipFile(place / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", code)
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


@pytest.fixture(scope="module")
def index(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    made = Index(tmp_path_factory.mktemp("index"), registry.partition(":")[0])
    made.add("tabulate", "def tabulate(rows, tablefmt):\n    return f'{tablefmt} {rows}'\n")
    yield made
    made.server.shutdown()


class Lab:
    """Where the page's program is registered, each time with an ImageSpec that no other test has."""

    def __init__(self, stack: RunningStack, registry: str, index: Index) -> None:
        self.stack, self.registry, self.index = stack, registry, index
        self.client = Client(stack.http_url, stack.admin_token, PROJECT, DOMAIN)
        self.remote = FlyteRemote(stack.flyte_config(), PROJECT, DOMAIN)

    def program(self, folder: Path, **options: Any) -> Path:
        name = f"lab-{uuid.uuid4().hex[:8]}"
        told = {"name": name, "registry": self.registry, "packages": ["tabulate"], "pip_index": self.index.url}
        told |= options
        file = folder / f"{name.replace('-', '_')}.py"
        assert SPEC in PROGRAM
        file.write_text(PROGRAM.replace(SPEC, ", ".join(f"{key}={value!r}" for key, value in told.items())))
        return file

    def pyflyte(self, *words: str, file: Path) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "FLYTECTL_CONFIG": str(self.stack.flyte_config_file)}
        env["CAUSEWAY_IMAGE_BUILDER"] = f"{self.registry}/builder:1"
        env["CAUSEWAY_IMAGE_BASE"] = f"{self.registry}/base:1"
        command = [str(Path(sys.executable).parent / "pyflyte"), *words]
        return subprocess.run(command, cwd=file.parent, env=env, capture_output=True, text=True, timeout=900)

    def register(self, file: Path, version: str = "v1") -> str:
        """What it says, of which the lines are joined: an error is in a frame."""
        done = self.pyflyte(*f"register -p {PROJECT} -d {DOMAIN} --version {version} {file.name}".split(), file=file)
        said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stdout + done.stderr).split())
        assert (done.returncode == 0) == ("was not built" not in said), said
        return said

    def image(self, file: Path, version: str = "v1") -> str:
        """That the program's task was registered with."""
        task = self.remote.fetch_task(name=f"{file.stem}.table", version=version)
        return str(task.template.container.image)

    def builds(self, image: str) -> list[Any]:
        """The executions that build it, by its name with tag."""
        found: list[Any] = []
        try:
            while True:
                found.append(self.remote.fetch_execution(PROJECT, DOMAIN, f"{stem_of(image)}-{len(found)}"))
        except FlyteEntityNotExistException:
            return found


@pytest.fixture(scope="module")
def lab(pods_stack: RunningStack, registry: str, index: Index) -> Lab:
    return Lab(pods_stack, registry, index)


def test_a_task_runs_in_the_image_that_was_built_of_its_spec(lab: Lab, tmp_path: Path) -> None:
    file = lab.program(tmp_path)
    done = lab.pyflyte("run", "--remote", "--wait", file.name, "wf", file=file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is built on the cluster: http" in done.stdout
    (name,) = re.findall(r"executions/(?!image-)([\w-]+)", done.stdout)[:1]
    execution = lab.remote.fetch_execution(PROJECT, DOMAIN, name)
    assert execution.outputs.get("o0", str) == "plain [[1, 2]] True"

    said = lab.register(file)
    name = file.stem.replace("_", "-")
    assert "is in its registry" in said and "is built" not in said
    image, _, digest = lab.image(file).partition("@")
    assert image.startswith(f"{lab.registry}/{name}:") and re.fullmatch("sha256:[0-9a-f]{64}", digest)
    (build,) = lab.builds(image)
    assert build.outputs.get("digest", str).strip() == digest


def test_who_registers_the_same_at_once_shares_a_build_that_survives_its_pod(
    lab: Lab, cluster: Cluster, tmp_path: Path
) -> None:
    file = lab.program(tmp_path)
    place = f"{PROJECT}-{DOMAIN}"

    def building() -> list[str]:
        pods = cluster.get("pods", namespace=place)["items"]
        names = [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]
        return [name for name in names if name.startswith("image-")]

    with ThreadPoolExecutor(2) as pool:
        said = [pool.submit(lab.register, file, version) for version in ("v1", "v2")]
        (pod,) = eventually(building, 180)
        cluster.kubectl("--namespace", place, "delete", "pod", pod, "--wait=false")
        assert all("is built on the cluster" in one.result() for one in said)
    assert lab.image(file, "v1") == lab.image(file, "v2")
    assert len(lab.builds(lab.image(file).partition("@")[0])) == 1


def test_what_fails_says_why_and_is_tried_again_by_the_next_registration(lab: Lab, tmp_path: Path) -> None:
    late = f"late{uuid.uuid4().hex[:8]}"
    missing = lab.program(tmp_path, packages=[late])
    baseless = lab.program(tmp_path, base_image=f"{lab.registry}/there-is-none:1")
    refused = lab.program(tmp_path, registry=f"{lab.registry.partition(':')[0]}:9")
    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(lab.register, (missing, baseless, refused)))
    assert f"{late} was not found in the package registry" in said[0] and "a step of the image failed" in said[0]
    assert f"the base image {lab.registry}/there-is-none:1 could not be pulled" in said[1]
    assert "could not be pushed to its registry" in said[2] and "connection refused" in said[2]
    (image,) = re.findall(r"(\S+) was not built", said[0])
    (failed,) = lab.builds(image)
    log = lab.client.connection.call("GET", f"executions/{PROJECT}/{DOMAIN}/{failed.id.name}/logs")
    assert "src=requirements_uv.txt" in str(log)

    lab.index.add(late, "")
    lab.register(missing)
    assert [build.error is None for build in lab.builds(image)] == [False, True]

"""What a flytekit user has: a folder of programs, `pyflyte` and a FlyteRemote, all as flytekit ships them."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flytekit.remote import FlyteRemote, FlyteWorkflowExecution
from flytekit.remote.entities import FlyteWorkflow

from tests.stack import RunningStack

PROGRAMS = Path(__file__).parent / "programs"
PROJECT, DOMAIN = "flytesnacks", "development"
PATIENCE = 240.0  # seconds for the slowest program while all of them run on two cores


class FlytekitUser:
    """`commands` is where his `pyflyte` lies."""

    def __init__(self, stack: RunningStack, folder: Path, commands: Path = Path(sys.executable).parent) -> None:
        self.stack, self.folder, self.commands = stack, folder, commands
        self.remote = FlyteRemote(stack.flyte_config(), PROJECT, DOMAIN)
        shutil.copytree(PROGRAMS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if str(PROGRAMS) not in sys.path:
            sys.path.insert(0, str(PROGRAMS))

    def pyflyte(self, *arguments: str, cwd: Path | None = None, succeeds: bool = True) -> str:
        """Its output, both streams; the working directory is the programs' folder."""
        command = [str(self.commands / "pyflyte"), *arguments]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")},
            "FLYTECTL_CONFIG": str(self.stack.flyte_config_file),
            "COLUMNS": "200",
        }
        if sys.version_info >= (3, 13):  # as `script/up` says
            environment["FLYTE_INTERNAL_IMAGE"] = "cr.flyte.org/flyteorg/flytekit:py3.12-1.16.31"
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        assert (done.returncode == 0) == succeeds, done.stdout
        return done.stdout

    def register(self, package: str, version: str) -> str:
        return self.pyflyte("register", "-p", PROJECT, "-d", DOMAIN, "--version", version, package)

    @contextmanager
    def changed(self, path: str, text: str) -> Iterator[None]:
        """Other code, for a while: pyflyte packs the whole folder, so others that register it would send this too."""
        file = self.folder / path
        before = file.read_text()
        file.write_text(text)
        try:
            yield
        finally:
            file.write_text(before)

    def entity(self, path: str) -> Any:
        """The Python object: `isles.flows.map_wf`."""
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def fetch(self, path: str, version: str = "v1") -> FlyteWorkflow:
        return self.remote.fetch_workflow(name=path, version=version)

    def launch(self, path: str, inputs: Mapping[str, Any] | None = None, **options: Any) -> FlyteWorkflowExecution:
        hints = self.entity(path).python_interface.inputs
        return self.remote.execute(self.fetch(path), inputs=dict(inputs or {}), type_hints=hints, **options)

    def wait(self, execution: FlyteWorkflowExecution, seconds: float = PATIENCE) -> FlyteWorkflowExecution:
        deadline = time.monotonic() + seconds
        self.remote.sync_execution(execution)  # what has ended before launching returned has no outputs yet
        while not execution.is_done:
            assert time.monotonic() < deadline, f"{execution.id.name} is still {execution.closure.phase}"
            time.sleep(0.3)
            self.remote.sync_execution(execution)
        return execution

    def outputs(self, path: str, execution: FlyteWorkflowExecution) -> tuple[Any, ...]:
        """As Python values of the types that the program declares."""
        self.wait(execution)
        assert execution.error is None, execution.error.message
        types = self.entity(path).python_interface.outputs
        return tuple(execution.outputs.get(name, python_type) for name, python_type in types.items())

    def error(self, execution: FlyteWorkflowExecution) -> Any:
        self.wait(execution)
        assert execution.error is not None, "it succeeded"
        return execution.error

"""Connectors as a user would write them, served by `pyflyte serve connector --modules shipyard`.

A ship is built where the template's custom part says (`yard`, a folder): whatever happens to the service, the yard is
there. `orders` in it has a line for each call that makes, or deletes, a ship.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyteidl.core.execution_pb2 import TaskExecution, TaskLog
from flytekit.extend.backend.base_connector import (
    AsyncConnectorBase,
    ConnectorRegistry,
    Resource,
    ResourceMeta,
    SyncConnectorBase,
)
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate


@dataclass
class Ship(ResourceMeta):
    yard: str
    name: str
    told: str = ""


def note(yard: Path, line: str) -> None:
    with open(yard / "orders", "a") as orders:
        orders.write(f"{line}\n")


def wait_for(path: Path, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)


class Shipyard(AsyncConnectorBase):
    name = "Shipyard"

    def __init__(self, version: int = 0) -> None:
        super().__init__(task_type_name="ship", task_type_version=version, metadata_type=Ship)

    def create(
        self, task_template: TaskTemplate, inputs: LiteralMap | None = None, output_prefix: str = "", **given: Any
    ) -> Ship:
        custom = task_template.custom
        yard, name = Path(custom["yard"]), custom["name"]
        if custom.get("refuse"):
            raise ValueError("no ship of that name is built here")
        note(yard, f"create {name}")
        if custom.get("slow"):
            wait_for(yard / f"{name}.made")
        value = inputs.literals["text"].scalar.primitive.string_value if inputs and inputs.literals else ""
        secret = os.environ.get("SHIPYARD_KEY", "")
        metadata = given.get("task_execution_metadata")
        execution = metadata.task_execution_id.node_execution_id.execution_id.name if metadata else ""
        return Ship(str(yard), name, f"{value}|{secret}|{execution}")

    def get(self, resource_meta: Ship, **given: Any) -> Resource:
        yard, name = Path(resource_meta.yard), resource_meta.name
        links = [TaskLog(name="Yard", uri=f"https://yard.example/{name}")]
        known: dict[str, Any] = {"log_links": links, "custom_info": {"hull": name, "weight": 7.0}}
        if (yard / f"{name}.broken").exists():
            raise RuntimeError("the yard's books are wet")
        if (yard / f"{name}.sunk").exists():
            return Resource(phase=TaskExecution.FAILED, message="it sank", **known)
        if (yard / f"{name}.waits").exists():
            return Resource(phase=TaskExecution.QUEUED, message="no dock is free", **known)
        if (yard / f"{name}.done").exists():
            outputs = None if (yard / f"{name}.silent").exists() else {"o0": resource_meta.told}
            return Resource(phase=TaskExecution.SUCCEEDED, outputs=outputs, **known)
        return Resource(phase=TaskExecution.RUNNING, message="under construction", **known)

    def delete(self, resource_meta: Ship, **given: Any) -> None:
        note(Path(resource_meta.yard), f"delete {resource_meta.name}")


class Chandler(SyncConnectorBase):
    """Sells what is asked for, at once."""

    name = "Chandler"

    def __init__(self) -> None:
        super().__init__(task_type_name="chandler")

    def do(self, task_template: TaskTemplate, inputs: LiteralMap | None = None, **given: Any) -> Resource:
        custom = task_template.custom
        yard, name = Path(custom["yard"]), custom["name"]
        note(yard, f"do {name}")
        if custom.get("slow"):
            wait_for(yard / f"{name}.done")
        if custom.get("refuse"):
            return Resource(phase=TaskExecution.FAILED, message="sold out")
        return Resource(phase=TaskExecution.SUCCEEDED, outputs={"o0": f"sold {name}"})


ConnectorRegistry.register(Shipyard())
ConnectorRegistry.register(Shipyard(version=2))
ConnectorRegistry.register(Chandler())

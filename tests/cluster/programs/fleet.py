"""A distributed program as users write it. Its plug-in is flytekitplugins-kfpytorch in ten lines (what that sends): the
image of tasks has no torch.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from flytekit import PythonFunctionTask, Resources, current_context, task, workflow
from flytekit.configuration import SerializationSettings
from flytekit.extend import TaskPlugins


@dataclass
class Training:
    workers: int


class TrainingTask(PythonFunctionTask[Training]):
    def __init__(self, task_config: Training, task_function: Any, **kwargs: Any) -> None:
        super().__init__(task_config, task_function, task_type="pytorch", task_type_version=1, **kwargs)

    def get_custom(self, settings: SerializationSettings) -> dict[str, Any]:
        replicas = {"masterReplicas": {"replicas": 1, "resources": {}}}
        return {**replicas, "workerReplicas": {"replicas": self.task_config.workers, "resources": {}}}


TaskPlugins.register_pythontask_plugin(Training, TrainingTask)


@task(task_config=Training(workers=2), requests=Resources(cpu="20m", mem="200Mi"), retries=1)
def train(failures: int) -> str:
    rank, attempt = os.environ["RANK"], int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt < failures:
        if rank == "1":
            os._exit(7)
        time.sleep(60)  # as a collective operation waits for the one that is lost
    return f"{current_context().execution_id.name}: trained by {os.environ['WORLD_SIZE']}"


@workflow
def training(failures: int = 0) -> str:
    return train(failures=failures)

"""The environment that a task's process gets from the executor, beside the variables of the task's own."""

from __future__ import annotations

import os

from scheduler.executors.local.means import Means
from scheduler.executors.local.run import Run
from scheduler.executors.store_keys import store_keys


def surroundings(run: Run, means: Means) -> dict[str, str]:
    """What flytekit reads the endpoints of Causeway and of the store from, and which GPUs are the attempt's."""
    env = of_any_process(run, means)
    if means.endpoint:
        env["FLYTE_PLATFORM_URL"] = means.endpoint
        env["FLYTE_PLATFORM_INSECURE"] = os.environ.get("FLYTE_PLATFORM_INSECURE", "true")
    if means.token_of is not None:
        env["CAUSEWAY_TOKEN"] = means.token_of(run.assignment.attempt_id)
        env["FLYTE_CREDENTIALS_AUTH_MODE"] = "externalcommand"
        env["FLYTE_CREDENTIALS_COMMAND"] = "printenv,CAUSEWAY_TOKEN"  # flytekit splits it at the comma
    return env


def of_any_process(run: Run, means: Means) -> dict[str, str]:
    """Of its process and of what it leaves to others (clusters.py): nothing of this attempt alone.

    The image says its own name, as Flyte's images do: tasks that a dynamic or eager one registers then have it too.
    """
    env = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, run.gpus))} if means.total.gpu else {}
    if image := run.spec.image:
        env["FLYTE_INTERNAL_IMAGE"] = image
    return env | store_keys()

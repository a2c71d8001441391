"""Runs of MLflow that are made within a task say which execution they belong to.

MLflow asks this class for tags of every run that is started, wherever both are installed (the entry point
`mlflow.run_context_provider`): nothing has to be written in the task.
"""

from __future__ import annotations

import os

EXECUTION_TAG = "causeway.execution"
TASK_TAG = "causeway.task"
LINK_TAG = "causeway.link"


class RunContext:
    """As `mlflow.tracking.context.abstract_context.RunContextProvider`, which is not imported: this is loaded in any
    process that uses MLflow.
    """

    def in_context(self) -> bool:
        return bool(os.environ.get("FLYTE_INTERNAL_EXECUTION_ID"))

    def tags(self) -> dict[str, str]:
        here = [os.environ.get(f"FLYTE_INTERNAL_EXECUTION_{part}", "") for part in ("PROJECT", "DOMAIN", "ID")]
        found = {EXECUTION_TAG: "/".join(here)}
        if task := os.environ.get("FLYTE_INTERNAL_TASK_NAME"):
            found[TASK_TAG] = task
        if url := os.environ.get("CAUSEWAY_URL"):
            found[LINK_TAG] = f"{url.rstrip('/')}/executions/{'/'.join(here)}/"
        return found

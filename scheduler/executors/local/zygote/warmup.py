"""A task that does nothing, run to have every path through flytekit taken before: caches filled, code specialised."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile

from flytekit import task
from flytekit.bin import entrypoint

from . import child

RESOLVER = "flytekit.core.python_auto_container.default_task_resolver"


@task  # type: ignore[untyped-decorator]
def nothing() -> int:
    return 0


def rehearse(times: int) -> None:
    """Run the task as attempts are run, writing to a folder that is thrown away."""
    folder = tempfile.mkdtemp(prefix="rehearsal-")
    inputs = os.path.join(folder, "inputs.pb")
    places = ["--inputs", inputs, "--output-prefix", f"file://{folder}/out"]
    args = [*places, "--raw-output-data-prefix", f"file://{folder}/raw", "--resolver", RESOLVER, "--"]
    args += ["task-module", __name__, "task-name", "nothing"]
    previous = tempfile.gettempdir()
    child.use_temporary_directory(folder)
    try:
        with open(inputs, "wb"), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            for _ in range(times):
                entrypoint.execute_task_cmd.main(args=args, prog_name="rehearsal", standalone_mode=False)
    finally:
        child.use_temporary_directory(previous)
        shutil.rmtree(folder, ignore_errors=True)

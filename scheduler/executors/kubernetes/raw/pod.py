"""Runs inside the pod of a raw container, in an image with flytekit: inputs to files before, files to outputs after.

The second is a native sidecar: Kubernetes starts it before the task's container and ends it with SIGTERM when that has
ended, whose exit code it cannot see. So what it says counts only if the task's container ended well
(executor.judging). The signal is blocked first of all: as process 1 Python would not heed it otherwise.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys


def main(part: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    data = json.loads(os.environ["RAW_CONTAINER_DATA"])
    # Now, and flytekit with it: at the task's end the execution waits for its outputs.
    from . import raw  # type: ignore[attr-defined] # noqa: PLC0415

    if part == "inputs":
        raw.write_inputs(pathlib.Path(data["input_path"]), data)
    elif part == "outputs":
        signal.sigwait({signal.SIGTERM})
        raw.keep(raw.collect(pathlib.Path(data["output_path"]), data), data["output_prefix"])
    else:
        sys.exit(f"unknown part {part!r}")

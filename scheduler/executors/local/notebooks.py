"""Tasks sent from a notebook, which are pickles: only the version of Python that wrote one reads it.

flytekit's interactive mode (any Jupyter notebook, or interactive_mode_enabled=True) sends functions so, and names the
default image of the client's Python for them.
"""

from __future__ import annotations

import gzip
import pickletools
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from artifacts.store.folders import open_regular

RESOLVER = "default_notebook_task_resolver"  # flytekit.core.python_auto_container
PICKLE = "pkl.gz"
_VERSION = re.compile(r"(\d+\.\d+)\.\d+")
_LOOKED_AT = 64 * 1024  # bytes: the version is said at the beginning


def mismatch(args: Sequence[str], code: Path | None, python: str, image: str) -> str:
    """Why the task's pickle cannot be read by `python`, and what helps; empty if it can, or if it is no such task."""
    if code is None or not any(RESOLVER in argument for argument in args):
        return ""
    wrote, reads = written_by(code / PICKLE), version_of(python)
    if not wrote or not reads or wrote == reads:
        return ""
    return (
        f"the task was sent from a notebook, or another interactive session, of Python {wrote}, as a pickle that only "
        f"Python {wrote} can read; its image {image or '(none)'} is run by Python {reads} here. Use Python {reads} in "
        f"the notebook, or have an operator make a virtual environment of Python {wrote} with flytekit and name it: "
        f"CAUSEWAY_ENVIRONMENTS={image or 'IMAGE'}=/path/of/python{wrote}"
    )


def written_by(pickle: Path) -> str:
    """The version (`3.12`) that flytekit's PickledEntity says it was made with; empty where that cannot be told.

    The pickle is looked at, not loaded: loading is what fails, in ways of all kinds.
    """
    try:
        with open_regular(pickle) as packed, gzip.open(packed) as file:
            start = file.read(_LOOKED_AT)
    except (OSError, EOFError):
        return ""
    said = False
    try:
        for _, argument, _ in pickletools.genops(start):
            if said and isinstance(argument, str) and (match := _VERSION.match(argument)):
                return match[1]
            said = said or argument == "python_version"
    except ValueError:  # it is longer than what was read, or no pickle
        pass
    return ""


@lru_cache(maxsize=64)
def version_of(python: str) -> str:
    if python == sys.executable:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30).stdout.strip()  # noqa: S603 - named by the operator
    except (OSError, subprocess.TimeoutExpired):
        return ""

"""flytekit's plugins that load themselves: with flytekit, or, where one of them starts threads, in each task process.

A process with threads must not be forked, and importing flytekitplugins-polars, for instance, starts one. A zygote that
finds threads begins again without such plugins, and its forks load them before they run anything.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
from typing import Any, NoReturn

GROUP = "flytekit.plugins"  # of entry points; flytekit/__init__.py, load_implicit_plugins
HELD_BACK = "CAUSEWAY_ZYGOTE_WITHOUT_PLUGINS"

_held_back = False


def import_flytekit() -> None:
    """With its plugins, unless this process was begun again without them."""
    global _held_back
    _held_back = bool(os.environ.pop(HELD_BACK, ""))
    ask = importlib.metadata.entry_points

    def ask_for_others(**wanted: Any) -> Any:
        return () if wanted.get("group") == GROUP else ask(**wanted)

    if _held_back:
        importlib.metadata.entry_points = ask_for_others
    try:
        flytekit: Any = importlib.import_module("flytekit")
    finally:
        importlib.metadata.entry_points = ask
    flytekit.entry_points = ask
    with contextlib.suppress(ImportError):  # in our own Python the SDK lies beside us and has no entry point
        importlib.import_module("causeway.types")


def are_loaded() -> bool:
    return not _held_back


def begin_again_without() -> NoReturn:
    """The same process, pid and socket, from the start."""
    os.environ[HELD_BACK] = "1"
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves


def load() -> None:
    """In a task process: once, what its zygote could not load."""
    global _held_back
    if _held_back:
        importlib.import_module("flytekit").load_implicit_plugins()
        _held_back = False

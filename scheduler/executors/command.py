"""What an attempt's command line means to whoever keeps programs imported: which program, which code, which module."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from artifacts.task_users import Identity

# Variables that differ between attempts; all others are the task's own, and its modules may read them when imported.
PER_ATTEMPT = (
    "FLYTE_INTERNAL_EXECUTION_",
    "FLYTE_INTERNAL_TASK_",
    "FLYTE_ATTEMPT_",
    "FLYTE_K8S_ARRAY_INDEX",
    "BATCH_JOB_ARRAY_",
)


@dataclass(frozen=True)
class Plan:
    args: tuple[str, ...]  # to run once the code is in place
    distribution: str = ""  # URI of the code archive; empty: the code is installed
    module: str = ""  # the user's module, when a resolver names it


def plan(args: Sequence[str]) -> Plan:
    """Take `pyflyte-fast-execute` apart, as flytekit's own does: fetch the code, then run the wrapped command."""
    if not args or os.path.basename(args[0]) != "pyflyte-fast-execute":
        return Plan(tuple(args), module=_module(args))
    distribution, destination, rest = "", ".", list(args[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        name, _, value = option.partition("=")
        value = value or (rest.pop(0) if rest else "")
        if name == "--additional-distribution":
            distribution = value
        elif name == "--dest-dir":
            destination = value
    if distribution and "--resolver" in rest:
        at = rest.index("--resolver")
        rest[at:at] = ["--dynamic-addl-distro", distribution, "--dynamic-dest-dir", destination]
    return Plan(tuple(rest), distribution, _module(rest))


def _module(args: Sequence[str]) -> str:
    """The value of `task-module` among the loader arguments."""
    loader = list(args[args.index("--") + 1 :]) if "--" in args else []
    if "task-module" in loader[:-1]:
        return loader[loader.index("task-module") + 1]
    return ""


def own_variables(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(PER_ATTEMPT)}


def warm_key(distribution: str, env: Mapping[str, str], user: Identity | None = None) -> str:
    """Attempts with the same key may be forked from one process that has imported their program."""
    who = [user.uid, user.gid, user.groups] if user is not None else []
    key = json.dumps([distribution, own_variables(env), who], sort_keys=True)
    return hashlib.sha256(key.encode()).hexdigest()[:16]

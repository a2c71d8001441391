"""How zygotes come to be: the first one as a process of its own, clones as forks of it; and what of our environment
they are shown.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.task_users import Identity
from scheduler.executors.local.zygote.child import THREAD_VARIABLES

ZYGOTE = Path(__file__).parent / "zygote"
# What a task process must not learn from the environment of Causeway's own.
PRIVATE = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "FLYTECTL_CONFIG", "REDISCLI_AUTH")
PRIVATE_PREFIXES = ("CAUSEWAY_", "AWS_", "PG", "SUPERVISOR_")  # tasks get the store's keys as FLYTE_AWS_*
# None of those are secret, and a store may not be reached without them.
SHOWN = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"})
OURS = Path(__file__).resolve().parents[3]  # Causeway's own packages have common names: `tests`, `scheduler`


def born(python: str, home: Path, group: int | None, channel: socket.socket) -> subprocess.Popen[bytes]:
    """The base zygote of that interpreter, which speaks over the channel. Raises OSError."""
    return subprocess.Popen(  # noqa: S603 - an interpreter that the operator named, our own folder
        [python, str(ZYGOTE), str(channel.fileno())],
        pass_fds=[channel.fileno()],
        stdin=subprocess.DEVNULL,
        env=_environment(python, home, group),
        cwd=home,
        start_new_session=True,
    )


def _environment(python: str, home: Path, group: int | None) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if is_shown(name)}
    env["PYTHONPATH"] = _without_ours(env.get("PYTHONPATH", ""))
    env |= dict.fromkeys(THREAD_VARIABLES, "1")
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    if group is not None:  # the users of tasks pass through it, and do not look into it
        os.chown(temporary, -1, group)
        temporary.chmod(0o710)
    return env | {
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
        # flytekit then logs as in a container: rich's colours take time quadratic in the length of a message.
        "FLYTE_INTERNAL_EXECUTION_ID": "zygote",
        "FLYTE_SDK_LOGGING_FORMAT": env.get("FLYTE_SDK_LOGGING_FORMAT", "console"),
        "PATH": f"{Path(python).parent}:{env.get('PATH', os.defpath)}",
    }


def clone_order(code: Path, env: Mapping[str, str], user: Identity | None, home: Path) -> dict[str, Any]:
    """What the base zygote is told to make a clone that works in the folder, as that user."""
    order: dict[str, Any] = {"do": "clone", "code": str(code), "env": dict(env)}
    if user is None:
        return order
    own = home / "tmp" / str(user.uid)  # for what it leaves while it imports
    own.mkdir(mode=0o700, exist_ok=True)
    os.chown(own, user.uid, user.gid)
    return {**order, "user": [user.uid, user.gid, list(user.groups)], "tmp": str(own)}


def is_shown(variable: str) -> bool:
    """Whether a task may have it from Causeway's own environment."""
    return variable in SHOWN or not (variable in PRIVATE or variable.startswith(PRIVATE_PREFIXES))


def _without_ours(path: str) -> str:
    """The PYTHONPATH that a task sees. The operator's own entries stay."""
    entries = [entry for entry in path.split(os.pathsep) if entry and Path(entry).resolve() != OURS]
    return os.pathsep.join(entries)

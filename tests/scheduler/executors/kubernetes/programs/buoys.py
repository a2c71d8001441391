"""Tasks as users write them, to be started both ways."""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
from flytekit import Secret, current_context, dynamic, map_task, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

NUMBER = 4
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


@task
def surroundings(n: int) -> str:
    """What a program can see of how it was started."""
    context = current_context()
    main = sys.modules["__main__"]
    told = {
        "n": n,
        "argv": sys.argv,
        "path": sys.path,
        "cwd": os.getcwd(),
        "pythonpath": os.environ.get("PYTHONPATH"),
        "main": [main.__file__, main.__name__, sorted(vars(main))],
        "module": [__name__, __file__],
        "execution": [context.execution_id.project, context.execution_id.name, context.task_id.name],
        "collects": gc.isenabled(),
        "files": sorted(os.listdir(".")),
        "signals": [
            str(signal.getsignal(one)).split(" at ")[0] for one in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
        ],
        "variables": sorted(name for name in os.environ if name not in ("_", "OLDPWD", "PWD", "SHLVL")),
    }
    return json.dumps(told)


@task
def broken(n: int) -> int:
    if n:
        raise ValueError(f"no {n}")
    return n


@task
def worth_another_try(n: int) -> int:
    if n:
        raise FlyteRecoverableException(f"later {n}")
    return n


@task
def leaves(n: int) -> int:
    if n:
        os._exit(n)
    return n


@task
def exits(n: int) -> int:
    if n:
        sys.exit(n)
    return n


@task
def is_killed(n: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return n


@task
def writes(n: int) -> tuple[FlyteFile, FlyteDirectory, pd.DataFrame]:
    with open("words.txt", "w") as file:
        file.write("words" * n)
    os.mkdir("folder")
    for name in ("a.txt", "b.html"):
        with open(f"folder/{name}", "w") as file:
            file.write(name)
    return FlyteFile("words.txt"), FlyteDirectory("folder"), pd.DataFrame({"n": range(n)})


@task
def reads(file: FlyteFile, folder: FlyteDirectory, frame: pd.DataFrame) -> str:
    with open(file) as found:
        words = found.read()
    return f"{len(words)} {sorted(os.listdir(folder))} {int(frame.n.sum())}"


@task
def goes_on(n: int) -> int:
    """From its checkpoint, if an earlier try left one."""
    checkpoint = current_context().checkpoint
    before = checkpoint.read()
    checkpoint.write(str(n).encode())
    return int(before) if before else -1


@task
def one(n: int) -> int:
    return n + 1


@dynamic
def grown(n: int) -> list[int]:
    return [one(n=number) for number in range(n)]


@workflow
def mapped(n: list[int]) -> list[int]:
    return map_task(one)(n=n)


@task(enable_deck=True)
def with_deck(n: int) -> int:
    return n


@task
async def waits(n: int) -> int:
    await asyncio.sleep(0.01)
    return n


@task(secret_requests=[Secret(group="harbour", key="token")])
def secret(n: int) -> int:
    return n + len(current_context().secrets.get("harbour", "token"))


@task
def starts_another(n: int) -> int:
    command = [sys.executable, "-c", f"import buoys, sys; sys.exit(buoys.NUMBER + {n})"]
    return subprocess.run(command, cwd="/", check=False).returncode


@task
def says_at_the_end(n: int) -> int:
    def late() -> None:
        time.sleep(0.3)
        print("a thread's last word")  # noqa: T201 - as users write

    threading.Thread(target=late).start()
    atexit.register(print, "at exit")
    sys.stdout.write("no end of line")
    return n


@task
def is_patient(n: int) -> int:
    if n:
        signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"asked to end\n"))
    print("waits", flush=True)  # noqa: T201
    for _ in range(30 if not n else 10):
        time.sleep(0.1)
    return n

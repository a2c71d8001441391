# ruff: noqa
"""A user's tasks, one for every way an attempt can end."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from functools import partial  # noqa: F401
from pathlib import Path
from typing import Annotated

import flytekit
from flytekit import Artifact, Deck, dynamic, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.directory import FlyteDirectory


OF_AN_ITEM = Artifact(name="of-an-item")


@task
def add(a: int, b: int) -> int:
    print(f"adding {a} and {b}")
    return a + b


@task
def started_at() -> float:
    return time.time()


@task
def nothing() -> None:
    print("smörgåsbord ☃ 文字")


@task
def numbers() -> FlyteDirectory:
    """A folder that is offloaded, made in the home of whoever runs it."""
    folder = Path.home() / "made"
    folder.mkdir()
    (folder / "one").write_text("1")
    return FlyteDirectory(str(folder))


@task(enable_deck=True)
def decked() -> int:
    Deck("numbers", "<b>1 2 3</b>")
    return 1


def deeper() -> None:
    raise ValueError("the data is wrong")


@task
def fails() -> int:
    deeper()
    return 1


@task
def fails_for_now() -> int:
    if time.time() > 0:
        raise FlyteRecoverableException("come back later")
    return 1


@task
def exits(code: int) -> int:
    print("leaving")
    sys.exit(code)
    return 1


@task
def exits_hard(code: int) -> int:
    print("gone", flush=True)
    os._exit(code)
    return 1


@task
def kills_itself(number: int) -> int:
    os.kill(os.getpid(), number)
    time.sleep(60)
    return 1


@task
def babbles() -> int:
    os.write(1, b"\xff\xfe no text\n")
    if time.time() > 0:
        raise RuntimeError("first \0" + "x" * 3_000_000 + " last")
    return 1


@task
def sleeps(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@task
def sleeps_with_child(marker: str) -> int:
    process = subprocess.Popen(["sleep", "300"])
    Path(marker).write_text(str(process.pid))
    time.sleep(300)
    return 1


@task
def leaves_running(folder: str, then: str) -> int:
    """Three processes, detached more and more, that write their numbers into the folder; `then` says how it ends."""
    note = f"echo $$ > {folder}/"
    subprocess.Popen(["sh", "-c", f"{note}background; exec sleep 300"])
    subprocess.Popen(["sh", "-c", f"{note}session; exec sleep 300"], start_new_session=True)
    if (
        between := os.fork()
    ) == 0:  # a daemon: its parent has ended, it has a session of its own, and no program of its own
        os.setsid()
        if os.fork() == 0:
            Path(folder, "daemon").write_text(str(os.getpid()))
            time.sleep(300)
        os._exit(0)
    os.waitpid(between, 0)
    while len([path for path in Path(folder).iterdir() if path.read_text().strip()]) < 3:
        time.sleep(0.01)
    if then == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if then == "exits":
        os._exit(3)
    return 1


@task
def leaves_running_later(marker: str, folder: str) -> int:
    while not Path(marker).exists():
        time.sleep(0.02)
    subprocess.Popen(["sh", "-c", f"echo $$ > {folder}/session; exec sleep 300"], start_new_session=True)
    while not list(Path(folder).iterdir()):
        time.sleep(0.01)
    return 1


@task
def forgets_shared_memory() -> str:
    from multiprocessing.shared_memory import SharedMemory

    memory = SharedMemory(create=True, size=1000)
    memory.close()
    return memory.name.lstrip("/")


@task
def notes_its_run(folder: str) -> int:
    Path(folder).mkdir(exist_ok=True)
    time.sleep(random.random() / 4)
    Path(folder, uuid.uuid4().hex).touch()
    return 1


@task
def leaves_half_of_its_outputs(kept: int) -> str:
    def copy(source: str, target: str, **options: object) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:kept])
        os.kill(os.getpid(), signal.SIGKILL)

    def replace(source: str, target: str) -> None:
        os.truncate(source, kept)
        os.kill(os.getpid(), signal.SIGKILL)

    shutil.copyfile, os.replace = copy, replace
    return "all of it"


@task
def ignores_term(marker: str) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(marker).write_text("ready")
    time.sleep(300)
    return 1


@task
def waits_for(marker: str) -> str:
    while not Path(marker).exists():
        time.sleep(0.02)
    return "seen"


@task
def eats(megabytes: int) -> int:
    hoard = []
    for _ in range(megabytes):
        hoard.append(os.urandom(1 << 20))
    time.sleep(30)
    return len(hoard)


@task
def surroundings() -> dict:
    Path("written.txt").write_text("mine")
    return {
        "cwd": os.getcwd(),
        "files": sorted(os.listdir(".")),
        "data": Path("data.txt").read_text() if Path("data.txt").exists() else "",
        "random": random.random(),
        "uuid": str(uuid.uuid4()),
        "colour": os.environ.get("COLOUR", ""),
        "execution": flytekit.current_context().execution_id.name,
        "private": [name for name in ("DATABASE_URL", "CAUSEWAY_SECRET_KEY") if name in os.environ],
        "django": any(name.split(".")[0] == "django" for name in sys.modules),
        "ours": [name for name in sys.modules if name.split(".")[0] in ("scheduler", "artifacts", "console")],
        "remote": flytekit.FlyteContextManager.current_context().file_access.get_random_remote_path(),
        "threads": os.environ["OMP_NUM_THREADS"],
        "default_image": flytekit.configuration.default_images.DefaultImages.default_image(),
    }


@dynamic
def spawns(n: int) -> list[int]:
    return [add(a=i, b=i) for i in range(n)]


@task
def fills_the_disk() -> int:
    if time.time() > 0:
        raise OSError(28, "No space left on device")
    return 1


@workflow
def adding(a: int = 1) -> int:
    return add(a=a, b=1)


planned = flytekit.LaunchPlan.get_or_create(adding, name="planned", default_inputs={"a": 2})  # starts flytekit's loop


@task
def which_python() -> str:
    import sys

    return sys.prefix


@task
def import_path() -> str:
    return os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])


@task
def published(n: int) -> Annotated[int, OF_AN_ITEM]:
    return n


@task
def has_module(name: str) -> str:
    return "alive" if name in sys.modules and sys.modules[name].thread.is_alive() else "missing"


@task
def secret(group: str, key: str) -> str:
    return flytekit.current_context().secrets.get(group, key)


@task
def secret_variables() -> str:
    path = os.environ["CERT"]
    with open(path) as file:
        return f"{os.environ['TOKEN']} {file.read()} {oct(os.stat(path).st_mode & 0o777)}"


@task
def fails_with_secret() -> None:
    raise ValueError(f"cannot log in with {flytekit.current_context().secrets.get('team', 'token')}")


@dataclasses.dataclass
class Holder:
    folder: FlyteDirectory


@task
def listed_inside(held: Holder) -> str:
    return ",".join(sorted(os.listdir(held.folder)))


@task
def replica(failing: str) -> str:
    """One of several processes, which meet by what the training operator would tell them."""
    import socket

    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if str(rank) == failing:
        raise ValueError(f"rank {rank} cannot go on")
    address = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    if rank == 0:
        with socket.create_server(address) as server:
            ranks = [server.accept()[0].recv(100).decode() for _ in range(world - 1)]
        return " ".join(sorted(ranks))
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            with socket.create_connection(address) as other:
                other.sendall(f"{rank}of{world}".encode())
            return "nobody reads this"
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise TimeoutError("rank 0 is not there")


@task
def of_cluster() -> str:
    import json

    config = json.loads(os.environ["TF_CONFIG"])
    own = config["task"]
    if own["type"] == "ps":
        time.sleep(600)
    return f"{own['type']} {own['index']} of {sorted((role, len(found)) for role, found in config['cluster'].items())}"


@task
def mpi_rank() -> str:
    return os.environ.get("OMPI_COMM_WORLD_RANK", "none")

"""Programs for pods that stay."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from flytekit import Resources, map_task, task, workflow

ASKED = {"CAUSEWAY_REUSE": "1"}
SMALL = Resources(cpu="50m", mem="250Mi")


@task(requests=SMALL)
def add_one(n: int) -> int:
    return n + 1


@workflow
def mapped(ns: list[int]) -> list[int]:
    return map_task(add_one)(n=ns)


@task(requests=SMALL)
def slow(n: int) -> str:
    time.sleep(2)
    return f"{n} {os.uname().nodename}"


@workflow
def slowly_mapped(ns: list[int]) -> list[str]:
    return map_task(slow)(n=ns)


@task(requests=SMALL, retries=1)
def lucky_later(n: int) -> int:
    if n % 5 == 0 and os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        os.write(1, b"not yet\n")
        os._exit(5)
    return n


@workflow
def with_failures(ns: list[int]) -> list[int]:
    return map_task(lucky_later)(n=ns)


@task(requests=SMALL, environment=ASKED)
def hand_on(before: str) -> str:
    return f"{before} {os.uname().nodename}".strip()


@workflow
def chain() -> str:
    said = ""
    for _ in range(5):
        said = hand_on(before=said)
    return said


@task
def together(said: list[str]) -> list[str]:
    return said


@workflow
def fan_out() -> list[str]:
    return together(said=[hand_on(before=f"{n}:") for n in range(8)])


PLACES = (".", "~", tempfile.gettempdir(), "/tmp", "/dev/shm")  # noqa: S108


@task(requests=SMALL, environment={**ASKED, "OWN": "first"})
def leave(n: int) -> str:
    os.environ["LEFT"] = "here"
    for place in PLACES:
        (Path(place).expanduser() / "left.txt").write_text("here")
    subprocess.Popen(["sleep", "987"], start_new_session=True)
    try:
        Path("/usr/left.txt").write_text("here")
    except OSError as error:
        return f"{os.uname().nodename} {error.strerror}"
    return "it may write into the image"


@task(requests=SMALL, environment=ASKED)
def look(after: str) -> str:
    found = [place for place in PLACES if (Path(place).expanduser() / "left.txt").exists()]
    sleeping = [one for one in Path("/proc").glob("[0-9]*/cmdline") if b"987" in _read(one)]
    seen = [name for name in ("LEFT", "OWN") if name in os.environ]
    first = [_read(Path(f"/proc/1/{name}")) for name in ("environ", "mem")]
    return f"{os.uname().nodename} {found} {len(sleeping)} {seen} {first}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(100)
    except OSError:
        return b""


@workflow
def left_behind() -> tuple[str, str]:
    left = leave(n=1)
    return left, look(after=left)


@task(requests=SMALL, environment=ASKED)
def fail(n: int) -> int:
    os.write(1, b"about to fail\n")
    if n:
        raise ValueError(f"no {n}")
    return n


@workflow
def failing(n: int) -> int:
    return fail(n=n)


@task(requests=SMALL, environment=ASKED)
def wait(n: int) -> int:
    time.sleep(n)
    return n


@workflow
def waiting(n: int) -> int:
    return wait(n=n)

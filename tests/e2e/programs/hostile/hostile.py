"""What a contributor may try who is no administrator: each line of the report that says "got" is a hole."""

import os
import signal
import socket
from pathlib import Path

from flytekit import task, workflow


def tried(name, act) -> str:
    try:
        return f"{name}: got {act()!r}"[:200]
    except (OSError, ValueError) as error:
        return f"{name}: refused {type(error).__name__}"


def connect(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    return "connected"


@task
def attack(home: str, source: str, venv: str, others: str, named: str, pids: list[int]) -> list[str]:
    report = [tried(f"list {home}", lambda: os.listdir(home))]
    for name in ("admin-token", "secret-key", "logs/manage.log", "logs/executor.log", "task-users", "flyte.yaml"):
        report.append(tried(f"read {name}", lambda name=name: Path(home, name).read_text()))
    report.append(tried("list objects", lambda: os.listdir(f"{home}/objects")))
    folder = Path(home, "objects", "raw", others, "development")
    report.append(tried("read another project's object", lambda: (folder / "secret").read_bytes()))
    report.append(tried("list another project's objects", lambda: os.listdir(folder)))
    report.append(tried("overwrite what an input names", lambda: Path(named).write_text("x")))
    report.append(f"what an input names: {Path(named).read_text()}")
    report.append(tried("list runs", lambda: os.listdir(f"{home}/run")))
    for pid in pids:
        report.append(tried(f"environment of {pid}", lambda pid=pid: Path(f"/proc/{pid}/environ").read_bytes()))
        report.append(tried(f"signal {pid}", lambda pid=pid: os.kill(pid, signal.SIGCONT)))
    report.append(tried("database", lambda: connect(f"{home}/postgres/.s.PGSQL.5432")))
    report.append(tried("broker", lambda: connect(f"{home}/valkey.sock")))
    for place in (source, venv, home):
        report.append(tried(f"write {place}", lambda place=place: Path(place, "planted").write_text("x")))
    secrets = ("DATABASE_URL", "REDIS_URL", "CAUSEWAY_SECRET_KEY", "AWS_SECRET_ACCESS_KEY")
    report += [f"variable {name}: got it" for name in secrets if name in os.environ]
    return [*report, f"uid {os.getuid()} groups {sorted(os.getgroups())} gained {tried('root', lambda: os.setuid(0))}"]


@workflow
def wf(home: str, source: str, venv: str, others: str, named: str, pids: list[int]) -> list[str]:
    return attack(home=home, source=source, venv=venv, others=others, named=named, pids=pids)

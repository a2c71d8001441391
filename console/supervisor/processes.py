"""The processes of the embedded set-up and the supervisor configuration that keeps them running."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from console.supervisor import roles
from console.supervisor.clusters import clusters
from console.supervisor.connector.setup import Here
from console.supervisor.paths import Home
from console.supervisor.s3_door import Door

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCH = Path(__file__).resolve().parent / "launch.sh"
WORKERS = 2
NICE = 5  # of workers: a third of the processor beside one who waits for it too
# The words before a module that runs in a fork of the supervisor: of what they all need, or from before there were
# settings (warm.py).
FORK, EARLY = "fork", "fork-early"


@dataclass(frozen=True)
class Options:
    """How one embedded set-up differs from another. `environment` reaches every process."""

    home: Home
    bind: str
    http_port: int
    grpc_port: int
    postgres: bool
    valkey: bool
    environment: Mapping[str, str]
    door: Door | None = None  # an object store of our own
    connector: Here | None = None  # a connector service of our own


@dataclass(frozen=True)
class Process:
    """One supervised program; `group` says when it starts: `core` holds the servers the others need. One that is
    `forked` (FORK or EARLY) is a module of Python and its arguments.
    """

    name: str
    command: list[str]
    group: str = "app"
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    environment: dict[str, str] = field(default_factory=dict)
    forked: str = ""


def core(options: Options) -> list[Process]:
    """The servers that the rest needs, as far as they are not somewhere else."""
    found = []
    if options.postgres:
        # INT is the fast shutdown: it ends the sessions, TERM would wait for them
        command = [sys.executable, "-m", "console.supervisor.postgres"]
        found.append(Process("postgres", command, group="core", stop_signal="INT", stop_seconds=30))
    if options.valkey:
        found.append(Process("valkey", [sys.executable, "-m", "console.supervisor.valkey"], group="core"))
    if options.door is not None:
        found.append(Process("store", options.door.command(), group="core", environment=options.door.keys()))
    return found


def web(options: Options) -> Process:
    """One process with threads is enough for a machine that also runs the tasks; each more costs 30 MB."""
    host = f"[{options.bind}]" if ":" in options.bind else options.bind
    command = ["gunicorn", "--config", "python:console.gunicorn", "console.wsgi"]
    return Process("web", [*command, "--bind", f"{host}:{options.http_port}"], forked=FORK)


def rpc() -> Process:
    return Process("rpc", ["django", "rpc", "--skip-checks"], forked=FORK)


def worker(number: int) -> Process:
    """Whoever waits for a page or an answer comes first, whatever a burst has for the workers to do."""
    command = ["console.work", f"worker-{number}", "--pool", "solo", "--nice", str(NICE)]
    # the first worker also ticks, in a thread: that needs no process of its own
    environment = {"CELERY_SKIP_CHECKS": "1", **({"CAUSEWAY_TICK": "1"} if number == 1 else {})}
    return Process(f"worker-{number}", command, environment=environment, forked=FORK)


def slow() -> Process:
    """Takes what waits for strangers: webhooks, mail, lineage events, retention. A thread costs next to nothing."""
    command = ["console.work", "slow", "--pool", "threads", "--concurrency", "4", "--queues", "causeway-slow"]
    return Process("slow", command, environment={"CELERY_SKIP_CHECKS": "1"}, forked=FORK)


def executor(options: Options, *cluster: str) -> Process:
    """It has a role of its own in the database, and in its environment no way to be another. `cluster`: the name of
    the one whose pods it looks after; none: tasks of this machine, and a process for each cluster that is set later.
    """
    given = {**os.environ, **options.environment}.get("CAUSEWAY_EXECUTOR_DATABASE_URL")
    address = roles.url(options.home, roles.EXECUTOR) if options.postgres else given
    environment = {"DATABASE_URL": address, "CAUSEWAY_EXECUTOR_DATABASE_URL": ""} if address else {}
    command = ["manage", "executor", "--skip-checks"]
    command += ["--kind", "kubernetes", "--cluster", *cluster] if cluster else ["--clusters"]
    name = "-".join(["executor", *cluster])
    if options.postgres:
        return Process(name, command, environment=environment, forked=EARLY)
    # the supervisor's own environment says from the start how the others reach somebody else's database
    return Process(name, [sys.executable, "-m", *command], environment=environment)


def connector(options: Options, here: Here) -> Process:
    """With what tasks have of the store, and no database: it runs the code of plug-ins."""
    door = options.door.environment() if options.door is not None else {}
    closed = {"DATABASE_URL": "", "CAUSEWAY_EXECUTOR_DATABASE_URL": "", "CAUSEWAY_SECRET_KEY": ""}
    environment = {**closed, **here.environment({**os.environ, **options.environment, **door})}
    return Process("connector", here.command(), environment=environment)


def apps(options: Options) -> list[Process]:
    """Causeway's own processes. `bootstrap` and the web process check the settings; in the others the checks would
    import every page and serializer, 20 MB each.
    """
    return [
        web(options),
        rpc(),
        *(worker(number) for number in range(1, WORKERS + 1)),
        slow(),
        executor(options),
        *([connector(options, options.connector)] if options.connector is not None else []),
        *(executor(options, one.name) for one in clusters({**os.environ, **options.environment})),
    ]


def shared_environment(options: Options) -> dict[str, str]:
    """What every process gets on top of what `script/up` itself was given."""
    return {
        **options.environment,
        **(options.door.environment() if options.door is not None else {}),
        "CAUSEWAY_HOME": str(options.home.root),
        "CAUSEWAY_INSTALLATION": str(options.home.root),
        "CAUSEWAY_BIND": options.bind,
        "CAUSEWAY_HTTP_PORT": str(options.http_port),
        "CAUSEWAY_GRPC_PORT": str(options.grpc_port),
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # compiling every module at every start would take most of the start
        "SPT_NOENV": "1",  # a process that shows what it is (setproctitle) leaves its environment readable
        "MALLOC_ARENA_MAX": "2",  # glibc's arenas per thread would double the memory of the threaded processes
    }


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _command(process: Process) -> list[str]:
    if not process.forked:
        return ["/bin/sh", str(LAUNCH), *process.command]
    if sys.platform == "linux":
        return [sys.executable, process.forked, *process.command]
    return launched(process.command)  # where a fork alone is not safe


def launched(command: Sequence[str]) -> list[str]:
    """A module of Python and its arguments as a program that imports for itself."""
    return ["/bin/sh", str(LAUNCH), sys.executable, "-m", *command]


def _section(process: Process, home: Home) -> str:
    environment = {"CAUSEWAY_PROCESS": process.name, **process.environment}
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in environment.items())
    command = shlex.join(_command(process))
    return f"""
[program:{process.name}]
command={_escape(command)}
directory={_escape(str(ROOT))}
environment={pairs}
autostart=false
autorestart=true
startsecs=0
stopsignal={process.stop_signal}
stopwaitsecs={process.stop_seconds}
stdout_logfile=NONE
stderr_logfile=NONE
"""


def configuration(options: Options) -> str:
    """The supervisor's configuration file. `startsecs=0` is what makes it never give up: every start counts as one."""
    home = options.home
    groups = {"core": core(options), "app": apps(options)}
    text = f"""[supervisord]
nodaemon=true
silent=true
user={os.getuid()}
pidfile={_escape(str(home.run / "supervisor.pid"))}
logfile={_escape(str(home.logs / "supervisor.log"))}
logfile_maxbytes=5MB
logfile_backups=1

[unix_http_server]
file={_escape(str(home.supervisor_socket))}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:causeway]
supervisor.rpcinterface_factory=console.supervisor.warm:Interface
"""
    for priority, (group, processes) in enumerate(groups.items(), start=1):
        if processes:
            names = ",".join(process.name for process in processes)
            text += f"\n[group:{group}]\nprograms={names}\npriority={priority}\n"
            text += "".join(_section(process, home) for process in processes)
    return text

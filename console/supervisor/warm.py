"""supervisord whose Python programs are forks of one process that has imported what they need.

    python -m console.supervisor.warm --configuration FILE

Five processes that each import Causeway keep five copies of it and take five times as long to start. Here supervisord
imports it once, when the first of them is to start, and each of them is a fork of it: their pages are shared until
somebody writes to them. What supervisord knows and does (restarts, signals, states) is as it was: only its `execve`,
of which the child is the caller, goes on in this process where the program is one of ours.

A program that must not have what the others have (the executor, which may not read their settings) is forked before
there is any of it, with what needs no settings. That happens once: to be started again it is launched as a program of
its own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import logging
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import setproctitle
from supervisor import supervisord
from supervisor.options import ServerOptions

from console.supervisor import managing
from console.supervisor.kept_code import kept_code
from console.supervisor.leftovers import began_at
from console.supervisor.paths import Home
from console.supervisor.processes import EARLY, FORK, launched
from console.supervisor.rehearsal import login, rehearse

logger = logging.getLogger(__name__)

# What the executor imports as well, and needs no settings. Most of it comes with some other of these.
PLAIN = (
    "django.contrib.postgres.fields",
    "django.contrib.postgres.apps",
    "django.db.backends.postgresql.base",
    "django.contrib.auth.apps",
    "django.contrib.contenttypes.apps",
    "django.contrib.sessions.apps",
    "django.contrib.staticfiles.apps",
    "django.contrib.admin.apps",
    "django.views.debug",
    "drf_spectacular.checks",
    "whitenoise.runserver_nostatic",
    "redis",
    "msgpack",
    "flyteidl.admin.execution_pb2",
    "flyteidl.admin.launch_plan_pb2",
    "flyteidl.core.dynamic_job_pb2",
    "flyteidl.core.errors_pb2",
    "google.protobuf.json_format",
    "psutil",
    "botocore.exceptions",
    "urllib3",
    "croniter",
    "artifacts.governance.policies",
    "artifacts.sessions.base",
    "lineage.outside.events",
    "scheduler.engine.graph",
    "scheduler.quotas.turns",
    "scheduler.secrets.files",
)
# What they import before they do anything; all at once, as pages that are written to between two forks are not shared.
MODULES = (
    "gunicorn.app.wsgiapp",
    "gunicorn.http.wsgi",
    "console.urls",
    "console.web.worker",
    "console.web.channels",
    "console.rpc.server",
    "console.management.commands.rpc",
    "grpc._server",
    "console.celery",
    "console.work",
    "celery.apps.worker",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.concurrency.thread",
    "celery.utils.debug",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "kombu.transport.redis",
)
# What frameworks import where it is installed, for what nobody asks of them here (pages that show an API, clients for
# tests): 5 MB. Whoever needs one for himself imports it later.
UNASKED = ("jinja2", "markdown", "pygments", "requests")
SERVING = "console.wsgi"  # looks for the collected files when it is imported, and is it last
SOON = 5.0  # seconds: what dies that soon after its start is started again a little slower, as launch.sh does


@cache
def plain() -> None:
    """Import what needs no settings. Nothing of this, or of what follows, may start a thread or open a connection: a
    fork would not have the thread, and would share the connection.
    """
    gc.disable()  # for good, in this process: a collection would write into pages that are shared
    setproctitle.getproctitle()  # it has to look for its place before the environment is another
    with kept_code(_run() / "plain.code"):
        for name in PLAIN:
            importlib.import_module(name)
    login()
    _settle_memory()


@cache
def warm() -> None:
    """Import what the programs need."""
    plain()
    with absent(UNASKED), kept_code(_run() / "warm.code"):
        import django

        django.setup()
        for name in MODULES:
            importlib.import_module(name)
    from django.urls import get_resolver

    from console.celery import app

    get_resolver()._populate()  # noqa: SLF001 - what the first request does otherwise
    app.loader.import_default_modules()
    app.finalize()
    rehearse(app)
    _settle_memory()


@cache
def ready_to_serve() -> None:
    """The last of it, for a data directory that is prepared."""
    warm()
    importlib.import_module(SERVING)
    _settle_memory()


def _run() -> Path:
    return Home(Path(os.environ["CAUSEWAY_HOME"])).run


@contextlib.contextmanager
def absent(names: Sequence[str]) -> Iterator[None]:
    """As if these were not installed, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None is what stands for one that is not there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _settle_memory() -> None:
    """What is there now stays, and is shared by the forks that follow. A collection before that would find half a
    megabyte, and take a quarter of a second of each start.
    """
    gc.freeze()


def tried(imports: Callable[[], None]) -> bool:
    """Whether it is warm. What cannot be imported is no reason for supervisord to end: each fork says so in its log."""
    try:
        imports()
    except Exception:
        logger.exception("Causeway cannot be imported")
        return False
    return True


class Interface:
    """What our own code asks of supervisord beside what everybody may."""

    def __init__(self, supervisor: object) -> None:
        self.supervisor = supervisor

    def warm(self) -> bool:
        """Do it now, while the servers begin that the programs need."""
        return tried(warm)

    def manage(self, commands: list[list[str]]) -> list[list[Any]]:
        """Run these of manage.py at once, each in a fork; exit code, output and errors of each. Nothing else is done
        meanwhile.
        """
        tried(warm)
        return [list(done) for done in managing.run(commands, _settle_alone)]


class Options(ServerOptions):  # type: ignore[misc]
    """supervisord's, of which two steps are ours."""

    def check_execv_args(self, filename: str, argv: Sequence[str], st: object) -> None:
        """Called in supervisord itself, right before each fork."""
        if word(argv) == FORK:
            tried(ready_to_serve)
        elif word(argv) == EARLY:
            tried(plain)
        else:
            super().check_execv_args(filename, argv, st)

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Called in the child, whose descriptors, folder and process group are set."""
        if word(argv) == FORK:
            become(argv[2], argv[3:], env, _already_set_up)
        if word(argv) == EARLY:
            if not knows_settings():
                become(argv[2], argv[3:], env, lambda: wait_until_prepared(env))
            argv = launched(argv[2:])
            filename = argv[0]
        super().execve(filename, argv, env)


def word(argv: Sequence[str]) -> str:
    """FORK or EARLY; empty: it is a program of its own."""
    return argv[1] if len(argv) > 2 and argv[1] in {FORK, EARLY} else ""


def knows_settings() -> bool:
    return os.environ.get("DJANGO_SETTINGS_MODULE", "console.settings") in sys.modules


def become(module: str, arguments: Sequence[str], env: Mapping[str, str], first: Callable[[], None]) -> NoReturn:
    """Run `python -m module arguments` in this process, a fork, as launch.sh would have started it."""

    def act() -> None:
        _settle(env)
        first()
        gc.enable()
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    managing.exit_after(act, atexit._run_exitfuncs)


def _settle_alone() -> None:
    """In a fork that runs a command and has no name: what a new process would not have of its parent's."""
    _forget_signals()
    os.environ.pop("CAUSEWAY_PROCESS", None)
    _already_set_up()
    gc.enable()


def _forget_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _settle(env: Mapping[str, str]) -> None:
    """As launch.sh: a note of the pid, output to the log; and what a new process would not have of its parent's."""
    _forget_signals()
    os.environ.clear()
    os.environ.update(env)
    os.umask(0o077)
    home, name = Path(env["CAUSEWAY_HOME"]), env["CAUSEWAY_PROCESS"]
    note = home / "processes" / f"{name}.pid"
    if note.exists() and time.time() - note.stat().st_mtime < SOON:
        time.sleep(1)
    setproctitle.setproctitle(f"causeway: {name}")  # gunicorn and Celery say more in its place, a moment later
    note.write_text(f"{os.getpid()} {began_at(os.getpid())}\n")
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(home / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)


def wait_until_prepared(env: Mapping[str, str]) -> None:
    """One that is forked early may be so before the database has its tables."""
    while Home(Path(env["CAUSEWAY_HOME"])).unprepared.exists():
        time.sleep(0.05)


def _already_set_up() -> None:
    """Have Django's and Celery's programs leave out what the parent has done: it would touch what all of them share."""
    import django

    def setup(set_prefix: bool = True) -> None:
        """As Django's own, whose applications are loaded and whose logging is configured."""

    django.setup = setup


def main() -> None:
    supervisord.ServerOptions = Options
    supervisord.main(sys.argv[1:])


if __name__ == "__main__":
    main()

"""The local executor: attempts as processes of this machine, forked from warm zygotes."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from flyteidl.core import literals_pb2

from artifacts.exceptions import CausewayError
from artifacts.store import LocalStore, ObjectStore
from artifacts.store.folders import open_regular
from artifacts.task_users import Identity, TaskUsers
from scheduler.executors.base import Assignment, Ended, Event, Executor, Outcome, Started
from scheduler.executors.local import memory, outcome
from scheduler.executors.local.code import CodeCache
from scheduler.executors.local.command import Plan, own_variables, plan, warm_key
from scheduler.executors.local.environments import python_for
from scheduler.executors.local.identities import identity_of, let_group_through, place_of
from scheduler.executors.local.machine import machine_resources
from scheduler.executors.local.rundir import Process, RunDirectory, is_run_by
from scheduler.executors.local.sent_log import SentLog
from scheduler.executors.local.zygote.child import DUPLICATE
from scheduler.executors.local.zygotes import Zygotes
from scheduler.executors.resources import Resources
from scheduler.phases import AttemptPhase

logger = logging.getLogger(__name__)

GRACE_SECONDS = 10.0  # between TERM and KILL
LOG_TAIL_BYTES = 4000
PRUNE_SECONDS = 3600.0
LOG_SECONDS = 3.0  # between looks at logs that have to be sent to be read
MAX_LOST = 5  # zygotes that may die before they started an attempt


@dataclass(eq=False)
class Run:
    assignment: Assignment
    plan: Plan
    directory: RunDirectory
    log: Path
    sent_log: SentLog | None = None  # where the store is not on this machine
    gpus: tuple[int, ...] = ()
    process: Process | None = None
    started_at: datetime | None = None
    orphaned: bool = False  # no zygote tells its end: it is polled for
    stopped: str = ""  # see outcome.Exit
    detail: str = ""
    kernel_kills: int = 0  # for want of memory, when the attempt began
    kill_at: float | None = None  # monotonic; when TERM was not enough
    deadline: float | None = None  # monotonic
    ended: bool = False
    lost: int = 0  # how many zygotes died before they started it
    user: Identity | None = None  # whom it runs as; None: as ourselves


class LocalExecutor(Executor):
    name = "local"

    def __init__(
        self,
        home: Path,
        store: ObjectStore,
        *,
        total: Resources | None = None,
        warm_limit: int = 4,
        endpoint: str = "",
        token_of: Callable[[int], str] | None = None,
        environments: Mapping[str, str] | None = None,
        users: TaskUsers | None = None,
        may_read: Callable[[int, str, str], bool] | None = None,
    ) -> None:
        """`environments`: the Pythons that images stand for; `endpoint`: host and port of the gRPC door, for tasks that
        launch others (eager workflows); `token_of` an attempt id is what they show there, if it asks for one.
        `users`: whom tasks run as; `may_read`: whether that of an attempt id may read another project and domain."""
        self.users, self.may_read = users, may_read
        self.home, self.store, self.endpoint, self.token_of = home, store, endpoint, token_of
        self.total = total or machine_resources(home)
        self.runs: dict[int, Run] = {}
        self.code = CodeCache(home / "code", store)
        self.environments, self.warm_limit = dict(environments or {}), warm_limit
        self.zygotes = self._new_zygotes(sys.executable)
        self._mapped: dict[str, Zygotes] = {}  # of other Pythons, by their path
        self._by_directory: dict[Path, Run] = {}
        self._pruned_at = self._logs_sent_at = time.monotonic()
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="local-executor")

    def capacity(self) -> Resources:
        return self.total

    def start(self, emit: Callable[[Event], None]) -> None:
        self.emit = emit
        shutil.rmtree(self.home / "tmp", ignore_errors=True)  # of earlier zygotes; attempts have theirs in `run`
        (self.home / "run").mkdir(parents=True, exist_ok=True)
        let_group_through(self.home / "run", self.users)
        self.zygotes.start()

    def submit(self, assignment: Assignment) -> None:
        run = self._new_run(assignment)
        if run.plan.distribution and not self.code.ready(run.plan.distribution, run.user):
            self._workers.submit(self._guarded, run, self._fetch_and_launch)
        else:
            self._guarded(run, self._launch)

    def adopt(self, assignment: Assignment) -> None:
        run = self._new_run(assignment)
        if run.directory.process() is None and run.directory.result() is None:
            self.runs.pop(assignment.attempt_id)
            self.submit(assignment)
        else:
            run.gpus = run.directory.gpus()
            self._found(run)

    def settle(self) -> None:
        for path in (self.home / "run").iterdir():
            if path not in self._by_directory:
                if (process := RunDirectory(path).working()) is not None:
                    logger.warning("stopping a process that no attempt needs any more: %s", path.name)
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                self._workers.submit(RunDirectory(path).remove)

    def cancel(self, attempt_id: int) -> None:
        with self._lock:
            run = self.runs.get(attempt_id)
            if run is not None and not run.stopped:
                self._stop(run, "cancelled", "cancelled")

    def tick(self) -> None:
        for zygotes in self._all_zygotes():
            zygotes.tick()
        now = time.monotonic()
        with self._lock:
            runs = [run for run in self.runs.values() if run.process is not None and not run.ended]
        for run in runs:
            if run.process is None:
                continue
            if run.orphaned and (not run.process.alive() or run.directory.result() is not None):
                self._finish(run, run.directory.result())  # read last: it is there if the process left one
            elif run.kill_at is not None and now > run.kill_at:
                run.kill_at = None
                self._signal(run, signal.SIGKILL)
            elif run.deadline is not None and now > run.deadline and not run.stopped:
                limit = run.assignment.command.get("timeout_seconds")
                self._stop(run, "timed out", f"the task ran longer than its timeout of {limit:g} s")
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            self._workers.submit(self._prune_code)
        if now - self._logs_sent_at > LOG_SECONDS:
            self._logs_sent_at = now
            for run in runs:
                if run.sent_log is not None:
                    self._workers.submit(self._send_log, run.sent_log)
        self._check_memory([run for run in runs if run.assignment.memory_limit and not run.stopped])

    def _send_log(self, log: SentLog) -> None:
        try:
            log.send_grown()
        except Exception as error:  # noqa: BLE001 - whatever the store says: it is sent again
            logger.warning("a log cannot be sent for now: %s", error)

    def _prune_code(self) -> None:
        with self._lock:
            running = {
                self.code.path(run.plan.distribution, run.user) for run in self.runs.values() if run.plan.distribution
            }
        try:
            self.code.prune(running.union(*(zygotes.codes() for zygotes in self._all_zygotes())))
        except OSError:
            logger.exception("unused code could not be removed")

    def stop(self) -> None:
        for zygotes in self._all_zygotes():
            zygotes.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)

    # --- starting -----------------------------------------------------------------------------------------------------

    def _new_run(self, assignment: Assignment) -> Run:
        directory = RunDirectory.of(self.home / "run", assignment.attempt_id, assignment.name)
        log, sent_log = directory.log, None
        if isinstance(self.store, LocalStore) and assignment.log_uri:
            log = self.store.path(assignment.log_uri)  # written in place, so that it can be read meanwhile
        elif assignment.log_uri:
            sent_log = SentLog(log, assignment.log_uri, self.store)
        with self._lock:
            args = plan(assignment.command.get("args") or ())
            run = Run(assignment, args, directory, log, sent_log, self._gpus(assignment))
            run.user = identity_of(assignment, self.users, self.store, self.may_read)
            run.kernel_kills = memory.kernel_kills()
            self.runs[assignment.attempt_id] = run
            self._by_directory[directory.path] = run
        return run

    def _gpus(self, assignment: Assignment) -> tuple[int, ...]:
        """Devices that nothing uses, processes of an earlier executor included, adopted or not yet."""
        if not assignment.resources.gpu:
            return ()
        taken = {gpu for run in self.runs.values() for gpu in run.gpus}
        for directory in map(RunDirectory, (self.home / "run").iterdir()):
            if directory.working() is not None:
                taken.update(directory.gpus())
        free = [gpu for gpu in range(self.total.gpu) if gpu not in taken]
        return tuple(free[: assignment.resources.gpu])

    def _guarded(self, run: Run, act: Callable[[Run], None]) -> None:
        """An attempt that cannot be started ends; it does not stop the executor."""
        try:
            act(run)
        except CausewayError as error:
            self._conclude(run, outcome.failure("CodeNotFound", error.message, outcome.USER, retryable=False))
        except (OSError, tarfile.TarError, ValueError) as error:
            code = "DiskFull" if getattr(error, "errno", None) == 28 else "StartFailed"
            message = f"the task could not be started: {error}"
            self._conclude(run, outcome.failure(code, message, outcome.SYSTEM, retryable=True))
        except Exception as error:
            logger.exception("starting %s failed", run.assignment.name)
            self._conclude(run, outcome.failure("StartFailed", repr(error), outcome.SYSTEM, retryable=True))

    def _fetch_and_launch(self, run: Run) -> None:
        self.code.fetch(run.plan.distribution, run.user)
        self._launch(run)

    def _launch(self, run: Run) -> None:
        if run.stopped:
            self._conclude(run, outcome.judge({}, self._exit_of(run, None), self.store))
            return
        if (echo := run.assignment.command.get("echo")) is not None:
            self._echo(run, echo)
            return
        if not run.plan.args:
            kind = run.assignment.command.get("task_type") or "unknown"
            said = f"no executor of this set-up runs tasks of type {kind!r}, which have no container"
            self._conclude(run, outcome.failure("NoExecutor", said, outcome.USER, retryable=False))
            return
        code = self.code.path(run.plan.distribution, run.user) if run.plan.distribution else None
        env = {**self._environment(run), **(run.assignment.command.get("env") or {})}
        threads = max(1, round(run.assignment.resources.cpu))
        spec = {"args": run.plan.args, "env": env, "code": str(code or ""), "log": str(run.log), "threads": threads}
        if data := run.assignment.command.get("data_config"):
            shared = ("inputs_uri", "output_prefix", "raw_output_prefix")
            spec["data"] = {**data, **{name: run.assignment.command[name] for name in shared}}
        if run.user is None:
            run.log.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._hand_over(run, run.user)
        run.directory.prepare(spec, code, run.user)
        declared = own_variables(run.assignment.command.get("env") or {})
        self._zygotes_of(run).run(
            run.directory.path,
            key=warm_key(run.plan.distribution, declared, run.user) if code else "",
            code=code,
            module=run.plan.module,
            env=declared,
            reuse=bool(run.assignment.command.get("reuse")),
            user=run.user,
        )

    def _hand_over(self, run: Run, user: Identity) -> None:
        """What the attempt writes in a local store becomes its user's: its own two folders and its log, no more."""
        if not isinstance(self.store, LocalStore):
            return
        own = place_of(run.assignment)
        for name in ("output_prefix", "raw_output_prefix"):
            uri = str(run.assignment.command.get(name) or "")
            if self.store.scope_of(f"{uri}/x") == own:
                self.store.hand_over(uri, user)
        if run.log != run.directory.log:
            self.store.hand_over_file(run.assignment.log_uri, user)

    def _echo(self, run: Run, outputs: Mapping[str, str]) -> None:
        """What it takes in comes out: that needs no process."""
        command = run.assignment.command
        run.started_at = datetime.now(timezone.utc)
        taken = literals_pb2.LiteralMap.FromString(self.store.get(command["inputs_uri"])).literals if outputs else {}
        given = literals_pb2.LiteralMap(literals={name: taken[source] for source, name in outputs.items()})
        uri = self.store.join(command["output_prefix"], "outputs.pb")
        self.store.put(uri, given.SerializeToString())
        self._conclude(run, Outcome(AttemptPhase.SUCCEEDED, output_uri=uri))

    def _zygotes_of(self, run: Run) -> Zygotes:
        python = python_for(str(run.assignment.command.get("image", "")), self.environments)
        if python == sys.executable:
            return self.zygotes
        with self._lock:
            if python not in self._mapped:
                self._mapped[python] = self._new_zygotes(python)
                self._mapped[python].start()
            return self._mapped[python]

    def _all_zygotes(self) -> list[Zygotes]:
        return [self.zygotes, *list(self._mapped.values())]

    def _new_zygotes(self, python: str) -> Zygotes:
        group = self.users.group if self.users is not None else None
        return Zygotes(
            self._on_message, self._on_lost, home=self.home, warm_limit=self.warm_limit, python=python, group=group
        )

    def _environment(self, run: Run) -> dict[str, str]:
        """What flytekit reads the endpoints of Causeway and of the store from, and which GPUs are the attempt's.

        The image says its own name, as Flyte's images do: tasks that a dynamic or eager one registers then have it too.
        """
        env = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, run.gpus))} if self.total.gpu else {}
        if image := run.assignment.command.get("image"):
            env["FLYTE_INTERNAL_IMAGE"] = image
        if self.endpoint:
            env["FLYTE_PLATFORM_URL"] = self.endpoint
            env["FLYTE_PLATFORM_INSECURE"] = os.environ.get("FLYTE_PLATFORM_INSECURE", "true")
        if self.token_of is not None:
            env["CAUSEWAY_TOKEN"] = self.token_of(run.assignment.attempt_id)
            env["FLYTE_CREDENTIALS_AUTH_MODE"] = "externalcommand"
            env["FLYTE_CREDENTIALS_COMMAND"] = "printenv,CAUSEWAY_TOKEN"  # flytekit splits it at the comma
        for theirs, ours in {
            "FLYTE_AWS_ENDPOINT": "AWS_ENDPOINT_URL",
            "FLYTE_AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
            "FLYTE_AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
        }.items():
            if value := os.environ.get(ours.replace("AWS_", "CAUSEWAY_TASK_S3_", 1)) or os.environ.get(ours):
                env[theirs] = value
        return env

    # --- what zygotes say ---------------------------------------------------------------------------------------------

    def _on_message(self, message: dict[str, Any]) -> None:
        run = self._by_directory.get(Path(message["dir"]))
        if run is None or run.ended:
            return
        if message["is"] == "started":
            if not run.orphaned:  # else it is known who runs it: this is about a second process, which is gone
                self._started(run, Process(message["pid"], message["born"]), datetime.now(timezone.utc))
        elif message["status"] == DUPLICATE:
            self._found(run)
        else:
            self._finish(run, message["status"])

    def _on_lost(self, directories: list[Path]) -> None:
        for run in [self._by_directory[path] for path in directories if path in self._by_directory]:
            if run.directory.process() is None:
                run.lost += 1
                self._guarded(run, self._launch if run.lost < MAX_LOST else self._give_up)
            else:
                self._found(run)

    def _give_up(self, run: Run) -> None:
        """For instance because importing flytekit, or one of its plugins, ends the process in this environment."""
        python = python_for(str(run.assignment.command.get("image", "")), self.environments)
        raise OSError(f"the processes of {python} that tasks are forked from died {run.lost} times; see executor.log")

    def _found(self, run: Run) -> None:
        """Some process took this attempt, and no zygote will say how it ends."""
        process, since = run.directory.process(), run.directory.started_at()
        run.orphaned = True
        if process is not None and process.alive() and since is not None:
            self._started(run, process, datetime.fromtimestamp(since, timezone.utc))
        else:
            self._finish(run, run.directory.result())

    def _started(self, run: Run, process: Process, at: datetime) -> None:
        with self._lock:
            run.process, run.started_at = process, at
            if limit := run.assignment.command.get("timeout_seconds"):
                spent = (datetime.now(timezone.utc) - at).total_seconds()
                run.deadline = time.monotonic() + float(limit) - spent
            if run.stopped:
                self._signal(run, signal.SIGTERM)
        self.emit(Started(run.assignment.attempt_id, process.handle, at))

    # --- stopping and ending ------------------------------------------------------------------------------------------

    def _stop(self, run: Run, why: str, detail: str) -> None:
        run.stopped, run.detail = why, detail
        if run.process is not None:
            self._signal(run, signal.SIGTERM)
        run.kill_at = time.monotonic() + GRACE_SECONDS

    def _signal(self, run: Run, number: signal.Signals) -> None:
        """To its process, unless that is done with it: it may be at another attempt by now."""
        if run.process is not None and run.process.alive() and run.directory.result() is None:
            if run.user is not None and not is_run_by(run.process.pid, run.user.uid):
                return  # it is somebody else's process, whatever its zygote said
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.process.pid, number)

    def _check_memory(self, runs: list[Run]) -> None:
        if not runs:
            return
        members = memory.by_session({run.process.pid for run in runs if run.process is not None})
        for run in runs:
            limit, pids = run.assignment.memory_limit, members.get(run.process.pid if run.process else 0, [])
            if memory.resident(pids) > limit and (used := memory.proportional(pids)) > limit:
                words = f"it used {used / 1024**2:.0f} MiB of the {limit / 1024**2:.0f} MiB it asked for"
                run.stopped, run.detail = "out of memory", f"the task was killed for want of memory: {words}"
                self._signal(run, signal.SIGKILL)

    def _finish(self, run: Run, status: int | None) -> None:
        with self._lock:
            if run.ended:
                return
            run.ended = True
        self._workers.submit(self._judge, run, status)

    def _judge(self, run: Run, status: int | None) -> None:
        try:
            self._sweep_group(run, status)
            if run.sent_log is not None:
                run.sent_log.send_whole()
            result = outcome.judge(run.assignment.command, self._exit_of(run, status), self.store)
        except Exception as error:
            logger.exception("the end of %s cannot be judged", run.assignment.name)
            result = outcome.failure("StoreUnavailable", repr(error), outcome.SYSTEM, retryable=True)
        self._conclude(run, result)

    def _sweep_group(self, run: Run, status: int | None) -> None:
        """What the process of a stopped or killed attempt started and left behind goes with it, as in a container; not
        a process that others share. Of an adopted one killed long ago, the number may be somebody else's by now.
        """
        shared = bool(run.assignment.command.get("reuse")) and run.process is not None and run.process.alive()
        killed = status is not None and status < 0 and not run.orphaned
        theirs = run.user is not None and run.process is not None and os.path.exists(f"/proc/{run.process.pid}")
        if theirs and run.user is not None and run.process is not None and not is_run_by(run.process.pid, run.user.uid):
            return
        if (run.stopped or killed) and run.process is not None and not shared:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(run.process.pid, signal.SIGKILL)

    def _exit_of(self, run: Run, status: int | None) -> outcome.Exit:
        code = str(self.code.path(run.plan.distribution, run.user)) if run.plan.distribution else ""
        folders = (code, str(run.directory.path / "work"))
        tail = "" if status == 0 else self._log_tail(run)
        out_of_memory = memory.kernel_kills() > run.kernel_kills
        return outcome.Exit(status, tail, folders, run.stopped, run.detail, out_of_memory)

    def _log_tail(self, run: Run) -> str:
        try:
            with open_regular(run.log) as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_TAIL_BYTES))
                return log.read().decode(errors="replace")
        except OSError:
            return ""

    def _conclude(self, run: Run, result: Outcome) -> None:
        run.ended = True
        with self._lock:
            self.runs.pop(run.assignment.attempt_id, None)
        since = run.directory.started_at() if run.started_at is None else None
        started_at = datetime.fromtimestamp(since, timezone.utc) if since else run.started_at
        now = datetime.now(timezone.utc)
        self.emit(Ended(run.assignment.attempt_id, result, now, started_at, lambda: self._discard(run)))

    def _discard(self, run: Run) -> None:
        """Only now, with the end in the database, may the traces go that a restart would look for."""
        self._by_directory.pop(run.directory.path, None)
        with contextlib.suppress(RuntimeError):  # shutting down: the next start removes it
            self._workers.submit(run.directory.remove)

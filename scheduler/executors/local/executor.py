"""The local executor: attempts as processes of this machine, forked from warm zygotes."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from flyteidl.core import literals_pb2

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound
from artifacts.store import LocalStore, ObjectStore
from artifacts.task_users import Identity, TaskUsers
from scheduler.attempts.judge import Showing
from scheduler.attempts.observations import Ended, Running
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, failure
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor
from scheduler.executors.local import gpus, memory, notebooks, outcome, shortage, stopping
from scheduler.executors.local.attempt_log import AttemptLog
from scheduler.executors.local.code import CodeCache
from scheduler.executors.local.command import own_variables, plan, warm_key
from scheduler.executors.local.environments import python_for
from scheduler.executors.local.identities import identity_of, let_group_through
from scheduler.executors.local.limits import Limits
from scheduler.executors.local.machine import machine_resources
from scheduler.executors.local.run import Run
from scheduler.executors.local.rundir import GONE, Process, RunDirectory
from scheduler.executors.local.sent_log import SentLog
from scheduler.executors.local.steps import Steps, quietly
from scheduler.executors.local.zygote.child import DUPLICATE
from scheduler.executors.local.zygotes import Zygotes
from scheduler.executors.store_keys import store_keys
from scheduler.phases import AttemptPhase
from scheduler.secrets.mounts import Mounts
from scheduler.secrets.names import Request
from scheduler.uris import OUTPUTS

logger = logging.getLogger(__name__)

SecretsOf = Callable[[int, Sequence[Request]], Mounts]
PRUNE_SECONDS = 3600.0
LOG_SECONDS = 3.0  # between looks at logs that have to be sent to be read
MAX_LOST = 5  # zygotes that may die before they started an attempt


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
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        secrets_of: SecretsOf | None = None,
        users: TaskUsers | None = None,
        may_read: Callable[[int, str, str], bool] | None = None,
    ) -> None:
        """`environments`: the Pythons that images stand for; `endpoint`: host and port of the gRPC door, for tasks that
        launch others (eager workflows); `token_of` an attempt id is what they show there, if it asks for one;
        `secrets_of` an attempt id and its requests are what its process gets (lookup.mounts_for); `users`: whom
        tasks run as; `may_read`: whether that of an attempt id may read another project and domain.
        """
        self.users, self.may_read = users, may_read
        self.home, self.store, self.endpoint, self.token_of = home, store, endpoint, token_of
        self.secrets_of = secrets_of
        self.total = total or machine_resources(home)
        self.limits = limits
        self.disks = shortage.Disks([home, *([store.directory] if isinstance(store, LocalStore) else [])])
        self.runs: dict[int, Run] = {}
        self.code = CodeCache(home / "code", store)
        self.environments, self.warm_limit = dict(environments or {}), warm_limit
        self.zygotes = self._new_zygotes(sys.executable)
        self._mapped: dict[str, Zygotes] = {}  # of other Pythons, by their path
        self._by_directory: dict[Path, Run] = {}
        self._pruned_at = self._logs_sent_at = time.monotonic()
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="local-executor")
        self._steps = Steps(self._workers, self._break_off)

    def capacity(self) -> Resources:
        return self.total

    def start(self, emit: Emit) -> None:
        self.emit = emit
        shutil.rmtree(self.home / "tmp", ignore_errors=True)  # of earlier zygotes; attempts have theirs in `run`
        (self.home / "run").mkdir(parents=True, exist_ok=True)
        let_group_through(self.home / "run", self.users)
        self.zygotes.start()

    def submit(self, assignment: Assignment) -> None:
        self._steps.do(self._new_run(assignment), self._start)

    def adopt(self, assignment: Assignment) -> None:
        self._steps.do(self._new_run(assignment), self._adopt)

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
                stopping.stop(run, "cancelled", "cancelled")

    def tick(self) -> None:
        """Each part by itself: what fails in one, for want of descriptors or of rights, keeps none of the others."""
        self.disks.full()
        with self._lock:
            held = list(self.runs.values())
        runs = [run for run in held if run.process is not None and not run.ended]
        for run in held:
            quietly(partial(self._steps.try_again, run))
        for run in runs:
            quietly(partial(self._watch, run))
        for zygotes in self._all_zygotes():
            quietly(zygotes.tick)
        quietly(partial(self._tend, runs))
        limited = [run for run in runs if run.assignment.memory_limit and not run.stopped]
        quietly(partial(stopping.kill_what_uses_too_much, limited))

    def _watch(self, run: Run) -> None:
        now = time.monotonic()
        if run.process is None:
            return
        if run.orphaned and (not run.process.alive() or run.directory.result() is not None):
            self._finish(run, run.directory.result())  # read last: it is there if the process left one
        elif run.kill_at is not None and now > run.kill_at:
            run.kill_at = None
            stopping.send(run, signal.SIGKILL)
        elif run.deadline is not None and now > run.deadline and not run.stopped:
            stopping.stop(run, "timed out", self.limits.timed_out(run.assignment))

    def _tend(self, runs: list[Run]) -> None:
        """What need not be done at once: logs cut and sent, unused code removed."""
        now = time.monotonic()
        for run in runs:
            if run.log.too_long():
                self._workers.submit(quietly, run.log.cut)
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            self._workers.submit(self._prune)
        if now - self._logs_sent_at > LOG_SECONDS:
            self._logs_sent_at = now
            for run in runs:
                if run.log.sent is not None:
                    self._workers.submit(self._send_log, run.log.sent)

    def _send_log(self, log: SentLog) -> None:
        try:
            log.send_grown()
        except Exception as error:  # noqa: BLE001 - whatever the store says: it is sent again
            logger.warning("a log cannot be sent for now: %s", error)

    def _prune(self) -> None:
        for path in (self.home / "run").glob(f"*{GONE}"):  # what a moment without descriptors or rights left
            shutil.rmtree(path, ignore_errors=True)
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
        """Known from now on, to `settle` and to what zygotes say. Cannot fail."""
        directory = RunDirectory.of(self.home / "run", assignment.attempt_id, assignment.name)
        run = Run(assignment, directory, log=AttemptLog(directory.log))
        with self._lock:
            self.runs[assignment.attempt_id] = run
            self._by_directory[directory.path] = run
        return run

    def _break_off(self, run: Run, result: Outcome) -> None:
        quietly(partial(stopping.send, run, signal.SIGKILL))
        self._conclude(run, result)

    def _equip(self, run: Run) -> None:
        path, uri, limit = run.directory.log, run.assignment.log_uri, self.limits.log_bytes
        run.log = AttemptLog.of(path, uri, self.store, max_bytes=limit)
        run.plan = plan(run.spec.argv)
        run.user = identity_of(run.assignment, self.users, self.store, self.may_read)
        run.kernel_kills = memory.kernel_kills()

    def _start(self, run: Run) -> None:
        self._equip(run)
        if self._never_needed(run):
            return
        if run.spec.echo is not None:
            self._steps.submit(run, self._launch)  # it reads and writes the store
            return
        with self._lock:
            taken = {gpu for other in self.runs.values() if other is not run for gpu in other.gpus}
            wanted = run.assignment.resources.gpu
            run.gpus = gpus.choose(wanted, self.total.gpu, taken, self.home / "run")
        unready = run.plan.distribution and not self.code.ready(run.plan.distribution, run.user)
        if unready or run.spec.secrets:
            self._steps.submit(run, self._fetch_and_launch)
        else:
            self._launch(run)

    def _adopt(self, run: Run) -> None:
        if run.directory.process() is None and run.directory.result() is None:
            self._start(run)
            return
        self._equip(run)
        run.gpus = run.directory.gpus()
        self._found(run)

    def _never_needed(self, run: Run) -> bool:
        """Whether it was cancelled before it began, and so is over."""
        if run.stopped:
            self._conclude(run, outcome.judge("", self._exit_of(run, None), self.store))
        return bool(run.stopped)

    def _fetch_and_launch(self, run: Run) -> None:
        if self._never_needed(run):
            return
        if run.plan.distribution:
            self.code.fetch(run.plan.distribution, run.user)
        if run.spec.secrets:
            try:
                run.secrets = self._secrets(run)
            except CausewayError as error:
                unset = isinstance(error, (NotFound, InvalidArgument))
                code, kind = ("SecretNotFound", USER) if unset else ("SecretUnreadable", SYSTEM)
                self._conclude(run, failure(code, error.message, kind, retryable=False))
                return
        self._launch(run)

    def _secrets(self, run: Run) -> Mounts:
        if self.secrets_of is None:
            raise InvalidArgument("this executor has no place that secrets come from")
        return self.secrets_of(run.assignment.attempt_id, run.spec.secrets)

    def _launch(self, run: Run) -> None:
        if self._never_needed(run):
            return
        self.disks.require_room()
        if (echo := run.spec.echo) is not None:
            self._echo(run, echo)
            return
        if not run.plan.args:
            kind = run.spec.task_type or "unknown"
            said = f"no executor of this set-up runs tasks of type {kind!r}, which have no container"
            self._conclude(run, failure("NoExecutor", said, USER, retryable=False))
            return
        code = self.code.path(run.plan.distribution, run.user) if run.plan.distribution else None
        image = run.spec.image
        python = python_for(image, self.environments)
        if said := notebooks.mismatch(run.plan.args, code, python, image):
            self._conclude(run, failure("PythonMismatch", said, USER, retryable=False))
            return
        env = {**self._environment(run), **run.spec.env}
        threads = max(1, round(run.assignment.resources.cpu))
        spec = {
            "args": run.plan.args,
            "env": env,
            "code": str(code or ""),
            "log": str(run.log.path),
            "threads": threads,
        }
        if (data := run.spec.data_config) is not None:
            places = run.spec.addresses
            shared = {"inputs_uri": places.inputs, "output_prefix": places.output_prefix}
            spec["data"] = {**asdict(data), **shared, "raw_output_prefix": places.raw_output_prefix}
        if run.user is None:
            run.log.path.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._hand_over(run, run.user)
        secrets = run.secrets.as_json() if run.secrets else ""
        run.directory.prepare(spec, code, secrets=secrets, user=run.user)
        declared = own_variables(run.spec.env)
        if image:
            declared["FLYTE_INTERNAL_IMAGE"] = image  # what a module asks for that imports by its image
        self._zygotes_of(run).run(
            run.directory.path,
            key=warm_key(run.plan.distribution, declared, run.user) if code else "",
            code=code,
            module=run.plan.module,
            env=declared,
            reuse=run.spec.reuse,
            user=run.user,
        )

    def _hand_over(self, run: Run, user: Identity) -> None:
        """What the attempt writes in a local store becomes its user's: its own two folders and its log, no more."""
        if not isinstance(self.store, LocalStore):
            return
        own, addresses = run.spec.identity.place, run.spec.addresses
        for uri in (addresses.output_prefix, addresses.raw_output_prefix):
            if self.store.scope_of(f"{uri}/x") == own:
                self.store.hand_over(uri, user)
        if run.log.path != run.directory.log:
            self.store.hand_over_file(run.assignment.log_uri, user)

    def _echo(self, run: Run, outputs: Mapping[str, str]) -> None:
        """What it takes in comes out: that needs no process."""
        addresses = run.spec.addresses
        run.started_at = datetime.now(timezone.utc)
        taken = literals_pb2.LiteralMap.FromString(self.store.get(addresses.inputs)).literals if outputs else {}
        given = literals_pb2.LiteralMap(literals={name: taken[source] for source, name in outputs.items()})
        uri = self.store.join(addresses.output_prefix, OUTPUTS)
        self.store.put(uri, given.SerializeToString())
        self._conclude(run, Outcome(AttemptPhase.SUCCEEDED, output_uri=uri))

    def _zygotes_of(self, run: Run) -> Zygotes:
        python = python_for(run.spec.image, self.environments)
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
        if image := run.spec.image:
            env["FLYTE_INTERNAL_IMAGE"] = image
        if self.endpoint:
            env["FLYTE_PLATFORM_URL"] = self.endpoint
            env["FLYTE_PLATFORM_INSECURE"] = os.environ.get("FLYTE_PLATFORM_INSECURE", "true")
        if self.token_of is not None:
            env["CAUSEWAY_TOKEN"] = self.token_of(run.assignment.attempt_id)
            env["FLYTE_CREDENTIALS_AUTH_MODE"] = "externalcommand"
            env["FLYTE_CREDENTIALS_COMMAND"] = "printenv,CAUSEWAY_TOKEN"  # flytekit splits it at the comma
        return env | store_keys()

    # --- what zygotes say ---------------------------------------------------------------------------------------------

    def _on_message(self, message: dict[str, Any]) -> None:
        run = self._by_directory.get(Path(message["dir"]))
        if run is None or run.ended:
            return
        if message["is"] == "started":
            process, at = Process(message["pid"], message["born"]), datetime.now(timezone.utc)
            # Else it is known who runs it: this is about a second process, which is gone, or says so in a moment.
            if not run.orphaned and run.directory.process() in (None, process):
                self._steps.do(run, partial(self._started, process=process, at=at))
        elif message["status"] == DUPLICATE:
            self._steps.do(run, self._found)
        else:
            run.disk_full = run.disk_full or bool(message.get("full"))
            self._finish(run, message["status"])

    def _on_lost(self, directories: list[Path]) -> None:
        for run in [self._by_directory[path] for path in directories if path in self._by_directory]:
            self._steps.do(run, self._look_for)

    def _look_for(self, run: Run) -> None:
        """Its zygote died: it goes to another unless a process took it."""
        if run.ended:
            return
        if run.directory.process() is not None:
            self._found(run)
            return
        run.lost += 1
        self._steps.do(run, self._launch if run.lost < MAX_LOST else self._give_up)

    def _give_up(self, run: Run) -> None:
        """For instance because importing flytekit, or one of its plugins, ends the process in this environment."""
        python = python_for(run.spec.image, self.environments)
        raise OSError(f"the processes of {python} that tasks are forked from died {run.lost} times; see executor.log")

    def _found(self, run: Run) -> None:
        """Some process took this attempt, and no zygote will say how it ends."""
        if run.ended:
            return
        process, since = run.directory.process(), run.directory.started_at()
        run.orphaned = True
        if process is not None and process.alive() and since is not None:
            self._started(run, process, datetime.fromtimestamp(since, timezone.utc))
        else:
            self._finish(run, run.directory.result())

    def _started(self, run: Run, process: Process, at: datetime) -> None:
        with self._lock:
            run.process, run.started_at = process, at
            if limit := self.limits.timeout(run.assignment):
                spent = (datetime.now(timezone.utc) - at).total_seconds()
                run.deadline = time.monotonic() + limit - spent
            if run.stopped:
                stopping.send(run, signal.SIGTERM)
        self.emit(Running(run.assignment.attempt_id, process.handle, at))

    # --- stopping and ending ------------------------------------------------------------------------------------------

    def _finish(self, run: Run, status: int | None) -> None:
        with self._lock:
            if run.ended:
                return
            run.ended = True
        self._steps.submit(run, partial(self._judge, status=status))

    def _judge(self, run: Run, status: int | None) -> None:
        stopping.sweep_group(run, status)
        exit_ = self._exit_of(run, status)
        quietly(run.log.close)
        limit = self.limits.deck_bytes
        self._conclude(run, outcome.judge(run.spec.addresses.output_prefix, exit_, self.store, max_deck_bytes=limit))

    def _exit_of(self, run: Run, status: int | None) -> outcome.Exit:
        code = str(self.code.path(run.plan.distribution, run.user)) if run.plan.distribution else ""
        folders = (code, str(run.directory.path / "work"))
        tail = "" if status == 0 else run.log.tail()
        out_of_memory = memory.kernel_kills() > run.kernel_kills
        disk_full = run.disk_full or self.disks.were_full(run.since)
        disk_full = disk_full or (status != 0 and run.directory.disk_was_full())
        shown = Showing(folders, self._hidden(run))
        return outcome.Exit(status, tail, run.stopped, run.detail, out_of_memory, disk_full, shown)

    def _hidden(self, run: Run) -> tuple[str, ...]:
        """What a message must not show. Of an adopted attempt they are looked up again."""
        if run.secrets is None and run.spec.secrets:
            with contextlib.suppress(Exception):  # removed meanwhile, or no database: then nobody knows them here
                run.secrets = self._secrets(run)
        return run.secrets.hidden if run.secrets else ()

    def _conclude(self, run: Run, result: Outcome) -> None:
        run.ended = True
        with self._lock:
            if self.runs.get(run.assignment.attempt_id) is not run:
                return  # it has been told already, or the attempt was submitted again
            del self.runs[run.assignment.attempt_id]
        since = run.directory.started_at() if run.started_at is None else None
        started_at = datetime.fromtimestamp(since, timezone.utc) if since else run.started_at
        now = datetime.now(timezone.utc)
        self.emit(Ended(run.assignment.attempt_id, result, now, started_at, lambda: self._discard(run)))

    def _discard(self, run: Run) -> None:
        """Only now, with the end in the database, may the traces go that a restart would look for."""
        self._by_directory.pop(run.directory.path, None)
        with contextlib.suppress(RuntimeError):  # shutting down: the next start removes it
            self._workers.submit(run.directory.remove)

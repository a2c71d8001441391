"""How an attempt comes to a process: its code, its secrets and GPUs, its directory, and a zygote to fork from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from artifacts.exceptions import CausewayError, InvalidArgument, NotFound
from artifacts.store import LocalStore
from artifacts.task_users import Identity
from scheduler.attempts.echo import echo
from scheduler.attempts.outcomes import SYSTEM, USER, Outcome, failure
from scheduler.executors.command import own_variables, plan, warm_key
from scheduler.executors.local import gpus, memory, notebooks
from scheduler.executors.local.attempt_log import AttemptLog
from scheduler.executors.local.clusters import Clusters
from scheduler.executors.local.ending import Ending
from scheduler.executors.local.identities import identity_of
from scheduler.executors.local.lately import Lately
from scheduler.executors.local.means import Means
from scheduler.executors.local.pools import Pools
from scheduler.executors.local.run import Run
from scheduler.executors.local.runs import Runs
from scheduler.executors.local.spares import Spares
from scheduler.executors.local.steps import Steps
from scheduler.executors.local.surroundings import surroundings
from scheduler.uris import raw_folder_of

AGAIN_SECONDS = 5.0  # then a folder that was handed over is looked at again


class Starting:
    """Its methods are steps: what they raise is dealt with by Steps. Thread-safe for different runs."""

    def __init__(
        self,
        means: Means,
        runs: Runs,
        spares: Spares,
        steps: Steps,
        pools: Pools,
        ending: Ending,
        clusters: Clusters,
    ) -> None:
        self.means, self.runs, self.steps, self.pools, self.ending = means, runs, steps, pools, ending
        self.spares, self.clusters = spares, clusters
        self._handed_over: Lately[tuple[str, Identity], bool] = Lately(AGAIN_SECONDS)  # folders of executions
        self._kills: Lately[str, int] = Lately(0.1)  # the kernel's, for want of memory
        # By inputs, and whose they are
        self._identities: Lately[tuple[str, str, str], Identity | None] = Lately(AGAIN_SECONDS)

    def equip(self, run: Run) -> None:
        """What has to be known of it, whether it is started or found."""
        means = self.means
        path, uri, limit = run.directory.log, run.assignment.log_uri, means.limits.log_bytes
        run.log = AttemptLog.of(path, uri, means.store, max_bytes=limit)
        run.plan = plan(run.spec.argv)
        run.user = self._user_of(run)
        run.kernel_kills = self._kills.of("", memory.kernel_kills)

    def _user_of(self, run: Run) -> Identity | None:
        """Items of a map read the same file of inputs: what it names is looked for once."""
        means, whose = self.means, run.spec.identity
        asked = (run.spec.addresses.inputs, whose.execution, f"{whose.project}/{whose.domain}")
        return self._identities.of(asked, lambda: identity_of(run.assignment, means.users, means.store, means.may_read))

    def start(self, run: Run) -> None:
        self.equip(run)
        if self._never_needed(run):
            return
        if run.spec.echo is not None:
            self.steps.submit(run, self.launch)  # it reads and writes the store
            return
        if wanted := run.assignment.resources.gpu:
            with self.runs.lock:
                taken = {gpu for other in self.runs.by_id.values() if other is not run for gpu in other.gpus}
                run.gpus = gpus.choose(wanted, self.means.total.gpu, taken, self.runs.folder)
        unready = run.plan.distribution and not self.means.code.ready(run.plan.distribution, run.user)
        if unready or run.spec.secrets:
            self.steps.submit(run, self._fetch_and_launch)
        else:
            self.launch(run)

    def _never_needed(self, run: Run) -> bool:
        """Whether it was cancelled before it began, and so is over."""
        if run.stopped:
            self.ending.never_began(run)
        return bool(run.stopped)

    def _fetch_and_launch(self, run: Run) -> None:
        if self._never_needed(run):
            return
        if run.plan.distribution:
            self.means.code.fetch(run.plan.distribution, run.user)
        if run.spec.secrets:
            try:
                run.secrets = self.means.secrets(run)
            except CausewayError as error:
                unset = isinstance(error, (NotFound, InvalidArgument))
                code, kind = ("SecretNotFound", USER) if unset else ("SecretUnreadable", SYSTEM)
                self.ending.conclude(run, failure(code, error.message, kind, retryable=False))
                return
        self.launch(run)

    def launch(self, run: Run) -> None:
        if self._never_needed(run):
            return
        self.means.disks.require_room()
        if run.spec.echo is not None:
            self._echo(run)
            return
        code = self.means.code_of(run)
        if (refusal := self._refusal(run, code)) is not None:
            self.ending.conclude(run, refusal)
            return
        self._prepare(run, code)
        declared = own_variables(run.spec.env)
        if image := run.spec.image:
            declared["FLYTE_INTERNAL_IMAGE"] = image  # what a module asks for that imports by its image
        zygotes, kind = self.pools.of(self.means.python_of(run)), run.spec.identity.task
        key = warm_key(run.plan.distribution, declared, run.user) if code else ""
        if run.spec.reuse and run.assignment.task is not None:
            self.pools.quick.note(run.assignment.task, partial(zygotes.are_quick, key, run.plan.module, kind))
        zygotes.run(
            run.directory.path,
            key=key,
            code=code,
            module=run.plan.module,
            env=declared,
            reuse=run.spec.reuse,
            kind=kind,
            user=run.user,
        )

    def _refusal(self, run: Run, code: Path | None) -> Outcome | None:
        """What no process of this machine can run."""
        if not run.plan.args:
            kind = run.spec.task_type or "unknown"
            said = f"no executor of this set-up runs tasks of type {kind!r}, which have no container"
            return failure("NoExecutor", said, USER, retryable=False)
        if said := notebooks.mismatch(run.plan.args, code, self.means.python_of(run), run.spec.image):
            return failure("PythonMismatch", said, USER, retryable=False)
        return None

    def _prepare(self, run: Run, code: Path | None) -> None:
        """Its directory, with what its process is told."""
        told: dict[str, Any] = {
            "args": run.plan.args,
            "env": {**surroundings(run, self.means), **run.spec.env, **self._cluster(run, code)},
            "code": str(code or ""),
            "log": str(run.log.path),
            "threads": max(1, round(run.assignment.resources.cpu)),
        }
        if (data := run.spec.data_config) is not None:
            places = run.spec.addresses
            shared = {"inputs_uri": places.inputs, "output_prefix": places.output_prefix}
            told["data"] = {**asdict(data), **shared, "raw_output_prefix": places.raw_output_prefix}
        if run.user is None:
            run.log.path.parent.mkdir(parents=True, exist_ok=True)
        else:
            self._hand_over(run, run.user)
        secrets = run.secrets.as_json() if run.secrets else ""
        self.spares.prepare(run.directory, told, code, secrets=secrets, user=run.user)

    def _cluster(self, run: Run, code: Path | None) -> dict[str, str]:
        with self.runs.lock:
            return self.clusters.of(run, code, list(self.runs.by_id.values()))

    def _hand_over(self, run: Run, user: Identity) -> None:
        """What the attempt writes in a local store becomes its user's: where its outputs go, where its execution
        offloads (all of whose attempts are that user), and its log, no more.
        """
        store = self.means.store
        if not isinstance(store, LocalStore):
            return
        own, addresses = run.spec.identity.place, run.spec.addresses
        raw = raw_folder_of(addresses.output_prefix, addresses.raw_output_prefix)
        if store.scope_of(f"{addresses.output_prefix}/x") == own:
            store.hand_over(addresses.output_prefix, user)
        if store.scope_of(f"{raw}/x") == own:
            self._hand_over_once(store, raw, user)
        if run.log.path != run.directory.log:
            store.hand_over_file(run.assignment.log_uri, user)

    def _hand_over_once(self, store: LocalStore, folder: str, user: Identity) -> None:
        """One that all attempts of an execution have: not for each of those that begin in the same moment."""
        if self._handed_over.get((folder, user)) is None:
            store.hand_over(folder, user)
            self._handed_over.put((folder, user), True)

    def _echo(self, run: Run) -> None:
        run.started_at = datetime.now(timezone.utc)
        self.ending.conclude(run, echo(run.spec, self.means.store))

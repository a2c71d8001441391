"""The Kubernetes executor: attempts as pods, followed by one watch, whatever happens to the connection or to us.

What is known of an attempt is on the cluster: a process that takes over finds the pods by their names and marks, and
none goes before its end is written down. Calls of the port do not wait; other threads do the work (board.Board).
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from artifacts.store import ObjectStore
from scheduler.attempts.outcomes import aborted
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import Board
from scheduler.executors.kubernetes.client import Api
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.deadlines import Deadlines
from scheduler.executors.kubernetes.finishing import Finisher
from scheduler.executors.kubernetes.form import Form, Means
from scheduler.executors.kubernetes.held import ACTIVE, Held, Stage
from scheduler.executors.kubernetes.hopeless import Hopeless
from scheduler.executors.kubernetes.jobs.following import Jobs
from scheduler.executors.kubernetes.lease import Lease
from scheduler.executors.kubernetes.looks import Looks
from scheduler.executors.kubernetes.making import EnvOf, Maker, SecretsOf
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.packed import Packer
from scheduler.executors.kubernetes.queues import Queues
from scheduler.executors.kubernetes.reuse.pools import Pools
from scheduler.executors.kubernetes.single.echoes import Echoes
from scheduler.executors.kubernetes.single.pods import SinglePods
from scheduler.executors.kubernetes.strays import LogOf, Stray, Strays
from scheduler.executors.kubernetes.submission import Submission
from scheduler.executors.kubernetes.wait import Wait
from scheduler.executors.kubernetes.watches import Followed, Watches
from scheduler.executors.vital import end_process

logger = logging.getLogger(__name__)

INSTANCE = 64  # letters; TaskExecution.claimed_by
NEEDS_SECONDS = 5.0  # between looks at what pods need besides
LOG_SECONDS = 3.0  # between looks at logs that grow


class KubernetesExecutor(Executor):
    name = "kubernetes"
    most = 20_000

    def __init__(
        self,
        cluster: Cluster,
        api: Api,
        store: ObjectStore,
        home: Path,
        *,
        owner: str,
        secrets_of: SecretsOf,
        env_of: EnvOf,
        store_keys: Mapping[str, str] | None = None,
        max_log_bytes: int = 0,
        max_deck_bytes: int = 0,
        task_seconds: float = 0,
        log_of: LogOf = lambda attempt_id, handle: "",
    ) -> None:
        """`home`: a folder for logs on their way; `owner`: the mark of the installation, a label's value; `secrets_of`
        and `env_of` give what an attempt's pod gets of secrets and of addresses; `task_seconds`: the timeout of tasks
        that have none of their own, 0: none; `log_of`: see Strays.
        """
        self.settings, self.cluster = cluster, cluster.name
        self.home, self.owner, self.task_seconds = home, owner, task_seconds
        self.board = Board(lambda seen: self.emit(seen), submissions=cluster.submissions)
        self.objects = Objects(api)
        self.maker = Maker(self.objects, cluster, owner, secrets_of, env_of, store_keys or {})
        self.finisher = Finisher(
            self.board, cluster, store, max_deck_bytes=max_deck_bytes, freed=lambda where: self.submission.freed(where)
        )
        self.submission = Submission(self.board, self.maker, conclude=self.finisher.conclude, lost=self.finisher.lost)
        self.looks = Looks(self.board, self.objects)
        self.deadlines = Deadlines(self.board, self.finisher)
        self.queues = Queues(self.board, self.objects, cluster.graces)
        self.strays = Strays(self.objects, store, max_log_bytes=max_log_bytes, folder=home, log_of=log_of)
        self.packer = Packer()
        self.watches = Watches(self.board, api, owner, cluster.name, self._restored)
        self._pods = Followed(self.on_pod, self._listed)
        means = Means(
            self.board,
            self.objects,
            cluster,
            self.maker,
            self.watches,
            self.submission,
            self.looks,
            self.deadlines,
            Hopeless(self.board, self.objects, cluster.graces.hopeless),
            self.finisher,
            store,
            home,
            max_log_bytes,
        )
        self.single, self.jobs = SinglePods(means), Jobs(means)
        self.pools = Pools(means, env_of, self.single.take_over)
        self.forms: tuple[Form, ...] = (Echoes(means), self.jobs, self.pools, self.single)  # the first that takes one
        self.instance = f"kubernetes-{cluster.name}-{owner}"[:INSTANCE]
        self.lease: Lease | None = None
        if cluster.lease_namespace:
            holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
            name = f"causeway-{cluster.name}-{owner}"
            self.lease = Lease(api, cluster.lease_namespace, name, holder, lost=end_process)
        self._settled = self._started = False
        self._logs_sent_at = self._looked_at = time.monotonic()

    def capacity(self) -> Resources:
        """A cluster queues by itself: nothing is packed into it."""
        return Resources()

    def start(self, emit: Emit) -> None:
        self.emit = emit
        shutil.rmtree(self.home, ignore_errors=True)  # logs of an earlier process are read again from their pods
        if self.lease is not None and not self.lease.acquire():
            return  # stopped while it waited
        self._started = True
        self.watches.begin()
        self.watches.follow(self._pods)
        for form in self.forms:
            form.begin()

    def give_up(self) -> None:
        if self.lease is not None and not self._started:
            self.lease.give_up()

    def submit(self, assignment: Assignment) -> None:
        self._take(assignment, adopted=False)

    def adopt(self, assignment: Assignment) -> None:
        self._take(assignment, adopted=True)

    def _take(self, assignment: Assignment, *, adopted: bool) -> None:
        spec = assignment.spec
        form = next(one for one in self.forms if one.takes(assignment))
        if seconds := form.seconds(spec) or self.task_seconds:
            spec = replace(spec, timeout_seconds=seconds)
        namespace = self.settings.namespace_of(*spec.identity.place)
        held = Held(
            assignment.attempt_id,
            self.packer.pack(spec),
            sys.intern(namespace),
            names.pod_name(spec.identity, self.owner, form.name_letters),
            form=form,
            log_uri=assignment.log_uri,
            given=assignment.handle,
            timeout=spec.timeout_seconds or 0,
            whole=spec.data_config is not None,
            adopted=adopted,
        )
        with self.board.lock:
            present = self.board.held.get(held.id)
            if present is not None and present.stage != Stage.OVER:
                return
            self.board.held[held.id] = held
            self.watches.follow(self._pods, namespace)
            form.add(held, spec)

    def settle(self) -> None:
        self._settled = True
        for form in self.forms:
            form.settle()

    def cancel(self, attempt_id: int) -> None:
        with self.board.lock:
            held = self.board.held.get(attempt_id)
            if held is None or held.cancelled or held.stage not in ACTIVE:
                return
            held.cancelled = "cancelled"
            if held.stage == Stage.TO_MAKE and not held.adopted and self.board.turns.drop(attempt_id):
                held.stage = Stage.JUDGED
                self.board.do(partial(self.finisher.conclude, held, aborted(held.cancelled)))
            else:
                held.form.cancel(held)

    def tick(self) -> None:
        self.board.do_due()
        self.submission.go_on()
        self.queues.go_on()
        for form in self.forms:
            form.tick()
        with self.board.lock:
            due = [held for held in self.board.held.values() if not held.rests and self.deadlines.tend(held)]
            self.looks.some(due)
            for attempt_id, why in list(self.board.turns.waiting()):
                waiter = self.board.held.get(attempt_id)
                if waiter is not None and waiter.wait is None:
                    self.board.waits(waiter, Wait.of_reason(why))
            for stray in self.strays.due() if self._settled else ():
                if not self._is_needed(stray):
                    self.board.do(partial(self.strays.remove, stray))
        if time.monotonic() - self._looked_at > NEEDS_SECONDS:
            self._looked_at = time.monotonic()
            self.board.do(self.maker.look_again)
        if time.monotonic() - self._logs_sent_at > LOG_SECONDS:
            self._logs_sent_at = time.monotonic()
            self.board.do(self._narrow)
            for form in self.forms:
                form.send_grown()

    def stop(self) -> None:
        self.watches.stop()
        self.submission.stop()
        self.board.stop()
        self.finisher.stop()
        for form in self.forms:
            form.stop()
        self.looks.stop()
        if self.lease is not None:
            self.lease.stop()

    def _is_needed(self, stray: Stray) -> bool:
        """Of a pod that was told before its attempt was adopted: one that just runs is not told again."""
        held = self.board.held.get(stray.attempt_id or 0)
        return held is not None and held.namespace == stray.namespace and (bool(held.job) or held.name == stray.name)

    # --- what the cluster says ----------------------------------------------------------------------------------------

    def on_pod(self, pod: pods.Json, gone: bool) -> None:
        with self.board.lock:
            if any(form.on_pod(pod, gone=gone) for form in self.forms):
                self.strays.forget(pods.uid_of(pod))
            else:
                self.strays.saw(pod, gone=gone)

    def _listed(self, present: frozenset[str], began: float, namespace: str) -> None:
        with self.board.lock:
            for form in self.forms:
                form.listed(present, began, namespace)

    def _restored(self) -> None:
        """Its etcd was: versions begin again where they were then. Pods that were made since are not there any more."""
        logger.warning("cluster %s was set back to an earlier state: all of its pods are looked at anew", self.cluster)
        with self.board.lock:
            for held in self.board.held.values():
                held.version = 0
            for form in self.forms:
                form.restored()
        self.maker.forget_cluster()

    def _narrow(self) -> None:
        """A cluster that was away at the start could not be asked what may be followed."""
        with self.board.lock:
            namespaces = {held.namespace for held in self.board.held.values()}
        self.looks.unseen_are(self.watches.refused())
        self.watches.narrow(self._pods, namespaces)

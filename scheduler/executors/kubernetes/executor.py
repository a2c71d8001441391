"""The Kubernetes executor: attempts as pods, followed by one watch, whatever happens to the connection or to us.

What is known of an attempt is on the cluster: a process that takes over finds the pods by their names and marks, and
none goes before its end is written down. Calls of the port do not wait; other threads do the work (board.Board).
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from artifacts.exceptions import CausewayError
from artifacts.store import ObjectStore
from scheduler.attempts.echo import echo
from scheduler.attempts.outcomes import SYSTEM, aborted, failure
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Assignment, Emit, Executor
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import ORDINARY, ORDINARY_SECONDS, Board, from_now, waited
from scheduler.executors.kubernetes.client import FORBIDDEN, Api, ApiError
from scheduler.executors.kubernetes.cluster import Cluster
from scheduler.executors.kubernetes.ending import NO_SHELL, verdict
from scheduler.executors.kubernetes.finishing import AGAIN_SECONDS, PATIENCE_SECONDS, Finisher, Pods, Things
from scheduler.executors.kubernetes.follows import Follows
from scheduler.executors.kubernetes.held import ACTIVE, Held, Stage, is_missing, is_newer, is_overdue
from scheduler.executors.kubernetes.hopeless import Hopeless
from scheduler.executors.kubernetes.jobs.following import Jobs
from scheduler.executors.kubernetes.jobs.kind import NAME_LETTERS, Rank
from scheduler.executors.kubernetes.jobs.kubeflow import own_deadline
from scheduler.executors.kubernetes.jobs.logs import FOLLOWERS, ReplicaLogs
from scheduler.executors.kubernetes.jobs.registry import kind_of
from scheduler.executors.kubernetes.jobs.watching import JobWatching
from scheduler.executors.kubernetes.lease import Lease
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.looks import Looks
from scheduler.executors.kubernetes.making import EnvOf, Maker, SecretsOf
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Seen, Waits, given_up_at, observe
from scheduler.executors.kubernetes.packed import Packer
from scheduler.executors.kubernetes.queues import Queues
from scheduler.executors.kubernetes.refusals import BY_RIGHTS
from scheduler.executors.kubernetes.reuse.pools import Means, Pools
from scheduler.executors.kubernetes.rights import may_watch_all
from scheduler.executors.kubernetes.strays import LogOf, Strays
from scheduler.executors.kubernetes.submission import Submission
from scheduler.executors.kubernetes.threads import Threads
from scheduler.executors.kubernetes.wait import Wait
from scheduler.executors.kubernetes.watch import Watcher
from scheduler.executors.vital import end_process, vital

logger = logging.getLogger(__name__)

INSTANCE = 64  # letters; TaskExecution.claimed_by
LOOK_SECONDS = 10.0  # after which the events of a pod are read that waits without saying why
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
        self.store, self.home, self.owner = store, home, owner
        self.objects = Objects(api)
        self.max_log_bytes, self.task_seconds = max_log_bytes, task_seconds
        self.board = Board(lambda seen: self.emit(seen), submissions=cluster.submissions)
        self.pods = Pods(self.board, self.objects, self._log_keeper)
        self.jobs = Jobs(
            self.board,
            self.objects,
            cluster.graces,
            owner,
            lambda: self.finisher,
            self._replica_logs,
            lambda: self.hopeless,
        )
        self.finisher = Finisher(
            self.board, self._things_of, cluster, store, max_deck_bytes=max_deck_bytes, freed=self._freed
        )
        self.maker = maker = Maker(self.objects, cluster, owner, secrets_of, env_of, store_keys or {})
        self.submission = Submission(
            self.board, maker, on_made=self._on_made, conclude=self.finisher.conclude, lost=self._lost
        )
        self.strays = Strays(self.objects, store, max_log_bytes=max_log_bytes, folder=home, log_of=log_of)
        self.instance = f"kubernetes-{cluster.name}-{owner}"[:INSTANCE]
        self.lease: Lease | None = None
        if cluster.lease_namespace:
            holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
            name = f"causeway-{cluster.name}-{owner}"
            self.lease = Lease(api, cluster.lease_namespace, name, holder, lost=end_process)
        self.pools = Pools(
            Means(
                self.board,
                self.objects,
                cluster,
                maker,
                self.finisher,
                store,
                home,
                env_of,
                max_log_bytes,
                self._own_pod,
            )
        )
        self._watchers: dict[str, Watcher] = {}  # by namespace; of all under ""
        self._scoped = False  # whether rights are there for single namespaces only
        self.looks = Looks(self.board, self.objects, self._looked, self._not_read, self._lost, self.jobs.look)
        self.watching = JobWatching(
            self.board, maker, self.jobs, look=self.looks.one, tend=self._tend, on_restored=self._restored
        )
        self.hopeless = Hopeless(self.board, self.objects, cluster.graces.hopeless)
        self.queues = Queues(self.board, self.objects, cluster.graces)
        self.packer, self.follows = Packer(), Follows(self.board, self._log_keeper)
        self._replica_followers = Threads(FOLLOWERS, "replica-logs")
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
        self._scoped = not may_watch_all(self.objects.api)
        if not self._scoped:
            self._watch("")
        self.watching.scoped = self._scoped
        self.board.do(self.watching.begin)

    def give_up(self) -> None:
        if self.lease is not None and not self._started:
            self.lease.give_up()

    def submit(self, assignment: Assignment) -> None:
        self._take(assignment, adopted=False)

    def adopt(self, assignment: Assignment) -> None:
        self._take(assignment, adopted=True)

    def _take(self, assignment: Assignment, *, adopted: bool) -> None:
        spec = assignment.spec
        kind = kind_of(spec)
        if seconds := _shortest(spec.timeout_seconds, own_deadline(spec)) or self.task_seconds:
            spec = replace(spec, timeout_seconds=seconds)
        namespace = self.settings.namespace_of(*spec.identity.place)
        held = Held(
            assignment.attempt_id,
            self.packer.pack(spec),
            sys.intern(namespace),
            names.pod_name(spec.identity, self.owner, NAME_LETTERS if kind is not None else names.POD_NAME_LETTERS),
            log_uri=assignment.log_uri,
            given=assignment.handle,
            timeout=spec.timeout_seconds or 0,
            whole=spec.data_config is not None,
            job=kind.task_type if kind is not None else "",
            adopted=adopted,
        )
        with self.board.lock:
            present = self.board.held.get(held.id)
            if present is not None and present.stage != Stage.OVER:
                return
            self.board.held[held.id] = held
            if held.job:
                self.jobs.add(held)
        if self._scoped:
            self._watch(namespace)
        if spec.echo is not None:
            self.board.do(partial(self._echo, held))
        elif not held.job and self.pools.takes(assignment):
            with self.board.lock:
                self.pools.add(held)
        else:
            self.submission.add(held, spec.identity.execution)

    def _own_pod(self, held: Held) -> None:
        """Under the lock: of one that shares no pod after all."""
        held.stage, held.pool, held.given = Stage.TO_MAKE, "", ""
        held.name = names.pod_name(held.spec.identity, self.owner)
        held.log = held.wait = held.look_at = None
        self.submission.add(held)

    def settle(self) -> None:
        self._settled = True
        self.pools.settle()

    def cancel(self, attempt_id: int) -> None:
        with self.board.lock:
            held = self.board.held.get(attempt_id)
            if held is None or held.cancelled or held.stage not in ACTIVE:
                return
            held.cancelled = "cancelled"
            if held.stage == Stage.TO_MAKE and not held.adopted and self.board.turns.drop(attempt_id):
                held.stage = Stage.JUDGED
                self.board.do(partial(self.finisher.conclude, held, aborted(held.cancelled)))
            elif held.stage == Stage.POOLED:
                self.pools.cancel(held)
            else:
                self._tend(held)

    def stop(self) -> None:
        for watcher in self._watchers.values():
            watcher.stop()
        self.watching.stop()
        self._replica_followers.stop()
        self.submission.stop()
        self.pools.stop()
        self.board.stop()
        self.finisher.stop()
        for held in list(self.board.held.values()):
            if held.log is not None:
                held.log.stop()
        self.follows.stop()
        self.looks.stop()
        if self.lease is not None:
            self.lease.stop()

    def _watch(self, namespace: str) -> None:
        if namespace not in self._watchers:
            watcher = Watcher(
                self.objects.api,
                names.selector(self.owner),
                self.on_pod,
                self._listed,
                on_restored=self._restored,
                namespace=namespace,
            )
            self._watchers[namespace] = watcher
            vital(watcher.run, name=f"watch {namespace}".strip()).start()

    # --- what the cluster says ----------------------------------------------------------------------------------------

    def on_pod(self, pod: pods.Json, gone: bool) -> None:
        """From the watch and from those who read a pod."""
        with self.board.lock:
            if names.POOL in pods.part(pod, "metadata", "labels"):
                self.pools.on_pod(pod, gone)
                return
            held = self.board.held.get(names.attempt_id_of(pod) or 0)
            if held is not None and held.job and held.namespace == pods.namespace_of(pod):
                self.strays.forget(pods.uid_of(pod))
                self.jobs.on_pod(held, pod, gone=gone)
                self._tend(held)
                return
            if held is None or (held.namespace, held.name) != (pods.namespace_of(pod), pods.name_of(pod)):
                self.strays.saw(pod, gone=gone)
                return
            uid = pods.uid_of(pod)
            self.strays.forget(uid)
            if held.stage in (Stage.JUDGED, Stage.OVER) or (held.uid and held.uid != uid):
                return
            held.uid = uid
            if gone or is_newer(held, pod):
                self._consider(held, pod, self._observe(held, pod, gone=gone))

    def _on_made(self, held: Held, made: pods.Json) -> None:
        if held.job:
            self.watching.made(held, made)
        else:
            self.on_pod(made, False)

    def _observe(self, held: Held, pod: pods.Json, *, gone: bool = False, events: Sequence[pods.Json] = ()) -> Seen:
        now = datetime.now(timezone.utc)
        return observe(pod, graces=self.settings.graces, now=now, events=events, gone=gone, whole=held.whole)

    def _consider(self, held: Held, pod: pods.Json, seen: Seen) -> None:
        """Under the lock."""
        match seen:
            case Waits(wait):
                if not (wait.queued and held.wait is not None and held.wait.queued):  # else its Workload says more
                    self.hopeless.saw(held, wait)
                    self.board.waits(held, wait)
            case Runs(since):
                self._keep_log(held, pod, follow=True)
                self.board.runs(held, since)
                self._time(held, pod)
            case Ending(well, until):
                self._keep_log(held, pod, follow=False)
                self.board.runs(held, pods.started_at(pod, pods.primary_of(pod)))
                if until is not None:
                    held.look_at = from_now(until)
                if well and not held.ends:
                    held.ends = True
                    self.board.do(partial(self.finisher.early, held))
            case Over(found, _, _):
                if found.code == NO_SHELL:
                    self.maker.has_no_shell(held.spec.image or self.settings.image)
                self._keep_log(held, pod, follow=False)
                if self.board.to_judge(held):
                    self.board.do(partial(self.finisher.judge, held, seen))
        if (due := given_up_at(pod, self.settings.graces)) is not None:
            held.look_at = min(from_now(due), held.look_at or math.inf)
        self._tend(held)

    def _time(self, held: Held, pod: pods.Json) -> None:
        """Under the lock. A task's timeout counts from its container's start, which nobody knows before: so its node is
        told now, and ends it whatever becomes of us.
        """
        if not held.timed and (seconds := pods.deadline_to_set(pod, held.timeout)):
            held.timed = True
            self.board.do(partial(self._set_deadline, held, seconds))

    def _set_deadline(self, held: Held, seconds: int) -> None:
        if held.stage not in ACTIVE:  # that it was made may be known later than that it runs
            return
        try:
            self.objects.set_deadline(held.namespace, held.name, held.uid, seconds)
        except ApiError as error:
            logger.warning("%s: its node cannot be told its timeout for now: %s", held.handle, error)
            self.board.later(AGAIN_SECONDS, partial(self._set_deadline, held, seconds))

    def _lost(self, held: Held) -> None:
        """Its pod was there and is gone, or its job, and nobody saw how it ended: then the files decide."""
        with self.board.lock:
            if self.board.to_judge(held):
                over = Over(verdict({}, gone=True), None, None)
                self.board.do(partial(self.finisher.judge, held, over))

    def _restored(self) -> None:
        """Its etcd was: versions begin again where they were then. Pods that were made since are not there any more."""
        logger.warning("cluster %s was set back to an earlier state: all of its pods are looked at anew", self.cluster)
        with self.board.lock:
            for held in self.board.held.values():
                held.version = 0
            self.jobs.forget_versions()
        self.maker.forget_cluster()

    def _listed(self, present: frozenset[str], began: float, namespace: str) -> None:
        """Of pods that should be there and were not listed it is asked what became of them."""
        with self.board.lock:
            for held in self.board.held.values():
                if namespace not in ("", held.namespace):
                    continue
                if not held.job and is_missing(held, present, began):
                    self.looks.one(held)
            self.pools.missed(present, began, namespace)
            self.pools.listed(namespace)

    def _not_read(self, held: Held, error: ApiError) -> None:
        logger.warning("%s cannot be read for now: %s", held.handle, error)
        with self.board.lock:
            held.look_at = time.monotonic() + LOOK_SECONDS
        if error.status == FORBIDDEN:
            words = f"what becomes of its pod may not be seen: {error.message}; {BY_RIGHTS}"
            self.board.waits(held, Wait("RightMissing", words, self.settings.graces.creating, retryable=False))

    def _looked(self, held: Held, pod: pods.Json, events: Sequence[pods.Json]) -> None:
        with self.board.lock:
            if held.stage == Stage.MADE and is_newer(held, pod):
                self._consider(held, pod, self._observe(held, pod, events=events))

    def _keep_log(self, held: Held, pod: pods.Json, *, follow: bool) -> None:
        if held.main:
            if held.log is not None and not follow:
                held.log.container_ended()
            return
        held.main = sys.intern(pods.primary_of(pod))
        held.others = tuple(sys.intern(name) for name in pods.container_names(pod) if name != held.main)
        if held.log_uri and follow:
            self.follows.add(held)

    def _log_keeper(self, held: Held) -> LogKeeper:
        path, handle = self.home / f"{held.id}.log", (held.namespace, held.name)
        return LogKeeper(
            self.objects, handle, held.main, path, held.log_uri, self.store, self.max_log_bytes, held.masked
        )

    # --- what time brings ---------------------------------------------------------------------------------------------

    def _narrow(self) -> None:
        """Follow single namespaces where all may not be: a cluster that was away at the start could not be asked. And
        where a single one may not be followed, its pods are read one by one.
        """
        refused = {namespace for namespace, watcher in list(self._watchers.items()) if watcher.refused}
        self.looks.unseen = frozenset(refused)
        with self.board.lock:
            for held in self.board.held.values() if refused else ():
                if {"", held.namespace} & refused and held.stage == Stage.MADE and held.look_at is None:
                    held.look_at = time.monotonic() + LOOK_SECONDS
        watcher = self._watchers.get("")
        if watcher is None or not watcher.refused or may_watch_all(self.objects.api):
            return
        logger.warning("pods of all namespaces may not be followed (%s): each by itself, then", watcher.refused)
        watcher.stop()
        with self.board.lock:
            del self._watchers[""]
            self._scoped = self.watching.scoped = True
            for namespace in {held.namespace for held in self.board.held.values()}:
                self._watch(namespace)

    def tick(self) -> None:
        self.board.do_due()
        self.submission.go_on()
        self.follows.go_on()
        self.queues.go_on()
        self.pools.tick()
        with self.board.lock:
            due = [held for held in self.board.held.values() if not held.rests and self._tend(held)]
            self.looks.some(due)
            for attempt_id, why in list(self.board.turns.waiting()):
                waiter = self.board.held.get(attempt_id)
                if waiter is not None and waiter.wait is None:
                    self.board.waits(waiter, Wait.of_reason(why))
        if self._settled:
            with self.board.lock:
                for stray in self.strays.due():
                    self.board.do(partial(self.strays.remove, stray))
            self.watching.remove_strays()
        if time.monotonic() - self._looked_at > NEEDS_SECONDS:
            self._looked_at = time.monotonic()
            self.board.do(self.maker.look_again)
        if time.monotonic() - self._logs_sent_at > LOG_SECONDS:
            self._logs_sent_at = time.monotonic()
            self.board.do(self._narrow)
            self.follows.send_grown()
            self.jobs.send_grown()
            self.pools.send_grown()

    def _tend(self, held: Held) -> bool:
        """Under the lock: deadlines. Whether its pod is to be looked at again."""
        if held.stage != Stage.MADE:
            return False
        held.overdue = held.overdue or is_overdue(held)
        if held.cancelled or held.overdue:
            if not held.abort_sent:
                held.abort_sent = True
                self.board.do(partial(self.finisher.abort, held))
            return held.look_at is not None and time.monotonic() >= held.look_at  # its node may be lost meanwhile
        wait, now = held.wait, time.monotonic()
        if wait is not None:
            seconds = waited(held)
            if wait.fails_at_once or (wait.grace and seconds > wait.grace):
                if self.board.to_judge(held):
                    self.board.do(partial(self.finisher.give_up, held))
                return False
            if wait.code in ORDINARY and seconds > ORDINARY_SECONDS:
                self.board.tell_wait(held)
            if wait.looks_at_events and held.look_at is None:
                held.look_at = now + LOOK_SECONDS
        return held.look_at is not None and now >= held.look_at

    def _things_of(self, held: Held) -> Things:
        return self.jobs if held.job else self.pods

    def _replica_logs(self, held: Held, main: Rank) -> ReplicaLogs:
        def keeper(pod: str, container: str, path: Path, uri: str) -> LogKeeper:
            handle = (held.namespace, pod)
            return LogKeeper(self.objects, handle, container, path, uri, self.store, self.max_log_bytes)

        return ReplicaLogs(main, held.log_uri, self.home / f"{held.id}.log", keeper, self._replica_followers)

    def _freed(self, namespace: str) -> None:
        self.submission.freed(namespace)

    def _echo(self, held: Held) -> None:
        """What it takes in comes out: that needs no pod."""
        try:
            outcome = echo(held.spec, self.store)
        except CausewayError as error:
            outcome = failure("EchoFailed", error.message, SYSTEM, retryable=True)
        except Exception as error:  # noqa: BLE001 - whatever the store says: it is asked again
            if held.failing_for() < PATIENCE_SECONDS:
                logger.warning("%s waits for the store: %s", held.handle, error)
                self.board.later(1.0, partial(self._echo, held))
                return
            said = f"its inputs could not be handed on: {error}"
            outcome = failure("StoreUnavailable", said, SYSTEM, retryable=True)
        if self.board.to_judge(held):
            self.finisher.conclude(held, outcome)


def _shortest(*seconds: float | None) -> float:
    """0: there is none."""
    return min((one for one in seconds if one), default=0)

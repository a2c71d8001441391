"""What becomes of jobs on a cluster: of each its object and its pods as they are now, and what these say together."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from scheduler.attempts.observations import Replica, Replicas
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import from_now
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.form import Form, Means
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.jobs import replicas
from scheduler.executors.kubernetes.jobs.kind import NAME_LETTERS, Kind, Leaving, Rank, Scene, Seen
from scheduler.executors.kubernetes.jobs.kubeflow import own_deadline
from scheduler.executors.kubernetes.jobs.logs import FOLLOWERS, ReplicaLogs
from scheduler.executors.kubernetes.jobs.registry import KINDS, kind_of, resource_of
from scheduler.executors.kubernetes.jobs.shown import shown
from scheduler.executors.kubernetes.jobs.watching import JobWatching
from scheduler.executors.kubernetes.logs import LogKeeper
from scheduler.executors.kubernetes.observe import Ending, Over, Runs, Waits
from scheduler.executors.kubernetes.resource import Resource
from scheduler.executors.kubernetes.threads import Threads

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between looks at a job that waits: an operator that is away says nothing
SOON_SECONDS = 1.0  # between looks at one that is about to end
TELL_SECONDS = 1.0  # at least, between two tellings of what replicas do
LATE_SECONDS = 600.0  # after its end, in which a pod may be made of a job that was on its way
LOOKED_INTO = 3  # pods of a job whose events are read at a time


@dataclass
class _State:
    kind: Kind
    main: Rank
    expected: int
    logs: ReplicaLogs
    resource: Resource | None = None  # as which of its kinds it was made, once it was seen
    job: Seen | None = None  # newest
    pods: dict[Rank, Seen] = field(default_factory=dict)
    left: dict[Rank, Seen] = field(default_factory=dict)  # those that are gone before an end of theirs was seen
    events: dict[Rank, list[Seen]] = field(default_factory=dict)
    reasons: dict[Rank, replicas.Reason] = field(default_factory=dict)  # of those that wait
    gone: bool = False
    looking: bool = False  # at its pods, since it is known that it has failed
    looked: bool = False  # and what they say is known
    left_at: float = 0.0  # monotonic; when it was asked to go
    told: tuple[Replica, ...] = ()
    told_at: float = 0.0  # monotonic


class Jobs(Form):
    """Methods are called under the board's lock, unless they or the port's say otherwise."""

    name_letters = NAME_LETTERS

    def __init__(self, means: Means) -> None:
        self.means, self.board, self.objects = means, means.board, means.objects
        self.graces, self.owner = means.cluster.graces, means.maker.owner
        self.watching = JobWatching(means, self.on_job)
        self._followers = Threads(FOLLOWERS, "replica-logs")
        self._settled = False
        self._states: dict[int, _State] = {}  # by attempt
        self._ended: dict[int, float] = {}  # attempts that are over, and when (monotonic); the last one last

    def begin(self) -> None:
        self.board.do(self.watching.begin)

    def takes(self, assignment: Assignment) -> bool:
        return kind_of(assignment.spec) is not None

    def seconds(self, spec: AttemptSpec) -> float:
        """The shorter of the task's timeout and what its kind of job says."""
        return min((one for one in (spec.timeout_seconds, own_deadline(spec)) if one), default=0)

    def add(self, held: Held, spec: AttemptSpec) -> None:
        kind = KINDS[spec.task_type]
        held.job, main = kind.task_type, kind.main(spec)
        self._states[held.id] = _State(kind, main, kind.expected(spec), self._logs_of(held, main))
        self.means.submission.add(held, spec.identity.execution)

    def _logs_of(self, held: Held, main: Rank) -> ReplicaLogs:
        means = self.means

        def keeper(pod: str, container: str, path: Path, uri: str) -> LogKeeper:
            handle = (held.namespace, pod)
            return LogKeeper(means.objects, handle, container, path, uri, means.store, means.max_log_bytes)

        return ReplicaLogs(main, held.log_uri, means.home / f"{held.id}.log", keeper, self._followers)

    def made(self, held: Held, found: pods.Json) -> None:
        self.watching.made(held, found)

    def cancel(self, held: Held) -> None:
        self.means.deadlines.tend(held)

    def on_job(self, held: Held, job: pods.Json, gone: bool) -> None:
        state = self._states.get(held.id)
        if state is None or (held.uid and held.uid != pods.uid_of(job)):
            return
        held.uid = pods.uid_of(job)
        state.resource = state.resource or resource_of(job)
        if gone or state.job is None or _version(job) >= _version(state.job):
            state.job, state.gone = job, state.gone or gone
            self._consider(held, state)

    def on_pod(self, pod: pods.Json, *, gone: bool) -> bool:
        held = self.board.held.get(names.attempt_id_of(pod) or 0)
        if held is None and not gone:
            self._late(pod)
        if held is None or held.form is not self or held.namespace != pods.namespace_of(pod):
            return False
        self._on_pod(held, pod, gone=gone)
        self.means.deadlines.tend(held)
        return True

    def _late(self, pod: pods.Json) -> None:
        """One that an operator made of a job that ended meanwhile: a submission to Spark goes on without its object.
        Its program is not to run for as long as a stray may.
        """
        if names.attempt_id_of(pod) in self._ended and not pods.part(pod, "metadata").get("deletionTimestamp"):
            place, name, uid = pods.namespace_of(pod), pods.name_of(pod), pods.uid_of(pod)
            logger.warning("removing the pod %s/%s: what it is of has ended", place, name)
            self.board.do(partial(self.objects.delete_pod, place, name, uid, grace=0))

    def _on_pod(self, held: Held, pod: pods.Json, *, gone: bool) -> None:
        state = self._states.get(held.id)
        if state is None:
            return
        rank = state.kind.rank(pod)
        known = state.pods.get(rank) if rank is not None else None
        if rank is None or (known is not None and _is_older(pod, known) and not gone):
            return
        same = known is not None and pods.uid_of(known) == pods.uid_of(pod)
        if gone and not (same or known is None):
            return  # another one has its rank by now
        if gone and not replicas.is_over(pod):
            state.pods.pop(rank, None)
            state.left[rank] = pod
        else:
            state.pods[rank] = pod
            state.left.pop(rank, None)
            state.logs.saw(rank, pod)
        self._consider(held, state)

    def restored(self) -> None:
        for state in self._states.values():
            state.job = None
            state.pods.clear()

    def look(self, held: Held, events: Sequence[pods.Json] | None = None) -> None:
        """Read the job and its pods, and what events say where nothing else does."""
        with self.board.lock:
            state = self._states.get(held.id)
            resource = state.resource if state is not None else None
            for_the_end = state is not None and state.looking
        if state is None or resource is None:
            return
        try:
            job = self.objects.job(resource, held.namespace, held.name)
            found = self.objects.pods_of(held.namespace, held.id, self.owner)
            said = self._events(held, state, found)
        except ApiError as error:
            logger.warning("the job %s cannot be read for now: %s", held.handle, error)
            with self.board.lock:
                state.looking = state.looking and not for_the_end  # it is tried again
                held.look_at = time.monotonic() + LOOK_SECONDS
            return
        with self.board.lock:
            state.events = said
            present = {pods.uid_of(pod) for pod in found}
            for rank, pod in list(state.pods.items()):
                if pods.uid_of(pod) not in present and not replicas.is_over(pod):
                    state.left[rank] = state.pods.pop(rank)
            for pod in found:
                self._on_pod(held, pod, gone=False)
            if job is None or pods.uid_of(job) != held.uid:
                state.gone = True
            elif state.job is None or _version(job) >= _version(state.job):
                state.job = job
            state.looked = state.looked or for_the_end
            self._consider(held, state)

    def _events(self, held: Held, state: _State, found: list[pods.Json]) -> dict[Rank, list[pods.Json]]:
        if held.wait is None or not held.wait.looks_at_events:
            return {}
        waiting = [(rank, pod) for pod in found if (rank := state.kind.rank(pod)) and not replicas.has_started(pod)]
        return {
            rank: self.objects.events(held.namespace, pods.name_of(pod), pods.uid_of(pod))
            for rank, pod in waiting[:LOOKED_INTO]
        }

    def _consider(self, held: Held, state: _State) -> None:
        if held.stage in (Stage.JUDGED, Stage.OVER):
            return
        if state.job is None and not state.gone:  # its pods may be seen before it
            self._tell(held, state)
            return
        scene = self._scene(held, state)
        match seen := state.kind.observe(scene):
            case Waits(wait):
                self.means.hopeless.saw(held, wait, _waiting_pod(scene))
                if not (wait.queued and held.wait is not None and held.wait.queued):  # else its Workload says more
                    self.board.waits(held, wait)
                held.look_at = held.look_at or time.monotonic() + LOOK_SECONDS
            case Runs(since):
                self.board.runs(held, since)
                if replicas.unstarted(scene):  # it may wait for them, and nothing is told while they wait
                    held.look_at = held.look_at or time.monotonic() + LOOK_SECONDS
            case Ending(well, until):
                self.board.runs(held, replicas.started_at(scene))
                held.look_at = min(from_now(until) if until is not None else _far(), time.monotonic() + SOON_SECONDS)
                if well:
                    self.board.do(partial(self.means.finisher.early, held))
            case Leaving():
                held.look_at = time.monotonic() + SOON_SECONDS
            case Over(found, _, _) if found.failed and not state.looked:
                if not state.looking:  # its pods may be told later than it: what they say of the end is read first
                    state.looking = True
                    self.board.do(partial(self.look, held))
            case Over():
                if self.board.to_judge(held):
                    self.board.do(partial(self.means.finisher.judge, held, seen))
        self._tell(held, state)

    def _scene(self, held: Held, state: _State) -> Scene:
        asked_to_go = held.abort_sent and not self._left_long_ago(state)
        scene = Scene(
            None if state.gone else state.job,
            dict(state.pods),
            datetime.now(timezone.utc),
            self.graces,
            state.kind.operator,
            main=state.main,
            expected=state.expected,
            ran=held.runs,
            asked_to_go=asked_to_go,
            events=state.events,
        )
        state.reasons = replicas.reasons(scene, state.reasons)
        return replace(scene, since={rank: told.since for rank, told in state.reasons.items()})

    def _left_long_ago(self, state: _State) -> bool:
        """Then pods that are there still are on a node that says nothing any more."""
        return bool(state.left_at) and time.monotonic() - state.left_at > (self.graces.unreachable or _far())

    def _tell(self, held: Held, state: _State, *, at_once: bool = False) -> None:
        """What each replica does, where that is news."""
        told = shown(state.pods, state.logs.uri_of, state.left)
        now = time.monotonic()
        if told == state.told:
            return
        if not at_once and now - state.told_at < TELL_SECONDS:
            self.board.later(TELL_SECONDS, partial(self._tell_later, held))
            return
        state.told, state.told_at = told, now
        self.board.emit(Replicas(held.id, datetime.now(timezone.utc), told))

    def _tell_later(self, held: Held) -> None:
        with self.board.lock:
            if (state := self._states.get(held.id)) is not None and held.stage in (Stage.TO_MAKE, Stage.MADE):
                self._tell(held, state, at_once=True)

    # --- its end ------------------------------------------------------------------------------------------------------

    def delete(self, held: Held, *, grace: int) -> None:
        """The job, with whatever bears its marks: not all that an operator makes goes with its object."""
        with self.board.lock:
            state = self._states.get(held.id)
        if state is None:
            return
        state.left_at = state.left_at or time.monotonic()
        held.look_at = held.look_at or time.monotonic() + SOON_SECONDS
        if state.resource is not None:
            self.objects.delete_job(state.resource, held.namespace, held.name, held.uid)
        for pod in self.objects.pods_of(held.namespace, held.id, self.owner):
            self.objects.delete_pod(held.namespace, pods.name_of(pod), pods.uid_of(pod), grace=grace)

    def release(self, held: Held) -> None:
        """The pods that run still are stopped: where ended ones stay to be looked at, these would hold GPUs. The job
        has no finalizer of Causeway's, with which the pods of one that somebody deletes would run on.
        """
        for pod in self.objects.pods_of(held.namespace, held.id, self.owner):
            if not replicas.is_over(pod):
                self.objects.delete_pod(held.namespace, pods.name_of(pod), pods.uid_of(pod), grace=0)

    def forget(self, held: Held) -> None:
        with self.board.lock:
            now = time.monotonic()
            self._states.pop(held.id, None)
            self._ended.pop(held.id, None)
            self._ended[held.id] = now
            while self._ended and (first := next(iter(self._ended))) and now - self._ended[first] > LATE_SECONDS:
                del self._ended[first]

    def keep_log(self, held: Held) -> None:
        """Of every replica. Raises what the store raises."""
        if (state := self._states.get(held.id)) is not None:
            state.logs.finish()

    def tail(self, held: Held) -> str:
        """The end of the log of the replica that failed first, where that is what failed; else of the main one."""
        state = self._states.get(held.id)
        if state is None:
            return ""
        with self.board.lock:
            scene = self._scene(held, state)
            failed = () if state.kind.by_main else replicas.failed(scene)
            first = next(iter((*failed, *replicas.crashing(scene))), state.main)
        return state.logs.tail(first)

    def last_words(self, held: Held) -> None:
        """Tell how the replicas ended, before the end of the whole is told."""
        with self.board.lock:
            if (state := self._states.get(held.id)) is not None:
                self._tell(held, state, at_once=True)

    def send_grown(self) -> None:
        for state in list(self._states.values()):
            self.board.do(state.logs.send_grown)

    def settle(self) -> None:
        self._settled = True

    def tick(self) -> None:
        if self._settled:
            self.watching.remove_strays()

    def stop(self) -> None:
        for state in list(self._states.values()):
            state.logs.stop()
        self._followers.stop()


def _waiting_pod(scene: Scene) -> str:
    """The name of the one whose wait is told."""
    return next((pods.name_of(pod) for pod in replicas.unstarted(scene).values()), "")


def _version(found: pods.Json | None) -> int:
    told = pods.text(found, "metadata", "resourceVersion")
    return int(told) if told.isascii() and told.isdigit() else 0


def _is_older(pod: pods.Json, known: pods.Json) -> bool:
    """Whether it is an earlier state of the pod that is known, or an earlier pod of its rank."""
    if pods.uid_of(pod) == pods.uid_of(known):
        return _version(pod) < _version(known)
    return _created(pod) < _created(known)


def _created(pod: pods.Json) -> str:
    return pods.text(pod, "metadata", "creationTimestamp")


def _far() -> float:
    return time.monotonic() + 3600

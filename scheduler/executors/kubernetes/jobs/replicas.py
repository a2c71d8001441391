"""What pods of a job say together: who waits, who runs, and who was the first to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.executors.kubernetes import kueue, pods
from scheduler.executors.kubernetes.ending import Verdict, verdict
from scheduler.executors.kubernetes.jobs.kind import Leaving, Rank, Scene, Seen, Sight
from scheduler.executors.kubernetes.observe import Ending, Over, Waits
from scheduler.executors.kubernetes.wait import Wait
from scheduler.executors.kubernetes.waiting import waiting

SILENT_SECONDS = 20.0  # in which an operator that is there says something of a new job
UNTOLD_SECONDS = 30.0  # in which it says that a job has ended whose pods have
_CRASHES, _SHORT_SECONDS = 3, 60.0  # starts in vain, and how long such a one lasts at most
_ENDED = ("Succeeded", "Failed")
# What a pod waits for without anything being wrong
ORDINARY = frozenset({"Scheduling", "ContainerCreating", "PodInitializing"})
_OTHERS_GIVE = frozenset({"Unschedulable", "SchedulingGated"})  # what others hold, and will give back
_LATEST = datetime.max.replace(tzinfo=timezone.utc)


class Reason(NamedTuple):
    pod: str  # uid
    code: str
    since: datetime


def is_over(pod: Seen) -> bool:
    """Whether nothing of it runs any more, and nobody starts it again."""
    once = pods.text(pod, "spec", "restartPolicy") in ("Never", "")
    return pods.text(pod, "status", "phase") in _ENDED or (once and main_end(pod) is not None)


def main_end(pod: Seen) -> Seen | None:
    """The state of its main container, if that has ended and was not started again yet."""
    return pods.terminated(pods.status_of(pod, pods.primary_of(pod)))


def has_started(pod: Seen) -> bool:
    """Also one whose container has ended since, or is started again after that."""
    status = pods.status_of(pod, pods.primary_of(pod))
    state = pods.part(status, "state")
    return bool(state.get("running") or state.get("terminated") or status.get("restartCount"))


def started_at(scene: Scene) -> datetime | None:
    """When the last of them started."""
    found = [pods.started_at(pod, pods.primary_of(pod)) for pod in scene.pods.values()]
    return max((at for at in found if at is not None), default=None)


def ended_at(pod: Seen) -> datetime:
    return pods.finished_at(pod, pods.primary_of(pod)) or _LATEST


def failed(scene: Scene) -> dict[Rank, Seen]:
    """Those that have ended badly, the first one first: what the others did afterwards is its consequence."""
    found = {rank: pod for rank, pod in scene.pods.items() if is_over(pod) and verdict(pod).failed}
    ordered = sorted(found, key=lambda rank: (ended_at(found[rank]), rank.name))
    return {rank: found[rank] for rank in ordered}


def failure_of(scene: Scene, said: str) -> Over:
    """How the job failed: as the replica says that was the first; else in the operator's words."""
    for rank, pod in failed(scene).items():
        found = verdict(pod)
        if pods.part(pod, "metadata").get("deletionTimestamp") and found.code == "DeletedByOthers":
            continue  # its operator cleaned up
        return Over(replace(found, message=f"{rank.name}: {found.message}"), started_at(scene), None)
    words = said or f"{scene.operator} says that the job has failed, and not why"
    # Without a pod that says more it is the program's, as in Flyte; of a job that never had one it cannot be
    return Over(Verdict("JobFailed", words, USER if scene.pods else SYSTEM), started_at(scene), None)


def failure_of_main(scene: Scene, said: str) -> Over:
    """How a job failed that its main replica alone can tell of: the others are made up for while it runs."""
    main = scene.main and scene.pods.get(scene.main)
    if main and scene.main and is_over(main) and (found := verdict(main)).failed:
        return Over(replace(found, message=f"{scene.main.name}: {found.message}"), started_at(scene), None)
    if scene.ran and not main:
        return _main_is_gone(scene)
    return failure_of(replace(scene, pods={}), said)


def of_main(scene: Scene) -> Sight | None:
    """What the main replica tells of the end while the operator does not: it may be away. None: it has not ended."""
    main = scene.main and scene.pods.get(scene.main)
    if not main:
        return _main_is_gone(scene) if scene.ran else None
    if not is_over(main):
        return None
    return untold(scene, main, failure_of_main)


def _main_is_gone(scene: Scene) -> Over:
    words = f"{scene.main.name if scene.main else 'its pod'} was deleted by somebody other than Causeway"
    return Over(Verdict("DeletedByOthers", words, cut_off=True), started_at(scene), None)


def untold(scene: Scene, last: Seen, failure: Callable[[Scene, str], Over]) -> Sight:
    """Of a job whose end is that of this replica, which has ended: its operator says so soon, or is away."""
    found = verdict(last)
    until = ended_at(last) + timedelta(seconds=UNTOLD_SECONDS)
    if scene.now < until:
        return Ending(not found.failed, until)
    return failure(scene, "") if found.failed else Over(found, started_at(scene), None)


def stuck(scene: Scene) -> Over | None:
    """Of a program that runs and may wait for ever: a role none of whose replicas can start, for what does not end by
    itself, for longer than its grace. (Where some of a role run, the program goes on with these.) What they waited for
    before, a node or a turn in a queue, counts for nothing.
    """
    by_role: dict[str, dict[Rank, Seen]] = {}
    for rank, pod in scene.pods.items():
        by_role.setdefault(rank.role, {})[rank] = pod
    for pods_of_role in by_role.values():
        if any(map(has_started, pods_of_role.values())):
            continue
        told = {rank: waiting(pod, scene.events.get(rank, ()), scene.graces) for rank, pod in pods_of_role.items()}
        if any(wait.code in ORDINARY | _OTHERS_GIVE or not wait.grace for wait in told.values()):
            continue
        rank, wait = next(iter(told.items()))
        youngest = max(scene.since.get(rank, _created(pod)) for rank, pod in pods_of_role.items())
        if (scene.now - youngest).total_seconds() > wait.grace:
            found = Verdict(wait.code, _of(rank, wait.message), wait.kind, wait.retryable)
            return Over(found, started_at(scene), None)
    return None


def reasons(scene: Scene, before: Mapping[Rank, Reason]) -> dict[Rank, Reason]:
    """What those wait for that have not started, each with the moment at which that was first seen."""
    found = {}
    for rank, pod in unstarted(scene).items():
        code = waiting(pod, scene.events.get(rank, ()), scene.graces).code
        known = before.get(rank)
        same = known is not None and (known.pod, known.code) == (pods.uid_of(pod), code)
        found[rank] = known if known is not None and same else Reason(pods.uid_of(pod), code, scene.now)
    return found


def _created(pod: Seen) -> datetime:
    return pods.moment(pods.part(pod, "metadata").get("creationTimestamp")) or _LATEST


def crashing(scene: Scene, roles: Mapping[str, datetime | None] | None = None) -> list[Rank]:
    """Replicas of a role all of which end again and again as soon as they start, and are started again for ever.
    `roles`: those that count, each with the moment after which its last start was; None: all, whenever it was.
    """
    by_role: dict[str, list[Rank]] = {}
    for rank in scene.pods:
        by_role.setdefault(rank.role, []).append(rank)
    counted: Mapping[str, datetime | None] = dict.fromkeys(by_role) if roles is None else roles
    return [
        rank
        for role, since in counted.items()
        for rank in by_role.get(role, ())
        if all(_crashes(scene.pods[one], since) for one in by_role[role])
    ]


def _crashes(pod: Seen, since: datetime | None) -> bool:
    status = pods.status_of(pod, pods.primary_of(pod))
    count, last = status.get("restartCount"), pods.part(status, "lastState", "terminated")
    began, ended = pods.moment(last.get("startedAt")), pods.moment(last.get("finishedAt"))
    if pods.text(status, "state", "waiting", "reason") != "CrashLoopBackOff" or not isinstance(count, int):
        return False
    short = began is not None and ended is not None and (ended - began).total_seconds() < _SHORT_SECONDS
    return count >= _CRASHES and short and (since is None or (began is not None and began > since))


def crashed(scene: Scene, roles: Mapping[str, datetime | None]) -> Over | None:
    """Nobody waits for what no start helps."""
    for rank in crashing(scene, roles):
        status = pods.status_of(scene.pods[rank], pods.primary_of(scene.pods[rank]))
        code = pods.exit_code(pods.part(status, "lastState", "terminated"))
        words = f"{rank.name}: its program ends again and again as it starts, the last time with exit code {code}"
        return Over(Verdict("CrashLoopBackOff", words, USER), started_at(scene), None)
    return None


def cannot_start(scene: Scene) -> Over | None:
    """A replica whose program is not to be had: nobody waits for the rest, whatever the operator makes of it."""
    for rank, pod in failed(scene).items():
        found = verdict(pod)
        if found.code == "StartError":
            return Over(replace(found, message=f"{rank.name}: {found.message}"), started_at(scene), None)
    return None


def gone(scene: Scene) -> Over | Leaving:
    """The job is not there any more; those of its pods that Causeway asked to go are waited for."""
    if scene.asked_to_go and not all(map(is_over, scene.pods.values())):
        return Leaving()
    words = "the job was deleted by somebody other than Causeway, or forgotten by its cluster"
    return Over(Verdict("DeletedByOthers", words, cut_off=True), started_at(scene), None)


def leaving(scene: Scene) -> Over | Leaving | None:
    """What a job comes to that is being deleted; None: it is not. Of one whose finalizer nobody takes off, for its
    operator is away, the pods are not waited for for ever.
    """
    since = pods.moment(pods.part(scene.job or {}, "metadata").get("deletionTimestamp"))
    if since is None:
        return None
    grace = scene.graces.operator
    late = bool(grace) and (scene.now - since).total_seconds() > grace
    return gone(scene) if late or all(map(is_over, scene.pods.values())) else Leaving()


def evicted(scene: Scene) -> Over:
    words = "the job was suspended while it ran: Kueue took it out of its queue; the next try waits there again"
    return Over(Verdict("Evicted", words, cut_off=True), started_at(scene), None)


def held_by_kueue(scene: Scene) -> Waits:
    """Before its Workload was read."""
    return Waits(kueue.at_first(scene.job or {}))


def waits(scene: Scene) -> Waits | None:
    """What the replicas wait for that have not started: first what is wrong with one, by its name. None: all run."""
    told = [(rank, waiting(pod, scene.events.get(rank, ()), scene.graces)) for rank, pod in unstarted(scene).items()]
    wrong = [(rank, wait) for rank, wait in told if wait.code not in ORDINARY]
    for rank, wait in (*wrong, *told):
        return Waits(replace(wait, message=_of(rank, wait.message), queued=False))
    return None


def silent(scene: Scene, after: float = SILENT_SECONDS) -> Waits:
    """Nothing was said of it: for a while that is ordinary; then it is the operator, by its name."""
    if age(scene) <= after:
        return Waits(Wait("Scheduling", f"{scene.operator} has not looked at it yet"))
    words = (
        f"{scene.operator} has said nothing of the job in {after:g} s: it does not run, or does not look after the "
        "namespace"
    )
    return Waits(Wait("OperatorSilent", words, scene.graces.operator, kind=SYSTEM))


def too_few(scene: Scene) -> Waits:
    """Pods are missing still."""
    if age(scene) <= SILENT_SECONDS:
        return Waits(Wait("Scheduling", f"{len(scene.pods)} of {scene.expected} pods are there"))
    words = (
        f"{scene.operator} has made {len(scene.pods)} of {scene.expected} pods in {SILENT_SECONDS:g} s: see the job's "
        "events (a quota of the namespace, a service that is refused, pods of before that still end)"
    )
    return Waits(Wait("PodsMissing", words, scene.graces.operator, kind=SYSTEM))


def age(scene: Scene) -> float:
    """Seconds since the job was made."""
    created = pods.moment(pods.part(scene.job or {}, "metadata").get("creationTimestamp"))
    return (scene.now - created).total_seconds() if created is not None else 0.0


def unstarted(scene: Scene) -> Mapping[Rank, Seen]:
    """Those that have not begun to run, in the order of roles and numbers."""
    order = sorted(scene.pods, key=lambda rank: (rank.role, rank.index))
    return {rank: scene.pods[rank] for rank in order if not has_started(scene.pods[rank])}


def _of(rank: Rank, message: str) -> str:
    return f"{rank.name}: {message}" if message else f"{rank.name} is not there yet"

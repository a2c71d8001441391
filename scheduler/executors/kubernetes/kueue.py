"""What Kueue says of a pod that it holds back in a queue: why the pod waits, where it stands, and that it was evicted.

A plain pod of a queue is gated until Kueue lets it go, and says nothing but that. The reason stands on its Workload
object, in the condition QuotaReserved (kueue.x-k8s.io, v1beta1 and v1beta2; what is told here was seen of 0.17.0). An
evicted pod is deleted, and nobody makes it again: it says so in a condition of its own before it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.attempts.outcomes import SYSTEM, USER
from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.pods import Json, items, part, text
from scheduler.executors.kubernetes.wait import Wait

GROUP = "kueue.x-k8s.io"
QUEUE = f"{GROUP}/queue-name"  # the label by which Kueue takes a pod into a queue
_JOB_UID = f"{GROUP}/job-uid"  # the label of a Workload that has the uid of what it is for
_EVICTION = "TerminationTarget"  # the condition of a pod that Kueue ends
SILENT_SECONDS = 15.0  # a queue that has said nothing of a pod for so long is not looked after by anybody
QUEUED = "Queued"  # the code while nothing more is known
# Texts of the only reason `Pending`: what says that no end of another pod helps
_NEVER = ("> maximum capacity", "unavailable in ClusterQueue")
_LOCAL_QUEUE, _STOPPED = "LocalQueue ", "is inactive"


@dataclass(frozen=True)
class Line:
    """The Workloads of a namespace: of each pod its own, and its place in line."""

    of_pods: Mapping[str, Json]  # by the pod's uid
    places: Mapping[str, tuple[int, int]]  # by the Workload's uid: its number from 1, and how many wait in its queue


def line(workloads: Iterable[Json]) -> Line:
    """Kueue takes those of a higher priority first, and of the same one the older."""
    of_pods: dict[str, Json] = {}
    waiting: dict[str, list[Json]] = {}
    for one in workloads:
        for uid in _owners(one):
            of_pods[uid] = one
        if _condition(one, "QuotaReserved").get("status") != "True" and not _is_over(one):
            waiting.setdefault(text(one, "spec", "queueName"), []).append(one)
    places: dict[str, tuple[int, int]] = {}
    for queue in waiting.values():
        queue.sort(key=lambda one: (-_priority(one), text(one, "metadata", "creationTimestamp")))
        places |= {pods.uid_of(one): (number, len(queue)) for number, one in enumerate(queue, start=1)}
    return Line(of_pods, places)


def is_held(pod: Json) -> bool:
    """Whether Kueue keeps it from being scheduled."""
    return any(text(gate, "name").startswith(f"{GROUP}/") for gate in items(pod, "spec", "schedulingGates"))


def queue_of(pod: Json) -> str:
    """The LocalQueue that it names; empty: none."""
    return text(pod, "metadata", "labels", QUEUE)


def at_first(pod: Json) -> Wait:
    """Of a pod that is held, before its Workload was read."""
    queue = queue_of(pod)
    return Wait(QUEUED, f"in the queue {queue} of Kueue" if queue else "held by Kueue", 0, short=True, queued=True)


def wait(found: Line, uid: str, waited: float, graces: Graces) -> Wait | None:
    """Of the held pod of that uid, in Kueue's words. `waited`: seconds that it has been held without a word. None:
    nothing is known yet, or it was let go.
    """
    workload = found.of_pods.get(uid)
    if workload is None:
        words = f"Kueue has made no Workload for the pod in {SILENT_SECONDS:g} s: its controller is away or refuses it"
        return _queued("KueueSilent", words) if waited > SILENT_SECONDS else None
    queue = text(workload, "spec", "queueName")
    reserved, admitted = _condition(workload, "QuotaReserved"), _condition(workload, "Admitted")
    if admitted.get("status") == "True":
        return None
    if reserved.get("status") == "True":
        return _queued("KueueChecks", f"the queue {queue} has room for it; {_unchecked(workload)}")
    if part(workload, "spec").get("active") is False:
        return _queued("KueueDeactivated", f"its Workload was deactivated (spec.active: false){_evicted(workload)}")
    said = text(reserved, "message") or text(_condition(workload, "Evicted"), "message")
    if not said:
        words = f"Kueue has said nothing of its Workload in {SILENT_SECONDS:g} s: its controller is away"
        return _queued("KueueSilent", words) if waited > SILENT_SECONDS else None
    return _unreserved(text(reserved, "reason"), said, queue, found.places.get(pods.uid_of(workload)), graces)


def _unreserved(reason: str, said: str, queue: str, place: tuple[int, int] | None, graces: Graces) -> Wait:
    if any(sign in said for sign in _NEVER):
        words = f"the queue {queue} can never have room for it: {said}"
        return Wait("QueueTooSmall", words, graces.impossible, short=True, kind=USER, retryable=False, queued=True)
    if reason == "Inadmissible" and said.startswith(_LOCAL_QUEUE) and said.endswith("doesn't exist"):
        words = f"Kueue says: {said}"
        return Wait("QueueMissing", words, graces.impossible, short=True, kind=SYSTEM, retryable=False, queued=True)
    if reason == "Inadmissible":
        code = "QueueStopped" if _STOPPED in said else "QueueClosed"
        return _queued(code, f"the queue {queue} takes nothing: {said}", graces.queue)
    number = f" (number {place[0]} of {place[1]} in it)" if place is not None else ""
    return _queued("QueueFull", f"in the queue {queue} of Kueue{number}: {said}", graces.queue)


def _queued(code: str, words: str, grace: float = 0.0) -> Wait:
    return Wait(code, words, grace, short=True, queued=True)


def evicted(pod: Json) -> tuple[str, str] | None:
    """Why Kueue ended the pod, as a code and in its words; None: it did not."""
    ended = pods.condition(pod, _EVICTION)
    if ended.get("status") != "True":
        return None
    reason, said = text(ended, "reason"), text(ended, "message")
    code = "Preempted" if "reempt" in f"{reason} {said}" else "Evicted"
    return code, f"Kueue took the pod out of its queue ({reason}): {said}" if said else f"Kueue says {reason}"


def _unchecked(workload: Json) -> str:
    checks = [one for one in items(workload, "status", "admissionChecks") if one.get("state") != "Ready"]
    told = [f"{text(one, 'name')} is {text(one, 'state')} {text(one, 'message')}".strip() for one in checks]
    return f"admission checks are not done: {'; '.join(told)}" if told else "it is about to be admitted"


def _evicted(workload: Json) -> str:
    said = text(_condition(workload, "Evicted"), "message")
    return f": {said}" if said else ""


def _condition(workload: Json, kind: str) -> Json:
    return pods.condition(workload, kind)


def _is_over(workload: Json) -> bool:
    inactive = part(workload, "spec").get("active") is False
    return inactive or _condition(workload, "Finished").get("status") == "True"


def _priority(workload: Json) -> int:
    told = part(workload, "spec").get("priority")
    return told if isinstance(told, int) else 0


def _owners(workload: Json) -> set[str]:
    """uids of the pods that it is for."""
    told = {text(one, "uid") for one in items(workload, "metadata", "ownerReferences")}
    return {uid for uid in (*told, text(workload, "metadata", "labels", _JOB_UID)) if uid}

"""Why a pod does not run yet, in one state for each reason, and how long that may last.

The kubelet's own reasons toggle (ErrImagePull, ImagePullBackOff) and some are only in the pod's events; none of them
ever ends by itself. Each has a grace here (cluster.Graces), after which the attempt ends with what is said of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scheduler.attempts.outcomes import USER
from scheduler.executors.kubernetes import kueue, pods
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.pods import Json, items, part, text
from scheduler.executors.kubernetes.wait import NOW, Wait

IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"}
)
CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"})
NORMAL = frozenset({"ContainerCreating", "PodInitializing", ""})
# Warnings of the kubelet and of controllers while a pod stays in ContainerCreating without a word
TELLING = frozenset(
    {
        "FailedMount",
        "FailedAttachVolume",
        "FailedMapVolume",
        "FailedCreatePodSandBox",
        "FailedPodSandBoxStatus",
        "NetworkNotReady",
        "InspectFailed",
        "FailedBinding",
        "ProvisioningFailed",
    }
)
_IMAGE = "name an image that is there, or have an administrator let the cluster pull it (image_pull_secrets)"
_ROOM = "ask for what a node has, or have an administrator of the cluster add nodes"
_QUEUE = "an administrator sets the project's queue (queues) or makes one of that name"
_OBJECT = "name one that is there, or have an administrator of the cluster make it"
# Who can mend what a wait ended with; of the rest the cluster's words tell
MENDED_BY = {
    "ImagePull": _IMAGE,
    "ImageNeverPull": _IMAGE,
    "NoNodeLargeEnough": _ROOM,
    "NoNodeFits": _ROOM,
    "QueueTooSmall": "ask for what the queue has, or have an administrator of the cluster give it more",
    "QueueMissing": _QUEUE,
    "VolumeClaimNotFound": _OBJECT,
    "CreateContainerConfigError": _OBJECT,
}
_BACK_OFF = re.compile(r'^Back-off pulling image ".*?": (?:ErrImagePull: )?', re.DOTALL)
_CUT = re.compile(r"\.? (?:no new claims to deallocate|preemption:).*$", re.DOTALL)


def waiting(pod: Json, events: Sequence[Json], graces: Graces) -> Wait:
    """Of a pod whose main container has not started. `events`: those of the pod, in any order; perhaps none."""
    gates = items(pod, "spec", "schedulingGates")
    scheduled = pods.condition(pod, "PodScheduled")
    if kueue.is_held(pod):
        return replace(kueue.at_first(pod), since=pods.moment(scheduled.get("lastTransitionTime")))
    if scheduled.get("status") != "True" and not text(pod, "spec", "nodeName"):
        return _unscheduled(scheduled, bool(gates), graces)
    for status in pods.statuses(pod):
        state = part(status, "state", "waiting")
        reason = text(state, "reason")
        if reason and reason not in NORMAL and (found := _container(status, state, reason, graces)) is not None:
            return found
    return _creating(pod, events, graces)


def _unscheduled(scheduled: Json, gated: bool, graces: Graces) -> Wait:
    reason, message = text(scheduled, "reason"), text(scheduled, "message")
    if reason == "SchedulingGated" or (gated and not reason):
        return Wait("SchedulingGated", message, graces.unschedulable, short=True)
    if reason != "Unschedulable":
        return Wait("Scheduling", message, graces.unschedulable, short=True)
    told = _CUT.sub("", message).strip()
    if "persistentvolumeclaim" in message and "not found" in message:
        return Wait("VolumeClaimNotFound", told, graces.config, kind=USER, retryable=False)
    # Of some of the nodes it may be said while others are only taken: those say that there is nobody to preempt.
    hopeless = "Preemption is not helpful" in message and "No preemption victims" not in message
    if hopeless and "Insufficient" in message:
        # The scheduler says so only where the request exceeds what any node has: no end of another pod helps.
        words = f"no node of today's can ever run it: {told}"
        return Wait("NoNodeLargeEnough", words, graces.impossible, short=True, kind=USER, retryable=False)
    if hopeless:
        words = f"no node fits its selectors, affinities and tolerations: {told}"
        return Wait("NoNodeFits", words, graces.impossible, short=True, kind=USER, retryable=False)
    since = pods.moment(scheduled.get("lastTransitionTime"))
    return Wait("Unschedulable", told, graces.unschedulable, short=True, since=since)


def _container(status: Json, state: Json, reason: str, graces: Graces) -> Wait | None:
    name, image = text(status, "name"), text(status, "image")
    message = text(state, "message").strip()
    if reason in IMAGE:
        cause = _BACK_OFF.sub("", message) or message
        words = f"the image {image!r} of container {name} cannot be pulled"
        return Wait("ImagePull", f"{words}: {cause}" if cause else words, graces.image, kind=USER)
    if reason == "ErrImageNeverPull":
        return Wait("ImageNeverPull", f"{message} ({image})", graces.image, kind=USER)
    if reason == "InvalidImageName":
        words = f"{image!r} cannot be an image's name: {message}"
        return Wait("InvalidImageName", words, NOW, kind=USER, retryable=False)
    if reason in CONFIG:
        return Wait(reason, f"container {name} cannot be made: {message}", graces.config, kind=USER)
    if reason == "CrashLoopBackOff":
        words = f"container {name} ends again and again before it is ready: {message}"
        return Wait("CrashLoopBackOff", words, graces.initializing, kind=USER)
    return Wait(reason, f"container {name}: {message}", graces.config)


def _creating(pod: Json, events: Sequence[Json], graces: Graces) -> Wait:
    if telling := list(_telling(events)):
        reason, message = telling[-1]
        return Wait(reason, message, graces.creating, looks_at_events=True)
    running = [text(one, "name") for one in items(pod, "status", "initContainerStatuses") if not _is_done(one)]
    if any(text(part(one, "state", "waiting"), "reason") == "PodInitializing" for one in pods.statuses(pod)):
        words = f"waiting for {running[0]}" if running else ""
        return Wait("PodInitializing", words, graces.initializing, kind=USER, looks_at_events=True)
    pulling = next((text(one, "message") for one in reversed(_sorted(events)) if one.get("reason") == "Pulling"), "")
    return Wait("ContainerCreating", pulling, 0, looks_at_events=True)


def _telling(events: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Warnings that say why nothing moves; none that came before the last good news."""
    found: list[tuple[str, str]] = []
    for event in _sorted(events):
        reason = text(event, "reason")
        if reason in TELLING and event.get("type") != "Normal":
            found.append((reason, text(event, "message")))
        elif reason in ("Pulling", "Pulled", "Created", "Started", "SuccessfulAttachVolume"):
            found.clear()
    yield from found


def _sorted(events: Sequence[Json]) -> list[Json]:
    return sorted(events, key=lambda event: _time(event))


def _time(event: Json) -> str:
    """Of the newest of a series; events have their time in one of several fields, and null in the others."""
    return (
        text(event, "series", "lastObservedTime")
        or text(event, "lastTimestamp")
        or text(event, "eventTime")
        or text(event, "metadata", "creationTimestamp")
    )


def _is_done(status: Json) -> bool:
    done = pods.terminated(status)
    return (done is not None and pods.exit_code(done) == 0) or status.get("started") is True

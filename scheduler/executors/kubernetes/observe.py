"""A pod object, and perhaps its events, as one observation. Pure: it may be asked again and again, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.cluster import Graces
from scheduler.executors.kubernetes.ending import Verdict, verdict
from scheduler.executors.kubernetes.pods import Json, part, text
from scheduler.executors.kubernetes.wait import Wait
from scheduler.executors.kubernetes.waiting import waiting

# A container is terminated about a second before its pod's phase turns; where other containers run on it never does.
SETTLE = timedelta(seconds=10)


@dataclass(frozen=True)
class Waits:
    wait: Wait


@dataclass(frozen=True)
class Runs:
    since: datetime | None


@dataclass(frozen=True)
class Ending:
    """The main container has ended, and the pod as a whole not yet: outputs may be there already."""

    well: bool
    until: datetime | None  # when what is known is judged, if the pod says no more till then


@dataclass(frozen=True)
class Over:
    verdict: Verdict
    started_at: datetime | None
    at: datetime | None


Seen: TypeAlias = Waits | Runs | Ending | Over


def observe(
    pod: Json, *, graces: Graces, now: datetime, events: Sequence[Json] = (), gone: bool = False, whole: bool = False
) -> Seen:
    """`gone`: it was deleted, this is its last state. `whole`: the pod has to end as a whole, because others of its
    containers still do something for the task (outputs of raw containers).
    """
    primary = pods.primary_of(pod)
    main = pods.terminated(pods.status_of(pod, primary))
    phase = text(pod, "status", "phase")
    at, started = pods.finished_at(pod, primary), pods.started_at(pod, primary)
    if gone or phase in ("Succeeded", "Failed") or _never_placed(pod) or _is_unreachable(pod, graces, now):
        return Over(verdict(pod, gone=gone), started, at)
    if main is not None:
        until = None if whole else (at or now) + SETTLE
        if until is not None and now >= until:
            return Over(verdict(pod), started, at)
        return Ending(pods.exit_code(main) == 0, until)
    if part(pods.status_of(pod, primary), "state", "running"):
        return Runs(started)
    wait = waiting(pod, events, graces)
    ends = bool(part(pod, "metadata").get("deletionTimestamp"))  # then its events are not what is waited for
    return Waits(replace(wait, looks_at_events=False) if ends else wait)


def _never_placed(pod: Json) -> bool:
    """Deleted before a node took it: nobody will end it, and a finalizer keeps it."""
    return bool(part(pod, "metadata").get("deletionTimestamp")) and not text(pod, "spec", "nodeName")


def given_up_at(pod: Json, graces: Graces) -> datetime | None:
    """When a pod that was to end counts as lost, if nothing is heard of it till then: its node says nothing any more,
    and a finalizer keeps it. The cluster tells nothing at that moment: somebody has to look.
    """
    due = pods.moment(part(pod, "metadata").get("deletionTimestamp"))  # the grace of its end is in it
    return due + timedelta(seconds=graces.unreachable) if due is not None and graces.unreachable else None


def _is_unreachable(pod: Json, graces: Graces, now: datetime) -> bool:
    due = given_up_at(pod, graces)
    return due is not None and now > due

"""Reading a pod object as the API sends it: JSON in which anything may be missing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from scheduler.executors.kubernetes import names

Json = Mapping[str, Any]
PATIENT_SECONDS = 30  # Kubernetes' own grace: a pod that may take longer to end is ended by us, not by its node
NODE_LATER_SECONDS = 60  # and by its node so much later, if we do not
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def moment(text: object) -> datetime | None:
    """RFC 3339 as Kubernetes writes it, also with nine digits of a second; None for anything else."""
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    zone = "+00:00" if found[3] == "Z" else found[3]
    try:
        at = datetime.fromisoformat(f"{found[1]}.{(found[2] or '0')[:6]:0<6}{zone}")
        return at.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def part(value: object, *path: str) -> Json:
    """The mapping at a path; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(value: object, *path: str) -> list[Json]:
    """The mappings in the list at a path."""
    found = part(value, *path[:-1]).get(path[-1]) if path else value
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, Sequence) else []


def text(value: object, *path: str) -> str:
    found = part(value, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def name_of(pod: Json) -> str:
    return text(pod, "metadata", "name")


def namespace_of(pod: Json) -> str:
    return text(pod, "metadata", "namespace")


def uid_of(pod: Json) -> str:
    return text(pod, "metadata", "uid")


def primary_of(pod: Json) -> str:
    """The name of the container that runs the task: as the pod's annotation says, else the first."""
    told = text(pod, "metadata", "annotations", names.PRIMARY)
    return told or next((text(one, "name") for one in items(pod, "spec", "containers")), "")


def condition(pod: Json, kind: str) -> Json:
    return next((one for one in items(pod, "status", "conditions") if one.get("type") == kind), {})


def container_names(pod: Json) -> list[str]:
    """Of all containers, in the order in which they start."""
    found = [*items(pod, "spec", "initContainers"), *items(pod, "spec", "containers")]
    return [name for one in found if (name := text(one, "name"))]


def statuses(pod: Json) -> Iterator[Json]:
    yield from items(pod, "status", "initContainerStatuses")
    yield from items(pod, "status", "containerStatuses")


def status_of(pod: Json, container: str) -> Json:
    return next((one for one in statuses(pod) if one.get("name") == container), {})


def terminated(status: Json) -> Json | None:
    """Its state if it has ended; not what an earlier start of it came to."""
    state = part(status, "state")
    return part(state, "terminated") if isinstance(state.get("terminated"), Mapping) else None


def exit_code(state: Json) -> int:
    code = state.get("exitCode")
    return code if isinstance(code, int) else -1


def sidecars(pod: Json) -> set[str]:
    """Names of native sidecars: init containers that run along."""
    init = items(pod, "spec", "initContainers")
    return {text(one, "name") for one in init if one.get("restartPolicy") == "Always"}


def started_at(pod: Json, container: str) -> datetime | None:
    """When the container began to run; a start that failed says 1970, a lost container nothing."""
    state = part(status_of(pod, container), "state")
    told = moment(part(state, "running").get("startedAt")) or moment(part(state, "terminated").get("startedAt"))
    created = moment(part(pod, "metadata").get("creationTimestamp"))
    return told if told is not None and (created is None or told >= created) else None


def deadline_to_set(pod: Json, timeout: float | None) -> int:
    """`activeDeadlineSeconds` with which the main container ends `timeout` seconds after its start; 0: there is nothing
    to be done. The node counts them from when it took the pod, and a pod may only be given fewer than it has.

    A node gives a program the pod's own grace to end: to that of a raw container, as process 1 of a shell deaf to
    SIGTERM, an hour, and no later word of ours shortens it. So there our deletion, with its own grace, comes first.
    """
    started, taken = started_at(pod, primary_of(pod)), moment(part(pod, "status").get("startTime"))
    if not timeout or started is None:
        return 0
    waited = (started - taken).total_seconds() if taken is not None else 0.0
    grace = part(pod, "spec").get("terminationGracePeriodSeconds")
    later = NODE_LATER_SECONDS if isinstance(grace, int) and grace > PATIENT_SECONDS else 0
    seconds = max(1, math.ceil(max(0.0, waited) + timeout)) + later
    present = part(pod, "spec").get("activeDeadlineSeconds")
    return 0 if isinstance(present, int) and present <= seconds else seconds


def finished_at(pod: Json, container: str) -> datetime | None:
    told = moment(part(status_of(pod, container), "state", "terminated").get("finishedAt"))
    created = moment(part(pod, "metadata").get("creationTimestamp"))
    return told if told is not None and (created is None or told >= created) else None

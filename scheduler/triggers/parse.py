"""What a launch plan's `launch_conditions` asks for, checked as far as it can be without the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flyteidl.core import artifact_id_pb2, interface_pb2
from google.protobuf import any_pb2

from artifacts import wire
from artifacts.exceptions import InvalidArgument
from artifacts.names import check_name, check_partition_keys, check_partition_value, check_place
from artifacts.partitions import label_time, parse_time
from artifacts.wire import PASSED
from scheduler.models import TriggerMode
from scheduler.triggers.kinds import KINDS, PUBLISHED, Kind
from scheduler.triggers.limits import NO_LIMITS, Limits, read_limits

MAX_SOURCES = 20
TIME = "time_partition"  # in `join_on`


@dataclass(frozen=True)
class Source:
    """An artifact that is watched, and the partition values that fire."""

    project: str
    domain: str
    name: str
    partitions: Mapping[str, str] = field(default_factory=dict)
    time_partition: datetime | None = None


@dataclass(frozen=True)
class TriggerSpec:
    """The artifacts a trigger watches, how it joins them, and how it fills inputs of the launch plan.

    `members` says for an input whose binding means one of several artifacts, which (its position in `sources`).
    """

    sources: tuple[Source, ...]
    inputs: Mapping[str, interface_pb2.Parameter]
    mode: TriggerMode = TriggerMode.ANY
    join_on: tuple[str, ...] = ()
    window_seconds: float | None = None
    limits: Limits = NO_LIMITS
    members: Mapping[str, int] = field(default_factory=dict)
    needs_checks: bool = False  # only versions whose checks passed
    kind: Kind = PUBLISHED  # what it reacts to
    of: str = ""  # ... of which alias, check or the like


def trigger_from(conditions: any_pb2.Any, *, project: str, domain: str) -> TriggerSpec:
    """InvalidArgument says what is wrong. A missing project or domain is the launch plan's."""
    artifact, inputs, more = wire.decode_trigger(conditions)
    keys = {kind.key for kind in KINDS.values() if kind.key}
    _known(more, {"also", "mode", "on", "window", "limits", "members", "checks", *keys}, "the trigger")
    also = _list(more, "also")
    sources = (_first(artifact, project, domain), *(_other(one, project, domain) for one in also))
    for source in sources:
        check_place(source.project, source.domain)
    if len(sources) > MAX_SOURCES:
        raise InvalidArgument(f"a trigger watches at most {MAX_SOURCES} artifacts, not {len(sources)}")
    mode = _mode(more.get("mode", "any"))
    if mode == TriggerMode.ALL and len(sources) < 2:
        raise InvalidArgument("a trigger on all of several artifacts needs at least two")
    kind = _kind(more)
    return TriggerSpec(
        sources=sources,
        inputs=inputs,
        mode=mode,
        join_on=_join_on(more, mode),
        window_seconds=_window(more, mode),
        limits=read_limits(more.get("limits", {})),
        members=_members(more, inputs, len(sources)),
        needs_checks=_needs_checks(more),
        kind=kind,
        of=kind.read(more.get(kind.key), len(sources)),
    )


def _kind(more: Mapping[str, Any]) -> Kind:
    """Of which kind the conditions are: at most one of the kinds' keys stands there."""
    found = [kind for kind in KINDS.values() if kind.key and more.get(kind.key) is not None]
    if len(found) > 1:
        raise InvalidArgument(f"a trigger has one of {', '.join(repr(kind.key) for kind in found)}")
    return found[0] if found else PUBLISHED


def _needs_checks(more: Mapping[str, Any]) -> bool:
    found = more.get("checks")
    if found not in (None, PASSED):
        raise InvalidArgument(f"'checks' of the trigger is {PASSED!r}, not {found!r}")
    return found is not None


def _first(artifact: artifact_id_pb2.ArtifactID, project: str, domain: str) -> Source:
    key = artifact.artifact_key
    if not key.name:
        raise InvalidArgument("the trigger names no artifact")
    if artifact.version:
        raise InvalidArgument(f"a trigger watches an artifact, not one version of it ({key.name}@{artifact.version})")
    check_partition_keys(artifact.partitions.value)
    return Source(
        key.project or project, key.domain or domain, check_name(key.name), _watched(artifact), _watched_time(artifact)
    )


def _watched(artifact: artifact_id_pb2.ArtifactID) -> dict[str, str]:
    watched = {}
    for key, label in artifact.partitions.value.items():
        kind = label.WhichOneof("value")
        if kind not in (None, "static_value", "runtime_binding"):
            raise InvalidArgument(f"the trigger's partition '{key}' must be a constant: it decides which versions fire")
        if kind == "static_value" and label.static_value:  # "" is how flytekit writes an open key
            watched[key] = check_partition_value(key, label.static_value)
    return watched


def _watched_time(artifact: artifact_id_pb2.ArtifactID) -> datetime | None:
    label = artifact.time_partition.value
    kind = label.WhichOneof("value")
    if kind in (None, "runtime_binding"):
        return None
    if kind != "time_value":
        raise InvalidArgument(
            "the trigger's time partition must be a constant or left open: it decides which versions fire"
        )
    return label_time(label)


def _other(one: object, project: str, domain: str) -> Source:
    if not isinstance(one, dict):
        raise InvalidArgument("'also' of the trigger must list objects with a name")
    _known(one, {"project", "domain", "name", "partitions", "time_partition"}, "an artifact in 'also'")
    partitions = one.get("partitions") or {}
    texts = [one.get(key) or "" for key in ("project", "domain", "name", "time_partition")]
    if not isinstance(partitions, dict) or not all(isinstance(text, str) for text in (*texts, *partitions.values())):
        raise InvalidArgument("an artifact in 'also' has texts, and a mapping of partitions")
    check_partition_keys(partitions)
    return Source(
        texts[0] or project,
        texts[1] or domain,
        check_name(texts[2]),
        {key: check_partition_value(key, value) for key, value in partitions.items()},
        parse_time(texts[3]) if texts[3] else None,
    )


def _known(found: Mapping[str, Any], known: set[str], what: str) -> None:
    if unknown := sorted(set(found) - known):
        raise InvalidArgument(f"{what} has {', '.join(unknown)}; known are: {', '.join(sorted(known))}")


def _list(more: Mapping[str, Any], key: str) -> list[object]:
    found = more.get(key) or []
    if not isinstance(found, list):
        raise InvalidArgument(f"'{key}' of the trigger must be a list")
    return found


def _mode(text: object) -> TriggerMode:
    if text not in TriggerMode.values:
        raise InvalidArgument(f"the trigger's mode is {' or '.join(TriggerMode.values)}, not {text!r}")
    return TriggerMode(text)


def _join_on(more: Mapping[str, Any], mode: TriggerMode) -> tuple[str, ...]:
    found = _list(more, "on")
    if found and mode != TriggerMode.ALL:
        raise InvalidArgument("only a trigger on all of several artifacts joins them on partitions")
    keys = [key for key in found if isinstance(key, str) and key]
    if len(keys) != len(found):
        raise InvalidArgument("'on' of the trigger lists partition keys, or time_partition")
    check_partition_keys([key for key in keys if key != TIME])
    return tuple(sorted(set(keys)))


def _window(more: Mapping[str, Any], mode: TriggerMode) -> float | None:
    found = more.get("window")
    if found is None:
        return None
    if mode != TriggerMode.ALL:
        raise InvalidArgument("only a trigger on all of several artifacts has a window")
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 366 * 86400:
        raise InvalidArgument(f"the trigger's window is seconds, more than 0 and at most 366 days, not {found!r}")
    return float(found)


def _members(more: Mapping[str, Any], inputs: Mapping[str, object], count: int) -> dict[str, int]:
    found = more.get("members") or {}
    if not isinstance(found, dict):
        raise InvalidArgument("'members' of the trigger maps inputs to positions of artifacts")
    for name, position in found.items():
        if name not in inputs or not isinstance(position, int) or not 0 <= position < count:
            raise InvalidArgument(f"'members' of the trigger: {name!r} is no input, or {position!r} no position")
    return found

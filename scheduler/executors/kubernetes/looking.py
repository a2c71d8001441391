"""A pod as somebody looks at it now: its state, its events, a piece of its log. For pages, which cannot wait long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

import urllib3

from scheduler.executors.kubernetes import pods
from scheduler.executors.kubernetes.asking import QUICK
from scheduler.executors.kubernetes.client import Api, ApiError, Unreachable
from scheduler.executors.kubernetes.objects import is_no_log

EVENTS_READ, EVENTS = 500, 20
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class Event:
    """`kind`: Normal or Warning; `count`: how often it came."""

    at: datetime | None
    kind: str
    reason: str
    message: str
    count: int = 1
    source: str = ""


@dataclass(frozen=True)
class Look:
    """`there`: the cluster has the pod; its events may be there without it. `node`: empty until one took it."""

    there: bool
    phase: str = ""
    node: str = ""
    uid: str = ""
    events: tuple[Event, ...] = ()  # newest first
    events_problem: str = ""  # why there are none to be seen


def look(api: Api, namespace: str, name: str) -> Look:
    """Raises what Api raises, except that events which may not be read are left out."""
    pod = _pod(api, namespace, name)
    uid = pods.uid_of(pod or {})
    try:
        events, problem = _events(api, namespace, name, uid), ""
    except Unreachable:
        raise
    except ApiError as error:
        events, problem = (), error.message
    return Look(
        there=pod is not None,
        phase=pods.text(pod, "status", "phase"),
        node=pods.text(pod, "spec", "nodeName"),
        uid=uid,
        events=events,
        events_problem=problem,
    )


def log_part(api: Api, namespace: str, name: str, container: str, *, offset: int, limit: int) -> bytes:
    """At most `limit` bytes of the container's log from `offset`; nothing where there is none. The API knows no
    offsets: what comes before is read and thrown away, so this is for the beginning of a log.
    """
    body = _log(api, namespace, name, {"container": container, "limitBytes": offset + limit})
    return body[offset:]


def log_tail(api: Api, namespace: str, name: str, container: str, *, lines: int) -> bytes:
    """The last lines of the container's log; nothing where there is none."""
    return _log(api, namespace, name, {"container": container, "tailLines": lines})


def _log(api: Api, namespace: str, name: str, query: Mapping[str, object]) -> bytes:
    try:
        with api.open("GET", f"{_path(namespace, 'pods', name)}/log", query=query, timeout=QUICK) as response:
            body = bytes(response.read())
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"the log broke off: {error}") from None
    except ApiError as error:
        if error.status in (400, 404):  # before there is one
            return b""
        raise
    return b"" if is_no_log(body) else body


def _pod(api: Api, namespace: str, name: str) -> pods.Json | None:
    try:
        return api.call("GET", _path(namespace, "pods", name), timeout=QUICK)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _events(api: Api, namespace: str, name: str, uid: str) -> tuple[Event, ...]:
    selector = f"involvedObject.kind=Pod,involvedObject.name={name}" + (f",involvedObject.uid={uid}" if uid else "")
    query = {"fieldSelector": selector, "limit": EVENTS_READ}
    found = pods.items(api.call("GET", _path(namespace, "events"), query=query, timeout=QUICK), "items")
    read = [_event(one) for one in found]
    newest_first = sorted(read, key=lambda one: one.at.timestamp() if one.at else 0.0, reverse=True)
    return tuple(_together(newest_first))[:EVENTS]


def _together(events: Iterable[Event]) -> Iterator[Event]:
    """Those that differ in their numbers only as one: the scheduler tells each time that the count of nodes changes."""
    kinds: dict[tuple[str, str], Event] = {}
    for one in events:
        key = one.reason, _NUMBERS.sub("#", one.message)
        same = kinds.get(key)
        kinds[key] = one if same is None else replace(same, count=same.count + one.count)
    yield from kinds.values()


def _event(one: pods.Json) -> Event:
    series = pods.part(one, "series")
    told = (series.get("lastObservedTime"), one.get("lastTimestamp"), one.get("eventTime"), one.get("firstTimestamp"))
    created = pods.moment(pods.part(one, "metadata").get("creationTimestamp"))
    count = series.get("count") or one.get("count")
    return Event(
        at=next((at for each in told if (at := pods.moment(each)) is not None), created),
        kind=pods.text(one, "type"),
        reason=pods.text(one, "reason"),
        message=pods.text(one, "message"),
        count=count if isinstance(count, int) and count > 0 else 1,
        source=pods.text(one, "source", "component") or pods.text(one, "reportingComponent"),
    )


def _path(namespace: str, kind: str, name: str = "") -> str:
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}"
    return f"{path}/{quote(name, safe='')}" if name else path

"""What the pods say: how tasks go, how they ended, and their logs. Functions of `Pools`, under its lock."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from scheduler.executors.kubernetes.held import Held
from scheduler.executors.kubernetes.reuse.logs import TaskLog
from scheduler.executors.kubernetes.reuse.members import Member, end_of, moment
from scheduler.executors.kubernetes.reuse.sizing import mean_with

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.reuse.pools import Pools

Json = dict[str, Any]
LOG_SECONDS = 10.0  # for which the rest of an ended task's log is waited for


def heard(of: Pools, member: Member, told: Json) -> None:
    """A line of a pod, from the thread that reads them."""
    with of.board.lock:
        if member.pool.members.get(member.name) is not member:
            return
        held = member.tasks.get(int(told.get("id") or 0))
        kind = told.get("is")
        if kind == "state":
            _state(of, member, told)
        elif held is None:
            if kind == "ended" and told["id"] in member.strangers:
                member.strangers[told["id"]] = told
        elif kind == "started":
            of.board.runs(held, moment(told.get("at")))
        elif kind == "log":
            _log(of, held, member, told)
        elif kind == "ended":
            ended(of, held, member, told)
        elif kind == "refused":
            del member.tasks[held.id]
            of.own_pod(held)
            of.go_on(member.pool)


def _state(of: Pools, member: Member, told: Json) -> None:
    """After each connection: what was said into a line that broke is said again."""
    runs = {int(number): float(began) for number, began in told.get("runs") or ()}
    ends: dict[int, Json] = {int(one["id"]): one for one in told.get("ended") or ()}
    known: Mapping[int, Json | float] = {**runs, **ends}
    for number in known.keys() - member.tasks.keys():
        if number in of.unsure or number not in of.board.held:  # else it is about to be forgotten
            member.strangers[number] = known[number]
    for number, held in list(member.tasks.items()):
        if number in ends:
            ended(of, held, member, ends[number])
        elif number in runs:
            goes_on(of, held, member, runs[number])
        elif member.link is not None:  # it never heard of it
            member.link.say(partial(of.order, held))
    if not member.ready:
        member.pool.birth = mean_with(member.pool.birth, time.monotonic() - member.made_at)
    member.ready, member.pool.failures = True, 0
    for number in list(member.strangers):
        if number in of.unsure:
            of.claim(of.unsure[number], member)
    of.go_on(member.pool)


def goes_on(of: Pools, held: Held, member: Member, began: float) -> None:
    """It runs in that pod, as we hear after a while without a line."""
    of.board.runs(held, moment(began))
    if member.link is not None:
        member.link.say({"do": "log", "id": held.id, "from": _size(held)})
    if held.cancelled:
        of.say_stop(held, member)


def _log(of: Pools, held: Held, member: Member, told: Json) -> None:
    log = held.log
    if not isinstance(log, TaskLog) or member.link is None:
        return
    if not log.write(int(told["at"]), base64.b64decode(told["data"])):
        member.link.say({"do": "log", "id": held.id, "from": log.size})
    if (end := member.ends.get(held.id)) is not None and log.size >= int(end.get("log") or 0):
        over(of, held, member, end)


def ended(of: Pools, held: Held, member: Member, told: Json) -> None:
    """It has ended; its log may have to be said again first."""
    if _size(held) < int(told.get("log") or 0) and member.link is not None:
        if held.id not in member.ends:
            held.look_at = time.monotonic() + LOG_SECONDS
            member.ends[held.id] = told
        member.link.say({"do": "log", "id": held.id, "from": _size(held)})
        return
    over(of, held, member, told)


def over(of: Pools, held: Held, member: Member, told: Json) -> None:
    """It is judged, with as much of its log as there is."""
    member.ends.pop(held.id, None)
    member.tasks.pop(held.id, None)
    member.idle_since = time.monotonic()
    pool = member.pool
    if (began := told.get("began")) and (at := told.get("at")):
        pool.mean = mean_with(pool.mean, max(0.0, float(at) - float(began)))
        of.board.runs(held, moment(began))
    held.overdue = held.overdue or told.get("why") == "timeout"
    of.judge(held, end_of(pool.shape, told))
    of.go_on(pool)


def _size(held: Held) -> int:
    """Bytes of its log that are here."""
    return held.log.size if isinstance(held.log, TaskLog) else 0

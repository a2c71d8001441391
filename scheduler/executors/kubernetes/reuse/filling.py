"""Pods of a pool are made as they are needed, and go; why attempts wait for them is told."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING

from artifacts.exceptions import InvalidArgument
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import ORDINARY, waited
from scheduler.executors.kubernetes.client import ApiError
from scheduler.executors.kubernetes.objects import Objects
from scheduler.executors.kubernetes.refusals import Kind, refusal
from scheduler.executors.kubernetes.reuse.members import Member, Pool
from scheduler.executors.kubernetes.reuse.shape import Shape, pod_name
from scheduler.executors.kubernetes.reuse.sizing import wanted
from scheduler.executors.kubernetes.wait import Wait

if TYPE_CHECKING:
    from scheduler.executors.kubernetes.reuse.pools import Pools

logger = logging.getLogger(__name__)

FAILURES = 2  # pods that end before they are ready, one after the other: then it is not tried for a while
BROKEN_SECONDS = 600.0
REFUSED_SECONDS = 15.0  # between tries to have more pods than there are
SLOW_SECONDS = 90.0  # a pool that has no pod by then, for no reason that is known, is not waited for
BUSY_SECONDS = 5.0  # between times at which those next in the line are told that all pods are busy
TOLD = 20  # of those that wait
BUSY = "PoolBusy"


def missing(pool: Pool, now: float) -> int:
    """How many pods are to be made now."""
    if pool.shape is None or now < pool.no_more_until or now < pool.broken_until:
        return 0
    found = wanted(len(pool.waiting), pool.running, pool.policy, pool.mean, pool.birth)
    return max(0, found - pool.taking)


def make(of: Pools, pool: Pool, found: Shape) -> None:
    """One pod more; in a thread of its own."""
    name = pod_name(pool.key, secrets.token_hex(4))
    try:
        pod = _made(of, pool, found.body(name))
    except Exception as error:  # noqa: BLE001 - whatever it is, those that wait must not
        with of.board.lock:
            pool.making -= 1
            pool.no_more_until = time.monotonic() + REFUSED_SECONDS
            if not pool.members and not pool.making:
                logger.info("no pods stay in %s: %s", pool.namespace, error)
                of.give_up(pool, REFUSED_SECONDS)
        return
    with of.board.lock:
        pool.making -= 1
        if name not in pool.members:  # else the watch was faster
            pool.members[name] = Member(name, pool, uid=pods.uid_of(pod))


def _made(of: Pools, pool: Pool, body: bytes) -> pods.Json:
    try:
        return of.means.objects.create_pod(pool.namespace, body)
    except ApiError as error:
        held = next(iter(pool.waiting), None)
        if refusal(error).kind != Kind.NO_NAMESPACE or held is None:
            raise
        of.means.maker.prepare_namespace(pool.namespace, *held.spec.identity.place)
        return of.means.objects.create_pod(pool.namespace, body)


def delete(objects: Objects, member: Member) -> None:
    """What cannot be removed now ends by itself after a while, and is removed when it has."""
    try:
        objects.delete_pod(member.pool.namespace, member.name, member.uid, grace=0)
    except (ApiError, InvalidArgument) as error:
        logger.warning("the pod %s/%s cannot be removed for now: %s", member.pool.namespace, member.name, error)


def tell_waits(of: Pools, pool: Pool, now: float) -> None:
    """Under the lock, from time to time."""
    if not pool.waiting:
        return
    if pool.has_ready:
        if now - pool.told_at > BUSY_SECONDS:
            pool.told_at = now
            _tell_busy(of, pool)
        return
    wait = next((member.wait for member in pool.members.values() if member.wait is not None), None)
    oldest = min((member.made_at for member in pool.members.values()), default=now)
    if now - oldest > SLOW_SECONDS and (wait is None or wait.code in ORDINARY) and not pool.making:
        logger.warning("pods of %s/%s%s take too long to be ready", pool.namespace, names.POOL_POD, pool.key)
        of.give_up(pool, BROKEN_SECONDS)
        return
    if wait is None:
        return
    for number, held in enumerate(list(pool.waiting)):
        of.board.waits(held, wait)
        if number < TOLD and wait.code in ORDINARY and waited(held) > 2.0:
            of.board.tell_wait(held)
    of.fail_waiting(pool)


def _tell_busy(of: Pools, pool: Pool) -> None:
    words = f"all pods that its kind of task shares are busy; there may be {pool.policy.replicas}"
    for held in list(pool.waiting)[:TOLD]:
        if held.wait is None or held.wait.code != BUSY:
            of.board.waits(held, Wait(BUSY, words, short=True))

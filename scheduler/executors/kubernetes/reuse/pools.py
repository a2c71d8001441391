"""The pods that stay of one cluster, and the attempts that wait for them or run in them.

sorting   which pool an attempt belongs to, or none      hearing   what the pods say
filling   pods are made as they are needed, and go       here      attempts are handed to pods, stopped, and lost
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any

from scheduler.attempts.outcomes import aborted
from scheduler.attempts.spec import AttemptSpec
from scheduler.executors.base import Assignment
from scheduler.executors.kubernetes import names, pods
from scheduler.executors.kubernetes.board import waited
from scheduler.executors.kubernetes.form import Form, Means
from scheduler.executors.kubernetes.held import Held, Stage
from scheduler.executors.kubernetes.making import EnvOf
from scheduler.executors.kubernetes.observe import Over, Runs, Waits, observe
from scheduler.executors.kubernetes.reuse import filling, hearing, shape
from scheduler.executors.kubernetes.reuse.link import Link
from scheduler.executors.kubernetes.reuse.logs import TaskLog
from scheduler.executors.kubernetes.reuse.members import Member, Pool, end_of, lost
from scheduler.executors.kubernetes.reuse.policy import Reuse
from scheduler.executors.kubernetes.reuse.sorting import Sorter

logger = logging.getLogger(__name__)

Json = dict[str, Any]
STOP_SECONDS = 30.0  # after its grace, a task that is to stop and does not takes its pod along


class Pools(Form):
    def __init__(self, means: Means, env_of: EnvOf, own_pod: Callable[[Held], None]) -> None:
        """`own_pod`: the attempt gets a pod of its own after all; called under the lock."""
        self.means, self.board, self.env_of, self.own_pod = means, means.board, env_of, own_pod
        self.pools: dict[str, Pool] = {}
        self.sorter = Sorter(means.maker, means.cluster)
        self.unsure: dict[int, Held] = {}  # adopted: a pod may have them
        self._listed: set[str] = set()  # namespaces whose pods are known; "": of all
        self._settled = False

    def takes(self, assignment: Assignment) -> bool:
        if assignment.handle:
            return names.is_shared(assignment.handle)
        return self.sorter.fits(assignment.spec)

    def add(self, held: Held, spec: AttemptSpec) -> None:
        held.stage = Stage.POOLED
        if held.adopted:
            self.unsure[held.id] = held
            self._claim_if_known(held)
        else:
            self.board.do(partial(self._sort, held))

    def settle(self) -> None:
        self._settled = True

    def stop(self) -> None:
        with self.board.lock:
            for member in self._members():
                if member.link is not None:
                    member.link.stop()

    def _members(self) -> list[Member]:
        return [member for pool in self.pools.values() for member in pool.members.values()]

    # --- where attempts go --------------------------------------------------------------------------------------------

    def _sort(self, held: Held) -> None:
        """In a thread of its own: it may have to ask the cluster."""
        found = self.sorter.sort(held)
        with self.board.lock:
            if held.stage != Stage.POOLED:
                return
            if held.cancelled:
                self._never_began(held)
            elif found is None:
                self.own_pod(held)
            else:
                self._enter(held, *found)

    def _enter(self, held: Held, found: shape.Shape, policy: Reuse) -> None:
        pool = self.pools.setdefault(found.key, Pool(found.key, found.namespace))
        pool.shape, pool.policy = found, policy
        if pool.broken_until > time.monotonic():
            self.own_pod(held)
            return
        held.pool = pool.key
        pool.waiting.append(held)
        self.go_on(pool)

    def go_on(self, pool: Pool) -> None:
        """Under the lock: hand over what can be, and see to more pods where they are needed."""
        for member in pool.free():
            while pool.waiting and member.free > 0 and member.link is not None:
                self._hand(pool.waiting.popleft(), member, member.link)
        if pool.shape is not None:
            for _ in range(filling.missing(pool, time.monotonic())):
                pool.making += 1
                self.board.do(partial(filling.make, self, pool, pool.shape))

    def give_up(self, pool: Pool, seconds: float) -> None:
        """Under the lock: for so long its attempts get pods of their own, which say better what is wrong."""
        pool.broken_until = time.monotonic() + seconds
        while pool.waiting:
            self.own_pod(pool.waiting.popleft())

    def _hand(self, held: Held, member: Member, link: Link) -> None:
        if held.stage == Stage.POOLED:
            self._belongs(held, member)
            link.say(partial(self.order, held))

    def _belongs(self, held: Held, member: Member) -> None:
        held.name, held.pool = member.name, member.pool.key
        held.log = TaskLog(self.means.home / f"{held.id}.log", held.log_uri, self.means.store)
        member.tasks[held.id] = held

    def order(self, held: Held) -> Json:
        """What its pod is told, made just before: thousands may wait."""
        told = held.assignment
        variables = shape.variables(told.spec, self.means.cluster, self.env_of(told))
        run = {"do": "run", "id": held.id, "argv": list(told.spec.argv), "env": variables}
        program = shape.program(told.spec, variables)
        return {**run, "program": program, "timeout": held.timeout, "log": self.means.max_log_bytes}

    def cancel(self, held: Held) -> None:
        member = self._member_of(held)
        if member is not None and member.link is not None:
            held.look_at = time.monotonic() + self.means.cluster.abort_grace_seconds + STOP_SECONDS
            self.say_stop(held, member)
        elif held.pool and held in self.pools[held.pool].waiting:
            self.pools[held.pool].waiting.remove(held)
            self._never_began(held)

    def say_stop(self, held: Held, member: Member) -> None:
        if member.link is not None:
            member.link.say({"do": "stop", "id": held.id, "grace": self.means.cluster.abort_grace_seconds})

    def _never_began(self, held: Held) -> None:
        held.stage = Stage.JUDGED
        self.board.do(partial(self.means.finisher.conclude, held, aborted(held.cancelled)))

    def _member_of(self, held: Held) -> Member | None:
        pool = self.pools.get(held.pool)
        member = pool.members.get(held.name) if pool is not None else None
        return member if member is not None and held.id in member.tasks else None

    # --- what the cluster says ----------------------------------------------------------------------------------------

    def on_pod(self, pod: pods.Json, *, gone: bool) -> bool:
        key = pods.part(pod, "metadata", "labels").get(names.POOL)
        if key is None:
            return False
        self._on_pod(str(key), pod, gone=gone)
        return True

    def _on_pod(self, key: str, pod: pods.Json, *, gone: bool) -> None:
        pool = self.pools.get(key)
        if pool is None:
            if gone:
                return
            pool = self.pools[key] = Pool(key, pods.namespace_of(pod))
        member = pool.members.get(pods.name_of(pod))
        if member is None:
            if gone:
                return
            member = pool.members[pods.name_of(pod)] = Member(pods.name_of(pod), pool)
        member.uid = pods.uid_of(pod)
        seen = observe(pod, graces=self.means.cluster.graces, now=datetime.now(timezone.utc), gone=gone)
        member.retiring = member.retiring or bool(pods.part(pod, "metadata").get("deletionTimestamp"))
        if isinstance(seen, Waits):
            member.wait = seen.wait
        elif isinstance(seen, Runs):
            member.wait = None
            self._connect(member, pods.primary_of(pod))
        else:
            self.lose(member, pod)
        self.go_on(pool)

    def listed(self, present: frozenset[str], began: float, namespace: str) -> None:
        """Pods that were not listed are gone, and those that are there are known from now on."""
        for member in self._members():
            known = namespace in ("", member.pool.namespace) and member.uid and member.made_at < began
            if known and member.uid not in present:
                self.lose(member, None)
        self._listed.add(namespace)

    def _connect(self, member: Member, container: str) -> None:
        if member.link is not None:
            return
        api, namespace = self.means.objects.api, member.pool.namespace
        link = Link(
            api,
            namespace,
            member.name,
            container,
            heard=lambda told: hearing.heard(self, member, told),
            connected=lambda: link.say({"do": "state"}),
            refused=lambda why: self._refused(member, why),
        )
        member.link = link
        link.start()

    def _refused(self, member: Member, why: str) -> None:
        logger.warning("pods of %s cannot stay, each task gets its own: %s", member.pool.namespace, why)
        with self.board.lock:
            if not member.ready:
                self.give_up(member.pool, filling.BROKEN_SECONDS)
                self.lose(member, None)

    def lose(self, member: Member, pod: pods.Json | None, *, delete: bool = True) -> None:
        """Under the lock: it is gone, or as good as gone. What ran in it is judged by its files, else tried again."""
        if member.pool.members.pop(member.name, None) is None:
            return
        if member.link is not None:
            member.link.stop()
        if not member.ready and not member.retiring:
            member.pool.failures += 1
            if member.pool.failures >= filling.FAILURES:
                self.give_up(member.pool, filling.BROKEN_SECONDS)
        if delete:
            self.board.do(partial(filling.delete, self.means.objects, member))
        found = lost(pod, len(member.tasks))
        if member.tasks or not member.ready:
            logger.warning("the pod %s/%s is lost: %s", member.pool.namespace, member.name, found.message)
        for held in member.tasks.values():
            told = member.ends.get(held.id)
            over = end_of(member.pool.shape, told) if told else Over(found, held.started_at, None)
            self.judge(held, over)

    def judge(self, held: Held, over: Over) -> None:
        if self.board.to_judge(held):
            held.look_at = None
            self.board.do(partial(self.means.finisher.judge, held, over))

    def forget(self, held: Held) -> None:
        """Its end is written down and its log kept: its pod need not remember it."""
        with self.board.lock:
            pool = self.pools.get(held.pool)
            member = pool.members.get(held.name) if pool is not None else None
            if member is not None and member.link is not None:
                member.link.say({"do": "forget", "id": held.id})

    # --- those of an earlier process ----------------------------------------------------------------------------------

    def _claim_if_known(self, held: Held) -> bool:
        for member in self._members():
            if held.id in member.strangers:
                self.claim(held, member)
                return True
        return False

    def claim(self, held: Held, member: Member) -> None:
        self.unsure.pop(held.id, None)
        known = member.strangers.pop(held.id)
        self._belongs(held, member)
        if isinstance(known, dict):
            hearing.ended(self, held, member, known)
        else:
            hearing.goes_on(self, held, member, known)

    def _resolve(self) -> None:
        """Once all pods there were have told what they have: the rest never began, or was in one that is gone."""
        for held in list(self.unsure.values()):
            if not ({"", held.namespace} & self._listed) or self._claim_if_known(held):
                continue
            if any(not member.ready for member in self._members() if member.pool.namespace == held.namespace):
                continue
            del self.unsure[held.id]
            if held.given:
                held.name = held.given.partition("/")[2]
                self.judge(held, Over(lost(None, 1), None, None))
            else:
                self.board.do(partial(self._sort, held))

    # --- what time brings ---------------------------------------------------------------------------------------------

    def tick(self) -> None:
        with self.board.lock:
            now = time.monotonic()
            self._resolve()
            for pool in list(self.pools.values()):
                for member in list(pool.members.values()):
                    self._tend(member, now)
                filling.tell_waits(self, pool, now)
                self.go_on(pool)
                if not pool.members and not pool.waiting and not pool.making and pool.broken_until < now:
                    del self.pools[pool.key]

    def _tend(self, member: Member, now: float) -> None:
        if self._settled and member.ready and not self.unsure:
            self._let_strangers_go(member)
        for held in list(member.tasks.values()):
            if held.look_at is None or now < held.look_at:
                continue
            if (end := member.ends.get(held.id)) is not None:
                hearing.over(self, held, member, end)
            elif held.cancelled:
                logger.warning("%s does not stop: its pod is ended", held.handle)
                self.lose(member, None)
        unreachable = self.means.cluster.graces.unreachable
        if member.link is not None and unreachable and now - member.link.heard_at > unreachable:
            logger.warning("the pod %s/%s does not answer any more", member.pool.namespace, member.name)
            self.lose(member, None)
            return
        member.retiring = member.retiring or member.is_old(now)
        if member.is_done(now):
            member.retiring = True
            self.lose(member, None)

    def _let_strangers_go(self, member: Member) -> None:
        """Nobody claims them."""
        for number, known in list(member.strangers.items()):
            if member.link is not None:
                member.link.say({"do": "stop", "id": number, "grace": 0})
                member.link.say({"do": "forget", "id": number})
            if isinstance(known, dict):
                del member.strangers[number]

    def send_grown(self) -> None:
        with self.board.lock:
            for member in self._members():
                for held in member.tasks.values():
                    if isinstance(held.log, TaskLog):
                        self.board.do(held.log.send_grown)

    def fail_waiting(self, pool: Pool) -> None:
        """Under the lock: whoever has waited for longer than the grace of the reason ends."""
        for held in [one for one in pool.waiting if one.wait is not None]:
            wait = held.wait
            if wait is not None and (wait.fails_at_once or (wait.grace and waited(held) > wait.grace)):
                pool.waiting.remove(held)
                if self.board.to_judge(held):
                    self.board.do(partial(self.means.finisher.give_up, held))

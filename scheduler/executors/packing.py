"""Which of the queued attempts an executor takes: those a machine has room for, or any that a cluster queues itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.attempts.claims import Choice, Queued
from scheduler.attempts.outcomes import SYSTEM, USER, failure
from scheduler.attempts.resources import Resources
from scheduler.executors.base import Rows

PATIENCE = timedelta(seconds=30)  # an attempt that has waited longer is not overtaken by smaller ones
TELL_AFTER = timedelta(seconds=1)  # one that waits for less need not say what for


@dataclass(frozen=True)
class Held:
    """An attempt that an executor has."""

    needs: Resources
    task: int | None = None
    since: float = 0.0  # monotonic


class InRows:
    """Which attempts share processes (Rows), and how many of these are held. Only what asks for nothing by itself may:
    once one turns out slow, those behind it run beside it.
    """

    def __init__(self, rows: Rows | None, default_cpu: float) -> None:
        self.rows, self.small, self.held = rows, Resources(cpu=default_cpu), 0
        self._known: dict[int, bool] = {}

    def takes(self, task: int | None, needs: Resources) -> bool:
        if self.rows is None or task is None or needs != self.small:
            return False
        if task not in self._known:
            self._known[task] = self.rows.takes(task)
        return self._known[task]

    def is_full(self) -> bool:
        return self.rows is None or self.held >= self.rows.most

    def next_waits(self) -> bool:
        """Whether the next one would wait behind others, and so hold nothing."""
        return self.rows is not None and self.held >= self.rows.places

    def left(self, total: Resources, held: Iterable[Held]) -> Resources:
        """What these leave of the total. They count as held from now on."""
        for one in held:
            if self.takes(one.task, one.needs):
                self.held += 1
                if self.rows is not None and self.held > self.rows.places:
                    continue
            total -= one.needs
        return total


class MachinePacking:
    """Attempts that fit into `free`.

    One that could never fit into `total` is refused with a user error. Small ones may overtake one that has to wait for
    room. Once it has waited for PATIENCE, they may only with what it does not need: what it is short of is kept for it
    as others end. So a wait for a GPU does not keep tasks without one from running.
    """

    def __init__(
        self,
        free: Resources,
        total: Resources,
        *,
        now: datetime,
        default_cpu: float = 0.0,
        in_rows: InRows | None = None,
    ) -> None:
        self.free, self.total, self.now = free, total, now
        self.default_cpu = min(default_cpu, total.cpu)
        self.in_rows = in_rows or InRows(None, self.default_cpu)
        self.rows_end = False  # one waits long for what processes of rows hold: they get no more, and so end
        self.choice = Choice()

    def has_room(self) -> bool:
        return self.free.cpu > 0 or (self.in_rows.next_waits() and not self.in_rows.is_full())

    def sort(self, queued: Iterable[Queued]) -> None:
        choice = self.choice
        for one in queued:
            try:
                needs = Resources.parse(json.loads(one.resources), default_cpu=self.default_cpu, within=self.total)
            except (TypeError, ValueError, AttributeError, OverflowError) as error:  # it must not keep others waiting
                said = f"what the attempt asks for cannot be read: {error}"
                choice.refused.append((one.pk, failure("ResourcesUnreadable", said, SYSTEM, retryable=False)))
                continue
            if lacking := self.total.lacking(needs):
                said = f"the task asks for more than this machine has: {', '.join(lacking)}"
                choice.refused.append((one.pk, failure("ResourcesUnavailable", said, USER, retryable=False)))
            elif (in_a_row := self.in_rows.takes(one.task, needs)) and self.in_rows.next_waits():
                self._put_behind(one)
            elif lacking := self.free.lacking(needs):
                self._wait(one, needs, lacking)
            else:
                self.free -= needs
                self.in_rows.held += in_a_row
                choice.fitting.append(one.pk)

    def _put_behind(self, one: Queued) -> None:
        """Others like it, which nothing has to be kept free for."""
        if self.in_rows.is_full() or self.rows_end:
            self._wait(one, Resources(), Resources().lacking(self.in_rows.small))
        else:
            self.in_rows.held += 1
            self.choice.fitting.append(one.pk)

    def _wait(self, one: Queued, needs: Resources, lacking: list[str]) -> None:
        # Only what is short, not how much is free: so that a waiting row is written once.
        words = f"waiting for {', '.join(lack.partition(' of ')[0] for lack in lacking)}"
        self.choice.waiting.setdefault(words, []).append(one.pk)
        self.choice.shapes.add(one.resources)
        waited = self.now - one.created_at
        if waited > TELL_AFTER and one.reason != words:
            self.choice.unsaid.add(one.pk)
        if waited > PATIENCE:
            self.rows_end |= needs.cpu > self.free.cpu + 1e-9
            self.free = self.free.reserved(needs)


class Unbounded:
    """Whatever comes next, up to `most`: the place queues by itself what it has no room for."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.choice = Choice()

    def has_room(self) -> bool:
        return self.left > 0

    def sort(self, queued: Iterable[Queued]) -> None:
        for one in queued:
            if self.left <= 0:
                return
            self.left -= 1
            self.choice.fitting.append(one.pk)

"""Made-up executions as rows: themselves, their nodes, attempts and events, what they used and published."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from flyteidl.admin import execution_pb2 as admin_execution_pb2
from flyteidl.core import execution_pb2, literals_pb2, types_pb2

from artifacts.store import store
from console.filling.company import DOMAIN, LINES, THINGS, Sizes, Step
from console.filling.copying import Copy, put_shared, reserve
from console.filling.inputs import inputs_of
from console.filling.runs import Run
from console.filling.versions import Published, Versions
from scheduler.attempts.samples import MOST
from scheduler.executors.local.sampling import STEP_SECONDS
from scheduler.models import (
    AttemptSamples,
    Execution,
    ExecutionMode,
    Gate,
    GateKind,
    Lane,
    LaunchPlan,
    NodeExecution,
    NodeKind,
    PhaseEvent,
    Task,
    TaskExecution,
)
from scheduler.phases import AttemptPhase, ExecutionPhase, NodePhase
from scheduler.quotas import lanes
from scheduler.schedules.fire import identifier_of
from scheduler.uris import Uris

GATE = types_pb2.LiteralType(simple=types_pb2.BOOLEAN).SerializeToString()
GATE_OPEN = timedelta(days=3)
OPEN = {"phase": int(NodePhase.RUNNING), "attempts": 1, "open": 1}  # the engine's: one node has not ended
SYSTEM = execution_pb2.ExecutionError.SYSTEM
DECK = b"<!doctype html><title>Examined</title><h1>Examined</h1><p>Errors by region, beside those of the champion.</p>"


@dataclass(frozen=True)
class Written:
    """What others refer to: by its firing, or its schedule."""

    pk: int
    run: Run
    plan: LaunchPlan
    used: Published | None


class Executions:
    """Writes runs in portions, and remembers those that a trigger or a schedule started."""

    def __init__(
        self, sizes: Sizes, plans: dict[tuple[str, str], LaunchPlan], versions: Versions, now: datetime
    ) -> None:
        self.sizes, self.plans, self.versions, self.now = sizes, plans, versions, now
        self.rng = random.Random(sizes.seed + 1)  # noqa: S311 - no secrets
        self.tasks = {
            (row.project, row.name): row.pk for row in Task.objects.filter(domain=DOMAIN).only("project", "name")
        }
        maps = Task.objects.filter(domain=DOMAIN, name__contains=".map_").values_list("project", "pk")
        self.tasks |= {(project, "map"): pk for project, pk in maps}
        self.specs = {key: _spec(plan) for key, plan in plans.items()}
        self.started: list[Written] = []
        self.lanes: dict[int, Lane] = {}
        self.objects: dict[str, str] = {}
        self.tables = {
            "execution": Copy(
                Execution,
                *("id", "project", "domain", "name", "launch_plan_id", "workflow_id", "spec", "phase", "mode"),
                *("principal", "error", "abort_cause", "aborted_by", "created_at", "started_at", "updated_at"),
                *("ended_at", "inputs_uri", "dirty", "counters"),
            ),
            "node": Copy(
                NodeExecution,
                *("id", "execution_id", "node_id", "spec_node_id", "kind", "phase", "attempts", "deck_uri", "error"),
                *(
                    "cache_status",
                    "created_at",
                    "started_at",
                    "updated_at",
                    "ended_at",
                    "output_uri",
                    "input_uri",
                    "wake_at",
                ),
            ),
            "attempt": Copy(
                TaskExecution,
                *("id", "node_id", "execution_id", "task_id", "attempt", "index", "name", "phase", "resources", "lane"),
                *("error", "log_uri", "deck_uri", "created_at", "started_at", "updated_at", "ended_at", "handled"),
            ),
            "samples": Copy(AttemptSamples, "attempt_id", "points", "peak_cpu", "peak_memory", "cpu_seconds"),
            "event": Copy(
                PhaseEvent, "execution_id", "machine", "object_id", "from_phase", "to_phase", "at", "reason", "actor"
            ),
            "gate": Copy(
                Gate,
                *("execution_id", "node_id", "signal_id", "kind", "literal_type", "waiting_since", "expires_at"),
                "created_at",
            ),
        }

    def write(self, runs: Sequence[Run]) -> None:
        """One portion, in the transaction that is open."""
        rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        first = reserve(Execution, len(runs))
        nodes = reserve(NodeExecution, sum(len(run.plan.steps) for run in runs))
        tries = reserve(TaskExecution, sum(self._most_tries(run) for run in runs))
        for pk, run in enumerate(runs, start=first):
            nodes, tries = self._one(rows, pk, run, nodes, tries)
        lanes.write(self.lanes.values())
        self.lanes.clear()
        for name, table in self.tables.items():
            table.write(rows[name])
        self.versions.flush()

    def _most_tries(self, run: Run) -> int:
        return sum((step.items or 1) + 1 for step in run.plan.steps)

    def _one(
        self, rows: dict[str, list[tuple[object, ...]]], pk: int, run: Run, node: int, attempt: int
    ) -> tuple[int, int]:
        plan = self.plans[run.plan.project, run.plan.name_in(run.region)]
        name = f"a{blake2b(f'{pk}'.encode(), digest_size=10).hexdigest()[:19]}"
        key = f"{run.plan.project}/{DOMAIN}/{name}"
        error = _error(run)
        cause = "superseded by a newer one" if run.phase == ExecutionPhase.ABORTED else ""
        inputs = self._inputs(run, plan)
        rows["execution"].append(
            (
                *(pk, run.plan.project, DOMAIN, name, plan.pk, plan.workflow_id, self.specs[plan.project, plan.name]),
                *(int(run.phase), run.plan.mode, run.by, error, cause, run.by if cause else "", run.at, run.at),
                *(run.end or run.at, run.end, inputs, False, OPEN if run.gate else {}),
            )
        )
        self._event(rows, pk, "execution", pk, 0, ExecutionPhase.RUNNING, run.at)
        at, used = run.at, None
        for input_name, thing in ((name_, what) for what, name_ in run.plan.uses):
            used = self.versions.newest(thing, run.region, before=run.at) or used
            if used is not None:
                self.versions.use(used, key, input_name, run.at)
        for step in run.plan.steps:
            node, attempt, at, ended = self._step(rows, pk, run, step, name, node, attempt, at, error)
            if not ended:
                break
            for output_node, thing in run.plan.outputs:
                if output_node == step.node:
                    self.versions.publish(thing, run, key, name, step, at)
        if run.end is not None:
            said = "all nodes ended" if run.phase == ExecutionPhase.SUCCEEDED else cause or "a node failed"
            self._event(rows, pk, "execution", pk, ExecutionPhase.RUNNING, run.phase, run.end, said)
        if run.plan.mode in (ExecutionMode.TRIGGER, ExecutionMode.SCHEDULED):
            self.started.append(Written(pk, run, plan, used))
        return node, attempt

    def _step(
        self,
        rows: dict[str, list[tuple[object, ...]]],
        pk: int,
        run: Run,
        step: Step,
        name: str,
        node: int,
        attempt: int,
        at: datetime,
        error: bytes | None,
    ) -> tuple[int, int, datetime, bool]:
        """The next free primary keys, when the step ended, and whether it succeeded."""
        if step.gate:
            expires = at + GATE_OPEN
            waits = (
                *(node, pk, step.node, step.node, NodeKind.GATE, int(NodePhase.RUNNING), 1, "", None, 0),
                at,
                at,
                at,
            )
            rows["node"].append((*waits, None, "", self._score(run, name, step), expires))
            rows["gate"].append((pk, node, step.gate, GateKind.APPROVE, GATE, at, expires, at))
            return node + 1, attempt, at, False
        took = 60.0 if run.gate else run.seconds * step.share
        is_last = step is run.plan.steps[-1] or step.share >= 0.5 or bool(run.gate)
        fails = run.phase != ExecutionPhase.SUCCEEDED and not run.gate and is_last
        begun = at + timedelta(seconds=min(0.2 + self.rng.expovariate(1.5), took / 2))
        ended = at + timedelta(seconds=took)
        if fails and run.end is not None:
            ended = run.end
        phase = NodePhase.SUCCEEDED if not fails else NodePhase.FAILED if error else NodePhase.ABORTED
        deck = self._object(run, "deck.html", DECK) if step.deck and not fails else ""
        cached = 2 if not fails and not step.items and self.rng.random() < 0.03 else 0
        kind = NodeKind.ARRAY if step.items else NodeKind.TASK
        tries = 2 if run.retried and not step.items else 1
        rows["node"].append(
            (
                *(node, pk, step.node, step.node, kind, int(phase), tries, deck, error if fails else None, cached),
                *(at, begun, ended, ended, self._object(run, f"{run.plan.workflow}/{step.node}.pb", b""), "", None),
            )
        )
        self._event(rows, pk, "node", node, 0, NodePhase.RUNNING, begun)
        self._event(rows, pk, "node", node, NodePhase.RUNNING, phase, ended)
        attempt = self._tries(rows, pk, run, step, name, node, attempt, begun, ended, error if fails else None, fails)
        return node + 1, attempt, ended, not fails

    def _tries(
        self,
        rows: dict[str, list[tuple[object, ...]]],
        pk: int,
        run: Run,
        step: Step,
        name: str,
        node: int,
        attempt: int,
        begun: datetime,
        ended: datetime,
        error: bytes | None,
        fails: bool,
    ) -> int:
        resources = {"cpu": step.cpu, "memory": step.memory, "memory_limit": step.memory, "gpu": step.gpu}
        lane = lanes.row_of(
            project=run.plan.project,
            domain=DOMAIN,
            user=run.by,
            launch_plan=run.plan.name_in(run.region),
            priority=0,
            resources=resources,
            needs={},
        )
        self.lanes[lane.id] = lane
        end = AttemptPhase.SUCCEEDED if not fails else AttemptPhase.FAILED if error else AttemptPhase.ABORTED
        log = self._log_of(run, step, error)
        task = self.tasks[run.plan.project, step.task]
        spans = self._items(step, begun, ended) if step.items else [(-1, begun, ended)]
        for index, start, stop in spans:
            number, starts = 0, start
            if run.retried and index < 0:
                middle = start + (stop - start) * 0.3
                lost = execution_pb2.ExecutionError(code="NodeLost", message="the machine went away", kind=SYSTEM)
                rows["attempt"].append(
                    (
                        *(
                            attempt,
                            node,
                            pk,
                            task,
                            0,
                            index,
                            f"{name}-{step.node}-0",
                            int(AttemptPhase.RETRYABLE_FAILED),
                        ),
                        *(resources, lane.id, lost.SerializeToString(), log, "", start, start, middle, middle, True),
                    )
                )
                attempt, number, starts = attempt + 1, 1, middle
            item = f"-{index}" if index >= 0 else ""
            failed_here = fails and (index < 0 or index == step.items // 2)
            phase = end if failed_here else AttemptPhase.SUCCEEDED
            waited = timedelta(seconds=min(self.rng.expovariate(2), (stop - starts).total_seconds() / 3))
            rows["attempt"].append(
                (
                    *(
                        attempt,
                        node,
                        pk,
                        task,
                        number,
                        index,
                        f"{name}-{step.node}{item}-{number}",
                        int(phase),
                        resources,
                    ),
                    *(lane.id, error if failed_here else None, log, ""),
                    *(starts, starts + waited, stop, stop, True),
                )
            )
            if index < 0:
                rows["samples"].extend(self._samples(attempt, step, (stop - starts).total_seconds()))
                self._event(rows, pk, "attempt", attempt, AttemptPhase.QUEUED, AttemptPhase.RUNNING, starts + waited)
                self._event(rows, pk, "attempt", attempt, AttemptPhase.RUNNING, phase, stop)
            attempt += 1
        return attempt

    def _samples(self, attempt: int, step: Step, seconds: float) -> Iterator[tuple[object, ...]]:
        """As the executor would have measured it: it loads, works, and writes."""
        count = min(int(seconds / STEP_SECONDS), MOST // 4)
        if count < 1:
            return
        points = []
        for number in range(1, count + 1):
            part = number / count
            cores = step.cpu * (0.35 if part < 0.2 else self.rng.uniform(0.7, 1.0))
            memory = int(step.memory * min(0.15 + 0.6 * part, 0.62) * self.rng.uniform(0.95, 1.05))
            points.append([round(seconds * part, 1), round(cores, 2), memory, 0.9 if step.gpu else None])
        peak = max(float(point[1] or 0) for point in points)
        yield attempt, points, peak, max(int(point[2] or 0) for point in points), round(seconds * peak * 0.7, 1)

    def _items(self, step: Step, begun: datetime, ended: datetime) -> list[tuple[int, datetime, datetime]]:
        """Forty at a time, some of them slow."""
        count, whole = min(step.items, self.sizes.map_items), (ended - begun).total_seconds()
        waves = max(count // 40, 1)
        found = []
        for index in range(count):
            start = begun + timedelta(seconds=whole * 0.8 * (index // 40) / waves)
            took = whole / waves * self.rng.lognormvariate(-0.7, 0.4)
            found.append((index, start, min(start + timedelta(seconds=took), ended)))
        return found

    def _event(
        self,
        rows: dict[str, list[tuple[object, ...]]],
        execution: int,
        machine: str,
        pk: int,
        before: int,
        after: int,
        at: datetime,
        reason: str = "",
    ) -> None:
        rows["event"].append((execution, machine, pk, int(before), int(after), at, reason, "system:engine"))

    def _score(self, run: Run, name: str, step: Step) -> str:
        """What the gate is about, where the engine looks for it when it was decided."""
        score = literals_pb2.Literal()
        score.scalar.primitive.float_value = round(self.rng.uniform(0.8, 0.97), 4)
        uri = Uris.of(run.plan.project, DOMAIN, name).inputs(step.node)
        store().put(uri, literals_pb2.LiteralMap(literals={"o0": score}).SerializeToString())
        return uri

    def _log_of(self, run: Run, step: Step, error: bytes | None) -> str:
        code = run.fault.code.replace(":", "-") if run.fault is not None and error else "fine"
        name = f"{run.plan.workflow}/{step.node}-{run.region}-{code}.log"
        return self.objects.get(f"{run.plan.project}/{name}") or self._object(run, name, _log(run, error))

    def _inputs(self, run: Run, plan: LaunchPlan) -> str:
        name = f"{plan.name}/inputs-{run.region}.pb"
        if known := self.objects.get(f"{run.plan.project}/{name}"):
            return known
        return self._object(run, name, inputs_of(plan, run.plan, run.region, self._data_in(run.region)))

    def _data_in(self, region: str) -> Callable[[str], str]:
        return lambda thing: self.versions.data_of(THINGS[thing], region)

    def _object(self, run: Run, name: str, data: bytes) -> str:
        """The address of an object that all rows of this kind share."""
        key = f"{run.plan.project}/{name}"
        if key not in self.objects:
            self.objects[key] = put_shared("metadata", run.plan.project, name, data)
        return self.objects[key]


def _spec(plan: LaunchPlan) -> bytes:
    return admin_execution_pb2.ExecutionSpec(launch_plan=identifier_of(plan)).SerializeToString()


def _error(run: Run) -> bytes | None:
    if run.fault is None:
        return None
    kind = SYSTEM if run.fault.is_system else execution_pb2.ExecutionError.USER
    message = run.fault.message
    for name, value in run.details.items():
        message = message.replace(f"{{{name}}}", value)
    return execution_pb2.ExecutionError(code=run.fault.code, message=message, kind=kind).SerializeToString()


def _log(run: Run, error: bytes | None) -> bytes:
    """As a task writes it: a clock, a level, what it does; of a failed one the traceback at the end."""
    lines = []
    for number in range(12 * len(LINES)):
        clock = f"{3 + number // 900:02d}:{number // 15 % 60:02d}:{4 * number % 60:02d}"
        lines.append(f"{clock} {LINES[number % len(LINES)].format(region=run.region)}")
    if run.fault is not None and error is not None:
        lines.append(f"03:59:59 ERROR {run.fault.code}")
        lines.extend(execution_pb2.ExecutionError.FromString(error).message.splitlines())
    return ("\n".join(lines) + "\n").encode()

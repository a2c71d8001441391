"""Why something is as it is: every decision, of people and of rules, that led to a version or an execution, in order.

Read from the rows that the decisions left. Of each it is known where it happened; what lies where the reader may not
read is counted, and never named in the words of another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from artifacts.happenings import KINDS
from artifacts.models import AliasMove, ArtifactVersion, Happening, Hold, Removal
from lineage.models import VersionEdge, VersionRole
from lineage.walks import VersionNode, ancestry, nodes_of
from scheduler.models import (
    Decision,
    Execution,
    ExecutionMode,
    FiringOutcome,
    Gate,
    GateKind,
    GateVote,
    Promotion,
    ScheduleFire,
    Trigger,
    TriggerFiring,
)

MayRead = Callable[[str, str], bool]
ANCESTORS = 300  # nearest versions that are looked at
STEPS = 2_000  # rows of each kind
# Kinds of happenings that rows of their own tell of: those are read instead.
TOLD_OTHERWISE = (
    *("version.published", "version.removed", "version.expired", "alias.moved", "alias.removed"),
    *("execution.succeeded", "execution.failed", "execution.aborted", "execution.timed_out", "gate.waiting"),
    *("gate.approved", "gate.rejected", "version.promoted", "promotion.asked", "promotion.rejected"),
)
HIDDEN = "something you may not read"


@dataclass(frozen=True)
class Step:
    """One decision. `table` and `row`: its proof. `version`, `execution`, `decision`: what a page links to."""

    at: datetime
    actor: str  # a user's name, or `system:...`
    verb: str  # dotted, as in the audit trail
    words: str
    place: tuple[str, str]  # project, domain
    table: str
    row: int
    reason: str = ""
    version: int | None = None
    execution: str = ""
    decision: int | None = None

    @property
    def project(self) -> str:
        return self.place[0]

    @property
    def domain(self) -> str:
        return self.place[1]

    @property
    def is_automatic(self) -> bool:
        return not self.actor or self.actor.startswith("system:")


@dataclass
class Why:
    """`steps` in order, the oldest first; `hidden`: steps where the reader may not read; `truncated`: there are more
    ancestors than were looked at.
    """

    steps: list[Step] = field(default_factory=list)
    hidden: int = 0
    truncated: bool = False


def why_version(version: ArtifactVersion, *, may_read: MayRead) -> Why:
    """What led to the version and what was decided about it since: its ancestors, the executions that made them and
    what started those, gates, checks, moves of aliases, promotions, holds and removals. About fifteen queries.
    """
    reached = ancestry(version.pk, limit=ANCESTORS)
    return _why(reached.versions, [], may_read, focus={version.pk}, truncated=reached.truncated)


def why_execution(execution: Execution, *, may_read: MayRead) -> Why:
    """What led to the execution: what started it, and what led to the versions that it took in."""
    edges = VersionEdge.objects.filter(execution_key=execution.key)
    consumed = list(edges.filter(role=VersionRole.CONSUMED).values_list("version_id", flat=True).distinct()[:20])
    versions: dict[int, VersionNode] = {}
    truncated = False
    for pk in consumed:
        reached = ancestry(pk, limit=ANCESTORS)
        versions |= reached.versions
        truncated |= reached.truncated
    versions |= nodes_of(edges.filter(role=VersionRole.PRODUCED).values_list("version_id", flat=True)[:50])
    return _why(versions, [execution.key], may_read, focus=set(consumed), truncated=truncated)


def _why(
    versions: dict[int, VersionNode], keys: Sequence[str], may_read: MayRead, *, focus: Collection[int], truncated: bool
) -> Why:
    found = Why(truncated=truncated)
    runs = _executions({*keys, *(node.execution_key for node in versions.values() if node.execution_key)})
    reader = _Reader(versions, {run.key: run for run in runs}, may_read)
    for step in _all(reader, focus):
        if may_read(*step.place):
            found.steps.append(step)
        else:
            found.hidden += 1
    found.steps.sort(key=lambda step: (step.at, _ORDER.get(step.table, 5), step.row))
    return found


_ORDER = {"execution": 1, "trigger_firing": 0, "schedule_fire": 0, "version": 2}


def _executions(keys: Iterable[str]) -> list[Execution]:
    """Those of the keys, and those that they are children of, by one look for each level."""
    found: dict[int, Execution] = {}
    names: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        project, domain, name = key.split("/", 2)
        names.setdefault((project, domain), []).append(name)
    wanted = Q(pk__in=())
    for (project, domain), some in names.items():
        wanted |= Q(project=project, domain=domain, name__in=some)
    rows = Execution.objects.select_related("launch_plan", "workflow").only(
        *("project", "domain", "name", "created_at", "mode", "principal", "parent_node__execution_id"),
        *("launch_plan__name", "launch_plan__version", "workflow__name", "reference_id", "shadow_id"),
    )
    fresh = list(rows.filter(wanted).select_related("parent_node")[:STEPS])
    while fresh and len(found) < STEPS:
        found |= {run.pk: run for run in fresh}
        parents = {run.parent_node.execution_id for run in fresh if run.parent_node is not None}
        fresh = list(rows.filter(pk__in=parents - found.keys()).select_related("parent_node"))
    return list(found.values())


@dataclass(frozen=True)
class _Reader:
    versions: dict[int, VersionNode]
    runs: dict[str, Execution]
    may_read: MayRead

    def name(self, node: VersionNode | None) -> str:
        """As the reader may know it."""
        if node is None or not self.may_read(node.project, node.domain):
            return HIDDEN
        return f"{node.artifact}@{node.version}"

    def place(self, pk: int) -> tuple[str, str]:
        node = self.versions[pk]
        return node.project, node.domain


def _all(reader: _Reader, focus: Collection[int]) -> Iterator[Step]:
    ids, runs = list(reader.versions), {run.pk: run for run in reader.runs.values()}
    yield from _published(reader)
    yield from _launched(reader)
    yield from _fired(reader, runs)
    yield from _scheduled(runs)
    yield from _decided(reader, runs)
    yield from _moved(reader, focus)
    yield from _promoted(reader, ids)
    yield from _kept(reader, ids)
    yield from _happened(reader, ids, list(reader.runs))


def _published(reader: _Reader) -> Iterator[Step]:
    makers = dict(ArtifactVersion.objects.filter(pk__in=reader.versions).values_list("pk", "created_by"))
    for pk, node in reader.versions.items():
        by = f" by {node.producer}" if node.producer else ""
        words = f"{node.artifact}@{node.version} was published{by}"
        shown = node.execution_key if _readable_key(node.execution_key, reader.may_read) else ""
        yield Step(
            node.created_at,
            makers.get(pk, ""),
            "version.publish",
            words,
            (node.project, node.domain),
            "version",
            pk,
            version=pk,
            execution=shown,
        )


def _readable_key(key: str, may_read: MayRead) -> bool:
    return key.count("/") == 2 and may_read(*key.split("/")[:2])


_MODES = {
    ExecutionMode.MANUAL: "was launched",
    ExecutionMode.SCHEDULED: "was launched by its schedule",
    ExecutionMode.SYSTEM: "was launched by the system",
    ExecutionMode.RELAUNCH: "was launched again",
    ExecutionMode.CHILD_WORKFLOW: "was launched by a parent execution",
    ExecutionMode.RECOVERED: "was recovered",
    ExecutionMode.TRIGGER: "was launched by an artifact",
}


def _launched(reader: _Reader) -> Iterator[Step]:
    for run in reader.runs.values():
        what = run.launch_plan.name if run.launch_plan is not None else run.workflow.name
        how = "ran beside production, for a contest" if run.shadow_id else _MODES[ExecutionMode(run.mode)]
        words = f"execution {run.name} of {what} {how}"
        automatic = run.mode in (ExecutionMode.SCHEDULED, ExecutionMode.SYSTEM, ExecutionMode.TRIGGER)
        actor = f"system:{ExecutionMode(run.mode).name.lower()}" if automatic else run.principal
        yield Step(
            run.created_at,
            actor,
            "execution.launch",
            words,
            (run.project, run.domain),
            "execution",
            run.pk,
            reason=f"as {run.principal}" if automatic and run.principal else "",
            execution=run.key,
        )


def _fired(reader: _Reader, runs: dict[int, Execution]) -> Iterator[Step]:
    rows = TriggerFiring.objects.filter(execution__in=runs, outcome=FiringOutcome.FIRED)
    rows = rows.select_related("trigger__launch_plan", "version__artifact").defer(
        "trigger__condition", "trigger__launch_plan__spec", "trigger__launch_plan__closure", *_heavy("version")
    )
    told: set[int] = set()
    for firing in rows[:STEPS]:
        plan, of = firing.trigger.launch_plan, firing.version.artifact
        version = str(firing.version) if reader.may_read(of.project, of.domain) else HIDDEN
        run = runs[firing.execution_id or 0]
        words = f"the trigger of {plan.name}@{plan.version} fired for {version} and launched {run.name}"
        yield Step(
            firing.at,
            "system:trigger",
            "trigger.fire",
            words,
            (plan.project, plan.domain),
            "trigger_firing",
            firing.pk,
            reason=firing.reason,
            version=firing.version_id if version != HIDDEN else None,
            execution=run.key,
        )
        if firing.trigger_id not in told:
            told.add(firing.trigger_id)
            yield from _activated(firing.trigger)


def _activated(trigger: Trigger) -> Iterator[Step]:
    """Who switched the reaction on."""
    plan = trigger.launch_plan
    if trigger.activated_at is not None:
        words = f"launch plan {plan.name}@{plan.version} was activated"
        place = plan.project, plan.domain
        yield Step(
            trigger.activated_at, trigger.activated_by, "launch_plan.activate", words, place, "trigger", trigger.pk
        )


def _scheduled(runs: dict[int, Execution]) -> Iterator[Step]:
    rows = ScheduleFire.objects.filter(execution__in=runs).select_related("schedule__launch_plan")
    for fire in rows.defer("schedule__launch_plan__spec", "schedule__launch_plan__closure")[:STEPS]:
        plan, run = fire.schedule.launch_plan, runs[fire.execution_id or 0]
        words = f"the schedule of {plan.name}@{plan.version} was due at {fire.fire_at:%Y-%m-%d %H:%M} UTC"
        place = plan.project, plan.domain
        yield Step(
            run.created_at,
            "system:schedule",
            "schedule.fire",
            words,
            place,
            "schedule_fire",
            fire.pk,
            execution=run.key,
        )


def _decided(reader: _Reader, runs: dict[int, Execution]) -> Iterator[Step]:
    votes = GateVote.objects.filter(gate__execution__in=runs).select_related("gate").order_by("pk")
    decisions = Decision.objects.filter(gate__execution__in=runs).select_related("gate").order_by("pk")
    decided: dict[int, Decision] = {}
    for decision in decisions[:STEPS]:
        if decision.gate is not None:
            decided[decision.gate.pk] = decision
            yield _decision(decision, runs[decision.gate.execution_id], decision.gate.signal_id)
    for vote in votes[:STEPS]:
        if vote.gate is not None:
            yield _vote(vote, runs[vote.gate.execution_id], vote.gate)
    gates = Gate.objects.filter(execution__in=runs, decided_at__isnull=False).exclude(pk__in=decided)
    for gate in gates.order_by("pk")[:STEPS]:  # values, and decisions from before votes were kept
        run = runs[gate.execution_id]
        said, verb = "given", "gate.signal"
        if gate.kind == GateKind.APPROVE:
            said, verb = ("approved", "gate.approve") if gate.approved else ("rejected", "gate.reject")
        words = f"{gate.signal_id} of {run.name} was {said}"
        at = gate.decided_at or gate.created_at
        place = run.project, run.domain
        yield Step(at, gate.decided_by, verb, words, place, "gate", gate.pk, gate.comment, execution=run.key)


def _decision(decision: Decision, run: Execution, signal: str) -> Step:
    said = "approved" if decision.approved else "rejected"
    void = f"; it does not count since {decision.voided_at:%Y-%m-%d %H:%M} UTC" if decision.voided_at else ""
    voters = ", ".join(str(vote["actor"]) for vote in decision.votes)
    words = f"{signal} of {run.name} was {said} by the rule {decision.rule.get('rule', 'default')}{void}"
    return Step(
        decision.at,
        voters,
        f"gate.{'approve' if decision.approved else 'reject'}",
        words,
        (run.project, run.domain),
        "decision",
        decision.pk,
        reason=decision.void_reason,
        version=None,
        execution=run.key,
        decision=decision.pk,
    )


def _vote(vote: GateVote, run: Execution, gate: Gate) -> Step:
    seat = f" for {vote.acting_for}" if vote.acting_for != vote.actor else ""
    void = ", which was voided" if vote.voided_at is not None else ""
    words = f"{vote.actor} said {'yes' if vote.approve else 'no'} to {gate.signal_id} of {run.name}{seat}{void}"
    place = run.project, run.domain
    return Step(vote.at, vote.actor, "gate.vote", words, place, "gate_vote", vote.pk, vote.comment, execution=run.key)


def _moved(reader: _Reader, focus: Collection[int]) -> Iterator[Step]:
    rows = AliasMove.objects.filter(Q(to_version__in=reader.versions) | Q(from_version__in=focus))
    for move in rows.select_related("artifact", "happening").order_by("-pk")[:STEPS]:
        place = move.artifact.project, move.artifact.domain
        node = reader.versions.get(move.to_version_id or 0)
        if move.to_version_id in reader.versions:
            words = f"{move.artifact}:{move.called} was moved to {reader.name(node)}"
        else:
            words = f"{move.artifact}:{move.called} was moved away from it"
        yield Step(
            move.at,
            move.actor,
            move.happening.kind if move.happening is not None else "alias.moved",
            words + (", against its policy" if move.forced else ""),
            place,
            "alias_move",
            move.pk,
            _stood_on(move),
            version=move.to_version_id,
        )


def _stood_on(move: AliasMove) -> str:
    """The reason given, and what the policy's clauses found."""
    clauses = [str(clause.get("said", "")) for clause in move.evidence.get("clauses", [])]
    return "; ".join(part for part in (move.reason, *clauses) if part)


def _promoted(reader: _Reader, ids: Sequence[int]) -> Iterator[Step]:
    rows = Promotion.objects.filter(Q(source__in=ids) | Q(target__in=ids)).prefetch_related("votes", "decisions")
    for row in rows.order_by("pk")[:STEPS]:
        place = row.project, row.domain
        source = reader.name(reader.versions.get(row.source_id))
        where = f"{row.project}/{row.domain}/{row.name}"
        asked = f"{source} was asked to be promoted to {where}"
        yield Step(
            row.requested_at, row.requested_by, "promotion.request", asked, place, "promotion", row.pk, row.reason
        )
        for vote in row.votes.all():
            words = f"{vote.actor} said {'yes' if vote.approve else 'no'} to promoting it to {where}"
            yield Step(vote.at, vote.actor, "promotion.vote", words, place, "gate_vote", vote.pk, vote.comment)
        decision = next(iter(row.decisions.all()), None)
        if row.ended_at is not None:
            words = f"{source} was {'promoted' if row.target_id else 'not promoted'} to {where}"
            yield Step(
                row.ended_at,
                row.requested_by,
                "promotion.carry_out" if row.target_id else "promotion.reject",
                words,
                place,
                "promotion",
                row.pk,
                version=row.target_id,
                decision=decision.pk if decision is not None else None,
            )


def _kept(reader: _Reader, ids: Sequence[int]) -> Iterator[Step]:
    for hold in Hold.objects.filter(version__in=ids).order_by("pk")[:STEPS]:
        pk = hold.version_id or 0
        name, place = reader.name(reader.versions[pk]), reader.place(pk)
        what = "a legal hold" if hold.kind == Hold.Kind.LEGAL else "a pin"
        yield Step(
            hold.set_at,
            hold.set_by,
            f"hold.{hold.kind}",
            f"{what} was put on {name}",
            place,
            "hold",
            hold.pk,
            hold.reason,
        )
        if hold.released_at is not None:
            words = f"{what} of {name} was released"
            verb = f"hold.{hold.kind}.release"
            yield Step(hold.released_at, hold.released_by, verb, words, place, "hold", hold.pk, hold.release_reason)
    for removal in Removal.objects.filter(version__in=ids).order_by("pk")[:STEPS]:
        name, place = reader.name(reader.versions[removal.version_id]), reader.place(removal.version_id)
        words = f"{name} was {'erased' if removal.erasure_id else 'removed'}"
        yield Step(
            removal.at, removal.actor, "version.remove", words, place, "removal", removal.pk, removal.reason,
            version=removal.version_id,
        )  # fmt: skip


def _happened(reader: _Reader, ids: Sequence[int], keys: Sequence[str]) -> Iterator[Step]:
    """Whatever else happened to them: checks, fall-backs, forced moves, escalations, what does not count any more."""
    rows = Happening.objects.filter(Q(version__in=ids) | Q(execution_key__in=keys), alias_move__isnull=True)
    rows = rows.exclude(kind__in=TOLD_OTHERWISE)
    for row in rows.order_by("pk")[:STEPS]:
        kind = KINDS.get(row.kind)
        what = f"{row.name} of {row.subject}" if row.name and row.name not in row.subject else row.subject
        words = f"{what} {kind.words if kind is not None else row.kind}"
        yield Step(
            row.at,
            row.actor,
            row.kind,
            words,
            (row.project, row.domain),
            "happening",
            row.pk,
            reason=_detail(row.detail),
            version=row.version_id,
            execution=row.execution_key if _readable_key(row.execution_key, reader.may_read) else "",
        )


def _detail(detail: dict[str, Any]) -> str:
    """Words and numbers of it, as far as people say them."""
    said = {name: value for name, value in detail.items() if name != "said"}  # the same once more, as a sentence
    told = {name: value for name, value in said.items() if isinstance(value, str | int | float) and value != ""}
    return ", ".join(f"{name}: {value}" for name, value in told.items())


def _heavy(prefix: str) -> list[str]:
    return [f"{prefix}__{name}" for name in ("literal", "literal_type", "card", "terms")]

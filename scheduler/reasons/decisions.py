"""What people were asked, and what they said: gates of executions, promotions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import Q

from scheduler.models import Decision, Execution, Gate, GateKind, GateVote, Promotion
from scheduler.reasons.steps import STEPS, Reader, Step


def decided(reader: Reader, runs: dict[int, Execution]) -> Iterator[Step]:
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


def promoted(reader: Reader, ids: Sequence[int]) -> Iterator[Step]:
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

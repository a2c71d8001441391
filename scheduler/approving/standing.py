"""Whether decisions still stand: what was reviewed is looked at again, and a decision about what has changed is voided.

Asked whenever one counts (the engine takes it, a promotion or a policy leans on it, somebody looks at it), and by the
sweep of those that were not looked at for a while.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from artifacts.happenings import VOIDED, happened
from audit.record import record
from scheduler.approving.reading import is_decision, rule_for
from scheduler.approving.review import review_again
from scheduler.approving.rules import difference
from scheduler.models import Decision, Gate, GateVote

ACTOR = "system:approvals"
EVERY = timedelta(minutes=10)  # a decision is looked at again
WATCHED = timedelta(days=90)  # for so long by the sweep; later when it counts
BATCH = 10  # in one sweep: decks are read for it


def stands(decision: Decision) -> bool:
    """Whether what was reviewed is still the same; voids the decision if not. False for one that was voided."""
    if decision.voided_at is not None:
        return False
    now = timezone.now()
    found = difference(decision.reviewed, review_again(decision.gate, decision.reviewed))
    if not found:
        Decision.objects.filter(pk=decision.pk).update(checked_at=now)
        return True
    void(decision, str(found), at=now)
    return False


def counts(gate: Gate) -> bool:
    """Whether what was said of the gate may be taken: by the rule that holds, about what is still the same."""
    found = latest_of(gate)
    if found is None or not found.reviewed:  # said before there was anything to review
        return not is_decision(gate) or rule_for(gate).is_default
    return stands(found)


def void(decision: Decision, reason: str, *, at: datetime) -> None:
    """It does not count from now on; once, whoever finds out."""
    with transaction.atomic():
        fresh = Decision.objects.filter(pk=decision.pk, voided_at__isnull=True)
        decision.voided_at, decision.void_reason = at, reason
        if not fresh.update(voided_at=at, void_reason=reason):
            return
        if decision.gate_id is not None:
            Gate.objects.filter(pk=decision.gate_id).update(voided_at=at)
        detail = {"reason": reason, "decision": decision.pk, "approved": decision.approved}
        project, domain = decision.place
        verb = "gate.void" if decision.gate_id is not None else "promotion.void"
        record(ACTOR, verb, decision.subject, project=project, domain=domain, detail=detail)
        happened(
            VOIDED,
            actor=ACTOR,
            version=decision.version,
            subject=decision.subject,
            place=decision.place,
            execution_key=decision.gate.execution.key if decision.gate is not None else "",
            name=decision.gate.signal_id if decision.gate is not None else "promote",
            detail={**detail, "voters": sorted({str(vote["actor"]) for vote in decision.votes})},
            at=at,
        )


def reopen(gate: Gate) -> None:
    """What was said does not count, and the engine did not take it yet: it is asked for again."""
    gate.value, gate.decided_at, gate.decided_by, gate.comment = None, None, "", ""
    gate.save(update_fields=["value", "decided_at", "decided_by", "comment"])
    GateVote.objects.filter(gate=gate, voided_at__isnull=True).update(voided_at=timezone.now())


def latest_of(gate: Gate) -> Decision | None:
    return whole().filter(gate=gate).order_by("-pk").first()


def whole() -> QuerySet[Decision]:
    """Decisions with what they are about."""
    related = ("gate__execution__workflow", "gate__node", "promotion__source__artifact", "version__artifact")
    heavy = [f"gate__execution__{name}" for name in ("spec", "workflow__spec", "workflow__closure")]
    heavy += [f"{name}__{one}" for name in ("promotion__source", "version") for one in ("literal", "card", "terms")]
    return Decision.objects.select_related(*related).defer(*heavy)


def look_again() -> int:
    """Decisions that nobody looked at for a while, the longest ago first; how many were voided."""
    now = timezone.now()
    due = whole().filter(voided_at__isnull=True, checked_at__lt=now - EVERY, at__gt=now - WATCHED)
    rows = due.exclude(reviewed={}).order_by("checked_at")[:BATCH]
    return sum(not stands(decision) for decision in rows)

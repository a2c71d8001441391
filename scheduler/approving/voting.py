"""One person's word about a gate, and what it comes to with those of others. Inside the transaction of the door's
action, which holds the execution's row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import QuerySet

from artifacts.exceptions import FailedPrecondition, InvalidArgument, PermissionDenied
from artifacts.happenings import VOIDED, happened
from audit.record import record
from scheduler.approving import reading
from scheduler.approving.review import Review
from scheduler.approving.rules import Outcome, Rule, Seats, seat_for, tally
from scheduler.authority import is_called_by_task
from scheduler.models import Decision, Gate, GateVote

ACTOR = "system:approvals"
LOST = "who gave them may not decide any more"
MAX_COMMENT = 10_000  # characters


class Said(NamedTuple):
    """What somebody says. `seen`: the digest of what he had before him, as the door showed it; empty: not told."""

    approve: bool
    actor: str
    comment: str = ""
    seen: str = ""


def vote(gate: Gate, said: Said, rule: Rule, review: Review | None, *, at: datetime) -> Outcome:
    """Keep the vote; what all of them come to now. A decision's row is written with the last one.

    PermissionDenied for who has no seat, FailedPrecondition for a second vote or for what changed since it was looked
    at, InvalidArgument for a rejection without a reason where a rule holds. `review` None: the node was not reached.
    """
    _check(gate, said, rule, review)
    digest = review.digest if review is not None else ""
    _void_others(gate, digest, at=at)
    seat = said.actor if rule.is_default else _seat(gate, said, rule, review, at=at)
    row = GateVote.objects.create(
        gate=gate,
        actor=said.actor,
        acting_for=seat,
        approve=said.approve,
        comment=said.comment,
        at=at,
        digest=digest,
    )
    votes = reading.standing_votes(gate)
    outcome = tally(rule, reading.as_votes(votes), digest=digest)
    if outcome is Outcome.PENDING:
        _record_vote(gate, row, votes, rule)
    else:
        _conclude(gate, outcome, rule, votes, review, at=at)
    return outcome


def _check(gate: Gate, said: Said, rule: Rule, review: Review | None) -> None:
    check_said(
        said, digest=review.digest if review is not None else "", what=gate.signal_id, reasoned=not rule.is_default
    )
    if not rule.is_default and review is None:
        raise FailedPrecondition(f"{gate.signal_id} was not reached yet: there is nothing to review before that")


def check_said(said: Said, *, digest: str, what: str, reasoned: bool) -> None:
    """FailedPrecondition for who looked at something else; where it has to be `reasoned`, PermissionDenied for a
    running task, InvalidArgument for a rejection without a reason.
    """
    if len(said.comment) > MAX_COMMENT:
        raise InvalidArgument(f"the comment is longer than {MAX_COMMENT} characters")
    if said.seen and said.seen != digest:
        raise FailedPrecondition(f"{what}: what you reviewed is not what is there now; look at it again, then decide")
    if not reasoned:
        return
    if is_called_by_task():
        raise PermissionDenied(f"{what} is decided by people, not by a running task")
    if not said.approve and not said.comment.strip():
        raise InvalidArgument(f"{what}: a rejection needs its reason, as comment")


def _seat(gate: Gate, said: Said, rule: Rule, review: Review | None, *, at: datetime) -> str:
    published_by = [review.version.created_by] if review is not None and review.version is not None else []
    seats = reading.seats_of(gate, rule, published_by=published_by)
    if lost := reading.without_seat(reading.standing_votes(gate), seats):
        _void(gate, GateVote.objects.filter(pk__in=[one.pk for one in lost]), LOST, at=at)
        seats = reading.seats_of(gate, rule, published_by=published_by)
    votes = reading.standing_votes(gate)
    return take_seat(said.actor, votes, seats, rule, project=gate.execution.project, what=gate.signal_id, at=at)


def take_seat(
    actor: str, votes: Iterable[GateVote], seats: Seats, rule: Rule, *, project: str, what: str, at: datetime
) -> str:
    """The seat that the actor decides in. FailedPrecondition for who has voted already, PermissionDenied for who has
    none, with who has.
    """
    if any(one.actor == actor for one in votes):
        raise FailedPrecondition(f"{actor} has decided about {what} already: nobody counts twice")
    seat = seat_for(actor, reading.chain_of(actor, project, at=at), seats, rule)
    if seat:
        return seat
    if actor in seats.authors and not rule.author_may:
        raise PermissionDenied(f"{actor} made what {what} is about: somebody else has to decide")
    allowed = sorted(seats.holders - (frozenset() if rule.author_may else seats.authors))
    raise PermissionDenied(
        f"{actor} may not decide about {what}: the rule {rule.where or 'without any'} lets "
        + (", ".join(allowed[:20]) or "nobody who is active")
    )


def _void_others(gate: Gate, digest: str, *, at: datetime) -> None:
    """Votes about what has changed since count for nothing; who gave them may vote again."""
    stale = GateVote.objects.filter(gate=gate, voided_at__isnull=True).exclude(digest=digest)
    _void(gate, stale, "what was reviewed changed", at=at)


def _void(gate: Gate, votes: QuerySet[GateVote], reason: str, *, at: datetime) -> None:
    if names := list(votes.values_list("actor", flat=True)):
        votes.update(voided_at=at)
        detail: dict[str, object] = {"votes_of": sorted(names), "reason": reason}
        _record(ACTOR, "gate.void", gate, detail)
        execution = gate.execution
        happened(
            VOIDED,
            actor=ACTOR,
            subject=f"{execution.key}/{gate.signal_id}",
            place=(execution.project, execution.domain),
            execution_key=execution.key,
            name=gate.signal_id,
            detail={"voters": sorted(names), "reason": reason},
            at=at,
        )


def _record_vote(gate: Gate, row: GateVote, votes: list[GateVote], rule: Rule) -> None:
    given = sum(one.approve == row.approve for one in votes)
    detail = {
        "approve": row.approve,
        "comment": row.comment,
        "acting_for": row.acting_for if row.acting_for != row.actor else "",
        "given": f"{given} of {rule.quorum if row.approve else rule.rejections}",
    }
    _record(row.actor, "gate.vote", gate, detail)


def _conclude(
    gate: Gate, outcome: Outcome, rule: Rule, votes: list[GateVote], review: Review | None, *, at: datetime
) -> None:
    Decision.objects.create(
        gate=gate,
        approved=outcome is Outcome.APPROVED,
        at=at,
        rule=rule.as_json(),
        votes=[vote_json(one) for one in votes],
        reviewed=review.parts if review is not None else {},
        digest=review.digest if review is not None else "",
        version=review.version if review is not None else None,
        checked_at=at,
    )


def vote_json(row: GateVote) -> dict[str, object]:
    """As a decision, its evidence and the doors show it."""
    return {
        "actor": row.actor,
        "acting_for": row.acting_for,
        "approve": row.approve,
        "comment": row.comment,
        "at": row.at.isoformat(),
        "digest": row.digest,
    }


def _record(actor: str, verb: str, gate: Gate, detail: dict[str, object]) -> None:
    execution = gate.execution
    subject = f"{execution.key}/{gate.signal_id}"
    record(actor, verb, subject, project=execution.project, domain=execution.domain, detail=detail)

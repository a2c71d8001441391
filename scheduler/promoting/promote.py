"""Promotion: a version goes to another domain or project by reference, with the approvals that its rule there asks for.

A rule of approving whose signal is `promote`, or `promote:NAME` for the artifact of that name, governs promotions to
its project and domain; where none does, whoever may decide there promotes at once.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.utils import timezone

from artifacts.actions.aliases import move_alias
from artifacts.actions.reference import publish_reference
from artifacts.exceptions import FailedPrecondition, InvalidArgument
from artifacts.governance.pointers import Mover
from artifacts.governance.standing import standing_of
from artifacts.happenings import Kind, happened
from artifacts.models import ArtifactVersion
from artifacts.names import check_alias, check_name, check_place
from audit.record import record
from lineage.actions.record import record_derivations
from scheduler.approving import reading
from scheduler.approving.happenings import PROMOTED, PROMOTION_ASKED, PROMOTION_REJECTED
from scheduler.approving.review import Review, review_of_version
from scheduler.approving.rules import Outcome, Rule, Seats, tally
from scheduler.approving.voting import Said, check_said, take_seat, vote_json
from scheduler.models import Decision, GateVote, Promotion
from scheduler.promoting.cache import carry_cache

MAX_REASON = 2000  # characters
State = Promotion.State
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def promote(
    source: ArtifactVersion,
    *,
    project: str,
    domain: str,
    name: str = "",
    alias: str = "",
    reason: str = "",
    actor: str,
    mover: Mover | None = None,
) -> Promotion:
    """Take the version there: at once, or, where a rule governs it, when it is approved. `name`: of the artifact there,
    the same unless given; `alias`: is moved to it there, by `mover`, with the roles he holds there. Asked for again, it
    is the first one.

    InvalidArgument for its own place, FailedPrecondition for a version that was removed, is quarantined or did not pass
    its checks, PolicyBroken where the alias's policy does not allow it.
    """
    name = name or source.artifact.name
    _check(source, project, domain, name, alias, reason)
    with transaction.atomic():
        with connection.cursor() as cursor:  # of two at once the second finds the first one's
            cursor.execute(_LOCK, [f"promote:{source.pk}:{project}/{domain}/{name}"])
        there = Promotion.objects.filter(source=source, project=project, domain=domain, name=name)
        present = there.exclude(state=State.REJECTED).first()
        if present is not None:
            return present
        promotion = Promotion.objects.create(
            source=source,
            project=project,
            domain=domain,
            name=name,
            alias=alias,
            reason=reason,
            requested_by=actor,
            requested_at=timezone.now(),
        )
        _record(promotion, actor, "promotion.request", {"reason": reason, "alias": alias})
        _happened(PROMOTION_ASKED, promotion, source, actor=actor, detail={"reason": reason})
        if rule_of(promotion).is_default:
            carry_out(promotion, actor=actor, mover=mover)
    return promotion


def _check(source: ArtifactVersion, project: str, domain: str, name: str, alias: str, reason: str) -> None:
    check_place(project, domain)
    check_name(name)
    if alias:
        check_alias(alias)
    if (project, domain, name) == source.artifact.key:
        raise InvalidArgument(f"{source} is there already: promote it to another domain, project or name")
    if source.removed_at is not None:
        raise FailedPrecondition(f"{source} was removed: there is nothing to promote")
    check_merits(source)
    if len(reason) > MAX_REASON:
        raise InvalidArgument(f"reason: at most {MAX_REASON} characters")


def check_merits(source: ArtifactVersion) -> None:
    """FailedPrecondition for a version that is quarantined, or that its checks do not let pass."""
    if source.is_shadow:
        raise FailedPrecondition(f"{source} is the output of a run beside production: it is not promoted")
    if source.quarantined_at is not None:
        raise FailedPrecondition(f"{source} is quarantined: release it before it is promoted")
    standing = standing_of(source.pk)
    if not standing.passed:
        raise FailedPrecondition(f"{source} cannot be promoted: it {standing.said()}")


def rule_of(promotion: Promotion) -> Rule:
    """The rule that governs it; the default one where none does."""
    return reading.promotion_rule(promotion.project, promotion.domain, promotion.name)


def vote(
    promotion: Promotion,
    *,
    approve: bool,
    actor: str,
    comment: str = "",
    seen: str = "",
    mover: Mover | None = None,
) -> Promotion:
    """One word about a promotion that waits; when those of the rule come together it is carried out, or rejected.

    `seen`: the digest of what was reviewed; FailedPrecondition when that changed, for a second vote and for one that
    does not wait; PermissionDenied for who has no seat; InvalidArgument for a rejection without a reason.
    """
    review = review_of_version(promotion.source)
    said = Said(approve, actor, comment, seen)
    with transaction.atomic():
        row = Promotion.objects.select_for_update(of=("self",)).get(pk=promotion.pk)
        row.source = promotion.source
        what = f"the promotion to {row.project}/{row.domain}/{row.name}"  # of what, a voter may not read
        if row.state != State.REQUESTED:
            raise FailedPrecondition(f"{what} was {row.state}: nothing waits any more")
        check_said(said, digest=review.digest, what=what, reasoned=True)
        rule, now = rule_of(row), timezone.now()
        votes = GateVote.objects.filter(promotion=row, voided_at__isnull=True)
        votes.exclude(digest=review.digest).update(voided_at=now)
        lost = reading.without_seat(list(votes), seats_of(row, rule))
        votes.filter(pk__in=[one.pk for one in lost]).update(voided_at=now)
        seats = seats_of(row, rule)
        seat = take_seat(actor, votes, seats, rule, project=row.project, what=what, at=now)
        GateVote.objects.create(
            promotion=row,
            actor=actor,
            acting_for=seat,
            approve=approve,
            comment=comment,
            at=now,
            digest=review.digest,
        )
        _record(row, actor, "promotion.vote", {"approve": approve, "comment": comment})
        standing = list(votes.order_by("pk"))
        outcome = tally(rule, reading.as_votes(standing), digest=review.digest)
        if outcome is not Outcome.PENDING:
            _conclude(row, outcome, rule, standing, review, mover=mover or Mover(actor))
    return row


def seats_of(row: Promotion, rule: Rule) -> Seats:
    """Who decides; neither who asked for it nor who published the version, unless the rule lets them."""
    voted = GateVote.objects.filter(promotion=row, voided_at__isnull=True)
    return Seats(
        holders=reading.holders(rule, row.project, row.domain, escalated=False),
        authors=frozenset({row.requested_by, row.source.created_by} - {""}),
        voted=frozenset(voted.values_list("acting_for", flat=True)),
    )


def _conclude(
    row: Promotion, outcome: Outcome, rule: Rule, votes: list[GateVote], review: Review, *, mover: Mover
) -> None:
    now = timezone.now()
    Decision.objects.create(
        promotion=row,
        approved=outcome is Outcome.APPROVED,
        at=now,
        rule=rule.as_json(),
        votes=[vote_json(one) for one in votes],
        reviewed=review.parts,
        digest=review.digest,
        version=row.source,
        checked_at=now,
    )
    if outcome is Outcome.APPROVED:
        row.source.refresh_from_db(fields=["quarantined_at", "removed_at"])
        check_merits(row.source)  # checks may have judged it since it was asked for
        carry_out(row, actor=row.requested_by, mover=mover)
        return
    row.state, row.ended_at = State.REJECTED, now
    row.save(update_fields=["state", "ended_at"])
    _record(row, mover.name, "promotion.reject", {"comment": votes[-1].comment})
    _happened(PROMOTION_REJECTED, row, row.source, actor=mover.name, detail={"comment": votes[-1].comment})


def carry_out(promotion: Promotion, *, actor: str, mover: Mover | None = None) -> None:
    """Publish it there, with its lineage, its cache entry and the alias, in the caller's transaction. Triggers there
    see it as any version. `mover`: who moves the alias, whoever asked for it.
    """
    source = promotion.source
    target = publish_reference(
        source, project=promotion.project, domain=promotion.domain, name=promotion.name, actor=actor
    )
    record_derivations([(source.pk, target.pk)])
    promotion.cache_key = carry_cache(source, target)
    promotion.target, promotion.state, promotion.ended_at = target, State.PROMOTED, timezone.now()
    promotion.save(update_fields=["cache_key", "target", "state", "ended_at"])
    if promotion.alias:
        reason = promotion.reason or f"promotion {promotion.pk}"  # who reads it there may not read the source
        move_alias(target, promotion.alias, actor=mover.name if mover else actor, reason=reason, mover=mover)
    _record(promotion, actor, "promotion.carry_out", {"target": str(target), "reason": promotion.reason})
    for version in (source, target):
        _happened(PROMOTED, promotion, version, actor=actor, detail={"reason": promotion.reason})


def _happened(
    kind: Kind, promotion: Promotion, version: ArtifactVersion, *, actor: str, detail: dict[str, object]
) -> None:
    happened(kind, actor=actor, version=version, name="promote", detail={"promotion": promotion.pk, **detail})


def _record(promotion: Promotion, actor: str, verb: str, detail: dict[str, object]) -> None:
    record(actor, verb, promotion, project=promotion.project, domain=promotion.domain, detail=detail)

"""Retention: what a policy would remove, and what stays although it is old, and why. Dry run first, then for real."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from artifacts.actions.retention import delete_objects, expired, lock_for_removal
from artifacts.happenings import EXPIRED
from artifacts.literals.numbers import plain
from artifacts.models import Artifact, ArtifactVersion, Removal, RetentionPolicy
from audit.record import record
from scheduler.actions.removal import reasons_to_stay, tombstone

logger = logging.getLogger(__name__)

ACTOR = "system:retention"
BATCH = 1000  # versions of one artifact looked at in one go; a run goes on until a round removes nothing
ROUNDS = 100
BUDGET = 60.0  # seconds of one run over all policies; the next goes on where it stopped
HEAVY = ("literal", "literal_type", "card", "terms")


@dataclass
class RetentionPlan:
    remove: list[ArtifactVersion] = field(default_factory=list)
    kept: list[tuple[ArtifactVersion, str]] = field(default_factory=list)  # old enough to go, with why it stays
    more: bool = False  # there are more old versions than were looked at


def plan_retention(policy: RetentionPolicy, *, skip: Iterable[int] = (), lock: bool = False) -> RetentionPlan:
    """The dry run: nothing is changed. `policy` need not be saved; of the old versions, the oldest BATCH but `skip`.

    With `lock` it stays true until the caller's transaction has ended: nothing begins to need what would go.
    """
    rows = expired(policy, now=timezone.now()).exclude(pk__in=list(skip)).select_related("artifact").defer(*HEAVY)
    candidates = list((lock_for_removal(rows) if lock else rows)[: BATCH + 1])
    plan = RetentionPlan(more=len(candidates) > BATCH)
    candidates = candidates[:BATCH]
    reasons = reasons_to_stay([version.pk for version in candidates], descendants=policy.keep_ancestors)
    for version in candidates:
        if version.pk in reasons:
            plan.kept.append((version, reasons[version.pk][0]))
        else:
            plan.remove.append(version)
    return plan


def kept_by_rule(policy: RetentionPolicy, *, limit: int) -> list[tuple[ArtifactVersion, str]]:
    """The newest of the versions that the rules themselves keep, with the rule."""
    now = timezone.now()
    old = expired(policy, now=now).values("pk").order_by()
    rows = ArtifactVersion.objects.filter(artifact=policy.artifact, removed_at__isnull=True).exclude(pk__in=old)
    found = []
    for version in rows.defer(*HEAVY).order_by("-created_at", "-pk")[:limit]:
        young = policy.keep_for is not None and version.created_at >= now - policy.keep_for
        newest = f"one of the newest {policy.keep_newest} of its partition"
        found.append((version, f"younger than {spell(policy)['keep_for']}" if young else newest))
    return found


def spell(policy: RetentionPolicy) -> dict[str, str]:
    """The rules in words, of those that are set."""
    rules = {}
    if policy.keep_newest is not None:
        rules["keep_newest"] = f"the newest {policy.keep_newest}"
    if policy.keep_for is not None:
        days = policy.keep_for.total_seconds() / 86_400
        rules["keep_for"] = f"{plain(days)} day{'s' if days != 1 else ''}"
    return rules


def apply_retention(policy: RetentionPolicy, *, actor: str = ACTOR, until: float | None = None) -> list[Removal]:
    """Remove what the plan says, as it is now. Objects are deleted when the rows have committed.

    `until`, by the monotonic clock: no further round of BATCH versions begins then.
    """
    rules = spell(policy)
    words = [f"keep {rules['keep_newest']}"] if "keep_newest" in rules else []
    words += [f"keep for {rules['keep_for']}"] if "keep_for" in rules else []
    removals: list[Removal] = []
    kept: set[int] = set()
    for _ in range(ROUNDS):
        with transaction.atomic():
            plan = plan_retention(policy, skip=kept, lock=True)
            kept |= {version.pk for version, _ in plan.kept}
            removals += tombstone(plan.remove, actor=actor, reason=f"retention: {', '.join(words)}", kind=EXPIRED)
            if plan.remove or not (plan.more or removals or actor == ACTOR):
                _record(policy.artifact, actor, removed=len(plan.remove))
        if not plan.more or (until is not None and time.monotonic() >= until):
            break
    delete_objects(until=until)
    return removals


def _record(artifact: Artifact, actor: str, *, removed: int) -> None:
    """One row for each transaction of a run; of the hourly runs only those that removed something."""
    record(actor, "retention.run", artifact, detail={"removed": removed})


def apply_all(*, after: int = 0, seconds: float = BUDGET) -> int | None:
    """Apply every policy behind the one with this key, each on its own, then delete the objects of what was removed.

    About `seconds` long, so that it holds up nobody: the key to go on after, None when all is done.
    """
    until = time.monotonic() + seconds
    for policy in RetentionPolicy.objects.select_related("artifact").filter(pk__gt=after).order_by("pk"):
        if time.monotonic() >= until:
            return after
        try:
            removed = apply_retention(policy, until=until)
        except Exception:  # one policy that fails must not keep the others from theirs
            logger.exception("retention of %s failed", policy.artifact)
            removed = []
        if removed and time.monotonic() >= until:
            return after  # with this one again: there may be more to remove
        after = policy.pk
    deleted = delete_objects(limit=None, until=until)
    return after if deleted and time.monotonic() >= until else None

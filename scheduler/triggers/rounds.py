"""Triggers on all of several artifacts: versions that belong together collect in a round, which fires once.

The caller holds the trigger's lock, so that arrivals at one trigger come one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from artifacts.literals.numbers import plain
from artifacts.models import ArtifactVersion
from artifacts.partition_values import digest_of
from artifacts.partitions import format_time
from scheduler.models import FiringOutcome, Trigger, TriggerFiring, TriggerRound, TriggerSource
from scheduler.triggers.coarser import (
    Coarser,
    coarser_of,
    finer_rounds,
    standing_in,
    standing_members,
    tell_standing,
)
from scheduler.triggers.firings import light, with_literals
from scheduler.triggers.moves import put, put_all
from scheduler.triggers.parse import TIME

Members = dict[int, ArtifactVersion]


def arrive(trigger: Trigger, firing: TriggerFiring) -> list[TriggerFiring]:
    """Puts the unsaved firing's version into its round and saves it; the heads of the rounds that are complete now.

    Of two versions for one place the newer counts, and the older is recorded as coalesced, also when it is evaluated
    late, after the round of the newer one was closed.
    """
    values = _shared(trigger, firing.version)
    if values is None:
        put(firing, FiringOutcome.FILTERED, reason=f"has no {' or '.join(trigger.join_on)} to be joined on")
        return []
    key = digest_of(values)
    sources = list(trigger.sources.all())
    newer = _newer_in_last_round(trigger, key, firing, sources)
    if newer is not None:
        reason = f"version {newer.version.version}, which is newer, was joined before"
        put(firing, FiringOutcome.COALESCED, reason=reason, round=newer.round)
        return []
    round_ = _expired_too_early(trigger, key, firing, sources) or _open_round(trigger, key, values, firing.published_at)
    put(firing, FiringOutcome.WAITING, round=round_)
    coarser = coarser_of(trigger, sources)
    standing = standing_in(trigger, round_, coarser, sources)
    heads = [firing] if _complete(firing, round_, sources, standing) else []
    if coarser:
        heads += _complete_finer(trigger, firing, coarser, sources)
    return heads


def _complete_finer(
    trigger: Trigger, firing: TriggerFiring, coarser: Coarser, sources: Sequence[TriggerSource]
) -> list[TriggerFiring]:
    """The heads of the open rounds that only lacked this version of a coarser artifact."""
    heads = []
    for round_ in finer_rounds(trigger, firing, coarser, sources):
        waiting = _waiting(round_)
        if waiting and _complete(waiting[-1], round_, sources, standing_in(trigger, round_, coarser, sources)):
            heads.append(waiting[-1])
    return heads


def _shared(trigger: Trigger, version: ArtifactVersion) -> dict[str, str] | None:
    """What the versions of a round have in common; None if the version lacks some of it."""
    values: dict[str, str] = {}
    for key in trigger.join_on:
        if key == TIME:
            text = format_time(version.time_partition) if version.time_partition is not None else None
        else:
            text = version.partitions.get(key)
        if text is None:
            return None
        values[key] = text
    return values


def _newer_in_last_round(
    trigger: Trigger, key: str, firing: TriggerFiring, sources: Sequence[TriggerSource]
) -> TriggerFiring | None:
    last = TriggerRound.objects.filter(trigger=trigger, key=key, closed_at__isnull=False).order_by("-closed_at").first()
    if last is None:
        return None
    joined = last.firings.exclude(outcome__in=[FiringOutcome.COALESCED, FiringOutcome.EXPIRED])
    own = {source.position for source in sources if source.takes(firing.version)}
    for one in light(joined).select_related("round"):
        places = {source.position for source in sources if source.takes(one.version)}
        if places & own and _order(one) > (firing.published_at, firing.version_id):
            return one
    return None


def _order(firing: TriggerFiring) -> tuple[datetime, int]:
    return firing.published_at, firing.version_id


def _expired_too_early(
    trigger: Trigger, key: str, firing: TriggerFiring, sources: Sequence[TriggerSource]
) -> TriggerRound | None:
    """A round that expired while this version, published within its time, was not evaluated yet: it goes on.

    Beside another round that was opened since only if this version completes it: at most one is open for a key.
    """
    if trigger.window_seconds is None:
        return None
    at, window = firing.published_at, timedelta(seconds=trigger.window_seconds)
    rounds = TriggerRound.objects.filter(trigger=trigger, key=key)
    within = rounds.filter(closed_at__isnull=False, head=None, expires_at__gte=at, opened_at__lte=at + window)
    found = within.order_by("-closed_at").first()
    expired = _with(found, FiringOutcome.EXPIRED) if found is not None else []
    if found is None or not expired:
        return None
    if rounds.filter(closed_at__isnull=True).exists():
        if len(_places([*expired, firing], sources)) < len(sources):
            return None
    else:
        found.closed_at = None
        found.save(update_fields=["closed_at"])
    put_all(TriggerFiring.objects.filter(pk__in=[one.pk for one in expired]), FiringOutcome.WAITING, reason="")
    return found


def _open_round(trigger: Trigger, key: str, values: dict[str, str], at: datetime) -> TriggerRound:
    """The open round for the key; one whose time was over when this version was published expires first."""
    found = TriggerRound.objects.filter(trigger=trigger, key=key, closed_at__isnull=True).first()
    if found is not None and found.expires_at is not None and at > found.expires_at:
        _expire(found)
        found = None
    if found is not None:
        return found
    window = trigger.window_seconds
    expires_at = at + timedelta(seconds=window) if window is not None else None
    return TriggerRound.objects.create(trigger=trigger, key=key, values=values, opened_at=at, expires_at=expires_at)


def _waiting(round_: TriggerRound) -> list[TriggerFiring]:
    return _with(round_, FiringOutcome.WAITING)


def _with(round_: TriggerRound, outcome: FiringOutcome) -> list[TriggerFiring]:
    """Its firings of that outcome, the oldest version first."""
    return sorted(light(round_.firings.filter(outcome=outcome)), key=_order)


def _places(firings: Iterable[TriggerFiring], sources: Sequence[TriggerSource]) -> dict[int, TriggerFiring]:
    """The newest firing for each source that has one."""
    return {
        source.position: firing for firing in firings for source in sources if source.takes(firing.version)
    }  # oldest first, so the newest stays


def _complete(
    head: TriggerFiring, round_: TriggerRound, sources: Sequence[TriggerSource], standing: Mapping[int, TriggerFiring]
) -> bool:
    waiting = _waiting(round_)
    places = _places(waiting, sources)
    kept = {firing.pk for firing in places.values()}
    for firing in waiting:
        if firing.pk not in kept:
            newer = next(one for one in reversed(waiting) if one.version.artifact_id == firing.version.artifact_id)
            reason = f"version {newer.version.version} came before the others did"
            put(firing, FiringOutcome.COALESCED, reason=reason)
    lacking = [str(source) for source in sources if source.position not in {*places, *standing}]
    if lacking:
        until = (
            f" until {format_time(round_.expires_at.replace(microsecond=0))}" if round_.expires_at is not None else ""
        )
        TriggerFiring.objects.filter(pk__in=kept).update(reason=f"waits{until} for {', '.join(lacking)}")
        return False
    # The chain that goes on is the longest one.
    longest = max([*waiting, *standing.values()], key=lambda firing: firing.generation)
    head.generation, head.root_id = longest.generation, longest.root_id
    round_.closed_at, round_.head = timezone.now(), head
    round_.standing = {str(place): one.pk for place, one in standing.items() if place not in places}
    round_.save(update_fields=["closed_at", "head", "standing"])
    return True


def would_complete(trigger: Trigger, version: ArtifactVersion) -> tuple[Members, str]:
    """The round as it would be if the version were published now, and which artifacts it would still lack."""
    values = _shared(trigger, version)
    if values is None:
        return {}, f"a version that has {' and '.join(trigger.join_on)}"
    sources = list(trigger.sources.all())
    own = TriggerRound(trigger=trigger, key=digest_of(values), values=values, opened_at=version.created_at)
    found = TriggerRound.objects.filter(trigger=trigger, key=own.key, closed_at__isnull=True).first()
    coarser = coarser_of(trigger, sources)
    if found is None and coarser:
        hypothetical = TriggerFiring(trigger=trigger, version=version, round=own)
        found = next(iter(finer_rounds(trigger, hypothetical, coarser, sources)), None)
    places = dict(standing_in(trigger, found or own, coarser, sources))
    places.update(_places(_waiting(found), sources) if found is not None else {})
    members = {position: firing.version for position, firing in places.items()}
    members.update({source.position: version for source in sources if source.takes(version)})
    return members, ", ".join(str(source) for source in sources if source.position not in members)


def members_of(firing: TriggerFiring) -> Members:
    """The versions that a firing of a complete round launches with, by the position of their source."""
    if firing.round_id is None:
        return {}
    left_out = [FiringOutcome.COALESCED, FiringOutcome.FILTERED]
    rows = TriggerFiring.objects.filter(round=firing.round_id).exclude(outcome__in=left_out)
    firings = sorted(with_literals(rows), key=_order)
    places = _places(firings, list(firing.trigger.sources.all()))
    return {**standing_members(firing), **{position: one.version for position, one in places.items()}}


def tell_mates(firing: TriggerFiring) -> None:
    """What came of a complete round is written on the others of it too; the latency stays with the one that fired."""
    if firing.round_id is None:
        return
    left_out = [FiringOutcome.COALESCED, FiringOutcome.FILTERED]
    mates = TriggerFiring.objects.filter(round=firing.round_id).exclude(pk=firing.pk).exclude(outcome__in=left_out)
    joined = f"joined by version {firing.version.version} of {firing.version.artifact.name}"
    # What a query found instead is for those who may read where it looked (telling), and not on these rows
    why = f"an input found no version of {', '.join(firing.lacks)}" if firing.lacks else firing.reason
    put_all(
        mates,
        FiringOutcome(firing.outcome),
        reason=joined + (f": {why}" if why else ""),
        execution=firing.execution,
        at=firing.at,
        lacks=[],
    )
    if firing.outcome == FiringOutcome.FIRED:
        tell_standing(firing, joined)


def due_rounds(*, limit: int) -> list[int]:
    """Open rounds whose time is over, those that are due longest first."""
    due = TriggerRound.objects.filter(closed_at__isnull=True, expires_at__lte=timezone.now())
    return list(due.order_by("expires_at", "pk").values_list("pk", flat=True)[:limit])


def expire_round(round_id: int) -> None:
    """Closes a round whose time is over, unless it was completed or prolonged since."""
    now = timezone.now()
    with transaction.atomic():
        trigger_ids = TriggerRound.objects.filter(pk=round_id).values("trigger_id")
        Trigger.objects.select_for_update(no_key=True).only("pk").get(pk__in=trigger_ids)
        round_ = TriggerRound.objects.filter(pk=round_id, closed_at__isnull=True, expires_at__lte=now).first()
        if round_ is not None:
            _expire(round_)


def _expire(round_: TriggerRound) -> None:
    sources = list(TriggerSource.objects.filter(trigger=round_.trigger_id))
    waiting = _waiting(round_)
    standing = standing_in(round_.trigger, round_, coarser_of(round_.trigger, sources), sources)
    places = {*_places(waiting, sources), *standing}
    lacking = ", ".join(str(source) for source in sources if source.position not in places)
    seconds = (round_.expires_at - round_.opened_at).total_seconds() if round_.expires_at else 0
    reason = f"no version of {lacking} within {plain(seconds)} s of the first"
    close(round_, FiringOutcome.EXPIRED, reason)


def close(round_: TriggerRound, outcome: FiringOutcome, reason: str) -> None:
    now = timezone.now()
    put_all(round_.firings.filter(outcome=FiringOutcome.WAITING), outcome, reason=reason, at=now)
    round_.closed_at = now
    round_.save(update_fields=["closed_at"])

"""Rounds over artifacts of different time granularity: every hour is joined with the day that it lies in.

Rounds are made by the finest artifacts, one for each of their time partitions. Times are compared in the coarser
granularity: the newest version of a coarser artifact for the period that a round lies in belongs to every round of that
period, whichever came first, and stays for those to come. So no hour waits for a day that has been published, and a day
that comes late launches once for each hour that waited. Of the coarser version itself the ledger keeps one row, which
says what came of the first round that took it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet

from artifacts.models import Artifact, ArtifactVersion, Granularity
from artifacts.partition_values import digest_of
from artifacts.partitions import format_time, parse_time, truncate
from scheduler.models import FiringOutcome, Trigger, TriggerFiring, TriggerRound, TriggerSource
from scheduler.triggers.firings import light, with_literals
from scheduler.triggers.moves import put_all
from scheduler.triggers.parse import TIME

Coarser = Mapping[int, int]  # position of a source: its artifact's granularity, where another's is finer
_WRITTEN = {Granularity.HOUR: 14, Granularity.DAY: 11, Granularity.MONTH: 8}  # letters of a time that name its period


def coarser_of(trigger: Trigger, sources: Sequence[TriggerSource]) -> Coarser:
    """Empty where all known artifacts have one granularity, or the trigger does not join on time.

    What an artifact's granularity is shows with its first version; until then it counts as none.
    """
    if TIME not in trigger.join_on:
        return {}
    rows = Artifact.objects.filter(name__in={source.name for source in sources}, granularity__gt=0)
    known = {(p, d, n): g for p, d, n, g in rows.values_list("project", "domain", "name", "granularity")}
    grains = {one.position: known.get((one.project, one.domain, one.name), 0) for one in sources}
    finest = min(filter(None, grains.values()), default=0)
    return {position: grain for position, grain in grains.items() if grain > finest}


def standing_in(
    trigger: Trigger, round_: TriggerRound, coarser: Coarser, sources: Sequence[TriggerSource]
) -> dict[int, TriggerFiring]:
    """For each coarser source the newest version that belongs to the round, as far as there is one.

    With a window it has to be published at most so long before the round's first version.
    """
    found = {}
    for source in sources:
        if source.position in coarser:
            for firing in _newest_first(trigger, round_, source, coarser[source.position])[:20]:
                if source.takes(firing.version):
                    found[source.position] = firing
                    break
    return found


def _newest_first(trigger: Trigger, round_: TriggerRound, source: TriggerSource, grain: int) -> QuerySet[TriggerFiring]:
    period = format_time(truncate(parse_time(round_.values[TIME]), grain))
    at = round_.opened_at
    there = Q(outcome__in=[FiringOutcome.WAITING, FiringOutcome.FIRED]) | Q(
        # It was given up while a version published in its time was not looked at yet.
        outcome=FiringOutcome.EXPIRED, round__expires_at__gte=at
    )  # fmt: skip
    rows = TriggerFiring.objects.filter(
        there, trigger=trigger, round__key=digest_of({**round_.values, TIME: period}),
        version__artifact__project=source.project, version__artifact__domain=source.domain,
        version__artifact__name=source.name,
        version__removed_at__isnull=True, version__quarantined_at__isnull=True,
    )  # fmt: skip
    if round_.pk is not None:
        rows = rows.exclude(round=round_.pk)
    if trigger.window_seconds is not None:
        rows = rows.filter(published_at__gte=at - timedelta(seconds=trigger.window_seconds))
    return light(rows).order_by("-published_at", "-version_id")


def finer_rounds(
    trigger: Trigger, firing: TriggerFiring, coarser: Coarser, sources: Sequence[TriggerSource]
) -> list[TriggerRound]:
    """The open rounds, in the order of their times, that lie in the period of a version of a coarser artifact."""
    version = firing.version
    grains = {coarser.get(source.position, 0) for source in sources if source.takes(version)}
    if firing.round is None or version.time_partition is None or 0 in grains or not grains:
        return []
    values = firing.round.values
    rows = TriggerRound.objects.filter(
        trigger=trigger,
        closed_at__isnull=True,
        values__contains={key: value for key, value in values.items() if key != TIME},
        values__time_partition__startswith=values[TIME][: _WRITTEN[Granularity(grains.pop())]],
    ).exclude(pk=firing.round.pk)
    if trigger.window_seconds is not None:  # one that was over when this was published has expired
        rows = rows.filter(expires_at__gte=firing.published_at or version.created_at)
    return sorted(rows, key=lambda round_: str(round_.values[TIME]))


def standing_members(firing: TriggerFiring) -> dict[int, ArtifactVersion]:
    """The versions of coarser artifacts that the complete round of a firing took."""
    standing = firing.round.standing if firing.round is not None else {}
    if not standing:
        return {}
    rows = with_literals(TriggerFiring.objects.filter(pk__in=standing.values())).in_bulk()
    return {int(position): rows[pk].version for position, pk in standing.items()}


def tell_standing(firing: TriggerFiring, reason: str) -> None:
    """What came of the first round that took a version of a coarser artifact is written on it, once it launched."""
    standing = list(firing.round.standing.values()) if firing.round is not None else []
    if not standing:
        return
    told = TriggerFiring.objects.filter(pk__in=standing).exclude(outcome=FiringOutcome.FIRED)
    rounds = set(told.values_list("round_id", flat=True))
    put_all(told, FiringOutcome.FIRED, reason=reason, execution=firing.execution, at=firing.at, lacks=[], queued=False)
    left = TriggerFiring.objects.filter(outcome=FiringOutcome.WAITING)
    for round_ in TriggerRound.objects.filter(pk__in=rounds, head=None):
        if not left.filter(round=round_).exists():
            round_.closed_at, round_.head = firing.at, firing
            round_.save(update_fields=["closed_at", "head"])

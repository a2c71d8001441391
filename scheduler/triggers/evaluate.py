"""What a newly published version sets off: each matching trigger launches once, and the ledger says what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from artifacts.exceptions import CausewayError, ResourceExhausted
from artifacts.models import ArtifactVersion
from scheduler.models import FiringOutcome, Trigger, TriggerFiring
from scheduler.triggers.chain import Generation, check_chain, generation_of
from scheduler.triggers.launching import launch_for
from scheduler.triggers.plan import plan_of
from scheduler.triggers.resolve import resolve_inputs

logger = logging.getLogger(__name__)

FIRST_RETRY = timedelta(seconds=10)
LAST_RETRY = timedelta(hours=1)
OPEN = (FiringOutcome.UNRESOLVED, FiringOutcome.WAITING)


# Locks the version against a second worker, and tells whether anything cares for it: of most versions, nothing does.
_NEWS = """
    SELECT
        EXISTS (
            SELECT 1 FROM scheduler_trigger AS watching
            WHERE watching.active AND watching.artifact_name = artifact.name
              AND watching.artifact_project = artifact.project AND watching.artifact_domain = artifact.domain
              AND watching.activated_at <= version.created_at
        ),
        EXISTS (
            SELECT 1 FROM scheduler_triggerfiring AS firing
            WHERE firing.outcome IN ('waiting', 'unresolved')
              AND firing.lacks @> ARRAY[artifact.project || '/' || artifact.domain || '/' || artifact.name]::varchar[]
        )
    FROM artifacts_artifactversion AS version
    JOIN artifacts_artifact AS artifact ON artifact.id = version.artifact_id
    WHERE version.id = %s AND version.triggers_evaluated_at IS NULL
    FOR NO KEY UPDATE OF version SKIP LOCKED
"""
_DONE = "UPDATE artifacts_artifactversion SET triggers_evaluated_at = clock_timestamp() WHERE id = %s"


def evaluate_version(version_id: int) -> None:
    """Fire the triggers that the version matches; try unresolved firings that lacked its artifact. Once, whoever calls.

    One transaction: the version's row lock keeps a second worker out, and launches, ledger rows and the note that the
    version is done commit together. A launch that fails is undone alone and recorded.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NEWS, [version_id])
        news = cursor.fetchone()
        if news is None:  # done, or being done
            return
        watched, lacked = news
        if watched or lacked:
            version = ArtifactVersion.objects.select_related("artifact").defer("card", "terms").get(pk=version_id)
            if watched:
                _fire_all(version)
            if lacked:
                for firing_id in _lacking(version):
                    retry_firing(firing_id)
        cursor.execute(_DONE, [version_id])


def _fire_all(version: ArtifactVersion) -> None:
    triggers = watching(version)
    matching = [trigger for trigger in triggers if fires_for(trigger, version)]
    _note_filtered([trigger for trigger in triggers if not fires_for(trigger, version)], version)
    if matching:
        generation = generation_of(version)
        for trigger in matching:
            _fire(trigger, version, generation)


def watching(version: ArtifactVersion) -> list[Trigger]:
    """The active triggers on the version's artifact that were active when it was published."""
    artifact = version.artifact
    return list(
        Trigger.objects.filter(
            active=True,
            artifact_name=artifact.name,
            artifact_project=artifact.project,
            artifact_domain=artifact.domain,
            activated_at__lte=version.created_at,
        ).order_by("pk")
    )


def fires_for(trigger: Trigger, version: ArtifactVersion) -> bool:
    """Whether the version has the partition values that the trigger watches."""
    return all(version.partitions.get(key) == value for key, value in trigger.partitions.items())


def _note_filtered(triggers: Iterable[Trigger], version: ArtifactVersion) -> None:
    now = timezone.now()
    rows = [
        TriggerFiring(
            trigger=trigger,
            version=version,
            outcome=FiringOutcome.FILTERED,
            reason=f"watches {', '.join(f'{key}={value}' for key, value in sorted(trigger.partitions.items()))}",
            published_at=version.created_at,
            at=now,
        )
        for trigger in triggers
    ]
    if rows:
        TriggerFiring.objects.bulk_create(rows, ignore_conflicts=True)


def _fire(trigger: Trigger, version: ArtifactVersion, generation: Generation) -> None:
    firing = TriggerFiring(
        trigger=trigger,
        version=version,
        outcome=FiringOutcome.UNRESOLVED,
        published_at=version.created_at,
        at=timezone.now(),
        generation=generation.number,
        root_id=generation.root_id,
    )
    stop = check_chain(generation)
    if stop:
        firing.outcome, firing.reason = FiringOutcome.SKIPPED, stop
    else:
        _attempt(firing)
    TriggerFiring.objects.bulk_create([firing], ignore_conflicts=True)


def _attempt(firing: TriggerFiring) -> None:
    """Resolve and launch; the outcome is set on the firing, which the caller saves in the same transaction."""
    firing.reason, firing.lacks, firing.retry_at = "", [], None
    try:
        with transaction.atomic():
            resolved = resolve_inputs(plan_of(firing.trigger_id), firing.version)
            firing.resolution = resolved.notes
            if resolved.unresolved:
                firing.outcome = FiringOutcome.UNRESOLVED
                firing.reason = "; ".join(resolved.unresolved)
                firing.lacks = sorted(set(resolved.lacks))
                firing.retry_at = _next_try(firing)
                return
            firing.execution = launch_for(firing.trigger, firing.version, resolved)
    except OperationalError:
        raise  # the database itself: nothing can be recorded, the sweep tries all of it again
    except ResourceExhausted as error:  # the launch plan's concurrency policy says skip
        firing.outcome, firing.reason, firing.execution = FiringOutcome.SKIPPED, error.message, None
    except CausewayError as error:
        firing.outcome, firing.reason, firing.execution = FiringOutcome.FAILED, error.message, None
    except Exception as error:  # noqa: BLE001 - one launch must not keep others from theirs, nor repeat for ever unseen
        logger.exception("trigger %s could not launch for version %s", firing.trigger_id, firing.version_id)
        firing.outcome, firing.reason, firing.execution = FiringOutcome.UNRESOLVED, f"launch broke off: {error}", None
        firing.retry_at = _next_try(firing)
    else:
        firing.outcome, firing.at = FiringOutcome.FIRED, timezone.now()
        firing.latency_ms = (firing.at - firing.published_at).total_seconds() * 1000


def _next_try(firing: TriggerFiring) -> datetime:
    wait = FIRST_RETRY * (1 << min(firing.tries - 1, 16))
    return timezone.now() + min(wait, LAST_RETRY)


def _lacking(version: ArtifactVersion) -> list[int]:
    """Unresolved firings to which this version may be what they lacked."""
    lacking = TriggerFiring.objects.filter(outcome__in=OPEN, lacks__contains=[str(version.artifact)])
    return list(lacking.exclude(version=version).order_by("pk").values_list("pk", flat=True))


def retry_firing(firing_id: int, *, force: bool = False) -> FiringOutcome | None:
    """Try an unresolved firing again (`force`: a failed one too, as a person asks for). None: nothing to try."""
    outcomes = (*OPEN, FiringOutcome.FAILED) if force else OPEN
    with transaction.atomic():
        firing = (
            TriggerFiring.objects.select_for_update(of=("self",), no_key=True)
            .filter(pk=firing_id, outcome__in=outcomes)
            .select_related("trigger", "version__artifact")
            .first()
        )
        if firing is None:
            return None
        _retry(firing)
        return FiringOutcome(firing.outcome)


def _retry(firing: TriggerFiring) -> None:
    firing.tries += 1
    if firing.trigger.active:
        _attempt(firing)
    else:
        firing.outcome, firing.retry_at = FiringOutcome.SKIPPED, None
        firing.reason = "the launch plan was deactivated before the inputs resolved"
    firing.at = timezone.now()
    firing.save()


def sweep_triggers(*, limit: int = 500) -> int:
    """What lost wake-ups left: versions not evaluated, and firings whose next try is due. The number looked at."""
    versions = ArtifactVersion.objects.filter(triggers_evaluated_at__isnull=True).order_by("pk")
    due = TriggerFiring.objects.filter(retry_at__lte=timezone.now()).order_by("retry_at")
    found = list(versions.values_list("pk", flat=True)[:limit])
    firings = list(due.values_list("pk", flat=True)[:limit])
    for version_id in found:
        _quietly(evaluate_version, version_id)
    for firing_id in firings:
        _quietly(retry_firing, firing_id)
    return len(found) + len(firings)


def _quietly(action: Callable[[int], object], pk: int) -> None:
    """One that fails must not keep the sweep from the others; it comes round again."""
    try:
        action(pk)
    except Exception:
        logger.exception("%s(%s) failed", action.__name__, pk)

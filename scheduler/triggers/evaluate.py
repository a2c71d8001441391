"""What a newly published version sets off: each matching trigger launches once, and the ledger says what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from artifacts.arrays import column_of
from artifacts.exceptions import AlreadyExists, FailedPrecondition
from artifacts.happenings import PUBLISHED
from artifacts.models import Artifact, ArtifactVersion, Happening
from artifacts.prepared import prepared
from artifacts.written_out import row_of, selection
from audit.record import record
from scheduler.actions.launch_rows import NotTogether, written_together
from scheduler.asked_once import asking_once
from scheduler.models import FiringOutcome, Trigger, TriggerFiring, TriggerMode
from scheduler.triggers.attempts import Came, attempt
from scheduler.triggers.chain import Generation, check_chain, generation_of, release
from scheduler.triggers.filtered import note_filtered
from scheduler.triggers.matching import matching
from scheduler.triggers.moves import Ledger, put, put_once
from scheduler.triggers.queue import carried, enqueue, lock_trigger, settle_queue, unsettled
from scheduler.triggers.rounds import arrive, due_rounds, expire_round, tell_mates

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")
AT_ONCE = 10  # versions evaluated in one transaction: what comes of the first waits for the last

# Locks versions against a second worker, and tells whether anything cares for them: of most versions, nothing does.
_NEWS = """
    SELECT
        version.id,
        (
            SELECT count(DISTINCT source.trigger_id) FROM scheduler_triggersource AS source
            JOIN scheduler_trigger AS watching ON watching.id = source.trigger_id
            WHERE source.active AND source.alias = '' AND source.name = artifact.name
              AND source.project = artifact.project AND source.domain = artifact.domain
              AND watching.activated_at <= version.created_at
        ),
        EXISTS (
            SELECT 1 FROM scheduler_triggerfiring AS firing
            WHERE firing.outcome IN ('waiting', 'unresolved')
              AND firing.lacks @> ARRAY[artifact.project || '/' || artifact.domain || '/' || artifact.name]::varchar[]
        )
    FROM artifacts_artifactversion AS version
    JOIN artifacts_artifact AS artifact ON artifact.id = version.artifact_id
    WHERE version.id = ANY(%s::bigint[]) AND version.triggers_evaluated_at IS NULL
    ORDER BY version.id FOR NO KEY UPDATE OF version SKIP LOCKED
"""
# Versions that fire; below, with the happenings of their publication.
_VERSIONS = ArtifactVersion.objects.select_related("artifact").defer("card", "terms")
_FIRING = """
    SELECT {version}, {artifact}, (
        SELECT id FROM artifacts_happening AS happening
        WHERE happening.version_id = version.id AND kind = %s::text ORDER BY id LIMIT 1
    )
    FROM artifacts_artifactversion AS version JOIN artifacts_artifact AS artifact ON artifact.id = version.artifact_id
    WHERE version.id = ANY(%s::bigint[]) ORDER BY version.id
"""
_DONE = "UPDATE artifacts_artifactversion SET triggers_evaluated_at = clock_timestamp() WHERE id = ANY(%s::bigint[])"


def _published(version_ids: Collection[int]) -> dict[int, Fact]:
    """Their publications, as triggers on them fire for them, by the versions' keys."""
    if not version_ids:
        return {}
    whole, place = (
        selection(ArtifactVersion, of="version", without=("card", "terms")),
        selection(Artifact, of="artifact"),
    )
    with prepared() as cursor:
        statement = _FIRING.format(version=whole.columns, artifact=place.columns)
        cursor.execute(statement, [PUBLISHED.name, column_of(version_ids)])
        rows = cursor.fetchall()
    facts = {}
    for *found, publication in rows:
        version = row_of(ArtifactVersion, whole, found)
        version.artifact = row_of(Artifact, place, found[len(whole.names) :])
        facts[version.pk] = Fact(version, version.created_at, publication)
    return facts


def evaluate_version(version_id: int) -> None:
    """Fire the triggers that the version matches; try unresolved firings that lacked its artifact. Once, whoever calls.

    One transaction: the version's row lock keeps a second worker out, and launches, ledger rows and the note that the
    version is done commit together. A launch that fails is undone alone and recorded.
    """
    while True:
        try:
            _evaluate([version_id])
        except _Switched:  # the next look sees which version of the launch plan took over
            continue
        return


class _Switched(Exception):
    """A matching trigger was switched off while its lock was waited for."""


def evaluate_together(version_ids: Sequence[int]) -> None:
    """As `evaluate_version` for each, in one transaction, which spares a commit for each. Those of which something
    goes one by one, and all of them where the transaction fails, are evaluated each alone; one that fails is left to
    the sweep.
    """
    alone: Sequence[int] = version_ids
    try:
        ledger = Ledger()
        with transaction.atomic(), asking_once():
            with written_together():
                held_back = _evaluate(version_ids, ledger)
            ledger.write()
        alone = held_back
    except (NotTogether, AlreadyExists):
        pass
    except Exception:
        logger.exception("versions %s could not be evaluated together", version_ids)
    for pk in alone:
        _quietly(f"evaluate_version({pk})", partial(evaluate_version, pk))


def _evaluate(version_ids: Sequence[int], ledger: Ledger | None = None) -> Sequence[int]:
    """With a `ledger`, together, which are not held up behind locks, and no part of a chain is, as that counts what was
    launched: those returned have to be evaluated alone, and nothing is done for them. Others than those that are done
    or being done.
    """
    with transaction.atomic(savepoint=ledger is None):
        with prepared() as cursor:
            cursor.execute(_NEWS, [column_of(version_ids)])
            news = {pk: (watched, lacked) for pk, watched, lacked in cursor.fetchall()}
        facts = _published([pk for pk, (watched, lacked) in news.items() if watched or lacked])
        left = [pk for pk, fact in facts.items() if not _fire_for(fact, *news[pk], ledger)]
        done = news.keys() - set(left)
        if done:
            with prepared() as cursor:
                cursor.execute(_DONE, [column_of(sorted(done))])
    return left


def _fire_for(fact: Fact, watched: int, lacked: bool, ledger: Ledger | None) -> bool:
    """False: as `_evaluate` says, alone."""
    version = fact.version
    triggers = matching(version) if watched else []
    lacking = _lacking(version) if lacked else []
    by_itself = lacking or version.execution_key or any(trigger.is_guarded for trigger in triggers)
    if ledger is not None and by_itself:
        return False
    guarded = _lock(triggers, [firing.trigger for firing in lacking])
    if not all(guarded[trigger.pk].active for trigger in triggers if trigger.pk in guarded):
        raise _Switched
    _fire_all(fact, triggers, guarded, put_once if ledger is None else ledger.put)
    if watched > len(triggers):
        note_filtered(version, fact.happening_id)
    for firing in lacking:
        retry_firing(firing.pk)
    return True


def _lock(*triggers: Iterable[Trigger]) -> dict[int, Trigger]:
    """Those of the triggers whose firings go one by one, locked in one order, so that nobody waits in a circle."""
    guarded = {trigger.pk for group in triggers for trigger in group if trigger.is_guarded}
    return {pk: lock_trigger(pk) for pk in sorted(guarded)}


@dataclass(frozen=True)
class Fact:
    """What triggers fire for: that a version was published, an alias moved to it, a check of it is asked for; when."""

    version: ArtifactVersion
    at: datetime
    happening_id: int | None  # None: published before happenings were kept


def evaluate_happening(happening: Happening) -> None:
    """Fire the triggers on what happened (an alias moved), in the transaction that notes the happening as handled."""
    if happening.version_id is None:
        return
    version = _VERSIONS.get(pk=happening.version_id)
    triggers = matching(version, alias=happening.name, at=happening.at)
    _fire_active(Fact(version, happening.at, happening.pk), triggers)


def fire_for(version_id: int, trigger_ids: Sequence[int]) -> None:
    """Fire these triggers for a version that was published before they were active, in the caller's transaction, which
    holds the version's lock.

    By the publication's happening, as they would have been then: one that has fired for it does nothing.
    """
    triggers = list(Trigger.objects.filter(pk__in=trigger_ids, active=True).defer("condition").order_by("pk"))
    _fire_active(_published([version_id])[version_id], triggers)


def _fire_active(fact: Fact, triggers: Sequence[Trigger]) -> None:
    guarded = _lock(triggers)
    still = [trigger for trigger in triggers if trigger.pk not in guarded or guarded[trigger.pk].active]
    _fire_all(fact, still, guarded)


def evaluate_asked(happening: Happening, trigger: Trigger) -> TriggerFiring:
    """Fire the trigger of the check that is asked for, as above: what came of it."""
    version = _VERSIONS.get(pk=happening.version_id or 0)
    _fire_all(Fact(version, happening.at, happening.pk), [trigger], _lock([trigger]))
    return TriggerFiring.objects.select_related("execution").get(trigger=trigger, happening=happening)


def _fire_all(
    fact: Fact, triggers: Sequence[Trigger], guarded: dict[int, Trigger], put_new: Callable[..., None] = put_once
) -> None:
    if triggers:
        generation = generation_of(fact.version)
        for trigger in triggers:
            _fire(guarded.get(trigger.pk, trigger), fact, generation, put_new, guarded=trigger.pk in guarded)


def _fire(trigger: Trigger, fact: Fact, generation: Generation, put_new: Callable[..., None], *, guarded: bool) -> None:
    version = fact.version
    firing = TriggerFiring(
        trigger=trigger,
        version=version,
        happening_id=fact.happening_id,
        published_at=fact.at,
        at=timezone.now(),
        generation=generation.number,
        root_id=generation.root_id,
    )
    stop = _gone(version) or check_chain(generation)
    if stop:
        put_new(firing, FiringOutcome.SKIPPED, reason=stop)
    elif guarded:
        same = TriggerFiring.objects.filter(trigger=trigger, version=version, happening=fact.happening_id)
        if not same.exists():
            _fire_guarded(trigger, firing)
    else:
        put_new(firing, **attempt(firing))


def _gone(version: ArtifactVersion) -> str:
    return "the version was removed before its triggers were looked at" if version.removed_at is not None else ""


def _fire_guarded(trigger: Trigger, firing: TriggerFiring) -> None:
    for head in arrive(trigger, firing) if trigger.mode == TriggerMode.ALL else [firing]:
        enqueue(trigger, head)


def _lacking(version: ArtifactVersion) -> list[TriggerFiring]:
    """Unresolved firings to which this version may be what they lacked."""
    lacking = TriggerFiring.objects.filter(outcome=FiringOutcome.UNRESOLVED, lacks__contains=[str(version.artifact)])
    return list(lacking.exclude(version=version).select_related("trigger").defer("trigger__condition").order_by("pk"))


_BY_HAND = (FiringOutcome.UNRESOLVED, FiringOutcome.FAILED, FiringOutcome.SKIPPED, FiringOutcome.EXPIRED)


def retry_by_hand(firing_id: int, *, actor: str) -> TriggerFiring:
    """Launch after all for a version whose firing was skipped, failed or did not resolve; limits and pauses hold.

    A chain that was stopped may go on. FailedPrecondition: it launched, waits by itself, or was not for this trigger.
    """
    with transaction.atomic():
        found = TriggerFiring.objects.select_related("round").get(pk=firing_id)
        head_id = found.round.head_id if found.round is not None else firing_id
        if head_id is None:
            raise FailedPrecondition("its round was never complete: publish what it lacks, and the version again")
        outcome = retry_firing(head_id, force=True)
        if outcome is None:
            found.refresh_from_db()
            raise FailedPrecondition(
                f"firing {firing_id} is {found.outcome}: only what was {', '.join(_BY_HAND)} is tried again"
            )
        plan = found.trigger.launch_plan
        record(actor, "firing.retry", f"{plan} firing {firing_id}", project=plan.project, domain=plan.domain)
    found.refresh_from_db()
    return found


# Whether the version's triggers are to be evaluated, and which firings its checks hold back, alone or for their round.
_AGAIN = """
    SELECT version.triggers_evaluated_at IS NULL, ARRAY(
        SELECT firing.id FROM scheduler_triggerfiring AS firing WHERE firing.held AND (
            firing.version_id = version.id OR firing.round_id IN (
                SELECT mate.round_id FROM scheduler_triggerfiring AS mate
                WHERE mate.version_id = version.id AND NOT mate.held AND mate.round_id IS NOT NULL
            )
        ) ORDER BY firing.id
    ) FROM artifacts_artifactversion AS version WHERE version.id = %s
"""


def look_again_at(version_id: int) -> None:
    """The checks of the version say something else: evaluate it if that was not done, and look again at what waits for
    them, or was skipped for them. One statement where there is nothing to do.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AGAIN, [version_id])
        new, held = cursor.fetchone() or (False, [])
    if new:
        evaluate_version(version_id)
    for pk in held:
        retry_firing(pk, held=True)


def retry_firing(firing_id: int, *, force: bool = False, held: bool = False) -> FiringOutcome | None:
    """Try an unresolved firing again (`force`: one that was skipped or failed too; `held`: one that checks hold back).

    None: nothing to try.
    """
    outcomes = _BY_HAND if force else (FiringOutcome.UNRESOLVED,)
    which = Q(held=True) if held else Q(outcome__in=outcomes)
    with transaction.atomic():
        trigger_id = TriggerFiring.objects.values_list("trigger_id", flat=True).filter(pk=firing_id).first()
        if trigger_id is None:
            return None
        trigger = Trigger.objects.defer("condition").get(pk=trigger_id)
        if trigger.is_guarded:  # before the firing, as everybody locks them
            trigger = lock_trigger(trigger_id)
        firing = (
            TriggerFiring.objects.select_for_update(of=("self",), no_key=True)
            .filter(which, pk=firing_id)
            .select_related("version__artifact")
            .defer("version__card", "version__terms", "version__metadata")
            .first()
        )
        if firing is None:
            return None
        firing.trigger = trigger
        if force:
            release(firing)
        _retry(firing)
        return FiringOutcome(firing.outcome)


def _retry(firing: TriggerFiring) -> None:
    firing.tries += 1
    firing.at = timezone.now()
    if firing.trigger.active and (firing.trigger.is_limited or firing.trigger.paused_at is not None):
        enqueue(firing.trigger, firing)
        firing.refresh_from_db()
        return
    came: Came = {"to": FiringOutcome.SKIPPED, "retry_at": None, "held": False}
    came["reason"] = "the launch plan was deactivated before the inputs resolved"
    if firing.trigger.active:
        came = attempt(firing)
    put(firing, **{**carried(firing), **came})
    tell_mates(firing)


def sweep_triggers(*, limit: int = 500) -> int:
    """What lost wake-ups left: versions not evaluated, firings whose next try is due, queues, rounds. The number."""
    versions = _quietly("unevaluated", partial(_unevaluated, limit=limit)) or []
    for start in range(0, len(versions), AT_ONCE):
        evaluate_together(versions[start : start + AT_ONCE])
    steps: tuple[tuple[Callable[..., list[int]], Callable[[int], object]], ...] = (
        (_due_again, retry_firing),
        (unsettled, settle_queue),
        (due_rounds, expire_round),
    )
    swept = len(versions)
    for look, action in steps:
        found = _quietly(look.__name__, partial(look, limit=limit)) or []
        for pk in found:
            _quietly(f"{action.__name__}({pk})", partial(action, pk))
        swept += len(found)
    return swept


def _unevaluated(*, limit: int) -> list[int]:
    versions = ArtifactVersion.objects.filter(triggers_evaluated_at__isnull=True).order_by("pk")
    return list(versions.values_list("pk", flat=True)[:limit])


def _due_again(*, limit: int) -> list[int]:
    due = TriggerFiring.objects.filter(retry_at__lte=timezone.now(), queued=False).order_by("retry_at", "pk")
    return list(due.values_list("pk", flat=True)[:limit])


def _quietly(what: str, action: Callable[[], Answer]) -> Answer | None:
    """One that fails must not keep the others from their turn; the sweep comes round to it."""
    try:
        return action()
    except Exception:
        logger.exception("%s failed", what)
        return None

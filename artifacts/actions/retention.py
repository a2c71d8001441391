"""Letting versions go, by policy or by hand. The row stays as a tombstone, for lineage; the data goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from django.db import transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from artifacts.actions.holding import lock_data, lock_holds
from artifacts.actions.holds import held, words_of
from artifacts.exceptions import CausewayError, FailedPrecondition, InvalidArgument, NotFound
from artifacts.happenings import REMOVED, Kind, a_happening, write
from artifacts.models import Alias, Artifact, ArtifactVersion, Removal, RetentionPolicy
from artifacts.store import store
from artifacts.uploads import AREA
from audit.record import record

logger = logging.getLogger(__name__)

BATCH = 200  # removals whose objects are looked for in one go
MAX_NEWEST = 1_000_000
MAX_AGE = timedelta(days=36_500)


def set_policy(
    artifact: Artifact,
    *,
    keep_newest: int | None = None,
    keep_for: timedelta | None = None,
    keep_ancestors: bool = True,
    actor: str,
) -> RetentionPolicy:
    """Replace the artifact's policy; InvalidArgument for one without a rule, or that would keep nothing at all."""
    check_rules(keep_newest, keep_for)
    values = {"keep_newest": keep_newest, "keep_for": keep_for, "keep_ancestors": keep_ancestors}
    with transaction.atomic():
        policy, _ = RetentionPolicy.objects.update_or_create(
            artifact=artifact, defaults={**values, "set_by": actor, "set_at": timezone.now()}
        )
        days = None if keep_for is None else keep_for / timedelta(days=1)
        detail = {"keep_newest": keep_newest, "keep_days": days, "keep_ancestors": keep_ancestors}
        record(actor, "retention.set", artifact, detail=detail)
    return policy


def drop_policy(artifact: Artifact, *, actor: str) -> None:
    """From now on everything is kept. NotFound when there is no policy."""
    with transaction.atomic():
        if not RetentionPolicy.objects.filter(artifact=artifact).delete()[0]:
            raise NotFound(f"{artifact} has no retention policy: everything is kept")
        record(actor, "retention.remove", artifact)


def check_rules(keep_newest: int | None, keep_for: timedelta | None) -> None:
    """InvalidArgument for a policy without a rule, or one that would keep nothing at all."""
    if keep_newest is None and keep_for is None:
        raise InvalidArgument("a retention policy needs a rule: keep the newest so many, or keep for so long")
    if keep_newest is not None and keep_newest < 1:
        raise InvalidArgument(f"keep_newest must be at least 1, not {keep_newest}")
    if keep_for is not None and keep_for <= timedelta(0):
        raise InvalidArgument("keep_for must be longer than nothing")
    if keep_newest is not None and keep_newest > MAX_NEWEST:
        raise InvalidArgument(f"keep_newest may be at most {MAX_NEWEST}, not {keep_newest}")
    if keep_for is not None and keep_for > MAX_AGE:
        raise InvalidArgument(f"keep_for may be at most {MAX_AGE.days} days")


def expired(policy: RetentionPolicy, *, now: datetime) -> QuerySet[ArtifactVersion]:
    """The versions that every rule lets go, oldest first. Whether something still needs them is not asked here."""
    versions = ArtifactVersion.objects.filter(artifact=policy.artifact, removed_at__isnull=True)
    aged = versions.filter(created_at__lt=now - policy.keep_for) if policy.keep_for is not None else versions
    if policy.keep_newest is not None:
        rank = Window(RowNumber(), partition_by="partition_digest", order_by=[F("created_at").desc(), F("id").desc()])
        ranked = versions.annotate(rank=rank).filter(rank__gt=policy.keep_newest)
        aged = aged.filter(pk__in=list(ranked.values_list("pk", flat=True)))
    return aged.order_by("created_at", "pk")


def lock_for_removal(versions: QuerySet[ArtifactVersion]) -> QuerySet[ArtifactVersion]:
    """Those not removed yet, locked against all who `hold` one: only then is it asked who needs them."""
    return versions.filter(removed_at__isnull=True).select_for_update(of=("self",))


def remove(versions: Sequence[ArtifactVersion], *, actor: str, reason: str, kind: Kind = REMOVED) -> list[Removal]:
    """Tombstone these versions together; their objects go afterwards (`delete_objects`). Removing one twice is a no-op.

    `kind` of happening: that somebody removed them, or that a policy let them go.

    FailedPrecondition when an alias names one. Whether lineage or executions need them is for the caller to know.
    """
    with transaction.atomic():
        ids = [version.pk for version in versions]
        rows = list(lock_for_removal(ArtifactVersion.objects.filter(pk__in=ids)).order_by("pk"))
        named = Alias.objects.filter(version__in=rows).select_related("version").first()
        if named is not None:
            raise FailedPrecondition(f"{named.version.version} cannot be removed: alias '{named.name}' names it")
        lock_holds([row.artifact_id for row in rows], changing=False)
        if kept := held([row.pk for row in rows]):  # one that came while others looked
            pk, holds = next(iter(kept.items()))
            raise FailedPrecondition(f"version {pk} cannot be removed: {words_of(holds[0])}")
        now = timezone.now()
        ArtifactVersion.objects.filter(pk__in=[row.pk for row in rows]).update(removed_at=now)
        given = {version.pk: version for version in versions}  # with their artifacts
        write(
            [a_happening(kind, actor=actor, version=given[row.pk], detail={"reason": reason}, at=now) for row in rows]
        )
        return Removal.objects.bulk_create(Removal(version=row, at=now, actor=actor, reason=reason) for row in rows)


def delete_objects(*, limit: int | None = BATCH, until: float | None = None) -> int:
    """Delete the data of removed versions that nothing else refers to; the number of removals dealt with.

    Run after the removal has committed, again and again: each removal is marked when its objects are gone. The oldest
    `limit` are looked at, None: all, those behind some that fail as well. `until` (monotonic clock): then it ends.
    """
    done = 0
    for pk in _open_removals(limit):
        if until is not None and time.monotonic() >= until:
            break
        try:
            done += _delete_of(pk)
        except (CausewayError, OSError) as error:
            logger.warning("objects of removal %s stay for now: %s", pk, error)
    return done


def _open_removals(limit: int | None) -> Iterator[int]:
    last, left = 0, limit
    while left is None or left > 0:
        rows = Removal.objects.filter(objects_deleted_at__isnull=True, pk__gt=last).order_by("pk")
        found = list(rows.values_list("pk", flat=True)[: BATCH if left is None else min(BATCH, left)])
        yield from found
        if not found:
            return
        last, left = found[-1], None if left is None else left - len(found)


def _delete_of(removal_id: int) -> bool:
    """False if somebody else did, or does, this one."""
    with transaction.atomic():
        rows = Removal.objects.filter(pk=removal_id, objects_deleted_at__isnull=True).select_related("version")
        rows = rows.defer("version__literal", "version__card", "version__terms")
        removal = rows.select_for_update(of=("self",), skip_locked=True).first()
        if removal is None:
            return False
        if removal.version.uri:
            lock_data(removal.version.uri)
        removal.freed_bytes = _delete(removal.version)
        removal.objects_deleted_at = timezone.now()
        removal.save(update_fields=["objects_deleted_at", "freed_bytes"])
    return True


class StoredData(NamedTuple):
    """An object of a version. `kept_for`: why it stays although the version goes; empty when it goes too."""

    uri: str
    size: int  # bytes
    kept_for: str = ""


MAX_OBJECTS = 100_000  # of one version, looked at in one go


def data_of(version: ArtifactVersion, *, going: Collection[int] = ()) -> list[StoredData]:
    """The objects that a version lies in, and which of them would go with it. `going`: versions that go together with
    it, and so keep nothing.
    """
    return [*_data_at(version, version.uri, going), *_data_at(version, version.card_uri, going)]


def _data_at(version: ArtifactVersion, uri: str, going: Collection[int]) -> list[StoredData]:
    """Data that was referred to, never copied, is not ours to delete, nor what another version lies in."""
    if not uri:
        return []
    uri = uri.rstrip("/")
    if not store().contains(uri):
        return [StoredData(uri, 0, "it lies outside the object store")]
    if uri == version.uri.rstrip("/") and not version.execution_key and not uri.startswith(f"{store().root}/{AREA}/"):
        return [StoredData(uri, 0, "it was referred to, not uploaded")]
    if store().exists(uri):
        found = [StoredData(uri, store().size(uri))]
    else:  # a directory or a dataset of several files
        found = [StoredData(one.uri, one.size) for one in islice(store().list(uri), MAX_OBJECTS)]
    shared = _shared(version, [one.uri for one in found], going)
    return [one._replace(kept_for=f"{shared[one.uri]} lies there too") if one.uri in shared else one for one in found]


def _shared(version: ArtifactVersion, uris: Sequence[str], going: Collection[int]) -> dict[str, str]:
    """Those of the objects that a version which stays lies in, and which: at the very URI, or a folder around it."""
    around = {uri: _folders(uri) for uri in uris}
    wanted = {one for folders in around.values() for one in folders}
    others = ArtifactVersion.objects.filter(removed_at__isnull=True).exclude(pk__in={version.pk, *going})
    named: dict[str, str] = {}
    for column in ("uri", "card_uri") if version.card_uri in wanted else ("uri",):
        rows = others.filter(**{f"{column}__in": wanted}).values_list(column, "artifact__name", "version")
        named |= {uri: f"{name}@{number}" for uri, name, number in rows}
    owners = {uri: next((named[one] for one in folders if one in named), "") for uri, folders in around.items()}
    return {uri: owner for uri, owner in owners.items() if owner}


def _folders(uri: str) -> list[str]:
    """The URI and every folder around it within the store, each also with the slash some write at its end."""
    found = []
    while len(uri) > len(store().root):
        found += [uri, f"{uri}/"]
        uri = uri.rpartition("/")[0]
    return found


def _delete(version: ArtifactVersion) -> int:
    """The bytes freed."""
    freed = 0
    for one in data_of(version):
        if not one.kept_for:
            store().delete(one.uri)
            freed += one.size
    return freed

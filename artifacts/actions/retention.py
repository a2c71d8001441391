"""Letting versions go, by policy or by hand. The row stays as a tombstone, for lineage; the data goes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from artifacts.exceptions import CausewayError, FailedPrecondition, InvalidArgument
from artifacts.models import Alias, Artifact, ArtifactVersion, Removal, RetentionPolicy
from artifacts.store import store

logger = logging.getLogger(__name__)


def set_policy(
    artifact: Artifact,
    *,
    keep_newest: int | None = None,
    keep_for: timedelta | None = None,
    keep_ancestors: bool = True,
    actor: str,
) -> RetentionPolicy:
    """Replace the artifact's policy; InvalidArgument for one without a rule, or that would keep nothing at all."""
    if keep_newest is None and keep_for is None:
        raise InvalidArgument("a retention policy needs a rule: keep the newest so many, or keep for so long")
    if keep_newest is not None and keep_newest < 1:
        raise InvalidArgument(f"keep_newest must be at least 1, not {keep_newest}")
    if keep_for is not None and keep_for <= timedelta(0):
        raise InvalidArgument("keep_for must be longer than nothing")
    values = {"keep_newest": keep_newest, "keep_for": keep_for, "keep_ancestors": keep_ancestors}
    policy, _ = RetentionPolicy.objects.update_or_create(
        artifact=artifact, defaults={**values, "set_by": actor, "set_at": timezone.now()}
    )
    return policy


def expired(policy: RetentionPolicy, *, now: datetime) -> QuerySet[ArtifactVersion]:
    """The versions that every rule lets go, oldest first. Whether something still needs them is not asked here."""
    versions = ArtifactVersion.objects.filter(artifact=policy.artifact, removed_at__isnull=True)
    aged = versions.filter(created_at__lt=now - policy.keep_for) if policy.keep_for is not None else versions
    if policy.keep_newest is not None:
        rank = Window(RowNumber(), partition_by="partition_digest", order_by=[F("created_at").desc(), F("id").desc()])
        ranked = versions.annotate(rank=rank).filter(rank__gt=policy.keep_newest)
        aged = aged.filter(pk__in=list(ranked.values_list("pk", flat=True)))
    return aged.order_by("created_at", "pk")


def remove(versions: Sequence[ArtifactVersion], *, actor: str, reason: str) -> list[Removal]:
    """Tombstone these versions together; their objects go afterwards (`delete_objects`). Removing one twice is a no-op.

    FailedPrecondition when an alias names one. Whether lineage or executions need them is for the caller to know.
    """
    with transaction.atomic():
        ids = [version.pk for version in versions]
        present = ArtifactVersion.objects.select_for_update(no_key=True).filter(pk__in=ids, removed_at__isnull=True)
        rows = list(present.order_by("pk"))
        named = Alias.objects.filter(version__in=rows).select_related("version").first()
        if named is not None:
            raise FailedPrecondition(f"{named.version.version} cannot be removed: alias '{named.name}' names it")
        now = timezone.now()
        ArtifactVersion.objects.filter(pk__in=[row.pk for row in rows]).update(removed_at=now)
        return Removal.objects.bulk_create(Removal(version=row, at=now, actor=actor, reason=reason) for row in rows)


def delete_objects(*, limit: int = 200) -> int:
    """Delete the data of removed versions that nothing else refers to; the number of removals dealt with.

    Run after the removal has committed, again and again: each removal is marked when its objects are gone.
    """
    open_removals = Removal.objects.filter(objects_deleted_at__isnull=True).select_related("version").order_by("pk")
    done = 0
    for removal in open_removals[:limit]:
        try:
            removal.freed_bytes = _delete(removal.version)
        except (CausewayError, OSError) as error:
            logger.warning("objects of removed version %s stay for now: %s", removal.version_id, error)
            continue
        removal.objects_deleted_at = timezone.now()
        removal.save(update_fields=["objects_deleted_at", "freed_bytes"])
        done += 1
    return done


def _delete(version: ArtifactVersion) -> int:
    """The bytes freed. Data outside the store (referred to, never copied) is not ours to delete."""
    freed = 0
    for uri in {version.uri, version.card_uri} - {""}:
        if not store().contains(uri) or _used_elsewhere(version, uri):
            continue
        if store().exists(uri):
            freed += store().size(uri)
            store().delete(uri)
            continue
        for found in list(store().list(uri)):  # a directory or a dataset of several files
            freed += found.size
            store().delete(found.uri)
    return freed


def _used_elsewhere(version: ArtifactVersion, uri: str) -> bool:
    others = ArtifactVersion.objects.filter(removed_at__isnull=True).exclude(pk=version.pk)
    return others.filter(uri=uri).exists() or (uri == version.card_uri and others.filter(card_uri=uri).exists())

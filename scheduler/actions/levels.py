"""Service levels: set and taken back. Whether they are kept is looked at by scheduler.levels."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from artifacts.exceptions import InvalidArgument, NotFound
from artifacts.models import Artifact
from audit.record import record
from scheduler.levels.rules import check_seconds, check_time
from scheduler.models import LaunchPlan, ServiceLevel

Kind = ServiceLevel.Kind
MOST = 200  # in a project's domain
OF_ARTIFACTS = (Kind.NEW_BY, Kind.FRESH)


def set_level(
    *,
    project: str,
    domain: str,
    kind: ServiceLevel.Kind,
    name: str,
    partitions: Mapping[str, str] | None = None,
    time: str = "",
    zone: str = "",
    seconds: float | None = None,
    actor: str,
) -> ServiceLevel:
    """From now on it is looked whether this is kept.

    InvalidArgument for a time, zone, span or partition key that there is not, or one of another kind; NotFound for an
    artifact or launch plan that there is not.
    """
    if kind is Kind.NEW_BY:
        zone = zone or "UTC"
        check_time(time, zone)
        _refuse(seconds is not None, "seconds", kind)
    else:
        check_seconds(seconds)
        _refuse(bool(time or zone), "time and zone", kind)
    given = dict(partitions or {})
    if kind in OF_ARTIFACTS:
        _check_artifact(project, domain, name, given)
    else:
        _refuse(bool(given), "partitions", kind)
        if not LaunchPlan.objects.filter(project=project, domain=domain, name=name).exists():
            raise NotFound(f"there is no launch plan {project}/{domain}/{name}")
    now = timezone.now()
    with transaction.atomic():
        if ServiceLevel.objects.filter(project=project, domain=domain, removed_at__isnull=True).count() >= MOST:
            raise InvalidArgument(f"{project}/{domain} has {MOST} service levels, more are not looked at")
        row = ServiceLevel.objects.create(
            project=project,
            domain=domain,
            kind=kind,
            name=name,
            partitions=given,
            time=time,
            zone=zone,
            seconds=seconds,
            set_by=actor,
            set_at=now,
            looked_until=now,
        )
        record(actor, "service_level.set", row)
    return row


def _refuse(given: bool, what: str, kind: ServiceLevel.Kind) -> None:
    if given:
        raise InvalidArgument(f"{what}: not of a service level of the kind {kind.value}")


def _check_artifact(project: str, domain: str, name: str, partitions: Mapping[str, str]) -> None:
    artifact = Artifact.objects.filter(project=project, domain=domain, name=name).first()
    if artifact is None:
        raise NotFound(f"there is no artifact {project}/{domain}/{name}")
    if unknown := sorted(set(partitions) - set(artifact.partition_keys)):
        keys = ", ".join(sorted(artifact.partition_keys)) or "none"
        raise InvalidArgument(f"partitions: {artifact} has no key {unknown[0]!r}; its keys are: {keys}")


def remove_level(row: ServiceLevel, *, actor: str) -> None:
    """It is looked at no more; what came of it stays. NotFound for one that was removed before."""
    with transaction.atomic():
        now = timezone.now()
        if not ServiceLevel.objects.filter(pk=row.pk, removed_at__isnull=True).update(removed_at=now):
            raise NotFound(f"service level {row.pk} was removed before")
        row.outcomes.filter(met=False, until__isnull=True).update(until=now)
        record(actor, "service_level.remove", row)

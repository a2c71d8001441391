"""Which triggers a version concerns: by index of the watched artifact's name, never by looking at all triggers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from django.db.models import Q

from artifacts.models import ArtifactVersion
from scheduler.models import Trigger, TriggerSource


@dataclass(frozen=True)
class Match:
    """A trigger that watches the version's artifact. `fires`: one of its sources takes the version."""

    trigger: Trigger
    sources: tuple[TriggerSource, ...]  # those on this artifact

    def fires(self, version: ArtifactVersion) -> bool:
        return any(source.takes(version) for source in self.sources)

    def watches(self) -> str:
        return "watches " + " or ".join(source.conditions for source in self.sources)


def matching(version: ArtifactVersion) -> list[Trigger]:
    """The active triggers that take the version and were active when it was published, in the order of their keys.

    The database compares the partition values: of thousands of triggers on one artifact, those that match are read.
    """
    artifact = version.artifact
    taking = TriggerSource.objects.filter(
        Q(time_partition=None) | Q(time_partition=version.time_partition),
        active=True,
        name=artifact.name,
        project=artifact.project,
        domain=artifact.domain,
        partitions__contained_by=version.partitions,
        trigger__activated_at__lte=version.created_at,
    )
    return list(Trigger.objects.filter(pk__in=taking.values("trigger_id")).defer("condition").order_by("pk"))


def matches_of(sources: Iterable[TriggerSource]) -> list[Match]:
    """`sources` is a queryset of sources on one artifact."""
    rows = sources.select_related("trigger").defer("trigger__condition").order_by("trigger_id", "position")  # type: ignore[attr-defined]
    return [
        Match(own[0].trigger, own) for own in (tuple(group) for _, group in groupby(rows, lambda row: row.trigger_id))
    ]

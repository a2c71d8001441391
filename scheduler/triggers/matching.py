"""Which triggers a version concerns: by index of the watched artifact's name, never by looking at all triggers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

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


def watching(version: ArtifactVersion) -> list[Match]:
    """The active triggers on the version's artifact that were active when it was published, in the order of keys."""
    artifact = version.artifact
    found = TriggerSource.objects.filter(
        active=True,
        name=artifact.name,
        project=artifact.project,
        domain=artifact.domain,
        trigger__activated_at__lte=version.created_at,
    )
    return matches_of(found)


def matches_of(sources: Iterable[TriggerSource]) -> list[Match]:
    """`sources` is a queryset of sources on one artifact."""
    rows = sources.select_related("trigger").defer("trigger__condition").order_by("trigger_id", "position")  # type: ignore[attr-defined]
    return [
        Match(own[0].trigger, own) for own in (tuple(group) for _, group in groupby(rows, lambda row: row.trigger_id))
    ]

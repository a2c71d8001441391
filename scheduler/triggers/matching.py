"""Which triggers a version concerns: by index of the watched artifact's name, never by looking at all triggers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby

from artifacts.models import ArtifactVersion
from scheduler.asked_once import once
from scheduler.models import Trigger, TriggerSource
from scheduler.statements import select

_TAKING = """
    id IN (
        SELECT source.trigger_id FROM scheduler_triggersource AS source
        JOIN scheduler_trigger AS watching ON watching.id = source.trigger_id
        WHERE source.active AND source.alias = %s::text AND source.name = %s::text AND source.project = %s::text
          AND source.domain = %s::text AND source.partitions <@ %s::jsonb
          AND (source.time_partition IS NULL OR source.time_partition = %s::timestamptz)
          AND watching.activated_at IS NOT NULL
    ) ORDER BY id
"""


@dataclass(frozen=True)
class Match:
    """A trigger that watches the version's artifact. `fires`: one of its sources takes the version."""

    trigger: Trigger
    sources: tuple[TriggerSource, ...]  # those on this artifact

    def fires(self, version: ArtifactVersion) -> bool:
        return any(source.takes(version) for source in self.sources)

    def watches(self) -> str:
        return "watches " + " or ".join(source.conditions for source in self.sources)


def matching(version: ArtifactVersion, *, alias: str = "", at: datetime | None = None) -> list[Trigger]:
    """The active triggers that take the version and were active when it was published, in the order of their keys.

    With an `alias` those that take it where that moves to it, and were active `at` that time.

    The database compares the partition values: of thousands of triggers on one artifact, those that match are read.
    For versions that are evaluated together it is asked once for all that say the same.
    """
    artifact, published = version.artifact, at or version.created_at
    place = alias, artifact.name, artifact.project, artifact.domain
    asked = (*place, json.dumps(version.partitions), version.time_partition)
    taking = once(("taking", *asked), partial(select, Trigger, _TAKING, asked, without=("condition",), planned=True))
    return [trigger for trigger in taking if trigger.activated_at is not None and trigger.activated_at <= published]


def matches_of(sources: Iterable[TriggerSource]) -> list[Match]:
    """`sources` is a queryset of sources on one artifact."""
    rows = sources.select_related("trigger").defer("trigger__condition").order_by("trigger_id", "position")  # type: ignore[attr-defined]
    return [
        Match(own[0].trigger, own) for own in (tuple(group) for _, group in groupby(rows, lambda row: row.trigger_id))
    ]

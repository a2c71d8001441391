"""What readers of a launch plan's project are told of its firings: the ledger of triggers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.dateparse import parse_datetime

from artifacts.queries import MayRead
from scheduler.models import TriggerFiring
from scheduler.phases import FiringOutcome


@dataclass(frozen=True)
class Station:
    """What a firing was, when it was last found so, and why."""

    outcome: FiringOutcome
    at: datetime
    reason: str


def told_reason(firing: TriggerFiring, may_read: MayRead) -> str:
    """The firing's reason. Why a query found nothing names what there is instead, and what checks say names the
    version, of artifacts that are perhaps not for everybody to read who may read the launch plan: then only that it
    was so.
    """
    return _told(firing, firing.reason, firing.lacks, may_read)


def told_history(firing: TriggerFiring, may_read: MayRead) -> list[Station]:
    """What it was before, oldest first; the reasons as above."""
    return [
        Station(
            FiringOutcome(one["outcome"]),
            parse_datetime(one["at"]) or firing.published_at,
            _told(firing, one.get("reason", ""), one.get("lacks", []), may_read),
        )
        for one in firing.history
    ]


def _told(firing: TriggerFiring, reason: str, lacks: Iterable[str], may_read: MayRead) -> str:
    hidden = {lacking for lacking in lacks if not may_read(*lacking.split("/")[:2])}
    if hidden:
        return f"an input found no version of {', '.join(sorted(hidden))}, which you may not read"
    version, artifact = firing.version, firing.version.artifact
    names_it = version.version in reason or f"{artifact.name}@" in reason
    if names_it and not may_read(artifact.project, artifact.domain):
        return "something about a version that you may not read"
    return reason

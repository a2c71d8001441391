"""What readers of a launch plan's project are told of its firings."""

from __future__ import annotations

from artifacts.queries import MayRead
from scheduler.models import TriggerFiring


def told_reason(firing: TriggerFiring, may_read: MayRead) -> str:
    """The firing's reason. Why a query found nothing names what there is instead, of artifacts that are perhaps not for
    everybody to read who may read the launch plan: then only that it found nothing.
    """
    hidden = {lacking for lacking in firing.lacks if not may_read(*lacking.split("/")[:2])}
    if not hidden:
        return firing.reason
    return f"an input found no version of {', '.join(sorted(hidden))}, which you may not read"
